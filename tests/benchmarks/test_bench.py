"""The benchmark as a user runs it, much smaller: it ends, and its files say what they must. No time is judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 360
"""Far more than a run takes; on a machine with other work on every processor one took 180."""

SLICE = 0.15


def command(module: str, *options: str) -> str:
    """Run a module of the benchmark to its end; what it printed."""
    arguments = [sys.executable, "-m", f"tests.benchmarks.{module}", *options]
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, printed
    return printed


def run(out: Path, *options: str) -> tuple[dict[str, Any], str]:
    """A small run of some parts; what it found and what it printed."""
    printed = command("bench", "--out", str(out), "--pairs", "2", "--seconds", str(SLICE), *options)
    assert (out / "table.txt").read_text() in printed
    assert ET.fromstring((out / "plot.svg").read_text()).tag.endswith("svg")  # noqa: S314 # our own file
    return json.loads((out / "results.json").read_text()), printed


def test_the_benchmark_runs_every_part_and_tells_what_it_found(tmp_path: Path) -> None:
    """One run for all parts: most of its time goes into starting and seeding hubs, which the parts share."""
    small = ["--cases", "bet", "--crowds", "96", "--no-workers", "--sessions", "100", "--rows", "50", "200"]
    found, printed = run(tmp_path, *small)
    assert set(found) == {"ratios", "intervals", "not_measured", "notes", "failures", "figures", "goals"}
    _ratios_are_of_pairs(found, printed)
    _cases_are_told_and_every_acknowledged_bet_is_in_the_ledger(found)
    _waits_are_counted_from_when_requests_were_due(found)
    _the_hub_goes_on_with_old_rows_and_open_sessions(found)
    _a_profile_tells_the_hubs_own_work_apart(found, (tmp_path / "profile.txt").read_text())
    page = command("page", str(tmp_path / "results.json"))
    assert all(f"{found['intervals'][name]['median']:.3f} (" in page for name in PAIRS)
    assert all(f"| {engine}-{bets} | 0.00 |" in page for engine in ("sqlite", "postgres") for bets in (50, 200))


PAIRS = ["postgres_vs_proxy", "sqlite_vs_proxy", "postgres_vs_naive", "sqlite_vs_naive", "postgres_vs_sqlite"]


def _ratios_are_of_pairs(found: dict[str, Any], printed: str) -> None:
    assert set(found["ratios"]) >= {*PAIRS, "postgres_vs_proxy_bet_96", "sqlite_vs_proxy_bet_96"}
    for name, ratio in found["ratios"].items():
        if name in found["not_measured"]:
            assert ratio is None
            continue
        interval = found["intervals"][name]
        assert interval["pairs"] == (6 if name.startswith("stalled") else 2)
        assert 0 < interval["low"] <= interval["median"] <= interval["high"], name
        assert ratio == round(interval["median"], 4)
        assert name in printed


def _cases_are_told_and_every_acknowledged_bet_is_in_the_ledger(found: dict[str, Any]) -> None:
    figures = found["figures"]
    targets = figures["cases"]["bet"]
    assert set(targets) - {"nginx"} == {"proxy", "naive", "sqlite", "postgres"}
    assert ("nginx" in targets) != any("nginx" in note for note in found["notes"])
    for target in targets.values():
        assert target["slices"] == 2
        assert target["refused"] == 0
        assert min(target["requests_per_second"], target["p50_ms"]) > 0
        assert target["max_ms"] >= target["p99_ms"] >= target["p50_ms"]
        assert set(target["cpu_us"]) == {"server", "database", "wallet", "load"}
    assert set(figures["fairness"]["bet_96"]) == {"proxy", "sqlite", "postgres"}
    rows = figures["ledger_rows"]
    assert set(rows) >= {"naive", "sqlite", "postgres", "postgres-beside"}
    for name, row in rows.items():
        assert row["stored"] == row["acknowledged"] or "-" in name, name
    for name in ("naive", "sqlite", "postgres"):
        assert rows[name]["stored"] >= targets[name]["requests"]
    assert min(figures["memory_mib"].values()) > 0


def _waits_are_counted_from_when_requests_were_due(found: dict[str, Any]) -> None:
    figures = found["figures"]
    for engine in ("sqlite", "postgres"):
        told = figures["half_load"][engine]
        hub = figures["cases"][f"{engine}_half_load"][engine]
        assert told["sync_ms"] > 0
        # What the hub itself tells of its ledger meanwhile.
        assert told["changes_per_commit"] >= 1
        assert told["commit_ms"] > 0
        assert told["p99_ms"] >= told["p50_ms"] > 0
        assert told["direct_p50_ms"] > 0
        added = told["added_p50_ms"]
        assert added["pairs"] == 2
        assert added["low"] <= added["median"] <= added["high"]
        # Every request that was due was sent: the rate is the one that was asked for.
        assert hub["requests"] == pytest.approx(told["requests_per_second"] * SLICE * 2, abs=4)
        assert found["ratios"][f"{engine}_half_load_p99_vs_p50"] >= 1
    assert found["ratios"]["stalled_operator_p99"] > 0
    stalled = figures["stalled_operator"]["postgres"]
    assert min(stalled[hub][name] for hub in ("alone", "beside") for name in ("p50_ms", "p99_ms", "cpu_us")) > 0
    # On a quick machine the run is over before the first of the stalled operator's bets is given up.
    waited = stalled["until_the_breaker_opened"]["slices"]
    assert 1 <= waited <= 6
    assert (stalled["stalled_refused"] == 0) == (waited == 6)
    rows = figures["ledger_rows"]
    assert rows["postgres-beside"]["stored"] == rows["postgres-beside"]["acknowledged"] > 0


def _the_hub_goes_on_with_old_rows_and_open_sessions(found: dict[str, Any]) -> None:
    figures = found["figures"]
    assert figures["filled"]["postgres-200"]["bets"] == 200
    assert figures["filled"]["sqlite-50"]["bytes_per_bet"] > 100
    for engine in ("sqlite", "postgres"):
        prefix = "" if engine == "postgres" else "sqlite_"
        assert found["ratios"][f"{prefix}rows_200_vs_50"] > 0
        assert found["ratios"][f"{prefix}rows_1e7_vs_1e4"] is None
        assert f"{prefix}rows_1e7_vs_1e4" in found["not_measured"]
        assert figures["open_sessions"][engine]["sessions"] == 100
        assert figures["ledger_rows"][f"{engine}-sessions"]["stored"] >= 200 + 100
        assert figures["disk_bytes_per_bet"][engine]["stored"] > 100


def _a_profile_tells_the_hubs_own_work_apart(found: dict[str, Any], text: str) -> None:
    for engine in ("sqlite", "postgres"):
        groups = found["figures"]["profile_us_per_bet"][engine]
        assert set(groups) == {"cryptography", "ledger", "log and metrics", "sockets and loop", "own work"}
        assert 0 < found["figures"]["own_work_us_per_bet"][engine] == groups["own work"] < sum(groups.values())
        assert f"the hub on {engine}" in text
    assert "gateway.py" in text
