"""What each request means, and what is refused as malformed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from croupier.contract import (
    MINOR,
    BalanceQuery,
    Calls,
    CloseRound,
    CroupierError,
    HttpRequest,
    MalformedRequestError,
    Movement,
    MovementKey,
    MovementKind,
    Notice,
    Play,
    PlayMode,
    RoundFacts,
    Target,
    Unit,
    UnsupportedOperationError,
    Verified,
    WireAmount,
)
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.settings import SoftswissSettings

ADAPTER = SoftswissAdapter(
    SoftswissSettings(api_url="https://provider.example/api", casino_id="acme", subunits={"ETH": 18})
)
WHO: dict[str, Any] = {"user_id": "p-1", "currency": "EUR", "game": "acceptance:test"}
BET: dict[str, Any] = {"action": "bet", "amount": 100, "action_id": "a1"}
WIN: dict[str, Any] = {"action": "win", "amount": 250, "action_id": "a2"}
UNDO: dict[str, Any] = {"action": "rollback", "action_id": "a3", "original_action_id": "a1"}
ROUND: dict[str, Any] = {**WHO, "game_id": "r-1"}


def parse(path: str, body: Any, adapter: SoftswissAdapter = ADAPTER) -> Calls:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return adapter.parse(Verified(HttpRequest("POST", path, body=raw)))


def key(value: str) -> MovementKey:
    return MovementKey("action", value)


def bet(amount: int = 100) -> Movement:
    return Movement(MovementKind.BET, keys=(key("a1"),), amount=WireAmount.of(amount, MINOR, "EUR"))


def win(amount: int = 250) -> Movement:
    return Movement(MovementKind.WIN, keys=(key("a2"),), amount=WireAmount.of(amount, MINOR, "EUR"))


def play(operation: str, *movements: Movement, closes: bool = False) -> Calls:
    call = Play(
        operation=operation,
        movements=movements,
        mode=PlayMode.ATOMIC,
        player="p-1",
        round="r-1",
        game="acceptance:test",
        currency="EUR",
        closes_round=closes,
    )
    return Calls((call,), {"game_id": "r-1"})


def test_a_play_without_actions_asks_for_the_balance() -> None:
    query = BalanceQuery(operation="balance", player="p-1", game="acceptance:test", currency="EUR")
    assert parse("/play", WHO) == Calls((query,))
    assert parse("/play", {**ROUND, "finished": False, "actions": []}) == Calls((query,))
    assert parse("/play/", {**WHO, "actions": None, "finished": None}) == Calls((query,))


@pytest.mark.parametrize("path", ["/play", "/rollback"])
def test_a_finished_round_without_actions_is_closed(path: str) -> None:
    call = CloseRound(operation="close_round", round="r-1", player="p-1", game="acceptance:test", currency="EUR")
    assert parse(path, {**ROUND, "finished": True}) == Calls((call,), {"game_id": "r-1"})


def test_a_bet_and_its_win_are_one_atomic_play_that_closes_the_round() -> None:
    body = {**ROUND, "finished": True, "actions": [BET, WIN], "session_id": "s-1"}
    assert parse("/play", body) == play("play", bet(), win(), closes=True)


def test_a_bet_alone_leaves_the_round_open() -> None:
    assert parse("/play", {**ROUND, "actions": [BET]}) == play("play", bet())


def test_wins_alone_are_an_operation_that_is_sent_again_rather_than_cancelled() -> None:
    assert parse("/play", {**ROUND, "actions": [WIN]}) == play("win", win())


def test_an_amount_of_zero_is_an_amount() -> None:
    assert parse("/play", {**ROUND, "actions": [{**BET, "amount": 0}]}) == play("play", bet(0))


def test_the_largest_amount_that_the_hub_holds_is_read_exactly() -> None:
    amount = 2**63 - 1
    assert parse("/play", {**ROUND, "actions": [{**BET, "amount": amount}]}) == play("play", bet(amount))


def test_a_rollback_has_its_own_key_beside_the_key_of_its_target() -> None:
    undo = Movement(MovementKind.ROLLBACK, keys=(key("a3"),), target=Target(key=key("a1")))
    assert parse("/rollback", {**ROUND, "actions": [UNDO]}) == play("rollback", undo)
    other = Movement(MovementKind.ROLLBACK, keys=(key("a4"),), target=Target(key=key("a2")))
    body = {**ROUND, "finished": True, "actions": [UNDO, {**UNDO, "action_id": "a4", "original_action_id": "a2"}]}
    assert parse("/rollback", body) == play("rollback", undo, other, closes=True)


def test_jackpot_fields_are_facts_that_move_nothing() -> None:
    raw = (
        b'{"user_id":"p-1","currency":"EUR","game":"acceptance:test","game_id":"r-1","actions":['
        b'{"action":"bet","amount":100,"action_id":"a1","jackpot_contribution":0.10},'
        b'{"action":"win","amount":250,"action_id":"a2","jackpot_win":"200.5"}]}'
    )
    (call,) = parse("/play", raw).items
    assert isinstance(call, Play)
    contribution = WireAmount(Decimal("0.10"), MINOR, "EUR")
    jackpot = WireAmount(Decimal("200.5"), MINOR, "EUR")
    assert [movement.facts for movement in call.movements] == [
        RoundFacts(jackpot_contribution=contribution),
        RoundFacts(jackpot_win=jackpot),
    ]
    assert [movement.amount for movement in call.movements] == [bet().amount, win().amount]


def test_a_currency_with_configured_subunits_is_read_in_them() -> None:
    body = {**ROUND, "currency": "ETH", "actions": [{**BET, "amount": 10**18}]}
    (call,) = parse("/play", body).items
    assert isinstance(call, Play)
    assert call.movements[0].amount == WireAmount.of(10**18, Unit(-18), "ETH")


@pytest.mark.parametrize("status", ["finished", "played", "expired", "canceled", "cancelled", "FINISHED"])
def test_the_end_of_free_spins_pays_their_total_once_an_issue(status: str) -> None:
    paid = Movement(
        MovementKind.BONUS_WIN, keys=(MovementKey("issue", "i-1"),), amount=WireAmount.of(1234, MINOR, None)
    )
    call = Play(operation="freespins", movements=(paid,), grant="i-1", closes_grant=True)
    assert parse("/freespins", {"issue_id": "i-1", "status": status, "total_amount": 1234}) == Calls((call,))


def test_free_spins_that_go_on_pay_nothing() -> None:
    notice = Notice(
        operation="freespins",
        subject="free_rounds",
        reference="i-1",
        facts={"status": "active", "total_amount": "1234"},
    )
    body = {"issue_id": "i-1", "status": "active", "total_amount": 1234}
    assert parse("/freespins", body) == Calls((notice,))


def test_a_configured_word_decides_whether_free_spins_ended() -> None:
    settings = SoftswissSettings(
        api_url="https://provider.example", casino_id="acme", final_statuses=("done",), ongoing_statuses=("played",)
    )
    adapter = SoftswissAdapter(settings)
    body = {"issue_id": "i-1", "status": "done", "total_amount": 1}
    assert isinstance(parse("/freespins", body, adapter).items[0], Play)
    assert isinstance(parse("/freespins", {**body, "status": "played"}, adapter).items[0], Notice)
    with pytest.raises(MalformedRequestError, match="status"):
        parse("/freespins", {**body, "status": "finished"}, adapter)


def test_the_callbacks_lie_below_the_configured_prefix() -> None:
    settings = SoftswissSettings(api_url="https://provider.example", casino_id="acme", callback_prefix="/wallet")
    adapter = SoftswissAdapter(settings)
    assert [(route.method, route.path) for route in adapter.routes()] == [
        ("POST", "/wallet/play"),
        ("POST", "/wallet/rollback"),
        ("POST", "/wallet/freespins"),
    ]
    assert isinstance(parse("/wallet/play", WHO, adapter).items[0], BalanceQuery)
    with pytest.raises(UnsupportedOperationError):
        parse("/play", WHO, adapter)


@pytest.mark.parametrize(("method", "path"), [("GET", "/play"), ("POST", "/process"), ("POST", "/"), ("POST", "")])
def test_other_methods_and_paths_are_not_supported(method: str, path: str) -> None:
    with pytest.raises(UnsupportedOperationError):
        ADAPTER.parse(Verified(HttpRequest(method, path, body=json.dumps(WHO).encode())))


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {field: value for field, value in body.items() if field != name}


MALFORMED: dict[str, tuple[str, Any]] = {
    "no JSON": ("/play", b"{"),
    "empty body": ("/play", b""),
    "not UTF-8": ("/play", b'{"user_id":"\xff"}'),
    "a list": ("/play", b"[]"),
    "a key twice": ("/play", b'{"user_id":"p-1","user_id":"p-2","currency":"EUR","game":"acceptance:test"}'),
    "NaN": ("/play", json.dumps({**ROUND, "actions": [{**BET, "amount": float("nan")}]}).encode()),
    "Infinity": ("/play", json.dumps({**ROUND, "actions": [{**BET, "amount": float("inf")}]}).encode()),
    "too deep": ("/play", b"[" * 100 + b"]" * 100),
    "no user": ("/play", without(WHO, "user_id")),
    "no currency": ("/play", without(WHO, "currency")),
    "no game": ("/play", without(WHO, "game")),
    "null user": ("/play", {**WHO, "user_id": None}),
    "numeric user": ("/play", {**WHO, "user_id": 421}),
    "empty user": ("/play", {**WHO, "user_id": ""}),
    "long user": ("/play", {**WHO, "user_id": "p" * 201}),
    "control character in user": ("/play", {**WHO, "user_id": "p\x00"}),
    "lone surrogate in user": ("/play", b'{"user_id":"\\ud800","currency":"EUR","game":"acceptance:test"}'),
    "finished as text": ("/play", {**ROUND, "finished": "true", "actions": [BET]}),
    "finished as number": ("/play", {**ROUND, "finished": 1}),
    "closing no round": ("/play", {**WHO, "finished": True}),
    "actions without round": ("/play", {**WHO, "actions": [BET]}),
    "actions without user": ("/play", {**without(ROUND, "user_id"), "actions": [BET]}),
    "actions without currency": ("/play", {**without(ROUND, "currency"), "actions": [BET]}),
    "actions without game": ("/play", {**without(ROUND, "game"), "actions": [BET]}),
    "long round": ("/play", {**WHO, "game_id": "r" * 201, "actions": [BET]}),
    "session as number": ("/play", {**ROUND, "session_id": 7, "actions": [BET]}),
    "actions as object": ("/play", {**ROUND, "actions": BET}),
    "action as text": ("/play", {**ROUND, "actions": ["bet"]}),
    "no action": ("/play", {**ROUND, "actions": [without(BET, "action")]}),
    "unknown action": ("/play", {**ROUND, "actions": [{**BET, "action": "refund"}]}),
    "rollback in play": ("/play", {**ROUND, "actions": [UNDO]}),
    "no action id": ("/play", {**ROUND, "actions": [without(BET, "action_id")]}),
    "empty action id": ("/play", {**ROUND, "actions": [{**BET, "action_id": ""}]}),
    "long action id": ("/play", {**ROUND, "actions": [{**BET, "action_id": "a" * 201}]}),
    "an action twice": ("/play", {**ROUND, "actions": [BET, {**WIN, "action_id": "a1"}]}),
    "no amount": ("/play", {**ROUND, "actions": [without(BET, "amount")]}),
    "null amount": ("/play", {**ROUND, "actions": [{**BET, "amount": None}]}),
    "negative bet": ("/play", {**ROUND, "actions": [{**BET, "amount": -1}]}),
    "negative win": ("/play", {**ROUND, "actions": [{**WIN, "amount": -1}]}),
    "decimal amount": ("/play", {**ROUND, "actions": [{**BET, "amount": 1.5}]}),
    "whole decimal amount": ("/play", {**ROUND, "actions": [{**BET, "amount": 100.0}]}),
    "amount as text": ("/play", {**ROUND, "actions": [{**BET, "amount": "100"}]}),
    "amount as truth": ("/play", {**ROUND, "actions": [{**BET, "amount": True}]}),
    "amount over 64 bits": ("/play", {**ROUND, "actions": [{**BET, "amount": 2**63}]}),
    "amount of many digits": ("/play", {**ROUND, "actions": [{**BET, "amount": 10**50}]}),
    "negative contribution": ("/play", {**ROUND, "actions": [{**BET, "jackpot_contribution": -1}]}),
    "contribution as word": ("/play", {**ROUND, "actions": [{**BET, "jackpot_contribution": "much"}]}),
    "contribution as truth": ("/play", {**ROUND, "actions": [{**BET, "jackpot_contribution": True}]}),
    "rollback without actions": ("/rollback", ROUND),
    "bet in rollback": ("/rollback", {**ROUND, "actions": [BET]}),
    "rollback of nothing": ("/rollback", {**ROUND, "actions": [without(UNDO, "original_action_id")]}),
    "rollback without id": ("/rollback", {**ROUND, "actions": [without(UNDO, "action_id")]}),
    "rollback without user": ("/rollback", {**without(ROUND, "user_id"), "actions": [UNDO]}),
    "no issue": ("/freespins", {"status": "finished", "total_amount": 1}),
    "no status": ("/freespins", {"issue_id": "i-1", "total_amount": 1}),
    "unknown status": ("/freespins", {"issue_id": "i-1", "status": "paused", "total_amount": 1}),
    "no total": ("/freespins", {"issue_id": "i-1", "status": "finished"}),
    "negative total": ("/freespins", {"issue_id": "i-1", "status": "finished", "total_amount": -1}),
    "decimal total": ("/freespins", {"issue_id": "i-1", "status": "finished", "total_amount": 0.5}),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_malformed_is_refused_and_answered_with_400(case: str) -> None:
    path, body = MALFORMED[case]
    with pytest.raises(MalformedRequestError) as caught:
        parse(path, body)
    answer = ADAPTER.render_error(HttpRequest("POST", path), caught.value)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == 400


@pytest.mark.parametrize(
    ("case", "where"),
    [
        ("no user", "user_id"),
        ("negative win", "actions[0].amount"),
        ("unknown action", "actions[0].action"),
        ("closing no round", "game_id"),
    ],
)
def test_a_refusal_names_the_field(case: str, where: str) -> None:
    with pytest.raises(CroupierError) as caught:
        parse(*MALFORMED[case])
    assert caught.value.where == where
