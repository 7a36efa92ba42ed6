"""Wallets whose protocol wants a bet with every win, and providers that name none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import evolve

from croupier.contract import Applied, OnSilence, Unknown, WalletCall, WalletMove, WalletOperation, WinWithoutBet
from croupier_conformance.money_path import MoneyPath, bet, rollback, win
from croupier_conformance.network import Fault, Scripted
from croupier_conformance.virtual_time import simulate


def listen(path: MoneyPath, *, names_a_bet: bool = True) -> list[WalletMove]:
    """What the dialect is asked to write from now on."""
    heard: list[WalletMove] = []
    dialect: Any = path.connection.operator.dialect
    write = dialect.request
    dialect.spec = evolve(dialect.spec, wins_name_a_bet=names_a_bet)

    def request(call: WalletCall, *more: Any) -> Any:
        if isinstance(call, WalletMove):
            heard.append(call)
        return write(call, *more)

    dialect.request = request
    return heard


def named(heard: list[WalletMove]) -> list[str | None]:
    return [one.movement.target for one in heard if one.movement.operation is WalletOperation.WIN]


def bets(heard: list[WalletMove]) -> list[str]:
    return [one.movement.transaction for one in heard if one.movement.operation is WalletOperation.BET]


def test_a_win_of_a_later_message_names_the_oldest_bet_of_its_round_that_stands(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            heard = listen(path)
            for id_ in ("b1", "b2", "b3"):
                await path.play(bet(id_, "1.00"))
            await path.play(rollback("x", "b1"))
            assert isinstance((await path.play(win("w1", "5.00"))).outcome, Applied)
            assert named(heard) == [bets(heard)[1]]
            assert path.balance() == 10_300

    simulate(story())


def test_a_win_that_names_its_bet_keeps_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            heard = listen(path)
            for id_ in ("b1", "b2"):
                await path.play(bet(id_, "1.00"))
            await path.play(win("w1", "5.00", of="b2"))
            assert named(heard) == [bets(heard)[1]]

    simulate(story())


def test_a_win_of_a_round_without_a_bet_names_none_and_is_paid(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(win_without_bet=WinWithoutBet.ACCEPT)
            heard = listen(path)
            assert isinstance((await path.play(win("w1", "5.00"))).outcome, Applied)
            assert named(heard) == [None]
            assert path.balance() == 10_500

    simulate(story())


def test_other_wallets_are_told_what_the_provider_said(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            heard = listen(path, names_a_bet=False)
            await path.play(bet("b1", "1.00"))
            await path.play(win("w1", "5.00"))
            assert named(heard) == [None]

    simulate(story())


def test_every_attempt_at_a_win_names_the_same_bet_though_an_older_one_comes_to_stand_between_them(
    tmp_path: Path,
) -> None:
    """To a wallet that compares what it has with what comes again, another name is another win."""

    async def story() -> None:
        lost = Scripted.of(Fault.LOST_REQUEST, None, Fault.LOST_REPLY)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            heard = listen(path)
            assert isinstance((await path.play(bet("b1"))).outcome, Unknown)
            assert isinstance((await path.play(bet("b2"))).outcome, Applied)
            assert isinstance((await path.play(win("w1", "5.00"))).outcome, Unknown)
            await path.drain()
            assert named(heard) == [(await path.row("b2")).movement] * 2
            assert path.balance() == 10_300

    simulate(story())
