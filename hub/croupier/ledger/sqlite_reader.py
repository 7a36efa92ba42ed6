"""The ledger's reads, on a connection that cannot write.

They run on the caller's thread: a lookup by key takes a few dozen microseconds, less than handing it to another thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, TypeVar

import attrs

from croupier.ledger.clock_marks import ClockReading, clock_reading
from croupier.ledger.mapping import EVENT_COLUMNS, state_counts, stored_event, to_json
from croupier.ledger.port import EVERY_ROUND, Look, MovementFilter, Page, RoundFilter, Snapshot
from croupier.ledger.records import (
    AdjustmentRow,
    CaseRow,
    CaseState,
    ConfigurationRow,
    DeliveryRow,
    DeliveryState,
    ExchangeRow,
    GrantRow,
    Key,
    MovementRow,
    PlayerRow,
    RoundRow,
    SessionRow,
    SinkRow,
    StoredEvent,
)
from croupier.ledger.sqlite_open import trouble, unavailable
from croupier.ledger.sqlite_statements import (
    ADJUSTMENTS,
    CASES,
    CONFIGURATION,
    DELIVERIES,
    EXCHANGES,
    GRANTS,
    MOVEMENTS,
    PLAYERS,
    ROUNDS,
    SELECT_PLAYER,
    SESSIONS,
    SINKS,
    Statements,
    columns,
    sql,
)

Row = TypeVar("Row", bound=attrs.AttrsInstance)

_ROUND_MOVEMENTS = sql(MOVEMENTS.select, "WHERE operator = ? AND round = ? ORDER BY number")
_EVENTS = sql(
    "SELECT",
    columns(EVENT_COLUMNS),
    "FROM events WHERE operator = ? AND position > ? ORDER BY position LIMIT ?",
)
SESSION_BY_HASH = sql(
    SESSIONS.select, "INDEXED BY sessions_by_token WHERE operator = ? AND connection = ? AND token_hash = ? UNION ALL",
    SESSIONS.select, "INDEXED BY sessions_by_launch WHERE operator = ? AND connection = ? AND launch_hash = ? LIMIT 1",
)  # fmt: skip
"""The session of a session token or, if there is none, of a launch token. Left to itself, SQLite would go through all
sessions of the operator."""

_PLAYER_OF_ALIAS = "SELECT player FROM aliases WHERE operator = ? AND connection = ? AND alias = ?"
_ALIAS_OF_PLAYER = "SELECT alias FROM aliases WHERE operator = ? AND connection = ? AND player = ?"
_LATEST_SESSION = sql(
    SESSIONS.select,
    "WHERE operator = ? AND connection = ? AND player = ? ORDER BY created_at DESC, session DESC LIMIT 1",
)
COUNT_MOVEMENTS = (
    "SELECT state, count(*) FROM movements WHERE state IN ('fenced', 'intent') GROUP BY state"
    " UNION ALL SELECT state, count(*) FROM movements WHERE state IN ('held', 'owed', 'reversing') GROUP BY state"
)
_CLOCK = (
    "SELECT strftime('%s', 'now'), substr(strftime('%f', 'now'), 4), boot, steady_ms, ledger_ms, database_ms"
    " FROM (SELECT 1) LEFT JOIN clock_marks"
)
_NEWEST_POSITION = "SELECT position FROM operator_positions WHERE operator = ?"
_COUNT_VERSIONS = "SELECT count(*) FROM configuration"
_COUNT_DELIVERIES = (
    "SELECT (SELECT count(*) FROM deliveries WHERE state = 'owed'),"
    " (SELECT count(*) FROM deliveries WHERE state = 'held'),"
    " (SELECT coalesce(sum(sequence), 0) FROM operator_positions),"
    " (SELECT count(*) FROM cases WHERE state = 'open')"
)
ADJUSTMENTS_OF = sql(
    ADJUSTMENTS.select,
    "INDEXED BY adjustments_of_transaction WHERE operator = ? AND book = ?",
    'AND reference IN (SELECT value FROM json_each(?)) ORDER BY made_at, "case"',
)
"""Left to itself, SQLite would go through all adjustments of the operator."""

_OF_MOVEMENT = (
    "(SELECT * FROM exchanges INDEXED BY exchanges_of_movement WHERE movement_number ="
    " (SELECT number FROM movements WHERE operator = :operator AND movement = :movement)"
    " UNION ALL SELECT * FROM exchanges INDEXED BY exchanges_unnumbered"
    " WHERE operator = :operator AND movement = :movement AND movement_number IS NULL)"
)
EXCHANGES_BY_TRACE = sql(EXCHANGES.select, "WHERE operator = :operator AND trace = :trace ORDER BY started_at, number")
EXCHANGES_BY_MOVEMENT = sql(
    "SELECT", columns(EXCHANGES.table.columns), "FROM", _OF_MOVEMENT,
    "WHERE :trace IS NULL OR trace = :trace ORDER BY started_at, number",
)  # fmt: skip
_BY_NUMBER = sql(MOVEMENTS.select, "WHERE number = ?")
_NUMBER_OF_KEY = (
    "(SELECT movement_number FROM movement_keys WHERE operator = ? AND scope = ? AND namespace = ? AND value = ?)"
)


@cache
def _numbers_of(keys: int) -> str:
    """Reads the numbers of the movements with so many keys as one row, null where there is none."""
    return sql("SELECT", ", ".join([_NUMBER_OF_KEY] * keys))


class SqliteReads:
    """Everything of `croupier.ledger.port.Ledger` that only reads."""

    _reader: sqlite3.Connection | None = None

    def _read(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        try:
            return self._reading().execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise trouble(error) from error

    def _reading(self) -> sqlite3.Connection:
        if self._reader is None:
            raise unavailable(RuntimeError("it is not open"))
        return self._reader

    def _first(self, statements: Statements[Row], statement: str, parameters: Sequence[Any]) -> Row | None:
        found = self._read(statement, parameters)
        return statements.table.row(found[0]) if found else None

    def _listed(
        self,
        statements: Statements[Row],
        place: tuple[str, str],
        where: Mapping[str, Any],
        page: Page,
        *literally: str,
    ) -> list[Row]:
        """A page of rows, those with the conditions that are not `None`, in order of `place`."""
        restricting = {condition: value for condition, value in where.items() if value is not None}
        parameters: list[Any] = list(restricting.values())
        conditions = [*restricting, *literally]
        order = columns(place)
        if page.after is not None:
            conditions.append(f"({order}) > (?, ?)")
            parameters += page.after
        statement = sql(statements.select, "WHERE", " AND ".join(conditions), "ORDER BY", order, "LIMIT ?")
        return statements.table.rows(self._read(statement, [*parameters, page.limit]))

    async def look(self, look: Look) -> Snapshot:
        """Read for one decision."""
        reading = self._reading()
        try:
            reading.execute("BEGIN")
            try:
                return self._look(look)
            finally:
                reading.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise trouble(error) from error

    def _look(self, look: Look) -> Snapshot:
        operator = look.operator
        keys: dict[Key, MovementRow] = {}
        movements: dict[str, MovementRow] = {}
        wanted = [key for key in look.keys if key.operator == operator]
        if wanted:
            (numbers,) = self._read(_numbers_of(len(wanted)), list(chain.from_iterable(wanted)))
            for key, number in zip(wanted, numbers, strict=True):
                if number is not None and (row := self._first(MOVEMENTS, _BY_NUMBER, (number,))):
                    keys[key] = movements[row.movement] = row
        for movement in look.movements:
            if movement not in movements and (row := self._first(MOVEMENTS, MOVEMENTS.by_key, (operator, movement))):
                movements[movement] = row
        if look.round is None:
            return Snapshot(keys=keys, movements=movements)
        place = (operator, look.round)
        played = self._read(_ROUND_MOVEMENTS, place) if look.round_movements else []
        return Snapshot(
            keys=keys,
            movements=movements,
            round=self._first(ROUNDS, ROUNDS.by_key, place),
            round_movements=tuple(MOVEMENTS.table.rows(played)),
        )

    async def clock(self) -> ClockReading:
        found = self._read(_CLOCK)
        seconds, milliseconds, *_ = found[0]
        return clock_reading(int(seconds) * 1000 + int(milliseconds), (mark for _, _, *mark in found))

    async def movement(self, operator: str, movement: str) -> MovementRow | None:
        return self._first(MOVEMENTS, MOVEMENTS.by_key, (operator, movement))

    async def movements(self, operator: str, which: MovementFilter, page: Page) -> Sequence[MovementRow]:
        where = {
            "operator = ?": operator,
            "player = ?": which.player,
            "connection = ?": which.connection,
            "round = ?": which.round,
            "state = ?": which.state,
            "created_at >= ?": which.since,
            "created_at < ?": which.until,
        }
        return self._listed(MOVEMENTS, ("created_at", "movement"), where, page)

    async def round(self, operator: str, round: str) -> RoundRow | None:
        return self._first(ROUNDS, ROUNDS.by_key, (operator, round))

    async def rounds(
        self, operator: str, player: str | None, page: Page, which: RoundFilter = EVERY_ROUND
    ) -> Sequence[RoundRow]:
        where = {
            "operator = ?": operator,
            "player = ?": player,
            "state = ?": which.state,
            "opened_at >= ?": which.since,
            "opened_at < ?": which.until,
        }
        return self._listed(ROUNDS, ("opened_at", "round"), where, page)

    async def deliveries(self, operator: str | None, state: DeliveryState | None, limit: int) -> Sequence[DeliveryRow]:
        order = "created_at, operator, sequence" if operator is None else "sequence"
        # A literal, not a parameter: only so do the partial indexes of open work serve.
        conditions = [f"state = '{state.value}'"] if state else []
        conditions += [] if operator is None else ["operator = ?"]
        where = sql("WHERE", " AND ".join(conditions)) if conditions else ""
        statement = sql(DELIVERIES.select, where, "ORDER BY", order, "LIMIT ?")
        parameters = (limit,) if operator is None else (operator, limit)
        return DELIVERIES.table.rows(self._read(statement, parameters))

    async def delivery(self, operator: str, delivery: str) -> DeliveryRow | None:
        return self._first(DELIVERIES, DELIVERIES.by_key, (operator, delivery))

    async def deliveries_of(self, operator: str, movement: str) -> Sequence[DeliveryRow]:
        statement = sql(DELIVERIES.select, "WHERE operator = ? AND movement = ? ORDER BY sequence")
        return DELIVERIES.table.rows(self._read(statement, (operator, movement)))

    async def events_after(self, operator: str, position: int, limit: int) -> Sequence[StoredEvent]:
        return [stored_event(found) for found in self._read(_EVENTS, (operator, position, limit))]

    async def newest_position(self, operator: str) -> int:
        found = self._read(_NEWEST_POSITION, (operator,))
        return int(found[0][0]) if found else 0

    async def sink(self, operator: str, sink: str) -> SinkRow | None:
        return self._first(SINKS, SINKS.by_key, (operator, sink))

    async def exchanges(
        self, operator: str, *, trace: str | None = None, movement: str | None = None
    ) -> Sequence[ExchangeRow]:
        if trace is None and movement is None:
            return []
        statement = EXCHANGES_BY_TRACE if movement is None else EXCHANGES_BY_MOVEMENT
        asked = {"operator": operator, "trace": trace, "movement": movement}
        return EXCHANGES.table.rows(self._read(statement, asked))

    async def player(self, operator: str, player: str) -> PlayerRow | None:
        return self._first(PLAYERS, PLAYERS.by_key, (operator, player))

    async def player_by_operator_id(self, operator: str, operator_player: str) -> PlayerRow | None:
        return self._first(PLAYERS, SELECT_PLAYER, (operator, operator_player))

    async def player_by_alias(self, operator: str, connection: str, alias: str) -> str | None:
        found = self._read(_PLAYER_OF_ALIAS, (operator, connection, alias))
        return found[0][0] if found else None

    async def alias_of(self, operator: str, connection: str, player: str) -> str | None:
        found = self._read(_ALIAS_OF_PLAYER, (operator, connection, player))
        return found[0][0] if found else None

    async def session(self, operator: str, session: str) -> SessionRow | None:
        return self._first(SESSIONS, SESSIONS.by_key, (operator, session))

    async def session_by_hash(self, operator: str, connection: str, token_hash: str) -> SessionRow | None:
        return self._first(SESSIONS, SESSION_BY_HASH, (operator, connection, token_hash) * 2)

    async def latest_session(self, operator: str, connection: str, player: str) -> SessionRow | None:
        return self._first(SESSIONS, _LATEST_SESSION, (operator, connection, player))

    async def sessions(self, operator: str, player: str | None, page: Page) -> Sequence[SessionRow]:
        where = {"operator = ?": operator, "player = ?": player}
        return self._listed(SESSIONS, ("created_at", "session"), where, page)

    async def grant(self, operator: str, connection: str, grant: str) -> GrantRow | None:
        return self._first(GRANTS, GRANTS.by_key, (operator, connection, grant))

    async def grants(self, operator: str, player: str | None, page: Page) -> Sequence[GrantRow]:
        where = {"operator = ?": operator, "player = ?": player}
        return self._listed(GRANTS, ("created_at", "grant"), where, page)

    async def configuration(self, operator: str | None = None, kind: str | None = None) -> Sequence[ConfigurationRow]:
        which = {"operator = ?": operator, "kind = ?": kind}
        restricting = {condition: value for condition, value in which.items() if value is not None}
        statement = sql(
            CONFIGURATION.select,
            "AS one WHERE version = (SELECT max(version) FROM configuration AS other",
            "WHERE other.operator = one.operator AND other.kind = one.kind AND other.name = one.name)",
            *(f"AND {condition}" for condition in restricting),
            "ORDER BY operator, kind, name",
        )
        return CONFIGURATION.table.rows(self._read(statement, tuple(restricting.values())))

    async def configuration_history(self, operator: str, kind: str, name: str) -> Sequence[ConfigurationRow]:
        statement = sql(CONFIGURATION.select, "WHERE operator = ? AND kind = ? AND name = ? ORDER BY version")
        return CONFIGURATION.table.rows(self._read(statement, (operator, kind, name)))

    async def configuration_versions(self) -> int:
        ((count,),) = self._read(_COUNT_VERSIONS)
        return int(count)

    async def case(self, operator: str, case: str) -> CaseRow | None:
        return self._first(CASES, CASES.by_key, (operator, case))

    async def cases(self, operator: str, state: CaseState | None, page: Page) -> Sequence[CaseRow]:
        # A literal, not a parameter: only so does the partial index of open cases serve.
        literally = [f"state = '{state.value}'"] if state else []
        return self._listed(CASES, ("opened_at", "case"), {"operator = ?": operator}, page, *literally)

    async def adjustments(
        self, operator: str, book: str, since: int, until: int, page: Page
    ) -> Sequence[AdjustmentRow]:
        where = {"operator = ?": operator, "book = ?": book, "at >= ?": since, "at < ?": until}
        return self._listed(ADJUSTMENTS, ("at", "case"), where, page)

    async def adjustments_of(self, operator: str, book: str, references: Sequence[str]) -> Sequence[AdjustmentRow]:
        found = self._read(ADJUSTMENTS_OF, (operator, book, to_json(references)))
        return ADJUSTMENTS.table.rows(found)

    async def count_states(self) -> Mapping[str, int]:
        movements = dict(self._read(COUNT_MOVEMENTS))
        ((owed, held, deliveries, cases),) = self._read(_COUNT_DELIVERIES)
        return state_counts(movements, owed, held, deliveries, cases)
