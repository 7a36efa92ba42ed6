"""A play that is atomic is all or none, whatever the wallet can do and whoever interferes."""

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
    NetSettlement,
    OnSilence,
    RepeatAnswer,
    RollbackAfterWin,
    RolledBackRepeat,
    Target,
    Unknown,
    WalletCapability,
    WalletPolicy,
    WinWithoutBet,
    WireAmount,
)
from croupier.ledger.port import Page
from croupier.ledger.records import DeliveryState, MovementState
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, net, reason, rollback, win
from croupier_conformance.network import Fault, Faults, Scripted
from croupier_conformance.virtual_time import simulate

NO_BATCH = frozenset({WalletCapability.ATOMIC_BATCH})
SLOW = Faults.always(Fault.REORDER)


async def states(path: MoneyPath) -> dict[str, MovementState]:
    return {f"{row.reference}/{row.direction}": row.state for row in await path.rows()}


@pytest.mark.parametrize("second", ["1.00", "2.00"], ids=["same-content", "other-content"])
def test_one_id_twice_in_a_play_is_refused_at_once_and_moves_nothing(tmp_path: Path, second: str) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            result = await path.play(bet("b1", "1.00"), bet("b1", second))
            assert isinstance(result.outcome, Declined)
            assert result.outcome.reason is DeclineReason.CONFLICT
            assert path.balance() == 10_000
            assert path.wallet.calls == []
            assert len(await path.rows()) == 1

    simulate(story())


def test_two_movements_of_a_play_that_share_one_of_their_keys_are_refused_at_once(tmp_path: Path) -> None:
    two_keys = Movement(
        MovementKind.BET,
        keys=(MovementKey("tx", "b1"), MovementKey("reference", "shared")),
        amount=WireAmount.of("1.00"),
    )

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            result = await path.play(two_keys, bet("shared", namespace="reference"))
            assert isinstance(result.outcome, Declined)
            assert result.outcome.reason is DeclineReason.CONFLICT
            assert path.balance() == 10_000

    simulate(story())


def test_a_duplicate_in_a_play_does_not_keep_what_is_new_from_moving(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(repeat=RepeatAnswer.DECLINE)
            await path.play(bet("b1", "1.00"))
            result = await path.play(bet("b1", "1.00"), win("w1", "5.00"))
            first, second = (item.outcome for item in result.movements)
            assert reason(first) is DeclineReason.DUPLICATE
            assert isinstance(second, Applied)
            assert path.balance() == 10_400

    simulate(story())


@pytest.mark.parametrize("round", ["r1", None], ids=["in-a-round", "without-a-round"])
@pytest.mark.parametrize("batch", [True, False], ids=["batch", "no-batch"])
def test_a_bet_that_is_refused_when_it_is_sent_again_takes_its_play_with_it(
    tmp_path: Path, round: str | None, batch: bool
) -> None:
    """The second bet is lost, and when it is sent again the money is gone."""

    async def story() -> None:
        lost = Scripted.of(Fault.LOST_REQUEST) if batch else Scripted.of(None, Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost, without=frozenset() if batch else NO_BATCH) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS, win_without_bet=WinWithoutBet.ACCEPT)
            play = (bet("b1", "60.00"), bet("b2", "30.00"), win("w1", "5.00"))
            assert isinstance((await path.play(*play, round=round)).outcome, Unknown)
            path.wallet.balances["op-p1"] -= 2_000 if not batch else 3_000
            await path.drain()
            again = await path.play(*play, round=round)
            assert isinstance(again.outcome, Declined)
            assert not any(isinstance(item.outcome, Applied) for item in again.movements)
            assert path.balance() == 10_000 - (2_000 if not batch else 3_000)

    simulate(story())


def test_after_a_refused_bet_nothing_more_of_its_play_is_sent(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", without=NO_BATCH) as path:
            refused = await path.play(bet("b1", "500.00"), bet("b2", "1.00"), win("w1", "5.00"))
            assert [type(item.outcome) for item in refused.movements] == [Declined] * 3
            assert len([call for call in path.wallet.calls if call["do"] == "move"]) == 1
            await path.drain()
            assert path.balance() == 10_000

    simulate(story())


def test_what_comes_after_a_lost_bet_of_a_play_is_sent_when_that_has_arrived(tmp_path: Path) -> None:
    async def story() -> None:
        lost = Scripted.of(None, Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost, without=NO_BATCH) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            play = (bet("b1", "1.00"), bet("b2", "2.00"), bet("b3", "3.00"), win("w1", "9.00"))
            assert isinstance((await path.play(*play)).outcome, Unknown)
            await path.drain()
            assert isinstance((await path.play(*play)).outcome, Applied)
            assert path.balance() == 10_300
            sent = [call["moves"][0]["amount"] for call in path.wallet.calls if call["do"] == "move"]
            assert sent == [100, 200, 300, 900]

    simulate(story())


def test_no_bet_of_a_play_is_called_done_while_another_is_open(tmp_path: Path) -> None:
    """It may still be taken back: a provider that was told "done" would count it."""

    async def story() -> None:
        lost = Scripted.of(None, Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost, without=NO_BATCH) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            play = (bet("b1", "60.00"), bet("b2", "30.00"))
            for seconds in (4.0, 0.1):
                open_ = await path.play(*play, seconds=seconds)
                assert [type(item.outcome) for item in open_.movements] == [Unknown, Unknown]
            await path.drain()
            assert isinstance((await path.play(*play)).outcome, Applied)
            assert path.balance() == 1_000

    simulate(story())


def test_a_win_of_a_named_bet_goes_with_the_bet_of_its_own_play(tmp_path: Path) -> None:
    async def story() -> None:
        lost = Scripted.of(None, Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost, without=NO_BATCH) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            await path.play(bet("b1", "1.00"))
            play = (bet("b2", "60.00"), win("w1", "5.00", of="b1"))
            assert isinstance((await path.play(*play)).outcome, Unknown)
            path.wallet.balances["op-p1"] = 5_000
            await path.drain()
            assert path.balance() == 5_000
            assert isinstance((await path.play(*play)).outcome, Declined)

    simulate(story())


@pytest.mark.parametrize("round", ["r1", None], ids=["in-a-round", "without-a-round"])
def test_a_payout_waits_for_every_bet_of_its_play(tmp_path: Path, round: str | None) -> None:
    async def story() -> None:
        lost = Scripted.of(Fault.LOST_REQUEST, Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            await path.play(win("w1", "5.00"), bet("b1", "1.00"), round=round)
            await path.clock.sleep(1)
            for _ in range(3):
                await path.deliveries.run_once()
                await path.clock.sleep(5)
            await path.drain()
            sent = [call["moves"][0]["op"] for call in path.wallet.calls if call["do"] == "move"]
            assert sent == ["bet", "win"]
            assert path.balance() == 10_400

    simulate(story())


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "no-batch"])
@pytest.mark.parametrize("round", ["r1", None], ids=["in-a-round", "without-a-round"])
def test_a_rollback_that_meets_one_bet_of_a_play_in_flight_takes_back_the_whole_play(
    tmp_path: Path, batch: bool, round: str | None
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=SLOW, without=frozenset() if batch else NO_BATCH) as path:
            play = (bet("b1", "1.00"), bet("b2", "2.00"), win("w1", "5.00"))
            playing = asyncio.ensure_future(path.play(*play, round=round))
            await path.clock.sleep(0.02)
            undoing = asyncio.ensure_future(path.play(rollback("x", "b1"), round=round))
            played = await playing
            assert isinstance(played.outcome, Declined)
            assert not any(isinstance(item.outcome, Applied) for item in played.movements)
            await undoing
            await path.drain()
            assert path.balance() == 10_000
            other = await path.play(rollback("y", "b2"), round=round)
            assert isinstance(other.outcome, Applied)
            assert path.balance() == 10_000
            assert isinstance((await path.play(*play, round=round)).outcome, Declined)

    simulate(story())


@pytest.mark.parametrize("policy", [RollbackAfterWin.REFUSE, RollbackAfterWin.ALLOW])
@pytest.mark.parametrize("settlement", list(NetSettlement))
@pytest.mark.parametrize("payout", ["5.00", "0.50"], ids=["up", "down"])
def test_a_net_bet_and_win_is_rolled_back_whole(
    tmp_path: Path, policy: RollbackAfterWin, settlement: NetSettlement, payout: str
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(net_settlement=settlement, rollback_after_win=policy)
            assert isinstance((await path.play(net("n1", "2.00", payout))).outcome, Applied)
            assert path.balance() == (10_300 if payout == "5.00" else 9_850)
            undone = (await path.play(rollback("x", "n1"))).outcome
            assert isinstance(undone, Applied)
            await path.drain()
            assert path.balance() == 10_000
            assert set((await states(path)).values()) == {MovementState.REVERSED, MovementState.APPLIED}
            assert isinstance((await path.play(net("n1", "2.00", payout))).outcome, Declined)

    simulate(story())


@pytest.mark.parametrize("settlement", list(NetSettlement))
@pytest.mark.parametrize("payout", ["5.00", "0.50"], ids=["up", "down"])
def test_a_net_bet_and_win_stands_where_the_policy_says_so(
    tmp_path: Path, settlement: NetSettlement, payout: str
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(net_settlement=settlement, rollback_of_net=False)
            assert isinstance((await path.play(net("n1", "2.00", payout))).outcome, Applied)
            for _ in range(2):
                refused = (await path.play(rollback("x", "n1"))).outcome
                assert reason(refused) is DeclineReason.TARGET_SETTLED
            await path.drain()
            assert path.balance() == (10_300 if payout == "5.00" else 9_850)
            assert set((await states(path)).values()) == {MovementState.APPLIED}

    simulate(story())


@pytest.mark.parametrize("stands", [True, False])
@pytest.mark.parametrize("batch", [True, False], ids=["batch", "no-batch"])
@pytest.mark.parametrize("settlement", list(NetSettlement))
def test_a_net_bet_and_win_that_is_rolled_back_in_flight_pays_nothing(
    tmp_path: Path, settlement: NetSettlement, batch: bool, stands: bool
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=SLOW, without=frozenset() if batch else NO_BATCH) as path:
            path.reconfigure(net_settlement=settlement, rollback_of_net=not stands)
            playing = asyncio.ensure_future(path.play(net("n1", "2.00", "5.00")))
            await path.clock.sleep(0.02)
            undoing = asyncio.ensure_future(path.play(rollback("x", "n1")))
            assert isinstance((await playing).outcome, Declined)
            await undoing
            await path.drain()
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("there", [True, False])
def test_a_net_bet_and_win_is_not_rolled_back_while_a_person_must_look_for_its_win(tmp_path: Path, there: bool) -> None:
    unsafe = WalletPolicy(retry_safe=False, tombstones=True, timeout_ms=2_000, late_window_ms=30_000)
    bare = NO_BATCH | {WalletCapability.TRANSACTION_STATUS}

    async def story() -> None:
        lost = Scripted.of(None, Fault.LATE_REPLY if there else Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost, without=bare, wallet_policy=unsafe) as path:
            assert isinstance((await path.play(net("n1", "2.00", "5.00"))).outcome, Unknown)
            await path.drain()
            assert path.balance() == (10_300 if there else 9_800)
            assert isinstance((await path.play(rollback("x", "n1"))).outcome, Unknown)
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            await path.deliveries.held.resolve(
                OPERATOR, held.delivery, who="anna", why="looked it up", applied=there, version=held.version
            )
            assert isinstance((await path.play(rollback("x", "n1"))).outcome, Applied)
            await path.drain()
            assert path.balance() == 10_000

    simulate(story())


def test_a_paid_round_still_protects_the_bets_beside_a_net_movement(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(net("n1", "2.00", "5.00"))
            await path.play(win("w1", "1.00"))
            refused = (await path.play(rollback("x", "n1"))).outcome
            assert reason(refused) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 10_400

    simulate(story())


@pytest.mark.parametrize("settlement", list(NetSettlement))
def test_the_rules_for_bets_hold_for_a_net_movement_that_pays_more_than_it_takes(
    tmp_path: Path, settlement: NetSettlement
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(net_settlement=settlement, max_bet_minor={"EUR": 150})
            limited = (await path.play(net("n1", "2.00", "5.00"))).outcome
            assert reason(limited) is DeclineReason.BET_LIMIT
            path.reconfigure(max_bet_minor={})
            path.sessions.expired.add("surrogate-p1")
            expired = (await path.play(net("n2", "2.00", "5.00"))).outcome
            assert reason(expired) is DeclineReason.SESSION_EXPIRED
            path.sessions.expired.clear()
            assert (await path.play(net("n2", "2.00", "5.00"))).outcome == expired
            assert path.balance() == 10_000

    simulate(story())


def test_a_net_movement_counts_as_the_bet_of_its_round(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(net_settlement=NetSettlement.NET)
            await path.play(net("n1", "2.00", "5.00"))
            assert isinstance((await path.play(win("w1", "1.00"))).outcome, Applied)
            (row,) = await path.ledger.rounds(OPERATOR, None, Page())
            assert (row.bets, row.wins) == (1, 1)
            assert path.balance() == 10_400

    simulate(story())


@pytest.mark.parametrize("silence", list(OnSilence))
def test_a_net_movement_without_an_answer_is_treated_as_a_bet(tmp_path: Path, silence: OnSilence) -> None:
    async def story() -> None:
        late = Faults.always(Fault.LATE_REPLY)
        async with MoneyPath.open(tmp_path / "l.db", faults=late) as path:
            path.reconfigure(net_settlement=NetSettlement.NET, on_silence=silence)
            outcome = (await path.play(net("n1", "2.00", "5.00"))).outcome
            await path.drain()
            stands = silence is OnSilence.RESENDS
            assert isinstance(outcome, Declined if silence is OnSilence.NEITHER else Unknown)
            assert path.balance() == (10_300 if stands else 10_000)
            again = (await path.play(net("n1", "2.00", "5.00"))).outcome
            assert isinstance(again, Applied if stands else Declined)

    simulate(story())


def test_wins_that_belong_together_are_all_refused_if_the_first_one_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", without=NO_BATCH) as path:
            await path.play(bet("b1"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            refused = await path.play(win("w1", "1.00"), win("w2", "2.00"))
            assert [type(item.outcome) for item in refused.movements] == [Declined, Declined]
            assert len([call for call in path.wallet.calls if call["do"] == "move"]) == 2
            path.wallet.refuse = None
            paid = await path.play(win("w1", "1.00"), win("w2", "2.00"))
            assert isinstance(paid.outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_a_win_that_is_refused_after_another_of_its_play_was_paid_is_owed(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", without=NO_BATCH) as path:
            await path.play(bet("b1"))
            paying = asyncio.ensure_future(path.play(win("w1", "1.00"), win("w2", "2.00")))
            await path.clock.sleep(0.015)
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            paid = await paying
            assert [type(item.outcome) for item in paid.movements] == [Applied, Unknown]
            assert (await states(path))["w2/credit"] is MovementState.HELD
            assert path.balance() == 10_000

    simulate(story())


def test_a_round_takes_no_more_bets_than_it_may_hold_those_of_one_play_included(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(bets_per_round=2)
            full = (await path.play(bet("b1"), bet("b2"), bet("b3"))).outcome
            assert reason(full) is DeclineReason.ROUND_LIMIT
            assert isinstance((await path.play(bet("b4"), round="r2")).outcome, Applied)
            assert isinstance((await path.play(bet("b4"), bet("b5"), round="r2")).outcome, Applied)
            over = (await path.play(bet("b6"), round="r2")).outcome
            assert reason(over) is DeclineReason.ROUND_LIMIT
            assert path.balance() == 9_800

    simulate(story())


def test_a_win_that_is_tried_again_with_a_new_bet_shares_its_fate(tmp_path: Path) -> None:
    """The process is lost while both are on their way: what is judged is the play that they are in now."""

    async def story() -> None:
        slow = Scripted.of(None, None, Fault.LATE_REPLY)
        async with MoneyPath.open(tmp_path / "l.db", faults=slow) as path:
            await path.play(bet("b1"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            assert isinstance((await path.play(win("w1", "5.00"))).outcome, Declined)
            path.wallet.refuse = None
            playing = asyncio.ensure_future(path.play(bet("b2", "2.00"), win("w1", "5.00")))
            await path.clock.sleep(1)
            await path.crash()
            await asyncio.gather(playing, return_exceptions=True)
            await path.clock.sleep(40)
            await path.drain()
            found = await states(path)
            assert (found["b2/debit"], found["w1/credit"]) == (MovementState.REVERSED, MovementState.REVERSED)
            assert path.balance() == 9_900

    simulate(story())


def test_a_play_is_judged_whole_when_its_process_is_gone_however_few_of_it_are_claimed(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Faults.always(Fault.LATE_REPLY)) as path:
            playing = asyncio.ensure_future(path.play(bet("b1", "1.00"), win("w1", "5.00")))
            await path.clock.sleep(1)
            await path.crash()
            await asyncio.gather(playing, return_exceptions=True)
            path.deliveries._at_once = 1
            await path.clock.sleep(40)
            await path.drain()
            assert set((await states(path)).values()) == {MovementState.REVERSED}
            assert path.balance() == 10_000
            events = await path.ledger.events_after(OPERATOR, 0, 1000)
            assert "movement.owed" not in {stored.event.kind for stored in events}

    simulate(story())


def test_what_a_lost_process_owes_is_delivered_stakes_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Faults.always(Fault.LOST_REQUEST)) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            playing = [
                asyncio.ensure_future(
                    path.play(win(f"w{n}", "5.00"), bet(f"b{n}", "1.00"), bet(f"c{n}", "2.00"), round=f"r{n}")
                )
                for n in range(6)
            ]
            await path.clock.sleep(1)
            await path.crash()
            await asyncio.gather(*playing, return_exceptions=True)
            await path.clock.sleep(40)
            path.network.quiet = True
            for _ in range(40):
                await path.deliveries.run_once()
                await path.clock.sleep(1)
            assert await path.deliveries.owed() == 0
            assert path.balance() == 10_000 + 6 * 200

    simulate(story())


def test_a_resend_under_a_new_id_is_the_first_message_whichever_comes_first(tmp_path: Path) -> None:
    resend = Movement(
        MovementKind.BET,
        keys=(MovementKey("tx", "b1-again"),),
        amount=WireAmount.of("1.00"),
        resend_of=MovementKey("tx", "b1"),
    )

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            first = (await path.play(resend)).outcome
            assert isinstance(first, Applied)
            for repeat in (bet("b1"), resend, bet("b1-again")):
                again = (await path.play(repeat)).outcome
                assert isinstance(again, Applied)
                assert (again.effect, again.transaction) == (AppliedEffect.REPEATED, first.transaction)
            assert path.balance() == 9_900

    simulate(story())


def test_a_win_that_names_its_bet_and_no_round_is_in_the_round_of_its_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            named = win("w1", "5.00", of="b1")
            assert isinstance((await path.play(named, round=None)).outcome, Applied)
            assert isinstance((await path.play(named, round=None)).outcome, Applied)
            assert len({row.round for row in await path.rows()}) == 1
            protected = (await path.play(rollback("x", "b1"))).outcome
            assert reason(protected) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 10_400

    simulate(story())


def test_the_wins_of_a_play_settle_its_own_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(
                bet("b1"),
                win("w1"),
                Movement(
                    MovementKind.WIN,
                    keys=(MovementKey("tx", "w2"),),
                    amount=WireAmount.of("1.00"),
                    target=Target(key=MovementKey("tx", "b1")),
                ),
            )
            first, *wins = await path.rows()
            assert [row.target for row in wins] == [first.movement, first.movement]

    simulate(story())


@pytest.mark.parametrize("answer", list(LateOriginal))
@pytest.mark.parametrize("settlement", list(NetSettlement))
def test_a_net_bet_and_win_that_comes_after_its_rollback_pays_nothing(
    tmp_path: Path, answer: LateOriginal, settlement: NetSettlement
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(net_settlement=settlement, late_original=answer)
            await path.play(rollback("x", "n1"))
            late = (await path.play(net("n1", "2.00", "5.00"))).outcome
            if answer is LateOriginal.ACCEPT:
                assert isinstance(late, Applied)
                assert late.effect is AppliedEffect.NOTHING
            else:
                assert reason(late) is DeclineReason.ALREADY_ROLLED_BACK
            assert path.balance() == 10_000

    simulate(story())


def test_nothing_of_a_play_begins_whose_bet_was_rolled_back_before_it_came(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(late_original=LateOriginal.ACCEPT)
            await path.play(rollback("x", "b1"))
            late = await path.play(bet("b1", "1.00"), bet("b2", "2.00"), win("w1", "5.00"))
            assert [type(item.outcome) for item in late.movements] == [Applied, Declined, Declined]
            assert path.balance() == 10_000

    simulate(story())


def test_a_win_whose_bet_was_rolled_back_in_flight_is_not_paid_when_the_play_is_repeated(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=SLOW, without=NO_BATCH) as path:
            path.reconfigure(rolled_back_repeat=RolledBackRepeat.STORED)
            play = (bet("b1", "1.00"), win("w1", "5.00"))
            playing = asyncio.ensure_future(path.play(*play))
            await path.clock.sleep(0.02)
            undoing = asyncio.ensure_future(path.play(rollback("x", "b1")))
            await asyncio.gather(playing, undoing)
            await path.drain()
            assert path.balance() == 10_000
            repeated = await path.play(*play)
            assert isinstance(repeated.outcome, Declined)
            assert path.balance() == 10_000

    simulate(story())
