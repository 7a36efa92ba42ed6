"""What a process costs, as the kernel tells it."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and of the children that it has or had.

    To the nanosecond, but for children that have ended: of those the kernel tells hundredths of a second.
    """
    try:
        own = time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3), which Python lacks: all threads' CPU time
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return own + sum(map(int, fields[13:15])) / TICKS + sum(cpu_seconds(child) for child in children(pid))


def main_thread_seconds(pid: int) -> float:
    """The CPU time of a process's first thread, which is that of its event loop."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


def memory_mib(pid: int) -> float:
    """The resident memory of a process and its children; a page that several share is counted once in all.

    A child that ends meanwhile (PostgreSQL's do, by themselves) has none.

    Raises:
        OSError: The process itself has ended.
    """
    below = children(pid)
    return _kib(pid, "Pss:" if below else "Rss:") / 1024 + sum(map(_child_mib, below))


def peak_mib(pid: int) -> float:
    """The most resident memory that the process itself has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def written_bytes(pid: int) -> int:
    """What the process itself has given the kernel to write to disks."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes:")).split()[1])


def sync_ms(folder: Path) -> float:
    """The median of what the disk under a folder takes to keep 8 KiB that a file already has room for."""
    waits: list[float] = []
    with NamedTemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(100):
            file.seek(0)
            file.write(os.urandom(8192))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            waits.append(time.perf_counter() - began)
    return statistics.median(waits) * 1000


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still are."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _child_mib(pid: int) -> float:
    try:
        return _kib(pid, "Pss:") / 1024
    except OSError:
        return 0.0


def _kib(pid: int, kind: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind))
