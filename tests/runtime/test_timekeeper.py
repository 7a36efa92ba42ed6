"""Processes keep one time, and leave marks of it for those that start later."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from tests.runtime.hubs import started

from croupier.contract import FixConfigurationError, StoreUnavailableError
from croupier.ledger.clock_marks import ClockMark, ClockReading
from croupier.runtime.clocks import boot_of_machine
from croupier.runtime.ledger_clock import LedgerClock
from croupier.runtime.timekeeper import BEAT_SECONDS, Timekeeper, follow_database, start_clock
from croupier_conformance.simulated_process import LogBook

START = 1_900_000_000_000
HOUR = 3_600_000


@define
class Marks:
    """A database that has nothing but a clock and marks."""

    database_ms: int = START
    steady_ms: int = 1_000_000
    takes_ms: list[int] = field(factory=list)
    away: bool = False
    marks: dict[str, ClockMark] = field(factory=dict)
    stored: int = 0
    states: dict[str, int] = field(factory=lambda: {"delivery.owed": 0, "delivery.held": 3, "movement.owed": 0})

    async def clock(self) -> ClockReading:
        if self.away:
            raise StoreUnavailableError("it is away")
        found = ClockReading(self.database_ms, tuple(self.marks.values()))
        self.pass_ms(self.takes_ms.pop(0) if self.takes_ms else 0)
        return found

    async def mark_clock(self, mark: ClockMark) -> None:
        self.marks[mark.boot] = mark
        self.stored += 1

    async def forget_clock(self) -> None:
        self.marks.clear()

    async def count_states(self) -> dict[str, int]:
        return self.states

    def steady(self) -> int:
        return self.steady_ms

    def pass_ms(self, by: int) -> None:
        self.database_ms += by
        self.steady_ms += by

    async def keeper(self, boot: str = "here", sleep: Any = None) -> Timekeeper:
        clock = await start_clock(self, boot, sleep, self.steady)  # type: ignore[arg-type] # as much as is asked for
        return Timekeeper(ledger=self, clock=clock, log=LogBook())  # type: ignore[arg-type] # as much as is asked for


def told(keeper: Timekeeper) -> list[int]:
    lines = keeper.log.of("database_clock_was_set")  # type: ignore[attr-defined] # a log book
    assert {line["level"] for line in lines} <= {"warning"}
    return [line["wait_ms"] for line in lines]


async def test_each_machine_leaves_a_mark_every_beat_whichever_of_its_processes_comes_first() -> None:
    marks = Marks()
    keepers = [await marks.keeper("here"), await marks.keeper("here"), await marks.keeper("there")]
    for beat in range(1, 4):
        for keeper in keepers:
            await keeper.beat()
            marks.pass_ms(1)
        assert (marks.stored, set(marks.marks)) == (2 * beat, {"here", "there"})
        marks.pass_ms(int(BEAT_SECONDS * 1000) - 3)


async def test_a_clock_that_was_set_is_told_once_a_minute_and_to_whom_asks_whether_it_is_ready() -> None:
    marks = Marks()
    keeper = await marks.keeper()
    await keeper.beat()
    assert (told(keeper), keeper.remarks()) == ([], ())
    marks.database_ms += HOUR
    for _ in range(24):
        marks.pass_ms(5_000)
        await keeper.beat()
    assert told(keeper) == [HOUR, HOUR - 600]
    assert keeper.remarks() == ("database clock +3599 s",)
    marks.database_ms -= HOUR + 2_000
    marks.pass_ms(5_000)
    await keeper.beat()
    assert keeper.remarks() == ("database clock -3 s",)
    marks.database_ms += 3_000
    await keeper.beat()
    assert keeper.remarks() == ()
    marks.database_ms += 9_000
    await keeper.beat()
    assert told(keeper)[2:] == [-3_200, 9_000]  # it was right in between


async def test_a_reading_that_took_long_moves_nothing_and_leaves_no_mark() -> None:
    marks = Marks()
    keeper = await marks.keeper()
    marks.takes_ms.append(900)
    before = keeper.clock.now_ms()
    await keeper.beat()
    assert (keeper.clock.now_ms() - before, marks.stored) == (900, 0)
    marks.takes_ms.append(90)
    await keeper.beat()
    assert (keeper.clock.now_ms() - before, marks.stored) == (900, 1)


async def test_a_process_that_stood_still_after_its_reading_leaves_no_mark_of_two_moments() -> None:
    marks = Marks()
    keeper = await marks.keeper()
    compare = keeper.clock.compare

    def stand_still(reading: ClockReading) -> int:
        apart_ms = compare(reading)
        marks.pass_ms(4_000)
        return apart_ms

    keeper.clock.compare = stand_still  # type: ignore[method-assign] # as a machine that is paused there
    await keeper.beat()
    assert marks.stored == 0
    keeper.clock.compare = compare  # type: ignore[method-assign] # as it was
    await keeper.beat()
    assert marks.marks["here"].ledger_ms == marks.marks["here"].database_ms


async def test_a_process_begins_with_a_reading_that_took_no_time_or_with_the_third() -> None:
    marks = Marks(takes_ms=[3_000, 3_000])
    assert (await marks.keeper()).clock.now_ms() == marks.database_ms == START + 6_000
    marks = Marks(takes_ms=[3_000, 3_000, 3_000])
    assert (await marks.keeper()).clock.now_ms() == marks.database_ms - 3_000


async def test_a_database_that_is_away_stops_no_clock_and_is_asked_again() -> None:
    marks = Marks()
    keeper = await marks.keeper()
    rests = 0

    async def rest(seconds: float) -> None:
        nonlocal rests
        marks.pass_ms(5_000)
        rests += 1
        marks.away = rests not in {14, 16}
        if rests == 17:
            raise asyncio.CancelledError

    keeper.clock.sleep = rest  # type: ignore[method-assign] # so that no time passes
    marks.away = True
    with suppress(asyncio.CancelledError):
        await keeper.run()
    assert (rests, marks.stored) == (17, 2)
    assert [line["code"] for line in keeper.log.of("clock_not_marked")] == 3 * ["store_unavailable"]  # type: ignore[attr-defined] # a log book


@pytest.mark.parametrize("set_by", [HOUR, -HOUR])
async def test_a_new_machine_waits_for_those_that_may_be_at_work_when_the_databases_clock_was_just_set(
    set_by: int,
) -> None:
    marks = Marks()
    runs = await marks.keeper("there")
    await runs.beat()
    marks.pass_ms(2_000)
    marks.database_ms += set_by

    async def sleep(seconds: float) -> None:
        marks.pass_ms(int(seconds * 500))
        await runs.beat()
        marks.pass_ms(int(seconds * 500))

    other = await marks.keeper("here", sleep)
    assert abs(other.clock.now_ms() - runs.clock.now_ms()) <= 100


async def test_the_databases_clock_is_followed_on_demand_while_nobody_is_at_work_and_nothing_is_owed() -> None:
    marks = Marks(database_ms=START + HOUR)
    await (await marks.keeper()).beat()
    marks.pass_ms(60_000)
    marks.database_ms -= HOUR
    assert (await marks.keeper()).clock.now_ms() == START + HOUR + 60_000
    marks.states["delivery.owed"] = 1
    with pytest.raises(FixConfigurationError, match="owed"):
        await follow_database(marks, "here", marks.steady)  # type: ignore[arg-type] # as much as is asked for
    marks.states["delivery.owed"] = 0
    marks.marks["there"] = evolve(marks.marks["here"], boot="there", database_ms=marks.database_ms - 6_000)
    with pytest.raises(FixConfigurationError, match="at work"):
        await follow_database(marks, "here", marks.steady)  # type: ignore[arg-type] # as much as is asked for
    del marks.marks["there"]
    assert await follow_database(marks, "here", marks.steady) == -HOUR  # type: ignore[arg-type] # as above
    assert (await marks.keeper()).clock.now_ms() == START + 60_000


@pytest.mark.skipif(boot_of_machine() is None, reason="only Linux tells its boot")
async def test_a_hub_goes_on_with_its_time_when_the_databases_clock_was_set_between_two_starts(tmp_path: Path) -> None:
    """What a clock that was set leaves behind: a mark that disagrees with it by an hour."""
    async with started(tmp_path) as hub:
        assert isinstance(hub.clock, LedgerClock)
        hub.begin()
        for _ in range(3_000):
            if (await hub.ledger.clock()).marks:
                break
            await asyncio.sleep(0.01)
        (mark,) = (await hub.ledger.clock()).marks
        assert mark.boot == boot_of_machine()
        assert abs(mark.ledger_ms - mark.database_ms) < 1_000
        assert hub.remarks() == ()
    with sqlite3.connect(tmp_path / "hub.sqlite") as connection:
        connection.execute(
            "UPDATE clock_marks SET ledger_ms = ledger_ms - ?, database_ms = database_ms - ?", [HOUR] * 2
        )
    connection.close()
    async with started(tmp_path) as hub:
        database_ms = (await hub.ledger.clock()).database_ms
        assert abs(database_ms - hub.clock.now_ms() - HOUR) < 1_000
        await hub.timekeeper.beat()
        assert hub.remarks() == ("database clock +3600 s",)
