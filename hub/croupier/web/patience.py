"""How long providers are kept waiting: one timer for all who are equally patient, however many they are."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from attrs import define, field

from croupier.contract import Result
from croupier.wallet.ports import Clock, Timer

Waiter = asyncio.Future[tuple[Result, ...] | None]
"""Who waits for results; `None` tells it to wait no longer."""

_EARLY_SECONDS: Final = 0.001
"""An event loop's timers may be early by so much."""


@define(eq=False)
class _Line:
    """Those who are equally patient, in the order in which they came: the first is the first to give up.

    Who has its results stays in line until it is the first.
    """

    clock: Clock
    waiters: deque[tuple[float, Waiter]] = field(factory=deque)
    waiting: int = 0
    timer: Timer | None = None

    def join(self, waiter: Waiter, until: float) -> None:
        waiters = self.waiters
        while waiters and waiters[0][1].done():
            waiters.popleft()
        waiters.append((until, waiter))
        self.waiting += 1
        if self.timer is None:
            self.watch()

    def leave(self) -> None:
        self.waiting -= 1
        if not self.waiting and self.timer is not None:
            self.timer.cancel()
            self.timer = None
            self.waiters.clear()

    def watch(self) -> None:
        self.timer = self.clock.call_later(max(self.waiters[0][0] - self.clock.monotonic(), 0.0), self.let_go)

    def let_go(self) -> None:
        self.timer = None
        waiters, now = self.waiters, self.clock.monotonic() + _EARLY_SECONDS
        while waiters and (waiters[0][1].done() or waiters[0][0] <= now):
            _, waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
        if waiters:
            self.watch()


@define(eq=False)
class Patience:
    """Lets waiters go whose patience has ended.

    Attributes:
        clock: Time.
    """

    clock: Clock
    _lines: dict[float, _Line] = field(factory=dict, init=False)

    async def wait(self, waiter: Waiter, since: float, seconds: float) -> tuple[Result, ...] | None:
        """Wait for results; `None` if they are not there in time.

        Args:
            waiter: Gets the results.
            since: From when on it waits (`Clock.monotonic`).
            seconds: How long it does: one of a few values, as policies set them.
        """
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = _Line(self.clock)
        line.join(waiter, since + seconds)
        try:
            return await waiter
        finally:
            line.leave()
