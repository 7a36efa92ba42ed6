"""How the size of the ledger matters: to the rate, and what a bet leaves on the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from tests.benchmarks.fill import check_room, fill_bets, read_indexes
from tests.benchmarks.measure import Ask
from tests.benchmarks.meters import written_bytes
from tests.benchmarks.stand import HubProcess
from tests.benchmarks.targets import ENGINES, Run, tell

RATIO = "rows_1e7_vs_1e4"


async def grow(run: Run) -> None:
    """The same hub over a small and a large ledger.

    Raises:
        RuntimeError: The large one does not fit on the disk.
    """
    small, large = run.options.rows
    for engine in ENGINES:
        prefix = "" if engine == "postgres" else f"{engine}_"
        name = prefix + (RATIO if (small, large) == (10**4, 10**7) else f"rows_{large}_vs_{small}")
        tell(f"bench: rows in the ledger, {engine}")
        labels = {rows: f"{engine}-{rows}" for rows in (small, large)}
        each = 0.0
        for rows in (small, large):
            if each:
                check_room(run.stand.folder, rows, each, engine)
            each = await _filled(run, labels[rows], rows)
        asks = {label: Ask(target=label) for label in labels.values()}
        await run.bench.interleaved(f"{engine}-rows", asks, run.options.pairs, run.options.seconds)
        run.ratios[name] = run.bench.ratio(f"{engine}-rows", labels[large], labels[small])
        for label in labels.values():
            await run.retire(label)
        if RATIO not in name:
            run.missing[prefix + RATIO] = f"`make bench-long` measures it; this run has {name}"


async def _filled(run: Run, name: str, rows: int) -> float:
    """Start a hub over so many old bets, with its indexes in memory; returns what one takes on the disk."""
    hub = await run.hub(name)
    await run.bench.slice(Ask(target=name, count=8, connections=1), 30)
    await run.stand.end(name)
    filled = await asyncio.to_thread(fill_bets, hub, rows, run.began_ms)
    tell(f"bench: {name}: {filled.bytes_each * rows / 2**20:.0f} MiB written in {filled.seconds:.0f} s")
    run.figures.setdefault("filled", {})[name] = {
        "bets": rows, "seconds": filled.seconds, "bytes_per_bet": filled.bytes_each,
    }  # fmt: skip
    await asyncio.to_thread(read_indexes, hub)
    await run.stand.begin_again(name)
    return filled.bytes_each


async def disk(run: Run) -> None:
    """What bets leave on the disk, and what is written for them."""
    tell("bench: bytes of a bet on the disk")
    for engine in ENGINES:
        await run.have(engine)
        measured = _SqliteDisk(run) if engine == "sqlite" else _PostgresDisk(run.hubs[engine])
        await asyncio.sleep(1.0)  # what is recorded late is of other bets
        before = await asyncio.to_thread(measured.read)
        sample = await run.bench.slice(Ask(target=engine), 3 * run.options.seconds)
        await asyncio.sleep(1.0)
        after = await asyncio.to_thread(measured.read)
        found = {name: (after[name] - before[name]) / sample.requests for name in before}
        run.figures.setdefault("disk_bytes_per_bet", {})[engine] = {**found, "bets": sample.requests}


class _SqliteDisk:
    def __init__(self, run: Run) -> None:
        self._path = Path(run.hubs["sqlite"].database.removeprefix("sqlite:///"))
        self._pid = run.stand.pids["sqlite"]

    def read(self) -> dict[str, float]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as file:
            pages, free, each = (
                int(file.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        return {"stored": (pages - free) * each, "written": written_bytes(self._pid)}


class _PostgresDisk:
    def __init__(self, hub: HubProcess) -> None:
        self._url = hub.database

    def read(self) -> dict[str, float]:
        asked: dict[str, Any] = {
            "tables": "sum(pg_table_size(oid))",
            "indexes": "sum(pg_indexes_size(oid))",
            "log": "(SELECT pg_current_wal_lsn() - '0/0'::pg_lsn)",
        }
        columns = ", ".join(f"({expression})::bigint AS {name}" for name, expression in asked.items())
        with psycopg.connect(self._url) as server:
            ours = "relkind = 'r' AND relnamespace = current_schema()::regnamespace"
            found = server.execute(f"SELECT {columns} FROM pg_class WHERE {ours}".encode()).fetchone()  # noqa: S608 # our own
        assert found is not None
        return {"stored": found[0] + found[1], **dict(zip(asked, found, strict=True))}
