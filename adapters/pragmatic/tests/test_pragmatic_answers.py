"""The answers: every outcome, every reason, every operation, every code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract.calls import Authenticate, BalanceQuery, Calls, CloseRound, Notice, Play
from croupier.contract.errors import (
    AmountError,
    AuthenticationError,
    BodyTooLargeError,
    CallPersonError,
    ConflictError,
    CroupierError,
    DeclinedError,
    FixConfigurationError,
    ForbiddenError,
    LedgerCorruptError,
    MalformedRequestError,
    OverloadedError,
    RetryLaterError,
    SettingsError,
    StoreUnavailableError,
    UnknownCurrencyError,
    UnsupportedOperationError,
)
from croupier.contract.http import HttpRequest
from croupier.contract.money import Balance, Currency, Money, WireCurrency
from croupier.contract.outcomes import (
    Applied,
    AppliedEffect,
    AuthenticateResult,
    BalanceResult,
    CloseRoundResult,
    Declined,
    DeclineReason,
    MovementResult,
    NoticeResult,
    Outcome,
    PlayerFacts,
    PlayResult,
    Result,
    Unknown,
    UnknownCause,
)
from croupier.contract.policy import RetryClass
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import read_json_object
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_pragmatic.codes import OPERATIONS, Code
from croupier_pragmatic.settings import SECRET, PragmaticSettings
from croupier_pragmatic.wire import sign

KEYS = Credentials({SECRET: ("test-secret",)})
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SETTINGS = PragmaticSettings(secure_login="acme_login", api_url="https://api.pp.example", frb_credit_on="bonusWin")
ADAPTER = PragmaticAdapter(SETTINGS)
INFORMED = PragmaticAdapter(evolve(SETTINGS, frb_credit_on="result"))
EUR = Currency("EUR", 2)
BALANCE = Balance(Money(999_950, EUR), Money(1_205, EUR))
FACTS = PlayerFacts(alias="alias1", currency="EUR")

EVERYTHING = {
    "providerId": "pragmaticplay",
    "userId": "alias1",
    "token": "tok-1",
    "gameId": "vs20doghouse",
    "roundId": "51",
    "amount": "1.00",
    "reference": "ref-1",
    "timestamp": "1482429190374",
    "roundDetails": "spin",
    "jackpotId": "1",
    "campaignId": "1",
    "campaignType": "B",
    "currency": "EUR",
    "validBetAmount": "1.00",
}
MONEY = ("bet", "result", "bonusWin", "jackpotWin", "promoWin", "adjustment")
CREDITS = ("result", "bonusWin", "jackpotWin", "promoWin")


def calls(operation: str, adapter: PragmaticAdapter = ADAPTER, **changes: str) -> Calls:
    fields = EVERYTHING | changes
    body = urlencode(fields | {"hash": sign(fields, "test-secret")}).encode()
    return adapter.parse(adapter.verify(HttpRequest("POST", f"/{operation}.html", body=body), KEYS, NOW))


def result_of(call: object, outcome: Outcome, balance: Balance | None) -> Result:
    match call:
        case Authenticate():
            applied = isinstance(outcome, Applied)
            return AuthenticateResult(outcome=outcome, player=FACTS if applied else None, balance=balance)
        case BalanceQuery():
            return BalanceResult(outcome=outcome, balance=balance)
        case Play(movements=movements):
            told = tuple(MovementResult(reference=move.reference, outcome=outcome) for move in movements)
            return PlayResult(outcome=outcome, movements=told, balance=balance)
        case CloseRound():
            return CloseRoundResult(outcome=outcome, balance=balance)
        case Notice():
            return NoticeResult(outcome=outcome)
        case _:
            raise AssertionError(call)


def answered(
    operation: str,
    outcome: Outcome,
    balance: Balance | None = BALANCE,
    adapter: PragmaticAdapter = ADAPTER,
    **changes: str,
) -> dict[str, Any]:
    asked = calls(operation, adapter, **changes)
    results = [result_of(call, outcome, balance) for call in asked.items]
    response = adapter.render(asked, results, KEYS, NOW, "nonce")
    assert response == adapter.render(asked, results, KEYS, NOW, "another")
    assert response.status == 200
    assert response.headers.get("content-type") == "application/json"
    told = read_json_object(response.body)
    assert told["description"] == Code(told["error"]).text
    return told


def outcomes() -> Iterator[Outcome]:
    for effect in AppliedEffect:
        yield Applied(effect=effect, transaction="tx-1")
        yield Applied(effect=effect)
    yield from (Declined(reason=reason) for reason in DeclineReason)
    yield from (Unknown(cause=cause) for cause in UnknownCause)


def test_the_answer_to_authenticate() -> None:
    facts = evolve(
        FACTS,
        country="DE",
        jurisdiction="MT",
        session="tok-2",
        bet_limits={"minTotalBet": "0.20", "maxTotalBet": "100", "note": "high roller"},
    )
    result = AuthenticateResult(outcome=Applied(), player=facts, balance=BALANCE)
    response = ADAPTER.render(calls("authenticate"), [result], KEYS, NOW, "")
    assert response.body == (
        b'{"userId":"alias1","currency":"EUR","cash":9999.50,"bonus":12.05,"usedPromo":0.00,"token":"tok-2",'
        b'"country":"DE","jurisdiction":"MT","betLimits":{"minTotalBet":0.20,"maxTotalBet":100},'
        b'"error":0,"description":"Success"}'
    )


def test_without_a_new_token_the_launch_token_stays() -> None:
    told = answered("authenticate", Applied())
    assert told["token"] == "tok-1"
    assert not {"country", "jurisdiction", "betLimits"} & set(told)


def test_bet_limits_stay_away_where_the_connection_says_so() -> None:
    adapter = PragmaticAdapter(evolve(SETTINGS, send_bet_limits=False))
    result = AuthenticateResult(outcome=Applied(), player=evolve(FACTS, bet_limits={"maxBet": "1"}), balance=BALANCE)
    told = read_json_object(adapter.render(calls("authenticate"), [result], KEYS, NOW, "").body)
    assert "betLimits" not in told


def test_authenticate_without_facts_is_to_be_sent_again() -> None:
    result = AuthenticateResult(outcome=Applied(), player=None, balance=BALANCE)
    assert read_json_object(ADAPTER.render(calls("authenticate"), [result], KEYS, NOW, "").body)["error"] == 100


def test_the_answer_to_balance() -> None:
    response = ADAPTER.render(calls("balance"), [BalanceResult(outcome=Applied(), balance=BALANCE)], KEYS, NOW, "")
    assert response.body == b'{"currency":"EUR","cash":9999.50,"bonus":12.05,"error":0,"description":"Success"}'


@pytest.mark.parametrize("operation", MONEY)
@pytest.mark.parametrize("effect", AppliedEffect)
def test_a_movement_that_is_so_is_answered_with_its_transaction_and_balance(
    operation: str, effect: AppliedEffect
) -> None:
    told = answered(operation, Applied(effect=effect, transaction="tx-1"))
    used = {"usedPromo": Decimal("0.00")} if operation == "bet" else {}
    assert told == used | {
        "transactionId": "tx-1",
        "currency": "EUR",
        "cash": Decimal("9999.50"),
        "bonus": Decimal("12.05"),
        "error": 0,
        "description": "Success",
    }


def test_a_refund_is_answered_with_its_transaction_and_needs_no_balance() -> None:
    told = answered("refund", Applied(effect=AppliedEffect.NOTHING, transaction="tx-1"), None)
    assert told == {"transactionId": "tx-1", "error": 0, "description": "Success"}


def test_where_nothing_was_recorded_the_reference_stands_for_the_transaction() -> None:
    assert answered("refund", Applied(effect=AppliedEffect.NOTHING), None)["transactionId"] == "ref-1"
    assert answered("bonusWin", Applied(), adapter=INFORMED)["transactionId"] == "ref-1"


def test_a_bonus_win_that_only_informs_is_answered_like_one_that_pays() -> None:
    assert set(answered("bonusWin", Applied(transaction="t"), adapter=INFORMED)) == set(
        answered("bonusWin", Applied(transaction="t"))
    )


def test_the_answer_to_end_round() -> None:
    assert answered("endRound", Applied()) == {
        "cash": Decimal("9999.50"),
        "bonus": Decimal("12.05"),
        "error": 0,
        "description": "Success",
    }


def test_a_round_that_ended_before_has_ended() -> None:
    assert answered("endRound", Declined(reason=DeclineReason.ROUND_CLOSED))["error"] == 0
    assert answered("endRound", Declined(reason=DeclineReason.ROUND_CLOSED), None)["error"] == 120


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "refund"])
def test_a_balance_that_is_not_known_is_not_invented(operation: str) -> None:
    told = answered(operation, Applied(transaction="tx-1"), None)
    assert told["error"] == (130 if operation == "endRound" else 100)
    assert "cash" not in told


@pytest.mark.parametrize("adapter", [ADAPTER, INFORMED])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_outcome_is_answered_with_or_without_a_balance(operation: str, adapter: PragmaticAdapter) -> None:
    for outcome in outcomes():
        for balance in (BALANCE, None):
            told = answered(operation, outcome, balance, adapter)
            if isinstance(outcome, Unknown):
                assert told["error"] == (130 if operation == "endRound" else 100)
            if isinstance(outcome, Declined) and told["error"] == 0:
                assert (operation, outcome.reason) == ("endRound", DeclineReason.ROUND_CLOSED)
            assert (told["error"] == 130) <= (operation == "endRound")
            assert (told["error"] == 100) <= (operation != "endRound")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_results_that_do_not_match_the_calls_are_to_be_sent_again(operation: str) -> None:
    told = read_json_object(ADAPTER.render(calls(operation), [], KEYS, NOW, "").body)
    assert told["error"] in {100, 130}


R = DeclineReason
BET_CODES = {
    R.INSUFFICIENT_FUNDS: 1,
    R.PLAYER_UNKNOWN: 2,
    R.BONUS_RULE: 3,
    R.COUNTRY_FORBIDDEN: 3,
    R.ROUND_CLOSED: 3,
    R.ROUND_LIMIT: 3,
    R.FREE_ROUNDS_UNKNOWN: 3,
    R.OPERATION_NOT_ALLOWED: 3,
    R.SESSION_UNKNOWN: 4,
    R.SESSION_EXPIRED: 4,
    R.PLAYER_BLOCKED: 6,
    R.CURRENCY_WRONG: 7,
    R.AMOUNT_INVALID: 7,
    R.CONFLICT: 7,
    R.GAME_UNKNOWN: 8,
    R.GAME_DISABLED: 8,
    R.GAME_FORBIDDEN: 8,
    R.LOSS_LIMIT: 50,
    R.TURNOVER_LIMIT: 50,
    R.TIME_LIMIT: 50,
    R.REALITY_CHECK: 210,
    R.BET_LIMIT: 310,
}


@pytest.mark.parametrize("reason", DeclineReason)
def test_a_declined_bet_has_a_definite_code(reason: DeclineReason) -> None:
    assert answered("bet", Declined(reason=reason))["error"] == BET_CODES.get(reason, 120)


def test_a_bet_above_a_limit_that_was_never_told_is_a_regulated_limit() -> None:
    adapter = PragmaticAdapter(evolve(SETTINGS, send_bet_limits=False))
    assert answered("bet", Declined(reason=R.BET_LIMIT), adapter=adapter)["error"] == 50


def test_a_late_bet_after_its_refund_is_final() -> None:
    assert answered("bet", Declined(reason=R.ALREADY_ROLLED_BACK))["error"] == 120
    assert answered("bet", Declined(reason=R.CANCELLED))["error"] == 120


@pytest.mark.parametrize("operation", [*CREDITS, "adjustment"])
@pytest.mark.parametrize("reason", DeclineReason)
def test_a_credit_is_never_refused_for_what_only_stops_bets(operation: str, reason: DeclineReason) -> None:
    assert answered(operation, Declined(reason=reason))["error"] in {2, 7, 100, 120}


@pytest.mark.parametrize("operation", CREDITS)
@pytest.mark.parametrize(
    "reason",
    [
        R.TARGET_UNKNOWN,
        R.ROUND_UNKNOWN,
        R.GAME_DISABLED,
        R.SESSION_EXPIRED,
        R.PLAYER_BLOCKED,
        R.AMOUNT_INVALID,
        R.OTHER,
    ],
)
def test_a_credit_that_may_yet_be_paid_stays_in_the_queue(operation: str, reason: DeclineReason) -> None:
    assert answered(operation, Declined(reason=reason))["error"] == 100


@pytest.mark.parametrize("operation", CREDITS)
def test_a_win_of_a_refunded_bet_is_final(operation: str) -> None:
    assert answered(operation, Declined(reason=R.ALREADY_ROLLED_BACK))["error"] == 120


@pytest.mark.parametrize("operation", [*MONEY, "refund"])
def test_the_same_reference_with_other_content_is_a_bad_parameter(operation: str) -> None:
    assert answered(operation, Declined(reason=R.CONFLICT))["error"] == 7


def test_a_debit_by_adjustment_that_is_not_covered_is_final() -> None:
    assert answered("adjustment", Declined(reason=R.INSUFFICIENT_FUNDS), amount="-1.00")["error"] == 120


@pytest.mark.parametrize("reason", [R.PLAYER_BLOCKED, R.MAINTENANCE, R.OPERATOR_DISABLED, R.OTHER])
def test_an_adjustment_that_was_refused_is_sent_again_only_if_it_pays(reason: DeclineReason) -> None:
    assert answered("adjustment", Declined(reason=reason))["error"] == 100
    assert answered("adjustment", Declined(reason=reason), amount="-1.00")["error"] == 120
    assert answered("adjustment", Unknown(cause=UnknownCause.NO_ANSWER), amount="-1.00")["error"] == 100


@pytest.mark.parametrize("reason", [R.TARGET_SETTLED, R.TARGET_UNKNOWN, R.TARGET_DECLINED, R.ALREADY_ROLLED_BACK])
def test_a_refund_that_will_never_be_is_final(reason: DeclineReason) -> None:
    assert answered("refund", Declined(reason=reason))["error"] == 120


def test_a_refund_that_was_refused_for_no_known_reason_is_to_be_sent_again() -> None:
    assert answered("refund", Declined(reason=R.OTHER))["error"] == 100


@pytest.mark.parametrize("operation", ["authenticate", "balance"])
@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (R.SESSION_EXPIRED, 4),
        (R.SESSION_UNKNOWN, 4),
        (R.PLAYER_UNKNOWN, 2),
        (R.PLAYER_BLOCKED, 6),
        (R.REALITY_CHECK, 210),
        (R.GAME_DISABLED, 120),
    ],
)
def test_a_session_is_refused_by_its_own_codes(operation: str, reason: DeclineReason, code: int) -> None:
    assert answered(operation, Declined(reason=reason))["error"] == code


def test_every_code_of_the_protocol_is_used() -> None:
    used = {answered(name, outcome)["error"] for name in OPERATIONS for outcome in outcomes()}
    used.add(refused("bet", AuthenticationError("no")))
    assert used == {int(code) for code in Code}


def test_policies_know_which_refusals_come_back() -> None:
    for operation in OPERATIONS:
        classes = ADAPTER.policies.of(operation).retry_class
        for reason in DeclineReason:
            code = answered(operation, Declined(reason=reason))["error"]
            assert (classes.get(reason.value) is RetryClass.RETRIED) == (code in {100, 130})


def refused(operation: str, error: CroupierError) -> int:
    response = ADAPTER.render_error(HttpRequest("POST", f"/{operation}.html"), error)
    assert response.status == 200
    told = read_json_object(response.body)
    assert told["description"] == Code(told["error"]).text
    return int(told["error"])


@pytest.mark.parametrize("operation", [*OPERATIONS, "surprise"])
def test_what_fails_before_there_is_a_call_is_answered_too(operation: str) -> None:
    again = 130 if operation == "endRound" else 100
    assert refused(operation, AuthenticationError("x")) == 5
    for bad in (MalformedRequestError, AmountError, UnknownCurrencyError, BodyTooLargeError, ConflictError):
        assert refused(operation, bad("x")) == 7
    assert refused(operation, UnsupportedOperationError("x")) == 7
    assert refused(operation, DeclinedError("x")) == 120
    for later in (RetryLaterError, StoreUnavailableError, OverloadedError, ForbiddenError, CallPersonError):
        assert refused(operation, later("x")) == again
    for broken in (FixConfigurationError, SettingsError, LedgerCorruptError, CroupierError):
        assert refused(operation, broken("x")) == again


def test_an_error_tells_nothing_of_what_it_says_inside() -> None:
    response = ADAPTER.render_error(HttpRequest("POST", "/bet"), MalformedRequestError("tok-1 is secret"))
    assert b"tok-1" not in response.body


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 9))
def test_a_balance_has_two_digits_and_is_cut_never_rounded_up(minor: int, scale: int) -> None:
    balance = Balance(Money(minor, Currency("XXX", scale)))
    response = ADAPTER.render(calls("balance"), [BalanceResult(outcome=Applied(), balance=balance)], KEYS, NOW, "")
    written = response.body.partition(b'"cash":')[2].partition(b",")[0].decode()
    shown = Decimal(written)
    exact = Decimal(minor).scaleb(-scale)
    assert written.partition(".")[2].isdigit()
    assert len(written.partition(".")[2]) == 2
    assert 0 <= abs(exact) - abs(shown) < Decimal("0.01")
    assert written != "-0.00"


def test_a_balance_is_told_in_the_providers_own_currency() -> None:
    balance = Balance(Money(1_234_567, Currency("IDR", 2)), wire=WireCurrency("IDRK", "IDR", Decimal(1000)))
    told = answered("balance", Applied(), balance)
    assert (told["currency"], told["cash"]) == ("IDRK", Decimal("12.34"))
