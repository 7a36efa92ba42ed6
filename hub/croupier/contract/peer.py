"""The peer contract: a provider's side of its own protocol, simulated without I/O.

Every adapter ships its peer. It builds and signs the requests that the provider would send, reads the hub's answers by
the provider's rules, and answers the calls that the hub makes (launch, game list, free rounds). The demo, the tests,
the conformance kit and load tests drive it; none of them knows a protocol.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from decimal import Decimal
from enum import Enum, unique

from attrs import frozen

from croupier.contract.calls import MovementKind
from croupier.contract.capabilities import Capability
from croupier.contract.errors import NotFoundError
from croupier.contract.flows import Launched
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.policy import OnSilence
from croupier.contract.secrets import Credentials


@frozen(kw_only=True)
class PeerPlayer:
    """A player as the provider came to know it from a launch.

    Attributes:
        player: The alias.
        token: The token that launch or authenticate gave.
        game: The game's code.
        currency: The currency's code on the wire.
        session: The provider's own session id.
    """

    player: str
    token: str
    game: str
    currency: str
    session: str = ""


@frozen(kw_only=True)
class PeerMove:
    """One movement the provider wants.

    Attributes:
        kind: What it is.
        id: The provider's id of it.
        amount: Major units, exact.
        target: Of a rollback: the id of what is undone. Of a win: the id of its bet.
        win_amount: The payout of a `BET_AND_WIN`.
        undoes: Of a rollback: what it undoes, for protocols with several; `None` for a bet or win that came alone.
    """

    kind: MovementKind
    id: str
    amount: Decimal = Decimal(0)
    target: str | None = None
    win_amount: Decimal | None = None
    undoes: MovementKind | None = None


@frozen(kw_only=True)
class PeerPlay:
    """One request that moves money.

    Attributes:
        player: Who plays.
        round: The provider's round id.
        moves: In order. A peer refuses (`UnsupportedOperationError`) what its protocol cannot say in one request.
        closes_round: Whether the round ends.
        grant: The free rounds it belongs to.
        resend: Whether this is sent again.
    """

    player: PeerPlayer
    round: str
    moves: tuple[PeerMove, ...]
    closes_round: bool = False
    grant: str | None = None
    resend: bool = False


@frozen(kw_only=True)
class PeerAuthenticate:
    """Exchange the launch token."""

    player: PeerPlayer


@frozen(kw_only=True)
class PeerBalance:
    """Ask for the balance."""

    player: PeerPlayer


@frozen(kw_only=True)
class PeerCloseRound:
    """End a round without money."""

    player: PeerPlayer
    round: str


PeerAction = PeerPlay | PeerAuthenticate | PeerBalance | PeerCloseRound


@unique
class Verdict(Enum):
    """How the provider understands an answer."""

    DONE = "done"
    """The provider books it."""
    REFUSED = "refused"
    """Definitely not: the provider books nothing, and sends no rollback."""
    RETRY = "retry"
    """Not answered yet: the provider does what it does when it hears nothing."""


@frozen(kw_only=True)
class PeerAnswer:
    """The hub's answer, as the provider understands it.

    Attributes:
        verdict: What the provider makes of it.
        code: The protocol's own code.
        balance: Major units, where the answer carries it.
        transaction: The id the hub gave, where the answer carries it.
        player: The player with a new token or alias, after authenticate.
    """

    verdict: Verdict
    code: str
    balance: Decimal | None = None
    transaction: str | None = None
    player: PeerPlayer | None = None


class Peer(ABC):
    """A simulated provider. Its requests are pure; what it remembers of launches and free rounds it keeps itself.

    Attributes:
        capabilities: What it can do (those of its adapter).
        bet_on_silence: What it does with a bet that got no answer. Wins and rollbacks are always sent again.
        rollback_key_is_target: Whether a rollback has no id of its own but repeats the id of what it undoes.
        closes_by_call: Whether a round ends by `PeerCloseRound` (else by the flag of the last play).
        combines: Whether a bet and a win fit one request.
        nets: Whether a bet and its win are one movement of one id (`BET_AND_WIN`).
        loses_by_bet: Of such a movement that wins nothing: whether it is a `BET` alone, which may end its round (else a
            `BET_AND_WIN` whose win is zero).
    """

    capabilities: frozenset[Capability]
    bet_on_silence: OnSilence = OnSilence.CANCELS
    rollback_key_is_target: bool = False
    closes_by_call: bool = False
    combines: bool = False
    nets: bool = False
    loses_by_bet: bool = False

    @abstractmethod
    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        """Build and sign what the provider would send; `url` begins below the connection's address.

        Raises:
            UnsupportedOperationError: The protocol cannot say this.
        """

    @abstractmethod
    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        """Read the hub's answer as the provider would: what it does not understand is `RETRY`."""

    @abstractmethod
    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a call of the hub (launch, game list, free rounds, logs) as the provider would, proof checked."""

    @abstractmethod
    def launched(self, url: str) -> PeerPlayer:
        """The player that a launch's address stands for: what the game's client would know when it starts.

        Raises:
            NotFoundError: This peer launched no such thing.
        """

    def started(self, launch: Launched) -> PeerPlayer:
        """The player that a launch stands for, whichever way its game starts: by an address, a page or parameters.

        The default knows addresses alone; a peer whose provider launches otherwise reads the page or the parameters.

        Raises:
            NotFoundError: This peer launched no such thing.
        """
        if launch.url is None:
            raise NotFoundError("this peer starts games by an address alone", where="url")
        return self.launched(launch.url)
