"""The benchmark as a user runs it, much smaller: it ends, and its files say what they must. No time is judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 150
"""Far more than a run takes; a machine may be busy."""


def run(out: Path, *options: str) -> str:
    """Run it to its end; what it printed."""
    command = [sys.executable, "-m", "tests.benchmarks.bench", "--out", str(out), *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, printed
    return printed


def test_the_benchmark_tells_ratios_of_pairs_and_finds_every_acknowledged_bet_in_the_ledger(tmp_path: Path) -> None:
    printed = run(tmp_path, "--pairs", "2", "--seconds", "0.25", "--cases", "bet", "--parts")
    found = json.loads((tmp_path / "results.json").read_text())
    assert set(found) == {"ratios", "intervals", "figures"}
    expected = ["postgres_vs_proxy", "sqlite_vs_proxy", "postgres_vs_naive", "sqlite_vs_naive", "postgres_vs_sqlite"]
    assert list(found["ratios"]) == expected
    for name, ratio in found["ratios"].items():
        interval = found["intervals"][name]
        assert interval["pairs"] == 2
        assert 0 < interval["low"] <= ratio <= interval["high"], name
        assert name in printed
    figures = found["figures"]
    targets = figures["cases"]["bet"]
    assert list(targets) == ["proxy", "naive", "sqlite", "postgres"]
    for target in targets.values():
        assert target["slices"] == 2
        assert min(target["requests_per_second"], target["p50_ms"]) > 0
        assert target["p99_ms"] >= target["p50_ms"]
        assert set(target["cpu_us"]) == {"server", "database", "wallet", "load"}
    rows = figures["ledger_rows"]
    assert set(rows) == {"naive", "sqlite", "postgres"}
    for name, row in rows.items():
        assert row["stored"] == row["acknowledged"] >= targets[name]["requests"]
    assert min(figures["memory_mib"].values()) > 0
    assert ET.fromstring((tmp_path / "plot.svg").read_text()).tag.endswith("svg")  # noqa: S314 # our own file
    assert (tmp_path / "table.txt").read_text() in printed
