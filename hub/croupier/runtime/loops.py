"""What a process's work runs on: the event loop, its tasks' end, and the collector of garbage."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final

_ALLOCATIONS: Final = 50_000
"""So many objects more than were freed make the collector look at the newest (Python: 700, several times a bet)."""


_SWITCH_SECONDS: Final = 0.0005
"""How long a thread that is back from the disk waits for a busy event loop (Python: ten times as long)."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine as a process's whole work until it ends, on uvloop: it costs a bet less than asyncio's loop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def settle() -> None:
    """Tell the collector that what a process has built up to here stays, and to look for garbage less often.

    A bet leaves next to nothing behind that only the collector can free. And let the thread that commits have its turn
    sooner: every bet of its batch waits for it.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 10, 10)


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which psycopg waits with, swallows a cancellation that comes
    together with what it waited for.
    """
    going = set(tasks)
    while going:
        for task in going:
            task.cancel()
        _ended, going = await asyncio.wait(going, timeout=0.5)
