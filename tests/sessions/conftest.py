"""Sessions on a real ledger, with a toy provider, a clock that stands still and seeded ids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, mutable

from croupier.configuration.directory import LiveConnection, LiveRoute
from croupier.configuration.documents import ConnectionDocument, RouteDocument
from croupier.contract import (
    AdapterSpec,
    AliasRule,
    Capability,
    Credentials,
    DialectSpec,
    Policies,
    Proof,
)
from croupier.ledger.sqlite import SqliteLedger
from croupier.runtime.ids import SeededIds
from croupier.sessions.service import Launch, SessionService, SessionSettings
from croupier.wallet.parties import Connection, Operator
from croupier.wallet.parties import Route as GameRoute
from croupier_conformance.toys import NoSettings, StillClock, ToyAdapter, ToyDialect


class ToyGames(ToyAdapter):
    policies = Policies()
    spec = AdapterSpec(
        slug="toy",
        name="Toy",
        proof=Proof.SIGNATURE,
        capabilities=frozenset({Capability.LAUNCH, Capability.LAUNCH_DEMO}),
        secrets=(),
        settings=NoSettings,
        create=lambda _: ToyGames(),
        aliases=AliasRule(alphabet="ABCDEF0123456789", length=20, prefix="cr_"),
    )


class ToyWallet(ToyDialect):
    spec = DialectSpec(
        slug="toy",
        name="Toy",
        capabilities=frozenset(),
        secrets=(),
        settings=NoSettings,
        create=lambda _: ToyWallet(),
    )


def toy_connection(id: str = "c1", operator: str = "op1") -> LiveConnection:
    """A connection as configuration makes them."""
    party = Operator(id=operator, dialect=ToyWallet(), credentials=Credentials())
    connection = Connection(id=id, name=id, provider="toy", operator=party, policies=Policies())
    return LiveConnection(
        connection=connection,
        adapter=ToyGames(),
        credentials=Credentials(),
        networks=(),
        proxies=(),
        document=ConnectionDocument(name=id, adapter="toy"),
    )


def toy_route(connection: str = "c1") -> LiveRoute:
    """A route as configuration makes them."""
    document = RouteDocument(connection=connection, game="toy--book", code="book", wallet_code="17")
    return LiveRoute(id="r1", document=document, route=GameRoute(game="toy--book", code="17"))


@mutable
class Desk:
    """What the tests turn."""

    ledger: SqliteLedger
    clock: StillClock
    ids: SeededIds
    sessions: SessionService
    live: LiveConnection = field(factory=toy_connection)

    @property
    def connection(self) -> Connection:
        return self.live.connection

    def route(self) -> LiveRoute:
        return toy_route(self.live.id)

    async def launch(self, player: str = "player-1", **more: Any) -> Launch:
        return await self.sessions.launch(self.live, self.route(), player, "EUR", **more)

    def service(self, *, rule: AliasRule | None = None, **settings: Any) -> SessionService:
        chosen = SessionSettings(token_key=settings.pop("token_key", b"k" * 32), **settings)
        return SessionService(self.ledger, self.clock, self.ids, chosen, lambda _: rule or ToyGames.spec.aliases)

    def use(self, live: LiveConnection) -> None:
        self.live = live

    def disable(self, *, operator: bool = False, connection: bool = False) -> None:
        party = evolve(self.connection.operator, enabled=not operator)
        self.live = evolve(self.live, connection=evolve(self.connection, operator=party, enabled=not connection))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    ledger = SqliteLedger(tmp_path / "ledger.db", threaded=False)
    await ledger.start()
    clock, ids = StillClock(), SeededIds(1)
    settings = SessionSettings(token_key=b"k" * 32, launch_ms=600_000, session_ms=3_600_000, retry_grace_ms=30_000)
    sessions = SessionService(ledger, clock, ids, settings, lambda _: ToyGames.spec.aliases)
    yield Desk(ledger, clock, ids, sessions)
    await ledger.close()
