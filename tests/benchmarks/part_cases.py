"""Every case, every target, over few connections and many."""

from __future__ import annotations

from typing import Final

from tests.benchmarks.measure import Ask, median_of
from tests.benchmarks.targets import ENGINES, TWO_WORKERS, Run, tell

CASES: Final = ("bet", "batch", "duplicate", "balance")
PAIRS: Final = (
    ("postgres", "proxy"), ("sqlite", "proxy"), ("postgres", "naive"), ("sqlite", "naive"), ("postgres", "sqlite"),
    ("postgres", "nginx"), ("sqlite", "nginx"), (TWO_WORKERS, "postgres"),
)  # fmt: skip
"""What is told as a ratio."""

BRIEF: Final = ("nginx", TWO_WORKERS)
"""In a short run these are measured in bets alone."""


async def compare(run: Run) -> None:
    """The cases, over the connections that all figures are told for, and over more."""
    options = run.options
    await run.have(*ENGINES, *([TWO_WORKERS] if options.workers else []))
    baselines = await run.baselines()
    targets = [*baselines, *ENGINES, *([TWO_WORKERS] if options.workers else [])]
    for case in options.cases:
        chosen = targets if case == "bet" or options.long else [name for name in targets if name not in BRIEF]
        seconds = options.seconds if case == "bet" or options.long else options.seconds / 2
        tell(f"bench: {case}")
        await run.bench.interleaved(
            case, {name: Ask(target=name, case=case) for name in chosen}, options.pairs, seconds
        )
        _ratios(run, case, "" if case == "bet" else f"_{case}")
    run.memory()
    for crowd in options.crowds:
        await _crowd(run, crowd, targets)


async def _crowd(run: Run, connections: int, targets: list[str]) -> None:
    """The same over so many connections; what a hub refuses then is told, and how long the longest waited."""
    options = run.options
    cases = options.cases if options.long else [case for case in options.cases if case == "bet"]
    chosen = targets if options.long else [name for name in targets if name not in {*BRIEF, "naive"}]
    fairness = run.figures.setdefault("fairness", {})
    for case in cases:
        tell(f"bench: {case}, {connections} connections")
        label = f"{case}_{connections}"
        asks = {name: Ask(target=name, case=case, connections=connections, refusals=True) for name in chosen}
        await run.bench.interleaved(label, asks, options.pairs, options.seconds)
        _ratios(run, label, f"_{label}")
        fairness[label] = {
            name: {
                "max_ms": max(sample.max_ms for sample in samples),
                "max_vs_p50": median_of([sample.max_ms / sample.p50_ms for sample in samples]).median,
                "refused": sum(sample.refused for sample in samples),
                "answered": sum(sample.requests for sample in samples),
            }
            for name, samples in run.bench.samples[label].items()
        }


def _ratios(run: Run, label: str, suffix: str) -> None:
    measured = run.bench.samples[label]
    for one, other in PAIRS:
        if one in measured and other in measured and all(sample.requests for sample in measured[other]):
            run.ratios[f"{one.replace('-', '_')}_vs_{other}{suffix}"] = run.bench.ratio(label, one, other)
