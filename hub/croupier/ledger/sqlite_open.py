"""Opening a SQLite ledger: the lock against a second hub, connections, and the check of what makes a commit durable."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO
from urllib.parse import quote

from croupier.contract.errors import (
    CroupierError,
    FixConfigurationError,
    LedgerCorruptError,
    StoreUnavailableError,
    UnsafeStoreError,
)

_WRITER_WAITS_MS = 100
"""How long a foreign writer is waited for: the event loop stands still meanwhile."""

DAMAGED = "a stored text is damaged"

_FULL = 2
_NO_LEDGER = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}
_LOG_LIMIT = 64 * 1024 * 1024

_WRITER_CACHE_KIB = 128 * 1024
_READER_CACHE_KIB = 4 * 1024
"""Pages that are kept in this process's memory, at most: of the writer the upper pages of the indexes of ten million
bets. What is beyond is read from the operating system's; every commit makes the reader forget its own."""

_CHECKPOINT_PAGES = 4000
"""So long the log grows before its pages are moved into the database: the longer, the more changes of a page are moved
at once, and the longer the commit that does it."""


def is_undecodable(error: Exception) -> bool:
    """Whether it is the fault of a stored text, which is damaged."""
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("Could not decode")


def trouble(error: Exception) -> CroupierError:
    """Why something could not be read, as the hub's error."""
    return LedgerCorruptError(DAMAGED) if is_undecodable(error) else unavailable(error)


def unavailable(error: Exception) -> StoreUnavailableError:
    """The store's trouble as the hub's error; SQLite's messages hold no values, but for that of a damaged text."""
    return StoreUnavailableError(f"the ledger cannot be used now: {error}")


def cannot_open(error: sqlite3.Error, path: Path) -> CroupierError:
    """Why a ledger cannot be opened: it is something to correct if the file is not one that can be a ledger."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_LEDGER:
        return FixConfigurationError(f"the ledger cannot be opened: {error}", where=str(path))
    return StoreUnavailableError(f"the ledger cannot be used now: {error}", where=str(path))


class FileLock:
    """The file beside the database that one hub holds. It stays when the lock is released.

    Args:
        database: The database's path.

    Raises:
        UnsafeStoreError: Another process holds it, or it cannot be made.
    """

    def __init__(self, database: Path) -> None:
        file = database.resolve()  # SQLite follows links, too: the same file has the same lock under every name
        path = file.with_name(f"{file.name}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnsafeStoreError(f"the lock file cannot be made: {error.strerror}", where=str(path)) from error
        self._file: IO[str] = os.fdopen(descriptor, "r+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._file.read(32).strip() or "unknown"
            self._file.close()
            raise UnsafeStoreError(
                f"another hub holds this ledger (process {holder})",
                where=str(database),
                hint="stop it first, or use PostgreSQL for several processes",
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let another hub have the ledger. Idempotent."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()


def check_library() -> None:
    """Refuse a SQLite that cannot hold the ledger.

    Raises:
        UnsafeStoreError: It is too old, or was built without thread safety.
    """
    if sqlite3.sqlite_version_info < (3, 38):
        raise UnsafeStoreError(f"SQLite {sqlite3.sqlite_version} is too old", hint="3.38 or newer is needed")
    if sqlite3.threadsafety < 1:
        raise UnsafeStoreError("SQLite was built without thread safety")


def open_writer(path: Path, factory: type[sqlite3.Connection] = sqlite3.Connection) -> sqlite3.Connection:
    """The one connection that writes and checkpoints, with settings under which a commit survives a power cut.

    Args:
        path: The database; made if it does not exist.
        factory: The connection's class.

    Raises:
        UnsafeStoreError: A setting did not take hold.
        sqlite3.Error: The file cannot be opened.
    """
    connection = sqlite3.connect(
        path,
        timeout=_WRITER_WAITS_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        factory=factory,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        for setting in (
            "synchronous = FULL",
            "fullfsync = ON",
            "checkpoint_fullfsync = ON",
            "foreign_keys = ON",
            f"cache_size = -{_WRITER_CACHE_KIB}",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {setting}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}").fetchone()
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT}").fetchone()
        check_settings(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def check_settings(connection: sqlite3.Connection) -> None:
    """Refuse settings under which an acknowledged commit could be lost.

    Raises:
        UnsafeStoreError: The journal is no write-ahead log, `synchronous` is below FULL, or keys are not checked.
    """
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    if journal != "wal":
        raise UnsafeStoreError(f"the journal is {journal}, not WAL", hint="put the ledger on a local disk")
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    if synchronous < _FULL:
        raise UnsafeStoreError(f"synchronous is {synchronous}, below FULL: a power cut would lose acknowledged commits")
    (foreign_keys,) = connection.execute("PRAGMA foreign_keys").fetchone()
    if foreign_keys != 1:
        raise UnsafeStoreError("foreign keys are not checked")


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write.

    Raises:
        sqlite3.Error: The file cannot be opened.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro",
        uri=True,
        timeout=_WRITER_WAITS_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
    return connection


def sync_folder(path: Path) -> None:
    """Make the database file's own name durable."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
