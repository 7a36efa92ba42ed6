"""`make bench`: what the hub costs beside a bare proxy and a naive ledger, as ratios of interleaved pairs.

    python -m tests.benchmarks.bench [--pairs N] [--seconds N] [--rows N N] [--out FOLDER]

The machine's speed does not matter and changes while it runs: only ratios of slices that lie side by side are told.
`hub/docs/benchmarks.md` says how to read them.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
from attrs import define, field
from tests.benchmarks.hub_profile import Profile, read_profile
from tests.benchmarks.measure import Bench, Ratio
from tests.benchmarks.report import Results, write
from tests.benchmarks.stand import (
    HERE,
    HubProcess,
    Stand,
    fill,
    free_ports,
    main_thread_seconds,
    memory_mib,
    set_up,
    start_hub,
    until,
)

from croupier_conformance.servers import PostgresServer, postgres_server

TARGETS = ("proxy", "naive", "sqlite", "postgres")
CASES = ("bet", "batch", "duplicate", "balance")
PARTS = ("rows", "profile")
APPLIED = "SELECT count(*) FROM movements WHERE state = 'applied'"
POSTGRES = {"shared_buffers": "128MB"}
"""PostgreSQL's own default; the rest is the test server's, which flushes every commit."""


@define(eq=False)
class Run:
    """One run."""

    stand: Stand
    bench: Bench
    options: argparse.Namespace
    hubs: dict[str, HubProcess] = field(factory=dict)
    databases: dict[str, str] = field(factory=dict)
    fills: dict[str, int] = field(factory=dict)
    memory: dict[str, float] = field(factory=dict)
    proxy_loop: dict[str, Any] = field(factory=dict)

    def database(self, name: str) -> str:
        """The URL of a new database."""
        if name.startswith("sqlite"):
            self.databases[name] = f"sqlite:///{self.stand.folder / name}.db"
        else:
            self.databases[name] = self.stand.postgres.url(self.stand.postgres.create())
        return self.databases[name]

    async def hub(self, name: str, rows: int = 0) -> None:
        """Start a hub, with so many old rows in its ledger."""
        hub = self.hubs[name] = await start_hub(self.stand, name, self.database(name))
        if rows:
            self.fills[name] = rows
            await self.stand.processes.kill(name)
            await fill(hub, rows)
            await self.stand.processes.start_again(name)
            self.stand.pids[name] = self.stand.processes._running[name].pid

    async def baseline(self, name: str, *command: str) -> None:
        (port,) = free_ports(1)
        ports = ["--port", str(port), "--wallet", str(self.stand.wallet)]
        await self.stand.begin(name, [str(HERE / "baselines.py"), *command, *ports], [port])
        await set_up(self.stand, name, port, self.hubs["sqlite"], echoes=name == "naive")

    async def proxy(self) -> None:
        """The proxy on the event loop that it is faster with."""
        loops = ("asyncio", "uvloop")
        await asyncio.gather(*(self.baseline(f"proxy-{loop}", "proxy", "--loop", loop) for loop in loops))
        names = [f"proxy-{loop}" for loop in loops]
        rounds = min(4, self.options.pairs)
        await self.bench.interleaved("bet", names, rounds, self.options.seconds / 2, label="loops")
        found = self.bench.samples.pop("loops")
        rates = {loop: statistics.median(sample.rate for sample in found[f"proxy-{loop}"]) for loop in loops}
        chosen = max(loops, key=lambda loop: rates[loop])
        for name in names:
            await self.stand.processes.kill(name)
        await self.baseline("proxy", "proxy", "--loop", chosen)
        self.proxy_loop = {"chosen": chosen, "requests_per_second": rates}

    async def compare(self) -> None:
        """Every case, every target."""
        await asyncio.gather(self.hub("sqlite"), self.hub("postgres"))
        naive = self.baseline("naive", "naive", "--database", self.database("naive"))
        await asyncio.gather(naive, self.proxy())
        for case in self.options.cases:
            tell(f"bench: {case}")
            await self.bench.interleaved(case, TARGETS, self.options.pairs, self.options.seconds)
        for name in (*TARGETS, "wallet", "load", "database"):
            self.memory[name] = memory_mib(self.stand.pids[name])

    async def grow(self) -> None:
        """The same hub over a small and a large ledger."""
        small, large = self.options.rows
        for engine in ("sqlite", "postgres"):
            names = [f"{engine}-{rows}" for rows in (small, large)]
            tell(f"bench: rows in the ledger, {engine}")
            await asyncio.gather(self.hub(names[0], small), self.hub(names[1], large))
            await self.bench.interleaved("bet", names, self.options.pairs, self.options.seconds, label=f"{engine}-rows")

    async def profile(self, engine: str) -> Profile:
        """A hub under the profiler, at the same load."""
        tell(f"bench: profile, {engine}")
        name = f"{engine}-profiled"
        out = self.stand.folder / f"{name}.prof"
        wrapper = [str(HERE / "profiled_hub.py"), str(out)]
        await start_hub(self.stand, name, self.database(name), wrapper)
        process = self.stand.processes._running[name]
        await self.bench.slice(name, "bet", 0.5)
        before = main_thread_seconds(process.pid)
        plain = await self.bench.slice(name, "bet", 3 * self.options.seconds)
        spent = (main_thread_seconds(process.pid) - before) / plain.requests * 1e6
        process.send_signal(signal.SIGUSR1)
        profiled = await self.bench.slice(name, "bet", 8 * self.options.seconds)
        process.send_signal(signal.SIGUSR2)

        async def is_written() -> bool:
            return await asyncio.to_thread(out.exists)

        if not await until(is_written, seconds=30):
            raise RuntimeError("the profile was not written")
        return read_profile(out, profiled.requests, spent)

    def rows(self) -> dict[str, tuple[int, int]]:
        """Rows of applied movements beside what was acknowledged.

        Raises:
            RuntimeError: They are not equal.
        """
        found = {}
        for name, url in self.databases.items():
            found[name] = (_count(name, url) - self.fills.get(name, 0), self.bench.acknowledged[name])
        wrong = {name: pair for name, pair in found.items() if pair[0] != pair[1]}
        if wrong:
            raise RuntimeError(f"rows in the ledger, and movements that were acknowledged: {wrong}")
        return found

    def ratios(self) -> dict[str, Ratio]:
        found = {}
        for case in self.options.cases:
            suffix = "" if case == "bet" else f"_{case}"
            for one, other in (
                ("postgres", "proxy"), ("sqlite", "proxy"), ("postgres", "naive"), ("sqlite", "naive"),
                ("postgres", "sqlite"),
            ):  # fmt: skip
                found[f"{one}_vs_{other}{suffix}"] = self.bench.ratio(case, one, other)
        small, large = self.options.rows
        for engine in ("sqlite", "postgres") if "rows" in self.options.parts else ():
            found[f"{engine}_{large}_vs_{small}_rows"] = self.bench.ratio(
                f"{engine}-rows", f"{engine}-{large}", f"{engine}-{small}"
            )
        return found


def _count(name: str, url: str) -> int:
    if not url.startswith("sqlite"):
        bets = b"SELECT count(*) FROM bets WHERE state = 'applied'"
        with psycopg.connect(url) as server:
            found = server.execute(bets if name == "naive" else APPLIED.encode()).fetchone()
            return int(found[0]) if found else 0
    with closing(sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True)) as file:
        return int(file.execute(APPLIED).fetchone()[0])


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def measure(options: argparse.Namespace, folder: Path, server: PostgresServer) -> Results:
    began = time.monotonic()
    async with aiohttp.ClientSession() as http:
        stand = Stand(folder, server, http)
        await stand.start()
        try:
            run = Run(stand, Bench(stand), options)
            await run.compare()
            if "rows" in options.parts:
                await run.grow()
            engines = ("sqlite", "postgres") if "profile" in options.parts else ()
            profiles = {engine: await run.profile(engine) for engine in engines}
            rows = run.rows()
            stored = sum(count for count, _ in rows.values())
            if stored != await stand.moved():
                raise RuntimeError(f"{stored} rows, and {await stand.moved()} movements at the wallet")
        finally:
            await stand.stop()
    return Results(
        samples=run.bench.samples, ratios=run.ratios(), rows=rows, memory_mib=run.memory, fills=run.fills,
        proxy_loop=run.proxy_loop, profiles=profiles, seconds=time.monotonic() - began,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10, help="interleaved rounds of each case (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.2, help="of each slice (default %(default)s)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="a duplicate needs bets before it")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS, help="what is measured besides the cases")
    parser.add_argument("--rows", type=int, nargs=2, default=(10_000, 100_000), help="in the small and large ledger")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="croupier-bench-"))
    try:
        with postgres_server(POSTGRES) as server:
            results = asyncio.run(measure(options, folder, server))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tell("\n" + write(results, options.out))


if __name__ == "__main__":
    main()
