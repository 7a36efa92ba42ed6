"""How the provider is answered: the status of every outcome, by method."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    AuthenticateResult,
    AuthenticationError,
    Balance,
    BalanceResult,
    BodyTooLargeError,
    Calls,
    Credentials,
    CroupierError,
    Currency,
    Declined,
    DeclineReason,
    ForbiddenError,
    HttpRequest,
    MalformedRequestError,
    Money,
    MovementResult,
    Outcome,
    OverloadedError,
    PlayerFacts,
    PlayResult,
    RateLimitedError,
    Result,
    StoreUnavailableError,
    Unknown,
    UnknownCause,
)
from croupier_evolution.adapter import EvolutionAdapter
from croupier_evolution.codes import STATUSES
from croupier_evolution.settings import EvolutionSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = Credentials({"auth_token": ("s3cr3t",)})
SETTINGS = EvolutionSettings(api_url="https://evolution.example", casino_key="acme0001")
EUR = Currency("EUR", 2)
BALANCE = Balance(Money(99_935, EUR), bonus=Money(150, EUR))
GAME = {"id": "round-1", "type": "roulette", "details": {"table": {"id": "table-1"}}}
BODY: dict[str, Any] = {
    "sid": "sid-1",
    "userId": "p-1",
    "uuid": "u-1",
    "currency": "EUR",
    "game": GAME,
    "transaction": {"id": "D-1", "refId": "ref-1", "amount": 1},
    "promoTransaction": {"type": "JackpotWin", "id": "P-1", "amount": 1},
}
MONEY = ("debit", "credit", "cancel", "promo_payout")

adapter = EvolutionAdapter(SETTINGS)


def asked(method: str) -> HttpRequest:
    return HttpRequest("POST", f"/{method}?authToken=s3cr3t", body=json.dumps(BODY).encode())


def calls(method: str) -> Calls:
    return adapter.parse(adapter.verify(asked(method), KEYS, NOW))


def result(method: str, outcome: Outcome, balance: Balance | None = BALANCE) -> Result:
    match method:
        case "check":
            facts = PlayerFacts(alias="p-1", currency="EUR", session="sid-2")
            known = isinstance(outcome, Applied)
            return AuthenticateResult(outcome=outcome, player=facts if known else None, balance=balance)
        case "balance":
            return BalanceResult(outcome=outcome, balance=balance)
        case _:
            movement = MovementResult(reference="ref-1", outcome=outcome)
            return PlayResult(outcome=outcome, movements=(movement,), balance=balance)


def told(method: str, outcome: Outcome, balance: Balance | None = BALANCE, known: EvolutionAdapter = adapter) -> Any:
    response = known.render(calls(method), [result(method, outcome, balance)], KEYS, NOW, "nonce")
    assert response.status == 200
    return json.loads(response.body, parse_float=str)


def test_a_check_tells_the_new_session_id_and_no_balance() -> None:
    assert told("check", Applied()) == {"status": "OK", "sid": "sid-2", "uuid": "u-1"}


def test_a_check_without_a_new_session_id_tells_the_one_that_was_sent() -> None:
    facts = PlayerFacts(alias="p-1", currency="EUR")
    kept = AuthenticateResult(outcome=Applied(), player=facts, balance=None)
    response = adapter.render(calls("check"), [kept], KEYS, NOW, "nonce")
    assert json.loads(response.body) == {"status": "OK", "sid": "sid-1", "uuid": "u-1"}


@pytest.mark.parametrize("method", ["balance", *MONEY])
def test_a_success_tells_both_balances_with_six_digits(method: str) -> None:
    assert told(method, Applied()) == {"status": "OK", "balance": "999.350000", "bonus": "1.500000", "uuid": "u-1"}


def test_balances_have_as_many_digits_as_the_setting_says_and_are_cut() -> None:
    short = EvolutionAdapter(evolve(SETTINGS, balance_digits=2))
    precise = Balance(Money(123_456_789, Currency("USDT", 6)))
    answer = told("balance", Applied(), precise, short)
    assert (answer["balance"], answer["bonus"]) == ("123.45", "0.00")


@pytest.mark.parametrize("method", ["balance", *MONEY])
def test_a_balance_that_is_not_known_is_not_invented(method: str) -> None:
    assert told(method, Applied(), None) == {"status": "TEMPORARY_ERROR", "retransmission": True, "uuid": "u-1"}


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("debit", "BET_ALREADY_EXIST"),
        ("credit", "BET_ALREADY_SETTLED"),
        ("cancel", "BET_ALREADY_SETTLED"),
        ("promo_payout", "OK"),
    ],
)
def test_what_was_done_before_is_told_so_with_the_balance(method: str, status: str) -> None:
    answer = told(method, Applied(effect=AppliedEffect.REPEATED))
    assert (answer["status"], Decimal(answer["balance"])) == (status, Decimal("999.35"))


@pytest.mark.parametrize(
    ("method", "reason", "status"),
    [
        ("check", "session_unknown", "INVALID_SID"),
        ("check", "session_expired", "INVALID_SID"),
        ("check", "player_blocked", "ACCOUNT_LOCKED"),
        ("balance", "player_unknown", "INVALID_PARAMETER"),
        ("balance", "currency_wrong", "INVALID_PARAMETER"),
        ("debit", "insufficient_funds", "INSUFFICIENT_FUNDS"),
        ("debit", "bet_limit", "CASINO_LIMIT_EXCEEDED_STAKE"),
        ("debit", "loss_limit", "CASINO_LIMIT_EXCEEDED_LOSS"),
        ("debit", "turnover_limit", "CASINO_LIMIT_EXCEEDED_TURNOVER"),
        ("debit", "time_limit", "CASINO_LIMIT_EXCEEDED_SESSION_TIME"),
        ("debit", "session_expired", "INVALID_SID"),
        ("debit", "player_blocked", "ACCOUNT_LOCKED"),
        ("debit", "operator_disabled", "FATAL_ERROR_CLOSE_USER_SESSION"),
        ("debit", "already_rolled_back", "FINAL_ERROR_ACTION_FAILED"),
        ("debit", "game_disabled", "FINAL_ERROR_ACTION_FAILED"),
        ("debit", "conflict", "INVALID_PARAMETER"),
        ("credit", "target_unknown", "BET_DOES_NOT_EXIST"),
        ("credit", "target_declined", "BET_DOES_NOT_EXIST"),
        ("credit", "target_settled", "BET_ALREADY_SETTLED"),
        ("credit", "already_rolled_back", "BET_ALREADY_SETTLED"),
        ("credit", "session_unknown", "INVALID_SID"),
        ("credit", "player_blocked", "TEMPORARY_ERROR"),
        ("credit", "session_expired", "TEMPORARY_ERROR"),
        ("cancel", "target_unknown", "BET_DOES_NOT_EXIST"),
        ("cancel", "target_settled", "BET_ALREADY_SETTLED"),
        ("cancel", "already_rolled_back", "BET_ALREADY_SETTLED"),
        ("cancel", "session_unknown", "INVALID_SID"),
        ("cancel", "insufficient_funds", "TEMPORARY_ERROR"),
        ("promo_payout", "session_unknown", "INVALID_SID"),
        ("promo_payout", "maintenance", "TEMPORARY_ERROR"),
    ],
)
def test_a_refusal_has_the_status_of_the_sheet_and_no_balance(method: str, reason: str, status: str) -> None:
    answer = told(method, Declined(reason=DeclineReason(reason)))
    again = status == "TEMPORARY_ERROR"
    assert answer == {"status": status, "retransmission": again, "uuid": "u-1"}


@pytest.mark.parametrize("method", STATUSES)
def test_every_reason_has_a_status_and_no_bet_is_sent_again(method: str) -> None:
    for reason in DeclineReason:
        answer = told(method, Declined(reason=reason), None)
        assert answer["status"] == STATUSES[method][reason]
        if method in {"check", "balance", "debit"}:
            assert answer["retransmission"] is False


@pytest.mark.parametrize("method", ["credit", "cancel", "promo_payout"])
def test_a_wallet_that_does_not_know_its_session_leaves_what_is_owed_to_be_sent_again(method: str) -> None:
    by_the_wallet = Declined(reason=DeclineReason.SESSION_UNKNOWN, transaction="hub-1")
    assert told(method, by_the_wallet)["status"] == "TEMPORARY_ERROR"
    assert told("debit", by_the_wallet)["status"] == "INVALID_SID"


@pytest.mark.parametrize("method", STATUSES)
@pytest.mark.parametrize("cause", UnknownCause)
def test_what_is_not_known_may_be_sent_again(method: str, cause: UnknownCause) -> None:
    status = "OPERATION_IN_PROCESS" if cause is UnknownCause.IN_PROGRESS else "TEMPORARY_ERROR"
    assert told(method, Unknown(cause=cause)) == {"status": status, "retransmission": True, "uuid": "u-1"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MalformedRequestError("x"), "INVALID_PARAMETER"),
        (BodyTooLargeError("x"), "INVALID_PARAMETER"),
        (ForbiddenError("x"), "TEMPORARY_ERROR"),
        (StoreUnavailableError("x"), "TEMPORARY_ERROR"),
        (OverloadedError("x"), "TEMPORARY_ERROR"),
        (RateLimitedError("x"), "TEMPORARY_ERROR"),
        (CroupierError("x"), "TEMPORARY_ERROR"),
    ],
)
def test_an_error_has_a_status_and_echoes_the_request_id(error: CroupierError, status: str) -> None:
    response = adapter.render_error(asked("debit"), error)
    again = status == "TEMPORARY_ERROR"
    assert json.loads(response.body) == {"status": status, "retransmission": again, "uuid": "u-1"}


def test_of_a_request_that_is_not_proven_nothing_is_echoed() -> None:
    response = adapter.render_error(asked("debit"), AuthenticationError("x"))
    assert json.loads(response.body) == {"status": "INVALID_TOKEN_ID", "retransmission": False}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"uuid":7}', b'{"uuid":""}'])
def test_a_request_id_that_cannot_be_read_is_not_echoed(body: bytes) -> None:
    response = adapter.render_error(HttpRequest("POST", "/debit", body=body), MalformedRequestError("x"))
    assert "uuid" not in json.loads(response.body)
