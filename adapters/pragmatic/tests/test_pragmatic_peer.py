"""The simulated provider: what it says means the same to the adapter, and it reads answers by the protocol."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract.calls import (
    Authenticate,
    BalanceQuery,
    Call,
    CloseRound,
    MovementKey,
    MovementKind,
    Play,
    Target,
)
from croupier.contract.errors import UnsupportedOperationError
from croupier.contract.http import HttpResponse
from croupier.contract.money import Balance, Currency, Money, WireAmount
from croupier.contract.outcomes import (
    Applied,
    AuthenticateResult,
    Declined,
    DeclineReason,
    MovementResult,
    Outcome,
    PlayerFacts,
    PlayResult,
    Unknown,
    UnknownCause,
)
from croupier.contract.peer import (
    PeerAction,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Verdict,
)
from croupier.contract.policy import OnSilence
from croupier.contract.secrets import Credentials
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_pragmatic.codes import Code
from croupier_pragmatic.peer import PragmaticPeer, amount_text
from croupier_pragmatic.settings import SECRET, PragmaticSettings

KEYS = Credentials({SECRET: ("test-secret",)})
NOW = datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC)
SETTINGS = PragmaticSettings(secure_login="acme_login", api_url="https://api.pp.example", frb_credit_on="bonusWin")
ADAPTER = PragmaticAdapter(SETTINGS)
PER_WIN = PragmaticAdapter(evolve(SETTINGS, frb_credit_on="result"))
PEER = PragmaticPeer(SETTINGS)
PLAYER = PeerPlayer(player="alias1", token="tok-1", game="vs20doghouse", currency="EUR")
BET = PeerMove(kind=MovementKind.BET, id="b1", amount=Decimal("10.5"))
BALANCE = Balance(Money(12_345, Currency("EUR", 2)))

ids = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, categories=["L", "N", "P", "S"]), min_size=1, max_size=60
)
amounts = st.decimals(min_value=0, max_value=10**15, places=4)
players = st.builds(PeerPlayer, player=ids, token=ids | st.just(""), game=ids, currency=st.sampled_from(["EUR", "IDR"]))
GRANTED = {MovementKind.FREE_BET, MovementKind.FREE_WIN, MovementKind.BONUS_WIN}
SAID = [
    MovementKind.BET,
    MovementKind.WIN,
    MovementKind.FREE_BET,
    MovementKind.FREE_WIN,
    MovementKind.BONUS_WIN,
    MovementKind.JACKPOT_WIN,
    MovementKind.PROMO_WIN,
    MovementKind.TOURNAMENT_WIN,
    MovementKind.ADJUSTMENT,
    MovementKind.ROLLBACK,
]


def meant(action: PeerAction, adapter: PragmaticAdapter = ADAPTER) -> Call:
    (call,) = adapter.parse(adapter.verify(PEER.request(action, KEYS, NOW), KEYS, NOW)).items
    return call


@st.composite
def plays(draw: st.DrawFn) -> PeerPlay:
    kind = draw(st.sampled_from(SAID))
    amount = draw(amounts)
    signed = -amount if kind is MovementKind.ADJUSTMENT and draw(st.booleans()) else amount
    move = PeerMove(
        kind=kind,
        id=draw(ids),
        amount=signed,
        target=draw(ids) if kind is MovementKind.ROLLBACK else None,
    )
    grant = draw(ids) if kind in GRANTED else None
    return PeerPlay(player=draw(players), round=draw(ids), moves=(move,), grant=grant)


@given(plays())
def test_a_play_means_to_the_adapter_what_the_provider_said(said: PeerPlay) -> None:
    (move,) = said.moves
    call = meant(said, PER_WIN if move.kind is MovementKind.FREE_WIN else ADAPTER)
    assert isinstance(call, Play)
    (found,) = call.movements
    assert found.kind is move.kind
    assert call.player == said.player.player
    assert call.grant == said.grant
    if move.kind is MovementKind.ROLLBACK:
        assert move.target is not None
        assert found.target == Target(key=MovementKey("reference", move.target))
        return
    assert found.keys[0] == MovementKey("reference", move.id)
    assert isinstance(found.amount, WireAmount)
    assert found.amount.value == (0 if move.kind is MovementKind.FREE_BET else move.amount)
    assert call.provider_time == NOW
    if move.kind in {MovementKind.PROMO_WIN, MovementKind.TOURNAMENT_WIN}:
        assert (call.currency, call.session) == (said.player.currency, None)
    elif move.kind is not MovementKind.BONUS_WIN:
        assert (call.round, call.game) == (said.round, said.player.game)
        assert call.session == (said.player.token or None)


@given(players, ids)
def test_other_requests_mean_what_was_said(player: PeerPlayer, round_id: str) -> None:
    asked = meant(PeerBalance(player=player))
    assert isinstance(asked, BalanceQuery)
    assert (asked.player, asked.session) == (player.player, player.token or None)
    closed = meant(PeerCloseRound(player=player, round=round_id))
    assert isinstance(closed, CloseRound)
    assert (closed.player, closed.round, closed.game) == (player.player, round_id, player.game)
    if player.token:
        entered = meant(PeerAuthenticate(player=player))
        assert isinstance(entered, Authenticate)
        assert (entered.token, entered.game) == (player.token, player.game)


def test_a_refund_repeats_the_reference_of_its_bet() -> None:
    bet, refund = (
        meant(PeerPlay(player=PLAYER, round="1", moves=(move,)))
        for move in (BET, PeerMove(kind=MovementKind.ROLLBACK, id="any", target="b1"))
    )
    assert isinstance(bet, Play)
    assert isinstance(refund, Play)
    assert refund.movements[0].target == Target(key=bet.movements[0].keys[0])
    assert refund.movements[0].keys[0] != bet.movements[0].keys[0]


def test_requests_are_the_same_bytes_every_time() -> None:
    play = PeerPlay(player=PLAYER, round="1", moves=(BET,))
    assert PEER.request(play, KEYS, NOW) == PEER.request(evolve(play, resend=True), KEYS, NOW)


@pytest.mark.parametrize(
    "action",
    [
        PeerPlay(player=PLAYER, round="1", moves=()),
        PeerPlay(player=PLAYER, round="1", moves=(BET, BET)),
        PeerPlay(player=PLAYER, round="1", moves=(BET,), closes_round=True),
        PeerPlay(player=PLAYER, round="1", moves=(BET,), grant="frb-1"),
        PeerPlay(player=PLAYER, round="1", moves=(PeerMove(kind=MovementKind.FREE_BET, id="b"),)),
        PeerPlay(player=PLAYER, round="1", moves=(PeerMove(kind=MovementKind.TIP, id="b"),)),
        PeerPlay(player=PLAYER, round="1", moves=(PeerMove(kind=MovementKind.ROLLBACK, id="b"),)),
        PeerPlay(
            player=PLAYER,
            round="1",
            moves=(PeerMove(kind=MovementKind.BET_AND_WIN, id="b", win_amount=Decimal(1)),),
        ),
    ],
)
def test_what_the_protocol_cannot_say_is_not_said(action: PeerAction) -> None:
    with pytest.raises(UnsupportedOperationError):
        PEER.request(action, KEYS, NOW)


@given(st.decimals(min_value=-(10**30), max_value=10**30, allow_nan=False))
def test_amounts_are_written_exactly_with_two_digits_or_more(amount: Decimal) -> None:
    text = amount_text(amount)
    assert Decimal(text) == amount
    assert len(text.partition(".")[2]) >= 2


def answered(outcome: Outcome) -> HttpResponse:
    action = PeerPlay(player=PLAYER, round="1", moves=(BET,))
    calls = ADAPTER.parse(ADAPTER.verify(PEER.request(action, KEYS, NOW), KEYS, NOW))
    result = PlayResult(outcome=outcome, movements=(MovementResult(reference="b1", outcome=outcome),), balance=BALANCE)
    return ADAPTER.render(calls, [result], KEYS, NOW, "n")


PLAY = PeerPlay(player=PLAYER, round="1", moves=(BET,))


def test_a_success_is_booked_with_its_balance_and_transaction() -> None:
    told = PEER.answer(PLAY, answered(Applied(transaction="tx-1")))
    assert (told.verdict, told.balance, told.transaction) == (Verdict.DONE, Decimal("123.45"), "tx-1")


def test_a_refusal_is_definite_and_a_retry_is_not() -> None:
    assert PEER.answer(PLAY, answered(Declined(reason=DeclineReason.INSUFFICIENT_FUNDS))).verdict is Verdict.REFUSED
    assert PEER.answer(PLAY, answered(Unknown(cause=UnknownCause.NO_ANSWER))).verdict is Verdict.RETRY


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_every_code_but_the_two_for_retries_is_a_refusal(code: Code) -> None:
    told = PEER.answer(PLAY, HttpResponse.json(f'{{"error":{code},"description":"x"}}'))
    assert told.verdict is (Verdict.RETRY if code in {100, 130} else Verdict.REFUSED)
    assert told.code == str(int(code))


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse.json(b'{"error":0,"cash":1,"transactionId":"t"}', status=500),
        HttpResponse.text("<html>"),
        HttpResponse.json(b"[0]"),
        HttpResponse.json(b'{"error":"0","cash":1.00,"transactionId":"t"}'),
        HttpResponse.json(b'{"error":0}'),
        HttpResponse.json(b'{"error":0,"cash":1.00}'),
        HttpResponse.json(b'{"error":0,"cash":true,"transactionId":"t"}'),
        HttpResponse.json(b'{"error":0,"cash":"1.00","transactionId":"t"}'),
        HttpResponse.json(b'{"error":999}'),
        HttpResponse.json(b'{"error":null}'),
    ],
)
def test_what_is_not_understood_counts_as_no_answer(response: HttpResponse) -> None:
    assert PEER.answer(PLAY, response).verdict is Verdict.RETRY


def test_a_refund_is_booked_without_a_balance() -> None:
    refund = PeerPlay(player=PLAYER, round="1", moves=(PeerMove(kind=MovementKind.ROLLBACK, id="r", target="b1"),))
    told = PEER.answer(refund, HttpResponse.json(b'{"error":0,"transactionId":7}'))
    assert (told.verdict, told.transaction, told.balance) == (Verdict.DONE, "7", None)


def test_authenticate_tells_the_player_and_a_new_token() -> None:
    action = PeerAuthenticate(player=PeerPlayer(player="", token="tok-1", game="g", currency=""))
    calls = ADAPTER.parse(ADAPTER.verify(PEER.request(action, KEYS, NOW), KEYS, NOW))
    facts = PlayerFacts(alias="alias1", currency="EUR", session="tok-2")
    result = AuthenticateResult(outcome=Applied(), player=facts, balance=BALANCE)
    told = PEER.answer(action, ADAPTER.render(calls, [result], KEYS, NOW, "n"))
    assert told.player == PeerPlayer(player="alias1", token="tok-2", game="g", currency="EUR")
    nameless = PEER.answer(action, HttpResponse.json(b'{"error":0,"cash":1}'))
    assert nameless.verdict is Verdict.RETRY


def test_the_peer_can_what_its_adapter_can() -> None:
    assert PEER.capabilities == ADAPTER.spec.capabilities
    assert (PEER.bet_on_silence, PEER.rollback_key_is_target, PEER.closes_by_call, PEER.combines) == (
        OnSilence.CANCELS,
        True,
        True,
        False,
    )
