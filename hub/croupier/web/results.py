"""Reading results for logs, and writing those that say "not known yet"."""

from __future__ import annotations

from typing import assert_never

from croupier.contract import (
    Applied,
    Authenticate,
    AuthenticateResult,
    BalanceQuery,
    BalanceResult,
    Call,
    Calls,
    CloseRound,
    CloseRoundResult,
    Declined,
    Direction,
    MovementResult,
    Notice,
    NoticeResult,
    Ping,
    Play,
    PlayerLookup,
    PlayResult,
    Query,
    QueryResult,
    Result,
    Unknown,
    UnknownCause,
)


def not_known_yet(calls: Calls, cause: UnknownCause) -> tuple[Result, ...]:
    """A result for each call that promises nothing: money may have moved, the provider must ask again."""
    return tuple(_unknown(call, Unknown(cause=cause)) for call in calls.items)


def _unknown(call: Call, outcome: Unknown) -> Result:
    match call:
        case Authenticate() | PlayerLookup():
            return AuthenticateResult(outcome=outcome)
        case BalanceQuery():
            return BalanceResult(outcome=outcome)
        case Play():
            movements = tuple(MovementResult(reference=each.reference, outcome=outcome) for each in call.movements)
            return PlayResult(outcome=outcome, movements=movements)
        case CloseRound():
            return CloseRoundResult(outcome=outcome)
        case Notice() | Ping():
            return NoticeResult(outcome=outcome)
        case Query():
            return QueryResult(outcome=outcome)
        case _:
            assert_never(call)


def verdict_of(results: tuple[Result, ...]) -> tuple[str, str]:
    """The word and the reason that sum results up: those of the first call that is not applied."""
    effect = ""
    for result in results:
        match result.outcome:
            case Applied() as applied:
                effect = effect or applied.effect.value
            case Declined(reason=reason):
                return "declined", reason.value
            case Unknown(cause=cause):
                return "unknown", cause.value
            case _:
                assert_never(result.outcome)
    return "applied", effect


def transaction_of(results: tuple[Result, ...]) -> str | None:
    """The hub's id of the first movement among results, to tie a message to it."""
    for result in results:
        if isinstance(result, PlayResult):
            for movement in result.movements:
                if movement.outcome.transaction:
                    return movement.outcome.transaction
    return None


def may_be_shed(calls: Calls) -> bool:
    """Whether an overloaded hub may refuse a request: never one that brings a player money or undoes a movement."""
    return not any(
        movement.direction is not Direction.DEBIT
        for call in calls.items
        if isinstance(call, Play)
        for movement in call.movements
    ) and not any(isinstance(call, CloseRound) for call in calls.items)
