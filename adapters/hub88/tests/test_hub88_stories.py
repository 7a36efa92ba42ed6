"""What only this protocol has, through a whole hub: money is read from the operator's accounts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import Effect, MovementKind, OnSilence, PeerMove, PeerPlay, Verdict
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.stage import NAME, Stage, Told, bet, tell_story, undo, win
from croupier_conformance.certification.subject import load_adapter
from croupier_hub88.peer import Hub88Peer
from croupier_hub88.peer_keys import PROVIDER_TEST_KEY
from croupier_hub88.wire import Keys, signed

Story = Callable[[Stage], Awaitable[None]]


def tell(folder: Path, story: Story, **policy: Any) -> None:
    tell_story(AdapterBench(subject=load_adapter("hub88"), folder=folder), story, policy=policy)


async def asked(stage: Stage, path: str, **body: Any) -> dict[str, Any]:
    """What a request is answered that the peer has no action for."""
    key = Keys().private(PROVIDER_TEST_KEY, "test")
    response = await stage.hub.handle(NAME, signed(key, path, body, Effect.ONCE))
    told = json.loads(response.body)
    assert isinstance(told, dict)
    return told | {"http": response.status}


def code(told: Told) -> tuple[Verdict, str]:
    return told.verdict, told.answer.code


def test_the_same_id_with_other_content_is_an_error_and_moves_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        await stage.done(bet(seat, "r-1", "b-1", 300), "a bet")
        for other in (bet(seat, "r-1", "b-1", 301), bet(seat, "r-2", "b-1", 300), win(seat, "r-1", "b-1", 300, "b-1")):
            told = await stage.tell(other)
            assert code(told) == (Verdict.REFUSED, "RS_ERROR_DUPLICATE_TRANSACTION")
        assert stage.change() == -300

    tell(tmp_path, story)


def test_the_rollback_of_something_unknown_is_accepted_and_its_late_bet_refused(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        late = bet(seat, "r-1", "b-1", 300)
        for _ in range(2):
            assert code(await stage.tell(undo(stage.peer, late))) == (Verdict.DONE, "RS_OK")
        assert code(await stage.tell(late)) == (Verdict.REFUSED, "RS_ERROR_TRANSACTION_ROLLED_BACK")
        assert stage.change() == 0

    tell(tmp_path, story)


def test_where_it_is_set_the_rollback_of_something_unknown_is_told_as_such(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        told = await stage.tell(undo(stage.peer, bet(seat, "r-1", "b-1", 300)))
        assert code(told) == (Verdict.REFUSED, "RS_ERROR_TRANSACTION_DOES_NOT_EXIST")

    tell(tmp_path, story, unknown_rollback="not_found")


def test_a_bet_and_its_win_are_rolled_back_in_any_order(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        placed, paid = bet(seat, "r-1", "b-1", 300), win(seat, "r-1", "w-1", 500, "b-1", closes=True)
        await stage.done(placed, "a bet")
        await stage.done(paid, "its win")
        await stage.done(undo(stage.peer, placed), "the bet's rollback")
        assert stage.change() == 500
        for _ in range(2):
            await stage.done(undo(stage.peer, paid), "the win's rollback")
        assert stage.change() == 0

    tell(tmp_path, story)


def test_a_win_without_its_bet_has_none_and_moves_nothing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        unknown = await stage.tell(win(seat, "r-1", "w-1", 500, "b-1"))
        assert code(unknown) == (Verdict.REFUSED, "RS_ERROR_TRANSACTION_DOES_NOT_EXIST")
        placed = bet(seat, "r-2", "b-2", 300)
        await stage.done(placed, "a bet")
        await stage.done(undo(stage.peer, placed), "its rollback")
        undone = await stage.tell(win(seat, "r-2", "w-2", 500, "b-2"))
        assert code(undone) == (Verdict.REFUSED, "RS_ERROR_TRANSACTION_DOES_NOT_EXIST")
        assert stage.change() == 0

    tell(tmp_path, story)


def test_a_suppliers_promotion_is_paid_once_without_a_bet(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        move = PeerMove(kind=MovementKind.PROMO_WIN, id="w-1", amount=Decimal("4.00"))
        for _ in range(2):
            await stage.done(PeerPlay(player=seat, round="promo-1", moves=(move,)), "a promotion")
        assert stage.change() == 400

    tell(tmp_path, story)


def test_a_free_bet_charges_nothing_and_its_win_is_paid(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()

        def free(kind: MovementKind, id: str, amount: str, target: str | None = None) -> PeerPlay:
            move = PeerMove(kind=kind, id=id, amount=Decimal(amount), target=target)
            return PeerPlay(player=seat, round="r-1", moves=(move,), grant="reward-1")

        await stage.done(free(MovementKind.FREE_BET, "b-1", "1.00"), "a free bet")
        assert stage.change() == 0
        paid = free(MovementKind.FREE_WIN, "w-1", "4.00", "b-1")
        for _ in range(2):
            await stage.done(evolve(paid, closes_round=True), "its win")
        assert stage.change() == 400

    tell(tmp_path, story)


def test_a_game_may_change_within_a_session(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        await stage.done(bet(evolve(seat, game="clt_testwheel"), "r-1", "b-1", 300), "a bet in another game")
        told = await stage.tell(bet(evolve(seat, game="clt_other"), "r-2", "b-2", 300))
        assert code(told) == (Verdict.REFUSED, "RS_ERROR_INVALID_GAME")
        assert stage.change() == -300

    tell(tmp_path, story)


def test_too_little_money_is_told_with_what_there_is(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        told = await stage.tell(bet(seat, "r-1", "b-1", 100_001))
        assert code(told) == (Verdict.REFUSED, "RS_ERROR_NOT_ENOUGH_MONEY")
        assert told.answer.balance == Decimal("1000.00")

    tell(tmp_path, story)


def test_facts_are_told_of_a_player_who_has_a_session_and_of_nobody_else(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        told = await asked(stage, "/user/info", user=seat.player, request_uuid="u-1")
        assert (told["status"], told["user"], told["currency"]) == ("RS_OK", seat.player, "EUR")
        assert (told["balance"], told["sub_partner_id"]) == (100_000_000, "certification")
        nobody = await asked(stage, "/user/info", user="nobody", request_uuid="u-2")
        assert nobody == {"user": "nobody", "request_uuid": "u-2", "status": "RS_ERROR_INVALID_TOKEN", "http": 200}

    tell(tmp_path, story)


def test_a_bet_that_needs_finer_money_than_the_player_has_is_refused(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        body = {"user": seat.player, "token": seat.token, "game_code": seat.game, "currency": "EUR", "round": "r-1"}
        told = await asked(
            stage, "/transaction/bet", **body, request_uuid="u-1", transaction_uuid="b-1", amount=100_001
        )
        assert told["status"] == "RS_ERROR_WRONG_TYPES"
        assert stage.change() == 0

    tell(tmp_path, story)


def test_a_provider_that_rolls_every_refusal_back_moves_nothing_by_it(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        plain, seat = stage.peer, await stage.sit()
        assert isinstance(plain, Hub88Peer)
        peer = Hub88Peer(plain.settings, rolls_back_refusals=True)
        refused = bet(evolve(seat, game="clt_other"), "r-1", "b-1", 300)
        response = (await stage.tell(refused)).response
        assert response is not None
        heard = peer.answer(refused, response)
        assert (heard.verdict, peer.bet_on_silence) == (Verdict.RETRY, OnSilence.CANCELS)
        assert code(await stage.tell(undo(peer, refused))) == (Verdict.DONE, "RS_OK")
        assert stage.change() == 0

    tell(tmp_path, story)


@pytest.mark.parametrize("play", ["bet", "win"])
def test_while_the_wallet_is_silent_there_is_no_logical_answer(tmp_path: Path, play: str) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        await stage.done(bet(seat, "r-1", "b-1", 300), "a bet")
        stage.operator.silent = True
        action = bet(seat, "r-1", "b-2", 300) if play == "bet" else win(seat, "r-1", "w-1", 500, "b-1")
        told = await stage.tell(action)
        assert code(told) == (Verdict.RETRY, "http 502")

    tell(tmp_path, story)
