"""Reads of single rows, in groups: those that are asked for while a round trip is under way share the next one.

The money path asks for few rows by their keys, often and for many players at once. Each kind of question is one
statement for all who ask it, planned once, on a connection of its own. A round trip is one transaction with one
snapshot, taken after everybody in it has asked: it shows every commit that was acknowledged before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

import attrs
import psycopg
from attrs import define, frozen
from psycopg import abc
from psycopg.adapt import Transformer
from psycopg.pq import Format
from psycopg.pq.abc import PGresult

from croupier.ledger import mapping
from croupier.ledger.mapping import Table
from croupier.ledger.postgres_open import DISCARD_PLANS, Connection, Plans, connect, unavailable
from croupier.ledger.postgres_values import json_rows, restored_row
from croupier.ledger.postgres_wire import Step, Wire
from croupier.ledger.sqlite_statements import columns, sql

Row = TypeVar("Row", bound=attrs.AttrsInstance)

_MOST_AT_ONCE = 256
_WAIT_SECONDS = 2.5
_PATIENCE_SECONDS = 5.0
"""Rows are looked up by their keys: what takes longer comes no more."""
_SETTINGS = (
    b"SELECT set_config('default_transaction_read_only', 'on', false),"
    b" set_config('default_transaction_isolation', 'repeatable read', false),"
    b" set_config('enable_sort', 'off', false)"
)
"""Statements that are sent together see the same; and an order that an index has is taken from there."""


class Lookup(Generic[Row]):
    """A kind of question.

    Args:
        table: Where the rows are that are looked for.
        which: Which they are: what follows `FROM`, with `one->>0` and so on for the texts that are given.

    Attributes:
        statement: Answers many such questions. Its parameter is a row for each; what it finds has the question's place
            (from 1) in its last column.
    """

    def __init__(self, table: Table[Row], which: str) -> None:
        self.table = table
        # `OFFSET 0` keeps the planner from joining in another order: each row is looked up by its key.
        found = sql("SELECT", columns(table.columns, "stored"), "FROM", which, "OFFSET 0")
        self.statement = sql(
            "SELECT found.*, given.place FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS given (one, place)",
            "CROSS JOIN LATERAL (", found, ") AS found",
        ).encode()  # fmt: skip


def _where(names: Sequence[str], alias: str = "stored") -> str:
    return " AND ".join(f'{alias}."{name}" = one->>{place}' for place, name in enumerate(names))


def _by(table: Table[Row], *names: str) -> Lookup[Row]:
    return Lookup(table, sql(table.name, "AS stored WHERE", _where(names or table.key)))


def _session_with(hashed: str) -> str:
    which = _where(("operator", "connection", hashed), "either")
    return sql("(SELECT either.session FROM sessions AS either WHERE", which, "LIMIT 1)")


MOVEMENT = _by(mapping.MOVEMENTS)
MOVEMENT_BY_KEY = Lookup(
    mapping.MOVEMENTS,
    sql(
        "(SELECT movement FROM movement_keys AS keys WHERE",
        _where(("operator", "scope", "namespace", "value"), "keys"),
        "OFFSET 0) AS keyed CROSS JOIN LATERAL (SELECT * FROM movements AS moved",
        "WHERE moved.operator = one->>0 AND moved.movement = keyed.movement OFFSET 0) AS stored",
    ),
)
MOVEMENTS_OF_ROUND = Lookup(
    mapping.MOVEMENTS, sql("movements AS stored WHERE", _where(("operator", "round")), "ORDER BY stored.number")
)
"""Oldest first."""
ROUND = _by(mapping.ROUNDS)
SESSION = _by(mapping.SESSIONS)
SESSION_BY_HASH = Lookup(
    mapping.SESSIONS,
    sql(
        "sessions AS stored WHERE stored.operator = one->>0 AND stored.session = coalesce(",
        _session_with("token_hash"), ",", _session_with("launch_hash"), ")",
    ),
)  # fmt: skip
LATEST_SESSION = Lookup(
    mapping.SESSIONS,
    sql(
        "sessions AS stored WHERE", _where(("operator", "connection", "player")),
        "ORDER BY stored.created_at DESC, stored.session DESC LIMIT 1",
    ),
)  # fmt: skip
GRANT = _by(mapping.GRANTS)
PLAYER = _by(mapping.PLAYERS)
PLAYER_BY_OPERATOR_ID = _by(mapping.PLAYERS, "operator", "operator_player")
ALIAS = _by(mapping.ALIASES)
ALIAS_OF_PLAYER = _by(mapping.ALIASES, "operator", "connection", "player")

LOOKUPS: Sequence[Lookup[Any]] = (
    MOVEMENT, MOVEMENT_BY_KEY, MOVEMENTS_OF_ROUND, ROUND, SESSION, SESSION_BY_HASH, LATEST_SESSION, GRANT, PLAYER,
    PLAYER_BY_OPERATOR_ID, ALIAS, ALIAS_OF_PLAYER,
)  # fmt: skip

Question: TypeAlias = tuple[Lookup[Any], tuple[str, ...]]
Answers: TypeAlias = list[list[Any]]
"""The rows that were found, for each question."""


@frozen
class _Unreadable:
    """In place of a row that this code does not understand: only who asked for it is to suffer."""

    error: Exception


@define(eq=False)
class _Asking:
    """Somebody's questions."""

    questions: Sequence[Question]
    answer: asyncio.Future[Answers]
    again: bool = False

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def tell(self, answers: Answers) -> None:
        if self.answer.done():
            return  # its caller was cancelled
        for rows in answers:
            for row in rows:
                if isinstance(row, _Unreadable):
                    self.answer.set_exception(row.error)
                    return
        self.answer.set_result(answers)


class Lookups:
    """The queue before the connection that looks rows up. It belongs to the event loop in which it was opened.

    Args:
        url: Of the database.

    Attributes:
        round_trips: How many were made.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._plans = Plans()
        self._connection: Connection | None = None
        self._wire: Wire | None = None
        self._transformer: abc.Transformer | None = None
        self._waiting: deque[_Asking] = deque()
        self._under_way = False
        self._opening: asyncio.Task[None] | None = None
        self._closed = self._outdated = False
        self.round_trips = 0

    async def open(self) -> None:
        """Open the connection.

        Raises:
            psycopg.Error, OSError: There is none.
        """
        self._outdated = False
        await self._drop()
        self._connection = connection = await connect(self._url, "croupier-reader")
        await connection.execute(_SETTINGS)
        self._transformer = Transformer(connection)
        self._wire = Wire(connection, Format.BINARY, _PATIENCE_SECONDS)

    async def close(self) -> None:
        """Close the connection; who waits is told that the store is not available. Idempotent."""
        self._closed = True
        if self._opening:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._drop()
        self._give_up(self._waiting, RuntimeError("it is not open"))
        self._waiting.clear()

    def renew(self) -> None:
        """Ask what is asked from now on on a new connection: the server that commits may not be the same any more."""
        self._outdated = True

    async def _drop(self) -> None:
        wire, self._wire = self._wire, None
        connection, self._connection = self._connection, None
        if wire:
            wire.close()
        if connection:
            await connection.close()

    async def ask(self, questions: Sequence[Question]) -> Answers:
        """Look rows up, all at one moment.

        Raises:
            StoreUnavailableError: There is no connection.
            TypeError: A text is none (a lone surrogate).
        """
        if self._closed:
            raise unavailable(RuntimeError("it is not open"))
        loop = asyncio.get_running_loop()
        asking = _Asking(questions, loop.create_future())
        self._waiting.append(asking)
        if not self._under_way:
            self._under_way = True
            loop.call_soon(self._send)  # with everything that is asked for in this turn of the loop
        return await asking.answer

    async def first(self, lookup: Lookup[Row], *which: str) -> Row | None:
        """The row that answers one question, if there is one.

        Raises:
            StoreUnavailableError: There is no connection.
            TypeError: A text is none (a lone surrogate).
        """
        ((*found,),) = await self.ask([(lookup, which)])
        return found[0] if found else None

    def _send(self) -> None:
        """Send what waits."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
        if not batch or self._closed:
            self._under_way = False
            self._give_up(batch, RuntimeError("it is not open"))
            return
        self._under_way = True
        if self._wire is None or self._outdated:
            self._open_again(batch)
            return
        asked: dict[Lookup[Any], list[tuple[str, ...]]] = {}
        for asking in batch:
            for lookup, which in asking.questions:
                asked.setdefault(lookup, []).append(which)
        try:
            steps: list[Step] = [(lookup.statement, (json_rows(rows),)) for lookup, rows in asked.items()]
        except TypeError:
            self._without_what_cannot_be_asked(batch)
            return
        if self._plans.are_old(self._wire):
            steps.append((DISCARD_PLANS, ()))
        self.round_trips += 1
        told = partial(self._answered, batch, list(asked))
        try:
            self._wire.start(steps, told)
        except psycopg.Error as error:
            self._failed(batch, error)

    def _without_what_cannot_be_asked(self, batch: list[_Asking]) -> None:
        sound = []
        for asking in batch:
            try:
                json_rows([which for _, which in asking.questions])
                sound.append(asking)
            except TypeError as error:
                asking.fail(error)
        self._waiting.extendleft(reversed(sound))
        self._send()

    def _answered(self, batch: list[_Asking], asked: list[Lookup[Any]], told: list[PGresult] | psycopg.Error) -> None:
        if isinstance(told, psycopg.Error):
            self._failed(batch, told)
            return
        found = {lookup: self._rows(lookup, result) for lookup, result in zip(asked, told, strict=False)}
        places = dict.fromkeys(asked, 0)
        for asking in batch:
            answers: Answers = []
            for lookup, _ in asking.questions:
                places[lookup] += 1
                answers.append(found[lookup].get(places[lookup], []))
            asking.tell(answers)
        self._send()

    def _rows(self, lookup: Lookup[Any], result: PGresult) -> dict[int, list[Any]]:
        """What a statement found, by the place of the question."""
        found: dict[int, list[Any]] = {}
        transformer = self._transformer
        if transformer is None or not result.ntuples:
            return found
        transformer.set_pgresult(result, format=Format.BINARY)
        try:
            loaded = transformer.load_rows(0, result.ntuples, tuple)
        except Exception:  # noqa: BLE001 # whatever one row is, who asked for the others must not wait for ever
            return self._rows_apart(lookup, result, transformer)
        for values in loaded:
            try:
                row = lookup.table.row(restored_row(values))
            except Exception as error:  # noqa: BLE001 # another release wrote it
                row = _Unreadable(error)
            found.setdefault(values[-1], []).append(row)
        return found

    @staticmethod
    def _rows_apart(lookup: Lookup[Any], result: PGresult, transformer: abc.Transformer) -> dict[int, list[Any]]:
        """What can be read of rows of which some hold what is no text: a damaged page passes for a row."""
        found: dict[int, list[Any]] = {}
        for number in range(result.ntuples):
            try:
                row = lookup.table.row(restored_row(transformer.load_row(number, tuple) or ()))
            except Exception as error:  # noqa: BLE001 # it is damaged, or as above
                row = _Unreadable(error)
            place = int.from_bytes(result.get_value(number, result.nfields - 1) or b"")
            found.setdefault(place, []).append(row)
        return found

    def _failed(self, batch: list[_Asking], error: psycopg.Error) -> None:
        """Ask once more on another connection if this one is lost."""
        if self._closed or (self._connection and not self._connection.closed):
            self._give_up(batch, error)
            self._send()
            return
        self._give_up([asking for asking in batch if asking.again], error)
        self._open_again([asking for asking in batch if not asking.again])

    def _open_again(self, batch: list[_Asking]) -> None:
        for asking in batch:
            asking.again = True
        self._waiting.extendleft(reversed(batch))
        self._opening = asyncio.get_running_loop().create_task(self._try_to_open())

    async def _try_to_open(self) -> None:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self.open()
        except Exception as error:  # noqa: BLE001 # whatever it was, nobody must wait for ever
            await self._drop()
            self._give_up(self._waiting, error)
            self._waiting.clear()
        self._opening = None
        self._send()

    @staticmethod
    def _give_up(batch: Sequence[_Asking] | deque[_Asking], error: Exception) -> None:
        for asking in batch:
            asking.fail(unavailable(error))
