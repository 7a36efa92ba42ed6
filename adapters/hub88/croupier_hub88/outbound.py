"""What the hub asks of Hub88: launches, the game list, pages of rounds, the log of transactions.

Every flow raises `ProviderRefusedError` for a definite refusal, and `UpstreamError` for an answer that cannot be used.

Source: `reference/protocols/hub88.md`, sections "Operator → provider" and "Aggregator-level facts".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from croupier.contract.calls import MovementKey, MovementKind
from croupier.contract.errors import MalformedRequestError
from croupier.contract.fields import Told, refuse_status, told_by
from croupier.contract.flows import (
    Device,
    Flow,
    GameListing,
    Launched,
    LaunchQuery,
    LogEntry,
    LogPage,
    LogQuery,
    ReplayQuery,
)
from croupier.contract.http import Effect, HttpRequest
from croupier.contract.times import iso_utc, read_moment
from croupier_hub88.mapping import TRANSACTIONS
from croupier_hub88.settings import Hub88Settings
from croupier_hub88.wire import UNIT, told_list

API: Final = "/operator/generic/v2"
GAME_URL: Final = f"{API}/game/url"
GAME_LIST: Final = f"{API}/game/list"
GAME_ROUND: Final = f"{API}/game/round"
TRANSACTIONS_LIST: Final = f"{API}/transactions/list"
PATHS: Final = frozenset({GAME_URL, GAME_LIST, GAME_ROUND, TRANSACTIONS_LIST})

DEMO_CURRENCY: Final = "XXX"

Ask = Callable[[str, Mapping[str, Any], Effect], HttpRequest]
"""Makes a signed request of a path and a body; fields that are `None` are left out."""

_PLATFORMS: Final[Mapping[Device, str]] = {Device.DESKTOP: "GPL_DESKTOP", Device.MOBILE: "GPL_MOBILE"}
_MOMENT: Final = "%Y-%m-%dT%H:%M:%S"

_KINDS: Final[Mapping[str, MovementKind]] = {
    "TK_BET": MovementKind.BET,
    "TK_WIN": MovementKind.WIN,
    "TK_ROLLBACK": MovementKind.ROLLBACK,
    "TK_FREE_BET": MovementKind.FREE_BET,
    "TK_FREE_WIN": MovementKind.FREE_WIN,
    "TK_JP_WIN": MovementKind.JACKPOT_WIN,
    "TK_BONUS_WIN": MovementKind.BONUS_WIN,
}


def launch(settings: Hub88Settings, query: LaunchQuery, ask: Ask) -> Flow[Launched]:
    """Start a game. Play money is the currency XXX, without a player and a token."""
    body: dict[str, Any] = {
        "user": None if query.demo else query.player,
        "token": None if query.demo else query.token,
        "sub_partner_id": settings.sub_partner_id,
        "platform": _PLATFORMS[query.device],
        "lang": query.language.partition("-")[0],
        "lobby_url": query.return_url,
        "deposit_url": query.deposit_url,
        "game_code": query.game,
        "currency": DEMO_CURRENCY if query.demo else query.currency,
        "country": query.country,
        "meta": dict(query.options) or None,
    }
    # The player's address is not sent: since August 2025 the provider takes none.
    told = yield from told_of(ask(GAME_URL, body, Effect.ONCE), "game/url")
    return Launched(url=told.address("url"))


def game_list(ask: Ask) -> Flow[tuple[GameListing, ...]]:
    """The games that are enabled; the provider answers once a minute."""
    rows = yield from rows_of(ask(GAME_LIST, {}, Effect.READ), "game/list")
    games: dict[str, GameListing] = {}
    for row in rows:
        if row.values.get("enabled") is not False:
            game = _listing(row)
            games.setdefault(game.code, game)
    return tuple(games.values())


def replay(query: ReplayQuery, ask: Ask) -> Flow[Launched]:
    """The page about a round."""
    body = {"user": query.player, "transaction_uuid": query.transaction, "round": query.round}
    told = yield from told_of(ask(GAME_ROUND, body, Effect.READ), "game/round")
    return Launched(url=told.address("url"))


def transaction_log(settings: Hub88Settings, query: LogQuery, ask: Ask) -> Flow[LogPage]:
    """The transactions of one window of time; the cursor is the beginning of the next.

    Raises:
        MalformedRequestError: The cursor is none of this log's.
    """
    since = query.since if query.cursor is None else _cursor(query.cursor)
    until = min(since + timedelta(minutes=settings.log_window_minutes), query.until)
    body = {"sub_partner_id": settings.sub_partner_id, "start_time": iso_utc(since, 0), "end_time": iso_utc(until, 0)}
    rows = yield from rows_of(ask(TRANSACTIONS_LIST, body, Effect.READ), "transactions/list")
    cursor = until.isoformat() if until < query.until else None
    return LogPage(entries=tuple([_entry(row) for row in rows]), cursor=cursor)


def rows_of(request: HttpRequest, where: str) -> Flow[tuple[Told, ...]]:
    """Send a request whose answer is a list."""
    response = yield request
    refuse_status(response, where)
    return told_list(response, where)


def told_of(request: HttpRequest, where: str) -> Flow[Told]:
    """Send a request whose answer is an object; it raises like `rows_of`."""
    response = yield request
    refuse_status(response, where)
    return told_by(response, where)


def _listing(row: Told) -> GameListing:
    code = row.text("game_code")
    platforms = row.words("platforms")
    devices = frozenset([device for device, platform in _PLATFORMS.items() if platform in platforms])
    return GameListing(
        code=code,
        name=row.word("name") or code,
        studio=row.word("product"),
        category=row.word("category"),
        devices=devices or frozenset(Device),
        free_rounds=row.values.get("freebet_support") is True,
        rtp=row.word("rtp"),
        volatility=row.word("volatility"),
        lines=row.word("paylines"),
        blocked_countries=frozenset(row.words("blocked_countries")),
        features=row.words("features"),
        thumbnail=row.word("url_thumb"),
    )


def _entry(row: Told) -> LogEntry:
    return LogEntry(
        round=row.word("round"),
        player=row.word("user") or "",
        game=row.word("game_code"),
        key=MovementKey(TRANSACTIONS, row.text("transaction_uuid")),
        kind=_KINDS.get(row.word("kind") or ""),
        amount=row.optional_amount("amount", UNIT, row.word("currency")),
        state=row.word("transaction_status") or row.word("status"),
        at=read_moment(row.word("inserted_at"), _MOMENT),
    )


def _cursor(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedRequestError("the cursor is no moment", where="cursor") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
