"""Exchanges wait for others, so that many are stored at once: that changes fewer pages, each of which is written whole.

Nobody waits for them, and no money depends on them: those that find no room are dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from croupier.ledger.mapping import Value
from croupier.ledger.records import ExchangeRow

_WORTH_A_STATEMENT: Final = 200
_AT_ONCE: Final = 1000


class WaitingExchanges:
    """The exchanges that a writer is to store with one of its next batches.

    Args:
        values: A row's columns; raises `TypeError` or `ValueError` for one that cannot be stored.
        most: The most that wait.
        delay: The most seconds for which they wait for others. `None`: they go with the next batch, and nothing is
            begun for them, lest a timer decide about batches in runs that must be repeatable.
        begin: Begins a batch; called when they have waited for so long.

    Attributes:
        dropped: How many exchanges were not stored.
    """

    def __init__(
        self,
        values: Callable[[ExchangeRow], list[Value]],
        *,
        most: int,
        delay: float | None,
        begin: Callable[[], None],
    ) -> None:
        self._values = values
        self._most = most
        self._delay = delay
        self._begin = begin
        self._rows: deque[list[Value]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due = False
        self._closing = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, exchange: ExchangeRow) -> None:
        """Let an exchange wait, if there is room for it."""
        if len(self._rows) >= self._most:
            self.dropped += 1
            return
        try:
            self._rows.append(self._values(exchange))
        except (TypeError, ValueError):
            self.dropped += 1
            return
        if self._timer is None:
            self.wait()

    def wait(self) -> None:
        """Have those that wait stored after the delay, if no other batch takes them along."""
        if self._rows and self._timer is None and self._delay is not None and not self._closing:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._fall_due)

    def _fall_due(self) -> None:
        self._timer = None
        if self._rows:
            self._due = True
            self._begin()

    @property
    def ready(self) -> bool:
        """Whether some are to be stored now."""
        waiting = len(self._rows)
        return waiting >= _WORTH_A_STATEMENT or (waiting > 0 and (self._due or self._closing or self._delay is None))

    def take(self) -> list[list[Value]]:
        """The columns of those that are to be stored now, the oldest first."""
        count = min(len(self._rows), _AT_ONCE) if self.ready else 0
        self._due = False
        return [self._rows.popleft() for _ in range(count)]

    def put_back(self, rows: Sequence[list[Value]]) -> None:
        """Let those wait again that could not be stored now, as far as there is still room for them."""
        room = max(0, self._most - len(self._rows))
        self.dropped += len(rows[room:])
        self._rows.extendleft(reversed(rows[:room]))

    def close(self) -> None:
        """From now on all that wait are ready."""
        self._closing = True
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def give_up(self) -> None:
        """Drop what still waits."""
        self.dropped += len(self._rows)
        self._rows.clear()
