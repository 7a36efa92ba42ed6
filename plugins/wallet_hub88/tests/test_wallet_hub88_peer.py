"""What the simulated wallet does with money, seen from its book."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from croupier.contract import (
    Credentials,
    Currency,
    HttpRequest,
    HttpResponse,
    Money,
    PlayContext,
    RollbackShortfall,
    WalletApplied,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletPlayer,
    WalletUnknown,
)
from croupier_wallet_hub88.dialect import Hub88WalletDialect
from croupier_wallet_hub88.peer import Hub88WalletPeer
from croupier_wallet_hub88.settings import Hub88WalletSettings
from croupier_wallet_hub88.signing import sign

EUR = Currency("EUR", 2)
NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
KEYS = Credentials(
    {
        "private_key": (
            KEY.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
        )
    }
)
SETTINGS = Hub88WalletSettings(url="https://wallet.example")


def peer_with(shortfall: str = "deficit", balance: int = 1_000) -> Hub88WalletPeer:
    made = Hub88WalletPeer(SETTINGS, RollbackShortfall(shortfall))
    made.open_player("p-1", EUR, balance, "s-1")
    return made


def ask(peer: Hub88WalletPeer, path: str, **fields: Any) -> Any:
    body = json.dumps({"user": "p-1", "request_uuid": "q-1", **fields}).encode()
    headers = HttpRequest("POST", path).headers.of({"X-Hub88-Signature": sign(KEY, body)})
    response: HttpResponse = peer.answer(HttpRequest("POST", path, headers, body), KEYS, NOW)
    assert response.status == 200
    return json.loads(response.body)


def move(peer: Hub88WalletPeer, word: str, transaction: str, wire: int = 0, **more: Any) -> Any:
    fields: dict[str, Any] = {"transaction_uuid": transaction, "token": "s-1", "round": "r-1", "game_code": "g-1"}
    if word != "rollback":
        fields |= {"currency": "EUR", "amount": wire}
    return ask(peer, f"/transaction/{word}", **fields, **more)


def balance(peer: Hub88WalletPeer) -> int:
    return peer.accounts()[0].balance


def test_a_bet_a_win_and_their_repeats_move_money_once() -> None:
    peer = peer_with()
    for _ in range(2):
        told = move(peer, "bet", "t-1", 100_000)
        assert (told["status"], told["balance"], told["request_uuid"]) == ("RS_OK", 900_000, "q-1")
    for _ in range(2):
        told = move(peer, "win", "t-2", 250_000, reference_transaction_uuid="t-1", round_closed=True)
        assert (told["status"], told["balance"]) == ("RS_OK", 1_150_000)
    assert peer.closed == {"r-1"}


@pytest.mark.parametrize(
    "change",
    [{"round": "r-2"}, {"game_code": "g-2"}, {"amount": 200_000}, {"reference_transaction_uuid": "t-9"}],
)
def test_the_same_id_with_other_content_is_a_duplicate(change: dict[str, Any]) -> None:
    peer = peer_with()
    move(peer, "bet", "t-1", 100_000)
    fields = {"token": "s-1", "round": "r-1", "game_code": "g-1", "currency": "EUR", "amount": 100_000, **change}
    assert ask(peer, "/transaction/bet", transaction_uuid="t-1", **fields)["status"] == "RS_ERROR_DUPLICATE_TRANSACTION"
    assert balance(peer) == 900


def test_a_win_needs_a_bet_that_stands_or_is_a_promotion() -> None:
    peer = peer_with()
    move(peer, "bet", "t-1", 100_000)
    move(peer, "rollback", "t-2", reference_transaction_uuid="t-1")
    for reference, status in (("t-1", "TRANSACTION_ROLLED_BACK"), ("t-9", "TRANSACTION_DOES_NOT_EXIST")):
        told = move(peer, "win", "t-3", 100_000, reference_transaction_uuid=reference)
        assert told["status"] == f"RS_ERROR_{status}"
    assert move(peer, "win", "t-3", 100_000)["status"] == "RS_ERROR_WRONG_SYNTAX"
    assert move(peer, "win", "t-3", 100_000, is_supplier_promo=True)["status"] == "RS_OK"
    assert balance(peer) == 1_100


def test_a_rollback_before_its_bet_leaves_a_tombstone() -> None:
    peer = peer_with()
    for _ in range(2):
        told = move(peer, "rollback", "t-2", reference_transaction_uuid="t-1")
        assert told["status"] == "RS_ERROR_TRANSACTION_DOES_NOT_EXIST"
    assert move(peer, "bet", "t-1", 100_000)["status"] == "RS_ERROR_TRANSACTION_ROLLED_BACK"
    assert [(row.transaction, row.state) for row in peer.transactions()] == [("t-1", "tombstone"), ("t-2", "applied")]
    assert balance(peer) == 1_000


@pytest.mark.parametrize(
    ("shortfall", "status", "left"),
    [("deficit", "RS_OK", -60), ("record", "RS_ERROR_NOT_ENOUGH_MONEY", 40)],
)
def test_a_spent_win_is_taken_back_or_left(shortfall: str, status: str, left: int) -> None:
    peer = peer_with(shortfall, balance=0)
    move(peer, "win", "t-1", 100_000, is_supplier_promo=True)
    move(peer, "bet", "t-2", 60_000)
    told = move(peer, "rollback", "t-3", reference_transaction_uuid="t-1")
    assert (told["status"], told["balance"]) == (status, max(left, 0) * 1_000)
    assert balance(peer) == left


def test_an_ended_session_stops_bets_and_balances_alone() -> None:
    peer = peer_with()
    move(peer, "bet", "t-1", 100_000)
    peer.end_session("s-1")
    assert move(peer, "bet", "t-2", 1_000)["status"] == "RS_ERROR_TOKEN_EXPIRED"
    assert move(peer, "win", "t-3", 1_000, reference_transaction_uuid="t-1")["status"] == "RS_OK"
    assert move(peer, "rollback", "t-4", reference_transaction_uuid="t-1")["status"] == "RS_OK"
    assert balance(peer) == 1_001
    assert ask(peer, "/user/balance", token="s-1", game_code=None)["status"] == "RS_ERROR_TOKEN_EXPIRED"
    assert ask(peer, "/user/balance", token="s-9", game_code=None)["status"] == "RS_ERROR_INVALID_TOKEN"


def test_an_amount_with_more_digits_than_the_currency_is_none() -> None:
    peer = peer_with()
    assert move(peer, "bet", "t-1", 100_001)["status"] == "RS_ERROR_WRONG_TYPES"
    assert peer.transactions() == []


def test_the_players_facts_are_told_without_a_token() -> None:
    told = ask(peer_with(), "/user/info")
    assert (told["status"], told["country"], told["jurisdiction"]) == ("RS_OK", "MT", "MGA")


def test_the_book_adds_up() -> None:
    peer = peer_with()
    move(peer, "bet", "t-1", 100_000)
    move(peer, "win", "t-2", 250_000, reference_transaction_uuid="t-1")
    move(peer, "rollback", "t-3", reference_transaction_uuid="t-2")
    rows = [(row.transaction, row.operation, row.amount, row.moved, row.state) for row in peer.transactions()]
    assert rows == [
        ("t-1", "bet", 100, -100, "applied"),
        ("t-2", "win", 250, 250, "rolled_back"),
        ("t-3", "rollback", 250, -250, "applied"),
    ]
    account = peer.accounts()[0]
    assert account.opening + sum(row.moved for row in peer.transactions()) == account.balance
    assert peer.book() == {"accounts": peer.accounts(), "movements": peer.transactions()}


class _KeepsEveryAnswer(Hub88WalletPeer):
    """It answers a request id once and for all (section "Idempotency"), and the first one badly."""

    def __init__(self, settings: Hub88WalletSettings) -> None:
        super().__init__(settings)
        self.kept: dict[str, HttpResponse] = {}

    def answer(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        echo = json.loads(request.body)["request_uuid"]
        if not self.kept:
            told = {"status": "RS_ERROR_UNKNOWN", "request_uuid": echo, "user": "p-1"}
            self.kept[echo] = HttpResponse.json(json.dumps(told).encode())
        if echo not in self.kept:
            self.kept[echo] = super().answer(request, credentials, now)
        return self.kept[echo]


def test_a_win_is_paid_by_a_wallet_that_keeps_its_failures_by_the_request_id() -> None:
    peer, dialect = _KeepsEveryAnswer(SETTINGS), Hub88WalletDialect(SETTINGS)
    peer.open_player("p-1", EUR, 0, "s-1")
    win = WalletMove(
        player=WalletPlayer(player="p-1", currency=EUR, session="s-1"),
        context=PlayContext(provider="acme", connection="main", game="g-1", round="r-1", provider_round="1"),
        movement=WalletMovement(
            operation=WalletOperation.WIN, transaction="t-1", amount=Money(250, EUR), kind="tournament_win"
        ),
    )
    replies = []
    for attempt in range(3):
        at = NOW + timedelta(seconds=attempt)
        replies.append(dialect.reply(win, peer.answer(dialect.request(win, KEYS, at), KEYS, at)))
    assert [type(one) for one in replies] == [WalletUnknown, WalletApplied, WalletApplied]
    assert balance(peer) == 250


def test_another_path_is_none_of_the_protocol() -> None:
    assert peer_with().answer(HttpRequest("POST", "/transaction/stake"), KEYS, NOW).status == 404
    assert peer_with().answer(HttpRequest("GET", "/transaction/bet"), KEYS, NOW).status == 404
