"""Schema versions: plain SQL files, applied in order, each in one transaction with the note that it was applied.

The files stand in `migrations/<engine>/NNNN_name.sql` beside this module. A released file never changes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources

from attrs import frozen

from croupier.contract.errors import FixConfigurationError

_FILE = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL) STRICT"
)


@frozen
class Migration:
    """One step of the schema.

    Attributes:
        version: From 1, without gaps.
        name: What it brings.
        sql: Its statements.
    """

    version: int
    name: str
    sql: str


def migrations(engine: str) -> tuple[Migration, ...]:
    """Every step that this code knows for an engine (`sqlite`), in order."""
    folder = resources.files("croupier.ledger").joinpath("migrations", engine)
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return tuple(
        Migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in files
        if (match := _FILE.fullmatch(file.name))
    )


def pending(known: Sequence[Migration], stored: int) -> tuple[Migration, ...]:
    """The steps beyond the stored version.

    Raises:
        FixConfigurationError: The stored schema is newer than this code.
    """
    newest = known[-1].version if known else 0
    if stored > newest:
        raise FixConfigurationError(
            f"the ledger's schema is version {stored}, this code knows up to {newest}",
            hint="start a release that is at least as new as the one that wrote this ledger",
        )
    return tuple(step for step in known if step.version > stored)


def stored_version(connection: sqlite3.Connection) -> int:
    """The newest step applied to a SQLite database; 0 for an empty one.

    Raises:
        FixConfigurationError: It has tables, but not those of a ledger.
        sqlite3.Error: It cannot be read.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if "schema_versions" in tables:
        (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_versions").fetchone()
        return int(version)
    if tables:
        raise FixConfigurationError("the database holds something else than a ledger", hint="name another file")
    return 0


def migrate_sqlite(connection: sqlite3.Connection, known: Sequence[Migration] | None = None) -> tuple[Migration, ...]:
    """Bring a SQLite database to the newest schema; each step takes place whole or not at all.

    Args:
        connection: In autocommit mode; the caller holds the ledger's lock.
        known: The steps to apply in place of the released ones.

    Returns:
        The steps that were applied.

    Raises:
        FixConfigurationError: The schema is newer than this code, or the file is no ledger.
        sqlite3.Error: A step failed and was rolled back.
    """
    steps = pending(migrations("sqlite") if known is None else known, stored_version(connection))
    for step in steps:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_VERSIONS)
            for statement in _statements(step.sql):
                connection.execute(statement)
            connection.execute("INSERT INTO schema_versions (version, name) VALUES (?, ?)", (step.version, step.name))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return steps


def _statements(sql: str) -> Iterator[str]:
    """One by one: `executescript` would commit before it begins."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
        raise ValueError("a migration ends in the middle of a statement")
