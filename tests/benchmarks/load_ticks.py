"""The ticks of an open load.

They come from a timer of the kernel, because the timers of event loops are only good to a millisecond.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from attrs import define, field
from tests.benchmarks.timers import timer_file


@define(eq=False)
class Ticks:
    """Calls back at a steady rate; the time that a tick was meant for is told with it.

    Attributes:
        rate: Ticks a second.
        tick: Called with the time of the tick (`time.perf_counter`).
        over: Whether the last tick was told.
        ended: Is set then.
    """

    rate: float
    tick: Callable[[float], None]
    over: bool = False
    ended: asyncio.Future[None] = field(init=False)
    _began: float = 0.0
    _end: float = 0.0
    _told: int = 0
    _timer: int = -1

    def start(self, began: float, end: float) -> None:
        """Tick from a moment on that is now or soon, until the end."""
        self._began, self._end = began, end
        self.ended = asyncio.get_running_loop().create_future()
        ahead = began - time.perf_counter()
        self._timer = timer_file(1 / self.rate, ahead if ahead > 0 else None)
        asyncio.get_running_loop().add_reader(self._timer, self._wake)
        if ahead <= 0:
            self._tell(began)

    def _wake(self) -> None:
        os.read(self._timer, 8)
        now = time.perf_counter()
        self._tell(now)
        if now >= self._end:
            self.over = True
            asyncio.get_running_loop().remove_reader(self._timer)
            os.close(self._timer)
            self.ended.set_result(None)

    def _tell(self, now: float) -> None:
        """Tell every tick that is due; the first is at the beginning."""
        due = min(int((now - self._began) * self.rate) + 1, int((self._end - self._began) * self.rate))
        while self._told < due:
            self.tick(self._began + self._told / self.rate)
            self._told += 1
