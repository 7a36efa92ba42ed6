"""What Acme is answered (section 4): always HTTP 200, the truth in `status` and `error`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from croupier.contract import (
    Applied,
    AuthenticateResult,
    AuthenticationError,
    ConflictError,
    CroupierError,
    Declined,
    DeclineReason,
    FixRequestError,
    HttpResponse,
    Outcome,
    PlayResult,
    Result,
    balance_of,
    by_error,
    by_reason,
    outcome_of,
    write_json,
)

TRY_AGAIN: Final = "TRY_AGAIN"
"""The one error that is no definite refusal."""

DECLINES: Final[Mapping[DeclineReason, str]] = by_reason(
    {
        "NO_FUNDS": "insufficient_funds",
        "NO_SESSION": "player_unknown session_unknown session_expired",
        "LIMIT": "bet_limit loss_limit turnover_limit time_limit reality_check bonus_rule round_limit",
        "NOT_ALLOWED": """
            player_blocked game_forbidden country_forbidden operation_not_allowed game_unknown game_disabled
            operator_disabled maintenance free_rounds_unknown other
        """,
        "ROUND": "round_closed round_unknown",
        "CANCELLED": "target_unknown target_declined target_settled already_rolled_back cancelled",
        "CONFLICT": "conflict duplicate",
        "BAD_REQUEST": "amount_invalid currency_wrong",
    }
)
"""Every reason of the hub in Acme's words; none of them is `TRY_AGAIN`."""

_ERRORS: Final[Mapping[type[CroupierError], str]] = {
    AuthenticationError: "BAD_SIGNATURE",
    ConflictError: "CONFLICT",
    FixRequestError: "BAD_REQUEST",
}


def answer(results: Sequence[Result]) -> HttpResponse:
    """The answer to a request whose calls had these results."""
    outcome, balance = _outcome(results), balance_of(results)
    if isinstance(outcome, Declined):
        return _refused(DECLINES[outcome.reason])
    if not isinstance(outcome, Applied) or balance is None:
        return _refused(TRY_AGAIN)
    told: dict[str, Any] = {"status": "OK", "balance": balance.text(), "currency": balance.code}
    for result in results:
        if isinstance(result, PlayResult):
            told["walletTxId"] = _transaction(result)
        if isinstance(result, AuthenticateResult):
            if result.player is None:
                return _refused(TRY_AGAIN)
            told["playerId"] = result.player.alias
    return HttpResponse.json(write_json(told))


def answer_error(error: CroupierError) -> HttpResponse:
    """The answer to what failed before there was a call: what is not Acme's fault is no definite refusal."""
    return _refused(by_error(_ERRORS, error, TRY_AGAIN))


def _outcome(results: Sequence[Result]) -> Outcome:
    """What a request came to: no success unless every movement is one."""
    for result in results:
        for movement in result.movements if isinstance(result, PlayResult) else ():
            if not isinstance(movement.outcome, Applied):
                return movement.outcome
    return outcome_of(results)


def _transaction(result: PlayResult) -> str:
    outcome = result.movements[0].outcome
    return outcome.transaction if isinstance(outcome, Applied) else ""


def _refused(error: str) -> HttpResponse:
    return HttpResponse.json(write_json({"status": "ERROR", "error": error}))
