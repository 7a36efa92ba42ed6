"""What Hub88 asks is understood as its documents say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from croupier.contract import (
    BalanceQuery,
    Call,
    Calls,
    Currencies,
    Funding,
    HttpRequest,
    MalformedRequestError,
    Movement,
    MovementKind,
    Play,
    PlayerLookup,
    SettingsError,
    UnsupportedOperationError,
    Verified,
    WireAmount,
    write_json,
)
from croupier_hub88.adapter import Hub88Adapter
from croupier_hub88.settings import Hub88Settings

SETTINGS = Hub88Settings(api_url="https://api.hub88.example", operator_id=1)
ADAPTER = Hub88Adapter(SETTINGS)

# The example values of the documents.
WHO: dict[str, Any] = {"user": "john12345", "request_uuid": "583c985f-fee6-4c0e-bbf5-308aad6265af"}
BET: dict[str, Any] = WHO | {
    "transaction_uuid": "16d2dcfe-b89e-11e7-854a-58404eea6d16",
    "supplier_transaction_id": "41ecc3ad-b181-4235-bf9d-acf0a7ad9730",
    "token": "55b7518e-b89e-11e7-81be-58404eea6d16",
    "supplier_user": "cg_45141",
    "round_closed": True,
    "round": "rNEMwgzJAOZ6eR3V",
    "reward_uuid": "a28f93f2-98c5-41f7-8fbb-967985acf8fe",
    "is_free": False,
    "is_aggregated": False,
    "game_code": "clt_dragonrising",
    "currency": "EUR",
    "bet": "zero",
    "amount": 356000,
    "meta": {"selection": "home_team", "odds": Decimal("1.5")},
}
WIN: dict[str, Any] = BET | {
    "transaction_uuid": "16d2dcfe-b89e-11e7-854a-58404eea6d17",
    "reference_transaction_uuid": "16d2dcfe-b89e-11e7-854a-58404eea6d16",
}
ROLLBACK: dict[str, Any] = {
    name: value for name, value in WIN.items() if name not in {"amount", "currency", "bet", "meta", "is_free"}
}


def parsed(path: str, body: dict[str, Any], adapter: Hub88Adapter = ADAPTER, method: str = "POST") -> Calls:
    return adapter.parse(Verified(HttpRequest(method, path, body=write_json(body))))


def one(path: str, body: dict[str, Any], adapter: Hub88Adapter = ADAPTER) -> Call:
    (call,) = parsed(path, body, adapter).items
    return call


def played(path: str, body: dict[str, Any], adapter: Hub88Adapter = ADAPTER) -> tuple[Play, Movement]:
    play = one(path, body, adapter)
    assert isinstance(play, Play)
    (movement,) = play.movements
    return play, movement


def minor(amount: object) -> int:
    assert isinstance(amount, WireAmount)
    return amount.to_minor(Currencies().get("EUR"))


def test_a_players_facts_are_asked_for_by_name() -> None:
    calls = parsed("/user/info", WHO)
    assert calls.items == (PlayerLookup(operation="info", player="john12345"),)
    assert calls.echo == WHO


@pytest.mark.parametrize("game", ["clt_dragonrising", None])
def test_a_balance_is_asked_for_with_a_token_and_perhaps_a_game(game: str | None) -> None:
    asked = one("/user/balance", WHO | {"token": "f562a685-a160", "game_code": game})
    assert asked == BalanceQuery(operation="balance", player="john12345", session="f562a685-a160", game=game)


def test_a_bet_is_read_as_the_documents_say() -> None:
    play, bet = played("/transaction/bet", BET)
    assert (play.operation, play.player, play.round) == ("bet", "john12345", "rNEMwgzJAOZ6eR3V")
    assert (play.session, play.game) == ("55b7518e-b89e-11e7-81be-58404eea6d16", "clt_dragonrising")
    assert (play.currency, play.closes_round, play.grant) == ("EUR", True, None)
    assert (bet.kind, minor(bet.amount)) == (MovementKind.BET, 356)
    assert [(key.namespace, key.value) for key in bet.keys] == [("transaction", "16d2dcfe-b89e-11e7-854a-58404eea6d16")]
    assert bet.facts is not None
    assert bet.facts.details == {
        "supplier_transaction_id": "41ecc3ad-b181-4235-bf9d-acf0a7ad9730",
        "bet": "zero",
    }


def test_a_win_names_its_bet() -> None:
    play, win = played("/transaction/win", WIN)
    assert (play.operation, win.kind, minor(win.amount)) == ("win", MovementKind.WIN, 356)
    assert win.target is not None
    assert win.target.key is not None
    assert win.target.key.value == "16d2dcfe-b89e-11e7-854a-58404eea6d16"
    assert win.target.key.namespace == win.keys[0].namespace


@pytest.mark.parametrize("reference", [{}, {"reference_transaction_uuid": None}])
def test_only_a_suppliers_promotion_pays_without_a_bet(reference: dict[str, Any]) -> None:
    bare = {name: value for name, value in WIN.items() if name != "reference_transaction_uuid"} | reference
    _, promotion = played("/transaction/win", bare | {"is_supplier_promo": True})
    assert (promotion.kind, promotion.target, minor(promotion.amount)) == (MovementKind.PROMO_WIN, None, 356)
    _, of_a_bet = played("/transaction/win", WIN | {"is_supplier_promo": True})
    assert of_a_bet.kind is MovementKind.WIN
    assert of_a_bet.target is not None
    with pytest.raises(MalformedRequestError):
        parsed("/transaction/win", bare | {"is_supplier_promo": False})


def test_a_rollback_names_what_it_undoes_and_no_amount() -> None:
    play, rollback = played("/transaction/rollback", ROLLBACK)
    assert (play.operation, rollback.kind, rollback.amount) == ("rollback", MovementKind.ROLLBACK, None)
    assert rollback.target is not None
    assert rollback.target.key is not None
    assert rollback.target.key.value == "16d2dcfe-b89e-11e7-854a-58404eea6d16"


@pytest.mark.parametrize("path", ["/transaction/win", "/transaction/rollback"])
def test_a_win_and_a_rollback_are_not_refused_for_lack_of_what_the_hub_does_not_need(path: str) -> None:
    body = {name: value for name, value in WIN.items() if name not in {"token", "game_code"}}
    play, _ = played(path, body)
    assert (play.session, play.game) == (None, None)


def test_a_free_bet_charges_nothing_and_keeps_its_value() -> None:
    play, bet = played("/transaction/bet", BET | {"is_free": True})
    assert (bet.kind, minor(bet.amount), minor(bet.stake)) == (MovementKind.FREE_BET, 0, 356)
    assert (play.grant, bet.funding) == ("a28f93f2-98c5-41f7-8fbb-967985acf8fe", Funding.OPERATOR)
    play, win = played("/transaction/win", WIN | {"is_free": True})
    assert (play.grant, win.kind) == ("a28f93f2-98c5-41f7-8fbb-967985acf8fe", MovementKind.FREE_WIN)
    assert minor(win.amount) == 356


def test_a_suppliers_own_promotion_is_the_suppliers_to_pay() -> None:
    _, bet = played("/transaction/bet", BET | {"is_free": True, "is_supplier_promo": True, "is_aggregated": True})
    assert bet.funding is Funding.PROVIDER
    assert bet.facts is not None
    assert bet.facts.details["is_supplier_promo"] == bet.facts.details["is_aggregated"] == "true"


def test_where_free_bets_are_charged_they_are_bets_like_any_other() -> None:
    charging = Hub88Adapter(Hub88Settings(api_url="https://api.hub88.example", operator_id=1, charge_free_bets=True))
    play, bet = played("/transaction/bet", BET | {"is_free": True}, charging)
    assert (bet.kind, minor(bet.amount), play.grant) == (MovementKind.BET, 356, None)
    _, win = played("/transaction/win", WIN | {"is_free": True}, charging)
    assert win.kind is MovementKind.WIN


@pytest.mark.parametrize(
    ("path", "body", "missing"),
    [
        *[("/user/info", WHO, name) for name in WHO],
        *[("/user/balance", WHO | {"token": "f562a685-a160"}, name) for name in (*WHO, "token")],
        *[
            ("/transaction/bet", BET, name)
            for name in (*WHO, "transaction_uuid", "token", "round", "game_code", "currency", "amount")
        ],
        *[
            ("/transaction/win", WIN, name)
            for name in (*WHO, "transaction_uuid", "reference_transaction_uuid", "round", "currency", "amount")
        ],
        *[
            ("/transaction/rollback", ROLLBACK, name)
            for name in (*WHO, "transaction_uuid", "reference_transaction_uuid", "round")
        ],
    ],
)
def test_a_request_without_a_required_field_is_refused_by_its_name(
    path: str, body: dict[str, Any], missing: str
) -> None:
    with pytest.raises(MalformedRequestError) as caught:
        parsed(path, {name: value for name, value in body.items() if name != missing})
    assert caught.value.where == missing


@pytest.mark.parametrize(
    "amount", ["356000", -1, True, None, Decimal("1.5"), Decimal("356000.0"), 2**63, [], {}], ids=str
)
def test_an_amount_is_a_whole_number_of_64_bits_from_zero(amount: object) -> None:
    with pytest.raises(MalformedRequestError):
        parsed("/transaction/bet", BET | {"amount": amount})


@pytest.mark.parametrize("name", ["is_free", "round_closed", "is_aggregated", "is_supplier_promo"])
def test_a_mark_is_true_or_false(name: str) -> None:
    with pytest.raises(MalformedRequestError):
        parsed("/transaction/bet", BET | {name: "true"})


def test_a_token_of_255_characters_is_read_and_a_longer_one_is_none() -> None:
    play, _ = played("/transaction/bet", BET | {"token": "t" * 255})
    assert play.session == "t" * 255
    with pytest.raises(MalformedRequestError):
        parsed("/transaction/bet", BET | {"token": "t" * 256})


def test_fields_that_nobody_knows_are_passed_over() -> None:
    assert parsed("/transaction/bet", BET | {"new_field": {"kind": "NEW_ENUM"}}) == parsed("/transaction/bet", BET)


@pytest.mark.parametrize(("method", "path"), [("GET", "/user/info"), ("POST", "/user"), ("POST", "/transaction/bets")])
def test_another_method_or_address_is_none_of_the_protocols(method: str, path: str) -> None:
    with pytest.raises(UnsupportedOperationError):
        parsed(path, WHO, method=method)


@pytest.mark.parametrize(
    ("where", "settings"),
    [
        ("settings.api_url", {"api_url": "api.hub88.example"}),
        ("settings.api_url", {"api_url": "https://api.hub88.example?a=b"}),
        ("settings.operator_id", {"operator_id": 0}),
        ("settings.sub_partner_id", {"sub_partner_id": ""}),
        ("settings.reward_reference", {"reward_reference": "my reference"}),
        ("settings.log_window_minutes", {"log_window_minutes": 0}),
        ("settings.log_window_minutes", {"log_window_minutes": 1441}),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_its_path(where: str, settings: dict[str, Any]) -> None:
    given: dict[str, Any] = {"api_url": "https://api.hub88.example", "operator_id": 1} | settings
    with pytest.raises(SettingsError) as caught:
        Hub88Adapter(Hub88Settings(**given))
    assert caught.value.where == where
