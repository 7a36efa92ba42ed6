"""Opening a ledger only to read it, beside the hub that writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from croupier.contract.errors import FixConfigurationError
from croupier.ledger import migrations, sqlite_open
from croupier.ledger.sqlite_reader import SqliteReads

if TYPE_CHECKING:
    from croupier.ledger.postgres_reader import PostgresReads

_OLDER = "the ledger's schema is older than this code"


class _File(SqliteReads):
    """A SQLite ledger, without its lock."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FixConfigurationError("there is no ledger", where=str(path))
        self._reader = sqlite_open.open_reader(path)
        if migrations.waiting(self._reader, migrations.migrations("sqlite")):
            self.close()
            raise FixConfigurationError(_OLDER, hint="run `croupier migrate`")

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


@asynccontextmanager
async def sqlite_to_read(path: Path) -> AsyncIterator[SqliteReads]:
    """A SQLite ledger's reads.

    Raises:
        FixConfigurationError: There is no such file, it is no ledger, or its schema is another one.
        StoreUnavailableError: It cannot be read now.
    """
    try:
        file = _File(path)
    except sqlite3.Error as error:
        raise sqlite_open.cannot_open(error, path) from error
    try:
        yield file
    finally:
        file.close()


@asynccontextmanager
async def postgres_to_read(url: str) -> AsyncIterator[PostgresReads]:
    """A PostgreSQL ledger's reads.

    Raises:
        FixConfigurationError: The database is no ledger, or its schema is another one.
        StoreUnavailableError: There is no connection now.
    """
    import psycopg
    from psycopg_pool import PoolTimeout

    from croupier.ledger import postgres_open
    from croupier.ledger.postgres_reader import PostgresReads

    class Server(PostgresReads):
        async def open(self) -> None:
            await self._open_readers(url, 1)

        async def close(self) -> None:
            await self._close_readers()

    server = Server()
    try:
        try:
            connection = await postgres_open.connect(url, "croupier-reader")
            try:
                if await postgres_open.is_older(connection):
                    raise FixConfigurationError(_OLDER, hint="run `croupier migrate`")
            finally:
                await connection.close()
            await server.open()
        except (psycopg.Error, PoolTimeout, OSError) as error:
            raise postgres_open.unreachable(error) from error
        yield server
    finally:
        await server.close()
