"""Free rounds: given by the operator's API through the adapter, and paid exactly once to the right player."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from croupier.contract import MovementKind, PeerMove, PeerPlay, PeerPlayer
from croupier.ledger.port import Page
from croupier_conformance.simulated_hub import ApiAnswerError


async def _give(hub: Any, player: str, game: str, reference: str = "gift-1", **more: Any) -> Any:
    body = {
        "reference": reference,
        "player": player,
        "games": [hub.games[game]],
        "rounds": 10,
        "currency": "EUR",
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2026-02-01T00:00:00Z",
        "bet": 20,
        **more,
    }
    return await hub.api("POST", "/v1/free-rounds", body)


def _free(seat: PeerPlayer, kind: MovementKind, id: str, amount: str, grant: str) -> PeerPlay:
    move = PeerMove(kind=kind, id=id, amount=Decimal(amount))
    return PeerPlay(player=seat, round="free-1", moves=(move,), grant=grant)


def test_the_end_of_free_spins_pays_the_right_player_though_it_names_none(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        known = hub.providers["softswiss"]
        await _give(hub, stage.player, "acceptance:test")
        (grant,) = await hub.ledger.grants(hub.operator, None, Page(limit=10))
        assert (grant.state, grant.currency, grant.rounds) == ("active", "EUR", 10)
        assert grant.grant in known.peer.issues
        # The player was never launched with this provider; another one was, and last.
        await hub.launch("softswiss", stage.other)
        request = known.peer.freespins_ended(grant.grant, Decimal("7.50"), known.credentials)
        assert set(json.loads(request.body)) == {"issue_id", "status", "total_amount"}
        first = await hub.handle("softswiss", request)
        assert (first.status, json.loads(first.body)) == (200, {"balance": 100_750})
        again = await hub.handle("softswiss", request)
        assert (again.status, json.loads(again.body)) == (200, {"balance": 100_750})
        assert (scene.moved(), scene.moved(stage.other)) == ([750], [])
        (row,) = await hub.rows()
        assert (row.kind, row.state.value, row.grant, row.amount) == ("bonus_win", "applied", grant.grant, 750)
        (ended,) = await hub.ledger.grants(hub.operator, None, Page(limit=10))
        assert ended.state == "finished"
        other_total = known.peer.freespins_ended(grant.grant, Decimal("9.00"), known.credentials)
        conflict = await hub.handle("softswiss", other_total)
        assert (conflict.status, json.loads(conflict.body)["code"]) == (409, 409)
        assert scene.moved() == [750]

    stage.play(story)


def test_free_spins_that_go_on_pay_nothing_yet(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        known = hub.providers["softswiss"]
        await _give(hub, stage.player, "acceptance:test")
        (issue,) = known.peer.issues
        going_on = known.peer.freespins_ended(issue, Decimal("1.00"), known.credentials, status="active")
        answer = await hub.handle("softswiss", going_on)
        assert (answer.status, answer.body) == (200, b"{}")
        assert scene.moved() == []

    stage.play(story)


def test_the_end_of_free_spins_that_nobody_gave_is_refused_and_pays_nothing(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        known = hub.providers["softswiss"]
        await _give(hub, stage.player, "acceptance:test")
        (issue,) = known.peer.issues
        known.peer.issues["foreign"] = known.peer.issues[issue]
        answer = await hub.handle("softswiss", known.peer.freespins_ended("foreign", Decimal(5), known.credentials))
        assert (answer.status, json.loads(answer.body)["code"]) == (404, 404)
        assert scene.moved() == []

    stage.play(story)


def test_the_same_reference_gives_one_set_also_where_the_providers_answer_was_lost(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        for name, game in (("softswiss", "acceptance:test"), ("pragmatic", "vs20doghouse")):
            hub.trouble(providers=1.0)
            given, told = None, list[int]()
            for attempt in range(20):
                if attempt == 10:
                    hub.calm()
                try:
                    given = await _give(hub, stage.player, game, reference=f"gift-{name}")
                    break
                except ApiAnswerError as error:
                    told.append(error.answered)
            hub.calm()
            assert given is not None
            assert set(told) <= {502, 503}
            again = await _give(hub, stage.player, game, reference=f"gift-{name}")
            assert again == given
        assert len(hub.providers["softswiss"].peer.issues) == 1
        assert len(hub.providers["pragmatic"].peer.bonuses) == 1

    stage.play(story, seed=3)


@pytest.mark.parametrize("pays_on", ["bonusWin", "result"])
def test_pragmatic_free_rounds_are_paid_by_one_of_the_two_messages(stage: Any, pays_on: str) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        await _give(hub, stage.player, "vs20doghouse")
        (grant,) = hub.providers["pragmatic"].peer.bonuses
        seat = await hub.launch("pragmatic", stage.player)
        told = [
            _free(seat, MovementKind.FREE_BET, "fb1", "0.20", grant),
            _free(seat, MovementKind.FREE_WIN, "fw1", "1.50", grant),
            _free(seat, MovementKind.FREE_BET, "fb2", "0.20", grant),
            _free(seat, MovementKind.FREE_WIN, "fw2", "2.50", grant),
        ]
        for action in told:
            answer = await hub.ask("pragmatic", action)
            assert (answer.verdict.value, answer.code) == ("done", "0")
        total = await hub.handle(
            "pragmatic",
            hub.providers["pragmatic"].peer.request(
                _free(seat, MovementKind.BONUS_WIN, "total-1", "4.00", grant),
                hub.providers["pragmatic"].credentials,
                hub.clock.now(),
            ),
        )
        assert json.loads(total.body)["error"] == 0
        assert json.loads(total.body)["cash"] == pytest.approx(1004.00)
        for action in (*told, _free(seat, MovementKind.BONUS_WIN, "total-1", "4.00", grant)):
            assert (await hub.ask("pragmatic", action)).verdict.value == "done"
        assert scene.moved() == {"bonusWin": [400], "result": [150, 250]}[pays_on]
        assert scene.money() == stage.opening + 400

    stage.play(story, stage.pragmatic(frb_credit_on=pays_on))


def test_the_total_is_paid_though_the_player_has_no_live_session(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        await _give(hub, stage.player, "vs20doghouse")
        (grant,) = hub.providers["pragmatic"].peer.bonuses
        seat = await hub.launch("pragmatic", stage.player, lifetime_seconds=60)
        await hub.clock.sleep(3600)
        answer = await hub.ask("pragmatic", _free(seat, MovementKind.BONUS_WIN, "total-1", "4.00", grant))
        assert answer.verdict.value == "done"
        assert scene.moved() == [400]

    stage.play(story)
