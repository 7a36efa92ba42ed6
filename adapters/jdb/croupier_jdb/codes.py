"""Actions, status codes, which code says which refusal, and the policies that follow: tables, nothing else.

Source: `reference/protocols/jdb.md`, sections "Wallet callbacks", "Status codes", "Idempotency & rollback" and "Retry".
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
from croupier.contract.policy import Policies, Policy, UnknownRollback
from croupier_jdb.settings import JdbSettings

BALANCE: Final = "balance"
BET_AND_SETTLE: Final = "bet_and_settle"
CANCEL_BET_AND_SETTLE: Final = "cancel_bet_and_settle"
BET: Final = "bet"
SETTLE: Final = "settle"
CANCEL_BET: Final = "cancel_bet"
ACTIVITY_REWARD: Final = "activity_reward"
WITHDRAW: Final = "withdraw"
DEPOSIT: Final = "deposit"
CANCEL_WITHDRAW: Final = "cancel_withdraw"
FREE_SPIN_REWARD: Final = "free_spin_reward"
FREE_SPIN_HISTORY: Final = "free_spin_history"

ACTIONS: Final[Mapping[int, str]] = {
    4: CANCEL_BET_AND_SETTLE,
    6: BALANCE,
    8: BET_AND_SETTLE,
    9: BET,
    10: SETTLE,
    11: CANCEL_BET,
    12: ACTIVITY_REWARD,
    13: WITHDRAW,
    14: DEPOSIT,
    15: CANCEL_WITHDRAW,
    16: FREE_SPIN_REWARD,
    17: FREE_SPIN_HISTORY,
}
"""What each action number of a request is called here."""

STAKES: Final = frozenset({BET_AND_SETTLE, BET, WITHDRAW})
"""What takes money: without a correct answer it is cancelled after a minute, and never sent again."""


@unique
class Status(WireCode):
    """The `status` of an answer, on the wire as text of four digits; its text is the `err_text` that goes with it."""

    OK = 0, ""
    INSUFFICIENT = 6006, "the balance is insufficient"
    STANDS = 6101, "it cannot be cancelled and stands"
    NO_USER = 7501, "there is no such player"
    BAD_PARAMETER = 8000, "a parameter is wrong"
    NOT_AUTHORIZED = 9001, "not authorised"
    EXPIRED = 9005, "the data has expired"
    NO_ACTION = 9007, "there is no such action"
    TIMEOUT = 9009, "timed out"
    DUPLICATE = 9011, "the transferId was used before"
    MAINTENANCE = 9013, "under maintenance"
    NO_DATA = 9015, "the data does not exist"
    IN_PROCESS = 9017, "work in process, try again later"
    EVENT_ERROR = 9998, "the event does not allow it"
    FAILED = 9999, "failed"

    @property
    def wire(self) -> str:
        """The code as it stands in an answer."""
        return f"{int(self):04d}"


_ALWAYS: Final = by_reason(
    {
        Status.NO_USER: "player_unknown",
        Status.BAD_PARAMETER: "amount_invalid currency_wrong",
        Status.DUPLICATE: "duplicate conflict",
    }
)
_STAKE: Final = _ALWAYS | by_reason(
    {
        Status.INSUFFICIENT: "insufficient_funds",
        Status.NO_USER: "session_unknown session_expired",
        Status.MAINTENANCE: "game_unknown game_disabled operator_disabled maintenance",
    }
)
# What is owed to the player is refused for good only where no later attempt could ever be right.
_CREDIT: Final = _ALWAYS | by_reason(
    {Status.NO_DATA: "already_rolled_back target_declined target_unknown target_settled round_closed cancelled"}
)
_CANCEL: Final = _ALWAYS | by_reason(
    {Status.STANDS: "target_settled", Status.NO_DATA: "target_unknown target_declined already_rolled_back"}
)
# Whatever is not 6101 or 9017 counts as cancelled here: so it is said only where nothing stands.
_GONE: Final = "target_unknown target_declined already_rolled_back cancelled"
_CANCEL_SETTLED: Final = by_reason({Status.NO_DATA: _GONE, Status.IN_PROCESS: "conflict duplicate player_unknown"})

_TABLES: Final[Mapping[str, tuple[Mapping[DeclineReason, Status], Status]]] = {
    **dict.fromkeys((BALANCE, *sorted(STAKES)), (_STAKE, Status.FAILED)),
    **dict.fromkeys((SETTLE, ACTIVITY_REWARD, DEPOSIT, FREE_SPIN_REWARD), (_CREDIT, Status.FAILED)),
    **dict.fromkeys((CANCEL_BET, CANCEL_WITHDRAW), (_CANCEL, Status.FAILED)),
    CANCEL_BET_AND_SETTLE: (_CANCEL_SETTLED, Status.STANDS),
    FREE_SPIN_HISTORY: (_ALWAYS, Status.FAILED),
}

_ERRORS: Final[Mapping[type[errors.CroupierError], Status]] = {
    errors.AuthenticationError: Status.NOT_AUTHORIZED,
    errors.ForbiddenError: Status.NOT_AUTHORIZED,
    errors.UnsupportedOperationError: Status.NO_ACTION,
    errors.ConflictError: Status.DUPLICATE,
    errors.FixRequestError: Status.BAD_PARAMETER,
}

MAY_STAND: Final = "what it cancels may stand"
"""The hint of an error in a cancellation of 8."""
TRANSIENT: Final = frozenset({Status.IN_PROCESS, Status.TIMEOUT, Status.EXPIRED, Status.FAILED, Status.MAINTENANCE})
"""Of the provider's answers to the hub: what may go better another time."""


def decline_status(operation: str, reason: DeclineReason) -> Status:
    """The code of a definite refusal, by operation."""
    table, otherwise = _TABLES[operation]
    return table.get(reason, otherwise)


def status_of_error(error: errors.CroupierError) -> tuple[Status, str]:
    """The code of what failed before there was a call, and what is told with it.

    What is not the request's own fault is in process; so is what is, or may be, a cancellation of 8 that cannot be
    believed or read: to JDB any other code cancels the round, which may stand.
    """
    status = by_error(_ERRORS, error, Status.IN_PROCESS)
    may_stand = status is Status.NOT_AUTHORIZED or error.hint == MAY_STAND
    return Status.IN_PROCESS if may_stand else status, status.text


def policies(settings: JdbSettings) -> Policies:
    """How JDB behaves, and wants to be answered, with these settings."""
    base = Policy(
        on_silence=policy.OnSilence.RESENDS,
        unknown_rollback=UnknownRollback.ACCEPT,
        rollback_of_declined=UnknownRollback.ACCEPT,
        rollback_after_win=policy.RollbackAfterWin.REFUSE,
        rollback_of_net=False,
        late_original=policy.LateOriginal.DECLINE,
        win_without_bet=policy.WinWithoutBet.RETRY,
        round_end=policy.RoundEnd.FLAG,
        balance_digits=4,
        currencies=tuple([WireCurrency(code, meant) for code, meant in settings.currencies.items()]),
        free_rounds_credit=policy.FreeRoundsCredit.TOTAL,
    )
    stake = evolve(base, on_silence=policy.OnSilence.CANCELS)
    silent = evolve(base, answer_needs_balance=False)
    own = {
        BALANCE: evolve(base, on_silence=policy.OnSilence.NEITHER),
        BET_AND_SETTLE: evolve(stake, round_end=policy.RoundEnd.TRANSACTION, bet_on_closed_round=True),
        CANCEL_BET_AND_SETTLE: silent,
        BET: stake,
        ACTIVITY_REWARD: evolve(base, on_silence=policy.OnSilence.NEITHER),
        WITHDRAW: evolve(stake, answer_needs_balance=False),
        DEPOSIT: evolve(silent, round_end=policy.RoundEnd.TRANSACTION),
        CANCEL_WITHDRAW: silent,
        FREE_SPIN_HISTORY: silent,
    }
    return Policies(base, {name: evolve(own.get(name, base), retry_class=_retried(name)) for name in ACTIONS.values()})


def _retried(operation: str) -> dict[str, policy.RetryClass]:
    """What is owed is sent again: every minute, for an hour or for twelve."""
    if operation in STAKES or operation == BALANCE:
        return {}
    owed = {Status.FAILED, Status.IN_PROCESS}
    again = [reason for reason in DeclineReason if decline_status(operation, reason) in owed]
    return {reason.value: policy.RetryClass.RETRIED for reason in again}
