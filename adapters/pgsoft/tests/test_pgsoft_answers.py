"""How outcomes are told: HTTP 200, data or a code, and 1200 for what must be sent again."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from croupier.contract import (
    Applied,
    AppliedEffect,
    AuthenticateResult,
    AuthenticationError,
    Balance,
    BalanceResult,
    Call,
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
    NoticeResult,
    Outcome,
    OverloadedError,
    Play,
    PlayerFacts,
    PlayResult,
    RetryClass,
    StoreUnavailableError,
    Unknown,
    UnknownCause,
    UnsupportedOperationError,
    WireCurrency,
)
from croupier.contract.strict_json import read_json_object
from croupier_pgsoft.adapter import PgsoftAdapter
from croupier_pgsoft.codes import ABSENT, Code
from croupier_pgsoft.settings import SECRET, PgsoftSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = Credentials({SECRET: ("test-secret",)})
ADAPTER = PgsoftAdapter(PgsoftSettings(operator_token="acme", api_url="https://api.pgsoft.example"))
BALANCE = Balance(Money(12345, Currency("EUR", 2)))
PROOF = "operator_token=acme&secret_key=test-secret"
SPIN = (
    f"{PROOF}&player_name=p-1&game_id=126&parent_bet_id=1000&currency_code=EUR&create_time=1&updated_time=1759300000123"
)
TRANSFER = f"{SPIN}&bet_id=1001&bet_amount=1.00&win_amount=2.50&transfer_amount=1.50&transaction_id=1001-1000-106-7"
PAYOUT = f"{SPIN}&bet_id=1002&bet_amount=0.00&win_amount=2.50&transfer_amount=2.50&transaction_id=1002-1000-106-7"
ADJUSTMENT = (
    f"{PROOF}&player_name=p-1&currency_code=EUR&transfer_amount=-5.00&adjustment_id=A1&adjustment_transaction_id=A1-900"
    "&adjustment_time=1759300000999&transaction_type=900"
)


def asked(path: str, body: str) -> Calls:
    return ADAPTER.parse(ADAPTER.verify(HttpRequest("POST", path, body=body.encode()), KEYS, NOW))


def transfer(body: str = TRANSFER) -> Calls:
    return asked("/Cash/TransferInOut", body)


def played(call: Call, outcome: Outcome, balance: Balance | None = BALANCE) -> PlayResult:
    assert isinstance(call, Play)
    results = tuple([MovementResult(reference=one.reference, outcome=outcome) for one in call.movements])
    return PlayResult(outcome=outcome, movements=results, balance=balance)


def answered(calls: Calls, outcome: Outcome, balance: Balance | None = BALANCE) -> HttpResponse:
    return ADAPTER.render(calls, [played(calls.items[0], outcome, balance)], KEYS, NOW, "nonce")


def data(response: HttpResponse) -> dict[str, Any]:
    told = read_json_object(response.body)
    assert (response.status, told["error"]) == (200, None)
    found = told["data"]
    assert isinstance(found, dict)
    return found


def code(response: HttpResponse) -> str:
    told = read_json_object(response.body)
    assert (response.status, told["data"]) == (200, None)
    return str(told["error"]["code"])


def test_a_success_tells_the_balance_and_echoes_the_time() -> None:
    told = answered(transfer(), Applied(transaction="hub-1"))
    assert told.body == (
        b'{"data":{"currency_code":"EUR","balance_amount":123.45,"updated_time":1759300000123},"error":null}'
    )


def test_the_real_amount_is_echoed_where_it_was_sent() -> None:
    told = data(answered(transfer(f"{TRANSFER}&real_transfer_amount=1.50"), Applied()))
    assert told["real_transfer_amount"] == Decimal("1.50")


@pytest.mark.parametrize("effect", AppliedEffect)
def test_a_repeat_is_told_like_the_first(effect: AppliedEffect) -> None:
    assert answered(transfer(), Applied(effect=effect)) == answered(transfer(), Applied())


def test_a_balance_is_cut_to_two_digits() -> None:
    dinar = Balance(Money(11125, Currency("KWD", 3)))
    assert data(answered(transfer(), Applied(), dinar))["balance_amount"] == Decimal("11.12")


def test_a_balance_of_a_currency_counted_in_thousands_is_told_in_thousands() -> None:
    dong = Balance(Money(123_456_789, Currency("VND", 0)), wire=WireCurrency("VND", "VND", Decimal(1000)))
    assert data(answered(transfer(), Applied(), dong))["balance_amount"] == Decimal("123456.78")


def test_the_balance_of_a_player_has_the_hubs_time() -> None:
    calls = asked("/Cash/Get", f"{PROOF}&player_name=p-1")
    told = data(ADAPTER.render(calls, [BalanceResult(outcome=Applied(), balance=BALANCE)], KEYS, NOW, "nonce"))
    assert told == {"currency_code": "EUR", "balance_amount": Decimal("123.45"), "updated_time": 1767225600000}


@pytest.mark.parametrize(("name", "nickname"), [("Ann", "Ann"), (None, "p-1")])
def test_a_session_is_answered_with_the_player(name: str | None, nickname: str) -> None:
    calls = asked("/VerifySession", f"{PROOF}&operator_player_session=t-1")
    player = PlayerFacts(alias="p-1", currency="EUR", display_name=name, session="t-1")
    result = AuthenticateResult(outcome=Applied(), player=player, balance=None)
    told = data(ADAPTER.render(calls, [result], KEYS, NOW, "nonce"))
    assert told == {"player_name": "p-1", "nickname": nickname, "currency": "EUR"}


def test_an_adjustment_tells_the_balance_before_and_after_it() -> None:
    told = data(answered(asked("/Cash/Adjustment", ADJUSTMENT), Applied()))
    assert told == {
        "adjust_amount": Decimal("-5.00"),
        "balance_before": Decimal("128.45"),
        "balance_after": Decimal("123.45"),
        "updated_time": 1759300000999,
    }


def test_details_of_a_bet_are_told_as_noted() -> None:
    calls = asked("/Cash/UpdateBetDetail", PROOF)
    told = ADAPTER.render(calls, [NoticeResult(outcome=Applied())], KEYS, NOW, "nonce")
    assert data(told) == {"is_success": True}


def test_a_balance_is_never_invented() -> None:
    assert code(answered(transfer(), Applied(), None)) == "1200"


@pytest.mark.parametrize("cause", UnknownCause)
@pytest.mark.parametrize("body", [TRANSFER, PAYOUT])
def test_what_is_not_known_is_asked_for_again(cause: UnknownCause, body: str) -> None:
    assert code(answered(transfer(body), Unknown(cause=cause))) == "1200"


BET_CODES = {
    DeclineReason.INSUFFICIENT_FUNDS: "3202",
    DeclineReason.PLAYER_UNKNOWN: "3004",
    DeclineReason.PLAYER_BLOCKED: "1305",
    DeclineReason.SESSION_UNKNOWN: "1307",
    DeclineReason.SESSION_EXPIRED: "1308",
    DeclineReason.CURRENCY_WRONG: "1034",
    DeclineReason.AMOUNT_INVALID: "1034",
    DeclineReason.CONFLICT: "3032",
    DeclineReason.DUPLICATE: "3032",
    DeclineReason.MAINTENANCE: "1400",
    DeclineReason.OPERATOR_DISABLED: "1400",
}
WIN_CODES = {
    DeclineReason.PLAYER_UNKNOWN: "3004",
    DeclineReason.CURRENCY_WRONG: "1034",
    DeclineReason.CONFLICT: "3032",
    DeclineReason.DUPLICATE: "3032",
    DeclineReason.TARGET_UNKNOWN: "3021",
    DeclineReason.ALREADY_ROLLED_BACK: "3034",
    DeclineReason.TARGET_DECLINED: "3034",
    DeclineReason.TARGET_SETTLED: "3034",
    DeclineReason.ROUND_CLOSED: "3034",
    DeclineReason.CANCELLED: "3034",
}


@pytest.mark.parametrize("reason", DeclineReason)
def test_a_refused_spin_is_void(reason: DeclineReason) -> None:
    assert code(answered(transfer(), Declined(reason=reason))) == BET_CODES.get(reason, "3033")
    assert reason.value not in ADAPTER.policies.of("transfer").retry_class


@pytest.mark.parametrize("reason", DeclineReason)
def test_a_win_that_is_owed_is_asked_for_again_and_never_void(reason: DeclineReason) -> None:
    told = code(answered(transfer(PAYOUT), Declined(reason=reason)))
    assert told == WIN_CODES.get(reason, "1200")
    known = ADAPTER.policies.of("payout").retry_class.get(reason.value, RetryClass.FINAL)
    assert (known is RetryClass.RETRIED) is (told == "1200")


def test_an_adjustment_that_cannot_be_paid_is_refused() -> None:
    calls = asked("/Cash/Adjustment", ADJUSTMENT)
    assert code(answered(calls, Declined(reason=DeclineReason.INSUFFICIENT_FUNDS))) == "3202"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (DeclineReason.SESSION_UNKNOWN, "1300"),
        (DeclineReason.SESSION_EXPIRED, "1308"),
        (DeclineReason.PLAYER_UNKNOWN, "1305"),
        (DeclineReason.PLAYER_BLOCKED, "1305"),
        (DeclineReason.MAINTENANCE, "1400"),
        (DeclineReason.OTHER, "1035"),
    ],
)
def test_a_session_that_is_not_verified_has_codes_of_its_own(reason: DeclineReason, told: str) -> None:
    calls = asked("/VerifySession", f"{PROOF}&operator_player_session=t-1")
    result = AuthenticateResult(outcome=Declined(reason=reason))
    assert code(ADAPTER.render(calls, [result], KEYS, NOW, "nonce")) == told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AuthenticationError("no"), "1204"),
        (MalformedRequestError("odd", where="wallet_type"), "1034"),
        (UnsupportedOperationError("no"), "1034"),
        (ConflictError("no"), "3032"),
        (ForbiddenError("no"), "1200"),
        (OverloadedError("no"), "1200"),
        (StoreUnavailableError("no"), "1200"),
        (CroupierError("no"), "1200"),
    ],
)
def test_what_fails_before_there_is_a_call_has_a_code(error: CroupierError, told: str) -> None:
    assert code(ADAPTER.render_error(HttpRequest("POST", "/Cash/Get"), error)) == told


@pytest.mark.parametrize("path", ["/Cash/TransferInOut?trace_id=g", "/Cash/TransferInOut/", "/Cash/Adjustment"])
def test_money_that_cannot_be_proven_is_not_made_void(path: str) -> None:
    # It may have been booked before it was sent again, under another key or with another salt.
    assert code(ADAPTER.render_error(HttpRequest("POST", path), AuthenticationError("no"))) == "1200"


@pytest.mark.parametrize("flag", ["is_validate_bet=True", "is_adjustment=1", "is_validate_bet=yes"])
@pytest.mark.parametrize(("old", "new"), [("win_amount=2.50", "win_amount=x"), ("&game_id=126", "")])
def test_a_spin_that_was_sent_again_and_cannot_be_read_is_not_made_void(old: str, new: str, flag: str) -> None:
    with pytest.raises(MalformedRequestError) as refused:
        transfer(f"{TRANSFER.replace(old, new)}&{flag}")
    assert code(ADAPTER.render_error(HttpRequest("POST", "/Cash/TransferInOut"), refused.value)) == "1200"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("transfer_amount=1.50", "transfer_amount=9.99", "3073"),
        ("transaction_id", "real_transfer_amount=1500&transaction_id", "3107"),
        ("&game_id=126", "", "3001"),
        ("win_amount=2.50", "win_amount=x", "1034"),
    ],
)
def test_what_is_wrong_with_a_spin_is_told(old: str, new: str, told: str) -> None:
    with pytest.raises(MalformedRequestError) as refused:
        transfer(TRANSFER.replace(old, new))
    assert code(ADAPTER.render_error(HttpRequest("POST", "/Cash/TransferInOut"), refused.value)) == told


def test_a_missing_field_is_worded_as_the_contract_words_it() -> None:
    with pytest.raises(MalformedRequestError) as refused:
        asked("/Cash/Get", PROOF)
    assert refused.value.message == ABSENT


def test_every_code_says_what_it_is() -> None:
    assert all(one.text for one in Code)
    assert len({int(one) for one in Code}) == len(Code)
