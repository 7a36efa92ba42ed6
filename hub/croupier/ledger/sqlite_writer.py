"""Group commit: everything that waits becomes one transaction, and each caller is woken after the commit.

Commands are applied on the event loop, and only the commit, which waits for the disk, is handed to a thread. A thread
that applied them would give up the interpreter lock at every statement and get it back from a busy loop
`sys.getswitchinterval()` later: with many bets at once that is seconds for one batch.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from croupier.contract.errors import CroupierError, LedgerCorruptError, StoreUnavailableError
from croupier.ledger.mapping import Value
from croupier.ledger.port import Backlog, BatchEnd, Change, CommitResult, OnBatch
from croupier.ledger.sqlite_commands import Work, apply_change
from croupier.ledger.sqlite_groups import Group
from croupier.ledger.sqlite_open import DAMAGED, is_undecodable, unavailable
from croupier.ledger.sqlite_statements import EXCHANGES, columns, sql
from croupier.ledger.waiting_exchanges import WaitingExchanges

Result = TypeVar("Result")

_BATCH = "SELECT batch FROM batches"
_STORE_BATCH = "UPDATE batches SET batch = ?"
_EXCHANGE = EXCHANGES.table.columns
_INSERT_EXCHANGE = sql(
    "INSERT OR IGNORE INTO exchanges (", columns((*_EXCHANGE, "movement_number")), ") VALUES (",
    ", ".join(f"?{place}" for place in range(1, len(_EXCHANGE) + 1)), ", (SELECT number FROM movements",
    f"WHERE operator = ?{_EXCHANGE.index('operator') + 1} AND movement = ?{_EXCHANGE.index('movement') + 1}))",
)  # fmt: skip
_FAULTS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


def _is_fault(error: Exception) -> bool:
    """Whether one of the commands is to blame, so that the others must be carried out without it."""
    return isinstance(error, _FAULTS) or is_undecodable(error)


class _Command(NamedTuple):
    """What waits: a change, or what else to do, and whom to tell."""

    apply: Callable[[Work], Any] | None
    change: Change | None
    told: asyncio.Future[Any]

    def carry_out(self, work: Work) -> Any:
        """Do it, alone."""
        if self.change is not None:
            return apply_change(work, self.change)
        assert self.apply is not None  # noqa: S101 # one of the two is given
        return self.apply(work)


class _FaultyCommandError(Exception):
    """A group was not as expected, or a command broke a constraint: the batch is to be applied again, one by one."""


def _committing_thread() -> ThreadPoolExecutor:
    """A thread that runs already: one that could not be started for the first commit would leave it without an end.

    Raises:
        StoreUnavailableError: The machine can start none now.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="croupier-ledger")
    try:
        executor.submit(int)
    except RuntimeError as error:
        raise unavailable(error) from error
    return executor


class GroupWriter:
    """The one connection that writes, and the queue before it.

    Args:
        connect: Opens the writing connection.
        threaded: Whether the commit runs in a thread; otherwise on the event loop, for runs that must be repeatable.
        max_batch: The most commands in one transaction, which bounds how long the event loop is held.
        max_exchanges_waiting: The most exchanges that wait; those beyond are dropped and counted.
        exchange_delay: Seconds until waiting exchanges are stored without a command's commit (threaded only).
        on_batch: Is told of every batch with commands.

    Attributes:
        exchanges: What waits to be stored with one of the next batches.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        threaded: bool,
        max_batch: int,
        max_exchanges_waiting: int,
        exchange_delay: float,
        on_batch: OnBatch,
    ) -> None:
        self._connect = connect
        self._executor = _committing_thread() if threaded else None
        self._connection = connect()
        self._max_batch = max_batch
        self._on_batch = on_batch
        self._commands: deque[_Command] = deque()
        self._busy = False
        self._began = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self.exchanges = WaitingExchanges(
            EXCHANGES.table.values,
            most=max_exchanges_waiting,
            delay=exchange_delay if threaded else None,
            begin=lambda: self._wake(asyncio.get_running_loop()),
        )

    def backlog(self) -> Backlog:
        """What waits, and what was dropped."""
        return Backlog(changes=len(self._commands), exchanges=len(self.exchanges), dropped=self.exchanges.dropped)

    def commit(self, change: Change) -> asyncio.Future[CommitResult]:
        """Apply a change with the next batch, in a group if it can be; done after it is durable.

        Raises:
            StoreUnavailableError: Nothing of it is durable.
            LedgerCorruptError: It breaks a rule that versions and keys do not judge; nothing of it is durable.
        """
        return self._wait_for(None, change)

    def write(self, command: Callable[[Work], Result]) -> asyncio.Future[Result]:
        """Apply a command with the next batch; done after it is durable.

        Raises:
            StoreUnavailableError: Nothing of it is durable.
            LedgerCorruptError: It breaks a constraint that its checks should have met; nothing of it is durable.
            CroupierError: What the command raised.
        """
        return self._wait_for(command, None)

    def _wait_for(self, command: Callable[[Work], Any] | None, change: Change | None) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Any] = loop.create_future()
        self._commands.append(_Command(command, change, told))
        if not self._busy:
            self._wake(loop)
        return told

    async def close(self) -> None:
        """Write what waits, move the log into the database and close."""
        loop = asyncio.get_running_loop()
        self.exchanges.close()
        if self.exchanges.ready:
            self._wake(loop)
        await self._idle.wait()
        self.exchanges.give_up()
        if self._executor:
            await loop.run_in_executor(self._executor, self._close_connection)
            self._executor.shutdown()
        else:
            self._close_connection()

    def _close_connection(self) -> None:
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # the log is complete without it: the next start reads it
        finally:
            self._connection.close()

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a batch once everything that is ready in this turn of the loop has queued up."""
        if not self._busy:
            self._busy = True
            self._idle.clear()
            loop.call_soon(self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._began = loop.time()
        commands = [self._commands.popleft() for _ in range(min(len(self._commands), self._max_batch))]
        exchanges = self.exchanges.take()
        try:
            batch, outcomes = self._apply(commands, exchanges)
        except sqlite3.Error as error:
            self._roll_back()
            self._finish(loop, commands, [unavailable(error)] * len(commands), exchanges, durable=False)
            return
        except BaseException as error:
            self._roll_back()
            fault = LedgerCorruptError(f"the writer failed: {error!r}")
            self._finish(loop, commands, [fault] * len(commands), [], durable=False)
            raise
        if self._executor is None:
            self._conclude(loop, commands, outcomes, exchanges, self._commit(batch))
            return
        committing = loop.run_in_executor(self._executor, self._commit, batch)
        committing.add_done_callback(lambda done: self._conclude(loop, commands, outcomes, exchanges, done.result()))

    def _conclude(
        self,
        loop: asyncio.AbstractEventLoop,
        commands: Sequence[_Command],
        outcomes: Sequence[Any],
        exchanges: list[list[Value]],
        error: StoreUnavailableError | None,
    ) -> None:
        if error is None:
            self._finish(loop, commands, outcomes, [], durable=True)
        else:
            self._finish(loop, commands, [error] * len(commands), exchanges, durable=False)

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        commands: Sequence[_Command],
        outcomes: Sequence[Any],
        unstored: list[list[Value]],
        *,
        durable: bool,
    ) -> None:
        """Tell every caller, and begin the next batch if something waits."""
        if commands:
            self._on_batch(BatchEnd(changes=len(commands), seconds=loop.time() - self._began, durable=durable))
        for command, outcome in zip(commands, outcomes, strict=True):
            if command.told.done():
                continue  # its caller was cancelled: what is recorded stays recorded
            if isinstance(outcome, Exception):
                command.told.set_exception(outcome)
            else:
                command.told.set_result(outcome)
        self.exchanges.put_back(unstored)
        self._busy = False
        if self._commands or (self.exchanges.ready and not unstored):
            self._wake(loop)
            return
        self._idle.set()
        self.exchanges.wait()

    def _apply(self, commands: Sequence[_Command], exchanges: list[list[Value]]) -> tuple[int, list[Any]]:
        """Do everything but the commit; returns the batch's number (0 if nothing was written) and the outcomes."""
        if self._connection.in_transaction:
            self._roll_back()  # which failed when the trouble began
        try:
            return self._attempt(commands, exchanges, self._together)
        except _FaultyCommandError:
            self._roll_back()
            return self._attempt(commands, exchanges, self._apart)

    def _attempt(
        self,
        commands: Sequence[_Command],
        exchanges: list[list[Value]],
        carry_out: Callable[[Work, Sequence[_Command]], list[Any]],
    ) -> tuple[int, list[Any]]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        before = connection.total_changes
        work = Work(connection)
        outcomes = carry_out(work, commands)
        self._store_exchanges(work, exchanges)
        if connection.total_changes == before:
            return 0, outcomes
        work.store_places()
        batch = work.one(_BATCH, ())[0] + 1
        work.execute(_STORE_BATCH, (batch,))
        return batch, outcomes

    @staticmethod
    def _together(work: Work, commands: Sequence[_Command]) -> list[Any]:
        """Carry out commands, as many changes as possible in groups."""
        group = Group(work)
        outcomes: dict[int, Any] = {}

        def alone(places: Sequence[int]) -> None:
            for place in places:
                try:
                    outcomes[place] = commands[place].carry_out(work)
                except CroupierError as refusal:
                    outcomes[place] = refusal

        try:
            for place, command in enumerate(commands):
                if command.change is None or not group.add(place, command.change):
                    alone([*group.write(outcomes), place])
            alone(group.write(outcomes))
        except sqlite3.Error as error:
            if _is_fault(error):
                raise _FaultyCommandError from error
            raise
        except Exception as error:
            raise _FaultyCommandError from error
        return [outcomes[place] for place in range(len(commands))]

    def _apart(self, work: Work, commands: Sequence[_Command]) -> list[Any]:
        """Carry out commands one by one, each to be undone alone."""
        return [self._step_apart(work, command) for command in commands]

    @staticmethod
    def _step_apart(work: Work, command: _Command) -> Any:
        work.execute("SAVEPOINT command")
        try:
            outcome = command.carry_out(work)
        except CroupierError as refusal:
            outcome = refusal
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not _is_fault(error):
                raise
            work.execute("ROLLBACK TO command")
            what = DAMAGED if is_undecodable(error) else error
            outcome = LedgerCorruptError(f"the ledger refuses a write that it should hold: {what}")
            outcome.__cause__ = error
        work.execute("RELEASE command")
        return outcome

    def _store_exchanges(self, work: Work, exchanges: list[list[Value]]) -> None:
        """A message that cannot be stored never costs the money of its batch."""
        if not exchanges:
            return
        try:
            work.executemany(_INSERT_EXCHANGE, exchanges)
        except (*_FAULTS, ValueError, OverflowError):
            for exchange in exchanges:  # those that are stored already are passed over
                try:
                    work.execute(_INSERT_EXCHANGE, exchange)
                except (*_FAULTS, ValueError, OverflowError):
                    self.exchanges.dropped += 1

    def _commit(self, batch: int) -> StoreUnavailableError | None:
        """Commit; an error that leaves it open whether that took place is settled by reading the batch's number."""
        try:
            self._connection.execute("COMMIT")
            return None
        except sqlite3.Error as error:
            self._roll_back()
            if self._connection.in_transaction:
                return unavailable(error)  # it would read its own number, which is not durable
            try:
                if batch and self._connection.execute(_BATCH).fetchone()[0] == batch:
                    return None
            except sqlite3.Error:
                pass
            return unavailable(error)

    def _roll_back(self) -> None:
        """End the transaction, on a new connection if the old one cannot."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass
        if not self._connection.in_transaction:
            return
        try:
            fresh = self._connect()
        except (sqlite3.Error, CroupierError):
            return
        self._connection.close()
        self._connection = fresh
