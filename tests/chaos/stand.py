"""Everything of a crash run, started and configured: databases, hubs, wallet, providers, and the hops between them."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
from attrs import define, field
from tests.chaos.hop import Hop, Mishap
from tests.chaos.plan import CURRENCY, HERE, HOST, LEASE_VARIABLE, OPENING, OPERATOR, ROOT, Plan, Provider
from tests.chaos.processes import Child, EndedError, Processes

from croupier_conformance.servers import PostgresServer, ValkeyServer, postgres_server

sys.path.insert(1, str(ROOT / "examples/demo"))

from demo_hub import Api, ApiError  # found by the line above

__all__ = ["Api", "ApiError", "Stand", "database"]

WHY: Final = "the crash run"
WORKERS: Final = 2

TO_THE_WALLET: Final = {
    Mishap.CUT_BEFORE: 4, Mishap.CUT_AFTER: 8, Mishap.SILENT_AFTER: 3, Mishap.LATE: 4, Mishap.SLOW: 6,
}  # fmt: skip
"""Of a thousand requests of the hubs to the wallet."""

TO_THE_HUB: Final = {
    Mishap.CUT_BEFORE: 3, Mishap.CUT_AFTER: 6, Mishap.SILENT_AFTER: 2, Mishap.LATE: 3, Mishap.SLOW: 3,
}  # fmt: skip
"""Of a thousand requests of the providers to the hubs."""

SETTINGS: Final = """\
owner = "hub-{hub}"
database.url = "{database}"
secrets = {{ current = "chaos", keys.chaos = {{ file = "hub.key" }} }}
outgoing = {{ plain_http = true, loopback = true }}
deliveries.scale = {scale}.0
accelerator.url = "{cache}"
limits.drain_seconds = 10.0
telemetry.level = "warning"
listeners.providers = {{ port = {providers} }}
listeners.operators = {{ port = {operators} }}
listeners.admin = {{ port = {admin} }}
"""


@contextmanager
def database(plan: Plan) -> Iterator[PostgresServer | None]:
    """The server of PostgreSQL, where the run needs one."""
    if plan.engine != "postgres":
        yield None
        return
    # One of our own in any case: it is killed.
    with postgres_server({"autovacuum_naptime": "20s", "shared_buffers": "128MB", "max_wal_size": "512MB"}) as server:
        yield server


@define(eq=False)
class Stand:
    """A run's parties.

    Attributes:
        plan: What it is made of.
        processes: Its programs.
        http: For the APIs.
        cache: The server of Valkey that the hubs have beside their ledger.
        postgres: The database server, if there is one.
        hops: The ways between parties by their names: `a` and `b` (providers to a hub), `wallet`, `database`.
        keys: Of the admin and the operator API.
        operator: The operator's id.
    """

    plan: Plan
    processes: Processes
    http: aiohttp.ClientSession
    cache: ValkeyServer
    postgres: PostgresServer | None = None
    hops: dict[str, Hop] = field(factory=dict)
    keys: dict[str, str] = field(factory=dict)
    operator: str = ""

    # --- start --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything, configure the hubs, and launch a game for every player.

        Raises:
            EndedError: A process ended.
            ApiError: A hub refuses.
        """
        plan = self.plan
        file = plan.write()
        self.hops = self._make_hops()
        await self._open_hops()
        options = ["--port", str(plan.ports["wallet"]), "--database", f"{plan.folder}/wallet.sqlite", "--admin"]
        program = [str(ROOT / "examples/operator/operator_wallet.py")]
        if plan.sabotage is not None:
            program = [str(ROOT / "examples/demo/demo_sabotage.py"), plan.sabotage]
        paths = os.pathsep.join([str(ROOT / "examples/operator"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        environ = {"WALLET_SECRET": plan.wallet_secret, "PYTHONPATH": paths}
        wallet = [*program, *options, "--initial-balance", str(OPENING)]
        self._add("wallet", wallet, [plan.ports["wallet"]], environ)
        for provider in plan.providers:
            command = ["-m", "tests.chaos.provider_process", str(file), provider.name]
            self._add(provider.name, command, [provider.port])
        for hub in plan.hubs:
            self._add_hub(hub)
        parties = [child for name, child in self.processes.children.items() if name not in plan.hubs]
        starting = asyncio.gather(*(self.processes.start(child) for child in parties))
        create = ["-m", "croupier", "admin", "create-key", self._settings("a"), "--label", "chaos", "--why", WHY]
        self.keys["admin"] = (await self.processes.run(create)).strip()
        await asyncio.gather(*(self.processes.start(self.hub(hub)) for hub in plan.hubs))
        _started = await starting
        await self._configure()
        await asyncio.gather(*(self._seat(provider) for provider in plan.providers))
        for name, shares in (("wallet", TO_THE_WALLET), *((hub, TO_THE_HUB) for hub in plan.hubs)):
            self.hops[name].shares = {mishap: share * plan.trouble for mishap, share in shares.items()}

    def _make_hops(self) -> dict[str, Hop]:
        patience = dict.fromkeys(self.plan.hubs, self.plan.timing.provider_ms / 1000)
        patience |= {"wallet": self.plan.timing.wallet_ms / 1000, "database": 1.0}
        seed = self.plan.seed
        return {name: Hop(name, random.Random(f"{seed}/{name}"), seconds) for name, seconds in patience.items()}

    async def _open_hops(self) -> None:
        ports = self.plan.ports
        await self.hops["wallet"].listen(ports["hop-wallet"], (HOST, ports["wallet"]))
        for hub in self.plan.hubs:
            # Like a load balancer: a hub that takes no connections is passed over.
            others = sorted(self.plan.hubs, key=lambda name: name != hub)
            targets = [(HOST, ports[f"{name}-providers"]) for name in others]
            await self.hops[hub].listen(ports[f"hop-{hub}"], *targets)
        if self.postgres is not None:
            folder = parse_qs(urlsplit(self.postgres.address).query)["host"][0]
            self.hops["database"].commits = True
            await self.hops["database"].listen(ports["hop-database"], f"{folder}/.s.PGSQL.5432")

    def _add(self, name: str, command: list[str], ports: list[int], environ: dict[str, str] | None = None) -> None:
        self.processes.add(name, command, ports, environ)

    def _add_hub(self, hub: str) -> None:
        folder, ports, timing = Path(self.plan.folder), self.plan.ports, self.plan.timing
        key = folder / "hub.key"
        if not key.exists():
            key.write_bytes(base64.b64encode(secrets.token_bytes(32)))
            key.chmod(0o600)
        entrances = {name: ports[f"{hub}-{name}"] for name in ("providers", "operators", "admin")}
        database = f"sqlite:///{folder}/hub.sqlite"
        if self.postgres is not None:
            place = f"{HOST}:{ports['hop-database']}"
            database = f"postgresql://postgres@{place}/postgres?sslmode=disable&gssencmode=disable"
        chosen = {"database": database, "cache": self.cache.address, "scale": timing.calendar}
        text = SETTINGS.format(hub=hub, **chosen, **entrances)
        Path(self._settings(hub)).write_text(text, "utf-8")
        several = ["--workers", str(WORKERS)] if hub == "a" and self.postgres is not None else []
        ready = folder / f"hub-{hub}.ports"
        command = [str(HERE / "hub_with_lease.py"), "serve", self._settings(hub), *several, "--ports-file", str(ready)]
        environ = {LEASE_VARIABLE: str(timing.lease_ms)}
        self.processes.add(hub, command, list(entrances.values()), environ, ready)

    def _settings(self, hub: str) -> str:
        return f"{self.plan.folder}/hub-{hub}.toml"

    async def _configure(self) -> None:
        admin, timing = self.admin, self.plan.timing
        operator = {
            "name": OPERATOR,
            "dialect": "native",
            "wallet": {"url": f"http://{HOST}:{self.plan.ports['hop-wallet']}"},
            "wallet_secrets": {"signing_secret": [self.plan.wallet_secret]},
            "wallet_policy": {"retry_safe": True, "tombstones": True, "timeout_ms": timing.wallet_ms},
        }
        made = await admin.ask("POST", "/admin/v1/operators", {"why": WHY, "body": operator})
        self.operator = str(made["id"])
        below = f"/admin/v1/operators/{self.operator}"
        for provider in self.plan.providers:
            subject = provider.subject()
            body = {
                "name": provider.name,
                "adapter": provider.name,
                "settings": dict(subject.settings_raw),
                "secrets": {name: [value] for name, value in subject.secrets.items()},
                "policy": {"provider_timeout_ms": timing.provider_ms, "timeout_margin_ms": timing.margin_ms},
            }
            connection = await admin.ask("POST", f"{below}/connections", {"why": WHY, "body": body})
            game = {"title": provider.name.title(), "studio": provider.name}
            await admin.ask("PUT", f"{below}/games/{provider.name}-game", {"why": WHY, "body": game})
            code = next(iter(subject.games))
            route = {"connection": connection["id"], "game": f"{provider.name}-game", "code": code}
            route["wallet_code"] = subject.played_as(code)
            await admin.ask("POST", f"{below}/routes", {"why": WHY, "body": route})
        asked = {"why": WHY, "label": "chaos", "role": "operator"}
        self.keys["operator"] = str((await admin.ask("POST", f"{below}/keys", asked))["key"])

    async def _seat(self, provider: Provider) -> None:
        players = [
            f"{provider.name}-player-{place + 1}" for place in range(self.plan.players // len(self.plan.providers))
        ]
        await asyncio.gather(*(self.wallet.ask("POST", "/players", {"player": player}) for player in players))
        given = [await self._launch(provider, player) for player in players]
        await self.provider(provider.name).ask("POST", "/-/seats", list(zip(players, given, strict=True)))

    async def _launch(self, provider: Provider, player: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "game": f"{provider.name}-game",
            "player": player,
            "currency": CURRENCY,
            "country": "SE",
            "address": "192.0.2.10",
            "return_url": "https://casino.example/lobby",
            "display_name": player,
        }
        for attempt in range(20):  # a hub hears after some seconds at most of what another one was told
            with suppress(ApiError):
                return _start_of(await self.operators.ask("POST", "/v1/launches", body))
            await asyncio.sleep(0.2 * (attempt + 1))
        return _start_of(await self.operators.ask("POST", "/v1/launches", body))

    # --- parties ------------------------------------------------------------------------------------------------------

    def hub(self, name: str) -> Child:
        """One of the hubs."""
        return self.processes.children[name]

    @property
    def admin(self) -> Api:
        """The admin API of the first hub."""
        return Api(self.http, f"http://{HOST}:{self.plan.ports['a-admin']}", self.keys["admin"])

    @property
    def operators(self) -> Api:
        """The operator API of the first hub."""
        return Api(self.http, f"http://{HOST}:{self.plan.ports['a-operators']}", self.keys["operator"])

    @property
    def wallet(self) -> Api:
        """The operator's own entrance, past the hop."""
        return Api(self.http, f"http://{HOST}:{self.plan.ports['wallet']}")

    def provider(self, name: str) -> Api:
        """What a provider's process is told by."""
        return Api(self.http, f"http://{HOST}:{self.plan.provider(name).port}")

    async def tell_providers(self, method: str, path: str) -> dict[str, Any]:
        """The same to every provider; the answers by their names."""
        names = [provider.name for provider in self.plan.providers]
        return dict(zip(names, await asyncio.gather(*(self.provider(n).ask(method, path) for n in names)), strict=True))

    # --- end ----------------------------------------------------------------------------------------------------------

    def quiet(self) -> None:
        """From now on every hop behaves."""
        for hop in self.hops.values():
            hop.quiet = True
            hop.delay = 0.0
            hop.uncut()

    async def start_again(self, child: Child, tries: int = 10) -> int:
        """Start a hub as a supervisor does: again, if it could not begin; returns how often it could not.

        Raises:
            EndedError: It never could.
        """
        for failed in range(tries):
            with suppress(EndedError):
                await self.processes.start(child)
                return failed
            child.signal_group(signal.SIGKILL)
            _gone = await child.is_gone(10.0)
            await asyncio.sleep(0.5)
        raise EndedError(child.obituary())


def _start_of(launched: Mapping[str, Any]) -> dict[str, Any]:
    """How the game starts: an address, a page or parameters."""
    return {name: launched[name] for name in ("url", "html", "parameters")}
