"""The status codes, which of the hub's refusals they say, and how the provider behaves.

Facts: `reference/protocols/playngo.md`, from "Status codes" to "Retry", and "Sessions".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import unique
from typing import Final

from attrs import evolve

from croupier.contract import policy
from croupier.contract.codes import WireCode, by_error, by_reason
from croupier.contract.errors import AuthenticationError, CroupierError, DeclinedError, FixRequestError, OverloadedError
from croupier.contract.outcomes import DeclineReason

AUTHENTICATE: Final = "authenticate"
BALANCE: Final = "balance"
RESERVE: Final = "reserve"
RELEASE: Final = "release"
CANCEL: Final = "cancelReserve"


@unique
class Code(WireCode):
    """`statusCode`; its text is the `statusMessage` that goes with it."""

    OK = 0, "ok"
    NO_USER = 1, "NOUSER"
    INTERNAL = 2, "INTERNAL"
    INVALID_CURRENCY = 3, "INVALIDCURRENCY"
    WRONG_USERNAME_PASSWORD = 4, "WRONGUSERNAMEPASSWORD"
    ACCOUNT_LOCKED = 5, "ACCOUNTLOCKED"
    ACCOUNT_DISABLED = 6, "ACCOUNTDISABLED"
    NOT_ENOUGH_MONEY = 7, "NOTENOUGHMONEY"
    MAX_CONCURRENT_CALLS = 8, "MAXCONCURRENTCALLS"
    SPENDING_BUDGET_EXCEEDED = 9, "SPENDINGBUDGETEXCEEDED"
    SESSION_EXPIRED = 10, "SESSIONEXPIRED"
    TIME_BUDGET_EXCEEDED = 11, "TIMEBUDGETEXCEEDED"
    SERVICE_UNAVAILABLE = 12, "SERVICEUNAVAILABLE"


DECLINES: Final[Mapping[DeclineReason, Code]] = by_reason(
    {
        Code.NO_USER: "player_unknown session_unknown",
        Code.INVALID_CURRENCY: "currency_wrong",
        Code.ACCOUNT_LOCKED: "player_blocked",
        Code.ACCOUNT_DISABLED: "country_forbidden operator_disabled",
        Code.NOT_ENOUGH_MONEY: "insufficient_funds",
        Code.SPENDING_BUDGET_EXCEEDED: "bet_limit loss_limit turnover_limit bonus_rule",
        Code.SESSION_EXPIRED: "session_expired",
        Code.TIME_BUDGET_EXCEEDED: "time_limit reality_check",
        Code.SERVICE_UNAVAILABLE: """
            game_unknown game_disabled game_forbidden maintenance amount_invalid round_closed round_unknown round_limit
            target_unknown target_declined target_settled already_rolled_back cancelled duplicate conflict
            free_rounds_unknown operation_not_allowed other
        """,
    }
)
"""Every decline reason. 12 is what a public integration answers where nothing else fits, and for what is undone."""

_ERRORS: Final[Mapping[type[CroupierError], Code]] = {
    AuthenticationError: Code.WRONG_USERNAME_PASSWORD,
    FixRequestError: Code.SERVICE_UNAVAILABLE,
    DeclinedError: Code.SERVICE_UNAVAILABLE,
    OverloadedError: Code.MAX_CONCURRENT_CALLS,
}


def decline_code(operation: str, reason: DeclineReason) -> Code:
    """The code of a definite refusal: at `authenticate` it is the ticket that is wrong."""
    code = DECLINES[reason]
    return Code.WRONG_USERNAME_PASSWORD if operation == AUTHENTICATE and code is Code.NO_USER else code


def error_code(error: CroupierError) -> Code:
    """The code of what failed before there was a call; 2 for what is not the request's own fault."""
    return by_error(_ERRORS, error, Code.INTERNAL)


_POLICY: Final = policy.Policy(
    on_silence=policy.OnSilence.RESENDS,
    unknown_rollback=policy.UnknownRollback.ACCEPT,
    rollback_after_win=policy.RollbackAfterWin.REFUSE,
    win_without_bet=policy.WinWithoutBet.ACCEPT,
    bet_on_closed_round=True,
    round_end=policy.RoundEnd.SETTLED,
    session_for_bet=False,
    balance_digits=2,
)

POLICIES: Final = policy.Policies(
    _POLICY,
    {
        AUTHENTICATE: evolve(_POLICY, on_silence=policy.OnSilence.NEITHER),
        BALANCE: evolve(_POLICY, on_silence=policy.OnSilence.NEITHER),
        RESERVE: evolve(_POLICY, on_silence=policy.OnSilence.CANCELS, session_for_bet=True),
        CANCEL: evolve(_POLICY, answer_needs_balance=False),
    },
)
"""How the provider behaves, where it is not as the contract has it by default; the README has a line for each knob."""
