"""What the hub asks of the provider: launches, games and free games.

A game has two ids: wallet calls and free games carry its number (`gameId`), launches its name (`gid`). The hub's code
of a game is both, `<gameId>-<gid>`; its code in wallet calls is the number.

Facts: `reference/protocols/playngo.md`, section "Operator → provider".
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element

from croupier.contract.errors import FixRequestError, MalformedRequestError, UpstreamError
from croupier.contract.fields import Told, refuse_status
from croupier.contract.flows import Flow, FreeRoundsIssued, FreeRoundsQuery, GameListing, LaunchQuery
from croupier.contract.http import Effect, Headers, HttpRequest
from croupier.contract.money import minor_to_text
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import read_json
from croupier.contract.times import iso_utc
from croupier_playngo import soap
from croupier_playngo.settings import PlayngoSettings, is_number

LAUNCHER: Final = "/casino/ContainerLauncher"
DEMO_TICKET: Final = "demo"
OFFERS: Final = 100  # asked for at once
_GAMES: Final = "GetGamesConfigurations"
_WRAPPER: Final = ("GamesConfigurations", "GameConfigurations", "GameConfigurationResourceWrapper")
_GAME: Final = ("GameConfiguration", "DefaultGameSettings")


def launch(query: LaunchQuery, settings: PlayngoSettings) -> str:
    """The address of a game, with the launch token as the ticket.

    Raises:
        FixRequestError: The game's code names no `gid`.
    """
    lobby = urlsplit(query.return_url or "")
    fields = {
        "pid": settings.product_id,
        "gid": split(query.game)[1],
        "lang": settings.locale(query.language),
        "practice": "1" if query.demo else "0",
        "ticket": DEMO_TICKET if query.demo else query.token,
        "channel": query.device.value,
        "origin": settings.origin or (f"{lobby.scheme}://{lobby.netloc}" if lobby.netloc else ""),
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
    if not (is_number(number) and name):
        raise FixRequestError("expected a game's code of both its ids, <gameId>-<gid>", where="game")
    return number, name


def game_list(settings: PlayngoSettings, credentials: Credentials) -> Flow[tuple[GameListing, ...]]:
    """The games of the product group, from the JSON list if there is one, else from the SOAP service."""
    if settings.games_url:
        return (yield from _games_as_json(settings, credentials))
    games: list[GameListing] = []
    last, size = 0, str(settings.page_size)
    while True:
        after = str(last) if last else None
        values = (("ProductGroup", settings.product_id), ("LastGameId", after), ("PageSize", size))
        answer = yield from soap.call(settings, credentials, _GAMES, values, Effect.READ)
        rows = tuple(soap.items(answer, *_WRAPPER))
        games += [listing for row in rows if (listing := _listing(row)) is not None]
        if len(rows) < settings.page_size:
            return tuple(games)
        largest = max([int(_number(soap.texts(row, _GAMES), "GameId")) for row in rows])
        if largest <= last:
            raise UpstreamError("a page of games ends where the last one ended", where=_GAMES)
        last = largest


def _games_as_json(settings: PlayngoSettings, credentials: Credentials) -> Flow[tuple[GameListing, ...]]:
    headers = Headers((("Authorization", soap.basic(settings, credentials)), ("pid", settings.product_id)))
    response = yield HttpRequest("GET", settings.games_url, headers, b"", Effect.READ)
    refuse_status(response, "games_url")
    try:
        listed = Told({"games": read_json(response.body)}, "").objects("games")
    except MalformedRequestError as error:
        raise UpstreamError(f"it is no readable JSON: {error.message}", where="games_url") from None
    return tuple([_listed(game, _number(game, "gameId"), game.text("gid")) for game in listed])


def _listing(row: Element) -> GameListing | None:
    """A game of the SOAP service; `None` for one without a `gid`, which cannot be launched."""
    for game in soap.items(row, *_GAME):
        told = soap.texts(game, _GAMES)
        if told.word("GId"):
            lines = soap.numbers(game, "SupportedLines")
            return _listed(told, _number(told, "GameId"), told.text("GId"), max(lines, key=int, default=None))
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
    if not is_number(text):
        raise UpstreamError("expected a whole number", where=told.where(name))
    return text


def issue_free_rounds(
    query: FreeRoundsQuery, settings: PlayngoSettings, credentials: Credentials
) -> Flow[FreeRoundsIssued]:
    """Offer a player free games, if none are of this grant: it is both `RequestId` and `FreegameExternalId`.

    Raises:
        FixRequestError: The worth of a round is not said, or no coin's value makes it.
    """
    games = tuple([split(code)[0] for code in query.games])
    # No source promises that a `RequestId` is known again ("Operator -> provider").
    for known in (yield from list_free_rounds(query.player, settings, credentials)):
        if known.reference == query.grant:
            return FreeRoundsIssued(reference=query.grant, rounds=known.rounds)
    bet: soap.Values = ()
    if query.template is None:
        bet = _bet(query, (yield from _lines(games, settings, credentials)))
    elif not is_number(query.template):
        raise FixRequestError("expected the number of a trigger", where="template")
    values: soap.Values = (
        ("UserId", query.player),
        *bet,
        ("Rounds", str(query.rounds)),
        ("ExpireTime", iso_utc(query.valid_until, 0)),
        ("FreegameExternalId", query.grant),
        ("RequestId", query.grant),
        ("TriggerId", query.template),
        ("GameIdList", games),
    )
    operation = "AddFreegameOffers"
    answer = yield from soap.call(settings, credentials, operation, values, Effect.ONCE)
    for offer in soap.items(answer, f"{operation}Result"):
        return FreeRoundsIssued(reference=query.grant, rounds=_left(soap.texts(offer, operation)))
    raise UpstreamError("no offer was told", where=operation)


def _bet(query: FreeRoundsQuery, lines: int) -> soap.Values:
    """Lines, coins a line, and the coin's value: their product is the worth of a round."""
    if query.bet is None:
        raise FixRequestError("the worth of one round must be said", where="bet")
    coins = query.bet_level or 1
    value, rest = divmod(query.bet, lines * coins)
    if rest or not value:
        raise FixRequestError(f"no coin's value makes this worth on {lines} lines", where="bet")
    coin = minor_to_text(value, query.scale.scale)
    return ("Lines", str(lines)), ("Coins", str(coins)), ("Denomination", coin)


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
        offers = [soap.texts(item, operation) for item in soap.items(answer, "Offers", "FreegameOffer")]
        for offer in offers:
            if offer.word("OfferCancelled") != "true":
                reference = offer.word("FreegameExternalId") or offer.code("OfferId")
                found.append(FreeRoundsIssued(reference=reference, state="Active", rounds=_left(offer)))
        skipped += len(offers)
        if len(offers) < OFFERS:
            return tuple(found)


def _left(offer: Told) -> int | None:
    given, used = offer.word("Rounds") or "", offer.word("RoundsUsed") or "0"
    return int(given) - int(used) if is_number(given) and is_number(used) else None
