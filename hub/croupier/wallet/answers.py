"""From rows to what a provider is told: pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    Declined,
    DeclineReason,
    MovementResult,
    Outcome,
    Play,
    PlayResult,
    Unknown,
    UnknownCause,
)
from croupier.ledger.records import MovementRow, MovementState
from croupier.wallet.intended import Intended
from croupier.wallet.machine import Answer
from croupier.wallet.parties import Connection
from croupier.wallet.plan import Next, Say, SendIt, UndoIt, WaitFor
from croupier.wallet.rows import applied_outcome, declined_outcome
from croupier.wallet.sending import Sent


def outcome_of(item: Next, sent: Sent, connection: Connection) -> Outcome:
    """What a movement's next step came to, once everything was sent and settled."""
    match item:
        case Say(outcome=outcome):
            return outcome
        case WaitFor(movement=movement, cause=cause):
            return Unknown(cause=cause, transaction=movement)
        case SendIt(row=row):
            return _settled(sent.rows[row.movement], sent.answer, connection)
        case UndoIt(row=row, target=target):
            return _undone(sent.rows.get(row.movement, row), sent.rows[target.movement], sent.answer, connection)


def _settled(row: MovementRow, answer: Answer, connection: Connection) -> Outcome:
    """What the provider is told of a bet or win that was sent."""
    match row.state:
        case MovementState.APPLIED:
            return applied_outcome(row, connection, AppliedEffect.MOVED)
        case MovementState.DECLINED:
            return declined_outcome(row)
        case MovementState.FENCED | MovementState.REVERSING | MovementState.REVERSED if row.undone_by is not None:
            return Declined(reason=DeclineReason.ALREADY_ROLLED_BACK, transaction=row.movement)
        case MovementState.REVERSING | MovementState.REVERSED if answer is Answer.FAILED:
            return Declined(reason=DeclineReason.CANCELLED, transaction=row.movement)
        case MovementState.OWED | MovementState.HELD:
            return Unknown(cause=UnknownCause.OWED, transaction=row.movement)
        case _:
            return Unknown(cause=UnknownCause.NO_ANSWER, transaction=row.movement)


def _undone(row: MovementRow, target: MovementRow, answer: Answer, connection: Connection) -> Outcome:
    """What the provider is told of its rollback."""
    match target.state:
        case MovementState.REVERSED:
            return applied_outcome(evolve(row, settled_at=target.settled_at), connection, AppliedEffect.MOVED)
        case MovementState.APPLIED if row.state is MovementState.APPLIED:
            return applied_outcome(row, connection, AppliedEffect.NOTHING)
        case MovementState.APPLIED:
            return declined_outcome(row)
        case _ if answer is Answer.ACCEPTED:
            return applied_outcome(row, connection, AppliedEffect.MOVED)
        case _:
            return Unknown(cause=UnknownCause.OWED, transaction=row.movement)


def none_before_all(intended: Sequence[Intended], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """While a stake of a play is open, nothing of it is called done: it would be taken back with that stake."""
    if len(outcomes) == 1:
        return list(outcomes)
    pairs = zip(intended, outcomes, strict=True)
    open_stakes = [item for one, item in pairs if isinstance(item, Unknown) and one.takes_stake]
    if not open_stakes:
        return list(outcomes)
    open_stake = open_stakes[0]
    return [
        Unknown(cause=open_stake.cause, transaction=item.transaction) if isinstance(item, Applied) else item
        for item in outcomes
    ]


def by_movement(play: Play, intended: Sequence[Intended], outcomes: Sequence[Outcome]) -> tuple[MovementResult, ...]:
    """One result a movement: both legs of a net bet+win speak for it."""
    results = []
    for place, movement in enumerate(play.movements):
        mine = [outcome for item, outcome in zip(intended, outcomes, strict=True) if item.place == place]
        results.append(MovementResult(reference=movement.reference, outcome=overall(mine)))
    return tuple(results)


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """The first outcome that is not success: an unknown one before a refusal, a reason before its consequence."""
    if len(outcomes) == 1:
        return outcomes[0]
    unknown = [outcome for outcome in outcomes if isinstance(outcome, Unknown)]
    declined = [outcome for outcome in outcomes if isinstance(outcome, Declined)]
    reasons = [outcome for outcome in declined if outcome.reason is not DeclineReason.CANCELLED]
    return (*unknown, *reasons, *declined, *outcomes)[0]


def same_for_all(play: Play, outcome: Outcome) -> PlayResult:
    """The answer to a play whose movements all come to the same."""
    results = tuple(MovementResult(reference=item.reference, outcome=outcome) for item in play.movements)
    return PlayResult(outcome=outcome, movements=results)
