"""Slices, interleaved rounds, and what is made of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from math import comb
from typing import Any, Final

from attrs import define, field, frozen
from tests.benchmarks.stand import Stand, cpu_seconds

CONNECTIONS: Final = 64
FIRST_GUESS: Final = 2500
"""Requests a second that are made ahead for a target that was never measured."""


@frozen(kw_only=True)
class Sample:
    """One slice of one target.

    Attributes:
        requests: How many were answered.
        seconds: How long it took.
        rate: Requests a second.
        p50_ms: The median of the waits.
        p99_ms: Their 99th percentile.
        cpu_us: CPU time a request by process: `server`, `wallet`, `load`, `database`.
        movements: How many movements were acknowledged.
    """

    requests: int
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: Mapping[str, float]
    movements: int


@frozen
class Ratio:
    """A median of paired ratios with an interval that holds the true median with at least 95 %.

    Attributes:
        median: The median.
        low: The lower end.
        high: The upper end.
        pairs: How many pairs.
        coverage: What the interval holds it with: it is made of order statistics, so it needs no distribution. With
            fewer than six pairs even the extremes hold less than 95 %.
    """

    median: float
    low: float
    high: float
    pairs: int
    coverage: float


def ratio_of(ones: Sequence[Sample], others: Sequence[Sample]) -> Ratio:
    """How the rates of the ones stand to those of the others, slice by slice."""
    found = sorted(one.rate / other.rate for one, other in zip(ones, others, strict=True))
    count = len(found)
    place = 0
    while place + 1 < count / 2 and _tail(count, place + 2) <= 0.025:
        place += 1
    return Ratio(
        median=statistics.median(found),
        low=found[place],
        high=found[count - 1 - place],
        pairs=count,
        coverage=1 - 2 * _tail(count, place + 1),
    )


def _tail(count: int, place: int) -> float:
    """The chance that fewer than `place` of so many values lie below the median."""
    return float(sum(comb(count, below) for below in range(place)) / 2**count)


@define(eq=False)
class Bench:
    """Measures targets in turn and keeps every slice.

    Attributes:
        stand: The processes.
        samples: By case and target, in order.
        acknowledged: Movements that were answered as applied, by target; rows are held against it.
    """

    stand: Stand
    samples: dict[str, dict[str, list[Sample]]] = field(factory=dict)
    acknowledged: dict[str, int] = field(factory=dict)
    _rates: dict[tuple[str, str], float] = field(factory=dict)

    async def slice(self, target: str, case: str, seconds: float) -> Sample:
        """One slice.

        Raises:
            RuntimeError: Something was not answered as it must be.
        """
        stand = self.stand
        count = int(self._rates.get((target, case), FIRST_GUESS) * seconds * 1.5) + 4 * CONNECTIONS
        await stand.tell("prepare", target=target, case=case, count=count, connections=CONNECTIONS)
        pids = {"server": stand.pids[target], "wallet": stand.pids["wallet"], "database": stand.pids["database"]}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        told: dict[str, Any] = await stand.tell("run", seconds=seconds)
        used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        if told["wrong"] or told["lost"]:
            raise RuntimeError(f"{target}, {case}: {told['wrong']} wrong and {told['lost']} lost: {told['sample']}")
        used["load"] = told["cpu_seconds"]
        requests = told["requests"]
        self.acknowledged[target] = self.acknowledged.get(target, 0) + told["movements"]
        rate = requests / told["seconds"]
        self._rates[target, case] = rate
        return Sample(
            requests=requests,
            seconds=told["seconds"],
            rate=rate,
            p50_ms=told["p50_ms"],
            p99_ms=told["p99_ms"],
            cpu_us={name: value / requests * 1e6 for name, value in used.items()},
            movements=told["movements"],
        )

    async def interleaved(self, case: str, targets: Sequence[str], pairs: int, seconds: float, label: str = "") -> None:
        """So many rounds; in each, every target has one slice, and each round begins with another target."""
        for target in targets:
            await self.slice(target, case, min(seconds, 0.5))  # warm, and how many requests a slice needs
        into = self.samples.setdefault(label or case, {target: [] for target in targets})
        for turn in _turns(targets, pairs):
            for target in turn:
                into[target].append(await self.slice(target, case, seconds))

    def ratio(self, case: str, one: str, other: str) -> Ratio:
        """The ratio of two targets' rates in a case."""
        return ratio_of(self.samples[case][one], self.samples[case][other])


def _turns(targets: Sequence[str], count: int) -> Iterator[Sequence[str]]:
    for place in range(count):
        cut = place % len(targets)
        yield [*targets[cut:], *targets[:cut]]
