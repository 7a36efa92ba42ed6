"""What the provider asks: every method of the sheet read as it was meant, and refused where it is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    AmountError,
    Authenticate,
    AuthenticationError,
    BalanceQuery,
    Call,
    Credentials,
    HttpRequest,
    LateOriginal,
    MalformedRequestError,
    MovementKey,
    MovementKind,
    OnSilence,
    Play,
    RetryClass,
    RoundEnd,
    SettingsError,
    Target,
    UnknownRollback,
    UnsupportedOperationError,
    WinWithoutBet,
    WireAmount,
)
from croupier_evolution.adapter import EvolutionAdapter
from croupier_evolution.settings import EvolutionSettings
from croupier_evolution.wire import basic

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = Credentials({"auth_token": ("s3cr3t",)})
SETTINGS = EvolutionSettings(api_url="https://evolution.example", casino_key="acme0001")
GAME = {"id": "round-1", "type": "roulette", "details": {"table": {"id": "table-1", "vid": "virtual-1"}}}
WHO = {"sid": "sid-1", "userId": "p-1", "uuid": "u-1"}
TRANSACTION = {"id": "D-1", "refId": "ref-1", "amount": 0}
MONEY = {**WHO, "currency": "EUR", "game": GAME}

adapter = EvolutionAdapter(SETTINGS)


def request(method: str, body: Any, token: str = "authToken=s3cr3t") -> HttpRequest:
    text = body if isinstance(body, str) else json.dumps(body)
    return HttpRequest("POST", f"/{method}?{token}", body=text.encode())


def read(method: str, body: Any, settings: EvolutionSettings = SETTINGS) -> Call:
    known = EvolutionAdapter(settings)
    (call,) = known.parse(known.verify(request(method, body), KEYS, NOW)).items
    return call


def played(method: str, body: Any) -> Play:
    call = read(method, body)
    assert isinstance(call, Play)
    return call


# --- the proof --------------------------------------------------------------------------------------------------------


def test_the_token_in_the_query_is_the_proof() -> None:
    assert adapter.verify(request("debit", {}), KEYS, NOW).request.path == "/debit"


@pytest.mark.parametrize(
    "token",
    ["", "authToken=", "authToken=s3cr3t1", "authtoken=s3cr3t", "authToken=s3cr3t&authToken=s3cr3t", "token=s3cr3t"],
)
def test_another_token_or_two_are_not_believed(token: str) -> None:
    with pytest.raises(AuthenticationError):
        adapter.verify(request("debit", {}, token), KEYS, NOW)


def test_while_the_token_is_changed_both_are_believed() -> None:
    both = Credentials({"auth_token": ("new", "s3cr3t")})
    for token in ("new", "s3cr3t"):
        adapter.verify(request("debit", {}, f"authToken={token}"), both, NOW)


def test_without_a_token_of_its_own_the_connection_believes_nobody() -> None:
    for keys in (Credentials(), Credentials({"auth_token": ("",)})):
        with pytest.raises(AuthenticationError):
            adapter.verify(request("debit", {}, "authToken="), keys, NOW)


def test_basic_authorization_is_the_published_one() -> None:
    assert basic("acme0001", "tok").get("Authorization") == "Basic YWNtZTAwMDE6dG9r"


# --- the methods ------------------------------------------------------------------------------------------------------


def test_a_check_exchanges_the_launch_token_of_a_named_player_for_a_session_id() -> None:
    call = read("check", {**WHO, "channel": {"type": "P"}})
    assert call == Authenticate(operation="check", token="sid-1", player="p-1", rotate=True)


@pytest.mark.parametrize(("renews", "flags"), [("never", (False, False)), ("every", (True, True))])
def test_a_check_keeps_the_session_id_or_replaces_it_as_the_setting_says(renews: str, flags: object) -> None:
    call = read("check", WHO, evolve(SETTINGS, renew_sid=renews))
    assert isinstance(call, Authenticate)
    assert (call.rotate, call.renew) == flags


@pytest.mark.parametrize(("game", "table"), [(None, None), (GAME, "table-1")])
def test_a_balance_is_asked_with_a_game_or_without(game: object, table: str | None) -> None:
    call = read("balance", {**WHO, "currency": "EUR", "game": game})
    assert call == BalanceQuery(operation="balance", player="p-1", session="sid-1", currency="EUR", game=table)


def test_a_debit_is_the_bet_of_its_reference() -> None:
    play = played("debit", {**MONEY, "transaction": {"id": "D-1", "refId": "ref-1", "amount": 12.345678}})
    assert (play.player, play.session, play.round, play.game) == ("p-1", "sid-1", "round-1", "table-1")
    (bet,) = play.movements
    assert (bet.kind, bet.keys, bet.reference) == (MovementKind.BET, (MovementKey("bet", "ref-1"),), "ref-1")
    assert bet.amount == WireAmount(Decimal("12.345678"), currency="EUR")
    assert not play.closes_round


def test_a_credit_pays_the_bet_of_its_reference_under_an_id_of_its_own() -> None:
    play = played("credit", {**MONEY, "transaction": {"id": "C-1", "refId": "ref-1", "amount": 0}})
    (win,) = play.movements
    assert (win.kind, win.keys) == (MovementKind.WIN, (MovementKey("credit", "C-1"),))
    assert win.target == Target(key=MovementKey("bet", "ref-1"))
    assert win.amount == WireAmount(Decimal(0), currency="EUR")


def test_a_cancel_undoes_the_bet_of_its_reference_whole() -> None:
    play = played("cancel", {**MONEY, "transaction": {"id": "D-1", "refId": "ref-1", "amount": 5}})
    (undo,) = play.movements
    assert (undo.kind, undo.keys) == (MovementKind.ROLLBACK, (MovementKey("cancel", "ref-1"),))
    assert (undo.target, undo.amount) == (Target(key=MovementKey("bet", "ref-1")), None)


@pytest.mark.parametrize(
    ("kind", "is_a"),
    [
        ("JackpotWin", MovementKind.JACKPOT_WIN),
        ("FreeRoundPlayableSpent", MovementKind.PROMO_WIN),
        ("a type that nobody has heard of", MovementKind.PROMO_WIN),
    ],
)
@pytest.mark.parametrize("game", [None, GAME])
def test_a_payout_is_a_win_in_no_round_whatever_its_type(kind: str, is_a: MovementKind, game: object) -> None:
    promo = {"type": kind, "id": "P-1", "amount": 7.5, "voucherId": "v-1", "remainingRounds": 0, "other": {}}
    play = played("promo_payout", {**WHO, "currency": "EUR", "game": game, "promoTransaction": promo})
    (paid,) = play.movements
    assert (paid.kind, paid.keys, play.round) == (is_a, (MovementKey("promo", "P-1"),), None)
    assert paid.facts is not None
    where = {} if game is None else {"round": "round-1"}
    assert paid.facts.details == {"type": kind, "voucherId": "v-1", "remainingRounds": "0", **where}


@pytest.mark.parametrize("game", [{}, {"id": 7, "type": None}, {"details": {"table": {"vid": "v"}}}, {"details": []}])
def test_no_payout_is_refused_over_a_game_that_is_half_told(game: object) -> None:
    promo = {"type": "JackpotWin", "id": "P-1", "amount": 7.5}
    play = played("promo_payout", {**WHO, "currency": "EUR", "game": game, "promoTransaction": promo})
    assert (play.movements[0].amount, play.game) == (WireAmount(Decimal("7.5"), currency="EUR"), None)


@pytest.mark.parametrize("amount", ["0.000001", "12345678901234567.123456"])
def test_six_digits_of_an_amount_are_read_exactly(amount: str) -> None:
    body = json.dumps({**MONEY, "transaction": {"id": "D", "refId": "r", "amount": "@"}}).replace('"@"', amount)
    (bet,) = played("debit", body).movements
    assert bet.amount == WireAmount(Decimal(amount), currency="EUR")


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["sid", "userId", "uuid", "currency", "game", "transaction"])
@pytest.mark.parametrize("method", ["debit", "credit", "cancel"])
def test_a_field_that_is_missing_is_named(method: str, field: str) -> None:
    body = {name: value for name, value in {**MONEY, "transaction": TRANSACTION}.items() if name != field}
    with pytest.raises(MalformedRequestError) as refused:
        read(method, body)
    assert refused.value.where == field


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"game": {**GAME, "details": {}}}, "game.details.table"),
        ({"game": {**GAME, "details": {"table": {"vid": "v"}}}}, "game.details.table.id"),
        ({"game": []}, "game"),
        ({"transaction": {"id": "D-1", "amount": 1}}, "transaction.refId"),
        ({"transaction": {"id": "D-1", "refId": 7, "amount": 1}}, "transaction.refId"),
        ({"transaction": {"id": "D-1", "refId": "r", "amount": -1}}, "transaction.amount"),
        ({"transaction": {"id": "D-1", "refId": "r"}}, "transaction.amount"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_path(change: dict[str, object], where: str) -> None:
    with pytest.raises(MalformedRequestError) as refused:
        read("debit", {**MONEY, "transaction": TRANSACTION, **change})
    assert refused.value.where == where


@pytest.mark.parametrize("amount", ['"1e3"', '"NaN"', "true", "[]"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    body = json.dumps({**MONEY, "transaction": {"id": "D", "refId": "r", "amount": "@"}}).replace('"@"', amount)
    with pytest.raises(AmountError):
        read("debit", body)


@pytest.mark.parametrize("body", ["", "[]", "{", '{"sid":"a","sid":"b"}', '"text"'])
def test_what_is_no_object_is_refused(body: str) -> None:
    with pytest.raises(MalformedRequestError):
        read("debit", body)


@pytest.mark.parametrize("method", ["sid", "promo_debit", "promo_credit", "promo_cancel", "", "debit/more"])
def test_other_methods_are_not_there(method: str) -> None:
    with pytest.raises(UnsupportedOperationError):
        read(method, {**MONEY, "transaction": TRANSACTION})


def test_what_is_kept_of_a_request_has_no_token_no_session_and_no_player() -> None:
    body = {**MONEY, "transaction": TRANSACTION, "more": {"sid": "sid-1"}, "list": [{"userId": "p-1"}]}
    kept = adapter.redact(request("debit", body))
    assert kept.url == "/debit"
    assert json.loads(kept.body) == {
        "uuid": "u-1",
        "currency": "EUR",
        "game": {"id": "round-1", "type": "roulette", "details": {"table": {"id": "table-1", "vid": "virtual-1"}}},
        "transaction": TRANSACTION,
    }
    assert adapter.redact(request("debit", "{")).body == b""


@pytest.mark.parametrize(("api_url", "kept"), [("", "/ua/v1/"), ("/proxy", "/proxy/ua/v1/")])
def test_of_a_launch_the_token_is_not_kept_wherever_the_address_leads(api_url: str, kept: str) -> None:
    launch = HttpRequest("POST", f"https://evolution.example{api_url}/ua/v1/acme0001/a-test-token", body=b"{}")
    assert adapter.redact(launch).url == kept


# --- policies and settings --------------------------------------------------------------------------------------------


def test_the_policies_say_what_the_sheet_says() -> None:
    policies = adapter.policies
    for name in ("debit", "credit", "cancel"):
        policy = policies.of(name)
        assert (policy.unknown_rollback, policy.late_original) == (UnknownRollback.NOT_FOUND, LateOriginal.DECLINE)
        assert (policy.round_end, policy.wins_per_bet) == (RoundEnd.SETTLED, 1)
        assert (policy.win_without_bet, policy.own_token) == (WinWithoutBet.DECLINE, True)
    assert policies.of("debit").on_silence is OnSilence.CANCELS
    assert {policies.of(name).on_silence for name in ("credit", "cancel", "promo_payout")} == {OnSilence.RESENDS}
    assert policies.of("balance").session_for_balance


def test_what_is_owed_is_asked_for_again_and_a_bet_never() -> None:
    assert adapter.policies.of("debit").retry_class == {}
    for name in ("credit", "cancel", "promo_payout"):
        retried = adapter.policies.of(name).retry_class
        assert retried["player_blocked"] is RetryClass.RETRIED
        assert "session_unknown" not in retried


def test_foreign_session_ids_are_looked_at_for_bets_alone_where_the_setting_says_so() -> None:
    lenient = EvolutionAdapter(evolve(SETTINGS, refuse_foreign_sid=False)).policies
    assert not lenient.of("credit").own_token
    assert lenient.of("debit").session_for_bet


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"api_url": "evolution.example"}, "api_url"),
        ({"api_url": "https://evolution.example/?x=1"}, "api_url"),
        ({"casino_key": ""}, "casino_key"),
        ({"casino_key": "acme/0001"}, "casino_key"),
        ({"renew_sid": "always"}, "renew_sid"),
        ({"lobby_code": ""}, "lobby_code"),
        ({"balance_digits": 10}, "balance_digits"),
        ({"history_minutes": 0}, "history_minutes"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as refused:
        EvolutionAdapter(evolve(SETTINGS, **changes))
    assert refused.value.where == where
