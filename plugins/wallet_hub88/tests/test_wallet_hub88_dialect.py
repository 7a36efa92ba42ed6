"""How the hub speaks the Hub88-style wallet protocol, and what it makes of every kind of answer."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
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
    Funding,
    HttpRequest,
    HttpResponse,
    LateOriginal,
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
from croupier_wallet_hub88 import amounts, plugin
from croupier_wallet_hub88.dialect import MAX_ANSWER_BYTES, SPEC, Hub88WalletDialect
from croupier_wallet_hub88.settings import AuthenticateBy, Hub88WalletSettings
from croupier_wallet_hub88.signing import is_proven, load_private_key, sign
from croupier_wallet_hub88.statuses import REASONS

EUR = Currency("EUR", 2)
NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
URL = "https://wallet.example/hub88/"
DIALECT = Hub88WalletDialect(Hub88WalletSettings(url=URL))
INFO = Hub88WalletDialect(Hub88WalletSettings(url=URL, authenticate=AuthenticateBy.INFO))
PLAYER = WalletPlayer(player="p-1", currency=EUR, session="token-of-p-1")
CONTEXT = PlayContext(
    provider="acme",
    connection="acme-main",
    game="acme--one",
    round="r-1",
    provider_round="77",
    round_closed=True,
)
BET_ID = "6f2b8f3a-5d55-5e0c-9d59-2f0c1d7c8a01"
WIN_ID = "0c1b6a0e-2f7e-5a43-8a11-6f0f4f0b7c02"
UNDO_ID = "1d2c7b1f-3a8f-4b54-9b22-7a1a5a1c8d03"

repeatable = settings(deadline=None, derandomize=True)


def pem(key: Any) -> str:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    text: str = key.private_bytes(serialization.Encoding.PEM, *form).decode()
    return text


KEYS = Credentials({"private_key": (pem(KEY), "an old one")})


def move(operation: WalletOperation, transaction: str, minor: int, **more: Any) -> WalletMove:
    values = {"kind": operation.value, **more}
    movement = WalletMovement(operation=operation, transaction=transaction, amount=Money(minor, EUR), **values)
    return WalletMove(player=PLAYER, context=CONTEXT, movement=movement)


def with_(call: WalletMove, **more: Any) -> WalletMove:
    return evolve(call, movement=evolve(call.movement, **more))


BET = move(WalletOperation.BET, BET_ID, 356)
WIN = move(WalletOperation.WIN, WIN_ID, 400, target=BET_ID)
ROLLBACK = move(WalletOperation.ROLLBACK, UNDO_ID, 356, target=BET_ID, undoes=WalletOperation.BET)
BALANCE = WalletBalance(player=PLAYER, game="acme--one")
CALLS: dict[str, WalletCall] = {
    "authenticate": WalletAuthenticate(player=PLAYER),
    "balance": BALANCE,
    "bet": BET,
    "win": WIN,
    "rollback": ROLLBACK,
}
each_call = pytest.mark.parametrize("name", list(CALLS))


def written(call: WalletCall, dialect: Hub88WalletDialect = DIALECT) -> HttpRequest:
    return dialect.request(call, KEYS, NOW)


def body(call: WalletCall, dialect: Hub88WalletDialect = DIALECT) -> Any:
    return json.loads(written(call, dialect).body)


def answer(call: WalletCall, dialect: Hub88WalletDialect = DIALECT, **more: Any) -> dict[str, Any]:
    echo = body(call, dialect)["request_uuid"]
    return {
        "user": "p-1",
        "status": "RS_OK",
        "request_uuid": echo,
        "currency": "EUR",
        "balance": 9_850_000,
        **more,
    }


def reply(call: WalletCall, told: Any, status: int = 200, dialect: Hub88WalletDialect = DIALECT) -> Any:
    raw = told if isinstance(told, bytes) else json.dumps(told).encode()
    return dialect.reply(call, HttpResponse.json(raw, status))


def test_the_plugin_brings_the_dialect() -> None:
    assert plugin.croupier_wallet_dialects() == [SPEC]
    assert DIALECT.spec is SPEC
    accepts = Hub88WalletDialect(Hub88WalletSettings(url=URL, late_original=LateOriginal.ACCEPT))
    assert accepts.spec == evolve(SPEC, late_original=LateOriginal.ACCEPT)


# --- what is written --------------------------------------------------------------------------------------------------


@each_call
def test_the_proof_is_rsa_over_the_exact_bytes(name: str) -> None:
    request = written(CALLS[name])
    proof = request.headers.get("X-Hub88-Signature") or ""
    assert len(proof) == 344  # section "Auth (EXACT)", of 2048 bits
    KEY.public_key().verify(base64.b64decode(proof), request.body, padding.PKCS1v15(), hashes.SHA256())
    again = DIALECT.signed_anew(HttpRequest("POST", "/x", body=b'{"operator_id":1}'), KEYS, NOW)
    assert is_proven(KEY.public_key(), b'{"operator_id":1}', again.headers.get("X-Hub88-Signature") or "")
    assert not is_proven(KEY.public_key(), b'{"operator_id":2}', again.headers.get("X-Hub88-Signature") or "")


def test_a_proof_has_one_spelling() -> None:
    proof = sign(KEY, b"{}")
    assert is_proven(KEY.public_key(), b"{}", proof)
    last = proof[-3]
    neighbour = chr(ord(last) + 1)
    for other in (proof[:-1], proof + "\n", f"{proof[:-3]}{neighbour}==", "", "é"):
        assert not is_proven(KEY.public_key(), b"{}", other)


def test_a_bet_says_all_that_the_sheet_lists_and_the_rest_in_meta() -> None:
    request = written(BET)
    assert (request.method, request.url) == ("POST", "https://wallet.example/hub88/transaction/bet")
    assert request.effect is Effect.IDEMPOTENT
    fields = json.loads(request.body)
    assert str(UUID(fields.pop("request_uuid")))
    assert fields == {
        "user": "p-1",
        "transaction_uuid": BET_ID,
        "token": "token-of-p-1",
        "round": "r-1",
        "round_closed": True,
        "game_code": "acme--one",
        "currency": "EUR",
        "amount": 356_000,
        "is_free": False,
        "is_aggregated": False,
        "reward_uuid": None,
        "meta": {
            "provider": "acme",
            "connection": "acme-main",
            "provider_round": "77",
            "kind": "bet",
            "stake": None,
            "funding": "player",
        },
    }


def test_a_win_names_its_bet_and_is_a_promotion_where_there_is_none() -> None:
    fields = body(WIN)
    assert (fields["reference_transaction_uuid"], fields["is_supplier_promo"]) == (BET_ID, False)
    promotion = body(with_(WIN, target=None, kind="tournament_win"))
    assert (promotion["reference_transaction_uuid"], promotion["is_supplier_promo"]) == (None, True)
    assert promotion["meta"]["kind"] == "tournament_win"


def test_a_rollback_names_what_it_undoes_and_no_amount() -> None:
    fields = body(ROLLBACK)
    assert fields.pop("request_uuid")
    assert fields == {
        "user": "p-1",
        "transaction_uuid": UNDO_ID,
        "token": "token-of-p-1",
        "round": "r-1",
        "round_closed": True,
        "game_code": "acme--one",
        "reference_transaction_uuid": BET_ID,
    }


def test_a_bet_of_a_free_round_is_free_and_charges_nothing() -> None:
    call = with_(BET, amount=Money(0, EUR), kind="free_bet", stake=100, funding=Funding.OPERATOR)
    granted = evolve(call, context=evolve(CONTEXT, grant="reward-1"))
    fields = body(granted)
    assert (fields["amount"], fields["is_free"], fields["reward_uuid"]) == (0, True, "reward-1")
    assert (fields["meta"]["stake"], fields["meta"]["funding"]) == (100, "operator")


def test_a_bet_that_takes_money_is_never_told_as_free() -> None:
    for more in ({"kind": "free_bet"}, {"funding": Funding.OPERATOR}):
        fields = body(with_(BET, **more))
        assert (fields["amount"], fields["is_free"]) == (356_000, False)
    assert body(with_(WIN, kind="free_win", funding=Funding.OPERATOR))["is_free"] is True


@pytest.mark.parametrize("kind", ["tip", "transfer_out", "adjustment"])
def test_a_debit_of_any_kind_is_a_bet_whose_meta_tells_the_kind(kind: str) -> None:
    request = written(with_(BET, kind=kind))
    assert request.url.endswith("/transaction/bet")
    assert json.loads(request.body)["meta"]["kind"] == kind


def test_authenticate_asks_for_the_balance_with_the_token_or_for_the_players_facts() -> None:
    call = WalletAuthenticate(player=PLAYER, game="acme--one")
    assert written(call).url == "https://wallet.example/hub88/user/balance"
    assert body(call)["token"] == "token-of-p-1"
    assert written(call, INFO).url == "https://wallet.example/hub88/user/info"
    assert set(body(call, INFO)) == {"user", "request_uuid"}


def test_without_a_session_the_token_is_empty() -> None:
    assert body(evolve(BET, player=evolve(PLAYER, session=None)))["token"] == ""


@each_call
def test_the_same_call_at_another_time_differs_by_its_request_uuid_alone(name: str) -> None:
    call, later = CALLS[name], NOW + timedelta(milliseconds=1)
    again = DIALECT.request(call, KEYS, later)
    assert DIALECT.request(call, KEYS, NOW) == written(call)
    assert again.url == written(call).url
    first, second = body(call), json.loads(again.body)
    ids = first.pop("request_uuid"), second.pop("request_uuid")
    assert first == second
    assert ids[0] != ids[1]
    assert [str(UUID(one)) for one in ids] == list(ids)
    assert {UUID(one).version for one in ids} == {8}


@each_call
def test_an_answer_to_any_attempt_of_a_call_is_its_answer_and_one_to_another_call_is_not(name: str) -> None:
    call = CALLS[name]
    later = json.loads(DIALECT.request(call, KEYS, NOW + timedelta(days=3)).body)["request_uuid"]
    assert isinstance(reply(call, answer(call, request_uuid=later)), WalletApplied)
    other = body(evolve(call, player=evolve(PLAYER, player="p-2")))["request_uuid"]
    for wrong in (other, later[:-1], later + "0", later.upper(), later[14:], "x" * 14 + later[14:]):
        assert isinstance(reply(call, answer(call, request_uuid=wrong)), WalletUnknown)


def test_paths_and_the_name_of_the_header_are_settings() -> None:
    own = Hub88WalletDialect(
        Hub88WalletSettings(url=URL, paths={"bet": "/wallet/bet"}, signature_header="X-Auth-Signature")
    )
    request = written(BET, own)
    assert request.url == "https://wallet.example/hub88/wallet/bet"
    assert request.headers.get("X-Auth-Signature")
    assert request.headers.get("X-Hub88-Signature") is None


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (
            WalletBatch(player=PLAYER, context=CONTEXT, batch="b", movements=(BET.movement, WIN.movement)),
            UnsupportedOperationError,
        ),
        (WalletStatus(player=PLAYER, transaction=BET_ID), UnsupportedOperationError),
        (with_(BET, operator_decides=True), UnsupportedOperationError),
        (with_(BET, funds_required=357), UnsupportedOperationError),
        (with_(WIN, funds_required=1), UnsupportedOperationError),
        (with_(ROLLBACK, target=None), MalformedRequestError),
        (with_(ROLLBACK, undoes=None), MalformedRequestError),
        (with_(BET, amount=Money(-1, EUR)), MalformedRequestError),
        (with_(BET, amount=Money(1, Currency("JPY", 0))), MalformedRequestError),
        (with_(BET, amount=Money(MAX_MINOR, EUR)), AmountError),
    ],
)
def test_what_the_protocol_cannot_say_is_refused_and_never_sent_wrongly(
    call: WalletCall, error: type[CroupierError]
) -> None:
    with pytest.raises(error):
        written(call)
    assert isinstance(reply(call, {"status": "RS_OK"}), WalletUnknown)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "no key",
        pem(KEY)[:-40],
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(rsa.generate_private_key(public_exponent=65_537, key_size=1024)),  # noqa: S505 - it is to be refused
        KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1).decode(),
    ],
    ids=["nothing", "no key", "cut", "elliptic", "small", "public"],
)
def test_a_key_that_cannot_be_used_is_told_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DIALECT.request(BET, Credentials({"private_key": (key,)}), NOW)
    assert caught.value.where == "secrets.private_key"
    assert not key or key not in str(caught.value)
    assert [field.check for field in SPEC.secrets] == [load_private_key]  # so it is refused when it is put
    with pytest.raises(SettingsError):
        load_private_key(key)
    with pytest.raises(SettingsError):
        DIALECT.request(BET, Credentials({}), NOW)


# --- what is read -----------------------------------------------------------------------------------------------------


@each_call
def test_the_expected_answer_is_success(name: str) -> None:
    applied = reply(CALLS[name], answer(CALLS[name]))
    assert applied == WalletApplied(balance=Balance(Money(9850, EUR)))


@each_call
@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "p-2"},
        {"user": None},
        {"request_uuid": BET_ID},
        {"request_uuid": None},
        {"currency": "USD"},
        {"currency": None},
        {"balance": "9850000"},
        {"balance": 98.5},
        {"balance": True},
        {"balance": None},
        {"balance": 2**80},
        {"status": "RS_OKAY"},
        {"status": "RS_ERROR_UNKNOWN"},
        {"status": "RS_ERROR_TIMEOUT"},
        {"status": "RS_ERROR_INVALID_SIGNATURE"},
        {"status": "RS_ERROR_THAT_IS_NEW"},
        {"status": ["RS_OK"]},
        {"status": 0},
        {"status": None},
    ],
)
def test_an_answer_that_is_not_exactly_right_is_unknown(name: str, wrong: dict[str, Any]) -> None:
    assert isinstance(reply(CALLS[name], answer(CALLS[name], **wrong)), WalletUnknown)


@pytest.mark.parametrize("status", [201, 400, 403, 404, 500, 502])
def test_another_http_status_is_unknown(status: int) -> None:
    assert isinstance(reply(BET, answer(BET), status), WalletUnknown)


@pytest.mark.parametrize("raw", [b"", b"[]", b"<html>", b'{"status":"RS_OK","status":"RS_OK"}', b"\xff"])
def test_what_is_no_json_object_is_unknown(raw: bytes) -> None:
    assert isinstance(reply(BET, raw), WalletUnknown)


def test_an_answer_that_is_too_large_is_unknown_and_one_with_new_fields_is_not() -> None:
    assert isinstance(reply(BET, answer(BET, more="x" * MAX_ANSWER_BYTES)), WalletUnknown)
    assert isinstance(reply(BET, answer(BET, more="x")), WalletApplied)


@pytest.mark.parametrize(
    ("status", "reason"), [item for item in REASONS.items() if item[1] is not DeclineReason.TARGET_UNKNOWN]
)
def test_every_status_of_a_refused_bet_is_the_reason_it_stands_for(status: str, reason: DeclineReason) -> None:
    told = None if reason is DeclineReason.CURRENCY_WRONG else Balance(Money(9850, EUR))
    assert reply(BET, answer(BET, status=status)) == WalletRefused(reason=reason, balance=told)
    bare = {"status": status, "request_uuid": body(BET)["request_uuid"]}
    assert reply(BET, bare) == WalletRefused(reason=reason)


@pytest.mark.parametrize("name", ["authenticate", "balance", "bet"])
def test_that_a_transaction_is_missing_is_no_answer_where_none_was_named(name: str) -> None:
    told = answer(CALLS[name], status="RS_ERROR_TRANSACTION_DOES_NOT_EXIST")
    assert isinstance(reply(CALLS[name], told), WalletUnknown)


def test_a_win_whose_bet_is_unknown_is_refused_as_such() -> None:
    refused = reply(WIN, answer(WIN, status="RS_ERROR_TRANSACTION_DOES_NOT_EXIST"))
    assert refused.reason is DeclineReason.TARGET_UNKNOWN


@pytest.mark.parametrize(
    ("status", "nothing"),
    [("RS_ERROR_TRANSACTION_DOES_NOT_EXIST", True), ("RS_ERROR_TRANSACTION_ROLLED_BACK", False)],
)
def test_a_rollback_of_what_is_unknown_had_nothing_to_undo_and_of_what_is_undone_is_done(
    status: str, *, nothing: bool
) -> None:
    applied = reply(ROLLBACK, answer(ROLLBACK, status=status))
    assert applied == WalletApplied(balance=Balance(Money(9850, EUR)), nothing_moved=nothing)


@pytest.mark.parametrize("call", [WIN, ROLLBACK])
@pytest.mark.parametrize("status", ["RS_ERROR_TOKEN_EXPIRED", "RS_ERROR_INVALID_TOKEN"])
def test_a_session_is_no_reason_to_refuse_a_win_or_a_rollback(call: WalletMove, status: str) -> None:
    assert isinstance(reply(call, answer(call, status=status)), WalletUnknown)


def test_a_refusal_that_speaks_of_another_player_is_unknown() -> None:
    told = answer(BET, status="RS_ERROR_NOT_ENOUGH_MONEY", user="p-2")
    assert isinstance(reply(BET, told), WalletUnknown)


def test_facts_are_told_as_far_as_they_can_be_used() -> None:
    call = WalletAuthenticate(player=PLAYER)
    told = answer(call, INFO, country="MT", jurisdiction="MGA", sex="M", birth_date="1990-01-01")
    applied = reply(call, told, dialect=INFO)
    assert applied.facts == {"country": "MT", "jurisdiction": "MGA"}
    assert applied.balance == Balance(Money(9850, EUR))
    bare = {name: value for name, value in told.items() if name not in {"balance", "currency"}}
    assert reply(call, {**bare, "country": "Malta", "jurisdiction": 7}, dialect=INFO) == WalletApplied()


@repeatable
@given(raw=st.binary(max_size=200), name=st.sampled_from(list(CALLS)))
def test_no_garbage_is_success_or_a_fault(raw: bytes, name: str) -> None:
    assert isinstance(reply(CALLS[name], raw), WalletUnknown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@repeatable
@given(
    name=st.sampled_from(list(CALLS)), field=st.sampled_from(["user", "status", "request_uuid", "currency"]), to=JSON
)
def test_no_changed_field_of_an_answer_is_believed(name: str, field: str, to: Any) -> None:
    assert isinstance(reply(CALLS[name], answer(CALLS[name], **{field: to})), WalletUnknown)


# --- money ------------------------------------------------------------------------------------------------------------


def test_the_amounts_of_the_sheet() -> None:
    assert amounts.write(Money(356, EUR)) == 356_000
    assert amounts.read(356_000, EUR) == 356


@repeatable
@given(minor=st.integers(0, MAX_MINOR), scale=st.integers(0, 9))
def test_an_amount_is_read_back_as_it_was_written_or_not_written(minor: int, scale: int) -> None:
    currency = Currency("XYZ", scale)
    try:
        sent = amounts.write(Money(minor, currency))
    except AmountError:
        assert minor % 10 ** max(scale - 5, 0) or minor * 10 ** max(5 - scale, 0) > MAX_MINOR
        return
    assert 0 <= sent <= MAX_MINOR
    assert amounts.read(sent, currency) == minor


def test_a_balance_is_cut_and_a_deficit_shows_as_zero() -> None:
    assert reply(BALANCE, answer(BALANCE, balance=9_850_999)).balance == Balance(Money(9850, EUR))
    assert reply(BALANCE, answer(BALANCE, balance=-5)).balance == Balance(Money(0, EUR))


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"url": "wallet.example"}, "url"),
        ({"url": "https://wallet.example/#a"}, "url"),
        ({"url": "https://[wallet.example"}, "url"),
        ({"url": "https://user:word@wallet.example"}, "url"),
        ({"url": URL, "paths": {"stake": "/bet"}}, "paths.stake"),
        ({"url": URL, "paths": {"bet": "bet"}}, "paths.bet"),
        ({"url": URL, "paths": {"bet": "/transaction/win"}}, "paths"),
        ({"url": URL, "signature_header": "X Signature"}, "signature_header"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Hub88WalletSettings(**wrong)
    assert caught.value.where == where
