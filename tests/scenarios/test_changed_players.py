"""A player who is launched under another currency or another id while a round is open: what is owed follows the bet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from croupier.contract import MovementKind, PeerMove, PeerPlay, PeerPlayer, Verdict


def _play(seat: PeerPlayer, kind: MovementKind, id: str, amount: str, target: str | None = None) -> PeerPlay:
    move = PeerMove(kind=kind, id=id, amount=Decimal(amount), target=target)
    return PeerPlay(player=seat, round=f"round-{id[-1]}", moves=(move,))


async def _two_bets(scene: Any, name: str, seat: PeerPlayer) -> None:
    for bet in ("b1", "b2"):
        assert (await scene.hub.ask(name, _play(seat, MovementKind.BET, bet, "1.00"))).verdict is Verdict.DONE


async def _paid_and_taken_back(scene: Any, name: str, seat: PeerPlayer) -> None:
    for play in (
        _play(seat, MovementKind.WIN, "w1", "2.50"),
        _play(seat, MovementKind.ROLLBACK, "u2", "1.00", target="b2"),
        _play(seat, MovementKind.WIN, "w1", "2.50"),  # a repeat
    ):
        assert (await scene.hub.ask(name, play)).verdict is Verdict.DONE
    await scene.hub.drain()


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
def test_what_was_bet_is_paid_and_taken_back_in_its_currency_after_a_launch_in_another(stage: Any, name: str) -> None:
    async def story(scene: Any) -> None:
        seat = await scene.hub.launch(name, stage.player)
        await _two_bets(scene, name, seat)
        await scene.hub.launch(name, stage.player, currency="USD", authenticate=False)
        await _paid_and_taken_back(scene, name, seat)
        assert scene.moved() == [-100, -100, 250, 100]
        assert {row.currency for row in await scene.hub.rows()} == {"EUR"}

    stage.play(story, stage.provider(name))


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
def test_what_was_bet_is_paid_and_taken_back_under_its_id_after_a_launch_under_another(stage: Any, name: str) -> None:
    async def story(scene: Any) -> None:
        seat = await scene.hub.launch(name, stage.player)
        await _two_bets(scene, name, seat)
        moved = await scene.hub.launch(name, stage.other)  # the operator has merged the player into another
        stray = await scene.hub.ask(name, _play(moved, MovementKind.WIN, "s1", "2.50"))
        assert stray.verdict is not Verdict.DONE  # the round is the first player's: nobody else is paid for it
        await _paid_and_taken_back(scene, name, seat)
        assert scene.moved() == [-100, -100, 250, 100]
        assert scene.moved(stage.other) == []
        assert (await scene.hub.ask(name, _play(moved, MovementKind.BET, "b3", "1.00"))).verdict is Verdict.DONE
        assert (scene.moved(), scene.moved(stage.other)) == ([-100, -100, 250, 100], [-100])

    stage.play(story, stage.provider(name, policy={"win_without_bet": "decline"}))


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
def test_a_win_is_never_paid_in_the_currency_that_an_account_was_changed_to(stage: Any, name: str) -> None:
    async def story(scene: Any) -> None:
        seat = await scene.hub.launch(name, stage.player)
        await _two_bets(scene, name, seat)
        scene.book._db.execute("UPDATE accounts SET currency = 'USD'")
        win = _play(seat, MovementKind.WIN, "w1", "2.50")
        assert (await scene.hub.ask(name, win)).verdict is not Verdict.DONE
        await scene.hub.drain(hours=0.1)
        assert scene.moved() == [-100, -100]
        assert {(body["currency"], body["player"]) for _, body in scene.seen} == {("EUR", stage.player)}
        scene.book._db.execute("UPDATE accounts SET currency = 'EUR'")  # the operator takes what was bet in it
        await _paid_and_taken_back(scene, name, seat)
        assert scene.moved() == [-100, -100, 250, 100]

    stage.play(story, stage.provider(name))
