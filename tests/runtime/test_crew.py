"""The parent of several workers, with workers that are none."""

from __future__ import annotations

import asyncio
import errno
import socket
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from croupier.contract import RetryLaterError
from croupier.runtime import crew as crew_module
from croupier.runtime.link import Link
from croupier.runtime.logs import make_log
from croupier.runtime.settings import load_settings

SETTINGS = """\
owner = "test"
secrets = { current = "test", keys.test = { env = "TEST_HUB_KEY" } }
database.url = "sqlite:///hub.sqlite"
"""


@define(eq=False)
class Process:
    """A process that listens at once and lives until it is ended."""

    pid: int = 1
    exitcode: int = -9
    _life: tuple[socket.socket, socket.socket] = field(factory=socket.socketpair)
    _link: tuple[socket.socket, socket.socket] = field(factory=socket.socketpair)

    @property
    def sentinel(self) -> int:
        return self._life[0].fileno()

    def worker(self, *, listens: bool = True) -> Any:
        if listens:
            Link(self._link[1]).tell("listening", "admin", "127.0.0.1", 1)
        return crew_module._Worker(self, Link(self._link[0]), asyncio.get_running_loop().time())  # type: ignore[arg-type] # as far as the parent needs one

    def kill(self) -> None:
        self._life[1].close()

    terminate = kill

    def join(self) -> None:
        self._life[0].close()
        self._link[1].close()


@define(eq=False)
class Machine:
    """Where workers are started, as long as there is room for them."""

    full: bool = False
    too_small: bool = False
    attempts: int = 0
    started: list[Process] = field(factory=list)
    news: asyncio.Event = field(factory=asyncio.Event)

    def start(self, _number: int) -> Any:
        self.attempts += 1
        self.news.set()
        if self.full:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        self.started.append(Process())
        worker = self.started[-1].worker(listens=not self.too_small)
        if self.too_small:
            self.started[-1].kill()
        return worker

    async def tries(self, attempts: int) -> None:
        async with asyncio.timeout(10):
            while self.attempts < attempts:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(crew_module._Crew, "_start", lambda _crew, number: machine.start(number))
    monkeypatch.setattr(crew_module, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(crew_module, "LONGEST_PAUSE_SECONDS", 0.02)
    return machine


@pytest.fixture
def crew(tmp_path: Path) -> Any:
    (tmp_path / "croupier.toml").write_text(SETTINGS)
    return crew_module._Crew(load_settings(tmp_path / "croupier.toml"), make_log("error", "json"))


async def test_a_worker_for_which_the_machine_has_no_room_now_is_started_once_it_has(
    machine: Machine, crew: Any
) -> None:
    places: list[tuple[str, str, int]] = []
    running = asyncio.create_task(crew.run(1, lambda *place: places.append(place), None))
    await machine.tries(1)
    await asyncio.sleep(0.05)
    assert places == [("admin", "127.0.0.1", 1)]
    machine.full = True
    machine.started[0].kill()
    await machine.tries(3)
    machine.full = False
    await machine.tries(4)
    assert len(machine.started) == 2
    crew.stop.set()
    async with asyncio.timeout(10):
        await running


async def test_a_crew_for_which_there_is_no_room_at_the_start_says_so(machine: Machine, crew: Any) -> None:
    machine.full = True
    with pytest.raises(RetryLaterError, match="a worker cannot be started now: Resource temporarily unavailable"):
        async with asyncio.timeout(10):
            await crew.run(2, lambda *_place: None, None)


async def test_a_crew_whose_workers_are_ended_again_and_again_before_they_listen_says_so(
    machine: Machine, crew: Any
) -> None:
    machine.too_small = True
    with pytest.raises(RetryLaterError, match="ended by signal 9 before all listened, 6 times in a row"):
        async with asyncio.timeout(10):
            await crew.run(1, lambda *_place: None, None)
    assert machine.attempts == crew_module.FIRST_TRIES


async def test_a_worker_that_was_ended_a_few_times_before_it_listened_is_started_all_the_same(
    machine: Machine, crew: Any
) -> None:
    machine.too_small = True
    running = asyncio.create_task(crew.run(1, lambda *_place: None, None))
    await machine.tries(3)
    machine.too_small = False
    await machine.tries(4)
    await asyncio.sleep(0.05)
    for attempt in range(5, 13):
        machine.started[-1].kill()
        await machine.tries(attempt)
    assert not running.done()
    crew.stop.set()
    async with asyncio.timeout(10):
        await running
