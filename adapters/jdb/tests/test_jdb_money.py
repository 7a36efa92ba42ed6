"""The three pay modes through a whole hub: what moves, what stands, and what JDB hears."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

from attrs import evolve

from croupier.contract import (
    HttpRequest,
    MovementKind,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Verdict,
)
from croupier.ledger.port import Page
from croupier.ledger.records import RoundState
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.operator import OPENING
from croupier_conformance.certification.stage import Stage, bet, tell_story, undo, win
from croupier_conformance.certification.subject import load_adapter
from croupier_jdb import cipher
from croupier_jdb.peer import JdbPeer

BET_AND_SETTLE = 8


def told(tmp_path: Path, story: Callable[[Stage], Awaitable[None]], **policy: object) -> None:
    tell_story(AdapterBench(subject=load_adapter("jdb"), folder=tmp_path), story, policy=policy)


def one(seat: PeerPlayer, kind: MovementKind, id: str, stake: str, **more: str) -> PeerPlay:
    win_amount = Decimal(more["win"]) if "win" in more else None
    move = PeerMove(kind=kind, id=id, amount=Decimal(stake), win_amount=win_amount, target=more.get("target"))
    return PeerPlay(player=seat, round="r-1", moves=(move,))


def peer_of(stage: Stage) -> JdbPeer:
    peer = stage.peer
    assert isinstance(peer, JdbPeer)
    return peer


async def answered(stage: Stage, action: int, request: HttpRequest) -> tuple[Verdict, str]:
    response = await stage.hub.handle("subject", request)
    answer = peer_of(stage).understood(action, response)
    return answer.verdict, answer.code


def unread(request: HttpRequest) -> HttpRequest:
    """The same, with bytes changed on the way."""
    return evolve(request, body=request.body[:40] + b"test" + request.body[44:])


async def cancelled(stage: Stage, whole: PeerPlay) -> tuple[Verdict, str]:
    (undone,) = undo(stage.peer, whole).moves
    answer = (await stage.tell(evolve(whole, moves=(evolve(undone, undoes=MovementKind.BET_AND_WIN),)))).answer
    return answer.verdict, answer.code


async def stake_cancelled(stage: Stage, out: PeerPlay, id: str) -> tuple[Verdict, str]:
    (undone,) = undo(stage.peer, out).moves
    undone = evolve(undone, id=id, undoes=MovementKind.TRANSFER_OUT)
    answer = (await stage.tell(evolve(out, moves=(undone,)))).answer
    return answer.verdict, answer.code


def sealed(stage: Stage, action: int, **fields: object) -> HttpRequest:
    known = {"action": action, "ts": 1, "currency": "EUR", "gType": 0, "mType": 8001}
    text = cipher.seal(known | fields, stage.bench.credentials)
    return HttpRequest("POST", "/", body=f"x={text}".encode())


def test_a_cancellation_that_cannot_be_believed_or_read_leaves_a_booked_round_at_both_sides(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        await stage.done(one(seat, MovementKind.BET_AND_WIN, "1", "1.00", win="2.50"), "a whole round")
        known = {"uid": seat.player, "transferId": 1, "historyId": "r-1"}
        sound = sealed(stage, 4, **known)
        for unsure in (unread(sound), sealed(stage, 4, **known | {"transferId": None})):
            assert await answered(stage, 4, unsure) == (Verdict.RETRY, "9017")
        assert await answered(stage, 4, sound) == (Verdict.REFUSED, "6101")
        assert stage.change() == 150

    told(tmp_path, story)


def test_a_cancellation_that_contradicts_an_earlier_one_or_names_a_stranger_is_asked_for_again(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        known = {"uid": (await stage.sit()).player, "transferId": 1, "historyId": "r-1"}
        assert await answered(stage, 4, sealed(stage, 4, **known)) == (Verdict.DONE, "0000")
        for other in ({"historyId": "r-2"}, {"uid": "stranger", "transferId": 2}):
            assert await answered(stage, 4, sealed(stage, 4, **known | other)) == (Verdict.RETRY, "9017")
        assert stage.change() == 0

    told(tmp_path, story)


def test_a_whole_round_moves_its_net_once_and_stands_when_it_is_cancelled(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        for id_, prize, change in (("1", "2.50", 150), ("2", "0", -100)):
            held = stage.change()
            whole = one(seat, MovementKind.BET_AND_WIN, id_, "1.00", win=prize)
            for _ in range(2):
                done = await stage.done(evolve(whole, round=f"r-{id_}"), "a whole round")
                assert done.answer.balance == Decimal(OPENING + held + change).scaleb(-2)
            assert stage.change() == held + change
            for _ in range(2):
                assert await cancelled(stage, whole) == (Verdict.REFUSED, "6101")
            assert stage.change() == held + change
        rounds = await stage.hub.ledger.rounds(stage.hub.operator, None, Page(limit=10))
        assert {row.state for row in rounds} == {RoundState.CLOSED}
        assert len(rounds) == 2

    told(tmp_path, story)


def test_a_whole_round_that_was_cancelled_before_it_came_moves_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        whole = one(await stage.sit(), MovementKind.BET_AND_WIN, "1", "1.00", win="2.50")
        for _ in range(2):
            assert await cancelled(stage, whole) == (Verdict.DONE, "0000")
            assert (await stage.tell(whole)).verdict is Verdict.REFUSED
        assert stage.change() == 0

    told(tmp_path, story)


def test_a_whole_round_that_the_wallet_did_not_answer_is_called_off(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        whole = one(await stage.sit(), MovementKind.BET_AND_WIN, "1", "1.00", win="2.50")
        stage.operator.mute = True
        assert (await stage.tell(whole)).verdict is Verdict.RETRY
        code = (await cancelled(stage, whole))[1]
        assert code == "9017"
        stage.operator.mute = False
        while code == "9017":
            await stage.hub.clock.sleep(60)
            code = (await cancelled(stage, whole))[1]
        assert code == "0000"
        await stage.hub.drain()
        assert stage.change() == 0

    told(tmp_path, story)


def test_a_volley_of_bullets_needs_its_whole_stake(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        volley = {"uid": seat.player, "bet": -24, "win": 29, "netWin": 5, "mb": 6}
        stage.operator.balances["player-one"] = 2_399
        poor = await answered(stage, BET_AND_SETTLE, sealed(stage, 8, transferId=1, historyId="h-1", **volley))
        assert poor == (Verdict.REFUSED, "6006")
        stage.operator.balances["player-one"] = 2_400
        rich = await answered(stage, BET_AND_SETTLE, sealed(stage, 8, transferId=2, historyId="h-2", **volley))
        assert rich == (Verdict.DONE, "0000")
        assert stage.operator.balances["player-one"] == 2_900

    told(tmp_path, story)


def test_settled_by_its_net_a_volley_needs_no_more_than_its_least_balance(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        volley = {"uid": seat.player, "bet": -24, "win": 20, "netWin": -4, "mb": 6}
        stage.operator.balances["player-one"] = 599
        poor = await answered(stage, BET_AND_SETTLE, sealed(stage, 8, transferId=1, historyId="h-1", **volley))
        assert poor == (Verdict.REFUSED, "6006")
        stage.operator.balances["player-one"] = 600
        rich = await answered(stage, BET_AND_SETTLE, sealed(stage, 8, transferId=2, historyId="h-2", **volley))
        assert rich == (Verdict.DONE, "0000")
        assert stage.operator.balances["player-one"] == 200

    told(tmp_path, story, operations={"bet_and_settle": {"net_settlement": "net"}})


def test_several_bets_are_settled_together_and_cancelled_together(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        for round_id, bets in (("7", ("71", "72")), ("8", ("81", "82"))):
            for id_ in bets:
                await stage.done(bet(seat, round_id, id_, 100), "a bet")
        assert stage.change() == -400
        who = {"uid": seat.player, "amount": 3}
        settled = sealed(stage, 10, transferId=73, refTransferIds=[71, 72], gameRoundSeqNo="7", historyId="h", **who)
        assert await answered(stage, 10, settled) == (Verdict.DONE, "0000")
        assert stage.change() == -100
        undone = sealed(stage, 11, transferId=83, refTransferIds=[81, 82], gameRoundSeqNo="8", **who)
        for _ in range(2):
            assert await answered(stage, 11, undone) == (Verdict.DONE, "0000")
            assert stage.change() == 100
        paid = sealed(stage, 11, transferId=74, refTransferIds=[71], gameRoundSeqNo="7", **who)
        assert await answered(stage, 11, paid) == (Verdict.REFUSED, "6101")
        assert stage.change() == 100

    told(tmp_path, story)


def test_a_settlement_before_its_bet_is_asked_for_again_and_one_after_its_cancellation_is_not(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        early, placed = win(seat, "7", "2", 300, "1"), bet(seat, "7", "1", 100)
        assert (await stage.tell(early)).answer.code == "9017"
        await stage.done(placed, "a bet")
        await stage.done(early, "its settlement")
        assert stage.change() == 200
        gone = bet(seat, "8", "3", 100)
        await stage.done(gone, "a bet")
        await stage.done(undo(stage.peer, gone), "its cancellation")
        assert (await stage.tell(win(seat, "8", "4", 300, "3"))).answer.code == "9015"
        assert stage.change() == 200

    told(tmp_path, story)


def test_a_stake_goes_out_and_what_is_left_comes_back(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        out = one(seat, MovementKind.TRANSFER_OUT, "5", "100.00")
        back = one(seat, MovementKind.TRANSFER_IN, "6", "70.00", target="5")
        for play, change in ((out, -10_000), (back, -3_000)):
            for _ in range(2):
                await stage.done(play, "a transfer")
                assert stage.change() == change
        assert await stake_cancelled(stage, out, "7") == (Verdict.REFUSED, "6101")
        assert stage.change() == -3_000
        (row,) = await stage.hub.ledger.rounds(stage.hub.operator, None, Page(limit=10))
        assert (row.provider_round, row.state) == ("withdraw:5", RoundState.CLOSED)
        kinds = [entry.kind for entry in await stage.hub.rows()]
        assert kinds == ["transfer_out", "transfer_in"]

    told(tmp_path, story)


def test_a_stake_that_is_cancelled_comes_back_once(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        out = one(seat, MovementKind.TRANSFER_OUT, "5", "100.00")
        await stage.done(out, "a stake")
        for id_ in ("7", "7", "8"):
            assert await stake_cancelled(stage, out, id_) == (Verdict.DONE, "0000")
            assert stage.change() == 0
        assert (await stage.tell(out)).verdict is Verdict.REFUSED
        late = one(seat, MovementKind.TRANSFER_OUT, "9", "100.00")
        assert await stake_cancelled(stage, late, "10") == (Verdict.DONE, "0000")
        assert (await stage.tell(late)).verdict is Verdict.REFUSED
        assert stage.change() == 0
        too_early = one(seat, MovementKind.TRANSFER_IN, "12", "1.00", target="11")
        assert (await stage.tell(too_early)).answer.code == "9017"

    told(tmp_path, story)


def test_rewards_are_paid_once_and_free_spins_that_are_told_move_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        prize = one(seat, MovementKind.PROMO_WIN, "8", "10.00")
        total = evolve(one(seat, MovementKind.BONUS_WIN, "9", "5.00"), grant="an_event_of_the_back_office")
        for play, change in ((prize, 1_000), (total, 1_500)):
            for _ in range(2):
                await stage.done(play, "a reward")
                assert stage.change() == change
        spin = evolve(one(seat, MovementKind.BET_AND_WIN, "10", "75.00", win="375.00"), grant="an_event")
        request = peer_of(stage).free_spin_played(spin, stage.bench.credentials, stage.hub.clock.now())
        assert await answered(stage, 17, request) == (Verdict.DONE, "0000")
        assert stage.change() == 1_500

    told(tmp_path, story)
