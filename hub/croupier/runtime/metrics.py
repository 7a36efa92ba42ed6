"""The few numbers that tell how a hub is doing, as Prometheus reads them.

Every label has a bounded set of values: names of configuration, routes, verdicts, states; never players or rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from croupier.accelerator.client import State
from croupier.ledger.port import Backlog, BatchEnd
from croupier.runtime.tallies import Levels, Tally, Timings

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


class _Waiting(Collector):
    """Reads what a ledger has not stored when somebody asks."""

    def __init__(self, backlog: Callable[[], Backlog]) -> None:
        self._backlog = backlog

    def describe(self) -> Iterable[Metric]:
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        backlog = self._backlog()
        yield GaugeMetricFamily(
            "croupier_ledger_changes_waiting", "Changes that wait for a transaction.", value=backlog.changes
        )
        yield GaugeMetricFamily(
            "croupier_ledger_exchanges_waiting", "Exchanges that wait to be stored.", value=backlog.exchanges
        )
        yield CounterMetricFamily(
            "croupier_ledger_exchanges_dropped", "Exchanges that were not stored.", value=backlog.dropped
        )


class Metrics:
    """Every metric of one hub, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        self._provider_calls = Tally(
            "croupier_provider_calls",
            "Requests of providers that were answered.",
            ("operator", "connection", "operation", "verdict"),
        )
        self._provider_seconds = Timings(
            "croupier_provider_call_seconds",
            "How long providers waited for an answer.",
            ("connection", "operation"),
            _SECONDS,
        )
        self._under_way = Levels(
            "croupier_provider_calls_under_way", "Requests of providers that are being worked on.", "operator"
        )
        self._waiting = Levels(
            "croupier_provider_calls_waiting",
            "Requests of providers that wait because too many are under way.",
            "operator",
        )
        self._api_calls = Tally("croupier_api_calls", "Requests to the JSON APIs.", ("api", "operation", "status"))
        self._api_seconds = Timings(
            "croupier_api_call_seconds", "How long callers of the JSON APIs waited.", ("api", "operation"), _SECONDS
        )
        self._wallet_calls = Tally(
            "croupier_wallet_calls", "Calls to operators' wallets.", ("operator", "operation", "outcome")
        )
        self._wallet_seconds = Timings(
            "croupier_wallet_call_seconds", "How long operators' wallets took.", ("operator", "operation"), _SECONDS
        )
        self._changes = Tally("croupier_ledger_changes", "Changes of the ledger.", ("outcome",))
        self._batch_seconds = Timings(
            "croupier_ledger_commit_seconds", "How long transactions of changes took.", ("outcome",), _SECONDS
        )
        self._movements = Levels("croupier_ledger_movements", "Movements that are not settled, by state.", "state")
        self._deliveries = Levels("croupier_deliveries", "Work that is owed to operators, by state.", "state")
        self._cases = Levels("croupier_reconciliation_cases", "Cases of reconciliation that are not settled.", "state")
        self._alarms = Tally("croupier_alarms", "Events that a person should look at.", ("operator", "kind"))
        self._faults = Levels("croupier_configuration_faults", "What is stored and cannot be used, by kind.", "kind")
        self._sink_events = Tally("croupier_sink_events", "Events that event sinks were sent.", ("sink", "outcome"))
        self._sink_behind = Levels("croupier_sink_behind", "Newest event's position less the sink's.", "sink")
        self._sink_waiting = Levels("croupier_sink_waiting", "Events that wait for another attempt.", "sink")
        self._sink_held = Levels("croupier_sink_held", "Events that wait for a person.", "sink")
        collectors: tuple[Collector, ...] = (
            self._alarms,
            self._faults,
            self._sink_events,
            self._sink_behind,
            self._sink_waiting,
            self._sink_held,
            self._provider_calls,
            self._provider_seconds,
            self._under_way,
            self._waiting,
            self._api_calls,
            self._api_seconds,
            self._wallet_calls,
            self._wallet_seconds,
            self._changes,
            self._batch_seconds,
            self._movements,
            self._deliveries,
            self._cases,
        )
        for collector in collectors:
            registry.register(collector)

    def provider_call(self, *, operator: str, connection: str, operation: str, verdict: str, seconds: float) -> None:
        """One request of a provider was answered.

        Args:
            operator: The operator's id, or empty.
            connection: The connection's name, or empty.
            operation: The adapter's name of the operation.
            verdict: `applied`, `declined`, `unknown` or `error`.
            seconds: How long it took.
        """
        self._provider_calls.add((operator, connection, operation, verdict))
        self._provider_seconds.observe((connection, operation), seconds)

    def provider_calls_under_way(self, *, operator: str, count: int) -> None:
        """How many requests of an operator's connections are being worked on."""
        self._under_way.now[operator] = count

    def provider_calls_waiting(self, *, operator: str, count: int) -> None:
        """How many requests of an operator's connections wait for a place."""
        self._waiting.now[operator] = count

    def api_call(self, *, api: str, operation: str, status: int, seconds: float) -> None:
        """One request of an API was answered; `operation` is the route's name."""
        self._api_calls.add((api, operation, str(status)))
        self._api_seconds.observe((api, operation), seconds)

    def wallet_call(self, *, operator: str, operation: str, outcome: str, seconds: float) -> None:
        """One call to a wallet ended; `outcome` is `applied`, `refused` or `unknown`."""
        self._wallet_calls.add((operator, operation, outcome))
        self._wallet_seconds.observe((operator, operation), seconds)

    def ledger_batch(self, end: BatchEnd) -> None:
        """A transaction of the ledger ended."""
        outcome = ("committed" if end.durable else "failed",)
        self._changes.add(outcome, end.changes)
        self._batch_seconds.observe(outcome, end.seconds)

    def ledger_states(self, counts: Mapping[str, int]) -> None:
        """What is not settled, as `Ledger.count_states` tells it: `movement.<state>` and so on."""
        gauges = (("movement.", self._movements), ("delivery.", self._deliveries), ("case.", self._cases))
        for prefix, gauge in gauges:
            gauge.now = {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}

    def alarm(self, *, operator: str, kind: str) -> None:
        """An event was written that a person should look at; `kind` is one of `croupier.wallet.alarms`."""
        self._alarms.add((operator, kind))

    def configuration_faults(self, counts: Mapping[str, int]) -> None:
        """How many configured things cannot be used now, by kind; every kind is named, so that none is missed."""
        self._faults.now = dict(counts)

    def sink_events(self, *, sink: str, outcome: str, count: int) -> None:
        """So many events were tried at an event sink; `outcome` is `taken` or `refused`."""
        self._sink_events.add((sink, outcome), count)

    def sink_stands(self, *, sink: str, behind: int, waiting: int, held: int) -> None:
        """How far a sink that this process feeds is behind, and how many of its events wait."""
        self._sink_behind.now[sink] = behind
        self._sink_waiting.now[sink] = waiting
        self._sink_held.now[sink] = held

    def sink_left(self, *, sink: str) -> None:
        """This process feeds a sink no more."""
        for levels in (self._sink_behind, self._sink_waiting, self._sink_held):
            levels.now.pop(sink, None)

    def watch_backlog(self, backlog: Callable[[], Backlog]) -> None:
        """Show what a ledger has not stored."""
        self._registry.register(_Waiting(backlog))

    def watch(self, acceleration: Acceleration) -> None:
        """Show what is kept at hand and what was refused by a rate, counted where it happens."""
        self._registry.register(_Accelerated(acceleration))

    def render(self) -> tuple[str, bytes]:
        """The media type and the text of all of it."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)
