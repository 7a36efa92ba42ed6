"""The simulated provider against the adapter: what it says is what the adapter reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import (
    MINOR,
    AmountError,
    Applied,
    AuthenticationError,
    Balance,
    BalanceQuery,
    BalanceResult,
    Call,
    Calls,
    CloseRound,
    Credentials,
    Currencies,
    Currency,
    Declined,
    DeclineReason,
    Headers,
    HttpRequest,
    HttpResponse,
    Money,
    Movement,
    MovementKey,
    MovementKind,
    MovementResult,
    NotFoundError,
    OnSilence,
    Outcome,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Play,
    PlayResult,
    Target,
    Unit,
    Unknown,
    UnknownCause,
    UnsupportedOperationError,
    Verdict,
    WireAmount,
)
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEYS = Credentials({"auth_token": ("test", "older")})
SETTINGS = SoftswissSettings(
    api_url="https://provider.example/api", casino_id="acme", callback_prefix="/wallet", subunits={"ETH": 18}
)
ADAPTER = SoftswissAdapter(SETTINGS)
PEER = SoftswissPeer(SETTINGS)
PLAYER = PeerPlayer(player="421", token="", game="acceptance:test", currency="EUR", session="s-1")

ids = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=200)
CURRENCIES = {"EUR": 2, "JPY": 0, "KWD": 3, "BTC": 8, "ETH": 18}


@st.composite
def players(draw: st.DrawFn) -> PeerPlayer:
    return PeerPlayer(
        player=draw(ids),
        token="",
        game=draw(ids),
        currency=draw(st.sampled_from(sorted(CURRENCIES))),
        session=draw(st.sampled_from(["", "s-1"])),
    )


def amounts(currency: str) -> st.SearchStrategy[Decimal]:
    digits = CURRENCIES[currency]
    return st.integers(0, 2**63 - 1).map(lambda subunits: Decimal((0, tuple(map(int, str(subunits))), -digits)))


@st.composite
def staked(draw: st.DrawFn) -> PeerPlay:
    player = draw(players())
    kinds = st.sampled_from([MovementKind.BET, MovementKind.WIN])
    moves = [
        PeerMove(kind=draw(kinds), id=reference, amount=draw(amounts(player.currency)))
        for reference in draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    ]
    return PeerPlay(player=player, round=draw(ids), moves=tuple(moves), closes_round=draw(st.booleans()))


@st.composite
def undone(draw: st.DrawFn) -> PeerPlay:
    moves = [
        PeerMove(kind=MovementKind.ROLLBACK, id=reference, target=draw(ids))
        for reference in draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    ]
    return PeerPlay(player=draw(players()), round=draw(ids), moves=tuple(moves), closes_round=draw(st.booleans()))


actions: st.SearchStrategy[PeerAction] = st.one_of(
    staked(),
    undone(),
    st.builds(PeerBalance, player=players()),
    st.builds(PeerCloseRound, player=players(), round=ids),
)


def key(value: str) -> MovementKey:
    return MovementKey("action", value)


def meant_movement(move: PeerMove, currency: str) -> Movement:
    if move.kind is MovementKind.ROLLBACK:
        return Movement(move.kind, keys=(key(move.id),), target=Target(key=key(move.target or "")))
    digits = CURRENCIES[currency]
    unit = Unit(-18) if currency == "ETH" else MINOR
    subunits = int("".join(map(str, move.amount.as_tuple().digits)))
    assert Decimal(move.amount.as_tuple().exponent) == -digits
    return Movement(move.kind, keys=(key(move.id),), amount=WireAmount.of(subunits, unit, currency))


def meant(action: PeerAction) -> Call:
    who: dict[str, Any] = {
        "player": action.player.player,
        "game": action.player.game,
        "currency": action.player.currency,
    }
    match action:
        case PeerBalance():
            return BalanceQuery(operation="balance", **who)
        case PeerCloseRound(round=round_id):
            return CloseRound(operation="close_round", round=round_id, **who)
        case PeerPlay():
            movements = tuple(meant_movement(move, action.player.currency) for move in action.moves)
            kinds = {move.kind for move in action.moves}
            first = "play" if MovementKind.BET in kinds else "win"
            return Play(
                operation="rollback" if MovementKind.ROLLBACK in kinds else first,
                movements=movements,
                round=action.round,
                closes_round=action.closes_round,
                **who,
            )
        case PeerAuthenticate():
            raise AssertionError


def understood(request: HttpRequest) -> Calls:
    return ADAPTER.parse(ADAPTER.verify(request, KEYS, NOW))


@given(actions)
def test_what_the_peer_says_is_what_the_adapter_understands(action: PeerAction) -> None:
    assert understood(PEER.request(action, KEYS, NOW)).items == (meant(action),)


@given(actions, st.data())
def test_any_changed_byte_of_a_request_is_refused(action: PeerAction, data: st.DataObject) -> None:
    request = PEER.request(action, KEYS, NOW)
    place = data.draw(st.integers(0, len(request.body) - 1))
    changed = bytearray(request.body)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(AuthenticationError):
        ADAPTER.verify(HttpRequest("POST", request.url, request.headers, bytes(changed)), KEYS, NOW)


def outcomes() -> st.SearchStrategy[Outcome]:
    return st.one_of(
        st.builds(Applied, transaction=st.uuids().map(str), at=st.just(NOW)),
        st.builds(Declined, reason=st.sampled_from(DeclineReason)),
        st.builds(Unknown, cause=st.sampled_from(UnknownCause)),
    )


VERDICTS = {Applied: Verdict.DONE, Declined: Verdict.REFUSED, Unknown: Verdict.RETRY}


@given(st.one_of(staked(), undone()), st.data())
def test_the_peer_understands_every_answer_to_a_play(action: PeerPlay, data: st.DataObject) -> None:
    calls = understood(PEER.request(action, KEYS, NOW))
    results = tuple(MovementResult(reference=move.id, outcome=data.draw(outcomes())) for move in action.moves)
    failed = (result.outcome for result in results if not isinstance(result.outcome, Applied))
    whole = next(failed, results[0].outcome)
    scale = {"ETH": 9}.get(action.player.currency, CURRENCIES[action.player.currency])
    minor = data.draw(st.integers(0, 2**63 - 1))
    balance = Balance(Money(minor, Currency(action.player.currency, scale)))
    response = ADAPTER.render(
        calls, (PlayResult(outcome=whole, movements=results, balance=balance),), KEYS, NOW, "nonce"
    )
    answer = PEER.answer(action, response)
    assert answer.verdict is VERDICTS[type(whole)]
    assert answer.balance == Decimal((0, tuple(map(int, str(minor))), -scale))
    if isinstance(whole, Applied):
        assert answer.transaction == whole.transaction


def answered(response: HttpResponse, action: PeerAction | None = None) -> PeerAnswer:
    return PEER.answer(action or PeerBalance(player=PLAYER), response)


def test_a_balance_is_read_in_major_units() -> None:
    calls = understood(PEER.request(PeerBalance(player=PLAYER), KEYS, NOW))
    result = BalanceResult(outcome=Applied(), balance=Balance(Money(12345, Currency("EUR", 2))))
    answer = answered(ADAPTER.render(calls, (result,), KEYS, NOW, ""))
    assert answer == PeerAnswer(verdict=Verdict.DONE, code="200", balance=Decimal("123.45"))


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(200),
        HttpResponse.json(b"[]"),
        HttpResponse.json(b"{}"),
        HttpResponse.json(b'{"balance":"1"}'),
        HttpResponse.json(b'{"balance":1.5}'),
        HttpResponse.json(b'{"balance":true}'),
        HttpResponse.json(b'{"balance":1,"transactions":7}'),
        HttpResponse.json(b'{"balance":1,"transactions":[{"action_id":"a","tx_id":"t"}]}'),
        HttpResponse.json(b"{}", 412),
        HttpResponse.json(b'{"code":[100]}', 412),
        HttpResponse.json(b'{"code":999}', 412),
        HttpResponse.json(b'{"code":500}', 412),
        HttpResponse.json(b'{"code":100}', 500),
        HttpResponse.text("gateway", 502),
    ],
)
def test_an_answer_that_the_provider_does_not_understand_is_no_answer(response: HttpResponse) -> None:
    assert answered(response).verdict is Verdict.RETRY


def test_a_play_whose_transactions_are_not_its_own_is_not_booked() -> None:
    moves = (PeerMove(kind=MovementKind.BET, id="a1", amount=Decimal(1)),)
    action = PeerPlay(player=PLAYER, round="r-1", moves=moves)
    other = HttpResponse.json(b'{"balance":1,"transactions":[{"action_id":"a2","tx_id":"t"}]}')
    assert answered(other, action).verdict is Verdict.RETRY
    none = HttpResponse.json(b'{"balance":1}')
    assert answered(none, action).verdict is Verdict.RETRY


def test_a_request_carries_the_published_shape_and_proof() -> None:
    player = PeerPlayer(player="421", token="", game="acceptance:test", currency="EUR")
    moves = (
        PeerMove(kind=MovementKind.BET, id="a1", amount=Decimal("1.00")),
        PeerMove(kind=MovementKind.WIN, id="a2", amount=Decimal("2.50"), target="a1"),
    )
    request = PEER.request(PeerPlay(player=player, round="r-1", moves=moves, closes_round=True), KEYS, NOW)
    assert (request.method, request.url) == ("POST", "/wallet/play")
    assert request.headers.get("X-REQUEST-SIGN") == "5b6dde038407bbd175dedc0c213a5737f3b3572aa243c143e248aea44d05ad5a"
    balance = PEER.request(PeerBalance(player=player), KEYS, NOW)
    assert balance.headers.get("X-REQUEST-SIGN") == "34d167634768a71d5688f4cb25c2f4cd02beee3fb32676678ea598d8190ab815"


def test_the_total_of_free_spins_is_a_play_too() -> None:
    moves = (PeerMove(kind=MovementKind.BONUS_WIN, id="i-1", amount=Decimal("12.34")),)
    action = PeerPlay(player=PLAYER, round="", moves=moves, grant="i-1")
    request = PEER.request(action, KEYS, NOW)
    assert (request.url, json.loads(request.body)) == (
        "/wallet/freespins",
        {"issue_id": "i-1", "status": "finished", "total_amount": 1234},
    )
    paid = Movement(MovementKind.BONUS_WIN, keys=(MovementKey("issue", "i-1"),), amount=WireAmount.of(1234, MINOR))
    assert understood(request).items == (
        Play(operation="freespins", movements=(paid,), grant="i-1", closes_grant=True),
    )
    assert answered(HttpResponse.json(b'{"balance":5}'), action).verdict is Verdict.DONE


BET = PeerMove(kind=MovementKind.BET, id="a1", amount=Decimal(1))
UNDO = PeerMove(kind=MovementKind.ROLLBACK, id="a2", target="a1")


@pytest.mark.parametrize(
    "action",
    [
        PeerAuthenticate(player=PLAYER),
        PeerPlay(player=PLAYER, round="r-1", moves=()),
        PeerPlay(player=PLAYER, round="r-1", moves=(BET, UNDO)),
        PeerPlay(player=PLAYER, round="r-1", moves=(PeerMove(kind=MovementKind.TIP, id="t", amount=Decimal(1)),)),
        PeerPlay(player=PLAYER, round="r-1", moves=(PeerMove(kind=MovementKind.ROLLBACK, id="a2"),)),
        PeerPlay(player=PLAYER, round="r-1", moves=(BET,), grant="i-1"),
    ],
)
def test_the_peer_refuses_what_the_protocol_cannot_say(action: PeerAction) -> None:
    with pytest.raises(UnsupportedOperationError):
        PEER.request(action, KEYS, NOW)


def test_the_peer_never_rounds_an_amount() -> None:
    moves = (PeerMove(kind=MovementKind.BET, id="a1", amount=Decimal("0.001")),)
    with pytest.raises(AmountError):
        PEER.request(PeerPlay(player=PLAYER, round="r-1", moves=moves), KEYS, NOW)


def test_the_peer_says_how_it_behaves() -> None:
    assert PEER.capabilities == ADAPTER.spec.capabilities
    assert PEER.bet_on_silence is OnSilence.CANCELS is ADAPTER.policies.of("play").on_silence
    assert (PEER.rollback_key_is_target, PEER.closes_by_call, PEER.combines) == (False, False, True)


def test_a_registered_currency_of_the_operator_is_known_to_its_peer() -> None:
    peer = SoftswissPeer(SETTINGS, currencies=Currencies({"GOLD": 1}))
    player = PeerPlayer(player="p", token="", game="g", currency="GOLD")
    request = peer.request(PeerPlay(player=player, round="r", moves=(BET,)), KEYS, NOW)
    assert json.loads(request.body)["actions"][0]["amount"] == 10


@pytest.mark.parametrize("path", ["/api/sessions", "/api/demo", "/api/freespins/issue", "/api/freespins/cancel"])
def test_the_peer_serves_nothing_without_the_hubs_proof(path: str) -> None:
    request = HttpRequest("POST", f"https://provider.example{path}", Headers(), b'{"casino_id":"acme"}')
    response = SoftswissPeer(SETTINGS).serve(request, KEYS, NOW)
    assert (response.status, json.loads(response.body)["code"]) == (403, 403)


def test_what_was_not_launched_or_issued_here_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        PEER.launched("https://games.softswiss.example/launch/none")
    with pytest.raises(NotFoundError):
        PEER.freespins_ended("i-none", Decimal(1), KEYS)
