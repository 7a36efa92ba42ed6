"""A whole hub without sockets, on virtual time: the real gateway, APIs, engine and ledger between simulated others.

Providers are peers, the operator is any function that answers wallet requests, and both hops go through a `Network`
that a test may make bad. The hub's process can be killed between any two of its effects and started anew on the same
ledger. The same seed gives the same ledger.

Example:
    >>> async def story(folder, wallet, provider) -> None:
    ...     async with SimulatedHub.open(folder, wallet=wallet, providers=[provider]) as hub:
    ...         seat = await hub.launch(provider.name, "player-1")
    ...         print(await hub.ask(provider.name, PeerBalance(player=seat)))
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field, frozen

from croupier.configuration.changes import Draft
from croupier.configuration.documents import Kind, Role
from croupier.contract import (
    Capability,
    Credentials,
    CroupierError,
    Headers,
    HttpRequest,
    HttpResponse,
    Launched,
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerPlayer,
    TransportError,
    Verdict,
)
from croupier.ledger import sqlite_open
from croupier.ledger.migrations import migrate_sqlite
from croupier.ledger.port import MovementFilter, Page
from croupier.ledger.records import DeliveryRow, MovementRow
from croupier.ledger.sqlite import SqliteLedger
from croupier.registry import Registry
from croupier.runtime.ids import SeededIds
from croupier.web.apps import Incoming
from croupier.web.tracing import trace_of
from croupier_conformance.ledger_dump import dump_ledger
from croupier_conformance.network import Faults, Network
from croupier_conformance.simulated_process import LogBook, Process, World, start_process
from croupier_conformance.virtual_time import LoopClock

Wallet = Callable[[HttpRequest], HttpResponse]
"""Answers one request to the operator's wallet, effect included."""

OPERATOR: Final = "acme"
"""The operator's name in addresses."""

WALLET_URL: Final = "https://wallet.example"
"""Where the operator's wallet is, unless a test says otherwise."""

SILENCE: Final = PeerAnswer(verdict=Verdict.RETRY, code="")
"""What hearing nothing means to a provider."""

GONE: Final = HttpResponse.text("502: Bad Gateway", 502)
"""What stands before a hub answers in its place when its process has died."""

_TRANSIT_SECONDS: Final = 0.005


@frozen(kw_only=True)
class SimulatedProvider:
    """A provider that is connected to the hub.

    Attributes:
        name: The connection's name.
        adapter: The adapter's slug.
        peer: The provider itself. Its state outlives the hub's process.
        host: The host of the addresses under which the hub calls it.
        settings: The connection's settings, JSON-ready.
        secrets: The connection's secrets.
        games: The provider's game codes, each with its title; the first is launched unless another is named.
        wallet_codes: The codes in wallet calls of games that have another one there.
        policy: Knobs that differ from the adapter's defaults.
    """

    name: str
    adapter: str
    peer: Peer
    host: str
    settings: Mapping[str, Any] = field(factory=dict)
    secrets: Mapping[str, str] = field(factory=dict, repr=False)
    games: Mapping[str, str] = field(factory=dict)
    wallet_codes: Mapping[str, str] = field(factory=dict)
    policy: Mapping[str, Any] = field(factory=dict)

    @property
    def credentials(self) -> Credentials:
        """The secrets as adapter and peer take them."""
        return Credentials({name: (value,) for name, value in self.secrets.items()})


@frozen(kw_only=True)
class SimulatedOperator:
    """How the operator's wallet is configured.

    Attributes:
        dialect: The slug of its protocol.
        wallet: The dialect's settings.
        secrets: The dialect's secrets.
        policy: Knobs of `WalletPolicy` that differ from the defaults.
        more: Further fields of the operator's document (`limits`, `capabilities_missing`, ...).
    """

    dialect: str = "native"
    wallet: Mapping[str, Any] = field(factory=lambda: {"url": WALLET_URL})
    secrets: Mapping[str, str] = field(factory=dict, repr=False)
    policy: Mapping[str, Any] = field(
        factory=lambda: {"retry_safe": True, "tombstones": True, "timeout_ms": 2_000},
    )
    more: Mapping[str, Any] = field(factory=dict)


class ApiAnswerError(CroupierError):
    """The operator API answered with something else than success; the message is its problem document.

    Attributes:
        answered: The HTTP status.
    """

    def __init__(self, answered: int, text: str) -> None:
        super().__init__(text)
        self.answered = answered


@define(eq=False)
class SimulatedHub:
    """A hub between a wallet and providers, as `open` starts it.

    Attributes:
        providers: The providers by connection name.
        operator: The operator's id.
        connections: The connections' ids by name.
        games: The hub's game ids by the provider's code.
        clock: Virtual time.
        ledger: The durable record.
        wallet_network: What happens between hub and wallet.
        provider_network: What happens between providers and hub, in both directions.
        log: Every line that any process wrote.
        wallet_calls: How many requests reached the wallet, by path.
        seats: Every player that was launched, as the provider came to know it.
        process: The process that runs now.
    """

    providers: Mapping[str, SimulatedProvider]
    clock: LoopClock
    ids: SeededIds
    ledger: SqliteLedger
    registry: Registry
    wallet_network: Network
    provider_network: Network
    log: LogBook
    path: Path
    seed: int
    _wallet: Wallet
    operator: str = ""
    key: str = field(default="", repr=False)
    connections: dict[str, str] = field(factory=dict)
    games: dict[str, str] = field(factory=dict)
    wallet_calls: Counter[str] = field(factory=Counter)
    seats: list[PeerPlayer] = field(factory=list)
    _processes: list[Process] = field(factory=list)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        folder: str | Path,
        *,
        wallet: Wallet,
        providers: Sequence[SimulatedProvider],
        operator: SimulatedOperator | None = None,
        seed: int = 0,
        registry: Registry | None = None,
    ) -> AsyncIterator[SimulatedHub]:
        """Start one; inside a virtual loop. Both networks are good until `trouble` is called.

        Args:
            folder: Where the ledger's file is made.
            wallet: The operator's wallet.
            providers: Who is connected.
            operator: How the wallet is configured.
            seed: Of every id and of every fault.
            registry: Where adapters and dialects are found; by default what is installed.
        """
        path = Path(folder) / "ledger.sqlite3"
        if not path.exists():
            path.write_bytes(_new_ledger())
        hub = cls(
            providers={provider.name: provider for provider in providers},
            clock=LoopClock(),
            ids=SeededIds(seed),
            ledger=SqliteLedger(path, threaded=False),
            registry=registry or Registry(),
            wallet_network=Network(Random(f"{seed}/wallet"), Faults()),
            provider_network=Network(Random(f"{seed}/providers"), Faults()),
            log=LogBook(),
            path=path,
            seed=seed,
            wallet=wallet,
        )
        await hub.ledger.start()
        try:
            await hub._start()
            await hub._seed(operator or SimulatedOperator())
            yield hub
            hub.process.worker.cancel()
            await hub.process.engine.drain()
            await hub.wallet_network.settle()
            await hub.provider_network.settle()
        finally:
            hub.process.worker.cancel()
            await hub.ledger.close()

    @property
    def process(self) -> Process:
        """The process that runs now."""
        return self._processes[-1]

    # --- what a test does to the world ----------------------------------------------------------------------------

    def trouble(self, *, wallet: float = 0.0, providers: float = 0.0) -> None:
        """Make the networks bad: shares of all messages that meet a fault, of every kind equally often."""
        self.wallet_network.faults, self.wallet_network.quiet = Faults.evenly(wallet), False
        self.provider_network.faults, self.provider_network.quiet = Faults.evenly(providers), False

    def calm(self) -> None:
        """Let everything through from now on; what is on its way arrives as it would have."""
        self.wallet_network.quiet = self.provider_network.quiet = True

    async def kill(self) -> None:
        """Kill the process between two effects and start another one on the same ledger, as after a power cut."""
        self.process.worker.cancel()
        self.process.life.kill()
        await self._start()

    async def drain(self, hours: float = 24) -> None:
        """Calm the networks and let time pass until nothing is owed any more, or for so long."""
        self.calm()
        await self.wallet_network.settle()
        await self.provider_network.settle()
        end = self.clock.monotonic() + hours * 3600
        while self.clock.monotonic() < end and await self.process.deliveries.owed():
            await self.clock.sleep(1)

    async def put(self, kind: Kind, id: str, **changes: Any) -> None:
        """Change fields of something configured, as an administrator would."""
        configuration = self.process.configuration
        stored = configuration.get(self.operator, kind, id)
        await configuration.put(self.operator, kind, {**stored.body, **changes}, id=id, who="test", why="test")

    # --- what a provider does -------------------------------------------------------------------------------------

    async def handle(
        self,
        connection: str,
        request: HttpRequest,
        *,
        operator: str = OPERATOR,
        source: str = "198.51.100.7",
    ) -> HttpResponse:
        """Have the gateway answer one request, without a network between; cancelled as a caller that hangs up."""
        process = self.process
        work = process.gateway.handle(
            operator,
            connection,
            request,
            source=source,
            forwarded=request.headers,
            client_certificate=None,
            trace=trace_of(request.headers, self.ids),
        )
        return await process.life.unless_over(work) or GONE

    async def send(self, provider: str, request: HttpRequest, seconds: float | None = None) -> HttpResponse | None:
        """Send a provider's request over its network, and wait as long as it does; `None` is silence."""
        live = self.process.configuration.directory.connection_by_name(OPERATOR, provider)
        patience = live.connection.policies.default.provider_timeout_ms / 1000 if live else 5.0

        async def deliver() -> HttpResponse:
            await self.clock.sleep(_TRANSIT_SECONDS)
            return await self.handle(provider, request)

        try:
            return await self.provider_network.carry(deliver, seconds or patience)
        except TransportError:
            return None

    def signed(self, provider: str, action: PeerAction) -> HttpRequest:
        """The request that the provider would send now."""
        peer = self.providers[provider]
        return peer.peer.request(action, peer.credentials, self.clock.now())

    async def ask(self, provider: str, action: PeerAction) -> PeerAnswer:
        """Do as the provider does once: build, sign, send, and read the answer by its rules."""
        response = await self.send(provider, self.signed(provider, action))
        return SILENCE if response is None else self.providers[provider].peer.answer(action, response)

    # --- what the operator does -----------------------------------------------------------------------------------

    async def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the operator API.

        Raises:
            ApiAnswerError: It answered with something else than success.
        """
        headers = [("Authorization", f"Bearer {self.key}")]
        if body is not None:
            headers.append(("Content-Type", "application/json"))
        sent = b"" if body is None else json.dumps(body).encode()
        request = HttpRequest(method, path, Headers(tuple(headers)), sent)
        response = await self.process.operator_api.answer(Incoming(request=request, source="198.51.100.8"))
        if response.status >= 300:
            raise ApiAnswerError(response.status, response.body.decode())
        return json.loads(response.body)

    async def launch(
        self,
        provider: str,
        player: str,
        *,
        game: str | None = None,
        currency: str = "EUR",
        authenticate: bool = True,
        **more: Any,
    ) -> PeerPlayer:
        """Launch a game by the operator API, as far as the game's client: with its token exchanged where that is usual.

        Args:
            provider: The connection.
            player: The operator's own id of the player.
            game: The provider's code of the game.
            currency: The currency.
            authenticate: Whether the provider exchanges the token.
            more: Further fields of the launch.

        Raises:
            ApiAnswerError: The launch was refused.
        """
        known = self.providers[provider]
        code = game or next(iter(known.games))
        launch = {"game": self.games[code], "player": player, "currency": currency, "connection": provider, **more}
        told = await self.api("POST", "/v1/launches", launch)
        seat = known.peer.started(Launched(url=told["url"], html=told["html"], parameters=told["parameters"] or {}))
        self.seats.append(seat)
        while authenticate and Capability.AUTHENTICATE in known.peer.capabilities:
            answer = await self.ask(provider, PeerAuthenticate(player=seat))
            if answer.verdict is Verdict.DONE and answer.player is not None:
                self.seats.append(answer.player)
                return answer.player
            if answer.verdict is Verdict.REFUSED:
                raise ApiAnswerError(200, f"authenticate was answered {answer.code}")
            await self.clock.sleep(1)
        return seat

    # --- what is on record ----------------------------------------------------------------------------------------

    async def rows(self) -> list[MovementRow]:
        """Every movement on record, oldest first."""
        return list(await self.ledger.movements(self.operator, MovementFilter(), Page(limit=100_000)))

    async def deliveries(self) -> list[DeliveryRow]:
        """Everything that is or was owed."""
        return list(await self.ledger.deliveries(self.operator, None, 100_000))

    def dump(self) -> str:
        """The ledger as text; equal ledgers give equal text."""
        return dump_ledger(self.path)

    # --- inside ---------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """Start one more process of the hub."""
        world = World(
            ledger=self.ledger,
            registry=self.registry,
            clock=self.clock,
            ids=self.ids,
            log=self.log,
            send=self._outward,
            seed=self.seed,
        )
        self._processes.append(await start_process(world, number=len(self._processes)))

    async def _seed(self, operator: SimulatedOperator) -> None:
        document = {
            "name": OPERATOR,
            "dialect": operator.dialect,
            "wallet": dict(operator.wallet),
            "wallet_secrets": {name: [value] for name, value in operator.secrets.items()},
            "wallet_policy": dict(operator.policy),
            **operator.more,
        }
        configuration = self.process.configuration
        made = await configuration.put(None, Kind.OPERATOR, document, who="simulation", why="seeded")
        self.operator = made.id
        drafts = [draft for provider in self.providers.values() for draft in self._connection(provider)]
        await configuration.put_all(self.operator, drafts, who="simulation", why="seeded")
        key = await configuration.create_key(
            self.operator, role=Role.OPERATOR, label="main", who="simulation", why="seeded"
        )
        self.key = key.bearer

    def _connection(self, provider: SimulatedProvider) -> Iterator[Draft]:
        document = {
            "name": provider.name,
            "adapter": provider.adapter,
            "settings": dict(provider.settings),
            "secrets": {name: [value] for name, value in provider.secrets.items()},
            "policy": dict(provider.policy),
        }
        connection = self.connections[provider.name] = self.ids.new_id()
        yield Draft(kind=Kind.CONNECTION, body=document, id=connection)
        for code, title in provider.games.items():
            game = self.games[code] = self.ids.new_id()
            yield Draft(kind=Kind.GAME, body={"title": title, "studio": provider.name}, id=game)
            route = {"connection": connection, "game": game, "code": code, "free_rounds": True}
            if code in provider.wallet_codes:
                route["wallet_code"] = provider.wallet_codes[code]
            yield Draft(kind=Kind.ROUTE, body=route)

    async def _outward(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        """One request of the hub to whoever lives at its address."""
        host = urlsplit(request.url).hostname
        provider = next((known for known in self.providers.values() if known.host == host), None)

        async def deliver() -> HttpResponse:
            await self.clock.sleep(_TRANSIT_SECONDS)
            if provider is not None:
                return provider.peer.serve(request, provider.credentials, self.clock.now())
            self.wallet_calls[urlsplit(request.url).path] += 1
            return self._wallet(request)

        network = self.wallet_network if provider is None else self.provider_network
        return await network.carry(deliver, timeout_seconds)


@cache
def _new_ledger() -> bytes:
    """The file of an empty ledger, made once a process: the schema takes longer than many a story."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        with closing(sqlite_open.open_writer(path)) as connection:
            migrate_sqlite(connection)
        return path.read_bytes()
