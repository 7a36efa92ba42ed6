"""Plays rounds as a provider would, through its peer, and keeps the provider's book by the provider's rules.

A `ProviderDriver` knows no protocol: the peer builds the requests and reads the answers. What is booked follows from
answers alone. A bet without an answer is cancelled or sent again, as the peer says its provider does; wins, rollbacks
and the ends of rounds are sent until they are answered definitely. The hub is never asked what it holds.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from enum import Enum, unique
from functools import partial
from typing import Final
from uuid import UUID

from attrs import evolve, field, frozen

from croupier.contract import (
    Capability,
    Credentials,
    HttpRequest,
    HttpResponse,
    Launched,
    MovementKind,
    OnSilence,
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Verdict,
    minor_to_decimal,
)
from croupier_conformance.books import Entry

Send = Callable[[HttpRequest], Awaitable[HttpResponse | None]]
"""Sends a request, waits as long as the provider waits, and gives the answer, or `None` for silence."""

SILENCE: Final = PeerAnswer(verdict=Verdict.RETRY, code="")
"""What hearing nothing means."""


@unique
class Story(Enum):
    """How a round goes."""

    PLAIN = "plain"
    """One or two bets, then what they won, which may be nothing."""
    COMBINED = "combined"
    """Bet and win in one request, as two movements or as one, where the protocol has that."""
    CANCELLED = "cancelled"
    """The bet is accepted, and then rolled back."""
    CANCELLED_IN_FLIGHT = "cancelled in flight"
    """The rollback is sent while the bet is still on its way."""
    CANCELLED_BEFORE = "cancelled before"
    """The rollback arrives, and only then the bet."""
    WIN_UNDONE = "win undone"
    """The win is accepted, and then rolled back, where the protocol has that."""
    STAKED = "staked"
    """A stake is moved into the game, and what is left of it comes back, where the protocol has that."""
    TOO_MUCH = "too much"
    """A bet that the player cannot pay."""


STORIES: Final[Mapping[Story, int]] = {
    Story.PLAIN: 60,
    Story.COMBINED: 22,
    Story.CANCELLED: 5,
    Story.CANCELLED_IN_FLIGHT: 4,
    Story.CANCELLED_BEFORE: 3,
    Story.WIN_UNDONE: 4,
    Story.STAKED: 10,
    Story.TOO_MUCH: 2,
}
"""How often each story is told, by weight."""


@frozen(kw_only=True)
class Habits:
    """How a driver plays.

    Attributes:
        scale: The currency's scale.
        largest_bet: Minor units.
        too_much: The bet of a player who cannot pay, in minor units.
        win_chance: How likely a bet wins.
        pause_seconds: The wait before something is sent again; it grows to eight times that.
        stories: Stories by weight.
    """

    scale: int = 2
    largest_bet: int = 500
    too_much: int = 10_000_000
    win_chance: float = 0.45
    pause_seconds: float = 0.15
    stories: Mapping[Story, int] = field(factory=lambda: STORIES)


@frozen(kw_only=True)
class Seat:
    """A player at the provider.

    Attributes:
        label: Whom the book's entries name: the operator's id of the player.
        player: The player as the provider knows it.
        dice: Its own chance, so that a run does not depend on who is faster.
    """

    label: str
    player: PeerPlayer
    dice: random.Random


@frozen(kw_only=True)
class Bet:
    """A bet or win to be asked for."""

    id: str
    amount: int


class ProviderDriver:
    """A provider at work.

    Args:
        name: The connection's name, in the entries of the book.
        peer: The provider.
        credentials: The connection's secrets.
        send: The way to the hub.
        seed: Of every chance.
        habits: How it plays.
        now: The provider's clock (UTC, aware); by default the wall's.

    Attributes:
        book: What the provider holds: transaction id to entry.
        tally: `rounds`; `bets`, `wins` and `rollbacks` that were acknowledged; bets that were `refused` or
            `unanswered`; and, refused definitely though they are owed, wins `unpaid` and movements `not undone`.
    """

    def __init__(
        self,
        *,
        name: str,
        peer: Peer,
        credentials: Credentials,
        send: Send,
        seed: str,
        habits: Habits = Habits(),
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.name = name
        self.peer = peer
        self.book: dict[str, Entry] = {}
        self.tally: Counter[str] = Counter()
        self._credentials = credentials
        self._send = send
        self._seed = seed
        self._habits = habits
        self._now = now or partial(datetime.now, UTC)
        self._rounds = 0

    async def sit_down(self, label: str, launch: str | Launched) -> Seat:
        """A player's game starts: what the launch gave is opened, and its token exchanged where the provider does so.

        Args:
            label: The operator's id of the player.
            launch: What the launch returned; a text is its address.

        Raises:
            NotFoundError: The peer launched no such thing.
            ConnectionRefusedError: The hub definitely did not accept the token.
        """
        given = Launched(url=launch) if isinstance(launch, str) else launch
        player = self.peer.started(given)
        mark = given.url or player.token
        seat = Seat(label=label, player=player, dice=random.Random(f"{self._seed}/{label}/{mark}"))
        if Capability.AUTHENTICATE not in self.peer.capabilities:
            return seat
        answer = await self._until_definite(seat, PeerAuthenticate(player=seat.player))
        if answer.verdict is not Verdict.DONE or answer.player is None:
            raise ConnectionRefusedError(f"{self.name}: authenticate was answered {answer.code}")
        return evolve(seat, player=answer.player)

    async def play(self, seat: Seat, rounds: int) -> None:
        """Play rounds, one after the other."""
        for _ in range(rounds):
            await self.play_round(seat)

    async def play_round(self, seat: Seat) -> None:
        """Play one round to its end: whatever was asked for has a definite answer when this returns."""
        self._rounds += 1
        round_id = str(7_000_000_000 + self._rounds)
        stories = [story for story in self._habits.stories if self.can_tell(story)]
        weights = [self._habits.stories[story] for story in stories]
        story = seat.dice.choices(stories, weights)[0]
        tellers = {
            Story.PLAIN: self._plain,
            Story.COMBINED: self._combined,
            Story.CANCELLED: self._cancelled,
            Story.CANCELLED_IN_FLIGHT: self._cancelled_in_flight,
            Story.CANCELLED_BEFORE: self._cancelled_before,
            Story.WIN_UNDONE: self._win_undone,
            Story.STAKED: self._staked,
            Story.TOO_MUCH: self._too_much,
        }
        await tellers[story](seat, round_id)
        self.tally["rounds"] += 1

    def can_tell(self, story: Story) -> bool:
        """Whether the provider's protocol has what a story needs."""
        can = self.peer.capabilities
        match story:
            case Story.COMBINED:
                return self.peer.nets or (self.peer.combines and Capability.BATCH in can)
            case Story.CANCELLED | Story.CANCELLED_IN_FLIGHT | Story.CANCELLED_BEFORE:
                return Capability.ROLLBACK_BET in can
            case Story.WIN_UNDONE:
                return Capability.ROLLBACK_WIN in can
            case Story.STAKED:
                return Capability.STAKE_TRANSFER in can
            case _:
                return True

    # --- the stories --------------------------------------------------------------------------------------------------

    async def _plain(self, seat: Seat, round_id: str) -> None:
        if seat.dice.random() < 0.1:
            await self._exchange(seat, PeerBalance(player=seat.player))
        bets = [self._bet(seat) for _ in range(2 if seat.dice.random() < 0.15 else 1)]
        stood = [bet for bet in bets if await self._place(seat, round_id, bet)]
        if not stood:
            return
        win = self._win(seat, stood[0])
        await self._pay(seat, round_id, win, target=stood[0], closes=not self.peer.closes_by_call)
        if self.peer.closes_by_call:
            await self._close(seat, round_id)

    async def _combined(self, seat: Seat, round_id: str) -> None:
        bet = self._bet(seat)
        win, moves = self._settled(seat, bet)
        play = PeerPlay(player=seat.player, round=round_id, moves=moves, closes_round=not self.peer.closes_by_call)
        answer = await self._ask(seat, play)
        stands = answer.verdict is Verdict.DONE
        if not stands:
            self._not_accepted(answer)
        if answer.verdict is Verdict.RETRY and self.peer.bet_on_silence is OnSilence.CANCELS:
            if self.peer.nets:
                # What was settled by its own message may stand: then the provider keeps the round.
                stands = not await self._undo(seat, round_id, bet, undoes=MovementKind.BET_AND_WIN)
            else:
                await self._undo(seat, round_id, bet, win)
        if stands:
            self._book(seat, "bet", bet)
            if len(moves) > 1 or moves[0].kind is MovementKind.BET_AND_WIN:
                self._book(seat, "win", win)

    def _settled(self, seat: Seat, bet: Bet) -> tuple[Bet, tuple[PeerMove, ...]]:
        """What a bet won, which may be nothing, and how this provider says both in one request."""
        scale, win = self._habits.scale, self._win(seat, bet)
        staked = _move(MovementKind.BET, bet, scale)
        if not self.peer.nets:
            return win, (staked, _move(MovementKind.WIN, win, scale))
        win = evolve(win, id=bet.id)
        return win, (staked if self.peer.loses_by_bet and not win.amount else _net(bet, win, scale),)

    async def _cancelled(self, seat: Seat, round_id: str) -> None:
        bet = self._bet(seat)
        if await self._place(seat, round_id, bet):
            await self._undo(seat, round_id, bet)

    async def _cancelled_in_flight(self, seat: Seat, round_id: str) -> None:
        bet = self._bet(seat)
        placed = asyncio.ensure_future(self._exchange(seat, self._betting(seat, round_id, bet)))
        await asyncio.sleep(seat.dice.choice((0.0, 0.002, 0.01, 0.03)))
        await self._undo(seat, round_id, bet)
        await placed

    async def _cancelled_before(self, seat: Seat, round_id: str) -> None:
        bet = self._bet(seat)
        await self._undo(seat, round_id, bet)
        await self._exchange(seat, self._betting(seat, round_id, bet))

    async def _win_undone(self, seat: Seat, round_id: str) -> None:
        bet = self._bet(seat)
        if not await self._place(seat, round_id, bet):
            return
        win = Bet(id=_new_id(seat.dice), amount=seat.dice.randint(1, self._habits.largest_bet))
        if await self._pay(seat, round_id, win, target=bet, closes=False):
            await self._undo(seat, round_id, win)
        if self.peer.closes_by_call or Capability.CLOSE_ROUND in self.peer.capabilities:
            await self._close(seat, round_id)

    async def _staked(self, seat: Seat, round_id: str) -> None:
        stake = self._bet(seat)
        move = _move(MovementKind.TRANSFER_OUT, stake, self._habits.scale)
        answer = await self._ask(seat, PeerPlay(player=seat.player, round=round_id, moves=(move,)))
        if answer.verdict is Verdict.DONE:
            self._book(seat, "bet", stake)
            left = self._win(seat, stake)
            await self._pay(seat, round_id, left, target=stake, closes=False, kind=MovementKind.TRANSFER_IN)
            return
        self._not_accepted(answer)
        if answer.verdict is Verdict.RETRY and self.peer.bet_on_silence is OnSilence.CANCELS:
            await self._undo(seat, round_id, stake, undoes=MovementKind.TRANSFER_OUT)

    async def _too_much(self, seat: Seat, round_id: str) -> None:
        await self._place(seat, round_id, Bet(id=_new_id(seat.dice), amount=self._habits.too_much))

    # --- one movement -------------------------------------------------------------------------------------------------

    async def _place(self, seat: Seat, round_id: str, bet: Bet) -> bool:
        """Ask for a bet; whether the provider holds it in the end."""
        answer = await self._ask(seat, self._betting(seat, round_id, bet))
        if answer.verdict is Verdict.DONE:
            self._book(seat, "bet", bet)
            return True
        self._not_accepted(answer)
        if answer.verdict is Verdict.RETRY and self.peer.bet_on_silence is OnSilence.CANCELS:
            await self._undo(seat, round_id, bet)
        return False

    async def _pay(
        self,
        seat: Seat,
        round_id: str,
        win: Bet,
        *,
        target: Bet,
        closes: bool,
        kind: MovementKind = MovementKind.WIN,
    ) -> bool:
        move = evolve(_move(kind, win, self._habits.scale), target=target.id)
        play = PeerPlay(player=seat.player, round=round_id, moves=(move,), closes_round=closes)
        answer = await self._until_definite(seat, play)
        if answer.verdict is Verdict.DONE:
            self._book(seat, "win", win)
            return True
        self.tally["unpaid"] += 1
        return False

    async def _undo(self, seat: Seat, round_id: str, *undone: Bet, undoes: MovementKind | None = None) -> bool:
        """Roll back until it is answered; what the provider held is gone from its book then, unless it was refused."""
        by_target = self.peer.rollback_key_is_target
        moves = tuple(
            PeerMove(
                kind=MovementKind.ROLLBACK,
                id=item.id if by_target else _new_id(seat.dice),
                amount=minor_to_decimal(item.amount, self._habits.scale),
                target=item.id,
                undoes=undoes,
            )
            for item in undone
        )
        answer = await self._until_definite(seat, PeerPlay(player=seat.player, round=round_id, moves=moves))
        if answer.verdict is not Verdict.DONE:
            if undoes is not MovementKind.BET_AND_WIN:
                self.tally["not undone"] += len(undone)
            return False
        self.tally["rollbacks"] += len(undone)
        for item in undone:
            self.book.pop(item.id, None)
        return True

    async def _close(self, seat: Seat, round_id: str) -> None:
        await self._until_definite(seat, PeerCloseRound(player=seat.player, round=round_id))

    def _betting(self, seat: Seat, round_id: str, bet: Bet) -> PeerPlay:
        return PeerPlay(player=seat.player, round=round_id, moves=(_move(MovementKind.BET, bet, self._habits.scale),))

    def _bet(self, seat: Seat) -> Bet:
        return Bet(id=_new_id(seat.dice), amount=seat.dice.randint(1, self._habits.largest_bet))

    def _win(self, seat: Seat, bet: Bet) -> Bet:
        won = seat.dice.random() < self._habits.win_chance
        return Bet(id=_new_id(seat.dice), amount=seat.dice.randint(1, 2 * bet.amount) if won else 0)

    def _book(self, seat: Seat, kind: str, item: Bet) -> None:
        self.tally[f"{kind}s"] += 1
        # The win of a net movement has the bet's id: it stands beside it.
        self.book[f"{item.id}#{kind}" if item.id in self.book else item.id] = Entry(
            transaction=item.id, player=seat.label, kind=kind, amount=item.amount, provider=self.name
        )

    def _not_accepted(self, answer: PeerAnswer) -> None:
        self.tally["refused" if answer.verdict is Verdict.REFUSED else "unanswered"] += 1

    # --- asking -------------------------------------------------------------------------------------------------------

    async def _ask(self, seat: Seat, action: PeerAction) -> PeerAnswer:
        """Ask for a bet as this provider does: once, or until there is a definite answer."""
        if self.peer.bet_on_silence is OnSilence.RESENDS:
            return await self._until_definite(seat, action)
        return await self._exchange(seat, action)

    async def _until_definite(self, seat: Seat, action: PeerAction) -> PeerAnswer:
        answer = await self._exchange(seat, action)
        wait = self._habits.pause_seconds
        while answer.verdict is Verdict.RETRY:
            await asyncio.sleep(wait * seat.dice.uniform(0.5, 1.0))
            wait = min(wait * 2, self._habits.pause_seconds * 8)
            again = evolve(action, resend=True) if isinstance(action, PeerPlay) else action
            answer = await self._exchange(seat, again)
        return answer

    async def _exchange(self, seat: Seat, action: PeerAction) -> PeerAnswer:
        response = await self._send(self.peer.request(action, self._credentials, self._now()))
        return SILENCE if response is None else self.peer.answer(action, response)


def _move(kind: MovementKind, item: Bet, scale: int) -> PeerMove:
    return PeerMove(kind=kind, id=item.id, amount=minor_to_decimal(item.amount, scale))


def _net(bet: Bet, win: Bet, scale: int) -> PeerMove:
    return evolve(_move(MovementKind.BET_AND_WIN, bet, scale), win_amount=minor_to_decimal(win.amount, scale))


def _new_id(dice: random.Random) -> str:
    return UUID(int=dice.getrandbits(128), version=4).hex
