"""What the writer does in a transaction: each command looks first and writes only what it then knows to be allowed.

So a refused command has written nothing and the others of its batch do not notice it. What most changes are is written
by `croupier.ledger.sqlite_groups` instead, many at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from croupier.contract.errors import ConflictError
from croupier.ledger.changes import check_change, readable
from croupier.ledger.clock_marks import KEPT_MS, ClockMark
from croupier.ledger.mapping import EVENT_COLUMNS, Table, event_values
from croupier.ledger.port import Change, CommitResult, Committed, Owner, Refused, RefusedBecause
from croupier.ledger.records import (
    AliasRow,
    ConfigurationRow,
    DeliveryRow,
    Key,
    MovementRow,
    PlayerRow,
    SinkRow,
    changed,
)
from croupier.ledger.sqlite_open import is_undecodable
from croupier.ledger.sqlite_statements import (
    ADJUSTMENTS,
    ALIASES,
    CASES,
    CONFIGURATION,
    DELIVERIES,
    GRANTS,
    INSERT_MOVEMENT,
    MOVEMENTS,
    PLAYERS,
    ROUNDS,
    SELECT_ALIAS,
    SELECT_DUE,
    SELECT_ORPHANS,
    SELECT_PLAYER,
    SESSIONS,
    SINKS,
    Plan,
    Statements,
    claim_parameters,
    insert_into,
    sql,
)

Row = TypeVar("Row", bound=attrs.AttrsInstance)

_KEY = "SELECT 1 FROM movement_keys WHERE operator = ? AND scope = ? AND namespace = ? AND value = ?"
INSERT_KEY = insert_into("movement_keys", ("operator", "scope", "namespace", "value", "movement_number"))
INSERT_EVENT = insert_into("events", EVENT_COLUMNS)
_SESSION_VERSION = "SELECT version FROM sessions WHERE operator = ? AND session = ?"
_NEWEST_NUMBER = "SELECT coalesce(max(number), 0) FROM movements"
_CONFIGURED = "SELECT coalesce(max(version), 0) FROM configuration WHERE operator = ? AND kind = ? AND name = ?"
_PLACES = "SELECT position, sequence FROM operator_positions WHERE operator = ?"
_STORE_PLACES = (
    "INSERT INTO operator_positions (operator, position, sequence) VALUES (?, ?, ?)"
    " ON CONFLICT (operator) DO UPDATE SET position = excluded.position, sequence = excluded.sequence"
)
_STORE_MARK = (
    "INSERT INTO clock_marks (boot, steady_ms, ledger_ms, database_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " steady_ms = excluded.steady_ms, ledger_ms = excluded.ledger_ms, database_ms = excluded.database_ms"
    " WHERE clock_marks.ledger_ms < excluded.ledger_ms"
)
_LEASE = "SET owner = ?, epoch = ?, lease_until = ?, version = ? WHERE operator = ? AND"
_CLAIM = {
    name: sql("UPDATE", name, _LEASE, key, "= ?")
    for name, key in (("deliveries", "delivery"), ("movements", "movement"))
}


class Work:
    """One transaction's working state: the connection, and the places of the operators that it concerns.

    Args:
        connection: The writer's connection, in a transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        cursor = connection.cursor()
        self._connection = connection
        self.execute = cursor.execute
        self.executemany = cursor.executemany
        self._places: dict[str, tuple[int, int]] = {}
        self._moved: dict[str, tuple[int, int]] = {}
        self._number: int | None = None

    def one(self, statement: str, parameters: Sequence[Any]) -> Any:
        """The one row that a statement finds, or `None`."""
        return self.execute(statement, parameters).fetchone()

    def whatever_it_holds(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        """The rows that a statement finds; of damaged text what can be read of it."""
        try:
            return self.execute(statement, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if not is_undecodable(error):
                raise
        self._connection.text_factory = _as_far_as_it_can_be_read
        try:
            return self._connection.execute(statement, parameters).fetchall()
        finally:
            self._connection.text_factory = str

    def carry_out(self, plan: Plan) -> None:
        """Execute a plan."""
        for statement, rows in plan.items():
            if len(rows) == 1:
                self.execute(statement, rows[0])
            else:
                self.executemany(statement, rows)

    def next_number(self) -> int:
        """The number of one more movement."""
        newest = self.one(_NEWEST_NUMBER, ())[0] if self._number is None else self._number
        self._number = int(newest) + 1
        return self._number

    def stale_session(self, operator: str, expects: Iterable[tuple[str, int]]) -> str | None:
        """The first of the expected sessions that is not stored at its version, or `None`."""
        for session, version in expects:
            if self.one(_SESSION_VERSION, (operator, session)) != (version,):
                return session
        return None

    def places(self, operator: str) -> tuple[int, int]:
        """The newest event position and delivery sequence of an operator, this transaction's included."""
        places = self._places.get(operator)
        if places is None:
            places = self.one(_PLACES, (operator,)) or (0, 0)
            self._places[operator] = places
        return places

    def move_places(self, operator: str, position: int, sequence: int) -> None:
        """Note new places; `store_places` writes them once for the whole batch."""
        self._places[operator] = self._moved[operator] = position, sequence

    def store_places(self) -> None:
        """Write the places that have moved."""
        self.executemany(_STORE_PLACES, [(operator, *places) for operator, places in self._moved.items()])


def _as_far_as_it_can_be_read(text: bytes) -> str:
    return text.decode(errors="replace")


def apply_change(work: Work, change: Change) -> CommitResult:
    """Apply a change, or refuse it without having written anything.

    Raises:
        LedgerCorruptError: The change crosses operators or has a key without its movement; nothing was written.
    """
    check_change(change)
    stale = work.stale_session(change.operator, change.expects)
    if stale is not None:
        return Refused(RefusedBecause.STALE, stale)
    plan = _Plan(work)
    allowed = (
        all(plan.movement(row) for row in change.movements)
        and plan.keys(change.keys)
        and all(plan.update(MOVEMENTS, update.row, update.row.version, update.epoch) for update in change.updates)
        and plan.versioned(ROUNDS, ((row, row.version) for row in change.rounds))
        and plan.deliveries(change)
        and plan.versioned(SESSIONS, ((row, row.version) for row in change.sessions))
        and plan.versioned(GRANTS, ((row, row.version) for row in change.grants))
        and plan.configuration(change.configuration)
        and (not change.sinks or all(plan.update(SINKS, row, row.version) for row in change.sinks))
        and (not change.cases or plan.versioned(CASES, ((row, row.version) for row in change.cases)))
        and all(plan.insert(ADJUSTMENTS, row) for row in change.adjustments)
    )
    if not allowed and plan.refused:
        return plan.refused
    position, sequence = work.places(change.operator)
    if change.events:
        plan.statements[INSERT_EVENT] = [
            event_values(change.operator, position + place, event) for place, event in enumerate(change.events, 1)
        ]
    work.carry_out(plan.statements)
    if change.events or change.deliveries:
        position += len(change.events)
        work.move_places(change.operator, position, sequence + len(change.deliveries))
    return Committed(position)


class _Plan:
    """What a change will write, if nothing that it met refuses it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._seen: set[tuple[str, ...]] = set()
        self._numbers: dict[str, int] = {}
        self.statements: Plan = {}
        self.refused: Refused | None = None

    def _refuse(self, because: RefusedBecause, *what: str) -> bool:
        self.refused = Refused(because, " ".join(what))
        return False

    def _place(self, statements: Statements[Row], row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The row's key, and the same as what a change may touch once."""
        key = statements.table.key_of(row)
        return key, (statements.table.name, *key)

    def insert(self, statements: Statements[Row], row: Row) -> bool:
        """A row that must not exist yet; false if it does."""
        if not self._is_new(statements, row):
            return False
        statements.add_insert(self.statements, row)
        return True

    def movement(self, row: MovementRow) -> bool:
        """A movement that must not exist yet; false if it does."""
        if not self._is_new(MOVEMENTS, row):
            return False
        number = self._numbers[row.movement] = self._work.next_number()
        self.statements.setdefault(INSERT_MOVEMENT, []).append([*MOVEMENTS.table.values(row), number])
        return True

    def _is_new(self, statements: Statements[Row], row: Row) -> bool:
        key, place = self._place(statements, row)
        if place in self._seen or self._work.one(statements.check, key):
            return self._refuse(RefusedBecause.TAKEN, *place)
        self._seen.add(place)
        return True

    def update(self, statements: Statements[Row], row: Row, version: int, epoch: int | None = None) -> bool:
        """A row that must be stored one version below, under this epoch if one is given; false if it is not."""
        key, place = self._place(statements, row)
        stored = None if place in self._seen else self._work.one(statements.check, key)
        if stored is None or stored[0] != version - 1 or (epoch is not None and stored[1] != epoch):
            return self._refuse(RefusedBecause.STALE, *place)
        self._seen.add(place)
        statements.add_update(self.statements, row, stored)
        return True

    def versioned(self, statements: Statements[Row], rows: Iterable[tuple[Row, int]]) -> bool:
        """Rows that are new at version 1 and changed above it."""
        return all(
            self.insert(statements, row) if version == 1 else self.update(statements, row, version)
            for row, version in rows
        )

    def keys(self, keys: Iterable[tuple[Key, str]]) -> bool:
        """The keys of the change's movements; false if one is taken."""
        for key, movement in keys:
            if ("key", *key) in self._seen or self._work.one(_KEY, key):
                return self._refuse(RefusedBecause.TAKEN, "key", *key)
            self._seen.add(("key", *key))
            self.statements.setdefault(INSERT_KEY, []).append((*key, self._numbers[movement]))
        return True

    def deliveries(self, change: Change) -> bool:
        """New deliveries at the next places, and changed ones."""
        if not change.deliveries and not change.delivery_updates:
            return True
        _, sequence = self._work.places(change.operator)
        return all(
            self.insert(DELIVERIES, attrs.evolve(row, sequence=place))
            for place, row in enumerate(change.deliveries, sequence + 1)
        ) and all(
            self.update(DELIVERIES, update.row, update.row.version, update.epoch) for update in change.delivery_updates
        )

    def configuration(self, rows: Iterable[ConfigurationRow]) -> bool:
        """The next versions of configured things; false if one is not the next."""
        newest: dict[tuple[str, str], int] = {}
        for row in rows:
            name = (row.kind, row.name)
            stored = newest[name] if name in newest else self._work.one(_CONFIGURED, (row.operator, *name))[0]
            if row.version != stored + 1:
                because = RefusedBecause.TAKEN if row.version == 1 else RefusedBecause.STALE
                return self._refuse(because, "configuration", row.operator, *name)
            newest[name] = row.version
            CONFIGURATION.add_insert(self.statements, row)
        return True


def end_leases(connection: sqlite3.Connection) -> None:
    """End every lease. Whoever holds the ledger's lock is alone: the holders of these leases are gone.

    What they left is then taken over at once, and not only when their leases have run out.
    """
    connection.execute("UPDATE movements SET lease_until = 0 WHERE state IN ('fenced', 'intent') AND lease_until > 0")
    connection.execute("UPDATE deliveries SET lease_until = 0 WHERE state = 'owed' AND lease_until > 0")
    connection.execute("UPDATE sinks SET lease_until = 0 WHERE lease_until > 0")


def mark_clock(work: Work, mark: ClockMark) -> None:
    """Keep a mark of the ledger's time, and forget those of machines that have long written none."""
    work.execute(_STORE_MARK, (mark.boot, mark.steady_ms, mark.ledger_ms, mark.database_ms))
    work.execute("DELETE FROM clock_marks WHERE ledger_ms < ?", (mark.ledger_ms - KEPT_MS,))


def forget_clock(work: Work) -> None:
    """Forget every mark; whoever opens the ledger ends all leases."""
    work.execute("DELETE FROM clock_marks", ())


def register(work: Work, name: str) -> Owner:
    """Give a process the next epoch."""
    (newest,) = work.one("SELECT coalesce(max(epoch), 0) FROM owners", ())
    work.execute("INSERT INTO owners (epoch, name) VALUES (?, ?)", (newest + 1, name))
    return Owner(name, newest + 1)


def claim_deliveries(work: Work, owner: Owner, due: Mapping[str, int | str], lease_until: int) -> Sequence[DeliveryRow]:
    """Lease due work; `due` has the parameters of `SELECT_DUE`."""
    return _claim(work, DELIVERIES.table, work.whatever_it_holds(SELECT_DUE, due), owner, lease_until)


def claim_orphans(work: Work, owner: Owner, now: int, lease_ms: int, limit: int) -> Sequence[MovementRow]:
    """Take over movements whose owner is gone."""
    found = work.whatever_it_holds(SELECT_ORPHANS, claim_parameters(now, limit))
    return _claim(work, MOVEMENTS.table, found, owner, now + lease_ms)


def _claim(work: Work, table: Table[Row], found: Iterable[Any], owner: Owner, lease_until: int) -> list[Row]:
    """Lease rows, those too that cannot be read: others must not wait behind them."""
    version, *key = (table.columns.index(name) for name in ("version", *table.key))
    leased = []
    for values in found:
        newer = values[version] + 1
        lease = (owner.name, owner.epoch, lease_until, newer)
        if work.execute(_CLAIM[table.name], (*lease, *(values[place] for place in key))).rowcount:
            leased.append((values, newer))
    return [
        changed(row, owner=owner.name, epoch=owner.epoch, lease_until=lease_until, version=newer)
        for values, newer in leased
        for row in readable(table, [values])
    ]


def claim_sink(work: Work, claimed: SinkRow, now: int) -> SinkRow | None:
    """Lease a sink, or renew the lease; `claimed` is its row if it is new."""
    found = work.one(SINKS.by_key, (claimed.operator, claimed.sink))
    if found is None:
        work.execute(SINKS.insert, SINKS.table.values(claimed))
        return claimed
    stored = SINKS.table.row(found)
    if stored.lease_until > now and stored.epoch != claimed.epoch:
        return None
    row = attrs.evolve(
        stored,
        owner=claimed.owner,
        epoch=claimed.epoch,
        lease_until=claimed.lease_until,
        version=stored.version + 1,
    )
    _store_sink(work, row, (stored.version, stored.epoch))
    return row


def store_sink(work: Work, row: SinkRow, epoch: int | None) -> bool:
    """Change a sink that is stored one version below, under this epoch if one is given; false if it is not."""
    stored = work.one(SINKS.check, (row.operator, row.sink))
    if stored is None or stored[0] != row.version - 1 or (epoch is not None and stored[1] != epoch):
        return False
    _store_sink(work, row, stored)
    return True


def _store_sink(work: Work, row: SinkRow, stored: tuple[int, int]) -> None:
    plan: Plan = {}
    SINKS.add_update(plan, row, stored)
    work.carry_out(plan)


def ensure_player(work: Work, row: PlayerRow) -> PlayerRow:
    """The vault's line, stored if there was none.

    Raises:
        ConflictError: The surrogate is another player's.
    """
    if stored := work.one(SELECT_PLAYER, (row.operator, row.operator_player)):
        return PLAYERS.table.row(stored)
    if work.one(PLAYERS.by_key, (row.operator, row.player)):
        raise ConflictError("the surrogate is another player's", hint="draw a new one")
    work.execute(PLAYERS.insert, PLAYERS.table.values(row))
    return row


def ensure_alias(work: Work, row: AliasRow) -> AliasRow:
    """The alias of a player in a connection, stored if there was none.

    Raises:
        ConflictError: The alias is another player's.
    """
    if stored := work.one(SELECT_ALIAS, (row.operator, row.connection, row.player)):
        return ALIASES.table.row(stored)
    if work.one(ALIASES.by_key, (row.operator, row.connection, row.alias)):
        raise ConflictError("the alias is another player's", hint="draw a new one")
    work.execute(ALIASES.insert, ALIASES.table.values(row))
    return row
