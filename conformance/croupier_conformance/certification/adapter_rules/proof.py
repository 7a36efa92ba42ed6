"""Layer of properties: nothing unproven is believed."""

from __future__ import annotations

from decimal import Decimal

from croupier.contract import (
    AuthenticationError,
    Capability,
    Credentials,
    HttpRequest,
    MovementKind,
    PeerMove,
    PeerPlay,
    PeerPlayer,
)
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, Tier


def bet_of(bench: AdapterBench, number: int = 1) -> HttpRequest:
    """A bet as the peer signs it."""
    game = next(iter(bench.subject.games))
    player = PeerPlayer(player="player-1", token="token-1", game=game, currency="EUR")  # noqa: S106 # no secret
    move = PeerMove(kind=MovementKind.BET, id=f"bet-{number}", amount=Decimal("1.00"))
    play = PeerPlay(player=player, round=f"round-{number}", moves=(move,))
    return bench.peer().request(play, bench.credentials, bench.now)


@ADAPTER_RULES.rule(
    "no-secret-no-proof",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="Without a secret nothing is proven",
    expects="verify raises AuthenticationError for every request when the connection has no secret",
    needs=(frozenset({Capability.BET}),),
)
def without_a_secret_nothing_is_proven(bench: AdapterBench) -> None:
    """A connection whose secret was never set must believe nobody.

    The rule hands a correctly signed bet to an adapter without credentials. It is usually broken by a default such as
    an empty key, which anybody can sign with. `require_proof` and `Credentials.every` refuse that by themselves.
    """
    request = bet_of(bench)
    try:
        bench.adapter().verify(request, Credentials({}), bench.now)
    except AuthenticationError:
        bench.notebook.note("a bet, and no secret to prove it by", request, "AuthenticationError")
        return
    raise RuleBrokenError("a request was believed without any secret", sent=shown(request), came_back="no error")
