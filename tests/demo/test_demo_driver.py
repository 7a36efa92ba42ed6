"""A driver plays as its provider does, and books what the provider's rules say and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest
from attrs import evolve

from croupier.contract import (
    Capability,
    Credentials,
    HttpRequest,
    HttpResponse,
    Launched,
    NotFoundError,
    OnSilence,
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerCloseRound,
    PeerPlay,
    PeerPlayer,
    Verdict,
)
from croupier_conformance.drivers import Habits, ProviderDriver, Seat, Story

Message = dict[str, object]
Respond = Callable[[Message], Verdict | None]
"""What the hub answers to a message; `None` for silence."""


class PlainPeer(Peer):
    """A provider whose protocol is a line of JSON, answered by a word."""

    def __init__(self, silence: OnSilence, *, by_target: bool) -> None:
        self.capabilities = frozenset(
            {
                Capability.AUTHENTICATE,
                Capability.BATCH,
                Capability.BET,
                Capability.CLOSE_ROUND,
                Capability.ROLLBACK_BET,
                Capability.ROLLBACK_WIN,
                Capability.WIN,
            }
        )
        self.bet_on_silence = silence
        self.rollback_key_is_target = by_target
        self.combines = True
        self.closes_by_call = True

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        message: Message = {"do": "balance"}
        match action:
            case PeerPlay():
                moves = [[move.kind.value, move.id, str(move.amount), move.target] for move in action.moves]
                message = {"do": "play", "round": action.round, "moves": moves, "resend": action.resend}
                message["closes"] = action.closes_round
            case PeerCloseRound():
                message = {"do": "close", "round": action.round}
            case PeerAuthenticate():
                message = {"do": "authenticate", "token": action.player.token}
            case _:
                pass
        return HttpRequest("POST", "/", body=json.dumps(message).encode())

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        verdict = Verdict(response.body.decode())
        known = evolve(action.player, player="alias") if isinstance(action, PeerAuthenticate) else None
        return PeerAnswer(verdict=verdict, code=verdict.value, player=known)

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        raise NotImplementedError

    def launched(self, url: str) -> PeerPlayer:
        return PeerPlayer(player="", token="token-1", game="dice", currency="EUR")


class BagPeer(PlainPeer):
    """Its games start by parameters for a client-side loader."""

    def started(self, launch: Launched) -> PeerPlayer:
        return PeerPlayer(player="", token=launch.parameters["token"], game="dice", currency="EUR")


class Table:
    """A driver at a hub that answers as it is told; it keeps what it was asked."""

    def __init__(
        self,
        story: Story,
        respond: Respond,
        *,
        silence: OnSilence = OnSilence.CANCELS,
        by_target: bool = False,
        win_chance: float = 1.0,
    ) -> None:
        self.asked: list[Message] = []
        self.respond = respond
        self.driver = ProviderDriver(
            name="plain",
            peer=PlainPeer(silence, by_target=by_target),
            credentials=Credentials(),
            send=self.send,
            seed="test",
            habits=Habits(stories={story: 1}, pause_seconds=0.001, win_chance=win_chance),
        )

    async def send(self, request: HttpRequest) -> HttpResponse | None:
        message = json.loads(request.body)
        self.asked.append(message)
        verdict = self.respond(message)
        return None if verdict is None else HttpResponse.text(verdict.value)

    async def seat(self) -> Seat:
        return await self.driver.sit_down("anna", "https://games.example/1")

    async def play(self) -> None:
        await self.driver.play_round(await self.seat())

    def moves(self, kind: str) -> list[list[str]]:
        plays = [message["moves"] for message in self.asked if message["do"] == "play"]
        return [move for moves in plays if isinstance(moves, list) for move in moves if move[0] == kind]


def always(verdict: Verdict) -> Respond:
    return lambda _message: verdict


def kind_of(message: Message) -> str:
    moves = message.get("moves")
    return str(moves[0][0]) if isinstance(moves, list) else str(message["do"])


async def test_an_accepted_round_stands_in_the_book() -> None:
    table = Table(Story.COMBINED, always(Verdict.DONE))
    await table.play()
    (bet,), (win,) = table.moves("bet"), table.moves("win")
    book = table.driver.book
    assert {row.transaction: (row.kind, row.player) for row in book.values()} == {
        bet[1]: ("bet", "anna"),
        win[1]: ("win", "anna"),
    }
    assert book[bet[1]].amount == Decimal(bet[2]) * 100


async def test_a_bet_and_its_win_under_one_id_both_stand_in_the_book() -> None:
    table = Table(Story.COMBINED, always(Verdict.DONE))
    table.driver.peer.nets = True
    await table.play()
    (both,) = table.moves("bet_and_win")
    rows = list(table.driver.book.values())
    assert [(row.transaction, row.kind) for row in rows] == [(both[1], "bet"), (both[1], "win")]
    assert rows[0].amount == Decimal(both[2]) * 100


@pytest.mark.parametrize(("by_bet", "kind", "booked"), [(False, "bet_and_win", ["bet", "win"]), (True, "bet", ["bet"])])
async def test_a_bet_that_comes_with_its_win_may_lose_and_ends_its_round(
    by_bet: bool, kind: str, booked: list[str]
) -> None:
    table = Table(Story.COMBINED, always(Verdict.DONE), win_chance=0.0)
    table.driver.peer.nets, table.driver.peer.loses_by_bet = True, by_bet
    table.driver.peer.closes_by_call = False
    await table.play()
    (message,) = [message for message in table.asked if message["do"] == "play"]
    assert (kind_of(message), message["closes"]) == (kind, True)
    rows = list(table.driver.book.values())
    assert [row.kind for row in rows] == booked
    assert [row.amount for row in rows[1:]] == [0] * (len(booked) - 1)


async def test_a_bet_that_comes_with_its_win_wins_and_loses_by_chance() -> None:
    table = Table(Story.COMBINED, always(Verdict.DONE), win_chance=0.5)
    table.driver.peer.nets = table.driver.peer.loses_by_bet = True
    seat = await table.seat()
    await table.driver.play(seat, 40)
    assert 5 < len(table.moves("bet")) < 35
    assert len(table.moves("bet")) + len(table.moves("bet_and_win")) == 40


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_bet_with_its_win_that_cannot_be_cancelled_stands_in_the_book(cancelled: bool) -> None:
    def respond(message: Message) -> Verdict | None:
        if kind_of(message) == "bet_and_win":
            return None
        return Verdict.REFUSED if kind_of(message) == "rollback" and not cancelled else Verdict.DONE

    table = Table(Story.COMBINED, respond)
    table.driver.peer.nets = True
    await table.play()
    (both,), (undone,) = table.moves("bet_and_win"), table.moves("rollback")
    assert undone[3] == both[1]
    kinds = [row.kind for row in table.driver.book.values()]
    assert kinds == ([] if cancelled else ["bet", "win"])
    assert table.driver.tally["not undone"] == 0


async def test_a_stake_goes_out_and_what_is_left_comes_back() -> None:
    table = Table(Story.STAKED, always(Verdict.DONE))
    assert not table.driver.can_tell(Story.STAKED)
    table.driver.peer.capabilities |= {Capability.STAKE_TRANSFER}
    await table.play()
    (out,), (back,) = table.moves("transfer_out"), table.moves("transfer_in")
    assert back[3] == out[1]
    assert {row.transaction: row.kind for row in table.driver.book.values()} == {out[1]: "bet", back[1]: "win"}


@pytest.mark.parametrize("refused", [True, False])
async def test_a_stake_without_an_answer_is_taken_back(refused: bool) -> None:
    def respond(message: Message) -> Verdict | None:
        if kind_of(message) == "transfer_out":
            return None
        return Verdict.REFUSED if kind_of(message) == "rollback" and refused else Verdict.DONE

    table = Table(Story.STAKED, respond)
    table.driver.peer.capabilities |= {Capability.STAKE_TRANSFER}
    await table.play()
    (out,), (undone,) = table.moves("transfer_out"), table.moves("rollback")
    assert undone[3] == out[1]
    assert table.driver.book == {}
    assert table.driver.tally["not undone"] == (1 if refused else 0)


async def test_a_provider_without_rollbacks_tells_no_story_of_them() -> None:
    table = Table(Story.CANCELLED, always(Verdict.DONE))
    table.driver.peer.capabilities -= {Capability.ROLLBACK_BET, Capability.ROLLBACK_WIN}
    assert not any(table.driver.can_tell(story) for story in Story if "cancelled" in story.value)
    assert table.driver.can_tell(Story.PLAIN)


async def test_a_round_is_closed_by_a_call_where_the_provider_does_so() -> None:
    table = Table(Story.PLAIN, always(Verdict.DONE))
    await table.play()
    assert table.asked[-1]["do"] == "close"


async def test_a_refused_bet_is_not_booked_and_not_rolled_back() -> None:
    table = Table(Story.TOO_MUCH, lambda message: Verdict.DONE if kind_of(message) != "bet" else Verdict.REFUSED)
    await table.play()
    assert table.driver.book == {}
    assert table.moves("rollback") == []
    assert table.driver.tally["refused"] == 1


@pytest.mark.parametrize("answer", [None, Verdict.RETRY])
async def test_a_bet_without_an_answer_is_rolled_back_until_that_is_answered(answer: Verdict | None) -> None:
    rollbacks = 0

    def respond(message: Message) -> Verdict | None:
        nonlocal rollbacks
        if kind_of(message) == "bet":
            return answer
        if kind_of(message) != "rollback":
            return Verdict.DONE
        rollbacks += 1
        return Verdict.DONE if rollbacks == 3 else answer

    table = Table(Story.TOO_MUCH, respond)
    await table.play()
    sent = table.moves("rollback")
    assert len(sent) == 3
    assert len({move[1] for move in sent}) == 1
    assert {move[3] for move in sent} == {table.moves("bet")[0][1]}
    assert table.driver.book == {}


async def test_a_rollback_repeats_the_id_of_its_target_where_the_provider_does_so() -> None:
    table = Table(Story.CANCELLED, always(Verdict.DONE), by_target=True)
    await table.play()
    (bet,), (rollback,) = table.moves("bet"), table.moves("rollback")
    assert rollback[1] == rollback[3] == bet[1]


async def test_a_provider_that_resends_sends_the_same_bet_until_it_is_answered() -> None:
    bets = 0

    def respond(message: Message) -> Verdict | None:
        nonlocal bets
        if kind_of(message) != "bet":
            return Verdict.DONE
        bets += 1
        return Verdict.DONE if bets == 3 else None

    table = Table(Story.TOO_MUCH, respond, silence=OnSilence.RESENDS)
    await table.play()
    assert len(table.moves("bet")) == 3
    assert len({move[1] for move in table.moves("bet")}) == 1
    assert len(table.driver.book) == 1
    assert [message["resend"] for message in table.asked if message["do"] == "play"] == [False, True, True]


async def test_a_provider_that_gives_up_books_nothing_and_sends_nothing_more() -> None:
    table = Table(
        Story.TOO_MUCH,
        lambda message: None if kind_of(message) == "bet" else Verdict.DONE,
        silence=OnSilence.NEITHER,
    )
    await table.play()
    assert len(table.moves("bet")) == 1
    assert table.moves("rollback") == []
    assert table.driver.book == {}


async def test_a_win_is_sent_until_it_is_answered_and_booked_once() -> None:
    wins = 0

    def respond(message: Message) -> Verdict | None:
        nonlocal wins
        if kind_of(message) != "win":
            return Verdict.DONE
        wins += 1
        return Verdict.DONE if wins == 4 else None

    table = Table(Story.PLAIN, respond)
    await table.play()
    assert len(table.moves("win")) == 4
    assert [row.kind for row in table.driver.book.values()].count("win") == 1


async def test_a_win_that_is_refused_is_not_booked() -> None:
    table = Table(Story.PLAIN, lambda message: Verdict.REFUSED if kind_of(message) == "win" else Verdict.DONE)
    await table.play()
    assert {row.kind for row in table.driver.book.values()} == {"bet"}
    assert table.driver.tally["unpaid"] == 1


@pytest.mark.parametrize("story", [Story.CANCELLED, Story.CANCELLED_IN_FLIGHT, Story.CANCELLED_BEFORE])
async def test_a_bet_that_is_rolled_back_does_not_stand(story: Story) -> None:
    table = Table(story, always(Verdict.DONE))
    await table.play()
    assert len(table.moves("bet")) == 1
    assert table.driver.book == {}
    assert table.driver.tally["rollbacks"] == 1


async def test_an_accepted_bet_whose_rollback_is_refused_still_stands() -> None:
    table = Table(Story.CANCELLED, lambda message: Verdict.REFUSED if kind_of(message) == "rollback" else Verdict.DONE)
    await table.play()
    assert len(table.driver.book) == 1
    assert table.driver.tally["not undone"] == 1


async def test_a_win_that_is_rolled_back_leaves_its_bet() -> None:
    table = Table(Story.WIN_UNDONE, always(Verdict.DONE))
    await table.play()
    assert [row.kind for row in table.driver.book.values()] == ["bet"]


async def test_both_parts_of_an_unanswered_bet_and_win_are_rolled_back() -> None:
    table = Table(Story.COMBINED, lambda message: None if kind_of(message) == "bet" else Verdict.DONE)
    await table.play()
    targets = [move[3] for move in table.moves("rollback")]
    assert targets == [table.moves("bet")[0][1], table.moves("win")[0][1]]
    assert table.driver.book == {}


async def test_the_launch_token_is_exchanged_before_the_first_bet() -> None:
    table = Table(Story.PLAIN, always(Verdict.DONE))
    seat = await table.seat()
    assert table.asked == [{"do": "authenticate", "token": "token-1"}]
    assert seat.player.player == "alias"


async def test_a_token_that_is_refused_leaves_no_seat() -> None:
    table = Table(Story.PLAIN, always(Verdict.REFUSED))
    with pytest.raises(ConnectionRefusedError):
        await table.seat()


async def test_the_same_seed_plays_the_same_rounds() -> None:
    runs = []
    for _ in range(2):
        table = Table(Story.PLAIN, always(Verdict.DONE))
        await table.driver.play(await table.seat(), 5)
        runs.append(table.asked)
    assert runs[0] == runs[1]


async def test_a_game_may_start_by_parameters() -> None:
    table = Table(Story.PLAIN, lambda message: Verdict.DONE)
    table.driver.peer = BagPeer(OnSilence.CANCELS, by_target=False)
    seat = await table.driver.sit_down("anna", Launched(parameters={"token": "token-7"}))
    assert (seat.player.token, table.asked[0]) == ("token-7", {"do": "authenticate", "token": "token-7"})


def test_a_peer_that_knows_addresses_alone_starts_nothing_else() -> None:
    peer = PlainPeer(OnSilence.CANCELS, by_target=False)
    assert peer.started(Launched(url="https://games.example/1")).token == "token-1"
    with pytest.raises(NotFoundError):
        peer.started(Launched(html="<p>play</p>"))
