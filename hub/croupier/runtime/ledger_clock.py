"""Time as the ledger keeps it: steady, over restarts too, and no matter of anybody's wall clock.

Leases, calendars and late windows are compared between processes, and some of them decide what is done about money
that is on its way. So they are no matter of a wall clock, be it one machine's or the database's. The database's clock
says what time it is when nothing else does: at the very first start. From then on each process counts by its machine's
steady clock and leaves marks of what it has counted in the database (`croupier.runtime.timekeeper`); one that starts
counts on from the mark of its machine or, on another machine, keeps the distance to the database's clock that others
have. A clock that is set, here or there, moves nothing at once; the ledger's time follows it slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from croupier.ledger.clock_marks import ClockMark, ClockReading
from croupier.runtime.clocks import SystemClock, steady_ms

FOLLOWED_MS: Final = 1_000
"""Differences up to this are two clocks' drift, and are made good; a greater one is a clock that was set."""

SLOWLY: Final = 100
"""A clock that was set is followed by one part in so many: no window ends earlier by more than that."""

FRESH_MS: Final = 7_000
"""A mark that is no older by the database's clock is one of a process that is at work: they come every five seconds."""

Steady = Callable[[], int]
"""Milliseconds since the machine's start."""


class LedgerClock(SystemClock):
    """The machine's clock for signatures and deadlines, and one of its own for everything that is stored.

    Args:
        ledger_ms: What the ledger's time is now, in milliseconds since 1970-01-01 UTC.
        boot: Which start of which machine it counts by.
        steady: Milliseconds since then.

    Attributes:
        apart_ms: By how much the database's clock was ahead when they were last compared.
    """

    def __init__(self, ledger_ms: int, boot: str = "", steady: Steady = steady_ms) -> None:
        self.boot = boot
        self.steady = steady
        self.apart_ms = 0
        self._compared = steady()
        self._database_ms: int | None = None
        self._ahead = ledger_ms - self._compared
        self._latest = ledger_ms

    def now_ms(self) -> int:
        """The ledger's time in milliseconds since 1970-01-01 UTC; never going back."""
        now = self._ahead + self.steady()
        if now < self._latest:
            return self._latest
        self._latest = now
        return now

    def compare(self, reading: ClockReading) -> int:
        """Follow another process that is ahead, and the database's clock: slowly if it was set.

        Returns:
            By how many milliseconds the database's clock is ahead; up to `FOLLOWED_MS` either way that was made good.
        """
        steady = self.steady()
        now = self._ahead + steady
        as_before = self._runs_as_before(reading, steady)
        others = max((self._told(mark, reading, steady, as_before=as_before) for mark in reading.marks), default=now)
        if others > now + FOLLOWED_MS:  # this machine stood still and did not notice: theirs is the time
            self._ahead += others - now
            now = others
        self.apart_ms = reading.database_ms - now
        if abs(self.apart_ms) <= FOLLOWED_MS:
            self._ahead += self.apart_ms
        else:
            slowly = min((steady - self._compared) // SLOWLY, FOLLOWED_MS)
            self._ahead += slowly if self.apart_ms > 0 else -slowly
        self._compared, self._database_ms = steady, reading.database_ms
        return self.apart_ms

    def mark(self, database_ms: int) -> ClockMark:
        """This moment, for whoever starts later.

        Args:
            database_ms: What the database's clock shows.
        """
        return ClockMark(boot=self.boot, steady_ms=self.steady(), ledger_ms=self.now_ms(), database_ms=database_ms)

    def _runs_as_before(self, reading: ClockReading, steady: int) -> bool:
        """Whether the database's clock was not set forward since the last comparison, nor stood this machine still.

        If it was, marks of before tell too much; five seconds later there are others.
        """
        if self._database_ms is None:
            return True
        return reading.database_ms - self._database_ms - (steady - self._compared) <= FOLLOWED_MS

    def _told(self, mark: ClockMark, reading: ClockReading, steady: int, *, as_before: bool) -> int:
        """What the ledger's time is by a mark, or was at least.

        A mark that names this machine's start may be that of a copy which was made while the machine ran: its steady
        clock shows another time, so what was counted since is never believed alone.
        """
        told = by_distance(mark, reading) if as_before and is_fresh(mark, reading) else mark.ledger_ms
        return min(told, counted_on(mark, steady)) if _is_own(mark, self.boot, steady) else told


def counted_on(mark: ClockMark, steady: int) -> int:
    """The ledger's time by a mark of the same machine's start, whose steady clock has gone on."""
    return mark.ledger_ms + steady - mark.steady_ms


def by_distance(mark: ClockMark, reading: ClockReading) -> int:
    """The ledger's time by a mark of another machine, if the database's clock was not set since."""
    return mark.ledger_ms + reading.database_ms - mark.database_ms


def is_fresh(mark: ClockMark, reading: ClockReading) -> bool:
    """Whether a process is at work that left this mark, unless the database's clock was set since."""
    return 0 <= reading.database_ms - mark.database_ms <= FRESH_MS


def own_mark(reading: ClockReading, boot: str, steady: int) -> ClockMark | None:
    """The mark of this start of the machine."""
    return next((mark for mark in reading.marks if _is_own(mark, boot, steady)), None)


def _is_own(mark: ClockMark, boot: str, steady: int) -> bool:
    # One of a later steady time is of a copy, or of before the machine was set back to an earlier state.
    return mark.boot == boot and mark.steady_ms <= steady


def latest_mark(reading: ClockReading) -> ClockMark | None:
    """The mark of the latest time."""
    return max(reading.marks, key=lambda mark: mark.ledger_ms, default=None)


def may_be_told_more(reading: ClockReading, boot: str, steady: int) -> bool:
    """Whether a mark that another process may leave any moment would tell better what time it is."""
    latest = latest_mark(reading)
    return latest is not None and not is_fresh(latest, reading) and own_mark(reading, boot, steady) is None


def time_at_start(reading: ClockReading, boot: str, steady: int) -> int:
    """The ledger's time when a process starts; never before any mark.

    By the mark of a process that is at work; else by that of this machine, which counts on through everything; else
    by the latest, which the database's clock has counted on from if nobody set it; else by the database's clock.

    Args:
        reading: The database's clock and the marks.
        boot: Which start of which machine this is.
        steady: What its steady clock shows.
    """
    latest, own = latest_mark(reading), own_mark(reading, boot, steady)
    if latest is None:
        return reading.database_ms
    if own is not None and (own is latest or not is_fresh(latest, reading)):
        counted = counted_on(own, steady)
        if is_fresh(own, reading):  # that of a copy of this machine would have counted something else
            counted = min(counted, by_distance(own, reading))
        return max(counted, latest.ledger_ms)
    return max(by_distance(latest, reading), latest.ledger_ms)
