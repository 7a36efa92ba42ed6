"""A wallet that comes back is not run over by what waits for it, and what waits is delivered all the same."""

from pathlib import Path

from croupier.contract import WalletPolicy
from croupier.wallet.retry_budget import MOST, RetryBudget
from croupier_conformance.money_path import MoneyPath, bet, win
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import LoopClock, simulate

POLICY = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=1_000, breaker_failures=10_000)
SILENT = Faults.always(Fault.LOST_REQUEST)
WINS = 150


def test_a_silent_wallet_is_asked_no_more_often_than_its_budget_lets_and_everything_is_paid_in_the_end(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY, faults=SILENT) as path:
            path.network.quiet = True
            for number in range(WINS):
                await path.play(bet(f"b{number}", "0.10"), round=f"r{number}")
            path.network.quiet = False
            for number in range(WINS):
                await path.play(win(f"w{number}", "2.00"), round=f"r{number}")
            struck, began = path.network.struck[Fault.LOST_REQUEST], path.clock.monotonic()
            while path.clock.monotonic() < began + 60:
                await path.deliveries.run_once()
                await path.clock.sleep(0.5)
            asked = path.network.struck[Fault.LOST_REQUEST] - struck
            assert asked <= MOST + (path.clock.monotonic() - began) + 1
            assert asked < 2 * WINS  # as many as the calendar alone would have let
            await path.drain()
            assert path.balance() == 10_000 + WINS * (200 - 10)

    simulate(story())


def test_answers_earn_retries_and_so_does_time() -> None:
    async def story() -> None:
        clock = LoopClock()
        budget = RetryBudget(clock)
        assert sum(budget.take() for _ in range(200)) == 100
        for _ in range(11):
            budget.answered()
        assert (budget.take(), budget.take()) == (True, False)
        budget.retry_answered()
        assert (budget.take(), budget.take(), budget.take()) == (True, True, False)
        await clock.sleep(5.2)
        assert sum(budget.take() for _ in range(10)) == 5
        await clock.sleep(10_000)
        assert sum(budget.take() for _ in range(200)) == 100

    simulate(story())
