"""How many requests of one operator are worked on at once, and the line of those that wait for a place."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Generic

from attrs import define

from croupier.wallet.ports import Clock
from croupier.web.patience import Patience, W
from croupier.web.ports import GatewayMetrics


@define(eq=False)
class _InLine(Generic[W]):
    """Who waits for a place; who was called or sent away waits no longer."""

    operator: str
    guest: W
    has_left: bool = False

    def is_done(self) -> bool:
        return self.has_left or self.guest.is_done()


class Places(Generic[W]):
    """Places of each operator, and a line before them: first come, first served.

    A short wait keeps a hub that has more to do than it can at what it can do. If it refused at once, those who ask
    again at once would have it refuse and do little else.

    Args:
        clock: Time.
        metrics: Told how many are worked on and how many wait.
        places: How many of one operator are worked on at once, of those that could wait.
        line: How many of one operator may wait.
        begin: Called with whom a place was found for; it must raise nothing.
        refuse: Called with whom none was found for in time; likewise.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        places: int,
        line: int,
        begin: Callable[[W], object],
        refuse: Callable[[W], object],
    ) -> None:
        self._metrics = metrics
        self._places = places
        self._line = line
        self._begin = begin
        self._refuse = refuse
        self._taken: Counter[str] = Counter()
        self._lines: dict[str, deque[_InLine[W]]] = defaultdict(deque)
        self._patience = Patience(clock, self._send_away)

    def is_free(self, operator: str) -> bool:
        """Whether there is a place; nobody waits while there is one."""
        return self._taken[operator] < self._places

    def take(self, operator: str) -> None:
        """Take a place, free or not: what brings a player money waits for nobody."""
        self._count(operator, 1)

    def leave(self, operator: str) -> None:
        """Give a place back; the first in line gets it."""
        self._count(operator, -1)
        line = self._lines.get(operator)
        while line and self.is_free(operator):
            first = line.popleft()
            if not first.is_done():
                first.has_left = True
                self.take(operator)
                self._begin(first.guest)
            self._tell(operator)

    def wait(self, operator: str, guest: W, since: float, seconds: float) -> bool:
        """Wait in line for a place.

        Args:
            operator: Whose request it is.
            guest: Who waits; once it is done, it is passed over.
            since: From when on it waits (`Clock.monotonic`).
            seconds: How long it does: one of a few values, as policies set them.

        Returns:
            Whether there was room in the line.
        """
        line = self._lines[operator]
        if len(line) >= self._line:
            return False
        waiter = _InLine(operator, guest)
        line.append(waiter)
        self._patience.wait(waiter, since, seconds)
        self._tell(operator)
        return True

    def close(self) -> None:
        """Send away who waits, and let nobody wait from now on."""
        self._line = 0
        for line in self._lines.values():
            for waiter in tuple(line):
                if not waiter.is_done():
                    self._send_away(waiter)

    def _send_away(self, waiter: _InLine[W]) -> None:
        waiter.has_left = True
        self._lines[waiter.operator].remove(waiter)
        self._tell(waiter.operator)
        self._refuse(waiter.guest)

    def _count(self, operator: str, change: int) -> None:
        count = self._taken[operator] + change
        self._taken[operator] = count
        self._metrics.provider_calls_under_way(operator=operator, count=count)

    def _tell(self, operator: str) -> None:
        self._metrics.provider_calls_waiting(operator=operator, count=len(self._lines[operator]))
