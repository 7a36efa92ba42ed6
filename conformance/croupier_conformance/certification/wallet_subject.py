"""What is certified on the operator's side: a test wallet that is really there, asked through its dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import field, frozen

from croupier.contract import Credentials, Currency, Dialect, HttpRequest, HttpResponse, WalletCapability


@frozen(kw_only=True)
class TestPlayer:
    """A player whom the operator made for this.

    Attributes:
        player: The operator's own id.
        session: A session token of the operator, where its wallet asks for one.
        currency: The currency.
    """

    __test__ = False

    player: str
    currency: Currency
    session: str | None = None


@frozen(kw_only=True, eq=False)
class WalletSubject:
    """A wallet to be certified.

    Attributes:
        name: The operator's name, for the report.
        dialect: Its protocol.
        credentials: Its secrets.
        capabilities: What it says it can do.
        send: Sends one request and waits for the answer, so many seconds at most; raises `TransportError`. Safe to be
            called from several threads at once.
        players: Test players with money, at least two.
    """

    name: str
    dialect: Dialect
    credentials: Credentials = field(repr=False)
    capabilities: frozenset[WalletCapability]
    send: Callable[[HttpRequest, float], HttpResponse]
    players: Sequence[TestPlayer]
