"""Waiting inside one process: nobody is forgotten, nothing is kept for those who left."""

import asyncio

from croupier.wallet.watch import POLL_SECONDS, Bell, KeyedLocks
from croupier_conformance.virtual_time import LoopClock, simulate


def test_a_bell_wakes_everybody_who_waits_for_it_and_nobody_else() -> None:
    async def story() -> None:
        bell, clock = Bell(LoopClock()), LoopClock()
        woken: list[tuple[str, float]] = []

        async def wait(name: str) -> None:
            assert await bell.wait(name, clock.monotonic() + 1)
            woken.append((name, clock.monotonic()))

        waiting = [asyncio.ensure_future(wait(name)) for name in ("a", "a", "b")]
        await clock.sleep(0.01)
        bell.ring("a")
        await asyncio.gather(*waiting)
        assert woken == [("a", 0.01), ("a", 0.01), ("b", POLL_SECONDS)]

    simulate(story())


def test_who_waits_looks_by_itself_too_and_not_beyond_its_deadline() -> None:
    async def story() -> None:
        bell, clock = Bell(LoopClock()), LoopClock()
        assert await bell.wait("a", clock.monotonic() + 10)
        assert clock.monotonic() == POLL_SECONDS
        assert not await bell.wait("a", clock.monotonic() + POLL_SECONDS / 2)
        assert clock.monotonic() == POLL_SECONDS * 1.5
        assert not await bell.wait("a", clock.monotonic())
        assert not await bell.wait("a", clock.monotonic() - 1)
        assert clock.monotonic() == POLL_SECONDS * 1.5

    simulate(story())


def test_a_bell_keeps_nothing_of_those_who_left() -> None:
    async def story() -> None:
        bell, clock = Bell(LoopClock()), LoopClock()
        for number in range(100):
            await bell.wait(f"movement {number}", clock.monotonic() + 1)
        gone = asyncio.ensure_future(bell.wait("another", clock.monotonic() + 1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert not bell._waiting

    simulate(story())


def test_one_at_a_time_holds_the_lock_of_a_name_and_others_go_on() -> None:
    async def story() -> None:
        locks, clock = KeyedLocks(), LoopClock()
        seen: list[str] = []

        async def work(name: str, mark: str) -> None:
            async with locks.hold(name):
                seen.append(f"{mark} in")
                await clock.sleep(1)
                seen.append(f"{mark} out")

        await asyncio.gather(work("a", "first"), work("a", "second"), work("b", "other"))
        assert seen == ["first in", "other in", "first out", "other out", "second in", "second out"]
        assert not locks._locks

    simulate(story())


def test_a_lock_is_let_go_by_who_is_cancelled_and_by_who_fails() -> None:
    async def story() -> None:
        locks, clock = KeyedLocks(), LoopClock()

        async def work(*, fail: bool = False) -> None:
            async with locks.hold("a"):
                await clock.sleep(1)
                if fail:
                    raise RuntimeError

        tasks = [asyncio.ensure_future(work(fail=True)), asyncio.ensure_future(work()), asyncio.ensure_future(work())]
        await clock.sleep(0.5)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert clock.monotonic() == 2.0
        assert not locks._locks

    simulate(story())
