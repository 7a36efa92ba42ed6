"""What the statuses of an answer mean (`reference/protocols/hub88.md`, "Statuses")."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from croupier.contract import DeclineReason

OK: Final = "RS_OK"
INVALID_TOKEN: Final = "RS_ERROR_INVALID_TOKEN"  # noqa: S105 - a status
INVALID_USER: Final = "RS_ERROR_INVALID_USER"
TOKEN_EXPIRED: Final = "RS_ERROR_TOKEN_EXPIRED"  # noqa: S105 - a status
NOT_ENOUGH_MONEY: Final = "RS_ERROR_NOT_ENOUGH_MONEY"
WRONG_CURRENCY: Final = "RS_ERROR_WRONG_CURRENCY"
WRONG_SYNTAX: Final = "RS_ERROR_WRONG_SYNTAX"
WRONG_TYPES: Final = "RS_ERROR_WRONG_TYPES"
INVALID_SIGNATURE: Final = "RS_ERROR_INVALID_SIGNATURE"
DUPLICATE_TRANSACTION: Final = "RS_ERROR_DUPLICATE_TRANSACTION"
DOES_NOT_EXIST: Final = "RS_ERROR_TRANSACTION_DOES_NOT_EXIST"
ROLLED_BACK: Final = "RS_ERROR_TRANSACTION_ROLLED_BACK"

REASONS: Final[Mapping[str, DeclineReason]] = MappingProxyType(
    {
        INVALID_TOKEN: DeclineReason.SESSION_UNKNOWN,
        TOKEN_EXPIRED: DeclineReason.SESSION_EXPIRED,
        NOT_ENOUGH_MONEY: DeclineReason.INSUFFICIENT_FUNDS,
        WRONG_CURRENCY: DeclineReason.CURRENCY_WRONG,
        WRONG_SYNTAX: DeclineReason.OTHER,
        WRONG_TYPES: DeclineReason.OTHER,
        DUPLICATE_TRANSACTION: DeclineReason.CONFLICT,
        DOES_NOT_EXIST: DeclineReason.TARGET_UNKNOWN,
        ROLLED_BACK: DeclineReason.ALREADY_ROLLED_BACK,
        "RS_ERROR_INVALID_PARTNER": DeclineReason.OPERATOR_DISABLED,
        "RS_ERROR_INVALID_GAME": DeclineReason.GAME_UNKNOWN,
        "RS_ERROR_USER_DISABLED": DeclineReason.PLAYER_BLOCKED,
        INVALID_USER: DeclineReason.PLAYER_UNKNOWN,
        "RS_ERROR_LIMIT_REACHED": DeclineReason.BET_LIMIT,
        "RS_ERROR_BET_LIMIT_EXCEEDED": DeclineReason.BET_LIMIT,
        "RS_ERROR_MAXBET_SINGLE": DeclineReason.BET_LIMIT,
        "RS_ERROR_MAXBET_ACC": DeclineReason.BET_LIMIT,
        "RS_ERROR_MINBET_SINGLE": DeclineReason.OTHER,
        "RS_ERROR_PLAYERS_NUMBER_LIMIT": DeclineReason.OTHER,
        "RS_ERROR_WRONG_PROTO": DeclineReason.OPERATION_NOT_ALLOWED,
        "RS_ERROR_FEATURE_IS_NOT_SUPPORTED": DeclineReason.OPERATION_NOT_ALLOWED,
    }
)
"""Definite refusals. Every other status tells nothing: `RS_ERROR_UNKNOWN`, `RS_ERROR_TIMEOUT`, a queue that is full, a
signature that is not believed today, and whatever is new."""
