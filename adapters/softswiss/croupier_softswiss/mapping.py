"""The protocol's error codes, and what the hub's outcomes and errors are in them: tables, nothing else.

Source: `reference/protocols/softswiss.md`, section "Error codes", and `reference/protocols/README.md`, "Where the
sources differ", for 409.

Every definite refusal has a status below 500 and every unknown outcome one from 500: on the latter the provider takes
a bet back and sends wins and rollbacks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, unique
from types import MappingProxyType
from typing import Final, Self

from croupier.contract import (
    AuthenticationError,
    ConflictError,
    CroupierError,
    DeclinedError,
    DeclineReason,
    FixRequestError,
    ForbiddenError,
    NotFoundError,
    RetryLaterError,
    TransportError,
    UnknownCause,
    UnknownCurrencyError,
    UnsupportedOperationError,
    UpstreamError,
)


@unique
class ErrorCode(IntEnum):
    """The `code` of an answer that is no success.

    Attributes:
        text: The `message` that goes with it.
    """

    text: str

    def __new__(cls, code: int, text: str) -> Self:
        """Make a member that is its code and knows its text."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    NOT_ENOUGH_FUNDS = 100, "not enough funds"
    PLAYER_INVALID = 101, "player is invalid"
    PLAYER_LIMIT = 105, "player has reached a limit"
    MAX_BET = 106, "bet exceeds the largest allowed"
    GAME_FORBIDDEN = 107, "game is forbidden to the player"
    PLAYER_DISABLED = 110, "player is disabled"
    COUNTRY = 153, "game is not available in the player's country"
    CURRENCY = 154, "currency is not allowed"
    FIELD_FIXED = 155, "the field is set and cannot change"
    BAD_REQUEST = 400, "bad request"
    FORBIDDEN = 403, "forbidden"
    NOT_FOUND = 404, "not found"
    GAME_UNAVAILABLE = 405, "game is not available to the casino"
    FREESPINS_UNAVAILABLE = 406, "free spins are not available to the casino"
    CONFLICT = 409, "the id was used before with other content"
    UNKNOWN = 500, "unknown error"
    EXTERNAL = 502, "unknown error in an external service"
    UNAVAILABLE = 503, "service is unavailable, try again"
    TIMEOUT = 504, "no answer in time, try again"

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code: its own number for some, 412 for the rest."""
        return 412 if self < 400 or self in {405, 406} else int(self)


DECLINES: Final[Mapping[DeclineReason, ErrorCode]] = MappingProxyType(
    {
        DeclineReason.INSUFFICIENT_FUNDS: ErrorCode.NOT_ENOUGH_FUNDS,
        DeclineReason.BET_LIMIT: ErrorCode.MAX_BET,
        DeclineReason.LOSS_LIMIT: ErrorCode.PLAYER_LIMIT,
        DeclineReason.TURNOVER_LIMIT: ErrorCode.PLAYER_LIMIT,
        DeclineReason.TIME_LIMIT: ErrorCode.PLAYER_LIMIT,
        DeclineReason.REALITY_CHECK: ErrorCode.PLAYER_LIMIT,
        DeclineReason.BONUS_RULE: ErrorCode.GAME_FORBIDDEN,
        DeclineReason.PLAYER_UNKNOWN: ErrorCode.PLAYER_INVALID,
        DeclineReason.PLAYER_BLOCKED: ErrorCode.PLAYER_DISABLED,
        DeclineReason.SESSION_UNKNOWN: ErrorCode.PLAYER_INVALID,
        DeclineReason.SESSION_EXPIRED: ErrorCode.PLAYER_INVALID,
        DeclineReason.GAME_UNKNOWN: ErrorCode.GAME_UNAVAILABLE,
        DeclineReason.GAME_DISABLED: ErrorCode.GAME_UNAVAILABLE,
        DeclineReason.GAME_FORBIDDEN: ErrorCode.GAME_FORBIDDEN,
        DeclineReason.COUNTRY_FORBIDDEN: ErrorCode.COUNTRY,
        DeclineReason.CURRENCY_WRONG: ErrorCode.CURRENCY,
        DeclineReason.AMOUNT_INVALID: ErrorCode.BAD_REQUEST,
        DeclineReason.ROUND_CLOSED: ErrorCode.FIELD_FIXED,
        DeclineReason.ROUND_UNKNOWN: ErrorCode.NOT_FOUND,
        DeclineReason.ROUND_LIMIT: ErrorCode.PLAYER_LIMIT,
        DeclineReason.TARGET_UNKNOWN: ErrorCode.NOT_FOUND,
        DeclineReason.TARGET_DECLINED: ErrorCode.NOT_FOUND,
        DeclineReason.TARGET_SETTLED: ErrorCode.FIELD_FIXED,
        DeclineReason.ALREADY_ROLLED_BACK: ErrorCode.FIELD_FIXED,
        DeclineReason.CANCELLED: ErrorCode.FIELD_FIXED,
        DeclineReason.DUPLICATE: ErrorCode.CONFLICT,
        DeclineReason.CONFLICT: ErrorCode.CONFLICT,
        DeclineReason.FREE_ROUNDS_UNKNOWN: ErrorCode.NOT_FOUND,
        DeclineReason.OPERATION_NOT_ALLOWED: ErrorCode.FORBIDDEN,
        DeclineReason.OPERATOR_DISABLED: ErrorCode.GAME_UNAVAILABLE,
        DeclineReason.MAINTENANCE: ErrorCode.GAME_UNAVAILABLE,
        DeclineReason.OTHER: ErrorCode.GAME_FORBIDDEN,
    }
)
"""Every decline reason; none has a status from 500."""

UNKNOWNS: Final[Mapping[UnknownCause, ErrorCode]] = MappingProxyType(
    {
        UnknownCause.IN_PROGRESS: ErrorCode.UNAVAILABLE,
        UnknownCause.NO_ANSWER: ErrorCode.TIMEOUT,
        UnknownCause.OWED: ErrorCode.TIMEOUT,
        UnknownCause.TOO_EARLY: ErrorCode.UNAVAILABLE,
        UnknownCause.STORE: ErrorCode.UNAVAILABLE,
        UnknownCause.BALANCE: ErrorCode.EXTERNAL,
    }
)
"""Every cause of an unknown outcome; all have a status from 500."""

_ERRORS: Final[tuple[tuple[type[CroupierError], ErrorCode], ...]] = (
    (AuthenticationError, ErrorCode.FORBIDDEN),
    (ForbiddenError, ErrorCode.FORBIDDEN),
    (UnsupportedOperationError, ErrorCode.NOT_FOUND),
    (NotFoundError, ErrorCode.NOT_FOUND),
    (ConflictError, ErrorCode.CONFLICT),
    (UnknownCurrencyError, ErrorCode.CURRENCY),
    (FixRequestError, ErrorCode.BAD_REQUEST),
    (DeclinedError, ErrorCode.GAME_FORBIDDEN),
    (UpstreamError, ErrorCode.EXTERNAL),
    (TransportError, ErrorCode.TIMEOUT),
    (RetryLaterError, ErrorCode.UNAVAILABLE),
)


def code_of_error(error: CroupierError) -> ErrorCode:
    """The code for what failed before there was a call; 500 for what is not the provider's fault."""
    return next((code for kind, code in _ERRORS if isinstance(error, kind)), ErrorCode.UNKNOWN)


TRANSIENT: Final = frozenset(code for code in ErrorCode if code >= 500)
"""Codes that say nothing definite, in either direction."""

PROVIDER_REFUSALS: Final[Mapping[int, str]] = MappingProxyType(
    {int(code): code.text for code in ErrorCode if code not in TRANSIENT}
    | {
        600: "the provider has no free spins",
        601: "free spins are impossible in this game",
        602: "free spins need at least one game",
        605: "the state of the issue cannot change",
        606: "the issue is not synchronised with the provider",
        607: "the games belong to different providers",
        610: "the issue is invalid",
        611: "the issue has expired",
        620: "the issue cannot be cancelled",
        700: "the live game is unavailable",
    }
)
"""What the provider's definite refusals of the hub's calls mean."""
