"""One play at a time, without faults of the network: what moves, what is recorded, what is answered."""

import asyncio
from pathlib import Path

import pytest

from croupier.contract import (
    Applied,
    AppliedEffect,
    Declined,
    DeclineReason,
    LateOriginal,
    Movement,
    MovementKey,
    MovementKind,
    PlayMode,
    RollbackAfterWin,
    Unknown,
    UnknownCause,
    WalletCapability,
    WinWithoutBet,
    WireAmount,
)
from croupier.ledger.records import MovementState
from croupier_conformance.model_wallet import ModelWallet
from croupier_conformance.money_path import MoneyPath, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import simulate


def test_a_bet_and_a_win_move_the_balance_and_are_recorded(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            staked = await path.play(bet("b1", "1.50"))
            assert isinstance(staked.outcome, Applied)
            assert staked.balance is not None
            assert staked.balance.cash.minor == 9_850
            won = await path.play(win("w1", "4.00"), closes_round=True)
            assert isinstance(won.outcome, Applied)
            assert path.balance() == 10_250
            assert [(row.kind, row.state, row.amount) for row in await path.rows()] == [
                ("bet", MovementState.APPLIED, 150),
                ("win", MovementState.APPLIED, 400),
            ]

    simulate(story())


def test_a_repeat_moves_nothing_and_is_answered_with_the_first_transaction(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            first = (await path.play(bet("b1"))).outcome
            again = (await path.play(bet("b1"))).outcome
            assert isinstance(first, Applied)
            assert isinstance(again, Applied)
            assert (again.transaction, again.effect) == (first.transaction, AppliedEffect.REPEATED)
            assert path.balance() == 9_900

    simulate(story())


def test_two_bets_at_once_that_share_one_of_their_keys_are_one(tmp_path: Path) -> None:
    """Neither sees the other before it writes: the ledger's unique keys decide, and the later one is told so."""

    def with_shared_key(name: str) -> Movement:
        keys = (MovementKey("tx", name), MovementKey("reference", "shared"))
        return Movement(MovementKind.BET, keys=keys, amount=WireAmount.of("1.00"))

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            results = await asyncio.gather(
                path.play(with_shared_key("b1"), round=None), path.play(with_shared_key("b2"), round="r1")
            )
            assert {type(result.outcome) for result in results} == {Applied}
            assert path.balance() == 9_900
            assert len(await path.rows()) == 1

    simulate(story())


@pytest.mark.parametrize("changed", ["amount", "player", "round", "kind"])
def test_the_same_id_with_other_content_is_refused_and_moves_nothing(tmp_path: Path, changed: str) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            match changed:
                case "amount":
                    result = await path.play(bet("b1", "2.00"))
                case "player":
                    result = await path.play(bet("b1"), player="p2")
                case "round":
                    result = await path.play(bet("b1"), round="r2")
                case _:
                    result = await path.play(win("b1"))
            assert result.outcome == Declined(
                reason=DeclineReason.CONFLICT, transaction=(await path.rows())[0].movement
            )
            assert (path.balance("p1"), path.balance("p2")) == (9_900, 10_000)

    simulate(story())


def test_a_bet_beyond_the_balance_is_declined_and_stays_declined(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            refused = await path.play(bet("b1", "200.00"))
            assert isinstance(refused.outcome, Declined)
            assert refused.outcome.reason is DeclineReason.INSUFFICIENT_FUNDS
            assert refused.balance is not None
            assert refused.balance.cash.minor == 10_000
            path.wallet.balances["op-p1"] = 100_000
            again = await path.play(bet("b1", "200.00"))
            assert again.outcome == refused.outcome
            assert path.balance() == 100_000

    simulate(story())


def test_an_expired_session_blocks_bets_and_neither_wins_nor_rollbacks(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(bet("b2"), round="r2")
            path.sessions.expired.add("surrogate-p1")
            late = (await path.play(bet("b3"), round="r3")).outcome
            assert reason(late) is DeclineReason.SESSION_EXPIRED
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert isinstance((await path.play(rollback("x", "b2"), round="r2")).outcome, Applied)
            assert path.balance() == 10_000 - 100 + 300

    simulate(story())


def test_a_disabled_game_blocks_bets_and_not_wins(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            path.games.refusal = DeclineReason.GAME_DISABLED
            blocked = (await path.play(bet("b2"))).outcome
            assert reason(blocked) is DeclineReason.GAME_DISABLED
            assert isinstance((await path.play(win("w1"))).outcome, Applied)

    simulate(story())


def test_a_rollback_gives_the_stake_back_once_however_often_it_comes(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            outcomes = [(await path.play(rollback(name, "b1"))).outcome for name in ("x", "x", "y", "y")]
            assert all(isinstance(outcome, Applied) for outcome in outcomes)
            assert path.balance() == 10_000

    simulate(story())


def test_a_rollback_without_player_round_or_amount_finds_its_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            undone = await path.play(rollback("x", "b1"), player=None, round=None)
            assert isinstance(undone.outcome, Applied)
            assert undone.outcome.amount is not None
            assert undone.outcome.amount.minor == 100
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("answer", list(LateOriginal))
def test_a_bet_that_arrives_after_its_rollback_moves_nothing(tmp_path: Path, answer: LateOriginal) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(late_original=answer)
            early = (await path.play(rollback("x", "b1"))).outcome
            assert isinstance(early, Applied)
            assert early.effect is AppliedEffect.NOTHING
            late = (await path.play(bet("b1"))).outcome
            if answer is LateOriginal.ACCEPT:
                assert isinstance(late, Applied)
                assert late.effect is AppliedEffect.NOTHING
            else:
                assert reason(late) is DeclineReason.ALREADY_ROLLED_BACK
            assert path.balance() == 10_000
            assert [call for call in path.wallet.calls if call["do"] == "move"] == []

    simulate(story())


def test_a_paid_bet_is_not_rolled_back_unless_the_policy_allows_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            refused = (await path.play(rollback("x", "b1"))).outcome
            assert reason(refused) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 10_200
            path.reconfigure(rollback_after_win=RollbackAfterWin.ALLOW)
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert path.balance() == 10_300

    simulate(story())


def test_a_win_is_rolled_back_only_where_the_policy_allows_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            assert isinstance((await path.play(rollback("x", "w1"))).outcome, Declined)
            path.reconfigure(rollback_of_win=True)
            assert isinstance((await path.play(rollback("x", "w1"))).outcome, Applied)
            assert path.balance() == 9_900

    simulate(story())


def test_a_win_for_a_bet_that_was_rolled_back_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(win_without_bet=WinWithoutBet.ACCEPT)
            await path.play(bet("b1"))
            await path.play(rollback("x", "b1"))
            for late in (win("w1", "9.00"), win("w2", "9.00", of="b1")):
                refused = (await path.play(late)).outcome
                assert reason(refused) is DeclineReason.ALREADY_ROLLED_BACK
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("answer", list(WinWithoutBet))
def test_a_win_without_a_bet_is_answered_as_the_policy_says(tmp_path: Path, answer: WinWithoutBet) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(win_without_bet=answer)
            outcome = (await path.play(win("w1", "3.00"))).outcome
            match answer:
                case WinWithoutBet.ACCEPT:
                    assert isinstance(outcome, Applied)
                case WinWithoutBet.RETRY:
                    assert outcome == Unknown(cause=UnknownCause.TOO_EARLY)
                case WinWithoutBet.DECLINE:
                    assert outcome == Declined(reason=DeclineReason.TARGET_UNKNOWN)
            assert path.balance() == (10_300 if answer is WinWithoutBet.ACCEPT else 10_000)

    simulate(story())


def test_a_declined_win_is_tried_again_when_it_is_repeated(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            refused = (await path.play(win("w1", "3.00"))).outcome
            assert isinstance(refused, Declined)
            path.wallet.refuse = None
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize("batch", [True, False])
def test_a_mixed_play_is_all_or_none(tmp_path: Path, batch: bool) -> None:
    lacking = frozenset() if batch else frozenset({WalletCapability.ATOMIC_BATCH})

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", without=lacking) as path:
            good = await path.play(bet("b1", "1.00"), win("w1", "2.50"), closes_round=True)
            assert isinstance(good.outcome, Applied)
            assert len(good.movements) == 2
            assert path.balance() == 10_150
            bad = await path.play(bet("b2", "60.00"), bet("b3", "60.00"), win("w2", "500.00"), round="r2")
            assert isinstance(bad.outcome, Declined)
            await path.drain()
            assert path.balance() == 10_150
            states = {row.reference: row.state for row in await path.rows()}
            assert states["w2"] is MovementState.DECLINED
            assert states["b2"] is (MovementState.DECLINED if batch else MovementState.REVERSED)

    simulate(story())


def test_of_a_mixed_batch_only_what_is_new_moves_money(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1", "1.00"))
            both = await path.play(bet("b1", "1.00"), bet("b2", "2.00"))
            effects = [item.outcome.effect for item in both.movements if isinstance(item.outcome, Applied)]
            assert effects == [AppliedEffect.REPEATED, AppliedEffect.MOVED]
            assert path.balance() == 9_700

    simulate(story())


def test_an_independent_play_lets_each_movement_stand_for_itself(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            result = await path.play(bet("b1", "500.00"), bet("b2", "1.00"), mode=PlayMode.INDEPENDENT)
            assert [type(item.outcome) for item in result.movements] == [Declined, Applied]
            assert path.balance() == 9_900

    simulate(story())


def test_a_sequential_play_stops_at_the_first_failure(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            movements = (bet("b1", "1.00"), bet("b2", "500.00"), bet("b3", "1.00"))
            result = await path.play(*movements, mode=PlayMode.SEQUENTIAL)
            assert [type(item.outcome) for item in result.movements] == [Applied, Declined, Declined]
            assert path.balance() == 9_900
            assert {row.reference for row in await path.rows()} == {"b1", "b2"}

    simulate(story())


def test_a_net_bet_and_win_is_settled_as_one_and_repeated_as_one(tmp_path: Path) -> None:
    movement = Movement(
        MovementKind.BET_AND_WIN,
        keys=(MovementKey("transfer", "t1"),),
        amount=WireAmount.of("2.00"),
        win_amount=WireAmount.of("5.00"),
    )

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            for _ in range(3):
                result = await path.play(movement)
                assert isinstance(result.outcome, Applied)
                assert len(result.movements) == 1
            assert path.balance() == 10_300
            assert [(row.direction, row.amount) for row in await path.rows()] == [("debit", 200), ("credit", 500)]

    simulate(story())


def test_digits_that_do_not_fit_decline_a_bet_and_keep_a_win_retryable(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            assert (await path.play(bet("b1", "1.001"))).outcome == Declined(
                reason=DeclineReason.AMOUNT_INVALID, transaction=(await path.rows())[0].movement
            )
            await path.play(bet("b2"))
            assert isinstance((await path.play(win("w1", "1.001"))).outcome, Unknown)
            assert path.balance() == 9_900

    simulate(story())


def test_a_foreign_currency_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            refused = await path.play(bet("b1"), currency="USD")
            assert refused.outcome == Declined(reason=DeclineReason.CURRENCY_WRONG)
            assert path.balance() == 10_000

    simulate(story())


def test_a_closed_round_takes_no_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"), closes_round=True)
            refused = (await path.play(bet("b2"))).outcome
            assert reason(refused) is DeclineReason.ROUND_CLOSED

    simulate(story())


def test_a_wallet_that_dedupes_by_rollback_id_alone_pays_one_rollback(tmp_path: Path) -> None:
    """The hub's own rollback and the provider's race for one bet: one id, one credit."""

    async def story() -> None:
        wallet = ModelWallet(by_rollback_id_alone=True)
        slow = Faults.always(Fault.LATE_REPLY)
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet, faults=slow) as path:
            staked = await path.play(bet("b1"))
            assert isinstance(staked.outcome, Unknown)
            path.network.quiet = True
            raced = await asyncio.gather(
                path.deliveries.run_once(), path.play(rollback("x", "b1")), path.play(rollback("y", "b1"))
            )
            await path.drain()
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert all(not isinstance(result.outcome, Declined) for result in raced[1:])
            assert (
                len(
                    {
                        call["moves"][0]["id"]
                        for call in wallet.calls
                        if call.get("moves", [{"op": ""}])[0]["op"] == "rollback"
                    }
                )
                == 1
            )
            assert path.balance() == 10_000

    simulate(story())
