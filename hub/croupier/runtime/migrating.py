"""Bringing a ledger's schema up to date, apart from a start."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from attrs import frozen

from croupier.contract import SettingsError
from croupier.ledger import sqlite_open
from croupier.ledger.migrations import Migration, migrate_sqlite, migrations, oldest_code, stored_version
from croupier.runtime.settings import Settings


@frozen(kw_only=True)
class Migrated:
    """What became of a schema.

    Attributes:
        before: The version that was found; 0 is an empty database.
        after: The version that is there now.
        steps: What was applied here, in order; empty if nothing was to do.
        oldest_code: The oldest schema version whose code can work with what is there now.
        known: The newest version that this code knows.
    """

    before: int
    after: int
    steps: tuple[Migration, ...]
    oldest_code: int
    known: int


def migrate(settings: Settings) -> Migrated:
    """Bring the ledger that the settings name to the newest schema that this code knows.

    Raises:
        FixConfigurationError: The schema is too new for this code, the database holds something else, or its settings
            would lose acknowledged commits.
        UnsafeStoreError: A SQLite file is held by a running hub.
        StoreUnavailableError: It cannot be reached now.
    """
    path = settings.database.sqlite_path
    return _migrate_file(path) if path is not None else asyncio.run(_migrate_server(settings.database.url))


def _migrate_file(path: Path) -> Migrated:
    sqlite_open.check_library()
    if not path.parent.is_dir():
        raise SettingsError("the ledger's folder does not exist", where="database.url")
    lock = sqlite_open.FileLock(path)
    try:
        connection = sqlite_open.open_writer(path)
        try:
            before = stored_version(connection)
            steps = migrate_sqlite(connection)
            after, oldest = stored_version(connection), oldest_code(connection)
        finally:
            connection.close()
        sqlite_open.sync_folder(path)
    except sqlite3.Error as error:
        raise sqlite_open.cannot_open(error, path) from error
    finally:
        lock.release()
    known = migrations("sqlite")[-1].version
    return Migrated(before=before, after=after, steps=steps, oldest_code=oldest, known=known)


async def _migrate_server(url: str) -> Migrated:
    import psycopg

    from croupier.ledger import postgres_open

    try:
        connection = await postgres_open.connect(url, "croupier-migrate")
        try:
            await postgres_open.check_settings(connection)
            before = await postgres_open.stored_version(connection)
            steps = await postgres_open.migrate_postgres(connection)
            after = await postgres_open.stored_version(connection)
            oldest = await postgres_open.oldest_code(connection)
        finally:
            await connection.close()
    except (psycopg.Error, OSError) as error:
        raise postgres_open.unreachable(error) from error
    known = migrations("postgres")[-1].version
    return Migrated(before=before, after=after, steps=steps, oldest_code=oldest, known=known)
