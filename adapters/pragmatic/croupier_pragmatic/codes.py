"""The provider's error codes, what each refusal is answered with, and the policies that follow.

Facts: `reference/protocols/pragmatic.md`, sections "Error codes (operator's answer)" and "Idempotency, rounds,
rollback"; the choices where sources differ: `reference/protocols/README.md`, "Where the sources differ".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, unique
from typing import Final

from attrs import evolve

from croupier.contract.errors import (
    AuthenticationError,
    CroupierError,
    DeclinedError,
    FixRequestError,
    ForbiddenError,
)
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

OPERATIONS: Final = (
    AUTHENTICATE,
    BALANCE,
    BET,
    RESULT,
    BONUS_WIN,
    JACKPOT_WIN,
    END_ROUND,
    REFUND,
    PROMO_WIN,
    ADJUSTMENT,
)


@unique
class Code(IntEnum):
    """The field `error` of an answer."""

    OK = 0
    INSUFFICIENT_BALANCE = 1
    PLAYER_NOT_FOUND = 2
    BET_NOT_ALLOWED = 3
    AUTHENTICATION_FAILED = 4
    INVALID_HASH = 5
    PLAYER_FROZEN = 6
    BAD_PARAMETERS = 7
    GAME_NOT_FOUND = 8
    """On a bet alone: results of a disabled game must still be accepted."""
    BET_LIMIT = 50
    RETRY = 100
    """The provider puts the request into its reconciliation queue."""
    NO_RETRY = 120
    RETRY_END_ROUND = 130
    """Retry, on `endRound` alone."""
    REALITY_CHECK = 210
    OUTSIDE_LIMITS = 310


DESCRIPTIONS: Final[Mapping[Code, str]] = {
    Code.OK: "Success",
    Code.INSUFFICIENT_BALANCE: "Insufficient balance",
    Code.PLAYER_NOT_FOUND: "Player not found",
    Code.BET_NOT_ALLOWED: "Bet is not allowed",
    Code.AUTHENTICATION_FAILED: "Token is invalid, unknown or expired",
    Code.INVALID_HASH: "Invalid hash",
    Code.PLAYER_FROZEN: "Player is frozen",
    Code.BAD_PARAMETERS: "Bad parameters",
    Code.GAME_NOT_FOUND: "Game is not found or disabled",
    Code.BET_LIMIT: "Bet limit reached",
    Code.RETRY: "Internal error, retry",
    Code.NO_RETRY: "Internal error, do not retry",
    Code.RETRY_END_ROUND: "Internal error on end of round, retry",
    Code.REALITY_CHECK: "Reality check",
    Code.OUTSIDE_LIMITS: "Bet is outside the player's limits",
}

_R = DeclineReason

_ALWAYS: Final[Mapping[DeclineReason, Code]] = {
    _R.PLAYER_UNKNOWN: Code.PLAYER_NOT_FOUND,
    _R.CURRENCY_WRONG: Code.BAD_PARAMETERS,
    _R.CONFLICT: Code.BAD_PARAMETERS,
}

_SESSION: Final[Mapping[DeclineReason, Code]] = {
    **_ALWAYS,
    _R.PLAYER_BLOCKED: Code.PLAYER_FROZEN,
    _R.SESSION_UNKNOWN: Code.AUTHENTICATION_FAILED,
    _R.SESSION_EXPIRED: Code.AUTHENTICATION_FAILED,
    _R.REALITY_CHECK: Code.REALITY_CHECK,
}

_BET: Final[Mapping[DeclineReason, Code]] = {
    **_SESSION,
    _R.INSUFFICIENT_FUNDS: Code.INSUFFICIENT_BALANCE,
    _R.BET_LIMIT: Code.OUTSIDE_LIMITS,
    _R.LOSS_LIMIT: Code.BET_LIMIT,
    _R.TURNOVER_LIMIT: Code.BET_LIMIT,
    _R.TIME_LIMIT: Code.BET_LIMIT,
    _R.BONUS_RULE: Code.BET_NOT_ALLOWED,
    _R.COUNTRY_FORBIDDEN: Code.BET_NOT_ALLOWED,
    _R.ROUND_CLOSED: Code.BET_NOT_ALLOWED,
    _R.ROUND_LIMIT: Code.BET_NOT_ALLOWED,
    _R.FREE_ROUNDS_UNKNOWN: Code.BET_NOT_ALLOWED,
    _R.OPERATION_NOT_ALLOWED: Code.BET_NOT_ALLOWED,
    _R.AMOUNT_INVALID: Code.BAD_PARAMETERS,
    _R.GAME_UNKNOWN: Code.GAME_NOT_FOUND,
    _R.GAME_DISABLED: Code.GAME_NOT_FOUND,
    _R.GAME_FORBIDDEN: Code.GAME_NOT_FOUND,
}

# A credit is final only where no later attempt could ever be right; all else is owed to the player and stays in the
# provider's queue.
_CREDIT: Final[Mapping[DeclineReason, Code]] = {
    **_ALWAYS,
    _R.ALREADY_ROLLED_BACK: Code.NO_RETRY,
    _R.TARGET_DECLINED: Code.NO_RETRY,
    _R.TARGET_SETTLED: Code.NO_RETRY,
    _R.ROUND_CLOSED: Code.NO_RETRY,
    _R.DUPLICATE: Code.NO_RETRY,
    _R.CANCELLED: Code.NO_RETRY,
}

_ADJUSTMENT: Final[Mapping[DeclineReason, Code]] = {**_CREDIT, _R.INSUFFICIENT_FUNDS: Code.NO_RETRY}

_REFUND: Final[Mapping[DeclineReason, Code]] = {
    **_CREDIT,
    _R.TARGET_UNKNOWN: Code.NO_RETRY,
    _R.OPERATION_NOT_ALLOWED: Code.NO_RETRY,
}

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
    return {
        reason.value: RetryClass.RETRIED
        for reason in DeclineReason
        if decline_code(operation, reason, settings) is again
    }
