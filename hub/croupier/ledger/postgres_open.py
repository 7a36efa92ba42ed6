"""Opening a PostgreSQL ledger: connections, the check of what makes a commit durable, and the schema."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from croupier.contract.errors import FixConfigurationError, StoreUnavailableError, UnsafeStoreError
from croupier.ledger.migrations import Migration, migrations, pending

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

_OLDEST = 140000
_MIGRATING = 0x63726F7570696572 & 0x7FFFFFFFFFFFFFFF
"""The advisory lock under which the schema is changed."""

_HOLD_WRITERS = b"""
DO $$ BEGIN
  IF to_regclass('writers') IS NOT NULL THEN LOCK TABLE writers IN ACCESS EXCLUSIVE MODE; END IF;
END $$
"""
"""Before a step: batches of hubs that run lock their row there first, so that they wait while they hold nothing."""

_DEFAULTS = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SESSION = {
    # A statement is planned once; a plan made while tables were small must not read whole ones later (see `Plans`).
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    # What a vanished client left half said must not hold its locks for hours.
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
_SETTINGS = (
    "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),"
    " current_setting('synchronous_standby_names'), current_setting('server_encoding'), pg_is_in_recovery()"
)


def unavailable(error: Exception) -> StoreUnavailableError:
    """The store's trouble as the hub's error. The server's text may hold values of rows, so only its code is told."""
    code = error.sqlstate if isinstance(error, psycopg.Error) else None
    return StoreUnavailableError(f"the ledger cannot be used now: {code or type(error).__name__}")


def unreachable(error: Exception) -> StoreUnavailableError:
    """Why a ledger cannot be opened, for those who run the hub: unlike `unavailable`, it names the server.

    Before there is a connection the text is the client library's own, or a server's that knows of no rows yet. It
    never holds the password of a URL whose parts can be told apart, and `croupier.runtime.settings` takes no other.
    """
    if not isinstance(error, psycopg.Error):
        return unavailable(error)
    if error.sqlstate is not None:
        told = f"{error.sqlstate} ({type(error).__name__})"
    else:
        told = " ".join(str(error).partition("\n")[0].split()) or type(error).__name__
    return StoreUnavailableError(f"the ledger cannot be used now: {told}", where="database.url")


async def connect(url: str, name: str) -> Connection:
    """A connection in autocommit mode, with the session's settings.

    Args:
        url: Of the database.
        name: How the server's administrator sees it.

    Raises:
        psycopg.Error: There is no connection.
    """
    connection: Connection = await AsyncConnection.connect(
        conninfo(url, name), autocommit=True, cursor_factory=psycopg.AsyncRawCursor
    )
    try:
        await prepare_session(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


def conninfo(url: str, name: str) -> str:
    """The parameters of a connection; what the URL says goes before the defaults.

    Raises:
        FixConfigurationError: The URL cannot be read.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise FixConfigurationError("the database's URL cannot be read", where="database.url") from None
    return make_conninfo("", **{**_DEFAULTS, **given, "application_name": name})


async def prepare_session(connection: Connection) -> None:
    """Settings of every connection of the ledger."""
    connection.prepare_threshold = 0
    connection.prepared_max = 1000
    settings = dict(_SESSION)
    if connection.info.server_version >= 170000:
        settings["transaction_timeout"] = "60s"
    said = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())
    await connection.execute(f"SELECT {said}".encode())


class Plans:
    """When plans are to be made anew: a plan is kept, but what was best for a small table is not for a large one.

    The pauses double from a tenth of a second to a minute, as tables grow by less and less of what they hold.
    """

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[object, tuple[float, float]] = WeakKeyDictionary()

    def are_old(self, connection: object) -> bool:
        """Whether `DISCARD_PLANS` is to be said to a connection now; it is then taken as said."""
        now = time.monotonic()
        made, pause = self._made.setdefault(connection, (now, 0.1))
        if now < made + pause:
            return False
        self._made[connection] = now, min(pause * 2, 60.0)
        return True


DISCARD_PLANS = b"DISCARD PLANS"


async def check_settings(connection: Connection) -> None:
    """Refuse settings under which an acknowledged commit could be lost.

    Raises:
        UnsafeStoreError: `fsync`, `full_page_writes` or `synchronous_commit` is off, or a standby is not waited for.
        FixConfigurationError: The server is too old, a standby, or its database does not hold Unicode.
    """
    version = connection.info.server_version
    if version < _OLDEST:
        raise FixConfigurationError(f"PostgreSQL {version // 10000} is too old", hint="14 or newer is needed")
    found = await (await connection.execute(_SETTINGS.encode())).fetchone()
    if found is None:
        raise FixConfigurationError("the server does not tell its settings")
    fsync, full_pages, synchronous, standbys, encoding, standby = found
    where = "database.url"
    if standby:
        raise FixConfigurationError("the server is a standby and cannot be written", where=where)
    if encoding != "UTF8":
        raise FixConfigurationError(f"the database holds {encoding}, not UTF8", where=where)
    hint = "turn it on for this server, database and user"
    if fsync != "on":
        raise UnsafeStoreError("fsync is off: a power cut would lose acknowledged commits", where=where, hint=hint)
    if full_pages != "on":
        raise UnsafeStoreError("full_page_writes is off: a power cut could destroy pages", where=where, hint=hint)
    if synchronous == "off" or (synchronous == "local" and standbys):
        raise UnsafeStoreError(
            f"synchronous_commit is {synchronous}: acknowledged commits could be lost", where=where, hint=hint
        )


async def stored_version(connection: Connection) -> int:
    """The newest step applied to the database's current schema; 0 for an empty one.

    Raises:
        FixConfigurationError: It has tables, but not those of a ledger.
    """
    listed = await connection.execute(b"SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    tables = {name for (name,) in await listed.fetchall()}
    if "schema_versions" in tables:
        newest = await (await connection.execute(b"SELECT coalesce(max(version), 0) FROM schema_versions")).fetchone()
        return int(newest[0]) if newest else 0
    if tables:
        raise FixConfigurationError("the database holds something else than a ledger", hint="name another database")
    return 0


async def oldest_code(connection: Connection) -> int:
    """The oldest schema version whose code can work with the database, which has a ledger's schema or is empty."""
    if not await stored_version(connection):
        return 0
    # As JSON: the first schemas had no such column.
    told = b"coalesce((to_jsonb(applied) ->> 'oldest_code')::int8, version)"
    found = await (await connection.execute(b"SELECT max(" + told + b") FROM schema_versions AS applied")).fetchone()
    return int(found[0]) if found else 0


async def migrate_postgres(connection: Connection, known: Sequence[Migration] | None = None) -> tuple[Migration, ...]:
    """Bring the database to the newest schema; each step takes place whole or not at all, in one process only.

    Args:
        connection: In autocommit mode.
        known: The steps to apply in place of the released ones.

    Returns:
        The steps that were applied here.

    Raises:
        FixConfigurationError: The schema is too new for this code, or the database is no ledger.
        psycopg.Error: A step failed and was rolled back.
    """
    steps = migrations("postgres") if known is None else known
    applied = []
    limits = ["statement_timeout", "lock_timeout"]
    if connection.info.server_version >= 170000:
        limits.append("transaction_timeout")
    while await _waiting(connection, steps):
        async with connection.transaction():
            for name in limits:  # a long record takes long to change, here or in another process
                await connection.execute(f"SET LOCAL {name} = 0".encode())
            await connection.execute(f"SELECT pg_advisory_xact_lock({_MIGRATING})".encode())
            await connection.execute(f"SET LOCAL lock_timeout = '{_SESSION['lock_timeout']}'".encode())
            waiting = await _waiting(connection, steps)  # another process may have been first
            if not waiting:
                break
            step = waiting[0]
            await connection.execute(_HOLD_WRITERS, prepare=False)
            await connection.execute(
                b"CREATE TABLE IF NOT EXISTS schema_versions (version bigint NOT NULL PRIMARY KEY, name text NOT NULL)"
            )
            await connection.execute(step.sql.encode(), prepare=False)  # several statements
            await connection.execute(
                b"INSERT INTO schema_versions (version, name) VALUES ($1, $2)", (step.version, step.name)
            )
            if step.oldest_code is not None:
                note = b"UPDATE schema_versions SET oldest_code = $1 WHERE version = $2"
                await connection.execute(note, (step.oldest_code, step.version))
            applied.append(step)
    return tuple(applied)


async def _waiting(connection: Connection, known: Sequence[Migration]) -> Sequence[Migration]:
    return pending(known, await stored_version(connection), await oldest_code(connection))


async def is_older(connection: Connection, known: Sequence[Migration] | None = None) -> bool:
    """Whether steps wait to be applied.

    Args:
        connection: In autocommit mode.
        known: The steps to look for in place of the released ones.

    Raises:
        FixConfigurationError: The schema is too new for this code, or the database is no ledger.
    """
    return bool(await _waiting(connection, migrations("postgres") if known is None else known))
