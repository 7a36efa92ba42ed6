"""What the hub asks of a provider, one errand for each outbound capability, and a driver that answers in its place.

An errand makes the adapter's flow, and says what is wrong with the value that it returns. The driver knows no
network: it hands every request to a function, and what that returns or raises to the flow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import evolve, field, frozen

from croupier.contract import (
    Adapter,
    BetScale,
    Capability,
    Credentials,
    Currency,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    GameListing,
    HttpRequest,
    HttpResponse,
    Launched,
    LaunchQuery,
    LogPage,
    LogQuery,
    Money,
    NotFoundError,
    Peer,
    ReplayQuery,
    TransportError,
)
from croupier_conformance.certification.bench import AdapterBench

EURO: Final = Currency("EUR", 2)
TOKEN: Final = "launch-token-0123456789abcdef"  # noqa: S105 # nobody's
GRANT: Final = "grant-0123456789abcdef"
ROUND: Final = "7000000001"
ROUNDS: Final = 5
MOST_REQUESTS: Final = 60
"""More requests than this are a loop."""
MOST_PAGES: Final = 40

PERSON: Final[Mapping[str, str]] = {
    "first_name": "Test",
    "last_name": "Player",
    "email": "test.player@example.com",
    "birth_date": "1990-01-01",
    "gender": "f",
    "city": "Valletta",
    "nickname": "tester",
    "registered_at": "2025-01-01T00:00:00Z",
}

Answer = Callable[[HttpRequest], HttpResponse]
"""Answers one request of a flow, or raises `TransportError`."""


@frozen(kw_only=True)
class Run:
    """A flow that was driven.

    Attributes:
        value: What it returned, if it ended well.
        error: What it raised, if not.
        requests: What it sent, in order.
        responses: What it was answered; `None` where there was no answer.
    """

    value: Any = None
    error: Exception | None = None
    requests: tuple[HttpRequest, ...] = ()
    responses: tuple[HttpResponse | None, ...] = ()


def drive(flow: Flow[Any], answer: Answer) -> Run:
    """Run a flow to its end; whatever it raises is in the result."""
    sent: list[HttpRequest] = []
    heard: list[HttpResponse | None] = []
    value: Any = None
    error: Exception | None = None
    try:
        request = next(flow)
        while len(sent) < MOST_REQUESTS:
            sent.append(request)
            heard.append(None)
            try:
                heard[-1] = response = answer(request)
            except TransportError as lost:
                request = flow.throw(lost)
            else:
                request = flow.send(response)
    except StopIteration as end:
        value = end.value
    except Exception as raised:  # noqa: BLE001 # which errors are right is the rules' affair
        error = raised
    else:
        error = RuntimeError(f"it does not end within {MOST_REQUESTS} requests")
    finally:
        flow.close()
    return Run(value=value, error=error, requests=tuple(sent), responses=tuple(heard))


@frozen(kw_only=True)
class World:
    """A provider to whom errands go.

    Attributes:
        bench: The rule's.
        adapter: The adapter.
        peer: The provider, with what it remembers.
        issued: What the provider calls the free rounds that were given before.
    """

    bench: AdapterBench
    adapter: Adapter
    peer: Peer
    issued: str = GRANT
    alias: str = field(init=False)

    @alias.default
    def _alias(self) -> str:
        rule = self.adapter.spec.aliases
        letters = (rule.alphabet * rule.length)[: max(rule.length - len(rule.prefix), 1)]
        return rule.prefix + letters

    @classmethod
    def of(cls, bench: AdapterBench) -> World:
        """A new one."""
        return cls(bench=bench, adapter=bench.adapter(), peer=bench.peer())

    @property
    def game(self) -> str:
        """The game that errands are about."""
        return next(iter(self.bench.subject.games))

    def serve(self, request: HttpRequest) -> HttpResponse:
        """Answer as the provider does."""
        return self.peer.serve(request, self.bench.credentials, self.bench.now)


@frozen(kw_only=True)
class Errand:
    """One thing that the hub asks for.

    Attributes:
        capability: What it is.
        flow: Makes the flow.
        wrong: What is wrong with the value that it returned; empty if nothing is.
        after: What must have been asked before.
    """

    capability: Capability
    flow: Callable[[World, Credentials], Flow[Any]]
    wrong: Callable[[World, Any], str]
    after: Capability | None = None

    def prepared(self, bench: AdapterBench) -> World:
        """A world in which everything was asked that must come before."""
        world = World.of(bench)
        if self.after is not None and self.after in bench.subject.spec.capabilities:
            before = drive(ERRANDS[self.after].flow(world, bench.credentials), world.serve)
            if isinstance(before.value, FreeRoundsIssued):
                return evolve(world, issued=before.value.reference)
        return world

    def run(self, world: World, answer: Answer | None = None, credentials: Credentials | None = None) -> Run:
        """Run it, honestly answered unless another answer is given."""
        try:
            flow = self.flow(world, credentials or world.bench.credentials)
        except Exception as error:  # noqa: BLE001 # a flow that is no generator fails at once
            return Run(error=error)
        return drive(flow, answer or world.serve)


def _launch(world: World, *, demo: bool) -> LaunchQuery:
    return LaunchQuery(
        game=world.game,
        currency=EURO.code,
        scale=EURO,
        demo=demo,
        player="" if demo else world.alias,
        token="" if demo else TOKEN,
        session="" if demo else "session-0123456789abcdef",
        country="MT",
        address="198.51.100.9",
        return_url="https://casino.example/lobby",
        deposit_url="https://casino.example/cashier",
        history_url="https://casino.example/history",
        balance=None if demo else Money(12_345, EURO),
        person={} if demo else PERSON,
    )


def _free_rounds(world: World, grant: str = GRANT) -> FreeRoundsQuery:
    now = world.bench.now
    return FreeRoundsQuery(
        grant=grant,
        player=world.alias,
        games=(world.game,),
        rounds=ROUNDS,
        currency=EURO.code,
        scale=EURO,
        valid_from=now + timedelta(minutes=1),
        valid_until=now + timedelta(days=7),
        bet=20,
        bet_level=1,
        person=PERSON,
    )


def issue(world: World, grant: str, nonce: str) -> Flow[FreeRoundsIssued]:
    """The flow that gives free rounds."""
    bench = world.bench
    return world.adapter.issue_free_rounds(_free_rounds(world, grant), bench.credentials, bench.now, nonce)


def _log(world: World, cursor: str | None = None) -> LogQuery:
    return LogQuery(since=world.bench.now - timedelta(hours=1), until=world.bench.now, cursor=cursor)


def _starts(value: Any) -> str:
    if not isinstance(value, Launched):
        return f"a Launched is expected, not {type(value).__name__}"
    ways = [bool(value.url), bool(value.html), bool(value.parameters)]
    return "" if sum(ways) == 1 else "exactly one of url, html and parameters says how the game starts"


def _wrong_launch(world: World, value: Any) -> str:
    wrong = _starts(value)
    if wrong:
        return wrong
    try:
        player = world.peer.started(value)
    except NotFoundError:
        return "the peer launched no such game: the launch is not the one that it gave"
    if player.game != world.bench.subject.played_as(world.game):
        return f"the game {player.game} starts, and {world.game} was asked for"
    if world.alias != player.player and player.token != TOKEN:
        return "the game starts for another player: neither the alias nor the launch token arrived"
    return ""


def _wrong_demo(world: World, value: Any) -> str:
    wrong = _starts(value)
    if wrong:
        return wrong
    try:
        player = world.peer.started(value)
    except NotFoundError:
        return "the peer launched no such game: the launch is not the one that it gave"
    if player.game != world.bench.subject.played_as(world.game):
        return f"the game {player.game} starts, and {world.game} was asked for"
    return "play money has no player and no token" if player.player or player.token else ""


def _wrong_games(world: World, value: Any) -> str:
    if not isinstance(value, tuple) or not all(isinstance(game, GameListing) for game in value):
        return "a tuple of GameListing is expected"
    codes = [game.code for game in value]
    missing = sorted(set(world.bench.subject.games) - set(codes))
    if missing:
        return f"games of the certification file are not in the list: {', '.join(missing)}"
    if len(set(codes)) != len(codes):
        return "a game stands twice in the list"
    for game in value:
        wallet_code = world.bench.subject.wallet_codes.get(game.code)
        if wallet_code is not None and game.wallet_code != wallet_code:
            return f"wallet calls name {game.code} as {wallet_code}, and the list says {game.wallet_code}"
    return "" if all(game.code and game.name for game in value) else "a game has no code or no name"


def _wrong_scales(world: World, value: Any) -> str:
    if not isinstance(value, tuple) or not value or not all(isinstance(scale, BetScale) for scale in value):
        return "a tuple of BetScale is expected, with the game that was asked for in it"
    for scale in value:
        if scale.game != world.game:
            return f"a scale of {scale.game}, which was not asked for"
        if not scale.total_bets or any(bet.value <= 0 for bet in scale.total_bets):
            return "bets are amounts above zero"
    return ""


def _wrong_issue(_world: World, value: Any) -> str:
    if not isinstance(value, FreeRoundsIssued) or not value.reference:
        return "a FreeRoundsIssued with a reference is expected"
    return "" if value.rounds in {None, ROUNDS} else f"{value.rounds} rounds, and {ROUNDS} were asked for"


def _wrong_list(_world: World, value: Any) -> str:
    if not isinstance(value, tuple) or not all(isinstance(item, FreeRoundsIssued) for item in value):
        return "a tuple of FreeRoundsIssued is expected"
    if len(value) != 1:
        return f"{len(value)} sets of free rounds are listed, and one was given"
    return "" if value[0].rounds in {None, ROUNDS} else f"{value[0].rounds} rounds are left, and {ROUNDS} were given"


def _nothing(_world: World, value: Any) -> str:
    return "" if value is None else f"nothing is expected, not {type(value).__name__}"


def _wrong_page(_world: World, value: Any) -> str:
    if not isinstance(value, LogPage):
        return f"a LogPage is expected, not {type(value).__name__}"
    return "" if value.cursor != "" else "the end of a log is a cursor of None"


def _errands() -> dict[Capability, Errand]:
    c = Capability
    every = (
        Errand(
            capability=c.LAUNCH,
            flow=lambda w, keys: w.adapter.launch(_launch(w, demo=False), keys, w.bench.now, "nonce-1"),
            wrong=_wrong_launch,
        ),
        Errand(
            capability=c.LAUNCH_DEMO,
            flow=lambda w, keys: w.adapter.launch(_launch(w, demo=True), keys, w.bench.now, "nonce-1"),
            wrong=_wrong_demo,
        ),
        Errand(capability=c.GAME_LIST, flow=lambda w, keys: w.adapter.game_list(keys, w.bench.now), wrong=_wrong_games),
        Errand(
            capability=c.BET_SCALES,
            flow=lambda w, keys: w.adapter.bet_scales((w.game,), keys, w.bench.now),
            wrong=_wrong_scales,
        ),
        Errand(
            capability=c.FREE_ROUNDS_ISSUE,
            flow=lambda w, keys: w.adapter.issue_free_rounds(_free_rounds(w), keys, w.bench.now, "nonce-1"),
            wrong=_wrong_issue,
        ),
        Errand(
            capability=c.FREE_ROUNDS_CANCEL,
            flow=lambda w, keys: w.adapter.cancel_free_rounds(w.issued, w.alias, keys, w.bench.now),
            wrong=_nothing,
            after=c.FREE_ROUNDS_ISSUE,
        ),
        Errand(
            capability=c.FREE_ROUNDS_LIST,
            flow=lambda w, keys: w.adapter.list_free_rounds(w.alias, keys, w.bench.now),
            wrong=_wrong_list,
            after=c.FREE_ROUNDS_ISSUE,
        ),
        Errand(
            capability=c.ROUND_REPLAY,
            flow=lambda w, keys: w.adapter.replay(
                ReplayQuery(player=w.alias, round=ROUND, game=w.game), keys, w.bench.now
            ),
            wrong=lambda _world, value: _starts(value),
        ),
        Errand(
            capability=c.TRANSACTION_LOG,
            flow=lambda w, keys: w.adapter.transaction_log(_log(w), keys, w.bench.now),
            wrong=_wrong_page,
        ),
        Errand(
            capability=c.ROUND_LOG,
            flow=lambda w, keys: w.adapter.round_log(_log(w), keys, w.bench.now),
            wrong=_wrong_page,
        ),
        Errand(
            capability=c.END_SESSION,
            flow=lambda w, keys: w.adapter.end_session(w.alias, keys, w.bench.now),
            wrong=_nothing,
        ),
        Errand(
            capability=c.CANCEL_ROUND,
            flow=lambda w, keys: w.adapter.cancel_round(w.alias, w.game, ROUND, keys, w.bench.now),
            wrong=_nothing,
        ),
    )
    return {errand.capability: errand for errand in every}


ERRANDS: Final[Mapping[Capability, Errand]] = _errands()
"""By capability."""


def declared(bench: AdapterBench) -> list[Errand]:
    """The errands that an adapter declares."""
    return [errand for errand in ERRANDS.values() if errand.capability in bench.adapter().spec.capabilities]


def log_pages(world: World, capability: Capability) -> list[LogPage]:
    """A log read to its end, page after page, as far as `MOST_PAGES`."""
    read = world.adapter.transaction_log if capability is Capability.TRANSACTION_LOG else world.adapter.round_log
    pages: list[LogPage] = []
    cursor: str | None = None
    while len(pages) < MOST_PAGES:
        run = drive(read(_log(world, cursor), world.bench.credentials, world.bench.now), world.serve)
        if run.error is not None:
            raise run.error
        pages.append(run.value)
        cursor = run.value.cursor
        if cursor is None:
            break
    return pages
