"""What the hub asks of the provider: launches, games and free games.

A game has two ids: wallet calls and free games carry its number (`gameId`), launches its name (`gid`). The hub's code
of a game is both, `<gameId>-<gid>`; its code in wallet calls is the number.

Facts: `reference/protocols/playngo.md`, section "Operator → provider".
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element

from croupier.contract import (
    Credentials,
    Effect,
    FixRequestError,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    GameListing,
    Headers,
    HttpRequest,
    LaunchQuery,
    MalformedRequestError,
    Told,
    UpstreamError,
    iso_utc,
    minor_to_text,
    read_json,
    refuse_status,
)
from croupier_playngo import soap
from croupier_playngo.locales import locale
from croupier_playngo.settings import PlayngoSettings

LAUNCHER: Final = "/casino/ContainerLauncher"
DEMO_TICKET: Final = "demo"
OFFERS: Final = 100
"""So many offers of a player are asked for at once."""

_GAMES: Final = "GetGamesConfigurations"
_WRAPPER: Final = ("GamesConfigurations", "GameConfigurations", "GameConfigurationResourceWrapper")
_GAME: Final = ("GameConfiguration", "DefaultGameSettings")


def launch(query: LaunchQuery, settings: PlayngoSettings) -> str:
    """The address of a game, with the launch token as the ticket.

    Raises:
        FixRequestError: The game's code names no `gid`.
    """
    fields = {
        "pid": settings.product_id,
        "gid": split(query.game)[1],
        "lang": locale(query.language, settings.locales),
        "practice": "1" if query.demo else "0",
        "ticket": DEMO_TICKET if query.demo else query.token,
        "channel": query.device.value,
        "origin": settings.origin or _origin(query.return_url),
        "brand": settings.brand,
        "contextId": settings.context_id,
    }
    sent = {name: value for name, value in fields.items() if value}
    return f"https://{settings.game_host}{LAUNCHER}?{urlencode(sent)}"


def split(code: str) -> tuple[str, str]:
    """A game's `gameId` and `gid`.

    Raises:
        FixRequestError: The code is not of both.
    """
    number, _, name = code.partition("-")
    if not (number.isascii() and number.isdigit() and name):
        raise FixRequestError("expected a game's code of both its ids, <gameId>-<gid>", where="game")
    return number, name


def _origin(address: str | None) -> str:
    parts = urlsplit(address or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""


def game_list(settings: PlayngoSettings, credentials: Credentials) -> Flow[tuple[GameListing, ...]]:
    """The games of the product group, from the JSON list if there is one, else from the SOAP service."""
    if settings.games_url:
        return (yield from _games_as_json(settings, credentials))
    games: list[GameListing] = []
    last = 0
    while True:
        values = (
            ("ProductGroup", settings.product_id),
            ("LastGameId", str(last) if last else None),
            ("PageSize", str(settings.page_size)),
        )
        answer = yield from soap.call(settings, credentials, _GAMES, values, Effect.READ)
        rows = tuple(soap.items(answer, *_WRAPPER))
        games += [listing for row in rows if (listing := _listing(row)) is not None]
        if len(rows) < settings.page_size:
            return tuple(games)
        largest = max([int(_number(soap.told(row, _GAMES), "GameId")) for row in rows])
        if largest <= last:
            raise UpstreamError("a page of games ends where the last one ended", where=_GAMES)
        last = largest


def _games_as_json(settings: PlayngoSettings, credentials: Credentials) -> Flow[tuple[GameListing, ...]]:
    where = "games_url"
    headers = Headers((("Authorization", soap.basic(settings, credentials)), ("pid", settings.product_id)))
    response = yield HttpRequest("GET", settings.games_url, headers, b"", Effect.READ)
    refuse_status(response, where)
    try:
        listed = Told({"games": read_json(response.body)}, "").objects("games")
    except MalformedRequestError as error:
        raise UpstreamError(f"it is no readable JSON: {error.message}", where=where) from None
    return tuple([_listed(game, _number(game, "gameId"), game.text("gid")) for game in listed])


def _listing(row: Element) -> GameListing | None:
    """A game of the SOAP service; `None` for one without a `gid`, which cannot be launched."""
    for game in soap.items(row, *_GAME):
        told = soap.told(game, _GAMES)
        if told.word("GId"):
            lines = _largest(soap.numbers(game, "SupportedLines"))
            return _listed(told, _number(told, "GameId"), told.text("GId"), lines)
    return None


def _listed(told: Told, number: str, gid: str, lines: str | None = None) -> GameListing:
    return GameListing(
        code=f"{number}-{gid}",
        wallet_code=number,
        name=told.word("Name") or told.word("name") or gid,
        category=told.word("GameType") or told.word("gameType"),
        free_rounds=lines is not None,
        lines=lines,
    )


def _number(told: Told, name: str) -> str:
    text = told.code(name)
    if not (text.isascii() and text.isdigit()):
        raise UpstreamError("expected a whole number", where=told.where(name))
    return text


def _largest(numbers: tuple[str, ...]) -> str | None:
    return str(max(map(int, numbers))) if numbers else None


def issue_free_rounds(
    query: FreeRoundsQuery, settings: PlayngoSettings, credentials: Credentials
) -> Flow[FreeRoundsIssued]:
    """Offer a player free games. The hub's grant is both `RequestId` and `FreegameExternalId`.

    Raises:
        FixRequestError: The worth of a round is not said, or no coin's value makes it.
    """
    games = tuple([split(code)[0] for code in query.games])
    bet: tuple[str | None, str | None, str | None] = (None, None, None)
    if query.template is None:
        lines = yield from _lines(games, settings, credentials)
        bet = _bet(query, lines)
    elif not (query.template.isascii() and query.template.isdigit()):
        raise FixRequestError("expected the number of a trigger", where="template")
    values: soap.Values = (
        ("UserId", query.player),
        ("Lines", bet[0]),
        ("Coins", bet[1]),
        ("Denomination", bet[2]),
        ("Rounds", str(query.rounds)),
        ("ExpireTime", iso_utc(query.valid_until, 0)),
        ("FreegameExternalId", query.grant),
        ("RequestId", query.grant),
        ("TriggerId", query.template),
        ("GameIdList", games),
    )
    operation = "AddFreegameOffers"
    answer = yield from soap.call(settings, credentials, operation, values, Effect.IDEMPOTENT)
    for offer in soap.items(answer, f"{operation}Result"):
        told = soap.told(offer, operation)
        return FreeRoundsIssued(reference=query.grant, rounds=_count(told, "Rounds"))
    raise UpstreamError("no offer was told", where=operation)


def _bet(query: FreeRoundsQuery, lines: int) -> tuple[str, str, str]:
    """Lines, coins a line, and the coin's value: their product is the worth of a round."""
    if query.bet is None:
        raise FixRequestError("the worth of one round must be said", where="bet")
    coins = query.bet_level or 1
    value, rest = divmod(query.bet, lines * coins)
    if rest or not value:
        raise FixRequestError(f"no coin's value makes this worth on {lines} lines", where="bet")
    return str(lines), str(coins), minor_to_text(value, query.scale.scale)


def _lines(games: tuple[str, ...], settings: PlayngoSettings, credentials: Credentials) -> Flow[int]:
    """The lines that all of some games have: as set, or as many as the service says that they have."""
    known = {game: settings.lines[game] for game in games if game in settings.lines}
    asked = [game for game in games if game not in known]
    if asked:
        values: soap.Values = (("ProductGroup", settings.product_id), ("GameIdList", asked))
        answer = yield from soap.call(settings, credentials, _GAMES, values, Effect.READ)
        for row in soap.items(answer, *_WRAPPER):
            listing = _listing(row)
            if listing is not None and listing.lines and listing.wallet_code in asked:
                known[listing.wallet_code] = int(listing.lines)
    if len(known) < len(set(games)) or len(set(known.values())) != 1:
        raise FixRequestError("free games are played on the same lines in every game; set `lines`", where="games")
    return known[games[0]]


def cancel_free_rounds(grant: str, settings: PlayngoSettings, credentials: Credentials) -> Flow[None]:
    """Take an offer back."""
    values = (("RequestId", grant), ("ProductGroup", settings.product_id))
    yield from soap.call(settings, credentials, "CancelFreegame", values, Effect.IDEMPOTENT)


def list_free_rounds(
    player: str, settings: PlayngoSettings, credentials: Credentials
) -> Flow[tuple[FreeRoundsIssued, ...]]:
    """A player's offers that are not used up."""
    operation, found, skipped = "GetFreegameOffers", list[FreeRoundsIssued](), 0
    while True:
        values = (("UserId", player), ("Skip", str(skipped)), ("Take", str(OFFERS)), ("State", "Active"))
        answer = yield from soap.call(settings, credentials, operation, values, Effect.READ)
        offers = [soap.told(item, operation) for item in soap.items(answer, "Offers", "FreegameOffer")]
        found += [_issued(offer) for offer in offers if offer.word("OfferCancelled") != "true"]
        skipped += len(offers)
        if len(offers) < OFFERS:
            return tuple(found)


def _issued(offer: Told) -> FreeRoundsIssued:
    given, used = _count(offer, "Rounds"), _count(offer, "RoundsUsed") or 0
    return FreeRoundsIssued(
        reference=offer.word("FreegameExternalId") or offer.code("OfferId"),
        state="Active",
        rounds=None if given is None else given - used,
    )


def _count(offer: Told, name: str) -> int | None:
    text = offer.word(name)
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
