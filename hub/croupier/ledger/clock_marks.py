"""Marks of the ledger's time: what lets a process that starts count on, whatever was done to the database's clock.

How they are used: `croupier.runtime.ledger_clock`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from croupier.contract.values import immutable

KEPT_MS: Final = 30 * 86_400_000
"""For how long the mark of a machine that writes none any more is kept."""


@immutable(kw_only=True)
class ClockMark:
    """One moment, on three clocks, in milliseconds.

    Attributes:
        boot: Which start of which machine: its steady clock goes on until the next.
        steady_ms: What that machine's steady clock showed.
        ledger_ms: What the ledger's time was, since 1970-01-01 UTC.
        database_ms: What the database's clock showed, since 1970-01-01 UTC.
    """

    boot: str
    steady_ms: int
    ledger_ms: int
    database_ms: int


@immutable
class ClockReading:
    """The database's clock, and every mark that was stored before.

    Attributes:
        database_ms: What it shows, in milliseconds since 1970-01-01 UTC: the same for every process.
        marks: The newest mark of every start of a machine.
    """

    database_ms: int
    marks: tuple[ClockMark, ...] = ()


def clock_reading(database_ms: int, found: Iterable[Sequence[Any]]) -> ClockReading:
    """What was read, each mark as its columns in order; without any, one row of nulls."""
    marks = (
        ClockMark(boot=boot, steady_ms=steady_ms, ledger_ms=ledger_ms, database_ms=marked_ms)
        for boot, steady_ms, ledger_ms, marked_ms in found
        if boot is not None
    )
    return ClockReading(database_ms, tuple(marks))
