"""The wallet's result codes, which of the hub's refusals they say, and the policies that follow.

Facts: `reference/protocols/tomhorn.md`, sections "Result codes (wallet side)", "Idempotency & duplicates", "Rollback
semantics" and "Retry (FAQ)".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import unique
from typing import Final

from attrs import evolve

from croupier.contract import errors, policy
from croupier.contract.codes import WireCode, by_reason
from croupier.contract.outcomes import DeclineReason
from croupier_tomhorn.settings import TomhornSettings

GET_BALANCE: Final = "GetBalance"
WITHDRAW: Final = "Withdraw"
DEPOSIT: Final = "Deposit"
ROLLBACK: Final = "RollbackTransaction"
METHODS: Final = (GET_BALANCE, WITHDRAW, DEPOSIT, ROLLBACK)
"""The methods of the wallet service; each is an operation of that name."""


@unique
class Code(WireCode):
    """The field `Code` of an answer; its text is the `Message`."""

    OK = 0, ""
    GENERAL = 1, "General error"
    WRONG_INPUT = 2, "Wrong input parameters"
    INVALID_SIGN = 3, "Invalid sign"
    INVALID_PARTNER = 4, "Invalid partner"
    NO_IDENTITY = 5, "Identity not found"
    NO_FUNDS = 6, "Insufficient funds"
    INVALID_CURRENCY = 8, "Invalid currency"
    ROLLED_BACK = 9, "The transaction is already rolled back"
    LIMIT = 10, "Player's limit reached"
    DUPLICATE = 11, "Duplicate reference"
    UNKNOWN_TRANSACTION = 12, "Unknown transaction"


_ALWAYS: Final = by_reason({Code.NO_IDENTITY: "player_unknown", Code.INVALID_CURRENCY: "currency_wrong"})
_SESSION: Final = by_reason({Code.NO_IDENTITY: "session_unknown session_expired player_blocked"})
# A conflict is not told as a duplicate: that means "processed", and this content never was.
_MOVES: Final = _ALWAYS | by_reason(
    {Code.WRONG_INPUT: "conflict", Code.DUPLICATE: "duplicate", Code.ROLLED_BACK: "already_rolled_back"}
)
# Code 10 is the only one that refuses a bet for the player's or the operator's reasons and can never be taken for an
# unknown outcome: on code 1 some accounts roll back, others do not.
_WITHDRAW: Final = (_MOVES | _SESSION) | by_reason(
    {Code.NO_FUNDS: "insufficient_funds", Code.WRONG_INPUT: "amount_invalid", Code.ROLLED_BACK: "cancelled"}
)
# What is owed to a player is refused only where no later attempt could be right; all else waits for one.
_DEPOSIT: Final = _MOVES | by_reason(
    {Code.UNKNOWN_TRANSACTION: "target_unknown target_declined round_unknown round_closed free_rounds_unknown"}
)
# 12 tells the provider that the bet was never taken; of a bet that stands that would not be true.
_STANDS: Final = by_reason({Code.WRONG_INPUT: "target_settled operation_not_allowed"})
_ROLLBACK: Final = _MOVES | _STANDS | by_reason({Code.UNKNOWN_TRANSACTION: "target_unknown target_declined"})


def _whole(table: Mapping[DeclineReason, Code], otherwise: Code | None) -> dict[DeclineReason, Code | None]:
    return {reason: table.get(reason, otherwise) for reason in DeclineReason}


DECLINES: Final[Mapping[str, Mapping[DeclineReason, Code | None]]] = {
    GET_BALANCE: _whole(_ALWAYS | _SESSION, Code.GENERAL),
    WITHDRAW: _whole(_WITHDRAW, Code.LIMIT),
    DEPOSIT: _whole(_DEPOSIT, None),
    ROLLBACK: _whole(_ROLLBACK, None),
}
"""The code of each refusal by method; `None` where nothing definite may be said, so that it is asked again."""

ERRORS: Final[Mapping[type[errors.CroupierError], Code | None]] = {
    errors.AuthenticationError: Code.INVALID_SIGN,
    errors.ForbiddenError: None,
    errors.NotFoundError: Code.INVALID_PARTNER,
    errors.UnknownCurrencyError: Code.INVALID_CURRENCY,
    errors.FixRequestError: Code.WRONG_INPUT,
    errors.DeclinedError: Code.WRONG_INPUT,
}
"""The code of what failed before there was a call; `None` for what is not the request's own fault."""


def policies(settings: TomhornSettings) -> policy.Policies:
    """How the provider behaves, and wants to be answered, with these settings."""
    by_flag = settings.round_end == "flag"
    base = policy.Policy(
        provider_timeout_ms=10_000,
        on_silence=policy.OnSilence.RESENDS,
        unknown_rollback=policy.UnknownRollback.NOT_FOUND,
        rollback_of_declined=policy.UnknownRollback.NOT_FOUND,
        repeat_rollback=policy.RepeatAnswer.DECLINE,
        win_without_bet=policy.WinWithoutBet.DECLINE,
        bet_on_closed_round=not by_flag,
        round_end=policy.RoundEnd.FLAG if by_flag else policy.RoundEnd.SETTLED,
        balance_digits=2,
        free_rounds_credit=policy.FreeRoundsCredit.PER_WIN,
    )
    own = {
        GET_BALANCE: evolve(base, on_silence=policy.OnSilence.NEITHER),
        WITHDRAW: evolve(base, on_silence=policy.OnSilence.CANCELS),
        DEPOSIT: evolve(base, retry_class=_again(DEPOSIT)),
        ROLLBACK: evolve(base, retry_class=_again(ROLLBACK), answer_needs_balance=False),
    }
    return policy.Policies(base, own)


def _again(method: str) -> dict[str, policy.RetryClass]:
    return {reason.value: policy.RetryClass.RETRIED for reason, code in DECLINES[method].items() if code is None}
