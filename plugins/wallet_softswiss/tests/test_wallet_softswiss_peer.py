"""What the simulated wallet does with money, seen from its book."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from croupier.contract import Credentials, Currency, HttpRequest, HttpResponse, RollbackShortfall, hmac_hex
from croupier_wallet_softswiss.peer import SoftswissWalletPeer
from croupier_wallet_softswiss.settings import SoftswissWalletSettings

EUR = Currency("EUR", 2)
NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
KEYS = Credentials({"auth_token": ("new", "test")})


@pytest.fixture
def peer() -> SoftswissWalletPeer:
    made = SoftswissWalletPeer(SoftswissWalletSettings(url="https://wallet.example"))
    made.open_player("p-1", EUR, 1_000, "s-1")
    return made


def ask(peer: SoftswissWalletPeer, path: str, *actions: dict[str, Any], **more: Any) -> HttpResponse:
    fields: dict[str, Any] = {"user_id": "p-1", "currency": "EUR", "game": "acceptance:test", "game_id": "r-1"}
    fields |= ({"actions": list(actions)} if actions else {}) | more
    body = json.dumps(fields).encode()
    request = HttpRequest("POST", path, body=body)
    signed = request.headers.of({"X-REQUEST-SIGN": hmac_hex("test", body).upper()})
    return peer.answer(HttpRequest("POST", path, signed, body), KEYS, NOW)


def told(response: HttpResponse) -> Any:
    return json.loads(response.body)


def bet(action_id: str, amount: int) -> dict[str, Any]:
    return {"action": "bet", "amount": amount, "action_id": action_id}


def win(action_id: str, amount: int) -> dict[str, Any]:
    return {"action": "win", "amount": amount, "action_id": action_id}


def undo(action_id: str, original: str) -> dict[str, Any]:
    return {"action": "rollback", "action_id": action_id, "original_action_id": original}


def balance(peer: SoftswissWalletPeer) -> int:
    return peer.accounts()[0].balance


def test_a_batch_that_cannot_be_paid_leaves_nothing_behind(peer: SoftswissWalletPeer) -> None:
    refused = ask(peer, "/play", bet("a1", 600), bet("a2", 600))
    assert (refused.status, told(refused)["code"], told(refused)["balance"]) == (412, 100, 1_000)
    assert (balance(peer), peer.transactions()) == (1_000, [])


def test_a_mixed_batch_of_old_and_new_moves_the_new_alone(peer: SoftswissWalletPeer) -> None:
    first = told(ask(peer, "/play", bet("a1", 100)))
    again = told(ask(peer, "/play", bet("a1", 100), win("a2", 250)))
    assert again["transactions"][0]["tx_id"] == first["transactions"][0]["tx_id"]
    assert again["balance"] == balance(peer) == 1_150


def test_a_late_original_is_accepted_and_moves_nothing(peer: SoftswissWalletPeer) -> None:
    assert told(ask(peer, "/rollback", undo("r1", "a1")))["transactions"][0]["tx_id"] == ""
    late = told(ask(peer, "/play", bet("a1", 100)))
    assert late["transactions"][0]["tx_id"]
    assert late["balance"] == balance(peer) == 1_000
    assert [(row.transaction, row.state) for row in peer.transactions()] == [("a1", "tombstone"), ("r1", "applied")]


def test_another_players_bet_is_nothing_to_undo(peer: SoftswissWalletPeer) -> None:
    peer.open_player("p-2", EUR, 1_000)
    ask(peer, "/play", bet("a1", 100))
    undone = ask(peer, "/rollback", undo("r1", "a1"), user_id="p-2")
    assert (undone.status, told(undone)["transactions"][0]["tx_id"]) == (200, "")
    assert [one.balance for one in peer.accounts()] == [900, 1_000]
    assert told(ask(peer, "/rollback", undo("r2", "a1")))["balance"] == 1_000


@pytest.mark.parametrize(("shortfall", "left", "tx_id"), [("deficit", -60, "tx-3"), ("record", 40, "")])
def test_a_spent_win_is_taken_back_or_recorded(shortfall: str, left: int, tx_id: str) -> None:
    settings = SoftswissWalletSettings(url="https://wallet.example")
    peer = SoftswissWalletPeer(settings, RollbackShortfall(shortfall))
    peer.open_player("p-1", EUR, 0)
    ask(peer, "/play", win("a1", 100))
    ask(peer, "/play", bet("a2", 60))
    undone = told(ask(peer, "/rollback", undo("r1", "a1")))
    assert undone["transactions"][0]["tx_id"] == tx_id
    assert undone["balance"] == max(left, 0)
    assert balance(peer) == left


def test_a_round_ends_with_a_play_or_without_one(peer: SoftswissWalletPeer) -> None:
    assert told(ask(peer, "/play", finished=True)) == {"balance": 1_000}
    ask(peer, "/play", bet("a1", 1), game_id="r-2", finished=True)
    assert peer.finished == {"r-1", "r-2"}


def test_a_bet_needs_a_live_session_where_one_is_named_and_a_win_needs_none(peer: SoftswissWalletPeer) -> None:
    peer.end_session("s-1")
    assert told(ask(peer, "/play", bet("a1", 1), session_id="s-1"))["code"] == 101
    assert ask(peer, "/play", win("a2", 1), session_id="s-1").status == 200
    assert ask(peer, "/play", bet("a3", 1)).status == 200


def test_the_book_tells_every_movement(peer: SoftswissWalletPeer) -> None:
    ask(peer, "/play", bet("a1", 100), win("a2", 250))
    ask(peer, "/rollback", undo("r1", "a2"))
    rows = [(row.transaction, row.operation, row.amount, row.moved, row.state) for row in peer.transactions()]
    assert rows == [
        ("a1", "bet", 100, -100, "applied"),
        ("a2", "win", 250, 250, "rolled_back"),
        ("r1", "rollback", 250, -250, "applied"),
    ]
    account = peer.accounts()[0]
    assert account.opening + sum(row.moved for row in peer.transactions()) == account.balance
    assert peer.book() == {"accounts": peer.accounts(), "movements": peer.transactions()}


@pytest.mark.parametrize(
    ("path", "method", "signed", "status"),
    [("/play", "POST", False, 403), ("/other", "POST", True, 404), ("/play", "GET", True, 404)],
)
def test_what_is_no_request_of_the_hub_gets_the_protocols_error(
    peer: SoftswissWalletPeer, path: str, method: str, status: int, *, signed: bool
) -> None:
    proof = {"X-REQUEST-SIGN": hmac_hex("test", b"{}")} if signed else {}
    headers = HttpRequest("POST", path).headers.of(proof)
    response = peer.answer(HttpRequest(method, path, headers, b"{}"), KEYS, NOW)
    assert (response.status, told(response)["code"]) == (status, status)
