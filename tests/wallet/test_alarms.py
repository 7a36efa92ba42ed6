"""A wallet that had accepted a movement later knows nothing to undo: the rollback succeeds, and people hear of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from croupier.contract import (
    Applied,
    OnSilence,
    Unknown,
    WalletPolicy,
)
from croupier.ledger.records import Event, MovementState
from croupier.wallet.alarms import CONTRADICTED
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, net, rollback, win
from croupier_conformance.network import Fault, Faults, Scripted
from croupier_conformance.virtual_time import simulate

LOST = Faults.always(Fault.LOST_REQUEST)
SLOW = Faults.always(Fault.REORDER)
TOMBSTONES = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000)
NO_TOMBSTONES = WalletPolicy(retry_safe=True, tombstones=False, timeout_ms=2_000, late_window_ms=30_000)


async def told(path: MoneyPath) -> list[Event]:
    """The contradictions on record; each of them was told of once, after it was on record."""
    events = [stored.event for stored in await path.ledger.events_after(OPERATOR, 0, 100_000)]
    found = [event for event in events if event.kind == CONTRADICTED]
    assert [event for event in path.alarms if event.kind == CONTRADICTED] == found
    return found


async def forget(path: MoneyPath, movement: str) -> None:
    """The wallet loses what it had accepted, as after a restore of an old copy of its book."""
    player, moved = path.wallet.applied.pop(movement)
    path.wallet.balances[player] -= moved


async def a_forgotten_bet(path: MoneyPath) -> str:
    """A bet that the wallet has accepted and lost; its id."""
    await path.play(bet("b1", "2.00"))
    (row,) = await path.rows()
    await forget(path, row.movement)
    return row.movement


def test_a_rollback_of_an_accepted_bet_that_the_wallet_has_forgotten_succeeds_and_raises_an_alarm(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            movement = await a_forgotten_bet(path)
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert (await path.row("b1")).state is MovementState.REVERSED
            (event,) = await told(path)
            assert event.subject == movement
            assert (event.body["amount"], event.body["currency"], event.body["kind"]) == (200, "EUR", "bet")
            assert path.balance() == 10_000

    simulate(story())


def test_the_alarm_comes_before_the_state_that_the_movement_came_to(tmp_path: Path) -> None:
    """Who takes the last event of a movement for its state is right."""

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            movement = await a_forgotten_bet(path)
            await path.play(rollback("x", "b1"))
            events = [stored.event for stored in await path.ledger.events_after(OPERATOR, 0, 100)]
            kinds = [event.kind for event in events if event.subject == movement]
            assert kinds[-2:] == [CONTRADICTED, "movement.reversed"]

    simulate(story())


@pytest.mark.parametrize("tombstones", [True, False])
def test_a_win_that_goes_with_its_bet_and_was_forgotten_raises_the_alarm_when_it_is_delivered(
    tmp_path: Path, tombstones: bool
) -> None:
    wallet = TOMBSTONES if tombstones else NO_TOMBSTONES

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=wallet) as path:
            await path.play(net("n1", "1.00", "3.00"))
            (leg,) = [row for row in await path.rows() if row.direction == "credit"]
            await forget(path, leg.movement)
            await path.play(rollback("x", "n1"))
            await path.drain()
            assert [event.subject for event in await told(path)] == [leg.movement]
            assert {row.state for row in await path.rows() if row.reference == "n1"} == {MovementState.REVERSED}
            assert path.balance() == 10_000

    simulate(story())


def test_a_bet_that_was_accepted_while_its_rollback_came_and_is_forgotten_then_raises_the_alarm(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=SLOW) as path:
            betting = asyncio.ensure_future(path.play(bet("b1")))
            await path.clock.sleep(0.001)
            undoing = asyncio.ensure_future(path.play(rollback("x", "b1")))
            await betting
            path.network.quiet = True
            await forget(path, (await path.rows())[0].movement)
            await path.drain()
            await undoing
            assert len(await told(path)) == 1
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("silence", OnSilence)
@pytest.mark.parametrize("wallet", [TOMBSTONES, NO_TOMBSTONES], ids=["tombstones", "no tombstones"])
def test_a_bet_that_was_never_answered_is_taken_back_without_an_alarm(
    tmp_path: Path, silence: OnSilence, wallet: WalletPolicy
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=wallet, faults=LOST) as path:
            path.reconfigure(on_silence=silence)
            await path.play(bet("b1"))
            if silence is not OnSilence.NEITHER:
                await path.play(rollback("x", "b1"))
            await path.drain()
            assert (await path.row("b1")).state is MovementState.REVERSED
            assert await told(path) == []
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("fault", [None, Fault.LOST_REPLY, Fault.LATE_REPLY, Fault.LOST_REQUEST, Fault.LATE_DELIVERY])
def test_a_rollback_that_moved_raises_no_alarm_however_often_it_had_to_be_sent(
    tmp_path: Path, fault: Fault | None
) -> None:
    """A wallet may answer the second message of a rollback that there is nothing to undo any more."""

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(None, fault, fault)) as path:
            await path.play(bet("b1"))
            undone = (await path.play(rollback("x", "b1"))).outcome
            assert isinstance(undone, Applied if fault is None else Unknown)
            await path.drain()
            await path.network.settle()
            assert (await path.row("b1")).state is MovementState.REVERSED
            assert await told(path) == []
            assert path.balance() == 10_000

    simulate(story())


def test_a_win_of_zero_that_no_wallet_heard_of_raises_no_alarm(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(rollback_of_win=True)
            await path.play(bet("b1"))
            await path.play(win("w1", "0.00"))
            path.wallet.applied.pop((await path.row("w1")).movement, None)
            assert isinstance((await path.play(rollback("x", "w1"))).outcome, Applied)
            assert await told(path) == []

    simulate(story())
