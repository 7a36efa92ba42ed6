"""The SQL of a table, written once from its columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

import attrs

from croupier.ledger import mapping
from croupier.ledger.mapping import Table, Value

Row = TypeVar("Row", bound=attrs.AttrsInstance)

Parameters = tuple[Value, ...] | list[Value]
Plan = dict[str, list[Parameters]]
"""Statements in order, each with the rows that it is to be executed for."""


def columns(names: Iterable[str], alias: str = "") -> str:
    """A list of quoted columns, `grant` being a word of SQL."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f'{prefix}"{name}"' for name in names)


def _all(names: Iterable[str], joined: str) -> str:
    return joined.join(f'"{name}" = ?' for name in names)


def sql(*words: str) -> str:
    """A statement out of its parts: names and clauses of this package, never a value."""
    return " ".join(words)


def insert_into(table: str, names: Sequence[str]) -> str:
    """Stores a row of these columns."""
    return sql("INSERT INTO", table, "(", columns(names), ") VALUES (", ", ".join("?" for _ in names), ")")


class Statements(Generic[Row]):
    """What is said to one table.

    Args:
        table: The table.

    Attributes:
        check: Reads `version` (and `epoch` where there is one), then the settled columns, by key; only whether there is
            a row, where there is no version.
        insert: Stores a row.
        guarded_update: Changes a row that is stored one version below and whose settled columns stay as they are.
        guarded: The parameters of `guarded_update` but for the last, which is the version that must be stored.
        select: Reads whole rows; a `WHERE` is to follow.
        by_key: Reads one row by its key.
    """

    def __init__(self, table: Table[Row]) -> None:
        self.table = table
        name, key = table.name, _all(table.key, " AND ")
        guards = tuple(guard for guard in ("version", "epoch") if guard in table.columns)
        self._guards = len(guards)
        moving = [column for column in table.columns if column not in {*table.key, *table.settled, *table.assigned}]
        places = [table.columns.index(column) for column in (*moving, *table.key)]
        self._moving = places
        self._settled = [table.columns.index(column) for column in (*table.settled, *table.key)]
        self.check = sql("SELECT", columns((*guards, *table.settled)) or "1", "FROM", name, "WHERE", key)
        self.insert = insert_into(name, table.columns)
        self.guarded_update = sql(
            "UPDATE", name, "SET", _all(moving, ", "), "WHERE", key,
            *(f'AND "{column}" IS ?' for column in table.settled), "AND version = ?",
        )  # fmt: skip
        self.guarded: Callable[[Sequence[Value]], tuple[Value, ...]] = itemgetter(
            *places, *(table.columns.index(column) for column in table.settled)
        )
        self._update = sql("UPDATE", name, "SET", _all(moving, ", "), "WHERE", key)
        self._resettle = sql("UPDATE", name, "SET", _all(table.settled, ", "), "WHERE", key)
        self.select = sql("SELECT", columns(table.columns), "FROM", name)
        self.by_key = sql(self.select, "WHERE", key)

    def add_insert(self, plan: Plan, row: Row) -> None:
        """Plan to store a new row."""
        plan.setdefault(self.insert, []).append(self.table.values(row))

    def add_update(self, plan: Plan, row: Row, stored: tuple[Any, ...]) -> None:
        """Plan to change a row; `stored` is what `check` read of it."""
        values = self.table.values(row)
        plan.setdefault(self._update, []).append([values[place] for place in self._moving])
        if any(values[place] != old for place, old in zip(self._settled, stored[self._guards :], strict=False)):
            plan.setdefault(self._resettle, []).append([values[place] for place in self._settled])


MOVEMENTS = Statements(mapping.MOVEMENTS)
ROUNDS = Statements(mapping.ROUNDS)
DELIVERIES = Statements(mapping.DELIVERIES)
SESSIONS = Statements(mapping.SESSIONS)
GRANTS = Statements(mapping.GRANTS)
CONFIGURATION = Statements(mapping.CONFIGURATION)
SINKS = Statements(mapping.SINKS)
CASES = Statements(mapping.CASES)
ADJUSTMENTS = Statements(mapping.ADJUSTMENTS)
EXCHANGES = Statements(mapping.EXCHANGES)
PLAYERS = Statements(mapping.PLAYERS)
ALIASES = Statements(mapping.ALIASES)

INSERT_MOVEMENT = insert_into("movements", (*mapping.MOVEMENTS.columns, "number"))
"""Stores a movement, with its place in the order of movements as the last parameter."""

SELECT_DUE = sql(
    "SELECT",
    columns(mapping.DELIVERIES.columns, "due"),
    """FROM deliveries AS due
WHERE due.state = 'owed' AND due.due_at <= :now AND due.lease_until <= :now
  AND due.operator NOT IN (SELECT value FROM json_each(:apart_from))
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS earlier
    WHERE earlier.operator = due.operator AND earlier.round = due.round AND earlier.state = 'owed'
      AND earlier.sequence < due.sequence)
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS held INDEXED BY deliveries_held
    WHERE held.operator = due.operator AND held.state = 'held' AND held.movement IN (due.movement, due.waits_for))
ORDER BY due.due_at, due.operator, due.sequence LIMIT :limit""",
)
"""Deliveries that may be claimed; `croupier.ledger.port.Ledger.claim_deliveries` says which. Left to itself, SQLite
would go through all deliveries of an operator to see that none is held."""

SELECT_ORPHANS = sql(
    MOVEMENTS.select,
    "WHERE state IN ('fenced', 'intent') AND lease_until <= :now",
    "ORDER BY lease_until, operator, movement LIMIT :limit",
)
"""Movements whose owner's lease has ended before they were settled."""

ANY_DUE = sql("SELECT 1 FROM (", SELECT_DUE, ")")
ANY_ORPHANED = sql("SELECT 1 FROM (", SELECT_ORPHANS, ")")
"""Whether there are any, without a look at what they hold."""

SELECT_PLAYER = sql(PLAYERS.select, "WHERE operator = ? AND operator_player = ?")
SELECT_ALIAS = sql(ALIASES.select, "WHERE operator = ? AND connection = ? AND player = ?")


def claim_parameters(now: int, limit: int) -> dict[str, int | str]:
    """The parameters of `SELECT_ORPHANS`; those of `SELECT_DUE`, but for the operators that nothing is claimed of."""
    return {"now": now, "limit": limit}
