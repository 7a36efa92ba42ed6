"""The database's clock is set while every process is anew: windows end when they should, on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from attrs import define, field

from croupier.contract import Applied, TransportError, TransportProblem, WalletPolicy
from croupier.ledger.port import Ledger
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import DeliveryState, DeliveryTask
from croupier.runtime.ledger_clock import LedgerClock
from croupier.runtime.timekeeper import Timekeeper, start_clock
from croupier_conformance.model_wallet import ModelWallet
from croupier_conformance.money_path import bet
from croupier_conformance.simulated_process import LogBook
from croupier_conformance.virtual_time import EPOCH, LoopClock

if TYPE_CHECKING:
    from tests.failures.conftest import Hub, Tell

WINDOW_MS: Final = 60_000
SLOW: Final = WalletPolicy(retry_safe=True, tombstones=False, timeout_ms=200, late_window_ms=WINDOW_MS)
HOUR_MS: Final = 3_600_000
SETS_THE_CLOCK: Final = (
    "CREATE SCHEMA fake; CREATE TABLE fake.ahead (ms bigint NOT NULL); INSERT INTO fake.ahead VALUES (0);"
    "CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS"
    " $$ SELECT pg_catalog.clock_timestamp() + (SELECT ms FROM fake.ahead) * interval '1 millisecond' $$;"
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, fake, pg_catalog', current_database());"
    " END $$"
)


@define
class KeptClock(LoopClock):
    """The clock of one process: waiting is the loop's, and what is stored is the ledger's."""

    kept: LedgerClock = field(kw_only=True)

    def now_ms(self) -> int:
        return self.kept.now_ms()


@define(eq=False)
class Computers:
    """The machines of a hub and its database's, whose clock a test sets.

    Attributes:
        ledger: In the database.
        slept_ms: For how long the machines were off or asleep: their steady clocks have counted it.
        ahead_ms: By how much the database's clock was set forward.
    """

    ledger: Ledger
    slept_ms: int = 0
    ahead_ms: int = 0

    def steady(self) -> int:
        return 5_000_000 + self.slept_ms + int(asyncio.get_running_loop().time() * 1000)

    async def restart(self) -> None:
        """Open the ledger anew: its clock is the one that the test sets."""
        await self.ledger.close()
        if isinstance(self.ledger, PostgresLedger):
            with psycopg.connect(self.ledger._url, autocommit=True) as connection:
                if connection.execute("SELECT to_regnamespace('fake')").fetchone() == (None,):
                    connection.execute(SETS_THE_CLOCK)
        await self.ledger.start()
        if not isinstance(self.ledger, PostgresLedger):
            self.ledger._reader.create_function("strftime", 2, self._shown)  # type: ignore[attr-defined] # SQLite's own
        await self.set(0)

    def _shown(self, form: str, now: str) -> str:
        at = int(EPOCH.timestamp() * 1000) + self.slept_ms + int(asyncio.get_running_loop().time() * 1000)
        at += self.ahead_ms
        return str(at // 1000) if form == "%s" else f"00.{at % 1000:03}"

    async def set(self, by_ms: int) -> None:
        """Set the database's clock."""
        self.ahead_ms += by_ms
        if isinstance(self.ledger, PostgresLedger):
            with psycopg.connect(self.ledger._url, autocommit=True) as connection:
                connection.execute("UPDATE fake.ahead SET ms = %s", (self.slept_ms + self.ahead_ms,))

    async def pass_time(self, by_ms: int) -> None:
        """Let time pass on every clock."""
        self.slept_ms += by_ms
        await self.set(0)

    async def process(self, hub: Hub, boot: str = "boot", **given: Any) -> Timekeeper:
        """Start a process on a machine."""
        clock = await start_clock(self.ledger, boot, None, self.steady)
        hub.clock = KeptClock(kept=clock)  # type: ignore[assignment] # it has no need to jump
        await hub.start(**given)
        return Timekeeper(ledger=self.ledger, clock=clock, log=LogBook())  # type: ignore[arg-type] # writes no debug


@define(eq=False)
class OnTheWay:
    """The first request is lost to its caller, and arrives when the test says so."""

    hub: Hub
    send: Callable[..., Any]
    lost: list[Any] = field(factory=list)

    async def __call__(self, request: Any, timeout_seconds: float) -> Any:
        if self.lost:
            return await self.send(request, timeout_seconds)
        self.lost.append(request)
        raise TransportError("time-out", problem=TransportProblem.NO_ANSWER)

    def arrive(self) -> None:
        self.hub.wallet.answer(self.lost[0])


async def in_the_window(hub: Hub, computers: Computers) -> OnTheWay:
    """A bet has no answer, and the wallet that has not seen it has nothing to undo: it is to be asked again later."""
    await computers.restart()
    way = OnTheWay(hub, hub.path.channel._send)
    keeper = await computers.process(hub, send=way)
    told = await hub.process.play(bet("b1"))
    assert not isinstance(told.outcome, Applied)
    await hub.process.deliver()
    (row,) = await hub.deliveries()
    assert (row.state, row.task) == (DeliveryState.OWED, DeliveryTask.ASK)
    await keeper.beat()
    return way


async def the_window_ends_in_time(hub: Hub, computers: Computers, way: OnTheWay) -> None:
    """In the process that was started last: nothing is asked before the window's end, and right after it, it is."""
    before = len(hub.wallet.calls)
    await computers.pass_time(WINDOW_MS // 2)
    await hub.process.deliver()
    assert len(hub.wallet.calls) == before
    way.arrive()
    assert hub.balance() == -100
    await computers.pass_time(WINDOW_MS // 2 + 1_500)
    for _ in range(3):
        await hub.process.deliver()
        await computers.pass_time(1_500)
    assert hub.balance() == 0
    await hub.check()


def tell_it(tell_both: Tell, story: Callable[[Hub, Computers], Any]) -> None:
    tell_both(lambda hub: story(hub, Computers(hub.ledger)), wallet=ModelWallet(tombstones=False), wallet_policy=SLOW)


@pytest.mark.parametrize("set_by", [HOUR_MS, -HOUR_MS, 24 * HOUR_MS * 365 * 13], ids=["hour", "hour back", "2038"])
def test_row_28_a_database_whose_clock_was_set_while_every_process_was_away_ends_no_window_early_or_late(
    tell_both: Tell, set_by: int
) -> None:
    async def story(hub: Hub, computers: Computers) -> None:
        way = await in_the_window(hub, computers)
        hub.process.life.kill()
        await computers.set(set_by)
        await computers.restart()
        keeper = await computers.process(hub)
        await keeper.beat()
        (said,) = keeper.log.of("database_clock_was_set")  # type: ignore[attr-defined] # a log book
        assert abs(said["wait_ms"] - set_by) < 1_000
        await the_window_ends_in_time(hub, computers, way)

    tell_it(tell_both, story)


@pytest.mark.parametrize("set_by", [HOUR_MS, -HOUR_MS], ids=["hour", "hour back"])
def test_row_28_another_machine_begins_with_the_time_of_those_that_run_and_not_with_a_clock_that_was_set(
    tell_both: Tell, set_by: int
) -> None:
    async def story(hub: Hub, computers: Computers) -> None:
        way = await in_the_window(hub, computers)
        runs = await computers.process(hub)
        await computers.set(set_by)
        await computers.pass_time(5_000)
        await runs.beat()
        other = await computers.process(hub, "another boot")
        assert abs(other.clock.now_ms() - runs.clock.now_ms()) < 1_000
        await other.beat()
        await the_window_ends_in_time(hub, computers, way)

    tell_it(tell_both, story)


def test_row_28_a_machine_that_was_off_counts_on_from_the_latest_mark_if_the_databases_clock_was_set_back(
    tell_both: Tell,
) -> None:
    async def story(hub: Hub, computers: Computers) -> None:
        way = await in_the_window(hub, computers)
        hub.process.life.kill()
        await computers.set(-HOUR_MS)
        await computers.restart()
        await computers.process(hub, "the next boot")
        await the_window_ends_in_time(hub, computers, way)

    tell_it(tell_both, story)
