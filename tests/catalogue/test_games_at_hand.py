"""Lists of games are kept until the operator's configuration changes, and the configuration is read when it has."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from attrs import define

from croupier.catalogue.service import CatalogueService, GameQuery
from croupier.configuration.documents import Kind
from croupier.configuration.secretbox import SecretBox
from croupier.configuration.service import Configuration
from croupier.ledger.sqlite import SqliteLedger
from croupier.registry import Registry
from croupier.runtime.ids import SeededIds
from croupier_conformance.virtual_time import LoopClock

WHO: dict[str, Any] = {"who": "ann", "why": "a test"}


@define
class Counting:
    """A ledger whose readings of the whole configuration are counted."""

    ledger: Any
    read: int = 0

    def __getattr__(self, name: str) -> Any:
        self.read += name == "configuration"
        return getattr(self.ledger, name)


def configuration(ledger: Any, seed: int) -> Configuration:
    box = SecretBox({"test": b"k" * 32}, "test", Random(seed).randbytes)
    return Configuration(ledger, Registry(), box, LoopClock(), SeededIds(seed))


async def operator(configured: Configuration) -> str:
    body = {"name": "acme", "dialect": "native", "wallet": {"url": "https://wallet.example"},
            "wallet_secrets": {"signing_secret": ["whsec_dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXk="]}}  # fmt: skip
    return (await configured.put(None, Kind.OPERATOR, body, **WHO)).id


async def test_the_whole_configuration_is_read_only_when_something_was_stored(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", threaded=False)
    await ledger.start()
    try:
        watched = Counting(ledger)
        one, two = configuration(ledger, 1), configuration(watched, 2)
        told: list[str] = []
        one.on_change = lambda: told.append("changed")
        await one.load()
        await two.load()
        assert (watched.read, told) == (1, [])
        for _ in range(10):
            await two.catch_up()
        assert watched.read == 1
        made = await operator(one)
        assert told == ["changed"]
        assert two.directory.find_operator(made) is None
        for _ in range(10):
            await two.catch_up()
        assert watched.read == 2
        assert two.directory.find_operator(made) is not None
    finally:
        await ledger.close()


async def test_a_list_is_the_same_at_every_asking_and_another_after_a_change(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", threaded=False)
    await ledger.start()
    try:
        configured = configuration(ledger, 1)
        await configured.load()
        made = await operator(configured)
        for number in range(25):
            game = {"title": f"Game {number:02}", "studio": "even" if number % 2 == 0 else "odd"}
            await configured.put(made, Kind.GAME, game, id=f"g{number}", **WHO)
        catalogue = CatalogueService(configured)
        for _ in range(3):
            titles, cursor = [], None
            while True:
                page = catalogue.games(made, GameQuery(studio="even", limit=4, cursor=cursor))
                assert page.total == 13
                titles += [view.document.title for view in page.games]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert titles == [f"Game {number:02}" for number in range(0, 25, 2)]
            assert page.facets["studio"] == {"even": 13}
        await configured.put(made, Kind.GAME, {"title": "Game 00b", "studio": "even"}, id="late", **WHO)
        page = catalogue.games(made, GameQuery(studio="even", limit=4))
        assert [view.id for view in page.games][:2] == ["g0", "late"]
        assert page.total == 14
        await configured.delete(made, Kind.GAME, "late", **WHO)
        assert catalogue.games(made, GameQuery(studio="even", limit=4)).total == 13
    finally:
        await ledger.close()


async def test_only_so_many_queries_are_kept(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", threaded=False)
    await ledger.start()
    try:
        configured = configuration(ledger, 1)
        await configured.load()
        made = await operator(configured)
        catalogue = CatalogueService(configured)
        for number in range(500):
            catalogue.games(made, GameQuery(text=f"word{number}"))
        (shelf,) = catalogue._shelves.values()
        assert len(shelf._found) == 64
    finally:
        await ledger.close()
