"""The provider's policies, proven through a whole hub: what each order of messages moves, and is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import HttpRequest, MovementKind, PeerAction, PeerMove, PeerPlay, PeerPlayer, Verdict
from croupier.contract.strict_json import read_json_object, write_json
from croupier.registry import structure
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.stage import NAME, PLAYER, Stage, Told, bet, major, tell_story, undo, win
from croupier_conformance.certification.subject import load_adapter
from croupier_tomhorn.peer import TomhornPeer
from croupier_tomhorn.settings import TomhornSettings

SOAP = {"encoding": "soap", "integration_namespace": "http://tomhorn.example/integration"}
Story = Callable[[Stage, PeerPlayer], Awaitable[None]]


def through_the_hub(folder: Path, story: Story, changes: Mapping[str, Any]) -> None:
    subject = load_adapter("tomhorn")
    raw = {**subject.settings_raw, **changes}
    settings: TomhornSettings = structure(raw, subject.spec.settings, where="settings")

    async def told(stage: Stage) -> None:
        await story(stage, await stage.sit())

    tell_story(AdapterBench(subject=evolve(subject, settings_raw=raw, settings=settings), folder=folder), told)


async def say(stage: Stage, action: PeerAction, code: int, change: int) -> Told:
    """Tell the hub, and hold the answer's code and the player's balance since the beginning against what is right."""
    told = await stage.tell(action)
    assert (told.answer.code, stage.change()) == (str(code), change)
    return told


def numbered(stage: Stage) -> str:
    """A reference as the provider has them: a whole number."""
    return str(stage.dice.randrange(10**9, 10**12))


def _free(seat: PeerPlayer, kind: MovementKind, id: str, minor: int, campaign: str) -> PeerPlay:
    return PeerPlay(player=seat, round="1600", moves=(PeerMove(kind=kind, id=id, amount=major(minor)),), grant=campaign)


@pytest.mark.parametrize("changes", [{}, SOAP], ids=["json", "soap"])
def test_a_round_is_played_and_its_repeats_are_told_the_first_answer(tmp_path: Path, changes: Any) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        first, second = numbered(stage), numbered(stage)
        stake, prize = bet(seat, "1599", first, 340), win(seat, "1599", second, 1230, first, closes=True)
        told = await say(stage, stake, 0, -340)
        assert (await say(stage, stake, 0, -340)).answer.transaction == told.answer.transaction
        paid = await say(stage, prize, 0, 890)
        assert (await say(stage, prize, 0, 890)).answer.transaction == paid.answer.transaction
        await say(stage, evolve(stake, round="1600"), 2, 890)
        assert [row.kind for row in await stage.hub.rows()] == ["bet", "win"]

    through_the_hub(tmp_path, story, changes)


@pytest.mark.parametrize("changes", [{}, SOAP], ids=["json", "soap"])
def test_a_rollback_gives_back_once_without_telling_a_balance(tmp_path: Path, changes: Any) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        stake = bet(seat, "1599", numbered(stage), 340)
        await say(stage, stake, 0, -340)
        assert (await say(stage, undo(stage.peer, stake), 0, 0)).answer.balance is None
        await say(stage, undo(stage.peer, stake), 9, 0)
        await say(stage, stake, 9, 0)
        await say(stage, win(seat, "1599", numbered(stage), 500, stake.moves[0].id), 9, 0)

    through_the_hub(tmp_path, story, changes)


def recut(request: HttpRequest) -> HttpRequest:
    """The same signed text, cut into other values: digits of the reference become the session's."""
    fields = read_json_object(request.body)
    reference, session = str(fields["reference"]), str(fields.get("sessionID", ""))
    fields |= {"reference": int(reference[:-2]), "sessionID": int(reference[-2:] + session)}
    return evolve(request, body=write_json(fields))


def test_a_captured_message_that_is_cut_into_other_values_moves_nothing_again(tmp_path: Path) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        first, second = (f"{numbered(stage)}71" for _ in range(2))  # a session has no zero before its digits
        stake = bet(seat, "1599", first, 340)
        prize = win(seat, "1599", second, 1230, first)
        for play, moved in ((stake, -340), (prize, 890)):
            await say(stage, play, 0, moved)
            request = stage.hub.signed(NAME, play)
            assert recut(request).body != request.body
            told = read_json_object((await stage.hub.handle(NAME, recut(request))).body)
            assert (told["Code"], stage.change()) == (0, moved)
        assert [row.reference for row in await stage.hub.rows()] == [first, second]

    through_the_hub(tmp_path, story, {})


def test_a_rollback_that_overtakes_its_withdraw_is_unknown_and_the_late_withdraw_moves_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        stake = bet(seat, "1599", numbered(stage), 340)
        assert (await say(stage, undo(stage.peer, stake), 12, 0)).verdict is Verdict.DONE
        assert (await say(stage, stake, 9, 0)).verdict is Verdict.REFUSED
        assert stage.operator.asked == 0

    through_the_hub(tmp_path, story, {})


def test_a_withdraw_that_was_paid_is_not_rolled_back_and_neither_is_a_deposit(tmp_path: Path) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        stake = bet(seat, "1599", numbered(stage), 340)
        prize = win(seat, "1599", numbered(stage), 1230, stake.moves[0].id)
        await say(stage, stake, 0, -340)
        await say(stage, prize, 0, 890)
        assert (await say(stage, undo(stage.peer, stake), 2, 890)).verdict is Verdict.REFUSED
        assert (await say(stage, undo(stage.peer, prize), 2, 890)).verdict is Verdict.REFUSED

    through_the_hub(tmp_path, story, {})


def test_a_refused_withdraw_was_never_handled(tmp_path: Path) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        stake = bet(seat, "1599", numbered(stage), 10_000_000)
        await say(stage, stake, 6, 0)
        await say(stage, undo(stage.peer, stake), 12, 0)
        await say(stage, win(seat, "1599", numbered(stage), 500, stake.moves[0].id), 12, 0)

    through_the_hub(tmp_path, story, {})


def test_a_deposit_without_a_withdraw_is_unknown_and_a_jackpot_needs_none(tmp_path: Path) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        prize = win(seat, "1599", numbered(stage), 500, "1")
        await say(stage, prize, 12, 0)
        jackpot = evolve(prize, moves=(evolve(prize.moves[0], kind=MovementKind.JACKPOT_WIN, id=numbered(stage)),))
        await say(stage, jackpot, 0, 500)

    through_the_hub(tmp_path, story, {})


def test_a_repeat_may_have_a_code_of_its_own(tmp_path: Path) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        stake = bet(seat, "1599", numbered(stage), 340)
        first = await say(stage, stake, 0, -340)
        again = await say(stage, stake, 11, -340)
        assert (again.verdict, again.answer.transaction) == (Verdict.DONE, first.answer.transaction)
        assert again.answer.balance == first.answer.balance

    through_the_hub(tmp_path, story, {"duplicates": "duplicate"})


@pytest.mark.parametrize(("changes", "code"), [({}, "http 503"), (SOAP, "http 500")], ids=["json", "soap"])
def test_a_withdraw_that_the_wallet_does_not_answer_is_taken_back_in_the_end(
    tmp_path: Path, changes: Any, code: str
) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        stake = bet(seat, "1599", numbered(stage), 340)
        stage.operator.mute = True
        told = await stage.tell(stake)
        assert (told.verdict, told.answer.code) == (Verdict.RETRY, code)
        stage.operator.mute = False
        undone = await stage.until_definite(undo(stage.peer, stake))
        assert undone.verdict is Verdict.DONE
        await stage.hub.drain()
        assert stage.change() == 0

    through_the_hub(tmp_path, story, changes)


@pytest.mark.parametrize("changes", [{}, SOAP], ids=["json", "soap"])
def test_free_games_are_given_charge_nothing_and_pay_each_win(tmp_path: Path, changes: Any) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        gift = {
            "reference": "gift-1",
            "player": PLAYER,
            "games": [stage.hub.games["VSlotBM"]],
            "rounds": 10,
            "currency": "EUR",
            "valid_from": "2026-01-01T00:00:00Z",
            "valid_until": "2026-02-01T00:00:00Z",
            "bet": 20,
        }
        await stage.hub.api("POST", "/v1/free-rounds", gift)
        assert isinstance(stage.peer, TomhornPeer)
        (campaign,) = stage.peer.campaigns.values()
        assert campaign.players == {seat.player}
        stake = _free(seat, MovementKind.FREE_BET, numbered(stage), 20, campaign.code)
        prize = _free(seat, MovementKind.FREE_WIN, numbered(stage), 150, campaign.code)
        await say(stage, stake, 0, 0)
        await say(stage, prize, 0, 150)
        await say(stage, prize, 0, 150)
        assert {row.kind: row.grant for row in await stage.hub.rows()} == {
            "free_bet": campaign.code,
            "free_win": campaign.code,
        }

    through_the_hub(tmp_path, story, changes)


def test_where_rounds_are_reckoned_by_the_hub_they_may_go_on(tmp_path: Path) -> None:
    async def story(stage: Stage, seat: PeerPlayer) -> None:
        first, second = numbered(stage), numbered(stage)
        await say(stage, bet(seat, "1599", first, 100), 0, -100)
        await say(stage, win(seat, "1599", numbered(stage), 50, first), 0, -50)
        await say(stage, bet(seat, "1599", second, 100), 0, -150)
        await say(stage, win(seat, "1599", numbered(stage), 300, second), 0, 150)

    through_the_hub(tmp_path, story, {"round_end": "settled"})
