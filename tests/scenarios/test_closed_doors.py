"""Sessions that ended, and games, connections and operators that are disabled: bets no, what is owed to players yes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from croupier.configuration.documents import Kind
from croupier.contract import Capability, MovementKind, PeerCloseRound, PeerMove, PeerPlay, PeerPlayer


async def _expire(hub: Any, name: str) -> None:
    await hub.clock.sleep(3601)


async def _end(hub: Any, name: str) -> None:
    for session in (await hub.api("GET", "/v1/sessions"))["sessions"]:
        await hub.api("DELETE", f"/v1/sessions/{session['id']}")


async def _disable_game(hub: Any, name: str) -> None:
    await hub.put(Kind.GAME, hub.games[next(iter(hub.providers[name].games))], enabled=False)


async def _disable_route(hub: Any, name: str) -> None:
    game = hub.games[next(iter(hub.providers[name].games))]
    for route in hub.process.configuration.list(hub.operator, Kind.ROUTE):
        if route.body["game"] == game:
            await hub.put(Kind.ROUTE, route.id, enabled=False)


async def _disable_connection(hub: Any, name: str) -> None:
    await hub.put(Kind.CONNECTION, hub.connections[name], enabled=False)


async def _disable_operator(hub: Any, name: str) -> None:
    await hub.put(Kind.OPERATOR, hub.operator, enabled=False)


async def _delete_game(hub: Any, name: str) -> None:
    game = hub.games[next(iter(hub.providers[name].games))]
    await hub.process.configuration.delete(hub.operator, Kind.GAME, game, who="test", why="test")


DOORS: dict[str, tuple[Callable[[Any, str], Awaitable[None]], dict[str, str], str]] = {
    "the session expired": (_expire, {"softswiss": "101", "pragmatic": "4"}, "session_expired"),
    "the session was ended": (_end, {"softswiss": "101", "pragmatic": "4"}, "session_expired"),
    "the game is disabled": (_disable_game, {"softswiss": "405", "pragmatic": "8"}, "game_disabled"),
    "the route is disabled": (_disable_route, {"softswiss": "405", "pragmatic": "8"}, "game_disabled"),
    "the game is deleted": (_delete_game, {"softswiss": "405", "pragmatic": "8"}, "game_disabled"),
    "the connection is disabled": (_disable_connection, {"softswiss": "405", "pragmatic": "120"}, "maintenance"),
    "the operator is disabled": (_disable_operator, {"softswiss": "405", "pragmatic": "120"}, "operator_disabled"),
}


def _play(seat: PeerPlayer, kind: MovementKind, id: str, amount: str, target: str | None = None) -> PeerPlay:
    move = PeerMove(kind=kind, id=id, amount=Decimal(amount), target=target)
    return PeerPlay(player=seat, round=f"round-{id[-1]}", moves=(move,))


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
@pytest.mark.parametrize("door", DOORS)
def test_a_closed_door_stops_bets_and_nothing_that_is_owed(stage: Any, door: str, name: str) -> None:
    close, codes, reason = DOORS[door]

    async def story(scene: Any) -> None:
        hub = scene.hub
        session = f"session-of-{stage.player}"
        seat = await hub.launch(name, stage.player, lifetime_seconds=3600, operator_session=session)
        for bet in ("b1", "b2"):
            assert (await hub.ask(name, _play(seat, MovementKind.BET, bet, "1.00"))).verdict.value == "done"
        await close(hub, name)
        before = await scene.state()

        refused = await hub.ask(name, _play(seat, MovementKind.BET, "b3", "1.00"))
        assert (refused.verdict.value, refused.code) == ("refused", codes[name])
        assert await scene.state() == before
        assert hub.log.of("provider_call")[-1]["reason"] == reason

        for action in (
            _play(seat, MovementKind.WIN, "w1", "2.50"),
            _play(seat, MovementKind.ROLLBACK, "u2", "1.00", target="b2"),
            PeerCloseRound(player=seat, round="round-1"),
        ):
            assert (await hub.ask(name, action)).verdict.value == "done"
        assert scene.moved() == [-100, -100, 250, 100]
        assert await hub.process.deliveries.owed() == 0

        # A bet that was accepted before is answered as it was, whatever is closed now.
        repeated = await hub.ask(name, _play(seat, MovementKind.BET, "b1", "1.00"))
        assert repeated.verdict.value == "done"
        assert scene.moved() == [-100, -100, 250, 100]

    stage.play(story, stage.provider(name))


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
def test_what_is_owed_is_delivered_though_everything_was_disabled_meanwhile(stage: Any, name: str) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch(name, stage.player)
        await hub.ask(name, _play(seat, MovementKind.BET, "b1", "1.00"))
        hub.trouble(wallet=1.0)
        win = _play(seat, MovementKind.WIN, "w1", "2.50")
        while (await hub.ask(name, win)).verdict.value != "retry":
            win = _play(seat, MovementKind.WIN, f"{win.moves[0].id}1", "2.50")
        await _disable_operator(hub, name)
        await _disable_connection(hub, name)
        await hub.drain()
        assert await hub.process.deliveries.owed() == 0
        assert (await hub.ask(name, win)).verdict.value == "done"
        assert set(scene.moved()) == {-100, 250}
        assert scene.moved().count(250) == len(win.moves[0].id) - 1

    stage.play(story, stage.provider(name))


def test_the_operators_own_session_is_asked_for_bets_alone(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        for name in ("softswiss", "pragmatic"):
            session = f"session-of-{stage.player}"
            scene.book.open_player(stage.player, "EUR", 0, session=session)
            seat = await hub.launch(name, stage.player, operator_session=session)
            assert (Capability.AUTHENTICATE in hub.providers[name].peer.capabilities) is (name == "pragmatic")
            await hub.ask(name, _play(seat, MovementKind.BET, "b1", "1.00"))
            scene.book.end_session(session)
            refused = await hub.ask(name, _play(seat, MovementKind.BET, "b2", "1.00"))
            assert (refused.verdict.value, refused.code) == ("refused", {"softswiss": "101", "pragmatic": "4"}[name])
            paid = await hub.ask(name, _play(seat, MovementKind.WIN, "w1", "3.00"))
            assert paid.verdict.value == "done"
        assert scene.moved() == [-100, 300, -100, 300]

    stage.play(story)
