"""Knobs of policy that the other stories do not turn."""

from pathlib import Path

import pytest

from croupier.contract import (
    Applied,
    AppliedEffect,
    Declined,
    DeclineReason,
    RollbackShortfall,
    Unknown,
    WalletPolicy,
)
from croupier.ledger.records import MovementState
from croupier_conformance.model_wallet import ModelWallet
from croupier_conformance.money_path import MoneyPath, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import simulate


def test_a_round_takes_no_more_wins_than_it_may(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(wins_per_round=1)
            await path.play(bet("b1"))
            assert isinstance((await path.play(win("w1", "2.00"))).outcome, Applied)
            assert (await path.play(win("w2", "2.00"))).outcome == Declined(reason=DeclineReason.ROUND_LIMIT)
            assert isinstance((await path.play(win("w1", "2.00"))).outcome, Applied)
            assert path.balance() == 10_100

    simulate(story())


@pytest.mark.parametrize("shortfall", list(RollbackShortfall))
@pytest.mark.parametrize("late", [False, True], ids=["at-once", "delivered"])
def test_a_win_that_the_player_no_longer_has_is_undone_as_the_operator_wants(
    tmp_path: Path, shortfall: RollbackShortfall, late: bool
) -> None:
    """The model wallet refuses such a rollback; only `record` accepts that."""

    async def story() -> None:
        wallet = ModelWallet(refuse_shortfall=True)
        policy = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000, rollback_shortfall=shortfall)
        faults = Faults.always(Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet, wallet_policy=policy, faults=faults) as path:
            path.network.quiet = True
            path.reconfigure(rollback_of_win=True)
            await path.play(bet("b1", "100.00"))
            await path.play(win("w1", "5.00"))
            await path.play(bet("b2", "4.00"), round="r2")
            path.network.quiet = not late
            outcome = (await path.play(rollback("x", "w1"))).outcome
            await path.drain()
            states = {row.reference: row.state for row in await path.rows()}
            assert path.balance() == 100
            if shortfall is RollbackShortfall.RECORD:
                assert isinstance(outcome, Unknown if late else Applied)
                again = (await path.play(rollback("x", "w1"))).outcome
                assert isinstance(again, Applied)
                assert again.effect is AppliedEffect.NOTHING
                assert states["w1"] is MovementState.APPLIED
            elif late:
                assert states["w1"] is MovementState.HELD
            else:
                assert reason(outcome) is DeclineReason.INSUFFICIENT_FUNDS
                assert states["w1"] is MovementState.APPLIED

    simulate(story())


def test_movements_of_zero_are_kept_from_a_wallet_that_does_not_want_them(tmp_path: Path) -> None:
    async def story() -> None:
        policy = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000, zero_amounts=False)
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=policy) as path:
            await path.play(bet("b1", "1.00"))
            lost = await path.play(win("w1", "0.00"), closes_round=True)
            assert isinstance(lost.outcome, Applied)
            assert lost.balance is not None
            assert lost.balance.cash.minor == 9_900
            both = await path.play(bet("b2", "1.00"), win("w2", "0.00"), round="r2")
            assert isinstance(both.outcome, Applied)
            sent = [move["amount"] for call in path.wallet.calls for move in call.get("moves", [])]
            assert sent == [100, 100]
            assert {row.state for row in await path.rows()} == {MovementState.APPLIED}

    simulate(story())
