"""A money path whose processes die at any effect, whose clock may jump, and whose ledger is of either engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from attrs import define, field

from croupier.contract import (
    Calls,
    HttpRequest,
    HttpResponse,
    Movement,
    Play,
    PlayResult,
    Unknown,
)
from croupier.ledger.port import Ledger, MovementFilter, Page
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import DeliveryRow, MovementRow, MovementState
from croupier.wallet.calendar import Calendar
from croupier.wallet.channel import Channel
from croupier.wallet.deliveries import Deliveries
from croupier.wallet.engine import Engine
from croupier.wallet.machine import FINAL
from croupier.wallet.ports import Send
from croupier.wallet.watch import Bell
from croupier_conformance.model_wallet import ModelWallet
from croupier_conformance.money_path import GAME, OPERATOR, MoneyPath
from croupier_conformance.servers import ServerMissingError, postgres_server
from croupier_conformance.simulated_process import Life, MortalLedger
from croupier_conformance.virtual_time import LoopClock, simulate

OPENING: Final = 1_000_000
LEASE_MS: Final = 30_000
PAST_A_LEASE: Final = 31.0


@define
class JumpingClock(LoopClock):
    """A wall clock that a test sets forward or back; the monotonic one beneath goes on as it does."""

    ahead: float = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)

    def now_ms(self) -> int:
        return super().now_ms() + int(self.ahead * 1000)


@define(eq=False)
class Process:
    """One process of the hub.

    Attributes:
        life: How many effects it had, and after which it dies.
        ledger: The ledger as it sees it.
    """

    hub: Hub
    life: Life
    ledger: Ledger
    engine: Engine
    deliveries: Deliveries

    async def play(self, *movements: Movement, round: str | None = "r1", player: str = "p1", **rest: Any) -> Any:
        """What a provider hears of a play: its result, or `None` where the process died under it."""
        connection = self.hub.path.connection
        play = Play(operation="play", movements=movements, player=player, round=round, game=GAME, **rest)
        deadline = self.hub.clock.monotonic() + connection.policies.default.operator_budget_ms / 1000
        work = asyncio.ensure_future(
            self.engine.handle(connection, Calls((play,)), trace="trace", deadline=deadline),
        )
        told = await self.life.unless_over(work)
        if told is None:
            return None
        (result,) = told
        assert isinstance(result, PlayResult)
        return result

    async def deliver(self) -> None:
        """One turn of the worker for owed work, or as much of it as this process lives."""
        await self.life.unless_over(asyncio.ensure_future(self.deliveries.run_once()))


@define(eq=False)
class Hub:
    """Processes of a hub on one ledger, and the operator's wallet.

    Attributes:
        path: Players, sessions, connection, network and wallet.
        ledger: The ledger as it is.
        clock: The clock of every process.
        is_real: Whether waiting takes real time.
        processes: Every process that was started.
    """

    path: MoneyPath
    ledger: Ledger
    clock: JumpingClock
    is_real: bool
    processes: list[Process] = field(factory=list)

    @property
    def process(self) -> Process:
        """The process that was started last."""
        return self.processes[-1]

    @property
    def wallet(self) -> ModelWallet:
        """The operator's book."""
        return self.path.wallet

    async def start(self, send: Send | None = None, *, ledger: Ledger | None = None) -> Process:
        """Start one more process; those before it go on, unless they are dead.

        Args:
            send: Its way to the wallet, if that is not the common one.
            ledger: Its way to the ledger, if that is not the common one.
        """
        life = Life()
        ledger = MortalLedger.as_ledger(ledger or self.ledger, life)
        sending = send or self.path.channel._send

        async def mortal(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
            return await life.effect(partial(sending, request, timeout_seconds))

        channel = Channel(ledger, mortal, self.clock, self.path.ids)
        owner, bell = await ledger.register(f"hub-{len(self.processes)}"), Bell(self.clock)
        engine = Engine(
            ledger=ledger,
            sessions=self.path.sessions,
            games=self.path.games,
            channel=channel,
            clock=self.clock,
            ids=self.path.ids,
            owner=owner,
            bell=bell,
            lease_ms=LEASE_MS,
        )
        deliveries = Deliveries(
            ledger=ledger,
            channel=channel,
            connections=self.path.connections,
            find_player=engine.wallet_player,
            clock=self.clock,
            ids=self.path.ids,
            owner=owner,
            notify=bell.ring,
            calendar=Calendar(),
            lease_ms=LEASE_MS,
        )
        self.processes.append(Process(self, life, ledger, engine, deliveries))
        return self.process

    async def dying(self, after: int) -> Process:
        """Start a process that dies after so many effects, counted from now on."""
        process = await self.start()
        process.life.last = process.life.steps + after
        if after == 0:
            process.life.kill()
        return process

    def pass_time(self, seconds: float) -> None:
        """Let wall-clock time pass at once: leases end, owed work comes due."""
        self.clock.ahead += seconds

    async def drain(self, turns: int = 60) -> None:
        """Let time pass until nothing is owed any more, or for so many turns of the worker."""
        for _ in range(turns):
            await self.process.deliver()
            owed = await self.process.life.unless_over(asyncio.ensure_future(self.process.deliveries.owed()))
            if not owed:
                return
            self.pass_time(PAST_A_LEASE)

    async def ask_until_definite(self, *movements: Movement, times: int = 8, **rest: Any) -> PlayResult:
        """Ask the same again, as a provider does, until the answer is definite."""
        for _ in range(times):
            result = await self.process.play(*movements, **rest)
            if result is not None and not isinstance(result.outcome, Unknown):
                assert isinstance(result, PlayResult)
                return result
            await self.drain()
        raise AssertionError("there is no definite answer")

    async def rows(self) -> list[MovementRow]:
        """Every movement on record, oldest first."""
        return list(await self.ledger.movements(OPERATOR, MovementFilter(), Page(limit=100_000)))

    async def row(self, reference: str) -> MovementRow:
        """The one movement that the provider calls so."""
        (row,) = [row for row in await self.rows() if row.reference == reference]
        return row

    async def deliveries(self) -> list[DeliveryRow]:
        """Everything that is or was owed."""
        return list(await self.ledger.deliveries(OPERATOR, None, 100_000))

    def balance(self, player: str = "p1") -> int:
        """What the wallet holds for a player, less what it began with."""
        return self.path.balance(player) - OPENING

    def asked(self, operation: str) -> int:
        """How many movements of a kind were asked of the wallet."""
        moves = [move for call in self.wallet.calls for move in call.get("moves", ())]
        return sum(move["op"] == operation for move in moves)

    async def check(self) -> None:
        """The invariants that every end must have, whatever the story was.

        I1: the balance is what stands in the hub's record. I2: nothing moved twice. I4: what was undone is undone at
        the wallet, and nothing else is. I8: one event for each change of state, without gaps. I10: nothing is open.
        """
        rows = await self.rows()
        standing = [row for row in rows if row.state is MovementState.APPLIED and row.direction != "reversal"]
        signed = {"debit": -1, "credit": 1}
        expected: Counter[str] = Counter()
        for row in standing:
            expected[row.player] += signed[row.direction] * row.amount
        for alias, player in self.path.sessions.players.items():
            assert self.balance(alias) == expected[player], alias
        at_wallet = set(self.wallet.applied) - self.wallet.undone
        assert at_wallet == {row.movement for row in standing}
        assert {row.state for row in rows} <= FINAL
        assert await self.process.deliveries.owed() == 0
        events = await self.ledger.events_after(OPERATOR, 0, 100_000)
        assert [stored.position for stored in events] == list(range(1, len(events) + 1))
        told = {row.movement: row.state.value for row in rows}
        last = {
            stored.event.subject: stored.event.kind.removeprefix("movement.")
            for stored in events
            if stored.event.kind.startswith("movement.")
        }
        assert last == told


Story = Callable[[Hub], Awaitable[None]]
Tell = Callable[..., None]


async def _tell(story: Story, folder: Path, url: str | None, options: dict[str, Any]) -> None:
    options = {"opening": OPENING, **options}
    async with MoneyPath.open(folder / "ledger.sqlite3", **options) as path:
        own = path.ledger
        ledger: Ledger = own if url is None else PostgresLedger(url)
        await ledger.start()
        try:
            clock = JumpingClock()
            hub = Hub(path, ledger, clock, is_real=url is not None)
            path.ledger = ledger  # type: ignore[assignment] # players are seated in the ledger of the story
            for alias in ("p1", "p2"):
                await path.seat(alias, OPENING)
            path.ledger = own
            await hub.start()
            await story(hub)
            await path.network.settle()
        finally:
            if url is not None:
                await ledger.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes databases, each its own; the server is one for all."""
    try:
        with postgres_server() as server:
            yield lambda: server.url(server.create())
    except ServerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a ledger's file lies: in memory where that is possible, for here a process dies and no computer."""
    memory = Path("/dev/shm")  # noqa: S108 # a folder of its own is made in it
    if not memory.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=memory) as made:
        yield Path(made)


@pytest.fixture
def tell(folder: Path) -> Tell:
    """Tells a story on SQLite, on virtual time."""

    def run(story: Story, **options: Any) -> None:
        simulate(_tell(story, folder, None, options))

    return run


@pytest.fixture
def tell_postgres(postgres: Callable[[], str], folder: Path) -> Tell:
    """Tells a story on PostgreSQL, in real time."""
    return lambda story, **options: asyncio.run(_tell(story, folder, postgres(), options))


@pytest.fixture(params=["sqlite", "postgres"])
def tell_both(request: pytest.FixtureRequest, folder: Path) -> Tell:
    """Tells a story on each engine: PostgreSQL speaks through sockets, so its time is real."""
    if request.param == "sqlite":
        return lambda story, **options: simulate(_tell(story, folder, None, options))
    make: Callable[[], str] = request.getfixturevalue("postgres")
    return lambda story, **options: asyncio.run(_tell(story, folder, make(), options))
