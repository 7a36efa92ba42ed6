"""A ledger as text, for telling whether two ledgers are equal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from croupier.ledger.sqlite_statements import columns as quoted
from croupier.ledger.sqlite_statements import sql

_BOOKKEEPING = {"batches", "schema_versions"}
_ORDER_OF_STORING = "number"


def dump_ledger(path: str | Path) -> str:
    """Every row of every table of a SQLite ledger in canonical order, one a line: equal ledgers give equal text.

    What depends on the grouping of commits or on the engine (batch and row numbers) is left out.

    Args:
        path: The database; it may be open elsewhere.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA query_only = ON")
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        tables = [name for (name,) in found if name not in _BOOKKEEPING and not name.startswith("sqlite_")]
        return "\n".join(line for table in tables for line in _lines(connection, table))
    finally:
        connection.close()


def _lines(connection: sqlite3.Connection, table: str) -> list[str]:
    columns = [column for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")]
    told = sorted(column for column in columns if column != _ORDER_OF_STORING)
    rows = connection.execute(sql("SELECT", quoted(told), "FROM", table)).fetchall()
    return [f"{table}: {' '.join(told)}", *sorted(" ".join(map(repr, row)) for row in rows)]
