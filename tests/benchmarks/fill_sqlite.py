"""Copies of rows inside SQLite."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_MIXED: Final = 2_654_435_761
"""Multiplied by it, numbers of 32 bits stay different and lie everywhere."""


class SqliteCopy:
    """Works on one file.

    Args:
        path: The file.
    """

    player = "printf('%08x-0000-4000-8000-%012x', s.p, s.p)"

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._again: list[str] = []
        self._next: dict[str, int] = {}
        self._count = 0
        self._seeds = ""

    def rows(self, query: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(query)]

    def execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def size(self) -> int:
        pages, free, each = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * each

    def seed(self, count: int, columns: Mapping[str, str]) -> None:
        self._count = count
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        for statement in (
            "journal_mode = DELETE", "synchronous = OFF", "locking_mode = EXCLUSIVE", "temp_store = FILE",
            f"cache_size = -{min(4 << 20, memory // 4096)}",
        ):  # fmt: skip
            self.execute(f"PRAGMA {statement}")
        made = ", ".join(f"{_made(name, expression)} AS {name}" for name, expression in columns.items())
        numbers = f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count})"  # noqa: S608 # our own
        self._seeds = f"({numbers} SELECT n, {made} FROM c) AS s"  # noqa: S608 # our own

    def prepare(self, tables: Sequence[str]) -> None:
        named = ", ".join(f"'{table}'" for table in tables)
        found = self.rows(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ({named}) AND sql IS NOT NULL"  # noqa: S608 # our own
        )
        for row in found:
            self.execute(f'DROP INDEX "{row["name"]}"')
            self._again.append(row["sql"])
        self.execute("PRAGMA journal_mode = OFF")
        self.execute("BEGIN")

    def copy(self, table: str, row: Mapping[str, Any], columns: Mapping[str, str], *, where: str, order: str) -> None:
        ordered = "" if order == "n" else f"ORDER BY s.{order}"
        names = ", ".join(f'"{name}"' for name in row)
        values = ", ".join(columns.get(name, f":{name}") for name in row)
        literal = {name: value for name, value in row.items() if name not in columns}
        statement = f'INSERT INTO "{table}" ({names}) SELECT {values} FROM {self._seeds} {where} {ordered}'  # noqa: S608 # our own
        self._connection.execute(statement, literal)

    def finish(self, tables: Sequence[str]) -> None:
        del tables
        for statement in self._again:
            self.execute(statement)
        self.execute("COMMIT")
        self.execute("PRAGMA journal_mode = WAL")

    def read_indexes(self, tables: Sequence[str]) -> None:
        named = ", ".join(f"'{table}'" for table in tables)
        found = self.rows(
            f"SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ({named})"  # noqa: S608 # our own
        )
        for row in found:
            _, where, condition = (row["sql"] or "").partition(" WHERE ")
            if "state IN" not in condition:  # those hold what is open, which is nothing here
                self.rows(f'SELECT count(*) FROM {row["tbl_name"]} INDEXED BY "{row["name"]}" {where} {condition}')  # noqa: S608 # our own
        self.rows("SELECT count(*) FROM movement_keys")

    def close(self) -> None:
        self._connection.close()

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    # --- expressions

    def replaced(self, text: str, told: Mapping[str, str]) -> str:
        """An expression for a text in which something is replaced, or nothing if nothing is."""
        if text in told:
            return told[text]
        made = "'" + text.replace("'", "''") + "'"
        for old, expression in told.items():
            made = f"replace({made}, '{old}', {expression})" if old in text else made
        return made if made.startswith("replace(") else ""

    def hex(self, expression: str) -> str:
        """32 hex digits of an id."""
        return f"replace({expression}, '-', '')"

    def next_number(self, table: str) -> str:
        """The number of a row: those of every copy of a row follow the ones before."""
        if table not in self._next:
            found = self._connection.execute(f"SELECT max(number) FROM {table}").fetchone()[0]  # noqa: S608 # our own
            self._next[table] = int(found or 0)
        first = self._next[table]
        self._next[table] += self._count
        return f"{first} + s.n"

    def number(self, width: int) -> str:
        """A seed's number with zeros before it."""
        return f"printf('%0{width}d', n)"


def _made(name: str, expression: str) -> str:
    if expression != "new_id":
        return expression
    salt = zlib.crc32(name.encode())
    mixed = f"(n * {_MIXED} + {salt}) & {0xFFFFFFFF}"
    return f"printf('%08x-{salt & 0xFFFF:04x}-8000-8000-%012x', {mixed}, n)"
