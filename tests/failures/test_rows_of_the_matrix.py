"""Rows of the failure matrix that no other test makes happen; `hub/docs/failures.md` names them all."""

from __future__ import annotations

import asyncio
import base64
import json
from itertools import permutations
from typing import Any, Final

import pytest
from attrs import define, evolve

from croupier.contract import (
    Applied,
    Credentials,
    Declined,
    HttpResponse,
    OnSilence,
    RollbackAfterWin,
    StoreUnavailableError,
    TransportError,
    TransportProblem,
    Unknown,
    WalletPolicy,
)
from croupier.ledger.port import Page
from croupier.ledger.records import MovementState, RoundState
from croupier_conformance.money_path import OPERATOR, bet, rollback, win
from croupier_conformance.network import Fault, Faults
from croupier_wallet_native.dialect import NativeDialect, NativeSettings
from croupier_wallet_native.signing import verify

SAFE: Final = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000)
SHORT: Final = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=200)
LOST: Final = Faults.always(Fault.LOST_REQUEST)
NO_ROUTE: Final = TransportError("refused", problem=TransportProblem.NOT_SENT)
OLD, NEW = ("whsec_" + base64.b64encode(bytes(range(start, start + 32))).decode() for start in (0, 100))  # test keys


async def _unreachable(request: Any, timeout_seconds: float) -> Any:
    raise NO_ROUTE


@define
class FailingLedger:
    """A ledger that can be read and written so many times more."""

    ledger: Any
    left: int = 1_000

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.ledger, name)

        async def failing(*given: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise StoreUnavailableError("the disk is full")
            return await method(*given, **named)

        return method if name == "note" else failing


def test_row_2_two_hubs_that_get_one_bet_at_once_call_the_wallet_once(tell_both: Any) -> None:
    async def story(hub: Any) -> None:
        for turn in range(5):
            first, second = await hub.start(), await hub.start()
            told = await asyncio.gather(*(one.play(bet(f"b{turn}"), round=f"r{turn}") for one in (first, second)))
            assert {type(result.outcome) for result in told} == {Applied}
            assert hub.asked("bet") == turn + 1
        assert hub.balance() == -500
        await hub.check()

    tell_both(story)


@pytest.mark.parametrize("silence", [OnSilence.CANCELS, OnSilence.RESENDS])
def test_row_11_a_bet_that_is_being_taken_back_is_never_answered_as_done(tell: Any, silence: OnSilence) -> None:
    async def story(hub: Any) -> None:
        hub.path.reconfigure(on_silence=silence)
        assert isinstance((await hub.process.play(bet("b1"))).outcome, Unknown)
        if silence is OnSilence.RESENDS:
            undone = (await hub.process.play(rollback("x", "b1"))).outcome
            assert isinstance(undone, Unknown)
        assert (await hub.row("b1")).state is MovementState.REVERSING
        for _ in range(3):
            assert not isinstance((await hub.process.play(bet("b1"))).outcome, Applied)
        hub.path.network.quiet = True
        await hub.drain()
        assert isinstance((await hub.process.play(bet("b1"))).outcome, Declined)
        await hub.check()

    tell(story, faults=LOST, wallet_policy=SAFE)


def test_row_12_every_order_of_bet_win_rollback_and_their_copies_ends_alike(tell: Any) -> None:
    """Six messages in each of their orders: what stands is decided by who came first, the balance by what stands."""

    async def story(hub: Any) -> None:
        for n, order in enumerate(sorted(set(permutations("bbwwuu")))):
            messages = {"b": bet(f"b{n}"), "w": win(f"w{n}", "3.00", of=f"b{n}"), "u": rollback(f"u{n}", f"b{n}")}
            before, moved = hub.balance(), {"bet": hub.asked("bet"), "win": hub.asked("win")}
            for name in order:
                await hub.process.play(messages[name], round=f"r{n}")
            undone_first = order.index("u") < order.index("b")
            paid = not undone_first and "w" in order[order.index("b") : order.index("u")]
            assert hub.balance() - before == (200 if paid else 0), order
            assert hub.asked("bet") - moved["bet"] == (0 if undone_first else 1)
            assert hub.asked("win") - moved["win"] == (1 if paid else 0)
        assert n == 89
        assert await hub.process.deliveries.owed() == 0

    tell(story)


@pytest.mark.parametrize("what", ["win", "rollback", "the hub's own rollback"])
def test_rows_16_and_17_what_is_owed_outlives_two_days_without_the_operator(tell: Any, what: str) -> None:
    async def story(hub: Any) -> None:
        hub.path.network.quiet = True
        await hub.process.play(bet("b1"))
        hub.path.network.quiet = False
        asked = {"win": win("w1", "3.00"), "rollback": rollback("x", "b1")}.get(what, bet("b2"))
        assert isinstance((await hub.process.play(asked)).outcome, Unknown)
        working = asyncio.ensure_future(hub.process.deliveries.run(poll_seconds=60))
        await hub.clock.sleep(48 * 3600)
        assert await hub.process.deliveries.owed() == 1
        hub.path.network.quiet = True
        await hub.clock.sleep(1060)  # the calendar's longest wait is a quarter of an hour
        working.cancel()
        assert hub.balance() == {"win": 200, "rollback": 0}.get(what, -100)
        await hub.check()

    tell(story, faults=LOST, wallet_policy=SAFE)


def test_row_20_every_win_of_a_round_is_paid_and_only_the_flag_ends_it(tell: Any) -> None:
    async def story(hub: Any) -> None:
        await hub.process.play(bet("b1"))
        for n in range(3):
            for _copy in range(2):
                assert isinstance((await hub.process.play(win(f"w{n}", "0.50"))).outcome, Applied)
            (open_round,) = await hub.ledger.rounds(OPERATOR, None, Page())
            assert open_round.state is RoundState.OPEN
        await hub.process.play(win("last", "0.00"), closes_round=True)
        (ended,) = await hub.ledger.rounds(OPERATOR, None, Page())
        assert (ended.state, ended.wins) == (RoundState.CLOSED, 4)
        assert hub.balance() == 50
        await hub.check()

    tell(story)


def test_row_21_a_paused_process_cannot_write_what_another_took_over(tell_both: Any) -> None:
    """Its lease ends while the wallet answers; another claims and delivers; then it wakes."""

    async def story(hub: Any) -> None:
        await hub.process.play(bet("b1"))
        sending = hub.path.channel._send
        cut_off = await hub.start(_unreachable)
        assert isinstance((await cut_off.play(win("w1", "3.00"))).outcome, Unknown)
        asleep, wakes = asyncio.Event(), asyncio.Event()

        async def paused(request: Any, timeout_seconds: float) -> Any:
            asleep.set()
            await wakes.wait()
            return await sending(request, timeout_seconds)

        zombie = await hub.start(paused)
        hub.pass_time(5)
        late = asyncio.ensure_future(zombie.deliver())
        await asleep.wait()
        other = await hub.start()
        await other.deliver()
        assert (await hub.row("w1")).state is MovementState.OWED  # the lease holds
        hub.pass_time(31)
        await other.deliver()
        assert (await hub.row("w1")).state is MovementState.APPLIED
        settled = await hub.deliveries()
        wakes.set()
        await late
        assert await hub.deliveries() == settled
        assert hub.balance() == 200
        await hub.check()

    tell_both(story)


@pytest.mark.parametrize("kind", ["bet", "win", "rollback"])
def test_row_24_a_store_that_fails_at_its_nth_use_lets_nothing_be_called_done_that_is_not(tell: Any, kind: str) -> None:
    async def story(hub: Any) -> None:
        hub.path.reconfigure(on_silence=OnSilence.RESENDS)
        failed_before_the_wallet = 0
        for nth in range(1, 8):
            await hub.process.play(bet(f"known {nth}"), round=f"r{nth}")
            asked = {"win": win(f"w{nth}"), "rollback": rollback(f"u{nth}", f"known {nth}")}.get(kind, bet(f"b{nth}"))
            ledger = FailingLedger(hub.ledger)
            process, called = await hub.start(ledger=ledger), len(hub.wallet.calls)
            ledger.left = nth - 1
            try:
                outcome = (await process.play(asked, round=f"r{nth}")).outcome
            except StoreUnavailableError:
                outcome = None
            reached = any("moves" in call for call in hub.wallet.calls[called:])
            if isinstance(outcome, Applied):
                assert ledger.left >= 0
                break
            assert outcome is None or isinstance(outcome, Unknown)
            failed_before_the_wallet += not reached
            await hub.start()
            hub.pass_time(31)
            assert isinstance((await hub.ask_until_definite(asked, round=f"r{nth}")).outcome, Applied)
        else:
            raise AssertionError("no use of the store was the last")
        assert failed_before_the_wallet >= 2
        await hub.start()
        await hub.check()

    tell(story)


def test_row_27_another_hub_finishes_what_the_one_without_a_way_to_the_operator_owes(tell_both: Any) -> None:
    async def story(hub: Any) -> None:
        whole = hub.process
        cut_off = await hub.start(_unreachable)
        assert isinstance((await whole.play(bet("b1"))).outcome, Applied)
        assert isinstance((await cut_off.play(bet("b2"))).outcome, Declined)
        assert isinstance((await cut_off.play(win("w1", "3.00"))).outcome, Unknown)
        hub.pass_time(5)
        await whole.deliver()
        for process in (whole, cut_off):
            row = await hub.row("w1")
            assert (row.state, row.balance) == (MovementState.APPLIED, 1_000_200)
            hub.path.reconfigure(answer_needs_balance=False)
            assert isinstance((await process.play(win("w1", "3.00"))).outcome, Applied)
        assert hub.balance() == 200
        await hub.check()

    tell_both(story)


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86400.0, -86400.0, 86400.0 * 365 * 13])
@pytest.mark.parametrize("heard", [True, False], ids=["answered", "unanswered"])
def test_row_28_a_jump_of_the_wall_clock_in_the_middle_of_a_call_decides_nothing(
    tell: Any, jump: float, heard: bool
) -> None:
    async def story(hub: Any) -> None:
        hub.path.reconfigure(on_silence=OnSilence.RESENDS)
        sending = hub.path.channel._send

        async def jumping(request: Any, timeout_seconds: float) -> Any:
            hub.pass_time(jump)
            await hub.process.deliver()  # the worker looks at the clock that jumped
            answer = await sending(request, timeout_seconds)
            if not heard:
                raise TransportError("time-out", problem=TransportProblem.NO_ANSWER)
            return answer

        plays = [(bet("b1"),), (win("w1", "3.00"),), (bet("b2"), win("w2", "5.00"))]
        for play in plays:
            jumped = await hub.start(jumping)
            told = (await jumped.play(*play)).outcome
            assert not isinstance(told, Declined)
            await hub.start()
            hub.pass_time(abs(jump) + 31)  # a clock that was set back holds owed work for as long
            assert isinstance((await hub.ask_until_definite(*play)).outcome, Applied)
        await hub.drain()
        assert hub.balance() == -100 + 300 - 100 + 500
        await hub.check()

    tell(story, wallet_policy=SAFE)


def _garbage(good: dict[str, Any]) -> list[HttpResponse]:
    """Answers that are none, made from the one that would be right."""
    bodies: list[bytes] = [
        b"",
        b"OK",
        b"<html>503</html>",
        b"[]",
        b"null",
        b'{"status":"ok"',
        json.dumps(good)[:-9].encode(),
    ]
    changed: list[dict[str, Any]] = [
        {**good, "status": "error"},
        {**good, "status": "fine"},
        {**good, "transaction": "another"},
        {**good, "balance": {"cash": 1, "currency": "USD"}},
        *({**good, "balance": {"cash": cash, "currency": "EUR"}} for cash in ("990000", 9900.5, -1, None, True)),
        {name: value for name, value in good.items() if name != "transaction"},
    ]
    bodies += [json.dumps(body).encode() for body in changed]
    right = json.dumps(good).encode()
    return [*(HttpResponse.json(body) for body in bodies), *(HttpResponse.json(right, n) for n in (201, 302, 400, 500))]


def _native(hub: Any, *keys: str) -> None:
    known = hub.path.connection
    dialect = NativeDialect(NativeSettings(url="https://wallet.example"))
    credentials = Credentials({"signing_secret": keys})
    operator = evolve(known.operator, dialect=dialect, credentials=credentials)
    hub.path.connections.known = evolve(known, operator=operator)


@pytest.mark.parametrize("kind", ["bet", "win"])
def test_row_29_no_garbage_of_the_operator_is_taken_for_success(tell: Any, kind: str) -> None:
    async def story(hub: Any) -> None:
        rubbish, tried = True, 0

        async def operator(request: Any, timeout_seconds: float) -> HttpResponse:
            sent = json.loads(request.body)
            good = {
                "status": "ok",
                "transaction": sent.get("transaction"),
                "operator_transaction": "op-1",
                "balance": {"cash": 990_000, "currency": "EUR"},
            }
            return (_garbage(good) if rubbish else [HttpResponse.json(json.dumps(good))])[tried]

        _native(hub, OLD)
        number = len(_garbage({"transaction": "x"}))
        for place in range(number):
            rubbish, tried = True, place
            process = await hub.start(operator)
            if kind == "win":
                rubbish, tried = False, 0
                assert isinstance((await process.play(bet(f"b{place}"), round=f"r{place}")).outcome, Applied)
                rubbish, tried = True, place
            movement = win(f"w{place}") if kind == "win" else bet(f"b{place}")
            outcome = (await process.play(movement, round=f"r{place}")).outcome
            assert isinstance(outcome, Unknown), place
            expected = MovementState.OWED if kind == "win" else MovementState.REVERSING
            assert (await hub.row(movement.keys[0].value)).state is expected

    tell(story)


def test_row_31_held_work_keeps_nothing_else_waiting(tell: Any) -> None:
    async def story(hub: Any) -> None:
        cut_off = await hub.start(_unreachable)
        whole = hub.processes[0]
        for n in range(4):
            await whole.play(bet(f"b{n}"), round=f"r{n}")
            await cut_off.play(win(f"w{n}", "3.00"), round=f"r{n}")
        poison = await hub.row("w0")
        sending = hub.path.channel._send

        async def refusing(request: Any, timeout_seconds: float) -> HttpResponse:
            if poison.movement.encode() in request.body:
                return HttpResponse.json(b'{"refused": "player_blocked"}')
            answer: HttpResponse = await sending(request, timeout_seconds)
            return answer

        await hub.start(refusing)
        await hub.drain()
        states = {name: (await hub.row(name)).state.value for name in ("w0", "w1", "w2", "w3")}
        assert states == {"w0": "held", "w1": "applied", "w2": "applied", "w3": "applied"}
        assert hub.balance() == 4 * -100 + 3 * 300
        (held,) = [row for row in await hub.deliveries() if row.state.value == "held"]
        assert held.movement == poison.movement

    tell(story)


def test_row_34_what_is_owed_when_keys_change_is_signed_anew_under_the_same_id(tell: Any) -> None:
    async def story(hub: Any) -> None:
        seen: list[Any] = []

        async def watching(request: Any, timeout_seconds: float) -> HttpResponse:
            keys = hub.path.connection.operator.credentials.values["signing_secret"]
            for key in keys:
                verify(request.headers, request.body, [key], hub.clock.now())
            seen.append(request)
            sent = json.loads(request.body)
            if sent["operation"] == "win" and len(keys) < 3:
                raise TransportError("time-out", problem=TransportProblem.NO_ANSWER)
            balance = {"cash": 1, "currency": "EUR"}
            answer = {
                "status": "ok",
                "transaction": sent["transaction"],
                "operator_transaction": "1",
                "balance": balance,
            }
            return HttpResponse.json(json.dumps(answer))

        process = await hub.start(watching)
        _native(hub, OLD)
        await process.play(bet("b1"))
        assert isinstance((await process.play(win("w1", "3.00"))).outcome, Unknown)
        for keys in ((NEW, OLD), (NEW,)):
            _native(hub, *keys)
            hub.pass_time(600)
            await process.deliver()
        wins = [request.headers for request in seen if b'"win"' in request.body]
        assert len(wins) == 3
        assert len({headers.get("webhook-id") for headers in wins}) == 1
        stamps = [int(headers.get("webhook-timestamp")) for headers in wins]
        assert stamps == sorted(set(stamps))

    tell(story)


def test_row_36_yesterdays_traffic_again_moves_nothing_and_asks_the_wallet_to_move_nothing(tell_both: Any) -> None:
    async def story(hub: Any) -> None:
        hub.path.reconfigure(rollback_after_win=RollbackAfterWin.REFUSE)
        traffic: list[tuple[str, Any]] = []
        for n in range(10):
            traffic += [(f"r{n}", bet(f"b{n}")), (f"r{n}", win(f"w{n}", "0.40")), (f"q{n}", bet(f"c{n}"))]
            traffic += [(f"q{n}", rollback(f"u{n}", f"c{n}"))]
        first = [(await hub.process.play(movement, round=name)).outcome for name, movement in traffic]
        assert {type(outcome) for outcome in first} == {Applied}
        balance, rows = hub.balance(), await hub.rows()
        hub.pass_time(24 * 3600)
        hub.wallet.calls.clear()
        again = [(await hub.process.play(movement, round=name)).outcome for name, movement in traffic]
        assert [call["do"] for call in hub.wallet.calls if call["do"] != "balance"] == []
        undone = {f"c{n}" for n in range(10)}
        for (_, movement), before, after in zip(traffic, first, again, strict=True):
            if movement.keys[0].value in undone:
                assert isinstance(after, Declined)
            else:
                assert after.transaction == before.transaction
        assert (hub.balance(), await hub.rows()) == (balance, rows)
        await hub.check()

    tell_both(story)


def test_row_38_an_interrupted_round_stays_open_and_is_paid_whenever_it_goes_on(tell: Any) -> None:
    async def story(hub: Any) -> None:
        await hub.process.play(bet("b1"))
        hub.path.sessions.expired.update(hub.path.sessions.sessions)
        await hub.start()
        for _month in range(3):
            hub.pass_time(30 * 86400)
            await hub.drain()
            (left,) = await hub.ledger.rounds(OPERATOR, None, Page())
            assert (left.state, left.bets, left.wins) == (RoundState.OPEN, 1, 0)
        assert isinstance((await hub.process.play(win("w1", "3.00"), closes_round=True)).outcome, Applied)
        (ended,) = await hub.ledger.rounds(OPERATOR, None, Page())
        assert ended.state is RoundState.CLOSED
        assert hub.balance() == 200
        await hub.check()

    tell(story)
