"""What the provider is answered, and how it understands that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    AuthenticateResult,
    AuthenticationError,
    Balance,
    BalanceResult,
    Calls,
    CloseRoundResult,
    Credentials,
    CroupierError,
    Currency,
    Declined,
    DeclineReason,
    ForbiddenError,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    MovementKind,
    MovementResult,
    NoticeResult,
    Outcome,
    OverloadedError,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    PlayerFacts,
    PlayResult,
    RateLimitedError,
    Result,
    StoreUnavailableError,
    Unknown,
    UnknownCause,
    UnsupportedOperationError,
    Verdict,
)
from croupier_playngo.adapter import PlayngoAdapter
from croupier_playngo.codes import DECLINES
from croupier_playngo.peer import PlayngoPeer
from croupier_playngo.settings import ACCESS_TOKEN, API_PASSWORD, PlayngoSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EUR = Currency("EUR", 2)
KEYS = Credentials({ACCESS_TOKEN: ("test token",), API_PASSWORD: ("test password",)})
SETTINGS = PlayngoSettings(
    product_id="1", game_host="games.playngo.example", api_url="https://api.playngo.example/service", api_user="test"
)
PLAYER = PeerPlayer(player="p-1", token="session-1", game="100310", currency="EUR")
BET = PeerPlay(player=PLAYER, round="r-1", moves=(PeerMove(kind=MovementKind.BET, id="t-1", amount=Decimal("1.50")),))
WIN = evolve(BET, moves=(PeerMove(kind=MovementKind.WIN, id="t-2", amount=Decimal("3.00")),))
UNDO = evolve(BET, moves=(PeerMove(kind=MovementKind.ROLLBACK, id="t-1", target="t-1"),))
TICKET = PeerAuthenticate(player=evolve(PLAYER, player="", currency="", token="ticket-1"))
BALANCE = Balance(Money(1050, EUR))
DONE = Applied(transaction="hub-1")

adapter = PlayngoAdapter(SETTINGS)
peer = PlayngoPeer(SETTINGS)


def asked(action: PeerAction) -> Calls:
    return adapter.parse(adapter.verify(peer.request(action, KEYS, NOW), KEYS, NOW))


def rendered(action: PeerAction, results: Sequence[Result]) -> HttpResponse:
    return adapter.render(asked(action), results, KEYS, NOW, "nonce")


def moved(action: PeerPlay, outcome: Outcome, balance: Balance | None = BALANCE) -> HttpResponse:
    movement = MovementResult(reference=action.moves[0].id, outcome=outcome)
    return rendered(action, [PlayResult(outcome=outcome, movements=(movement,), balance=balance)])


def heard(action: PeerPlay, outcome: Outcome, balance: Balance | None = BALANCE) -> PeerAnswer:
    return peer.answer(action, moved(action, outcome, balance))


def test_a_success_is_the_example_of_the_sheet() -> None:
    answer = moved(BET, Applied(transaction="op-55"), Balance(Money(9850, EUR)))
    assert (answer.status, answer.headers.get("Content-Type")) == (200, "application/xml")
    assert answer.body == (
        b"<reserve><externalTransactionId>op-55</externalTransactionId><real>98.50</real><currency>EUR</currency>"
        b"<statusCode>0</statusCode><statusMessage>ok</statusMessage></reserve>"
    )


@pytest.mark.parametrize("action", [BET, WIN, UNDO])
def test_a_success_tells_balance_and_transaction(action: PeerPlay) -> None:
    answer = heard(action, DONE)
    assert (answer.verdict, answer.balance, answer.transaction) == (Verdict.DONE, Decimal("10.50"), "hub-1")


@pytest.mark.parametrize("action", [BET, WIN])
def test_a_balance_is_never_invented(action: PeerPlay) -> None:
    assert heard(action, DONE, None).verdict is Verdict.RETRY


def test_a_cancel_needs_no_balance() -> None:
    answer = heard(UNDO, Applied(effect=AppliedEffect.NOTHING), None)
    assert (answer.verdict, answer.balance, answer.transaction) == (Verdict.DONE, None, "t-1")


@pytest.mark.parametrize(
    ("money", "shown"),
    [
        (Money(99_999, Currency("KWD", 3)), "99.99"),
        (Money(-99_999, Currency("KWD", 3)), "-99.99"),
        (Money(500, Currency("JPY", 0)), "500.00"),
        (Money(199_999_999, Currency("BTC", 8)), "1.99"),
    ],
)
def test_a_balance_has_two_digits_and_is_cut(money: Money, shown: str) -> None:
    body = moved(BET, DONE, Balance(money)).body
    assert f"<real>{shown}</real><currency>{money.currency.code}</currency>".encode() in body


@pytest.mark.parametrize("reason", DeclineReason)
def test_every_refusal_of_a_bet_is_told_as_one(reason: DeclineReason) -> None:
    answer = heard(BET, Declined(reason=reason))
    assert (answer.verdict, answer.code) == (Verdict.REFUSED, str(DECLINES["reserve"][reason].value))


FINAL = """
    player_unknown currency_wrong round_closed target_unknown target_declined target_settled already_rolled_back
    cancelled duplicate conflict operation_not_allowed
""".split()


@pytest.mark.parametrize("action", [WIN, UNDO])
@pytest.mark.parametrize("reason", DeclineReason)
def test_what_is_owed_is_sent_again_unless_no_later_attempt_could_be_right(
    action: PeerPlay, reason: DeclineReason
) -> None:
    answer = heard(action, Declined(reason=reason))
    assert answer.verdict is (Verdict.REFUSED if reason.value in FINAL else Verdict.RETRY)
    retried = adapter.policies.of("release" if action is WIN else "cancelReserve").retry_class
    assert (reason.value in retried) is (answer.verdict is Verdict.RETRY)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (DeclineReason.PLAYER_UNKNOWN, 1),
        (DeclineReason.CURRENCY_WRONG, 3),
        (DeclineReason.PLAYER_BLOCKED, 5),
        (DeclineReason.OPERATOR_DISABLED, 6),
        (DeclineReason.INSUFFICIENT_FUNDS, 7),
        (DeclineReason.LOSS_LIMIT, 9),
        (DeclineReason.SESSION_EXPIRED, 10),
        (DeclineReason.TIME_LIMIT, 11),
        (DeclineReason.ALREADY_ROLLED_BACK, 12),
        (DeclineReason.TARGET_SETTLED, 12),
    ],
)
def test_codes_are_those_of_the_sheet(reason: DeclineReason, code: int) -> None:
    assert DECLINES["reserve"][reason] == code


@pytest.mark.parametrize("action", [BET, WIN, UNDO])
@pytest.mark.parametrize("cause", UnknownCause)
def test_what_is_unknown_is_neither_success_nor_refusal(action: PeerPlay, cause: UnknownCause) -> None:
    answer = heard(action, Unknown(cause=cause))
    assert (answer.verdict, answer.code) == (Verdict.RETRY, "2")


def facts(**changes: Any) -> PlayerFacts:
    known = PlayerFacts(alias="p-1", currency="EUR", country="MT", language="en", session="session-1")
    return evolve(known, **changes)


def test_a_ticket_is_answered_with_the_player() -> None:
    result = AuthenticateResult(outcome=DONE, player=facts(display_name="Ann <& Co>"), balance=BALANCE)
    answer = rendered(TICKET, [result])
    assert answer.body == (
        b"<authenticate><externalId>p-1</externalId><userCurrency>EUR</userCurrency>"
        b"<nickname>Ann &lt;&amp; Co&gt;</nickname><country>MT</country><language>en_GB</language><real>10.50</real>"
        b"<externalGameSessionId>session-1</externalGameSessionId><statusCode>0</statusCode>"
        b"<statusMessage>ok</statusMessage></authenticate>"
    )
    assert peer.answer(TICKET, answer).player == PLAYER


def test_what_xml_cannot_hold_is_left_out_of_a_name() -> None:
    result = AuthenticateResult(outcome=DONE, player=facts(display_name="A\x00\ud800n"), balance=BALANCE)
    assert b"<nickname>An</nickname>" in rendered(TICKET, [result]).body


@pytest.mark.parametrize("reason", [DeclineReason.SESSION_UNKNOWN, DeclineReason.PLAYER_UNKNOWN])
def test_a_wrong_ticket_has_a_code_of_its_own(reason: DeclineReason) -> None:
    answer = peer.answer(TICKET, rendered(TICKET, [AuthenticateResult(outcome=Declined(reason=reason))]))
    assert (answer.verdict, answer.code) == (Verdict.REFUSED, "4")


@pytest.mark.parametrize(
    "result",
    [
        AuthenticateResult(outcome=DONE, player=None, balance=BALANCE),
        AuthenticateResult(outcome=DONE, player=evolve(facts(), session=None), balance=BALANCE),
        AuthenticateResult(outcome=DONE, player=facts(), balance=None),
    ],
)
def test_half_a_player_is_told_as_none(result: AuthenticateResult) -> None:
    assert peer.answer(TICKET, rendered(TICKET, [result])).verdict is Verdict.RETRY


def test_a_balance_is_told() -> None:
    action = PeerBalance(player=PLAYER)
    answer = rendered(action, [BalanceResult(outcome=DONE, balance=BALANCE)])
    assert answer.body == (
        b"<balance><real>10.50</real><currency>EUR</currency><statusCode>0</statusCode>"
        b"<statusMessage>ok</statusMessage></balance>"
    )
    assert peer.answer(action, answer).balance == Decimal("10.50")


def test_the_end_of_a_round_is_answered_with_the_providers_own_id() -> None:
    action = PeerCloseRound(player=PLAYER, round="r-1")
    answer = peer.answer(action, rendered(action, [CloseRoundResult(outcome=DONE, balance=BALANCE)]))
    assert (answer.verdict, answer.transaction, answer.balance) == (Verdict.DONE, "closed-r-1", Decimal("10.50"))


@pytest.mark.parametrize(
    ("noted", "code"), [(DONE, b"<statusCode>0<"), (Unknown(cause=UnknownCause.STORE), b"<statusCode>2<")]
)
def test_an_amount_that_moves_nothing_is_acknowledged_once_it_is_kept(noted: Outcome, code: bytes) -> None:
    request = peer.request(WIN, KEYS, NOW)
    told = evolve(request, body=request.body.replace(b"<state>0<", b"<state>1<"))
    calls = adapter.parse(adapter.verify(told, KEYS, NOW))
    results: list[Result] = [NoticeResult(outcome=noted), CloseRoundResult(outcome=DONE, balance=BALANCE)]
    body = adapter.render(calls, results, KEYS, NOW, "nonce").body
    assert code in body
    assert (b"<externalTransactionId>t-2<" in body) is (noted is DONE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthenticationError("no"), "4"),
        (ForbiddenError("no"), "2"),
        (MalformedRequestError("no"), "12"),
        (UnsupportedOperationError("no"), "12"),
        (OverloadedError("no"), "8"),
        (RateLimitedError("no"), "8"),
        (StoreUnavailableError("no"), "2"),
        (CroupierError("no"), "2"),
    ],
)
def test_errors_before_a_call_have_the_methods_own_root(error: CroupierError, code: str) -> None:
    answer = adapter.render_error(HttpRequest("POST", "/Reserve"), error)
    assert answer.body.startswith(b"<reserve><statusCode>" + code.encode() + b"<")
    verdict = Verdict.RETRY if code in {"2", "8"} else Verdict.REFUSED
    assert peer.answer(BET, answer).verdict is verdict


def test_an_error_at_an_address_of_no_method_is_answered_all_the_same() -> None:
    answer = adapter.render_error(HttpRequest("POST", "/"), MalformedRequestError("no"))
    assert answer.body == (
        b"<error><statusCode>12</statusCode><statusMessage>SERVICEUNAVAILABLE</statusMessage></error>"
    )


@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(503),
        HttpResponse(200, body=b"<html>"),
        HttpResponse(200, body=b"<release><statusCode>0</statusCode></release>"),
        HttpResponse(200, body=b"<reserve><real>1.00</real></reserve>"),
        HttpResponse(200, body=b"<reserve><statusCode>99</statusCode></reserve>"),
        HttpResponse(200, body=b"<reserve><statusCode>0</statusCode><real>1.00</real></reserve>"),
        HttpResponse(
            200,
            body=b"<reserve><externalTransactionId>1</externalTransactionId><real>much</real>"
            b"<statusCode>0</statusCode></reserve>",
        ),
    ],
)
def test_the_provider_books_nothing_on_what_it_does_not_understand(answer: HttpResponse) -> None:
    assert peer.answer(BET, answer).verdict is Verdict.RETRY
