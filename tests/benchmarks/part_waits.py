"""How long a request takes when the hub is not busy, and when one operator's wallet does not answer."""

from __future__ import annotations

import statistics
from typing import Any

from attrs import asdict
from tests.benchmarks.measure import CONNECTIONS, Ask, Sample, median_of, ratio_of, turns
from tests.benchmarks.targets import ENGINES, Run, tell


async def full_rate(run: Run, target: str) -> float:
    """What a target does at most: as it was measured, or is now."""
    samples = run.bench.samples.get("bet", {}).get(target)
    if not samples:
        samples = [await run.bench.slice(Ask(target=target), run.options.seconds) for _ in range(3)][1:]
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
        await run.bench.interleaved(label, asks, run.options.pairs, run.options.seconds)
        hub, direct = (run.bench.samples[label][name] for name in asks)
        added = median_of([one.p50_ms - other.p50_ms for one, other in zip(hub, direct, strict=True)])
        run.ratios[f"{label}_p99_vs_p50"] = median_of([sample.p99_ms / sample.p50_ms for sample in hub])
        run.figures.setdefault("half_load", {})[engine] = {
            "requests_per_second": rate,
            "added_p50_ms": asdict(added),
            "p50_ms": statistics.median(sample.p50_ms for sample in hub),
            "p99_ms": statistics.median(sample.p99_ms for sample in hub),
            "direct_p50_ms": statistics.median(sample.p50_ms for sample in direct),
        }


async def stalled_operator(run: Run) -> None:
    """The p99 of one operator's bets beside another one whose wallet takes every request and answers none.

    Two hubs of one kind: the other operator of the first has no players, that of the second has them and a wallet that
    stalls. Half of what the hub can take comes from the operator that is measured, a tenth as much from the other.
    """
    engines = ENGINES if run.options.long else ("postgres",)
    for engine in engines:
        tell(f"bench: a stalled operator, {engine}")
        calm, beside = f"{engine}-calm", f"{engine}-beside"
        await run.hub(calm, stalled=True)
        await run.hub(beside, stalled=True)
        rate = await full_rate(run, engine if engine in run.hubs else calm) / 2
        other = Ask(target=f"{beside}/stalled", rate=rate / 10, connections=4 * CONNECTIONS, judged=False)
        found: dict[str, list[Sample]] = {calm: [], beside: []}
        seconds = 2 * run.options.seconds
        for name, wrong in ((calm, ()), (beside, (other,))):
            await run.bench.slice(Ask(target=name, rate=rate), seconds, wrong)
        for turn in turns([calm, beside], run.options.pairs):
            for name in turn:
                wrong = (other,) if name == beside else ()
                found[name].append(await run.bench.slice(Ask(target=name, rate=rate), seconds, wrong))
        prefix = "" if engine == "postgres" else f"{engine}_"
        run.ratios[f"{prefix}stalled_operator_p99"] = ratio_of(found[beside], found[calm], lambda one: one.p99_ms)
        run.ratios[f"{prefix}stalled_operator_p50"] = ratio_of(found[beside], found[calm], lambda one: one.p50_ms)
        run.figures.setdefault("stalled_operator", {})[engine] = _told(found, calm, beside, rate)
        await run.retire(calm)
        await run.retire(beside)


def _told(found: dict[str, list[Sample]], calm: str, beside: str, rate: float) -> dict[str, Any]:
    def of(name: str) -> dict[str, float]:
        return {
            "p50_ms": statistics.median(sample.p50_ms for sample in found[name]),
            "p99_ms": statistics.median(sample.p99_ms for sample in found[name]),
            "max_ms": max(sample.max_ms for sample in found[name]),
        }

    return {
        "requests_per_second": rate,
        "stalled_requests_per_second": rate / 10,
        "alone": of(calm),
        "beside": of(beside),
    }
