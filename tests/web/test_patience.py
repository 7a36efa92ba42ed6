"""How long providers are kept waiting."""

from __future__ import annotations

import asyncio

import pytest

from croupier.contract import NoticeResult, Result, Unknown, UnknownCause
from croupier.runtime.clocks import VirtualClock
from croupier.web.patience import Patience, Waiter

RESULTS: tuple[Result, ...] = (NoticeResult(outcome=Unknown(cause=UnknownCause.STORE)),)


class Story:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.patience = Patience(self.clock)
        self.ended: list[tuple[str, float, object]] = []
        self.waiters: dict[str, Waiter] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, seconds: float) -> None:
        self.waiters[name] = asyncio.get_running_loop().create_future()
        self.tasks[name] = asyncio.ensure_future(self.wait(name, self.clock.monotonic(), seconds))

    async def wait(self, name: str, since: float, seconds: float) -> None:
        results = await self.patience.wait(self.waiters[name], since, seconds)
        self.ended.append((name, self.clock.monotonic(), results))


async def test_everybody_waits_as_long_as_it_is_patient_and_no_longer() -> None:
    story = Story()
    story.begin("short", 1.0)
    story.begin("long", 5.0)
    await story.clock.advance(0.5)
    story.begin("later", 1.0)
    await story.clock.advance(10.0)
    assert story.ended == [("short", 1.0, None), ("later", 1.5, None), ("long", 5.0, None)]


async def test_who_has_results_waits_no_longer_and_keeps_nobody_else_from_it() -> None:
    story = Story()
    for name in ("first", "second", "third"):
        story.begin(name, 1.0)
        await story.clock.advance(0.1)
    story.waiters["second"].set_result(RESULTS)
    story.waiters["first"].set_result(RESULTS)
    await story.clock.advance(5.0)
    assert [(name, results) for name, _, results in story.ended] == [
        ("second", RESULTS),
        ("first", RESULTS),
        ("third", None),
    ]
    assert story.ended[-1][1] == pytest.approx(1.2)


async def test_who_hangs_up_does_not_end_the_wait_of_the_others() -> None:
    story = Story()
    story.begin("gone", 1.0)
    story.begin("there", 1.0)
    await story.clock.advance(0.5)
    story.tasks["gone"].cancel()
    await story.clock.advance(5.0)
    assert story.ended == [("there", 1.0, None)]
    assert story.tasks["gone"].cancelled()


async def test_a_line_that_was_empty_is_watched_again() -> None:
    story = Story()
    story.begin("first", 1.0)
    await story.clock.advance(0.1)
    story.waiters["first"].set_result(RESULTS)
    await story.clock.advance(7.0)
    story.begin("second", 1.0)
    await story.clock.advance(5.0)
    assert [(name, results) for name, _, results in story.ended] == [("first", RESULTS), ("second", None)]
    assert story.ended[-1][1] == pytest.approx(8.1)
