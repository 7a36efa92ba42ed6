"""What follows when the wallet gives no definite answer: by provider, by wallet, and by what was asked."""

from pathlib import Path

import pytest

from croupier.contract import (
    Applied,
    Declined,
    DeclineReason,
    OnSilence,
    Unknown,
    WalletCapability,
    WalletPolicy,
)
from croupier.ledger.records import DeliveryState, MovementState
from croupier_conformance.model_wallet import ModelWallet
from croupier_conformance.money_path import MoneyPath, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import simulate

LATE = Faults.always(Fault.LATE_REPLY)
LOST = Faults.always(Fault.LOST_REQUEST)
REFUSED = Faults.always(Fault.REFUSED)
SAFE = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000)
UNSAFE = WalletPolicy(retry_safe=False, tombstones=True, timeout_ms=2_000)


@pytest.mark.parametrize("silence", list(OnSilence))
@pytest.mark.parametrize("wallet", [SAFE, UNSAFE], ids=["safe", "unsafe"])
@pytest.mark.parametrize("faults", [LATE, LOST], ids=["with-effect", "without-effect"])
def test_a_bet_without_an_answer_ends_applied_or_taken_back_and_never_lies(
    tmp_path: Path, silence: OnSilence, wallet: WalletPolicy, faults: Faults
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=wallet, faults=faults) as path:
            path.reconfigure(on_silence=silence)
            outcome = (await path.play(bet("b1"))).outcome
            await path.drain()
            (row,) = await path.rows()
            resent = silence is OnSilence.RESENDS and wallet.retry_safe
            if resent:
                assert isinstance(outcome, Unknown)
                assert (row.state, path.balance()) == (MovementState.APPLIED, 9_900)
                assert isinstance((await path.play(bet("b1"))).outcome, Applied)
            else:
                failed = silence is OnSilence.NEITHER or silence is OnSilence.RESENDS
                assert isinstance(outcome, Declined if failed else Unknown)
                assert (row.state, path.balance()) == (MovementState.REVERSED, 10_000)
                again = (await path.play(bet("b1"))).outcome
                assert reason(again) is DeclineReason.CANCELLED

    simulate(story())


def test_a_bet_that_provably_never_left_is_declined_and_nothing_is_owed(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=REFUSED) as path:
            outcome = (await path.play(bet("b1"))).outcome
            assert reason(outcome) is DeclineReason.MAINTENANCE
            assert [row.reason for row in await path.rows()] == ["not_sent"]
            assert await path.deliveries.owed() == 0

    simulate(story())


@pytest.mark.parametrize("silence", list(OnSilence))
@pytest.mark.parametrize("faults", [LATE, LOST, REFUSED], ids=["with-effect", "without-effect", "not-sent"])
def test_a_win_without_an_answer_is_paid_once_and_the_provider_is_told_to_retry(
    tmp_path: Path, silence: OnSilence, faults: Faults
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=faults) as path:
            path.reconfigure(on_silence=silence)
            path.network.quiet = True
            await path.play(bet("b1"))
            path.network.quiet = False
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Unknown)
            await path.drain()
            assert path.balance() == 10_200
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_a_win_owed_to_a_wallet_that_is_not_safe_is_asked_about_before_it_is_sent_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=UNSAFE, faults=LATE) as path:
            path.network.quiet = True
            await path.play(bet("b1"))
            path.network.quiet = False
            await path.play(win("w1", "3.00"))
            await path.drain()
            assert path.balance() == 10_200
            sent = [call for call in path.wallet.calls if call.get("moves", [{}])[0].get("op") == "win"]
            assert len(sent) == 1

    simulate(story())


def test_a_win_that_cannot_be_asked_about_waits_for_a_person_who_decides(tmp_path: Path) -> None:
    without = frozenset({WalletCapability.TRANSACTION_STATUS})

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=UNSAFE, faults=LATE, without=without) as path:
            path.network.quiet = True
            await path.play(bet("b1"))
            path.network.quiet = False
            await path.play(win("w1", "3.00"))
            await path.drain()
            (held,) = await path.ledger.deliveries(None, DeliveryState.HELD, 10)
            done = await path.deliveries.held.resolve(
                held.operator,
                held.delivery,
                who="anna",
                why="seen in the wallet's book",
                applied=True,
                version=held.version,
            )
            assert done.state is DeliveryState.DONE
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_a_win_that_is_refused_when_it_is_delivered_is_held_and_can_be_driven_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            path.network.quiet = True
            await path.play(bet("b1"))
            path.network.quiet = False
            await path.play(win("w1", "3.00"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.drain()
            (held,) = await path.ledger.deliveries(None, DeliveryState.HELD, 10)
            assert held.detail == DeclineReason.PLAYER_BLOCKED.value
            path.wallet.refuse = None
            await path.deliveries.held.redrive(held.operator, held.delivery, who="anna", why="unblocked")
            await path.drain()
            assert path.balance() == 10_200

    simulate(story())


def test_a_rollback_that_meets_its_bet_in_flight_fences_it(tmp_path: Path) -> None:
    import asyncio

    async def story() -> None:
        slow = Faults.always(Fault.REORDER)
        async with MoneyPath.open(tmp_path / "l.db", faults=slow) as path:
            staking = asyncio.ensure_future(path.play(bet("b1")))
            await path.clock.sleep(0.02)
            undoing = asyncio.ensure_future(path.play(rollback("x", "b1")))
            staked = (await staking).outcome
            assert reason(staked) is DeclineReason.ALREADY_ROLLED_BACK
            await path.drain()
            await undoing
            assert path.balance() == 10_000
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)

    simulate(story())


@pytest.mark.parametrize("status", [True, False], ids=["with-status", "without-status"])
def test_a_bet_that_arrives_late_at_a_wallet_without_tombstones_is_still_taken_back(
    tmp_path: Path, status: bool
) -> None:
    without = frozenset() if status else frozenset({WalletCapability.TRANSACTION_STATUS})
    policy = WalletPolicy(retry_safe=True, tombstones=False, timeout_ms=2_000, late_window_ms=30_000)

    async def story() -> None:
        wallet = ModelWallet(tombstones=False)
        late = Faults.always(Fault.LATE_DELIVERY)
        async with MoneyPath.open(
            tmp_path / "l.db", wallet=wallet, wallet_policy=policy, faults=late, without=without
        ) as path:
            await path.play(bet("b1"))
            path.network.quiet = True
            await path.drain()
            assert path.balance() == 10_000
            assert (await path.rows())[0].state is MovementState.REVERSED

    simulate(story())


def test_a_wallet_with_tombstones_is_believed_at_once_that_there_is_nothing_to_undo(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await path.play(bet("b1"))
            path.network.quiet = True
            await path.deliveries.run_once()
            assert (await path.rows())[0].state is MovementState.REVERSED
            assert await path.deliveries.owed() == 0

    simulate(story())


def test_a_bet_that_arrived_after_its_rollback_is_undone_under_an_id_of_its_own(tmp_path: Path) -> None:
    """The wallet may remember that there was nothing to undo under the first id."""
    policy = WalletPolicy(retry_safe=True, tombstones=False, timeout_ms=2_000, late_window_ms=30_000)
    late = Faults.always(Fault.LATE_DELIVERY)

    async def story() -> None:
        wallet = ModelWallet(tombstones=False)
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet, wallet_policy=policy, faults=late) as path:
            await path.play(bet("b1"))
            path.network.quiet = True
            await path.drain()
            rollbacks = [call["moves"][0] for call in path.wallet.calls if call["do"] == "move"]
            ids = {move["id"] for move in rollbacks if move["op"] == "rollback"}
            assert (len(ids), (await path.rows())[0].generation) == (2, 1)
            assert path.balance() == 10_000

    simulate(story())


def test_an_answer_after_a_crash_is_found_by_the_process_that_follows(tmp_path: Path) -> None:
    import asyncio

    async def story() -> None:
        swallowed = Faults.always(Fault.LATE_REPLY)
        async with MoneyPath.open(tmp_path / "l.db", faults=swallowed, seed=1) as path:
            playing = asyncio.ensure_future(path.engine._together(*_parts(path)))
            await path.clock.sleep(0.5)
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            assert (await path.rows())[0].state is MovementState.INTENT
            await path.clock.sleep(60)
            await path.drain()
            assert (await path.rows())[0].state is MovementState.REVERSED
            assert path.balance() == 10_000

    def _parts(path: MoneyPath):  # type: ignore[no-untyped-def] # the engine's own types
        from croupier.contract import Play
        from croupier.wallet.parties import Request
        from croupier_conformance.money_path import GAME

        request = Request(connection=path.connection, trace="t", deadline=path.clock.monotonic() + 4)
        return request, Play(operation="play", movements=(bet("b1"),), player="p1", round="r1", game=GAME)

    simulate(story())
