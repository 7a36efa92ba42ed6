"""The words of the field `status`, which refusal is told by which, and the policies that follow.

Facts: `reference/protocols/evolution.md`, sections "Status table", "Idempotency / rollback rules" and "Retry"; the
choices where sources differ: `reference/protocols/README.md`, "Where the sources differ".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from croupier.contract import (
    AuthenticationError,
    CroupierError,
    DeclinedError,
    DeclineReason,
    FixRequestError,
    ForbiddenError,
    LateOriginal,
    OnSilence,
    Policies,
    Policy,
    RepeatAnswer,
    RetryClass,
    RollbackAfterWin,
    RolledBackRepeat,
    RoundEnd,
    UnknownRollback,
    WinWithoutBet,
    by_error,
    by_reason,
)
from croupier_evolution.settings import EvolutionSettings

OPERATIONS: Final = tuple("check balance debit credit cancel promo_payout".split())
CHECK, BALANCE, DEBIT, CREDIT, CANCEL, PROMO_PAYOUT = OPERATIONS

OK: Final = "OK"
TEMPORARY: Final = "TEMPORARY_ERROR"
IN_PROCESS: Final = "OPERATION_IN_PROCESS"
INVALID_TOKEN: Final = "INVALID_TOKEN_ID"  # noqa: S105 # a status
INVALID_SID: Final = "INVALID_SID"
LOCKED: Final = "ACCOUNT_LOCKED"
CLOSE_SESSION: Final = "FATAL_ERROR_CLOSE_USER_SESSION"
INVALID_PARAMETER: Final = "INVALID_PARAMETER"
BET_EXISTS: Final = "BET_ALREADY_EXIST"
BET_SETTLED: Final = "BET_ALREADY_SETTLED"
NO_BET: Final = "BET_DOES_NOT_EXIST"
NO_FUNDS: Final = "INSUFFICIENT_FUNDS"
FAILED: Final = "FINAL_ERROR_ACTION_FAILED"
LIMIT_TURNOVER: Final = "CASINO_LIMIT_EXCEEDED_TURNOVER"
LIMIT_TIME: Final = "CASINO_LIMIT_EXCEEDED_SESSION_TIME"
LIMIT_STAKE: Final = "CASINO_LIMIT_EXCEEDED_STAKE"
LIMIT_LOSS: Final = "CASINO_LIMIT_EXCEEDED_LOSS"

AGAIN: Final = frozenset({TEMPORARY, IN_PROCESS})
"""What the provider may send again; all else is final."""

_SESSION: Final = by_reason(
    {
        INVALID_SID: "session_unknown session_expired",
        LOCKED: "player_blocked",
        INVALID_PARAMETER: "player_unknown currency_wrong",
        LIMIT_TIME: "time_limit",
        CLOSE_SESSION: "operator_disabled",
    }
)
_BET: Final = _SESSION | by_reason(
    {
        NO_FUNDS: "insufficient_funds",
        LIMIT_STAKE: "bet_limit",
        LIMIT_LOSS: "loss_limit",
        LIMIT_TURNOVER: "turnover_limit",
        INVALID_PARAMETER: "amount_invalid conflict game_unknown",
    }
)
# What brings the player money is final only where no later attempt could ever be right.
_CREDIT: Final = by_reason(
    {
        INVALID_SID: "session_unknown",
        INVALID_PARAMETER: "player_unknown currency_wrong conflict",
        NO_BET: "target_unknown target_declined",
        BET_SETTLED: "target_settled already_rolled_back duplicate",
        FAILED: "cancelled round_closed",
    }
)
_CANCEL: Final = _CREDIT | by_reason({FAILED: "operation_not_allowed cancelled"})
_PROMO: Final = by_reason(
    {
        INVALID_SID: "session_unknown",
        INVALID_PARAMETER: "player_unknown currency_wrong conflict",
        FAILED: "duplicate cancelled already_rolled_back",
    }
)

_TABLES: Final[Mapping[str, tuple[Mapping[DeclineReason, str], str]]] = {
    **dict.fromkeys((CHECK, BALANCE), (_SESSION, FAILED)),
    DEBIT: (_BET, FAILED),
    CREDIT: (_CREDIT, TEMPORARY),
    CANCEL: (_CANCEL, TEMPORARY),
    PROMO_PAYOUT: (_PROMO, TEMPORARY),
}
STATUSES: Final[Mapping[str, Mapping[DeclineReason, str]]] = {
    operation: {reason: table.get(reason, otherwise) for reason in DeclineReason}
    for operation, (table, otherwise) in _TABLES.items()
}
"""The status of every definite refusal, by operation."""

_ERRORS: Final[Mapping[type[CroupierError], str]] = {
    AuthenticationError: INVALID_TOKEN,
    # An address that is not on the list is the operator's setting, and no fault of the request.
    ForbiddenError: TEMPORARY,
    FixRequestError: INVALID_PARAMETER,
    DeclinedError: FAILED,
}


def error_status(error: CroupierError) -> str:
    """The status of what failed before there was a call. What is not the request's own fault is to be sent again."""
    return by_error(_ERRORS, error, TEMPORARY)


def policies(settings: EvolutionSettings) -> Policies:
    """How the provider behaves, and wants to be answered, with these settings."""
    base = Policy(
        on_silence=OnSilence.RESENDS,
        unknown_rollback=UnknownRollback.NOT_FOUND,
        rollback_of_declined=UnknownRollback.NOT_FOUND,
        late_original=LateOriginal.DECLINE,
        repeat=RepeatAnswer.SUCCESS,
        repeat_rollback=RepeatAnswer.SUCCESS,
        rolled_back_repeat=RolledBackRepeat.DECLINE,
        rollback_after_win=RollbackAfterWin.REFUSE,
        win_without_bet=WinWithoutBet.DECLINE,
        wins_per_bet=1,
        # A player may take the only bet back and bet again before the table closes.
        bet_on_closed_round=True,
        round_end=RoundEnd.SETTLED,
        own_token=settings.refuse_foreign_sid,
    )
    session = evolve(base, session_for_balance=True, on_silence=OnSilence.NEITHER)
    own = {
        CHECK: evolve(session, answer_needs_balance=False),
        BALANCE: session,
        DEBIT: evolve(base, on_silence=OnSilence.CANCELS),
    }
    return Policies(base, {name: evolve(own.get(name, base), retry_class=_retried(name)) for name in OPERATIONS})


def _retried(operation: str) -> dict[str, RetryClass]:
    return {reason.value: RetryClass.RETRIED for reason, status in STATUSES[operation].items() if status in AGAIN}
