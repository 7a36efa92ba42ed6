"""What each action means, field by field."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from croupier.contract import (
    BalanceQuery,
    Currency,
    MalformedRequestError,
    Movement,
    MovementKind,
    Notice,
    Play,
    UnsupportedOperationError,
    WireAmount,
)
from croupier_jdb import mapping

EUR = Currency("EUR", 2)
WHO: dict[str, Any] = {"ts": 1700029138004, "uid": "john", "currency": "EUR", "gType": 7, "mType": 7001}
WHOLE = WHO | {"action": 8, "transferId": 1, "historyId": "h-1", "bet": -24, "win": 29, "netWin": 5, "mb": 6}
BET = WHO | {"action": 9, "transferId": 2, "amount": Decimal("0.2"), "gameRoundSeqNo": "r-1"}
SETTLE = BET | {"action": 10, "transferId": 3, "refTransferIds": [2], "historyId": "h-2"}
CANCEL = BET | {"action": 11, "transferId": 4, "refTransferIds": [2]}
STAKE = WHO | {"action": 13, "transferId": 5, "amount": 100}
RETURN = STAKE | {"action": 14, "transferId": 6, "refTransferIds": [5], "totalBet": -70, "totalWin": 20}
CANCEL_STAKE = STAKE | {"action": 15, "transferId": 7, "refTransferId": 5}
ACTIVITY = {**WHO, "action": 12, "transferId": 8, "amount": 10, "activityNo": 1, "activityName": "one"}
REWARD = {**WHO, "action": 16, "transferId": 9, "eventId": 12345, "amount": 10, "accumulatedTurnover": 30}
HISTORY = WHO | {"action": 17, "transferId": 10, "eventId": "12345", "bet": -75, "win": Decimal("375.50")}


def play(values: dict[str, Any]) -> Play:
    (call,) = mapping.parse(values).items
    assert isinstance(call, Play)
    assert call.player == "john"
    assert call.currency == "EUR"
    assert call.provider_time == datetime(2023, 11, 15, 6, 18, 58, 4000, tzinfo=UTC)
    return call


def only(values: dict[str, Any]) -> Movement:
    (movement,) = play(values).movements
    return movement


def key(movement: Movement) -> tuple[str, str]:
    (one,) = movement.keys
    return one.namespace, one.value


def target(movement: Movement) -> tuple[str, str] | None:
    named = movement.target.key if movement.target else None
    return (named.namespace, named.value) if named else None


def minor(amount: object) -> int:
    assert isinstance(amount, WireAmount)
    return amount.to_minor(EUR)


def test_a_question_for_the_balance() -> None:
    (call,) = mapping.parse({"action": 6, "ts": 1, "uid": "john", "currency": "RB"}).items
    assert call == BalanceQuery(operation="balance", player="john", currency="RB")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_whole_round_is_its_stake_and_its_payout_whichever_sign_the_stake_has(sign: int) -> None:
    call, movement = play(WHOLE), only(WHOLE | {"bet": 24 * sign})
    assert (call.round, call.game, call.closes_round) == ("h-1", "7-7001", False)
    assert movement.kind is MovementKind.BET_AND_WIN
    assert key(movement) == ("bet_and_settle", "1")
    assert (minor(movement.amount), minor(movement.win_amount)) == (2400, 2900)
    assert minor(movement.funds_required) == 600
    assert movement.facts is not None
    assert minor(movement.facts.turnover) == 2400


@pytest.mark.parametrize(
    ("changes", "stake", "payout"),
    [
        ({"netWin": Decimal("4.5"), "tax": Decimal("0.5")}, 2400, 2850),
        ({"bet": 0, "netWin": 100, "win": 200, "gambleBet": -100}, 0, 10_000),
        ({"bet": -1, "netWin": -3, "win": 0, "jackpotContribute": -2}, 300, 0),
        ({"netWin": -24, "win": 0}, 2400, 0),
    ],
)
def test_the_balance_changes_by_what_the_provider_calls_the_net(
    changes: dict[str, Any], stake: int, payout: int
) -> None:
    movement = only(WHOLE | changes)
    assert (minor(movement.amount), minor(movement.win_amount)) == (stake, payout)
    assert payout - stake == int((WHOLE | changes)["netWin"] * 100)


@pytest.mark.parametrize(("least", "required"), [(6, 600), (-6, 600), (30, 2400), (None, 2400)])
def test_the_player_must_hold_the_bet_or_the_least_balance_if_that_is_smaller(least: int | None, required: int) -> None:
    assert minor(only(WHOLE | {"mb": least}).funds_required) == required


def test_long_numbers_stay_exact() -> None:
    net = Decimal("123456789012345678901234567890.1234")
    movement = only(WHOLE | {"bet": Decimal("-0.0001"), "netWin": net})
    assert movement.win_amount is not None
    assert movement.win_amount.value == Decimal("123456789012345678901234567890.1235")


def test_a_prepaid_bet() -> None:
    call, movement = play(BET), only(BET)
    assert (call.round, call.closes_round) == ("r-1", False)
    assert (movement.kind, key(movement), minor(movement.amount)) == (MovementKind.BET, ("bet", "2"), 20)


@pytest.mark.parametrize(
    ("flag", "closes"), [({}, True), ({"roundClosed": True}, True), ({"roundClosed": False}, False)]
)
def test_a_settlement_names_its_bet_and_ends_the_round_unless_it_says_otherwise(
    flag: dict[str, bool], closes: bool
) -> None:
    movement = only(SETTLE | flag)
    assert play(SETTLE | flag).closes_round is closes
    assert (movement.kind, key(movement), target(movement)) == (MovementKind.WIN, ("settle", "3"), ("bet", "2"))


def test_a_settlement_of_several_bets_belongs_to_their_round() -> None:
    movement = only(SETTLE | {"refTransferIds": [2, 22]})
    assert target(movement) is None
    assert play(SETTLE | {"refTransferIds": [2, 22]}).round == "r-1"


def test_a_cancellation_of_several_bets_undoes_each() -> None:
    movements = play(CANCEL | {"refTransferIds": [2, 22]}).movements
    assert [target(one) for one in movements] == [("bet", "2"), ("bet", "22")]
    assert [key(one) for one in movements] == [("cancel_bet", "4:2"), ("cancel_bet", "4:22")]
    (single,) = play(CANCEL).movements
    assert (single.kind, key(single), target(single)) == (MovementKind.ROLLBACK, ("cancel_bet", "4"), ("bet", "2"))


def test_the_cancellation_of_a_whole_round_has_the_id_of_the_round() -> None:
    movement = only({**WHO, "action": 4, "transferId": 1})
    assert key(movement) == ("cancel_bet_and_settle", "1")
    assert target(movement) == ("bet_and_settle", "1")


def test_a_stake_goes_out_and_comes_back_in_a_round_of_its_own() -> None:
    out, back, undone = only(STAKE), only(RETURN), only(CANCEL_STAKE)
    assert (out.kind, back.kind) == (MovementKind.TRANSFER_OUT, MovementKind.TRANSFER_IN)
    assert key(out) == target(back) == target(undone) == ("withdraw", "5")
    assert {play(one).round for one in (STAKE, RETURN, CANCEL_STAKE)} == {"withdraw:5"}
    assert back.facts is not None
    assert (minor(back.facts.turnover), minor(back.facts.payout)) == (7000, 2000)


def test_rewards_stand_outside_of_rounds_and_games() -> None:
    prize, total = only(ACTIVITY), only(REWARD)
    assert (prize.kind, total.kind) == (MovementKind.PROMO_WIN, MovementKind.BONUS_WIN)
    assert (play(REWARD).grant, play(REWARD).closes_grant, play(ACTIVITY).grant) == ("12345", True, None)
    assert [(play(one).round, play(one).game) for one in (ACTIVITY, REWARD)] == [(None, None)] * 2
    assert prize.facts is not None
    assert prize.facts.details == {"activityName": "one"}


def test_a_free_spin_is_told_and_moves_nothing() -> None:
    (call,) = mapping.parse(HISTORY).items
    assert isinstance(call, Notice)
    assert (call.reference, call.player, call.facts["win"]) == ("10", "john", "375.50")


def test_an_id_is_the_same_as_number_and_as_text() -> None:
    assert mapping.parse(BET | {"transferId": "2"}) == mapping.parse(BET)
    assert mapping.parse(BET | {"gType": "7", "mType": "7001"}) == mapping.parse(BET)


def test_one_id_in_two_actions_is_two_movements() -> None:
    ids = {key(only(one | {"transferId": 1})) for one in (WHOLE, BET, SETTLE, CANCEL, STAKE, RETURN, ACTIVITY, REWARD)}
    assert len(ids) == 8


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        *[(WHOLE, name) for name in ("transferId", "historyId", "uid", "currency", "bet", "netWin", "gType", "mType")],
        *[(BET, name) for name in ("transferId", "amount", "gameRoundSeqNo", "uid", "currency", "gType", "mType")],
        *[(SETTLE, name) for name in ("transferId", "amount", "refTransferIds", "gameRoundSeqNo", "uid", "currency")],
        *[(CANCEL, name) for name in ("transferId", "refTransferIds", "gameRoundSeqNo", "uid", "currency")],
        *[(STAKE, name) for name in ("transferId", "amount", "uid", "currency", "gType")],
        *[(RETURN, name) for name in ("transferId", "amount", "refTransferIds", "uid", "currency")],
        *[(CANCEL_STAKE, name) for name in ("transferId", "refTransferId", "uid", "currency")],
        *[(ACTIVITY, name) for name in ("transferId", "amount", "uid", "currency")],
        *[(REWARD, name) for name in ("transferId", "amount", "eventId", "uid", "currency")],
        *[(HISTORY, name) for name in ("transferId", "uid")],
    ],
)
def test_a_field_that_is_missing_is_named(values: dict[str, Any], missing: str) -> None:
    with pytest.raises(MalformedRequestError) as refused:
        mapping.parse({name: value for name, value in values.items() if name != missing})
    assert refused.value.where == missing


@pytest.mark.parametrize(
    ("values", "changes"),
    [
        (BET, {"amount": -1}),
        (BET, {"amount": "1e5"}),
        (BET, {"amount": True}),
        (BET, {"uid": "a" * 51}),
        (BET, {"transferId": -1}),
        (BET, {"transferId": Decimal("1.5")}),
        (BET, {"gType": None}),
        (SETTLE, {"amount": -1}),
        (SETTLE, {"refTransferIds": []}),
        (SETTLE, {"refTransferIds": [2, 2]}),
        (SETTLE, {"refTransferIds": 2}),
        (SETTLE, {"refTransferIds": [[2]]}),
        (SETTLE, {"roundClosed": "true"}),
        (CANCEL, {"amount": "many"}),
        (RETURN, {"refTransferIds": []}),
        (REWARD, {"amount": -1}),
        (WHOLE, {"netWin": "NaN"}),
        (WHOLE, {"bet": [1]}),
        (WHOLE, {"tax": "much"}),
    ],
)
def test_a_strange_value_is_refused(values: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequestError):
        mapping.parse(values | changes)


@pytest.mark.parametrize("action", [0, 1, 5, 7, 18, 21, -9, None, "9", True, [9]])
def test_an_action_that_there_is_not_is_refused(action: object) -> None:
    with pytest.raises(UnsupportedOperationError):
        mapping.parse({**BET, "action": action})
