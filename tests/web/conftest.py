"""A small hub for the tests of the web room: a toy provider, a scripted engine, and clocks that stand still."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, cast

import pytest
from attrs import evolve, field, frozen, mutable

from croupier.configuration.directory import Directory, DownConnection, LiveConnection, LiveOperator
from croupier.configuration.documents import ClientCertificate, ConnectionDocument, OperatorDocument
from croupier.contract import (
    MINOR,
    Adapter,
    AdapterSpec,
    Applied,
    Calls,
    Credentials,
    CroupierError,
    Currencies,
    Declined,
    Dialect,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Movement,
    MovementKey,
    MovementKind,
    MovementResult,
    Outcome,
    Play,
    PlayResult,
    Policies,
    Policy,
    Proof,
    Result,
    Route,
    SecretField,
    Target,
    Unknown,
    Verified,
    WireAmount,
    read_json_object,
    require_proof,
)
from croupier.ledger.port import Ledger
from croupier.ledger.records import ExchangeRow
from croupier.wallet.parties import Connection, Operator
from croupier.web.apps import Probes, ProviderApp
from croupier.web.gateway import Gateway, GatewayLimits

KEY = "test-key-of-the-toy-provider"


@frozen
class ToySettings:
    pass


class ToyAdapter(Adapter):
    """A provider whose requests carry their key in a header and one movement in a JSON body."""

    def __init__(self) -> None:
        self.policies = Policies(Policy(provider_timeout_ms=2000, timeout_margin_ms=500))

    spec = AdapterSpec(
        slug="toy",
        name="Toy",
        proof=Proof.BEARER,
        capabilities=frozenset(),
        secrets=(SecretField("key", "a test key"),),
        settings=ToySettings,
        create=lambda _: ToyAdapter(),
    )

    def routes(self) -> Sequence[Route]:
        return [Route("POST", "/move", "move"), Route("GET", "/status", "status"), Route("POST", "/broken", "broken")]

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        require_proof(credentials.every("key"), request.headers.get("X-Key"), where="X-Key")
        return Verified(request)

    def parse(self, verified: Verified) -> Calls:
        if verified.request.path == "/broken":
            raise ZeroDivisionError("player 4711 lost 12 EUR")
        fields = read_json_object(verified.request.body)
        if not isinstance(fields.get("id"), str):
            raise MalformedRequestError("expected a text", where="id")
        kind = MovementKind(fields.get("kind", "bet"))
        movement = Movement(
            kind,
            keys=(MovementKey("id", fields["id"]),),
            amount=WireAmount.of(fields.get("amount", 100), MINOR, "EUR"),
            target=Target(latest_bet_of_round=True) if kind is MovementKind.ROLLBACK else None,
        )
        return Calls((Play(operation="move", movements=(movement,), player="p", round="r"),), {"id": fields["id"]})

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        if calls.echo["id"] == "unwritable":
            raise ZeroDivisionError("the player's name is Ann")
        return HttpResponse.json(json.dumps({"code": _code(results[0].outcome)}))

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return HttpResponse.json(json.dumps({"code": f"error:{error.code}"}), error.status)

    def redact(self, request: HttpRequest) -> HttpRequest:
        return HttpRequest(request.method, request.path, body=b"an id of %d bytes" % len(request.body))


def _code(outcome: Outcome) -> str:
    match outcome:
        case Applied(effect=effect):
            return effect.value
        case Declined(reason=reason):
            return reason.value
        case Unknown(cause=cause):
            return f"retry:{cause.value}"


class StandingClock:
    """A clock whose sleep takes no real time but lets others run first, unless a test wants it real."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.is_real = False

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def now_ms(self) -> int:
        return 1_790_000_000_000 + int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        if self.is_real:
            await asyncio.sleep(seconds)
        for _ in range(50):
            await asyncio.sleep(0)
        self.seconds += seconds


class CountedIds:
    """Ids in a row."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def new_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._next):012x}"

    def nonce(self) -> str:
        return f"{next(self._next):032x}"

    def token(self) -> str:
        return f"{next(self._next):043d}"

    def jitter(self) -> float:
        return 0.0


@mutable
class KeptLog:
    """A log that can be asked what it was told."""

    lines: list[tuple[str, str, dict[str, Any]]] = field(factory=list)

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, name, fields in self.lines if name == event]


@mutable
class KeptMetrics:
    """Counts that can be read."""

    calls: list[dict[str, Any]] = field(factory=list)
    api: list[dict[str, Any]] = field(factory=list)
    under_way: dict[str, int] = field(factory=dict)

    def provider_call(self, *, operator: str, connection: str, operation: str, verdict: str, seconds: float) -> None:
        self.calls.append({"operator": operator, "connection": connection, "operation": operation, "verdict": verdict})

    def provider_calls_under_way(self, *, operator: str, count: int) -> None:
        self.under_way[operator] = count

    def api_call(self, *, api: str, operation: str, status: int, seconds: float) -> None:
        self.api.append({"api": api, "operation": operation, "status": status})


@mutable
class KeptExchanges:
    """The one method of the ledger that the gateway calls."""

    rows: list[ExchangeRow] = field(factory=list)

    def note(self, exchange: ExchangeRow) -> None:
        self.rows.append(exchange)


Script = Callable[[Calls], Any]


@mutable
class ScriptedEngine:
    """An engine that does as a test says, and remembers which movements it finished."""

    outcome: Outcome = field(factory=Applied)
    gate: asyncio.Event | None = None
    fault: Exception | None = None
    finished: list[str] = field(factory=list)
    deadlines: list[float] = field(factory=list)
    arrivals: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(0))

    async def arrived(self, count: int = 1) -> None:
        """Wait until so many more requests have come."""
        for _ in range(count):
            await self.arrivals.acquire()

    async def handle(self, connection: Connection, calls: Calls, *, trace: str, deadline: float) -> tuple[Result, ...]:
        self.deadlines.append(deadline)
        self.arrivals.release()
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        results = []
        for call in calls.items:
            assert isinstance(call, Play)
            self.finished.extend(movement.reference for movement in call.movements)
            moved = tuple(MovementResult(reference=each.reference, outcome=self.outcome) for each in call.movements)
            results.append(PlayResult(outcome=self.outcome, movements=moved))
        return tuple(results)


def _connection(operator: str, name: str, **document: Any) -> LiveConnection:
    adapter = ToyAdapter()
    party = Operator(id=operator, dialect=cast("Dialect", None), credentials=Credentials())
    configured = ConnectionDocument(name=name, adapter="toy", **document)
    return LiveConnection(
        connection=Connection(
            id=f"{operator}-{name}-id", name=name, provider="toy", operator=party, policies=adapter.policies
        ),
        adapter=adapter,
        credentials=Credentials({"key": (KEY,)}),
        networks=tuple(ip_network(text) for text in configured.allow_cidrs),
        proxies=tuple(ip_network(text) for text in configured.trusted_proxies),
        document=configured,
    )


def _operator(name: str, connections: Sequence[LiveConnection], down: Sequence[DownConnection] = ()) -> LiveOperator:
    return LiveOperator(
        id=f"{name}-id",
        name=name,
        document=OperatorDocument(name=name, dialect="native"),
        party=None,
        reason=None,
        currencies=Currencies(),
        connections={live.id: live for live in connections},
        down={one.id: one for one in down},
    )


@mutable(eq=False)
class Hub:
    """The gateway with everything it is handed."""

    engine: ScriptedEngine = field(factory=ScriptedEngine)
    exchanges: KeptExchanges = field(factory=KeptExchanges)
    clock: StandingClock = field(factory=StandingClock)
    ids: CountedIds = field(factory=CountedIds)
    log: KeptLog = field(factory=KeptLog)
    metrics: KeptMetrics = field(factory=KeptMetrics)
    limits: GatewayLimits = field(factory=lambda: GatewayLimits(body_bytes=1_000, under_way=2))
    obstacles: list[str] = field(factory=list)
    directory: Directory = field(init=False)
    gateway: Gateway = field(init=False)
    app: ProviderApp = field(init=False)

    def __attrs_post_init__(self) -> None:
        acme = _operator(
            "acme",
            [
                _connection("acme-id", "toy"),
                _connection("acme-id", "listed", allow_cidrs=("192.0.2.0/24",)),
                _connection(
                    "acme-id",
                    "proxied",
                    allow_cidrs=("192.0.2.0/24",),
                    trusted_proxies=("10.0.0.0/8",),
                ),
                _connection(
                    "acme-id", "certified", require_client_certificate=ClientCertificate(subject="provider.example")
                ),
            ],
            [DownConnection(id="d", name="down", reason="no package", code="package")],
        )
        other = _operator("other", [_connection("other-id", "toy")])
        self.directory = Directory(operators={live.id: live for live in (acme, other)})
        self.build()

    def build(self) -> None:
        self.gateway = Gateway(
            directory=lambda: self.directory,
            engine=self.engine,
            ledger=cast("Ledger", self.exchanges),
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            metrics=self.metrics,
            limits=self.limits,
        )
        probes = Probes(obstacles=lambda: self.obstacles, metrics=lambda: ("text/plain", b"hub_up 1\n"))
        self.app = ProviderApp(gateway=self.gateway, ids=self.ids, probes=probes)

    def with_limits(self, **limits: int) -> None:
        self.limits = evolve(self.limits, **limits)
        self.build()


@pytest.fixture
def hub() -> Hub:
    return Hub()
