"""The one connection of a process that writes, and the proof of what a lost one has done.

Each process has a row in `writers`. A batch writes its number and outcomes there, in its own transaction. When a
connection is lost, a new one raises the row's fence, which waits for the old transaction if that is still at work and
makes any that begins later fail. What the row then says is final: either it has the batch's number and the batch is
durable, or it has not and never will.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

import psycopg
from attrs import frozen
from psycopg.pq import Format

from croupier.ledger.postgres_open import Connection, Plans, check_settings, connect
from croupier.ledger.postgres_partitions import Partitions
from croupier.ledger.postgres_wire import Wire

_TERMINATE = (
    b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    b" WHERE application_name = $1::text AND usename = current_user AND pid <> pg_backend_pid()"
)
_RAISE = b"UPDATE writers SET fence = $2::int8, seen_at = now() WHERE writer = $1::text RETURNING batch, outcomes"
_ENTER = b"INSERT INTO writers (writer, fence, batch, outcomes) VALUES ($1::text, $2::int8, 0, '{}')"
_KEEP_WAITING = b"SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false)"
"""From now on the connection's own: a server that reads its settings anew would change it under the batches."""

_LEAVE = b"DELETE FROM writers WHERE writer = $1::text"
_FORGET = b"DELETE FROM writers WHERE seen_at < now() - interval '30 days'"


_PATIENCE_SECONDS = 35.0
"""Longer than a statement may take (`statement_timeout`)."""


@frozen
class LastBatch:
    """What the database holds of a writer's last batch.

    Attributes:
        number: Its number; 0 if there was none.
        outcomes: What became of its changes, in order.
    """

    number: int
    outcomes: Sequence[int]


class WritingConnection:
    """The connection that writes.

    Args:
        url: Of the database.
        lost: Called when the connection had to be opened again: the server may be another one since.

    Attributes:
        writer: This process's name in `writers`.
        fence: What the row must say for the present connection to write.
        last: What the database held of the last batch when the present connection was opened.
        partitions: Which partitions there are, as far as the present connection knows.
        plans: When its plans are to be made anew.
        operators: Those that certainly have their row in `operator_positions`.
    """

    def __init__(self, url: str, lost: Callable[[], None] = lambda: None) -> None:
        self._url = url
        self._lost = lost
        self._connection: Connection | None = None
        self._wire: Wire | None = None
        self.writer = uuid4().hex
        self.fence = 0
        self.last = LastBatch(0, ())
        self.partitions = Partitions()
        self.operators: set[str] = set()
        self.plans = Plans()

    async def get(self) -> Connection:
        """The connection, a new one if there is none.

        Raises:
            UnsafeStoreError: The server's settings are not safe (any more).
            psycopg.Error: There is no connection.
        """
        if self._wire:
            self._wire.rest()
        return self._connection or await self._open()

    async def wire(self) -> Wire:
        """The way of batches to the same connection, a new one if there is none.

        Raises:
            UnsafeStoreError: The server's settings are not safe (any more).
            psycopg.Error: There is no connection.
        """
        if self._wire is None:
            self._wire = Wire(self._connection or await self._open(), Format.TEXT, _PATIENCE_SECONDS)
        return self._wire

    async def _open(self) -> Connection:
        """From now on no earlier connection of this process can write."""
        name = f"croupier-writer-{self.writer}"
        connection = await connect(self._url, name)
        try:
            connection.prepare_threshold = None  # psycopg would forget the statements of `Wire` together with its own
            await connection.execute(_KEEP_WAITING)
            await check_settings(connection)
            await connection.execute(_TERMINATE, (name,))
            self.last = await self._take_over(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self.partitions, self.operators = Partitions(), set()  # another server may not have them
        if self.fence > 1:
            self._lost()
        return connection

    async def _take_over(self, connection: Connection) -> LastBatch:
        self.fence += 1
        own = (self.writer, self.fence)
        found = await (await connection.execute(_RAISE, own)).fetchone()
        if found:
            return LastBatch(*found)
        await connection.execute(_ENTER, own)
        return LastBatch(0, ())

    async def make_ready(self) -> None:
        """What is done once at the start: partitions ahead, and forgetting processes that are long gone."""
        connection = await self.get()
        await connection.execute(_FORGET)
        await self.partitions.make_ahead(connection)

    async def roll_back(self) -> bool:
        """End the transaction of a statement that failed; false, and no connection, if that is not possible."""
        if self._connection and not self._connection.closed:
            if self._wire:
                self._wire.rest()
            try:
                await self._connection.rollback()
            except psycopg.Error:
                pass
            else:
                return True
        await self.drop()
        return False

    async def drop(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        wire, self._wire = self._wire, None
        if wire:
            wire.close()
        if connection:
            await connection.close()

    async def close(self) -> None:
        """Take leave of the database."""
        if self._connection:
            with suppress(psycopg.Error):  # without it the row is forgotten later
                await (await self.get()).execute(_LEAVE, (self.writer,))
        await self.drop()
