"""What open sessions cost in memory."""

from __future__ import annotations

import asyncio

from tests.benchmarks.fill import fill_sessions
from tests.benchmarks.measure import CONNECTIONS, Ask
from tests.benchmarks.meters import memory_mib, peak_mib
from tests.benchmarks.stand import set_up
from tests.benchmarks.targets import ENGINES, Run, tell

AT_ONCE = 10_000
"""So many sessions are given to the load generator in one piece."""


async def open_sessions(run: Run) -> None:
    """Launch many sessions, and have a bet in each of them."""
    count = run.options.sessions
    for engine in ENGINES:
        name = f"{engine}-sessions"
        tell(f"bench: {count} open sessions, {engine}")
        hub = await run.hub(name)
        await run.stand.end(name)
        players = await asyncio.to_thread(fill_sessions, hub, count)
        await run.stand.begin_again(name)
        pid = run.stand.pids[name]
        # Twice as many bets of few players as of many: what the process holds anyhow is there before.
        await run.bench.slice(Ask(target=name, count=min(2 * count, 2000)), 600)
        before = memory_mib(pid)
        for first in range(0, count, AT_ONCE):
            some = players[first : first + AT_ONCE]
            await set_up(run.stand, name, hub.port, hub, players=some)
            await run.bench.slice(Ask(target=name, count=len(some), connections=CONNECTIONS), 600)
        after = memory_mib(pid)
        run.figures.setdefault("open_sessions", {})[engine] = {
            "sessions": count,
            "memory_mib_before": before,
            "memory_mib": after,
            "peak_mib": peak_mib(pid),
            "bytes_per_session": (after - before) * 2**20 / count,
        }
        await run.retire(name)
