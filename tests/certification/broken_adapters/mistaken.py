"""Broken adapters for the layer of mistakes: each makes one of others' mistakes worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve
from tests.certification.broken_adapters.bent import (
    each_movement,
    each_outcome,
    each_play,
    reading,
    softswiss,
    telling,
)

from croupier.contract import (
    Applied,
    AppliedEffect,
    Balance,
    Calls,
    Credentials,
    Declined,
    DeclineReason,
    HttpRequest,
    Movement,
    MovementKey,
    MovementKind,
    Play,
    Result,
    Target,
    Unknown,
    UnknownCause,
    Verified,
)
from croupier_conformance.certification.subject import AdapterSubject
from croupier_softswiss.adapter import SoftswissAdapter

AGAIN = Unknown(cause=UnknownCause.NO_ANSWER)


def _rolls_back(call: Any) -> bool:
    return isinstance(call, Play) and all(item.kind is MovementKind.ROLLBACK for item in call.movements)


def _under(movement: Movement, prefix: str) -> Movement:
    """The movement with a prefix before its own ids and the one that it names."""
    keys = tuple(MovementKey(key.namespace, prefix + key.value) for key in movement.keys)
    named = movement.target.key if movement.target else None
    target = Target(key=MovementKey(named.namespace, prefix + named.value)) if named else movement.target
    return evolve(movement, keys=keys, target=target)


def ids_are_compared_without_case() -> AdapterSubject:
    def change(_play: Play, movement: Movement) -> Movement:
        keys = tuple(MovementKey(key.namespace, key.value.lower()) for key in movement.keys)
        return evolve(movement, keys=keys)

    return softswiss(reading(each_movement(change)))


class _BelievesEverybody(SoftswissAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        return Verified(request)


class _DropsTheSign(SoftswissAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        super().verify(request, credentials, now)
        return Verified(evolve(request, body=request.body.replace(b'"amount":-', b'"amount":')))


def signs_are_dropped() -> AdapterSubject:
    return softswiss(_DropsTheSign)


def everybody_is_believed() -> AdapterSubject:
    return softswiss(_BelievesEverybody)


def ids_are_kept_by_round() -> AdapterSubject:
    return softswiss(reading(each_movement(lambda play, movement: _under(movement, f"{play.round}/"))))


def rollbacks_are_of_nobody() -> AdapterSubject:
    return softswiss(reading(each_play(lambda play: evolve(play, player=None) if _rolls_back(play) else play)))


def repeated_rollbacks_are_refused() -> AdapterSubject:
    def change(call: Any, outcome: Any) -> Any:
        repeated = isinstance(outcome, Applied) and outcome.effect is AppliedEffect.REPEATED
        return Declined(reason=DeclineReason.ALREADY_ROLLED_BACK) if repeated and _rolls_back(call) else outcome

    return softswiss(telling(each_outcome(change)))


def rollbacks_always_succeed() -> AdapterSubject:
    def change(call: Any, outcome: Any) -> Any:
        if _rolls_back(call) and isinstance(outcome, Declined):
            return Applied(effect=AppliedEffect.NOTHING, transaction=outcome.transaction or "")
        return outcome

    return softswiss(telling(each_outcome(change)))


def nonsense_is_taken_for_a_refusal() -> AdapterSubject:
    def change(call: Any, outcome: Any) -> Any:
        unknown = isinstance(outcome, Unknown) and not _rolls_back(call)
        return Declined(reason=DeclineReason.OTHER) if unknown else outcome

    return softswiss(telling(each_outcome(change)))


def rollbacks_name_themselves() -> AdapterSubject:
    def change(_play: Play, movement: Movement) -> Movement:
        if movement.kind is not MovementKind.ROLLBACK:
            return movement
        named = MovementKey(movement.keys[0].namespace, f"{movement.keys[0].value}-original")
        return evolve(movement, target=Target(key=named))

    return softswiss(reading(each_movement(change)))


def _tries_again_for(reason: DeclineReason) -> AdapterSubject:
    def change(_call: Any, outcome: Any) -> Any:
        return AGAIN if isinstance(outcome, Declined) and outcome.reason is reason else outcome

    return softswiss(telling(each_outcome(change)))


def disabled_operators_are_tried_again() -> AdapterSubject:
    return _tries_again_for(DeclineReason.OPERATOR_DISABLED)


def disabled_connections_are_tried_again() -> AdapterSubject:
    return _tries_again_for(DeclineReason.MAINTENANCE)


def large_bets_are_tried_again() -> AdapterSubject:
    return _tries_again_for(DeclineReason.BET_LIMIT)


def _without_zero(_calls: Calls, results: Sequence[Result]) -> tuple[Result, ...]:
    return tuple(_balanced(result, lambda balance: balance if balance.cash.minor else None) for result in results)


def _balanced(result: Any, change: Callable[[Balance], Balance | None]) -> Result:
    """The result with another balance, if it has one."""
    balance = getattr(result, "balance", None)
    bent: Result = result if balance is None else evolve(result, balance=change(balance))
    return bent


def a_balance_of_zero_is_none() -> AdapterSubject:
    return softswiss(telling(_without_zero))


def _unscaled(_calls: Calls, results: Sequence[Result]) -> tuple[Result, ...]:
    return tuple(_balanced(result, lambda balance: evolve(balance, wire=None)) for result in results)


def balances_are_not_scaled() -> AdapterSubject:
    return softswiss(telling(_unscaled))


def _of(slugs: str) -> frozenset[str]:
    return frozenset(slugs.split())


BROKEN: dict[str, Any] = {
    "ids-are-exact": (ids_are_compared_without_case, _of("ids-are-exact")),
    "forgery-moves-nothing": (everybody_is_believed, _of("forgery-moves-nothing")),
    "conflict-of-rounds-refused": (ids_are_kept_by_round, _of("conflict-of-rounds-refused")),
    "rollback-is-the-players-own": (rollbacks_are_of_nobody, _of("rollback-is-the-players-own")),
    "win-is-taken-back": (repeated_rollbacks_are_refused, _of("win-is-taken-back")),
    "wallet-keeps-the-money": (rollbacks_always_succeed, _of("wallet-keeps-the-money")),
    "wallet-answers-nonsense": (nonsense_is_taken_for_a_refusal, _of("wallet-answers-nonsense")),
    "stake-comes-back-once": (
        rollbacks_name_themselves,
        _of("stake-comes-back-once wallet-keeps-the-money win-is-taken-back"),
    ),
    "operator-disabled": (disabled_operators_are_tried_again, _of("operator-disabled")),
    "connection-disabled": (disabled_connections_are_tried_again, _of("connection-disabled")),
    "everything-may-be-staked": (a_balance_of_zero_is_none, _of("everything-may-be-staked")),
    "thousands-are-thousands": (balances_are_not_scaled, _of("thousands-are-thousands")),
    "below-zero-is-refused": (signs_are_dropped, _of("below-zero-is-refused")),
    "bet-limit": (large_bets_are_tried_again, _of("bet-limit")),
}
"""By rule: what makes a subject that breaks it, and every rule of the layer that the subject breaks."""
