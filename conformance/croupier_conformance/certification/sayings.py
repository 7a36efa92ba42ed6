"""What a provider can say, by its peer: one example of every kind of request, whatever the protocol.

A rule takes what it needs from `sayings`; what the peer's protocol cannot say is not among it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from attrs import evolve, frozen

from croupier.contract import (
    Adapter,
    Calls,
    Capability,
    HttpRequest,
    MovementKind,
    Peer,
    PeerAction,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    UnsupportedOperationError,
)
from croupier_conformance.certification.bench import AdapterBench

ALIAS: Final = "alias-7c1e5d"
"""The player's alias: nothing else in a request looks like it, so a rule finds it where it should not be."""
TOKEN: Final = "token-5b2f9c41aa"  # noqa: S105 # it opens nothing
ROUND: Final = "5103188801"
GRANT: Final = "grant-1"
CURRENCY: Final = "EUR"

_BET: Final = MovementKind.BET
_WIN: Final = MovementKind.WIN
_FREE: Final = frozenset({MovementKind.FREE_BET, MovementKind.FREE_WIN, MovementKind.BONUS_WIN})
ENDS_GRANT: Final = MovementKind.BONUS_WIN


@frozen(kw_only=True)
class Saying:
    """One thing that a provider says.

    Attributes:
        name: In words, for reports.
        capability: What it is an example of.
        action: The peer's action.
    """

    name: str
    capability: Capability
    action: PeerAction


@frozen(kw_only=True)
class Said:
    """A saying as it crossed the wire.

    Attributes:
        saying: What was meant.
        request: What the peer sent.
        calls: What the adapter understood.
    """

    saying: Saying
    request: HttpRequest
    calls: Calls


def player_of(bench: AdapterBench, currency: str = CURRENCY) -> PeerPlayer:
    """A player in the subject's first game."""
    game = bench.subject.played_as(next(iter(bench.subject.games), "game"))
    return PeerPlayer(player=ALIAS, token=TOKEN, game=game, currency=currency)


def sayings(bench: AdapterBench, peer: Peer, currency: str = CURRENCY) -> tuple[Saying, ...]:
    """One example of everything that the peer can say and the adapter declares."""
    player = player_of(bench, currency)
    declared = bench.subject.spec.capabilities
    found = []
    for saying in _candidates(peer, player):
        if saying.capability not in declared:
            continue
        try:
            peer.request(saying.action, bench.credentials, bench.now)
        except UnsupportedOperationError:
            continue
        found.append(saying)
    return tuple(found)


def heard(bench: AdapterBench, adapter: Adapter, peer: Peer, saying: Saying) -> Said:
    """What the adapter understands of a saying.

    Raises:
        CroupierError: It does not.
    """
    request = peer.request(saying.action, bench.credentials, bench.now)
    verified = adapter.verify(request, bench.credentials, bench.now)
    return Said(saying=saying, request=request, calls=adapter.parse(verified))


def all_heard(bench: AdapterBench, currency: str = CURRENCY) -> tuple[Said, ...]:
    """Every saying with what a new adapter understands of it."""
    adapter, peer = bench.adapter(), bench.peer()
    return tuple([heard(bench, adapter, peer, saying) for saying in sayings(bench, peer, currency)])


def move(kind: MovementKind, id: str, amount: str = "1.00", target: str | None = None) -> PeerMove:
    """A movement; `amount` in major units."""
    win = Decimal("2.00") if kind is MovementKind.BET_AND_WIN else None
    return PeerMove(kind=kind, id=id, amount=Decimal(amount), target=target, win_amount=win)


def plays(player: PeerPlayer, *moves: PeerMove) -> tuple[PeerPlay, ...]:
    """The ways in which a protocol may want a play to be said: with free rounds' grant where these belong."""
    play = PeerPlay(player=player, round=ROUND, moves=moves)
    return (evolve(play, grant=GRANT),) if any(one.kind in _FREE for one in moves) else (play,)


_KINDS: Final[Mapping[Capability, tuple[MovementKind, ...]]] = {
    Capability.BET: (MovementKind.BET,),
    Capability.WIN: (MovementKind.WIN,),
    Capability.BET_AND_WIN: (MovementKind.BET_AND_WIN,),
    Capability.STAKE_TRANSFER: (MovementKind.TRANSFER_OUT, MovementKind.TRANSFER_IN),
    Capability.TIP: (MovementKind.TIP,),
    Capability.PROMO_WIN: (MovementKind.PROMO_WIN, MovementKind.TOURNAMENT_WIN),
    Capability.JACKPOT_WIN: (MovementKind.JACKPOT_WIN,),
    Capability.BONUS_WIN: (MovementKind.BONUS_WIN,),
    Capability.FREE_BET: (MovementKind.FREE_BET, MovementKind.FREE_WIN),
}

_REFERS_TO: Final[Mapping[MovementKind, str]] = {_WIN: "bet-1", MovementKind.TRANSFER_IN: "transfer-out-1"}
"""What a movement comes after, where a protocol names it."""


def _candidates(peer: Peer, player: PeerPlayer) -> Iterator[Saying]:
    yield Saying(name="authenticate", capability=Capability.AUTHENTICATE, action=PeerAuthenticate(player=player))
    yield Saying(name="balance", capability=Capability.BALANCE, action=PeerBalance(player=player))
    for capability, kinds in _KINDS.items():
        for kind in kinds:
            target = _REFERS_TO.get(kind)
            for play in plays(player, move(kind, f"{kind.value}-1".replace("_", "-"), target=target)):
                yield Saying(name=kind.value, capability=capability, action=play)
    for amount, name in (("1.00", "adjustment up"), ("-1.00", "adjustment down")):
        change = move(MovementKind.ADJUSTMENT, f"adjustment{amount}".replace(".", ""), amount)
        for play in plays(player, change):
            yield Saying(name=name, capability=Capability.ADJUSTMENT, action=play)
    yield from _together(peer, player)
    for target, capability in (("bet-1", Capability.ROLLBACK_BET), ("win-1", Capability.ROLLBACK_WIN)):
        key = target if peer.rollback_key_is_target else f"{target}-undo"
        for play in plays(player, move(MovementKind.ROLLBACK, key, target=target)):
            yield Saying(name=f"rollback of a {target[:3]}", capability=capability, action=play)
    close = PeerCloseRound(player=player, round=ROUND)
    yield Saying(name="close of a round", capability=Capability.CLOSE_ROUND, action=close)


def _together(peer: Peer, player: PeerPlayer) -> Iterator[Saying]:
    bet, win = move(_BET, "bet-1"), move(_WIN, "win-1", "3", "bet-1")
    for play in plays(player, bet, win):
        yield Saying(name="a bet and its win", capability=Capability.BET_AND_WIN, action=play)
        if not peer.closes_by_call:
            last = evolve(play, closes_round=True)
            yield Saying(name="a whole round in one", capability=Capability.BET_AND_WIN, action=last)
    for play in plays(player, bet, move(_BET, "bet-2", "2"), win):
        yield Saying(name="a batch", capability=Capability.BATCH, action=play)
    if not peer.closes_by_call:
        for play in plays(player, win):
            yield Saying(
                name="the last win of a round", capability=Capability.WIN, action=evolve(play, closes_round=True)
            )
