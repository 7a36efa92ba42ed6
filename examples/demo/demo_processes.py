"""The processes of the demonstration: started, watched, killed, started again, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from demo_plan import HOST, ROOT

READY_SECONDS: Final = 30
TAIL: Final = 25


class DiedError(Exception):
    """A process ended that should run; the text has the last lines of its log."""


class Processes:
    """Children by name, each with its log in the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands: dict[str, tuple[Sequence[str], Sequence[int]]] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        paths = [str(ROOT / "examples/operator"), os.environ.get("PYTHONPATH", "")]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}

    async def start(self, name: str, command: Sequence[str], ports: Sequence[int]) -> None:
        """Start a Python program and wait until it listens on its ports."""
        self._commands[name] = (command, ports)
        with self._log(name).open("ab") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
                env=self._environment, cwd=self._folder,
            )  # fmt: skip
        for port in ports:
            await self._listens(name, port)

    async def run(self, name: str, command: Sequence[str]) -> str:
        """Run a Python program to its end; what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=self._environment, cwd=self._folder,
        )  # fmt: skip
        out, err = await process.communicate()
        if process.returncode:
            raise DiedError(f"{name} ended with {process.returncode}:\n{err.decode(errors='replace')}")
        return out.decode()

    async def kill(self, name: str) -> None:
        """`kill -9`, and wait until it is gone."""
        process = self._running.pop(name)
        process.kill()
        await process.wait()

    async def start_again(self, name: str) -> None:
        await self.start(name, *self._commands[name])

    async def watch(self) -> None:
        """Returns never; raises when a process ends by itself."""
        while True:
            for name, process in list(self._running.items()):
                if process.returncode is not None and self._running.get(name) is process:
                    raise DiedError(self.obituary(name, process.returncode))
            await asyncio.sleep(0.2)

    async def guard(self, work: Awaitable[object]) -> None:
        """Do something as long as every process lives."""
        tasks = {asyncio.ensure_future(work), asyncio.ensure_future(self.watch())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def obituary(self, name: str, status: int) -> str:
        lines = self._log(name).read_text("utf-8", "replace").splitlines()[-TAIL:]
        return "\n".join([f"{name} ended by itself with status {status}; its last lines:", *lines])

    def logs(self) -> dict[str, str]:
        """What each process has written."""
        return {file.stem: file.read_text("utf-8", "replace") for file in sorted(self._folder.glob("*.log"))}

    async def stop(self) -> None:
        """End every process: politely, then not."""
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._running.clear()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    async def _listens(self, name: str, port: int) -> None:
        async def connects() -> bool:
            try:
                _reader, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                return False
            writer.close()
            return True

        process = self._running[name]
        if not await until(connects, seconds=READY_SECONDS, stop=lambda: process.returncode is not None):
            raise DiedError(self.obituary(name, process.returncode or 0))


async def until(
    true: Callable[[], Awaitable[bool]],
    *,
    seconds: float,
    pause: float = 0.05,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Ask again and again; whether it came true in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not await true():
        if loop.time() > end or stop():
            return False
        await asyncio.sleep(pause)
    return True
