from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import mutable

from croupier.catalogue.service import CatalogueService, GameQuery, GameView
from croupier.configuration.directory import LiveConnection
from croupier.configuration.documents import Kind
from croupier.configuration.secretbox import SecretBox
from croupier.configuration.service import Configuration
from croupier.contract import (
    AdapterSpec,
    Capability,
    Device,
    DialectSpec,
    FixRequestError,
    GameListing,
    NotFoundError,
    Policies,
    Proof,
)
from croupier.ledger.sqlite import SqliteLedger
from croupier.registry import Registry
from croupier.runtime.ids import SeededIds
from croupier_conformance.toys import NoSettings, StillClock, ToyAdapter, ToyDialect

WHO: Any = {"who": "ann", "why": "a test"}


class ToyGames(ToyAdapter):
    policies = Policies()
    spec = AdapterSpec(
        slug="toy",
        name="Toy Games",
        proof=Proof.SIGNATURE,
        capabilities=frozenset({Capability.LAUNCH}),
        secrets=(),
        settings=NoSettings,
        create=lambda _: ToyGames(),
    )


class ToyWallet(ToyDialect):
    spec = DialectSpec(
        slug="toywallet",
        name="Toy wallet",
        capabilities=frozenset(),
        secrets=(),
        settings=NoSettings,
        create=lambda _: ToyWallet(),
    )


@mutable
class Shop:
    configuration: Configuration
    catalogue: CatalogueService
    operator: str

    async def connection(self, name: str, **more: Any) -> LiveConnection:
        body = {"name": name, "adapter": "toy"} | more
        stored = await self.configuration.put(self.operator, Kind.CONNECTION, body, **WHO)
        live = self.configuration.directory.live_connection(stored.id)
        assert live is not None
        return live

    async def change(self, kind: Kind, id: str, **values: Any) -> None:
        stored = self.configuration.get(self.operator, kind, id)
        await self.configuration.put(self.operator, kind, {**stored.body, **values}, id=id, **WHO)

    def titles(self, **query: Any) -> list[str]:
        return [view.document.title for view in self.catalogue.games(self.operator, GameQuery(**query)).games]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    ledger = SqliteLedger(tmp_path / "ledger.db", threaded=False)
    await ledger.start()
    registry = Registry(discover=False)
    registry.register(ToyGames.spec)
    registry.register(ToyWallet.spec)
    box = SecretBox({"a": b"k" * 32}, "a", random.Random(1).randbytes)
    configuration = Configuration(ledger, registry, box, StillClock(), SeededIds(1))
    stored = await configuration.put(None, Kind.OPERATOR, {"name": "acme", "dialect": "toywallet"}, **WHO)
    yield Shop(configuration, CatalogueService(configuration), stored.id)
    await ledger.close()


LISTINGS = (
    GameListing(code="a1", name="Book of Ann", studio="Ann's Studio", category="slots", features=("megaways",)),
    GameListing(code="b2", name="Blackjack", category="live", devices=frozenset({Device.MOBILE}), rtp="99.5"),
    GameListing(code="c3", name="Ännchen's Book", studio="Other", category="slots", rtp="ca. 96 %", wallet_code="33"),
)


async def test_a_providers_list_becomes_games_and_routes(shop: Shop) -> None:
    live = await shop.connection("main")
    done = await shop.catalogue.import_games(live, LISTINGS, **WHO)
    assert done.new_games == ("anns-studio--book-of-ann", "other--nnchens-book", "toy-games--blackjack")
    assert (done.new_routes, done.kept, done.missing) == (("a1", "b2", "c3"), 0, ())
    view = shop.catalogue.game("acme", "toy-games--blackjack")
    assert (view.document.rtp, view.document.devices) == ("99.5", frozenset({Device.MOBILE}))
    assert shop.catalogue.game("acme", "other--nnchens-book").document.rtp is None
    route = shop.configuration.route(live.id, "33")
    assert route is not None
    assert route.game == "other--nnchens-book"


async def test_a_second_import_keeps_what_people_changed(shop: Shop) -> None:
    live = await shop.connection("main")
    await shop.catalogue.import_games(live, LISTINGS, **WHO)
    await shop.change(Kind.GAME, "toy-games--blackjack", title="Blackjack Royale", enabled=False)
    done = await shop.catalogue.import_games(live, [*LISTINGS, GameListing(code="d4", name="Dice")], **WHO)
    assert (done.new_games, done.new_routes, done.kept) == (("toy-games--dice",), ("d4",), 3)
    assert shop.catalogue.game("acme", "toy-games--blackjack").document.title == "Blackjack Royale"
    done = await shop.catalogue.import_games(live, LISTINGS[:1], **WHO)
    assert (done.new_games, done.kept, done.missing) == ((), 1, ("b2", "c3", "d4"))
    assert len(shop.catalogue.games("acme").games) == 4


async def test_what_a_person_deleted_does_not_come_back(shop: Shop) -> None:
    live = await shop.connection("main")
    await shop.catalogue.import_games(live, LISTINGS, **WHO)
    await shop.configuration.delete(shop.operator, Kind.GAME, "toy-games--blackjack", **WHO)
    other = await shop.connection("other")
    for connection in (live, other):
        done = await shop.catalogue.import_games(connection, LISTINGS, **WHO)
        assert done.new_games == ()
        assert "b2" not in done.new_routes
    assert shop.titles() == ["Book of Ann", "Ännchen's Book"]


async def test_one_game_of_two_connections_is_one_game_and_the_lower_priority_number_comes_first(shop: Shop) -> None:
    late, early = await shop.connection("late", priority=9), await shop.connection("early", priority=1)
    for live in (late, early):
        await shop.catalogue.import_games(live, LISTINGS, **WHO)
    page = shop.catalogue.games("acme")
    assert page.total == 3
    routes = shop.catalogue.game("acme", "toy-games--blackjack").routes
    assert [route.document.connection for route in routes] == [early.id, late.id]
    await shop.change(Kind.CONNECTION, early.id, enabled=False)
    routes = shop.catalogue.game("acme", "toy-games--blackjack").routes
    assert [route.document.connection for route in routes] == [late.id]
    assert shop.configuration.directory.find_operator("acme") is not None


async def test_a_large_list_is_taken_over_whole(shop: Shop) -> None:
    live = await shop.connection("main")
    listings = [GameListing(code=f"g{number}", name=f"Game {number}") for number in range(450)]
    done = await shop.catalogue.import_games(live, listings, **WHO)
    assert len(done.new_games) == len(done.new_routes) == 450
    assert shop.catalogue.games("acme").total == 450


async def test_two_titles_without_a_letter_of_ascii_are_two_games(shop: Shop) -> None:
    live = await shop.connection("main")
    listings = [GameListing(code="x1", name="麻將"), GameListing(code="x2", name="骰寶")]
    done = await shop.catalogue.import_games(live, listings, **WHO)
    assert done.new_games == ("toy-games--x1", "toy-games--x2")


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({}, ["Blackjack", "Book of Ann", "Ännchen's Book"]),
        ({"text": "book"}, ["Book of Ann", "Ännchen's Book"]),
        ({"text": "BOOK an"}, ["Book of Ann"]),
        ({"text": "änn"}, ["Ännchen's Book"]),
        ({"text": "toy games"}, ["Blackjack"]),
        ({"text": "jack"}, []),
        ({"category": "live"}, ["Blackjack"]),
        ({"studio": "ann's studio"}, ["Book of Ann"]),
        ({"studio": "anns-studio"}, ["Book of Ann"]),
        ({"feature": "megaways"}, ["Book of Ann"]),
        ({"device": Device.DESKTOP}, ["Book of Ann", "Ännchen's Book"]),
        ({"connection": "second"}, ["Book of Ann"]),
        ({"playable": False}, ["Ännchen's Book"]),
        ({"playable": True, "category": "slots"}, ["Book of Ann"]),
    ],
)
async def test_games_are_found_by(shop: Shop, query: Mapping[str, Any], titles: list[str]) -> None:
    live = await shop.connection("main")
    await shop.catalogue.import_games(live, LISTINGS, **WHO)
    await shop.catalogue.import_games(await shop.connection("second"), LISTINGS[:1], **WHO)
    await shop.change(Kind.GAME, "other--nnchens-book", enabled=False)
    assert shop.titles(**query) == titles


async def test_facets_count_all_that_matches_not_the_page(shop: Shop) -> None:
    await shop.catalogue.import_games(await shop.connection("main"), LISTINGS, **WHO)
    page = shop.catalogue.games("acme", GameQuery(category="slots", limit=1))
    assert (len(page.games), page.total) == (1, 2)
    assert page.facets == {
        "category": {"slots": 2},
        "studio": {"Ann's Studio": 1, "Other": 1},
        "feature": {"megaways": 1},
    }


async def test_pages_miss_and_repeat_nothing_while_games_come_and_go(shop: Shop) -> None:
    live = await shop.connection("main")
    listings = [GameListing(code=f"g{number:02}", name=f"Game {number:02}") for number in range(10)]
    await shop.catalogue.import_games(live, listings, **WHO)
    seen: list[GameView] = []
    cursor = None
    while True:
        page = shop.catalogue.games("acme", GameQuery(limit=3, cursor=cursor))
        seen += page.games
        if len(seen) == 3:
            await shop.configuration.delete(shop.operator, Kind.GAME, "toy-games--game-01", **WHO)
            await shop.catalogue.import_games(live, [GameListing(code="new", name="Aces")], **WHO)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert [view.document.title for view in seen] == [f"Game {number:02}" for number in range(10)]


async def test_wrong_questions_are_refused(shop: Shop) -> None:
    for query in (GameQuery(limit=0), GameQuery(limit=501), GameQuery(cursor="*"), GameQuery(cursor="QUJD")):
        with pytest.raises(FixRequestError):
            shop.catalogue.games("acme", query)
    with pytest.raises(NotFoundError):
        shop.catalogue.games("nobody")
    with pytest.raises(NotFoundError):
        shop.catalogue.games("acme", GameQuery(connection="none"))
    with pytest.raises(NotFoundError):
        shop.catalogue.game("acme", "none")
