"""The ledger in one SQLite file: nothing to install, for one process.

WAL with `synchronous=FULL`: an acknowledged commit survives a power cut. Exactly one connection writes and checkpoints;
another, that cannot write, reads. A lock file beside the database keeps a second hub away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from attrs import evolve

from croupier.contract.errors import FixConfigurationError, UnsafeStoreError
from croupier.ledger import migrations, sqlite_commands, sqlite_open
from croupier.ledger.changes import claimed_sink
from croupier.ledger.clock_marks import ClockMark
from croupier.ledger.mapping import to_json
from croupier.ledger.port import Backlog, Change, CommitResult, OnBatch, Owner, unheard
from croupier.ledger.records import AliasRow, DeliveryRow, ExchangeRow, MovementRow, PlayerRow, SinkRow
from croupier.ledger.sqlite_commands import Work
from croupier.ledger.sqlite_open import unavailable
from croupier.ledger.sqlite_reader import SqliteReads
from croupier.ledger.sqlite_statements import (
    ALIASES,
    ANY_DUE,
    ANY_ORPHANED,
    PLAYERS,
    SELECT_ALIAS,
    SELECT_PLAYER,
    claim_parameters,
)
from croupier.ledger.sqlite_writer import GroupWriter

Result = TypeVar("Result")


class SqliteLedger(SqliteReads):
    """`croupier.ledger.port.Ledger` in a SQLite file. It belongs to the event loop that started it.

    Args:
        path: The database file; made if it does not exist.
        threaded: Whether commits wait for the disk in a thread. Without, everything happens on the event loop in an
            order that depends on nothing but the calls: two runs leave equal databases.
        migrate: Whether `start` brings an older schema up to date.
        max_batch: The most commands in one transaction.
        max_exchanges_waiting: The most exchanges that wait to be stored; those beyond are dropped and counted.
        exchange_delay: Seconds after which waiting exchanges are stored even if nothing else is (threaded only).
        on_batch: Is told of every transaction with changes or other commands.
        factory: The class of the writing connection.
        schema: The steps of the schema that this code is to know, in place of the released ones.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threaded: bool = True,
        migrate: bool = True,
        max_batch: int = 128,
        max_exchanges_waiting: int = 10_000,
        exchange_delay: float = 0.2,
        on_batch: OnBatch = unheard,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
        schema: Sequence[migrations.Migration] | None = None,
    ) -> None:
        self._path = Path(path)
        self._migrate = migrate
        self._schema = schema
        self._open_writer = partial(sqlite_open.open_writer, self._path, factory)
        self._make_writer = partial(
            GroupWriter,
            self._open_writer,
            threaded=threaded,
            max_batch=max_batch,
            max_exchanges_waiting=max_exchanges_waiting,
            exchange_delay=exchange_delay,
            on_batch=on_batch,
        )
        self._writer: GroupWriter | None = None
        self._lock: sqlite_open.FileLock | None = None
        self._dropped_before = 0

    def backlog(self) -> Backlog:
        now = self._writer.backlog() if self._writer else Backlog(changes=0, exchanges=0, dropped=0)
        return evolve(now, dropped=self._dropped_before + now.dropped)

    async def start(self) -> None:
        """Open, check safety settings and schema version, take the lock.

        Raises:
            UnsafeStoreError: The settings would lose acknowledged commits, or another hub holds the file.
            FixConfigurationError: The schema is too new for this code, or older and not to be migrated.
            StoreUnavailableError: The file cannot be read or written now.
        """
        if self._writer:
            return
        sqlite_open.check_library()
        if not self._path.parent.is_dir():
            raise UnsafeStoreError("the ledger's folder does not exist", where=str(self._path.parent))
        self._lock = sqlite_open.FileLock(self._path)
        try:
            self._prepare_schema()
            self._writer = self._make_writer()
            self._reader = sqlite_open.open_reader(self._path)
        except sqlite3.Error as error:
            await self.close()
            raise sqlite_open.cannot_open(error, self._path) from error
        except BaseException:
            await self.close()
            raise

    def _prepare_schema(self) -> None:
        connection = self._open_writer()
        try:
            known = migrations.migrations("sqlite") if self._schema is None else self._schema
            if not self._migrate and migrations.waiting(connection, known):
                raise FixConfigurationError(
                    "the ledger's schema is older than this code", where=str(self._path), hint="run `croupier migrate`"
                )
            if migrations.migrate_sqlite(connection, known):
                sqlite_open.sync_folder(self._path)
            sqlite_commands.end_leases(connection)
        finally:
            connection.close()

    async def close(self) -> None:
        writer, reader, lock = self._writer, self._reader, self._lock
        self._writer = self._reader = self._lock = None
        try:
            if reader:
                reader.close()
            if writer:
                await writer.close()
                self._dropped_before += writer.exchanges.dropped
        finally:
            if lock:
                lock.release()

    async def _write(self, command: Callable[[Work], Result]) -> Result:
        if self._writer is None:
            raise unavailable(RuntimeError("it is not open"))
        return await self._writer.write(command)

    async def register(self, name: str) -> Owner:
        return await self._write(lambda work: sqlite_commands.register(work, name))

    async def mark_clock(self, mark: ClockMark) -> None:
        await self._write(lambda work: sqlite_commands.mark_clock(work, mark))

    async def forget_clock(self) -> None:
        await self._write(sqlite_commands.forget_clock)

    async def commit(self, change: Change) -> CommitResult:
        if self._writer is None:
            raise unavailable(RuntimeError("it is not open"))
        return await self._writer.commit(change)

    async def claim_deliveries(
        self, owner: Owner, now: int, lease_ms: int, limit: int, *, apart_from: Sequence[str] = ()
    ) -> Sequence[DeliveryRow]:
        due = claim_parameters(now, limit) | {"apart_from": to_json(apart_from)}
        if not self._read(ANY_DUE, due | {"limit": min(limit, 1)}):
            return []  # idle workers ask often: that must not cost a commit
        return await self._write(lambda work: sqlite_commands.claim_deliveries(work, owner, due, now + lease_ms))

    async def claim_orphans(self, owner: Owner, now: int, lease_ms: int, limit: int) -> Sequence[MovementRow]:
        if not self._read(ANY_ORPHANED, claim_parameters(now, min(limit, 1))):
            return []
        return await self._write(lambda work: sqlite_commands.claim_orphans(work, owner, now, lease_ms, limit))

    async def claim_sink(
        self, owner: Owner, operator: str, sink: str, *, now: int, lease_ms: int, start: int
    ) -> SinkRow | None:
        row = claimed_sink(owner, operator, sink, now + lease_ms, start)
        return await self._write(lambda work: sqlite_commands.claim_sink(work, row, now))

    async def store_sink(self, row: SinkRow, epoch: int | None = None) -> bool:
        return await self._write(lambda work: sqlite_commands.store_sink(work, row, epoch))

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
        stored = self._first(PLAYERS, SELECT_PLAYER, (row.operator, row.operator_player))
        if stored:
            return stored
        return await self._write(lambda work: sqlite_commands.ensure_player(work, row))

    async def ensure_alias(self, row: AliasRow) -> AliasRow:
        stored = self._first(ALIASES, SELECT_ALIAS, (row.operator, row.connection, row.player))
        if stored:
            return stored
        return await self._write(lambda work: sqlite_commands.ensure_alias(work, row))
