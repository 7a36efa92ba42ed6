"""The processes of a crash run: each in a group of its own, killed in any way that is asked for, and never left behind.

A guard in a session of its own knows every group. It ends them when this process is gone, however it went.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from attrs import define
from tests.chaos.plan import HOST, ROOT

READY_SECONDS: Final = 60.0
_GUARD: Final = (
    'groups=""; while read -r word; do case $word in none) groups="";; *) groups="$groups $word";; esac; done;'
    ' for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done; [ -z "$0" ] || rm -rf "$0"'
)


class EndedError(Exception):
    """A process ended that should run, or cannot be started; the text has the end of its log."""


@define(eq=False)
class Child:
    """A program that is started again and again.

    Attributes:
        name: For people, and of its log.
        command: What Python runs.
        ports: Where it listens when it is ready.
        ready: A file that it writes when all of it listens.
        running: Its process, if there is one.
        starts: How often it was started.
    """

    name: str
    command: Sequence[str]
    ports: Sequence[int]
    environ: Mapping[str, str]
    folder: Path
    ready: Path | None = None
    running: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def log(self) -> Path:
        """What it wrote, over all its lives."""
        return self.folder / f"{self.name}.log"

    @property
    def alive(self) -> bool:
        """Whether its first process runs."""
        return self.running is not None and self.running.poll() is None

    def pids(self) -> list[int]:
        """The processes that do its work: its workers if it has some, or itself."""
        if not self.alive or self.running is None:
            return []
        workers = [pid for pid in children(self.running.pid) if b"resource_tracker" not in command_line(pid)]
        return workers or [self.running.pid]

    def spawn(self) -> int:
        """Start it; returns its group."""
        self.starts += 1
        if self.ready is not None:
            self.ready.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environ},
                cwd=ROOT,
                start_new_session=True,
            )
        return self.running.pid

    def signal_group(self, sign: signal.Signals) -> None:
        """A signal to it and to everything that it has started."""
        if self.running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.running.pid, sign)

    async def is_gone(self, seconds: float) -> bool:
        """Wait until nothing of its group is left."""
        end = time.monotonic() + seconds
        while self.running is not None:
            if self.running.poll() is not None and not group_lives(self.running.pid):
                return True
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        return True

    async def listens(self) -> None:
        """Wait until it takes connections.

        Raises:
            EndedError: It ended, or it takes too long.
        """
        end = time.monotonic() + READY_SECONDS
        while not await self._is_ready():
            if not self.alive or time.monotonic() > end:
                raise EndedError(self.obituary())
            await asyncio.sleep(0.03)

    async def _is_ready(self) -> bool:
        if self.ready is not None:
            return self.ready.exists()
        return all([await connects(port) for port in self.ports])

    def obituary(self) -> str:
        """The end of its log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-25:]
        status = self.running.poll() if self.running else None
        return "\n".join([f"{self.name} ended with status {status}; its last lines:", *lines])


class Processes:
    """Every child of a run, and the guard.

    Args:
        folder: Where logs are.
        keep: Whether the folder stays when everything is over.
    """

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self.folder = folder
        self.children: dict[str, Child] = {}
        self._groups: set[int] = set()
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "" if keep else str(folder)], stdin=subprocess.PIPE, start_new_session=True
        )

    def add(
        self,
        name: str,
        command: Sequence[str],
        ports: Sequence[int],
        environ: Mapping[str, str] | None = None,
        ready: Path | None = None,
    ) -> Child:
        """Know a program."""
        self.children[name] = Child(name, command, ports, environ or {}, self.folder, ready)
        return self.children[name]

    async def start(self, child: Child) -> None:
        """Start it and wait until it listens.

        Raises:
            EndedError: It ended, or it takes too long.
        """
        self._groups.add(child.spawn())
        self._tell()
        await child.listens()

    async def run(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> str:
        """Run a program to its end; what it printed.

        Raises:
            EndedError: It failed.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env={**os.environ, **(environ or {})}, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        out, err = await process.communicate()
        if process.returncode:
            raise EndedError(f"{command[-1]} ended with {process.returncode}:\n{err.decode(errors='replace')}")
        return out.decode()

    async def stop(self) -> list[str]:
        """End everything, and say what would not end by itself."""
        stubborn = []
        for child in self.children.values():
            child.signal_group(signal.SIGCONT)
            if child.running is not None and child.alive:
                child.running.terminate()
        for child in self.children.values():
            if not await child.is_gone(20.0):
                stubborn.append(child.name)
                child.signal_group(signal.SIGKILL)
                _gone = await child.is_gone(10.0)
        left = [group for group in self._groups if group_lives(group)]
        stubborn += [f"group {group}" for group in left]
        for group in left:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._groups.clear()
        return stubborn

    def close(self) -> None:
        """Let the guard end what is left, and remove the folder."""
        for child in self.children.values():
            child.signal_group(signal.SIGKILL)
            if child.running is not None:
                child.running.wait()
        self._groups.clear()
        self._tell()
        self._pipe().close()
        self._guard.wait()

    def _tell(self) -> None:
        """Which groups there are now."""
        self._groups = {group for group in self._groups if group_lives(group)}
        pipe = self._pipe()
        pipe.write(b"none\n" + b"".join(b"%d\n" % group for group in sorted(self._groups)))
        pipe.flush()

    def _pipe(self) -> IO[bytes]:
        assert self._guard.stdin is not None
        return self._guard.stdin


# --- what is known of processes ---------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def command_line(pid: int) -> bytes:
    """What a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def memory_mib(pid: int) -> float:
    """The resident memory of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def state_of(pid: int) -> str:
    """The letter of a process's state."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def group_lives(group: int) -> bool:
    """Whether a group has a process that is not only waiting to be reaped."""
    return bool(members(group))


def members(group: int) -> list[int]:
    """The processes of a group that are not only waiting to be reaped."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


def holder_of(port: int, candidates: Sequence[int]) -> int | None:
    """Which of these processes has a TCP connection from a port of this machine."""
    inode = None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port:
            inode = f"socket:[{fields[9]}]"
    for pid in candidates if inode else ():
        with suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if str(link.readlink()) == inode:
                        return pid
    return None


async def connects(port: int) -> bool:
    """Whether somebody takes connections at a port of this machine."""
    try:
        _reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
