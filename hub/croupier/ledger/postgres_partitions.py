"""Partitions by month of what is only appended: made before they are needed, without stopping anyone.

The database's own function makes them, with the rights of whoever owns the tables: the hub's user needs none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from attrs import define, field

from croupier.ledger.postgres_open import Connection

_DAY_MS = 86_400_000
_BY_MONTH = ("events", "exchanges")

Month = tuple[int, int]


def month_of(at: int) -> Month:
    """The month (year, from 1 on) of a time in milliseconds, in UTC.

    Raises:
        ValueError: It is outside the years 1 to 9998.
    """
    try:
        day = datetime.fromtimestamp(at // 1000, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("a time beyond the calendar") from error
    if day.year > 9998:
        raise ValueError("a time beyond the calendar")
    return day.year, day.month


def check_calendar(at: int) -> None:
    """Whether `month_of` knows a time's month.

    Raises:
        ValueError: It does not.
    """
    if not _FIRST <= at < _END:
        raise ValueError("a time beyond the calendar")


def following(month: Month) -> Month:
    """The month after."""
    year, number = month
    return (year + 1, 1) if number == 12 else (year, number + 1)


def _begins(month: Month) -> int:
    return int(datetime(*month, 1, tzinfo=UTC).timestamp()) * 1000


_FIRST, _END = _begins((1, 1)), _begins((9999, 1))


@define
class Partitions:
    """Which partitions there are, as far as this process knows."""

    _days: set[int] = field(factory=set)
    _months: set[Month] = field(factory=set)

    def missing(self, times: Iterable[int]) -> set[int]:
        """Those of the times (milliseconds) that may have no partition yet."""
        return {at for at in times if at // _DAY_MS not in self._days}

    async def make(self, connection: Connection, times: Iterable[int]) -> None:
        """Make the partitions of times, and those of the months after, where there are none.

        Args:
            connection: In autocommit mode.
            times: Milliseconds.

        Raises:
            ValueError: A time is outside the calendar.
            psycopg.Error: A partition cannot be made.
        """
        days = {at // _DAY_MS: month_of(at) for at in times}
        for month in sorted(set(days.values()) - self._months):
            for needed in (month, following(month)):
                for table in _BY_MONTH:
                    await _make(connection, table, needed)
            self._months.add(month)
        self._days |= days.keys()

    async def make_ahead(self, connection: Connection) -> None:
        """Make the partitions of this month and the next, by the database's clock."""
        found = await connection.execute(b"SELECT (extract(epoch FROM now()) * 1000)::int8")
        await self.make(connection, [now for (now,) in await found.fetchall()])


async def _make(connection: Connection, table: str, month: Month) -> None:
    if not await _exists(connection, f"{table}_{month[0]:04}_{month[1]:02}"):
        await connection.execute(b"SELECT make_month($1::text, $2::int4, $3::int4)", (table, *month))


async def _exists(connection: Connection, name: str) -> bool:
    # Not to_regclass: that looks into a cache which may not have heard of another process's table.
    found = await connection.execute(
        b"SELECT FROM pg_class WHERE relname = $1::text AND relnamespace = quote_ident(current_schema())::regnamespace",
        (name,),
    )
    return bool(await found.fetchall())
