"""Rounds that have been open for too long are told of once, whatever becomes of who tells; both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from croupier.contract import StoreUnavailableError
from croupier.ledger.port import Change, CommitResult, Committed, Ledger, Owner, Page, RoundFilter
from croupier.ledger.records import Event, RoundRow, RoundState
from croupier.wallet.alarms import OVERDUE
from croupier.wallet.overdue import LEASE_MS, READER, OverdueRounds
from croupier_conformance.virtual_time import LoopClock

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows

Store = Callable[[Change], Awaitable[int]]
HOUR = 3_600_000
START = 1_000 * HOUR


@define
class SetClock(LoopClock):
    """The ledger's time, as a test sets it."""

    ms: int = START

    def now_ms(self) -> int:
        return self.ms


@define
class Told:
    """A process that looks, and whom it told."""

    ledger: Any
    clock: SetClock
    epoch: int = 1
    hours: dict[str, int] = field(factory=lambda: {"casino": 72})
    heard: list[str] = field(factory=list)
    any_heard: asyncio.Event = field(factory=asyncio.Event)

    def process(self) -> OverdueRounds:
        def hear(operator: str, event: Event) -> None:
            assert (operator, event.kind) == ("casino", OVERDUE)
            self.heard.append(event.subject)
            self.any_heard.set()

        return OverdueRounds(
            ledger=self.ledger,
            clock=self.clock,
            owner=Owner(f"w{self.epoch}", self.epoch),
            hours=lambda: self.hours,
            alarm=hear,
        )

    async def on_record(self) -> list[str]:
        events = [stored.event for stored in await self.ledger.events_after("casino", 0, 10_000)]
        return [event.subject for event in events if event.kind == OVERDUE]


async def test_a_round_is_told_of_once_when_it_has_been_open_for_too_long(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(rounds=(rows.round("r1", opened_at=START, bets=2),)))
    told = Told(ledger, SetClock())
    process = told.process()
    for hours, expected in ((0, []), (71, []), (72, []), (73, ["r1"]), (74, ["r1"]), (1_000, ["r1"])):
        told.clock.ms = START + hours * HOUR
        await process.look()
        assert told.heard == await told.on_record() == expected
    (event,) = [stored.event for stored in await ledger.events_after("casino", 0, 100)]
    assert event.body == {"opened_at": "1970-02-11T16:00:00+00:00", "bets": 2, "wins": 0}
    assert (await ledger.round("casino", "r1")) == rows.round("r1", opened_at=START, bets=2)


async def test_rounds_are_told_of_after_the_ledgers_time_was_far_ahead_and_went_back(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    """As `croupier admin follow-clock` lets it, which ends the leases."""
    told = Told(ledger, SetClock(START + 9_000 * HOUR))
    await told.process().look()
    await ledger.forget_clock()
    await ledger.close()
    await ledger.start()
    told.clock.ms, told.epoch = START, 2
    process = told.process()
    await process.look()
    await store(rows.change(rounds=(rows.round("r1", opened_at=START + 1),)))
    for hours, expected in ((72, []), (73, ["r1"]), (74, ["r1"])):
        told.clock.ms = START + hours * HOUR
        await process.look()
        assert told.heard == await told.on_record() == expected


async def test_a_round_that_has_ended_is_not_told_of(ledger: Ledger, rows: Rows, store: Store) -> None:
    ended = rows.round("r1", opened_at=START, state=RoundState.CLOSED, closed_at=START + 1)
    await store(rows.change(rounds=(ended, rows.round("r2", opened_at=START))))
    told = Told(ledger, SetClock(START + 73 * HOUR))
    assert await told.process().look() == 1
    assert told.heard == ["r2"]


async def test_rounds_opened_in_one_moment_and_more_than_a_page_of_them_are_each_told_of_once(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    many = [rows.round(f"r{number:03}", opened_at=START + number // 130) for number in range(230)]
    await store(rows.change(rounds=tuple(many)))
    told = Told(ledger, SetClock(START + 72 * HOUR + 1))
    process = told.process()
    assert await process.look() == 130
    told.clock.ms += 1
    assert (await process.look(), await process.look()) == (100, 0)
    assert told.heard == await told.on_record() == [row.round for row in many]


async def test_a_record_of_which_only_so_much_is_read_in_time_is_gone_through_piece_by_piece(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    ended = [
        rows.round(f"r{number:03}", opened_at=START + number * 1_000, state=RoundState.CLOSED, closed_at=START + HOUR)
        for number in range(300)
    ]
    left_open = [rows.round(f"o{number}", opened_at=START + number * 100_000) for number in range(3)]
    await store(rows.change(rounds=(*ended, *left_open)))

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        async def rounds(self, operator: str, player: str | None, page: Page, which: RoundFilter) -> Sequence[RoundRow]:
            looked_at = await ledger.rounds(operator, player, evolve(page, limit=1_000), evolve(which, state=None))
            if which.state is not None and len(looked_at) > 50:
                raise StoreUnavailableError("it took too long")
            return await ledger.rounds(operator, player, page, which)

    told = Told(Slow(), SetClock(START + 80 * HOUR))
    process = told.process()
    for _ in range(10):
        await process.look()
    assert told.heard == await told.on_record() == ["o0", "o1", "o2"]
    row = await ledger.sink("casino", READER)
    assert row is not None
    assert row.position == START + 8 * HOUR


async def test_another_process_tells_nothing_again_and_goes_on_when_the_first_is_gone(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(rounds=(rows.round("r1", opened_at=START), rows.round("r2", opened_at=START + HOUR))))
    clock = SetClock(START + 72 * HOUR + 1)
    first, second = Told(ledger, clock), Told(ledger, clock, epoch=2)
    one, other = first.process(), second.process()
    assert (await one.look(), await other.look()) == (1, 0)
    clock.ms += HOUR - 1
    assert await other.look() == 0  # the first one's lease is over: the other one has the rounds now
    clock.ms += 2
    assert (await one.look(), await other.look()) == (0, 1)
    assert (first.heard, second.heard) == (["r1"], ["r2"])
    assert await first.on_record() == ["r1", "r2"]


async def test_many_who_look_at_once_tell_a_round_once(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.change(rounds=(rows.round("r1", opened_at=START),)))
    clock = SetClock(START + 73 * HOUR)
    every = [Told(ledger, clock, epoch=epoch) for epoch in range(1, 9)]
    await asyncio.gather(*(each.process().look() for each in every))
    assert [name for each in every for name in each.heard] == ["r1"]
    assert await every[0].on_record() == ["r1"]


async def test_who_was_slow_and_has_lost_the_lease_meanwhile_tells_nothing(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(rounds=(rows.round("r1", opened_at=START),)))
    clock = SetClock(START + 73 * HOUR)
    second = Told(ledger, clock, epoch=2)

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        async def commit(self, change: Change) -> CommitResult:
            clock.ms += LEASE_MS
            assert await second.process().look() == 1
            return await ledger.commit(change)

    first = Told(Slow(), clock)
    assert await first.process().look() == 0
    assert (first.heard, second.heard) == ([], ["r1"])
    assert await second.on_record() == ["r1"]


async def test_what_could_not_be_stored_is_told_by_a_later_look(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.change(rounds=(rows.round("r1", opened_at=START),)))

    class Away:
        away = True

        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        async def commit(self, change: Change) -> CommitResult:
            if self.away:
                raise StoreUnavailableError("a test takes it away")
            return await ledger.commit(change)

    store_of_it = Away()
    told = Told(store_of_it, SetClock(START + 73 * HOUR))
    process = told.process()
    assert (await process.look(), told.heard) == (0, [])
    store_of_it.away = False
    assert (await process.look(), told.heard) == (1, ["r1"])


async def test_whoever_switches_it_off_hears_nothing_and_everything_once_it_is_on_again(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(rounds=(rows.round("r1", opened_at=START),)))
    told = Told(ledger, SetClock(START + 73 * HOUR), hours={"casino": 0})
    process = told.process()
    assert (await process.look(), await ledger.sink("casino", READER)) == (0, None)
    told.hours["casino"] = 100
    assert await process.look() == 0
    told.hours["casino"] = 24
    assert await process.look() == 1
    told.hours["casino"] = 72  # what was told is told, whatever the limit is later
    assert await process.look() == 0
    assert told.heard == ["r1"]


async def test_what_a_round_that_was_told_of_does_later_is_not_told_again(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    row = rows.round("r1", opened_at=START)
    await store(rows.change(rounds=(row,)))
    told = Told(ledger, SetClock(START + 73 * HOUR))
    process = told.process()
    assert await process.look() == 1
    grown = evolve(row, bets=1, version=2)
    assert isinstance(await ledger.commit(rows.change(rounds=(grown,))), Committed)
    told.clock.ms += 100 * HOUR
    assert await process.look() == 0
    assert told.heard == ["r1"]


async def test_it_looks_by_itself_until_it_is_stopped(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.change(rounds=(rows.round("r1", opened_at=START),)))
    told = Told(ledger, SetClock(START + HOUR))
    process = told.process()
    running = asyncio.create_task(process.run(look_seconds=0.01))
    await asyncio.sleep(0.05)
    assert told.heard == []
    told.clock.ms = START + 73 * HOUR
    async with asyncio.timeout(10):
        await told.any_heard.wait()
    process.stop()
    async with asyncio.timeout(10):
        await running
    assert told.heard == await told.on_record() == ["r1"]
