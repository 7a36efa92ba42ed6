"""What every engine of the ledger promises: cursors of event sinks and other readers, and their leases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs
import pytest

from croupier.contract.errors import LedgerCorruptError
from croupier.ledger.port import Change, Committed, Ledger, Owner, Refused, RefusedBecause
from croupier.ledger.records import SinkRow

if TYPE_CHECKING:
    from tests.ledger.conftest import MakeLedger, Rows

Store = Callable[[Change], Awaitable[int]]
FIRST, SECOND = Owner("first", 1), Owner("second", 2)


async def claim(ledger: Ledger, rows: Rows, owner: Owner = FIRST, now: int = 100, start: int = 0) -> SinkRow | None:
    return await ledger.claim_sink(owner, rows.operator, "s1", now=now, lease_ms=50, start=start)


async def claimed(ledger: Ledger, rows: Rows, owner: Owner = FIRST, now: int = 100, start: int = 0) -> SinkRow:
    row = await claim(ledger, rows, owner, now, start)
    assert row is not None
    return row


async def test_the_newest_position_is_that_of_the_operators_last_event(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    assert await ledger.newest_position(rows.operator) == 0
    await store(rows.change(events=(rows.event(), rows.event())))
    assert (await ledger.newest_position(rows.operator), await ledger.newest_position("other")) == (2, 0)


async def test_a_sink_begins_where_it_is_told_and_is_read_back(ledger: Ledger, rows: Rows) -> None:
    assert await ledger.sink(rows.operator, "s1") is None
    row = await claimed(ledger, rows, start=7)
    expected = SinkRow(operator=rows.operator, sink="s1", position=7, owner="first", epoch=1, lease_until=150)
    assert row == expected == await ledger.sink(rows.operator, "s1")
    assert await ledger.sink("other", "s1") is None


async def test_nobody_else_has_a_sink_while_the_lease_lasts(ledger: Ledger, rows: Rows) -> None:
    await claimed(ledger, rows)
    assert await claim(ledger, rows, SECOND, 149) is None
    taken = await claimed(ledger, rows, SECOND, 150, start=9)
    assert (taken.position, taken.owner, taken.epoch, taken.lease_until, taken.version) == (0, "second", 2, 200, 2)
    assert await ledger.sink(rows.operator, "s1") == taken


async def test_the_holder_renews_its_lease(ledger: Ledger, rows: Rows) -> None:
    await claimed(ledger, rows)
    renewed = await claimed(ledger, rows, now=120)
    assert (renewed.lease_until, renewed.version) == (170, 2)


async def test_one_of_many_gets_a_new_sink(ledger: Ledger, rows: Rows) -> None:
    found = await asyncio.gather(*(claim(ledger, rows, Owner(f"w{number}", number)) for number in range(1, 11)))
    assert sum(row is not None for row in found) == 1


async def test_a_sink_is_stored_by_whoever_read_its_newest_version(ledger: Ledger, rows: Rows) -> None:
    row = await claimed(ledger, rows)
    moved = attrs.evolve(row, position=12, state={"lanes": [{"lane": "alice", "positions": [11]}]}, version=2)
    assert await ledger.store_sink(moved)
    assert not await ledger.store_sink(attrs.evolve(row, position=13, version=2))
    assert not await ledger.store_sink(attrs.evolve(row, sink="s2", version=2))
    assert await ledger.sink(rows.operator, "s1") == moved


async def test_who_lost_the_lease_stores_nothing(ledger: Ledger, rows: Rows) -> None:
    row = await claimed(ledger, rows)
    taken = await claimed(ledger, rows, SECOND, 150)
    late = attrs.evolve(row, position=99, version=taken.version + 1)
    assert not await ledger.store_sink(late, epoch=FIRST.epoch)
    assert await ledger.store_sink(attrs.evolve(taken, position=5, version=3), epoch=SECOND.epoch)
    stored = await ledger.sink(rows.operator, "s1")
    assert stored is not None
    assert (stored.position, stored.epoch) == (5, 2)


async def test_a_sink_is_where_it_was_after_a_restart(make_ledger: MakeLedger, rows: Rows) -> None:
    ledger = make_ledger()
    await ledger.start()
    row = await claimed(ledger, rows)
    assert await ledger.store_sink(attrs.evolve(row, position=12, version=2))
    await ledger.close()
    again = make_ledger()
    await again.start()
    found = await again.sink(rows.operator, "s1")
    assert found is not None
    assert (found.position, found.version) == (12, 2)
    await again.close()


async def test_how_far_a_reader_has_come_becomes_true_with_what_it_tells(ledger: Ledger, rows: Rows) -> None:
    row = await claimed(ledger, rows)
    after = attrs.evolve(row, position=12, state={"round": "r9"}, lease_until=500, version=2)
    told = rows.change(sinks=(after,), events=(rows.event(),))
    assert isinstance(await ledger.commit(told), Committed)
    assert await ledger.sink(rows.operator, "s1") == after
    assert await ledger.newest_position(rows.operator) == 1


async def test_a_reader_who_was_not_the_last_to_be_stored_tells_nothing(ledger: Ledger, rows: Rows) -> None:
    row = await claimed(ledger, rows)
    taken = await claimed(ledger, rows, SECOND, 150)
    for late in (attrs.evolve(row, position=99, version=2), attrs.evolve(row, sink="s2", version=2)):
        refused = await ledger.commit(rows.change(sinks=(late,), events=(rows.event(),)))
        assert isinstance(refused, Refused)
        assert refused.because is RefusedBecause.STALE
    assert await ledger.sink(rows.operator, "s1") == taken
    assert await ledger.newest_position(rows.operator) == 0


async def test_one_of_many_who_tell_the_same_at_once_is_heard(ledger: Ledger, rows: Rows) -> None:
    row = await claimed(ledger, rows)
    changes = [
        rows.change(sinks=(attrs.evolve(row, position=number, version=2),), events=(rows.event(),))
        for number in range(1, 11)
    ]
    results = await asyncio.gather(*(ledger.commit(change) for change in changes))
    assert sum(isinstance(result, Committed) for result in results) == 1
    assert await ledger.newest_position(rows.operator) == 1


async def test_a_reader_of_another_operator_is_no_part_of_a_change(ledger: Ledger, rows: Rows) -> None:
    row = await claimed(ledger, rows)
    with pytest.raises(LedgerCorruptError):
        await ledger.commit(rows.change(sinks=(attrs.evolve(row, operator="other", version=2),)))
