"""The ledger in PostgreSQL: for many processes.

Each process has one connection that writes, in groups, and a pool that reads from the same server, so that what was
acknowledged is seen. The server must keep what it acknowledges: unsafe settings are refused at the start and whenever
a connection is made. The URL must lead to the server itself or to a pooler that keeps sessions apart.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, TypeVar

import attrs
import psycopg
from psycopg_pool import PoolTimeout

from croupier.contract.errors import ConflictError, FixConfigurationError
from croupier.ledger import mapping
from croupier.ledger.changes import claimed_sink, readable, tell_unreadable
from croupier.ledger.clock_marks import KEPT_MS, ClockMark
from croupier.ledger.mapping import Table
from croupier.ledger.migrations import Migration
from croupier.ledger.port import Backlog, Change, CommitResult, OnBatch, Owner, unheard
from croupier.ledger.postgres_connection import WritingConnection
from croupier.ledger.postgres_lookups import ALIAS_OF_PLAYER
from croupier.ledger.postgres_open import (
    Connection,
    check_settings,
    connect,
    is_older,
    migrate_postgres,
    unavailable,
    unreachable,
)
from croupier.ledger.postgres_reader import SELECT_ALIAS, SELECT_PLAYER, PostgresReads, parameter
from croupier.ledger.postgres_statements import (
    ANY_DUE,
    ANY_ORPHANED,
    CLAIM_DELIVERIES,
    CLAIM_MOVEMENTS,
    CLAIM_SINK,
    FORGET_CLOCK,
    STORE_MARK,
    STORE_SINK,
)
from croupier.ledger.postgres_values import json_texts, restored_row
from croupier.ledger.postgres_writer import GroupWriter
from croupier.ledger.records import AliasRow, DeliveryRow, ExchangeRow, MovementRow, PlayerRow, SinkRow
from croupier.ledger.sqlite_statements import columns, sql

Result = TypeVar("Result")
Row = TypeVar("Row", bound=attrs.AttrsInstance)

_REGISTER = b"INSERT INTO owners (epoch, name) SELECT coalesce(max(epoch), 0) + 1, $1::text FROM owners RETURNING epoch"


class PostgresLedger(PostgresReads):
    """`croupier.ledger.port.Ledger` in a PostgreSQL database. It belongs to the event loop that started it.

    Args:
        url: `postgresql://...`.
        migrate: Whether `start` brings an older schema up to date.
        max_batch: The most changes in one transaction.
        max_exchanges_waiting: The most exchanges that wait to be stored; those beyond are dropped and counted.
        exchange_delay: Seconds after which waiting exchanges are stored even if nothing else is.
        readers: The most connections that read.
        patience: Seconds for which a batch whose COMMIT was lost is asked after, should the server be away.
        on_batch: Is told of every transaction with changes.
        schema: The steps of the schema that this code is to know, in place of the released ones.
    """

    def __init__(
        self,
        url: str,
        *,
        migrate: bool = True,
        max_batch: int = 128,
        max_exchanges_waiting: int = 10_000,
        exchange_delay: float = 0.2,
        readers: int = 8,
        patience: float = 15.0,
        on_batch: OnBatch = unheard,
        schema: Sequence[Migration] | None = None,
    ) -> None:
        super().__init__()
        self._url = url
        self._migrate = migrate
        self._schema = schema
        self._readers = readers
        self._make_writer = partial(
            GroupWriter,
            max_batch=max_batch,
            max_exchanges_waiting=max_exchanges_waiting,
            exchange_delay=exchange_delay,
            patience=patience,
            on_batch=on_batch,
        )
        self._writing: WritingConnection | None = None
        self._writer: GroupWriter | None = None
        self._dropped_before = 0

    def backlog(self) -> Backlog:
        now = self._writer.backlog() if self._writer else Backlog(changes=0, exchanges=0, dropped=0)
        return attrs.evolve(now, dropped=self._dropped_before + now.dropped)

    async def start(self) -> None:
        """Open, check safety settings and schema version.

        Raises:
            UnsafeStoreError: The server's settings would lose acknowledged commits.
            FixConfigurationError: The schema is too new for this code, or older and not to be migrated; or the server
                is none that can be used.
            StoreUnavailableError: There is no connection now.
        """
        if self._writer:
            return
        try:
            await self._prepare_schema()
            self._writing = WritingConnection(self._url, self._renew_readers)
            await self._writing.make_ready()
            await self._open_readers(self._url, self._readers)
        except (psycopg.Error, PoolTimeout, OSError) as error:
            await self.close()
            raise unreachable(error) from error
        except BaseException:
            await self.close()
            raise
        self._writer = self._make_writer(self._writing)

    async def _prepare_schema(self) -> None:
        connection = await connect(self._url, "croupier-start")
        try:
            await check_settings(connection)
            if self._migrate:
                await migrate_postgres(connection, self._schema)
            elif await is_older(connection, self._schema):
                raise FixConfigurationError(
                    "the ledger's schema is older than this code", hint="run `croupier migrate`"
                )
        finally:
            await connection.close()

    async def close(self) -> None:
        writer, writing = self._writer, self._writing
        self._writer = self._writing = None
        try:
            if writer:
                await writer.close()
                self._dropped_before += writer.exchanges.dropped
        finally:
            if writing:
                await writing.close()
            await self._close_readers()

    def _open_writer(self) -> GroupWriter:
        if self._writer is None:
            raise unavailable(RuntimeError("it is not open"))
        return self._writer

    async def _write(self, command: Callable[[Connection], Awaitable[Result]]) -> Result:
        return await self._open_writer().write(command)

    async def register(self, name: str) -> Owner:
        return await self._write(lambda connection: _register(connection, name))

    async def mark_clock(self, mark: ClockMark) -> None:
        given = (mark.boot, mark.steady_ms, mark.ledger_ms, mark.database_ms, KEPT_MS)
        await self._write(lambda connection: _rows(connection, STORE_MARK, given))

    async def forget_clock(self) -> None:
        for statement in FORGET_CLOCK:
            await self._write(partial(_rows, statement=statement, parameters=()))

    async def commit(self, change: Change) -> CommitResult:
        return await self._open_writer().commit(change)

    async def claim_deliveries(
        self, owner: Owner, now: int, lease_ms: int, limit: int, *, apart_from: Sequence[str] = ()
    ) -> Sequence[DeliveryRow]:
        apart = json_texts(apart_from).decode()
        if not await self._read(ANY_DUE.decode(), (now, apart)):
            return []  # idle workers ask often: that must not wait for the writer
        parameters = (now, limit, owner.name, owner.epoch, now + lease_ms, apart)
        claimed = await self._write(lambda connection: _claim(connection, CLAIM_DELIVERIES, parameters))
        return readable(mapping.DELIVERIES, claimed)

    async def claim_orphans(self, owner: Owner, now: int, lease_ms: int, limit: int) -> Sequence[MovementRow]:
        if not await self._read(ANY_ORPHANED.decode(), (now,)):
            return []
        parameters = (now, limit, owner.name, owner.epoch, now + lease_ms)
        claimed = await self._write(lambda connection: _claim(connection, CLAIM_MOVEMENTS, parameters))
        return readable(mapping.MOVEMENTS, claimed)

    async def claim_sink(
        self, owner: Owner, operator: str, sink: str, *, now: int, lease_ms: int, start: int
    ) -> SinkRow | None:
        row = claimed_sink(owner, operator, sink, now + lease_ms, start)
        given = [*mapping.SINKS.values(row), now]
        found = await self._write(lambda connection: _rows(connection, CLAIM_SINK, given))
        return mapping.SINKS.row(found[0]) if found else None

    async def store_sink(self, row: SinkRow, epoch: int | None = None) -> bool:
        given = [*mapping.SINKS.values(row), epoch]
        return bool(await self._write(lambda connection: _rows(connection, STORE_SINK, given)))

    def note(self, exchange: ExchangeRow) -> None:
        if self._writer is None:
            self._dropped_before += 1
        else:
            self._writer.exchanges.put(exchange)

    async def ensure_player(self, row: PlayerRow) -> PlayerRow:
        """The vault's line of (`operator`, `operator_player`): the stored one, or this if there was none.

        Raises:
            ConflictError: The surrogate is another player's: draw a new one.
        """
        which = (row.operator, row.operator_player)
        stored = await self.player_by_operator_id(row.operator, row.operator_player)
        if stored:
            return stored
        kept = await self._write(lambda connection: _ensure(connection, mapping.PLAYERS, row, SELECT_PLAYER, which))
        if kept is None:
            raise ConflictError("the surrogate is another player's", hint="draw a new one")
        return kept

    async def ensure_alias(self, row: AliasRow) -> AliasRow:
        which = (row.operator, row.connection, row.player)
        stored = await self._looking().first(ALIAS_OF_PLAYER, *which)
        if stored:
            return stored
        kept = await self._write(lambda connection: _ensure(connection, mapping.ALIASES, row, SELECT_ALIAS, which))
        if kept is None:
            raise ConflictError("the alias is another player's", hint="draw a new one")
        return kept


async def _register(connection: Connection, name: str) -> Owner:
    while True:
        try:
            found = await _rows(connection, _REGISTER, (name,))
        except psycopg.errors.UniqueViolation:
            continue  # another process has just taken that epoch
        return Owner(name, found[0][0])


async def _claim(connection: Connection, statement: bytes, parameters: Sequence[Any]) -> list[list[Any]]:
    """The rows that were claimed, in the order in which they were due; without those whose text is damaged."""
    cursor = await _carried_out(connection, statement, parameters)
    try:
        found = [restored_row(row) for row in await cursor.fetchall()]
    except ValueError:
        found = [row async for row in _undamaged(cursor)]
    return [row for _, *row in sorted(found, key=itemgetter(0))]


async def _undamaged(cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> AsyncIterator[tuple[Any, ...]]:
    """The rows that can be read: a damaged page passes for a row."""
    for place in range(cursor.rowcount):
        await cursor.scroll(place, mode="absolute")
        try:
            row = await cursor.fetchone()
        except ValueError as error:
            tell_unreadable("owed work", error)
        else:
            if row is not None:
                yield restored_row(row)


async def _ensure(connection: Connection, table: Table[Row], row: Row, stored: str, which: Sequence[str]) -> Row | None:
    """The stored row, or this one if there was none; `None` if its key is another's."""
    insert = sql(
        "INSERT INTO", table.name, "(", columns(table.columns), ") VALUES (",
        ", ".join(f"${place}" for place in range(1, len(table.columns) + 1)), ") ON CONFLICT DO NOTHING",
    )  # fmt: skip
    await _rows(connection, insert.encode(), table.values(row))
    found = await _rows(connection, stored.encode(), which)
    return table.row(found[0]) if found else None


async def _rows(connection: Connection, statement: bytes, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    cursor = await _carried_out(connection, statement, parameters)
    return [restored_row(row) for row in await cursor.fetchall()] if cursor.description else []


async def _carried_out(
    connection: Connection, statement: bytes, parameters: Sequence[Any]
) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(statement, [parameter(value) for value in parameters])
    return cursor
