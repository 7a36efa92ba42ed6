"""`make bench` and `make bench-long`: what the hub costs beside proxies and a naive ledger, in interleaved pairs.

    python -m tests.benchmarks.bench [--long] [--parts PART ...] [--pairs N] [--seconds N] [--out FOLDER]

The machine's speed does not matter and changes while it runs: only what was measured in slices that lie side by side
is compared. `hub/docs/benchmarks.md` says how to read it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from tests.benchmarks import part_cases, part_profile, part_rows, part_sessions, part_waits
from tests.benchmarks.measure import Bench
from tests.benchmarks.report import Results, write
from tests.benchmarks.stand import Stand
from tests.benchmarks.targets import Run, tell

from croupier_conformance.servers import PostgresServer, postgres_server

PARTS: Mapping[str, Callable[[Run], Coroutine[Any, Any, None]]] = {
    "cases": part_cases.compare,
    "half-load": part_waits.half_load,
    "disk": part_rows.disk,
    "stalled": part_waits.stalled_operator,
    "profile": part_profile.profiles,
    "sessions": part_sessions.open_sessions,
    "rows": part_rows.grow,
}
"""In the order in which they are run: later ones use what earlier ones found."""

MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
POSTGRES = {"shared_buffers": f"{MEMORY // 4 >> 20}MB", "max_wal_size": "16GB"}
"""As hub/docs/operating.md advises; the rest is the test server's, which flushes every commit."""

FILES_A_CONNECTION = 3
"""Of a proxy, which has another one to the wallet; and of the wallet, where those of two proxies meet."""


async def measure(options: argparse.Namespace, folder: Path, server: PostgresServer) -> Results:
    """Every part, one after the other; one that fails is told in the results and does not end the run."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as http:
        stand = Stand(folder, server, http)
        await stand.start()
        try:
            run = Run(stand, Bench(stand), options)
            for part in options.parts:
                await _part(run, part, PARTS[part](run))
            await _part(run, "what the ledgers hold", run.check_all())
        finally:
            await stand.stop()
    return Results(
        samples=run.bench.samples, ratios=run.ratios, rows=run.rows, figures=run.figures, profiles=run.profiles,
        notes=run.notes, missing=run.missing, failures=run.failures, kind="long" if options.long else "short",
        seconds=time.monotonic() - began,
    )  # fmt: skip


async def _part(run: Run, name: str, work: Coroutine[Any, Any, None]) -> None:
    before = set(run.hubs)
    try:
        await work
    except Exception as error:  # noqa: BLE001 - hours of other figures are not to be lost
        tell(f"bench: FAILED: {name}: {error}")
        run.failures.append(f"{name}: {error}")
        for hub in set(run.hubs) - before:
            await run.forget(hub)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    _allow_files(FILES_A_CONNECTION * max([64, *options.crowds]))
    folder = Path(tempfile.mkdtemp(prefix="croupier-bench-"))
    try:
        with postgres_server(POSTGRES) as server:
            results = asyncio.run(measure(options, folder, server))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tell("\n" + write(results, options.out))
    if results.failures:
        raise SystemExit("\n".join(["bench: FAILED", *results.failures]))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, argument_default=argparse.SUPPRESS)
    parser.add_argument("--long", action="store_true", default=False, help="the whole matrix, and 10^7 rows")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="what is measured (default: all)")
    parser.add_argument("--pairs", type=int, help="interleaved rounds of each comparison")
    parser.add_argument("--seconds", type=float, help="of each slice")
    parser.add_argument("--cases", nargs="+", choices=part_cases.CASES, help="a duplicate needs bets before it")
    parser.add_argument("--crowds", nargs="*", type=int, help="also over so many connections")
    parser.add_argument("--rows", type=int, nargs=2, help="bets in the small and in the large ledger")
    parser.add_argument("--sessions", type=int, help="how many are open")
    parser.add_argument("--no-workers", dest="workers", action="store_false", default=True, help="no hub with two")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    given = parser.parse_args(arguments)
    usual: dict[str, Any] = {"parts": list(PARTS), "cases": part_cases.CASES, "pairs": 10}
    if given.long:
        usual |= {"seconds": 1.5, "crowds": [1000, 5000], "rows": [10**4, 10**7], "sessions": 100_000}
    else:
        usual |= {"seconds": 0.8, "crowds": [1000], "rows": [10**4, 10**5], "sessions": 5_000}
    chosen = {**usual, **vars(given)}
    chosen["parts"] = [part for part in PARTS if part in chosen["parts"]]
    return argparse.Namespace(**chosen)


def _allow_files(needed: int) -> None:
    """Let this process and those that it starts open so many files.

    Raises:
        SystemExit: The system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, needed + 1024)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise SystemExit(f"{wanted} open files are needed, and {hard} are allowed (ulimit -Hn): ask for fewer --crowds")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
