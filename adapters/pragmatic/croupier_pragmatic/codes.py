"""The provider's error codes, what each refusal is answered with, and the policies that follow.

Facts: `reference/protocols/pragmatic.md`, sections "Error codes (operator's answer)" and "Idempotency, rounds,
rollback"; the choices where sources differ: `reference/protocols/README.md`, "Where the sources differ".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import unique
from typing import Final

from attrs import evolve

from croupier.contract import policy
from croupier.contract.codes import WireCode, by_error, by_reason
from croupier.contract.errors import AuthenticationError, CroupierError, DeclinedError, FixRequestError, ForbiddenError
from croupier.contract.outcomes import DeclineReason
from croupier_pragmatic.settings import PragmaticSettings

OPERATIONS: Final = tuple(
    "authenticate balance bet result bonusWin jackpotWin endRound refund promoWin adjustment".split()
)
AUTHENTICATE, BALANCE, BET, RESULT, BONUS_WIN, JACKPOT_WIN, END_ROUND, REFUND, PROMO_WIN, ADJUSTMENT = OPERATIONS
ADJUSTMENT_DEBIT: Final = "adjustment_debit"
"""An adjustment below zero: what was refused of it stays refused, so 100 would ask for ever."""


@unique
class Code(WireCode):
    """The field `error` of an answer; its text is the `description`."""

    OK = 0, "Success"
    INSUFFICIENT_BALANCE = 1, "Insufficient balance"
    PLAYER_NOT_FOUND = 2, "Player not found"
    BET_NOT_ALLOWED = 3, "Bet is not allowed"
    AUTHENTICATION_FAILED = 4, "Token is invalid, unknown or expired"
    INVALID_HASH = 5, "Invalid hash"
    PLAYER_FROZEN = 6, "Player is frozen"
    BAD_PARAMETERS = 7, "Bad parameters"
    GAME_NOT_FOUND = 8, "Game is not found or disabled"  # on a bet alone: results of a disabled game are accepted
    BET_LIMIT = 50, "Bet limit reached"
    RETRY = 100, "Internal error, retry"  # the provider puts the request into its reconciliation queue
    NO_RETRY = 120, "Internal error, do not retry"
    RETRY_END_ROUND = 130, "Internal error on end of round, retry"  # on endRound alone
    REALITY_CHECK = 210, "Reality check"
    OUTSIDE_LIMITS = 310, "Bet is outside the player's limits"


_ALWAYS: Final = by_reason({Code.PLAYER_NOT_FOUND: "player_unknown", Code.BAD_PARAMETERS: "currency_wrong conflict"})

_SESSION: Final = _ALWAYS | by_reason(
    {
        Code.PLAYER_FROZEN: "player_blocked",
        Code.AUTHENTICATION_FAILED: "session_unknown session_expired",
        Code.REALITY_CHECK: "reality_check",
    }
)
_BET: Final = _SESSION | by_reason(
    {
        Code.INSUFFICIENT_BALANCE: "insufficient_funds",
        Code.OUTSIDE_LIMITS: "bet_limit",
        Code.BET_LIMIT: "loss_limit turnover_limit time_limit",
        Code.BET_NOT_ALLOWED: "bonus_rule country_forbidden round_closed round_limit free_rounds_unknown "
        "operation_not_allowed",
        Code.BAD_PARAMETERS: "amount_invalid",
        Code.GAME_NOT_FOUND: "game_unknown game_disabled game_forbidden",
    }
)
# A credit is final only where no later attempt could ever be right; all else is owed to the player and stays in the
# provider's queue.
_CREDIT: Final = _ALWAYS | by_reason(
    {Code.NO_RETRY: "already_rolled_back target_declined target_settled round_closed duplicate cancelled"}
)
_REFUND: Final = _CREDIT | by_reason({Code.NO_RETRY: "target_unknown operation_not_allowed"})

_TABLES: Final[Mapping[str, tuple[Mapping[DeclineReason, Code], Code]]] = {
    **dict.fromkeys((AUTHENTICATE, BALANCE), (_SESSION, Code.NO_RETRY)),
    BET: (_BET, Code.NO_RETRY),
    **dict.fromkeys((RESULT, BONUS_WIN, JACKPOT_WIN, PROMO_WIN, ADJUSTMENT), (_CREDIT, Code.RETRY)),
    ADJUSTMENT_DEBIT: (_CREDIT, Code.NO_RETRY),
    REFUND: (_REFUND, Code.RETRY),
    END_ROUND: (_ALWAYS, Code.NO_RETRY),
}
_ERRORS: Final[Mapping[type[CroupierError], Code]] = {
    AuthenticationError: Code.INVALID_HASH,
    FixRequestError: Code.BAD_PARAMETERS,
    DeclinedError: Code.NO_RETRY,
}


def retry_code(operation: str | None) -> Code:
    """The code that asks for the same request again."""
    return Code.RETRY_END_ROUND if operation == END_ROUND else Code.RETRY


def decline_code(operation: str, reason: DeclineReason, settings: PragmaticSettings) -> Code:
    """The code of a definite refusal, by operation."""
    table, otherwise = _TABLES[operation]
    if operation == BET and reason is DeclineReason.BET_LIMIT and not settings.send_bet_limits:
        return Code.BET_LIMIT
    return table.get(reason, otherwise)


def error_code(operation: str | None, error: CroupierError) -> Code:
    """The code of what failed before there was a call. What is not the request's own fault is to be sent again."""
    again = retry_code(operation)
    return again if isinstance(error, ForbiddenError) else by_error(_ERRORS, error, again)


def policies(settings: PragmaticSettings) -> policy.Policies:
    """How the provider behaves, and wants to be answered, with these settings."""
    per_win = settings.frb_credit_on == "result"
    base = policy.Policy(
        on_silence=policy.OnSilence.RESENDS,
        unknown_rollback=policy.UnknownRollback.ACCEPT,
        late_original=policy.LateOriginal.DECLINE,
        win_without_bet=policy.WinWithoutBet.ACCEPT,
        bet_on_closed_round=not settings.end_round_calls,
        round_end=policy.RoundEnd.CALL if settings.end_round_calls else policy.RoundEnd.SETTLED,
        session_for_bet=False,
        balance_digits=2,
        free_rounds_credit=policy.FreeRoundsCredit.PER_WIN if per_win else policy.FreeRoundsCredit.TOTAL,
    )
    own = {
        **dict.fromkeys((AUTHENTICATE, BALANCE), evolve(base, on_silence=policy.OnSilence.NEITHER)),
        BET: evolve(base, on_silence=policy.OnSilence.CANCELS, session_for_bet=True),
        RESULT: evolve(base, win_without_bet=policy.WinWithoutBet.RETRY),
        REFUND: evolve(base, answer_needs_balance=False),
    }
    known = {name: evolve(own.get(name, base), retry_class=_retried(name, settings)) for name in _TABLES}
    return policy.Policies(base, known)


def _retried(operation: str, settings: PragmaticSettings) -> dict[str, policy.RetryClass]:
    again = retry_code(operation)
    reasons = [reason for reason in DeclineReason if decline_code(operation, reason, settings) is again]
    return {reason.value: policy.RetryClass.RETRIED for reason in reasons}
