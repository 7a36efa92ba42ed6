"""What the codes of a refusal mean (`reference/protocols/softswiss.md`, "Error codes")."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from croupier.contract import DeclineReason

NOT_ENOUGH_FUNDS: Final = 100
PLAYER_INVALID: Final = 101
CURRENCY: Final = 154
BAD_REQUEST: Final = 400
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409

REFUSED_STATUS: Final = 412
"""The HTTP status of a refusal by a rule: whatever code comes with it, nothing moved."""

REASONS: Final[Mapping[int, DeclineReason]] = MappingProxyType(
    {
        NOT_ENOUGH_FUNDS: DeclineReason.INSUFFICIENT_FUNDS,
        PLAYER_INVALID: DeclineReason.PLAYER_UNKNOWN,
        105: DeclineReason.LOSS_LIMIT,
        106: DeclineReason.BET_LIMIT,
        107: DeclineReason.GAME_FORBIDDEN,
        110: DeclineReason.PLAYER_BLOCKED,
        153: DeclineReason.COUNTRY_FORBIDDEN,
        CURRENCY: DeclineReason.CURRENCY_WRONG,
        155: DeclineReason.OTHER,
        BAD_REQUEST: DeclineReason.OTHER,
        NOT_FOUND: DeclineReason.TARGET_UNKNOWN,
        405: DeclineReason.GAME_DISABLED,
        406: DeclineReason.OPERATION_NOT_ALLOWED,
        CONFLICT: DeclineReason.CONFLICT,
    }
)
"""Definite refusals. 409 is of the variant with decimal text (`reference/wallet-semantics.md`, section 1.3). 403 is
none: a signature that is not believed today may be tomorrow, so it is asked again."""

MESSAGES: Final[Mapping[int, str]] = MappingProxyType(
    {
        NOT_ENOUGH_FUNDS: "not enough funds",
        PLAYER_INVALID: "player is invalid",
        CURRENCY: "currency is not allowed",
        BAD_REQUEST: "bad request",
        FORBIDDEN: "forbidden",
        NOT_FOUND: "not found",
        CONFLICT: "the id was used before with other content",
    }
)


def reason_of(code: int, status: int) -> DeclineReason | None:
    """Why a refusal was one; `None` where it is none that could be relied on."""
    if code in REASONS:
        return REASONS[code]
    return DeclineReason.OTHER if status == REFUSED_STATUS and code < BAD_REQUEST else None
