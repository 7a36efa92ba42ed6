"""One round from launch to close: money in the operator's book, rows in the ledger, exact answers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from croupier.contract import (
    HttpResponse,
    MovementKind,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
)
from croupier.ledger.port import Page
from croupier.ledger.records import RoundState


def play(seat: PeerPlayer, kind: MovementKind, id: str, amount: str, **more: Any) -> PeerPlay:
    closes = more.pop("closes", False)
    move = PeerMove(kind=kind, id=id, amount=Decimal(amount), **more)
    return PeerPlay(player=seat, round="round-1", moves=(move,), closes_round=closes)


def told(response: HttpResponse) -> Any:
    return json.loads(response.body, parse_float=Decimal)


def test_a_softswiss_round_moves_the_operators_money_and_is_recorded(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch("softswiss", stage.player, operator_session=f"session-of-{stage.player}")
        assert (seat.game, seat.currency) == ("acceptance:test", "EUR")
        assert seat.player != stage.player

        asked = await hub.handle("softswiss", hub.signed("softswiss", PeerBalance(player=seat)))
        assert (asked.status, told(asked)) == (200, {"balance": 100_000})

        bet = await hub.handle("softswiss", hub.signed("softswiss", play(seat, MovementKind.BET, "b1", "12.34")))
        (row,) = await hub.rows()
        assert bet.status == 200
        assert told(bet) == {
            "balance": 98_766,
            "game_id": "round-1",
            "transactions": [
                {"action_id": "b1", "tx_id": row.movement, "processed_at": told(bet)["transactions"][0]["processed_at"]}
            ],
        }
        assert told(bet)["transactions"][0]["processed_at"].startswith("2026-01-01T00:00:0")
        assert (row.state.value, row.kind, row.amount, row.currency) == ("applied", "bet", 1234, "EUR")
        assert (row.reference, row.balance, row.game) == ("b1", 98_766, hub.games["acceptance:test"])
        assert scene.money() == 98_766

        win = play(seat, MovementKind.WIN, "w1", "50.00", closes=True)
        answer = await hub.handle("softswiss", hub.signed("softswiss", win))
        assert (answer.status, told(answer)["balance"]) == (200, 103_766)
        assert [item["action_id"] for item in told(answer)["transactions"]] == ["w1"]
        assert scene.moved() == [-1234, 5000]
        ended = await hub.ledger.round(hub.operator, row.round or "")
        assert (ended.state, ended.bets, ended.wins, ended.provider_round) == (RoundState.CLOSED, 1, 1, "round-1")

        body = next(body for path, body in scene.seen if path == "/bet")
        assert (body["player"], body["transaction"], body["amount"]) == (stage.player, row.movement, 1234)
        assert (body["provider"], body["provider_round"], body["game"]) == ("softswiss", "round-1", row.game)
        assert seat.player not in json.dumps(body)

    stage.play(story)


def test_a_softswiss_round_ends_by_a_play_without_actions(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch("softswiss", stage.player)
        await hub.ask("softswiss", play(seat, MovementKind.BET, "b1", "1.00"))
        close = hub.signed("softswiss", PeerCloseRound(player=seat, round="round-1"))
        answer = await hub.handle("softswiss", close)
        assert (answer.status, told(answer)) == (200, {"balance": 99_900, "game_id": "round-1"})
        assert (await hub.handle("softswiss", close)) == answer
        (ended,) = await hub.ledger.rounds(hub.operator, None, Page(limit=100))
        assert (ended.state, ended.bets, ended.wins) == (RoundState.CLOSED, 1, 0)
        assert scene.moved() == [-100]

    stage.play(story)


def test_a_softswiss_bet_and_win_in_one_request_move_as_one(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        seat = await hub.launch("softswiss", stage.player)
        moves = (
            PeerMove(kind=MovementKind.BET, id="b1", amount=Decimal("2.00")),
            PeerMove(kind=MovementKind.WIN, id="w1", amount=Decimal("0.50")),
        )
        request = hub.signed("softswiss", PeerPlay(player=seat, round="round-1", moves=moves, closes_round=True))
        answer = await hub.handle("softswiss", request)
        assert told(answer)["balance"] == 99_850
        bet, win = await hub.rows()
        assert [item["tx_id"] for item in told(answer)["transactions"]] == [bet.movement, win.movement]
        assert win.target == bet.movement
        assert scene.moved() == [-200, 50]
        assert hub.wallet_calls["/batch"] == 1
        assert hub.wallet_calls["/bet"] == 0

    stage.play(story)


def test_a_pragmatic_round_moves_the_operators_money_and_is_recorded(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        session = f"session-of-{stage.player}"
        launched = await hub.launch(
            "pragmatic", stage.player, authenticate=False, operator_session=session, country="SE", jurisdiction="99"
        )
        opened = await hub.handle("pragmatic", hub.signed("pragmatic", PeerAuthenticate(player=launched)))
        alias = told(opened)["userId"]
        assert alias == launched.player != stage.player
        assert told(opened) == {
            "userId": alias,
            "currency": "EUR",
            "cash": Decimal("1000.00"),
            "bonus": Decimal("0.00"),
            "usedPromo": Decimal("0.00"),
            "token": launched.token,
            "country": "SE",
            "jurisdiction": "99",
            "error": 0,
            "description": "Success",
        }
        seat = launched
        asked = await hub.handle("pragmatic", hub.signed("pragmatic", PeerBalance(player=seat)))
        assert told(asked) == {
            "currency": "EUR",
            "cash": Decimal("1000.00"),
            "bonus": Decimal("0.00"),
            "error": 0,
            "description": "Success",
        }

        bet = await hub.handle("pragmatic", hub.signed("pragmatic", play(seat, MovementKind.BET, "b1", "12.34")))
        (row,) = await hub.rows()
        assert told(bet) == {
            "transactionId": row.movement,
            "currency": "EUR",
            "cash": Decimal("987.66"),
            "bonus": Decimal("0.00"),
            "usedPromo": Decimal("0.00"),
            "error": 0,
            "description": "Success",
        }
        assert (row.state.value, row.kind, row.amount, row.currency) == ("applied", "bet", 1234, "EUR")
        assert scene.money() == 98_766

        win = await hub.handle("pragmatic", hub.signed("pragmatic", play(seat, MovementKind.WIN, "w1", "50")))
        _, paid = await hub.rows()
        assert told(win) == {
            "transactionId": paid.movement,
            "currency": "EUR",
            "cash": Decimal("1037.66"),
            "bonus": Decimal("0.00"),
            "error": 0,
            "description": "Success",
        }
        close = hub.signed("pragmatic", PeerCloseRound(player=seat, round="round-1"))
        closed = await hub.handle("pragmatic", close)
        assert told(closed) == {
            "cash": Decimal("1037.66"),
            "bonus": Decimal("0.00"),
            "error": 0,
            "description": "Success",
        }
        ended = await hub.ledger.round(hub.operator, row.round or "")
        assert (ended.state, ended.bets, ended.wins) == (RoundState.CLOSED, 1, 1)
        assert scene.moved() == [-1234, 5000]
        assert b'"cash":1037.66' in closed.body

    stage.play(story)


def test_a_repeat_is_answered_alike_and_never_reaches_the_wallet_again(stage: Any) -> None:
    async def story(scene: Any) -> None:
        for name in ("softswiss", "pragmatic"):
            hub = scene.hub
            seat = await hub.launch(name, stage.other)
            for action in (play(seat, MovementKind.BET, "b1", "1.00"), play(seat, MovementKind.WIN, "w1", "3.00")):
                request = hub.signed(name, action)
                first = await hub.handle(name, request)
                before, calls = await scene.state(), hub.wallet_calls["/bet"] + hub.wallet_calls["/win"]
                assert await hub.handle(name, request) == first
                assert await scene.state() == before
                assert hub.wallet_calls["/bet"] + hub.wallet_calls["/win"] == calls
        assert scene.moved(stage.other) == [-100, 300, -100, 300]

    stage.play(story)


def test_a_rollback_gives_the_stake_back_once(stage: Any) -> None:
    async def story(scene: Any) -> None:
        for name in ("softswiss", "pragmatic"):
            hub = scene.hub
            seat = await hub.launch(name, stage.player)
            await hub.ask(name, play(seat, MovementKind.BET, "b1", "7.00"))
            undo = play(seat, MovementKind.ROLLBACK, "undo-b1", "7.00", target="b1")
            first, second = await hub.ask(name, undo), await hub.ask(name, undo)
            assert first.verdict.value == second.verdict.value == "done"
            assert first.transaction == second.transaction
            assert scene.money() == stage.opening
        assert scene.moved() == [-700, 700, -700, 700]
        assert [row.state.value for row in await scene.hub.rows()] == ["reversed", "applied"] * 2

    stage.play(story)


def test_a_bet_that_the_player_cannot_pay_is_refused_in_the_providers_words(stage: Any) -> None:
    async def story(scene: Any) -> None:
        hub = scene.hub
        before = scene.book.export()
        seat = await hub.launch("softswiss", stage.player)
        bet = play(seat, MovementKind.BET, "b1", "1000.01")
        refused = await hub.handle("softswiss", hub.signed("softswiss", bet))
        assert refused.status == 412
        assert (told(refused)["code"], told(refused)["balance"]) == (100, 100_000)
        seat = await hub.launch("pragmatic", stage.player)
        bet = play(seat, MovementKind.BET, "b1", "1000.01")
        refused = await hub.handle("pragmatic", hub.signed("pragmatic", bet))
        assert (refused.status, told(refused)["error"]) == (200, 1)
        assert scene.book.export() == before
        assert {row.reason for row in await hub.rows()} == {"insufficient_funds"}

    stage.play(story)


def test_a_bet_whose_answer_was_lost_is_taken_back_though_its_round_was_paid_before(stage: Any) -> None:
    async def story(scene: Any) -> None:
        for name in ("softswiss", "pragmatic"):
            hub = scene.hub
            seat = await hub.launch(name, stage.player)
            await hub.ask(name, play(seat, MovementKind.BET, "b1", "1.00"))
            await hub.ask(name, play(seat, MovementKind.WIN, "w1", "4.00"))
            await hub.ask(name, play(seat, MovementKind.BET, "b2", "2.00"))  # suppose that nobody heard the answer
            undone = await hub.ask(name, play(seat, MovementKind.ROLLBACK, "undo-b2", "2.00", target="b2"))
            assert undone.verdict.value == "done"
        assert scene.moved() == [-100, 400, -200, 200] * 2

    stage.play(story)


def test_a_paid_bet_is_taken_back_only_by_a_provider_that_may(stage: Any) -> None:
    async def story(scene: Any) -> None:
        for name, verdict, code in (("softswiss", "done", "200"), ("pragmatic", "refused", "120")):
            hub = scene.hub
            seat = await hub.launch(name, stage.player)
            await hub.ask(name, play(seat, MovementKind.BET, "b1", "1.00"))
            await hub.ask(name, play(seat, MovementKind.WIN, "w1", "4.00"))
            undone = await hub.ask(name, play(seat, MovementKind.ROLLBACK, "undo-b1", "1.00", target="b1"))
            assert (undone.verdict.value, undone.code) == (verdict, code)
        assert scene.moved() == [-100, 400, 100, -100, 400]

    stage.play(story)
