"""The one way to the server: whatever waits goes out together, over one connection, and never for long.

Requests do not talk to the server themselves. They put a command into a line; one worker sends all that waits as one
batch and hands the answers out. If a batch fails or takes too long, everything that waits gets `None`, the connection
is thrown away, and until a probe in the background has found the server again every command gets `None` at once: a
server that stands still costs the few requests of one moment one time-out, and all others nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from enum import Enum, unique
from typing import Any, Final, Protocol

from attrs import define, field

Command = tuple[str | bytes | int, ...]
"""A command and its arguments, as the server takes them."""

LONGEST_LINE: Final = 10_000
"""So many commands wait at most; what comes beyond that gets `None`."""

_LARGEST_BATCH: Final = 200
_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 5.0
_TURNS: Final = 5
"""So often the event loop looks for an answer that is late."""

_IDLE_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 1.0
"""How long a probe may take: nobody waits for it."""


@unique
class State(Enum):
    """Whether the server can be asked."""

    UP = "up"
    """It answers."""
    AWAY = "away"
    """It did not answer, or not in time, or has not been reached yet."""


def end_if_cancelled() -> None:
    """End the task that was cancelled and does not know: the library may take its cancellation for an end of waiting.

    Raises:
        CancelledError: It was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _forget(task: asyncio.Task[Any]) -> None:
    """Nobody asks any more what became of it."""
    if not task.cancelled():
        task.exception()


class Server(Protocol):
    """What is behind a connection; `croupier.accelerator.opening` makes them."""

    async def send(self, commands: Sequence[Command]) -> Sequence[Any]:
        """Send commands together; one answer each, in order. A command's own error is its answer.

        Raises:
            Exception: The connection failed.
        """

    def hear(self, channel: str) -> AsyncIterator[bytes]:
        """What is told in a channel; nothing first, once it listens.

        Raises:
            Exception: The connection failed.
        """

    async def close(self) -> None:
        """Close the connection."""


class Log(Protocol):
    """Where it is told that the server went away or is back."""

    def info(self, event: str, **fields: Any) -> Any:
        """It is back."""

    def warning(self, event: str, **fields: Any) -> Any:
        """It went away."""


@define
class Counts:
    """What was asked of the server.

    Attributes:
        answered: Commands that were answered.
        refused: Commands that the server answered with an error.
        failed: Commands that got no answer: they failed, were late, or came while the server was away.
        lost: How often the server went away.
    """

    answered: int = 0
    refused: int = 0
    failed: int = 0
    lost: int = 0


@define(eq=False)
class _Waiting:
    command: Command
    answer: asyncio.Future[Any] | None


@define(eq=False)
class Accelerator:
    """The server, as the rest of a process sees it. Nothing here raises because of the server.

    Attributes:
        connect: Makes a connection; connects with its first command.
        timeout_seconds: How long a batch may take.
        log: Told when the state changes.
        state: Whether the server can be asked.
        counts: What was asked.
    """

    connect: Callable[[], Server]
    timeout_seconds: float
    log: Log
    state: State = State.AWAY
    counts: Counts = field(factory=Counts)
    _line: list[_Waiting] = field(factory=list)
    _work: asyncio.Event = field(factory=asyncio.Event)
    _server: Server | None = None

    async def ask(self, *command: str | bytes | int) -> Any:
        """The answer to one command, or `None` if there is none in time; an error of the server is `None`, too."""
        if self.state is State.AWAY or len(self._line) >= LONGEST_LINE:
            self.counts.failed += 1
            return None
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._line.append(_Waiting(command, answer))
        self._work.set()
        return await answer

    def tell(self, *command: str | bytes | int) -> None:
        """Send one command and wait for nothing. It goes out after what was asked and told before."""
        if self.state is State.AWAY or len(self._line) >= LONGEST_LINE:
            self.counts.failed += 1
            return
        self._line.append(_Waiting(command, None))
        self._work.set()

    async def run(self) -> None:
        """Serve what waits, until cancelled."""
        try:
            while True:
                await self._find()
                await self._serve()
        finally:
            self.state = State.AWAY
            self._give_up(self._take_all())
            await self._drop()

    async def _find(self) -> None:
        """Probe until the server answers."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            end_if_cancelled()
            self._server = self.connect()
            with suppress(Exception):  # whatever a probe fails with, the server is not there
                async with asyncio.timeout(_CONNECT_SECONDS):
                    (pong,) = await self._server.send([("PING",)])
                    if not isinstance(pong, Exception):
                        break
            await self._drop()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        self.state = State.UP
        self.log.info("accelerator_up")

    async def _serve(self) -> None:
        """Send batches until one fails."""
        server = self._server
        assert server is not None  # noqa: S101 # it was found
        while True:
            end_if_cancelled()
            if not self._line:
                await self._idle()
            batch, self._line = self._line[:_LARGEST_BATCH], self._line[_LARGEST_BATCH:]
            try:
                answers = await self._in_time(server.send([waiting.command for waiting in batch]))
            except Exception as error:  # noqa: BLE001 - whatever it was, the money path must not hear of it
                self._lose(batch, error)
                await self._drop()
                return
            except BaseException:
                self._give_up(batch)
                raise
            for waiting, answer in zip(batch, answers, strict=True):
                if isinstance(answer, Exception):
                    self.counts.refused += 1
                else:
                    self.counts.answered += 1
                if waiting.answer is not None and not waiting.answer.done():
                    waiting.answer.set_result(None if isinstance(answer, Exception) else answer)

    async def _in_time(self, sending: Coroutine[Any, Any, Sequence[Any]]) -> Sequence[Any]:
        """What comes in time. If it was this process that stood still, what has arrived meanwhile counts.

        Raises:
            TimeoutError: Nothing came.
            Exception: The connection failed.
        """
        task = asyncio.ensure_future(sending)
        try:
            done, _ = await asyncio.wait({task}, timeout=self.timeout_seconds)
            for _turn in range(_TURNS):
                if done or task.done():
                    break
                await asyncio.sleep(0)
            if task.done():
                return task.result()
            raise TimeoutError
        finally:
            if not task.done():
                task.add_done_callback(_forget)
                task.cancel()

    async def _idle(self) -> None:
        """Wait for something to send; after a while without, ask for a sign of life before a request has to."""
        self._work.clear()
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._work.wait()
        except TimeoutError:
            self._line.append(_Waiting(("PING",), None))

    def _lose(self, batch: Sequence[_Waiting], error: Exception) -> None:
        self.state = State.AWAY
        self.counts.lost += 1
        self._give_up([*batch, *self._take_all()])
        self.log.warning("accelerator_away", fault=type(error).__name__)

    def _take_all(self) -> list[_Waiting]:
        line, self._line = self._line, []
        return line

    def _give_up(self, line: Sequence[_Waiting]) -> None:
        for waiting in line:
            self.counts.failed += 1
            if waiting.answer is not None and not waiting.answer.done():
                waiting.answer.set_result(None)

    async def _drop(self) -> None:
        """Throw the connection away: an answer that is still on its way must not be taken for that to the next."""
        server, self._server = self._server, None
        if server is not None:
            with suppress(Exception):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await server.close()
