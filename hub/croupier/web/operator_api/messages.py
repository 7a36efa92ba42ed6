"""What the operator API reads and writes.

Amounts are integers of the currency's minor unit, with the currency's code and scale beside them. Times are RFC 3339
in UTC. Players are named by the operator's own ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, unique
from typing import Annotated

from attrs import field, frozen
from msgspec import Meta

from croupier.contract import Device
from croupier.ledger.records import MovementState, RoundState, SessionState

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Code = Annotated[str, Meta(min_length=2, max_length=12, pattern=r"^[A-Za-z0-9]+$")]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Language = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)]
Address = Annotated[str, Meta(pattern=r"^https?://[^\s]+$", max_length=2048)]
Limit = Annotated[int, Meta(ge=1, le=500)]
Cursor = Annotated[str, Meta(min_length=1, max_length=1024)]
Short = Annotated[str, Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, Meta(tz=True)]


@frozen(kw_only=True)
class Amount:
    """An exact amount of money.

    Attributes:
        amount: Integer of the currency's minor unit: 1050 with scale 2 is 10.50.
        currency: The currency's code.
        scale: Digits after the point.
    """

    amount: int
    currency: str
    scale: int


# --- games


@frozen(kw_only=True)
class GamesQuery:
    """Which games to list.

    Attributes:
        text: Words that all occur in title or studio.
        category: The category.
        studio: The studio.
        connection: A connection's name or id: games that it serves.
        feature: A feature word.
        device: What it runs on.
        playable: Whether it can be launched now.
        limit: The most games to return.
        cursor: The `next_cursor` of the page before.
    """

    text: Short | None = None
    category: Short | None = None
    studio: Short | None = None
    connection: Id | None = None
    feature: Short | None = None
    device: Device | None = None
    playable: bool | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@frozen(kw_only=True)
class GameRoute:
    """Where a game can be launched.

    Attributes:
        connection: The connection's name.
        provider: The provider.
        demo: Whether it can be played for fun there.
        free_rounds: Whether free rounds can be given in it there.
    """

    connection: str
    provider: str
    demo: bool
    free_rounds: bool


@frozen(kw_only=True)
class Game:
    """A game.

    Attributes:
        id: The hub's id: what a launch names.
        title: Its title.
        studio: Who made it.
        category: The kind of game.
        rtp: Return to player in percent, as exact text.
        volatility: The studio's word.
        features: Feature words.
        devices: What it runs on.
        enabled: Whether bets and launches are accepted.
        thumbnail: An image's address.
        routes: Where it can be launched now, the first choice first.
    """

    id: str
    title: str
    studio: str
    category: str | None
    rtp: str | None
    volatility: str | None
    features: tuple[str, ...]
    devices: tuple[Device, ...]
    enabled: bool
    thumbnail: str | None
    routes: tuple[GameRoute, ...]


@frozen(kw_only=True)
class Games:
    """One page of games.

    Attributes:
        games: The games, in order of title.
        total: How many match in all.
        facets: How many of all that match there are by category, studio and feature.
        next_cursor: For the next page; `null` if this is the last.
    """

    games: tuple[Game, ...]
    total: int
    facets: Mapping[str, Mapping[str, int]]
    next_cursor: str | None


# --- launches and sessions


@frozen(kw_only=True)
class LaunchBody:
    """A player wants to play.

    Attributes:
        game: The game's id.
        currency: The currency's code.
        demo: Play money: no player is needed.
        player: Your own, opaque id of the player; needed unless it is a demo.
        connection: A connection's name or id; without it the first choice serves.
        language: ISO 639-1, or with a region.
        device: What the player plays on.
        country: ISO 3166-1 alpha-2.
        jurisdiction: Your jurisdiction code.
        address: The player's IP address.
        return_url: Where the game's exit leads.
        deposit_url: The cashier.
        history_url: The player's history.
        display_name: A name to show in the game.
        person: Personal fields that some providers demand (`first_name`, `last_name`, `email`, `birth_date`,
            `gender`, `city`, `nickname`, `registered_at`): passed through, never stored.
        options: Further options, by the adapter's documented names.
        operator_session: Your own session token; it is sent back with every wallet call.
        lifetime_seconds: How long bets are accepted, if that is less than the hub's own limit.
    """

    game: Id
    currency: Code
    demo: bool = False
    player: Id | None = None
    connection: Id | None = None
    language: Language = "en"
    device: Device = Device.DESKTOP
    country: Country | None = None
    jurisdiction: Short | None = None
    address: Annotated[str, Meta(max_length=64)] | None = None
    return_url: Address | None = None
    deposit_url: Address | None = None
    history_url: Address | None = None
    display_name: Short | None = None
    person: Mapping[str, Short] = field(factory=dict, repr=False)
    options: Mapping[str, Short] = field(factory=dict)
    operator_session: Annotated[str, Meta(min_length=1, max_length=2048)] | None = field(default=None, repr=False)
    lifetime_seconds: Annotated[int, Meta(ge=1, le=604_800)] | None = None


@frozen(kw_only=True)
class LaunchAnswer:
    """How the game starts: exactly one of `url`, `html` and `parameters` is given.

    Attributes:
        session: The session's id; `null` for a replay.
        connection: The connection that serves it.
        provider: The provider.
        url: An address to open, in a frame or by redirect.
        html: A page to serve.
        parameters: What a client-side loader needs.
        expires_at: Until when bets are accepted; `null` for a replay.
    """

    session: str | None
    connection: str
    provider: str
    url: str | None
    html: str | None
    parameters: Mapping[str, str] | None
    expires_at: datetime | None


@frozen(kw_only=True)
class Session:
    """A player's session.

    Attributes:
        id: Its id.
        state: `launched` (not begun yet), `active`, `ended`.
        player: Your id of the player; `null` for a demo.
        connection: The connection's name.
        game: The game's id.
        currency: The currency's code.
        demo: Whether it is play money.
        created_at: When it was launched.
        expires_at: When bets stop being accepted.
        seen_at: When it was last used.
        facts: `country`, `language`, `jurisdiction`, `display_name`, `device`, as far as known.
    """

    id: str
    state: SessionState
    player: str | None
    connection: str
    game: str
    currency: str
    demo: bool
    created_at: datetime
    expires_at: datetime
    seen_at: datetime | None
    facts: Mapping[str, str]


@frozen(kw_only=True)
class Sessions:
    """One page of sessions, oldest first.

    Attributes:
        sessions: The sessions.
        next_cursor: For the next page; `null` if this is the last.
    """

    sessions: tuple[Session, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class PlayerPageQuery:
    """Which part of a list.

    Attributes:
        player: Your id of a player; without it every player's.
        limit: The most entries to return.
        cursor: The `next_cursor` of the page before.
    """

    player: Id | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@frozen(kw_only=True)
class PageQuery:
    """Which part of a list.

    Attributes:
        limit: The most entries to return.
        cursor: The `next_cursor` of the page before.
    """

    limit: Limit = 100
    cursor: Cursor | None = None


@frozen(kw_only=True)
class EndedSession:
    """A session that has ended.

    Attributes:
        session: The session.
        provider_told: Whether the provider was told, and answered that it ended the game; a provider that cannot be
            told finds out at its next bet.
    """

    session: Session
    provider_told: bool


# --- rounds and transactions


@frozen(kw_only=True)
class Adjustment:
    """How a transaction is to be read, since a difference between your book and the hub's was settled.

    Attributes:
        kind: `bet` or `win`.
        state: `applied`, `rolled_back` or `declined`.
        amount: What moved.
        case: The case of reconciliation that it settled.
        made_at: When.
    """

    kind: str
    state: str
    amount: Amount | None
    case: str
    made_at: datetime


@frozen(kw_only=True)
class Transaction:
    """One movement of a player's balance.

    Attributes:
        id: The hub's id, which your wallet was called with.
        kind: What it is (`bet`, `win`, `rollback`, ...).
        direction: `debit`, `credit` or `reversal`.
        state: Where it stands.
        amount: What moves; `null` where a rollback met nothing and no currency is known.
        stake: The notional stake, where it differs.
        funding: Who pays for the stake: `player`, `operator`, `provider`.
        player: Your id of the player.
        round: The round's id.
        session: The session's id.
        connection: The connection's name.
        game: The game's id.
        reference: The provider's id.
        target: The transaction that it undoes or settles.
        free_rounds: The provider's reference of the free rounds it belongs to.
        reason: Why it was refused or is held; `not_sent` of what the hub could not send to your wallet.
        operator_transaction: Your own id of it.
        balance: The cash balance after it, as your wallet told it.
        created_at: When it was recorded.
        settled_at: When it came to its present state.
        adjusted: How it is to be read instead, as people have decided after reconciliation; everything else stays as it
            was recorded.
    """

    id: str
    kind: str
    direction: str
    state: MovementState
    amount: Amount | None
    stake: Amount | None
    funding: str
    player: str | None
    round: str | None
    session: str | None
    connection: str
    game: str | None
    reference: str
    target: str | None
    free_rounds: str | None
    reason: str | None
    operator_transaction: str | None
    balance: Amount | None
    created_at: datetime
    settled_at: datetime | None
    adjusted: Adjustment | None


@frozen(kw_only=True)
class Transactions:
    """One page of transactions, oldest first.

    Attributes:
        transactions: The transactions.
        next_cursor: For the next page; `null` if this is the last.
    """

    transactions: tuple[Transaction, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class TransactionsQuery:
    """Which transactions to list.

    Attributes:
        since: Recorded at or after this time.
        until: Recorded before this time.
        connection: A connection's name or id.
        player: Your id of a player.
        round: A round's id.
        state: Where they stand.
        limit: The most entries to return.
        cursor: The `next_cursor` of the page before.
    """

    since: Moment | None = None
    until: Moment | None = None
    connection: Id | None = None
    player: Id | None = None
    round: Id | None = None
    state: MovementState | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@frozen(kw_only=True)
class HistoryQuery:
    """Which of a player's transactions to list.

    Attributes:
        since: Recorded at or after this time.
        until: Recorded before this time.
        limit: The most entries to return.
        cursor: The `next_cursor` of the page before.
    """

    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@frozen(kw_only=True)
class Round:
    """One player's round.

    Attributes:
        id: The hub's id.
        provider_round: The provider's id.
        connection: The connection's name.
        player: Your id of the player.
        game: The game's id.
        currency: The currency's code.
        state: `open` or `closed`.
        bets: Bets that were not refused or undone.
        wins: Wins that were not refused or undone.
        opened_at: When its first movement was recorded.
        closed_at: When it ended.
    """

    id: str
    provider_round: str
    connection: str
    player: str | None
    game: str | None
    currency: str
    state: RoundState
    bets: int
    wins: int
    opened_at: datetime
    closed_at: datetime | None


@frozen(kw_only=True)
class RoundAnswer:
    """A round with its movements.

    Attributes:
        round: The round.
        transactions: Its movements, oldest first.
    """

    round: Round
    transactions: tuple[Transaction, ...]


@frozen(kw_only=True)
class RoundsQuery:
    """Which rounds to list.

    Attributes:
        state: `open` or `closed`.
        opened_since: Opened at or after this time. Give it where you can: of all rounds since then those are looked
            for that you want.
        opened_before: Opened before this time.
        player: Your id of a player.
        limit: The most entries to return.
        cursor: The `next_cursor` of the page before.
    """

    state: RoundState | None = None
    opened_since: Moment | None = None
    opened_before: Moment | None = None
    player: Id | None = None
    limit: Limit = 100
    cursor: Cursor | None = None


@frozen(kw_only=True)
class Rounds:
    """One page of rounds, oldest first.

    Attributes:
        rounds: The rounds.
        next_cursor: For the next page; `null` if this is the last.
    """

    rounds: tuple[Round, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class ReplayQuery:
    """How to show a round again.

    Attributes:
        language: ISO 639-1, or with a region.
    """

    language: Language = "en"


# --- free rounds


@unique
class FreeRoundsState(Enum):
    """Where free rounds stand."""

    ISSUING = "issuing"
    """Stored, and the provider has not confirmed them: send the same again."""
    ACTIVE = "active"
    FINISHED = "finished"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class FreeRoundsBody:
    """Give a player free rounds.

    Attributes:
        reference: Your own reference: the same reference again gives no second set.
        player: Your id of the player.
        games: The games' ids; one connection must serve them all.
        rounds: How many.
        currency: The currency's code.
        valid_from: From when they can be played.
        valid_until: Until when.
        bet: The value of one round in minor units, where the provider wants it.
        bet_level: The provider's step, where it counts in steps.
        template: The provider's template, where it has them.
        connection: A connection's name or id; without it the first choice of the first game.
        person: As in a launch: passed through, never stored.
    """

    reference: Id
    player: Id
    games: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=100)]
    rounds: Annotated[int, Meta(ge=1, le=10_000)]
    currency: Code
    valid_from: Moment
    valid_until: Moment
    bet: Annotated[int, Meta(ge=1, le=9_223_372_036_854_775_807)] | None = None
    bet_level: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    template: Short | None = None
    connection: Id | None = None
    person: Mapping[str, Short] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class FreeRounds:
    """Free rounds given to a player.

    Attributes:
        reference: Your reference.
        provider_reference: What the provider calls them.
        state: Where they stand.
        player: Your id of the player.
        connection: The connection's name.
        games: The provider's game codes.
        rounds: How many were given.
        bet: The value of one round, where it is known.
        valid_from: From when they can be played.
        valid_until: Until when.
        created_at: When they were given.
    """

    reference: str
    provider_reference: str
    state: FreeRoundsState
    player: str | None
    connection: str
    games: tuple[str, ...]
    rounds: int
    bet: Amount | None
    valid_from: datetime
    valid_until: datetime
    created_at: datetime


@frozen(kw_only=True)
class FreeRoundsPage:
    """One page of free rounds, oldest first.

    Attributes:
        free_rounds: The free rounds.
        next_cursor: For the next page; `null` if this is the last.
    """

    free_rounds: tuple[FreeRounds, ...]
    next_cursor: str | None
