"""The answer to a request, in the provider's JSON: HTTP 200 always, the truth in `error`.

Facts: `reference/protocols/pragmatic.md`, sections "Wallet callbacks" (success fields) and "Error codes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from croupier.contract.calls import Authenticate, Call, Calls, Notice
from croupier.contract.errors import AmountError
from croupier.contract.http import HttpResponse
from croupier.contract.money import Balance, WireAmount
from croupier.contract.outcomes import (
    Applied,
    AuthenticateResult,
    Declined,
    DeclineReason,
    NoticeResult,
    Outcome,
    PlayerFacts,
    PlayResult,
    Result,
)
from croupier.contract.strict_json import write_json
from croupier_pragmatic.codes import AUTHENTICATE, BALANCE, BET, END_ROUND, REFUND, Code, decline_code, retry_code
from croupier_pragmatic.settings import PragmaticSettings

NOTHING_USED: Final = Decimal("0.00")
"""`usedPromo`: the hub is never told which part of a bet the operator took from bonus money."""


def answer(code: Code, fields: Mapping[str, Any] | None = None) -> HttpResponse:
    """An answer with its error code and description."""
    told = {"error": int(code), "description": code.text}
    return HttpResponse.json(write_json({**fields, **told} if fields else told))


def render(calls: Calls, results: Sequence[Result], settings: PragmaticSettings) -> HttpResponse:
    """The answer to calls with their results; total, and the same for the same arguments."""
    call = calls.items[0]
    operation = call.operation
    if len(results) != len(calls.items):
        return answer(retry_code(operation))
    outcome = _worst(results)
    balance = next((found for result in results if (found := getattr(result, "balance", None))), None)
    if isinstance(outcome, Applied):
        fields = _success(call, results[0], balance, settings)
        return answer(retry_code(operation)) if fields is None else answer(Code.OK, fields)
    if isinstance(outcome, Declined):
        if operation == END_ROUND and balance and outcome.reason is DeclineReason.ROUND_CLOSED:
            return answer(Code.OK, _cash(balance))  # a round that ended before has ended: endRound may come again
        return answer(decline_code(operation, outcome.reason, settings))
    return answer(retry_code(operation))


def _worst(results: Sequence[Result]) -> Outcome:
    for result in results:
        if not isinstance(result.outcome, Applied):
            return result.outcome
    return results[0].outcome


def _success(call: Call, result: Result, balance: Balance | None, settings: PragmaticSettings) -> dict[str, Any] | None:
    """The fields of a success, or `None` where one of them is not known: it is never invented."""
    operation = call.operation
    if operation == REFUND:
        return {"transactionId": _transaction(call, result)}
    if balance is None:
        return None
    if operation == END_ROUND:
        return _cash(balance)
    money = {"currency": balance.code, **_cash(balance)}
    if operation == AUTHENTICATE:
        return _player(call, result, money, settings)
    if operation == BALANCE:
        return money
    used = {"usedPromo": NOTHING_USED} if operation == BET else {}
    return {"transactionId": _transaction(call, result), **money, **used}


def _cash(balance: Balance) -> dict[str, Any]:
    return {"cash": balance.display(digits=2), "bonus": balance.display_bonus(digits=2)}


def _transaction(call: Call, result: Result) -> str:
    """The hub's id of the movement; the provider's own reference where nothing was recorded under an id."""
    if isinstance(result, PlayResult) and isinstance(first := result.movements[0].outcome, Applied):
        return first.transaction or result.movements[0].reference
    if isinstance(result, NoticeResult) and isinstance(result.outcome, Applied) and isinstance(call, Notice):
        return result.outcome.transaction or call.reference
    return ""


def _player(call: Call, result: Result, money: Mapping[str, Any], settings: PragmaticSettings) -> dict[str, Any] | None:
    if not isinstance(result, AuthenticateResult) or result.player is None or not isinstance(call, Authenticate):
        return None
    player = result.player
    fields: dict[str, Any] = {
        "userId": player.alias,
        **money,
        "usedPromo": NOTHING_USED,
        "token": player.session or call.token,
    }
    if player.country:
        fields["country"] = player.country
    if player.jurisdiction:
        fields["jurisdiction"] = player.jurisdiction
    limits = _limits(player) if settings.send_bet_limits else {}
    return {**fields, "betLimits": limits} if limits else fields


def _limits(player: PlayerFacts) -> dict[str, Decimal]:
    limits = {}
    for name, text in player.bet_limits.items():
        try:
            limits[name] = WireAmount.of(text).value
        except AmountError:
            continue  # a limit that is no number cannot be told in this protocol
    return limits
