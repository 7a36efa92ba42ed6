"""The state machine, tried whole: every state, every event, every path."""

from collections import deque
from itertools import product

import pytest

from croupier.contract import OnSilence
from croupier.contract.errors import LedgerCorruptError
from croupier.ledger.records import MovementState as S
from croupier.wallet.machine import (
    FINAL,
    IN_FLIGHT,
    LIVE,
    TRANSITIONS,
    UNANSWERED,
    UNDONE,
    Answer,
    Effect,
    Event,
    Shape,
    step,
)

BEGINNINGS = {S.INTENT, S.DECLINED, S.TOMBSTONED, S.APPLIED, S.OWED}
"""A bet or win begins as an intent; what is refused, unknown, done or owed at once is written as that."""

NEWS = (
    Event.ACCEPTED,
    Event.REFUSED,
    Event.OWED_REFUSED,
    Event.LOST_RESEND,
    Event.LOST_REVERSE,
    Event.LOST_ASK,
)
"""What can become of a movement's own call to the wallet."""

WISHES = (Event.ROLLBACK, Event.TAKEN_BACK)

PEOPLE = {Event.SEND_AGAIN, Event.UNDO_AGAIN, Event.SETTLED_DONE, Event.SETTLED_UNDONE}


def reachable(start: S, *, without: frozenset[Event] = frozenset()) -> set[S]:
    """Every state that can follow, breadth first."""
    found, waiting = {start}, deque([start])
    while waiting:
        state = waiting.popleft()
        for (before, event), (after, _effects) in TRANSITIONS.items():
            if before is state and event not in without and after not in found:
                found.add(after)
                waiting.append(after)
    return found


@pytest.mark.parametrize(("state", "event"), list(product(S, Event)))
def test_every_pair_steps_as_the_table_says_or_is_refused(state: S, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert step(state, event) == TRANSITIONS[state, event]
    else:
        with pytest.raises(LedgerCorruptError, match=event.value):
            step(state, event)


def test_every_state_and_every_event_and_every_effect_is_used() -> None:
    states = {before for before, _ in TRANSITIONS} | {after for after, _ in TRANSITIONS.values()}
    assert states == set(S)
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert {effect for _, effects in TRANSITIONS.values() for effect in effects} == set(Effect)


def test_every_state_is_reached() -> None:
    assert set().union(*(reachable(state) for state in BEGINNINGS)) == set(S)


@pytest.mark.parametrize("state", list(S))
def test_every_state_can_come_to_an_end(state: S) -> None:
    assert reachable(state) & FINAL


@pytest.mark.parametrize("state", [S.INTENT, S.FENCED, S.OWED, S.REVERSING])
def test_what_is_open_comes_to_an_end_without_a_person(state: S) -> None:
    assert reachable(state, without=frozenset(PEOPLE)) & FINAL


def test_only_a_person_ends_what_is_held() -> None:
    assert {event for state, event in TRANSITIONS if state is S.HELD} == PEOPLE
    assert not any(event in PEOPLE for state, event in TRANSITIONS if state is not S.HELD)


@pytest.mark.parametrize("state", [S.REVERSED, S.TOMBSTONED])
def test_what_was_undone_never_counts_again(state: S) -> None:
    assert reachable(state) == {state}


def test_what_was_refused_moves_money_only_by_being_asked_for_again() -> None:
    assert reachable(S.DECLINED, without=frozenset({Event.TRIED_AGAIN})) == {S.DECLINED}
    assert TRANSITIONS[S.DECLINED, Event.TRIED_AGAIN] == (S.INTENT, ())


def test_what_was_fenced_never_counts_without_being_undone_first() -> None:
    undone = frozenset({Event.UNDO_REFUSED, Event.UNDO_WAIVED, Event.OWED_UNDO_REFUSED, Event.TRIED_AGAIN})
    assert not reachable(S.FENCED, without=undone) & LIVE


def test_what_is_being_undone_counts_again_only_if_the_wallet_or_a_person_says_so() -> None:
    undone = frozenset({Event.UNDO_REFUSED, Event.UNDO_WAIVED, Event.OWED_UNDO_REFUSED})
    assert not reachable(S.REVERSING, without=undone) & LIVE
    assert reachable(S.REVERSING, without=undone | PEOPLE) == {S.REVERSING, S.REVERSED}


def test_evidence_that_it_was_done_never_loses_a_rollback_that_is_wanted() -> None:
    after = {state: TRANSITIONS[state, Event.ACCEPTED] for state in (S.FENCED, S.REVERSING)}
    assert after == {S.FENCED: (S.REVERSING, (Effect.OWE_REVERSE,)), S.REVERSING: (S.REVERSING, ())}


@pytest.mark.parametrize(("before", "event"), list(TRANSITIONS))
def test_work_is_owed_wherever_something_comes_to_be_open(before: S, event: Event) -> None:
    """But where the caller does the work at once, where it was owed before, or where the target's row owes it."""
    after, effects = step(before, event)
    opened = after in {S.OWED, S.REVERSING} and before not in {S.OWED, S.REVERSING, S.HELD}
    elsewhere = event is Event.PROMISED or (before, event) == (S.APPLIED, Event.ROLLBACK)
    if opened and not elsewhere:
        assert len(effects) == 1
        assert effects[0] is not Effect.HOLD
        assert (effects[0] is Effect.OWE_REVERSE) is (after is S.REVERSING)
    if after in FINAL:
        assert effects == ()
    assert (Effect.HOLD in effects) is (after is S.HELD)


def test_what_is_fenced_is_taken_back_unless_the_wallet_refused_it() -> None:
    for event in (*NEWS, Event.TAKEN_BACK):
        refused = event in {Event.REFUSED, Event.OWED_REFUSED}
        assert step(S.FENCED, event) == ((S.DECLINED, ()) if refused else (S.REVERSING, (Effect.OWE_REVERSE,)))


def test_what_is_being_undone_stays_so_whatever_is_heard_of_its_own_call() -> None:
    """A rollback that was sent at once comes to be owed when its answer is lost; any other is owed already."""
    for event in NEWS:
        owed = (Effect.OWE_REVERSE,) if event is Event.LOST_REVERSE else ()
        assert step(S.REVERSING, event) == (S.REVERSING, owed)


def test_only_what_the_wallet_says_of_the_rollback_ends_it() -> None:
    ended = {
        Event.UNDONE: (S.REVERSED, ()),
        Event.UNDO_REFUSED: (S.APPLIED, ()),
        Event.UNDO_WAIVED: (S.APPLIED, ()),
        Event.OWED_UNDO_REFUSED: (S.HELD, (Effect.HOLD,)),
    }
    assert {event: step(S.REVERSING, event) for event in ended} == ended
    assert {event for state, event in TRANSITIONS if state is S.REVERSING} == {*ended, *NEWS, *WISHES}


@pytest.mark.parametrize("state", [S.FENCED, S.REVERSING, S.REVERSED, S.TOMBSTONED])
def test_a_second_wish_to_undo_it_changes_nothing(state: S) -> None:
    assert step(state, Event.ROLLBACK) == (state, ())


def test_the_hub_s_own_wish_beside_a_provider_s_changes_nothing() -> None:
    assert step(S.REVERSING, Event.TAKEN_BACK) == (S.REVERSING, ())


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (S.APPLIED, Event.ACCEPTED),
        (S.DECLINED, Event.REFUSED),
        (S.REVERSED, Event.UNDONE),
        (S.REVERSED, Event.ACCEPTED),
        (S.OWED, Event.LOST_RESEND),
        (S.OWED, Event.LOST_ASK),
        (S.OWED, Event.PROMISED),
    ],
)
def test_news_that_comes_a_second_time_or_too_late_changes_nothing(state: S, event: Event) -> None:
    assert step(state, event) == (state, ())


def test_what_is_owed_ends_with_a_definite_answer_and_owes_nothing_then() -> None:
    assert step(S.OWED, Event.ACCEPTED) == (S.APPLIED, ())
    assert step(S.OWED, Event.REFUSED) == (S.DECLINED, ())
    assert step(S.OWED, Event.UNDO_REFUSED) == (S.DECLINED, ())


def test_work_that_waits_for_a_person_is_there_to_be_ordered_again() -> None:
    """An intent has no owed work yet; what was owed before has."""
    assert step(S.INTENT, Event.OWED_REFUSED) == (S.HELD, (Effect.OWE_SEND, Effect.HOLD))
    assert step(S.OWED, Event.OWED_REFUSED) == (S.HELD, (Effect.HOLD,))


def test_a_rollback_that_is_promised_stays_open_and_its_target_owes_the_work() -> None:
    assert step(S.INTENT, Event.PROMISED) == (S.OWED, ())


def test_what_a_person_orders_or_states_owes_nothing_besides() -> None:
    said = {
        Event.SEND_AGAIN: (S.OWED, ()),
        Event.UNDO_AGAIN: (S.REVERSING, ()),
        Event.SETTLED_DONE: (S.APPLIED, ()),
        Event.SETTLED_UNDONE: (S.REVERSED, ()),
    }
    assert {event: step(S.HELD, event) for event in said} == said


def test_an_owed_movement_that_is_rolled_back_owes_its_rollback() -> None:
    for event in (Event.ROLLBACK, Event.TAKEN_BACK, Event.LOST_REVERSE):
        assert TRANSITIONS[S.OWED, event] == (S.REVERSING, (Effect.OWE_REVERSE,))


def test_no_answer_is_no_refusal() -> None:
    lost = {Event.LOST_RESEND, Event.LOST_REVERSE, Event.LOST_ASK}
    afterwards = {after for (_, event), (after, _) in TRANSITIONS.items() if event in lost}
    assert afterwards == {S.OWED, S.REVERSING}


def test_the_named_sets_of_states_are_what_they_say() -> None:
    assert frozenset({S.INTENT, S.APPLIED, S.OWED, S.HELD}) == LIVE
    assert frozenset({S.APPLIED, S.DECLINED, S.REVERSED, S.TOMBSTONED}) == FINAL
    assert frozenset({S.INTENT, S.FENCED}) == IN_FLIGHT
    assert frozenset({S.FENCED, S.REVERSING, S.REVERSED, S.TOMBSTONED}) == UNDONE
    assert not LIVE & UNDONE


def test_the_table_of_unanswered_calls_is_total() -> None:
    assert set(UNANSWERED) == set(product(Shape, OnSilence, (True, False)))


@pytest.mark.parametrize(("shape", "silence", "safe"), list(product(Shape, OnSilence, (True, False))))
def test_what_follows_from_no_answer_is_what_the_design_says(shape: Shape, silence: OnSilence, safe: bool) -> None:
    event, answer = UNANSWERED[shape, silence, safe]
    match shape:
        case Shape.BET | Shape.BET_AND_WIN:
            resent = silence is OnSilence.RESENDS and safe
            assert event is (Event.LOST_RESEND if resent else Event.LOST_REVERSE)
            asked_again = resent or silence is OnSilence.CANCELS
            assert answer is (Answer.RETRY if asked_again else Answer.FAILED)
        case Shape.WIN:
            assert event is (Event.LOST_RESEND if safe else Event.LOST_ASK)
            assert answer is Answer.RETRY
        case Shape.ROLLBACK:
            assert event is Event.PROMISED
            assert answer is (Answer.ACCEPTED if silence is OnSilence.NEITHER else Answer.RETRY)
    assert (S.INTENT, event) in TRANSITIONS


def test_a_bet_is_never_called_failed_unless_the_hub_takes_it_back() -> None:
    for (shape, _silence, _safe), (event, answer) in UNANSWERED.items():
        if answer is Answer.FAILED:
            assert (shape in {Shape.BET, Shape.BET_AND_WIN}, event) == (True, Event.LOST_REVERSE)
