"""Wins that say which bet they pay, and requests that must come under the player's own token."""

from __future__ import annotations

import asyncio
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
    MovementKey,
    MovementKind,
    OnSilence,
    Unknown,
    WalletCapability,
    WireAmount,
)
from croupier.ledger.port import Change
from croupier.ledger.records import SessionRow
from croupier.wallet.parties import Connection
from croupier_conformance.money_path import GAME, OPERATOR, MoneyPath, TableSessions, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import simulate


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


def test_a_win_that_names_another_players_bet_is_nobodys(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.seat("p2", 10_000)
            await path.play(bet("b1", "1.00"))
            theirs = (await path.play(win("w1", "3.00", of="b1"), player="p2")).outcome
            assert reason(theirs) is DeclineReason.TARGET_UNKNOWN
            assert path.balance("p2") == 10_000
            assert isinstance((await path.play(win("w2", "3.00", of="b1"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_a_bet_is_not_paid_again_in_another_round_and_cannot_be_taken_back_once_it_is_paid(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(wins_per_bet=1)
            await path.play(bet("b1", "1.00"))
            other = (await path.play(win("w1", "3.00", of="b1"), round="another")).outcome
            assert reason(other) is DeclineReason.CONFLICT
            assert isinstance((await path.play(win("w2", "3.00", of="b1"))).outcome, Applied)
            assert reason((await path.play(rollback("x", "b1"))).outcome) is DeclineReason.TARGET_SETTLED
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


@pytest.mark.parametrize("without", [frozenset(), frozenset({WalletCapability.ATOMIC_BATCH})], ids=["batch", "turns"])
def test_wins_of_one_play_count_for_the_bet_that_they_name(
    tmp_path: Path, without: frozenset[WalletCapability]
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", without=without) as path:
            path.reconfigure(wins_per_bet=1)
            await path.play(bet("b1", "1.00"))
            twice = await path.play(win("w1", "3.00", of="b1"), win("w2", "3.00", of="b1"))
            assert reason(twice.outcome) is DeclineReason.TARGET_SETTLED
            whole = await path.play(bet("b2", "1.00"), win("w3", "3.00", of="b2"), win("w4", "3.00", of="b2"))
            assert reason(whole.outcome) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 9_900
            assert isinstance((await path.play(win("w1", "3.00", of="b1"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_a_bet_is_not_called_settled_while_its_win_may_still_come_to_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(wins_per_bet=1, on_silence=OnSilence.RESENDS)
            await path.play(bet("b1", "1.00"))
            path.network.faults = Faults.always(Fault.LOST_REQUEST)
            assert isinstance((await path.play(win("w1", "3.00", of="b1"))).outcome, Unknown)
            assert isinstance((await path.play(win("w2", "3.00", of="b1"))).outcome, Unknown)
            await path.drain()
            assert reason((await path.play(win("w2", "3.00", of="b1"))).outcome) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 10_200

    simulate(story())


def test_a_win_waits_for_another_one_of_its_bet_and_is_paid_if_that_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(wins_per_bet=1)
            await path.play(bet("b1", "1.00"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            first = asyncio.ensure_future(path.play(win("w1", "3.00", of="b1")))
            await path.clock.sleep(0.005)
            second = asyncio.ensure_future(path.play(win("w2", "3.00", of="b1")))
            assert isinstance((await first).outcome, Declined)
            path.wallet.refuse = None
            assert isinstance((await second).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize("jackpot_first", [True, False])
def test_a_jackpot_is_paid_beside_the_win_of_its_bet(tmp_path: Path, *, jackpot_first: bool) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(wins_per_bet=1)
            await path.play(bet("b1", "1.00"))
            wins = [evolve(win("j1", "7.00", of="b1"), kind=MovementKind.JACKPOT_WIN), win("w1", "3.00", of="b1")]
            for one in wins if jackpot_first else reversed(wins):
                assert isinstance((await path.play(one)).outcome, Applied)
            assert path.balance() == 10_900

    simulate(story())


@pytest.mark.parametrize("movement", [win("w1", "5.00", of="b1"), rollback("x", "b1")])
def test_a_token_that_nobody_has_is_refused_though_the_message_names_a_bet(tmp_path: Path, movement: Movement) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(own_token=True)
            await path.play(bet("b1", "1.00"))
            refused = (await path.play(movement, player=None, session="nobodys")).outcome
            assert reason(refused) is DeclineReason.SESSION_UNKNOWN
            assert isinstance((await path.play(movement, player=None)).outcome, Applied)

    simulate(story())


class AtHand(TableSessions):
    """Sessions of which a play may be given what another process has replaced meanwhile."""

    async def by_token(self, connection: Connection, token: str, *, fresh: bool = True) -> SessionRow | None:
        row = await super().by_token(connection, token, fresh=fresh)
        return row if fresh or row is None else evolve(row, token_hash=None, version=1)


@pytest.mark.parametrize("movement", [bet("b2"), win("w1", "5.00", of="b1"), rollback("x", "b1")])
def test_nothing_moves_under_a_token_that_another_process_has_replaced(tmp_path: Path, movement: Movement) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(own_token=True)
            assert isinstance((await path.play(bet("b1", "1.00"), session="token-p1")).outcome, Applied)
            seat = path.sessions.sessions["surrogate-p1"]
            renewed = evolve(seat, token_hash="newer", version=2)
            await path.ledger.commit(Change(operator=OPERATOR, sessions=(renewed,)))
            path.sessions = AtHand(path.sessions.players, {"surrogate-p1": renewed})
            await path.crash()
            refused = (await path.play(movement, session="token-p1")).outcome
            assert reason(refused) is DeclineReason.SESSION_UNKNOWN
            assert path.balance() == 9_900

    simulate(story())


@pytest.mark.parametrize("named", [True, False], ids=["named", "of-its-play"])
def test_a_win_beside_a_bet_that_came_under_another_first_key_before_pays_the_stored_one(
    tmp_path: Path, named: bool
) -> None:
    def stake(name: str) -> Movement:
        keys = (MovementKey("tx", name), MovementKey("also", "shared"))
        return Movement(MovementKind.BET, keys=keys, amount=WireAmount.of("1.00"))

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(wins_per_bet=1)
            await path.play(stake("b1"))
            assert isinstance((await path.play(stake("b2"), win("w1", of="b2" if named else None))).outcome, Applied)
            stored = await path.row("b1")
            assert (await path.row("w1")).target == stored.movement
            assert reason((await path.play(win("w2", of="b1"))).outcome) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 10_000

    simulate(story())
