"""What the hub asks of the provider: launches, tables, the history of games and the picture of a round.

Facts: `reference/protocols/evolution.md`, section "Operator → provider". How the lobby's state names its tables, and
how the history is paged, stands in further public integrations: `tables` by id or as a list; no pages, short windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from croupier.contract import (
    JSON_HEADERS,
    Credentials,
    Device,
    Effect,
    Flow,
    GameListing,
    HttpRequest,
    HttpResponse,
    Launched,
    LaunchQuery,
    LogEntry,
    LogPage,
    LogQuery,
    MalformedRequestError,
    ProviderRefusedError,
    ReplayQuery,
    Told,
    UpstreamError,
    WireAmount,
    epoch_ms,
    from_epoch_ms,
    is_address,
    iso_utc,
    read_moment,
    refuse_status,
    told_by,
    write_json,
)
from croupier_evolution import wire
from croupier_evolution.settings import HISTORY_TOKEN, LOBBY_TOKEN, UA_TOKEN, EvolutionSettings

LOBBY: Final = "/api/lobby/v1/"
HISTORY: Final = "/api/gamehistory/v1/casino/games"
RENDER: Final = "/api/render/v1/details"

NO_HISTORY: Final = b"Data could not be found"
"""How the history says that nothing was played in a window."""

REFUSALS: Final[Mapping[str, str]] = {
    "G.1": "the casino is not known",
    "G.2": "the API token is wrong",
    "G.3": "the creation of sessions is not configured",
    "G.4": "no token can be issued",
    "G.5": "the casino cannot be authenticated",
    "G.6": "the player cannot be created",
    "G.7": "the player cannot be saved",
    "G.8": "the session was not accepted",
    "G.9": "the hub's address is not on the provider's list",
    "G.10": "the scheme of an address is wrong",
    "G.11": "the table is not configured for this casino",
}
_SYSTEM_ERROR: Final = "G.0"
_MOMENT: Final = "%Y-%m-%dT%H:%M:%S"


def launch(settings: EvolutionSettings, query: LaunchQuery, credentials: Credentials, nonce: str) -> Flow[Launched]:
    """Start a table or the lobby: user authentication, with the API token in the path.

    Raises:
        ProviderRefusedError: The provider refused definitely.
        UpstreamError: Its answer cannot be used.
    """
    body: dict[str, Any] = {"uuid": nonce, "config": _config(settings, query)}
    if query.demo:
        body["demo"] = {"language": _language(query), "currency": query.currency}
    else:
        body["player"] = _player(query)
    url = f"{_base(settings)}{wire.LAUNCH}{settings.casino_key}/{credentials.current(UA_TOKEN)}"
    response = yield HttpRequest("POST", url, JSON_HEADERS, write_json(body))
    told = _accepted(response)
    entry = told.text("entryEmbedded" if settings.embedded else "entry", longest=8000)
    if not entry.startswith("/"):
        raise UpstreamError("the entry is no path", where="entry")
    return Launched(url=_base(settings) + entry)


def game_list(settings: EvolutionSettings, credentials: Credentials) -> Flow[tuple[GameListing, ...]]:
    """The casino's tables, as the lobby's state tells them."""
    vertical = f"?{urlencode({'gameVertical': settings.game_vertical})}" if settings.game_vertical else ""
    told = yield from _asked(settings, f"{LOBBY}{settings.casino_key}/state{vertical}", LOBBY_TOKEN, credentials)
    return tuple([_listing(code, table) for code, table in _tables(told)])


def round_log(settings: EvolutionSettings, query: LogQuery, credentials: Credentials) -> Flow[LogPage]:
    """One window of the history of games, a row for each player of each round."""
    start = query.cursor if query.cursor is not None else str(max(epoch_ms(query.since), 0))
    if not (start.isascii() and start.isdigit()):
        raise MalformedRequestError("expected a time in milliseconds", where="cursor")
    since = from_epoch_ms(int(start))
    until = min(since + timedelta(minutes=settings.history_minutes), query.until)
    if until <= since:
        return LogPage(entries=())
    window = urlencode({"startDate": iso_utc(since), "endDate": iso_utc(until)})
    response = yield _get(settings, f"{HISTORY}?{window}", HISTORY_TOKEN, credentials)
    nothing = response.status in {200, 404} and NO_HISTORY in response.body
    entries = () if nothing else tuple(_entries(_read(response, HISTORY)))
    return LogPage(entries=entries, cursor=str(epoch_ms(until)) if until < query.until else None)


def replay(settings: EvolutionSettings, query: ReplayQuery, credentials: Credentials) -> Flow[Launched]:
    """A round's picture, as a page."""
    response = yield _get(settings, f"{RENDER}?{urlencode({'gameId': query.round})}", HISTORY_TOKEN, credentials)
    refuse_status(response, RENDER)
    try:
        page = response.body.decode("utf-8")
    except UnicodeDecodeError:
        raise UpstreamError("the page is not UTF-8", where=RENDER) from None
    if not page.lstrip().startswith("<"):
        raise UpstreamError("a page is expected", where=RENDER)
    return Launched(html=page)


def _player(query: LaunchQuery) -> dict[str, Any]:
    person, options = query.person, query.options
    player = {
        "id": query.player,
        "update": True,
        # The protocol demands names; where the operator tells none, the alias stands in.
        "firstName": person.get("first_name") or query.player,
        "lastName": person.get("last_name") or query.player,
        "nickname": person.get("nickname"),
        "country": query.country,
        "language": _language(query),
        "currency": query.currency,
        "session": _present({"id": query.token, "ip": query.address}),
        "group": {"id": options["group"], "action": "assign"} if options.get("group") else None,
    }
    return _present(player)


def _config(settings: EvolutionSettings, query: LaunchQuery) -> dict[str, Any]:
    options = query.options
    mobile = query.device is Device.MOBILE
    config = {
        "brand": _present({"id": settings.brand_id, "skin": settings.brand_skin}),
        "game": _game(settings, query),
        "channel": {"wrapped": options.get("wrapped") == "true", "mobile": mobile},
        "urls": _present(
            {
                "cashier": query.deposit_url,
                "lobby": query.return_url,
                "gameHistory": query.history_url,
                "sessionTimeout": options.get("session_timeout_url"),
                "responsibleGaming": options.get("responsible_gaming_url"),
                "realityCheckURL": options.get("reality_check_url"),
            }
        ),
    }
    return _present(config)


def _game(settings: EvolutionSettings, query: LaunchQuery) -> dict[str, Any]:
    """What is opened: a table, or with the lobby's code none; without any of it the provider opens its lobby."""
    options = query.options
    table = {} if query.game == settings.lobby_code else {"id": query.game, "seat": options.get("seat")}
    chosen = {
        "category": options.get("category"),
        "interface": options.get("interface"),
        "table": _present(table),
        "playMode": "demo" if query.demo else None,
    }
    chosen = _present(chosen)
    return {"playMode": "real_money", **chosen} if chosen else chosen


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", {})}


def _language(query: LaunchQuery) -> str:
    return query.language.partition("-")[0].lower()


def _base(settings: EvolutionSettings) -> str:
    return settings.api_url.rstrip("/")


def _get(settings: EvolutionSettings, path: str, token: str, credentials: Credentials) -> HttpRequest:
    headers = wire.basic(settings.casino_key, credentials.current(token))
    return HttpRequest("GET", f"{_base(settings)}{path}", headers, effect=Effect.READ)


def _asked(settings: EvolutionSettings, path: str, token: str, credentials: Credentials) -> Flow[Told]:
    response = yield _get(settings, path, token, credentials)
    return _read(response, path.partition("?")[0])


def _read(response: HttpResponse, where: str) -> Told:
    refuse_status(response, where)
    return told_by(response, where)


def _accepted(response: HttpResponse) -> Told:
    """The answer to a launch; a refusal is known by its `errors`, whatever the HTTP status."""
    try:
        told = told_by(response, "launch")
    except UpstreamError:
        refuse_status(response, "launch")
        raise
    for error in told.optional_objects("errors"):
        code = error.code("code")
        if code == _SYSTEM_ERROR:
            raise UpstreamError("the provider has a system error", where="launch")
        raise ProviderRefusedError(
            REFUSALS.get(code, "the launch was not accepted"), provider_code=code[:32], where="launch"
        )
    refuse_status(response, "launch")
    return told


def _tables(told: Told) -> Iterator[tuple[str, Told]]:
    tables = told.values.get("tables")
    if isinstance(tables, dict):
        for code, table in tables.items():
            if isinstance(table, dict):
                yield code, Told(table, f"tables.{code}")
        return
    for table in told.objects("tables"):
        yield table.text("id"), table


def _listing(code: str, table: Told) -> GameListing:
    return GameListing(
        code=code,
        name=table.word("name") or code,
        studio=table.word("provider"),
        category=table.word("gameType"),
        thumbnail=_thumbnail(table),
    )


def _thumbnail(table: Told) -> str | None:
    value: Any = table.values
    for name in ("videoSnapshot", "thumbnails", "L"):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and is_address(value) else None


def _entries(told: Told) -> Iterator[LogEntry]:
    for day in told.objects("data"):
        for game in day.objects("games"):
            for player in game.objects("participants"):
                yield _entry(game, player)


def _entry(game: Told, player: Told) -> LogEntry:
    currency, bets = player.word("currency"), player.optional_objects("bets")
    table = game.values.get("table")
    return LogEntry(
        round=game.text("id"),
        player=player.text("playerId"),
        game=Told(table).word("id") if isinstance(table, dict) else None,
        bet=_sum(bets, "stake", currency),
        win=_sum(bets, "payout", currency),
        state=game.word("status"),
        at=read_moment(game.word("settledAt"), _MOMENT) or read_moment(game.word("startedAt"), _MOMENT),
    )


def _sum(bets: tuple[Told, ...], name: str, currency: str | None) -> WireAmount:
    amounts = [bet.amount(name, currency=currency).value for bet in bets if bet.values.get(name) is not None]
    return WireAmount.of(sum(amounts, Decimal(0)), currency=currency)
