"""A change in the making: rows step through the machine, and what follows from a step is written with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import field

from croupier.contract.values import immutable
from croupier.ledger.port import Change, DeliveryUpdate, Update
from croupier.ledger.records import (
    DeliveryRow,
    DeliveryState,
    DeliveryTask,
    Event,
    Key,
    MovementRow,
    MovementState,
    RoundRow,
    RoundState,
    SessionRow,
    changed,
)
from croupier.wallet.identity import derived_id
from croupier.wallet.machine import Effect, step
from croupier.wallet.machine import Event as Happening
from croupier.wallet.rows import movement_event, tallied

_TASKS: Final[Mapping[Effect, DeliveryTask]] = {
    Effect.OWE_SEND: DeliveryTask.SEND,
    Effect.OWE_REVERSE: DeliveryTask.REVERSE,
    Effect.OWE_ASK: DeliveryTask.ASK,
}


@immutable
class Draft:
    """Collects rows and events; `change` makes one command of them.

    Attributes:
        operator: The operator.
        now: UTC milliseconds.
    """

    operator: str
    now: int
    movements: list[MovementRow] = field(factory=list, init=False)
    keys: list[tuple[Key, str]] = field(factory=list, init=False)
    updates: list[tuple[MovementRow, MovementRow]] = field(factory=list, init=False)
    deliveries: list[DeliveryRow] = field(factory=list, init=False)
    delivery_updates: list[DeliveryUpdate] = field(factory=list, init=False)
    events: list[Event] = field(factory=list, init=False)

    def insert(self, row: MovementRow, keys: Sequence[Key]) -> MovementRow:
        """Add a new movement."""
        self.movements.append(row)
        self.keys.extend([(key, row.movement) for key in keys])
        self.events.append(movement_event(row))
        return row

    def advance(self, before: MovementRow, happening: Happening, **changes: Any) -> MovementRow:
        """Let a movement take a step; what it comes to owe is written with it.

        Raises:
            LedgerCorruptError: The machine knows no such step.
        """
        state, effects = step(before.state, happening)
        row = self.amend(before, state=state, settled_at=self.now, **changes)
        for effect in effects:
            if effect in _TASKS:
                self.owe(row, _TASKS[effect], held=Effect.HOLD in effects)
        return row

    def amend(self, before: MovementRow, **changes: Any) -> MovementRow:
        """Change columns of a movement."""
        row = changed(before, version=before.version + 1, **changes)
        self.updates.append((before, row))
        if row.state is not before.state:
            self.events.append(movement_event(row))
        return row

    def owe(self, row: MovementRow, task: DeliveryTask, *, held: bool = False, due_at: int | None = None) -> None:
        """Write down work that is owed; it is due at once unless said otherwise."""
        state = DeliveryState.HELD if held else DeliveryState.OWED
        self.deliveries.append(
            DeliveryRow(
                operator=self.operator,
                delivery=derived_id("delivery", self.operator, row.movement, task.value, str(row.version)),
                movement=row.movement,
                round=row.round,
                task=task,
                state=state,
                waits_for=row.target if row.state is MovementState.OWED else None,
                due_at=self.now if due_at is None else due_at,
                created_at=self.now,
                detail=row.message if held else None,
            )
        )
        body = {"movement": row.movement, "task": task.value}
        self.events.append(Event(kind=f"delivery.{state.value}", subject=row.movement, at=self.now, body=body))

    def change(
        self, round_row: RoundRow | None, *, stored: bool, closes: bool = False, rests_on: SessionRow | None = None
    ) -> Change:
        """One command of everything.

        Args:
            round_row: The round that the movements are in, as it was read, or as it is to be made.
            stored: Whether that round exists already.
            closes: Whether the round ends now.
            rests_on: The session that must still be as it was read.
        """
        changes = [(None, row) for row in self.movements] + self.updates
        rounds = tallied(round_row, changes, stored=stored)
        if closes and round_row is not None and round_row.state is RoundState.OPEN:
            base = rounds[0] if rounds else changed(round_row, version=round_row.version + 1 if stored else 1)
            rounds = (changed(base, state=RoundState.CLOSED, closed_at=self.now),)
            self.events.append(Event(kind="round.closed", subject=round_row.round, at=self.now))
        return Change(
            operator=self.operator,
            expects=((rests_on.session, rests_on.version),) if rests_on is not None else (),
            movements=tuple(self.movements),
            keys=tuple(self.keys),
            updates=tuple([Update(after) for _before, after in self.updates]),
            rounds=rounds,
            deliveries=tuple(self.deliveries),
            delivery_updates=tuple(self.delivery_updates),
            events=tuple(self.events),
        )


def is_empty(change: Change) -> bool:
    """Whether there is nothing to write."""
    return not (
        change.movements
        or change.updates
        or change.rounds
        or change.deliveries
        or change.delivery_updates
        or change.events
    )
