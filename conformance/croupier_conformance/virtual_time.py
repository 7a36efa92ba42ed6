"""An event loop whose time is virtual: it jumps to the next thing that is due, and so runs days in a moment.

Everything that waits by `asyncio` waits on this time; nothing reads the wall clock. The same program with the same
seeds does the same things in the same order.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When every simulation begins."""


class _NothingToRead(selectors.BaseSelector):
    """A selector without files: waiting means that time passes."""

    def __init__(self) -> None:
        self.passed = 0.0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits and nothing is due: the simulation is stuck")
        self.passed += max(timeout, 0.0)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._nothing = _NothingToRead()
        super().__init__(self._nothing)

    def time(self) -> float:
        return self._nothing.passed

    def _process_events(self, event_list: Any) -> None:
        """There are none."""


class LoopClock:
    """The clock of a virtual loop."""

    def now(self) -> datetime:
        """The time of the simulation."""
        return EPOCH + timedelta(seconds=self.monotonic())

    def now_ms(self) -> int:
        """The same in milliseconds since 1970."""
        return int(EPOCH.timestamp() * 1000) + int(self.monotonic() * 1000)

    def monotonic(self) -> float:
        """Seconds since the simulation began."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call something once so much virtual time has passed, unless it is cancelled before."""
        return asyncio.get_running_loop().call_later(seconds, callback)


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run a program on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
