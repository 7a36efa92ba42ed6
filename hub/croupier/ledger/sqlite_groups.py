"""Many changes as a few statements: what touches different rows is read and written table by table.

A group is judged by one reading of each table. A change that meets what it does not expect is left out, to be applied
alone (`croupier.ledger.sqlite_commands`), where it is told why it is refused. The others are written without looking
again: each statement writes only what is new, or what is stored as its change expects it, and the database's own
constraints and the count of rows tell whether that was all. If not, nobody knows which change is to blame: then the
whole transaction is rolled back, and its commands are applied one by one. Of changes that touch different rows the
order does not matter, so all three ways come to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import orjson
from attrs import define, field

from croupier.ledger.mapping import Value, event_values
from croupier.ledger.port import Change, CommitResult, Committed
from croupier.ledger.sqlite_commands import INSERT_EVENT, INSERT_KEY, Work
from croupier.ledger.sqlite_statements import INSERT_MOVEMENT, MOVEMENTS, ROUNDS

_UPDATE_OF_EPOCH: Final = f"{MOVEMENTS.guarded_update} AND epoch = ?"

_VERSIONS: Final = "SELECT value, version FROM json_each(?) CROSS JOIN {} WHERE operator = ? AND {} = value"
_MOVEMENT_VERSIONS: Final = _VERSIONS.format("movements", "movement")
_ROUND_VERSIONS: Final = _VERSIONS.format("rounds", "round")
_SESSION_VERSIONS: Final = _VERSIONS.format("sessions", "session")

Rows = list[Sequence[Value]]
Versions = dict[str, int]


class NotAsExpectedError(Exception):
    """A row was not stored as some change of a group expects it."""


@define(eq=False)
class Group:
    """Changes of one transaction that touch different rows and are not yet written.

    Attributes:
        work: The transaction.
    """

    work: Work
    _changes: dict[str, list[tuple[int, Change]]] = field(factory=dict)
    _touched: set[tuple[str, ...]] = field(factory=set)

    def add(self, place: int, change: Change) -> bool:
        """Take a change up, if it touches nothing but rows of movements and rounds that the group does not touch.

        Args:
            place: Where it stands among the commands of the transaction.
            change: The change.
        """
        if change.deliveries or change.delivery_updates or change.sessions or change.grants:
            return False
        if change.configuration or change.sinks or change.cases or change.adjustments:
            return False
        operator = change.operator
        new = [(row.operator, row.movement) for row in change.movements]
        places: list[tuple[str, ...]] = [(row.operator, row.round, "round") for row in change.rounds]
        places += new
        places += [(update.row.operator, update.row.movement) for update in change.updates]
        for key, movement in change.keys:
            if (operator, movement) not in new:
                return False
            places.append(key)
        touched = set(places)
        if len(touched) != len(places) or not self._touched.isdisjoint(touched):
            return False
        for touched_place in places:
            if touched_place[0] != operator:
                return False
        self._touched |= touched
        self._changes.setdefault(operator, []).append((place, change))
        return True

    def write(self, outcomes: dict[int, CommitResult]) -> list[int]:
        """Write what was taken up; the group is empty then.

        Args:
            outcomes: Where to put what the callers are told once it is committed, by the changes' places.

        Returns:
            The places of the changes that were left out: they are to be applied alone.

        Raises:
            NotAsExpectedError: A row is not stored as a change expects it: the transaction must be rolled back.
            TypeError: A JSON attribute holds what is not JSON-ready: likewise.
            sqlite3.Error: A row that must be new is there, or breaks another constraint, or the store is in trouble.
        """
        left_out: list[int] = []
        for operator, changes in self._changes.items():
            self._write(operator, changes, outcomes, left_out)
        self._changes.clear()
        self._touched.clear()
        left_out.sort()
        return left_out

    def _write(
        self,
        operator: str,
        changes: Sequence[tuple[int, Change]],
        outcomes: dict[int, CommitResult],
        left_out: list[int],
    ) -> None:
        work = self.work
        stored = _Stored(work, operator, changes)
        written = _Written(work)
        position, sequence = work.places(operator)
        events: Rows = []
        for place, change in changes:
            if not stored.is_as_expected(change):
                left_out.append(place)
                continue
            written.add(change)
            for event in change.events:
                position += 1
                events.append(event_values(operator, position, event))
            outcomes[place] = Committed(position)
        written.write()
        if events:
            work.executemany(INSERT_EVENT, events)
            work.move_places(operator, position, sequence)


class _Stored:
    """What is stored of the rows that changes of one operator expect to be new, or at a version."""

    def __init__(self, work: Work, operator: str, changes: Sequence[tuple[int, Change]]) -> None:
        movements = [row.movement for _, change in changes for row in change.movements]
        rounds = [row.round for _, change in changes for row in change.rounds]
        sessions = {session for _, change in changes for session, _ in change.expects}
        self._movements = _versions(work, _MOVEMENT_VERSIONS, operator, movements)
        self._rounds = _versions(work, _ROUND_VERSIONS, operator, rounds)
        self._sessions = _versions(work, _SESSION_VERSIONS, operator, sessions)

    def is_as_expected(self, change: Change) -> bool:
        """Whether the change meets what it expects, as far as it was read: keys and changed movements were not."""
        for session, version in change.expects:
            if self._sessions.get(session) != version:
                return False
        for round_row in change.rounds:
            if self._rounds.get(round_row.round, 0) != round_row.version - 1:
                return False
        if self._movements:
            return not any(row.movement in self._movements for row in change.movements)
        return True


def _versions(work: Work, statement: str, operator: str, ids: Iterable[str]) -> Versions:
    wanted = list(ids)
    if not wanted:
        return {}
    return dict(work.execute(statement, (orjson.dumps(wanted).decode(), operator)))


class _Written:
    """The rows that are to be written, by statement."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._movements: Rows = []
        self._keys: Rows = []
        self._updates: Rows = []
        self._updates_of_epoch: Rows = []
        self._rounds: Rows = []
        self._round_updates: Rows = []

    def add(self, change: Change) -> None:
        """Add the rows of a change, but for its events."""
        if change.movements:
            numbers: dict[str, int] = {}
            for row in change.movements:
                number = numbers[row.movement] = self._work.next_number()
                values = MOVEMENTS.table.values(row)
                values.append(number)
                self._movements.append(values)
            for key, movement in change.keys:
                self._keys.append((*key, numbers[movement]))
        for update in change.updates:
            guarded = MOVEMENTS.guarded(MOVEMENTS.table.values(update.row))
            if update.epoch is None:
                self._updates.append((*guarded, update.row.version - 1))
            else:
                self._updates_of_epoch.append((*guarded, update.row.version - 1, update.epoch))
        for round_row in change.rounds:
            values = ROUNDS.table.values(round_row)
            if round_row.version == 1:
                self._rounds.append(values)
            else:
                self._round_updates.append((*ROUNDS.guarded(values), round_row.version - 1))

    def write(self) -> None:
        """Write them.

        Raises:
            NotAsExpectedError: One is not stored as its change expects it.
        """
        for statement, rows in (
            (INSERT_MOVEMENT, self._movements),
            (INSERT_KEY, self._keys),
            (MOVEMENTS.guarded_update, self._updates),
            (_UPDATE_OF_EPOCH, self._updates_of_epoch),
            (ROUNDS.insert, self._rounds),
            (ROUNDS.guarded_update, self._round_updates),
        ):
            if rows and self._work.executemany(statement, rows).rowcount != len(rows):
                raise NotAsExpectedError
