"""Small pure steps between rows, outcomes and events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from croupier.contract import (
    Applied,
    AppliedEffect,
    Declined,
    DeclineReason,
    Direction,
    Money,
    MovementKind,
)
from croupier.ledger.records import Event, MovementRow, MovementState, RoundRow, changed
from croupier.wallet.intended import BETS, COUNTED_WINS
from croupier.wallet.machine import LIVE, Shape
from croupier.wallet.parties import Connection

NOT_SENT: Final = "not_sent"
"""The recorded reason of a bet that its wallet never heard of. Its provider is told `maintenance`."""

_REASONS: Final = {reason.value: reason for reason in DeclineReason} | {NOT_SENT: DeclineReason.MAINTENANCE}
"""What a provider is told, by the recorded reason; a reason that a newer release has recorded is another one."""

_DEBIT: Final = Direction.DEBIT.value
_CREDIT: Final = Direction.CREDIT.value
_NET: Final = MovementKind.BET_AND_WIN.value
_BETS: Final = frozenset(kind.value for kind in BETS)
_WINS: Final = frozenset(kind.value for kind in COUNTED_WINS)
_TOLD: Final = tuple("connection player kind direction amount currency round game target reason".split())
"""What an event tells of a movement."""
_HAPPENED: Final = {state: f"movement.{state.value}" for state in MovementState}


def takes_stake(row: MovementRow) -> bool:
    """Whether a movement takes a bet: a debit, or a net bet+win that came out as a credit."""
    return row.direction == _DEBIT or (row.kind == _NET and row.stake is not None)


def is_bet(row: MovementRow) -> bool:
    """Whether a movement counts as a bet of its round."""
    return row.kind in _BETS and takes_stake(row)


def is_win(row: MovementRow) -> bool:
    """Whether a movement counts as a win of its round."""
    return row.kind in _WINS and row.direction == _CREDIT and not is_bet(row)


def names_its_bet(row: MovementRow) -> bool:
    """Whether a win was sent for a bet by name; a target that the hub found by itself says nothing."""
    return row.target is not None and "target" in row.fingerprint


def shape_of(rows: Sequence[MovementRow]) -> Shape:
    """What kind of work it is to send these movements of one play."""
    if not any(map(takes_stake, rows)):
        return Shape.WIN
    return Shape.BET_AND_WIN if any(row.direction == _CREDIT for row in rows) else Shape.BET


def applied_outcome(row: MovementRow, connection: Connection, effect: AppliedEffect) -> Applied:
    """The outcome of an applied row."""
    moved = row.currency and effect is not AppliedEffect.NOTHING
    at = row.settled_at if row.settled_at is not None else row.created_at
    return Applied(
        effect=effect,
        transaction=row.movement,
        operator_transaction=row.operator_transaction,
        amount=Money(row.amount, connection.currencies.get(row.currency)) if moved else None,
        at=datetime.fromtimestamp(at / 1000, UTC),
    )


def declined_outcome(row: MovementRow) -> Declined:
    """The outcome of a declined row."""
    reason = _REASONS.get(row.reason or "", DeclineReason.OTHER)
    return Declined(reason=reason, message=row.message, transaction=row.movement)


def movement_event(row: MovementRow) -> Event:
    """What became true of a movement; surrogates only."""
    columns = vars(row)
    return Event(
        kind=_HAPPENED[row.state],
        subject=row.movement,
        at=row.settled_at if row.settled_at is not None else row.created_at,
        body={name: value for name in _TOLD if (value := columns[name]) is not None},
    )


def tallied(
    row: RoundRow | None, changes: Sequence[tuple[MovementRow | None, MovementRow]], *, stored: bool
) -> tuple[RoundRow, ...]:
    """The round with its bets and wins counted anew and its version raised, if any of the changes is in it.

    A round that only refused movements ever entered is written all the same: its movements show under it.
    """
    if row is None:
        return ()
    touched, bets, wins = False, row.bets, row.wins
    for before, after in changes:
        if after.round != row.round:
            continue
        touched = True
        if after.state is MovementState.TOMBSTONED:
            continue
        gained = (after.state in LIVE) - (before is not None and before.state in LIVE)
        if is_bet(after):
            bets += gained
        elif is_win(after):
            wins += gained
    if not touched:
        return ()
    return (changed(row, bets=bets, wins=wins, version=row.version + 1 if stored else 1),)
