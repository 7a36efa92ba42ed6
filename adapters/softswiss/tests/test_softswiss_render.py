"""Answers: exact success bodies, and one code for every way to fail."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from croupier.contract import (
    MINOR,
    Applied,
    AppliedEffect,
    AuthenticateResult,
    AuthenticationError,
    Balance,
    BalanceQuery,
    BalanceResult,
    BodyTooLargeError,
    CallPersonError,
    Calls,
    CloseRound,
    CloseRoundResult,
    ConflictError,
    Credentials,
    CroupierError,
    Currency,
    Declined,
    DeclinedError,
    DeclineReason,
    ForbiddenError,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    Movement,
    MovementKey,
    MovementKind,
    MovementResult,
    NotFoundError,
    Notice,
    NoticeResult,
    Outcome,
    OverloadedError,
    Play,
    PlayResult,
    QueryResult,
    Result,
    SettingsError,
    StoreUnavailableError,
    Target,
    TransportError,
    TransportProblem,
    Unknown,
    UnknownCause,
    UnknownCurrencyError,
    UnsupportedOperationError,
    UpstreamError,
    WireAmount,
    WireCurrency,
)
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.mapping import DECLINES, UNKNOWNS, ErrorCode
from croupier_softswiss.settings import SoftswissSettings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT = datetime(2026, 1, 1, 10, 0, 0, 123987, tzinfo=UTC)
EUR = Currency("EUR", 2)
BALANCE = Balance(Money(12345, EUR))


def adapter(**settings: object) -> SoftswissAdapter:
    return SoftswissAdapter(SoftswissSettings(api_url="https://p.example", casino_id="acme", **settings))  # type: ignore[arg-type] # any setting


ADAPTER = adapter()
BET = Movement(MovementKind.BET, keys=(MovementKey("action", "a1"),), amount=WireAmount.of(100, MINOR, "EUR"))
WIN = Movement(MovementKind.WIN, keys=(MovementKey("action", "a2"),), amount=WireAmount.of(250, MINOR, "EUR"))
UNDO = Movement(
    MovementKind.ROLLBACK, keys=(MovementKey("action", "a3"),), target=Target(key=MovementKey("action", "a1"))
)
PAID = Movement(MovementKind.BONUS_WIN, keys=(MovementKey("issue", "i-1"),), amount=WireAmount.of(5, MINOR))


def play_calls(*movements: Movement, operation: str = "play") -> Calls:
    return Calls((Play(operation=operation, movements=movements, player="p-1", round="r-1"),), {"game_id": "r-1"})


PLAY = play_calls(BET, WIN)
ROLLBACK = play_calls(UNDO, operation="rollback")
BALANCE_CALLS = Calls((BalanceQuery(operation="balance", player="p-1"),))
CLOSE = Calls((CloseRound(operation="close_round", round="r-1", player="p-1"),), {"game_id": "r-1"})
FREESPINS = Calls((Play(operation="freespins", movements=(PAID,), grant="i-1", closes_grant=True),))
NOTICE = Calls((Notice(operation="freespins", subject="free_rounds", reference="i-1"),))


def applied(transaction: str, effect: AppliedEffect = AppliedEffect.MOVED, at: datetime | None = AT) -> Applied:
    return Applied(effect=effect, transaction=transaction, amount=Money(100, EUR), at=at)


def play_result(*outcomes: Outcome, balance: Balance | None = BALANCE) -> PlayResult:
    whole = next((outcome for outcome in outcomes if not isinstance(outcome, Applied)), outcomes[0])
    results = tuple(MovementResult(reference=f"a{index}", outcome=outcome) for index, outcome in enumerate(outcomes, 1))
    return PlayResult(outcome=whole, movements=results, balance=balance)


def render(calls: Calls, result: Result, by: SoftswissAdapter = ADAPTER) -> HttpResponse:
    answer = by.render(calls, (result,), Credentials(), NOW, "nonce")
    later = by.render(calls, (result,), Credentials({"auth_token": ("x",)}), NOW, "another nonce")
    assert answer == later
    assert answer.headers.get("Content-Type") == "application/json"
    return answer


def test_a_play_is_answered_with_the_balance_and_its_transactions_in_order() -> None:
    answer = render(PLAY, play_result(applied("t-1"), applied("t-2", at=AT + timedelta(seconds=1))))
    assert (answer.status, answer.body) == (
        200,
        (
            b'{"balance":12345,"game_id":"r-1","transactions":['
            b'{"action_id":"a1","tx_id":"t-1","processed_at":"2026-01-01T10:00:00.123Z"},'
            b'{"action_id":"a2","tx_id":"t-2","processed_at":"2026-01-01T10:00:01.123Z"}]}'
        ),
    )


def test_a_repeat_shows_the_same_transaction_and_the_balance_of_now() -> None:
    first = render(play_calls(BET), play_result(applied("t-1")))
    repeat = render(
        play_calls(BET), play_result(applied("t-1", AppliedEffect.REPEATED), balance=Balance(Money(777, EUR)))
    )
    assert json.loads(repeat.body)["transactions"] == json.loads(first.body)["transactions"]
    assert json.loads(repeat.body)["balance"] == 777


def test_a_rollback_of_something_unknown_is_answered_as_success() -> None:
    answer = render(ROLLBACK, play_result(applied("t-3", AppliedEffect.NOTHING)))
    assert answer.status == 200
    assert json.loads(answer.body)["transactions"][0]["tx_id"] == "t-3"


def test_other_successes_show_the_balance() -> None:
    assert render(BALANCE_CALLS, BalanceResult(outcome=Applied(), balance=BALANCE)).body == b'{"balance":12345}'
    assert (
        render(CLOSE, CloseRoundResult(outcome=Applied(), balance=BALANCE)).body == b'{"balance":12345,"game_id":"r-1"}'
    )
    assert render(FREESPINS, play_result(applied("t-1"))).body == b'{"balance":12345}'
    assert render(NOTICE, NoticeResult(outcome=Applied())) == HttpResponse.json(b"{}")
    assert render(BALANCE_CALLS, AuthenticateResult(outcome=Applied(), balance=BALANCE)).body == b'{"balance":12345}'
    assert render(BALANCE_CALLS, QueryResult(outcome=Applied(), balance=BALANCE)).body == b'{"balance":12345}'


@pytest.mark.parametrize(
    ("digits", "text"),
    [(0, "2026-01-01T10:00:00Z"), (3, "2026-01-01T10:00:00.123Z"), (6, "2026-01-01T10:00:00.123987Z")],
)
def test_the_time_of_processing_has_the_configured_digits(digits: int, text: str) -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    for at in (AT, elsewhere):
        answer = render(play_calls(BET), play_result(applied("t-1", at=at)), adapter(processed_at_digits=digits))
        assert json.loads(answer.body)["transactions"][0]["processed_at"] == text


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (0, EUR, 0),
        (1, EUR, 1),
        (-250, EUR, -250),
        (2**63 - 1, EUR, 2**63 - 1),
        (500, Currency("JPY", 0), 500),
        (1234, Currency("KWD", 3), 1234),
        (1_500_000_000, Currency("ETH", 9), 1_500_000_000_000_000_000),
        (123_456_789, Currency("BTC", 8), 12_345_678),
    ],
)
def test_a_balance_is_a_whole_number_of_subunits(minor: int, currency: Currency, shown: int) -> None:
    by = adapter(subunits={"ETH": 18, "BTC": 7})
    answer = render(BALANCE_CALLS, BalanceResult(outcome=Applied(), balance=Balance(Money(minor, currency))), by)
    assert answer.body == b'{"balance":%d}' % shown


def test_a_balance_in_a_scaled_currency_is_cut_and_never_rounded_up() -> None:
    wire = WireCurrency("IDR2", "IDR", Decimal(1000))
    balance = Balance(Money(1_999_999, Currency("IDR", 2)), wire=wire)
    assert render(BALANCE_CALLS, BalanceResult(outcome=Applied(), balance=balance)).body == b'{"balance":1999}'


DECLINE_CODES = {
    DeclineReason.INSUFFICIENT_FUNDS: (412, 100),
    DeclineReason.BET_LIMIT: (412, 106),
    DeclineReason.LOSS_LIMIT: (412, 105),
    DeclineReason.TURNOVER_LIMIT: (412, 105),
    DeclineReason.TIME_LIMIT: (412, 105),
    DeclineReason.REALITY_CHECK: (412, 105),
    DeclineReason.BONUS_RULE: (412, 107),
    DeclineReason.PLAYER_UNKNOWN: (412, 101),
    DeclineReason.PLAYER_BLOCKED: (412, 110),
    DeclineReason.SESSION_UNKNOWN: (412, 101),
    DeclineReason.SESSION_EXPIRED: (412, 101),
    DeclineReason.GAME_UNKNOWN: (412, 405),
    DeclineReason.GAME_DISABLED: (412, 405),
    DeclineReason.GAME_FORBIDDEN: (412, 107),
    DeclineReason.COUNTRY_FORBIDDEN: (412, 153),
    DeclineReason.CURRENCY_WRONG: (412, 154),
    DeclineReason.AMOUNT_INVALID: (400, 400),
    DeclineReason.ROUND_CLOSED: (412, 155),
    DeclineReason.ROUND_UNKNOWN: (404, 404),
    DeclineReason.ROUND_LIMIT: (412, 105),
    DeclineReason.TARGET_UNKNOWN: (404, 404),
    DeclineReason.TARGET_DECLINED: (404, 404),
    DeclineReason.TARGET_SETTLED: (412, 155),
    DeclineReason.ALREADY_ROLLED_BACK: (412, 155),
    DeclineReason.CANCELLED: (412, 155),
    DeclineReason.DUPLICATE: (409, 409),
    DeclineReason.CONFLICT: (409, 409),
    DeclineReason.FREE_ROUNDS_UNKNOWN: (404, 404),
    DeclineReason.OPERATION_NOT_ALLOWED: (403, 403),
    DeclineReason.OPERATOR_DISABLED: (412, 405),
    DeclineReason.MAINTENANCE: (412, 405),
    DeclineReason.OTHER: (412, 107),
}

UNKNOWN_CODES = {
    UnknownCause.IN_PROGRESS: (503, 503),
    UnknownCause.NO_ANSWER: (504, 504),
    UnknownCause.OWED: (504, 504),
    UnknownCause.TOO_EARLY: (503, 503),
    UnknownCause.STORE: (503, 503),
    UnknownCause.BALANCE: (502, 502),
}


def every_shape(outcome: Outcome, balance: Balance | None) -> list[tuple[Calls, Result]]:
    return [
        (PLAY, play_result(outcome, outcome, balance=balance)),
        (PLAY, play_result(applied("t-1"), outcome, balance=balance)),
        (ROLLBACK, play_result(outcome, balance=balance)),
        (FREESPINS, play_result(outcome, balance=balance)),
        (BALANCE_CALLS, BalanceResult(outcome=outcome, balance=balance)),
        (CLOSE, CloseRoundResult(outcome=outcome, balance=balance)),
        (BALANCE_CALLS, AuthenticateResult(outcome=outcome, balance=balance)),
        (BALANCE_CALLS, QueryResult(outcome=outcome, balance=balance)),
    ]


@pytest.mark.parametrize("reason", DeclineReason)
def test_every_refusal_is_definite_and_shows_the_balance_where_it_is_known(reason: DeclineReason) -> None:
    status, code = DECLINE_CODES[reason]
    for calls, result in every_shape(Declined(reason=reason), BALANCE):
        answer = render(calls, result)
        text = ErrorCode(code).text
        assert (answer.status, json.loads(answer.body)) == (
            status,
            {"code": code, "message": text, "balance": 12345},
        )
    for calls, result in [
        *every_shape(Declined(reason=reason), None),
        (NOTICE, NoticeResult(outcome=Declined(reason=reason))),
    ]:
        answer = render(calls, result)
        assert (answer.status, set(json.loads(answer.body))) == (status, {"code", "message"})


@pytest.mark.parametrize("cause", UnknownCause)
def test_every_unknown_outcome_is_a_server_error(cause: UnknownCause) -> None:
    status, code = UNKNOWN_CODES[cause]
    outcome = Unknown(cause=cause)
    for calls, result in [*every_shape(outcome, None), (NOTICE, NoticeResult(outcome=outcome))]:
        answer = render(calls, result)
        assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


def test_every_code_has_the_documented_status() -> None:
    own = {400, 403, 404, 409, 500, 502, 503, 504}
    assert {int(code): code.status for code in ErrorCode} == {
        code: code if code in own else 412
        for code in [100, 101, 105, 106, 107, 110, 153, 154, 155, 405, 406, *sorted(own)]
    }


def test_the_tables_hold_every_reason_and_cause_on_their_own_side_of_500() -> None:
    assert set(DECLINES) == set(DeclineReason)
    assert set(UNKNOWNS) == set(UnknownCause)
    assert all(code.status < 500 for code in DECLINES.values())
    assert all(code.status >= 500 for code in UNKNOWNS.values())


def test_the_operators_text_reaches_the_player_as_plain_ascii_json() -> None:
    refused = Declined(reason=DeclineReason.LOSS_LIMIT, message='Verlustgrenze "täglich" \ud800')
    body = render(BALANCE_CALLS, BalanceResult(outcome=refused)).body
    assert body.isascii()
    assert json.loads(body)["message"] == 'Verlustgrenze "täglich" \ud800'


def test_a_success_without_a_balance_is_told_as_retryable_and_none_is_invented() -> None:
    for calls, result in every_shape(applied("t-1"), None):
        answer = render(calls, result)
        assert (answer.status, json.loads(answer.body)) == (502, {"code": 502, "message": ErrorCode.EXTERNAL.text})


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AuthenticationError("x"), 403, 403),
        (ForbiddenError("x"), 403, 403),
        (UnsupportedOperationError("x"), 404, 404),
        (NotFoundError("x"), 404, 404),
        (ConflictError("x"), 409, 409),
        (UnknownCurrencyError("x"), 412, 154),
        (MalformedRequestError("x", where="user_id"), 400, 400),
        (BodyTooLargeError("x"), 400, 400),
        (DeclinedError("x"), 412, 107),
        (UpstreamError("x"), 502, 502),
        (TransportError("x", problem=TransportProblem.NO_ANSWER), 504, 504),
        (StoreUnavailableError("x"), 503, 503),
        (OverloadedError("x"), 503, 503),
        (SettingsError("x"), 500, 500),
        (CallPersonError("x"), 500, 500),
        (CroupierError("x"), 500, 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, CroupierError) else None,
)
def test_every_error_before_a_call_has_a_code(error: CroupierError, status: int, code: int) -> None:
    answer = ADAPTER.render_error(HttpRequest("POST", "/play"), error)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


def test_a_malformed_request_is_told_which_field_and_others_are_told_nothing() -> None:
    request = HttpRequest("POST", "/play")
    malformed = ADAPTER.render_error(request, MalformedRequestError("the field is missing", where="user_id"))
    assert malformed.body == b'{"code":400,"message":"bad request: user_id: the field is missing"}'
    internal = ADAPTER.render_error(request, SettingsError("a path of ours", where="secrets.auth_token"))
    assert internal.body == b'{"code":500,"message":"unknown error"}'
