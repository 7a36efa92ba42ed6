"""The statuses of Hub88's wallet protocol, and which of the hub's refusals and errors they say.

Source: `reference/protocols/hub88.md`, sections "Statuses" and "Retry policy".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

from croupier.contract.codes import by_error, by_reason
from croupier.contract.errors import (
    AmountError,
    AuthenticationError,
    ConflictError,
    CroupierError,
    DeclinedError,
    FixRequestError,
    ForbiddenError,
    NotFoundError,
    UnknownCurrencyError,
)
from croupier.contract.outcomes import DeclineReason
from croupier.contract.policy import RetryClass

INFO: Final = "info"
BALANCE: Final = "balance"
BET: Final = "bet"
WIN: Final = "win"
ROLLBACK: Final = "rollback"


@unique
class Status(StrEnum):
    """The `status` of every answer to a wallet call."""

    OK = "RS_OK"
    UNKNOWN = "RS_ERROR_UNKNOWN"
    INVALID_PARTNER = "RS_ERROR_INVALID_PARTNER"
    INVALID_TOKEN = "RS_ERROR_INVALID_TOKEN"  # noqa: S105 # a status, no token
    INVALID_GAME = "RS_ERROR_INVALID_GAME"
    WRONG_CURRENCY = "RS_ERROR_WRONG_CURRENCY"
    NOT_ENOUGH_MONEY = "RS_ERROR_NOT_ENOUGH_MONEY"
    USER_DISABLED = "RS_ERROR_USER_DISABLED"
    INVALID_SIGNATURE = "RS_ERROR_INVALID_SIGNATURE"
    TOKEN_EXPIRED = "RS_ERROR_TOKEN_EXPIRED"  # noqa: S105 # a status, no token
    WRONG_SYNTAX = "RS_ERROR_WRONG_SYNTAX"
    WRONG_TYPES = "RS_ERROR_WRONG_TYPES"
    DUPLICATE_TRANSACTION = "RS_ERROR_DUPLICATE_TRANSACTION"
    TRANSACTION_DOES_NOT_EXIST = "RS_ERROR_TRANSACTION_DOES_NOT_EXIST"
    TRANSACTION_ROLLED_BACK = "RS_ERROR_TRANSACTION_ROLLED_BACK"
    LIMIT_REACHED = "RS_ERROR_LIMIT_REACHED"


CLEAN: Final = frozenset({Status.NOT_ENOUGH_MONEY, Status.LIMIT_REACHED})
"""By the sheet's newer text only a bet that is refused with one of these is never rolled back."""

_DECLINES: Final[Mapping[DeclineReason, Status]] = by_reason(
    {
        Status.NOT_ENOUGH_MONEY: "insufficient_funds",
        Status.LIMIT_REACHED: "bet_limit loss_limit turnover_limit time_limit reality_check bonus_rule round_limit",
        Status.INVALID_TOKEN: "session_unknown player_unknown",
        Status.TOKEN_EXPIRED: "session_expired",
        Status.USER_DISABLED: "player_blocked country_forbidden operation_not_allowed",
        Status.INVALID_GAME: "game_unknown game_disabled game_forbidden",
        Status.INVALID_PARTNER: "operator_disabled maintenance",
        Status.WRONG_CURRENCY: "currency_wrong",
        Status.WRONG_TYPES: "amount_invalid",
        Status.DUPLICATE_TRANSACTION: "conflict duplicate",
        Status.TRANSACTION_DOES_NOT_EXIST: "target_unknown target_declined",
        Status.TRANSACTION_ROLLED_BACK: "already_rolled_back",
        Status.UNKNOWN: "round_closed round_unknown target_settled cancelled free_rounds_unknown other",
    }
)

# A win whose bet was rolled back has the status of one whose bet was never there; and an expired session is no reason
# to refuse a win or a rollback, so no answer to one may say so.
_OF_CREDITS: Final = {
    **_DECLINES,
    DeclineReason.ALREADY_ROLLED_BACK: Status.TRANSACTION_DOES_NOT_EXIST,
    DeclineReason.SESSION_EXPIRED: Status.UNKNOWN,
}

DECLINES: Final[Mapping[str, Mapping[DeclineReason, Status]]] = {
    INFO: _DECLINES,
    BALANCE: _DECLINES,
    BET: _DECLINES,
    WIN: _OF_CREDITS,
    ROLLBACK: _OF_CREDITS,
}
"""By operation: every decline reason and its status."""

RETRY_OF_BETS: Final = {
    reason.value: RetryClass.CANCELLED for reason, status in _DECLINES.items() if status is Status.UNKNOWN
}
"""What Hub88 makes of a bet that is refused without a word of its own: it rolls it back, though nothing was taken."""

_ERRORS: Final[Mapping[type[CroupierError], Status]] = {
    AuthenticationError: Status.INVALID_SIGNATURE,
    ForbiddenError: Status.INVALID_PARTNER,
    AmountError: Status.WRONG_TYPES,
    UnknownCurrencyError: Status.WRONG_CURRENCY,
    ConflictError: Status.DUPLICATE_TRANSACTION,
    NotFoundError: Status.UNKNOWN,
    DeclinedError: Status.UNKNOWN,
    FixRequestError: Status.WRONG_SYNTAX,
}


def status_of_error(error: CroupierError) -> Status | None:
    """The status for what failed before there was a call; `None` where a repeat may succeed."""
    return by_error(_ERRORS, error, None)
