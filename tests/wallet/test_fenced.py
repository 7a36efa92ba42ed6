"""A rollback that meets its bet in flight: whatever becomes of the bet's call, the stake comes back once."""

import asyncio
from pathlib import Path

import pytest

from croupier.contract import Applied, Declined, OnSilence, WalletPolicy
from croupier.ledger.records import MovementState
from croupier_conformance.money_path import MoneyPath, bet, rollback
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import simulate


@pytest.mark.parametrize("silence", list(OnSilence))
@pytest.mark.parametrize("safe", [True, False], ids=["safe", "unsafe"])
@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LATE_REPLY], ids=["without-effect", "with-effect"])
@pytest.mark.parametrize("copies", [1, 2])
def test_a_bet_that_is_called_off_in_flight_and_gets_no_answer_is_taken_back(
    tmp_path: Path, silence: OnSilence, safe: bool, fault: Fault, copies: int
) -> None:
    wallet = WalletPolicy(retry_safe=safe, tombstones=True, timeout_ms=2_000)

    async def story() -> None:
        faults = Faults.always(fault)
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=wallet, faults=faults) as path:
            path.reconfigure(on_silence=silence)
            staking = asyncio.ensure_future(path.play(bet("b1")))
            await path.clock.sleep(0.5)
            undoing = [asyncio.ensure_future(path.play(rollback(f"x{number}", "b1"))) for number in range(copies)]
            staked = (await staking).outcome
            assert not isinstance(staked, Applied)
            await path.drain()
            await asyncio.gather(*undoing)
            assert path.balance() == 10_000
            states = {row.reference: row.state for row in await path.rows()}
            assert states["b1"] is MovementState.REVERSED
            assert await path.deliveries.owed() == 0
            assert isinstance((await path.play(rollback("x0", "b1"))).outcome, Applied)
            assert isinstance((await path.play(bet("b1"))).outcome, Declined)
            assert path.balance() == 10_000

    simulate(story())
