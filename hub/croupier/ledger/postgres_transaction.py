"""One batch as one transaction."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from attrs import define

from croupier.contract.errors import CroupierError, LedgerCorruptError
from croupier.ledger.mapping import EXCHANGES, Value
from croupier.ledger.port import CommitResult
from croupier.ledger.postgres_arrays import Texts
from croupier.ledger.postgres_batch import Asked, wave_parameters, waves
from croupier.ledger.postgres_connection import WritingConnection
from croupier.ledger.postgres_open import DISCARD_PLANS, Connection
from croupier.ledger.postgres_statements import (
    ENSURE_OPERATORS,
    INSERT_EXCHANGES,
    LOCK_OPERATORS,
    LOCK_WRITER,
    exchange_arrays,
    wave,
)

Outcome = CommitResult | CroupierError

UNHELD = (struct.error, TypeError, ValueError, AttributeError)
"""What a value raises that no column can hold, before it is sent."""

_STARTED_AT = EXCHANGES.columns.index("started_at")
_FENCED_OFF = "22012"


def is_fault(error: Exception) -> bool:
    """Whether one of the changes breaks a rule of the database, so that the others must be stored without it."""
    code = error.sqlstate or "" if isinstance(error, psycopg.Error) else ""
    return isinstance(error, UNHELD) or (code[:2] in {"22", "23", "54"} and code != _FENCED_OFF)


def is_passing(error: Exception) -> bool:
    """Whether the same transaction may succeed at once: it met another (serialization failure, deadlock)."""
    return isinstance(error, psycopg.Error) and error.sqlstate in {"40001", "40P01"}


def is_fenced_off(error: Exception) -> bool:
    """Whether the writer's row is not as this connection left it."""
    return isinstance(error, psycopg.Error) and error.sqlstate == _FENCED_OFF


@define(eq=False)
class Batch:
    """What is stored together.

    Attributes:
        number: Its number, unique for the writer.
        changes: Changes, in order.
        exchanges: The columns of exchanges.
        apart: Whether each change is stored under a savepoint of its own, after a first attempt has failed.
        dropped: How many exchanges could not be stored.
    """

    number: int
    changes: Sequence[Asked]
    exchanges: Sequence[list[Value]]
    apart: bool = False
    dropped: int = 0
    _known: list[Outcome] | None = None

    @property
    def times(self) -> set[Any]:
        """The times for which there must be partitions."""
        return {at for asked in self.changes for at in asked.times} | {row[_STARTED_AT] for row in self.exchanges}

    async def store(self, connection: Connection, writing: WritingConnection) -> Sequence[Outcome]:
        """Store it; returns after the commit.

        Args:
            connection: In autocommit mode.
            writing: What the connection belongs to.

        Raises:
            psycopg.Error: It was not stored, or the connection was lost and nobody knows.
            ValueError, TypeError, AttributeError, struct.error: A change holds what no column can.
        """
        operators = sorted({asked.change.operator for asked in self.changes})
        new = [operator for operator in operators if operator not in writing.operators]
        self._known = None
        store = self._store_apart if self.apart else self._store_together
        outcomes = await store(connection, writing, operators, new)
        writing.operators.update(new)
        return outcomes

    def recall(self, told: Sequence[int]) -> Sequence[Outcome]:
        """The outcomes of a batch that was stored although its answer was lost.

        Args:
            told: What the database holds of them.
        """
        if self._known is not None:
            return self._known
        return [asked.outcome(number) for asked, number in zip(self.changes, told, strict=True)]

    async def _store_together(
        self, connection: Connection, writing: WritingConnection, operators: list[str], new: list[str]
    ) -> Sequence[Outcome]:
        """Everything in one go, with one answer to wait for."""
        ready = [wave_parameters(changes) for changes in waves(self.changes)]
        exchanges = self._exchange_arrays()
        own = (writing.writer, self.number)
        cursors = []
        async with connection.pipeline():
            await connection.execute(b"BEGIN")
            if writing.plans.are_old(connection):
                await connection.execute(DISCARD_PLANS)
            await _lock(connection, writing, operators, new)
            for place, (parts, arrays) in enumerate(ready):
                cursor = connection.cursor(binary=True)
                await cursor.execute(wave(parts, first=place == 0), [*own, *arrays])
                cursors.append(cursor)
            if exchanges:
                await connection.execute(INSERT_EXCHANGES, exchanges)
            await connection.execute(b"COMMIT")
        told = [number for cursor in cursors for number in (await cursor.fetchall())[0][0]]
        return [asked.outcome(number) for asked, number in zip(self.changes, told, strict=True)]

    def _exchange_arrays(self) -> Sequence[Any]:
        if not self.exchanges:
            return ()
        try:
            return exchange_arrays(self.exchanges)
        except UNHELD:
            held = [row for row in self.exchanges if _can_be_held(row)]
            self.dropped = len(self.exchanges) - len(held)
            return exchange_arrays(held) if held else ()

    async def _store_apart(
        self, connection: Connection, writing: WritingConnection, operators: list[str], new: list[str]
    ) -> Sequence[Outcome]:
        """Each change for itself, so that the one at fault fails alone."""
        await connection.execute(b"BEGIN")
        await _lock(connection, writing, operators, new)
        outcomes: list[Outcome] = []
        first = True
        for asked in self.changes:
            try:
                outcome = await self._store_one(connection, writing, asked, first=first)
                first = False
            except LedgerCorruptError as error:
                outcome = error
            outcomes.append(outcome)
        self.dropped = 0
        for row in self.exchanges:
            try:
                await _under_savepoint(connection, INSERT_EXCHANGES, exchange_arrays([row]))
            except (psycopg.Error, *UNHELD) as error:
                if not is_fault(error):
                    raise
                self.dropped += 1
        self._known = outcomes
        await connection.execute(b"COMMIT")
        return outcomes

    async def _store_one(
        self, connection: Connection, writing: WritingConnection, asked: Asked, *, first: bool
    ) -> Outcome:
        fault: Exception | None = None
        for _ in range(2):  # what another writer has just stored without the operator's lock is seen the second time
            try:
                parts, arrays = wave_parameters([asked])
                parameters = [writing.writer, self.number, *arrays]
                found = await _under_savepoint(connection, wave(parts, first=first), parameters)
                return asked.outcome(found[0][0][0])
            except (psycopg.Error, *UNHELD) as error:
                if not is_fault(error):
                    raise
                fault = error
        code = fault.sqlstate if isinstance(fault, psycopg.Error) else type(fault).__name__
        raise LedgerCorruptError(f"the ledger refuses a write that it should hold: {code}") from fault


async def _lock(connection: Connection, writing: WritingConnection, operators: list[str], new: list[str]) -> None:
    """Lock the writer's row, then those of the operators, in order."""
    await connection.execute(LOCK_WRITER, (writing.writer, writing.fence))
    if new:
        await connection.execute(ENSURE_OPERATORS, (Texts(new),))
    if operators:
        await connection.execute(LOCK_OPERATORS, (Texts(operators),))


async def _under_savepoint(connection: Connection, statement: bytes, parameters: Sequence[Any]) -> list[Any]:
    await connection.execute(b"SAVEPOINT one")
    try:
        cursor = connection.cursor(binary=True)
        await cursor.execute(statement, parameters)
        found = await cursor.fetchall() if cursor.description else []
    except BaseException:
        with suppress(psycopg.Error):
            await connection.execute(b"ROLLBACK TO one")
        raise
    await connection.execute(b"RELEASE one")
    return found


def _can_be_held(row: Iterable[Any]) -> bool:
    try:
        exchange_arrays([list(row)])
    except UNHELD:
        return False
    return True
