"""How long requests wait for a place, and who gets it."""

from __future__ import annotations

from attrs import define, field

from croupier.contract import Policy
from croupier.runtime.clocks import VirtualClock
from croupier.web.entrance import Budget
from croupier.web.places import Places


@define(eq=False)
class Guest:
    name: str
    done: bool = False

    def is_done(self) -> bool:
        return self.done


@define
class Counts:
    under_way: dict[str, int] = field(factory=dict)
    waiting: dict[str, int] = field(factory=dict)

    def provider_call(self, **_: object) -> None:
        raise AssertionError("not told here")

    def provider_calls_under_way(self, *, operator: str, count: int) -> None:
        self.under_way[operator] = count

    def provider_calls_waiting(self, *, operator: str, count: int) -> None:
        self.waiting[operator] = count


class House:
    def __init__(self, places: int = 1, line: int = 3) -> None:
        self.clock = VirtualClock()
        self.counts = Counts()
        self.served: list[str] = []
        self.refused: list[tuple[str, float]] = []
        self.places = Places[Guest](
            self.clock, self.counts, places=places, line=line, begin=self.begin, refuse=self.refuse
        )

    def begin(self, guest: Guest) -> None:
        self.served.append(guest.name)

    def refuse(self, guest: Guest) -> None:
        guest.done = True
        self.refused.append((guest.name, self.clock.monotonic()))

    def come(self, name: str, operator: str = "acme", seconds: float = 1.0) -> Guest:
        guest = Guest(name)
        if self.places.is_free(operator):
            self.places.take(operator)
            self.begin(guest)
        elif not self.places.wait(operator, guest, self.clock.monotonic(), seconds):
            self.refuse(guest)
        return guest


async def test_who_came_first_gets_the_place_that_is_given_back() -> None:
    house = House()
    for name in ("first", "second", "third"):
        house.come(name)
    assert (house.served, house.counts.waiting) == (["first"], {"acme": 2})
    house.places.leave("acme")
    house.places.leave("acme")
    assert house.served == ["first", "second", "third"]
    await house.clock.advance(5.0)
    assert house.refused == []
    house.places.leave("acme")
    assert (house.counts.under_way, house.counts.waiting) == ({"acme": 0}, {"acme": 0})


async def test_who_finds_no_place_in_time_is_refused_and_gets_none_later() -> None:
    house = House()
    house.come("first")
    house.come("patient", seconds=3.0)
    house.come("hasty", seconds=1.0)
    await house.clock.advance(2.0)
    assert (house.refused, house.counts.waiting) == ([("hasty", 1.0)], {"acme": 1})
    house.places.leave("acme")
    house.places.leave("acme")
    assert (house.served, house.counts.under_way) == (["first", "patient"], {"acme": 0})


async def test_who_hung_up_is_passed_over() -> None:
    house = House()
    house.come("first")
    house.come("gone").done = True
    house.come("last")
    house.places.leave("acme")
    assert house.served == ["first", "last"]
    await house.clock.advance(5.0)
    assert (house.refused, house.counts.waiting) == ([], {"acme": 0})


def test_what_waits_for_nobody_takes_a_place_that_has_to_be_given_back_before_the_next_in_line_is_called() -> None:
    house = House()
    house.come("bet")
    house.places.take("acme")
    house.come("waiting")
    house.places.leave("acme")
    assert house.served == ["bet"]
    house.places.leave("acme")
    assert house.served == ["bet", "waiting"]


def test_no_operator_waits_for_another_ones_places() -> None:
    house = House()
    house.come("first")
    house.come("waiting")
    house.come("theirs", operator="other")
    assert house.served == ["first", "theirs"]


def test_a_line_has_an_end_and_a_closed_one_takes_nobody() -> None:
    house = House(line=1)
    house.come("first")
    house.come("second")
    house.come("third")
    assert [name for name, _ in house.refused] == ["third"]
    house.places.close()
    house.come("fourth")
    assert [name for name, _ in house.refused] == ["third", "second", "fourth"]
    house.places.leave("acme")
    assert house.served == ["first"]


def test_a_request_waits_for_a_place_no_longer_than_a_quarter_of_the_time_for_its_work() -> None:
    budget = Budget.of(Policy(provider_timeout_ms=5000, timeout_margin_ms=1000))
    assert (budget.queue, budget.work, budget.patience) == (1.0, 4.0, 4.5)
