"""The peer contract of the operator's side: a wallet that speaks a dialect's protocol, simulated without I/O.

Whoever writes a dialect for a protocol that operators already serve ships one, as adapters ship a `Peer`: it shows what
the dialect expects of a wallet, tests play against it, and the kit certifies the two together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from attrs import define, frozen

from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.money import Currency
from croupier.contract.secrets import Credentials


@frozen(kw_only=True)
class PeerAccount:
    """One player's account.

    Attributes:
        player: The operator's id of the player.
        currency: The currency's code.
        opening: With how much it was opened, in minor units.
        balance: What it holds now, in minor units; below zero is a deficit.
    """

    player: str
    currency: str
    opening: int
    balance: int


@frozen(kw_only=True)
class PeerTransaction:
    """One movement in a simulated wallet's book.

    Attributes:
        transaction: The hub's id.
        player: Whose.
        operation: `bet`, `win` or `rollback`.
        currency: The currency's code.
        amount: What was asked for, in minor units, never negative; of a rollback what it gave back or took.
        moved: What it did to the balance, in minor units.
        state: `applied`, `rolled_back`, or `tombstone` if its rollback came first.
        target: Of a rollback: what was undone.
        round: The round, as the protocol names it.
        game: The game, as the protocol names it.
    """

    transaction: str
    player: str
    operation: str
    currency: str
    amount: int
    moved: int
    state: str
    target: str | None
    round: str
    game: str


class WalletPeer(ABC):
    """A simulated operator's wallet: its accounts and movements are in memory, and one call is worked on at a time."""

    @abstractmethod
    def open_player(self, player: str, currency: Currency, balance: int, session: str | None = None) -> None:
        """Make a player, or find them (their balance stays), and open a session."""

    @abstractmethod
    def end_session(self, session: str) -> None:
        """The player logged out."""

    @abstractmethod
    def answer(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a request of the hub. Total: what is no message of the protocol gets the protocol's error.

        Args:
            request: As it arrived; its url may be a path alone.
            credentials: The secrets that the hub's dialect is configured with.
            now: For time stamps.
        """

    @abstractmethod
    def accounts(self) -> Sequence[PeerAccount]:
        """Every account, in the order they were opened."""

    @abstractmethod
    def transactions(self) -> Sequence[PeerTransaction]:
        """Every movement, in the order they were recorded."""

    def book(self) -> Mapping[str, Sequence[PeerAccount] | Sequence[PeerTransaction]]:
        """The whole book: what a reconciliation compares."""
        return {"accounts": self.accounts(), "movements": self.transactions()}


@define
class HeldAccount:
    """One player's account, as a simulated wallet keeps it.

    Attributes:
        player: The operator's id of the player.
        currency: The currency.
        opening: With how much it was opened, in minor units.
        balance: What it holds now, in minor units.
    """

    player: str
    currency: Currency
    opening: int
    balance: int


@define(kw_only=True)
class HeldTransaction:
    """One movement, as a simulated wallet keeps it; a dialect's peer adds what its protocol needs.

    Attributes:
        transaction: The hub's id.
        player: Whose.
        operation: `bet`, `win` or `rollback`; of a tombstone `bet`, for the kind of what is to come is not told.
        currency: The currency's code.
        content: What a repeat must agree with; a tombstone has none.
        amount: What was asked for, in minor units; of a rollback what it gave back or took.
        moved: What it did to the balance, in minor units.
        state: As in `PeerTransaction`.
        target: Of a rollback: what was undone.
        round: The round, as the protocol names it.
        game: The game, as the protocol names it.
    """

    transaction: str
    player: str
    operation: str
    currency: str
    content: tuple[Any, ...] = ()
    amount: int = 0
    moved: int = 0
    state: str = "applied"
    target: str | None = None
    round: str = ""
    game: str = ""

    def told(self) -> PeerTransaction:
        """What a reconciliation sees of it."""
        return PeerTransaction(
            transaction=self.transaction,
            player=self.player,
            operation=self.operation,
            currency=self.currency,
            amount=self.amount,
            moved=self.moved,
            state=self.state,
            target=self.target,
            round=self.round,
            game=self.game,
        )


Held = TypeVar("Held", bound=HeldTransaction)


class BookWalletPeer(WalletPeer, Generic[Held]):
    """A simulated wallet with a book in memory: its accounts, sessions and movements. What is left is the protocol.

    Attributes:
        held: The accounts by player.
        rows: The movements by the hub's id.
    """

    def __init__(self) -> None:
        self.held: dict[str, HeldAccount] = {}
        self.rows: dict[str, Held] = {}
        self._sessions: dict[str, str] = {}
        self._ended: set[str] = set()

    def open_player(self, player: str, currency: Currency, balance: int, session: str | None = None) -> None:
        """Make a player, or find them (their balance stays), and open a session."""
        if player not in self.held:
            self.held[player] = HeldAccount(player, currency, balance, balance)
        if session is not None:
            self._sessions[session] = player
            self._ended.discard(session)

    def end_session(self, session: str) -> None:
        """The player logged out."""
        self._ended.add(session)

    def is_session_of(self, player: str, session: str) -> bool:
        """Whether a session was opened for this player; it may have ended."""
        return self._sessions.get(session) == player

    def has_ended(self, session: str) -> bool:
        """Whether the player logged out of a session."""
        return session in self._ended

    def accounts(self) -> Sequence[PeerAccount]:
        """Every account, in the order they were opened."""
        return [
            PeerAccount(player=one.player, currency=one.currency.code, opening=one.opening, balance=one.balance)
            for one in self.held.values()
        ]

    def transactions(self) -> Sequence[PeerTransaction]:
        """Every movement, in the order they were recorded."""
        return [row.told() for row in self.rows.values()]
