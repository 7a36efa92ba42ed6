"""Rounds whose end the hub derives: every bet is paid or taken back, whoever finds that out last."""

from __future__ import annotations

from pathlib import Path

from croupier.contract import Applied, Declined, DeclineReason, OnSilence, RoundEnd, Unknown
from croupier.ledger.port import Page
from croupier.ledger.records import RoundRow, RoundState
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, rollback, win
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import simulate

SILENT = Faults(share={Fault.LOST_REPLY: 1.0})


async def the_round(path: MoneyPath) -> RoundRow:
    (row,) = await path.ledger.rounds(OPERATOR, None, Page(limit=10))
    return row


async def state(path: MoneyPath) -> RoundState:
    return (await the_round(path)).state


def table(path: MoneyPath, **knobs: object) -> None:
    path.reconfigure(round_end=RoundEnd.SETTLED, bet_on_closed_round=True, wins_per_bet=1, **knobs)


def test_a_round_of_many_bets_ends_with_the_last_of_them_and_not_before(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            for name in ("b1", "b2", "b3"):
                await path.play(bet(name, "1.00"))
            await path.play(win("w1", "0.00", of="b1"))
            assert await state(path) is RoundState.OPEN
            await path.play(rollback("x", "b3"))
            assert await state(path) is RoundState.OPEN
            await path.play(win("w2", "9.00", of="b2"))
            assert await state(path) is RoundState.CLOSED
            assert path.balance() == 10_700

    simulate(story())


def test_a_bet_after_the_end_opens_the_round_until_it_is_settled_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            await path.play(bet("b1", "1.00"))
            await path.play(rollback("x", "b1"))
            first = await the_round(path)
            assert first.state is RoundState.CLOSED
            await path.clock.sleep(5)
            await path.play(bet("b2", "2.00"))
            again = await the_round(path)
            assert (again.state, again.closed_at, again.bets) == (RoundState.OPEN, None, 1)
            await path.play(bet("b1", "1.00"))
            assert await state(path) is RoundState.OPEN
            await path.play(win("w2", "3.00", of="b2"))
            last = await the_round(path)
            assert last.state is RoundState.CLOSED
            assert last.closed_at is not None
            assert first.closed_at is not None
            assert last.closed_at > first.closed_at
            events = [one.event.kind for one in await path.ledger.events_after(OPERATOR, 0, 100)]
            assert [kind for kind in events if kind.startswith("round.")] == [
                "round.closed",
                "round.reopened",
                "round.closed",
            ]

    simulate(story())


def test_a_bet_that_is_refused_after_the_end_leaves_the_round_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            await path.play(bet("b1", "1.00"))
            await path.play(win("w1", "0.00", of="b1"))
            refused = (await path.play(bet("b2", "5000.00"))).outcome
            assert isinstance(refused, Declined)
            assert refused.reason is DeclineReason.INSUFFICIENT_FUNDS
            assert await state(path) is RoundState.CLOSED

    simulate(story())


def test_a_repeat_of_a_settled_bet_opens_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            await path.play(bet("b1", "1.00"))
            await path.play(win("w1", "0.00", of="b1"))
            ended = await the_round(path)
            assert isinstance((await path.play(bet("b1", "1.00"))).outcome, Applied)
            assert await the_round(path) == ended

    simulate(story())


def test_a_bet_that_the_hub_takes_back_by_itself_ends_the_round_once_it_is_given_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path, on_silence=OnSilence.CANCELS)
            await path.play(bet("b1", "1.00"))
            await path.play(win("w1", "0.00", of="b1"))
            path.network.faults = SILENT
            assert isinstance((await path.play(bet("b2", "2.00"))).outcome, Unknown)
            assert await state(path) is RoundState.OPEN
            await path.drain()
            assert await state(path) is RoundState.CLOSED
            assert path.balance() == 9_900

    simulate(story())


def test_a_win_that_is_delivered_later_ends_the_round_though_nobody_asks_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path, on_silence=OnSilence.RESENDS)
            await path.play(bet("b1", "1.00"))
            path.network.faults = SILENT
            assert isinstance((await path.play(win("w1", "5.00", of="b1"))).outcome, Unknown)
            await path.drain()
            assert await state(path) is RoundState.CLOSED
            assert path.balance() == 10_400

    simulate(story())
