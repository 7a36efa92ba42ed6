"""The peer contract of the operator's side: a wallet that speaks a dialect's protocol, simulated without I/O.

Whoever writes a dialect for a protocol that operators already serve ships one, as adapters ship a `Peer`: it shows what
the dialect expects of a wallet, tests play against it, and the kit certifies the two together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import frozen

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
