"""Waiting: locks by name inside one process, and a bell for movements that change, here or in another process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from croupier.wallet.ports import Clock

POLL_SECONDS: Final = 0.05
"""How often a waiter looks by itself: another process may have made the change."""


_ASKED_KEPT: Final = 10_000
"""Of so many movements it is remembered that another process waits for them."""


class KeyedLocks:
    """A lock for each name, kept only while somebody holds or wants it.

    They spare writers of one round from refusing each other; correctness never rests on them.
    """

    def __init__(self) -> None:
        self._locks: dict[str, list[asyncio.Future[None]]] = {}

    def hold(self, name: str) -> _NamedLock:
        """The lock of a name, to be held by `async with`, at once."""
        return _NamedLock(name, self._locks)


class _NamedLock:
    """One lock, while somebody holds or wants it; whoever leaves hands it to the first in line."""

    __slots__ = ("_lines", "_name")

    def __init__(self, name: str, lines: dict[str, list[asyncio.Future[None]]]) -> None:
        self._name = name
        self._lines = lines

    async def __aenter__(self) -> None:
        line = self._lines.get(self._name)
        if line is None:
            self._lines[self._name] = []
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except BaseException:
            if not turn.cancelled():
                self._leave()  # the turn came in the same moment
            raise

    async def __aexit__(self, *_error: object) -> None:
        self._leave()

    def _leave(self) -> None:
        line = self._lines[self._name]
        while line:
            turn = line.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        del self._lines[self._name]


class Elsewhere(Protocol):
    """The bells of other processes. What is told them may be lost: every waiter also looks by itself."""

    def ask(self, movement: str) -> None:
        """Ask the others to ring when a movement changes."""

    def ring(self, movement: str) -> None:
        """Tell the others that a movement changed that one of them asked about."""

    def owed(self) -> None:
        """Tell the others that there is more work than before."""


class Bell:
    """Wakes those who wait for a movement to change, or for work that is owed.

    Attributes:
        wake: Wakes this process's worker for owed work, once there is one.
    """

    def __init__(self, clock: Clock, elsewhere: Elsewhere | None = None) -> None:
        """`clock` measures deadlines; `elsewhere` are the other processes, where there is a quick way to them."""
        self.wake: Callable[[], None] | None = None
        self._clock = clock
        self._elsewhere = elsewhere
        self._asked: dict[str, None] = {}
        self._waiting: dict[str, dict[asyncio.Event, None]] = {}  # in order: a set would wake by memory address

    def ring(self, movement: str) -> None:
        """Say that a movement changed."""
        self.heard(movement)
        if self._asked and self._elsewhere is not None and movement in self._asked:
            del self._asked[movement]
            self._elsewhere.ring(movement)

    def heard(self, movement: str) -> None:
        """Another process says that a movement changed."""
        for event in self._waiting.pop(movement, ()):
            event.set()

    def asked(self, movement: str) -> None:
        """Another process waits for a movement: it is told when that changes here."""
        if len(self._asked) >= _ASKED_KEPT:
            del self._asked[next(iter(self._asked))]
        self._asked[movement] = None

    def owed(self) -> None:
        """Say that there is more work that is owed."""
        if self.wake is not None:
            self.wake()
        if self._elsewhere is not None:
            self._elsewhere.owed()

    async def wait(self, movement: str, deadline: float) -> bool:
        """Wait until a movement probably changed; `False` once the deadline has passed."""
        left = deadline - self._clock.monotonic()
        if left <= 0:
            return False
        event = asyncio.Event()
        waiting = self._waiting.setdefault(movement, {})
        waiting[event] = None
        if self._elsewhere is not None and len(waiting) == 1:
            self._elsewhere.ask(movement)
        try:
            async with asyncio.timeout(min(left, POLL_SECONDS)):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._forget(movement, event)
        return self._clock.monotonic() < deadline

    def _forget(self, movement: str, event: asyncio.Event) -> None:
        """Most movements that are waited for here change in another process: their bell never rings."""
        waiting = self._waiting.get(movement)
        if waiting is not None:
            waiting.pop(event, None)
            if not waiting:
                del self._waiting[movement]


class Places:
    """So many may work at once; the others wait in line, first come, first served.

    Attributes:
        limit: How many; it may change at any time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._line: deque[asyncio.Future[None]] = deque()

    def take_at_once(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self._taken < self.limit and not self._line:
            self._taken += 1
            return True
        return False

    async def take(self, seconds: float) -> bool:
        """Take a place, waiting at most so long; `False` if there was none."""
        if self.take_at_once():
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave()  # the turn came in the same moment: it goes to the next in line
            elif turn in self._line:
                self._line.remove(turn)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def leave(self) -> None:
        """Give the place back."""
        self._taken -= 1
        while self._line and self._taken < self.limit:
            turn = self._line.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
