"""What the benchmark measures and what it measures with, as processes: started, configured, filled, watched."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import socket
import sys
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import attrs
from aiohttp import web
from attrs import define, field, frozen

from croupier.contract import Credentials, Headers, HttpRequest
from croupier.ledger.port import Change, Committed
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import Event, Key, MovementRow, MovementState, RoundRow, RoundState
from croupier.ledger.sqlite import SqliteLedger
from croupier.registry import structure
from croupier_conformance.servers import PostgresServer
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent
sys.path.insert(1, str(ROOT / "examples/demo"))

from demo_hub import Api, launch  # noqa: E402 # found by the line above
from demo_plan import Provider  # noqa: E402 # same
from demo_processes import Processes, until  # noqa: E402 # same

__all__ = [
    "HERE", "HubProcess", "Stand", "cpu_seconds", "fill", "free_ports", "main_thread_seconds", "memory_mib", "set_up",
    "start_hub", "until",
]  # fmt: skip

HOST: Final = "127.0.0.1"
PLAYERS: Final = 64
TICKS: Final = os.sysconf("SC_CLK_TCK")
TOKEN: Final = secrets.token_hex(24)
WALLET_SECRET: Final = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
FILL_AT_ONCE: Final = 250

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


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


# --- what a process costs ---------------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and of the children that it has or had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS + sum(cpu_seconds(int(child)) for child in children)


def main_thread_seconds(pid: int) -> float:
    """The CPU time of a process's first thread, which is that of its event loop."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


def memory_mib(pid: int) -> float:
    """The resident memory of a process and its children; a page that several share is counted once in all."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        kind = "Pss:" if children else "Rss:"
        return _kib(pid, kind) / 1024 + sum(_kib(int(child), "Pss:") for child in children) / 1024
    except OSError:
        return 0.0


def _kib(pid: int, kind: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind))


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
        load: The load generator.
        pids: Process ids by name.
    """

    folder: Path
    postgres: PostgresServer
    http: aiohttp.ClientSession
    processes: Processes = field(init=False)
    wallet: int = 0
    load: asyncio.subprocess.Process = field(init=False)
    pids: dict[str, int] = field(factory=dict)
    _telling: asyncio.Lock = field(factory=asyncio.Lock)

    async def start(self) -> None:
        self.processes = Processes(self.folder)
        (self.wallet,) = free_ports(1)
        await self.begin("wallet", [str(HERE / "wallet_stub.py"), str(self.wallet)], [self.wallet])
        with (self.folder / "load.log").open("wb") as log:
            self.load = await asyncio.create_subprocess_exec(
                sys.executable, str(HERE / "load.py"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )  # fmt: skip
        self.pids["load"] = self.load.pid
        data = Path(str(self.postgres.execute("SHOW data_directory")[0][0]))
        self.pids["database"] = int((data / "postmaster.pid").read_text().splitlines()[0])

    async def begin(self, name: str, command: Sequence[str], ports: Sequence[int]) -> None:
        """Start a program and note its process id."""
        await self.processes.start(name, command, ports)
        self.pids[name] = self.processes._running[name].pid

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
class HubProcess:
    """A hub that is configured and has launched a game for every player.

    Attributes:
        name: Its name among the targets.
        database: The URL of its ledger.
        port: Where it takes providers' requests.
        players: As the provider knows them.
        operator: The operator's id.
        connection: The connection's id.
        settings: Of the adapter.
    """

    name: str
    database: str
    port: int
    players: Sequence[dict[str, str]]
    operator: str
    connection: str
    settings: dict[str, Any]


async def start_hub(stand: Stand, name: str, database: str, wrapper: Sequence[str] = ("-m", "croupier")) -> HubProcess:
    """Start a hub and seed it by its APIs, as its operator would.

    Args:
        stand: The other processes.
        name: The hub's name.
        database: The URL of an empty database.
        wrapper: What Python runs the command line with.
    """
    providers, operators, admin, peer_port = free_ports(4)
    file, key = stand.folder / f"{name}.toml", stand.folder / "hub.key"
    key.write_bytes(base64.b64encode(secrets.token_bytes(32)) if not key.exists() else key.read_bytes())
    file.write_text(SETTINGS.format(database=database, providers=providers, operators=operators, admin=admin))
    create = ["-m", "croupier", "admin", "create-key", str(file), "--label", "bench", "--why", "the benchmark"]
    admin_key = (await stand.processes.run("create-key", create)).strip()
    await stand.begin(name, [*wrapper, "serve", str(file)], [providers, operators, admin])
    provider = Provider(
        name="softswiss", title="SOFTSWISS", peer=("", "", ""), port=peer_port,
        settings={"api_url": f"http://{HOST}:{peer_port}/api", "casino_id": "bench"}, secrets={"auth_token": TOKEN},
        games={"acceptance:test": "Acceptance Test"},
    )  # fmt: skip
    operator, connection, operator_key = await configure(
        Api(stand.http, f"http://{HOST}:{admin}", admin_key), provider, stand.wallet
    )
    api = Api(stand.http, f"http://{HOST}:{operators}", operator_key)
    hub = HubProcess(
        name=name, database=database, port=providers, players=await _seat(api, provider), operator=operator,
        connection=connection, settings=dict(provider.settings),
    )  # fmt: skip
    await set_up(stand, name, providers, hub, echoes=True)
    return hub


async def set_up(stand: Stand, target: str, port: int, hub: HubProcess, *, echoes: bool) -> None:
    """Let the load generator know a target; baselines are sent what a hub would be sent."""
    await stand.tell(
        "setup", target=target, port=port, prefix="/providers/acme/softswiss", settings=hub.settings, token=TOKEN,
        players=hub.players, echoes=echoes,
    )  # fmt: skip


async def configure(admin: Api, provider: Provider, wallet: int) -> tuple[str, str, str]:
    """One operator, one connection, one game; their ids and a key of the operator API."""
    why = "the benchmark"
    operator = {
        "name": "acme",
        "dialect": "native",
        "wallet": {"url": f"http://{HOST}:{wallet}"},
        "wallet_secrets": {"signing_secret": [WALLET_SECRET]},
    }
    made = await admin.ask("POST", "/admin/v1/operators", {"why": why, "body": operator})
    below = f"/admin/v1/operators/{made['id']}"
    body = {
        "name": provider.name,
        "adapter": provider.name,
        "settings": dict(provider.settings),
        "secrets": {"auth_token": [TOKEN]},
    }
    connection = await admin.ask("POST", f"{below}/connections", {"why": why, "body": body})
    for code, title in provider.games.items():
        game = {"title": title, "studio": provider.title, "category": "slots"}
        stored = await admin.ask("PUT", f"{below}/games/{title.lower().replace(' ', '-')}", {"why": why, "body": game})
        route = {"connection": connection["id"], "game": stored["id"], "code": code}
        await admin.ask("POST", f"{below}/routes", {"why": why, "body": route})
    key = await admin.ask("POST", f"{below}/keys", {"why": why, "label": "bench", "role": "operator"})
    return str(made["id"]), str(connection["id"]), str(key["key"])


async def _seat(operator: Api, provider: Provider) -> list[dict[str, str]]:
    """Launch a game for every player; the provider's own API is served meanwhile."""
    peer = SoftswissPeer(structure(provider.settings, SoftswissSettings, where="settings"))
    credentials = Credentials({"auth_token": (TOKEN,)})

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        asked = HttpRequest("POST", str(request.url), Headers.of(request.headers.items()), await request.read())
        answer = peer.serve(asked, credentials, datetime.now(UTC))
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers.items))

    runner = web.ServerRunner(web.Server(serve, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, HOST, provider.port).start()
    try:
        urls = [await launch(operator, provider, f"player-{place}", 0) for place in range(PLAYERS)]
    finally:
        await runner.cleanup()
    return [attrs.asdict(peer.launched(url)) for url in urls]


# --- rows in a ledger -------------------------------------------------------------------------------------------------


async def fill(hub: HubProcess, rows: int) -> None:
    """Write so many old bets of the hub's operator, each with key, round and event; the hub must be down."""
    path = hub.database.removeprefix("sqlite:///")
    ledger = SqliteLedger(Path(path)) if path != hub.database else PostgresLedger(hub.database)
    await ledger.start()
    try:
        for first in range(0, rows, FILL_AT_ONCE):
            done = await ledger.commit(_old(hub, first, min(FILL_AT_ONCE, rows - first)))
            assert isinstance(done, Committed), done
    finally:
        await ledger.close()


def _old(hub: HubProcess, first: int, count: int) -> Change:
    movements, keys, rounds, events = [], [], [], []
    for number in range(first, first + count):
        movement, round_id = str(uuid.uuid4()), str(uuid.uuid4())
        movements.append(
            MovementRow(
                operator=hub.operator, movement=movement, play=str(uuid.uuid4()), ordinal=0, connection=hub.connection,
                player=f"old-{number % 1000}", kind="bet", direction="debit", state=MovementState.APPLIED, amount=100,
                currency="EUR", reference=f"old-{uuid.uuid4()}", fingerprint={"amount": "1.00", "currency": "EUR"},
                owner="bench", epoch=1, nonce=uuid.uuid4().hex, lease_until=0, created_at=number, round=round_id,
                game="acceptance-test", facts={"turnover": 100}, effect="moved", balance=900, settled_at=number,
            )
        )  # fmt: skip
        keys.append((Key(hub.operator, hub.connection, "bet", movements[-1].reference), movement))
        rounds.append(
            RoundRow(
                operator=hub.operator, round=round_id, connection=hub.connection, player=movements[-1].player,
                provider_round=f"old-{number}", game="acceptance-test", currency="EUR", state=RoundState.OPEN,
                opened_at=number, bets=1,
            )
        )  # fmt: skip
        events.append(Event(kind="movement.applied", subject=movement, at=number, body={"amount": 100, "kind": "bet"}))
    return Change(
        operator=hub.operator, movements=tuple(movements), keys=tuple(keys), rounds=tuple(rounds), events=tuple(events)
    )
