"""Outbound work as generators: the adapter says what to send, the hub sends it.

A flow yields an `HttpRequest` with its `Effect`, is sent the `HttpResponse`, and returns a value. Where there is no
answer a `TransportError` is thrown into it. Time-outs, retries (never of `Effect.ONCE`), TLS, redaction and tracing
are the hub's.

Example:
    >>> def launch(query: LaunchQuery) -> Flow[Launched]:
    ...     response = yield HttpRequest("POST", "https://games.example/sessions", body=b"{}")
    ...     return Launched(url=response.body.decode())
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime
from enum import Enum, unique
from typing import TypeVar

from attrs import field, frozen

from croupier.contract.calls import MovementKey, MovementKind
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.money import Currency, Money, WireAmount

T = TypeVar("T")
Flow = Generator[HttpRequest, HttpResponse, T]


@unique
class Device(Enum):
    """What the player plays on."""

    DESKTOP = "desktop"
    MOBILE = "mobile"


@frozen(kw_only=True)
class LaunchQuery:
    """A player wants to play.

    Attributes:
        game: The provider's game code.
        demo: Play money: there is no player, token or balance.
        player: The alias the provider shall know the player by (empty for demo).
        token: The launch token; the provider gives it back at its first call (empty for demo).
        session: The hub's session id, for protocols that carry one beside the token.
        currency: The currency's code on the wire.
        scale: The currency.
        language: ISO 639-1, or with a region.
        device: What the player plays on.
        country: ISO 3166-1 alpha-2.
        jurisdiction: The operator's jurisdiction code.
        address: The player's IP address.
        return_url: Where the game's exit leads (lobby).
        deposit_url: The cashier.
        history_url: The player's history.
        balance: For providers that want it at launch.
        person: Personal fields that some providers demand (`first_name`, `last_name`, `email`, `birth_date`,
            `gender`, `city`, `nickname`, `registered_at`): passed through, never stored.
        options: Further options by the adapter's documented names.
    """

    game: str
    currency: str
    scale: Currency
    demo: bool = False
    player: str = ""
    token: str = ""
    session: str = ""
    language: str = "en"
    device: Device = Device.DESKTOP
    country: str | None = None
    jurisdiction: str | None = None
    address: str | None = None
    return_url: str | None = None
    deposit_url: str | None = None
    history_url: str | None = None
    balance: Money | None = None
    person: Mapping[str, str] = field(factory=dict, repr=False)
    options: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Launched:
    """How the game starts: exactly one of `url`, `html` and `parameters` is given.

    Attributes:
        url: An address to open (in a frame, or by redirect).
        html: A page to serve.
        parameters: What a client-side loader needs.
        session: The provider's own session id.
    """

    url: str | None = None
    html: str | None = None
    parameters: Mapping[str, str] = field(factory=dict)
    session: str | None = None


@frozen(kw_only=True)
class GameListing:
    """One game in a provider's list.

    Attributes:
        code: The provider's code that launches it.
        wallet_code: The code in wallet calls, where it is another.
        name: Its title.
        studio: Who made it, where the provider distributes others' games.
        category: The provider's word for its type.
        devices: What it runs on.
        demo: Whether it can be played for fun.
        free_rounds: Whether free rounds can be given in it.
        rtp: Return to player in percent, as exact text.
        volatility: The provider's word.
        lines: Number of lines, or ways, as text.
        blocked_countries: ISO 3166-1 alpha-2.
        features: The provider's feature words.
        thumbnail: An image's address.
    """

    code: str
    name: str
    wallet_code: str | None = None
    studio: str | None = None
    category: str | None = None
    devices: frozenset[Device] = frozenset(Device)
    demo: bool = True
    free_rounds: bool = False
    rtp: str | None = None
    volatility: str | None = None
    lines: str | None = None
    blocked_countries: frozenset[str] = frozenset()
    features: tuple[str, ...] = ()
    thumbnail: str | None = None


@frozen(kw_only=True)
class BetScale:
    """The bets that a game offers in a currency, as exact amounts."""

    game: str
    currency: str
    total_bets: tuple[WireAmount, ...]


@frozen(kw_only=True)
class FreeRoundsQuery:
    """Give a player free rounds.

    Attributes:
        grant: The hub's grant reference: the key by which a repeat is recognised.
        player: The alias.
        games: The provider's game codes.
        rounds: How many.
        currency: The currency's code on the wire.
        scale: The currency.
        bet: The value of one round in minor units, where the provider wants it; as the provider counts the currency:
            of one in thousands, the thousandth of what the operator gives.
        bet_level: The provider's step, where it counts in steps.
        valid_from: UTC.
        valid_until: UTC.
        template: The provider's template, where it has them.
        person: As in `LaunchQuery`.
    """

    grant: str
    player: str
    games: tuple[str, ...]
    rounds: int
    currency: str
    scale: Currency
    valid_from: datetime
    valid_until: datetime
    bet: int | None = None
    bet_level: int | None = None
    template: str | None = None
    person: Mapping[str, str] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class FreeRoundsIssued:
    """Free rounds as the provider knows them.

    Attributes:
        reference: What the provider calls them in its calls.
        state: The provider's word for their state, where it told one.
        rounds: How many are left, where it told.
    """

    reference: str
    state: str | None = None
    rounds: int | None = None


@frozen(kw_only=True)
class ReplayQuery:
    """Show one round again.

    Attributes:
        player: The alias.
        round: The provider's round id.
        game: The provider's game code.
        language: ISO 639-1, or with a region.
        transaction: The provider's id of a movement of the round, for providers that want one beside it.
    """

    player: str
    round: str
    game: str
    language: str = "en"
    transaction: str | None = None


@frozen(kw_only=True)
class LogQuery:
    """Read the provider's log from a place on.

    Attributes:
        cursor: Where the last page ended (the provider's own text), or `None` to start at `since`.
        since: UTC.
        until: UTC.
        stream: Which log, where the provider keeps several (`RNG`, `LC`).
    """

    since: datetime
    until: datetime
    cursor: str | None = None
    stream: str | None = None


@frozen(kw_only=True)
class LogEntry:
    """One row of a provider's log.

    Attributes:
        key: The movement's key, in a log with a row a transaction.
        kind: What the row is, if the provider says.
        round: The provider's round id.
        player: The alias.
        game: The provider's game code.
        amount: The transaction's amount, or `None` in a log of rounds.
        bet: A round's stake.
        win: A round's payout.
        state: The provider's word for the state.
        at: The provider's time (UTC).
    """

    round: str | None
    player: str
    game: str | None = None
    key: MovementKey | None = None
    kind: MovementKind | None = None
    amount: WireAmount | None = None
    bet: WireAmount | None = None
    win: WireAmount | None = None
    state: str | None = None
    at: datetime | None = None


@frozen(kw_only=True)
class LogPage:
    """Some rows, and where to go on; `cursor` is `None` at the end of what is there now."""

    entries: tuple[LogEntry, ...]
    cursor: str | None = None
