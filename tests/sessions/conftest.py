"""Sessions on a real ledger, with a toy provider, a clock that stands still and seeded ids."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, field, frozen, mutable

from croupier.configuration.directory import LiveConnection, LiveRoute
from croupier.configuration.documents import ConnectionDocument, RouteDocument
from croupier.contract import (
    Adapter,
    AdapterSpec,
    AliasRule,
    Calls,
    Capability,
    Credentials,
    CroupierError,
    Dialect,
    DialectSpec,
    HttpRequest,
    HttpResponse,
    Policies,
    Proof,
    Result,
    Route,
    Verified,
    WalletCall,
    WalletReply,
    WalletUnknown,
)
from croupier.ledger.sqlite import SqliteLedger
from croupier.sessions.service import Launch, SessionService, SessionSettings
from croupier.wallet.parties import Connection, Operator
from croupier.wallet.parties import Route as GameRoute


@mutable
class StillClock:
    ms: int = 1_700_000_000_000

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, UTC)

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class SeededIds:
    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def nonce(self) -> str:
        return self.random.randbytes(16).hex()

    def token(self) -> str:
        return base64.urlsafe_b64encode(self.random.randbytes(32)).decode().rstrip("=")

    def jitter(self) -> float:
        return self.random.random()


@frozen
class NoSettings:
    pass


class ToyAdapter(Adapter):
    policies = Policies()
    spec = AdapterSpec(
        slug="toy",
        name="Toy",
        proof=Proof.SIGNATURE,
        capabilities=frozenset({Capability.LAUNCH, Capability.LAUNCH_DEMO}),
        secrets=(),
        settings=NoSettings,
        create=lambda _: ToyAdapter(),
        aliases=AliasRule(alphabet="ABCDEF0123456789", length=20, prefix="cr_"),
    )

    def routes(self) -> Sequence[Route]:
        return ()

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        return Verified(request)

    def parse(self, verified: Verified) -> Calls:
        return Calls(())

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return HttpResponse(200)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return HttpResponse(error.status)


class ToyDialect(Dialect):
    spec = DialectSpec(
        slug="toy",
        name="Toy",
        capabilities=frozenset(),
        secrets=(),
        settings=NoSettings,
        create=lambda _: ToyDialect(),
    )

    def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
        return HttpRequest("POST", "/")

    def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
        return WalletUnknown(detail="a toy knows nothing")


def toy_connection(id: str = "c1", operator: str = "op1") -> LiveConnection:
    """A connection as configuration makes them."""
    party = Operator(id=operator, dialect=ToyDialect(), credentials=Credentials())
    connection = Connection(id=id, name=id, provider="toy", operator=party, policies=Policies())
    return LiveConnection(
        connection=connection,
        adapter=ToyAdapter(),
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
        return SessionService(self.ledger, self.clock, self.ids, chosen, lambda _: rule or ToyAdapter.spec.aliases)

    def use(self, live: LiveConnection) -> None:
        self.live = live

    def disable(self, *, operator: bool = False, connection: bool = False) -> None:
        party = evolve(self.connection.operator, enabled=not operator)
        self.live = evolve(self.live, connection=evolve(self.connection, operator=party, enabled=not connection))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    ledger = SqliteLedger(tmp_path / "ledger.db", threaded=False)
    await ledger.start()
    clock, ids = StillClock(), SeededIds()
    settings = SessionSettings(token_key=b"k" * 32, launch_ms=600_000, session_ms=3_600_000, retry_grace_ms=30_000)
    sessions = SessionService(ledger, clock, ids, settings, lambda _: ToyAdapter.spec.aliases)
    yield Desk(ledger, clock, ids, sessions)
    await ledger.close()
