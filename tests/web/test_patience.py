"""How long providers are kept waiting."""

from __future__ import annotations

import pytest
from attrs import define

from croupier.runtime.clocks import VirtualClock
from croupier.web.patience import Patience


@define(eq=False)
class Guest:
    name: str
    done: bool = False

    def is_done(self) -> bool:
        return self.done


class Story:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.patience = Patience(self.clock, self.give_up)
        self.gone: list[tuple[str, float]] = []

    def begin(self, name: str, seconds: float) -> Guest:
        guest = Guest(name)
        self.patience.wait(guest, self.clock.monotonic(), seconds)
        return guest

    def give_up(self, guest: Guest) -> None:
        assert not guest.done
        guest.done = True
        self.gone.append((guest.name, self.clock.monotonic()))


async def test_everybody_waits_as_long_as_it_is_patient_and_no_longer() -> None:
    story = Story()
    story.begin("short", 1.0)
    story.begin("long", 5.0)
    await story.clock.advance(0.5)
    story.begin("later", 1.0)
    await story.clock.advance(10.0)
    assert story.gone == [("short", 1.0), ("later", 1.5), ("long", 5.0)]


async def test_who_is_done_waits_no_longer_and_keeps_nobody_else_from_it() -> None:
    story = Story()
    guests = {}
    for name in ("first", "second", "third", "fourth"):
        guests[name] = story.begin(name, 1.0)
        await story.clock.advance(0.1)
    guests["second"].done = True
    guests["first"].done = True
    await story.clock.advance(5.0)
    assert [name for name, _ in story.gone] == ["third", "fourth"]
    assert [at for _, at in story.gone] == pytest.approx([1.2, 1.3])


async def test_who_is_done_in_the_middle_of_the_line_is_passed_over() -> None:
    story = Story()
    story.begin("first", 1.0)
    second = story.begin("second", 1.0)
    story.begin("third", 1.0)
    second.done = True
    await story.clock.advance(5.0)
    assert story.gone == [("first", 1.0), ("third", 1.0)]


async def test_a_line_that_was_empty_is_watched_again() -> None:
    story = Story()
    story.begin("first", 1.0).done = True
    await story.clock.advance(7.1)
    story.begin("second", 1.0)
    await story.clock.advance(5.0)
    ((name, at),) = story.gone
    assert name == "second"
    assert at == pytest.approx(8.1)


async def test_who_comes_later_and_has_waited_longer_already_is_let_go_first() -> None:
    """As a request is that waited in line for a place, while others were given theirs at once."""
    story = Story()
    await story.clock.advance(1.0)
    story.begin("second", 2.0)
    story.begin("third", 2.0)
    for name, since in (("first", 0.0), ("between", 1.0)):
        story.patience.wait(Guest(name), since, 2.0)
    await story.clock.advance(5.0)
    assert story.gone == [("first", 2.0), ("second", 3.0), ("third", 3.0), ("between", 3.0)]


async def test_who_has_waited_longer_than_one_that_is_done_is_let_go_in_its_own_time() -> None:
    story = Story()
    await story.clock.advance(1.0)
    story.begin("done", 2.0).done = True
    story.patience.wait(Guest("first"), 0.0, 2.0)
    await story.clock.advance(5.0)
    assert story.gone == [("first", 2.0)]
