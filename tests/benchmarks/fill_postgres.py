"""Copies of rows inside PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

_LOADING: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "'4GB'",
    "autovacuum": "off",
}
"""Of the server, while rows are loaded: a crash would lose the database, which is nothing here."""

_OF_SESSION: Final = {
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "2",
    "work_mem": "512MB",
    "synchronous_commit": "off",
}

_SEQUENCES: Final = {
    "movements": "pg_get_serial_sequence('movements', 'number')",
    "exchanges": "'exchanges_number'",
}
"""What gives a row its number."""

_CONSTRAINTS: Final = b"""
SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conparentid = 0 AND (
  conrelid = ANY($1::regclass[]) AND contype IN ('p', 'u')
  OR contype = 'f' AND (conrelid = ANY($1::regclass[]) OR confrelid = ANY($1::regclass[]))
)
"""
_INDEXES: Final = b"""
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
WHERE i.indrelid = ANY($1::regclass[]) AND c.oid IS NULL ORDER BY i.indexrelid
"""


class PostgresCopy:
    """Works in one database.

    Args:
        url: Its address.
    """

    player = "md5('player ' || s.p)::uuid::text"

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor)
        self._again: list[str] = []
        self._large = False
        self._seeds = ""
        self._next: dict[str, int] = {}
        self._count = 0

    def rows(self, query: str) -> list[dict[str, Any]]:
        return self._connection.execute(query.encode()).fetchall()

    def execute(self, statement: str) -> None:
        self._connection.execute(statement.encode())

    def size(self) -> int:
        return int(self.rows("SELECT pg_database_size(current_database()) AS bytes")[0]["bytes"])

    def seed(self, count: int, columns: Mapping[str, str]) -> None:
        self._count = count
        self._large = count > 100_000
        if self._large:
            self._set_server(_LOADING)
        for name, value in _OF_SESSION.items():
            self.execute(f"SET {name} = '{value}'")
        made = ", ".join(f"{_made(name, expression)} AS {name}" for name, expression in columns.items())
        self._seeds = f"(SELECT n, {made} FROM generate_series(1::bigint, {count}) AS n) AS s"  # noqa: S608 # our own

    def prepare(self, tables: Sequence[str]) -> None:
        if not self._large:
            return
        found = self._connection.execute(_CONSTRAINTS, (list(tables),)).fetchall()
        constraints = {kind: [row for row in found if row["contype"] == kind] for kind in "fup"}
        indexes = self._connection.execute(_INDEXES, (list(tables),)).fetchall()
        for row in [*constraints["f"], *constraints["u"], *constraints["p"]]:
            self.execute(f"ALTER TABLE {row['conrelid']} DROP CONSTRAINT {row['conname']}")
        for row in indexes:
            self.execute(f"DROP INDEX {row['indexrelid']}")
        self._again += [row["pg_get_indexdef"].replace(" ON ONLY ", " ON ") for row in indexes]
        # The keys last of all indexes, as in the ledger's schema; what refers to them after that.
        self._again += [
            f"ALTER TABLE {row['conrelid']} ADD CONSTRAINT {row['conname']} {row['pg_get_constraintdef']}"
            for row in [*constraints["u"], *constraints["p"], *constraints["f"]]
        ]

    def copy(self, table: str, row: Mapping[str, Any], columns: Mapping[str, str], *, where: str, order: str) -> None:
        del order  # there are no indexes meanwhile
        used = [name for name in row if columns.get(name) != ""]
        names = sql.SQL(", ").join(map(sql.Identifier, used))
        values = sql.SQL(", ").join(
            sql.SQL(columns[name]) if name in columns else sql.Literal(row[name]) for name in used
        )
        into = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM ").format(sql.Identifier(table), names, values)
        self._connection.execute(into + sql.SQL(f"{self._seeds} {where}"))

    def finish(self, tables: Sequence[str]) -> None:
        for statement in self._again:
            self.execute(statement)
        for table, newest in self._next.items():
            self.execute(f"SELECT setval({_SEQUENCES[table]}, {newest})")
        self.execute(f"VACUUM (ANALYZE) {', '.join(tables)}")
        self.execute("CHECKPOINT")
        if self._large:
            self._set_server(dict.fromkeys(_LOADING, ""))

    def read_indexes(self, tables: Sequence[str]) -> None:
        query = b"""
        SELECT current_setting('data_directory') || '/' || pg_relation_filepath(index.indexrelid) AS file
        FROM pg_index AS index JOIN pg_class AS named ON named.oid = index.indexrelid
        WHERE named.relkind = 'i' AND index.indrelid IN (
          SELECT unnest($1::regclass[]) UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY($1::regclass[]))
        """
        for row in self._connection.execute(query, (list(tables),)).fetchall():
            first = Path(row["file"])
            for segment in first.parent.glob(f"{first.name}*"):
                with segment.open("rb", buffering=0) as file:
                    while file.read(1 << 20):
                        pass

    def close(self) -> None:
        self._connection.close()

    def _set_server(self, settings: Mapping[str, str]) -> None:
        for name, value in settings.items():
            self.execute(f"ALTER SYSTEM SET {name} = {value}" if value else f"ALTER SYSTEM RESET {name}")
        self.execute("SELECT pg_reload_conf()")

    # --- expressions

    def replaced(self, text: str, told: Mapping[str, str]) -> str:
        """An expression for a text in which something is replaced, or nothing if nothing is."""
        if text in told:
            return told[text]
        made = sql.Literal(text).as_string()
        for old, expression in told.items():
            made = f"replace({made}, '{old}', {expression})" if old in text else made
        return made if made.startswith("replace(") else ""

    def hex(self, expression: str) -> str:
        """32 hex digits of an id."""
        return f"replace({expression}, '-', '')"

    def next_number(self, table: str) -> str:
        """The number of a row: those of every copy of a row follow the ones before."""
        if table not in self._next:
            found = self.rows(f"SELECT coalesce(max(number), 0) AS newest FROM {table}")  # noqa: S608 # our own
            self._next[table] = int(found[0]["newest"])
        first = self._next[table]
        self._next[table] += self._count
        return f"{first} + s.n"

    def number(self, width: int) -> str:
        """A seed's number with zeros before it."""
        return f"lpad(n::text, {width}, '0')"


def _made(name: str, expression: str) -> str:
    # Not gen_random_uuid(): that asks the system for every single one.
    return f"md5('{name} ' || n)::uuid::text" if expression == "new_id" else expression
