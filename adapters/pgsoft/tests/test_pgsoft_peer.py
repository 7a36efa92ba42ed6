"""The simulated provider: what it can say, and how it reads answers."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
from attrs import evolve

from croupier.contract import (
    Credentials,
    HttpRequest,
    HttpResponse,
    MovementKind,
    OnSilence,
    PeerAction,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Play,
    UnsupportedOperationError,
    Verdict,
)
from croupier_pgsoft.adapter import PgsoftAdapter
from croupier_pgsoft.peer import PgsoftPeer
from croupier_pgsoft.settings import SALT, SECRET, PgsoftSettings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = Credentials({SECRET: ("test-secret",), SALT: ("test-salt",)})
SETTINGS = PgsoftSettings(operator_token="acme", api_url="https://api.pgsoft.example")
PEER = PgsoftPeer(SETTINGS)
PLAYER = PeerPlayer(player="p-1", token="token-1", game="126", currency="EUR")
BET = PeerMove(kind=MovementKind.BET, id="1001", amount=Decimal(1))
BOTH = PeerMove(kind=MovementKind.BET_AND_WIN, id="1001", amount=Decimal(1), win_amount=Decimal("2.5"))
WIN = PeerMove(kind=MovementKind.WIN, id="1002", amount=Decimal(2))


def play(*moves: PeerMove, grant: str | None = None) -> PeerPlay:
    return PeerPlay(player=PLAYER, round="1000", moves=moves, grant=grant)


def said(action: PeerAction) -> dict[str, str]:
    return dict(parse_qsl(PEER.request(action, KEYS, NOW).body.decode()))


def test_a_spin_says_what_it_moves_in_all() -> None:
    fields = said(play(BOTH))
    assert (fields["bet_amount"], fields["win_amount"], fields["transfer_amount"]) == ("1.00", "2.50", "1.50")
    assert fields["transaction_id"] == "1001-1000-106-1"
    assert (fields["operator_token"], fields["secret_key"]) == ("acme", "test-secret")


def test_a_spin_that_is_sent_again_keeps_all_but_the_last_part_of_its_id() -> None:
    first, again = said(play(BOTH)), said(evolve(play(BOTH), resend=True))
    differ = {name for name in first if first[name] != again[name]}
    assert differ == {"transaction_id", "is_validate_bet"}
    assert again["transaction_id"] == "1001-1000-106-2"


def test_a_spin_that_is_sent_again_is_the_same_movement_to_the_hub() -> None:
    adapter = PgsoftAdapter(SETTINGS)
    keys = []
    for action in (play(BOTH), evolve(play(BOTH), resend=True)):
        (call,) = adapter.parse(adapter.verify(PEER.request(action, KEYS, NOW), KEYS, NOW)).items
        assert isinstance(call, Play)
        keys.append(call.movements[0].keys)
    assert keys[0] == keys[1]


def test_signed_header_fields_are_sent_where_the_account_has_them() -> None:
    settings = evolve(SETTINGS, require_hash=True)
    request = PgsoftPeer(settings).request(play(BET), KEYS, NOW)
    PgsoftAdapter(settings).verify(request, KEYS, NOW)
    assert request.headers.get("x-date") == "20260301"


@pytest.mark.parametrize(
    "action",
    [
        play(BET, WIN),
        play(evolve(BET, amount=Decimal(0))),
        play(evolve(BOTH, win_amount=Decimal(0))),
        play(PeerMove(kind=MovementKind.ROLLBACK, id="r", target="1001")),
        play(PeerMove(kind=MovementKind.BONUS_WIN, id="b", amount=Decimal(1))),
        play(BET, grant="grant-1"),
        PeerCloseRound(player=PLAYER, round="1000"),
    ],
    ids=["two movements", "no stake", "no win", "rollback", "no grant", "a grant", "round's end"],
)
def test_what_the_protocol_cannot_say_is_not_said(action: PeerAction) -> None:
    with pytest.raises(UnsupportedOperationError):
        PEER.request(action, KEYS, NOW)


def test_it_sends_again_and_never_cancels() -> None:
    assert PEER.bet_on_silence is OnSilence.RESENDS
    assert PEER.nets


@pytest.mark.parametrize(
    ("body", "verdict", "code"),
    [
        ('{"data":{"currency_code":"EUR","balance_amount":1.00,"updated_time":1},"error":null}', Verdict.DONE, ""),
        ('{"data":null,"error":{"code":"3202","message":""}}', Verdict.REFUSED, "3202"),
        ('{"data":null,"error":{"code":"1200","message":""}}', Verdict.RETRY, "1200"),
        ('{"data":null,"error":{"code":3202,"message":""}}', Verdict.RETRY, "3202"),
        ('{"data":null,"error":{"code":"9","message":""}}', Verdict.RETRY, "9"),
        ('{"data":{"currency_code":"EUR","balance_amount":"1.00","updated_time":1},"error":null}', Verdict.RETRY, None),
        ('{"data":{"currency_code":"USD","balance_amount":1.00,"updated_time":1},"error":null}', Verdict.RETRY, None),
        ('{"data":{"currency_code":"EUR","balance_amount":1.00},"error":null}', Verdict.RETRY, None),
        ('{"data":null,"error":null}', Verdict.RETRY, None),
        ("<html>", Verdict.RETRY, "not JSON"),
    ],
)
def test_an_answer_is_read_as_the_provider_reads_it(body: str, verdict: Verdict, code: str | None) -> None:
    answer = PEER.answer(play(BET), HttpResponse.json(body))
    assert answer.verdict is verdict
    assert code in {None, answer.code}
    assert answer.balance == (Decimal(1) if verdict is Verdict.DONE else None)


def test_a_status_that_is_not_200_is_no_answer() -> None:
    body = '{"data":null,"error":{"code":"3202","message":""}}'
    assert PEER.answer(play(BET), HttpResponse.json(body, 400)).verdict is Verdict.RETRY


def test_a_session_that_was_verified_names_the_player() -> None:
    action = PeerAuthenticate(player=evolve(PLAYER, player="", currency=""))
    told = HttpResponse.json('{"data":{"player_name":"p-1","nickname":"n","currency":"EUR"},"error":null}')
    assert PEER.answer(action, told).player == PLAYER
    assert PEER.answer(action, HttpResponse.json('{"data":{"player_name":"p-1"},"error":null}')).player is None


def test_a_balance_is_asked_with_the_session() -> None:
    fields = said(PeerBalance(player=PLAYER))
    assert (fields["player_name"], fields["operator_player_session"]) == ("p-1", "token-1")


def test_only_posts_with_a_trace_are_served() -> None:
    for request in (
        HttpRequest("GET", "https://api.pgsoft.example/external/Game/v2/Get?trace_id=1"),
        HttpRequest("POST", "https://api.pgsoft.example/external/Game/v2/Get"),
        HttpRequest("POST", "https://api.pgsoft.example/external/Nothing?trace_id=1"),
    ):
        assert PEER.serve(request, KEYS, NOW).status == 404
