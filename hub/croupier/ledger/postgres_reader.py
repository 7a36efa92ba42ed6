"""The ledger's reads, on connections that cannot write, to the server that the writer writes to.

What the money path reads goes through `Lookups`; lists and searches have a pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import attrs
import psycopg
from psycopg.types.numeric import Int8
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from croupier.ledger import mapping
from croupier.ledger.clock_marks import ClockReading, clock_reading
from croupier.ledger.mapping import EVENT_COLUMNS, ORPHANED, UNFINISHED, Table, state_counts, stored_event
from croupier.ledger.port import EVERY_ROUND, Look, MovementFilter, Page, RoundFilter, Snapshot
from croupier.ledger.postgres_lookups import (
    ALIAS,
    ALIAS_OF_PLAYER,
    GRANT,
    LATEST_SESSION,
    MOVEMENT,
    MOVEMENT_BY_KEY,
    MOVEMENTS_OF_ROUND,
    PLAYER,
    PLAYER_BY_OPERATOR_ID,
    ROUND,
    SESSION,
    SESSION_BY_HASH,
    Lookups,
    Question,
)
from croupier.ledger.postgres_open import DISCARD_PLANS, Connection, Plans, conninfo, prepare_session, unavailable
from croupier.ledger.postgres_values import json_texts, restored_row, storable
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
from croupier.ledger.sqlite_statements import columns, sql

Row = TypeVar("Row", bound=attrs.AttrsInstance)
Pool = AsyncConnectionPool[Connection]

_WAIT_SECONDS = 2.5
_RECONNECT_SECONDS = 1.0
"""After this the pool gives up until it is asked again, so that reads find a server that returns at once."""


def _select(table: Table[Any], *clauses: str) -> str:
    return sql("SELECT", columns(table.columns), "FROM", table.name, *clauses)


def by_key(table: Table[Any]) -> str:
    """The statement that reads one row by its key."""
    return _select(table, "WHERE", " AND ".join(f'"{name}" = ${place}' for place, name in enumerate(table.key, 1)))


_EVENTS = sql(
    "SELECT", columns(EVENT_COLUMNS), "FROM events WHERE operator = $1 AND position > $2 ORDER BY position LIMIT $3"
)
SELECT_PLAYER = _select(mapping.PLAYERS, "WHERE operator = $1 AND operator_player = $2")
SELECT_ALIAS = _select(mapping.ALIASES, "WHERE operator = $1 AND connection = $2 AND player = $3")
_ORPHANED = ", ".join(f"'{state}'" for state in ORPHANED)
_UNFINISHED = ", ".join(f"'{state}'" for state in UNFINISHED if state not in ORPHANED)
_CLOCK = (
    "SELECT now.ms, boot, steady_ms, ledger_ms, database_ms"
    " FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms) AS now LEFT JOIN clock_marks ON true"
)
_COUNT_MOVEMENTS = sql(
    "SELECT state, count(*) FROM movements WHERE state IN (", _ORPHANED, ") GROUP BY state UNION ALL",
    "SELECT state, count(*) FROM movements WHERE state IN (", _UNFINISHED, ") GROUP BY state",
)  # fmt: skip
"""Each half has its partial index."""
_ADJUSTMENTS_OF = _select(
    mapping.ADJUSTMENTS,
    "WHERE operator = $1 AND book = $2",
    "AND reference = ANY (ARRAY(SELECT jsonb_array_elements_text(($3::text)::jsonb)))",
    'ORDER BY made_at, "case"',
)
_OF_MOVEMENT = (
    "(SELECT * FROM exchanges WHERE operator = $1 AND movement_number ="
    " (SELECT number FROM movements WHERE operator = $1 AND movement = $3)"
    " UNION ALL SELECT * FROM exchanges WHERE operator = $1 AND movement = $3 AND movement_number IS NULL) AS found"
)
_EXCHANGES_BY_TRACE = _select(mapping.EXCHANGES, "WHERE operator = $1 AND trace = $2 ORDER BY started_at, number")
EXCHANGES_BY_MOVEMENT = sql(
    "SELECT", columns(mapping.EXCHANGES.columns), "FROM", _OF_MOVEMENT,
    "WHERE $2::text IS NULL OR trace = $2 ORDER BY started_at, number",
)  # fmt: skip
_NEWEST_POSITION = "SELECT position FROM operator_positions WHERE operator = $1"
_COUNT_VERSIONS = "SELECT count(*) FROM configuration"
_COUNT_DELIVERIES = (
    "SELECT (SELECT count(*) FROM deliveries WHERE state = 'owed'),"
    " (SELECT count(*) FROM deliveries WHERE state = 'held'),"
    " (SELECT coalesce(sum(sequence), 0)::int8 FROM operator_positions),"
    " (SELECT count(*) FROM cases WHERE state = 'open')"
)


class PostgresReads:
    """Everything of `croupier.ledger.port.Ledger` that only reads."""

    _pool: Pool | None = None
    _lookups: Lookups | None = None
    _tries = 1

    def __init__(self) -> None:
        self._plans = Plans()
        self._times_renewed = 0
        self._made_after: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
        """How often the readers had been renewed when a connection of the pool was made."""

    async def _open_readers(self, url: str, size: int) -> None:
        self._lookups = Lookups(url)
        await self._lookups.open()
        pool: Pool = AsyncConnectionPool(
            conninfo(url, "croupier-reader"),
            kwargs={"autocommit": True, "cursor_factory": psycopg.AsyncRawCursor},
            configure=self._make_reader,
            min_size=1,
            max_size=size,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            open=False,
        )
        self._pool = pool
        await pool.open(wait=True, timeout=_WAIT_SECONDS)
        self._tries = size + 1

    async def _close_readers(self) -> None:
        lookups, self._lookups = self._lookups, None
        pool, self._pool = self._pool, None
        if lookups:
            await lookups.close()
        if pool:
            await pool.close()

    async def _read(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement finds; on another connection if the pool's are lost or were to be renewed."""
        if self._pool is None:
            raise unavailable(RuntimeError("it is not open"))
        given = [parameter(value) for value in parameters]
        trouble: Exception | None = None
        for _ in range(self._tries):
            try:
                async with self._pool.connection() as connection:
                    if self._made_after.get(connection) != self._times_renewed:
                        await connection.close()
                        continue
                    try:
                        if self._plans.are_old(connection):
                            await connection.execute(DISCARD_PLANS)
                        cursor = connection.cursor(binary=True)
                        await cursor.execute(statement.encode(), given)
                        return [restored_row(row) for row in await cursor.fetchall()]
                    except psycopg.OperationalError as error:
                        if not connection.closed:
                            raise
                        trouble = error
            except (psycopg.Error, PoolTimeout, OSError) as error:
                raise unavailable(error) from error
        raise unavailable(trouble or RuntimeError("no connection")) from trouble

    async def _first(self, table: Table[Row], statement: str, parameters: Sequence[Any]) -> Row | None:
        found = await self._read(statement, parameters)
        return table.row(found[0]) if found else None

    async def _listed(
        self, table: Table[Row], place: tuple[str, str], where: Mapping[str, Any], page: Page, *literally: str
    ) -> list[Row]:
        """A page of rows, those with the conditions that are not `None`, in order of `place`."""
        conditions, parameters = _restricting(where)
        conditions += literally
        order = columns(place)
        if page.after is not None:
            conditions.append(f"({order}) > (${len(parameters) + 1}, ${len(parameters) + 2})")
            parameters += page.after
        limit = f"LIMIT ${len(parameters) + 1}"
        statement = _select(table, "WHERE", " AND ".join(conditions), "ORDER BY", order, limit)
        return table.rows(await self._read(statement, [*parameters, page.limit]))

    def _renew_readers(self) -> None:
        """Read from now on on new connections: the server that commits may not be the same any more."""
        self._times_renewed += 1
        if self._lookups:
            self._lookups.renew()

    async def _make_reader(self, connection: Connection) -> None:
        await prepare_session(connection)
        await connection.execute(b"SET default_transaction_read_only = on")
        self._made_after[connection] = self._times_renewed

    def _looking(self) -> Lookups:
        if self._lookups is None:
            raise unavailable(RuntimeError("it is not open"))
        return self._lookups

    async def look(self, look: Look) -> Snapshot:
        """Read for one decision."""
        operator = look.operator
        wanted = [key for key in look.keys if key.operator == operator]
        questions: list[Question] = [(MOVEMENT_BY_KEY, tuple(key)) for key in wanted]
        questions += [(MOVEMENT, (operator, movement)) for movement in look.movements]
        if look.round is not None:
            questions.append((ROUND, (operator, look.round)))
            if look.round_movements:
                questions.append((MOVEMENTS_OF_ROUND, (operator, look.round)))
        answers = iter(await self._looking().ask(questions))
        keys: dict[Key, MovementRow] = {}
        movements: dict[str, MovementRow] = {}
        for key, rows in zip(wanted, answers, strict=False):
            for row in rows:
                keys[key] = movements[row.movement] = row
        for _, rows in zip(look.movements, answers, strict=False):
            for row in rows:
                movements[row.movement] = row
        rounds = next(answers, ())
        return Snapshot(
            keys=keys,
            movements=movements,
            round=next(iter(rounds), None),
            round_movements=tuple(next(answers, ())),
        )

    async def clock(self) -> ClockReading:
        found = await self._read(_CLOCK)
        return clock_reading(found[0][0], (mark for _, *mark in found))

    async def movement(self, operator: str, movement: str) -> MovementRow | None:
        return await self._looking().first(MOVEMENT, operator, movement)

    async def movements(self, operator: str, which: MovementFilter, page: Page) -> Sequence[MovementRow]:
        where = {
            "operator =": operator,
            "player =": which.player,
            "connection =": which.connection,
            "round =": which.round,
            "state =": which.state,
            "created_at >=": which.since,
            "created_at <": which.until,
        }
        return await self._listed(mapping.MOVEMENTS, ("created_at", "movement"), where, page)

    async def round(self, operator: str, round: str) -> RoundRow | None:
        return await self._looking().first(ROUND, operator, round)

    async def rounds(
        self, operator: str, player: str | None, page: Page, which: RoundFilter = EVERY_ROUND
    ) -> Sequence[RoundRow]:
        where = {
            "operator =": operator,
            "player =": player,
            "state =": which.state,
            "opened_at >=": which.since,
            "opened_at <": which.until,
        }
        return await self._listed(mapping.ROUNDS, ("opened_at", "round"), where, page)

    async def deliveries(self, operator: str | None, state: DeliveryState | None, limit: int) -> Sequence[DeliveryRow]:
        order = "created_at, operator, sequence" if operator is None else "sequence"
        # A literal, not a parameter: only so do the partial indexes of open work serve.
        conditions = [f"state = '{state.value}'"] if state else []
        conditions += [] if operator is None else ["operator = $2"]
        where = sql("WHERE", " AND ".join(conditions)) if conditions else ""
        statement = _select(mapping.DELIVERIES, where, "ORDER BY", order, "LIMIT $1")
        parameters = (limit,) if operator is None else (limit, operator)
        return mapping.DELIVERIES.rows(await self._read(statement, parameters))

    async def delivery(self, operator: str, delivery: str) -> DeliveryRow | None:
        return await self._first(mapping.DELIVERIES, by_key(mapping.DELIVERIES), (operator, delivery))

    async def deliveries_of(self, operator: str, movement: str) -> Sequence[DeliveryRow]:
        statement = _select(mapping.DELIVERIES, "WHERE operator = $1 AND movement = $2 ORDER BY sequence")
        return mapping.DELIVERIES.rows(await self._read(statement, (operator, movement)))

    async def events_after(self, operator: str, position: int, limit: int) -> Sequence[StoredEvent]:
        return [stored_event(found) for found in await self._read(_EVENTS, (operator, position, limit))]

    async def newest_position(self, operator: str) -> int:
        found = await self._read(_NEWEST_POSITION, (operator,))
        return int(found[0][0]) if found else 0

    async def sink(self, operator: str, sink: str) -> SinkRow | None:
        return await self._first(mapping.SINKS, by_key(mapping.SINKS), (operator, sink))

    async def exchanges(
        self, operator: str, *, trace: str | None = None, movement: str | None = None
    ) -> Sequence[ExchangeRow]:
        if trace is None and movement is None:
            return []
        asked = (operator, trace) if movement is None else (operator, trace, movement)
        statement = _EXCHANGES_BY_TRACE if movement is None else EXCHANGES_BY_MOVEMENT
        return mapping.EXCHANGES.rows(await self._read(statement, asked))

    async def player(self, operator: str, player: str) -> PlayerRow | None:
        return await self._looking().first(PLAYER, operator, player)

    async def player_by_operator_id(self, operator: str, operator_player: str) -> PlayerRow | None:
        return await self._looking().first(PLAYER_BY_OPERATOR_ID, operator, operator_player)

    async def player_by_alias(self, operator: str, connection: str, alias: str) -> str | None:
        found = await self._looking().first(ALIAS, operator, connection, alias)
        return found.player if found else None

    async def alias_of(self, operator: str, connection: str, player: str) -> str | None:
        found = await self._looking().first(ALIAS_OF_PLAYER, operator, connection, player)
        return found.alias if found else None

    async def session(self, operator: str, session: str) -> SessionRow | None:
        return await self._looking().first(SESSION, operator, session)

    async def session_by_hash(self, operator: str, connection: str, token_hash: str) -> SessionRow | None:
        return await self._looking().first(SESSION_BY_HASH, operator, connection, token_hash)

    async def latest_session(self, operator: str, connection: str, player: str) -> SessionRow | None:
        return await self._looking().first(LATEST_SESSION, operator, connection, player)

    async def sessions(self, operator: str, player: str | None, page: Page) -> Sequence[SessionRow]:
        where = {"operator =": operator, "player =": player}
        return await self._listed(mapping.SESSIONS, ("created_at", "session"), where, page)

    async def grant(self, operator: str, connection: str, grant: str) -> GrantRow | None:
        return await self._looking().first(GRANT, operator, connection, grant)

    async def grants(self, operator: str, player: str | None, page: Page) -> Sequence[GrantRow]:
        where = {"operator =": operator, "player =": player}
        return await self._listed(mapping.GRANTS, ("created_at", "grant"), where, page)

    async def configuration(self, operator: str | None = None, kind: str | None = None) -> Sequence[ConfigurationRow]:
        conditions, parameters = _restricting({"operator =": operator, "kind =": kind})
        statement = _select(
            mapping.CONFIGURATION,
            "AS one WHERE version = (SELECT max(version) FROM configuration AS other",
            "WHERE other.operator = one.operator AND other.kind = one.kind AND other.name = one.name)",
            *(f"AND {condition}" for condition in conditions),
            "ORDER BY operator, kind, name",
        )
        return mapping.CONFIGURATION.rows(await self._read(statement, parameters))

    async def configuration_history(self, operator: str, kind: str, name: str) -> Sequence[ConfigurationRow]:
        statement = _select(mapping.CONFIGURATION, "WHERE operator = $1 AND kind = $2 AND name = $3 ORDER BY version")
        return mapping.CONFIGURATION.rows(await self._read(statement, (operator, kind, name)))

    async def configuration_versions(self) -> int:
        ((count,),) = await self._read(_COUNT_VERSIONS)
        return int(count)

    async def case(self, operator: str, case: str) -> CaseRow | None:
        return await self._first(mapping.CASES, by_key(mapping.CASES), (operator, case))

    async def cases(self, operator: str, state: CaseState | None, page: Page) -> Sequence[CaseRow]:
        # A literal, not a parameter: only so does the partial index of open cases serve.
        literally = [f"state = '{state.value}'"] if state else []
        return await self._listed(mapping.CASES, ("opened_at", "case"), {"operator =": operator}, page, *literally)

    async def adjustments(
        self, operator: str, book: str, since: int, until: int, page: Page
    ) -> Sequence[AdjustmentRow]:
        where = {"operator =": operator, "book =": book, "at >=": since, "at <": until}
        return await self._listed(mapping.ADJUSTMENTS, ("at", "case"), where, page)

    async def adjustments_of(self, operator: str, book: str, references: Sequence[str]) -> Sequence[AdjustmentRow]:
        found = await self._read(_ADJUSTMENTS_OF, (operator, book, json_texts(references).decode()))
        return mapping.ADJUSTMENTS.rows(found)

    async def count_states(self) -> Mapping[str, int]:
        movements: dict[str, int] = dict(await self._read(_COUNT_MOVEMENTS))
        ((owed, held, deliveries, cases),) = await self._read(_COUNT_DELIVERIES)
        return state_counts(movements, owed, held, deliveries, cases)


def parameter(value: Any) -> Any:
    """Numbers of one size and text without NUL: else each mix of types would be prepared for itself."""
    if isinstance(value, str):
        return storable(value)
    return Int8(value) if isinstance(value, int) else value


def _restricting(where: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """Conditions on what is not `None`, and their parameters."""
    given = [(condition, value) for condition, value in where.items() if value is not None]
    return [f"{condition} ${place}" for place, (condition, _) in enumerate(given, 1)], [value for _, value in given]
