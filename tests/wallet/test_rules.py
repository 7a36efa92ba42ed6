"""The rules before the wallet is asked, and what is said to a repeat."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    Credentials,
    Declined,
    DeclineReason,
    HttpRequest,
    Movement,
    MovementKey,
    MovementKind,
    OnSilence,
    OperatorDecides,
    PlayMode,
    RepeatAnswer,
    RepeatBalance,
    RollbackAfterWin,
    RoundEnd,
    Unknown,
    UnknownCause,
    WalletBatch,
    WalletCall,
    WalletCapability,
    WalletMove,
    WalletPolicy,
    WinWithoutBet,
    WireAmount,
)
from croupier.contract.calls import CloseRound, Notice, Query
from croupier.contract.outcomes import CloseRoundResult, QueryResult
from croupier.ledger.port import Page
from croupier.ledger.records import DeliveryState, MovementState, RoundState
from croupier_conformance.model_wallet import ModelDialect, ModelSettings
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults, Scripted
from croupier_conformance.virtual_time import simulate

SLOW = Faults.always(Fault.REORDER)


def of_kind(kind: MovementKind, name: str, amount: str = "1.00") -> Movement:
    return Movement(kind, keys=(MovementKey("tx", name),), amount=WireAmount.of(amount))


async def the_round(path: MoneyPath, name: str = "r1") -> RoundState:
    rows = await path.ledger.rounds(OPERATOR, None, Page())
    (found,) = [row for row in rows if row.provider_round == name]
    return found.state


def test_a_refused_win_is_not_paid_later_if_its_bet_was_rolled_back_since(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Declined)
            path.wallet.refuse = None
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert reason((await path.play(win("w1", "3.00"))).outcome) is DeclineReason.ALREADY_ROLLED_BACK
            assert path.balance() == 10_000

    simulate(story())


def test_a_win_whose_only_bet_was_refused_is_refused_for_that(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1", "500.00"))
            for late in (win("w1"), win("w2", of="b1")):
                assert reason((await path.play(late)).outcome) is DeclineReason.TARGET_DECLINED
            assert path.balance() == 10_000

    simulate(story())


def test_a_win_is_legal_while_one_bet_of_its_round_stands(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(bet("b2"))
            await path.play(rollback("x", "b1"))
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize(
    ("taken", "given"),
    [(MovementKind.TRANSFER_OUT, MovementKind.TRANSFER_IN), (MovementKind.FREE_BET, MovementKind.FREE_WIN)],
)
def test_what_a_round_gives_back_is_not_paid_when_what_it_took_was_rolled_back(
    tmp_path: Path, taken: MovementKind, given: MovementKind
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(of_kind(taken, "out", "1.00"))
            await path.play(rollback("x", "out"))
            refused = (await path.play(of_kind(given, "in", "4.00"))).outcome
            assert reason(refused) is DeclineReason.ALREADY_ROLLED_BACK
            assert path.balance() == 10_000
            alone = (await path.play(of_kind(given, "other", "4.00"), round="r2")).outcome
            assert isinstance(alone, Applied)
            await path.play(of_kind(taken, "out again", "1.00"), round="r3")
            assert isinstance((await path.play(of_kind(given, "in again", "4.00"), round="r3")).outcome, Applied)
            assert path.balance() == 10_000 + 400 - 100 + 400

    simulate(story())


def test_a_win_waits_for_its_bet_that_is_on_its_way(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(Fault.REORDER)) as path:
            staking = asyncio.ensure_future(path.play(bet("b1")))
            await path.clock.sleep(0.02)
            early = (await path.play(win("w0", "3.00"), seconds=0.02)).outcome
            assert early == Unknown(cause=UnknownCause.IN_PROGRESS, transaction=(await path.rows())[0].movement)
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert isinstance((await staking).outcome, Applied)
            assert path.balance() == 10_200
            assert [call["moves"][0]["op"] for call in path.wallet.calls if call["do"] == "move"] == ["bet", "win"]

    simulate(story())


def test_a_play_whose_bet_is_on_its_way_with_another_begins_when_that_has_arrived(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(Fault.REORDER)) as path:
            staking = asyncio.ensure_future(path.play(bet("b1", "1.00")))
            await path.clock.sleep(0.02)
            impatient = await path.play(bet("b1", "1.00"), bet("b2", "2.00"), seconds=0.02)
            assert isinstance(impatient.outcome, Unknown)
            assert [row.reference for row in await path.rows()] == ["b1"]
            both = await path.play(bet("b1", "1.00"), bet("b2", "2.00"))
            assert isinstance(both.outcome, Applied)
            assert isinstance((await staking).outcome, Applied)
            assert path.balance() == 9_700

    simulate(story())


def test_a_held_win_is_told_to_be_owed_and_no_repeat_says_otherwise(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(None, Fault.LOST_REQUEST)) as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.drain()
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            for _ in range(2):
                told = (await path.play(win("w1", "3.00"))).outcome
                assert told == Unknown(cause=UnknownCause.OWED, transaction=held.movement)
            path.reconfigure(rollback_of_win=True)
            undone = (await path.play(rollback("x", "w1"))).outcome
            assert undone == Unknown(cause=UnknownCause.OWED)
            assert path.balance() == 9_900

    simulate(story())


def test_a_bet_that_is_held_pays_its_win(tmp_path: Path) -> None:
    """Its rollback was refused: the money is gone, and a person looks at it."""

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(Fault.LATE_REPLY)) as path:
            await path.play(bet("b1"))
            path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
            await path.drain()
            assert (await path.rows())[0].state is MovementState.HELD
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize("allowed", [True, False])
def test_a_win_enters_a_closed_round_where_the_policy_lets_it(tmp_path: Path, allowed: bool) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(win_on_closed_round=allowed)
            await path.play(bet("b1"), closes_round=True)
            outcome = (await path.play(win("w1", "3.00"))).outcome
            if allowed:
                assert isinstance(outcome, Applied)
            else:
                assert reason(outcome) is DeclineReason.ROUND_CLOSED
            assert isinstance((await path.play(of_kind(MovementKind.PROMO_WIN, "p1"))).outcome, Applied)
            assert path.balance() == 10_000 + (300 if allowed else 0)

    simulate(story())


def test_a_bet_enters_a_closed_round_where_the_policy_lets_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(bet_on_closed_round=True)
            await path.play(bet("b1"), closes_round=True)
            assert isinstance((await path.play(bet("b2"))).outcome, Applied)
            assert path.balance() == 9_800

    simulate(story())


@pytest.mark.parametrize(("operator", "connection"), [(False, True), (True, False)])
def test_who_is_disabled_takes_no_bets_and_pays_all_the_same(tmp_path: Path, operator: bool, connection: bool) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(bet("b2"), round="r2")
            known = path.connection
            path.connections.known = evolve(
                known, enabled=connection, operator=evolve(known.operator, enabled=operator)
            )
            refused = reason((await path.play(bet("b3"))).outcome)
            assert refused is (DeclineReason.MAINTENANCE if operator else DeclineReason.OPERATOR_DISABLED)
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert isinstance((await path.play(rollback("x", "b2"), round="r2")).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize("resend", [True, False])
def test_a_resend_of_a_bet_is_not_refused_for_a_session_that_ended_meanwhile(tmp_path: Path, resend: bool) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.sessions.expired.add("surrogate-p1")
            outcome = (await path.play(bet("b1"), resend=resend)).outcome
            assert isinstance(outcome, Applied if resend else Declined)

    simulate(story())


def test_where_no_session_is_needed_a_bet_is_taken_without_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.sessions.expired.add("surrogate-p1")
            path.reconfigure(session_for_bet=False)
            assert isinstance((await path.play(bet("b1"))).outcome, Applied)

    simulate(story())


def test_the_largest_bet_is_allowed_and_no_larger_one_counted_by_its_stake(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(max_bet_minor={"EUR": 150, "USD": 1})
            assert isinstance((await path.play(bet("b1", "1.50"))).outcome, Applied)
            assert reason((await path.play(bet("b2", "1.51"))).outcome) is DeclineReason.BET_LIMIT
            free = bet("b3", "0.00", stake=WireAmount.of("1.51"))
            assert reason((await path.play(free)).outcome) is DeclineReason.BET_LIMIT
            assert isinstance((await path.play(of_kind(MovementKind.ADJUSTMENT, "a1", "-5.00"))).outcome, Applied)
            assert path.balance() == 10_000 - 150 - 500

    simulate(story())


def test_a_refused_bet_stays_refused_when_what_refused_it_is_gone(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.games.refusal = DeclineReason.GAME_DISABLED
            refused = (await path.play(bet("b1"))).outcome
            path.games.refusal = None
            assert (await path.play(bet("b1"))).outcome == refused
            assert [(row.state, row.reason) for row in await path.rows()] == [
                (MovementState.DECLINED, DeclineReason.GAME_DISABLED.value)
            ]
            assert path.wallet.calls == []

    simulate(story())


def test_a_win_that_a_rule_refused_is_not_recorded_and_may_come_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            assert reason((await path.play(win("w1", "3.00"))).outcome) is DeclineReason.TARGET_UNKNOWN
            assert await path.rows() == []
            await path.play(bet("b1"))
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_a_win_too_early_leaves_nothing_and_is_paid_when_its_bet_is_there(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(win_without_bet=WinWithoutBet.RETRY)
            for early in (win("w1", "3.00"), win("w1", "3.00", of="b1")):
                assert (await path.play(early)).outcome == Unknown(cause=UnknownCause.TOO_EARLY)
            assert await path.rows() == []
            await path.play(bet("b1"))
            assert isinstance((await path.play(win("w1", "3.00", of="b1"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize("which", list(RepeatBalance))
def test_a_repeat_shows_the_balance_that_the_policy_wants(tmp_path: Path, which: RepeatBalance) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(repeat_balance=which)
            await path.play(bet("b1", "1.00"))
            await path.play(bet("b2", "2.00"))
            again = await path.play(bet("b1", "1.00"))
            assert again.balance is not None
            assert again.balance.cash.minor == (9_700 if which is RepeatBalance.CURRENT else 9_900)

    simulate(story())


def test_a_repeat_may_be_refused_as_a_duplicate(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(repeat=RepeatAnswer.DECLINE)
            await path.play(bet("b1"))
            assert reason((await path.play(bet("b1"))).outcome) is DeclineReason.DUPLICATE
            assert path.balance() == 9_900

    simulate(story())


def test_a_balance_that_cannot_be_had_is_never_invented(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(None, Fault.LOST_REQUEST)) as path:
            await path.play(bet("b1"))
            again = await path.play(bet("b1"))
            assert again.balance is None
            assert isinstance(again.outcome, Unknown)
            assert again.outcome.cause is UnknownCause.BALANCE
            path.reconfigure(answer_needs_balance=False)
            path.network.faults, before = Faults.always(Fault.REFUSED), len(path.wallet.calls)
            plain = await path.play(bet("b1"))
            assert (plain.balance, type(plain.outcome)) == (None, Applied)
            assert len(path.wallet.calls) == before

    simulate(story())


def test_an_amount_that_the_operator_decides_is_fixed_with_the_outcome(tmp_path: Path) -> None:
    everything = Movement(
        MovementKind.TRANSFER_OUT,
        keys=(MovementKey("tx", "t1"),),
        amount=OperatorDecides(at_least=WireAmount.of("1.00")),
    )

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            taken = (await path.play(everything)).outcome
            assert isinstance(taken, Applied)
            assert taken.amount is not None
            assert taken.amount.minor == 10_000
            assert path.balance() == 0
            path.wallet.balances["op-p1"] = 500
            again = (await path.play(everything)).outcome
            assert isinstance(again, Applied)
            assert again.amount == taken.amount
            assert isinstance((await path.play(rollback("x", "t1"))).outcome, Applied)
            assert path.balance() == 10_500

    simulate(story())


@pytest.mark.parametrize("end", list(RoundEnd))
def test_a_round_ends_as_the_policy_says(tmp_path: Path, end: RoundEnd) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(round_end=end)
            await path.play(bet("b1"))
            ended = end is RoundEnd.TRANSACTION
            assert await the_round(path) is (RoundState.CLOSED if ended else RoundState.OPEN)
            await path.play(win("w1", "1.00", of="b1"))
            ended = end in {RoundEnd.TRANSACTION, RoundEnd.SETTLED}
            assert await the_round(path) is (RoundState.CLOSED if ended else RoundState.OPEN)

    simulate(story())


def test_a_round_is_not_settled_by_a_win_that_was_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(round_end=RoundEnd.SETTLED)
            await path.play(bet("b1"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.play(win("w1", "1.00", of="b1"))
            path.wallet.refuse = None
            await path.play(of_kind(MovementKind.PROMO_WIN, "p1"))
            assert await the_round(path) is RoundState.OPEN
            await path.play(win("w1", "1.00", of="b1"))
            assert await the_round(path) is RoundState.CLOSED

    simulate(story())


def test_a_win_that_names_no_bet_settles_every_bet_before_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(round_end=RoundEnd.SETTLED, bet_on_closed_round=True)
            await path.play(bet("b1"))
            await path.play(bet("b2"))
            assert await the_round(path) is RoundState.OPEN
            await path.play(win("w1", "1.00"))
            assert await the_round(path) is RoundState.CLOSED

    simulate(story())


def test_a_jackpot_that_names_no_bet_settles_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(round_end=RoundEnd.SETTLED)
            await path.play(bet("b1"))
            await path.play(of_kind(MovementKind.JACKPOT_WIN, "j1"))
            assert await the_round(path) is RoundState.OPEN

    simulate(story())


def test_a_round_that_rollbacks_have_emptied_is_settled(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(round_end=RoundEnd.SETTLED)
            await path.play(bet("b1"))
            await path.play(rollback("x", "b1"), round=None)
            assert await the_round(path) is RoundState.CLOSED

    simulate(story())


@pytest.mark.parametrize("fault", [None, Fault.LOST_REQUEST])
def test_a_round_ends_with_a_win_that_is_paid_or_owed_and_not_with_one_that_is_refused(
    tmp_path: Path, fault: Fault | None
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(None, fault)) as path:
            await path.play(bet("b1"))
            if fault is None:
                path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.play(win("w1", "1.00"), closes_round=True)
            assert await the_round(path) is (RoundState.OPEN if fault is None else RoundState.CLOSED)
            path.wallet.refuse = None
            await path.play(win("w1", "1.00"), closes_round=True)
            await path.drain()
            assert await the_round(path) is RoundState.CLOSED

    simulate(story())


@pytest.mark.parametrize("batch", [True, False])
def test_the_wallet_is_told_of_the_rounds_end_with_the_last_call_only(tmp_path: Path, batch: bool) -> None:
    lacking = frozenset() if batch else frozenset({WalletCapability.ATOMIC_BATCH})

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", without=lacking) as path:
            told: list[bool] = []

            class Listening(ModelDialect):
                def request(self, call: WalletCall, credentials: Credentials, now: Any) -> HttpRequest:
                    assert isinstance(call, WalletMove | WalletBatch)
                    told.append(call.context.round_closed)
                    return super().request(call, credentials, now)

            operator = evolve(path.connection.operator, dialect=Listening(ModelSettings()))
            path.connections.known = evolve(path.connection, operator=operator)
            await path.play(bet("b1"), win("w1"), win("w2"), closes_round=True)
            assert told == ([True] if batch else [False, False, True])

    simulate(story())


def test_an_explicit_end_closes_a_round_once_and_says_whether_there_was_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            for name, effect in (
                ("r1", AppliedEffect.MOVED),
                ("r1", AppliedEffect.MOVED),
                ("r9", AppliedEffect.NOTHING),
            ):
                (result,) = await path.call(CloseRound(operation="end", round=name, player="p1"))
                assert isinstance(result, CloseRoundResult)
                assert result.outcome == Applied(effect=effect)
                assert result.balance is not None
            assert await the_round(path) is RoundState.CLOSED
            (unknown,) = await path.call(CloseRound(operation="end", round="r1", player="p9"))
            assert reason(unknown.outcome) is DeclineReason.PLAYER_UNKNOWN

    simulate(story())


def test_a_notice_is_kept_and_may_end_a_session(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            notice = Notice(
                operation="notice", subject="session", player="p1", ends_session=True, facts={"why": "left"}
            )
            (told,) = await path.call(notice)
            assert isinstance(told.outcome, Applied)
            assert reason((await path.play(bet("b1"))).outcome) is DeclineReason.SESSION_EXPIRED
            events = await path.ledger.events_after(OPERATOR, 0, 100)
            assert [stored.event.body["why"] for stored in events if stored.event.kind == "notice.session"] == ["left"]

    simulate(story())


def test_a_query_tells_the_record_of_a_movement_or_of_a_round(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            (by_key,) = await path.call(Query(operation="query", key=MovementKey("tx", "w1")))
            (by_round,) = await path.call(Query(operation="query", round="r1", player="p1"))
            (unknown,) = await path.call(Query(operation="query", key=MovementKey("tx", "w9")))
            assert isinstance(by_key, QueryResult)
            assert isinstance(by_round, QueryResult)
            assert [(row.reference, row.state, row.amount.minor) for row in by_key.movements] == [
                ("w1", "applied", 300)
            ]
            assert [row.reference for row in by_round.movements] == ["b1", "w1"]
            assert reason(unknown.outcome) is DeclineReason.TARGET_UNKNOWN

    simulate(story())


def test_a_sequential_play_that_is_sent_again_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        lost = Scripted.of(None, Fault.LATE_REPLY)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            movements = (bet("b1", "1.00"), bet("b2", "2.00"), win("w1", "5.00"))
            stopped = await path.play(*movements, mode=PlayMode.SEQUENTIAL)
            assert [type(item.outcome) for item in stopped.movements] == [Applied, Unknown, Declined]
            assert isinstance(stopped.outcome, Unknown)
            await path.drain()
            again = await path.play(*movements, mode=PlayMode.SEQUENTIAL)
            assert isinstance(again.outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_an_unsent_part_of_a_mixed_batch_is_refused_whole(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(Fault.REFUSED)) as path:
            refused = await path.play(bet("b1", "1.00"), win("w1", "5.00"))
            assert [reason(item.outcome) for item in refused.movements] == [DeclineReason.MAINTENANCE] * 2
            assert await path.deliveries.owed() == 0
            assert path.balance() == 10_000

    simulate(story())


def test_a_win_of_one_bet_is_undone_with_that_bet_alone(tmp_path: Path) -> None:
    """Two bets and the wins of both come together; one win is owed when the provider undoes the other's bet."""
    first = win("w1", "3.00", of="b1")
    second = win("w2", "4.00", of="b2")

    async def story() -> None:
        lost = Scripted.of(None, None, None, Fault.LOST_REQUEST)
        knows = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000)
        async with MoneyPath.open(
            tmp_path / "l.db",
            faults=lost,
            wallet_policy=knows,
            without=frozenset({WalletCapability.ATOMIC_BATCH}),
        ) as path:
            path.reconfigure(rollback_after_win=RollbackAfterWin.ALLOW)
            await path.play(bet("b1", "1.00"), bet("b2", "2.00"), first, second)
            assert path.balance() == 10_000
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            await path.drain()
            assert path.balance() == 10_000 + 100 + 400
            states = {row.reference: row.state for row in await path.rows()}
            assert states["w2"] is MovementState.APPLIED

    simulate(story())
