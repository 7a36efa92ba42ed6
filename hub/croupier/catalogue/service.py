"""The games of an operator: search, filters and pages, and taking over a provider's list."""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve, field, frozen

from croupier.configuration.changes import Draft
from croupier.configuration.checks import game_id, route_id, slug
from croupier.configuration.directory import Directory, LiveConnection, LiveOperator, LiveRoute
from croupier.configuration.documents import GameDocument, Kind
from croupier.configuration.service import Configuration
from croupier.contract import Device, FixRequestError, GameListing, NotFoundError

LARGEST_PAGE: Final = 500
"""The most games of one page."""

_BATCH: Final = 200
"""How many listings are stored in one commit."""

_QUERIES_KEPT: Final = 64
"""Of so many queries of an operator the games are kept until its configuration changes."""

_RTP: Final = re.compile(r"\d{1,3}(?:\.\d{1,4})?")


@frozen(kw_only=True)
class GameQuery:
    """Which games to list; `None` does not restrict.

    Attributes:
        text: Words that all occur in title or studio, in any case; the last may be the beginning of one.
        category: The category.
        studio: The studio, as written or in the form it has in game ids.
        connection: A connection's id or name: games that it serves.
        feature: A feature word.
        device: What it runs on.
        playable: Whether it can be launched now.
        limit: The most games to return, 1 to `LARGEST_PAGE`.
        cursor: The `next_cursor` of the page before.
    """

    text: str | None = None
    category: str | None = None
    studio: str | None = None
    connection: str | None = None
    feature: str | None = None
    device: Device | None = None
    playable: bool | None = None
    limit: int = 100
    cursor: str | None = None


@frozen(kw_only=True)
class GameView:
    """One game as an operator sees it.

    Attributes:
        id: The game's id.
        document: What is known of it.
        routes: Where it can be launched now, the first choice first.
    """

    id: str
    document: GameDocument
    routes: tuple[LiveRoute, ...] = ()


@frozen(kw_only=True)
class GamePage:
    """One page of games, in order of title and id.

    Attributes:
        games: The games.
        total: How many games match in all.
        next_cursor: For the next page; `None` if this is the last.
        facets: How many of all that match there are by `category`, `studio` and `feature`.
    """

    games: tuple[GameView, ...]
    total: int
    next_cursor: str | None = None
    facets: Mapping[str, Mapping[str, int]] = field(factory=dict)


@frozen(kw_only=True)
class Import:
    """What became of a provider's list.

    Attributes:
        new_games: Ids of the games that were new.
        new_routes: Provider's codes that were new in the connection.
        kept: How many listings were known; what is stored of them stays as it is.
        missing: Codes that the connection has and the list does not, in order; they stay as they are.
    """

    new_games: tuple[str, ...]
    new_routes: tuple[str, ...]
    kept: int
    missing: tuple[str, ...]


class CatalogueService:
    """The games of an operator.

    Args:
        configuration: Where games and routes are stored.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._shelves: dict[str, _Shelf] = {}

    def games(self, operator: str, query: GameQuery | None = None) -> GamePage:
        """One page of an operator's games.

        A cursor holds the place of the last game, not its number: a game that comes or goes between two pages shifts
        nothing.

        Raises:
            NotFoundError: There is no such operator or connection.
            FixRequestError: The limit or the cursor is wrong.
        """
        query = query or GameQuery()
        if not 1 <= query.limit <= LARGEST_PAGE:
            raise FixRequestError(f"expected 1 to {LARGEST_PAGE}", where="limit")
        directory = self._configuration.directory
        owner = _owner(directory, operator)
        after = _read_cursor(query.cursor)
        found = self._shelf(owner).find(query)
        begin = 0 if after is None else bisect_right(found.games, after, key=_place)
        page = found.games[begin : begin + query.limit]
        return GamePage(
            games=page,
            total=len(found.games),
            next_cursor=_write_cursor(page[-1]) if begin + len(page) < len(found.games) else None,
            facets=found.facets,
        )

    def _shelf(self, owner: LiveOperator) -> _Shelf:
        """The games of an operator as it is configured now; what was found before that is forgotten."""
        shelf = self._shelves.get(owner.id)
        if shelf is None or shelf.owner is not owner:
            shelf = self._shelves[owner.id] = _Shelf(owner)
        return shelf

    def game(self, operator: str, game: str) -> GameView:
        """One game.

        Raises:
            NotFoundError: The operator has no such game.
        """
        owner = _owner(self._configuration.directory, operator)
        document = owner.games.get(game)
        if document is None:
            raise NotFoundError("there is no such game")
        return GameView(id=game, document=document, routes=owner.routes_of(game))

    async def import_games(
        self, live: LiveConnection, listings: Sequence[GameListing], *, who: str, why: str
    ) -> Import:
        """Take over a provider's list: games that are new become games, codes that are new become routes.

        A game's id follows from studio and title, so that the same game of two connections is one game. What is
        stored already is not touched: a person may have changed or deleted it. Large lists are stored in several
        commits; a second run finishes what a first did not.

        Args:
            live: The connection that the list was asked through.
            listings: The list; of two with one code the first counts.
            who: Who takes it over.
            why: Why.

        Raises:
            ConflictError: Somebody else changed the same things at the same time.
            FixRequestError: `who` or `why` is empty.
        """
        operator = live.connection.operator.id
        owner = _owner(self._configuration.directory, operator)
        knows = self._configuration.knows
        drafts: list[tuple[Draft, ...]] = []
        new_games: set[str] = set()
        new_routes = []
        listed = {listing.code: listing for listing in reversed(listings)}
        for code, listing in sorted(listed.items()):
            game = _game_of(live, listing)
            deleted = knows(operator, Kind.GAME, game) and game not in owner.games
            if deleted or knows(operator, Kind.ROUTE, route_id(live.id, code)):
                continue
            made = [_route_draft(live, listing, game)]
            if game not in owner.games and game not in new_games:
                new_games.add(game)
                made.insert(0, Draft(kind=Kind.GAME, id=game, body=_game_body(live, listing)))
            new_routes.append(code)
            drafts.append(tuple(made))
        for start in range(0, len(drafts), _BATCH):
            batch = [draft for made in drafts[start : start + _BATCH] for draft in made]
            await self._configuration.put_all(operator, batch, who=who, why=why)
        return Import(
            new_games=tuple(sorted(new_games)),
            new_routes=tuple(new_routes),
            kept=len(listed) - len(new_routes),
            missing=tuple(
                sorted(
                    route.document.code
                    for route in owner.routes.values()
                    if route.document.connection == live.id and route.document.code not in listed
                )
            ),
        )


@frozen(kw_only=True, eq=False)
class _Found:
    """Every game that a query asks for, in order, and what they are counted by."""

    games: tuple[GameView, ...]
    facets: Mapping[str, Mapping[str, int]]


class _Shelf:
    """The games of an operator in one state of its configuration, and what was found among them of late."""

    def __init__(self, owner: LiveOperator) -> None:
        self.owner = owner
        self._views = sorted(_views(owner), key=_place)
        self._found: dict[GameQuery, _Found] = {}

    def find(self, query: GameQuery) -> _Found:
        asked = evolve(query, limit=1, cursor=None)
        found = self._found.get(asked)
        if found is None:
            served = _served(self.owner, query.connection)
            games = tuple(view for view in self._views if _matches(view, query, served))
            found = _Found(games=games, facets=_facets(games))
            if len(self._found) >= _QUERIES_KEPT:
                del self._found[next(iter(self._found))]
            self._found[asked] = found
        return found


def _owner(directory: Directory, operator: str) -> LiveOperator:
    owner = directory.find_operator(operator)
    if owner is None:
        raise NotFoundError("there is no such operator")
    return owner


def _views(owner: LiveOperator) -> list[GameView]:
    routes: dict[str, list[LiveRoute]] = {}
    for route in owner.launchable():
        routes.setdefault(route.document.game, []).append(route)
    return [
        GameView(id=game, document=document, routes=tuple(routes.get(game, ())))
        for game, document in owner.games.items()
    ]


def _served(owner: LiveOperator, connection: str | None) -> frozenset[str] | None:
    if connection is None:
        return None
    names = {one.id: one.name for one in owner.connections.values()} | {one.id: one.name for one in owner.down.values()}
    found = next((one for one, name in names.items() if connection in {one, name}), None)
    if found is None:
        raise NotFoundError("there is no such connection", where="connection")
    return frozenset(route.document.game for route in owner.routes.values() if route.document.connection == found)


def _matches(view: GameView, query: GameQuery, served: frozenset[str] | None) -> bool:
    game = view.document
    return (
        (query.category is None or game.category == query.category)
        and (query.studio is None or slug(game.studio) == slug(query.studio))
        and (query.feature is None or query.feature in game.features)
        and (query.device is None or query.device in game.devices)
        and (query.playable is None or bool(view.routes) == query.playable)
        and (served is None or view.id in served)
        and (not query.text or _has_words(f"{game.title} {game.studio}", query.text))
    )


def _has_words(text: str, wanted: str) -> bool:
    words = re.findall(r"\w+", text.casefold())
    *whole, last = re.findall(r"\w+", wanted.casefold()) or [""]
    return all(word in words for word in whole) and any(word.startswith(last) for word in words)


def _facets(views: Sequence[GameView]) -> dict[str, dict[str, int]]:
    games = [view.document for view in views]
    counted = {
        "category": Counter(game.category for game in games if game.category),
        "studio": Counter(game.studio for game in games),
        "feature": Counter(feature for game in games for feature in set(game.features)),
    }
    return {name: dict(sorted(counts.items())) for name, counts in counted.items()}


def _place(view: GameView) -> tuple[str, str]:
    return view.document.title.casefold(), view.id


def _write_cursor(view: GameView) -> str:
    return base64.urlsafe_b64encode("\x00".join(_place(view)).encode()).decode()


def _read_cursor(cursor: str | None) -> tuple[str, str] | None:
    if cursor is None:
        return None
    try:
        title, zero, game = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().rpartition("\x00")
    except (binascii.Error, ValueError):
        title, zero, game = "", "", ""
    if not zero:
        raise FixRequestError("expected the next_cursor of the page before", where="cursor")
    return title, game


def _game_of(live: LiveConnection, listing: GameListing) -> str:
    studio = listing.studio or live.adapter.spec.name
    return game_id(studio, listing.name, listing.code) or route_id(live.id, listing.code)


def _game_body(live: LiveConnection, listing: GameListing) -> dict[str, Any]:
    return {
        "title": listing.name.strip() or listing.code,
        "studio": (listing.studio or "").strip() or live.adapter.spec.name,
        "category": listing.category,
        # A provider's free text that is no percentage is left out: the list as a whole must not fail for it.
        "rtp": listing.rtp if listing.rtp and _RTP.fullmatch(listing.rtp) else None,
        "volatility": listing.volatility,
        "features": list(dict.fromkeys(listing.features)),
        "devices": sorted(device.value for device in listing.devices),
        "thumbnail": listing.thumbnail,
    }


def _route_draft(live: LiveConnection, listing: GameListing, game: str) -> Draft:
    body = {
        "connection": live.id,
        "game": game,
        "code": listing.code,
        "wallet_code": listing.wallet_code,
        "demo": listing.demo,
        "free_rounds": listing.free_rounds,
    }
    return Draft(kind=Kind.ROUTE, id=route_id(live.id, listing.code), body=body)
