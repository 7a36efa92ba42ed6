"""What each of the ten callbacks means."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract.calls import (
    Authenticate,
    BalanceQuery,
    Calls,
    CloseRound,
    Direction,
    Funding,
    Movement,
    MovementKey,
    MovementKind,
    Notice,
    Play,
    PlayMode,
    Target,
)
from croupier.contract.errors import (
    AmountError,
    AuthenticationError,
    MalformedRequestError,
    UnsupportedOperationError,
)
from croupier.contract.http import HttpRequest
from croupier.contract.money import Currency, WireAmount
from croupier.contract.secrets import Credentials
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_pragmatic.codes import OPERATIONS
from croupier_pragmatic.settings import SECRET, PragmaticSettings
from croupier_pragmatic.wire import sign

KEYS = Credentials({SECRET: ("test-secret",)})
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SETTINGS = PragmaticSettings(secure_login="acme_login", api_url="https://api.pp.example", frb_credit_on="result")
ADAPTER = PragmaticAdapter(SETTINGS)
TOTAL = PragmaticAdapter(evolve(SETTINGS, frb_credit_on="bonusWin"))

WHO = {"providerId": "pragmaticplay", "userId": "alias1", "token": "tok-1"}
ROUND = WHO | {
    "gameId": "vs20doghouse",
    "roundId": "5103188801",
    "amount": "10.5",
    "reference": "585c1306f89c56f5ecfc2f5d",
    "timestamp": "1482429190374",
}
SPIN = ROUND | {"roundDetails": "spin"}
FORMS: dict[str, dict[str, str]] = {
    "authenticate": {"providerId": "pragmaticplay", "token": "tok-1"},
    "balance": WHO,
    "bet": SPIN,
    "result": SPIN,
    "bonusWin": {name: ROUND[name] for name in ("providerId", "userId", "amount", "reference", "timestamp")},
    "jackpotWin": ROUND | {"jackpotId": "77"},
    "endRound": WHO | {"gameId": "vs20doghouse", "roundId": "5103188801"},
    "refund": {"providerId": "pragmaticplay", "userId": "alias1", "reference": "585c1306f89c56f5ecfc2f5d"},
    "promoWin": {
        "providerId": "pragmaticplay",
        "userId": "alias1",
        "campaignId": "12",
        "campaignType": "B",
        "amount": "25.00",
        "currency": "EUR",
        "reference": "prize-1",
        "timestamp": "1482429190374",
    },
    "adjustment": ROUND | {"validBetAmount": "1.00"},
}
REQUIRED = [
    (method, name) for method, form in FORMS.items() for name in form if method == "authenticate" or name != "token"
]


def signed(method: str, fields: dict[str, str]) -> HttpRequest:
    body = urlencode(fields | {"hash": sign(fields, "test-secret")}).encode()
    return HttpRequest("POST", f"/{method}.html", body=body)


def parsed(method: str, adapter: PragmaticAdapter = ADAPTER, **changed: str | None) -> Calls:
    fields = {name: value for name, value in (FORMS[method] | changed).items() if value is not None}
    return adapter.parse(adapter.verify(signed(method, fields), KEYS, NOW))


def play(method: str, adapter: PragmaticAdapter = ADAPTER, **changed: str | None) -> Play:
    (call,) = parsed(method, adapter, **changed).items
    assert isinstance(call, Play)
    assert call.operation == method
    return call


def movement(method: str, adapter: PragmaticAdapter = ADAPTER, **changed: str | None) -> Movement:
    (only,) = play(method, adapter, **changed).movements
    return only


def value(amount: object) -> Decimal:
    assert isinstance(amount, WireAmount)
    return amount.value


def test_authenticate_hands_over_the_token() -> None:
    (call,) = parsed("authenticate", gameId="vs20doghouse", ipAddress="192.0.2.1", launchingType="N").items
    assert call == Authenticate(
        operation="authenticate", token="tok-1", game="vs20doghouse", rotate=False, address="192.0.2.1"
    )


def test_authenticate_rotates_the_token_where_the_connection_says_so() -> None:
    (call,) = parsed("authenticate", PragmaticAdapter(evolve(SETTINGS, rotate_token=True))).items
    assert isinstance(call, Authenticate)
    assert call.rotate


def test_balance_asks_for_the_player_with_or_without_a_token() -> None:
    assert parsed("balance").items == (BalanceQuery(operation="balance", player="alias1", session="tok-1"),)
    assert parsed("balance", token=None).items == (BalanceQuery(operation="balance", player="alias1"),)


def test_a_bet_is_an_exact_debit_in_a_round() -> None:
    call = play("bet")
    (bet,) = call.movements
    assert (bet.kind, bet.direction, value(bet.amount)) == (MovementKind.BET, Direction.DEBIT, Decimal("10.5"))
    assert bet.keys == (MovementKey("reference", "585c1306f89c56f5ecfc2f5d"),)
    assert (call.player, call.session, call.round, call.game) == ("alias1", "tok-1", "5103188801", "vs20doghouse")
    assert call.provider_time == datetime(2016, 12, 22, 17, 53, 10, 374_000, tzinfo=UTC)
    assert not call.closes_round
    assert bet.facts is not None
    assert bet.facts.details == {"roundDetails": "spin"}


def test_a_bet_keeps_its_jackpot_contribution_as_a_fact() -> None:
    bet = movement("bet", jackpotContribution="0.05", jackpotId="4", jackpotDetails='{"4":0.05}')
    assert value(bet.amount) == Decimal("10.5")
    assert bet.facts is not None
    assert value(bet.facts.jackpot_contribution) == Decimal("0.05")
    assert bet.facts.details["jackpotId"] == "4"


def test_a_bet_of_a_free_round_charges_nothing() -> None:
    call = play("bet", bonusCode="frb-1", amount="0.00")
    (bet,) = call.movements
    assert (bet.kind, value(bet.amount), bet.funding) == (MovementKind.FREE_BET, Decimal(0), Funding.OPERATOR)
    assert call.grant == "frb-1"


def test_a_bet_that_is_free_and_charged_at_once_is_refused() -> None:
    with pytest.raises(MalformedRequestError):
        parsed("bet", bonusCode="frb-1", amount="0.01")


def test_a_zero_bet_without_free_rounds_is_a_bet() -> None:
    assert movement("bet", amount="0.00").kind is MovementKind.BET


def test_a_result_is_a_credit_and_closes_nothing() -> None:
    call = play("result", amount="0")
    (win,) = call.movements
    assert (win.kind, win.direction, value(win.amount)) == (MovementKind.WIN, Direction.CREDIT, Decimal(0))
    assert not call.closes_round
    assert win.keys == (MovementKey("reference", "585c1306f89c56f5ecfc2f5d"),)


def test_a_promotion_in_a_result_is_a_second_credit_under_its_own_key() -> None:
    call = play("result", promoWinAmount="5.00", promoWinReference="promo-9", promoCampaignType="R")
    win, prize = call.movements
    assert call.mode is PlayMode.ATOMIC
    assert (win.kind, value(win.amount)) == (MovementKind.WIN, Decimal("10.5"))
    assert (prize.kind, value(prize.amount)) == (MovementKind.PROMO_WIN, Decimal("5.00"))
    assert prize.keys == (MovementKey("promo", "promo-9"),)


def test_a_promotion_without_a_reference_derives_its_key_from_the_result() -> None:
    _, prize = play("result", promoWinAmount="5.00").movements
    assert prize.keys == (MovementKey("promo", "585c1306f89c56f5ecfc2f5d"),)


@pytest.mark.parametrize("nothing", ["0", "0.00", ""])
def test_a_promotion_of_nothing_is_no_movement(nothing: str) -> None:
    assert len(play("result", promoWinAmount=nothing, promoWinReference="p").movements) == 1


def test_a_prize_told_by_result_and_by_promo_win_is_one_movement() -> None:
    _, told_first = play("result", promoWinAmount="25.00", promoWinReference="prize-1").movements
    assert set(told_first.keys) & set(movement("promoWin").keys)


def test_free_rounds_are_paid_by_result_or_by_bonus_win_and_never_by_both() -> None:
    per_win = movement("result", bonusCode="frb-1")
    assert (per_win.kind, value(per_win.amount)) == (MovementKind.FREE_WIN, Decimal("10.5"))
    told, asked = parsed("bonusWin", bonusCode="frb-1").items
    assert isinstance(told, Notice)
    assert isinstance(asked, BalanceQuery)

    informing = movement("result", TOTAL, bonusCode="frb-1")
    assert (informing.kind, value(informing.amount)) == (MovementKind.FREE_WIN, Decimal(0))
    assert informing.facts is not None
    assert value(informing.facts.payout) == Decimal("10.5")
    total = play("bonusWin", TOTAL, bonusCode="frb-1", roundId="5", gameId="vs5aztecgems")
    assert value(total.movements[0].amount) == Decimal("10.5")
    assert total.movements[0].kind is MovementKind.BONUS_WIN
    assert (total.grant, total.closes_grant, total.round) == ("frb-1", True, None)


def test_a_result_outside_free_rounds_is_paid_with_either_setting() -> None:
    assert value(movement("result").amount) == value(movement("result", TOTAL).amount) == Decimal("10.5")


def test_a_negative_win_that_only_informs_is_refused_all_the_same() -> None:
    with pytest.raises(MalformedRequestError):
        parsed("result", TOTAL, bonusCode="frb-1", amount="-1")


def test_a_bonus_win_that_only_informs_keeps_its_facts() -> None:
    told, _ = parsed("bonusWin", bonusCode="frb-1", roundId="5", amount="12.00").items
    assert isinstance(told, Notice)
    assert told.reference == ROUND["reference"]
    assert told.facts == {"bonusCode": "frb-1", "roundId": "5", "amount": "12.00"}


def test_a_jackpot_win_is_a_credit_of_its_own() -> None:
    win = movement("jackpotWin", amount="1000000.00")
    assert (win.kind, value(win.amount)) == (MovementKind.JACKPOT_WIN, Decimal(1000000))
    assert win.facts is not None
    assert value(win.facts.jackpot_win) == Decimal(1000000)


def test_end_round_moves_nothing_whatever_it_says_was_won() -> None:
    (call,) = parsed("endRound", win="55.00").items
    assert isinstance(call, CloseRound)
    assert (call.player, call.round, call.game) == ("alias1", "5103188801", "vs20doghouse")
    assert call.facts is not None
    assert value(call.facts.payout) == Decimal("55.00")


def test_a_refund_has_a_key_of_its_own_and_targets_the_bet_of_its_reference() -> None:
    refund = movement("refund")
    assert refund.kind is MovementKind.ROLLBACK
    assert refund.keys == (MovementKey("refund", "585c1306f89c56f5ecfc2f5d"),)
    assert refund.target == Target(key=movement("bet").keys[0])
    assert refund.amount is None


def test_the_amount_of_a_refund_is_ignored_but_must_be_an_amount() -> None:
    assert movement("refund", amount="3.00").amount is None
    with pytest.raises(MalformedRequestError):
        parsed("refund", amount="NaN")


def test_a_refund_may_come_with_everything_or_with_the_least() -> None:
    assert play("refund").round is None
    full = play("refund", roundId="5", gameId="g", bonusCode="frb-1", timestamp="1", roundDetails="", platform="WEB")
    assert (full.round, full.game, full.grant) == ("5", "g", None)


def test_a_promo_win_carries_its_currency_and_no_round() -> None:
    call = play("promoWin")
    (win,) = call.movements
    assert (win.kind, value(win.amount)) == (MovementKind.PROMO_WIN, Decimal("25.00"))
    assert (call.currency, call.round, call.session) == ("EUR", None, None)
    assert win.keys[0] == MovementKey("reference", "prize-1")


def test_a_tournament_is_told_from_other_promotions() -> None:
    assert movement("promoWin", campaignType="T").kind is MovementKind.TOURNAMENT_WIN
    assert movement("promoWin", campaignType="CB").kind is MovementKind.PROMO_WIN


@pytest.mark.parametrize(
    ("amount", "direction"), [("-3.10", Direction.DEBIT), ("3.10", Direction.CREDIT), ("0", Direction.CREDIT)]
)
def test_an_adjustment_is_signed(amount: str, direction: Direction) -> None:
    (asked,) = parsed("adjustment", amount=amount).items
    assert isinstance(asked, Play)
    assert asked.operation == ("adjustment_debit" if direction is Direction.DEBIT else "adjustment")
    (change,) = asked.movements
    assert (change.kind, change.direction, value(change.amount)) == (
        MovementKind.ADJUSTMENT,
        direction,
        Decimal(amount),
    )
    assert change.facts is not None
    assert value(change.facts.valid_turnover) == Decimal("1.00")


def test_more_digits_than_a_currency_has_are_handed_on_exactly() -> None:
    amount = movement("bet", amount="0.123456789").amount
    assert isinstance(amount, WireAmount)
    with pytest.raises(AmountError):
        amount.to_minor(Currency("EUR", 2))


@pytest.mark.parametrize("method", OPERATIONS)
@pytest.mark.parametrize("path", ["/{}.html", "/{}", "/{}/"])
def test_every_method_is_found_with_and_without_its_ending(method: str, path: str) -> None:
    request = evolve(signed(method, FORMS[method]), url=path.format(method))
    assert ADAPTER.parse(ADAPTER.verify(request, KEYS, NOW)) == parsed(method)
    assert path.format(method).rstrip("/") in {route.path for route in ADAPTER.routes()}


def test_another_method_is_unsupported() -> None:
    with pytest.raises(UnsupportedOperationError):
        ADAPTER.parse(ADAPTER.verify(signed("getBalancePerGame", FORMS["balance"]), KEYS, NOW))


@pytest.mark.parametrize(("method", "name"), REQUIRED)
def test_a_missing_field_is_refused(method: str, name: str) -> None:
    with pytest.raises(MalformedRequestError, match="missing"):
        parsed(method, ADAPTER, **{name: None})


@pytest.mark.parametrize(("method", "name"), REQUIRED)
def test_an_empty_field_counts_as_missing(method: str, name: str) -> None:
    if name == "roundDetails":
        parsed(method, roundDetails="")
        return
    with pytest.raises(MalformedRequestError):
        parsed(method, ADAPTER, **{name: ""})


@pytest.mark.parametrize("method", OPERATIONS)
def test_another_provider_is_refused(method: str) -> None:
    with pytest.raises(MalformedRequestError) as refused:
        parsed(method, providerId="PragmaticPlay")
    assert refused.value.where == "providerId"


BAD_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "1e2",
    "1E5",
    "ten",
    "1,5",
    " 1",
    "0x10",
    "1_0",
    "1..0",
    ".",
    "٣",
    "9" * 41,
]


@pytest.mark.parametrize("amount", BAD_NUMBERS)
@pytest.mark.parametrize("method", [method for method, form in FORMS.items() if "amount" in form])
def test_what_is_no_amount_is_refused(method: str, amount: str) -> None:
    with pytest.raises(MalformedRequestError):
        parsed(method, amount=amount)
    with pytest.raises(MalformedRequestError):
        parsed(method, TOTAL, amount=amount)


@pytest.mark.parametrize("method", ["bet", "result", "bonusWin", "jackpotWin", "promoWin", "refund"])
def test_a_negative_amount_is_refused(method: str) -> None:
    for adapter in (ADAPTER, TOTAL):
        with pytest.raises(MalformedRequestError):
            parsed(method, adapter, amount="-0.01")


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("result", "promoWinAmount"),
        ("bet", "jackpotContribution"),
        ("endRound", "win"),
        ("adjustment", "validBetAmount"),
    ],
)
def test_amounts_beside_the_amount_are_checked_too(method: str, name: str) -> None:
    with pytest.raises(MalformedRequestError):
        parsed(method, ADAPTER, **{name: "NaN"})


def test_a_negative_promotion_is_refused() -> None:
    with pytest.raises(MalformedRequestError):
        parsed("result", promoWinAmount="-5")


@pytest.mark.parametrize("moment", ["soon", "-1", "1.5", "1" * 15, "٣"])
def test_a_timestamp_that_is_none_is_refused(moment: str) -> None:
    with pytest.raises(MalformedRequestError):
        parsed("bet", timestamp=moment)


def test_the_largest_timestamp_is_still_a_time() -> None:
    assert play("bet", timestamp="9" * 14).provider_time is not None


@pytest.mark.parametrize("name", ["userId", "gameId", "roundId", "reference", "bonusCode"])
@pytest.mark.parametrize("text", ["a\nb", "a\x7fb", "x" * 201])
def test_an_id_that_cannot_be_one_is_refused(name: str, text: str) -> None:
    with pytest.raises(MalformedRequestError):
        parsed("bet", ADAPTER, **({"amount": "0"} | {name: text}))


@pytest.mark.parametrize("method", OPERATIONS)
@given(data=st.data())
def test_any_changed_byte_of_a_request_is_refused(method: str, data: st.DataObject) -> None:
    request = signed(method, FORMS[method])
    place = data.draw(st.integers(0, len(request.body) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda new: new != request.body[place]))
    body = request.body[:place] + bytes([byte]) + request.body[place + 1 :]
    if body.lower() == request.body.lower() and b"hash=" in body[:place]:
        return  # the case of the hash's own hex digits does not count
    with pytest.raises((AuthenticationError, MalformedRequestError)):
        ADAPTER.verify(evolve(request, body=body), KEYS, NOW)


@given(st.binary(max_size=300))
def test_bytes_without_a_proof_are_refused(body: bytes) -> None:
    with pytest.raises((AuthenticationError, MalformedRequestError)):
        ADAPTER.verify(HttpRequest("POST", "/bet.html", body=body), KEYS, NOW)


def test_a_form_cut_into_other_fields_is_refused() -> None:
    fields = FORMS["refund"] | {"roundId": "7"}
    cut = {name: text for name, text in fields.items() if name != "roundId"}
    cut["reference"] += "&roundId=7"
    assert sign(cut, "test-secret") == sign(fields, "test-secret")
    with pytest.raises(AuthenticationError):
        ADAPTER.verify(signed("refund", cut), KEYS, NOW)


def test_what_is_stored_of_a_request_holds_no_secret_and_nothing_personal() -> None:
    fields = SPIN | {"ipAddress": "192.0.2.1", "previousToken": "tok-0", "jackpotDetails": "{}", "surprise": "x"}
    request = evolve(signed("bet", fields), url="/bet.html?hash=abc")
    kept = ADAPTER.redact(request)
    assert kept.url == "/bet.html"
    for secret in (b"userId", b"tok-1", b"tok-0", b"192.0.2.1", b"hash", b"surprise", b"jackpotDetails"):
        assert secret not in kept.body
    assert b"reference=585c1306f89c56f5ecfc2f5d" in kept.body
    assert b"amount=10.5" in kept.body


def test_what_cannot_be_read_is_not_stored() -> None:
    assert ADAPTER.redact(HttpRequest("POST", "/bet.html", body=b"token=a&token=b")).body == b""
