"""The provider's error codes, what each refusal is answered with, and the policies that follow.

Facts: `reference/protocols/pgsoft.md`, sections "Error codes (string)" and "Idempotency, rounds, rollback". Only 1200
makes the provider ask again; any other code makes the spin void.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import unique
from typing import Final

from attrs import evolve

from croupier.contract import errors, policy
from croupier.contract.codes import WireCode, by_error, by_reason
from croupier.contract.money import WireCurrency
from croupier.contract.outcomes import DeclineReason
from croupier_pgsoft import wire
from croupier_pgsoft.settings import PgsoftSettings

VERIFY: Final = "verify_session"
BALANCE: Final = "balance"
TRANSFER: Final = "transfer"
"""A spin that stakes: it may win in the same request."""
PAYOUT: Final = "payout"
"""A spin without a stake, in a round that has one."""
FREE_PAYOUT: Final = "free_payout"
"""A spin without a stake, in a round that never had one."""
FREE_SPIN: Final = "free_spin"
"""A spin of a free game or bonus game."""
CONVERSION: Final = "conversion"
"""What free games or bonus games won becomes cash."""
ADJUSTMENT: Final = "adjustment"
ADJUSTMENT_DEBIT: Final = "adjustment_debit"
"""An adjustment that takes money: what was refused of it stays refused, so 1200 would ask for ever."""
BET_DETAIL: Final = "bet_detail"


@unique
class Code(WireCode):
    """The field `code` of an error, a number as text; its text is the `message`."""

    INVALID_REQUEST = 1034, "Invalid request"
    FAILED = 1035, "Operation failed"
    AGAIN = 1200, "Internal server error"
    INVALID_OPERATOR = 1204, "Invalid operator"
    INVALID_TOKEN = 1300, "Invalid player session token"
    INVALID_PLAYER = 1305, "Invalid player"
    INVALID_SESSION = 1307, "Invalid player session"
    SESSION_EXPIRED = 1308, "Player session expired"
    MAINTENANCE = 1400, "Under maintenance"
    MISSING = 3001, "Value cannot be null"
    NO_PLAYER = 3004, "Player does not exist"
    NO_BET = 3021, "Bet does not exist"
    BET_EXISTS = 3032, "Bet already exists"
    BET_FAILED = 3033, "Bet failed"
    PAYOUT_FAILED = 3034, "Payout failed"
    WRONG_SUM = 3073, "Bet failed: transfer amount"
    WRONG_REAL_AMOUNT = 3107, "Real transfer amount does not match"
    NO_MONEY = 3202, "Not enough balance"


_PLAYER: Final = by_reason(
    {
        Code.SESSION_EXPIRED: "session_expired",
        Code.INVALID_PLAYER: "player_blocked",
        Code.MAINTENANCE: "maintenance operator_disabled",
    }
)
_VERIFY: Final = _PLAYER | by_reason({Code.INVALID_TOKEN: "session_unknown", Code.INVALID_PLAYER: "player_unknown"})
_KNOWN: Final = by_reason(
    {
        Code.NO_PLAYER: "player_unknown",
        Code.INVALID_REQUEST: "currency_wrong",
        Code.BET_EXISTS: "conflict duplicate",
    }
)
_SPIN: Final = (_KNOWN | _PLAYER) | by_reason(
    {
        Code.NO_MONEY: "insufficient_funds",
        Code.INVALID_SESSION: "session_unknown",
        Code.INVALID_REQUEST: "amount_invalid",
    }
)
# A credit is final only where no later attempt could ever be right: all else is owed, and an error would make it void.
_CREDIT: Final = _KNOWN | by_reason(
    {
        Code.NO_BET: "target_unknown",
        Code.PAYOUT_FAILED: "already_rolled_back target_declined target_settled round_closed cancelled",
    }
)
_TABLES: Final[Mapping[str, tuple[Mapping[DeclineReason, Code], Code]]] = {
    VERIFY: (_VERIFY, Code.FAILED),
    BALANCE: (_SPIN, Code.FAILED),
    TRANSFER: (_SPIN, Code.BET_FAILED),
    **dict.fromkeys((PAYOUT, FREE_PAYOUT, FREE_SPIN, CONVERSION, ADJUSTMENT), (_CREDIT, Code.AGAIN)),
    ADJUSTMENT_DEBIT: (_CREDIT | by_reason({Code.NO_MONEY: "insufficient_funds"}), Code.FAILED),
    BET_DETAIL: ({}, Code.FAILED),
}
_ERRORS: Final[Mapping[type[errors.CroupierError], Code]] = {
    errors.AuthenticationError: Code.INVALID_OPERATOR,
    errors.ForbiddenError: Code.AGAIN,
    errors.ConflictError: Code.BET_EXISTS,
    errors.FixRequestError: Code.INVALID_REQUEST,
    errors.DeclinedError: Code.FAILED,
}
MAY_STAND: Final = "it may have been booked when it was sent before"
"""The hint of an error in a transfer that was sent again."""
ABSENT: Final = "the field is missing"
"""How the contract's reader words that a field was not sent."""
WRONG_SUM: Final = "it is not what was won less what was staked"
WRONG_REAL_AMOUNT: Final = "it is not the transferred amount in the player's currency"
_MALFORMED: Final[Mapping[str, Code]] = {
    ABSENT: Code.MISSING,
    WRONG_SUM: Code.WRONG_SUM,
    WRONG_REAL_AMOUNT: Code.WRONG_REAL_AMOUNT,
}


def decline_code(operation: str, reason: DeclineReason) -> Code:
    """The code of a definite refusal, by operation."""
    table, otherwise = _TABLES[operation]
    return table.get(reason, otherwise)


def error_code(error: errors.CroupierError, path: str) -> Code:
    """The code of what failed before there was a call. What is not the request's own fault is to be sent again.

    So is money that may have been booked before, for it cannot be believed, or was sent again and cannot be read.
    """
    known = _MALFORMED.get(error.message) if isinstance(error, errors.MalformedRequestError) else None
    code = known or by_error(_ERRORS, error, Code.AGAIN)
    unproven = code is Code.INVALID_OPERATOR and path.rstrip("/") in wire.MOVES
    return Code.AGAIN if unproven or error.hint == MAY_STAND else code


def policies(settings: PgsoftSettings) -> policy.Policies:
    """How the provider behaves, and wants to be answered, with these settings.

    There is no rollback: what was not answered is sent again until it is, and any error but 1200 makes it void.
    """
    per_win = settings.free_games_pay == "spin"
    base = policy.Policy(
        on_silence=policy.OnSilence.RESENDS,
        win_without_bet=policy.WinWithoutBet.ACCEPT,
        round_end=policy.RoundEnd.FLAG,
        balance_digits=2,
        currencies=tuple(WireCurrency(code, code, settings.ratio(code)) for code in settings.currency_ratios),
        free_rounds_credit=policy.FreeRoundsCredit.PER_WIN if per_win else policy.FreeRoundsCredit.TOTAL,
    )
    own = {
        **dict.fromkeys((VERIFY, BALANCE), evolve(base, on_silence=policy.OnSilence.NEITHER)),
        PAYOUT: evolve(base, win_without_bet=policy.WinWithoutBet.RETRY),
        BET_DETAIL: evolve(base, answer_needs_balance=False),
    }
    return policy.Policies(base, {name: evolve(own.get(name, base), retry_class=_retried(name)) for name in _TABLES})


def _retried(operation: str) -> dict[str, policy.RetryClass]:
    again = [reason for reason in DeclineReason if decline_code(operation, reason) is Code.AGAIN]
    return {reason.value: policy.RetryClass.RETRIED for reason in again}
