"""What a plan is made from, and what it says: values, and the one change that they come to.

A plan is a decision about a play: pure, from one reading of the ledger. It says what to write in one change, and for
each movement what to do next: say an outcome, send it to the wallet, undo its target, or wait for something in flight
and decide again. If the change is refused, because somebody else wrote first, a new reading is planned anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from croupier.contract import (
    Outcome,
    Play,
    Policy,
    RoundEnd,
    UnknownCause,
)
from croupier.contract.values import immutable
from croupier.ledger.port import Change, Snapshot
from croupier.ledger.records import Event as LedgerEvent
from croupier.ledger.records import MovementRow, MovementState, RoundRow, RoundState, changed
from croupier.wallet.draft import Draft
from croupier.wallet.intended import Attempt, Identity, Intended
from croupier.wallet.machine import FINAL, LIVE
from croupier.wallet.rows import is_bet


@immutable(kw_only=True)
class Say:
    """The outcome is known.

    Attributes:
        outcome: What to answer.
        row: The movement's row, where there is one (for its stored balance).
        repeat: Whether the movement had been answered before.
    """

    outcome: Outcome
    row: MovementRow | None = None
    repeat: bool = False


@immutable
class SendIt:
    """The movement is begun: send it to the wallet."""

    row: MovementRow


@immutable
class UndoIt:
    """The rollback is begun: undo its target at the wallet."""

    row: MovementRow
    target: MovementRow


@immutable
class WaitFor:
    """Something in flight decides: wait for that movement to change, then plan again."""

    movement: str
    cause: UnknownCause = UnknownCause.IN_PROGRESS


Next = Say | SendIt | UndoIt | WaitFor


@immutable(kw_only=True)
class Plan:
    """What to write together, and what comes next for each movement, in order."""

    change: Change
    steps: tuple[Next, ...]


@immutable(kw_only=True)
class Situation:
    """Everything that a plan is made from.

    Attributes:
        play: What is asked.
        policy: The operation's policy.
        identity: Whose play it is, and where.
        snapshot: The reading.
        attempt: Who writes.
        beside: Of a rollback that meets its target in flight: everything that began with the target.
        wallet_is_silent: Whether a bet that began now would fail without being sent.
    """

    play: Play
    policy: Policy
    identity: Identity
    snapshot: Snapshot
    attempt: Attempt
    beside: Sequence[MovementRow] = ()
    wallet_is_silent: bool = False

    @property
    def operator(self) -> str:
        """The operator's id."""
        return self.identity.connection.operator.id

    def draft(self) -> Draft:
        """An empty draft."""
        return Draft(self.operator, self.attempt.now)

    def change(self, draft: Draft, *, bets: bool = False) -> Change:
        """The draft as one command, with this play's round counted anew.

        It is refused if the session has changed on which the play rests: that of what `bets`, or of what must come
        under the player's own token.

        A new bet opens a settled round again: where the hub derives the end, it comes when that bet is settled, too.
        A round that begins with what came to nothing has ended with it.
        """
        row = round_of(self)
        derived = self.policy.round_end is RoundEnd.SETTLED
        if derived and row is not None and row.state is RoundState.CLOSED and any(map(_begins_bet, draft.movements)):
            row = changed(row, state=RoundState.OPEN, closed_at=None)
            draft.events.append(LedgerEvent(kind="round.reopened", subject=row.round, at=draft.now))
        ended = derived and row is not None and self.snapshot.round is None and _came_to_nothing(row, draft)
        rests = bets or (self.policy.own_token and self.play.session is not None)
        session = self.identity.session if rests else None
        return draft.change(row, stored=self.snapshot.round is not None, closes=ended, rests_on=session)

    def existing(self, intended: Intended) -> MovementRow | None:
        """The stored movement that this is a message of."""
        known = self.snapshot.keys
        if known:
            for key in intended.every_key:
                if (row := known.get(key)) is not None:
                    return row
        return None


def round_of(situation: Situation) -> RoundRow | None:
    """The round as it must be written if anything in it changes: the stored one, or a new one."""
    identity, stored = situation.identity, situation.snapshot.round
    if stored is not None:
        return stored
    if identity.round is None or identity.currency is None:
        return None
    return RoundRow(
        operator=situation.operator,
        round=identity.round,
        connection=identity.connection.id,
        player=identity.player,
        provider_round=identity.provider_round or "",
        game=identity.route.game if identity.route else None,
        currency=identity.currency.code,
        state=RoundState.OPEN,
        opened_at=situation.attempt.now,
    )


def is_live(row: MovementRow) -> bool:
    """Whether a movement counts for its round."""
    return row.state in LIVE


def _came_to_nothing(row: RoundRow, draft: Draft) -> bool:
    """Whether a round that begins holds only what is over already: a refused bet, a rollback of nothing."""
    states = [item.state for item in draft.movements if item.round == row.round]
    return bool(states) and FINAL.issuperset(states)


def _begins_bet(row: MovementRow) -> bool:
    return row.state is MovementState.INTENT and is_bet(row)
