"""What the hub may ask of a provider: one example of every outbound flow that an adapter declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from croupier.contract import (
    Adapter,
    Capability,
    Currencies,
    Device,
    Flow,
    FreeRoundsQuery,
    HttpRequest,
    HttpResponse,
    LaunchQuery,
    LogQuery,
    ReplayQuery,
)
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.sayings import ALIAS, CURRENCY, GRANT, ROUND, TOKEN

NONCE: Final = "nonce-1"
PERSON: Final[Mapping[str, str]] = {"first_name": "Firstmark", "last_name": "Lastmark", "email": "mark@mail.example"}
"""A player's person: what of it is stored or logged is found by these words."""

_WITH_NONCE: Final = frozenset({"launch", "issue_free_rounds"})


@frozen(kw_only=True)
class Ask:
    """One call of the hub to the provider.

    Attributes:
        name: In words.
        capability: What it needs.
        flow: The adapter's method.
        arguments: What the method is handed, by name; credentials, time and nonce apart.
    """

    name: str
    capability: Capability
    flow: str
    arguments: Mapping[str, Any]

    def start(self, adapter: Adapter, bench: AdapterBench, nonce: str = NONCE) -> Flow[Any]:
        """The flow, not begun."""
        method: Callable[..., Flow[Any]] = getattr(adapter, self.flow)
        more = {"nonce": nonce} if self.flow in _WITH_NONCE else {}
        return method(**self.arguments, credentials=bench.credentials, now=bench.now, **more)


def asks(bench: AdapterBench) -> tuple[Ask, ...]:
    """An example of every flow that the subject declares."""
    declared = bench.subject.spec.capabilities
    return tuple([ask for ask in _candidates(bench) if ask.capability in declared])


def carry(flow: Flow[Any], answer: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Carry a flow's requests to somebody, and return what it returns.

    Raises:
        CroupierError: Whatever the flow raises.
    """
    try:
        request = next(flow)
        while True:
            request = flow.send(answer(request))
    except StopIteration as end:
        return end.value


def _candidates(bench: AdapterBench) -> Iterator[Ask]:
    game = next(iter(bench.subject.games), "game")
    euro = Currencies().get(CURRENCY)
    play = LaunchQuery(
        game=game,
        currency=CURRENCY,
        scale=euro,
        player=ALIAS,
        token=TOKEN,
        session="session-1",
        country="DE",
        device=Device.MOBILE,
        address="192.0.2.7",
        return_url="https://casino.example/lobby",
        deposit_url="https://casino.example/cashier",
        person=PERSON,
    )
    demo = LaunchQuery(game=game, currency=CURRENCY, scale=euro, demo=True, return_url="https://casino.example/lobby")
    grant = FreeRoundsQuery(
        grant=GRANT,
        player=ALIAS,
        games=(game,),
        rounds=10,
        currency=CURRENCY,
        scale=euro,
        bet=20,
        bet_level=1,
        valid_from=bench.now,
        valid_until=bench.now + timedelta(days=7),
        person=PERSON,
    )
    log = LogQuery(since=bench.now - timedelta(hours=1), until=bench.now)
    replay = ReplayQuery(player=ALIAS, round=ROUND, game=game)
    one: tuple[tuple[str, Capability, str, Mapping[str, Any]], ...] = (
        ("launch", Capability.LAUNCH, "launch", {"query": play}),
        ("launch for play money", Capability.LAUNCH_DEMO, "launch", {"query": demo}),
        ("list of games", Capability.GAME_LIST, "game_list", {}),
        ("bets of games", Capability.BET_SCALES, "bet_scales", {"games": (game,)}),
        ("free rounds", Capability.FREE_ROUNDS_ISSUE, "issue_free_rounds", {"query": grant}),
        ("free rounds of a player", Capability.FREE_ROUNDS_LIST, "list_free_rounds", {"player": ALIAS}),
        (
            "free rounds taken back",
            Capability.FREE_ROUNDS_CANCEL,
            "cancel_free_rounds",
            {"grant": GRANT, "player": ALIAS},
        ),
        ("replay of a round", Capability.ROUND_REPLAY, "replay", {"query": replay}),
        ("log of transactions", Capability.TRANSACTION_LOG, "transaction_log", {"query": log}),
        ("log of rounds", Capability.ROUND_LOG, "round_log", {"query": log}),
        ("end of a session", Capability.END_SESSION, "end_session", {"player": ALIAS}),
        (
            "round made void",
            Capability.CANCEL_ROUND,
            "cancel_round",
            {"player": ALIAS, "game": game, "round": ROUND},
        ),
    )
    for name, capability, flow, arguments in one:
        yield Ask(name=name, capability=capability, flow=flow, arguments=arguments)
