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


def test_work_that_is_shorter_than_a_tick_of_the_kernel_is_measured_and_that_of_other_processes_too() -> None:
    with subprocess.Popen(["sh", "-c", "i=0; while [ $i -lt 200 ]; do i=$((i+1)); done; read x"], stdin=-1) as other:
        while not (used := meters.cpu_seconds(other.pid)):
            pass
        assert 0 < used < meters.cpu_seconds(os.getpid())
        other.communicate(b"end")
    before = meters.cpu_seconds(os.getpid())
    assert meters.cpu_seconds(os.getpid()) > before


def test_a_child_that_has_ended_still_counts() -> None:
    before = meters.cpu_seconds(os.getpid())
    subprocess.run(["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"], check=True)
    children = os.times()
    assert meters.cpu_seconds(os.getpid()) - before > 1 / meters.TICKS
    assert meters.cpu_seconds(os.getpid()) >= children.children_user + children.children_system


def test_a_process_that_is_not_there_costs_nothing() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    assert meters.cpu_seconds(ended.pid) == 0
