"""A round whose player is gone: it stays open and is shown, ageing moves no money, and it is paid when it goes on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from croupier.configuration.documents import Kind
from croupier.contract import MovementKind, PeerCloseRound, PeerMove, PeerPlay, PeerPlayer, Verdict

DAY = 86_400


def _play(seat: PeerPlayer, kind: MovementKind, id: str, amount: str, target: str | None = None) -> PeerPlay:
    move = PeerMove(kind=kind, id=id, amount=Decimal(amount), target=target)
    return PeerPlay(player=seat, round=f"round-{id[-1]}", moves=(move,))


async def _open_for(hub: Any, days: int) -> list[dict[str, Any]]:
    before = quote((hub.clock.now() - timedelta(days=days)).isoformat())
    listed: list[dict[str, Any]] = (await hub.api("GET", f"/v1/rounds?state=open&opened_before={before}"))["rounds"]
    return listed


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
def test_an_interrupted_round_is_shown_with_what_it_holds_and_paid_when_it_goes_on(stage: Any, name: str) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch(name, stage.player)
        for bet in ("b1", "b2", "b3"):
            assert (await hub.ask(name, _play(seat, MovementKind.BET, bet, "1.00"))).verdict is Verdict.DONE
        ended = [_play(seat, MovementKind.WIN, "w3", "0.50"), PeerCloseRound(player=seat, round="round-3")]
        assert [(await hub.ask(name, action)).verdict for action in ended] == [Verdict.DONE] * 2
        (session, *_rest) = (await hub.api("GET", "/v1/sessions"))["sessions"]
        await hub.api("DELETE", f"/v1/sessions/{session['id']}")
        game = hub.games[next(iter(hub.providers[name].games))]
        await hub.put(Kind.GAME, game, enabled=False)
        before = await scene.state()
        assert await _open_for(hub, days=1) == []
        listed: list[dict[str, Any]] = []
        for days in (30, 60, 90):
            hub.process.worker.cancel()  # it looks for work every second: a month of that takes too long
            await hub.clock.sleep(30 * DAY)
            await hub.kill()
            await hub.clock.sleep(120)
            listed = await _open_for(hub, days=days)
            assert [(one["provider_round"], one["bets"], one["wins"]) for one in listed] == [
                ("round-1", 1, 0),
                ("round-2", 1, 0),
            ]
            assert await scene.state() == before
        told = await hub.api("GET", f"/v1/rounds/{listed[0]['id']}")
        held = [(one["kind"], one["state"], one["amount"]["amount"]) for one in told["transactions"]]
        assert held == [("bet", "applied", 100)]
        assert await _open_for(hub, days=91) == []
        await hub.put(Kind.GAME, game, enabled=True)
        again = await hub.launch(name, stage.player)
        for action in (
            _play(again, MovementKind.WIN, "w1", "2.50"),
            PeerCloseRound(player=again, round="round-1"),
            _play(again, MovementKind.ROLLBACK, "u2", "1.00", target="b2"),
        ):
            assert (await hub.ask(name, action)).verdict is Verdict.DONE
        await hub.drain()
        assert scene.moved() == [-100, -100, -100, 50, 250, 100]
        assert "round-1" not in {one["provider_round"] for one in await _open_for(hub, days=0)}

    stage.play(story, stage.provider(name))


async def _told(hub: Any) -> list[str]:
    """The rounds that people were told of, by the provider's ids."""
    operator = hub.process.configuration.directory.find_operator("acme").id
    events = [stored.event for stored in await hub.ledger.events_after(operator, 0, 10_000)]
    rounds = [await hub.ledger.round(operator, event.subject) for event in events if event.kind == "round.overdue"]
    return [row.provider_round for row in rounds]


def test_a_round_that_ages_is_told_once_over_any_restart_and_moves_nothing(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch("softswiss", stage.player)
        for bet in ("b1", "b2"):
            await hub.ask("softswiss", _play(seat, MovementKind.BET, bet, "1.00"))
        await hub.ask("softswiss", PeerCloseRound(player=seat, round="round-2"))
        hub.process.worker.cancel()
        before = await scene.state()
        for hours, told in ((71, []), (2, ["round-1"]), (1, ["round-1"]), (1_000, ["round-1"])):
            await hub.clock.sleep(hours * 3_600)
            for _ in range(2):
                await hub.process.overdue.look()
                assert await _told(hub) == told
                await hub.kill()
                hub.process.worker.cancel()
        assert await scene.state() == before
        again = await hub.launch("softswiss", stage.player)
        assert (await hub.ask("softswiss", _play(again, MovementKind.WIN, "w1", "2.50"))).verdict is Verdict.DONE
        assert scene.moved() == [-100, -100, 250]
        await hub.clock.sleep(100 * 3_600)
        await hub.process.overdue.look()
        assert await _told(hub) == ["round-1"]

    stage.play(story, stage.provider("softswiss"))


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
def test_a_round_that_two_people_void_is_given_back_whatever_its_provider_says_later(stage: Any, name: str) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch(name, stage.player)
        await hub.ask(name, _play(seat, MovementKind.BET, "b1", "1.00"))
        hub.process.worker.cancel()  # it looks for work every second: three days of that take too long
        working = asyncio.ensure_future(hub.process.deliveries.run(poll_seconds=60))
        await hub.clock.sleep(3 * DAY + 60)
        await hub.process.overdue.look()
        assert await _told(hub) == ["round-1"]
        (listed,) = await _open_for(hub, days=3)
        operator = hub.process.configuration.directory.find_operator("acme").id
        for who in ("ann", "ben"):
            await hub.process.deliveries.rounds.void(operator, listed["id"], who=who, why="the game is gone")
        working.cancel()
        await hub.kill()
        await hub.clock.sleep(60)
        await hub.drain()
        assert scene.moved() == [-100, 100]
        assert await _open_for(hub, days=0) == []
        again = await hub.launch(name, stage.player)
        late = await hub.ask(name, _play(again, MovementKind.WIN, "w1", "2.50"))
        assert late.verdict is not Verdict.DONE
        undone = await hub.ask(name, _play(again, MovementKind.ROLLBACK, "u1", "1.00", target="b1"))
        assert undone.verdict is Verdict.DONE
        await hub.drain()
        assert scene.moved() == [-100, 100]

    stage.play(story, stage.provider(name))
