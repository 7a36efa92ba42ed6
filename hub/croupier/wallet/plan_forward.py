"""The decision about bets and wins: pure, from one reading of the ledger.

All new movements of a play begin together, or none; a message of a stored movement is answered from the record.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    Declined,
    DeclineReason,
    LateOriginal,
    Outcome,
    RepeatAnswer,
    RolledBackRepeat,
    Unknown,
    UnknownCause,
)
from croupier.ledger.records import Event as LedgerEvent
from croupier.ledger.records import Key, MovementRow, MovementState
from croupier.wallet.draft import Draft
from croupier.wallet.intended import Intended, same_content
from croupier.wallet.machine import UNDONE, Event
from croupier.wallet.plan import Next, Plan, Say, SendIt, Situation, WaitFor
from croupier.wallet.rows import applied_outcome, declined_outcome, takes_stake
from croupier.wallet.rules import credit_refusal, id_of, named_bet, recorded_reason, refusal


def plan_forward(situation: Situation, intended: Sequence[Intended]) -> Plan:
    """Plan the bets and wins of an atomic play: all of the new ones begin, or none."""
    draft = situation.draft()
    steps: list[Next] = []
    new: list[tuple[MovementRow, Intended]] = []
    seen: set[str | Key] = set()
    for movement in intended:
        existing = situation.existing(movement)
        if steps and not seen.isdisjoint((movement.id, *movement.every_key)):
            steps.append(Say(outcome=Declined(reason=DeclineReason.CONFLICT)))
        elif existing is not None:
            steps.append(_repeat(situation, movement, existing, draft, intended))
        elif (refused := refusal(situation, movement, intended)) is not None:
            steps.append(refused)
        else:
            row = _intent(situation, movement, intended)
            steps.append(SendIt(row))
            new.append((row, movement))
        seen.update((movement.id, *movement.every_key))
    blocked = _blocking(steps)
    if blocked is not None:
        return _none_begins(situation, intended, steps, blocked)
    for row, movement in new:
        draft.insert(row, movement.every_key)
    begins = bool(new) or any(isinstance(following, SendIt) for following in steps)
    bets = begins and any(movement.is_bet for movement in intended)
    return Plan(change=situation.change(draft, bets=bets), steps=tuple(steps))


def _intent(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> MovementRow:
    bet = _bet_of(situation, movement, intended)
    return movement.row(situation.identity, situation.attempt, MovementState.INTENT, target=bet)


def _bet_of(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> str | None:
    """The id of the bet that a movement settles, by name or in the same play."""
    if movement.target is not None:
        return named_bet(situation, movement, intended)
    if movement.takes_stake:
        return None
    return next((id_of(situation, other) for other in intended if other.takes_stake), None)


def _blocking(steps: Sequence[Next]) -> Next | None:
    """What keeps new movements of an atomic play from beginning: a wait, a refusal or a missing part."""
    said = [following for following in steps if not isinstance(following, SendIt)]
    waits = (following for following in said if isinstance(following, WaitFor))
    failed = (following for following in said if isinstance(following, Say) and not _stands(following.outcome))
    return (next(waits, None) or next(failed, None) or _undone_part(said)) if said else None


def _undone_part(steps: Sequence[Next]) -> Say | None:
    """A part that was rolled back before counts as missing, also where the policy answers for it as success."""
    rows = (following.row for following in steps if isinstance(following, Say))
    if any(row is not None and row.state in UNDONE for row in rows):
        return Say(outcome=Declined(reason=DeclineReason.ALREADY_ROLLED_BACK))
    return None


def _stands(outcome: Outcome) -> bool:
    """Whether a movement that is not sent is done all the same; a duplicate is, whatever the protocol calls it."""
    duplicate = isinstance(outcome, Declined) and outcome.reason is DeclineReason.DUPLICATE
    return duplicate or isinstance(outcome, Applied)


def _none_begins(situation: Situation, intended: Sequence[Intended], steps: Sequence[Next], blocked: Next) -> Plan:
    """Nothing new of the play begins; a refused bet is recorded, so that it stays refused."""
    draft = situation.draft()
    answers: list[Next] = []
    recorded: set[str | Key] = set()
    for movement, following in zip(intended, steps, strict=True):
        if isinstance(blocked, WaitFor):
            answers.append(blocked if not isinstance(following, Say) else following)
            continue
        assert isinstance(blocked, Say)  # noqa: S101 # _blocking returns a wait or an outcome
        outcome = following.outcome if isinstance(following, Say) else _other_leg(movement, intended, steps)
        outcome = outcome or blocked.outcome
        new = situation.existing(movement) is None and recorded.isdisjoint((movement.id, *movement.every_key))
        recordable = new and movement.takes_stake and isinstance(outcome, Declined)
        if recordable and situation.identity.player and isinstance(outcome, Declined):
            reason = recorded_reason(situation, outcome.reason)
            row = movement.row(situation.identity, situation.attempt, MovementState.DECLINED, reason=reason)
            draft.insert(row, movement.every_key)
            recorded.update((movement.id, *movement.every_key))
            outcome = evolve(outcome, transaction=row.movement)
        answers.append(Say(outcome=outcome, row=following.row if isinstance(following, Say) else None))
    return Plan(change=situation.change(draft), steps=tuple(answers))


def _other_leg(movement: Intended, intended: Sequence[Intended], steps: Sequence[Next]) -> Outcome | None:
    """The answer to a late bet+win whose bet was rolled back: both legs are one message."""
    for other, following in zip(intended, steps, strict=True):
        if other.place == movement.place and isinstance(following, Say) and _stands(following.outcome):
            return following.outcome
    return None


def _repeat(
    situation: Situation, movement: Intended, stored: MovementRow, draft: Draft, intended: Sequence[Intended]
) -> Next:
    """What to do with a message of a movement that is stored."""
    if stored.state is MovementState.TOMBSTONED:
        return _late_original(situation, stored, draft)
    if not same_content(stored.fingerprint, movement.fingerprint, situation.policy):
        return Say(outcome=Declined(reason=DeclineReason.CONFLICT, transaction=stored.movement), row=stored)
    match stored.state:
        case MovementState.INTENT:
            return WaitFor(stored.movement)
        case MovementState.OWED:
            return WaitFor(stored.movement, UnknownCause.OWED)
        case MovementState.HELD:
            return Say(outcome=Unknown(cause=UnknownCause.OWED, transaction=stored.movement), row=stored, repeat=True)
        case MovementState.APPLIED:
            if situation.policy.repeat is RepeatAnswer.DECLINE:
                declined = Declined(reason=DeclineReason.DUPLICATE, transaction=stored.movement)
                return Say(outcome=declined, row=stored, repeat=True)
            outcome = applied_outcome(stored, situation.identity.connection, AppliedEffect.REPEATED)
            return Say(outcome=outcome, row=stored, repeat=True)
        case MovementState.DECLINED:
            if takes_stake(stored):
                return Say(outcome=declined_outcome(stored), row=stored, repeat=True)
            refused = credit_refusal(situation, movement, intended)
            return refused or SendIt(_again(situation, movement, stored, draft))
        case MovementState.FENCED | MovementState.REVERSING | MovementState.REVERSED:
            return Say(outcome=_undone_repeat(situation, stored), row=stored, repeat=True)


def _again(situation: Situation, movement: Intended, stored: MovementRow, draft: Draft) -> MovementRow:
    """A declined credit is evaluated again, as a part of the play that it comes with now."""
    attempt = situation.attempt
    place = {"play": attempt.play, "ordinal": movement.place}
    return draft.advance(stored, Event.TRIED_AGAIN, reason=None, message=None, **place, **attempt.ownership)


def _undone_repeat(situation: Situation, stored: MovementRow) -> Outcome:
    if stored.undone_by is None:
        return Declined(reason=DeclineReason.CANCELLED, transaction=stored.movement)
    if situation.policy.rolled_back_repeat is RolledBackRepeat.STORED and stored.effect is not None:
        return applied_outcome(stored, situation.identity.connection, AppliedEffect.REPEATED)
    return Declined(reason=DeclineReason.ALREADY_ROLLED_BACK, transaction=stored.movement)


def _late_original(situation: Situation, stored: MovementRow, draft: Draft) -> Say:
    draft.events.append(LedgerEvent(kind="movement.late", subject=stored.movement, at=situation.attempt.now))
    if situation.policy.late_original is LateOriginal.ACCEPT:
        applied = Applied(effect=AppliedEffect.NOTHING, transaction=stored.movement)
        return Say(outcome=applied, row=stored, repeat=True)
    declined = Declined(reason=DeclineReason.ALREADY_ROLLED_BACK, transaction=stored.movement)
    return Say(outcome=declined, row=stored, repeat=True)
