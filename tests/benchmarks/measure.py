"""Slices, interleaved rounds, and what is made of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import comb
from typing import Any, Final

from attrs import define, field, frozen
from tests.benchmarks.meters import cpu_seconds
from tests.benchmarks.stand import Stand

CONNECTIONS: Final = 64
SHARED: Final = ("wallet", "load", "database")
"""Processes that work for every target."""

FIRST_GUESS: Final = 2500
"""Requests a second that are made ahead for a target that was never measured."""


@frozen(kw_only=True)
class Sample:
    """One slice of one target.

    Attributes:
        requests: How many were answered as they must be.
        seconds: How long it took.
        rate: Such requests a second.
        p50_ms: The median of the waits, of refusals too.
        p99_ms: Their 99th percentile.
        max_ms: The longest.
        refused: How many were answered with a refusal: 0, but where more is asked than the hub takes on.
        cpu_us: CPU time a request by process: `server`, `wallet`, `load`, `database`.
        load_share: How much of one core the load generator took.
        movements: How many movements were acknowledged.
    """

    requests: int
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    refused: int
    cpu_us: Mapping[str, float]
    load_share: float
    movements: int


@frozen
class Ratio:
    """A median of paired values with an interval that holds the true median with at least 95 %.

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


def median_of(values: Sequence[float]) -> Ratio:
    """The median of values with its interval."""
    found = sorted(values)
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


def ratio_of(
    ones: Sequence[Sample], others: Sequence[Sample], of: Callable[[Sample], float] = lambda sample: sample.rate
) -> Ratio:
    """How the rates (or something else) of the ones stand to those of the others, slice by slice."""
    return median_of([of(one) / of(other) for one, other in zip(ones, others, strict=True)])


def _tail(count: int, place: int) -> float:
    """The chance that fewer than `place` of so many values lie below the median."""
    return float(sum(comb(count, below) for below in range(place)) / 2**count)


@frozen(kw_only=True)
class Ask:
    """What is asked of one target in a slice.

    Attributes:
        target: Who is asked.
        case: What is asked.
        connections: Over how many connections.
        rate: So many requests a second, answered or not; without it, the next one follows the answer.
        count: So many requests and no more.
        judged: Whether answers are waited for and must be right.
        refusals: Whether an answer may be a refusal.
    """

    target: str
    case: str = "bet"
    connections: int = CONNECTIONS
    rate: float | None = None
    count: int | None = None
    judged: bool = True
    refusals: bool = False


@define(eq=False)
class Bench:
    """Measures targets in turn and keeps every slice.

    Attributes:
        stand: The processes.
        samples: By case and target, in order.
        acknowledged: Movements that were answered as applied, by target; rows are held against it.
        unsure: Targets that refused something: their rows may be more.
    """

    stand: Stand
    samples: dict[str, dict[str, list[Sample]]] = field(factory=dict)
    acknowledged: dict[str, int] = field(factory=dict)
    unsure: set[str] = field(factory=set)
    _rates: dict[tuple[str, str, int], float] = field(factory=dict)

    async def slice(self, ask: Ask, seconds: float) -> Sample:
        """One slice of one target.

        Raises:
            RuntimeError: Something was not answered as it must be.
        """
        (sample,) = await self.together([ask], seconds)
        return sample

    async def together(self, asks: Sequence[Ask], seconds: float) -> list[Sample]:
        """One slice of several targets at the same time.

        What the server of one target costs is told for a request of that target; what all share, for a request of any.

        Raises:
            RuntimeError: Something was not answered as it must be.
        """
        stand = self.stand
        await stand.tell("prepare", streams=[self._stream(ask, seconds) for ask in asks])
        servers = {ask.target: stand.pids[ask.target.partition("/")[0]] for ask in asks}
        pids = {**servers, "wallet": stand.pids["wallet"], "database": stand.pids["database"]}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        answers: list[dict[str, Any]] = await stand.tell("run", seconds=seconds)
        used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        for ask, told in zip(asks, answers, strict=True):
            self._judge(ask, told)
        used["load"] = answers[0]["cpu_seconds"]
        shared = {name: used[name] / max(sum(told["requests"] for told in answers), 1) for name in SHARED}
        return [
            self._sample(ask, told, {"server": used[ask.target] / max(told["requests"], 1), **shared})
            for ask, told in zip(asks, answers, strict=True)
        ]

    def _sample(self, ask: Ask, told: Mapping[str, Any], cpu_seconds: Mapping[str, float]) -> Sample:
        requests = told["requests"]
        if ask.rate is None:
            self._rates[ask.target, ask.case, ask.connections] = (requests + told["refused"]) / told["seconds"]
        return Sample(
            requests=requests,
            seconds=told["seconds"],
            rate=requests / told["seconds"],
            p50_ms=told["p50_ms"],
            p99_ms=told["p99_ms"],
            max_ms=told["max_ms"],
            refused=told["refused"],
            cpu_us={name: value * 1e6 for name, value in cpu_seconds.items()},
            load_share=told["cpu_seconds"] / told["seconds"],
            movements=told["movements"],
        )

    def _stream(self, ask: Ask, seconds: float) -> dict[str, Any]:
        rate = ask.rate or self._rates.get((ask.target, ask.case, ask.connections), FIRST_GUESS) * 1.5
        return {
            "target": ask.target,
            "case": ask.case,
            "count": ask.count or int(rate * seconds) + 4 * ask.connections,
            "connections": ask.connections,
            "rate": ask.rate,
            "judged": ask.judged,
        }

    def _judge(self, ask: Ask, told: Mapping[str, Any]) -> None:
        if not ask.judged:
            return
        if told["lost"] or (told["refused"] and not ask.refusals):
            raise RuntimeError(
                f"{ask.target}, {ask.case}: {told['refused']} wrong and {told['lost']} lost: {told['sample']}"
            )
        if told["refused"]:
            self.unsure.add(ask.target)
        self.acknowledged[ask.target] = self.acknowledged.get(ask.target, 0) + told["movements"]

    async def interleaved(self, label: str, asks: Mapping[str, Ask], pairs: int, seconds: float) -> None:
        """So many rounds; in each, every target has one slice, and each round begins with another target.

        Args:
            label: What the samples are kept under, and in it the keys of `asks`.
            asks: What is asked, by the name of what is compared.
            pairs: How many rounds.
            seconds: How long a slice is.
        """
        for ask in asks.values():
            await self.slice(ask, min(seconds, 0.5))  # warm, and how many requests a slice needs
        into = self.samples.setdefault(label, {name: [] for name in asks})
        for turn in turns(list(asks), pairs):
            for name in turn:
                into[name].append(await self.slice(asks[name], seconds))

    def ratio(self, label: str, one: str, other: str) -> Ratio:
        """The ratio of two targets' rates in a case."""
        return ratio_of(self.samples[label][one], self.samples[label][other])


def turns(names: Sequence[str], count: int) -> Iterator[Sequence[str]]:
    """So many orders of the names, each beginning with another."""
    for place in range(count):
        cut = place % len(names)
        yield [*names[cut:], *names[:cut]]
