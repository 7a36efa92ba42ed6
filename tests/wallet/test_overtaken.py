"""What is on its way when something else decides: a rollback, another process, a refusal. Each is counted once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from croupier.contract import (
    Applied,
    Declined,
    DeclineReason,
    HttpRequest,
    HttpResponse,
    Movement,
    MovementKey,
    MovementKind,
    OnSilence,
    OperatorDecides,
    RollbackAfterWin,
    Unknown,
    WalletCapability,
    WalletPolicy,
    WireAmount,
)
from croupier.ledger.port import Change, Update
from croupier.ledger.records import DeliveryRow, DeliveryState, DeliveryTask, MovementState
from croupier_conformance.model_wallet import ModelWallet
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, net, rollback, win
from croupier_conformance.network import Fault, Faults, Scripted
from croupier_conformance.virtual_time import simulate

UNSAFE = WalletPolicy(retry_safe=False, tombstones=True, timeout_ms=2_000, late_window_ms=30_000)
LOST = Faults(share={Fault.LOST_REQUEST: 1.0})
NO_BATCH = frozenset({WalletCapability.ATOMIC_BATCH})
NO_STATUS = frozenset({WalletCapability.TRANSACTION_STATUS})


def scripted(*coming: Fault | None) -> Faults:
    return Scripted(coming=coming)


async def owed(path: MoneyPath) -> list[DeliveryRow]:
    return list(await path.ledger.deliveries(OPERATOR, DeliveryState.OWED, 100))


def test_a_win_of_no_round_that_its_rollback_overtakes_and_that_is_then_refused_stops_no_worker(tmp_path: Path) -> None:
    """The win is on its way once more when its rollback arrives: the wallet's tombstone then refuses it."""
    promo = Movement(MovementKind.PROMO_WIN, keys=(MovementKey("tx", "w1"),), amount=WireAmount.of("3.00"))

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=scripted(Fault.LOST_REQUEST, Fault.REORDER)) as path:
            path.reconfigure(rollback_of_win=True)
            assert isinstance((await path.play(promo, round=None)).outcome, Unknown)
            path.work()
            await path.clock.sleep(0.02)
            assert isinstance((await path.play(rollback("x", "w1"), round=None)).outcome, Applied)
            await path.clock.sleep(30)
            assert path.working is not None
            assert not path.working.done()
            assert await path.deliveries.owed() == 0
            assert await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10) == []
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("status", [True, False], ids=["status", "no-status"])
@pytest.mark.parametrize("tombstones", [True, False], ids=["tombstones", "no-tombstones"])
@pytest.mark.parametrize("fault", [Fault.LATE_DELIVERY, Fault.LOST_REQUEST, Fault.LATE_REPLY])
def test_a_lost_win_that_is_rolled_back_before_the_wallet_was_asked_is_not_paid_however_late_it_arrives(
    tmp_path: Path, fault: Fault, tombstones: bool, status: bool
) -> None:
    async def story() -> None:
        async with MoneyPath.open(
            tmp_path / "l.db",
            wallet=ModelWallet(dedupes=False, tombstones=tombstones),
            wallet_policy=evolve(UNSAFE, tombstones=tombstones),
            without=frozenset() if status else NO_STATUS,
            faults=scripted(None, fault),
        ) as path:
            path.reconfigure(rollback_of_win=True)
            await path.play(bet("b1"))
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Unknown)
            undoing = asyncio.ensure_future(path.play(rollback("x", "w1")))
            await path.clock.sleep(0.02)
            path.work()
            await undoing
            await path.drain()
            await path.network.settle()
            assert isinstance((await path.play(rollback("x", "w1"))).outcome, Applied)
            assert path.balance() == 9_900

    simulate(story())


@pytest.mark.parametrize("zero_amounts", [True, False], ids=["zeros", "no-zeros"])
@pytest.mark.parametrize("silence", list(OnSilence))
def test_everything_that_was_taken_without_an_answer_is_given_back_to_a_wallet_that_wants_no_zeros(
    tmp_path: Path, silence: OnSilence, zero_amounts: bool
) -> None:
    everything = Movement(MovementKind.TRANSFER_OUT, keys=(MovementKey("tx", "t1"),), amount=OperatorDecides())
    policy = evolve(UNSAFE, zero_amounts=zero_amounts)

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=policy, faults=scripted(Fault.LATE_REPLY)) as path:
            path.reconfigure(on_silence=silence)
            assert not isinstance((await path.play(everything)).outcome, Applied)
            assert path.balance() == 0
            await path.drain()
            assert [row.state for row in await path.rows()] == [MovementState.REVERSED]
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("after", [0.005, 0.02, 1.9], ids=["at-once", "soon", "late"])
@pytest.mark.parametrize("again", [Fault.LATE_REPLY, Fault.LOST_REQUEST, Fault.LATE_DELIVERY])
@pytest.mark.parametrize("status", [True, False], ids=["status", "no-status"])
def test_a_wallet_that_is_not_safe_is_asked_when_a_process_died_while_it_sent_a_win_again(
    tmp_path: Path, again: Fault, after: float, status: bool
) -> None:
    async def story() -> None:
        lost = scripted(None, Fault.LOST_REQUEST)
        wallet = ModelWallet(dedupes=False)
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet, wallet_policy=UNSAFE, faults=lost) as path:
            await path.play(bet("b1"))
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Unknown)
            await path.clock.sleep(40)
            await path.deliveries.run_once()
            (waiting,) = await owed(path)
            assert waiting.task is DeliveryTask.SEND
            if not status:
                operator = evolve(path.connection.operator, capabilities=frozenset())
                path.connections.known = evolve(path.connection, operator=operator)
            path.network.faults = Faults(share={again: 1.0})
            sending = asyncio.ensure_future(path.deliveries.run_once())
            await path.clock.sleep(after)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await path.crash()
            await path.drain()
            await path.network.settle()
            if status:
                assert path.balance() == 10_200
                assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            else:
                (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
                assert held.detail == "the wallet is not proven safe for retries and cannot be asked"
                assert path.balance() == (9_900 if again is Fault.LOST_REQUEST else 10_200)

    simulate(story())


def test_a_worker_that_was_stopped_for_longer_than_its_lease_sends_nothing_when_it_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        lost = scripted(None, Fault.LOST_REQUEST)
        wallet = ModelWallet(dedupes=False)
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet, wallet_policy=UNSAFE, faults=lost) as path:
            await path.play(bet("b1"))
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Unknown)
            await path.clock.sleep(40)
            await path.deliveries.run_once()
            read, stopped = path.ledger.round, True

            async def slow(operator: str, round: str) -> object:
                nonlocal stopped
                if stopped:
                    stopped = False
                    await path.clock.sleep(300)
                return await read(operator, round)

            path.ledger.round = slow  # type: ignore[method-assign, assignment] # the process stops here
            sending = asyncio.ensure_future(path.deliveries.run_once())
            await path.clock.sleep(1)
            assert not stopped
            await path.crash()
            await path.drain()
            assert path.balance() == 10_200
            await sending
            assert path.balance() == 10_200

    simulate(story())


@define
class BetsStand(ModelWallet):
    """A wallet that undoes no bet, while it is told so; wins it does."""

    bets_stand: bool = True

    def _rollback(self, player: str, move: dict[str, Any]) -> bool | DeclineReason:
        bet_of_it = move["target"] in self.applied and self.applied[move["target"]][1] < 0
        if self.bets_stand and bet_of_it:
            return DeclineReason.OPERATION_NOT_ALLOWED
        return super()._rollback(player, move)


@pytest.mark.parametrize("busy", [True, False], ids=["busy-worker", "resting-worker"])
@pytest.mark.parametrize("slow", [True, False])
def test_the_win_of_a_net_movement_stands_with_its_bet_if_the_wallet_does_not_undo_that(
    tmp_path: Path, busy: bool, slow: bool
) -> None:
    async def story() -> None:
        wallet = BetsStand()
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet) as path:
            assert isinstance((await path.play(net("n1", "2.00", "5.00"))).outcome, Applied)
            path.network.faults = scripted(Fault.REORDER if slow else None)
            undoing = asyncio.ensure_future(path.play(rollback("x", "n1")))
            await path.clock.sleep(0.002)
            if busy:
                await path.deliveries.run_once()
            assert isinstance((await undoing).outcome, Declined)
            await path.drain()
            assert path.balance() == 10_300
            repeated = (await path.play(net("n1", "2.00", "5.00"))).outcome
            assert isinstance(repeated, Applied)
            wallet.bets_stand = False
            assert isinstance((await path.play(rollback("x", "n1"))).outcome, Applied)
            await path.drain()
            assert path.balance() == 10_000

    simulate(story())


def test_the_win_of_a_net_movement_goes_though_its_process_died_before_the_wallet_undid_the_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(net("n1", "2.00", "5.00"))
            path.work()
            path.network.faults = scripted(Fault.LOST_REQUEST)
            undoing = asyncio.ensure_future(path.play(rollback("x", "n1")))
            await path.clock.sleep(0.5)
            await path.crash()
            await asyncio.gather(undoing, return_exceptions=True)
            path.rest()
            await path.drain()
            assert isinstance((await path.play(rollback("x", "n1"))).outcome, Applied)
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("there", [True, False])
def test_a_win_that_was_never_answered_is_held_if_the_wallet_does_not_undo_its_bet(tmp_path: Path, there: bool) -> None:
    async def story() -> None:
        lost = scripted(None, Fault.LATE_REPLY if there else Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", wallet=BetsStand(), without=NO_BATCH, faults=lost) as path:
            assert isinstance((await path.play(net("n1", "2.00", "5.00"))).outcome, Unknown)
            assert isinstance((await path.play(rollback("x", "n1"))).outcome, Declined)
            await path.drain()
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            await path.deliveries.held.redrive(OPERATOR, held.delivery, who="anna", why="its bet stands")
            await path.drain()
            assert path.balance() == 10_300
            assert isinstance((await path.play(net("n1", "2.00", "5.00"))).outcome, Applied)

    simulate(story())


@pytest.mark.parametrize("refused", [True, False], ids=["refused", "undone"])
def test_an_owed_win_waits_for_what_becomes_of_the_rollback_of_its_bet(tmp_path: Path, refused: bool) -> None:
    async def story() -> None:
        slow = scripted(None, Fault.LOST_REQUEST, Fault.REORDER)
        async with MoneyPath.open(tmp_path / "l.db", faults=slow) as path:
            path.reconfigure(rollback_after_win=RollbackAfterWin.ALLOW)
            await path.play(bet("b1"))
            assert isinstance((await path.play(win("w1", "3.00", of="b1"))).outcome, Unknown)
            path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED if refused else None
            undoing = asyncio.ensure_future(path.play(rollback("x", "b1")))
            await path.clock.sleep(0.02)
            path.work()
            assert isinstance((await undoing).outcome, Declined if refused else Applied)
            path.wallet.refuse_undo = None
            await path.clock.sleep(5)
            path.rest()
            await path.drain()
            again = (await path.play(win("w1", "3.00", of="b1"))).outcome
            assert isinstance(again, Applied if refused else Declined)
            assert path.balance() == (10_200 if refused else 10_000)

    simulate(story())


def test_an_answer_that_comes_when_the_movement_is_held_already_leaves_it_to_people(tmp_path: Path) -> None:
    """The process was stopped for longer than its lease: another took the win over, and could not ask about it."""

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=UNSAFE, without=NO_STATUS) as path:
            await path.play(bet("b1"))
            path.network.faults = scripted(Fault.REORDER)
            playing = asyncio.ensure_future(path.play(win("w1", "3.00")))
            await path.clock.sleep(0.002)
            row = next(row for row in await path.rows() if row.state is MovementState.INTENT)
            ended = evolve(row, lease_until=0, version=row.version + 1)
            await path.ledger.commit(Change(operator=OPERATOR, updates=(Update(ended),)))
            await path.deliveries.run_once()
            await path.deliveries.run_once()
            assert isinstance((await playing).outcome, Unknown)
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            await path.deliveries.held.resolve(
                OPERATOR, held.delivery, who="anna", why="it is there", applied=True, version=held.version
            )
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def stop_the_first_answer(path: MoneyPath, seconds: float) -> None:
    """The process stands still once, with its wallet's answer in hand."""
    send, stops = path.channel._send, iter([seconds])

    async def stopped(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        response = await send(request, timeout_seconds)
        await path.clock.sleep(next(stops, 0.0))
        return response

    path.channel._send = stopped


def test_an_answer_to_a_rollback_that_comes_when_its_bet_is_held_already_leaves_it_to_people(tmp_path: Path) -> None:
    """The process was stopped for longer than its lease: another took the rollback over, and was refused."""

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            stop_the_first_answer(path, 300)
            undoing = asyncio.ensure_future(path.play(rollback("x", "b1")))
            await path.clock.sleep(100)
            path.wallet.refuse_undo = DeclineReason.OPERATION_NOT_ALLOWED
            await path.drain()
            assert isinstance((await undoing).outcome, Unknown)
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            await path.deliveries.held.resolve(
                OPERATOR, held.delivery, who="anna", why="undone", applied=False, version=held.version
            )
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert path.balance() == 10_000

    simulate(story())


def test_a_win_of_no_round_that_is_taken_when_its_rollback_is_held_already_stops_no_worker(tmp_path: Path) -> None:
    promo = Movement(MovementKind.PROMO_WIN, keys=(MovementKey("tx", "w1"),), amount=WireAmount.of("3.00"))

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=scripted(Fault.LOST_REQUEST)) as path:
            path.reconfigure(rollback_of_win=True)
            assert isinstance((await path.play(promo, round=None)).outcome, Unknown)
            stop_the_first_answer(path, 5)
            path.work()
            await path.clock.sleep(1)
            path.wallet.refuse_undo = DeclineReason.OPERATION_NOT_ALLOWED
            await path.play(rollback("x", "w1"), round=None)
            await path.clock.sleep(30)
            assert path.working is not None
            assert not path.working.done()
            assert (await path.row("w1")).state is MovementState.HELD
            assert path.balance() == 10_300

    simulate(story())


@pytest.mark.parametrize("zero_amounts", [True, False], ids=["zeros", "no-zeros"])
def test_everything_that_people_found_taken_is_given_back_when_its_provider_rolls_it_back(
    tmp_path: Path, zero_amounts: bool
) -> None:
    """No answer ever told how much that was: the record has nothing but the least of it."""
    everything = Movement(MovementKind.TRANSFER_OUT, keys=(MovementKey("tx", "t1"),), amount=OperatorDecides())
    policy = evolve(UNSAFE, zero_amounts=zero_amounts)

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=policy, faults=scripted(Fault.LATE_REPLY)) as path:
            assert not isinstance((await path.play(everything)).outcome, Applied)
            path.wallet.refuse_undo = DeclineReason.OPERATION_NOT_ALLOWED
            await path.drain()
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            await path.deliveries.held.resolve(
                OPERATOR, held.delivery, who="anna", why="it is there", applied=True, version=held.version
            )
            path.wallet.refuse_undo = None
            assert path.balance() == 0
            assert isinstance((await path.play(rollback("x", "t1"))).outcome, Applied)
            assert path.balance() == 10_000

    simulate(story())


def test_of_two_attempts_at_once_that_are_refused_people_decide_about_one(tmp_path: Path) -> None:
    """What is held twice could be decided once, and stood in the way of all that its movement came to owe later."""
    promo = Movement(MovementKind.PROMO_WIN, keys=(MovementKey("tx", "w1"),), amount=WireAmount.of("3.00"))

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=scripted(Fault.LOST_REQUEST)) as path:
            path.reconfigure(rollback_of_win=True)
            assert isinstance((await path.play(promo, round=None)).outcome, Unknown)
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
            stop_the_first_answer(path, 5)
            path.work()
            await path.clock.sleep(1)
            await path.play(rollback("x", "w1"), round=None)
            await path.clock.sleep(30)
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            await path.deliveries.held.resolve(
                OPERATOR, held.delivery, who="anna", why="not there", applied=False, version=held.version
            )
            assert await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10) == []
            assert (await path.row("w1")).state is MovementState.REVERSED

    simulate(story())


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("redrive", [True, False])
def test_work_that_is_held_though_its_movement_is_settled_can_be_ended(
    tmp_path: Path, redrive: bool, applied: bool
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            row = await path.row("b1")
            held = DeliveryRow(
                operator=OPERATOR,
                delivery="held",
                movement=row.movement,
                task=DeliveryTask.SEND,
                state=DeliveryState.HELD,
                due_at=0,
                created_at=0,
            )
            await path.ledger.commit(Change(operator=OPERATOR, deliveries=(held,)))
            if redrive:
                await path.deliveries.held.redrive(OPERATOR, "held", who="anna", why="again")
                await path.drain()
            else:
                await path.deliveries.held.resolve(
                    OPERATOR, "held", who="anna", why="seen", applied=applied, version=held.version
                )
            (ended,) = await path.ledger.deliveries(OPERATOR, None, 10)
            assert ended.state is DeliveryState.DONE
            assert await path.row("b1") == row
            assert path.balance() == 9_900

    simulate(story())
