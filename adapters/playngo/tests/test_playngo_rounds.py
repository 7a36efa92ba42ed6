"""Rounds through the whole hub: what the sheet says about money, read from the operator's accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from croupier.contract import (
    HttpRequest,
    MovementKind,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Verdict,
)
from croupier.ledger.port import Page
from croupier.ledger.records import RoundState
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.stage import NAME, Stage, Told, bet, tell_story, undo, win
from croupier_conformance.certification.subject import load_adapter

Story = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def tell(tmp_path: Path) -> Callable[[Story], None]:
    return lambda story: tell_story(AdapterBench(subject=load_adapter("playngo"), folder=tmp_path), story)


def sent(stage: Stage, play: PeerPlay, **changes: str) -> HttpRequest:
    """What the provider would send, with other texts in some elements."""
    request = stage.hub.signed(NAME, play)
    body = request.body.decode()
    for name, text in changes.items():
        before, _, rest = body.partition(f"<{name}>")
        body = f"{before}<{name}>{text}</{name}>{rest.partition(f'</{name}>')[2]}"
    return evolve(request, body=body.encode())


async def the_rounds(stage: Stage) -> list[RoundState]:
    return [row.state for row in await stage.hub.ledger.rounds(stage.hub.operator, None, Page(limit=10))]


def refused(told: Told, code: str) -> None:
    assert (told.verdict, told.answer.code) == (Verdict.REFUSED, code)


def test_a_repeated_reserve_and_release_move_nothing(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        placed, paid = bet(seat, round_id, "1", 100), win(seat, round_id, "1", 250, "1")
        first = [await stage.done(play, "new") for play in (placed, paid)]
        again = [await stage.done(play, "a repeat") for play in (placed, paid)]
        assert stage.change() == 150
        assert [told.answer.transaction for told in again] == [told.answer.transaction for told in first]

    tell(story)


def test_a_known_id_with_another_amount_is_answered_12(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        await stage.done(bet(seat, round_id, "1", 100), "a bet")
        refused(await stage.tell(bet(seat, round_id, "1", 200)), "12")
        assert stage.change() == -100

    tell(story)


def test_a_cancel_of_an_unknown_reserve_is_ok_and_the_late_reserve_moves_nothing(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        placed = bet(await stage.sit(), stage.new_round(), "1", 100)
        for _ in range(2):
            await stage.done(undo(stage.peer, placed), "a cancel of nothing")
        refused(await stage.tell(placed), "12")
        assert stage.change() == 0

    tell(story)


def test_a_cancel_gives_the_stake_back_once_and_the_release_after_it_is_refused(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        placed = bet(seat, round_id, "1", 100)
        await stage.done(placed, "a bet")
        for _ in range(2):
            await stage.done(undo(stage.peer, placed), "a cancel")
        refused(await stage.tell(win(seat, round_id, "2", 500, "1")), "12")
        assert stage.change() == 0

    tell(story)


def test_a_reserve_that_was_paid_is_not_cancelled(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        placed = bet(seat, round_id, "1", 100)
        await stage.done(placed, "a bet")
        await stage.done(win(seat, round_id, "2", 300, "1"), "a win")
        refused(await stage.tell(undo(stage.peer, placed)), "12")
        assert stage.change() == 200

    tell(story)


def test_a_release_without_a_reserve_is_credited(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.done(win(await stage.sit(), stage.new_round(), "2", 300, "1"), "a win without a bet")
        assert stage.change() == 300

    tell(story)


def test_a_release_ends_the_round_and_a_bought_feature_may_enter_it_all_the_same(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        await stage.done(bet(seat, round_id, "1", 100), "a bet")
        assert await the_rounds(stage) == [RoundState.OPEN]
        await stage.done(win(seat, round_id, "2", 0, "1"), "a loss")
        assert await the_rounds(stage) == [RoundState.CLOSED]
        await stage.done(bet(seat, round_id, "3", 200), "a bought feature")
        await stage.done(win(seat, round_id, "4", 50, "3"), "its win")
        assert stage.change() == -250

    tell(story)


@pytest.mark.parametrize("changes", [{"state": "1"}, {"roundId": "0"}, {"roundId": "0", "state": "1"}])
def test_a_summary_is_acknowledged_and_moves_nothing(tell: Callable[[Story], None], changes: dict[str, str]) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        await stage.done(bet(seat, round_id, "1", 100), "a bet")
        summary = win(seat, round_id, "2", 900, "1")
        for _ in range(2):
            told = await stage.pass_on(summary, sent(stage, summary, **changes))
            told.expect(Verdict.DONE, why="a summary")
            assert (told.answer.transaction, told.answer.balance) == ("2", Decimal("999.00"))
        assert stage.change() == -100
        notices = [line for line in stage.hub.dump().splitlines() if "notice.game_session_closed" in line]
        assert len(notices) == 2

    tell(story)


def test_free_games_charge_nothing_and_pay(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        reference = await issued(stage)

        def free(kind: MovementKind, id: str, amount: str) -> PeerPlay:
            move = PeerMove(kind=kind, id=id, amount=Decimal(amount))
            return PeerPlay(player=seat, round="9001", moves=(move,), grant=reference)

        await stage.done(free(MovementKind.FREE_BET, "1", "0.20"), "a free bet")
        assert stage.change() == 0
        for _ in range(2):
            await stage.done(free(MovementKind.FREE_WIN, "2", "3.00"), "its win")
        assert stage.change() == 300

    tell(story)


async def issued(stage: Stage) -> str:
    """Free games of the player, by the operator's API; the reference that the provider carries."""
    game = stage.hub.games[next(iter(stage.bench.subject.games))]
    asked = {
        "reference": "ours-1",
        "player": "player-one",
        "games": [game],
        "rounds": 5,
        "bet": 20,
        "currency": "EUR",
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2026-02-01T00:00:00Z",
    }
    await stage.hub.api("POST", "/v1/free-rounds", asked)
    peer = stage.peer
    (offer,) = getattr(peer, "offers").values()  # noqa: B009 # a peer's own, which the contract does not know
    return str(offer.external)


def test_bets_need_the_session_and_what_pays_does_not(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(lifetime_seconds=60), stage.new_round()
        placed = bet(seat, round_id, "1", 100)
        await stage.done(placed, "a bet")
        await stage.hub.clock.sleep(120)
        refused(await stage.tell(bet(seat, stage.new_round(), "3", 100)), "10")
        await stage.done(win(seat, round_id, "2", 250, "1"), "a win after the session")
        await stage.done(PeerBalance(player=seat), "a balance after the session")
        assert stage.change() == 150

    tell(story)


def test_a_ticket_is_spent_once_and_the_session_goes_on_under_another_name(tell: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        seat = await stage.sit()
        ticket = stage.hub.seats[0].token
        assert seat.token not in {ticket, ""}
        await stage.done(PeerCloseRound(player=seat, round=stage.new_round()), "the end of a round that never was")
        nobody: PeerPlayer = evolve(seat, token="")
        await stage.done(bet(nobody, stage.new_round(), "1", 100), "a bet that names no session")
        assert stage.change() == -100

    tell(story)
