"""The SQL of the PostgreSQL ledger, written from the tables' columns.

The statement of a wave is the heart: one statement judges up to a batch of changes that do not touch each other and
writes those that nothing refuses. Its guards look rows up one by one with subqueries that cannot become joins, and its
updates are `INSERT ... ON CONFLICT DO UPDATE`, which finds each row by the key's index: no plan of it depends on how
large the tables were when it was prepared. Getting ready for each column of each of its tables is much of what a small
wave costs the server: rows stay one value until they are written, and nothing is computed that no part asks for.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Sequence
from enum import Enum, unique
from functools import lru_cache

from croupier.ledger import mapping
from croupier.ledger.mapping import Table
from croupier.ledger.port import RefusedBecause
from croupier.ledger.sqlite_statements import columns, sql


@unique
class Action(Enum):
    """What is done with the rows of a part."""

    INSERT = "new"
    """They must not exist yet."""
    UPDATE = "changed"
    """They must be stored one version below."""
    FOLLOW = "next"
    """Their version must be one above the newest stored."""
    APPEND = "appended"
    """Nothing stands in their way."""
    EXPECT = "expected"
    """They must be stored at this version, and are only looked at."""


class Part:
    """What a change does to one table.

    Args:
        table: The table's name.
        action: What is done.
        columns: The columns of its rows.
        integers: Those that hold integers.
        key: The columns that identify a row.
        places: The column that is an offset to the operator's place after the change, with the verdict's column that
            holds that place.
        epochs: Whether an update may ask for an epoch.
        assigned: Columns that an update keeps.

    Attributes:
        name: What it is called in a statement.
        guarded: Whether something can refuse its rows.
    """

    def __init__(
        self,
        table: str,
        action: Action,
        columns: tuple[str, ...],
        integers: frozenset[str],
        *,
        key: tuple[str, ...] = (),
        places: tuple[str, str] | None = None,
        epochs: bool = False,
        assigned: tuple[str, ...] = (),
    ) -> None:
        self.name = f"{action.value}_{table}"
        self.table = table
        self.action = action
        self.columns = columns
        self.key = key
        self.guarded = action is not Action.APPEND
        self.epochs = epochs
        self._places = places
        self._kept = {*key, *assigned}
        own = ["under"] if epochs else []
        if self.guarded:
            own.append("refusal")
        own.append("change")
        names = [*columns, *own]
        self._values = dict(zip(names, given_values(names, {*own, *integers}), strict=True))
        self._judged_by = [*(name for name in (*key, "version") if name in columns and self.guarded), *own]

    def given(self, number: int) -> str:
        """The common table of its rows, which are parameter `number`: what they are judged by, and each row whole."""
        judged_by = ", ".join(f'{self._values[name]} AS "{name}"' for name in dict.fromkeys(self._judged_by))
        return sql(self.name, "AS MATERIALIZED (SELECT", judged_by, ", one FROM", elements(number), ")")

    def _match(self, key: Iterable[str]) -> str:
        return " AND ".join(f'stored."{column}" = given."{column}"' for column in key)

    def refusals(self) -> str:
        """The refusals of rows that meet something."""
        start = sql("SELECT given.change, given.refusal FROM", self.name, "AS given")
        match self.action:
            case Action.INSERT:
                found = sql("SELECT 1 FROM", self.table, "AS stored WHERE", self._match(self.key))
                return sql(start, "WHERE (", found, ") IS NOT NULL")
            case Action.FOLLOW:
                newest = sql(
                    "SELECT max(stored.version) FROM", self.table, "AS stored WHERE", self._match(self.key[:-1])
                )
                return sql(start, "WHERE coalesce((", newest, "), 0) <> given.version - 1")
            case Action.UPDATE:
                guards = "stored.version, stored.epoch" if self.epochs else "stored.version"
                stored = sql("SELECT", guards, "FROM", self.table, "AS stored WHERE", self._match(self.key))
                condition = "stored.version IS DISTINCT FROM given.version - 1"
                if self.epochs:
                    condition += " OR (given.under IS NOT NULL AND stored.epoch IS DISTINCT FROM given.under)"
                return sql(
                    start, "LEFT JOIN LATERAL (", stored, "FOR NO KEY UPDATE) AS stored ON true WHERE", condition
                )
            case Action.EXPECT:
                # No row lock: every change of what is expected holds the operator's row, as this one does.
                stored = sql("SELECT stored.version FROM", self.table, "AS stored WHERE", self._match(self.key))
                return sql(start, "WHERE (", stored, ") IS DISTINCT FROM given.version")
            case Action.APPEND:
                raise ValueError("what is appended meets nothing")
            case never:
                typing.assert_never(never)

    def write(self) -> str:
        """The common table that writes the rows of accepted changes."""
        values = {column: self._values[column] for column in self.columns}
        if self._places:
            column, places = self._places
            values[column] = f"verdict.{places}[given.change] + {values[column]}"
        statement = sql(
            "INSERT INTO", self.table, "(", columns(self.columns), ") SELECT", ", ".join(values.values()),
            "FROM", self.name, "AS given, verdict WHERE verdict.outcomes[given.change] >= 0",
        )  # fmt: skip
        if self.action is Action.UPDATE:
            kept = ", ".join(f'"{name}" = excluded."{name}"' for name in self.columns if name not in self._kept)
            statement = sql(statement, "ON CONFLICT (", columns(self.key), ") DO UPDATE SET", kept)
        return sql(f"write_{self.name}", "AS (", statement, ")")


def elements(number: int) -> str:
    """The rows of a parameter, as `croupier.ledger.postgres_values.json_rows` gives them."""
    return f"jsonb_array_elements(${number}::jsonb) AS one"


def given_values(names: Sequence[str], integers: Collection[str]) -> list[str]:
    """The values in a row of `elements`, in the order in which each row has them."""
    return [f"(one->>{place})::int8" if name in integers else f"one->>{place}" for place, name in enumerate(names)]


def given_columns(names: Sequence[str], integers: Collection[str]) -> str:
    """The same as columns."""
    values = given_values(names, integers)
    return ", ".join(f'{value} AS "{name}"' for value, name in zip(values, names, strict=True))


def _part(table: Table[typing.Any], action: Action, places: tuple[str, str] | None = None) -> Part:
    return Part(
        table.name,
        action,
        table.columns,
        table.integers,
        key=table.key,
        places=places,
        epochs=action is Action.UPDATE and "epoch" in table.columns,
        assigned=table.assigned,
    )


KEY_COLUMNS = ("operator", "scope", "namespace", "value")

EXPECTED_SESSIONS = Part(
    "sessions",
    Action.EXPECT,
    (*mapping.SESSIONS.key, "version"),
    frozenset({"version"}),
    key=mapping.SESSIONS.key,
)
NEW_MOVEMENTS = _part(mapping.MOVEMENTS, Action.INSERT)
NEW_KEYS = Part("movement_keys", Action.INSERT, (*KEY_COLUMNS, "movement"), frozenset(), key=KEY_COLUMNS)
MOVEMENT_UPDATES = _part(mapping.MOVEMENTS, Action.UPDATE)
NEW_ROUNDS = _part(mapping.ROUNDS, Action.INSERT)
ROUND_UPDATES = _part(mapping.ROUNDS, Action.UPDATE)
NEW_DELIVERIES = _part(mapping.DELIVERIES, Action.INSERT, ("sequence", "sequences"))
DELIVERY_UPDATES = _part(mapping.DELIVERIES, Action.UPDATE)
NEW_SESSIONS = _part(mapping.SESSIONS, Action.INSERT)
SESSION_UPDATES = _part(mapping.SESSIONS, Action.UPDATE)
NEW_GRANTS = _part(mapping.GRANTS, Action.INSERT)
GRANT_UPDATES = _part(mapping.GRANTS, Action.UPDATE)
NEXT_CONFIGURATION = _part(mapping.CONFIGURATION, Action.FOLLOW)
LATER_CONFIGURATION = _part(mapping.CONFIGURATION, Action.APPEND)
SINK_UPDATES = _part(mapping.SINKS, Action.UPDATE)
NEW_CASES = _part(mapping.CASES, Action.INSERT)
CASE_UPDATES = _part(mapping.CASES, Action.UPDATE)
NEW_ADJUSTMENTS = _part(mapping.ADJUSTMENTS, Action.INSERT)
NEW_EVENTS = Part(
    "events", Action.APPEND, mapping.EVENT_COLUMNS, frozenset({"position", "at"}), places=("position", "outcomes")
)

PARTS = (
    EXPECTED_SESSIONS, NEW_MOVEMENTS, NEW_KEYS, MOVEMENT_UPDATES, NEW_ROUNDS, ROUND_UPDATES, NEW_DELIVERIES,
    DELIVERY_UPDATES, NEW_SESSIONS, SESSION_UPDATES, NEW_GRANTS, GRANT_UPDATES, NEXT_CONFIGURATION,
    LATER_CONFIGURATION, SINK_UPDATES, NEW_CASES, CASE_UPDATES, NEW_ADJUSTMENTS, NEW_EVENTS,
)  # fmt: skip
"""Everything that a change may do, in the order in which a wave's parameters come."""

_GIVEN = given_columns(("operator", "events", "deliveries", "refusal"), {"events", "deliveries", "refusal"})
_JUDGED = """judged AS MATERIALIZED (
  SELECT change, operator, events, deliveries,
    (SELECT min(refusals.refusal) FROM refusals WHERE refusals.change = given.change) AS refusal
  FROM given)"""


def _verdict(parts: Collection[Part]) -> list[str]:
    """The common tables that say what becomes of each change, and that move the operators' places.

    `verdict.outcomes` holds the operator's position after a change, or the negative number of what refuses it.
    """
    counted = {"position": "events"}
    verdict = "array_agg(coalesce(-refusal, position) ORDER BY change) AS outcomes"
    if NEW_DELIVERIES in parts:
        counted["sequence"] = "deliveries"
        verdict += ", array_agg(sequence ORDER BY change) AS sequences"
    places = ", ".join(_place(column, rows) for column, rows in counted.items())
    tables = [
        _JUDGED,
        sql(
            "placed AS MATERIALIZED (SELECT change, operator, refusal, events, deliveries,", places,
            "FROM judged WINDOW so_far AS (PARTITION BY operator ORDER BY change))",
        ),
        sql("verdict AS MATERIALIZED (SELECT", verdict, "FROM placed)"),
    ]  # fmt: skip
    if NEW_DELIVERIES in parts or NEW_EVENTS in parts:
        newest = ", ".join(f"max({column})" if column in counted else "0" for column in ("position", "sequence"))
        tables.append(
            sql(
                "moved AS (INSERT INTO operator_positions (operator, position, sequence) SELECT operator,", newest,
                "FROM placed GROUP BY operator HAVING bool_or(refusal IS NULL AND events + deliveries > 0)",
                "ON CONFLICT (operator) DO UPDATE SET",
                ", ".join(f"{column} = excluded.{column}" for column in counted), ")",
            )
        )  # fmt: skip
    return tables


def _place(column: str, rows: str) -> str:
    """The operator's place after each change."""
    stored = sql("(SELECT", column, "FROM operator_positions AS stored WHERE stored.operator = judged.operator)")
    return sql(stored, "+ (sum(CASE WHEN refusal IS NULL THEN", rows, f"ELSE 0 END) OVER so_far)::int8 AS {column}")


@lru_cache(maxsize=256)
def wave(parts: tuple[Part, ...], *, first: bool) -> bytes:
    """The statement that judges and writes changes that do not touch each other.

    Its parameters: the writer's name; the batch's number; a row for each change, in order, of its operator, how many
    events and deliveries it has, and the refusal that it met before it was sent (NULL if none); then the rows of each
    of `parts`, which end with epoch, refusal and the change's place (from 1), as far as the part has these.
    It gives one row with one column: what became of each change, as `croupier.ledger.postgres_batch` reads it.

    Args:
        parts: What the changes do, in the order of `PARTS`.
        first: Whether this is the batch's first wave.
    """
    given = [part.given(number) for number, part in enumerate(parts, 4)]
    told = "verdict.outcomes" if first else "writers.outcomes || verdict.outcomes"
    outcomes = sql(
        "told AS (UPDATE writers SET batch = $2::int8, seen_at = now(), outcomes =", told,
        "FROM verdict WHERE writers.writer = $1::text)",
    )  # fmt: skip
    refusals = [part.refusals() for part in parts if part.guarded]
    text = ",\n".join(
        (
            sql(
                "WITH given AS MATERIALIZED (SELECT change,",
                _GIVEN,
                "FROM jsonb_array_elements($3::jsonb) WITH ORDINALITY AS given (one, change))",
            ),
            *given,
            sql(
                "refusals AS MATERIALIZED (",
                " UNION ALL ".join(("SELECT change, refusal FROM given WHERE refusal IS NOT NULL", *refusals)),
                ")",
            ),
            *_verdict(parts),
            outcomes,
            *(part.write() for part in parts if part.action is not Action.EXPECT),
        )
    )
    return sql(text, "\nSELECT outcomes FROM verdict").encode()


REFUSAL_CODES = {RefusedBecause.TAKEN: 1, RefusedBecause.STALE: 2}
"""The low part of a refusal's number; the high part is the place of what refused it."""

_OPERATORS = "jsonb_array_elements_text($1::jsonb)"
ENSURE_OPERATORS = sql(
    "INSERT INTO operator_positions (operator, position, sequence)",
    "SELECT operator, 0, 0 FROM", _OPERATORS, "AS given (operator) ON CONFLICT (operator) DO NOTHING",
).encode()  # fmt: skip
LOCK_OPERATORS = sql(
    "SELECT FROM operator_positions WHERE operator = ANY (ARRAY(SELECT", _OPERATORS, "))",
    "ORDER BY operator FOR NO KEY UPDATE",
).encode()  # fmt: skip
LOCK_WRITER = (
    b"SELECT 1 / count(*) FROM ("
    b"SELECT FROM writers WHERE writer = $1::text AND fence = $2::int8"
    b" AND current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' FOR NO KEY UPDATE) AS own"
)
"""Fails, and with it everything that follows, if the connection was given up, or if the server, which may have read its
settings anew, does not keep what it acknowledges any more: the connection that is made then is refused for that."""

_NUMBER = sql(
    ", (SELECT number FROM movements WHERE operator = one->>0 AND movement =",
    f"one->>{mapping.EXCHANGES.columns.index('movement')})",
)
INSERT_EXCHANGES = sql(
    "INSERT INTO exchanges (", columns((*mapping.EXCHANGES.columns, "movement_number")), ") SELECT",
    given_columns(mapping.EXCHANGES.columns, mapping.EXCHANGES.integers),
    _NUMBER, "FROM", elements(1),
    "ON CONFLICT (operator, trace, exchange, started_at) DO NOTHING",
).encode()  # fmt: skip


def _claim(table: Table[typing.Any], name: str, which: str, order: str) -> bytes:
    """Its rows come with their place in the order in which they were due."""
    key = " AND ".join(f'claimed."{column}" = free."{column}"' for column in table.key)
    return sql(
        "WITH found AS (SELECT", columns(table.key, name), "FROM", table.name, "AS", name, "WHERE", which,
        "ORDER BY", order, "LIMIT $2::int8 FOR NO KEY UPDATE OF", name, "SKIP LOCKED),",
        "free AS (SELECT *, row_number() OVER () AS place FROM found)",
        "UPDATE", table.name, "AS claimed SET owner = $3::text, epoch = $4::int8, lease_until = $5::int8,",
        "version = claimed.version + 1 FROM free WHERE", key,
        "RETURNING free.place,", columns(table.columns, "claimed"),
    ).encode()  # fmt: skip


_DUE = """due.state = 'owed' AND due.due_at <= $1::int8 AND due.lease_until <= $1::int8
  AND due.operator <> ALL (ARRAY(SELECT jsonb_array_elements_text((${apart}::text)::jsonb)))
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS earlier
    WHERE earlier.operator = due.operator AND earlier.round = due.round AND earlier.state = 'owed'
      AND earlier.sequence < due.sequence)
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS held
    WHERE held.operator = due.operator AND held.state = 'held' AND held.movement IN (due.movement, due.waits_for))"""
_ORPHANED = "orphaned.state IN ('fenced', 'intent') AND orphaned.lease_until <= $1::int8"

CLAIM_DELIVERIES = _claim(mapping.DELIVERIES, "due", _DUE.format(apart=6), "due.due_at, due.operator, due.sequence")
CLAIM_MOVEMENTS = _claim(
    mapping.MOVEMENTS, "orphaned", _ORPHANED, "orphaned.lease_until, orphaned.operator, orphaned.movement"
)
ANY_DUE = sql("SELECT 1 FROM deliveries AS due WHERE", _DUE.format(apart=2), "LIMIT 1").encode()
ANY_ORPHANED = sql("SELECT 1 FROM movements AS orphaned WHERE", _ORPHANED, "LIMIT 1").encode()

_SINK_VALUES = ", ".join(
    f"${place}::{'int8' if column in mapping.SINKS.integers else 'text'}"
    for place, column in enumerate(mapping.SINKS.columns, 1)
)
CLAIM_SINK = sql(
    "INSERT INTO sinks AS stored (", columns(mapping.SINKS.columns), ") VALUES (", _SINK_VALUES, ")",
    "ON CONFLICT (operator, sink) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch,",
    "lease_until = excluded.lease_until, version = stored.version + 1",
    "WHERE stored.lease_until <= $9::int8 OR stored.epoch = excluded.epoch",
    "RETURNING", columns(mapping.SINKS.columns, "stored"),
).encode()  # fmt: skip
"""Its parameters are the columns of a new row and the time."""

STORE_SINK = sql(
    "UPDATE sinks AS stored SET", ", ".join(f"{column} = given.{column}" for column in mapping.SINKS.columns),
    "FROM (VALUES (", _SINK_VALUES, ")) AS given (", columns(mapping.SINKS.columns), ")",
    "WHERE stored.operator = given.operator AND stored.sink = given.sink AND stored.version = given.version - 1",
    "AND ($9::int8 IS NULL OR stored.epoch = $9::int8) RETURNING stored.version",
).encode()  # fmt: skip
"""Its parameters are the columns of the row and the epoch, if one is demanded."""

STORE_MARK = (
    b"WITH forgotten AS (DELETE FROM clock_marks WHERE ledger_ms < $3::int8 - $5::int8 AND boot <> $1::text)"
    b" INSERT INTO clock_marks AS stored (boot, steady_ms, ledger_ms, database_ms)"
    b" VALUES ($1::text, $2::int8, $3::int8, $4::int8) ON CONFLICT (boot) DO UPDATE SET"
    b" steady_ms = excluded.steady_ms, ledger_ms = excluded.ledger_ms, database_ms = excluded.database_ms"
    b" WHERE stored.ledger_ms < excluded.ledger_ms"
)
"""Its parameters are the columns of a mark, and for how long those of other machines are kept. One statement, so that
a process that stands still in the middle holds no row that others of its machine wait for; what it deletes and what
it stores must not be one row."""

FORGET_CLOCK = (b"DELETE FROM clock_marks", b"UPDATE sinks SET lease_until = 0 WHERE lease_until > 0")
