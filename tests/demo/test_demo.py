"""The demonstration as a user runs it, smaller: three books agree under faults and kills, and notice every defect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from croupier_conformance.chaos import Fault

ROOT = Path(__file__).resolve().parents[2]
PROVIDERS = sorted(folder.parent.name for folder in (ROOT / "adapters").glob("*/pyproject.toml"))
SECONDS = 150
"""Far more than a run takes; a machine may be busy."""


FEW = ("--providers", "softswiss", "pragmatic", "--players", "12")


def command(*options: str) -> list[str]:
    return [sys.executable, str(ROOT / "examples/demo"), "--rounds", "240", "--seed", "11", *options]


def run(*options: str) -> tuple[int, list[str]]:
    """Run it to its end: its exit status and what it printed."""
    with subprocess.Popen(
        command(*options), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    lines = printed.rstrip().splitlines()
    assert not [line for line in lines if "Traceback" in line], printed
    return process.returncode, lines


@pytest.mark.parametrize("dialect", ["native", "softswiss", "hub88"])
def test_three_books_of_every_provider_agree_though_messages_are_lost_repeated_and_late(dialect: str) -> None:
    status, lines = run("--players", "3", "--dialect", dialect)
    printed = "\n".join(lines)
    assert (status, lines[-1]) == (0, "three books: difference 0"), printed
    assert "divided by 100" in printed
    faults = lines[next(place for place, line in enumerate(lines) if line.startswith("Faults that struck")) :]
    for hop in (*PROVIDERS, "to operator"):
        row = next(line.strip() for line in faults if line.strip().startswith(hop))
        counts = [int(cell.replace(",", "")) for cell in row.removeprefix(hop).split()]
        assert len(counts) == len(Fault), row
        assert min(counts) > 0, row


@pytest.mark.parametrize("defect", ["no-dedupe", "no-tombstone", "lost-win", "double-rollback-id"])
def test_a_planted_defect_ends_in_a_difference(defect: str) -> None:
    status, lines = run(*FEW, "--sabotage", defect)
    words, _, difference = lines[-1].rpartition(" ")
    assert (status, words) == (1, "three books: difference"), "\n".join(lines)
    assert int(difference) > 0
    assert [line for line in lines if line.startswith("difference: ")]


def test_three_books_agree_though_the_hub_is_killed() -> None:
    status, lines = run(*FEW, "--crash")
    printed = "\n".join(lines)
    assert (status, lines[-1]) == (0, "three books: difference 0"), printed
    assert len([line for line in lines if line.startswith("kill -9 of the hub")]) == 4, printed


def test_what_is_left_running_can_be_reached_and_ends_with_a_signal(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    options = command(*FEW, "--rounds", "20", "--keep", "--folder", str(folder))
    with (tmp_path / "printed").open("w+") as printed:
        process = subprocess.Popen(options, stdout=printed, stderr=printed, start_new_session=True)
        try:
            lines = _lines_until(Path(printed.name), process, "three books: difference")
            address = next(line.split()[2] for line in lines if line.strip().startswith("operator API"))
            key = next(line.rpartition(" ")[2] for line in lines if line.strip().startswith("operator API"))
            asked = urllib.request.Request(f"{address}/games", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
            with urllib.request.urlopen(asked) as answer:  # noqa: S310 # an address that was just printed
                assert answer.status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 130
            with pytest.raises(urllib.error.URLError, match="refused"):
                urllib.request.urlopen(asked)  # noqa: S310 # same
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _lines_until(file: Path, process: subprocess.Popen[bytes], beginning: str) -> list[str]:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        lines = file.read_text("utf-8").splitlines()
        if lines and lines[-1].startswith(beginning):
            return lines
        time.sleep(0.1)
    raise AssertionError(file.read_text("utf-8"))
