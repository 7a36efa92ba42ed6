"""The decision about one rollback: pure, from one reading of the ledger.

The money of a rollback moves through its target: a target that is applied goes to `REVERSING`, one in flight is fenced,
one that was never seen leaves a tombstone.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import Any

from attrs import evolve

from croupier.contract import (
    AppliedEffect,
    Declined,
    DeclineReason,
    MovementKind,
    RepeatAnswer,
    RollbackAfterWin,
    Unknown,
    UnknownCause,
    UnknownRollback,
)
from croupier.ledger.records import Key, MovementRow, MovementState
from croupier.wallet.draft import Draft
from croupier.wallet.identity import movement_id
from croupier.wallet.intended import WIN_LEG, Intended, same_content
from croupier.wallet.machine import Event, step
from croupier.wallet.plan import (
    Next,
    Plan,
    Say,
    Situation,
    UndoIt,
    WaitFor,
    is_live,
)
from croupier.wallet.rows import applied_outcome, declined_outcome, is_bet, is_win, names_its_bet, takes_stake


def win_leg_key(target: Key) -> Key:
    """The key of the win that came with a net bet+win."""
    return Key(target.operator, target.scope, target.namespace + WIN_LEG, target.value)


def plan_rollback(situation: Situation, intended: Intended) -> Plan:
    """Plan one rollback."""
    draft = situation.draft()
    own = situation.existing(intended)
    target = target_of(situation, intended, own)
    if own is not None:
        intended = evolve(intended, id=own.movement)  # it may have come under another first key
        following = _repeat(situation, intended, own, target, draft)
    elif target is None:
        following = _tombstone(situation, intended, draft)
    else:
        following = _of_target(situation, intended, target, draft, None)
    return Plan(change=situation.change(draft), steps=(following,))


def target_of(situation: Situation, intended: Intended, own: MovementRow | None) -> MovementRow | None:
    """What the rollback undoes: as it was found the first time, by its key, or the newest bet of the round."""
    if intended.target is not None:
        return situation.snapshot.keys.get(intended.target)
    bets = [row for row in situation.snapshot.round_movements if is_bet(row)]
    if own is not None and own.target is not None:
        return next((row for row in bets if row.movement == own.target), None)
    return next((row for row in reversed(bets) if is_live(row)), None)


def _repeat(
    situation: Situation, intended: Intended, own: MovementRow, target: MovementRow | None, draft: Draft
) -> Next:
    """What to do with a rollback that is stored."""
    if own.state is MovementState.TOMBSTONED or not same_content(
        own.fingerprint, intended.fingerprint, situation.policy
    ):
        return Say(outcome=Declined(reason=DeclineReason.CONFLICT, transaction=own.movement), row=own)
    match own.state:
        case MovementState.APPLIED:
            if situation.policy.repeat_rollback is RepeatAnswer.DECLINE:
                declined = Declined(reason=DeclineReason.ALREADY_ROLLED_BACK, transaction=own.movement)
                return Say(outcome=declined, row=own, repeat=True)
            nothing = own.effect == AppliedEffect.NOTHING.value
            effect = AppliedEffect.NOTHING if nothing else AppliedEffect.REPEATED
            outcome = applied_outcome(own, situation.identity.connection, effect)
            return Say(outcome=outcome, row=own, repeat=True)
        case MovementState.DECLINED:
            if target is None:
                return Say(outcome=declined_outcome(own), row=own, repeat=True)
            return _of_target(situation, intended, target, draft, own)
        case MovementState.INTENT:
            return WaitFor(own.movement)
        case _:
            return WaitFor(own.target or own.movement, UnknownCause.OWED)


def _tombstone(situation: Situation, intended: Intended, draft: Draft) -> Next:
    """Remember that something unknown was rolled back; a late original will move nothing."""
    if intended.target is not None:
        grave = intended.row(situation.identity, situation.attempt, MovementState.TOMBSTONED)
        grave = evolve(
            grave,
            movement=movement_id(intended.target),
            reference=intended.target.value,
            kind=MovementKind.ROLLBACK.value,
            fingerprint={},
            undone_by=intended.id,
        )
        draft.insert(grave, (intended.target,))
    return _nothing_to_undo(situation, intended, draft, DeclineReason.TARGET_UNKNOWN, None)


def _nothing_to_undo(
    situation: Situation, intended: Intended, draft: Draft, reason: DeclineReason, target: MovementRow | None
) -> Next:
    accept = (
        situation.policy.unknown_rollback
        if reason is DeclineReason.TARGET_UNKNOWN
        else situation.policy.rollback_of_declined
    )
    if accept is UnknownRollback.NOT_FOUND:
        return Say(outcome=Declined(reason=reason))
    row = _record(situation, intended, target, draft, MovementState.APPLIED, effect=AppliedEffect.NOTHING.value)
    return Say(outcome=applied_outcome(row, situation.identity.connection, AppliedEffect.NOTHING), row=row)


def _record(
    situation: Situation,
    intended: Intended,
    target: MovementRow | None,
    draft: Draft,
    state: MovementState,
    *,
    effect: str | None = None,
) -> MovementRow:
    """Store the rollback's own row; what it lacks is taken from its target."""
    row = intended.row(situation.identity, situation.attempt, state, effect=effect)
    if target is not None:
        row = evolve(
            row,
            player=target.player,
            session=target.session,
            round=target.round,
            game=target.game,
            route=target.route,
            amount=target.amount,
            currency=target.currency,
            target=target.movement,
            grant=target.grant,
        )
    return draft.insert(row, intended.keys)


def _of_target(
    situation: Situation, intended: Intended, target: MovementRow, draft: Draft, own: MovementRow | None
) -> Next:
    """What to do with a rollback whose target is stored. `own` is its own row if it was declined before."""
    refusal = _refusal(situation, target)
    if refusal is not None:
        return Say(outcome=Declined(reason=refusal), row=own)
    match target.state:
        case MovementState.APPLIED:
            win = _win_leg(situation, target)
            if win is not None and win.state is MovementState.HELD:
                return Say(outcome=Unknown(cause=UnknownCause.OWED), row=own)
            return _begin(situation, intended, target, draft, own)
        case MovementState.INTENT | MovementState.OWED:
            return _promise(situation, intended, target, draft, own)
        case MovementState.FENCED | MovementState.REVERSING:
            if target.undone_by is None:
                return _promise(situation, intended, target, draft, own)
            return WaitFor(target.movement, UnknownCause.OWED)
        case MovementState.REVERSED:
            return _already(situation, intended, target, draft, own)
        case MovementState.TOMBSTONED:
            return _nothing_to_undo(situation, intended, draft, DeclineReason.TARGET_UNKNOWN, None)
        case MovementState.DECLINED:
            return _nothing_to_undo(situation, intended, draft, DeclineReason.TARGET_DECLINED, target)
        case MovementState.HELD:
            return Say(outcome=Unknown(cause=UnknownCause.OWED), row=own)


def _refusal(situation: Situation, target: MovementRow) -> DeclineReason | None:
    """Why this target may not be rolled back at all."""
    if target.state is MovementState.TOMBSTONED:
        return None
    if target.kind == MovementKind.ROLLBACK.value:
        return DeclineReason.OPERATION_NOT_ALLOWED
    if situation.identity.player and situation.identity.player != target.player:
        return DeclineReason.TARGET_UNKNOWN
    if not takes_stake(target) and not situation.policy.rollback_of_win:
        return DeclineReason.OPERATION_NOT_ALLOWED
    if target.state is not MovementState.APPLIED or not is_bet(target):
        return None
    if target.kind == MovementKind.BET_AND_WIN.value and not situation.policy.rollback_of_net:
        return DeclineReason.TARGET_SETTLED
    protected = situation.policy.rollback_after_win is RollbackAfterWin.REFUSE and _is_paid(situation, target)
    return DeclineReason.TARGET_SETTLED if protected else None


def _is_paid(situation: Situation, target: MovementRow) -> bool:
    """Whether a win that stands came to the round with this bet, or after it.

    A bet that enters a round which was paid before is not paid by that: its provider may have heard no answer to it,
    and must be able to take it back. A win whose provider says which bet it pays pays no other.
    """
    own_win = _win_leg(situation, target)
    rows = situation.snapshot.round_movements
    of_its_play = (row for row in rows if row.play == target.play)
    after = dropwhile(lambda row: row.movement != target.movement, rows)
    return any(
        is_win(row) and is_live(row) and row != own_win and (row.target == target.movement or not names_its_bet(row))
        for row in (*of_its_play, *after)
    )


def _begin(
    situation: Situation, intended: Intended, target: MovementRow, draft: Draft, own: MovementRow | None
) -> Next:
    """The target is applied: it goes to `REVERSING`, and the wallet is asked now."""
    reversing = draft.advance(target, Event.ROLLBACK, undone_by=intended.id)
    win = _win_leg(situation, target)
    if win is not None:
        _take_back(win, draft, undone_by=intended.id)
    if own is None:
        return UndoIt(_record(situation, intended, target, draft, MovementState.INTENT), reversing)
    again = draft.advance(own, Event.TRIED_AGAIN, reason=None, message=None, **situation.attempt.ownership)
    return UndoIt(again, reversing)


def _win_leg(situation: Situation, target: MovementRow) -> MovementRow | None:
    """The win that came in one movement with this bet: it goes with its bet."""
    net = MovementKind.BET_AND_WIN.value
    found = (*situation.snapshot.movements.values(), *situation.snapshot.round_movements)
    return next((row for row in found if row.kind == net and row.target == target.movement), None)


def _take_play_back(situation: Situation, target: MovementRow, draft: Draft) -> None:
    """A play is all or none: without this stake, nothing else of it may stand."""
    if not takes_stake(target):
        return
    for row in situation.beside:
        if row.movement != target.movement:
            _take_back(row, draft)


def _take_back(row: MovementRow, draft: Draft, **changes: Any) -> None:
    """Undo what goes with a bet, if it stands or may come to stand."""
    if row.state is MovementState.INTENT:
        draft.advance(row, Event.ROLLBACK, **changes)
    elif row.state in {MovementState.APPLIED, MovementState.OWED}:
        draft.advance(row, Event.TAKEN_BACK, **changes)


def _promise(
    situation: Situation, intended: Intended, target: MovementRow, draft: Draft, own: MovementRow | None
) -> Next:
    """The target is in flight or already being undone: its reversal is made durable, and waited for."""
    if target.state is MovementState.REVERSING:
        draft.amend(target, undone_by=intended.id)
    else:
        draft.advance(target, Event.ROLLBACK, undone_by=intended.id)
        _take_play_back(situation, target, draft)
    if own is None:
        _record(situation, intended, target, draft, MovementState.OWED)
    else:
        _again(own, Event.PROMISED, draft)
    return WaitFor(target.movement, UnknownCause.OWED)


def _again(own: MovementRow, happening: Event, draft: Draft, **changes: Any) -> MovementRow:
    """A declined rollback is evaluated again, and comes at once to what happens now: two steps, one version."""
    intent, _ = step(own.state, Event.TRIED_AGAIN)
    state, _ = step(intent, happening)
    return draft.amend(own, state=state, settled_at=draft.now, reason=None, message=None, **changes)


def _already(
    situation: Situation, intended: Intended, target: MovementRow, draft: Draft, own: MovementRow | None
) -> Next:
    """The target was undone before: by the hub on its own account, or by another rollback."""
    first = target.undone_by is None
    if not first and situation.policy.repeat_rollback is RepeatAnswer.DECLINE:
        return Say(outcome=Declined(reason=DeclineReason.ALREADY_ROLLED_BACK, transaction=target.movement), repeat=True)
    effect = AppliedEffect.MOVED if first else AppliedEffect.NOTHING
    if first:
        draft.amend(target, undone_by=intended.id)
    if own is not None:
        row = _again(own, Event.ACCEPTED, draft, effect=effect.value)
    else:
        row = _record(situation, intended, target, draft, MovementState.APPLIED, effect=effect.value)
    return Say(outcome=applied_outcome(row, situation.identity.connection, effect), row=row)
