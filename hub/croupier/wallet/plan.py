"""The decision about a play: pure, from one reading of the ledger.

A plan says what to write in one change, and for each movement what to do next: say an outcome, send it to the wallet,
undo its target, or wait for something in flight and decide again. If the change is refused, because somebody else wrote
first, a new reading is planned anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    Declined,
    DeclineReason,
    Direction,
    LateOriginal,
    MovementKind,
    Outcome,
    Play,
    Policy,
    RepeatAnswer,
    RolledBackRepeat,
    RoundEnd,
    Unknown,
    UnknownCause,
    WinWithoutBet,
)
from croupier.ledger.port import Change, Snapshot
from croupier.ledger.records import Event as LedgerEvent
from croupier.ledger.records import Key, MovementRow, MovementState, RoundRow, RoundState, changed
from croupier.ledger.values import immutable
from croupier.wallet.draft import Draft
from croupier.wallet.intended import BETS, COUNTED_WINS, OF_ITS_BETS, ROUND_WINS, Identity, Intended, same_content
from croupier.wallet.machine import FINAL, LIVE, UNDONE, Event
from croupier.wallet.rows import applied_outcome, declined_outcome, is_bet, is_win, takes_stake


@immutable(kw_only=True)
class Attempt:
    """Who writes, and when.

    Attributes:
        play: The play's id.
        owner: The process.
        epoch: Its epoch.
        nonce: Random per attempt.
        now: UTC milliseconds.
        lease_until: Until when nobody else may take the intents over.
    """

    play: str
    owner: str
    epoch: int
    nonce: str
    now: int
    lease_until: int

    @property
    def ownership(self) -> dict[str, Any]:
        """The columns of a row that say who works on it."""
        return {
            "owner": self.owner,
            "epoch": self.epoch,
            "nonce": self.nonce,
            "lease_until": self.lease_until,
        }


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


def plan_forward(situation: Situation, intended: Sequence[Intended]) -> Plan:
    """Plan the bets and wins of an atomic play: all of the new ones begin, or none."""
    draft = situation.draft()
    steps: list[Next] = []
    seen: set[str | Key] = set()
    for movement in intended:
        existing = situation.existing(movement)
        if steps and not seen.isdisjoint((movement.id, *movement.every_key)):
            steps.append(Say(outcome=Declined(reason=DeclineReason.CONFLICT)))
        elif existing is not None:
            steps.append(_repeat(situation, movement, existing, draft, intended))
        else:
            steps.append(_refusal(situation, movement, intended) or SendIt(_intent(situation, movement, intended)))
        seen.update((movement.id, *movement.every_key))
    blocked = _blocking(steps)
    if blocked is not None:
        return _none_begins(situation, intended, steps, blocked)
    for movement, following in zip(intended, steps, strict=True):
        if isinstance(following, SendIt) and situation.existing(movement) is None:
            draft.insert(following.row, movement.every_key)
    begins = any(isinstance(following, SendIt) for following in steps)
    bets = begins and any(movement.is_bet for movement in intended)
    return Plan(change=situation.change(draft, bets=bets), steps=tuple(steps))


def _intent(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> MovementRow:
    attempt = situation.attempt
    return movement.row(
        situation.identity,
        play=attempt.play,
        state=MovementState.INTENT,
        created_at=attempt.now,
        target=_bet_of(situation, movement, intended),
        **attempt.ownership,
    )


def _bet_of(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> str | None:
    """The id of the bet that a movement settles, by name or in the same play."""
    if movement.target is not None:
        return _named_bet(situation, movement, intended)
    if movement.takes_stake:
        return None
    return next((other.id for other in intended if other.takes_stake), None)


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
            row = movement.row(
                situation.identity,
                play=situation.attempt.play,
                state=MovementState.DECLINED,
                created_at=situation.attempt.now,
                settled_at=situation.attempt.now,
                reason=outcome.reason.value,
                **situation.attempt.ownership,
            )
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
            refused = _credit_refusal(situation, movement, intended)
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


def _refusal(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> Next | None:
    """Why a new movement does not begin, if it does not."""
    if not movement.takes_stake:
        return _credit_refusal(situation, movement, intended)
    if movement.refusal:
        return Say(outcome=Declined(reason=movement.refusal))
    for rule in BET_RULES:
        if reason := rule(situation, movement):
            return Say(outcome=Declined(reason=reason))
    full = _round_is_full(situation, movement, intended)
    return Say(outcome=Declined(reason=full)) if full else None


def _credit_refusal(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> Next | None:
    if movement.refusal is DeclineReason.AMOUNT_INVALID:
        return Say(outcome=Unknown(cause=UnknownCause.STORE))
    if movement.refusal is not None:
        return Say(outcome=Declined(reason=movement.refusal))
    if not situation.identity.player:
        return Say(outcome=Declined(reason=DeclineReason.PLAYER_UNKNOWN))
    closed = situation.snapshot.round is not None and situation.snapshot.round.state is RoundState.CLOSED
    if closed and movement.kind in COUNTED_WINS and not situation.policy.win_on_closed_round:
        return Say(outcome=Declined(reason=DeclineReason.ROUND_CLOSED))
    if _wins_are_full(situation, movement, intended):
        return Say(outcome=Declined(reason=DeclineReason.ROUND_LIMIT))
    if movement.target is not None:
        bet = _named_bet(situation, movement, intended)
        if bet is not None and (paid := _bet_is_paid(situation, movement, bet, intended)):
            return paid
        if not any(movement.target in other.keys for other in intended):
            return _by_named_bet(situation, movement)
    if movement.kind in ROUND_WINS | OF_ITS_BETS and not any(other.takes_stake for other in intended):
        return _by_round(situation, movement)
    return None


def _wins_are_full(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> bool:
    """Whether the round holds as many wins as it may, those of the play before this one included."""
    limit, stored = situation.policy.wins_per_round, situation.snapshot.round
    if limit is None or movement.kind not in COUNTED_WINS:
        return False
    earlier = (other for other in intended[: intended.index(movement)] if other.kind in COUNTED_WINS)
    new = sum(not other.takes_stake and situation.existing(other) is None for other in earlier)
    return (stored.wins if stored else 0) + new >= limit


def _by_named_bet(situation: Situation, movement: Intended) -> Next | None:
    assert movement.target is not None  # noqa: S101 # the caller looked
    bet = situation.snapshot.keys.get(movement.target)
    if bet is None:
        return _without_bet(situation)
    if bet.player and bet.player != situation.identity.player:
        return Say(outcome=Declined(reason=DeclineReason.TARGET_UNKNOWN))
    if bet.round and bet.round != situation.identity.round and movement.kind is not MovementKind.TRANSFER_IN:
        # What a bet was paid is looked for in its own round.
        return Say(outcome=Declined(reason=DeclineReason.CONFLICT))
    return _by_bets([bet])


def _named_bet(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> str | None:
    """The id of the bet that a win names: one that is stored, or one of its own play."""
    assert movement.target is not None  # noqa: S101 # the caller looked
    known = situation.snapshot.keys.get(movement.target)
    return known.movement if known else next((other.id for other in intended if movement.target in other.keys), None)


def _bet_is_paid(situation: Situation, movement: Intended, bet: str, intended: Sequence[Intended]) -> Next | None:
    """Why a bet takes no further win by name: it has had them all, or so many are in flight that they decide first.

    Those of the play before this one are wins that it has had. Jackpots are paid beside it.
    """
    limit = situation.policy.wins_per_bet
    if limit is None or movement.kind is MovementKind.JACKPOT_WIN:
        return None
    earlier = (other for other in intended[: intended.index(movement)] if other.target and not other.takes_stake)
    of_it = (
        situation.existing(other)
        for other in earlier
        if other.kind is not MovementKind.JACKPOT_WIN and _named_bet(situation, other, intended) == bet
    )
    new = sum(stored is None or stored.state is MovementState.DECLINED for stored in of_it)
    rows = [row for row in situation.snapshot.round_movements if _pays(row, bet)]
    if len(rows) + new < limit:
        return None
    in_flight = next((row for row in rows if row.state in {MovementState.INTENT, MovementState.OWED}), None)
    if in_flight is not None:
        return WaitFor(in_flight.movement)
    held = any(row.state is MovementState.HELD for row in rows)
    return Say(outcome=_NOT_YET if held else Declined(reason=DeclineReason.TARGET_SETTLED))


def _pays(row: MovementRow, bet: str) -> bool:
    return is_win(row) and is_live(row) and row.target == bet and row.kind != MovementKind.JACKPOT_WIN.value


def _by_round(situation: Situation, movement: Intended) -> Next | None:
    bets = [row for row in situation.snapshot.round_movements if is_bet(row)]
    if bets:
        return _by_bets(bets)
    return None if movement.kind in OF_ITS_BETS else _without_bet(situation)


def _by_bets(bets: Sequence[MovementRow]) -> Next | None:
    """A win is legal if at least one of its bets stands; bets in flight decide first."""
    states = {bet.state for bet in bets}
    if states & {MovementState.APPLIED, MovementState.HELD}:
        return None
    in_flight = next((bet for bet in bets if bet.state in {MovementState.INTENT, MovementState.OWED}), None)
    if in_flight is not None:
        return WaitFor(in_flight.movement)
    reason = DeclineReason.ALREADY_ROLLED_BACK if states & UNDONE else DeclineReason.TARGET_DECLINED
    return Say(outcome=Declined(reason=reason))


def _without_bet(situation: Situation) -> Say | None:
    match situation.policy.win_without_bet:
        case WinWithoutBet.ACCEPT:
            return None
        case WinWithoutBet.RETRY:
            return Say(outcome=Unknown(cause=UnknownCause.TOO_EARLY))
        case WinWithoutBet.DECLINE:
            return Say(outcome=Declined(reason=DeclineReason.TARGET_UNKNOWN))


_NOT_YET: Final = Unknown(cause=UnknownCause.IN_PROGRESS)

Rule = Callable[[Situation, Intended], DeclineReason | None]


def _parties_accept_bets(situation: Situation, _movement: Intended) -> DeclineReason | None:
    if not situation.identity.connection.operator.enabled:
        return DeclineReason.OPERATOR_DISABLED
    return None if situation.identity.connection.enabled else DeclineReason.MAINTENANCE


def _player_is_known(situation: Situation, _movement: Intended) -> DeclineReason | None:
    return None if situation.identity.player else DeclineReason.PLAYER_UNKNOWN


def _session_is_live(situation: Situation, movement: Intended) -> DeclineReason | None:
    if not (movement.is_bet and situation.policy.session_for_bet) or situation.play.resend:
        return None
    if situation.identity.session is None:
        return DeclineReason.SESSION_UNKNOWN
    return None if situation.identity.live else DeclineReason.SESSION_EXPIRED


def _game_is_open(situation: Situation, movement: Intended) -> DeclineReason | None:
    if not movement.is_bet:
        return None
    route = situation.identity.route
    return DeclineReason.GAME_UNKNOWN if route is None else route.refusal


def _round_admits(situation: Situation, movement: Intended) -> DeclineReason | None:
    row = situation.snapshot.round
    if row is None or movement.kind not in BETS:
        return None
    closed = row.state is RoundState.CLOSED and not situation.policy.bet_on_closed_round
    return DeclineReason.ROUND_CLOSED if closed else None


def _round_is_full(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> DeclineReason | None:
    """Whether the round holds as many bets as it may, those of the play before this one included."""
    limit, stored = situation.policy.bets_per_round, situation.snapshot.round
    if limit is None or movement.kind not in BETS or not movement.takes_stake:
        return None
    earlier = (other for other in intended[: intended.index(movement)] if other.kind in BETS and other.takes_stake)
    new = sum(situation.existing(other) is None for other in earlier)
    bets = (stored.bets if stored else 0) + new
    return DeclineReason.ROUND_LIMIT if bets >= limit else None


def _stake_is_allowed(situation: Situation, movement: Intended) -> DeclineReason | None:
    currency = situation.identity.currency
    largest = situation.policy.max_bet_minor.get(currency.code) if currency else None
    stake = movement.stake if movement.stake is not None else movement.amount
    return DeclineReason.BET_LIMIT if movement.is_bet and largest is not None and stake > largest else None


def _wallet_answers(situation: Situation, movement: Intended) -> DeclineReason | None:
    """What would begin, fail unsent and be settled is refused in one commit: others share the ledger."""
    if not situation.wallet_is_silent or movement.direction is not Direction.DEBIT:
        return None
    asked = movement.amount != 0 or situation.identity.connection.operator.policy.zero_amounts
    return DeclineReason.MAINTENANCE if asked else None


BET_RULES: tuple[Rule, ...] = (
    _parties_accept_bets,
    _player_is_known,
    _session_is_live,
    _game_is_open,
    _round_admits,
    _stake_is_allowed,
    _wallet_answers,
)
"""Asked in order before the wallet is; each declines definitely."""


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
