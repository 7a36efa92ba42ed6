"""Waiting inside one process: locks by name, and a bell for movements that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from croupier.wallet.ports import Clock

POLL_SECONDS: Final = 0.05
"""How often a waiter looks by itself: another process may have made the change."""


class KeyedLocks:
    """A lock for each name, kept only while somebody holds or wants it.

    They spare writers of one round from refusing each other; correctness never rests on them.
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a name."""
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, users - 1)


class Bell:
    """Wakes those who wait for a movement to change."""

    def __init__(self, clock: Clock) -> None:
        """`clock` measures deadlines."""
        self._clock = clock
        self._waiting: dict[str, asyncio.Event] = {}

    def ring(self, movement: str) -> None:
        """Say that a movement changed."""
        event = self._waiting.pop(movement, None)
        if event is not None:
            event.set()

    async def wait(self, movement: str, deadline: float) -> bool:
        """Wait until a movement probably changed; `False` once the deadline has passed."""
        left = deadline - self._clock.monotonic()
        if left <= 0:
            return False
        event = self._waiting.setdefault(movement, asyncio.Event())
        try:
            async with asyncio.timeout(min(left, POLL_SECONDS)):
                await event.wait()
        except TimeoutError:
            pass
        return self._clock.monotonic() < deadline
