"""The programs that measure one thing each still run: nobody else would notice that one does not."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.benchmarks.ledger_commit import measure

from croupier.ledger.port import BatchEnd
from croupier.ledger.sqlite import SqliteLedger

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("own_work --bets 5", r"^\d+\.\d us of CPU a bet"),
        ("adapter_cost --rounds 1 --calls 2", r"softswiss.*\d"),
        ("wallet_client wallet_client --seconds 0.05", r"^wallet_client +\d+ calls/s"),
    ],
    ids=lambda words: words.split()[0],
)
def test_a_small_program_tells_what_it_measures(words: str, told: str) -> None:
    program, *rest = words.split()
    command = [sys.executable, "-m", f"tests.benchmarks.{program}", *rest]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    assert re.search(told, found.stdout, re.MULTILINE), found.stdout


def test_the_group_commit_is_measured(tmp_path: Path) -> None:
    ends: list[BatchEnd] = []
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", on_batch=ends.append)
    line = asyncio.run(measure("sqlite", ledger, ends, range(2), 3))
    assert re.match(r"sqlite +2 callers +\d+ commits/s +\d\.\d per batch", line), line
    assert sum(end.changes for end in ends) == 2 * 2 * 3
