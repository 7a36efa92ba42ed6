"""What is certified on the operator's side: a test wallet that is really there, asked through its dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import field, frozen

from croupier.contract import Credentials, Currency, Dialect, HttpRequest, HttpResponse, WalletCapability

NEEDED: Final = (1_000, 100)
"""What the first and the second test player must hold, in minor units. Most of it is given back."""


@frozen(kw_only=True)
class TestPlayer:
    """A player whom the operator made for this: with money, without limits, and used by nobody else meanwhile.

    Attributes:
        player: The operator's own id.
        currency: The currency.
        session: A session token of the operator, where its wallet asks for one.
        ended_session: One of a session that has ended, where the operator can give one.
    """

    __test__ = False

    player: str
    currency: Currency
    session: str | None = field(default=None, repr=False)
    ended_session: str | None = field(default=None, repr=False)


def _utc_now() -> datetime:
    return datetime.now(UTC)


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
        game: The hub's id of the game that is played.
        now: The time for signatures, with its time zone.
        timeout_seconds: How long an answer is waited for.
        settle_seconds: How long a call that was given up may still take effect.
        hot: How many bets of one player are sent at once.
    """

    name: str
    dialect: Dialect
    credentials: Credentials = field(repr=False)
    capabilities: frozenset[WalletCapability]
    send: Callable[[HttpRequest, float], HttpResponse]
    players: Sequence[TestPlayer]
    game: str = "certification--game"
    now: Callable[[], datetime] = _utc_now
    timeout_seconds: float = 10.0
    settle_seconds: float = 0.0
    hot: int = 100
