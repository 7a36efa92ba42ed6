"""What the benchmark measures and what it measures with, as processes: started, configured, stopped."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import attrs
from aiohttp import web
from attrs import define, field, frozen

from croupier.cli.admin import _configured
from croupier.configuration.documents import HUB_SCOPE, Role
from croupier.configuration.service import Configuration
from croupier.contract import Headers, HttpRequest
from croupier.runtime.settings import load_settings
from croupier_conformance.certification.subject import load_adapter
from croupier_conformance.servers import PostgresServer

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent
sys.path.insert(1, str(ROOT / "examples/demo"))

from demo_hub import Api, game_name, launch  # noqa: E402 # found by the line above
from demo_plan import HOST, Provider, free_ports  # noqa: E402 # same
from demo_processes import Processes, until  # noqa: E402 # same

__all__ = ["HERE", "HOST", "HubProcess", "Stand", "Tenant", "free_ports", "set_up", "start_hub", "until"]

PLAYERS: Final = 64
WHY: Final = "the benchmark"
TOKEN: Final = load_adapter("softswiss").secrets["auth_token"]
WALLET_SECRET: Final = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

SETTINGS: Final = """\
owner = "bench"
database.url = "{database}"
secrets = {{ current = "bench", keys.bench = {{ file = "hub.key" }} }}
outgoing = {{ plain_http = true, loopback = true }}
listeners.providers = {{ port = {providers} }}
listeners.operators = {{ port = {operators} }}
listeners.admin = {{ port = {admin} }}
"""
"""Production defaults, but for what allows a wallet on this machine."""


# --- processes --------------------------------------------------------------------------------------------------------


@define(eq=False)
class Stand:
    """Every process of the benchmark.

    Attributes:
        folder: Where their files are.
        processes: Those that were started here.
        postgres: The server of PostgreSQL.
        http: For the APIs.
        wallet: The wallet stub's port.
        silent: The port of a wallet that never answers.
        load: The load generator.
        pids: Process ids by name.
    """

    folder: Path
    postgres: PostgresServer
    http: aiohttp.ClientSession
    processes: Processes = field(init=False)
    wallet: int = 0
    silent: int = 0
    load: asyncio.subprocess.Process = field(init=False)
    pids: dict[str, int] = field(factory=dict)
    _telling: asyncio.Lock = field(factory=asyncio.Lock)

    async def start(self) -> None:
        self.processes = Processes(self.folder)
        self.processes._environment["PYTHONPATH"] += os.pathsep + str(ROOT)
        self.wallet, self.silent = free_ports(2)
        await self.begin("wallet", [str(HERE / "wallet_stub.py"), str(self.wallet)], [self.wallet])
        with (self.folder / "load.log").open("wb") as log:
            self.load = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.benchmarks.load", cwd=ROOT, stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self.pids["load"] = self.load.pid
        await self.begin("silent", [str(HERE / "wallet_stub.py"), str(self.silent), "silent"], [self.silent])
        data = Path(str(self.postgres.execute("SHOW data_directory")[0][0]))
        self.pids["database"] = int((data / "postmaster.pid").read_text().splitlines()[0])

    async def begin(self, name: str, command: Sequence[str], ports: Sequence[int]) -> None:
        """Start a program and note its process id."""
        await self.processes.start(name, command, ports)
        self.pids[name] = self.process(name).pid

    def process(self, name: str) -> asyncio.subprocess.Process:
        """A program that runs."""
        return self.processes._running[name]

    async def end(self, name: str) -> None:
        """Let a program end as it does in production."""
        process = self.processes._running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def begin_again(self, name: str) -> None:
        """Start a program anew that has ended."""
        await self.processes.start_again(name)
        self.pids[name] = self.process(name).pid

    async def stop(self) -> None:
        if self.load.stdin is not None:
            self.load.stdin.close()
        await self.load.wait()
        await self.processes.stop()

    async def tell(self, do: str, **command: Any) -> Any:
        """One command to the load generator."""
        assert self.load.stdin is not None
        assert self.load.stdout is not None
        async with self._telling:
            self.load.stdin.write(json.dumps({"do": do, **command}).encode() + b"\n")
            line = await self.load.stdout.readline()
        if not line:
            raise RuntimeError((self.folder / "load.log").read_text())
        return json.loads(line)

    async def moved(self) -> int:
        """How many transactions the wallet has applied."""
        state = await Api(self.http, f"http://{HOST}:{self.wallet}").ask("GET", "/-/state")
        return int(state["moved"])


# --- hubs -------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Tenant:
    """One operator of a hub, with its connection and its launched players.

    Attributes:
        name: The operator's name.
        operator: The operator's id.
        connection: The connection's id.
        players: As the provider knows them.
    """

    name: str
    operator: str
    connection: str
    players: Sequence[dict[str, str]]


@frozen(kw_only=True)
class HubProcess:
    """A hub that is configured and has launched a game for every player.

    Attributes:
        name: Its name among the targets.
        database: The URL of its ledger.
        port: Where it takes providers' requests.
        admin: Where its metrics are.
        tenants: Its operators.
        settings: Of the adapter.
    """

    name: str
    database: str
    port: int
    admin: int
    tenants: Sequence[Tenant]
    settings: dict[str, Any]

    @property
    def main(self) -> Tenant:
        """The operator whose bets are measured."""
        return self.tenants[0]


async def start_hub(
    stand: Stand,
    name: str,
    database: str,
    *,
    wrapper: Sequence[str] = ("-m", "croupier"),
    options: Sequence[str] = (),
    stalled: bool = False,
) -> HubProcess:
    """Start a hub and seed it by its APIs, as its operators would.

    Args:
        stand: The other processes.
        name: The hub's name.
        database: The URL of an empty database.
        wrapper: What Python runs the command line with.
        options: More words of the command line.
        stalled: Whether there is a second operator, whose wallet never answers; it is the target `<name>/stalled`.
    """
    providers, operators, admin, peer_port = free_ports(4)
    file, key = stand.folder / f"{name}.toml", stand.folder / "hub.key"
    key.write_bytes(base64.b64encode(secrets.token_bytes(32)) if not key.exists() else key.read_bytes())
    file.write_text(SETTINGS.format(database=database, providers=providers, operators=operators, admin=admin))
    admin_key = await _first_key(file)
    await stand.begin(name, [*wrapper, "serve", str(file), *options], [providers, operators, admin])
    provider = Provider(name="softswiss", title="SOFTSWISS", port=peer_port)
    settings = dict(provider.subject().settings_raw)
    wallets = {"acme": stand.wallet} | ({"stalled": stand.silent} if stalled else {})
    tenants = []
    for tenant, wallet in wallets.items():
        operator, connection, operator_key = await configure(
            Api(stand.http, f"http://{HOST}:{admin}", admin_key), tenant, provider, wallet
        )
        players = await _seat(Api(stand.http, f"http://{HOST}:{operators}", operator_key), provider)
        tenants.append(Tenant(name=tenant, operator=operator, connection=connection, players=players))
    hub = HubProcess(name=name, database=database, port=providers, admin=admin, tenants=tenants, settings=settings)
    await set_up(stand, name, providers, hub)
    for tenant_of in tenants[1:]:
        await set_up(stand, f"{name}/{tenant_of.name}", providers, hub, tenant=tenant_of)
    return hub


async def _first_key(settings: Path) -> str:
    """What `croupier admin create-key` does, without a process for it."""

    async def make(configuration: Configuration) -> str:
        made = await configuration.create_key(HUB_SCOPE, role=Role.ADMIN, label="bench", who="bench", why=WHY)
        return made.bearer

    return await _configured(load_settings(settings), make)


async def set_up(
    stand: Stand,
    target: str,
    port: int,
    hub: HubProcess,
    *,
    tenant: Tenant | None = None,
    prefix: str | None = None,
    players: Sequence[dict[str, str]] | None = None,
    echoes: bool = True,
) -> None:
    """Let the load generator know a target; baselines are sent what a hub would be sent.

    Args:
        stand: The processes.
        target: Its name.
        port: Where it listens.
        hub: Whose requests they are.
        tenant: Of which operator.
        prefix: Of the address, if it is not a hub's.
        players: Other players than the operator's own.
        echoes: Whether answers name what was asked.
    """
    tenant = tenant or hub.main
    await stand.tell(
        "setup", target=target, port=port, prefix=f"/providers/{tenant.name}/softswiss" if prefix is None else prefix,
        settings=hub.settings, token=TOKEN, players=list(players or tenant.players), echoes=echoes,
    )  # fmt: skip


async def configure(admin: Api, tenant: str, provider: Provider, wallet: int) -> tuple[str, str, str]:
    """One operator, one connection, one game; their ids and a key of the operator API."""
    why = WHY
    operator = {
        "name": tenant,
        "dialect": "native",
        "wallet": {"url": f"http://{HOST}:{wallet}"},
        "wallet_secrets": {"signing_secret": [WALLET_SECRET]},
    }
    made = await admin.ask("POST", "/admin/v1/operators", {"why": why, "body": operator})
    below = f"/admin/v1/operators/{made['id']}"
    subject = provider.subject()
    body = {
        "name": provider.name,
        "adapter": provider.name,
        "settings": dict(subject.settings_raw),
        "secrets": {"auth_token": [TOKEN]},
    }
    connection = await admin.ask("POST", f"{below}/connections", {"why": why, "body": body})
    for code, title in subject.games.items():
        game = {"title": title, "studio": provider.title, "category": "slots"}
        stored = await admin.ask("PUT", f"{below}/games/{game_name(provider, title)}", {"why": why, "body": game})
        route = {"connection": connection["id"], "game": stored["id"], "code": code}
        await admin.ask("POST", f"{below}/routes", {"why": why, "body": route})
    key = await admin.ask("POST", f"{below}/keys", {"why": why, "label": "bench", "role": "operator"})
    return str(made["id"]), str(connection["id"]), str(key["key"])


async def _seat(operator: Api, provider: Provider) -> list[dict[str, str]]:
    """Launch a game for every player; the provider's own API is served meanwhile."""
    subject = provider.subject()
    peer, credentials = subject.peer(), subject.credentials

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        asked = HttpRequest("POST", str(request.url), Headers.of(request.headers.items()), await request.read())
        answer = peer.serve(asked, credentials, datetime.now(UTC))
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers.items))

    runner = web.ServerRunner(web.Server(serve, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, HOST, provider.port).start()
    try:
        given = [await launch(operator, provider, f"player-{place}", 0) for place in range(PLAYERS)]
    finally:
        await runner.cleanup()
    return [attrs.asdict(peer.launched(launched["url"])) for launched in given]
