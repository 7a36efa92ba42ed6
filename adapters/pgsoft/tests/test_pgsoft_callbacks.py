"""What the provider's requests mean, field by field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from attrs import evolve

from croupier.contract import (
    AmountError,
    Authenticate,
    BalanceQuery,
    Calls,
    FreeRoundsCredit,
    HttpRequest,
    MalformedRequestError,
    MovementKey,
    MovementKind,
    Notice,
    Play,
    RoundEnd,
    UnsupportedOperationError,
    Verified,
    WinWithoutBet,
    WireAmount,
    WireCurrency,
)
from croupier.contract.forms import read_form
from croupier_pgsoft.adapter import PgsoftAdapter
from croupier_pgsoft.settings import PgsoftSettings

SETTINGS = PgsoftSettings(operator_token="acme", api_url="https://api.pgsoft.example")
SPIN = {
    "operator_player_session": "session-1",
    "player_name": "p-1",
    "game_id": "126",
    "parent_bet_id": "1000",
    "bet_id": "1001",
    "bet_type": "1",
    "currency_code": "EUR",
    "bet_amount": "1.00",
    "win_amount": "2.50",
    "transfer_amount": "1.50",
    "real_transfer_amount": "1.50",
    "transaction_id": "1001-1000-106-7",
    "wallet_type": "C",
    "create_time": "1759300000000",
    "updated_time": "1759300000123",
    "is_validate_bet": "False",
    "is_adjustment": "False",
    "is_end_round": "False",
}
ADJUSTED = {
    "player_name": "p-1",
    "currency_code": "EUR",
    "transfer_amount": "-5.00",
    "adjustment_id": "A1",
    "adjustment_transaction_id": "A1-900",
    "adjustment_time": "1759300000999",
    "transaction_type": "900",
}


def parsed(path: str, fields: dict[str, Any], settings: PgsoftSettings = SETTINGS) -> Calls:
    form = read_form(urlencode({name: value for name, value in fields.items() if value is not None}).encode())
    return PgsoftAdapter(settings).parse(Verified(HttpRequest("POST", path), form))


def spun(settings: PgsoftSettings = SETTINGS, **changes: Any) -> Play:
    (play,) = parsed("/Cash/TransferInOut?trace_id=g", {**SPIN, **changes}, settings).items
    assert isinstance(play, Play)
    return play


def value(amount: object) -> Decimal:
    assert isinstance(amount, WireAmount)
    return amount.value


def lost(**changes: Any) -> Play:
    return spun(win_amount="0.00", transfer_amount="-1.00", real_transfer_amount=None, **changes)


def free(won: str = "2.50", settings: PgsoftSettings = SETTINGS, **changes: Any) -> Play:
    amounts = {"bet_amount": "0.00", "win_amount": won, "transfer_amount": won, "real_transfer_amount": won}
    return spun(settings, **amounts, **changes)


def test_a_session_is_verified_by_its_token() -> None:
    (call,) = parsed("/VerifySession", {"operator_player_session": "t/1+", "game_id": "126", "ip": "192.0.2.1"}).items
    assert call == Authenticate(operation="verify_session", token="t/1+", game="126", address="192.0.2.1")


def test_a_balance_is_asked_for_a_player() -> None:
    (call,) = parsed("/Cash/Get/", {"player_name": "p-1", "operator_player_session": "s", "game_id": "126"}).items
    assert call == BalanceQuery(operation="balance", player="p-1", session="s", game="126")


def test_a_spin_is_one_movement_of_a_bet_and_its_win() -> None:
    play = spun()
    (spin,) = play.movements
    assert (play.operation, play.player, play.session) == ("transfer", "p-1", "session-1")
    assert (play.round, play.game, play.currency, play.closes_round) == ("1000", "126", "EUR", False)
    assert (spin.kind, value(spin.amount), value(spin.win_amount)) == (
        MovementKind.BET_AND_WIN,
        Decimal("1.00"),
        Decimal("2.50"),
    )
    assert spin.keys == (MovementKey("spin", "1001"),)


def test_a_spin_without_a_win_is_a_bet() -> None:
    (bet,) = lost().movements
    assert (bet.kind, value(bet.amount), bet.win_amount) == (MovementKind.BET, Decimal("1.00"), None)


def test_a_spin_without_a_stake_is_a_win_of_its_round() -> None:
    play = free()
    assert (play.operation, play.movements[0].kind) == ("payout", MovementKind.WIN)
    assert value(play.movements[0].amount) == Decimal("2.50")
    assert PgsoftAdapter(SETTINGS).policies.of("payout").win_without_bet is WinWithoutBet.RETRY


@pytest.mark.parametrize("changes", [{"is_parent_zero_stake": "True"}, {"bet_id": "1000"}])
def test_a_spin_of_a_round_that_never_had_a_stake_needs_no_bet(changes: dict[str, Any]) -> None:
    play = free(**changes)
    assert play.operation == "free_payout"
    assert PgsoftAdapter(SETTINGS).policies.of("free_payout").win_without_bet is WinWithoutBet.ACCEPT


@pytest.mark.parametrize("transaction", ["1001-1000-106-7", "1001-1000-106-8", "1001-1000-106"])
def test_only_the_last_part_of_the_id_may_differ_when_a_spin_is_sent_again(transaction: str) -> None:
    assert spun(transaction_id=transaction).movements[0].keys == (MovementKey("spin", "1001"),)


@pytest.mark.parametrize("transaction", ["0001001-1000-106-7", "B1001-B1000-106-8"])
def test_an_id_that_writes_the_bet_otherwise_than_its_field_says_which_spin_all_the_same(transaction: str) -> None:
    assert spun(transaction_id=transaction).movements[0].keys == (MovementKey("spin", "1001"),)
    assert free(transaction_id=transaction.replace("106", "403")).operation == "conversion"


def test_an_id_that_is_put_together_otherwise_is_the_key_itself() -> None:
    assert spun(transaction_id="x-1").movements[0].keys == (MovementKey("transaction", "x-1"),)


def test_a_transfer_of_another_type_is_another_movement() -> None:
    assert spun(transaction_id="1001-1000-201-7").movements[0].keys == (MovementKey("spin.201", "1001"),)


def test_the_id_is_kept_for_people() -> None:
    facts = spun(jackpot_rtp_contribution_amount="0.01").movements[0].facts
    assert facts is not None
    assert facts.details == {"transaction_id": "1001-1000-106-7", "wallet_type": "C"}
    assert value(facts.jackpot_contribution) == Decimal("0.01")


@pytest.mark.parametrize("flag", ["is_validate_bet", "is_adjustment"])
@pytest.mark.parametrize(("text", "again"), [("True", True), ("true", True), ("False", False), ("false", False)])
def test_what_is_sent_again_says_so(flag: str, text: str, again: bool) -> None:
    changes: dict[str, Any] = {flag: text}
    assert spun(**changes).resend is again


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({"is_end_round": "True"}, True),
        ({"is_end_round": "False"}, False),
        ({"is_end_round": None, "is_round_end": "true"}, True),
        ({"is_end_round": None, "is_round_end": "false"}, False),
        ({"is_end_round": "True", "is_round_end": "True"}, True),
        ({"is_end_round": None}, True),
    ],
)
def test_a_round_ends_by_either_name_of_the_flag_or_with_every_spin(changes: dict[str, Any], ends: bool) -> None:
    assert spun(**changes).closes_round is ends
    assert PgsoftAdapter(SETTINGS).policies.default.round_end is RoundEnd.FLAG


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"transfer_amount": "1.51"}, "transfer_amount"),
        ({"transfer_amount": "-1.50"}, "transfer_amount"),
        ({"real_transfer_amount": "1500"}, "real_transfer_amount"),
        ({"is_end_round": "True", "is_round_end": "False"}, "is_round_end"),
        ({"is_end_round": "yes"}, "is_end_round"),
        ({"wallet_type": "X"}, "wallet_type"),
        ({"bet_type": "2"}, "bet_type"),
        ({"updated_time": "soon"}, "updated_time"),
        ({"bet_id": "x" * 201}, "bet_id"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(MalformedRequestError) as refused:
        spun(**changes)
    assert refused.value.where == where


@pytest.mark.parametrize(
    "name",
    [
        *("player_name", "game_id", "parent_bet_id", "bet_id", "currency_code", "bet_amount", "win_amount"),
        *("transfer_amount", "transaction_id", "create_time", "updated_time"),
    ],
)
@pytest.mark.parametrize("absent", [None, ""])
def test_a_required_field_must_be_there(name: str, absent: str | None) -> None:
    changes: dict[str, Any] = {name: absent}
    with pytest.raises(MalformedRequestError) as refused:
        spun(**changes)
    assert refused.value.where == name


@pytest.mark.parametrize("text", ["1e3", "NaN", "1,00", "0x1", "-1.00", "١", " 1.00"])
def test_a_strange_number_is_no_amount(text: str) -> None:
    with pytest.raises(AmountError if text != "-1.00" else MalformedRequestError):
        spun(bet_amount=text)


def test_a_currency_counted_in_thousands_is_checked_by_its_ratio() -> None:
    settings = evolve(SETTINGS, currency_ratios={"VND": 1000})
    play = spun(settings, currency_code="VND", real_transfer_amount="1500.00")
    assert value(play.movements[0].amount) == Decimal("1.00")
    assert PgsoftAdapter(settings).policies.default.currencies == (WireCurrency("VND", "VND", Decimal(1000)),)
    with pytest.raises(MalformedRequestError):
        spun(settings, currency_code="VND")


@pytest.mark.parametrize("wallet", ["G", "B"])
def test_a_spin_of_a_free_game_only_informs(wallet: str) -> None:
    play = free(wallet_type=wallet, free_game_name="grant-1")
    (spin,) = play.movements
    assert (play.operation, play.grant, play.closes_grant) == ("free_spin", "grant-1", False)
    assert (spin.kind, value(spin.amount)) == (MovementKind.FREE_WIN, Decimal(0))
    assert spin.facts is not None
    assert value(spin.facts.payout) == Decimal("2.50")


@pytest.mark.parametrize(("kind", "field"), [("403", "free_game_name"), ("400", "bonus_name")])
def test_what_free_games_won_becomes_cash_once(kind: str, field: str) -> None:
    named: dict[str, Any] = {field: "grant-1"}
    play = free(transaction_id=f"1001-1000-{kind}-7", wallet_type="G", **named)
    (paid,) = play.movements
    assert (play.operation, play.grant, play.closes_grant) == ("conversion", "grant-1", True)
    assert (paid.kind, value(paid.amount)) == (MovementKind.BONUS_WIN, Decimal("2.50"))
    assert paid.keys == (MovementKey(f"spin.{kind}", "1001"),)


def test_an_account_may_pay_every_spin_of_free_games_and_then_no_conversion() -> None:
    settings = evolve(SETTINGS, free_games_pay="spin")
    assert value(free(settings=settings, wallet_type="G").movements[0].amount) == Decimal("2.50")
    assert value(free(settings=settings, transaction_id="1001-1000-403-7").movements[0].amount) == Decimal(0)
    assert PgsoftAdapter(settings).policies.default.free_rounds_credit is FreeRoundsCredit.PER_WIN
    assert PgsoftAdapter(SETTINGS).policies.default.free_rounds_credit is FreeRoundsCredit.TOTAL


def test_the_grant_may_be_in_the_other_field() -> None:
    settings = evolve(SETTINGS, grant_field="free_game_transaction_id")
    assert free(settings=settings, wallet_type="G", free_game_transaction_id="grant-2").grant == "grant-2"


def test_a_conversion_stakes_nothing() -> None:
    with pytest.raises(MalformedRequestError):
        spun(transaction_id="1001-1000-403-7")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, MovementKind.ADJUSTMENT),
        ({"transaction_type": "901"}, MovementKind.ADJUSTMENT),
        ({"transaction_type": "901", "transfer_amount": "5.00"}, MovementKind.TOURNAMENT_WIN),
        ({"transaction_type": "999", "transfer_amount": "5.00"}, MovementKind.ADJUSTMENT),
    ],
)
def test_an_adjustment_is_what_its_type_says_unless_it_takes_money(changes: dict[str, str], kind: MovementKind) -> None:
    (play,) = parsed("/Cash/Adjustment", {**ADJUSTED, **changes}).items
    assert isinstance(play, Play)
    (movement,) = play.movements
    assert (movement.kind, movement.keys) == (kind, (MovementKey("adjustment", "A1-900"),))
    assert value(movement.amount) == Decimal(changes.get("transfer_amount", "-5.00"))


def test_the_details_of_a_bet_move_nothing() -> None:
    (call,) = parsed("/Cash/UpdateBetDetail", {"bet_details": '[{"bet_id":"1"}]', "updated_time": "5"}).items
    assert call == Notice(operation="bet_detail", subject="bet_detail", reference="5")


@pytest.mark.parametrize("path", ["/Cash/TransferOut", "/Cash/TransferIn", "/cash/get", "/"])
def test_there_is_nothing_else(path: str) -> None:
    with pytest.raises(UnsupportedOperationError):
        parsed(path, SPIN)


def test_what_may_be_logged_has_no_secret_token_or_player() -> None:
    body = urlencode({"operator_token": "acme", "secret_key": "test-secret", **SPIN}).encode()
    kept = PgsoftAdapter(SETTINGS).redact(HttpRequest("POST", "/Cash/TransferInOut?trace_id=g", body=body))
    assert kept.url == "/Cash/TransferInOut"
    assert b"transfer_amount=1.50" in kept.body
    assert b"transaction_id=1001-1000-106-7" in kept.body
    for hidden in (b"acme", b"test-secret", b"session-1", b"p-1"):
        assert hidden not in kept.body
