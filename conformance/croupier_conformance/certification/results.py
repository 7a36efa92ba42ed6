"""What the hub may say came of calls, made up: for rules that render, and for transcripts."""

from __future__ import annotations

from typing import Final, assert_never

from croupier.contract import (
    Applied,
    Authenticate,
    AuthenticateResult,
    Balance,
    BalanceQuery,
    BalanceResult,
    Call,
    CloseRound,
    CloseRoundResult,
    Currencies,
    Money,
    MovementResult,
    Notice,
    NoticeResult,
    Outcome,
    Ping,
    Play,
    PlayerFacts,
    PlayerLookup,
    PlayResult,
    Query,
    QueryResult,
    Result,
)
from croupier_conformance.certification.sayings import ALIAS, CURRENCY, TOKEN, Said

TRANSACTION: Final = "hub-transaction-77"
NONCE: Final = "nonce-1"
_CURRENCIES: Final = Currencies()


def balance(minor: int = 12_345, code: str = CURRENCY) -> Balance:
    """A balance as the operator told it."""
    return Balance(Money(minor, _CURRENCIES.get(code)))


def result_of(call: Call, outcome: Outcome, told: Balance | None, *, at: int = 0, code: str = CURRENCY) -> Result:
    """What comes of a call.

    Args:
        call: The call.
        outcome: Its outcome; of a play with several movements that of the one at place `at`, and so of the play.
        told: The balance.
        at: Which movement has the outcome; those before it are applied, those after it share it.
        code: The currency of a player's facts.
    """
    match call:
        case Authenticate() | PlayerLookup():
            applied = isinstance(outcome, Applied)
            facts = PlayerFacts(alias=ALIAS, currency=code, country="DE", language="en", session=TOKEN)
            return AuthenticateResult(
                outcome=outcome, player=facts if applied else None, balance=told if applied else None
            )
        case BalanceQuery():
            return BalanceResult(outcome=outcome, balance=told)
        case Play(movements=movements):
            results = [
                MovementResult(reference=one.reference, outcome=outcome if place >= at else _applied(place))
                for place, one in enumerate(movements)
            ]
            return PlayResult(outcome=outcome, movements=tuple(results), balance=told)
        case CloseRound():
            return CloseRoundResult(outcome=outcome, balance=told)
        case Notice() | Ping():
            return NoticeResult(outcome=outcome)
        case Query():
            return QueryResult(outcome=outcome, balance=told)
        case _:
            assert_never(call)


def results_of(said: Said, outcome: Outcome, told: Balance | None, **how: int) -> tuple[Result, ...]:
    """The results of all calls of a request, each with the same outcome."""
    return tuple([result_of(call, outcome, told, at=how.get("at", 0)) for call in said.calls.items])


def _applied(place: int) -> Applied:
    return Applied(transaction=f"{TRANSACTION}-{place}")
