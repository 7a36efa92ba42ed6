"""A ledger as text, for telling whether two ledgers are equal, whatever their engines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from croupier.ledger.sqlite_statements import columns as quoted
from croupier.ledger.sqlite_statements import sql

_BOOKKEEPING = {"batches", "clock_marks", "schema_versions", "writers"}
_ORDER_OF_STORING = "number"
_NO_PLACES = {"position": 0, "sequence": 0}
_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
    " AND relnamespace = current_schema()::regnamespace ORDER BY relname"
)
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"


def dump_ledger(ledger: str | Path) -> str:
    """Every row of every table of a ledger in canonical order, one a line: equal ledgers give equal text.

    What depends on the grouping of commits or on the engine (batch and row numbers) is left out.

    Args:
        ledger: The SQLite file, or the URL of the PostgreSQL database; it may be open elsewhere.

    Raises:
        sqlite3.Error, psycopg.Error: It cannot be read.
    """
    if isinstance(ledger, str) and ledger.startswith("postgresql:"):
        return _dump_postgres(ledger)
    return _dump_sqlite(ledger)


_SQLITE_KEYS = "(SELECT movement_keys.*, movement FROM movement_keys JOIN movements ON number = movement_number)"
"""SQLite keeps the number of a key's movement in place of its id."""


def _dump_sqlite(path: str | Path) -> str:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA query_only = ON")
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        lines: list[str] = []
        for (table,) in found:
            if table in _BOOKKEEPING or table.startswith("sqlite_"):
                continue
            columns = _told(column for _, column, *_ in connection.execute(f"PRAGMA table_info({table})"))
            source = table
            if table == "movement_keys":
                columns = sorted({*columns, "movement"} - {"movement_number"})
                source = _SQLITE_KEYS
            rows = connection.execute(sql("SELECT", quoted(columns), "FROM", source)).fetchall()
            lines += _lines(table, columns, rows)
        return "\n".join(lines)
    finally:
        connection.close()


def _dump_postgres(url: str) -> str:
    import psycopg

    from croupier.ledger.postgres_values import restored

    lines: list[str] = []
    with psycopg.connect(url) as connection:
        for (table,) in connection.execute(_TABLES).fetchall():
            if table in _BOOKKEEPING:
                continue
            columns = _told(column for (column,) in connection.execute(_COLUMNS, (table,)).fetchall())
            found = connection.execute(sql("SELECT", quoted(columns), "FROM", table).encode()).fetchall()
            rows = [[restored(value) if isinstance(value, str) else value for value in row] for row in found]
            lines += _lines(table, columns, rows)
    return "\n".join(lines)


def _told(columns: Iterable[str]) -> list[str]:
    return sorted(column for column in columns if column != _ORDER_OF_STORING)


def _lines(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    kept = [row for row in rows if not _is_unused(dict(zip(columns, row, strict=True)))]
    return [f"{table}: {' '.join(columns)}", *sorted(" ".join(map(repr, row)) for row in kept)]


def _is_unused(row: dict[str, Any]) -> bool:
    """Whether it is the row of an operator without events and deliveries, which PostgreSQL keeps to be locked."""
    return row.keys() == {"operator", *_NO_PLACES} and row.items() >= _NO_PLACES.items()
