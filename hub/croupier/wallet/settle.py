"""Writes what became of movements, together with everything that follows from it.

The rows may have changed since they were read: a rollback may have fenced a bet whose call was under way. Then the
rows are read again and the same happenings are applied to what stands there now; the machine says what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, field

from croupier.contract import AppliedEffect, ConflictError, StoreUnavailableError
from croupier.contract.values import immutable
from croupier.ledger.port import Committed, DeliveryUpdate, Ledger, Look, Snapshot
from croupier.ledger.records import CaseRow, DeliveryState, MovementRow, MovementState
from croupier.ledger.records import Event as LedgerEvent
from croupier.wallet.alarms import Alarm, unheard
from croupier.wallet.draft import Draft, is_empty
from croupier.wallet.machine import Event
from croupier.wallet.ports import Clock
from croupier.wallet.settled import is_settled

MAX_TRIES: Final = 1000
"""A write that loses this often to others is given up; each loss means that somebody else made progress."""


@immutable(kw_only=True)
class Happening:
    """Something happened to a movement.

    Attributes:
        movement: Its id.
        event: What happened.
        changes: Columns to set with it, if the movement comes to be applied or refused by it.
        while_in: If given, it matters only to a movement that still is in one of these states.
    """

    movement: str
    event: Event
    changes: Mapping[str, Any] = field(factory=dict)
    while_in: frozenset[MovementState] | None = None


class Settler:
    """Applies happenings to movements."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        notify: Callable[[str], None],
        owed: Callable[[], None] | None = None,
        alarm: Alarm = unheard,
    ) -> None:
        """Everything the settler needs is handed in.

        Args:
            ledger: The durable record.
            clock: Time.
            notify: Told the id of every movement that changed, after it is durable.
            owed: Told that there is new work that is owed, after it is durable.
            alarm: Told of every alarm, after it is durable.
        """
        self._ledger = ledger
        self._clock = clock
        self._notify = notify
        self._owed = owed
        self._alarm = alarm

    async def settle(
        self,
        operator: str,
        happenings: Sequence[Happening],
        *,
        known: Snapshot | None = None,
        closes_round: bool = False,
        ended_by: str | None = None,
        derives_end: bool = False,
        delivery: DeliveryUpdate | None = None,
        also: Sequence[LedgerEvent] = (),
        alarms: Sequence[LedgerEvent] = (),
        cases: Sequence[CaseRow] = (),
    ) -> Mapping[str, MovementRow]:
        """Write happenings in one commit.

        Args:
            operator: The operator.
            happenings: What happened, all in one round or in none.
            known: A reading that is probably still true; another is made if it is not.
            closes_round: Whether the round ends, provided that every movement of the happenings stands.
            ended_by: The rollback that must stand instead, if the round ends with one.
            derives_end: Whether it ends as well if it is settled thereby.
            delivery: The owed work's new row, written with it.
            also: Further events to append.
            alarms: Events to append before what happened, and to tell of.
            cases: Cases of reconciliation that are settled by it.

        Returns:
            Every movement of the happenings, and the rollbacks that they settle, as they stand now, by id.

        Raises:
            StoreUnavailableError: It could not be made durable.
            ConflictError: The delivery or a case is somebody else's by now; nothing was written.
        """
        snapshot = known
        for _try in range(MAX_TRIES):
            if snapshot is None or (derives_end and snapshot.round is not None and not snapshot.round_movements):
                snapshot = await self._read(operator, happenings, whole=derives_end)
            draft = Draft(operator, self._clock.now_ms())
            draft.events.extend(alarms)
            after = {item.movement: _apply(draft, snapshot.movements[item.movement], item) for item in happenings}
            complete = _settle_rollbacks(draft, snapshot, happenings)
            if complete:
                ends = after.values() if ended_by is None else _now(ended_by, snapshot, draft)
                closes = closes_round and bool(ends) and all(row.state in STANDING for row in ends)
                closes = closes or (derives_end and is_settled(_played(snapshot, draft)))
                draft.events.extend(also)
                if delivery is not None:
                    draft.delivery_updates.append(_held_with_movement(delivery, draft))
                change = draft.change(snapshot.round, stored=snapshot.round is not None, closes=closes)
                if cases:
                    change = evolve(change, cases=tuple(cases))
                if is_empty(change) or isinstance(await self._ledger.commit(change), Committed):
                    for _before, row in draft.updates:
                        self._notify(row.movement)
                    if draft.deliveries and self._owed is not None:
                        self._owed()
                    for event in alarms:
                        self._alarm(operator, event)
                    return {**{row.movement: row for _before, row in draft.updates}, **after}
                await self._check(delivery, cases)
            snapshot = None
        raise StoreUnavailableError("other writers came first too often")

    async def _check(self, delivery: DeliveryUpdate | None, cases: Sequence[CaseRow]) -> None:
        for row in cases:
            before = await self._ledger.case(row.operator, row.case)
            if (0 if before is None else before.version) != row.version - 1:
                raise ConflictError("the case was taken over", where=row.case)
        if delivery is None:
            return
        stored = await self._ledger.delivery(delivery.row.operator, delivery.row.delivery)
        if stored is None or stored.version != delivery.row.version - 1:
            raise ConflictError("the delivery was taken over", where=delivery.row.delivery)

    async def _read(self, operator: str, happenings: Sequence[Happening], *, whole: bool) -> Snapshot:
        wanted = tuple(item.movement for item in happenings)
        first = await self._ledger.look(Look(operator=operator, movements=wanted))
        related = {row.undone_by for row in first.movements.values() if row.undone_by}
        rounds = {row.round for row in first.movements.values() if row.round}
        look = Look(
            operator=operator,
            movements=(*wanted, *sorted(related)),
            round=next(iter(rounds), None),
            round_movements=whole,
        )
        return await self._ledger.look(look)


_GIVEN_BACK: Final = frozenset({Event.UNDO_REFUSED, Event.UNDO_WAIVED, Event.SETTLED_DONE})
_STANDS_AGAIN: Final[Mapping[str, Any]] = {"undone_by": None}
STANDING: Final = frozenset({MovementState.APPLIED, MovementState.OWED})
"""States of a play's movements in which it ends its round, if it says so."""


def _played(snapshot: Snapshot, draft: Draft) -> Sequence[MovementRow]:
    """The movements of the round as they are after the draft."""
    changed = {row.movement: row for _before, row in draft.updates}
    return [changed.get(row.movement, row) for row in snapshot.round_movements]


def _now(movement: str, snapshot: Snapshot, draft: Draft) -> Sequence[MovementRow]:
    """A movement as it is after the draft, if it was read."""
    changed = (row for _before, row in draft.updates if row.movement == movement)
    row = next(changed, snapshot.movements.get(movement))
    return () if row is None else (row,)


def _apply(draft: Draft, row: MovementRow, item: Happening) -> MovementRow:
    """One happening to one row; a rollback that does not take place gives its target back as it was."""
    if item.while_in is not None and row.state not in item.while_in:
        return row
    return draft.advance(row, item.event, **(_STANDS_AGAIN if item.event in _GIVEN_BACK else item.changes))


def _held_with_movement(delivery: DeliveryUpdate, draft: Draft) -> DeliveryUpdate:
    """Work is held only with its movement: of one that has moved on, or is held already, people decide nothing here."""
    row = delivery.row
    if row.state is not DeliveryState.HELD:
        return delivery
    held = (after.movement for _before, after in draft.updates if after.state is MovementState.HELD)
    return delivery if row.movement in held else evolve(delivery, row=evolve(row, state=DeliveryState.DONE))


def _settle_rollbacks(draft: Draft, snapshot: Snapshot, happenings: Sequence[Happening]) -> bool:
    """Tell the rollbacks' own rows what became of their targets; `False` if one of them was not read yet."""
    for before, after in tuple(draft.updates):
        if before.undone_by is None or (verdict := _VERDICTS.get((before.state, after.state))) is None:
            continue
        own = snapshot.movements.get(before.undone_by)
        if own is None:
            return False
        if own.target != before.movement or own.state not in {MovementState.INTENT, MovementState.OWED}:
            continue
        item = next((item for item in happenings if item.movement == before.movement), None)
        waived = item is not None and item.event is Event.UNDO_WAIVED
        event, effect = (Event.ACCEPTED, AppliedEffect.NOTHING.value) if waived else verdict
        refused = event is Event.REFUSED
        owed = own.state is MovementState.OWED
        changes = (item.changes if item else {}) if refused else {"effect": effect, **_balances(after)}
        draft.advance(own, Event.UNDO_REFUSED if refused and owed else event, **changes)
    return True


def _balances(row: MovementRow) -> dict[str, Any]:
    return {"balance": row.balance, "bonus": row.bonus}


_VERDICTS: Final[Mapping[tuple[MovementState, MovementState], tuple[Event, str | None]]] = {
    (MovementState.REVERSING, MovementState.REVERSED): (Event.ACCEPTED, AppliedEffect.MOVED.value),
    (MovementState.FENCED, MovementState.DECLINED): (Event.ACCEPTED, AppliedEffect.NOTHING.value),
    (MovementState.REVERSING, MovementState.APPLIED): (Event.REFUSED, None),
    (MovementState.HELD, MovementState.REVERSED): (Event.ACCEPTED, AppliedEffect.MOVED.value),
    (MovementState.HELD, MovementState.APPLIED): (Event.REFUSED, None),
}
