"""What Hub88 is answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from croupier.contract import (
    AmountError,
    Applied,
    AuthenticateResult,
    Balance,
    BalanceResult,
    Calls,
    ConflictError,
    Credentials,
    CroupierError,
    Currency,
    Declined,
    DeclineReason,
    ForbiddenError,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    MovementResult,
    OverloadedError,
    PlayerFacts,
    PlayResult,
    SettingsError,
    StoreUnavailableError,
    Unknown,
    UnknownCause,
    UnknownCurrencyError,
    UnsupportedOperationError,
    Verified,
    write_json,
)
from croupier_hub88.adapter import Hub88Adapter
from croupier_hub88.codes import DECLINES
from croupier_hub88.settings import Hub88Settings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EURO = Currency("EUR", 2)
ADAPTER = Hub88Adapter(Hub88Settings(api_url="https://api.hub88.example", operator_id=1, sub_partner_id="brand-1"))
ECHO = {"user": "john12345", "request_uuid": "583c985f-fee6-4c0e-bbf5-308aad6265af"}
PLAY = ECHO | {
    "transaction_uuid": "t-1",
    "token": "token-0123",
    "round": "r-1",
    "game_code": "clt_a",
    "currency": "EUR",
    "amount": 100_000,
    "reference_transaction_uuid": "t-0",
}
PATHS = {
    "info": "/user/info",
    "balance": "/user/balance",
    "bet": "/transaction/bet",
    "win": "/transaction/win",
    "rollback": "/transaction/rollback",
}


def calls(operation: str) -> Calls:
    return ADAPTER.parse(Verified(HttpRequest("POST", PATHS[operation], body=write_json(PLAY))))


def rendered(operation: str, outcome: Any, minor: int | None = 12_345, currency: Currency = EURO) -> HttpResponse:
    balance = None if minor is None else Balance(Money(minor, currency))
    result: Any
    if operation == "info":
        facts = PlayerFacts(alias="john12345", currency="EUR", country="EE", jurisdiction="MGA")
        applied = isinstance(outcome, Applied)
        result = AuthenticateResult(outcome=outcome, player=facts if applied else None, balance=balance)
    elif operation == "balance":
        result = BalanceResult(outcome=outcome, balance=balance)
    else:
        movement = MovementResult(reference="t-1", outcome=outcome)
        result = PlayResult(outcome=outcome, movements=(movement,), balance=balance)
    return ADAPTER.render(calls(operation), [result], Credentials(), NOW, "nonce")


def told(response: HttpResponse) -> dict[str, Any]:
    found = json.loads(response.body)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("operation", ["balance", "bet", "win", "rollback"])
def test_a_success_tells_the_balance_in_hundred_thousandths(operation: str) -> None:
    answer = rendered(operation, Applied(transaction="hub-1"))
    assert answer.status == 200
    assert told(answer) == ECHO | {"status": "RS_OK", "currency": "EUR", "balance": 12_345_000}


def test_a_players_facts_are_told_as_far_as_they_are_known() -> None:
    facts = {"country": "EE", "jurisdiction": "MGA", "sub_partner_id": "brand-1"}
    answer = told(rendered("info", Applied()))
    assert answer == ECHO | {"status": "RS_OK", "currency": "EUR", "balance": 12_345_000} | facts


@pytest.mark.parametrize(
    ("minor", "scale", "shown"), [(1, 8, 0), (123_456_789, 8, 123_456), (7, 0, 700_000), (-5, 2, -5000)]
)
def test_a_balance_is_cut_and_never_rounded_up(minor: int, scale: int, shown: int) -> None:
    assert told(rendered("balance", Applied(), minor, Currency("COIN", scale)))["balance"] == shown


@pytest.mark.parametrize("operation", PATHS)
@pytest.mark.parametrize("reason", DeclineReason)
def test_every_refusal_is_a_status_of_the_protocol_in_a_body_of_200(operation: str, reason: DeclineReason) -> None:
    answer = rendered(operation, Declined(reason=reason))
    assert answer.status == 200
    assert told(answer)["status"].startswith("RS_ERROR_")
    assert told(answer) == ECHO | {"status": DECLINES[operation][reason], "currency": "EUR", "balance": 12_345_000}
    assert told(rendered(operation, Declined(reason=reason), None)) == ECHO | {"status": DECLINES[operation][reason]}


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("insufficient_funds", "RS_ERROR_NOT_ENOUGH_MONEY"),
        ("bet_limit", "RS_ERROR_LIMIT_REACHED"),
        ("session_unknown", "RS_ERROR_INVALID_TOKEN"),
        ("session_expired", "RS_ERROR_TOKEN_EXPIRED"),
        ("player_blocked", "RS_ERROR_USER_DISABLED"),
        ("game_unknown", "RS_ERROR_INVALID_GAME"),
        ("operator_disabled", "RS_ERROR_INVALID_PARTNER"),
        ("currency_wrong", "RS_ERROR_WRONG_CURRENCY"),
        ("conflict", "RS_ERROR_DUPLICATE_TRANSACTION"),
        ("already_rolled_back", "RS_ERROR_TRANSACTION_ROLLED_BACK"),
        ("other", "RS_ERROR_UNKNOWN"),
    ],
)
def test_a_refused_bet_has_the_status_that_the_documents_give_it(reason: str, status: str) -> None:
    assert told(rendered("bet", Declined(reason=DeclineReason(reason))))["status"] == status


@pytest.mark.parametrize("operation", ["win", "rollback"])
def test_a_token_never_expired_for_what_is_owed(operation: str) -> None:
    answer = told(rendered(operation, Declined(reason=DeclineReason.SESSION_EXPIRED)))
    assert answer["status"] == "RS_ERROR_UNKNOWN"


@pytest.mark.parametrize("reason", ["target_unknown", "target_declined", "already_rolled_back"])
def test_a_win_whose_bet_does_not_stand_has_no_bet(reason: str) -> None:
    answer = told(rendered("win", Declined(reason=DeclineReason(reason))))
    assert answer["status"] == "RS_ERROR_TRANSACTION_DOES_NOT_EXIST"


@pytest.mark.parametrize("operation", PATHS)
@pytest.mark.parametrize("cause", UnknownCause)
def test_what_is_not_known_is_no_logical_answer(operation: str, cause: UnknownCause) -> None:
    answer = rendered(operation, Unknown(cause=cause))
    assert (answer.status, told(answer)) == (502, ECHO | {"status": "RS_ERROR_UNKNOWN"})


@pytest.mark.parametrize("operation", PATHS)
def test_without_a_balance_there_is_no_success(operation: str) -> None:
    assert rendered(operation, Applied(), None).status == 502


@pytest.mark.parametrize(
    ("error", "http", "status"),
    [
        (MalformedRequestError("wrong"), 200, "RS_ERROR_WRONG_SYNTAX"),
        (UnsupportedOperationError("none"), 200, "RS_ERROR_WRONG_SYNTAX"),
        (AmountError("wrong"), 200, "RS_ERROR_WRONG_TYPES"),
        (UnknownCurrencyError("none"), 200, "RS_ERROR_WRONG_CURRENCY"),
        (ForbiddenError("not from there"), 200, "RS_ERROR_INVALID_PARTNER"),
        (ConflictError("other content"), 200, "RS_ERROR_DUPLICATE_TRANSACTION"),
        (StoreUnavailableError("full"), 502, "RS_ERROR_UNKNOWN"),
        (OverloadedError("busy"), 502, "RS_ERROR_UNKNOWN"),
        (SettingsError("wrong"), 502, "RS_ERROR_UNKNOWN"),
    ],
)
def test_an_error_before_the_call_is_told_in_the_protocols_words(error: CroupierError, http: int, status: str) -> None:
    request = HttpRequest("POST", "/transaction/bet", body=write_json(PLAY))
    answer = ADAPTER.render_error(request, error)
    assert (answer.status, told(answer)) == (http, {"request_uuid": ECHO["request_uuid"], "status": status})


@pytest.mark.parametrize("request_uuid", [17, None, "u" * 65])
def test_no_request_id_is_echoed_that_can_be_none(request_uuid: object) -> None:
    request = HttpRequest("POST", "/transaction/bet", body=write_json({"request_uuid": request_uuid}))
    assert told(ADAPTER.render_error(request, MalformedRequestError("wrong"))) == {"status": "RS_ERROR_WRONG_SYNTAX"}


def test_what_is_stored_names_neither_player_nor_token() -> None:
    kept = ADAPTER.redact(HttpRequest("POST", "/transaction/bet", body=write_json(PLAY)))
    assert (kept.url, json.loads(kept.body)["amount"]) == ("/transaction/bet", 100_000)
    assert b"john12345" not in kept.body
    assert b"token-0123" not in kept.body
    assert ADAPTER.redact(HttpRequest("POST", "/elsewhere/john12345")).url == "/"
