"""Rollbacks: found without hints, refused where money stands, and never paid twice."""

import asyncio
from pathlib import Path

import pytest
from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    Declined,
    DeclineReason,
    DedupeScope,
    Movement,
    MovementKey,
    MovementKind,
    OnSilence,
    RepeatAnswer,
    RollbackAfterWin,
    RolledBackRepeat,
    Target,
    Unknown,
    UnknownCause,
    UnknownRollback,
)
from croupier.ledger.records import MovementState, SessionState
from croupier_conformance.money_path import MoneyPath, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults, Scripted
from croupier_conformance.virtual_time import simulate


def undo_latest(name: str) -> Movement:
    target = Target(latest_bet_of_round=True)
    return Movement(MovementKind.ROLLBACK, keys=(MovementKey("rollback", name),), target=target)


@pytest.mark.parametrize("round", ["r2", "r1"])
def test_a_paid_bet_is_protected_whatever_round_its_rollback_names(tmp_path: Path, round: str) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            assert reason((await path.play(rollback("x", "b1"), round=round)).outcome) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 10_200

    simulate(story())


def test_a_bet_is_paid_by_the_win_of_its_own_play_wherever_that_stands_in_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(win("w1", "3.00"), bet("b1", "1.00"))
            assert reason((await path.play(rollback("x", "b1"))).outcome) is DeclineReason.TARGET_SETTLED
            assert path.balance() == 10_200

    simulate(story())


def test_a_rollback_that_names_another_round_counts_in_the_round_of_its_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(bets_per_round=1)
            await path.play(bet("b1"))
            assert isinstance((await path.play(rollback("x", "b1"), round="r2")).outcome, Applied)
            assert len({row.round for row in await path.rows()}) == 1
            assert isinstance((await path.play(bet("b2"))).outcome, Applied)
            assert path.balance() == 9_900

    simulate(story())


def test_the_newest_bet_of_a_round_is_rolled_back_and_a_repeat_undoes_no_other(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1", "1.00"))
            await path.clock.sleep(1)
            await path.play(bet("b2", "2.00"))
            for _ in range(3):
                assert isinstance((await path.play(undo_latest("x"))).outcome, Applied)
                assert path.balance() == 9_900
            assert isinstance((await path.play(undo_latest("y"))).outcome, Applied)
            assert path.balance() == 10_000
            nothing = (await path.play(undo_latest("z"))).outcome
            assert isinstance(nothing, Applied)
            assert nothing.effect is AppliedEffect.NOTHING
            assert path.balance() == 10_000

    simulate(story())


def test_a_refused_rollback_of_the_newest_bet_is_tried_again_for_the_same_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1", "1.00"))
            path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
            assert isinstance((await path.play(undo_latest("x"))).outcome, Declined)
            path.wallet.refuse_undo = None
            await path.clock.sleep(1)
            await path.play(bet("b2", "2.00"))
            assert isinstance((await path.play(undo_latest("x"))).outcome, Applied)
            states = {row.reference: row.state for row in await path.rows()}
            assert states == {
                "b1": MovementState.REVERSED,
                "b2": MovementState.APPLIED,
                "x": MovementState.APPLIED,
            }
            assert path.balance() == 9_800

    simulate(story())


@pytest.mark.parametrize("answer", list(UnknownRollback))
def test_a_rollback_of_something_unknown_is_answered_as_the_policy_says_and_remembered(
    tmp_path: Path, answer: UnknownRollback
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(unknown_rollback=answer)
            for _ in range(2):
                outcome = (await path.play(rollback("x", "b1"), player=None, round=None)).outcome
                if answer is UnknownRollback.ACCEPT:
                    assert isinstance(outcome, Applied)
                    assert outcome.effect is AppliedEffect.NOTHING
                else:
                    assert reason(outcome) is DeclineReason.TARGET_UNKNOWN
            assert reason((await path.play(bet("b1"))).outcome) is DeclineReason.ALREADY_ROLLED_BACK
            assert reason((await path.play(win("w1", of="b1"))).outcome) is DeclineReason.ALREADY_ROLLED_BACK
            assert path.balance() == 10_000
            assert path.wallet.calls == [] or {call["do"] for call in path.wallet.calls} == {"balance"}

    simulate(story())


@pytest.mark.parametrize("answer", list(UnknownRollback))
def test_a_rollback_of_a_refused_bet_is_answered_as_the_policy_says(tmp_path: Path, answer: UnknownRollback) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(rollback_of_declined=answer)
            await path.play(bet("b1", "500.00"))
            outcome = (await path.play(rollback("x", "b1"))).outcome
            if answer is UnknownRollback.ACCEPT:
                assert isinstance(outcome, Applied)
                assert outcome.effect is AppliedEffect.NOTHING
            else:
                assert reason(outcome) is DeclineReason.TARGET_DECLINED
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("answer", list(RepeatAnswer))
def test_a_second_rollback_of_one_bet_is_answered_as_the_policy_says_and_pays_nothing(
    tmp_path: Path, answer: RepeatAnswer
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(repeat_rollback=answer)
            await path.play(bet("b1"))
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            for name, effect in (("x", AppliedEffect.REPEATED), ("y", AppliedEffect.NOTHING)):
                again = (await path.play(rollback(name, "b1"))).outcome
                if answer is RepeatAnswer.DECLINE:
                    assert reason(again) is DeclineReason.ALREADY_ROLLED_BACK
                else:
                    assert isinstance(again, Applied)
                    assert again.effect is effect
            assert path.balance() == 10_000

    simulate(story())


def test_one_rollback_id_for_two_bets_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(bet("b2"))
            await path.play(rollback("x", "b1"))
            assert reason((await path.play(rollback("x", "b2"))).outcome) is DeclineReason.CONFLICT
            assert path.balance() == 9_900

    simulate(story())


def test_nobody_rolls_back_another_players_bet_or_a_rollback(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            assert reason((await path.play(rollback("x", "b1"), player="p2")).outcome) is DeclineReason.TARGET_UNKNOWN
            await path.play(rollback("y", "b1"))
            path.reconfigure(rollback_of_win=True)
            of_rollback = Movement(
                MovementKind.ROLLBACK,
                keys=(MovementKey("rollback", "z"),),
                target=Target(key=MovementKey("rollback", "y")),
            )
            assert reason((await path.play(of_rollback)).outcome) is DeclineReason.OPERATION_NOT_ALLOWED
            assert (path.balance("p1"), path.balance("p2")) == (10_000, 10_000)

    simulate(story())


@pytest.mark.parametrize("answer", list(RolledBackRepeat))
def test_a_repeat_of_what_was_rolled_back_is_answered_as_the_policy_says(
    tmp_path: Path, answer: RolledBackRepeat
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(rolled_back_repeat=answer)
            await path.play(bet("b1"))
            await path.play(rollback("x", "b1"))
            again = (await path.play(bet("b1"))).outcome
            if answer is RolledBackRepeat.STORED:
                assert isinstance(again, Applied)
                assert again.effect is AppliedEffect.REPEATED
            else:
                assert reason(again) is DeclineReason.ALREADY_ROLLED_BACK
            assert path.balance() == 10_000

    simulate(story())


def test_a_rollback_that_the_wallet_refuses_leaves_the_bet_as_it_was_and_can_come_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Declined)
            states = {row.reference: (row.state, row.undone_by) for row in await path.rows()}
            assert states["b1"] == (MovementState.APPLIED, None)
            assert states["x"][0] is MovementState.DECLINED
            path.wallet.refuse_undo = None
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            path.reconfigure(rollback_after_win=RollbackAfterWin.ALLOW)
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert path.balance() == 10_300

    simulate(story())


@pytest.mark.parametrize("silence", list(OnSilence))
def test_a_rollback_without_an_answer_is_delivered_and_only_a_silent_provider_hears_success(
    tmp_path: Path, silence: OnSilence
) -> None:
    async def story() -> None:
        lost = Scripted.of(None, Fault.LATE_REPLY)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost) as path:
            path.reconfigure(on_silence=silence)
            await path.play(bet("b1"))
            outcome = (await path.play(rollback("x", "b1"))).outcome
            if silence is OnSilence.NEITHER:
                assert isinstance(outcome, Applied)
            else:
                assert isinstance(outcome, Unknown)
                assert outcome.cause is UnknownCause.OWED
            await path.drain()
            assert path.balance() == 10_000
            again = (await path.play(rollback("x", "b1"))).outcome
            assert isinstance(again, Applied)
            assert again.effect is AppliedEffect.REPEATED

    simulate(story())


def test_many_copies_of_one_rollback_at_once_are_one_call_to_the_wallet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(None, Fault.REORDER)) as path:
            await path.play(bet("b1"))
            results = await asyncio.gather(*(path.play(rollback(name, "b1")) for name in ("x", "x", "y", "x")))
            assert {type(result.outcome) for result in results} == {Applied}
            undone = [call for call in path.wallet.calls if call.get("moves", [{}])[0].get("op") == "rollback"]
            assert len(undone) == 1
            assert path.balance() == 10_000

    simulate(story())


def test_the_hubs_own_rollback_counts_as_the_first_one_of_the_provider(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(Fault.LATE_REPLY)) as path:
            path.reconfigure(repeat_rollback=RepeatAnswer.DECLINE)
            assert isinstance((await path.play(bet("b1"))).outcome, Unknown)
            await path.drain()
            assert path.balance() == 10_000
            undone = (await path.play(rollback("x", "b1"))).outcome
            assert isinstance(undone, Applied)
            assert undone.effect is AppliedEffect.MOVED
            assert reason((await path.play(rollback("y", "b1"))).outcome) is DeclineReason.ALREADY_ROLLED_BACK
            assert path.balance() == 10_000

    simulate(story())


def test_a_bet_that_never_left_when_its_rollback_met_it_is_refused_and_the_rollback_is_done(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(answer_needs_balance=False)
            send = path.channel._send

            async def slow_refusal(*given: object) -> object:
                await path.clock.sleep(1)
                path.network.faults, path.network.quiet = Faults.always(Fault.REFUSED), False
                return await send(*given)  # type: ignore[arg-type] # passed on as they came

            path.channel._send = slow_refusal  # type: ignore[assignment] # a slow way
            playing = asyncio.ensure_future(path.play(bet("b1")))
            await path.clock.sleep(0.1)
            undoing = asyncio.ensure_future(path.play(rollback("x", "b1")))
            assert reason((await playing).outcome) is DeclineReason.MAINTENANCE
            path.channel._send = send
            path.network.quiet = True
            undone = (await undoing).outcome
            assert isinstance(undone, Applied)
            assert undone.effect is AppliedEffect.NOTHING
            assert await path.deliveries.owed() == 0
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("scope", [DedupeScope.PLAYER, DedupeScope.ROUND])
def test_a_rollback_that_cannot_be_tied_to_its_bet_is_refused_rather_than_lost(
    tmp_path: Path, scope: DedupeScope
) -> None:
    """Its keys hold only for a player or a round that it does not name: as a tombstone it would never be met."""

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(dedupe_scope=scope)
            await path.play(bet("b1"))
            known = "p1" if scope is DedupeScope.ROUND else None
            for player in (known, None):
                lost = await path.play(rollback("x", "b1"), player=player, round=None)
                assert isinstance(lost.outcome, Declined)
            assert len(await path.rows()) == 1
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert path.balance() == 10_000

    simulate(story())


def test_what_was_bet_in_a_currency_is_paid_and_rolled_back_in_it_whatever_the_player_plays_in_since(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"), currency="EUR")
            await path.play(bet("b2"), round="r2", currency="EUR")
            (player,) = [name for alias, name in path.sessions.players.items() if alias == "p1"]
            former = path.sessions.sessions[player]
            newer = evolve(former, session="newer", currency="USD", launch_hash="newer", state=SessionState.ACTIVE)
            path.sessions.sessions[player] = newer
            assert isinstance((await path.play(win("w1", "3.00"), currency="EUR")).outcome, Applied)
            assert isinstance((await path.play(rollback("x", "b2"), round="r2", currency="EUR")).outcome, Applied)
            rows = {row.reference: row.currency for row in await path.rows()}
            assert rows == {"b1": "EUR", "b2": "EUR", "w1": "EUR", "x": "EUR"}
            assert path.balance() == 10_200
            assert reason((await path.play(win("w2", "3.00"), currency="USD")).outcome) is DeclineReason.CURRENCY_WRONG

    simulate(story())


@pytest.mark.parametrize("fault", [None, Fault.LATE_REPLY], ids=["answered", "unanswered"])
def test_a_refused_rollback_that_comes_again_under_another_first_key_settles_its_bet(
    tmp_path: Path, fault: Fault | None
) -> None:
    """It stood as undone by a message that is nowhere on record, and was written never."""

    def undo(name: str) -> Movement:
        keys = (MovementKey("rollback", name), MovementKey("also", "shared"))
        return Movement(MovementKind.ROLLBACK, keys=keys, target=Target(key=MovementKey("tx", "b1")))

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            path.wallet.refuse_undo = DeclineReason.OPERATION_NOT_ALLOWED
            assert isinstance((await path.play(undo("x"))).outcome, Declined)
            path.wallet.refuse_undo = None
            path.network.faults = Scripted.of(fault)
            assert isinstance((await path.play(undo("y"))).outcome, Unknown if fault else Applied)
            await path.drain()
            assert isinstance((await path.play(undo("y"))).outcome, Applied)
            assert (await path.row("b1")).state is MovementState.REVERSED
            assert path.balance() == 10_000

    simulate(story())
