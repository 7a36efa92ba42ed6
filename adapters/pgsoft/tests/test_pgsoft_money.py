"""The policies that the protocol demands, through the real engine: money is read from the operator's accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import pytest
from attrs import evolve

from croupier.contract import DeclineReason, HttpRequest, MovementKind, PeerMove, PeerPlay, PeerPlayer, Verdict
from croupier.contract.strict_json import read_json_object
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.operator import OPENING
from croupier_conformance.certification.stage import NAME, Stage, bet, tell_story, win
from croupier_conformance.certification.subject import load_adapter

Story = Callable[[Stage], Awaitable[None]]
SUBJECT: Final = load_adapter("pgsoft")


def told(story: Story, folder: Path, **policy: Any) -> None:
    tell_story(AdapterBench(subject=SUBJECT, folder=folder), story, **policy)


def spin(seat: PeerPlayer, round: str, id: str, stake: int, prize: int, *, closes: bool = True) -> PeerPlay:
    move = PeerMove(kind=MovementKind.BET_AND_WIN, id=id, amount=Decimal(stake) / 100, win_amount=Decimal(prize) / 100)
    return PeerPlay(player=seat, round=round, moves=(move,), closes_round=closes)


async def code(stage: Stage, request: HttpRequest) -> str:
    answer = await stage.hub.handle(NAME, request)
    error = read_json_object(answer.body)["error"]
    return "" if error is None else str(error["code"])


def altered(stage: Stage, action: PeerPlay, **changes: str) -> HttpRequest:
    request = stage.hub.signed(NAME, action)
    fields = {**dict(parse_qsl(request.body.decode(), keep_blank_values=True)), **changes}
    return evolve(request, body=urlencode(fields).encode())


def test_a_spin_moves_its_stake_and_its_win_once_however_often_it_comes(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        action = spin(seat, stage.new_round(), stage.new_id(), 100, 250)
        first = await stage.done(action, "a spin")
        assert (stage.change(), first.answer.balance) == (150, Decimal(OPENING + 150) / 100)
        for again in (action, evolve(action, resend=True), evolve(action, resend=True)):
            await stage.done(again, "a spin again")
            assert stage.change() == 150

    told(story, tmp_path)


def test_a_spin_that_wins_nothing_is_a_bet_that_ends_its_round(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert stage.bench.peer().loses_by_bet
        seat, round_id = await stage.sit(), stage.new_round()
        lost = evolve(bet(seat, round_id, stage.new_id(), 100), closes_round=True)
        for action in (lost, evolve(lost, resend=True)):
            await stage.done(action, "a spin that loses")
            assert stage.change() == -100
        assert (await stage.tell(bet(seat, round_id, stage.new_id(), 100))).answer.code == "3033"

    told(story, tmp_path)


def test_a_booked_spin_that_comes_again_and_cannot_be_believed_or_read_is_not_void(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        action = spin(seat, stage.new_round(), stage.new_id(), 100, 250)
        await stage.done(action, "a spin")
        again = evolve(action, resend=True)
        for unsure in (altered(stage, again, secret_key="another-test-key"), altered(stage, again, game_id="")):
            assert await code(stage, unsure) == "1200"
        await stage.done(again, "the spin again")
        assert stage.change() == 150

    told(story, tmp_path)


def test_a_spin_whose_stake_is_not_there_is_refused_though_its_win_would_pay_for_it(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        action = spin(seat, stage.new_round(), stage.new_id(), OPENING + 1, OPENING * 2)
        refused = (await stage.tell(action)).expect(Verdict.REFUSED, why="the stake is not there")
        assert (refused.answer.code, stage.change()) == ("3202", 0)

    told(story, tmp_path)


def test_a_spin_may_stake_everything(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        await stage.done(spin(seat, stage.new_round(), stage.new_id(), OPENING, 1), "everything")
        assert stage.change() == 1 - OPENING

    told(story, tmp_path)


def test_another_amount_or_player_under_a_known_id_is_refused(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id, id_ = await stage.sit(), stage.new_round(), stage.new_id()
        await stage.done(spin(seat, round_id, id_, 100, 250), "a spin")
        for other in (spin(seat, round_id, id_, 100, 260), spin(seat, round_id, id_, 90, 250)):
            assert (await stage.tell(other)).answer.code == "3032"
            # What is sent again may have been booked: it was, and with other content nothing definite can be said.
            assert (await stage.tell(evolve(other, resend=True))).answer.code == "1200"
        assert (await stage.tell(bet(seat, round_id, id_, 100))).answer.code == "3032"
        assert stage.change() == 150

    told(story, tmp_path)


def test_a_spin_that_the_wallet_did_not_answer_is_settled_when_it_is_sent_again(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        for place, fault in enumerate(("silent", "mute"), 1):
            action = spin(seat, stage.new_round(), stage.new_id(), 100, 250)
            setattr(stage.operator, fault, True)
            lost = (await stage.tell(action)).expect(Verdict.RETRY, why="the wallet is silent")
            assert lost.answer.code == "1200"
            setattr(stage.operator, fault, False)
            again = await stage.until_definite(action)
            again.expect(Verdict.DONE, why="the wallet answers again")
            await stage.hub.drain()
            assert stage.change() == 150 * place

    told(story, tmp_path)


def test_a_wallet_that_may_not_be_asked_twice_makes_a_lost_spin_void_and_gives_back(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        action = spin(seat, stage.new_round(), stage.new_id(), 100, 250)
        stage.operator.mute = True
        lost = (await stage.tell(action)).expect(Verdict.REFUSED, why="the hub takes it back")
        assert lost.answer.code == "3033"
        stage.operator.mute = False
        await stage.hub.drain()
        assert stage.change() == 0
        assert (await stage.until_definite(action)).verdict is Verdict.REFUSED

    told(story, tmp_path, wallet={"retry_safe": False})


def test_a_spin_that_is_sent_again_needs_no_live_session(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        action = spin(seat, stage.new_round(), stage.new_id(), 100, 250)
        stranger = evolve(action, player=evolve(seat, token="never-launched"))
        assert (await stage.tell(evolve(stranger, resend=True))).verdict is Verdict.DONE
        unknown = spin(stranger.player, stage.new_round(), stage.new_id(), 100, 250)
        assert (await stage.tell(unknown)).answer.code == "1307"
        assert stage.change() == 150

    told(story, tmp_path)


def test_a_feature_spin_before_its_bet_is_asked_for_again_and_then_paid(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        feature = win(seat, round_id, stage.new_id(), 300, "", closes=True)
        early = (await stage.tell(feature)).expect(Verdict.RETRY, why="its bet has not come")
        assert (early.answer.code, stage.change()) == ("1200", 0)
        await stage.done(bet(seat, round_id, stage.new_id(), 100), "the bet")
        await stage.done(feature, "the feature spin again")
        assert stage.change() == 200

    told(story, tmp_path)


def test_a_spin_of_a_round_that_never_had_a_stake_is_paid(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        feature = win(seat, round_id, stage.new_id(), 300, "")
        assert await code(stage, altered(stage, feature, is_parent_zero_stake="True")) == ""
        assert stage.change() == 300

    told(story, tmp_path)


def test_a_feature_spin_of_a_refused_bet_is_void(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        await stage.tell(bet(seat, round_id, stage.new_id(), OPENING + 1))
        assert (await stage.tell(win(seat, round_id, stage.new_id(), 300, ""))).answer.code == "3034"
        assert stage.change() == 0

    told(story, tmp_path)


def test_a_round_takes_no_second_stake_after_its_end_but_pays_late_features(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        await stage.done(spin(seat, round_id, stage.new_id(), 100, 50), "a whole round")
        assert (await stage.tell(bet(seat, round_id, stage.new_id(), 100))).answer.code == "3033"
        await stage.done(win(seat, round_id, stage.new_id(), 25, ""), "a late feature spin")
        assert stage.change() == -25

    told(story, tmp_path)


def adjust(seat: PeerPlayer, id: str, minor: int) -> PeerPlay:
    move = PeerMove(kind=MovementKind.ADJUSTMENT, id=id, amount=Decimal(minor) / 100)
    return PeerPlay(player=seat, round="", moves=(move,))


@pytest.mark.parametrize("minor", [500, -500])
def test_an_adjustment_moves_once(minor: int, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat, id_ = await stage.sit(), stage.new_id()
        for _ in range(2):
            done = await stage.done(adjust(seat, id_, minor), "an adjustment")
            assert stage.change() == minor
            assert done.answer.balance == Decimal(OPENING + minor) / 100

    told(story, tmp_path)


def test_an_adjustment_that_takes_money_and_was_refused_is_final_for_it_stays_refused(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat, down, up = await stage.sit(), stage.new_id(), stage.new_id()
        stage.operator.refuses = DeclineReason.PLAYER_BLOCKED
        first = await stage.tell(adjust(seat, down, -500))
        assert (first.verdict, first.answer.code) == (Verdict.REFUSED, "1035")
        stage.operator.refuses = None
        assert (await stage.tell(adjust(seat, down, -500))).answer.code == "1035"
        await stage.done(adjust(seat, up, 300), "an adjustment that pays")
        assert stage.change() == 300

    told(story, tmp_path)


def test_what_free_games_win_is_paid_by_their_conversion_alone(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        for _ in range(2):
            move = PeerMove(kind=MovementKind.FREE_WIN, id=stage.new_id(), amount=Decimal(3))
            await stage.done(PeerPlay(player=seat, round=round_id, moves=(move,), grant="grant-1"), "a free spin")
        assert stage.change() == 0
        total = PeerMove(kind=MovementKind.BONUS_WIN, id=stage.new_id(), amount=Decimal(6))
        paid = PeerPlay(player=seat, round=round_id, moves=(total,), grant="grant-1")
        for _ in range(2):
            await stage.done(paid, "the conversion")
            assert stage.change() == 600

    told(story, tmp_path)


def test_details_of_bets_are_accepted_and_move_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        request = stage.hub.signed(NAME, bet(seat, "1", "1", 100))
        detail = evolve(altered(stage, bet(seat, "1", "1", 100), bet_details="[]"), url="/Cash/UpdateBetDetail")
        assert request.body != detail.body
        assert await code(stage, detail) == ""
        assert stage.change() == 0

    told(story, tmp_path)
