"""A small hub for the tests of the web room: a toy provider, a scripted engine, and clocks that stand still."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import evolve, field, frozen, mutable

from croupier.accelerator.rates import Rates
from croupier.catalogue.service import CatalogueService
from croupier.configuration.directory import Directory, DownConnection, LiveConnection, LiveOperator
from croupier.configuration.documents import ClientCertificate, ConnectionDocument, Kind, OperatorDocument, Role
from croupier.configuration.secretbox import SecretBox
from croupier.configuration.service import Configuration, key_hash
from croupier.contract import (
    MINOR,
    Adapter,
    AdapterSpec,
    Applied,
    Calls,
    Capability,
    Credentials,
    CroupierError,
    Currencies,
    Declined,
    Dialect,
    DialectSpec,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    Headers,
    HttpRequest,
    HttpResponse,
    Launched,
    LaunchQuery,
    MalformedRequestError,
    Movement,
    MovementKey,
    MovementKind,
    MovementResult,
    NotFoundError,
    Outcome,
    Play,
    PlayResult,
    Policies,
    Policy,
    Proof,
    ReplayQuery,
    Result,
    Route,
    SecretField,
    Target,
    Unknown,
    Verified,
    WalletCall,
    WalletReply,
    WalletUnknown,
    WireAmount,
    read_json_object,
    require_proof,
)
from croupier.ledger.port import Change, Committed, Ledger
from croupier.ledger.records import DeliveryRow, ExchangeRow, MovementRow, MovementState, RoundRow, RoundState
from croupier.ledger.sqlite import SqliteLedger
from croupier.reconciliation.desk import CaseDesk
from croupier.registry import Registry
from croupier.runtime.ids import SeededIds
from croupier.sessions.service import SessionService, SessionSettings
from croupier.wallet.alarms import unheard
from croupier.wallet.open_rounds import OpenRounds
from croupier.wallet.parties import Connection, Operator
from croupier.wallet.ports import Timer
from croupier.web.admin_api import make_admin_app
from croupier.web.apps import Incoming, Probes, ProviderApp
from croupier.web.gateway import Gateway, GatewayLimits
from croupier.web.operator_api import make_operator_app

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
        capabilities=frozenset(
            {
                Capability.LAUNCH,
                Capability.LAUNCH_DEMO,
                Capability.ROUND_REPLAY,
                Capability.END_SESSION,
                Capability.FREE_ROUNDS_ISSUE,
                Capability.FREE_ROUNDS_CANCEL,
            }
        ),
        secrets=(SecretField("key", "a test key"),),
        settings=ToySettings,
        create=lambda _: ToyAdapter(),
    )

    def routes(self) -> Sequence[Route]:
        return [Route("POST", "/move", "move"), Route("GET", "/status", "status"), Route("POST", "/broken", "broken")]

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        require_proof(credentials.every("key"), request.headers.get("X-Key"), where="X-Key")
        return Verified(request, {"proof": "a key"})

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

    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        fields = {"game": query.game, "player": query.player, "token": query.token, "person": dict(query.person)}
        body = json.dumps({**fields, "currency": query.currency, "demo": query.demo}).encode()
        response = yield HttpRequest("POST", "https://toy.example/launch", body=body)
        return Launched(url=response.body.decode()) if response.body else Launched()

    def replay(self, query: ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        body = f"{query.player} {query.round} {query.game} {query.language} {query.transaction}".encode()
        response = yield HttpRequest("POST", "https://toy.example/replay", body=body)
        return Launched(html=response.body.decode())

    def end_session(self, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        yield HttpRequest("POST", "https://toy.example/end", body=player.encode())

    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        url = f"https://toy.example/free?currency={query.currency}&bet={query.bet}"
        response = yield HttpRequest("POST", url, body=query.grant.encode())
        return FreeRoundsIssued(reference=response.body.decode() or query.grant)

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        yield HttpRequest("POST", "https://toy.example/cancel", body=grant.encode())

    def redact(self, request: HttpRequest) -> HttpRequest:
        return HttpRequest(request.method, request.path, body=b"an id of %d bytes" % len(request.body))

    def redact_verified(self, verified: Verified) -> HttpRequest:
        shown = self.redact(verified.request)
        return evolve(shown, body=shown.body + b", proven by a key" * bool(verified.fields))


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

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        async def wait() -> None:
            await self.sleep(max(seconds, 0.0))
            callback()

        return cast("Timer", asyncio.ensure_future(wait()))


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
    waiting: dict[str, int] = field(factory=dict)

    def provider_call(self, *, operator: str, connection: str, operation: str, verdict: str, seconds: float) -> None:
        self.calls.append({"operator": operator, "connection": connection, "operation": operation, "verdict": verdict})

    def provider_calls_under_way(self, *, operator: str, count: int) -> None:
        self.under_way[operator] = count

    def provider_calls_waiting(self, *, operator: str, count: int) -> None:
        self.waiting[operator] = count

    def api_call(self, *, api: str, operation: str, status: int, seconds: float) -> None:
        self.api.append({"api": api, "operation": operation, "status": status})


@mutable
class KeptExchanges:
    """The one method of the ledger that the gateway calls."""

    rows: list[ExchangeRow] = field(factory=list)
    fault: Exception | None = None

    def note(self, exchange: ExchangeRow) -> None:
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        self.rows.append(exchange)


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
    limits: GatewayLimits = field(factory=lambda: GatewayLimits(body_bytes=1_000, under_way=2, waiting=4))
    rates: Rates | None = None
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
            rates=self.rates,
        )
        probes = Probes(obstacles=lambda: self.obstacles, metrics=lambda: ("text/plain", b"hub_up 1\n"))
        self.app = ProviderApp(gateway=self.gateway, ids=self.ids, probes=probes)

    def with_limits(self, **limits: int) -> None:
        self.limits = evolve(self.limits, **limits)
        self.build()


@pytest.fixture
def hub() -> Hub:
    return Hub()


# --- the JSON APIs, on a real ledger and a real configuration


class ToyDialect(Dialect):
    """A wallet that is never called."""

    spec = DialectSpec(
        slug="toywallet",
        name="Toy wallet",
        capabilities=frozenset(),
        secrets=(),
        settings=ToySettings,
        create=lambda _: ToyDialect(),
    )

    def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
        return HttpRequest("POST", "/")

    def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
        return WalletUnknown(detail="a toy knows nothing")


@mutable
class ToyProvider:
    """The other side of outbound flows: answers by path, and keeps what it was sent."""

    answers: dict[str, HttpResponse | Exception] = field(factory=dict)
    sent: list[HttpRequest] = field(factory=list)

    async def __call__(self, flow: Flow[Any], live: LiveConnection, *, operation: str, trace: str) -> Any:
        try:
            request = next(flow)
            while True:
                self.sent.append(request)
                answer = self.answers.get(request.path, HttpResponse.text(f"https://play.example{request.path}"))
                request = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
        except StopIteration as end:
            return end.value

    def sent_to(self, path: str) -> list[bytes]:
        return [request.body for request in self.sent if request.path == path]


@mutable
class KeptDeliveries:
    """What the admin API asks about held work."""

    rows: dict[str, DeliveryRow] = field(factory=dict)
    decided: list[dict[str, Any]] = field(factory=list)

    async def redrive(self, operator: str, delivery: str, *, who: str, why: str) -> DeliveryRow:
        return self._decide(operator, delivery, who=who, why=why)

    async def agree(self, operator: str, delivery: str, *, who: str, why: str, applied: bool) -> DeliveryRow:
        return self._decide(operator, delivery, who=who, why=why, applied=applied)

    def _decide(self, operator: str, delivery: str, **decision: Any) -> DeliveryRow:
        row = self.rows.get(delivery)
        if row is None or row.operator != operator:
            raise NotFoundError("there is no such delivery")
        self.decided.append({"delivery": delivery, **decision})
        return row


@mutable
class Answered:
    """An answer, read."""

    status: int
    headers: Headers
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@mutable(eq=False)
class Desk:
    """Both JSON APIs over one ledger, with two operators that have the same names for everything."""

    ledger: SqliteLedger
    configuration: Configuration
    sessions: SessionService
    clock: StandingClock
    ids: SeededIds
    registry: Registry
    provider: ToyProvider = field(factory=ToyProvider)
    deliveries: KeptDeliveries = field(factory=KeptDeliveries)
    log: KeptLog = field(factory=KeptLog)
    metrics: KeptMetrics = field(factory=KeptMetrics)
    keys: dict[str, str] = field(factory=dict)
    operators: dict[str, str] = field(factory=dict)
    connections: dict[str, str] = field(factory=dict)
    operator_app: Any = None
    admin_app: Any = None

    def __attrs_post_init__(self) -> None:
        self.operator_app = make_operator_app(
            ledger=self.ledger,
            sessions=self.sessions,
            catalogue=CatalogueService(self.configuration),
            outbound=self.provider,
            directory=lambda: self.configuration.directory,
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            metrics=self.metrics,
        )
        self.admin_app = make_admin_app(
            configuration=self.configuration,
            registry=self.registry,
            held=self.deliveries,
            rounds=OpenRounds(self.ledger, self.configuration, self.clock, lambda _movement: None, lambda: None),
            cases=CaseDesk(self.ledger, self.clock, unheard),
            ledger=self.ledger,
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            metrics=self.metrics,
            bootstrap_key_hash=key_hash("bootstrap-test-key"),
        )

    async def open_operator(self, name: str) -> None:
        """An operator with a connection, two games and a key."""
        who: Any = {"who": "test", "why": "a test"}
        body = {"name": name, "dialect": "toywallet"}
        operator = (await self.configuration.put(None, Kind.OPERATOR, body, **who)).operator
        connection = (
            await self.configuration.put(
                operator,
                Kind.CONNECTION,
                {
                    "name": "toy",
                    "adapter": "toy",
                    "secrets": {"key": [KEY]},
                    "policy": {
                        "currencies": [
                            {"code": "RMB", "currency": "CNY"},
                            {"code": "IDR2", "currency": "IDR", "ratio": "1000"},
                            {"code": "mBTC", "currency": "BTC", "ratio": "0.001"},
                        ]
                    },
                },
                **who,
            )
        ).id
        for title, code in (("Book of Toys", "book"), ("Toy Roulette", "wheel")):
            game = (await self.configuration.put(operator, Kind.GAME, {"title": title, "studio": "Toy"}, **who)).id
            await self.configuration.put(
                operator,
                Kind.ROUTE,
                {"connection": connection, "game": game, "code": code, "wallet_code": f"w-{code}", "free_rounds": True},
                **who,
            )
        made = await self.configuration.create_key(operator, role=Role.OPERATOR, label="main", **who)
        self.keys[name], self.operators[name], self.connections[name] = made.bearer, operator, connection

    async def ask(
        self, method: str, url: str, body: Any = None, *, operator: str = "acme", key: str | None = None, **more: Any
    ) -> Answered:
        """Ask the operator API."""
        return await self._ask(
            self.operator_app, method, url, body, self.keys[operator] if key is None else key, **more
        )

    async def admin(
        self, method: str, url: str, body: Any = None, *, key: str = "bootstrap-test-key", **more: Any
    ) -> Answered:
        """Ask the admin API."""
        return await self._ask(self.admin_app, method, url, body, key, **more)

    async def _ask(
        self, app: Any, method: str, url: str, body: Any, key: str, *, raw: bytes | None = None, kind: str = ""
    ) -> Answered:
        headers = [("Authorization", f"Bearer {key}")] if key else []
        if body is not None or raw is not None:
            headers.append(("Content-Type", kind or "application/json"))
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(method, url, Headers(tuple(headers)), sent)
        response = await app.answer(Incoming(request=request, source="198.51.100.7"))
        return Answered(response.status, response.headers, response.body)

    async def play(self, session: str, *, operator: str = "acme", count: int = 1) -> tuple[str, list[str]]:
        """Write a round with bets into the ledger, as the engine would; returns the round and the movements."""
        owner = self.operators[operator]
        launched = await self.ledger.session(owner, session)
        assert launched is not None
        now = self.clock.now_ms()
        played = self.ids.new_id()
        movements = [
            MovementRow(
                operator=owner,
                movement=self.ids.new_id(),
                play="play",
                ordinal=0,
                connection=launched.connection,
                player=launched.player,
                kind="bet",
                direction="debit",
                state=MovementState.APPLIED,
                amount=1050 + number,
                currency=launched.currency,
                reference=f"ref-{number}",
                fingerprint={},
                owner="test",
                epoch=1,
                nonce="n",
                lease_until=0,
                created_at=now + number // 2,  # two share a time: a page may end between them
                session=session,
                round=played,
                game=launched.game,
                route=launched.route,
                balance=9000,
            )
            for number in range(count)
        ]
        row = RoundRow(
            operator=owner,
            round=played,
            connection=launched.connection,
            player=launched.player,
            provider_round="pr-1",
            game=launched.game,
            currency=launched.currency,
            state=RoundState.OPEN,
            opened_at=now,
            bets=count,
        )
        answer = await self.ledger.commit(Change(operator=owner, movements=tuple(movements), rounds=(row,)))
        assert isinstance(answer, Committed)
        return played, [movement.movement for movement in movements]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock, ids = StandingClock(), SeededIds(1)
    ledger = SqliteLedger(tmp_path / "ledger.db", threaded=False)
    await ledger.start()
    registry = Registry(discover=False)
    registry.register(ToyAdapter.spec)
    registry.register(ToyDialect.spec)
    box = SecretBox({"k": b"k" * 32}, "k", random.Random(1).randbytes)
    configuration = Configuration(ledger, registry, box, clock, ids)
    await configuration.load()
    sessions = SessionService(
        ledger, clock, ids, SessionSettings(token_key=b"t" * 32), lambda slug: registry.adapter(slug).aliases
    )
    made = Desk(ledger, configuration, sessions, clock, ids, registry)
    await made.open_operator("acme")
    await made.open_operator("other")
    yield made
    await ledger.close()
