"""What exchanges wait for before they are stored, and what becomes of those that cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from croupier.ledger.mapping import Value
from croupier.ledger.records import ExchangeRow
from croupier.ledger.waiting_exchanges import WaitingExchanges

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows

SECONDS = 0.02
ENOUGH = 200
"""So many are worth a statement of their own."""


def values(exchange: ExchangeRow) -> list[Value]:
    """The exchange's id in place of all columns; there is one that cannot be stored."""
    if exchange.exchange == "x13":
        raise ValueError
    return [exchange.exchange]


@define(eq=False)
class Writer:
    """Exchanges, and how often a batch was begun for them."""

    rows: Rows
    most: int = 10_000
    delay: float | None = SECONDS
    begun: int = 0
    waiting: WaitingExchanges = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.waiting = WaitingExchanges(values, most=self.most, delay=self.delay, begin=self.begin)

    def begin(self) -> None:
        self.begun += 1

    def put(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.waiting.put(self.rows.exchange(f"x{number}"))

    def take(self) -> list[str]:
        return [str(name) for (name,) in self.waiting.take()]


async def test_a_few_wait_until_a_batch_is_begun_for_them(rows: Rows) -> None:
    writer = Writer(rows)
    writer.put(range(3))
    assert (writer.waiting.ready, writer.take(), writer.begun) == (False, [], 0)
    await asyncio.sleep(SECONDS * 3)
    assert (writer.waiting.ready, writer.begun) == (True, 1)
    assert writer.take() == ["x0", "x1", "x2"]
    await asyncio.sleep(SECONDS * 3)
    assert writer.begun == 1


async def test_as_many_as_are_worth_a_statement_go_with_the_next_batch(rows: Rows) -> None:
    writer = Writer(rows, delay=1000.0)
    writer.put(range(100, 100 + ENOUGH - 1))
    assert writer.take() == []
    writer.put([0])
    assert len(writer.take()) == ENOUGH
    writer.waiting.close()


async def test_one_batch_takes_no_more_than_a_thousand(rows: Rows) -> None:
    writer = Writer(rows, delay=1000.0)
    writer.put(range(100, 2_200))
    assert [len(writer.take()) for _ in range(3)] == [1000, 1000, 0]
    writer.waiting.close()
    assert len(writer.take()) == 100


async def test_what_no_timer_may_decide_about_goes_with_the_next_batch(rows: Rows) -> None:
    writer = Writer(rows, delay=None)
    writer.put([1])
    await asyncio.sleep(SECONDS)
    assert (writer.begun, writer.take()) == (0, ["x1"])


async def test_those_beyond_the_bound_and_those_that_cannot_be_stored_are_dropped_and_counted(rows: Rows) -> None:
    writer = Writer(rows, most=2, delay=None)
    writer.put([13, 1, 2, 3])
    assert writer.waiting.dropped == 2
    assert writer.take() == ["x1", "x2"]


async def test_what_could_not_be_stored_comes_first_again_as_far_as_there_is_room(rows: Rows) -> None:
    writer = Writer(rows, most=3, delay=None)
    writer.put([1, 2])
    unstored = writer.waiting.take()
    writer.put([3, 4])
    writer.waiting.put_back(unstored)
    assert writer.waiting.dropped == 1
    assert writer.take() == ["x1", "x3", "x4"]


async def test_at_the_end_all_are_ready_and_what_still_waits_then_is_counted(rows: Rows) -> None:
    writer = Writer(rows, delay=1000.0)
    writer.put([1, 2])
    writer.waiting.close()
    unstored = writer.waiting.take()
    assert len(unstored) == 2
    writer.waiting.put_back(unstored)
    writer.waiting.give_up()
    assert (writer.waiting.dropped, writer.take()) == (2, [])
