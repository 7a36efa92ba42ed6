"""How the hub speaks the native protocol, and what it makes of every kind of answer."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pluggy
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from croupier.contract import (
    MAX_MINOR,
    AuthenticationError,
    Balance,
    Credentials,
    Currency,
    DeclineReason,
    Effect,
    Funding,
    Headers,
    HttpResponse,
    MalformedRequestError,
    Money,
    PlayContext,
    SettingsError,
    TransactionState,
    WalletApplied,
    WalletAuthenticate,
    WalletBalance,
    WalletBatch,
    WalletCall,
    WalletCapability,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletPlayer,
    WalletRefused,
    WalletStatus,
    WalletStatusReply,
    WalletUnknown,
)
from croupier_wallet_native import plugin
from croupier_wallet_native.dialect import MAX_ANSWER_BYTES, SPEC, NativeDialect, NativeSettings
from croupier_wallet_native.signing import verify

EUR = Currency("EUR", 2)
NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
NEW = "whsec_" + base64.b64encode(bytes(range(32))).decode()  # test keys
OLD = "whsec_" + base64.b64encode(bytes(range(100, 124))).decode()
KEYS = Credentials({"signing_secret": (NEW, OLD)})

DIALECT = NativeDialect(NativeSettings(url="https://wallet.example/croupier/"))
PLAYER = WalletPlayer(player="p-1", currency=EUR, session="s-1")
CONTEXT = PlayContext(
    provider="acme", connection="acme-main", game="acme:one", round="r-1", provider_round="77", round_closed=True
)
BET_ID = "6f2b8f3a-5d55-5e0c-9d59-2f0c1d7c8a01"
WIN_ID = "0c1b6a0e-2f7e-5a43-8a11-6f0f4f0b7c02"

repeatable = settings(deadline=None, derandomize=True)


def movement(operation: WalletOperation, transaction: str, minor: int = 150, **more: Any) -> WalletMovement:
    return WalletMovement(
        operation=operation, transaction=transaction, amount=Money(minor, EUR), kind=operation.value, **more
    )


BET = WalletMove(player=PLAYER, context=CONTEXT, movement=movement(WalletOperation.BET, BET_ID))
WIN = WalletMove(player=PLAYER, context=CONTEXT, movement=movement(WalletOperation.WIN, WIN_ID, target=BET_ID))
ROLLBACK = WalletMove(
    player=PLAYER,
    context=CONTEXT,
    movement=movement(WalletOperation.ROLLBACK, "rb-1", target=BET_ID, undoes=WalletOperation.BET),
)
TAKE_ALL = evolve(BET, movement=evolve(BET.movement, operator_decides=True))
BATCH = WalletBatch(player=PLAYER, context=CONTEXT, batch="batch-1", movements=(BET.movement, WIN.movement))
AUTHENTICATE = WalletAuthenticate(player=PLAYER, game="acme:one", provider="acme")
BALANCE = WalletBalance(player=PLAYER)
STATUS = WalletStatus(player=PLAYER, transaction=BET_ID)
CALLS: dict[str, WalletCall] = {
    "authenticate": AUTHENTICATE,
    "balance": BALANCE,
    "bet": BET,
    "win": WIN,
    "rollback": ROLLBACK,
    "batch": BATCH,
    "status": STATUS,
}
CASH = {"cash": 9850, "currency": "EUR"}
ACCEPTED: dict[str, dict[str, Any]] = {
    "authenticate": {"status": "ok", "player": "p-1", "balance": CASH},
    "balance": {"status": "ok", "player": "p-1", "balance": CASH},
    "bet": {"status": "ok", "transaction": BET_ID, "operator_transaction": "op-1", "balance": CASH},
    "win": {"status": "ok", "transaction": WIN_ID, "operator_transaction": "op-2", "balance": CASH},
    "rollback": {"status": "ok", "transaction": "rb-1", "operator_transaction": "op-3", "balance": CASH},
    "batch": {
        "status": "ok",
        "batch": "batch-1",
        "balance": CASH,
        "movements": [
            {"transaction": BET_ID, "operator_transaction": "op-1"},
            {"transaction": WIN_ID, "operator_transaction": "op-2"},
        ],
    },
    "status": {"status": "ok", "transaction": BET_ID, "state": "applied"},
}
each_call = pytest.mark.parametrize("name", list(CALLS))


def reply(call: WalletCall, answer: Any, status: int = 200) -> Any:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return DIALECT.reply(call, HttpResponse.json(body, status))


def sent(call: WalletCall) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(DIALECT.request(call, KEYS, NOW).body)
    return body


# --- requests ---------------------------------------------------------------------------------------------------------


def test_the_hub_finds_the_dialect_by_its_hook() -> None:
    manager = pluggy.PluginManager("croupier")
    manager.register(plugin)
    assert [plugin.__name__] == [name for name, _ in manager.list_name_plugin()]
    assert plugin.croupier_wallet_dialects() == [SPEC]
    assert SPEC.capabilities == frozenset(WalletCapability)
    assert isinstance(SPEC.create(NativeSettings(url="https://wallet.example")), NativeDialect)


@each_call
def test_every_request_names_the_operation_of_its_path(name: str) -> None:
    request = DIALECT.request(CALLS[name], KEYS, NOW)
    assert request.method == "POST"
    assert request.url == f"https://wallet.example/croupier/{name}"
    assert json.loads(request.body)["operation"] == name


@each_call
def test_every_request_is_signed_with_every_key(name: str) -> None:
    request = DIALECT.request(CALLS[name], KEYS, NOW)
    for key in (NEW, OLD):
        assert verify(request.headers, request.body, (key,), NOW)


@each_call
def test_a_repeat_differs_by_time_and_signature_alone(name: str) -> None:
    first = DIALECT.request(CALLS[name], KEYS, NOW)
    again = DIALECT.request(CALLS[name], KEYS, NOW + timedelta(minutes=9))
    changed = {left[0] for left, right in zip(first.headers, again.headers, strict=True) if left != right}
    assert changed == {"webhook-timestamp", "webhook-signature"}
    assert (first.url, first.body, first.effect) == (again.url, again.body, again.effect)


def test_money_is_signed_under_its_transaction_and_reads_under_their_content() -> None:
    def message_id(call: WalletCall) -> str | None:
        return DIALECT.request(call, KEYS, NOW).headers.get("webhook-id")

    assert (message_id(BET), message_id(BATCH)) == (BET_ID, "batch-1")
    assert message_id(STATUS) != message_id(evolve(STATUS, transaction=WIN_ID))
    assert len({message_id(call) for call in CALLS.values()}) == len(CALLS)


def test_only_what_moves_money_counts_as_having_an_effect() -> None:
    effects = {name: DIALECT.request(call, KEYS, NOW).effect for name, call in CALLS.items()}
    assert {name for name, effect in effects.items() if effect is Effect.IDEMPOTENT} == {
        "bet",
        "win",
        "rollback",
        "batch",
    }
    assert set(effects.values()) == {Effect.IDEMPOTENT, Effect.READ}


def test_a_bet_says_everything_that_is_known_of_it() -> None:
    call = evolve(
        BET,
        context=evolve(CONTEXT, grant="fr-9"),
        movement=evolve(
            BET.movement, amount=Money(0, EUR), kind="free_bet", stake=20, funding=Funding.OPERATOR, funds_required=5
        ),
    )
    assert sent(call) == {
        "operation": "bet",
        "player": "p-1",
        "session": "s-1",
        "currency": "EUR",
        "provider": "acme",
        "connection": "acme-main",
        "game": "acme:one",
        "round": "r-1",
        "provider_round": "77",
        "round_closed": True,
        "grant": "fr-9",
        "transaction": BET_ID,
        "amount": 0,
        "kind": "free_bet",
        "target": None,
        "undoes": None,
        "stake": 20,
        "funding": "operator",
        "funds_required": 5,
        "take_all": False,
    }


def test_a_rollback_names_what_it_undoes() -> None:
    body = sent(ROLLBACK)
    assert (body["target"], body["undoes"], body["amount"]) == (BET_ID, "bet", 150)


def test_the_largest_amount_goes_through_exactly() -> None:
    largest = evolve(BET, movement=evolve(BET.movement, amount=Money(MAX_MINOR, EUR)))
    assert sent(largest)["amount"] == MAX_MINOR


@pytest.mark.parametrize(
    "call",
    [
        evolve(ROLLBACK, movement=evolve(ROLLBACK.movement, target=None)),
        evolve(ROLLBACK, movement=evolve(ROLLBACK.movement, undoes=None)),
        evolve(ROLLBACK, movement=evolve(ROLLBACK.movement, undoes=WalletOperation.ROLLBACK)),
        evolve(BET, movement=evolve(BET.movement, amount=Money(150, Currency("SEK", 2)))),
        evolve(BET, movement=evolve(BET.movement, amount=Money(-1, EUR))),
        evolve(WIN, movement=evolve(WIN.movement, operator_decides=True)),
        evolve(BATCH, movements=()),
    ],
)
def test_a_call_that_contradicts_itself_is_never_sent(call: WalletCall) -> None:
    with pytest.raises(MalformedRequestError):
        DIALECT.request(call, KEYS, NOW)


def test_without_a_secret_nothing_is_sent() -> None:
    with pytest.raises(SettingsError) as caught:
        DIALECT.request(BET, Credentials(), NOW)
    assert caught.value.where == "secrets.signing_secret"


def test_a_path_may_be_the_operators_own() -> None:
    dialect = NativeDialect(NativeSettings(url="https://wallet.example/v2", paths={"bet": "/debit"}))
    assert dialect.request(BET, KEYS, NOW).url == "https://wallet.example/v2/debit"
    assert dialect.request(WIN, KEYS, NOW).url == "https://wallet.example/v2/win"


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"url": "wallet.example"}, "url"),
        ({"url": "ftp://wallet.example"}, "url"),
        ({"url": "https://[wallet.example"}, "url"),
        ({"url": "https://wallet.example/?a=1"}, "url"),
        ({"url": "https://name:word@wallet.example"}, "url"),
        ({"url": "https://wallet.example", "paths": {"debit": "/debit"}}, "paths.debit"),
        ({"url": "https://wallet.example", "paths": {"bet": "debit"}}, "paths.bet"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_their_place(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        NativeSettings(**settings)
    assert caught.value.where == where
    assert "word" not in str(caught.value)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_an_applied_bet_tells_balance_and_the_operators_id() -> None:
    answer = {**ACCEPTED["bet"], "balance": {"cash": 9850, "bonus": 7, "currency": "EUR"}}
    assert reply(BET, answer) == WalletApplied(
        balance=Balance(Money(9850, EUR), Money(7, EUR)), operator_transactions={BET_ID: "op-1"}
    )


def test_a_rollback_of_nothing_says_so() -> None:
    assert reply(ROLLBACK, {**ACCEPTED["rollback"], "nothing_moved": True}).nothing_moved
    assert not reply(ROLLBACK, ACCEPTED["rollback"]).nothing_moved


def test_an_amount_that_the_operator_decides_is_read_and_must_be_enough() -> None:
    assert reply(TAKE_ALL, {**ACCEPTED["bet"], "amount": 9999}).amounts == {BET_ID: 9999}
    assert isinstance(reply(TAKE_ALL, {**ACCEPTED["bet"], "amount": 149}), WalletUnknown)
    assert isinstance(reply(TAKE_ALL, ACCEPTED["bet"]), WalletUnknown)


def test_another_amount_than_asked_for_is_not_believed() -> None:
    assert isinstance(reply(BET, {**ACCEPTED["bet"], "amount": 150}), WalletApplied)
    assert isinstance(reply(BET, {**ACCEPTED["bet"], "amount": 151}), WalletUnknown)


def test_the_players_facts_are_read() -> None:
    answer = {
        **ACCEPTED["authenticate"],
        "country": "SE",
        "language": "sv",
        "jurisdiction": "SE",
        "display_name": "Åke",
    }
    assert reply(AUTHENTICATE, answer).facts == {
        "country": "SE",
        "language": "sv",
        "jurisdiction": "SE",
        "display_name": "Åke",
    }


def test_a_batch_tells_the_operators_id_of_each_movement() -> None:
    assert reply(BATCH, ACCEPTED["batch"]) == WalletApplied(
        balance=Balance(Money(9850, EUR)), operator_transactions={BET_ID: "op-1", WIN_ID: "op-2"}
    )


@pytest.mark.parametrize("state", list(TransactionState))
def test_every_state_of_a_transaction_is_read(state: TransactionState) -> None:
    answer = {**ACCEPTED["status"], "state": state.value, "balance": CASH}
    assert reply(STATUS, answer) == WalletStatusReply(state=state, balance=Balance(Money(9850, EUR)))


def refusal(name: str, **more: Any) -> dict[str, Any]:
    echo = {"batch": "batch", "authenticate": "player", "balance": "player"}.get(name, "transaction")
    return {"status": "refused", "reason": "other", echo: ACCEPTED[name][echo], **more}


@each_call
def test_every_operation_can_be_refused(name: str) -> None:
    answer = refusal(name, reason="player_blocked", message="Call us.\nPlease.", balance=CASH)
    assert reply(CALLS[name], answer) == WalletRefused(
        reason=DeclineReason.PLAYER_BLOCKED, message="Call us.\nPlease.", balance=Balance(Money(9850, EUR))
    )


@pytest.mark.parametrize("reason", list(DeclineReason))
def test_a_repeat_is_never_taken_for_a_refusal(reason: DeclineReason) -> None:
    answer = reply(BET, refusal("bet", reason=reason.value))
    if reason in {DeclineReason.DUPLICATE, DeclineReason.CANCELLED}:
        assert isinstance(answer, WalletUnknown)
    else:
        assert answer == WalletRefused(reason=reason)


def test_a_reason_of_a_later_version_is_still_a_refusal() -> None:
    assert reply(BET, refusal("bet", reason="eclipse_of_the_moon")).reason is DeclineReason.OTHER
    for reason in ("", "Eclipse", "a b", "a\n", 7, None):
        assert isinstance(reply(BET, refusal("bet", reason=reason)), WalletUnknown)


@each_call
@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 404, 409, 429, 500, 503])
def test_any_status_but_200_tells_nothing(name: str, status: int) -> None:
    assert isinstance(reply(CALLS[name], ACCEPTED[name], status), WalletUnknown)
    assert isinstance(reply(CALLS[name], refusal(name), status), WalletUnknown)


@each_call
def test_an_answer_about_something_else_tells_nothing(name: str) -> None:
    echo = {"batch": "batch", "authenticate": "player", "balance": "player"}.get(name, "transaction")
    for good in (ACCEPTED[name], refusal(name)):
        without = {key: value for key, value in good.items() if key != echo}
        for answer in ({**good, echo: "another"}, {**good, echo: None}, without):
            assert isinstance(reply(CALLS[name], answer), WalletUnknown)


@pytest.mark.parametrize(
    "cash",
    [True, False, None, -1, 1.0, 98.5, "9850", MAX_MINOR + 1, [], {}],
)
def test_a_balance_that_is_no_whole_number_from_zero_tells_nothing(cash: Any) -> None:
    for field in ("cash", "bonus"):
        if field == "bonus" and cash is None:
            continue
        answer = {**ACCEPTED["bet"], "balance": {**CASH, field: cash}}
        assert isinstance(reply(BET, answer), WalletUnknown)
        assert isinstance(reply(BET, refusal("bet", balance={**CASH, field: cash})), WalletUnknown)


@pytest.mark.parametrize("currency", ["SEK", "eur", "", None, 978])
def test_a_foreign_currency_tells_nothing(currency: Any) -> None:
    for good in (ACCEPTED["bet"], refusal("bet")):
        assert isinstance(reply(BET, {**good, "balance": {"cash": 1, "currency": currency}}), WalletUnknown)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"null",
        b"[]",
        b"true",
        b'{"status":"ok"',
        b"<html>",
        b"\xff\xfe",
        b'{"status":"ok","status":"ok"}',
        b'{"status":NaN}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_tells_nothing(body: bytes) -> None:
    for call in CALLS.values():
        assert isinstance(reply(call, body), WalletUnknown)


@pytest.mark.parametrize("identifier", ["", "a b", "op\n", "op\u0000", "é", "x" * 201, 7, None, "\ud800"])
def test_an_operator_id_that_could_not_be_kept_tells_nothing(identifier: Any) -> None:
    assert isinstance(reply(BET, {**ACCEPTED["bet"], "operator_transaction": identifier}), WalletUnknown)


def test_text_that_could_not_be_stored_tells_nothing() -> None:
    for text in ("\ud800", "a\u0000b"):
        assert isinstance(reply(AUTHENTICATE, {**ACCEPTED["authenticate"], "display_name": text}), WalletUnknown)
        assert isinstance(reply(BET, refusal("bet", message=text)), WalletUnknown)


def test_an_answer_that_is_far_too_large_tells_nothing() -> None:
    padded = json.dumps(ACCEPTED["bet"]).encode().ljust(MAX_ANSWER_BYTES)
    assert isinstance(reply(BET, padded), WalletApplied)
    assert isinstance(reply(BET, padded + b" "), WalletUnknown)


def test_nothing_moved_is_not_an_answer_to_a_bet_or_a_win() -> None:
    for name in ("bet", "win"):
        assert isinstance(reply(CALLS[name], {**ACCEPTED[name], "nothing_moved": True}), WalletUnknown)


def test_a_batch_that_is_answered_in_part_or_out_of_order_tells_nothing() -> None:
    first, second = ACCEPTED["batch"]["movements"]
    for movements in ([], [first], [second, first], [first, first], [first, second, second]):
        assert isinstance(reply(BATCH, {**ACCEPTED["batch"], "movements": movements}), WalletUnknown)


@each_call
def test_an_answer_without_one_of_its_fields_tells_nothing(name: str) -> None:
    assert not isinstance(reply(CALLS[name], ACCEPTED[name]), WalletUnknown)
    for field in ACCEPTED[name]:
        answer = {key: value for key, value in ACCEPTED[name].items() if key != field}
        assert isinstance(reply(CALLS[name], answer), WalletUnknown), field


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert reply(BET, {**ACCEPTED["bet"], "colour": "red"}) == reply(BET, ACCEPTED["bet"])


def test_the_detail_of_a_bad_answer_repeats_none_of_it() -> None:
    hidden = "anna.andersson@mail.example"
    for answer in (
        {**ACCEPTED["bet"], "status": hidden},
        {**ACCEPTED["bet"], "transaction": hidden},
        refusal("bet", reason=hidden),
        {**ACCEPTED["bet"], "balance": {"cash": hidden, "currency": "EUR"}},
        {**ACCEPTED["bet"], "balance": {"cash": 1, "currency": "anna.anderss"}},
    ):
        told = reply(BET, answer)
        assert isinstance(told, WalletUnknown)
        assert "anna" not in told.detail
    told = reply(STATUS, {**ACCEPTED["status"], "state": f"x'\n - at `{hidden}"})
    assert "anna" not in told.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@repeatable
@given(
    body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), name=st.sampled_from(list(CALLS))
)
def test_no_bytes_break_the_reader_and_garbage_is_never_an_answer(body: bytes, name: str) -> None:
    assert isinstance(reply(CALLS[name], body), WalletUnknown)


@repeatable
@given(data=st.data(), name=st.sampled_from(list(CALLS)))
def test_an_answer_with_one_field_replaced_is_unknown_or_still_tells_the_truth(data: st.DataObject, name: str) -> None:
    field = data.draw(st.sampled_from(sorted(ACCEPTED[name])))
    value = data.draw(JSON)
    told = reply(CALLS[name], {**ACCEPTED[name], field: value})
    if not isinstance(told, WalletUnknown):
        # Only the operator's own id may be anything; all else was the truth already.
        assert field == "operator_transaction" or value == ACCEPTED[name][field]


@repeatable
@given(cut=st.integers(min_value=0), name=st.sampled_from(list(CALLS)))
def test_a_truncated_answer_tells_nothing(cut: int, name: str) -> None:
    whole = json.dumps(ACCEPTED[name]).encode()
    assert isinstance(reply(CALLS[name], whole[: cut % len(whole)]), WalletUnknown)


def test_a_request_whose_body_was_changed_can_be_signed_anew() -> None:
    request = DIALECT.request(BET, KEYS, NOW)
    changed = evolve(request, body=request.body.replace(b"150", b"-15"))
    with pytest.raises(AuthenticationError):
        verify(changed.headers, changed.body, (NEW,), NOW)
    later = NOW + timedelta(seconds=5)
    again = DIALECT.signed_anew(changed, KEYS, later)
    assert verify(again.headers, changed.body, (OLD,), later) == BET_ID
    assert (again.url, again.body, again.effect) == (request.url, changed.body, request.effect)
    assert [name for name, _ in again.headers] == [name for name, _ in request.headers]


def test_what_has_no_message_id_is_not_signed_anew() -> None:
    request = evolve(DIALECT.request(BET, KEYS, NOW), headers=Headers())
    with pytest.raises(MalformedRequestError):
        DIALECT.signed_anew(request, KEYS, NOW)
