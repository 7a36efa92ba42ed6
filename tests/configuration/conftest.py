"""A configuration on a real ledger, with a toy provider, a toy wallet, a clock that stands still and seeded ids."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen, mutable

from croupier.configuration.changes import Stored
from croupier.configuration.documents import Kind
from croupier.configuration.secretbox import SecretBox
from croupier.configuration.service import Configuration
from croupier.contract import (
    Adapter,
    AdapterSpec,
    Capability,
    Dialect,
    DialectSpec,
    EventEndpoint,
    EventStream,
    FreeRoundsCredit,
    PackageError,
    Policies,
    Policy,
    Proof,
    SecretField,
    UnknownRollback,
    WalletCapability,
)
from croupier.ledger.sqlite import SqliteLedger
from croupier.registry import Registry
from croupier.runtime.ids import SeededIds
from croupier_conformance.toys import StillClock, ToyAdapter, ToyDialect

WHO: Any = {"who": "ann", "why": "a test"}
KEY = bytes(range(32))


@frozen(kw_only=True)
class ToySettings:
    url: str
    market: str = "eu"
    must_say: bool = False


class ToyGames(ToyAdapter):
    def __init__(self, settings: ToySettings, spec: AdapterSpec) -> None:
        self.spec = spec
        self.settings = settings
        self.policies = Policies(
            Policy(
                provider_timeout_ms=4000,
                unknown_rollback=UnknownRollback.NOT_FOUND,
                max_bet_minor={"EUR": 5000},
                free_rounds_credit=None if settings.must_say else FreeRoundsCredit.TOTAL,
            )
        )


def toy_adapter(slug: str) -> AdapterSpec:
    return AdapterSpec(
        slug=slug,
        name=slug.capitalize(),
        proof=Proof.SIGNATURE,
        capabilities=frozenset({Capability.LAUNCH}),
        secrets=(SecretField("signing", "signs requests"), SecretField("feed", "reads the feed", required=False)),
        settings=ToySettings,
        create=lambda settings: ToyGames(settings, toy_adapter(slug)),
    )


@frozen(kw_only=True)
class WalletSettings:
    url: str


class ToyWallet(ToyDialect):
    def __init__(self, settings: WalletSettings) -> None:
        self.spec = TOY_WALLET
        self.settings = settings


TOY_WALLET = DialectSpec(
    slug="toywallet",
    name="Toy wallet",
    capabilities=frozenset({WalletCapability.ATOMIC_BATCH, WalletCapability.TOMBSTONES}),
    secrets=(SecretField("key", "signs"),),
    settings=WalletSettings,
    create=ToyWallet,
)


@mutable
class Breakable:
    """The registry, some of whose packages can be broken as by an upgrade."""

    registry: Registry
    broken: set[str] = field(factory=set)

    def configure_adapter(self, slug: str, settings: Mapping[str, Any]) -> Adapter:
        self._check(slug)
        return self.registry.configure_adapter(slug, settings)

    def configure_dialect(self, slug: str, settings: Mapping[str, Any]) -> Dialect:
        self._check(slug)
        return self.registry.configure_dialect(slug, settings)

    def configure_sink(self, slug: str, settings: Mapping[str, Any]) -> EventEndpoint | EventStream:
        self._check(slug)
        return self.registry.configure_sink(slug, settings)

    def _check(self, slug: str) -> None:
        if slug in self.broken:
            raise PackageError("it does not import", where=f"packages.{slug}")


@mutable
class Hub:
    """What the tests turn."""

    ledger: SqliteLedger
    packages: Breakable
    clock: StillClock
    ids: SeededIds
    configuration: Configuration
    box: Callable[..., SecretBox]

    def another(self, box: SecretBox | None = None) -> Configuration:
        """A second process on the same ledger."""
        return Configuration(self.ledger, self.packages, box or self.box(), self.clock, self.ids)

    async def operator(self, name: str = "acme", **more: Any) -> Stored:
        body = {"dialect": "toywallet", "wallet": {"url": "https://w.example"}, "wallet_secrets": {"key": ["wallet-1"]}}
        return await self.configuration.put(None, Kind.OPERATOR, {"name": name, **body, **more}, **WHO)

    async def connection(self, operator: str, name: str = "main", **more: Any) -> Stored:
        body = {"adapter": "toy", "settings": {"url": "https://p.example"}, "secrets": {"signing": ["current", "old"]}}
        return await self.configuration.put(operator, Kind.CONNECTION, {"name": name, **body, **more}, **WHO)

    async def game(self, operator: str, connection: str, title: str = "Book of Tests", **route: Any) -> Stored:
        game = await self.configuration.put(operator, Kind.GAME, {"title": title, "studio": "Toy"}, **WHO)
        body = {"connection": connection, "game": game.id, "code": game.id}
        await self.configuration.put(operator, Kind.ROUTE, body | route, **WHO)
        return game


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    ledger = SqliteLedger(tmp_path / "ledger.db", threaded=False)
    await ledger.start()
    registry = Registry(discover=False)
    for spec in (toy_adapter("toy"), toy_adapter("other"), TOY_WALLET):
        registry.register(spec)
    packages, clock, ids = Breakable(registry), StillClock(), SeededIds(1)
    chance = random.Random(7)

    def box(current: str = "a", **keys: bytes) -> SecretBox:
        return SecretBox({"a": KEY, **keys}, current, chance.randbytes)

    configuration = Configuration(ledger, packages, box(), clock, ids)
    await configuration.load()
    yield Hub(ledger, packages, clock, ids, configuration, box)
    await ledger.close()
