"""Keeps the ledger's time: begins with it, compares it with the database's clock, and leaves marks of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from attrs import define, field

from croupier.contract import FixConfigurationError, RetryLaterError
from croupier.ledger.clock_marks import ClockReading
from croupier.ledger.port import Ledger
from croupier.runtime.clocks import steady_ms
from croupier.runtime.ledger_clock import (
    FOLLOWED_MS,
    LedgerClock,
    Steady,
    is_fresh,
    may_be_told_more,
    own_mark,
    time_at_start,
)
from croupier.runtime.logs import Log

BEAT_SECONDS: Final = 5.0
"""How often a process compares, and leaves a mark unless another one of its machine has."""

_SLOW_MS: Final = 500
"""A reading that took longer may be of a moment that is long past, and tells nothing."""
_MARKED_MS: Final = 4_000
_TOLD_EVERY_MS: Final = 60_000
_WAITING: Final = frozenset({"delivery.owed", "movement.intent", "movement.fenced"})
"""What has times in the ledger by which it goes on."""


async def start_clock(
    ledger: Ledger, boot: str, sleep: Callable[[float], Awaitable[None]] | None, steady: Steady = steady_ms
) -> LedgerClock:
    """The clock of a ledger that was started.

    If the marks are of other machines and old, it waits for a beat: those machines may be at work, and the database's
    clock have just been set.

    Args:
        ledger: It has the database's clock and the marks.
        boot: Which start of which machine this is.
        sleep: Waits; `None` if no other process can be at work.
        steady: The machine's steady clock.
    """
    reading = await _quickly(ledger, steady)
    if sleep is not None and may_be_told_more(reading, boot, steady()):
        await sleep(BEAT_SECONDS + 1)
        reading = await _quickly(ledger, steady)
    return LedgerClock(time_at_start(reading, boot, steady()), boot, steady)


async def _quickly(ledger: Ledger, steady: Steady) -> ClockReading:
    """A reading that took no time, or the last of three."""
    for last in (False, False, True):
        before = steady()
        reading = await ledger.clock()
        if last or steady() - before <= _SLOW_MS:
            return reading
    raise AssertionError  # the loop returns


@define(eq=False, kw_only=True)
class Timekeeper:
    """Keeps a process's clock with the others'.

    Attributes:
        ledger: Where marks are.
        clock: The process's clock.
        log: Told, once a minute, that the database's clock was set, or that no mark can be left.
    """

    ledger: Ledger
    clock: LedgerClock
    log: Log
    _told: dict[str, int] = field(factory=dict, init=False)
    """When there was a warning of what still lasts."""

    async def run(self) -> None:
        """Keep time for ever."""
        while True:
            try:
                await self.beat()
            except RetryLaterError as error:  # the clock counts by itself
                self._warn("clock_not_marked", code=error.code)
            else:
                self._told.pop("clock_not_marked", None)
            await self.clock.sleep(BEAT_SECONDS)

    async def beat(self) -> None:
        """Compare, and leave a mark.

        Raises:
            RetryLaterError: The database cannot be reached now.
        """
        before = self.clock.steady()
        reading = await self.ledger.clock()
        now = self.clock.steady()
        if now - before > _SLOW_MS:
            return
        apart_ms = self.clock.compare(reading)
        mark = self.clock.mark(reading.database_ms)
        if abs(apart_ms) > FOLLOWED_MS:
            self._warn("database_clock_was_set", wait_ms=apart_ms)
        else:
            self._told.pop("database_clock_was_set", None)
        own = own_mark(reading, self.clock.boot, now)
        if mark.steady_ms - before > _SLOW_MS:  # it stood still since: the two are not of one moment
            return
        if own is None or now - own.steady_ms >= _MARKED_MS:
            await self.ledger.mark_clock(mark)

    def _warn(self, event: str, **fields: object) -> None:
        """Once a minute as long as it lasts."""
        now = self.clock.steady()
        if event not in self._told or now - self._told[event] >= _TOLD_EVERY_MS:
            self._told[event] = now
            self.log.warning(event, **fields)

    def remarks(self) -> Sequence[str]:
        """What a probe shall say beside being ready."""
        apart = self.clock.apart_ms
        return () if abs(apart) <= FOLLOWED_MS else (f"database clock {apart / 1000:+.0f} s",)


async def follow_database(ledger: Ledger, boot: str, steady: Steady = steady_ms) -> int:
    """Let the ledger's time be the database's clock from the next start on, while no process is at work.

    Returns:
        By how many milliseconds the database's clock is ahead of what the ledger's time is until then.

    Raises:
        FixConfigurationError: A process is or was at work a moment ago; or work is owed, whose windows would end
            early or late.
    """
    reading = await ledger.clock()
    if any(is_fresh(mark, reading) for mark in reading.marks):
        raise FixConfigurationError("a process was at work a moment ago", hint="stop all of them, and wait 10 seconds")
    if any(count for name, count in (await ledger.count_states()).items() if name in _WAITING):
        raise FixConfigurationError("work is owed", hint="start the hub and let it deliver")
    apart = reading.database_ms - time_at_start(reading, boot, steady())
    await ledger.forget_clock()
    return apart
