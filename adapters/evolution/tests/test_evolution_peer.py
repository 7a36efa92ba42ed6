"""The simulated provider: what it sends, and what it makes of each answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    Credentials,
    HttpResponse,
    MovementKind,
    PeerAction,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    UnsupportedOperationError,
    Verdict,
)
from croupier_evolution.peer import EvolutionPeer, uuid_of
from croupier_evolution.settings import EvolutionSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = Credentials({"auth_token": ("a test token",)})
PLAYER = PeerPlayer(player="p-1", token="sid-1", game="table-1", currency="EUR")
MONEY = {"balance": 10, "bonus": 0}

peer = EvolutionPeer(EvolutionSettings(api_url="https://evolution.example", casino_key="acme0001"))


def play(kind: MovementKind, id_: str = "a", amount: str = "1.5", of: str | None = None, **more: Any) -> PeerPlay:
    move = PeerMove(kind=kind, id=id_, amount=Decimal(amount), target=of)
    return PeerPlay(player=PLAYER, round="r-1", moves=(move,), **more)


DEBIT = play(MovementKind.BET, "b")
CREDIT = play(MovementKind.WIN, "w", of="b")
CANCEL = play(MovementKind.ROLLBACK, "b", of="b")


def sent(action: PeerAction) -> Any:
    return json.loads(peer.request(action, KEYS, NOW).body, parse_float=str)


def heard(action: PeerAction, told: Any, status: int = 200) -> Verdict:
    body = told if isinstance(told, str) else json.dumps({"uuid": uuid_of(action), **told})
    return peer.answer(action, HttpResponse(status, body=body.encode())).verdict


def test_a_debit_says_all_that_the_sheet_says() -> None:
    request = peer.request(DEBIT, KEYS, NOW)
    assert (request.method, request.path, request.query) == ("POST", "/debit", (("authToken", "a test token"),))
    assert sent(DEBIT) == {
        "sid": "sid-1",
        "userId": "p-1",
        "uuid": uuid_of(DEBIT),
        "currency": "EUR",
        "game": {"id": "r-1", "type": "table", "details": {"table": {"id": "table-1", "vid": None}}},
        "transaction": {"id": "Db", "refId": "b", "amount": "1.50"},
    }


def test_a_bet_its_credit_and_its_cancel_carry_one_reference() -> None:
    transactions = [sent(action)["transaction"] for action in (DEBIT, CREDIT, CANCEL)]
    assert [item["refId"] for item in transactions] == ["b", "b", "b"]
    assert [item["id"] for item in transactions] == ["Db", "w", "Db"]


def test_the_same_sent_again_has_the_same_ids() -> None:
    for action in (DEBIT, CREDIT, CANCEL, play(MovementKind.PROMO_WIN)):
        later = peer.request(action, KEYS, NOW + timedelta(hours=1))
        assert later == peer.request(action, KEYS, NOW)
        again = sent(evolve(action, resend=True))
        assert {**again, "uuid": ""} == {**sent(action), "uuid": ""}


def test_a_rounds_end_is_not_said() -> None:
    last = sent(evolve(CREDIT, closes_round=True))
    assert {**last, "uuid": ""} == {**sent(CREDIT), "uuid": ""}


def test_a_balance_is_asked_without_a_game_and_a_check_with_the_channel() -> None:
    assert sent(PeerBalance(player=PLAYER))["game"] is None
    assert sent(PeerAuthenticate(player=PLAYER))["channel"] == {"type": "P"}


@pytest.mark.parametrize(
    "action",
    [
        PeerCloseRound(player=PLAYER, round="r-1"),
        play(MovementKind.WIN),
        play(MovementKind.ROLLBACK),
        play(MovementKind.TIP),
        play(MovementKind.TOURNAMENT_WIN),
        evolve(DEBIT, moves=(*DEBIT.moves, *CREDIT.moves)),
        evolve(DEBIT, grant="g"),
    ],
)
def test_what_the_protocol_has_no_words_for_is_not_sent(action: PeerAction) -> None:
    with pytest.raises(UnsupportedOperationError):
        peer.request(action, KEYS, NOW)


@pytest.mark.parametrize(
    ("action", "told", "verdict"),
    [
        (DEBIT, {"status": "OK", **MONEY}, Verdict.DONE),
        (DEBIT, {"status": "BET_ALREADY_EXIST", **MONEY}, Verdict.DONE),
        (DEBIT, {"status": "BET_ALREADY_EXIST"}, Verdict.REFUSED),
        (DEBIT, {"status": "BET_ALREADY_SETTLED", **MONEY}, Verdict.REFUSED),
        (DEBIT, {"status": "BET_DOES_NOT_EXIST"}, Verdict.REFUSED),
        (DEBIT, {"status": "INSUFFICIENT_FUNDS", **MONEY}, Verdict.REFUSED),
        (DEBIT, {"status": "TEMPORARY_ERROR"}, Verdict.RETRY),
        (DEBIT, {"status": "OPERATION_IN_PROCESS"}, Verdict.RETRY),
        (DEBIT, {"status": "UNKNOWN_ERROR", "retransmission": True}, Verdict.RETRY),
        (DEBIT, {"status": "SOMETHING_ELSE"}, Verdict.RETRY),
        (DEBIT, {"status": 7}, Verdict.RETRY),
        (DEBIT, {"status": "OK"}, Verdict.RETRY),
        (DEBIT, {"status": "OK", "balance": 10}, Verdict.RETRY),
        (DEBIT, {"status": "OK", "balance": "10", "bonus": 0}, Verdict.RETRY),
        (DEBIT, {"status": "OK", **MONEY, "uuid": "another"}, Verdict.RETRY),
        (CREDIT, {"status": "BET_ALREADY_SETTLED", **MONEY}, Verdict.DONE),
        (CREDIT, {"status": "BET_ALREADY_SETTLED"}, Verdict.REFUSED),
        (CREDIT, {"status": "BET_DOES_NOT_EXIST"}, Verdict.REFUSED),
        (CANCEL, {"status": "BET_ALREADY_SETTLED", **MONEY}, Verdict.DONE),
        (CANCEL, {"status": "BET_ALREADY_SETTLED"}, Verdict.REFUSED),
        (CANCEL, {"status": "BET_DOES_NOT_EXIST"}, Verdict.DONE),
        (PeerAuthenticate(player=PLAYER), {"status": "OK"}, Verdict.RETRY),
        (PeerAuthenticate(player=PLAYER), {"status": "INVALID_SID"}, Verdict.REFUSED),
        (DEBIT, "no JSON", Verdict.RETRY),
    ],
)
def test_each_answer_is_understood_as_the_sheet_says(action: PeerAction, told: Any, verdict: Verdict) -> None:
    assert heard(action, told) is verdict


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_every_other_http_status_is_no_answer(status: int) -> None:
    assert heard(DEBIT, {"status": "OK", **MONEY}, status) is Verdict.RETRY


def test_a_check_gives_the_player_the_new_session_id() -> None:
    action = PeerAuthenticate(player=PLAYER)
    told = json.dumps({"status": "OK", "sid": "sid-2", "uuid": uuid_of(action)}).encode()
    assert peer.answer(action, HttpResponse(200, body=told)).player == evolve(PLAYER, token="sid-2")  # a name
