"""Marks of the ledger's time: what both engines keep of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from croupier.ledger.clock_marks import KEPT_MS, ClockMark
from croupier.ledger.port import Ledger
from croupier.ledger.records import SinkRow

if TYPE_CHECKING:
    from tests.ledger.conftest import MakeLedger

NOW = 1_900_000_000_000
MARK = ClockMark(boot="b1", steady_ms=5_000, ledger_ms=NOW, database_ms=NOW - 3_600_000)


async def marks_of(ledger: Ledger) -> dict[str, ClockMark]:
    found = (await ledger.clock()).marks
    assert len({mark.boot for mark in found}) == len(found)
    return {mark.boot: mark for mark in found}


async def test_a_mark_is_there_after_a_restart_and_a_new_ledger_has_none(make_ledger: MakeLedger) -> None:
    first, second = make_ledger(), make_ledger()
    await first.start()
    assert await marks_of(first) == {}
    other = evolve(MARK, boot="b2", steady_ms=7)
    await first.mark_clock(MARK)
    await first.mark_clock(other)
    assert await marks_of(first) == {"b1": MARK, "b2": other}
    await first.close()
    await second.start()
    assert await marks_of(second) == {"b1": MARK, "b2": other}
    await second.close()


async def test_a_mark_takes_the_place_of_an_earlier_one_of_its_boot_and_of_no_later_one(ledger: Ledger) -> None:
    later = evolve(MARK, steady_ms=9_000, ledger_ms=NOW + 4_000, database_ms=NOW)
    for mark in (MARK, later, MARK):
        await ledger.mark_clock(mark)
    assert await marks_of(ledger) == {"b1": later}


async def test_marks_of_machines_that_have_long_left_none_are_forgotten(ledger: Ledger) -> None:
    await ledger.mark_clock(MARK)
    await ledger.mark_clock(evolve(MARK, boot="b2"))
    just_kept = evolve(MARK, boot="b3", ledger_ms=NOW + KEPT_MS)
    await ledger.mark_clock(just_kept)
    assert set(await marks_of(ledger)) == {"b1", "b2", "b3"}
    back = evolve(MARK, ledger_ms=NOW + KEPT_MS + 1)
    await ledger.mark_clock(back)
    assert await marks_of(ledger) == {"b1": back, "b3": just_kept}


async def test_a_clock_that_is_forgotten_leaves_no_mark_and_no_lease_of_a_sink(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    await ledger.start()
    owner = await ledger.register("w1")
    await ledger.mark_clock(MARK)
    row = await ledger.claim_sink(owner, "casino", "s1", now=NOW, lease_ms=9_000, start=4)
    assert isinstance(row, SinkRow)
    await ledger.forget_clock()
    assert await marks_of(ledger) == {}
    await ledger.close()
    await ledger.start()
    stored = await ledger.sink("casino", "s1")
    assert stored is not None
    assert (stored.position, stored.lease_until, stored.version) == (4, 0, row.version)
    await ledger.close()
