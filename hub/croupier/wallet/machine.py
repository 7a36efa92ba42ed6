"""The state machine of a movement, as data.

`step` is a pure function: a state and an event give a new state and effects. Nothing else decides a state. An event
that the table does not know for a state is refused, so that what is impossible is seen rather than done.

A rollback that a provider asks for is a movement of its own whose money moves through its *target*: the target goes
to `REVERSING` and `REVERSED`, the rollback's own row tells the provider how that stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from typing import Final

from croupier.contract import OnSilence
from croupier.contract.choice import Choice
from croupier.contract.errors import LedgerCorruptError
from croupier.ledger.records import MovementState as S


@unique
class Event(Choice):
    """What happens to a movement."""

    ACCEPTED = "accepted"
    """The wallet did it."""
    REFUSED = "refused"
    """The wallet definitely did not."""
    OWED_REFUSED = "owed_refused"
    """A credit that is owed was definitely refused."""
    LOST_RESEND = "lost_resend"
    """No definite answer; it shall be sent until there is one."""
    LOST_REVERSE = "lost_reverse"
    """No definite answer; it shall be taken back."""
    LOST_ASK = "lost_ask"
    """No definite answer; the wallet shall be asked before anything else."""
    ROLLBACK = "rollback"
    """Somebody wants it undone."""
    TAKEN_BACK = "taken_back"
    """The hub undoes it because its play failed."""
    UNDONE = "undone"
    """The wallet undid it, or had nothing to undo and will not do it later."""
    UNDO_REFUSED = "undo_refused"
    """The wallet definitely will not undo it, and the provider has not been promised that it would."""
    UNDO_WAIVED = "undo_waived"
    """The wallet cannot undo it, and the operator wants the rollback recorded without movement."""
    OWED_UNDO_REFUSED = "owed_undo_refused"
    """The wallet definitely will not undo it, though that is owed."""
    TRIED_AGAIN = "tried_again"
    """A declined credit or rollback is asked for again."""
    PROMISED = "promised"
    """A rollback's own row: its target's reversal is durable, and not yet confirmed."""
    SEND_AGAIN = "send_again"
    """A person orders a held movement to be sent again."""
    UNDO_AGAIN = "undo_again"
    """A person orders a held rollback to be sent again."""
    SETTLED_DONE = "settled_done"
    """A person states that it took effect."""
    SETTLED_UNDONE = "settled_undone"
    """A person states that it did not, or was undone."""


@unique
class Effect(Enum):
    """What must become true together with the new state."""

    OWE_SEND = "owe_send"
    OWE_REVERSE = "owe_reverse"
    OWE_ASK = "owe_ask"
    HOLD = "hold"
    """The owed work waits for a person."""


TRANSITIONS: Final[Mapping[tuple[S, Event], tuple[S, tuple[Effect, ...]]]] = {
    (S.INTENT, Event.ACCEPTED): (S.APPLIED, ()),
    (S.INTENT, Event.REFUSED): (S.DECLINED, ()),
    (S.INTENT, Event.OWED_REFUSED): (S.HELD, (Effect.OWE_SEND, Effect.HOLD)),
    (S.INTENT, Event.LOST_RESEND): (S.OWED, (Effect.OWE_SEND,)),
    (S.INTENT, Event.LOST_REVERSE): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.INTENT, Event.LOST_ASK): (S.OWED, (Effect.OWE_ASK,)),
    (S.INTENT, Event.ROLLBACK): (S.FENCED, ()),
    (S.INTENT, Event.TAKEN_BACK): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.FENCED, Event.ACCEPTED): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.FENCED, Event.REFUSED): (S.DECLINED, ()),
    (S.FENCED, Event.OWED_REFUSED): (S.DECLINED, ()),
    (S.FENCED, Event.LOST_RESEND): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.FENCED, Event.LOST_REVERSE): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.FENCED, Event.LOST_ASK): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.FENCED, Event.ROLLBACK): (S.FENCED, ()),
    (S.FENCED, Event.TAKEN_BACK): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.OWED, Event.ACCEPTED): (S.APPLIED, ()),
    (S.OWED, Event.REFUSED): (S.DECLINED, ()),
    (S.OWED, Event.OWED_REFUSED): (S.HELD, (Effect.HOLD,)),
    (S.OWED, Event.LOST_RESEND): (S.OWED, ()),
    (S.OWED, Event.LOST_ASK): (S.OWED, ()),
    (S.OWED, Event.LOST_REVERSE): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.OWED, Event.ROLLBACK): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.OWED, Event.TAKEN_BACK): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.OWED, Event.UNDO_REFUSED): (S.DECLINED, ()),
    (S.APPLIED, Event.ACCEPTED): (S.APPLIED, ()),
    (S.APPLIED, Event.ROLLBACK): (S.REVERSING, ()),
    (S.APPLIED, Event.TAKEN_BACK): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.DECLINED, Event.REFUSED): (S.DECLINED, ()),
    (S.DECLINED, Event.TRIED_AGAIN): (S.INTENT, ()),
    (S.REVERSING, Event.ACCEPTED): (S.REVERSING, ()),
    (S.REVERSING, Event.REFUSED): (S.REVERSING, ()),
    (S.REVERSING, Event.OWED_REFUSED): (S.REVERSING, ()),
    (S.REVERSING, Event.LOST_RESEND): (S.REVERSING, ()),
    (S.REVERSING, Event.LOST_REVERSE): (S.REVERSING, (Effect.OWE_REVERSE,)),
    (S.REVERSING, Event.LOST_ASK): (S.REVERSING, ()),
    (S.REVERSING, Event.ROLLBACK): (S.REVERSING, ()),
    (S.REVERSING, Event.TAKEN_BACK): (S.REVERSING, ()),
    (S.REVERSING, Event.UNDONE): (S.REVERSED, ()),
    (S.REVERSING, Event.UNDO_REFUSED): (S.APPLIED, ()),
    (S.REVERSING, Event.UNDO_WAIVED): (S.APPLIED, ()),
    (S.REVERSING, Event.OWED_UNDO_REFUSED): (S.HELD, (Effect.HOLD,)),
    (S.REVERSED, Event.ACCEPTED): (S.REVERSED, ()),
    (S.REVERSED, Event.ROLLBACK): (S.REVERSED, ()),
    (S.REVERSED, Event.UNDONE): (S.REVERSED, ()),
    (S.TOMBSTONED, Event.ROLLBACK): (S.TOMBSTONED, ()),
    (S.INTENT, Event.PROMISED): (S.OWED, ()),
    (S.OWED, Event.PROMISED): (S.OWED, ()),
    (S.HELD, Event.SEND_AGAIN): (S.OWED, ()),
    (S.HELD, Event.UNDO_AGAIN): (S.REVERSING, ()),
    (S.HELD, Event.SETTLED_DONE): (S.APPLIED, ()),
    (S.HELD, Event.SETTLED_UNDONE): (S.REVERSED, ()),
}
"""Every legal step."""

LIVE: Final = frozenset({S.INTENT, S.APPLIED, S.OWED, S.HELD})
"""States in which a movement counts for its round."""

IN_FLIGHT: Final = frozenset({S.INTENT, S.FENCED})
"""States in which a process has sent a movement, or is about to."""

UNDONE: Final = frozenset({S.FENCED, S.REVERSING, S.REVERSED, S.TOMBSTONED})
"""States in which a movement was rolled back, or will be."""

UNHELD: Final = frozenset(S) - {S.HELD}
"""States in which an answer decides: what is held, because somebody else was told otherwise, people decide."""

FINAL: Final = frozenset({S.APPLIED, S.DECLINED, S.REVERSED, S.TOMBSTONED})
"""States in which nothing is owed."""


def step(state: S, event: Event) -> tuple[S, tuple[Effect, ...]]:
    """The new state and the effects.

    Raises:
        LedgerCorruptError: The table does not know the event in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise LedgerCorruptError(f"{event.value} cannot happen to a movement in state {state.value}") from None


@unique
class Shape(Choice):
    """What kind of work has no answer."""

    BET = "bet"
    BET_AND_WIN = "bet_and_win"
    WIN = "win"
    ROLLBACK = "rollback"


@unique
class Answer(Enum):
    """What the provider is told while nothing definite is known."""

    RETRY = "retry"
    """A retryable answer: the provider resends or cancels, as it does."""
    FAILED = "failed"
    """A definite failure: the hub takes the movement back, durably."""
    ACCEPTED = "accepted"
    """Success: the hub owes it, durably, and the provider would not ask again."""


_BETS: Final = {
    (OnSilence.RESENDS, True): (Event.LOST_RESEND, Answer.RETRY),
    (OnSilence.RESENDS, False): (Event.LOST_REVERSE, Answer.FAILED),
    (OnSilence.CANCELS, True): (Event.LOST_REVERSE, Answer.RETRY),
    (OnSilence.CANCELS, False): (Event.LOST_REVERSE, Answer.RETRY),
    (OnSilence.NEITHER, True): (Event.LOST_REVERSE, Answer.FAILED),
    (OnSilence.NEITHER, False): (Event.LOST_REVERSE, Answer.FAILED),
}
_WINS: Final = {
    (silence, safe): (Event.LOST_RESEND if safe else Event.LOST_ASK, Answer.RETRY)
    for silence in OnSilence
    for safe in (True, False)
}
_ROLLBACKS: Final = {
    (silence, safe): (Event.PROMISED, Answer.ACCEPTED if silence is OnSilence.NEITHER else Answer.RETRY)
    for silence in OnSilence
    for safe in (True, False)
}

UNANSWERED: Final[Mapping[tuple[Shape, OnSilence, bool], tuple[Event, Answer]]] = {
    (shape, *key): value
    for shape, table in (
        (Shape.BET, _BETS),
        (Shape.BET_AND_WIN, _BETS),
        (Shape.WIN, _WINS),
        (Shape.ROLLBACK, _ROLLBACKS),
    )
    for key, value in table.items()
}
"""What follows when the wallet gave no definite answer: by what was asked, what the provider does when it hears
nothing, and whether the wallet is proven safe for retries. A provider that abandons or cancels after an unacknowledged
win is told to retry, never left to assume acceptance."""
