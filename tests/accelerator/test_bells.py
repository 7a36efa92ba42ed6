"""Bells across processes: who waits in one is woken by what happens in another."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from croupier.contract import Applied
from croupier.wallet.watch import Bell
from croupier_conformance.money_path import bet
from croupier_conformance.virtual_time import LoopClock, simulate


class Others:
    """The other processes, as a bell sees them."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def ask(self, movement: str) -> None:
        self.told.append(("ask", movement))

    def ring(self, movement: str) -> None:
        self.told.append(("ring", movement))

    def owed(self) -> None:
        self.told.append(("owed",))


def test_a_movement_that_nobody_asked_about_is_told_nobody() -> None:
    others = Others()
    bell = Bell(LoopClock(), others)
    bell.asked("m2")
    bell.ring("m1")
    assert others.told == []
    bell.ring("m2")
    bell.ring("m2")
    assert others.told == [("ring", "m2")]


def test_who_waits_asks_the_others_and_is_woken_by_them() -> None:
    async def story() -> None:
        others, clock = Others(), LoopClock()
        bell = Bell(clock, others)
        began = clock.monotonic()
        waiting = asyncio.create_task(bell.wait("m1", began + 1))
        await asyncio.sleep(0.01)
        bell.heard("m1")
        assert await waiting
        assert clock.monotonic() - began < 0.02
        assert others.told == [("ask", "m1")]

    simulate(story())


def test_many_who_wait_for_one_movement_ask_once() -> None:
    async def story() -> None:
        others, clock = Others(), LoopClock()
        bell = Bell(clock, others)
        waiting = [asyncio.create_task(bell.wait("m1", clock.monotonic() + 1)) for _ in range(20)]
        await asyncio.sleep(0.01)
        bell.heard("m1")
        assert all(await asyncio.gather(*waiting))
        assert others.told == [("ask", "m1")]

    simulate(story())


def test_what_others_ask_is_bounded() -> None:
    others = Others()
    bell = Bell(LoopClock(), others)
    for number in range(20_000):
        bell.asked(f"m{number}")
    assert len(bell._asked) == 10_000
    bell.ring("m19999")
    assert others.told == [("ring", "m19999")]


def test_new_work_wakes_the_worker_of_this_process_and_the_others() -> None:
    others = Others()
    bell = Bell(LoopClock(), others)
    woken: list[bool] = []
    bell.wake = lambda: woken.append(True)
    bell.owed()
    assert (woken, others.told) == ([True], [("owed",)])


async def test_a_copy_of_a_bet_is_answered_as_soon_as_the_other_process_has_settled_it(
    valkey: Any, tools: Any, tmp_path: Path
) -> None:
    async with tools.stand(tmp_path, valkey.address) as table:
        one, two = table.processes
        token = await table.seat("ann")
        reach, settled = table.path.channel._send, asyncio.Event()

        async def slow(request: Any, timeout_seconds: float) -> Any:
            await settled.wait()
            return await reach(request, timeout_seconds)

        table.path.channel._send = slow
        first = asyncio.create_task(one.play(token, "r1", bet("b1")))
        await tools.until(lambda: one.engine._under_way)
        await asyncio.sleep(0.05)
        second = asyncio.create_task(two.play(token, "r1", bet("b1")))
        await tools.until(lambda: one.client.bell._asked)
        heard = two.client.news.heard
        settled.set()
        answers = [(await first).outcome, (await second).outcome]
        assert all(isinstance(answer, Applied) for answer in answers)
        await tools.until(lambda: two.client.news.heard > heard)
        assert table.path.balance("ann") == tools.opening - 100


async def test_owed_work_is_told_no_more_often_than_others_can_look(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one", "two") as (one, two):
        heard: list[float] = []
        two.news.on("owed", lambda: heard.append(time.monotonic()))
        for _ in range(1_000):
            one.bell.owed()
        await one.answered()
        await asyncio.sleep(0.15)
        one.bell.owed()
        await tools.until(lambda: len(heard) >= 2)
        assert len(heard) < 10, "a machine that stands still meanwhile lets pass one more, or two"
