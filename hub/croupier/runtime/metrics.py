"""The few numbers that tell how a hub is doing, as Prometheus reads them.

Every label has a bounded set of values: names of configuration, routes, verdicts, states; never players or rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from croupier.accelerator.client import State

if TYPE_CHECKING:
    from croupier.runtime.acceleration import Acceleration

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Accelerated(Collector):
    """Reads counts that are plain numbers, so that counting costs a request nothing."""

    def __init__(self, acceleration: Acceleration) -> None:
        self._acceleration = acceleration

    def describe(self) -> Iterable[Metric]:
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        reads = self._acceleration.sessions.reads
        told = CounterMetricFamily(
            "croupier_session_reads", "Sessions of plays, by where they were.", labels=("place",)
        )
        for place, count in (("process", reads.near), ("accelerator", reads.shared), ("ledger", reads.ledger)):
            told.add_metric((place,), count)
        yield told
        refused = CounterMetricFamily("croupier_rate_limited", "Requests over a rate, by whose it is.", labels=("of",))
        for subject, count in self._acceleration.rates.refused.items():
            refused.add_metric((subject,), count)
        yield refused
        accelerator, news = self._acceleration.accelerator, self._acceleration.news
        if accelerator is None or news is None:
            return
        up = accelerator.state is State.UP
        yield GaugeMetricFamily("croupier_accelerator_up", "Whether the accelerator answers.", value=up)
        counts = accelerator.counts
        calls = CounterMetricFamily(
            "croupier_accelerator_commands", "Commands to the accelerator.", labels=("outcome",)
        )
        for outcome, count in (
            ("answered", counts.answered), ("refused", counts.refused), ("failed", counts.failed)
        ):  # fmt: skip
            calls.add_metric((outcome,), count)
        yield calls
        yield CounterMetricFamily(
            "croupier_accelerator_losses", "How often the accelerator went away.", value=counts.lost
        )
        heard = CounterMetricFamily("croupier_accelerator_news", "News of other processes.", labels=("outcome",))
        heard.add_metric(("heard",), news.heard)
        heard.add_metric(("unclear",), news.unclear)
        yield heard


class Metrics:
    """Every metric of one hub, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        self._provider_calls = Counter(
            "croupier_provider_calls",
            "Requests of providers that were answered.",
            ("operator", "connection", "operation", "verdict"),
            registry=registry,
        )
        self._provider_seconds = Histogram(
            "croupier_provider_call_seconds",
            "How long providers waited for an answer.",
            ("connection", "operation"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._under_way = Gauge(
            "croupier_provider_calls_under_way",
            "Requests of providers that are being worked on.",
            ("operator",),
            registry=registry,
        )
        self._api_calls = Counter(
            "croupier_api_calls", "Requests to the JSON APIs.", ("api", "operation", "status"), registry=registry
        )
        self._api_seconds = Histogram(
            "croupier_api_call_seconds",
            "How long callers of the JSON APIs waited.",
            ("api", "operation"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._wallet_calls = Counter(
            "croupier_wallet_calls",
            "Calls to operators' wallets.",
            ("operator", "operation", "outcome"),
            registry=registry,
        )
        self._wallet_seconds = Histogram(
            "croupier_wallet_call_seconds",
            "How long operators' wallets took.",
            ("operator", "operation"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._movements = Gauge(
            "croupier_ledger_movements", "Movements that are not settled, by state.", ("state",), registry=registry
        )
        self._deliveries = Gauge(
            "croupier_deliveries", "Work that is owed to operators, by state.", ("state",), registry=registry
        )

    def provider_call(self, *, operator: str, connection: str, operation: str, verdict: str, seconds: float) -> None:
        """One request of a provider was answered.

        Args:
            operator: The operator's id, or empty.
            connection: The connection's name, or empty.
            operation: The adapter's name of the operation.
            verdict: `applied`, `declined`, `unknown` or `error`.
            seconds: How long it took.
        """
        self._provider_calls.labels(operator, connection, operation, verdict).inc()
        self._provider_seconds.labels(connection, operation).observe(seconds)

    def provider_calls_under_way(self, *, operator: str, count: int) -> None:
        """How many requests of an operator's connections are being worked on."""
        self._under_way.labels(operator).set(count)

    def api_call(self, *, api: str, operation: str, status: int, seconds: float) -> None:
        """One request of an API was answered; `operation` is the route's name."""
        self._api_calls.labels(api, operation, str(status)).inc()
        self._api_seconds.labels(api, operation).observe(seconds)

    def wallet_call(self, *, operator: str, operation: str, outcome: str, seconds: float) -> None:
        """One call to a wallet ended; `outcome` is `applied`, `refused` or `unknown`."""
        self._wallet_calls.labels(operator, operation, outcome).inc()
        self._wallet_seconds.labels(operator, operation).observe(seconds)

    def ledger_states(self, counts: Mapping[str, int]) -> None:
        """What is not settled, as `Ledger.count_states` tells it: `movement.<state>` and `delivery.<state>`."""
        for prefix, gauge in (("movement.", self._movements), ("delivery.", self._deliveries)):
            gauge.clear()
            for name, count in counts.items():
                if name.startswith(prefix):
                    gauge.labels(name.removeprefix(prefix)).set(count)

    def watch(self, acceleration: Acceleration) -> None:
        """Show what is kept at hand and what was refused by a rate, counted where it happens."""
        self._registry.register(_Accelerated(acceleration))

    def render(self) -> tuple[str, bytes]:
        """The media type and the text of all of it."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)
