"""The status codes, which of the hub's refusals they say, and how the provider behaves.

Facts: `reference/protocols/playngo.md`, from "Status codes" to "Retry", and "Sessions".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import unique
from typing import Final

from attrs import evolve

from croupier.contract import errors, policy
from croupier.contract.codes import WireCode, by_error, by_reason
from croupier.contract.outcomes import DeclineReason

OPERATIONS: Final = tuple("authenticate balance reserve release cancelReserve".split())
AUTHENTICATE, BALANCE, RESERVE, RELEASE, CANCEL = OPERATIONS


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


_BET: Final = dict.fromkeys(DeclineReason, Code.SERVICE_UNAVAILABLE) | by_reason(
    {
        Code.NO_USER: "player_unknown session_unknown",
        Code.INVALID_CURRENCY: "currency_wrong",
        Code.ACCOUNT_LOCKED: "player_blocked",
        Code.ACCOUNT_DISABLED: "country_forbidden operator_disabled",
        Code.NOT_ENOUGH_MONEY: "insufficient_funds",
        Code.SPENDING_BUDGET_EXCEEDED: "bet_limit loss_limit turnover_limit bonus_rule",
        Code.SESSION_EXPIRED: "session_expired",
        Code.TIME_BUDGET_EXCEEDED: "time_limit reality_check",
    }
)
# What is owed to a player is refused only where no later attempt could be right; all else is to be sent again.
_OWED: Final = dict.fromkeys(DeclineReason, Code.INTERNAL) | by_reason(
    {
        Code.NO_USER: "player_unknown",
        Code.INVALID_CURRENCY: "currency_wrong",
        Code.SERVICE_UNAVAILABLE: """
            round_closed target_unknown target_declined target_settled already_rolled_back cancelled duplicate conflict
            operation_not_allowed
        """,
    }
)

DECLINES: Final[Mapping[str, Mapping[DeclineReason, Code]]] = {
    AUTHENTICATE: _BET | by_reason({Code.WRONG_USERNAME_PASSWORD: "player_unknown session_unknown"}),
    **dict.fromkeys((BALANCE, RESERVE), _BET),
    **dict.fromkeys((RELEASE, CANCEL), _OWED),
}
"""Every refusal by operation; 12 is what a public integration answers where nothing else fits."""

_ERRORS: Final[Mapping[type[errors.CroupierError], Code]] = {
    errors.AuthenticationError: Code.WRONG_USERNAME_PASSWORD,
    errors.ForbiddenError: Code.INTERNAL,  # the list of addresses is the operator's setting, no fault of the request
    errors.FixRequestError: Code.SERVICE_UNAVAILABLE,
    errors.DeclinedError: Code.SERVICE_UNAVAILABLE,
    errors.OverloadedError: Code.MAX_CONCURRENT_CALLS,
}


def error_code(error: errors.CroupierError) -> Code:
    """The code of what failed before there was a call; 2 for what is not the request's own fault."""
    return by_error(_ERRORS, error, Code.INTERNAL)


_AGAIN: Final = {reason.value: policy.RetryClass.RETRIED for reason, code in _OWED.items() if code is Code.INTERNAL}

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
        **dict.fromkeys((AUTHENTICATE, BALANCE), evolve(_POLICY, on_silence=policy.OnSilence.NEITHER)),
        RESERVE: evolve(_POLICY, on_silence=policy.OnSilence.CANCELS, session_for_bet=True),
        RELEASE: evolve(_POLICY, retry_class=_AGAIN),
        CANCEL: evolve(_POLICY, answer_needs_balance=False, retry_class=_AGAIN),
    },
)
"""How the provider behaves, where it is not as the contract has it by default; the README has a line for each knob."""
