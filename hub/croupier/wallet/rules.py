"""Why a new bet or win does not begin: the rules that are asked before the wallet is.

A rule declines for good. What is still in flight decides first: then the play waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from croupier.contract import (
    Declined,
    DeclineReason,
    Direction,
    MovementKind,
    Unknown,
    UnknownCause,
    WinWithoutBet,
)
from croupier.ledger.records import MovementRow, MovementState, RoundState
from croupier.wallet.intended import BETS, COUNTED_WINS, OF_ITS_BETS, ROUND_WINS, Intended
from croupier.wallet.machine import UNDONE
from croupier.wallet.plan import Next, Say, Situation, WaitFor, is_live
from croupier.wallet.rows import NOT_SENT, is_bet, is_win


def refusal(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> Next | None:
    """Why a new movement does not begin, if it does not."""
    if not movement.takes_stake:
        return credit_refusal(situation, movement, intended)
    if movement.refusal:
        return Say(outcome=Declined(reason=movement.refusal))
    reason = _bet_refusal(situation, movement) or _round_is_full(situation, movement, intended)
    return Say(outcome=Declined(reason=reason)) if reason else None


def credit_refusal(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> Next | None:
    """Why a win, or whatever else takes no stake, does not begin, if it does not."""
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
        bet = named_bet(situation, movement, intended)
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


def named_bet(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> str | None:
    """The id of the bet that a win names: one that is stored, or one of its own play."""
    assert movement.target is not None  # noqa: S101 # the caller looked
    known = situation.snapshot.keys.get(movement.target)
    if known is not None:
        return known.movement
    return next((id_of(situation, other) for other in intended if movement.target in other.keys), None)


def id_of(situation: Situation, movement: Intended) -> str:
    """The id of a movement: that of the stored one, which may have come under another first key."""
    stored = situation.existing(movement)
    return movement.id if stored is None else stored.movement


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
        if other.kind is not MovementKind.JACKPOT_WIN and named_bet(situation, other, intended) == bet
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


def _bet_refusal(situation: Situation, movement: Intended) -> DeclineReason | None:
    """Why a new stake is declined before the wallet is asked: the first rule that speaks against it."""
    connection, policy = situation.identity.connection, situation.policy
    if not connection.operator.enabled:
        return DeclineReason.OPERATOR_DISABLED
    if not connection.enabled:
        return DeclineReason.MAINTENANCE
    if not situation.identity.player:
        return DeclineReason.PLAYER_UNKNOWN
    if movement.is_bet and (reason := _session_refusal(situation) or _game_refusal(situation)):
        return reason
    row = situation.snapshot.round
    if row is not None and row.state is RoundState.CLOSED and movement.kind in BETS and not policy.bet_on_closed_round:
        return DeclineReason.ROUND_CLOSED
    if movement.is_bet and policy.max_bet_minor and _is_too_large(situation, movement):
        return DeclineReason.BET_LIMIT
    return DeclineReason.MAINTENANCE if situation.wallet_is_silent and _asks_wallet(situation, movement) else None


def _session_refusal(situation: Situation) -> DeclineReason | None:
    if not situation.policy.session_for_bet or situation.play.resend:
        return None
    if situation.identity.session is None:
        return DeclineReason.SESSION_UNKNOWN
    return None if situation.identity.live else DeclineReason.SESSION_EXPIRED


def _game_refusal(situation: Situation) -> DeclineReason | None:
    route = situation.identity.route
    return DeclineReason.GAME_UNKNOWN if route is None else route.refusal


def _is_too_large(situation: Situation, movement: Intended) -> bool:
    currency = situation.identity.currency
    largest = situation.policy.max_bet_minor.get(currency.code) if currency else None
    stake = movement.stake if movement.stake is not None else movement.amount
    return largest is not None and stake > largest


def _asks_wallet(situation: Situation, movement: Intended) -> bool:
    """Whether the wallet would be asked; while it is silent, what would begin and fail is refused in one commit."""
    asked = movement.amount != 0 or situation.identity.connection.operator.policy.zero_amounts
    return asked and movement.direction is Direction.DEBIT


def _round_is_full(situation: Situation, movement: Intended, intended: Sequence[Intended]) -> DeclineReason | None:
    """Whether the round holds as many bets as it may, those of the play before this one included."""
    limit, stored = situation.policy.bets_per_round, situation.snapshot.round
    if limit is None or movement.kind not in BETS or not movement.takes_stake:
        return None
    earlier = (other for other in intended[: intended.index(movement)] if other.kind in BETS and other.takes_stake)
    new = sum(situation.existing(other) is None for other in earlier)
    bets = (stored.bets if stored else 0) + new
    return DeclineReason.ROUND_LIMIT if bets >= limit else None


def recorded_reason(situation: Situation, reason: DeclineReason) -> str:
    """What the record says of a refused bet: its provider is told the same of a closed connection."""
    closed = not situation.identity.connection.enabled
    silent = reason is DeclineReason.MAINTENANCE and situation.wallet_is_silent and not closed
    return NOT_SENT if silent else reason.value
