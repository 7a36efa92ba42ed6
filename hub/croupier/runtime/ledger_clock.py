"""Time as the ledger keeps it: the database's, and steady.

Leases, calendars and late windows are compared between processes, and some of them decide what is done about money
that is on its way. So they are no matter of one machine's wall clock: a process reads the database's clock when it
starts and counts on by its own monotonic clock. A wall clock that is set, here or there, moves nothing.
"""

from __future__ import annotations

from typing import Final

from croupier.ledger.port import Ledger
from croupier.runtime.clocks import SystemClock

FOLLOWED_MS: Final = 1_000
"""Differences up to this are two clocks' drift, and are made good; a greater one is a clock that was set."""


class LedgerClock(SystemClock):
    """The machine's clock for signatures and deadlines, the database's for everything that is stored.

    Args:
        database_ms: What the database's clock shows now, in milliseconds since 1970-01-01 UTC.
    """

    def __init__(self, database_ms: int) -> None:
        self._ahead = database_ms - self._counted()
        self._latest = database_ms

    @classmethod
    async def of(cls, ledger: Ledger) -> LedgerClock:
        """The clock of a ledger that was started."""
        return cls(await ledger.now_ms())

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC by the database's clock; never going back."""
        now = self._ahead + self._counted()
        if now < self._latest:
            return self._latest
        self._latest = now
        return now

    def compare(self, database_ms: int) -> int:
        """Follow the database's clock, unless it was set.

        Returns:
            By how many milliseconds it is ahead of this one; up to `FOLLOWED_MS` either way that was made good.
        """
        difference = database_ms - (self._ahead + self._counted())
        if abs(difference) <= FOLLOWED_MS:
            self._ahead += difference
        return difference

    def _counted(self) -> int:
        return int(self.monotonic() * 1000)
