"""The provider's error codes, what each refusal is answered with, and the policies that follow.

Facts: `reference/protocols/pragmatic.md`, sections "Error codes (operator's answer)" and "Idempotency, rounds,
rollback"; the choices where sources differ: `reference/protocols/README.md`, "Where the sources differ".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import unique
from typing import Final

from attrs import evolve

from croupier.contract.codes import WireCode, by_reason
from croupier.contract.errors import AuthenticationError, CroupierError, DeclinedError, FixRequestError, ForbiddenError
from croupier.contract.outcomes import DeclineReason
from croupier.contract.policy import (
    FreeRoundsCredit,
    LateOriginal,
    OnSilence,
    Policies,
    Policy,
    RetryClass,
    RoundEnd,
    UnknownRollback,
    WinWithoutBet,
)
from croupier_pragmatic.settings import FrbCreditOn, PragmaticSettings

AUTHENTICATE: Final = "authenticate"
BALANCE: Final = "balance"
BET: Final = "bet"
RESULT: Final = "result"
BONUS_WIN: Final = "bonusWin"
JACKPOT_WIN: Final = "jackpotWin"
END_ROUND: Final = "endRound"
REFUND: Final = "refund"
PROMO_WIN: Final = "promoWin"
ADJUSTMENT: Final = "adjustment"


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
    GAME_NOT_FOUND = 8, "Game is not found or disabled"
    """On a bet alone: results of a disabled game must still be accepted."""
    BET_LIMIT = 50, "Bet limit reached"
    RETRY = 100, "Internal error, retry"
    """The provider puts the request into its reconciliation queue."""
    NO_RETRY = 120, "Internal error, do not retry"
    RETRY_END_ROUND = 130, "Internal error on end of round, retry"
    """Retry, on `endRound` alone."""
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
_ADJUSTMENT: Final = _CREDIT | by_reason({Code.NO_RETRY: "insufficient_funds"})
_REFUND: Final = _CREDIT | by_reason({Code.NO_RETRY: "target_unknown operation_not_allowed"})

_TABLES: Final[Mapping[str, tuple[Mapping[DeclineReason, Code], Code]]] = {
    AUTHENTICATE: (_SESSION, Code.NO_RETRY),
    BALANCE: (_SESSION, Code.NO_RETRY),
    BET: (_BET, Code.NO_RETRY),
    RESULT: (_CREDIT, Code.RETRY),
    BONUS_WIN: (_CREDIT, Code.RETRY),
    JACKPOT_WIN: (_CREDIT, Code.RETRY),
    PROMO_WIN: (_CREDIT, Code.RETRY),
    ADJUSTMENT: (_ADJUSTMENT, Code.RETRY),
    REFUND: (_REFUND, Code.RETRY),
    END_ROUND: (_ALWAYS, Code.NO_RETRY),
}
OPERATIONS: Final = tuple(_TABLES)


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
    match error:
        case AuthenticationError():
            return Code.INVALID_HASH
        case ForbiddenError():
            return retry_code(operation)
        case FixRequestError():
            return Code.BAD_PARAMETERS
        case DeclinedError():
            return Code.NO_RETRY
        case _:
            return retry_code(operation)


def policies(settings: PragmaticSettings) -> Policies:
    """How the provider behaves, and wants to be answered, with these settings."""
    per_win = settings.frb_credit_on is FrbCreditOn.RESULT
    base = Policy(
        on_silence=OnSilence.RESENDS,
        unknown_rollback=UnknownRollback.ACCEPT,
        late_original=LateOriginal.DECLINE,
        win_without_bet=WinWithoutBet.ACCEPT,
        bet_on_closed_round=not settings.end_round_calls,
        round_end=RoundEnd.CALL if settings.end_round_calls else RoundEnd.SETTLED,
        session_for_bet=False,
        balance_digits=2,
        free_rounds_credit=FreeRoundsCredit.PER_WIN if per_win else FreeRoundsCredit.TOTAL,
    )
    operations = {
        AUTHENTICATE: evolve(base, on_silence=OnSilence.NEITHER),
        BALANCE: evolve(base, on_silence=OnSilence.NEITHER),
        BET: evolve(base, on_silence=OnSilence.CANCELS, session_for_bet=True),
        RESULT: evolve(base, win_without_bet=WinWithoutBet.RETRY),
        REFUND: evolve(base, answer_needs_balance=False),
    }
    return Policies(
        base,
        {name: evolve(operations.get(name, base), retry_class=_retried(name, settings)) for name in OPERATIONS},
    )


def _retried(operation: str, settings: PragmaticSettings) -> dict[str, RetryClass]:
    again = retry_code(operation)
    reasons = [reason for reason in DeclineReason if decline_code(operation, reason, settings) is again]
    return {reason.value: RetryClass.RETRIED for reason in reasons}
