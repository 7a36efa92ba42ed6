"""What Prometheus reads."""

from __future__ import annotations

from croupier.ledger.port import Backlog, BatchEnd
from croupier.runtime.metrics import Metrics


def rows(metrics: Metrics) -> set[str]:
    kind, text = metrics.render()
    assert kind.startswith("text/plain")
    return set(text.decode().splitlines())


def test_calls_are_counted_and_timed() -> None:
    metrics = Metrics()
    for verdict in ("applied", "applied", "declined"):
        metrics.provider_call(operator="op", connection="c", operation="bet", verdict=verdict, seconds=0.004)
    metrics.api_call(api="v1", operation="games", status=200, seconds=0.1)
    metrics.wallet_call(operator="op", operation="bet", outcome="unknown", seconds=3.0)
    metrics.alarm(operator="op", kind="delivery.late")
    found = rows(metrics)
    assert 'croupier_alarms_total{kind="delivery.late",operator="op"} 1.0' in found
    labels = 'connection="c",operation="bet",operator="op"'
    assert f'croupier_provider_calls_total{{{labels},verdict="applied"}} 2.0' in found
    assert f'croupier_provider_calls_total{{{labels},verdict="declined"}} 1.0' in found
    assert 'croupier_provider_call_seconds_bucket{connection="c",le="0.0025",operation="bet"} 0.0' in found
    assert 'croupier_provider_call_seconds_bucket{connection="c",le="0.005",operation="bet"} 3.0' in found
    assert 'croupier_api_calls_total{api="v1",operation="games",status="200"} 1.0' in found
    assert 'croupier_wallet_calls_total{operation="bet",operator="op",outcome="unknown"} 1.0' in found


def test_a_duration_on_a_bound_is_within_it_and_the_longest_ones_are_beyond_all() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.0011, 10.0, 11.0):
        metrics.wallet_call(operator="op", operation="bet", outcome="applied", seconds=seconds)
    found = rows(metrics)
    for bound, count in (("0.001", 1), ("0.0025", 2), ("5.0", 2), ("10.0", 3), ("+Inf", 4)):
        bucket = f'croupier_wallet_call_seconds_bucket{{le="{bound}",operation="bet",operator="op"}} {count}.0'
        assert bucket in found
    assert 'croupier_wallet_call_seconds_count{operation="bet",operator="op"} 4.0' in found
    assert 'croupier_wallet_call_seconds_sum{operation="bet",operator="op"} 21.0021' in found


def test_every_metric_keeps_its_name_and_kind() -> None:
    metrics = Metrics()
    metrics.watch_backlog(lambda: Backlog(changes=0, exchanges=0, dropped=0))
    types = {row.removeprefix("# TYPE ") for row in rows(metrics) if row.startswith("# TYPE croupier_")}
    assert types == {
        "croupier_alarms_total counter",
        "croupier_api_call_seconds histogram",
        "croupier_api_calls_total counter",
        "croupier_configuration_faults gauge",
        "croupier_deliveries gauge",
        "croupier_ledger_changes_total counter",
        "croupier_ledger_changes_waiting gauge",
        "croupier_ledger_commit_seconds histogram",
        "croupier_ledger_exchanges_dropped_total counter",
        "croupier_ledger_exchanges_waiting gauge",
        "croupier_ledger_movements gauge",
        "croupier_provider_call_seconds histogram",
        "croupier_provider_calls_total counter",
        "croupier_provider_calls_under_way gauge",
        "croupier_provider_calls_waiting gauge",
        "croupier_reconciliation_cases gauge",
        "croupier_sink_behind gauge",
        "croupier_sink_events_total counter",
        "croupier_sink_held gauge",
        "croupier_sink_waiting gauge",
        "croupier_wallet_call_seconds histogram",
        "croupier_wallet_calls_total counter",
    }


def test_gauges_show_what_is_now() -> None:
    metrics = Metrics()
    metrics.provider_calls_under_way(operator="op", count=3)
    metrics.ledger_states({"movement.intent": 2, "movement.owed": 9, "delivery.held": 5})
    metrics.ledger_states({"movement.owed": 11, "delivery.owed": 4, "delivery.held": 1})
    found = rows(metrics)
    assert 'croupier_provider_calls_under_way{operator="op"} 3.0' in found
    assert 'croupier_deliveries{state="owed"} 4.0' in found
    assert 'croupier_deliveries{state="held"} 1.0' in found
    assert [row for row in found if row.startswith("croupier_ledger_movements{")] == [
        'croupier_ledger_movements{state="owed"} 11.0'
    ]


def test_what_transactions_come_to_is_counted_and_timed_and_what_waits_is_shown_as_it_is_now() -> None:
    metrics = Metrics()
    backlog = Backlog(changes=0, exchanges=0, dropped=0)
    metrics.watch_backlog(lambda: backlog)
    metrics.ledger_batch(BatchEnd(changes=7, seconds=0.002, durable=True))
    metrics.ledger_batch(BatchEnd(changes=3, seconds=0.004, durable=True))
    metrics.ledger_batch(BatchEnd(changes=2, seconds=15.0, durable=False))
    backlog = Backlog(changes=5, exchanges=400, dropped=1)
    found = rows(metrics)
    assert {
        'croupier_ledger_changes_total{outcome="committed"} 10.0',
        'croupier_ledger_changes_total{outcome="failed"} 2.0',
        'croupier_ledger_commit_seconds_bucket{le="0.0025",outcome="committed"} 1.0',
        'croupier_ledger_commit_seconds_count{outcome="committed"} 2.0',
        'croupier_ledger_commit_seconds_sum{outcome="failed"} 15.0',
        "croupier_ledger_changes_waiting 5.0",
        "croupier_ledger_exchanges_waiting 400.0",
        "croupier_ledger_exchanges_dropped_total 1.0",
    } <= found


def test_two_hubs_in_one_process_do_not_share_numbers() -> None:
    one, two = Metrics(), Metrics()
    one.ledger_states({"delivery.owed": 1})
    assert not any(row.startswith("croupier_deliveries{") for row in rows(two))
