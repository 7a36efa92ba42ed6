"""A hub that is told to end does so."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from croupier.runtime.loops import end


async def test_a_task_ends_though_a_library_swallows_its_first_cancellation() -> None:
    """As `asyncio.wait_for` of Python 3.11 does, when what it waits for comes at the same moment."""
    swallowed = asyncio.Event()

    async def work() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        swallowed.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end([task])
    assert (swallowed.is_set(), task.cancelled()) == (True, True)


async def test_tasks_that_have_ended_or_failed_keep_nobody_waiting() -> None:
    async def fails() -> None:
        raise RuntimeError("a fault")

    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    async with asyncio.timeout(10):
        await end([task])
        await end([])
    assert task.exception() is not None
