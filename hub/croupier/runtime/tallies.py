"""Counters and histograms that cost a bet next to nothing: plain numbers, made into metrics when somebody reads them.

They belong to the thread of the event loop: counted and read there.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from attrs import define, field
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


@define(eq=False)
class Tally(Collector):
    """A counter.

    Attributes:
        name: The metric's name, without `_total`.
        text: What it counts.
        labels: The names of its labels.
    """

    name: str
    text: str
    labels: Sequence[str]
    _counts: dict[Labels, int] = field(factory=dict, init=False)
    _created: dict[Labels, float] = field(factory=dict, init=False)

    def add(self, labels: Labels, count: int = 1) -> None:
        """Count one, or so many."""
        try:
            self._counts[labels] += count
        except KeyError:
            self._counts[labels] = count
            self._created[labels] = time.time()

    def collect(self) -> Iterable[Metric]:
        """The metric."""
        family = CounterMetricFamily(self.name, self.text, labels=self.labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count, created=self._created[labels])
        return (family,)


@define(eq=False)
class _Times:
    """What a histogram has for one set of labels: how many by bound, the last one beyond all, and their sum."""

    counts: list[int]
    sum: float = 0.0
    created: float = field(factory=time.time)


@define(eq=False)
class Timings(Collector):
    """A histogram.

    Attributes:
        name: The metric's name.
        text: What it measures.
        labels: The names of its labels.
        bounds: The upper bounds of its buckets in seconds, without the infinite one.
    """

    name: str
    text: str
    labels: Sequence[str]
    bounds: Sequence[float]
    _times: dict[Labels, _Times] = field(factory=dict, init=False)

    def observe(self, labels: Labels, seconds: float) -> None:
        """Take in one duration."""
        times = self._times.get(labels)
        if times is None:
            times = self._times[labels] = _Times([0] * (len(self.bounds) + 1))
        times.counts[bisect_left(self.bounds, seconds)] += 1
        times.sum += seconds

    def collect(self) -> Iterable[Metric]:
        """The metric."""
        family = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        names = [*map(floatToGoString, self.bounds), "+Inf"]
        for labels, times in self._times.items():
            family.add_metric(labels, list(zip(names, accumulate(times.counts), strict=True)), times.sum)
            family.add_sample(f"{self.name}_created", dict(zip(self.labels, labels, strict=True)), times.created)
        return (family,)


@define(eq=False)
class Levels(Collector):
    """A gauge with one label.

    Attributes:
        name: The metric's name.
        text: What it shows.
        label: The name of its label.
        now: What it shows now, by the label's value.
    """

    name: str
    text: str
    label: str
    now: dict[str, int] = field(factory=dict, init=False)

    def collect(self) -> Iterable[Metric]:
        """The metric."""
        family = GaugeMetricFamily(self.name, self.text, labels=(self.label,))
        for value, level in self.now.items():
            family.add_metric((value,), level)
        return (family,)
