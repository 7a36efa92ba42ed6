"""Group commit: everything that waits becomes one transaction, sent in one go, and each caller is woken after it.

A batch is one round trip: lock the writer's row, lock the rows of the operators concerned in order, one statement for
each wave, commit. Because a batch holds its operators' rows, batches of one operator follow each other even between
processes: positions follow commits, and what the guards saw is still so at the commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, TypeVar

import psycopg
from attrs import define

from croupier.contract.errors import CroupierError, FixConfigurationError, LedgerCorruptError
from croupier.ledger.mapping import EXCHANGES, Value
from croupier.ledger.port import Backlog, BatchEnd, Change, CommitResult, OnBatch
from croupier.ledger.postgres_batch import Asked, ask
from croupier.ledger.postgres_connection import WritingConnection
from croupier.ledger.postgres_open import Connection, unavailable
from croupier.ledger.postgres_partitions import check_calendar
from croupier.ledger.postgres_transaction import UNHELD, Batch, Outcome, is_fault, is_fenced_off, is_passing
from croupier.ledger.records import ExchangeRow
from croupier.ledger.waiting_exchanges import WaitingExchanges

Result = TypeVar("Result")

_ATTEMPTS = 8
_PAUSE_SECONDS = 0.01


@define(eq=False)
class _Waiting:
    """What waits, and whom to tell."""

    work: Asked | Callable[[Connection], Awaitable[Any]]
    told: asyncio.Future[Any]

    def tell(self, outcome: Any) -> None:
        if self.told.done():
            return  # its caller was cancelled: what is recorded stays recorded
        if isinstance(outcome, Exception):
            self.told.set_exception(outcome)
        else:
            self.told.set_result(outcome)


class GroupWriter:
    """The queue before the connection that writes.

    Args:
        connection: The connection, open.
        max_batch: The most changes in one transaction.
        max_exchanges_waiting: The most exchanges that wait; those beyond are dropped and counted.
        exchange_delay: The most seconds for which exchanges wait for others, to be stored together.
        patience: Seconds for which a batch whose COMMIT was lost is asked after, should the server be away.
        on_batch: Is told of every batch with changes.

    Attributes:
        exchanges: What waits to be stored with one of the next batches.
    """

    def __init__(
        self,
        connection: WritingConnection,
        *,
        max_batch: int,
        max_exchanges_waiting: int,
        exchange_delay: float,
        patience: float,
        on_batch: OnBatch,
    ) -> None:
        self._connection = connection
        self._max_batch = max_batch
        self._patience = patience
        self._on_batch = on_batch
        self._queue: deque[_Waiting] = deque()
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self.exchanges = WaitingExchanges(
            _exchange_values, most=max_exchanges_waiting, delay=exchange_delay, begin=self._wake
        )

    def backlog(self) -> Backlog:
        """What waits, and what was dropped."""
        return Backlog(changes=len(self._queue), exchanges=len(self.exchanges), dropped=self.exchanges.dropped)

    async def commit(self, change: Change) -> CommitResult:
        """Apply a change with the next batch; returns after it is durable."""
        result: CommitResult = await self._put(ask(change))
        return result

    async def write(self, command: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Carry out a command that commits by itself and may be repeated, in its turn.

        Raises:
            StoreUnavailableError: It is not known to have taken place.
            LedgerCorruptError: What it found cannot be read.
            CroupierError: What the command raised.
        """
        result: Result = await self._put(command)
        return result

    async def _put(self, work: Asked | Callable[[Connection], Awaitable[Any]]) -> Any:
        waiting = _Waiting(work, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wake()
        return await waiting.told

    async def close(self) -> None:
        """Store what waits."""
        self.exchanges.close()
        self._wake()
        while self._task:
            await asyncio.wait([self._task])
        self.exchanges.give_up()

    def _wake(self) -> None:
        """Begin once everything that is ready in this turn of the loop has queued up."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            going = True
            while self._queue or (going and self.exchanges.ready):
                going = await self._turn()
        finally:
            self._task = None
        self.exchanges.wait()

    async def _turn(self) -> bool:
        """Carry out the next batch or command; false if the store is not available."""
        if self._queue and not isinstance(command := self._queue[0].work, Asked):
            waiting = self._queue.popleft()
            waiting.tell(await self._carry_out(command))
            return True
        batch: list[_Waiting] = []
        changes: list[Asked] = []
        while self._queue and len(batch) < self._max_batch and isinstance(work := self._queue[0].work, Asked):
            batch.append(self._queue.popleft())
            changes.append(work)
        exchanges = self.exchanges.take()
        self._number += 1
        stored = Batch(self._number, changes, exchanges)
        outcomes: Sequence[Outcome]
        available = durable = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcomes = await self._persist(stored)
            self.exchanges.dropped += stored.dropped
        except CroupierError as error:
            available = durable = False
            self.exchanges.put_back(exchanges)
            outcomes = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 # what waits behind a fault is not to blame for it
            durable = False
            loop.call_exception_handler({"message": "the writer failed", "exception": error})
            await self._connection.drop()  # what it has begun would take in what comes next, and never end
            self.exchanges.dropped += len(exchanges)
            outcomes = [LedgerCorruptError(f"the writer failed: {type(error).__name__}")] * len(batch)
        if changes:
            self._on_batch(BatchEnd(changes=len(changes), seconds=loop.time() - began, durable=durable))
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.tell(outcome)
        return available

    async def _carry_out(self, command: Callable[[Connection], Awaitable[Any]]) -> Any:
        """A command's result or error; once more on a new connection if the old one is lost."""
        for last in (False, True):
            try:
                return await command(await self._connection.get())
            except CroupierError as refusal:
                return refusal
            except (psycopg.Error, OSError) as error:
                await self._connection.drop()
                if last:
                    return unavailable(error)
            except Exception as error:  # noqa: BLE001 # whatever it was, its caller must not wait for ever
                await self._connection.drop()
                failure = LedgerCorruptError(f"the writer failed: {type(error).__name__}")
                failure.__cause__ = error
                return failure
        raise AssertionError  # the loop returns

    async def _persist(self, batch: Batch) -> Sequence[Outcome]:
        """Store a batch, and find out what became of it if the connection was lost within.

        Raises:
            StoreUnavailableError: Nothing of it is durable; or the server stayed away for longer than `patience` after
                the connection was lost, and nobody can tell.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        sent = False
        for attempt in count(1):
            try:
                wire = await self._connection.wire()
                if sent and self._connection.last.number == batch.number:
                    return batch.recall(self._connection.last.outcomes)
                if missing := self._connection.partitions.missing(batch.times):
                    await self._connection.partitions.make(await self._connection.get(), missing)
                sent = True
                return await batch.store(wire, self._connection)
            except FixConfigurationError as error:  # the settings of the server that was found now
                raise unavailable(error) from error
            except (psycopg.Error, OSError, *UNHELD) as error:
                if await self._connection.roll_back():
                    sent = False
                    if is_fault(error) and not batch.apart:
                        batch.apart = True
                        continue
                    if is_fenced_off(error):
                        await self._connection.drop()
                    again = (is_passing(error) or is_fenced_off(error)) and attempt < _ATTEMPTS
                else:
                    again = sent and loop.time() < deadline
                if not again:
                    await self._connection.drop()
                    raise unavailable(error) from error
            await asyncio.sleep(min(_PAUSE_SECONDS * attempt, 1.0))
        raise AssertionError  # `count` does not end


def _exchange_values(exchange: ExchangeRow) -> list[Value]:
    check_calendar(exchange.started_at)
    return EXCHANGES.values(exchange)
