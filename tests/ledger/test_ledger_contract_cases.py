"""What every engine of the ledger promises: cases of reconciliation, and how transactions are to be read since."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from croupier.contract.errors import LedgerCorruptError
from croupier.ledger.port import Change, Committed, Ledger, Page, Refused, RefusedBecause
from croupier.ledger.records import CaseState

if TYPE_CHECKING:
    from tests.ledger.conftest import MakeLedger, Rows

Store = Callable[[Change], Awaitable[int]]


async def test_a_case_is_read_back_as_it_was_stored(ledger: Ledger, rows: Rows, store: Store) -> None:
    assert await ledger.case(rows.operator, "c-1") is None
    alone = rows.case("c-2", movement=None, kinds=("missing_at_hub",), found={"operator": [{"amount": 7}]})
    await store(rows.change(cases=(rows.case(), alone), events=(rows.event(),)))
    assert await ledger.case(rows.operator, "c-1") == rows.case()
    assert await ledger.case(rows.operator, "c-2") == alone
    assert await ledger.case("other", "c-1") is None


async def test_a_case_is_opened_once(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.change(cases=(rows.case(),)))
    again = rows.change(cases=(rows.case("c-2"), rows.case(opened_at=99)), events=(rows.event(),))
    refused = await ledger.commit(again)
    assert isinstance(refused, Refused)
    assert refused.because is RefusedBecause.TAKEN
    assert await ledger.case(rows.operator, "c-1") == rows.case()
    assert await ledger.case(rows.operator, "c-2") is None
    assert await ledger.newest_position(rows.operator) == 0


async def test_one_of_many_who_open_the_same_case_at_once_does(ledger: Ledger, rows: Rows) -> None:
    changes = [rows.change(cases=(rows.case(opened_at=at),), events=(rows.event(),)) for at in range(10)]
    results = await asyncio.gather(*(ledger.commit(change) for change in changes))
    assert sum(isinstance(result, Committed) for result in results) == 1
    assert await ledger.newest_position(rows.operator) == 1


async def test_a_case_is_settled_with_its_adjustment_by_whoever_read_its_newest_version(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(cases=(rows.case(),)))
    proposed = rows.case(decision="adjusted", proposed_by="ann", why="seen", version=2)
    await store(rows.change(cases=(proposed,)))
    settled = attrs.evolve(proposed, state=CaseState.SETTLED, settled_by="ben", settled_at=50, version=3)
    late = rows.change(
        cases=(attrs.evolve(settled, version=2),), adjustments=(rows.adjustment(),), events=(rows.event(),)
    )
    refused = await ledger.commit(late)
    assert isinstance(refused, Refused)
    assert refused.because is RefusedBecause.STALE
    assert await ledger.adjustments_of(rows.operator, "operator", ["m1"]) == []
    done = rows.change(cases=(settled,), adjustments=(rows.adjustment(),), events=(rows.event(),))
    assert isinstance(await ledger.commit(done), Committed)
    assert await ledger.case(rows.operator, "c-1") == settled
    assert await ledger.adjustments_of(rows.operator, "operator", ["m1"]) == [rows.adjustment()]


async def test_an_adjustment_is_made_once_and_takes_nothing_of_its_change_with_it(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(adjustments=(rows.adjustment(),)))
    again = rows.change(adjustments=(rows.adjustment(amount=7),), cases=(rows.case(),), events=(rows.event(),))
    refused = await ledger.commit(again)
    assert isinstance(refused, Refused)
    assert refused.because is RefusedBecause.TAKEN
    assert await ledger.case(rows.operator, "c-1") is None
    assert await ledger.adjustments_of(rows.operator, "operator", ["m1"]) == [rows.adjustment()]


async def test_cases_are_listed_by_age_and_state_page_by_page(ledger: Ledger, rows: Rows, store: Store) -> None:
    opened = [rows.case(f"c-{at}", opened_at=at) for at in (5, 1, 3, 2, 4)]
    await store(rows.change(cases=tuple(opened)))
    await store(rows.change(cases=(rows.case("c-0", opened_at=2),)))
    await store(rows.change(cases=(rows.case("c-3", opened_at=3, state=CaseState.SETTLED, version=2),)))
    await store(Change(operator="other", cases=(rows.case(operator="other"),)))

    async def listed(state: CaseState | None, page: Page) -> list[str]:
        return [row.case for row in await ledger.cases(rows.operator, state, page)]

    assert await listed(None, Page()) == ["c-1", "c-0", "c-2", "c-3", "c-4", "c-5"]
    assert await listed(CaseState.SETTLED, Page()) == ["c-3"]
    assert await listed(CaseState.OPEN, Page(limit=3)) == ["c-1", "c-0", "c-2"]
    assert await listed(CaseState.OPEN, Page(after=(2, "c-0"), limit=2)) == ["c-2", "c-4"]
    assert await listed(None, Page(after=(5, "c-5"))) == []


async def test_adjustments_are_found_by_time_and_by_transaction(ledger: Ledger, rows: Rows, store: Store) -> None:
    new = rows.adjustment("c-2", reference="m2", movement=None, before=None, at=20)
    newer = rows.adjustment("c-0", amount=102, at=10, made_at=60)
    elsewhere = rows.adjustment("c-3", book="soft", at=15)
    await store(rows.change(adjustments=(new, newer, elsewhere, rows.adjustment())))

    async def between(since: int, until: int, **page: Any) -> list[str]:
        found = await ledger.adjustments(rows.operator, "operator", since, until, Page(**page))
        return [row.case for row in found]

    assert await between(0, 100) == ["c-0", "c-1", "c-2"]
    assert await between(10, 20) == ["c-0", "c-1"]
    assert await between(0, 100, after=(10, "c-0"), limit=1) == ["c-1"]
    assert list(await ledger.adjustments_of(rows.operator, "operator", ["m2", "m1", "m9"])) == [
        rows.adjustment(), new, newer,
    ]  # fmt: skip
    assert list(await ledger.adjustments_of(rows.operator, "operator", ["m2"])) == [new]
    assert await ledger.adjustments_of(rows.operator, "operator", []) == []
    assert await ledger.adjustments_of("other", "operator", ["m1"]) == []


async def test_open_cases_are_counted(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.change(cases=(rows.case(), rows.case("c-2"))))
    assert (await ledger.count_states())["case.open"] == 2
    await store(rows.change(cases=(rows.case(state=CaseState.SETTLED, version=2),)))
    assert (await ledger.count_states())["case.open"] == 1


async def test_a_case_is_as_it_was_after_a_restart(make_ledger: MakeLedger, rows: Rows) -> None:
    ledger = make_ledger()
    await ledger.start()
    await ledger.commit(rows.change(cases=(rows.case(),), adjustments=(rows.adjustment(),)))
    await ledger.close()
    again = make_ledger()
    await again.start()
    assert await again.case(rows.operator, "c-1") == rows.case()
    assert await again.adjustments_of(rows.operator, "operator", ["m1"]) == [rows.adjustment()]
    await again.close()


async def test_a_case_and_an_adjustment_of_another_operator_are_no_part_of_a_change(ledger: Ledger, rows: Rows) -> None:
    for change in (
        rows.change(cases=(rows.case(operator="other"),)),
        rows.change(adjustments=(rows.adjustment(operator="other"),)),
    ):
        with pytest.raises(LedgerCorruptError):
            await ledger.commit(change)


async def test_an_amount_below_nothing_is_never_adjusted_to(ledger: Ledger, rows: Rows) -> None:
    with pytest.raises(LedgerCorruptError):
        await ledger.commit(rows.change(adjustments=(rows.adjustment(amount=-1),)))
    assert isinstance(await ledger.commit(rows.bet()), Committed)
