"""Changes as the rows of a wave, and what the database says of them.

A wave is a row of changes that do not touch each other, so that one statement can judge all of them at once. What two
changes of one batch both touch is judged in order: the later one is in a later wave of the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import define, field

from croupier.contract.errors import LedgerCorruptError
from croupier.ledger import mapping
from croupier.ledger.changes import check_change
from croupier.ledger.mapping import Table, event_values
from croupier.ledger.port import Change, CommitResult, Committed, Refused, RefusedBecause
from croupier.ledger.postgres_partitions import check_calendar
from croupier.ledger.postgres_statements import (
    CASE_UPDATES,
    DELIVERY_UPDATES,
    EXPECTED_SESSIONS,
    GRANT_UPDATES,
    LATER_CONFIGURATION,
    MOVEMENT_UPDATES,
    NEW_ADJUSTMENTS,
    NEW_CASES,
    NEW_DELIVERIES,
    NEW_EVENTS,
    NEW_GRANTS,
    NEW_KEYS,
    NEW_MOVEMENTS,
    NEW_ROUNDS,
    NEW_SESSIONS,
    NEXT_CONFIGURATION,
    PARTS,
    REFUSAL_CODES,
    ROUND_UPDATES,
    SESSION_UPDATES,
    SINK_UPDATES,
    Part,
)
from croupier.ledger.postgres_values import json_rows
from croupier.ledger.records import changed

Place = tuple[str, ...]
_BASE = 4
_BECAUSE = {code: because for because, code in REFUSAL_CODES.items()}
_TAKEN = REFUSAL_CODES[RefusedBecause.TAKEN]
_STALE = REFUSAL_CODES[RefusedBecause.STALE]
_NO_PLACE = 0
"""Stands last in a row for the change's place in its wave, until that is known."""


@define(eq=False)
class Asked:
    """One change, ready to be sent.

    Attributes:
        change: The change.
        rows: The rows of each part; the last value of each is for the change's place in its wave.
        touched: Everything that it writes, as (table, key ...).
        expected: What it only looks at, likewise.
        times: When its events were.
        refused: The refusal's number, if it contradicts itself: what comes before may still refuse it first.
    """

    change: Change
    rows: list[tuple[Part, list[Any]]] = field(factory=list)
    touched: set[Place] = field(factory=set)
    expected: set[Place] = field(factory=set)
    times: list[int] = field(factory=list)
    refused: int | None = None
    _judged: list[Place] = field(factory=list)

    def outcome(self, told: int) -> CommitResult:
        """What the database's number for this change means."""
        if told >= 0:
            return Committed(told)
        place, code = divmod(-told, _BASE)
        return Refused(_BECAUSE[code], " ".join(self._judged[place]))

    def _refusal(self, place: Place, code: int) -> int:
        number = len(self._judged) * _BASE + code
        self._judged.append(place)
        return number

    def _add(self, part: Part, place: Place, code: int, row: list[Any]) -> bool:
        """A row that may be refused; false if the change has had it before."""
        refusal = self._refusal(place, code)
        if place in self.touched:
            self.refused = refusal
            return False
        self.touched.add(place)
        row += (refusal, _NO_PLACE)
        self.rows.append((part, row))
        return True

    def expects(self) -> None:
        """Sessions that must be stored as the change expects them; they are judged before everything else."""
        operator = self.change.operator
        for session, version in self.change.expects:
            refusal = self._refusal((session,), _STALE)
            self.expected.add((EXPECTED_SESSIONS.table, operator, session))
            self.rows.append((EXPECTED_SESSIONS, [operator, session, version, refusal, _NO_PLACE]))

    def insert(self, part: Part, table: Table[Any], row: Any) -> bool:
        """A row that must not exist yet; false if the change has had it before."""
        return self._add(part, (table.name, *table.key_of(row)), _TAKEN, table.values(row))

    def update(self, part: Part, table: Table[Any], row: Any, epoch: int | None = None) -> bool:
        """A row that must be stored one version below; false if the change has had it before."""
        values = table.values(row)
        if part.epochs:
            values.append(epoch)
        return self._add(part, (table.name, *table.key_of(row)), _STALE, values)

    def versioned(self, insert: Part, update: Part, table: Table[Any], rows: Iterable[Any]) -> bool:
        """Rows that are new at version 1 and changed above it."""
        for row in rows:
            new = row.version == 1
            if not (self.insert(insert, table, row) if new else self.update(update, table, row)):
                return False
        return True

    def movements(self) -> bool:
        """New movements, their keys, and changed ones; false if one comes twice."""
        change = self.change
        for row in change.movements:
            if not self.insert(NEW_MOVEMENTS, mapping.MOVEMENTS, row):
                return False
        for key, movement in change.keys:
            values = (key.operator, key.scope, key.namespace, key.value)
            if not self._add(NEW_KEYS, ("key", *values), _TAKEN, [*values, movement]):
                return False
        for update in change.updates:
            if not self.update(MOVEMENT_UPDATES, mapping.MOVEMENTS, update.row, update.epoch):
                return False
        return True

    def deliveries(self) -> bool:
        """New deliveries, each at its distance from the last of them, and changed ones."""
        new = self.change.deliveries
        for place, row in enumerate(new, 1):
            if not self.insert(NEW_DELIVERIES, mapping.DELIVERIES, changed(row, sequence=place - len(new))):
                return False
        for update in self.change.delivery_updates:
            if not self.update(DELIVERY_UPDATES, mapping.DELIVERIES, update.row, update.epoch):
                return False
        return True

    def configuration(self) -> bool:
        """The next versions of configured things; false if one does not follow the one before it."""
        newest: dict[Place, int] = {}
        table = mapping.CONFIGURATION
        for row in self.change.configuration:
            place = ("configuration", row.operator, row.kind, row.name)
            refusal = self._refusal(place, _TAKEN if row.version == 1 else _STALE)
            before = newest.get(place)
            if before is None:
                self.touched.add(place)
                self.rows.append((NEXT_CONFIGURATION, [*table.values(row), refusal, _NO_PLACE]))
            elif before == row.version - 1:
                self.rows.append((LATER_CONFIGURATION, [*table.values(row), _NO_PLACE]))
            else:
                self.refused = refusal
                return False
            newest[place] = row.version
        return True

    def cases(self) -> bool:
        """New and changed cases, and the adjustments that settle them; false if one comes twice."""
        change = self.change
        return self.versioned(NEW_CASES, CASE_UPDATES, mapping.CASES, change.cases) and all(
            self.insert(NEW_ADJUSTMENTS, mapping.ADJUSTMENTS, row) for row in change.adjustments
        )

    def events(self) -> None:
        """Events, each at its distance from the last of them."""
        operator, events = self.change.operator, self.change.events
        for place, event in enumerate(events, 1):
            check_calendar(event.at)
            self.times.append(event.at)
            self.rows.append((NEW_EVENTS, [*event_values(operator, place - len(events), event), _NO_PLACE]))


def ask(change: Change) -> Asked:
    """Make a change ready to be sent.

    Raises:
        LedgerCorruptError: It crosses operators, or holds what no column can.
    """
    check_change(change)
    asked = Asked(change)
    try:
        asked.expects()
        if (
            asked.movements()
            and asked.versioned(NEW_ROUNDS, ROUND_UPDATES, mapping.ROUNDS, change.rounds)
            and asked.deliveries()
            and asked.versioned(NEW_SESSIONS, SESSION_UPDATES, mapping.SESSIONS, change.sessions)
            and asked.versioned(NEW_GRANTS, GRANT_UPDATES, mapping.GRANTS, change.grants)
            and asked.configuration()
            and (not change.sinks or all(asked.update(SINK_UPDATES, mapping.SINKS, row) for row in change.sinks))
            and (not (change.cases or change.adjustments) or asked.cases())
        ):
            asked.events()
    except (TypeError, ValueError) as error:
        raise LedgerCorruptError(f"the ledger cannot hold what a change brings: {error}") from error
    return asked


def waves(batch: Iterable[Asked]) -> Iterator[list[Asked]]:
    """The changes of a batch in order, cut where one touches or expects what another before it touches."""
    wave: list[Asked] = []
    touched: set[Place] = set()
    for asked in batch:
        if not (touched.isdisjoint(asked.touched) and touched.isdisjoint(asked.expected)):
            yield wave
            wave, touched = [], set()
        wave.append(asked)
        touched |= asked.touched
    if wave:
        yield wave


def wave_parameters(wave: Sequence[Asked]) -> tuple[tuple[Part, ...], list[bytes]]:
    """What `croupier.ledger.postgres_statements.wave` is to be made for, and its parameters from the third on.

    Raises:
        TypeError: A row holds what no column can.
    """
    rows: dict[Part, list[list[Any]]] = {}
    for change, asked in enumerate(wave, 1):
        for part, values in asked.rows:
            values[-1] = change
            rows.setdefault(part, []).append(values)
    parts = tuple(part for part in PARTS if part in rows)
    given = [
        [asked.change.operator, len(asked.change.events), len(asked.change.deliveries), asked.refused] for asked in wave
    ]
    return parts, [json_rows(given), *(json_rows(rows[part]) for part in parts)]
