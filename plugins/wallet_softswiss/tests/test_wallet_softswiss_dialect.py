"""How the hub speaks the SOFTSWISS-style wallet protocol, and what it makes of every kind of answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pluggy
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from croupier.contract import (
    MAX_MINOR,
    AmountError,
    Balance,
    Credentials,
    CroupierError,
    Currency,
    DeclineReason,
    Effect,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    PlayContext,
    SettingsError,
    UnsupportedOperationError,
    WalletApplied,
    WalletAuthenticate,
    WalletBalance,
    WalletBatch,
    WalletCall,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletPlayer,
    WalletRefused,
    WalletStatus,
    WalletUnknown,
)
from croupier_wallet_softswiss import plugin
from croupier_wallet_softswiss.amounts import Amounts
from croupier_wallet_softswiss.codes import REASONS
from croupier_wallet_softswiss.dialect import MAX_ANSWER_BYTES, SPEC, SoftswissWalletDialect
from croupier_wallet_softswiss.settings import AmountForm, SoftswissWalletSettings

EUR = Currency("EUR", 2)
NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
KEYS = Credentials({"auth_token": ("test", "old")})
URL = "https://wallet.example/gcp/"
DIALECT = SoftswissWalletDialect(SoftswissWalletSettings(url=URL))
PLAYER = WalletPlayer(player="421", currency=EUR)
CONTEXT = PlayContext(
    provider="acme",
    connection="acme-main",
    game="acceptance--test",
    round="r-1",
    provider_round="77",
    round_closed=True,
)
BALANCE = WalletBalance(player=PLAYER, game="acceptance--test")

repeatable = settings(deadline=None, derandomize=True)


def movement(operation: WalletOperation, transaction: str, minor: int, **more: Any) -> WalletMovement:
    more = {"kind": operation.value, **more}
    return WalletMovement(operation=operation, transaction=transaction, amount=Money(minor, EUR), **more)


def move(operation: WalletOperation, transaction: str, minor: int, **more: Any) -> WalletMove:
    return WalletMove(player=PLAYER, context=CONTEXT, movement=movement(operation, transaction, minor, **more))


BET = move(WalletOperation.BET, "a1", 100)
WIN = move(WalletOperation.WIN, "a2", 250)
ROLLBACK = move(WalletOperation.ROLLBACK, "r1", 100, target="a1", undoes=WalletOperation.BET)
BATCH = WalletBatch(player=PLAYER, context=CONTEXT, batch="b1", movements=(BET.movement, WIN.movement))


def told(*transactions: tuple[str, str], balance: Any = 9850, game_id: str = "r-1") -> dict[str, Any]:
    items = [{"action_id": one, "tx_id": own, "processed_at": "2026-05-17T12:00:00Z"} for one, own in transactions]
    return {"balance": balance, "game_id": game_id, "transactions": items}


CALLS: dict[str, tuple[WalletCall, dict[str, Any]]] = {
    "authenticate": (WalletAuthenticate(player=PLAYER, game="acceptance--test"), {"balance": 9850}),
    "balance": (BALANCE, {"balance": 9850}),
    "bet": (BET, told(("a1", "tx-1"))),
    "win": (WIN, told(("a2", "tx-2"))),
    "rollback": (ROLLBACK, told(("r1", "tx-3"))),
    "batch": (BATCH, told(("a1", "tx-1"), ("a2", "tx-2"))),
}
MOVES = ("bet", "win", "rollback", "batch")


def reply(call: WalletCall, answer: Any, status: int = 200, dialect: SoftswissWalletDialect = DIALECT) -> Any:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return dialect.reply(call, HttpResponse.json(body, status))


def written(call: WalletCall, dialect: SoftswissWalletDialect = DIALECT) -> HttpRequest:
    return dialect.request(call, KEYS, NOW)


def body(call: WalletCall, dialect: SoftswissWalletDialect = DIALECT) -> Any:
    return json.loads(written(call, dialect).body)


def test_the_plugin_brings_the_dialect() -> None:
    manager = pluggy.PluginManager("croupier")
    manager.register(plugin)
    assert plugin.croupier_wallet_dialects() == [SPEC]
    assert SPEC.create(SoftswissWalletSettings(url=URL)).spec is SPEC


# --- what is written --------------------------------------------------------------------------------------------------

# The bodies and proofs of the sheet, section "Auth (EXACT)".
PUBLISHED = [
    (
        BALANCE,
        b'{"user_id":"421","currency":"EUR","game":"acceptance:test"}',
        "34d167634768a71d5688f4cb25c2f4cd02beee3fb32676678ea598d8190ab815",
    ),
    (
        BATCH,
        (
            b'{"user_id":"421","currency":"EUR","game":"acceptance:test","game_id":"r-1","finished":true,"actions":'
            b'[{"action":"bet","amount":100,"action_id":"a1"},{"action":"win","amount":250,"action_id":"a2"}]}'
        ),
        "5b6dde038407bbd175dedc0c213a5737f3b3572aa243c143e248aea44d05ad5a",
    ),
]


@pytest.mark.parametrize(("call", "raw", "proof"), PUBLISHED)
def test_the_published_messages_are_written_and_signed_to_the_byte(call: WalletCall, raw: bytes, proof: str) -> None:
    request = written(call)
    assert (request.method, request.url) == ("POST", "https://wallet.example/gcp/play")
    assert request.body == raw
    assert request.headers.get("X-REQUEST-SIGN") == proof


def test_the_published_proof_of_a_foreign_body_is_the_one_computed() -> None:
    published = b'{"user_id":"8|USDT|USD","currency":"USD","game":"acceptance:test"}'
    request = DIALECT.signed_anew(HttpRequest("POST", URL, body=published), KEYS, NOW)
    assert request.headers.get("X-REQUEST-SIGN") == "442c4cd8926008096225416b21f5a1862fbf4fc4e5224362e3b463e85a39f40a"


def test_a_rollback_goes_to_its_own_path_and_names_what_it_undoes() -> None:
    assert written(ROLLBACK).url == "https://wallet.example/gcp/rollback"
    assert body(ROLLBACK)["actions"] == [{"action": "rollback", "action_id": "r1", "original_action_id": "a1"}]


def test_a_session_is_sent_along_and_questions_change_nothing() -> None:
    call = WalletAuthenticate(player=evolve(PLAYER, session="s-1"), game=None)
    assert body(call) == {"user_id": "421", "currency": "EUR", "game": "croupier:lobby", "session_id": "s-1"}
    assert written(call).effect is Effect.READ
    assert written(BET).effect is Effect.IDEMPOTENT


def test_wins_and_rollbacks_name_no_session_that_could_have_ended() -> None:
    owner = evolve(PLAYER, session="s-1")
    named = {name: "session_id" in body(evolve(call, player=owner)) for name, (call, _) in CALLS.items()}
    assert named == {
        "authenticate": True,
        "balance": True,
        "bet": True,
        "win": False,
        "rollback": False,
        "batch": True,
    }


@pytest.mark.parametrize("call", [BALANCE, WalletAuthenticate(player=PLAYER)])
def test_a_refusal_under_the_status_of_a_success_is_neither(call: WalletCall) -> None:
    assert isinstance(reply(call, {"code": 110, "message": "player is disabled", "balance": 9850}), WalletUnknown)


def test_the_dialect_says_that_its_proof_has_no_time() -> None:
    assert SPEC.proves_time is False


def test_the_same_call_at_another_time_is_the_same_request() -> None:
    assert DIALECT.request(BET, KEYS, datetime(2027, 1, 1, tzinfo=UTC)) == written(BET)


def test_a_jackpot_is_told_as_one() -> None:
    call = move(WalletOperation.WIN, "a2", 500, kind="jackpot_win")
    assert body(call)["actions"] == [{"action": "win", "amount": 500, "action_id": "a2", "jackpot_win": 500}]


@pytest.mark.parametrize("kind", ["tip", "transfer_out", "free_bet", "adjustment"])
def test_a_debit_of_any_kind_is_a_bet(kind: str) -> None:
    assert body(move(WalletOperation.BET, "a1", 5, kind=kind))["actions"][0]["action"] == "bet"


def test_a_win_of_zero_is_an_action_or_only_the_end_of_the_round() -> None:
    lost = move(WalletOperation.WIN, "a2", 0)
    assert body(lost)["actions"] == [{"action": "win", "amount": 0, "action_id": "a2"}]
    quiet = SoftswissWalletDialect(SoftswissWalletSettings(url=URL, zero_wins=False))
    assert "actions" not in body(lost, quiet)
    assert body(lost, quiet)["finished"] is True
    assert isinstance(reply(lost, {"balance": 10}, dialect=quiet), WalletApplied)
    batch = evolve(BATCH, movements=(BET.movement, lost.movement))
    assert [one["action_id"] for one in body(batch, quiet)["actions"]] == ["a1"]
    assert isinstance(reply(batch, told(("a1", "tx-1")), dialect=quiet), WalletApplied)


def with_(call: WalletMove, **more: Any) -> WalletMove:
    return evolve(call, movement=evolve(call.movement, **more))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (WalletStatus(player=PLAYER, transaction="a1"), UnsupportedOperationError),
        (evolve(BATCH, movements=(BET.movement, ROLLBACK.movement)), UnsupportedOperationError),
        (with_(BET, operator_decides=True), UnsupportedOperationError),
        (with_(BET, funds_required=101), UnsupportedOperationError),
        (with_(WIN, funds_required=1), UnsupportedOperationError),
        (evolve(BATCH, movements=()), MalformedRequestError),
        (with_(ROLLBACK, target=None), MalformedRequestError),
        (with_(ROLLBACK, undoes=WalletOperation.ROLLBACK), MalformedRequestError),
        (with_(BET, amount=Money(-1, EUR)), MalformedRequestError),
        (with_(BET, amount=Money(1, Currency("JPY", 0))), MalformedRequestError),
    ],
)
def test_what_the_protocol_cannot_say_is_refused_and_never_sent_wrongly(
    call: WalletCall, error: type[CroupierError]
) -> None:
    with pytest.raises(error):
        written(call)


def test_funds_that_a_bet_takes_anyway_are_no_obstacle() -> None:
    assert body(with_(BET, funds_required=100))["actions"][0]["amount"] == 100


def test_without_a_token_nothing_is_sent() -> None:
    with pytest.raises(SettingsError):
        DIALECT.request(BET, Credentials({}), NOW)


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CALLS))
def test_the_expected_answer_is_success(name: str) -> None:
    call, answer = CALLS[name]
    applied = reply(call, answer)
    assert isinstance(applied, WalletApplied)
    assert applied.balance == Balance(Money(9850, EUR))
    ids = {one["action_id"]: one["tx_id"] for one in answer.get("transactions", [])}
    assert dict(applied.operator_transactions) == ids
    assert not applied.nothing_moved


@pytest.mark.parametrize(
    "answer",
    [
        told(("a1", "tx-1"), game_id="r-2"),
        told(("a9", "tx-1")),
        told(("a1", "")),
        told(("a1", "tx-1"), ("a2", "tx-2")),
        told(),
        {**told(("a1", "tx-1")), "transactions": None},
        {**told(("a1", "tx-1")), "transactions": ["a1"]},
        told(("a1", "tx-1"), balance="98.50"),
        told(("a1", "tx-1"), balance=98.5),
        told(("a1", "tx-1"), balance=True),
        told(("a1", "tx-1"), balance=MAX_MINOR + 1),
        {"balance": 9850},
        {"code": 100, "message": "not enough funds"},
        [],
        b"",
        b"<html>",
        b'{"balance": 1, "balance": 2}',
        b'{"a":' * 50 + b"1" + b"}" * 50,
    ],
)
def test_an_answer_that_is_not_exactly_right_is_unknown(answer: Any) -> None:
    assert isinstance(reply(BET, answer), WalletUnknown)


def test_an_answer_that_is_too_large_is_unknown() -> None:
    answer = {**told(("a1", "tx-1")), "more": "x" * MAX_ANSWER_BYTES}
    assert isinstance(reply(BET, answer), WalletUnknown)


def test_transactions_in_another_order_are_unknown() -> None:
    assert isinstance(reply(BATCH, told(("a2", "tx-2"), ("a1", "tx-1"))), WalletUnknown)


def test_a_rollback_without_an_id_of_the_wallet_had_nothing_to_undo() -> None:
    undone = reply(ROLLBACK, told(("r1", "")))
    assert isinstance(undone, WalletApplied)
    assert undone.nothing_moved
    assert undone.operator_transactions == {}


def test_404_is_no_answer_to_a_rollback_for_any_missing_path_would_give_it() -> None:
    undone = (ROLLBACK.movement, evolve(ROLLBACK.movement, transaction="r2", target="a2"))
    for call in (ROLLBACK, evolve(BATCH, movements=undone), evolve(BATCH, movements=(BET.movement, *undone))):
        assert isinstance(reply(call, {"code": 404, "message": "not found"}, 404), WalletUnknown)


def test_a_whole_number_is_an_id_too_and_a_deficit_shows_as_zero() -> None:
    applied = reply(BET, {**told(("a1", "x"), balance=-5), "transactions": [{"action_id": "a1", "tx_id": 77}]})
    assert isinstance(applied, WalletApplied)
    assert applied.operator_transactions == {"a1": "77"}
    assert applied.balance == Balance(Money(0, EUR))


@pytest.mark.parametrize(("code", "reason"), REASONS.items())
@pytest.mark.parametrize("name", ["bet", "win", "batch"])
def test_every_code_of_a_refusal_is_the_reason_it_stands_for(name: str, code: int, reason: DeclineReason) -> None:
    refused = reply(CALLS[name][0], {"code": code, "message": "no", "balance": 3}, code if code >= 400 else 412)
    assert refused == WalletRefused(reason=reason, balance=Balance(Money(3, EUR)))


def test_a_code_that_is_new_is_a_refusal_only_with_the_status_of_refusals() -> None:
    assert reply(BET, {"code": 199, "message": "new"}, 412) == WalletRefused(reason=DeclineReason.OTHER)
    assert isinstance(reply(BET, {"code": 199, "message": "new"}, 418), WalletUnknown)


@pytest.mark.parametrize(
    ("code", "status"), [(403, 403), (500, 500), (502, 502), (503, 503), (504, 504), (500, 412), (600, 412), (100, 500)]
)
def test_trouble_is_no_refusal(code: int, status: int) -> None:
    assert isinstance(reply(WIN, {"code": code, "message": "no"}, status), WalletUnknown)


@pytest.mark.parametrize("answer", [{}, {"code": "100"}, {"code": None}, {"code": True}, {"meta": {}}, b"no", []])
def test_a_refusal_without_its_code_is_unknown(answer: Any) -> None:
    assert isinstance(reply(BET, answer, 412), WalletUnknown)


def test_the_code_may_stand_in_twirps_meta() -> None:
    answer = {"code": "failed_precondition", "msg": "no", "meta": {"api_code": "100"}}
    assert reply(BET, answer, 412) == WalletRefused(reason=DeclineReason.INSUFFICIENT_FUNDS)


def test_an_unknown_thing_is_no_transaction_where_a_balance_was_asked_for() -> None:
    assert reply(BALANCE, {"code": 404}, 404) == WalletRefused(reason=DeclineReason.OTHER)


@repeatable
@given(
    raw=st.binary(max_size=200), status=st.sampled_from([200, 400, 404, 412, 500]), name=st.sampled_from(list(CALLS))
)
def test_no_garbage_is_success_or_a_fault(raw: bytes, status: int, name: str) -> None:
    assert not isinstance(reply(CALLS[name][0], raw, status), WalletApplied)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@repeatable
@given(name=st.sampled_from(MOVES), field=st.sampled_from(["game_id", "transactions"]), value=JSON)
def test_no_changed_field_of_an_answer_is_believed(name: str, field: str, value: Any) -> None:
    call, answer = CALLS[name]
    if value != answer[field]:
        assert isinstance(reply(call, {**answer, field: value}), WalletUnknown)


# --- money ------------------------------------------------------------------------------------------------------------


@repeatable
@given(
    minor=st.integers(0, MAX_MINOR),
    scale=st.integers(0, 9),
    digits=st.none() | st.integers(0, 18),
    decimal=st.booleans(),
)
def test_an_amount_is_read_back_as_it_was_written_or_not_written(
    minor: int, scale: int, digits: int | None, *, decimal: bool
) -> None:
    form = AmountForm.DECIMAL if decimal else AmountForm.SUBUNITS
    subunits = {} if digits is None or decimal else {"XYZ": digits}
    amounts = Amounts(SoftswissWalletSettings(url=URL, amounts=form, subunits=subunits))
    currency = Currency("XYZ", scale)
    try:
        sent = amounts.write(Money(minor, currency))
    except AmountError:
        assert minor % 10 ** max(scale - (digits or 0), 0) != 0 or decimal
        return
    assert type(sent) is (str if decimal else int)
    assert amounts.read(sent, currency) == minor
    assert amounts.exactly(sent, currency) == minor


@pytest.mark.parametrize("value", ["", ".5", "5.", "1e3", "٣", "1.0000000000001", "--5", "+5", " 5", "NaN", 5, None])
def test_what_is_no_decimal_text_is_no_balance(value: Any) -> None:
    dialect = SoftswissWalletDialect(SoftswissWalletSettings(url=URL, amounts=AmountForm.DECIMAL))
    assert isinstance(reply(BALANCE, {"balance": value}, dialect=dialect), WalletUnknown)


def test_a_balance_with_more_digits_is_cut() -> None:
    dialect = SoftswissWalletDialect(SoftswissWalletSettings(url=URL, amounts=AmountForm.DECIMAL))
    assert reply(BALANCE, {"balance": "10.509"}, dialect=dialect).balance == Balance(Money(1050, EUR))


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"url": "wallet.example"}, "url"),
        ({"url": "https://wallet.example/?a=b"}, "url"),
        ({"url": "https://[wallet.example"}, "url"),
        ({"url": "https://user@wallet.example"}, "url"),
        ({"url": URL, "play_path": "play"}, "play_path"),
        ({"url": URL, "rollback_path": "/play"}, "rollback_path"),
        ({"url": URL, "rollback_path": "/r?x"}, "rollback_path"),
        ({"url": URL, "subunits": {"ETH": 19}}, "subunits.ETH"),
        ({"url": URL, "subunits": {"ETH": 18}, "amounts": AmountForm.DECIMAL}, "subunits"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SoftswissWalletSettings(**wrong)
    assert caught.value.where == where
