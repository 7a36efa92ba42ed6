"""The real clocks, and one that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from croupier.wallet.ports import Timer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_BOOT = Path("/proc/sys/kernel/random/boot_id")
_TIME_NAMESPACE = Path("/proc/self/ns/time")
_SINCE_BOOT: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_ms() -> int:
    """Milliseconds since some fixed point, which nobody sets; on Linux with those for which the machine slept."""
    return time.clock_gettime_ns(_SINCE_BOOT) // 1_000_000


def boot_of_machine() -> str | None:
    """Which start of which machine `steady_ms` counts from; `None` where the system does not tell, as only Linux does.

    Processes in a time namespace of their own may count from elsewhere.
    """
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return None
    with suppress(OSError):  # before Linux 5.6 there were none
        boot += f"/{_TIME_NAMESPACE.stat().st_ino}"
    return boot


class SystemClock:
    """The machine's clock; implements `croupier.wallet.ports.Clock`.

    A bet asks a dozen times what time it is, so Python's own functions are called without one of ours between.
    """

    now: Final = partial(datetime.now, UTC)
    """The wall clock: aware, UTC."""

    monotonic: Final = staticmethod(time.monotonic)
    """Seconds since some fixed point, never going back."""

    def now_ms(self) -> int:
        """The wall clock in whole milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Let others run for at least this long."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call something after this long, unless it is cancelled before."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class _VirtualTimer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class VirtualClock:
    """A clock that stands still until it is moved; implements `croupier.wallet.ports.Clock`.

    Who sleeps is woken by `advance`, and what is to be called later is called by it, in order of time.

    Args:
        start: What it shows at first (aware).
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start_ms = (start - _EPOCH) // timedelta(milliseconds=1)
        self._elapsed = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _VirtualTimer]] = []

    def now(self) -> datetime:
        """What it shows: aware, UTC, in whole milliseconds."""
        return _EPOCH + timedelta(milliseconds=self.now_ms())

    def now_ms(self) -> int:
        """What it shows, in whole milliseconds since 1970-01-01 UTC."""
        return self._start_ms + round(self._elapsed * 1000)

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved by this much."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call something when the clock was moved by this much, unless it is cancelled before."""
        timer = _VirtualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed + max(seconds, 0.0), next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Move the clock on, waking who sleeps one after the other, and let each run as far as it comes."""
        target = self._elapsed + seconds
        await _settle()
        while self._timers and self._timers[0][0] <= target:
            at, _, timer = heapq.heappop(self._timers)
            self._elapsed = max(self._elapsed, at)
            timer.fire()
            await _settle()
        self._elapsed = target


async def _settle() -> None:
    for _ in range(20):  # what is woken may wake others in turn
        await asyncio.sleep(0)
