"""Wins that say which bet they pay, and requests that must come under the player's own token."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    Authenticate,
    AuthenticateResult,
    BalanceQuery,
    BalanceResult,
    Declined,
    DeclineReason,
    Movement,
)
from croupier_conformance.money_path import GAME, MoneyPath, bet, rollback, win
from croupier_conformance.virtual_time import simulate


def reason(outcome: object) -> DeclineReason:
    assert isinstance(outcome, Declined)
    return outcome.reason


def test_a_win_that_names_its_bet_pays_no_other_bet_of_the_round(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1", "1.00"))
            await path.play(bet("b2", "2.00"))
            await path.play(win("w1", "5.00", of="b1"))
            assert reason((await path.play(rollback("x", "b1"))).outcome) is DeclineReason.TARGET_SETTLED
            assert isinstance((await path.play(rollback("y", "b2"))).outcome, Applied)
            assert path.balance() == 10_400

    simulate(story())


def test_a_win_that_names_no_bet_protects_every_bet_before_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1", "1.00"))
            await path.play(bet("b2", "2.00"), win("w1", "5.00"))
            for id_, of in (("x", "b1"), ("y", "b2")):
                assert reason((await path.play(rollback(id_, of))).outcome) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 10_200

    simulate(story())


def test_a_bet_is_paid_as_often_as_the_policy_says(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(wins_per_bet=1)
            await path.play(bet("b1", "1.00"))
            await path.play(bet("b2", "2.00"))
            assert isinstance((await path.play(win("w1", "3.00", of="b1"))).outcome, Applied)
            assert reason((await path.play(win("w2", "3.00", of="b1"))).outcome) is DeclineReason.TARGET_SETTLED
            assert isinstance((await path.play(win("w3", "4.00", of="b2"))).outcome, Applied)
            again = (await path.play(win("w1", "3.00", of="b1"))).outcome
            assert isinstance(again, Applied)
            assert again.effect is AppliedEffect.REPEATED
            assert path.balance() == 10_400

    simulate(story())


def test_a_win_that_was_refused_is_none_that_its_bet_has_had(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(wins_per_bet=1)
            await path.play(bet("b1", "1.00"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.play(win("w1", "3.00", of="b1"))
            path.wallet.refuse = None
            assert isinstance((await path.play(win("w2", "3.00", of="b1"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize("movement", [bet("b2"), win("w1", "5.00", of="b1"), rollback("x", "b1")])
@pytest.mark.parametrize("token", ["token-p2", "nobodys", "before"])
def test_nothing_moves_under_a_token_that_is_not_the_players_present_one(
    tmp_path: Path, movement: Movement, token: str
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(own_token=True)
            assert isinstance((await path.play(bet("b1", "1.00"), session="token-p1")).outcome, Applied)
            seat = path.sessions.sessions["surrogate-p1"]
            path.sessions.sessions["surrogate-p1"] = evolve(seat, launch_hash="before", token_hash="token-p1")
            refused = (await path.play(movement, session=token)).outcome
            assert reason(refused) is DeclineReason.SESSION_UNKNOWN
            assert path.balance() == 9_900

    simulate(story())


def test_what_is_owed_is_done_under_the_players_own_token_though_it_has_expired(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(own_token=True)
            for id_ in ("b1", "b2"):
                await path.play(bet(id_, "1.00"), session="token-p1")
            path.sessions.expired.add("surrogate-p1")
            assert reason((await path.play(bet("b3"), session="token-p1")).outcome) is DeclineReason.SESSION_EXPIRED
            assert isinstance((await path.play(win("w1", "5.00", of="b1"), session="token-p1")).outcome, Applied)
            assert isinstance((await path.play(rollback("x", "b2"), session="token-p1")).outcome, Applied)
            assert isinstance((await path.play(win("w2", "0.00", of="b1"))).outcome, Applied)
            assert path.balance() == 10_400

    simulate(story())


def test_without_the_rule_any_token_will_do_for_what_is_owed(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1", "1.00"))
            assert isinstance((await path.play(win("w1", "5.00", of="b1"), session="nobodys")).outcome, Applied)
            assert path.balance() == 10_400

    simulate(story())


@pytest.mark.parametrize(("token", "knows"), [("token-p1", True), ("token-p2", False), ("nobodys", False)])
def test_a_balance_is_told_under_the_players_own_token_alone(tmp_path: Path, token: str, *, knows: bool) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(own_token=True)
            (told,) = await path.call(BalanceQuery(operation="balance", player="p1", session=token, game=GAME))
            assert isinstance(told, BalanceResult)
            assert isinstance(told.outcome, Applied) is knows
            assert (told.balance is not None) is knows

    simulate(story())


@pytest.mark.parametrize(("player", "knows"), [("p1", True), ("p2", False), ("nobody", False), (None, True)])
def test_an_exchange_that_names_another_player_is_refused(tmp_path: Path, player: str | None, *, knows: bool) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            (told,) = await path.call(Authenticate(operation="check", token="token-p1", player=player))
            assert isinstance(told, AuthenticateResult)
            assert isinstance(told.outcome, Applied) is knows
            if not knows:
                assert reason(told.outcome) is DeclineReason.SESSION_UNKNOWN

    simulate(story())
