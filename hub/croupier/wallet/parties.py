"""Who takes part in a call, as the engine needs to know them, and what it asks of the rooms above.

Configuration resolves stored rows into these values once; the engine reads policies from them and never a
provider's name.
"""

from __future__ import annotations

from typing import Protocol

from attrs import field

from croupier.contract import (
    Credentials,
    Currencies,
    DeclineReason,
    Dialect,
    Policies,
    WalletCapability,
    WalletPolicy,
)
from croupier.contract.values import immutable
from croupier.ledger.records import SessionRow


@immutable(kw_only=True, eq=False)
class Operator:
    """An operator and its wallet.

    Attributes:
        id: Immutable.
        enabled: Whether bets are accepted; wins and rollbacks always are.
        dialect: The wallet's protocol.
        credentials: The wallet's secrets.
        capabilities: What the wallet can do: the dialect's, less what the operator's wallet lacks.
        policy: What is known of the wallet.
    """

    id: str
    dialect: Dialect
    credentials: Credentials
    enabled: bool = True
    capabilities: frozenset[WalletCapability] = frozenset()
    policy: WalletPolicy = field(factory=WalletPolicy)


@immutable(kw_only=True, eq=False)
class Connection:
    """One configured use of an adapter by one operator, as the engine sees it.

    Attributes:
        id: Immutable: the scope of every key, whatever the connection is called.
        name: Its name in URLs and in calls to the operator.
        provider: The adapter's slug, for the operator's records alone.
        operator: The operator.
        policies: The effective policies.
        currencies: The registered currencies.
        enabled: Whether bets are accepted.
    """

    id: str
    name: str
    provider: str
    operator: Operator
    policies: Policies
    currencies: Currencies = field(factory=Currencies)
    enabled: bool = True


@immutable(kw_only=True)
class Route:
    """A game as one connection serves it.

    Attributes:
        game: The hub's game id.
        code: The provider's code in wallet calls.
        refusal: Why bets are refused now (`GAME_DISABLED`, `GAME_FORBIDDEN`), or `None`.
    """

    game: str
    code: str
    refusal: DeclineReason | None = None


@immutable(kw_only=True)
class Request:
    """What a call is handled with.

    Attributes:
        connection: The connection it came by.
        trace: The request's trace.
        deadline: `Clock.monotonic` value by which the provider must be answered.
    """

    connection: Connection
    trace: str
    deadline: float


class Games(Protocol):
    """Which games a connection serves."""

    def route(self, connection: str, code: str) -> Route | None:
        """The route of a provider's game code, or `None` if the connection has no such game."""


@immutable(kw_only=True)
class Admission:
    """A session that a token opened.

    Attributes:
        session: The session, active now.
        token: The token that the provider shall use from now on.
    """

    session: SessionRow
    token: str


class Sessions(Protocol):
    """What the engine asks about sessions."""

    async def admit(
        self, connection: Connection, token: str, *, rotate: bool, renew: bool = False
    ) -> Admission | DeclineReason:
        """Exchange a launch token (once) or a session token; `SESSION_UNKNOWN` or `SESSION_EXPIRED` otherwise."""

    async def by_token(self, connection: Connection, token: str, *, fresh: bool = True) -> SessionRow | None:
        """The session of a launch or session token, whatever its state.

        Args:
            connection: Where the token was presented.
            token: What the provider sent.
            fresh: Whether it must be as it is stored now. Otherwise it may be as it was a while ago: what is decided
                on it is then only written if it has not changed since (`croupier.ledger.port.Change.expects`).
        """

    async def latest(self, connection: Connection, player: str) -> SessionRow | None:
        """The player's newest session with the connection, whatever its state."""

    def is_live(self, session: SessionRow) -> bool:
        """Whether bets may be accepted on it now."""

    def is_current(self, session: SessionRow, token: str) -> bool:
        """Whether a token of the session is its present one, and not one that was replaced."""

    async def end(self, operator: str, session: str) -> SessionRow:
        """End a session: bets are refused from now on, wins and rollbacks are not."""

    async def alias(self, connection: Connection, player: str) -> str:
        """The name by which the connection's provider knows a player."""

    async def player(self, connection: Connection, alias: str) -> str | None:
        """The surrogate behind a provider's name of a player."""


class Connections(Protocol):
    """Finds a connection again, for work that outlives its request."""

    def connection(self, operator: str, connection: str) -> Connection | None:
        """The connection of an id, whether enabled or not; `None` if it does not exist or cannot be used now."""
