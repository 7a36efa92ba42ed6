"""What the meters of the benchmark tell of processes that come and go."""

from __future__ import annotations

import os
import subprocess

import pytest
from tests.benchmarks import meters


def test_a_child_that_ends_while_memory_is_counted_takes_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    monkeypatch.setattr(meters, "children", lambda _pid: [ended.pid])
    assert meters.memory_mib(os.getpid()) > 1


def test_memory_of_a_process_that_has_ended_is_an_error_and_not_nothing() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    with pytest.raises(OSError, match=str(ended.pid)):
        meters.memory_mib(ended.pid)
