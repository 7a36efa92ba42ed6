"""Prepared statements sent in one go and answered in one go, on a connection of psycopg but below its cursors.

What a cursor does for one statement costs several times what libpq does; a batch of the ledger is a handful of
statements of few shapes, so that nothing of it is needed. What is sent together is one transaction, unless a statement
says otherwise: it ends where the answers end, and a statement that fails undoes those before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

from croupier.ledger.postgres_open import Connection

Step: TypeAlias = tuple[bytes, Sequence[bytes | None]]
"""A statement, and its parameters as text."""

_MOST_STATEMENTS = 500
_FINE = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})


class Wire:
    """One connection's way to the server. Between `start` and its answer nothing else may use the connection.

    Args:
        connection: In autocommit mode.
        answers: The form in which values come back.
        patience: After so many seconds without the whole answer the connection is lost: a host or a network that
            vanishes says no goodbye.
    """

    def __init__(self, connection: Connection, answers: Format, patience: float) -> None:
        self._pgconn = connection.pgconn
        self._answers = int(answers)
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None
        self._asked_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._listening = self._writing = self._lost = False
        self._names: dict[bytes, bytes] = {}
        self._prepared = 0
        self._told: Callable[[list[PGresult] | psycopg.Error], None] | None = None
        self._asked: list[bytes | None] = []
        self._results: list[PGresult] = []
        self._error: psycopg.Error | None = None

    async def run(self, steps: Sequence[Step]) -> list[PGresult]:
        """Carry out statements; their results.

        Raises:
            psycopg.Error: One failed, or the connection is lost.
        """
        answer: asyncio.Future[list[PGresult]] = self._loop.create_future()
        self.start(steps, partial(_tell, answer))
        try:
            return await answer
        except asyncio.CancelledError:
            self.close()  # nobody would read what the server still sends
            raise

    def start(self, steps: Sequence[Step], told: Callable[[list[PGresult] | psycopg.Error], None]) -> None:
        """Send statements.

        Args:
            steps: The statements.
            told: Given their results, or the first error, as soon as all is over.

        Raises:
            psycopg.Error: They could not be sent.
        """
        if self._lost or self._pgconn.status == ConnStatus.BAD:
            self.close()
            raise psycopg.OperationalError("the connection is lost")
        self._results, self._asked, self._error = [], [], None
        try:
            if not self._listening:
                self._loop.add_reader(self._socket, self._readable)
                self._listening = True
            self._send(steps)
        except RuntimeError as error:  # the event loop has let go of the socket, whose other end broke off
            self._loop.remove_reader(self._socket)  # the next one may have its number
            self.close()
            raise psycopg.OperationalError("the connection is lost") from error
        except BaseException:
            self.close()
            raise
        self._told = told
        self._asked_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._asked_at + self._patience, self._is_silent)

    def _is_silent(self) -> None:
        """One timer lasts for many questions: most are answered long before it ends, and then nobody has to stop it."""
        self._timer = None
        if self._told is None:
            return
        ends = self._asked_at + self._patience
        if self._loop.time() < ends:
            self._timer = self._loop.call_at(ends, self._is_silent)
        else:
            self._end(psycopg.OperationalError("the server does not answer"))

    def _send(self, steps: Sequence[Step]) -> None:
        connection = self._pgconn
        connection.enter_pipeline_mode()
        for statement, parameters in steps:
            name = self._names.get(statement) or self._prepare(statement)
            connection.send_query_prepared(name, parameters, None, self._answers)
            self._asked.append(None)
        connection.pipeline_sync()
        if connection.flush():
            self._loop.add_writer(self._socket, self._writable)
            self._writing = True

    def _prepare(self, statement: bytes) -> bytes:
        """A name for a statement; one that is not known to be free is never used again."""
        if len(self._names) >= _MOST_STATEMENTS:
            oldest = next(iter(self._names))
            self._pgconn.send_query_params(b"DEALLOCATE " + self._names.pop(oldest), None)
            self._asked.append(b"")
        self._prepared += 1
        name = b"wire_%d" % self._prepared
        self._pgconn.send_prepare(name, statement)
        self._asked.append(statement)
        self._names[statement] = name
        return name

    def _writable(self) -> None:
        try:
            if not self._pgconn.flush():
                self._loop.remove_writer(self._socket)
                self._writing = False
        except psycopg.Error as error:
            self._end(error)

    def _readable(self) -> None:
        connection = self._pgconn
        try:
            connection.consume_input()
            if self._told is None:
                return  # a notice
            ended = False
            while not connection.is_busy():
                result = connection.get_result()
                if result is None:
                    if ended:
                        raise psycopg.OperationalError("the server stopped in the middle of its answers")
                    ended = True
                    continue
                ended = False
                if result.status == ExecStatus.PIPELINE_SYNC:
                    connection.exit_pipeline_mode()
                    self._complete()
                    return
                if result.status == ExecStatus.FATAL_ERROR and self._error is None:
                    self._error = error_from_result(result)
                self._results.append(result)
        except psycopg.Error as error:
            self._end(self._error or error)

    def _complete(self) -> None:
        told, self._told = self._told, None
        results: list[PGresult] = []
        for statement, result in zip(self._asked, self._results, strict=False):  # the end may fail beside them
            if statement is None:
                results.append(result)
            elif result.status not in _FINE:
                self._names.pop(statement, None)
        if told:
            told(self._error or results)

    def _end(self, error: psycopg.Error) -> None:
        """The connection is lost. From now on its socket's number may be that of another."""
        if self._lost:
            return
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.rest()
        if self._writing:
            self._loop.remove_writer(self._socket)
            self._writing = False
        self._pgconn.finish()
        told, self._told = self._told, None
        if told:
            told(error)

    def rest(self) -> None:
        """Leave the connection's socket to psycopg until the next `start`."""
        if self._listening:
            self._loop.remove_reader(self._socket)
            self._listening = False

    def close(self) -> None:
        """Close the connection; who waits for an answer is told that there is none. Idempotent."""
        self._end(psycopg.OperationalError("the connection was given up"))


def _tell(answer: asyncio.Future[list[PGresult]], told: list[PGresult] | psycopg.Error) -> None:
    if answer.done():
        return
    if isinstance(told, psycopg.Error):
        answer.set_exception(told)
    else:
        answer.set_result(told)
