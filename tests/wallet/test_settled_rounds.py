"""Rounds whose end the hub derives: every bet is paid or taken back, whoever finds that out last."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from croupier.contract import (
    Applied,
    Declined,
    DeclineReason,
    Movement,
    MovementKey,
    MovementKind,
    NetSettlement,
    OnSilence,
    RoundEnd,
    Unknown,
    WalletCapability,
    WireAmount,
)
from croupier.ledger.port import Change, CommitResult, Look, Page, Snapshot
from croupier.ledger.records import DeliveryState, RoundRow, RoundState
from croupier.ledger.sqlite import SqliteLedger
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, net, reason, rollback, win
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import simulate

SILENT = Faults.always(Fault.LOST_REPLY)
SLOW = Faults.always(Fault.REORDER)
TIP = Movement(MovementKind.TIP, keys=(MovementKey("tx", "t1"),), amount=WireAmount.of("1.00"))


def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Look], list[Change]]:
    """What the ledger is asked, and what it is told, from now on."""
    looks: list[Look] = []
    commits: list[Change] = []
    read, write = SqliteLedger.look, SqliteLedger.commit

    async def look(ledger: SqliteLedger, what: Look) -> Snapshot:
        looks.append(what)
        return await read(ledger, what)

    async def commit(ledger: SqliteLedger, change: Change) -> CommitResult:
        commits.append(change)
        return await write(ledger, change)

    monkeypatch.setattr(SqliteLedger, "look", look)
    monkeypatch.setattr(SqliteLedger, "commit", commit)
    return looks, commits


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
            assert reason(refused) is DeclineReason.INSUFFICIENT_FUNDS
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


def test_a_tip_opens_no_round_that_has_ended_and_keeps_none_open(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            await path.play(bet("b1", "1.00"))
            await path.play(win("w1", "0.00", of="b1"))
            ended = await the_round(path)
            assert isinstance((await path.play(TIP)).outcome, Applied)
            assert (await the_round(path)).closed_at == ended.closed_at is not None
            await path.play(bet("b2", "1.00"))
            assert await state(path) is RoundState.OPEN
            await path.play(win("w2", "0.00", of="b2"))
            assert await state(path) is RoundState.CLOSED
            assert path.balance() == 9_700

    simulate(story())


@pytest.mark.parametrize("settlement", NetSettlement)
@pytest.mark.parametrize("payout", ["0.00", "1.00", "9.00"])
def test_a_bet_that_came_with_its_win_is_settled(tmp_path: Path, settlement: NetSettlement, payout: str) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path, net_settlement=settlement)
            await path.play(bet("b1", "1.00"))
            await path.play(net("n1", "1.00", payout))
            assert await state(path) is RoundState.OPEN
            await path.play(win("w1", "0.00", of="b1"))
            assert await state(path) is RoundState.CLOSED

    simulate(story())


@pytest.mark.parametrize("win_comes", [0, 1, 2])
def test_a_win_that_names_no_bet_pays_all_bets_of_its_play(tmp_path: Path, win_comes: int) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            await path.play(bet("b0", "1.00"))
            movements = [bet("b1", "1.00"), bet("b2", "1.00")]
            movements.insert(win_comes, win("w1", "5.00"))
            await path.play(*movements)
            assert await state(path) is RoundState.CLOSED
            assert path.balance() == 10_200

    simulate(story())


def test_a_win_that_is_still_in_flight_has_settled_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            await path.play(bet("b1", "1.00"))
            path.network.faults = SLOW
            paying = asyncio.ensure_future(path.play(win("w1", "5.00")))
            await path.clock.sleep(0.001)
            path.games.refusal = DeclineReason.GAME_DISABLED
            assert isinstance((await path.play(bet("b2", "1.00"))).outcome, Declined)
            assert not paying.done()
            assert await state(path) is RoundState.OPEN
            await paying
            await path.drain()
            assert await state(path) is RoundState.CLOSED
            assert path.balance() == 10_400

    simulate(story())


def test_a_win_that_comes_again_with_its_bet_opens_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            path.reconfigure(bet_on_closed_round=False)
            await path.play(bet("b1", "1.00"), win("w1", "5.00"))
            ended = await the_round(path)
            await path.play(bet("b1", "1.00"), win("w2", "2.00"))
            assert ((await the_round(path)).state, (await the_round(path)).closed_at) == (ended.state, ended.closed_at)
            assert path.balance() == 10_600

    simulate(story())


def test_a_win_that_a_person_settles_ends_the_round(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path, on_silence=OnSilence.RESENDS)
            await path.play(bet("b1", "1.00"))
            path.network.faults = Faults.always(Fault.LOST_REQUEST)
            assert isinstance((await path.play(win("w1", "5.00", of="b1"))).outcome, Unknown)
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.drain()
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            assert await state(path) is RoundState.OPEN
            await path.deliveries.held.resolve(
                OPERATOR, held.delivery, who="anna", why="paid by hand", applied=True, version=held.version
            )
            assert await state(path) is RoundState.CLOSED

    simulate(story())


@pytest.mark.parametrize("settlement", NetSettlement)
def test_a_round_that_settling_has_ended_is_not_read_about_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settlement: NetSettlement
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(net_settlement=settlement)
            looked, _commits = watched(monkeypatch)
            for movements in ((net("n1", "1.00", "3.00"),), (bet("b1"), win("w1", "3.00")), (bet("b2"),)):
                looked.clear()
                await path.play(*movements, round=movements[0].keys[0].value, closes_round=True)
                assert looked == []
            assert [row.state for row in await path.ledger.rounds(OPERATOR, None, Page(limit=10))] == [
                RoundState.CLOSED
            ] * 3

    simulate(story())


@pytest.mark.parametrize("last", [win("w2", "5.00", of="b2"), win("w2", "5.00"), rollback("x", "b2")])
def test_the_end_of_a_round_is_written_with_what_settled_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: Movement
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            for movement in (bet("b1"), win("w1", "0.00", of="b1"), bet("b2")):
                await path.play(movement)
            looks, commits = watched(monkeypatch)
            await path.play(last)
            plans = 2 if last.kind is MovementKind.ROLLBACK else 1  # what it undoes is read first
            assert (len(looks), len(commits)) == (plans, 2)
            assert [(row.state, row.version) for change in commits for row in change.rounds] == [
                (RoundState.OPEN, commits[0].rounds[0].version),
                (RoundState.CLOSED, commits[0].rounds[0].version + 1),
            ]
            assert await state(path) is RoundState.CLOSED

    simulate(story())


@pytest.mark.parametrize("lost", [win("w1", "5.00", of="b1"), rollback("x", "b1"), bet("b2")], ids=lambda it: it.kind)
def test_the_end_of_a_round_is_written_with_the_owed_work_that_settled_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: Movement
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path, on_silence=OnSilence.NEITHER)
            await path.play(bet("b1"))
            if lost.kind is MovementKind.BET:
                await path.play(win("w1", "0.00", of="b1"))
            path.network.faults = Faults.always(Fault.LOST_REQUEST)
            await path.play(lost)
            assert await state(path) is RoundState.OPEN
            path.network.quiet = True
            _looks, commits = watched(monkeypatch)
            await path.deliveries.run_once()
            (change,) = commits
            assert [(row.state, one.row.state) for row in change.rounds for one in change.delivery_updates] == [
                (RoundState.CLOSED, DeliveryState.DONE)
            ]
            assert await state(path) is RoundState.CLOSED

    simulate(story())


def test_a_bet_that_is_refused_ends_its_round_in_the_commit_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            table(path)
            await path.play(bet("b0"), round="r0")
            _looks, commits = watched(monkeypatch)
            for name, opens in (("r1", False), ("r0", True)):
                refused = (await path.play(bet(f"in {name}", "5000.00"), round=name)).outcome
                assert isinstance(refused, Declined)
                begun, ended = commits[-2:]
                assert [row.state for row in begun.rounds] == [RoundState.OPEN]
                assert [row.state for row in ended.rounds] == [RoundState.OPEN if opens else RoundState.CLOSED]

    simulate(story())


@pytest.mark.parametrize("batch", [True, False])
def test_a_flag_ends_the_round_in_the_commit_that_settles_its_play(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: bool
) -> None:
    lacking = frozenset() if batch else frozenset({WalletCapability.ATOMIC_BATCH})

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", without=lacking) as path:
            await path.play(bet("b1"), round="r1")
            _looks, commits = watched(monkeypatch)
            for movements in ((bet("b2"), bet("b3")), (rollback("x", "b1"),)):
                commits.clear()
                name = "r1" if movements[0].kind is MovementKind.ROLLBACK else "r2"
                result = await path.play(*movements, round=name, closes_round=True)
                assert isinstance(result.outcome, Applied)
                assert [row.state for change in commits for row in change.rounds] == [
                    RoundState.OPEN,
                    RoundState.CLOSED,
                ]

    simulate(story())


def test_a_rollback_that_ends_another_round_than_that_of_its_bet_leaves_the_bets_open(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"), bet("b2"), round="r1")
            await path.play(bet("b3"), round="r2")
            await path.play(rollback("x", "b1"), round="r2", closes_round=True)
            rows = await path.ledger.rounds(OPERATOR, None, Page(limit=10))
            assert {row.provider_round: row.state for row in rows} == {"r1": RoundState.OPEN, "r2": RoundState.CLOSED}

    simulate(story())


def test_a_rollback_that_is_refused_ends_no_round(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
            assert isinstance((await path.play(rollback("x", "b1"), closes_round=True)).outcome, Declined)
            assert await state(path) is RoundState.OPEN
            path.wallet.refuse_undo = None
            assert isinstance((await path.play(rollback("x", "b1"), closes_round=True)).outcome, Applied)
            assert await state(path) is RoundState.CLOSED

    simulate(story())
