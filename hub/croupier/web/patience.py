"""How long providers are kept waiting: one timer for all who are equally patient, however many they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from attrs import define, field

from croupier.wallet.ports import Clock, Timer

_EARLY_SECONDS: Final = 0.001
"""An event loop's timers may be early by so much."""


class Waiter(Protocol):
    """Who waits for an answer."""

    def is_done(self) -> bool:
        """Whether it has its answer, or wants none any more."""


W = TypeVar("W", bound=Waiter)


@define(eq=False)
class _Line(Generic[W]):
    """Those who are equally patient, in the order in which their patience ends, which mostly is that of their coming.

    Who is done stays in line until it is the first.
    """

    clock: Clock
    give_up: Callable[[W], object]
    waiters: deque[tuple[float, W]] = field(factory=deque)
    timer: Timer | None = None
    due: float = 0.0

    def join(self, waiter: W, until: float) -> None:
        self.leave_done()
        waiters = self.waiters
        if waiters and waiters[-1][0] > until:  # it has waited elsewhere before
            place = next(place for place, (other, _) in enumerate(waiters) if other > until)
            waiters.insert(place, (until, waiter))
        else:
            waiters.append((until, waiter))
        if self.timer is None:
            self.watch()
        elif until < self.due:
            self.timer.cancel()
            self.watch()

    def leave_done(self) -> None:
        waiters = self.waiters
        while waiters and waiters[0][1].is_done():
            waiters.popleft()

    def watch(self) -> None:
        self.due = self.waiters[0][0]
        self.timer = self.clock.call_later(max(self.due - self.clock.monotonic(), 0.0), self.let_go)

    def let_go(self) -> None:
        self.timer = None
        now = self.clock.monotonic() + _EARLY_SECONDS
        self.leave_done()
        while self.waiters and self.waiters[0][0] <= now:
            self.give_up(self.waiters.popleft()[1])
            self.leave_done()
        if self.waiters:
            self.watch()


@define(eq=False)
class Patience(Generic[W]):
    """Lets waiters go whose patience has ended.

    Attributes:
        clock: Time.
        give_up: Told each one that waits no longer; it must raise nothing.
    """

    clock: Clock
    give_up: Callable[[W], object]
    _lines: dict[float, _Line[W]] = field(factory=dict, init=False)

    def wait(self, waiter: W, since: float, seconds: float) -> None:
        """Let somebody wait, until it is done or its patience ends.

        Args:
            waiter: Who waits.
            since: From when on it waits (`Clock.monotonic`).
            seconds: How long it does: one of a few values, as policies set them.
        """
        line = self._lines.get(seconds)
        if line is None:
            line = self._lines[seconds] = _Line(self.clock, self.give_up)
        line.join(waiter, since + seconds)
