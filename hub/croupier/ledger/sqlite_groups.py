"""Many changes as a few statements: what touches different rows is written table by table, without looking first.

Each statement writes only what is new, or what is stored as the change expects it; the database's own constraints and
the count of changed rows tell whether all of it was. If not, nobody knows yet which change is to blame: then the whole
transaction is rolled back, and its commands are applied one by one (`croupier.ledger.sqlite_commands`), each of them
judged alone. Of changes that touch different rows the order does not matter, so both ways come to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import define, field

from croupier.ledger.changes import stay_with_operator
from croupier.ledger.mapping import Value, event_values
from croupier.ledger.port import Change, CommitResult, Committed, Refused, RefusedBecause
from croupier.ledger.records import MovementRow
from croupier.ledger.sqlite_commands import INSERT_EVENT, INSERT_KEY, Work
from croupier.ledger.sqlite_statements import INSERT_MOVEMENT, MOVEMENTS, ROUNDS

_UPDATE_OF_EPOCH: Final = f"{MOVEMENTS.guarded_update} AND epoch = ?"

Rows = list[Sequence[Value]]


class NotAsExpectedError(Exception):
    """A row was not stored as some change of a group expects it."""


@define(eq=False)
class Group:
    """Changes of one transaction that touch different rows and are not yet written.

    Attributes:
        work: The transaction.
    """

    work: Work
    _touched: set[tuple[str, ...]] = field(factory=set)
    _movements: Rows = field(factory=list)
    _keys: Rows = field(factory=list)
    _updates: Rows = field(factory=list)
    _updates_of_epoch: Rows = field(factory=list)
    _rounds: Rows = field(factory=list)
    _round_updates: Rows = field(factory=list)
    _events: Rows = field(factory=list)

    def add(self, change: Change) -> CommitResult | None:
        """Take a change up.

        Returns:
            What its caller is told if the group is written and committed; `None` if it is to be applied alone, after
            the group was written: it touches what the group touches, or more than new
            movements with their keys, and movements and rounds.

        Raises:
            LedgerCorruptError: It crosses operators; nothing of it was taken up.
            TypeError: A JSON attribute holds what is not JSON-ready: the transaction must be rolled back.
        """
        if _is_special(change):
            return None
        places = _places(change)
        touched = set(places)
        if len(touched) != len(places) or not self._touched.isdisjoint(touched):
            return None
        operator = change.operator
        if change.expects:
            stale = self.work.stale_session(operator, change.expects)
            if stale is not None:
                return Refused(RefusedBecause.STALE, stale)
        numbers = {row.movement: self._insert(row) for row in change.movements}
        for key, movement in change.keys:
            self._keys.append((*key, numbers[movement]))
        self._change(change)
        self._touched |= touched
        position, sequence = self.work.places(operator)
        if change.events:
            for position, event in enumerate(change.events, position + 1):  # noqa: B020 - the last is the newest
                self._events.append(event_values(operator, position, event))
            self.work.move_places(operator, position, sequence)
        return Committed(position)

    def _insert(self, row: MovementRow) -> int:
        number = self.work.next_number()
        self._movements.append([*MOVEMENTS.table.values(row), number])
        return number

    def _change(self, change: Change) -> None:
        for update in change.updates:
            guarded = MOVEMENTS.guarded(MOVEMENTS.table.values(update.row))
            if update.epoch is None:
                self._updates.append((*guarded, update.row.version - 1))
            else:
                self._updates_of_epoch.append((*guarded, update.row.version - 1, update.epoch))
        for row in change.rounds:
            values = ROUNDS.table.values(row)
            if row.version == 1:
                self._rounds.append(values)
            else:
                self._round_updates.append((*ROUNDS.guarded(values), row.version - 1))

    def write(self) -> None:
        """Write what was taken up; the group is empty then.

        Raises:
            NotAsExpectedError: A row is not stored as a change expects it: the transaction must be rolled back.
            sqlite3.Error: A row that must be new is there, or breaks another constraint, or the store is in trouble.
        """
        work = self.work
        for statement, rows in (
            (INSERT_MOVEMENT, self._movements),
            (INSERT_KEY, self._keys),
            (MOVEMENTS.guarded_update, self._updates),
            (_UPDATE_OF_EPOCH, self._updates_of_epoch),
            (ROUNDS.insert, self._rounds),
            (ROUNDS.guarded_update, self._round_updates),
            (INSERT_EVENT, self._events),
        ):
            if rows:
                if work.executemany(statement, rows).rowcount != len(rows):
                    raise NotAsExpectedError
                rows.clear()
        self._touched.clear()


def _is_special(change: Change) -> bool:
    """Whether a change is more than movements, with the keys of new ones, rounds and events."""
    if change.deliveries or change.delivery_updates or change.sessions or change.grants or change.configuration:
        return True
    new = {row.movement for row in change.movements}
    return not all(movement in new for _, movement in change.keys)


def _places(change: Change) -> list[tuple[str, ...]]:
    """What a change touches: the keys of its rows, each led by the operator.

    Raises:
        LedgerCorruptError: It crosses operators.
    """
    places: list[tuple[str, ...]] = [(row.operator, row.movement) for row in change.movements]
    places += [(update.row.operator, update.row.movement) for update in change.updates]
    places += [(row.operator, row.round, "round") for row in change.rounds]
    places += [key for key, _ in change.keys]
    operator = change.operator
    if any(place[0] != operator for place in places):
        stay_with_operator(change)
    return places
