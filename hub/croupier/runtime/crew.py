"""Several hubs of one machine that share their ports and their database: a parent that keeps its workers running.

The parent serves nothing. Each worker is a whole hub in a process of its own, with a name and an epoch of its own in
the ledger; the kernel spreads connections over those that listen (SO_REUSEPORT). What workers tell each other goes
through the database; the link to the parent only says that there is something to read.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

from attrs import define, evolve, field, frozen

from croupier.contract import CroupierError, FixConfigurationError, RetryLaterError, SettingsError
from croupier.contract.errors import StoreUnavailableError
from croupier.runtime.link import Link
from croupier.runtime.logs import Log, make_log
from croupier.runtime.loops import run
from croupier.runtime.serving import Tell, serve
from croupier.runtime.settings import Listener, Listeners, Settings

FIRST_PAUSE_SECONDS: Final = 1.0
"""How long the parent waits before it starts a worker anew; twice as long each time, up to `LONGEST_PAUSE_SECONDS`."""

LONGEST_PAUSE_SECONDS: Final = 30.0
FIRST_TRIES: Final = 6
"""How often a worker is started that always is ended before it listens, half a minute in all: no memory is left for it,
say."""

_HEALTHY_SECONDS: Final = 60.0
"""A worker that lived for so long is started anew after the first pause."""

_CLOSING_SECONDS: Final = 60.0
"""How long workers may take, beyond their drain, to record what they began. Longer than any call to a wallet."""


def check_workers(settings: Settings, workers: int) -> None:
    """Refuse several processes over a database that serves one.

    Raises:
        SettingsError: The database is SQLite, and more than one worker is asked for.
    """
    if workers > 1 and settings.database.sqlite_path is not None:
        raise SettingsError(
            f"SQLite serves one process, not {workers} workers: exactly one may write its file",
            where="database.url",
            hint="name a PostgreSQL database (postgresql://HOST/NAME), or leave --workers out",
        )


async def serve_many(settings: Settings, workers: int, tell: Tell, ports_file: Path | None = None) -> None:
    """Keep so many workers running until SIGTERM or SIGINT, then let them finish what they began.

    Args:
        settings: What every worker is started with. Port 0 is resolved here, once for all.
        workers: How many.
        tell: Told of every listener, once every worker listens.
        ports_file: Where to write `name host port` lines then.

    Raises:
        FixConfigurationError: It cannot be started like this.
        RetryLaterError: A worker could not begin now, before all had listened for the first time.
    """
    check_workers(settings, workers)
    log = make_log(settings.telemetry.level, settings.telemetry.format)
    with reserved(settings.listeners) as listeners:
        crew = _Crew(evolve(settings, listeners=listeners), log)
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, crew.stop.set)
        await crew.run(workers, tell, ports_file)


@contextmanager
def reserved(listeners: Listeners) -> Iterator[Listeners]:
    """Hold the ports for the workers, and fill in those that are 0.

    The sockets are bound and do not listen, so that no connection comes to them.

    Raises:
        SettingsError: An address cannot be bound, or another program listens there.
    """
    with ExitStack() as held:
        taken: dict[tuple[str, int], Listener] = {}

        def take(name: str, listener: Listener) -> Listener:
            place = (listener.host, listener.port)
            if listener.port and place in taken:
                return listener
            try:
                port = held.enter_context(_bound(listener.host, listener.port)).getsockname()[1]
            except OSError as error:
                message = f"the address cannot be bound: {error.strerror}"
                raise SettingsError(message, where=f"listeners.{name}") from None
            taken[listener.host, port] = listener
            return evolve(listener, port=port)

        yield evolve(
            listeners,
            providers=take("providers", listeners.providers),
            operators=take("operators", listeners.operators),
            admin=take("admin", listeners.admin),
        )


def _bound(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    if port:
        # Another program of this user that shares its ports, too, would silently get a part of the connections.
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@frozen
class _End:
    """How a worker's life ended."""

    status: int
    seconds: float
    trouble: CroupierError | None


@define(eq=False)
class _Worker:
    """One process, as the parent sees it."""

    process: SpawnProcess
    link: Link
    began: float
    places: Sequence[tuple[str, str, int]] = ()
    trouble: CroupierError | None = None


@define(eq=False)
class _Crew:
    """The workers, by their numbers."""

    settings: Settings
    log: Log
    stop: asyncio.Event = field(factory=asyncio.Event)
    _workers: dict[int, _Worker] = field(factory=dict)
    _complete: bool = False

    async def run(self, count: int, tell: Tell, ports_file: Path | None) -> None:
        """Until `stop` is set.

        Raises:
            CroupierError: A worker failed before all had listened for the first time.
        """
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        keepers = [asyncio.create_task(self._keep(number, count, first)) for number in range(1, count + 1)]
        stopped = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait((first, stopped), return_when=asyncio.FIRST_COMPLETED)
            if first.done():
                first.result()
                self._announce(tell, ports_file)
                await stopped
        finally:
            first.cancel()
            stopped.cancel()
            await self._end(keepers)

    def _announce(self, tell: Tell, ports_file: Path | None) -> None:
        told = [place for number in sorted(self._workers) for place in self._workers[number].places]
        places = tuple(dict.fromkeys(told))
        for place in places:
            tell(*place)
        if ports_file is not None:
            ports_file.write_text("".join(f"{name} {host} {port}\n" for name, host, port in places))

    async def _end(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        """Let every worker drain; one that does not end is killed, and others adopt what it leaves."""
        self.stop.set()
        self.log.info("draining", count=len(self._workers))
        for worker in self._workers.values():
            worker.process.terminate()
        seconds = self.settings.limits.drain_seconds + _CLOSING_SECONDS
        _done, left = await asyncio.wait(keepers, timeout=seconds)
        for worker in self._workers.values():
            worker.process.kill()
        if left:
            self.log.error("workers_killed", left=len(left))
            await asyncio.wait(left)
        for keeper in keepers:
            keeper.result()

    async def _keep(self, number: int, count: int, first: asyncio.Future[None]) -> None:
        """Start a worker, and start it anew when it dies.

        One that fails by itself before all have listened ends the crew: it would fail again. One that somebody else
        has ended, by a signal, says nothing about the next, until that happens again and again.
        """
        pause, tries = FIRST_PAUSE_SECONDS, 0
        while not self.stop.is_set():
            end = await self._begin(number, count, first)
            if self.stop.is_set():
                return
            tries += 1
            trouble = None if self._complete else _hopeless(end, tries)
            if trouble is not None:
                if not first.done():
                    first.set_exception(trouble)
                return
            pause = FIRST_PAUSE_SECONDS if end.seconds >= _HEALTHY_SECONDS else pause
            code = end.trouble.code if end.trouble else None
            self.log.error("worker_died", slot=number, status=end.status, code=code, wait_ms=round(pause * 1000))
            try:
                async with asyncio.timeout(pause):
                    await self.stop.wait()
            except TimeoutError:
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _begin(self, number: int, count: int, first: asyncio.Future[None]) -> _End:
        """Start a worker, if the machine has a process, memory and sockets left for it, and see it to its end."""
        try:
            worker = self._start(number)
        except OSError as error:
            return _End(0, 0.0, RetryLaterError(f"a worker cannot be started now: {error.strerror}"))
        return await self._life(number, worker, count, first)

    def _start(self, number: int) -> _Worker:
        ours, theirs = socket.socketpair()
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self.settings, number, theirs), name=f"croupier-worker-{number}", daemon=True
        )
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return _Worker(process, Link(ours), asyncio.get_running_loop().time())

    async def _life(self, number: int, worker: _Worker, count: int, first: asyncio.Future[None]) -> _End:
        """Listen to a worker until it has ended."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        self._workers[number] = worker
        if self.stop.is_set():
            worker.process.terminate()

        def hear() -> None:
            told = worker.link.read()
            for message in told or ():
                self._hear(number, worker, message)
            if told is None:
                loop.remove_reader(worker.link.fileno())
            if not self._complete and sum(bool(each.places) for each in self._workers.values()) == count:
                self._complete = True
                if not first.done():
                    first.set_result(None)

        loop.add_reader(worker.link.fileno(), hear)
        loop.add_reader(worker.process.sentinel, ended.set)
        try:
            await ended.wait()
            hear()  # what it told last
        finally:
            loop.remove_reader(worker.process.sentinel)
            loop.remove_reader(worker.link.fileno())
            worker.link.close()
            del self._workers[number]
        worker.process.join()
        return _End(worker.process.exitcode or 0, loop.time() - worker.began, worker.trouble)

    def _hear(self, number: int, worker: _Worker, message: Sequence[object]) -> None:
        match message:
            case ["listening", *places]:
                worker.places = [(str(name), str(host), int(str(port))) for name, host, port in _triples(places)]
                self.log.info("worker_listens", slot=number, pid=worker.process.pid)
            case ["changed"]:
                for other, each in self._workers.items():
                    if other != number:
                        each.link.tell("changed")
            case ["failed", kind, text]:
                worker.trouble = _trouble(str(kind), str(text))
            case _:
                self.log.error("worker_unclear", slot=number)


def _hopeless(end: _End, tries: int) -> CroupierError | None:
    """Why no worker is started any more, if all have not listened yet."""
    if end.trouble or end.status > 0:
        return end.trouble or FixConfigurationError(f"a worker ended with {end.status} before it listened")
    if tries < FIRST_TRIES:
        return None
    how = f"signal {-end.status}" if end.status else "an order to stop"
    return RetryLaterError(
        f"a worker was ended by {how} before all listened, {tries} times in a row",
        hint="signal 9 comes when the machine has no memory left for it",
    )


def _triples(flat: Sequence[object]) -> Iterator[tuple[object, object, object]]:
    parts = iter(flat)
    return zip(parts, parts, parts, strict=True)


def _trouble(kind: str, text: str) -> CroupierError:
    """A worker's error, as far as the parent has to tell it apart."""
    match kind:
        case "configuration":
            return FixConfigurationError(text)
        case "later":
            return StoreUnavailableError(text)
        case _:
            return CroupierError(text)


def _kind(error: CroupierError) -> str:
    match error:
        case FixConfigurationError():
            return "configuration"
        case RetryLaterError():
            return "later"
        case _:
            return "other"


def _work(settings: Settings, number: int, channel: socket.socket) -> None:
    """A worker's whole life, in its own process."""
    link = Link(channel)
    try:
        run(serve(settings, os.environ, lambda *_place: None, worker=number, link=link))
    except CroupierError as error:
        link.tell("failed", _kind(error), str(error))
        sys.exit(1)
