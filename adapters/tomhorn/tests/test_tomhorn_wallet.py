"""What a method means, and what it is answered, in both codecs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from defusedxml.ElementTree import fromstring

from croupier.contract import (
    Applied,
    AppliedEffect,
    AuthenticationError,
    Balance,
    BalanceQuery,
    BalanceResult,
    Calls,
    Capability,
    Credentials,
    CroupierError,
    Currency,
    Declined,
    DeclineReason,
    ForbiddenError,
    Funding,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    Movement,
    MovementKind,
    MovementResult,
    NotFoundError,
    Outcome,
    OverloadedError,
    PeerAction,
    PeerBalance,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Play,
    PlayResult,
    RetryClass,
    StoreUnavailableError,
    Unknown,
    UnknownCause,
    UnknownCurrencyError,
    UnsupportedOperationError,
    Verdict,
    read_json_object,
    write_json,
)
from croupier_tomhorn.adapter import TomhornAdapter
from croupier_tomhorn.codes import DECLINES, DEPOSIT, GET_BALANCE, METHODS, ROLLBACK, WITHDRAW, Code
from croupier_tomhorn.peer import TomhornPeer
from croupier_tomhorn.settings import SECRET, TomhornSettings
from croupier_tomhorn.sign import sign, signed_text
from croupier_tomhorn.soap import ENVELOPE, WALLET, elements, envelope, local

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = Credentials({SECRET: ("a test key",)})
EUR = Currency("EUR", 2)
JSON = TomhornSettings(partner_id="Partner01", api_url="https://tomhorn.example", deposit_types={"7": "jackpot_win"})
SOAP = evolve(JSON, encoding="soap", integration_namespace="http://tomhorn.example/integration")
BOTH = pytest.mark.parametrize("settings", [JSON, SOAP], ids=["json", "soap"])
PLAYER = PeerPlayer(player="p-1", token="", game="VSlotBM", currency="EUR", session="669357")
BASE: dict[str, Any] = {"partnerID": "Partner01", "name": "p-1", "currency": "EUR", "sessionID": 0}
MOVE: dict[str, Any] = {**BASE, "amount": Decimal("1.5"), "reference": 17, "gameRoundID": 5, "gameModule": "VSlotBM"}


def move(kind: MovementKind, id: str = "17", amount: str = "1.50", target: str | None = None) -> PeerMove:
    return PeerMove(kind=kind, id=id, amount=Decimal(amount), target=target)


def play(kind: MovementKind, **more: Any) -> PeerPlay:
    target = "17" if kind is MovementKind.ROLLBACK else None
    return PeerPlay(player=PLAYER, round="5", moves=(move(kind, target=target),), **more)


ASKED: dict[str, PeerAction] = {
    GET_BALANCE: PeerBalance(player=PLAYER),
    WITHDRAW: play(MovementKind.BET),
    DEPOSIT: play(MovementKind.WIN, closes_round=True),
    ROLLBACK: play(MovementKind.ROLLBACK),
}


def said(method: str, fields: dict[str, Any], settings: TomhornSettings = JSON) -> HttpRequest:
    """A request with these fields, signed as they are."""
    signed = {**fields, "sign": sign(signed_text(method, fields), "a test key")}
    if settings.encoding == "json":
        return HttpRequest("POST", f"/{method}", body=write_json(signed))
    inner = elements(signed)
    return HttpRequest("POST", "/", body=envelope(f'<{method} xmlns="{WALLET}">{inner}</{method}>'))


def read(request: HttpRequest, settings: TomhornSettings = JSON) -> Calls:
    adapter = TomhornAdapter(settings)
    return adapter.parse(adapter.verify(request, KEYS, NOW))


def moved(request: HttpRequest, settings: TomhornSettings = JSON) -> tuple[Play, Movement]:
    (found,) = read(request, settings).items
    assert isinstance(found, Play)
    return found, found.movements[0]


def answered(method: str, outcome: Outcome, settings: TomhornSettings, *, minor: int | None = 1050) -> HttpResponse:
    """The answer to what the peer asks by a method."""
    calls = read(TomhornPeer(settings).request(ASKED[method], KEYS, NOW), settings)
    balance = None if minor is None else Balance(Money(minor, EUR))
    result = (
        BalanceResult(outcome=outcome, balance=balance)
        if method == GET_BALANCE
        else PlayResult(outcome=outcome, movements=(MovementResult(reference="17", outcome=outcome),), balance=balance)
    )
    return TomhornAdapter(settings).render(calls, [result], KEYS, NOW, "nonce")


# --- what is asked ----------------------------------------------------------------------------------------------------


@BOTH
def test_a_withdraw_is_a_bet(settings: TomhornSettings) -> None:
    request = TomhornPeer(settings).request(ASKED[WITHDRAW], KEYS, NOW)
    found, bet = moved(request, settings)
    assert (found.operation, found.player, found.round, found.game) == (WITHDRAW, "p-1", "5", "VSlotBM")
    assert (found.currency, found.session, found.closes_round, found.grant) == ("EUR", None, False, None)
    assert (bet.kind, bet.keys[0].namespace, bet.reference) == (MovementKind.BET, "reference", "17")
    assert bet.amount is not None
    assert bet.amount.to_minor(EUR) == 150  # type: ignore[union-attr] # it is a WireAmount


@BOTH
def test_a_deposit_is_a_win_that_may_end_its_round(settings: TomhornSettings) -> None:
    peer = TomhornPeer(settings)
    last, win = moved(peer.request(ASKED[DEPOSIT], KEYS, NOW), settings)
    assert (last.operation, win.kind, last.closes_round) == (DEPOSIT, MovementKind.WIN, True)
    assert not moved(peer.request(play(MovementKind.WIN), KEYS, NOW), settings)[0].closes_round


@BOTH
def test_a_rollback_names_its_withdraw_and_nothing_else(settings: TomhornSettings) -> None:
    found, undo = moved(TomhornPeer(settings).request(ASKED[ROLLBACK], KEYS, NOW), settings)
    assert (found.round, found.game, found.currency, undo.amount) == (None, None, None, None)
    assert (undo.kind, undo.keys[0].namespace, undo.keys[0].value) == (MovementKind.ROLLBACK, "rollback", "17")
    assert undo.target is not None
    assert undo.target.key is not None
    assert (undo.target.key.namespace, undo.target.key.value) == ("reference", "17")


@BOTH
def test_a_balance_is_asked_for_by_name(settings: TomhornSettings) -> None:
    (query,) = read(TomhornPeer(settings).request(ASKED[GET_BALANCE], KEYS, NOW), settings).items
    assert query == BalanceQuery(operation=GET_BALANCE, player="p-1", game="VSlotBM", currency="EUR")


@BOTH
def test_free_games_charge_nothing_and_pay_each_win(settings: TomhornSettings) -> None:
    peer = TomhornPeer(settings)
    staked, bet = moved(peer.request(play(MovementKind.FREE_BET, grant="campaign1"), KEYS, NOW), settings)
    paid, win = moved(peer.request(play(MovementKind.FREE_WIN, grant="campaign1"), KEYS, NOW), settings)
    assert (bet.kind, win.kind) == (MovementKind.FREE_BET, MovementKind.FREE_WIN)
    assert (staked.grant, paid.grant, bet.funding) == ("campaign1", "campaign1", Funding.OPERATOR)
    assert [one.amount.to_minor(EUR) for one in (bet, win)] == [0, 150]  # type: ignore[union-attr] # WireAmounts


def test_the_notional_bet_of_free_games_is_not_signed_and_so_not_read() -> None:
    fields = {**MOVE, "amount": 0, "fgbCampaignCode": "campaign1"}
    plain = moved(said(WITHDRAW, {**fields, "fgbBetAmount": Decimal("0.1")}))
    assert plain == moved(said(WITHDRAW, fields)) == moved(said(WITHDRAW, {**fields, "fgbBetAmount": "rubbish"}))
    assert plain[1].stake is None


def test_a_free_bet_that_costs_something_is_malformed() -> None:
    with pytest.raises(MalformedRequestError):
        read(said(WITHDRAW, {**MOVE, "fgbCampaignCode": "campaign1"}))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"type": 0}, MovementKind.WIN),
        ({"type": 3}, MovementKind.WIN),
        ({"type": 7}, MovementKind.JACKPOT_WIN),
        ({"type": 7, "gameRoundID": 0}, MovementKind.JACKPOT_WIN),
        ({"type": 0, "gameRoundID": 0}, MovementKind.PROMO_WIN),
        ({"type": 0, "gameRoundID": None}, MovementKind.PROMO_WIN),
        ({"type": 0, "fgbCampaignCode": "campaign1"}, MovementKind.FREE_WIN),
    ],
)
def test_a_deposit_is_what_its_type_and_its_round_say(changes: dict[str, Any], kind: MovementKind) -> None:
    assert moved(said(DEPOSIT, {**MOVE, **changes}))[1].kind is kind


@pytest.mark.parametrize(
    ("value", "ends"), [("True", True), (True, True), ("False", False), (False, False), (None, False), ("", False)]
)
def test_the_end_of_a_round_is_a_text_or_a_truth_value(value: Any, ends: bool) -> None:
    assert moved(said(DEPOSIT, {**MOVE, "type": 0, "isRoundEnd": value}))[0].closes_round is ends


def test_optional_fields_may_be_null_empty_or_absent() -> None:
    spare = {**MOVE, "sessionID": None, "gameModule": "", "fgbCampaignCode": None}
    del spare["sessionID"]
    found, _ = moved(said(WITHDRAW, spare))
    assert (found.game, found.grant) == (None, None)


def test_partners_are_told_apart_whatever_the_case_of_their_id() -> None:
    read(said(WITHDRAW, {**MOVE, "partnerID": "PARTNER01"}))
    with pytest.raises(NotFoundError):
        read(said(WITHDRAW, {**MOVE, "partnerID": "Partner02"}))


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        (WITHDRAW, {"gameRoundID": 0}),
        (WITHDRAW, {"gameRoundID": None}),
        (WITHDRAW, {"reference": None}),
        (WITHDRAW, {"amount": None}),
        (WITHDRAW, {"amount": Decimal(-1)}),
        (WITHDRAW, {"currency": ""}),
        (WITHDRAW, {"name": "n" * 49}),
        (DEPOSIT, {}),
        (DEPOSIT, {"type": 0, "isRoundEnd": "yes"}),
        (DEPOSIT, {"type": 0, "isRoundEnd": 1}),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_malformed(method: str, changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequestError):
        read(said(method, {**MOVE, **changes}))


@pytest.mark.parametrize("path", ["/Withdrawal", "/withdraw", "/GetBalance/x"])
def test_there_are_no_other_methods(path: str) -> None:
    with pytest.raises(UnsupportedOperationError):
        read(evolve(said(WITHDRAW, MOVE), url=path))


# --- what is answered -------------------------------------------------------------------------------------------------


def test_answers_in_json_are_the_documents_own() -> None:
    done = Applied(transaction="hub-1")
    assert answered(GET_BALANCE, done, JSON).body == (
        b'{"Code":0,"Message":"","Balance":{"Amount":10.50,"Currency":"EUR"}}'
    )
    assert answered(WITHDRAW, done, JSON).body == (
        b'{"Code":0,"Message":"","Transaction":{"ID":"hub-1","Balance":10.50,"Currency":"EUR"}}'
    )
    assert answered(ROLLBACK, done, JSON).body == b'{"Code":0,"Message":""}'


def test_answers_in_soap_are_results_of_the_method() -> None:
    response = answered(WITHDRAW, Applied(transaction="hub-1"), SOAP)
    document = fromstring(response.body)
    (result,) = document.findall(f".//{{{ENVELOPE}}}Body/{{{WALLET}}}WithdrawResponse/{{{WALLET}}}WithdrawResult")
    told = {local(leaf): leaf.text for leaf in result.iter() if not len(leaf)}
    assert told == {"Code": "0", "Message": None, "ID": "hub-1", "Balance": "10.50", "Currency": "EUR"}
    assert (response.status, response.headers.get("Content-Type")) == (200, "text/xml; charset=utf-8")


@BOTH
@pytest.mark.parametrize("effect", AppliedEffect)
@pytest.mark.parametrize("method", METHODS)
def test_a_success_is_told_with_balance_and_transaction(
    settings: TomhornSettings, method: str, effect: AppliedEffect
) -> None:
    response = answered(method, Applied(effect=effect, transaction="hub-1"), settings)
    answer = TomhornPeer(settings).answer(ASKED[method], response)
    balance = None if method == ROLLBACK else Decimal("10.50")
    transaction = "hub-1" if method in {WITHDRAW, DEPOSIT} else None
    assert (answer.verdict, answer.code) == (Verdict.DONE, "0")
    assert (answer.balance, answer.transaction) == (balance, transaction)


@BOTH
@pytest.mark.parametrize("reason", DeclineReason)
@pytest.mark.parametrize("method", METHODS)
def test_every_refusal_has_its_code(settings: TomhornSettings, method: str, reason: DeclineReason) -> None:
    response = answered(method, Declined(reason=reason), settings, minor=None)
    answer = TomhornPeer(settings).answer(ASKED[method], response)
    code, policy = DECLINES[method][reason], TomhornAdapter(settings).policies.of(method)
    if code is None:
        assert (answer.verdict, response.status) == (Verdict.RETRY, 503 if settings is JSON else 500)
        assert policy.retry_class[reason.value] is RetryClass.RETRIED
    else:
        over = Verdict.DONE if method == ROLLBACK and code in {9, 12} else Verdict.REFUSED
        assert (answer.verdict, answer.code) == (over, str(int(code)))
        assert reason.value not in policy.retry_class


@pytest.mark.parametrize(
    ("method", "reason", "code"),
    [
        (WITHDRAW, "insufficient_funds", 6),
        (WITHDRAW, "player_unknown", 5),
        (WITHDRAW, "session_expired", 5),
        (WITHDRAW, "currency_wrong", 8),
        (WITHDRAW, "loss_limit", 10),
        (WITHDRAW, "maintenance", 10),
        (WITHDRAW, "other", 10),
        (WITHDRAW, "already_rolled_back", 9),
        (WITHDRAW, "cancelled", 9),
        (WITHDRAW, "conflict", 2),
        (DEPOSIT, "target_unknown", 12),
        (DEPOSIT, "already_rolled_back", 9),
        (DEPOSIT, "conflict", 2),
        (ROLLBACK, "target_unknown", 12),
        (ROLLBACK, "target_declined", 12),
        (ROLLBACK, "already_rolled_back", 9),
        (ROLLBACK, "target_settled", 2),
        (ROLLBACK, "operation_not_allowed", 2),
        (GET_BALANCE, "player_unknown", 5),
    ],
)
def test_refusals_say_what_the_documents_have_them_say(method: str, reason: str, code: int) -> None:
    told = read_json_object(answered(method, Declined(reason=DeclineReason(reason)), JSON).body)
    assert told == {"Code": code, "Message": Code(code).text}


@pytest.mark.parametrize("reason", ["session_expired", "game_disabled", "operator_disabled", "player_blocked", "other"])
def test_a_deposit_is_never_refused_for_what_stops_bets(reason: str) -> None:
    assert answered(DEPOSIT, Declined(reason=DeclineReason(reason)), JSON).status == 503


@BOTH
@pytest.mark.parametrize("cause", UnknownCause)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_known_gets_no_answer_of_the_protocol(
    settings: TomhornSettings, method: str, cause: UnknownCause
) -> None:
    response = answered(method, Unknown(cause=cause), settings)
    assert response.status in {500, 503}
    assert TomhornPeer(settings).answer(ASKED[method], response).verdict is Verdict.RETRY


@BOTH
def test_where_code_1_rolls_back_an_unknown_withdraw_gets_it(settings: TomhornSettings) -> None:
    set_up = evolve(settings, general_error_rolls_back=True)
    for cause in UnknownCause:
        response = answered(WITHDRAW, Unknown(cause=cause), set_up)
        answer = TomhornPeer(set_up).answer(ASKED[WITHDRAW], response)
        assert (response.status, answer.verdict, answer.code) == (200, Verdict.RETRY, "1")
        assert TomhornPeer(settings).answer(ASKED[WITHDRAW], response).verdict is Verdict.REFUSED
        assert answered(DEPOSIT, Unknown(cause=cause), set_up).status != 200


@BOTH
def test_a_balance_that_is_not_known_is_not_invented(settings: TomhornSettings) -> None:
    for method in (GET_BALANCE, WITHDRAW, DEPOSIT):
        response = answered(method, Applied(transaction="hub-1"), settings, minor=None)
        assert TomhornPeer(settings).answer(ASKED[method], response).verdict is Verdict.RETRY
    assert answered(ROLLBACK, Applied(), settings, minor=None).status == 200


@BOTH
def test_a_duplicate_is_told_with_the_first_transaction(settings: TomhornSettings) -> None:
    repeated = Applied(effect=AppliedEffect.REPEATED, transaction="hub-1")
    for told, code in ((settings, "0"), (evolve(settings, duplicates="duplicate"), "11")):
        answer = TomhornPeer(told).answer(ASKED[WITHDRAW], answered(WITHDRAW, repeated, told))
        assert (answer.verdict, answer.code, answer.transaction) == (Verdict.DONE, code, "hub-1")
    bare = answered(WITHDRAW, Declined(reason=DeclineReason.DUPLICATE), settings)
    assert TomhornPeer(settings).answer(ASKED[WITHDRAW], bare).verdict is Verdict.REFUSED


def test_the_transaction_may_be_the_providers_own_reference() -> None:
    settings = evolve(JSON, transaction_id="reference")
    told = read_json_object(answered(WITHDRAW, Applied(transaction="hub-1"), settings).body)
    assert told["Transaction"]["ID"] == "17"


@BOTH
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthenticationError("no"), 3),
        (NotFoundError("no"), 4),
        (UnknownCurrencyError("no"), 8),
        (MalformedRequestError("no"), 2),
        (OverloadedError("no"), None),
        (StoreUnavailableError("no"), None),
        (ForbiddenError("no"), None),
        (CroupierError("no"), None),
    ],
)
def test_errors_have_answers(settings: TomhornSettings, error: CroupierError, code: int | None) -> None:
    for method in METHODS:
        request = TomhornPeer(settings).request(ASKED[method], KEYS, NOW)
        response = TomhornAdapter(settings).render_error(request, error)
        answer = TomhornPeer(settings).answer(ASKED[method], response)
        assert (answer.verdict is Verdict.RETRY) is (code is None)
        assert code is None or answer.code == str(code)


def test_what_a_type_means_decides_about_capabilities() -> None:
    plain = TomhornAdapter(evolve(JSON, deposit_types={})).spec.capabilities
    assert not plain & {Capability.JACKPOT_WIN, Capability.PROMO_WIN}
    assert TomhornAdapter(JSON).spec.capabilities - plain == {Capability.JACKPOT_WIN}


@BOTH
def test_what_is_kept_of_a_request_holds_neither_player_nor_proof(settings: TomhornSettings) -> None:
    kept = TomhornAdapter(settings).redact(TomhornPeer(settings).request(ASKED[WITHDRAW], KEYS, NOW))
    assert b"reference" in kept.body
    assert b"VSlotBM" in kept.body
    assert b"p-1" not in kept.body
    assert b"sign" not in kept.body
    assert b"Partner01" not in kept.body
