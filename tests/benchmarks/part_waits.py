"""How long a request takes when the hub is not busy, and when one operator's wallet does not answer."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from typing import Final

from attrs import asdict
from prometheus_client.parser import text_string_to_metric_families
from tests.benchmarks.measure import Ask, Sample, median_of, ratio_of, turns
from tests.benchmarks.meters import sync_ms
from tests.benchmarks.stand import HOST
from tests.benchmarks.targets import ENGINES, Run, tell

STALLED_SHARE: Final = 0.191
"""Bets of the stalled operator for one of the other's: about a fifth, but no fraction that keeps step with them."""

STALLED_SLICES: Final = 3
"""So many slices for each pair that was asked for: a p99 is made of few waits, and its ratio needs many."""


async def full_rate(run: Run, target: str) -> float:
    """What a target does at most now: a machine that others use is not what it was some minutes ago."""
    samples = [await run.bench.slice(Ask(target=target), run.options.seconds) for _ in range(4)][1:]
    return statistics.median(sample.rate for sample in samples)


async def half_load(run: Run) -> None:
    """Half as many bets as the hub can take come at a steady rate; as many go to the wallet directly."""
    await run.direct()
    await run.have(*ENGINES)
    for engine in ENGINES:
        tell(f"bench: half load, {engine}")
        rate = await full_rate(run, engine) / 2
        asks = {name: Ask(target=name, rate=rate) for name in (engine, "direct")}
        label = f"{engine}_half_load"
        sync = await asyncio.to_thread(sync_ms, run.stand.folder)
        before = await _commits(run, engine)
        await run.bench.interleaved(label, asks, run.options.pairs, run.options.seconds)
        commits, changes, seconds = (now - then for now, then in zip(await _commits(run, engine), before, strict=True))
        hub, direct = (run.bench.samples[label][name] for name in asks)
        added = median_of([one.p50_ms - other.p50_ms for one, other in zip(hub, direct, strict=True)])
        run.ratios[f"{label}_p99_vs_p50"] = median_of([sample.p99_ms / sample.p50_ms for sample in hub])
        run.figures.setdefault("half_load", {})[engine] = {
            "requests_per_second": rate,
            "added_p50_ms": asdict(added),
            "p50_ms": statistics.median(sample.p50_ms for sample in hub),
            "p99_ms": statistics.median(sample.p99_ms for sample in hub),
            "direct_p50_ms": statistics.median(sample.p50_ms for sample in direct),
            "sync_ms": sync,
            "commit_ms": seconds / commits * 1000,
            "changes_per_commit": changes / commits,
        }


async def _commits(run: Run, engine: str) -> tuple[float, float, float]:
    """How many transactions a hub has committed, how many changes in them, and the seconds they took."""
    async with run.stand.http.get(f"http://{HOST}:{run.hubs[engine].admin}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
    found = {
        sample.name.removeprefix("croupier_ledger_"): sample.value
        for family in families
        for sample in family.samples
        if sample.labels == {"outcome": "committed"}
    }
    return found["commit_seconds_count"], found["changes_total"], found["commit_seconds_sum"]


async def stalled_operator(run: Run) -> None:
    """The p99 of one operator's bets beside another one whose wallet takes every request and answers none.

    Two hubs of one kind are asked at the same time, so that whatever else the machine does falls on both: each gets a
    sixth of the bets that a hub can take now. In one of them the other operator has no players; in the other one it has
    them, about a fifth as many bets come from them, and its wallet stalls.
    """
    engines = ENGINES if run.options.long else ("postgres",)
    for engine in engines:
        tell(f"bench: a stalled operator, {engine}")
        calm, beside = f"{engine}-calm", f"{engine}-beside"
        await run.hub(calm, stalled=True)
        await run.hub(beside, stalled=True)
        rate = await full_rate(run, calm) / 6
        seconds = 2 * run.options.seconds
        less = rate * STALLED_SHARE
        crowd = int(less * seconds) + 1  # none of its bets waits for a connection
        others = Ask(target=f"{beside}/stalled", rate=less, connections=crowd, judged=False)
        asks = {calm: Ask(target=calm, rate=rate), beside: Ask(target=beside, rate=rate), others.target: others}
        await run.bench.together([asks[calm], asks[beside]], seconds)
        found: dict[str, list[Sample]] = {name: [] for name in asks}
        for turn in turns([calm, beside], STALLED_SLICES * run.options.pairs):
            order = [*turn, others.target]
            for name, sample in zip(
                order, await run.bench.together([asks[name] for name in order], seconds), strict=True
            ):
                found[name].append(sample)
        prefix = "" if engine == "postgres" else f"{engine}_"
        run.ratios[f"{prefix}stalled_operator_p99"] = ratio_of(found[beside], found[calm], lambda one: one.p99_ms)
        run.ratios[f"{prefix}stalled_operator_p50"] = ratio_of(found[beside], found[calm], lambda one: one.p50_ms)
        run.figures.setdefault("stalled_operator", {})[engine] = {
            "requests_per_second": rate,
            "stalled_requests_per_second": less,
            "alone": _told(found[calm]),
            "beside": _told(found[beside]),
            "until_the_breaker_opened": _at_first(found[calm], found[beside], found[others.target]),
            "stalled_refused": sum(sample.refused for sample in found[others.target]),
            "stalled_refused_p50_ms": statistics.median(sample.p50_ms for sample in found[others.target]),
        }
        await run.retire(calm)
        await run.retire(beside)


def _told(samples: Sequence[Sample]) -> dict[str, float]:
    return {
        "p50_ms": statistics.median(sample.p50_ms for sample in samples),
        "p99_ms": statistics.median(sample.p99_ms for sample in samples),
        "max_ms": max(sample.max_ms for sample in samples),
        "cpu_us": statistics.median(sample.cpu_us["server"] for sample in samples),
    }


def _at_first(calm: Sequence[Sample], beside: Sequence[Sample], stalled: Sequence[Sample]) -> dict[str, float]:
    """The slices in which none of the stalled operator's bets was answered yet: its wallet was waited for."""
    count = next((place for place, sample in enumerate(stalled) if sample.refused), len(stalled))
    waits = {"alone_p99_ms": calm[:count], "beside_p99_ms": beside[:count]}
    return {"slices": count} | {name: max((one.p99_ms for one in part), default=0.0) for name, part in waits.items()}
