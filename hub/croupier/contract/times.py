"""Points in time as protocols write them. Nothing here reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch_ms(milliseconds: int) -> datetime:
    """The time (UTC) that is so many milliseconds after 1970 began.

    Example:
        >>> from_epoch_ms(1500)
        datetime.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + timedelta(milliseconds=milliseconds)


def epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970, cut."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def epoch_seconds(moment: datetime) -> int:
    """Whole seconds since 1970, cut."""
    return (moment - EPOCH) // timedelta(seconds=1)


def iso_utc(moment: datetime, digits: int = 3) -> str:
    """ISO 8601 in UTC with `Z`, cut to `digits` of a second, 0 to 6.

    Example:
        >>> iso_utc(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
        '2026-01-02T03:04:05.678Z'
    """
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[: 20 + digits if digits else 19] + "Z"


def read_moment(text: str | None, form: str = "%Y-%m-%d %H:%M:%S") -> datetime | None:
    """A moment (UTC) as logs write it: milliseconds since 1970, or text in a form of `strptime`; `None` for all else.

    What stands behind the form (fractions of a second, a zone) is not read.

    Example:
        >>> read_moment("2026-01-02 03:04:05.678"), read_moment("soon")
        (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), None)
    """
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 14:
        return from_epoch_ms(int(text))
    try:
        return datetime.strptime(text[: len(EPOCH.strftime(form))], form).replace(tzinfo=UTC)
    except ValueError:
        return None
