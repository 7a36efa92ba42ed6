"""A hub under profilers."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.benchmarks.hub_profile import Profile, read_profile
from tests.benchmarks.measure import Ask
from tests.benchmarks.meters import main_thread_seconds
from tests.benchmarks.stand import until
from tests.benchmarks.targets import ENGINES, Run, tell


async def profiles(run: Run) -> None:
    """A profile of the hub on each engine."""
    for engine in ENGINES:
        run.profiles[engine] = await _profile(run, engine)


async def _profile(run: Run, engine: str) -> Profile:
    tell(f"bench: profile, {engine}")
    name, seconds = f"{engine}-profiled", run.options.seconds
    samples, calls = (run.stand.folder / f"{name}.{kind}" for kind in ("samples", "calls"))
    await run.hub(name, wrapper=["-m", "tests.benchmarks.profiled_hub", str(samples), str(calls)])
    process = run.stand.process(name)
    bets = Ask(target=name)
    await run.bench.slice(bets, seconds)
    before = main_thread_seconds(process.pid)
    plain = await run.bench.slice(bets, 3 * seconds)
    cpu_us = (main_thread_seconds(process.pid) - before) / plain.requests * 1e6
    process.send_signal(signal.SIGUSR1)
    await run.bench.slice(bets, 8 * seconds)
    process.send_signal(signal.SIGUSR1)
    await _is_there(samples)
    counted = await run.bench.slice(bets, 3 * seconds)
    process.send_signal(signal.SIGUSR1)
    await _is_there(calls)
    profile = read_profile(samples, calls, counted.requests, cpu_us)
    await run.retire(name)
    return profile


async def _is_there(file: Path) -> None:
    async def is_written() -> bool:
        return await asyncio.to_thread(file.exists)

    if not await until(is_written, seconds=30):
        raise RuntimeError("the profile was not written")
