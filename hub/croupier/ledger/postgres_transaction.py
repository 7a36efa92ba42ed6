"""One batch as one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson
import psycopg
from attrs import define
from psycopg.pq.abc import PGresult

from croupier.contract.errors import CroupierError, LedgerCorruptError
from croupier.ledger.mapping import EXCHANGES, Value
from croupier.ledger.port import CommitResult
from croupier.ledger.postgres_batch import Asked, wave_parameters, waves
from croupier.ledger.postgres_connection import WritingConnection
from croupier.ledger.postgres_open import DISCARD_PLANS
from croupier.ledger.postgres_statements import (
    ENSURE_OPERATORS,
    INSERT_EXCHANGES,
    LOCK_OPERATORS,
    LOCK_WRITER,
    wave,
)
from croupier.ledger.postgres_values import json_rows, json_texts
from croupier.ledger.postgres_wire import Step, Wire

Outcome = CommitResult | CroupierError

UNHELD = (TypeError, ValueError)
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

    async def store(self, wire: Wire, writing: WritingConnection) -> Sequence[Outcome]:
        """Store it; returns after the commit.

        Args:
            wire: To the server.
            writing: What it belongs to.

        Raises:
            psycopg.Error: It was not stored, or the connection was lost and nobody knows.
            TypeError, ValueError: A change holds what no column can.
        """
        operators = sorted({asked.change.operator for asked in self.changes})
        new = [operator for operator in operators if operator not in writing.operators]
        self._known = None
        locks = _locks(writing, operators, new)
        own = (writing.writer.encode(), b"%d" % self.number)
        if self.apart:
            outcomes = await self._store_apart(wire, locks, own)
        else:
            if writing.plans.are_old(wire):
                locks.insert(0, (DISCARD_PLANS, ()))
            outcomes = await self._store_together(wire, locks, own)
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

    async def _store_together(self, wire: Wire, locks: list[Step], own: tuple[bytes, bytes]) -> Sequence[Outcome]:
        """Everything in one go, which is one transaction with one answer to wait for."""
        steps = list(locks)
        for changes in waves(self.changes):
            parts, rows = wave_parameters(changes)
            steps.append((wave(parts, first=len(steps) == len(locks)), (*own, *rows)))
        end = len(steps)
        if exchanges := self._exchange_rows():
            steps.append((INSERT_EXCHANGES, (exchanges,)))
        results = await wire.run(steps)
        told = [number for result in results[len(locks) : end] for number in _outcomes(result)]
        return [asked.outcome(number) for asked, number in zip(self.changes, told, strict=True)]

    def _exchange_rows(self) -> bytes | None:
        if not self.exchanges:
            return None
        try:
            return json_rows(self.exchanges)
        except UNHELD:
            held = [row for row in self.exchanges if _can_be_held(row)]
            self.dropped = len(self.exchanges) - len(held)
            return json_rows(held) if held else None

    async def _store_apart(self, wire: Wire, locks: list[Step], own: tuple[bytes, bytes]) -> Sequence[Outcome]:
        """Each change for itself, so that the one at fault fails alone."""
        await wire.run([(b"BEGIN", ()), *locks])
        outcomes: list[Outcome] = []
        first = True
        for asked in self.changes:
            try:
                outcome = await _store_one(wire, asked, own, first=first)
                first = False
            except LedgerCorruptError as error:
                outcome = error
            outcomes.append(outcome)
        self.dropped = 0
        for row in self.exchanges:
            try:
                await _under_savepoint(wire, (INSERT_EXCHANGES, (json_rows([row]),)))
            except (psycopg.Error, *UNHELD) as error:
                if not is_fault(error):
                    raise
                self.dropped += 1
        self._known = outcomes
        (ended,) = await wire.run([(b"COMMIT", ())])
        if ended.command_status != b"COMMIT":  # it says ROLLBACK, and no error, of a transaction that has failed
            raise psycopg.errors.InFailedSqlTransaction
        return outcomes


async def _store_one(wire: Wire, asked: Asked, own: tuple[bytes, bytes], *, first: bool) -> Outcome:
    fault: Exception | None = None
    for _ in range(2):  # what another writer has just stored without the operator's lock is seen the second time
        try:
            parts, rows = wave_parameters([asked])
            (number,) = _outcomes(await _under_savepoint(wire, (wave(parts, first=first), (*own, *rows))))
            return asked.outcome(number)
        except (psycopg.Error, *UNHELD) as error:
            if not is_fault(error):
                raise
            fault = error
    code = fault.sqlstate if isinstance(fault, psycopg.Error) else type(fault).__name__
    raise LedgerCorruptError(f"the ledger refuses a write that it should hold: {code}") from fault


def _locks(writing: WritingConnection, operators: list[str], new: list[str]) -> list[Step]:
    """Lock the writer's row, then those of the operators, in order."""
    steps: list[Step] = [(LOCK_WRITER, (writing.writer.encode(), b"%d" % writing.fence))]
    if new:
        steps.append((ENSURE_OPERATORS, (json_texts(new),)))
    if operators:
        steps.append((LOCK_OPERATORS, (json_texts(operators),)))
    return steps


async def _under_savepoint(wire: Wire, step: Step) -> PGresult:
    try:
        _, result, _ = await wire.run([(b"SAVEPOINT one", ()), step, (b"RELEASE one", ())])
    except BaseException:
        with suppress(psycopg.Error):
            await wire.run([(b"ROLLBACK TO one", ())])
        raise
    return result


def _outcomes(result: PGresult) -> list[int]:
    """The numbers of the array that a wave's statement gives."""
    numbers: list[int] = orjson.loads(b"[%s]" % (result.get_value(0, 0) or b"{}")[1:-1])
    return numbers


def _can_be_held(row: Sequence[Value]) -> bool:
    try:
        json_rows([row])
    except UNHELD:
        return False
    return True
