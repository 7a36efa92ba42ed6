"""Wallets and ledgers that misbehave: whatever comes, nothing is called done that is not, and it is all found again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    Applied,
    Credentials,
    Declined,
    DeclineReason,
    HttpRequest,
    HttpResponse,
    OnSilence,
    OverloadedError,
    StoreUnavailableError,
    Unknown,
    UnknownCause,
    WalletApplied,
    WalletCall,
    WalletPolicy,
    WalletReply,
    WalletStatusReply,
    WalletUnknown,
)
from croupier.contract.wallet import TransactionState
from croupier.ledger.port import Change
from croupier.ledger.records import MovementState
from croupier_conformance.model_wallet import ModelDialect, ModelSettings
from croupier_conformance.money_path import MoneyPath, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults, Scripted
from croupier_conformance.virtual_time import simulate

GARBAGE = (
    b"",
    b"<html>",
    b'{"balance": 99',
    b"[]",
    b'"done"',
    b'{"refused": "no such reason"}',
    b'{"state": "maybe"}',
    b'{"state": "applied"}',
    b"\xff\xfe",
)


def use(path: MoneyPath, dialect: ModelDialect) -> None:
    """Let the operator's wallet speak another dialect."""
    path.connections.known = evolve(path.connection, operator=evolve(path.connection.operator, dialect=dialect))


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("silence", list(OnSilence))
def test_an_answer_that_cannot_be_read_is_no_answer_to_a_bet(
    tmp_path: Path, garbage: bytes, silence: OnSilence
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(on_silence=silence)
            path.wallet.garbage = garbage
            outcome = (await path.play(bet("b1"))).outcome
            assert isinstance(outcome, Declined if silence is OnSilence.NEITHER else Unknown)
            path.wallet.garbage = None
            await path.drain()
            stands = silence is OnSilence.RESENDS
            assert path.balance() == (9_900 if stands else 10_000)
            assert (await path.rows())[0].state is (MovementState.APPLIED if stands else MovementState.REVERSED)

    simulate(story())


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_answer_that_cannot_be_read_leaves_wins_and_rollbacks_owed(tmp_path: Path, garbage: bytes) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            await path.play(bet("b2"), round="r2")
            path.wallet.garbage = garbage
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Unknown)
            assert isinstance((await path.play(rollback("x", "b2"), round="r2")).outcome, Unknown)
            await path.deliveries.run_once()
            path.wallet.garbage = None
            await path.drain()
            assert path.balance() == 10_200
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert isinstance((await path.play(rollback("x", "b2"), round="r2")).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_a_request_that_cannot_be_written_refuses_a_bet_and_keeps_a_win(tmp_path: Path) -> None:
    class Mute(ModelDialect):
        def request(self, call: WalletCall, credentials: Credentials, now: Any) -> HttpRequest:
            raise ZeroDivisionError

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            good = path.connection
            await path.play(bet("b1"))
            use(path, Mute(ModelSettings()))
            refused = (await path.play(bet("b2"))).outcome
            assert reason(refused) is DeclineReason.MAINTENANCE
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Unknown)
            await path.deliveries.run_once()
            path.connections.known = good
            await path.drain()
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize(
    "reply",
    [WalletStatusReply(state=TransactionState.APPLIED), WalletUnknown(detail="?"), WalletApplied(balance=None)],
    ids=["another-question", "unknown", "without-balance"],
)
def test_only_an_answer_to_the_question_is_taken_for_one(tmp_path: Path, reply: WalletReply) -> None:
    class Odd(ModelDialect):
        def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
            return reply

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(answer_needs_balance=False)
            good = path.connection
            use(path, Odd(ModelSettings()))
            outcome = (await path.play(bet("b1"))).outcome
            path.connections.known = good
            await path.drain()
            done = isinstance(reply, WalletApplied)
            assert isinstance(outcome, Applied if done else Unknown)
            assert path.balance() == (9_900 if done else 10_000)

    simulate(story())


@pytest.mark.parametrize(("fault", "sent"), [(OverloadedError("the wallet is busy"), False), (OSError("?"), True)])
def test_what_a_client_fails_with_says_whether_anything_was_sent(tmp_path: Path, fault: Exception, sent: bool) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            send = path.channel._send

            async def failing(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
                raise fault

            path.channel._send = failing
            outcome = (await path.play(bet("b1"))).outcome
            path.channel._send = send
            assert isinstance(outcome, Unknown if sent else Declined)
            await path.drain()
            state = MovementState.REVERSED if sent else MovementState.DECLINED
            assert (await path.rows())[0].state is state
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("movement", ["bet", "win", "rollback", "play"])
@pytest.mark.parametrize("broken", [1, 2, 3], ids=["first-commit", "second-commit", "third-commit"])
def test_a_ledger_that_stops_storing_at_any_commit_loses_nothing(tmp_path: Path, movement: str, broken: int) -> None:
    """The provider asks again until it hears; its answer and the wallet's book then agree."""

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            await path.play(bet("b0"))
            plays = {
                "bet": ((bet("b1"),), 9_800),
                "win": ((win("w1", "3.00"),), 10_200),
                "rollback": ((rollback("x", "b0"),), 10_000),
                "play": ((bet("b1"), win("w1", "3.00")), 10_100),
            }
            movements, expected = plays[movement]
            commit, left = path.ledger.commit, broken

            async def failing(change: Change) -> object:
                nonlocal left
                left -= 1
                if left <= 0:
                    raise StoreUnavailableError("the disk is full")
                return await commit(change)

            path.ledger.commit = failing  # type: ignore[method-assign, assignment] # the disk of this story
            calls = len(path.wallet.calls)
            try:
                outcome = (await path.play(*movements)).outcome
            except StoreUnavailableError:
                assert broken > 1
                outcome = Unknown(cause=UnknownCause.STORE)
            if broken == 1:
                assert outcome == Unknown(cause=UnknownCause.STORE)
                assert len(path.wallet.calls) == calls
            if broken == 2:
                assert isinstance(outcome, Unknown)
            path.ledger.commit = commit  # type: ignore[method-assign] # it stores again
            await path.clock.sleep(60)
            await path.drain()
            for _ in range(3):
                outcome = (await path.play(*movements)).outcome
                await path.drain()
            assert isinstance(outcome, Applied)
            assert path.balance() == expected

    simulate(story())


def test_a_deadline_that_has_passed_sends_no_bet_and_owes_a_win(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(answer_needs_balance=False)
            await path.play(bet("b1"))
            late = (await path.play(bet("b2"), seconds=-1.0)).outcome
            assert reason(late) is DeclineReason.MAINTENANCE
            assert isinstance((await path.play(win("w1", "3.00"), seconds=0.0)).outcome, Unknown)
            assert isinstance((await path.play(rollback("x", "b9"), seconds=0.0)).outcome, Applied)
            await path.drain()
            assert path.balance() == 10_200

    simulate(story())


def test_a_provider_that_hangs_up_finds_its_play_done(tmp_path: Path) -> None:
    async def story() -> None:
        slow = Scripted.of(Fault.REORDER)
        async with MoneyPath.open(tmp_path / "l.db", faults=slow) as path:
            playing = asyncio.ensure_future(path.play(bet("b1")))
            await path.clock.sleep(0.01)
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            await path.engine.drain()
            assert (await path.rows())[0].state is MovementState.APPLIED
            assert isinstance((await path.play(bet("b1"))).outcome, Applied)
            assert path.balance() == 9_900

    simulate(story())


def test_many_copies_of_one_bet_at_once_are_one_call_to_the_wallet(tmp_path: Path) -> None:
    async def story() -> None:
        slow = Scripted.of(Fault.REORDER)
        async with MoneyPath.open(tmp_path / "l.db", faults=slow) as path:
            results = await asyncio.gather(*(path.play(bet("b1")) for _ in range(20)))
            assert {type(result.outcome) for result in results} == {Applied}
            transactions = {result.outcome.transaction for result in results}
            assert len(transactions) == 1
            assert len([call for call in path.wallet.calls if call["do"] == "move"]) == 1
            assert path.balance() == 9_900

    simulate(story())


def test_who_waits_for_a_play_is_woken_by_its_outcome(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(answer_needs_balance=False)
            await asyncio.gather(path.play(bet("b1")), path.play(bet("b1")), path.play(win("w1", "3.00")))
            assert path.clock.monotonic() < 0.04
            assert path.balance() == 10_200

    simulate(story())


def test_copies_of_a_bet_that_is_still_on_its_way_are_told_to_ask_again(tmp_path: Path) -> None:
    async def story() -> None:
        slow = Scripted.of(Fault.REORDER)
        async with MoneyPath.open(tmp_path / "l.db", faults=slow) as path:
            playing = asyncio.ensure_future(path.play(bet("b1")))
            await path.clock.sleep(0.01)
            impatient = (await path.play(bet("b1"), seconds=0.01)).outcome
            assert isinstance(impatient, Unknown)
            assert impatient.cause is UnknownCause.IN_PROGRESS
            assert isinstance((await playing).outcome, Applied)

    simulate(story())


def test_after_a_crash_every_movement_on_its_way_is_found_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            await path.play(bet("b1"), round="r1")
            await path.play(bet("b2"), round="r2")
            path.network.faults = Faults.always(Fault.LATE_REPLY)
            plays = ((bet("b3"),), (win("w1", "3.00"),), (rollback("x", "b2"),))
            rounds = ("r3", "r1", "r2")
            playing = [
                asyncio.ensure_future(path.play(*play, round=name)) for play, name in zip(plays, rounds, strict=True)
            ]
            await path.clock.sleep(1)
            await path.crash()
            await asyncio.gather(*playing, return_exceptions=True)
            await path.clock.sleep(60)
            await path.drain()
            assert path.balance() == 10_000 - 100 + 300 - 100
            for play, name in zip(plays, rounds, strict=True):
                assert isinstance((await path.play(*play, round=name)).outcome, Applied)
            assert path.balance() == 10_000 - 100 + 300 - 100

    simulate(story())


def test_a_wallet_that_is_slow_but_in_time_is_waited_for_however_long_the_provider_gives(tmp_path: Path) -> None:
    slow = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=50_000)

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=slow) as path:
            path.reconfigure(provider_timeout_ms=60_000)
            await path.play(bet("b1"))
            send = path.channel._send

            async def send_slowly(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
                await path.clock.sleep(45)
                return await send(request, timeout_seconds)

            path.channel._send = send_slowly
            path.work()
            outcomes = await asyncio.gather(path.play(bet("b2"), round="r2"), path.play(win("w1", "3.00")))
            assert [type(result.outcome) for result in outcomes] == [Applied, Applied]
            assert path.balance() == 10_000 - 200 + 300
            assert len([call for call in path.wallet.calls if call["do"] == "move"]) == 3

    simulate(story())


def test_no_delivery_outlasts_its_lease(tmp_path: Path) -> None:
    slow = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=90_000)

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=slow, faults=Scripted.of(None)) as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"), seconds=0.0)
            given: list[float] = []
            send = path.channel._send

            async def note(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
                given.append(timeout_seconds)
                return await send(request, timeout_seconds)

            path.channel._send = note
            await path.drain()
            assert given == [22.5]
            assert path.balance() == 10_200

    simulate(story())
