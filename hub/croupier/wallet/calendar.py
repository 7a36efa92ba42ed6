"""When owed work is tried again: a table of waits, full jitter, and a scale for tests and demonstrations."""

from __future__ import annotations

from typing import Final

from attrs import frozen

STEPS_MS: Final = (0, 1_000, 5_000, 30_000, 120_000, 300_000, 600_000)
"""The first waits, after `reference/failure-matrix.md` (retry calendars)."""

STEADY_MS: Final = 900_000
"""Then every quarter of an hour..."""

STEADY_FOR_MS: Final = 72 * 3_600_000
"""...for three days..."""

LATE_MS: Final = 3_600_000
"""...then hourly, with an alarm, and never dropped."""


@frozen(kw_only=True)
class Calendar:
    """Waits between attempts.

    Attributes:
        scale: Every wait is divided by this: 1 in production.
    """

    scale: float = 1.0

    def wait_ms(self, attempts: int, age_ms: int, jitter: float) -> int:
        """Milliseconds until the next attempt.

        Args:
            attempts: How many were made.
            age_ms: How long the work has been owed.
            jitter: A number in [0, 1): the wait is spread over its upper half, so that backlogs do not beat in step.
        """
        steady = LATE_MS if self.is_late(age_ms) else STEADY_MS
        base = STEPS_MS[attempts] if attempts < len(STEPS_MS) else steady
        return int(base / self.scale * (0.5 + jitter / 2))

    def is_late(self, age_ms: int) -> bool:
        """Whether the work has been owed so long that a person should know."""
        return age_ms * self.scale > STEADY_FOR_MS
