"""Schema versions: plain SQL files, applied in order, each in one transaction with the note that it was applied.

The files stand in `migrations/<engine>/NNNN_name.sql` beside this module. A released file never changes.

Expand, then contract: a step that only adds (columns that may be left out, tables, indexes) says in a line
`-- oldest code: N` that code which knows the schema up to version N can work with what it leaves. A step that takes
away, renames, or gives a stored value a new meaning says no such line, and older code is refused from then on. It is
released one version after the code that does without what it takes away.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources

from attrs import frozen

from croupier.contract.errors import FixConfigurationError

_FILE = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_OLDEST_CODE = re.compile(r"^-- oldest code: ([0-9]+)$", re.MULTILINE)
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
        oldest_code: The oldest schema version whose code can work with what this step leaves; `None` if only code
            that knows this step can.
    """

    version: int
    name: str
    sql: str
    oldest_code: int | None = None


def migrations(engine: str) -> tuple[Migration, ...]:
    """Every step that this code knows for an engine (`sqlite`), in order."""
    folder = resources.files("croupier.ledger").joinpath("migrations", engine)
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return tuple(
        _migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in files
        if (match := _FILE.fullmatch(file.name))
    )


def _migration(version: int, name: str, sql: str) -> Migration:
    said = _OLDEST_CODE.search(sql)
    return Migration(version, name, sql, int(said[1]) if said else None)


def pending(known: Sequence[Migration], stored: int, oldest_code: int) -> tuple[Migration, ...]:
    """The steps beyond the stored version; none if that is newer than this code and this code can work with it.

    Args:
        known: The steps that this code knows.
        stored: The newest step applied.
        oldest_code: The oldest schema version whose code can work with that.

    Raises:
        FixConfigurationError: The stored schema is too new for this code.
    """
    newest = known[-1].version if known else 0
    if newest < oldest_code:
        raise FixConfigurationError(
            f"the ledger's schema is version {stored}, this code knows up to {newest}",
            hint=f"start a release that knows schema version {oldest_code} at least",
        )
    return tuple(step for step in known if step.version > stored)


def oldest_code(connection: sqlite3.Connection) -> int:
    """The oldest schema version whose code can work with a SQLite database; 0 for an empty one.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    found = {column for (column,) in connection.execute("SELECT name FROM pragma_table_info('schema_versions')")}
    if not found:
        return 0
    told = "coalesce(oldest_code, version)" if "oldest_code" in found else "version"
    (oldest,) = connection.execute(f"SELECT coalesce(max({told}), 0) FROM schema_versions").fetchone()  # noqa: S608 # as above
    return int(oldest)


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


def waiting(connection: sqlite3.Connection, known: Sequence[Migration]) -> tuple[Migration, ...]:
    """The steps that are to be applied to a SQLite database.

    Raises:
        FixConfigurationError: The schema is too new for this code, or the file is no ledger.
        sqlite3.Error: It cannot be read.
    """
    return pending(known, stored_version(connection), oldest_code(connection))


def migrate_sqlite(connection: sqlite3.Connection, known: Sequence[Migration] | None = None) -> tuple[Migration, ...]:
    """Bring a SQLite database to the newest schema; each step takes place whole or not at all.

    Args:
        connection: In autocommit mode; the caller holds the ledger's lock.
        known: The steps to apply in place of the released ones.

    Returns:
        The steps that were applied.

    Raises:
        FixConfigurationError: The schema is too new for this code, or the file is no ledger.
        sqlite3.Error: A step failed and was rolled back.
    """
    steps = waiting(connection, migrations("sqlite") if known is None else known)
    for step in steps:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_VERSIONS)
            for statement in _statements(step.sql):
                connection.execute(statement)
            connection.execute("INSERT INTO schema_versions (version, name) VALUES (?, ?)", (step.version, step.name))
            if step.oldest_code is not None:
                note = "UPDATE schema_versions SET oldest_code = ? WHERE version = ?"
                connection.execute(note, (step.oldest_code, step.version))
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
