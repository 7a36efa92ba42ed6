"""The protocol's error codes, and what the hub's outcomes and errors are in them: tables, nothing else.

Source: `reference/protocols/softswiss.md`, section "Error codes", and `reference/protocols/README.md`, "Where the
sources differ", for 409.

Every definite refusal has a status below 500 and every unknown outcome one from 500: on the latter the provider takes
a bet back and sends wins and rollbacks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import unique
from types import MappingProxyType
from typing import Final

from croupier.contract import errors
from croupier.contract.codes import WireCode, by_error, by_reason
from croupier.contract.outcomes import DeclineReason, UnknownCause


@unique
class ErrorCode(WireCode):
    """The `code` of an answer that is no success; its text is the `message` that goes with it."""

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


DECLINES: Final[Mapping[DeclineReason, ErrorCode]] = by_reason(
    {
        ErrorCode.NOT_ENOUGH_FUNDS: "insufficient_funds",
        ErrorCode.PLAYER_INVALID: "player_unknown session_unknown session_expired",
        ErrorCode.PLAYER_LIMIT: "loss_limit turnover_limit time_limit reality_check round_limit",
        ErrorCode.MAX_BET: "bet_limit",
        ErrorCode.GAME_FORBIDDEN: "bonus_rule game_forbidden other",
        ErrorCode.PLAYER_DISABLED: "player_blocked",
        ErrorCode.COUNTRY: "country_forbidden",
        ErrorCode.CURRENCY: "currency_wrong",
        ErrorCode.FIELD_FIXED: "round_closed target_settled already_rolled_back cancelled",
        ErrorCode.BAD_REQUEST: "amount_invalid",
        ErrorCode.FORBIDDEN: "operation_not_allowed",
        ErrorCode.NOT_FOUND: "round_unknown target_unknown target_declined free_rounds_unknown",
        ErrorCode.GAME_UNAVAILABLE: "game_unknown game_disabled operator_disabled maintenance",
        ErrorCode.CONFLICT: "duplicate conflict",
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

_ERRORS: Final[Mapping[type[errors.CroupierError], ErrorCode]] = {
    errors.AuthenticationError: ErrorCode.FORBIDDEN,
    errors.ForbiddenError: ErrorCode.FORBIDDEN,
    errors.UnsupportedOperationError: ErrorCode.NOT_FOUND,
    errors.NotFoundError: ErrorCode.NOT_FOUND,
    errors.ConflictError: ErrorCode.CONFLICT,
    errors.UnknownCurrencyError: ErrorCode.CURRENCY,
    errors.FixRequestError: ErrorCode.BAD_REQUEST,
    errors.DeclinedError: ErrorCode.GAME_FORBIDDEN,
    errors.UpstreamError: ErrorCode.EXTERNAL,
    errors.TransportError: ErrorCode.TIMEOUT,
    errors.RetryLaterError: ErrorCode.UNAVAILABLE,
}


def code_of_error(error: errors.CroupierError) -> ErrorCode:
    """The code for what failed before there was a call; 500 for what is not the provider's fault."""
    return by_error(_ERRORS, error, ErrorCode.UNKNOWN)


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
