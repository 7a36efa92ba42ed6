"""Attempts to deliver that are under way, each in a task of its own, so that none waits for another operator's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from croupier.contract import RetryLaterError


class UnderWay:
    """The attempts of one worker.

    Attributes:
        fault: What the first attempt ended with that failed, but for what is to be tried later.
    """

    def __init__(self, at_once: int, ended: Callable[[], None]) -> None:
        """Nothing is under way yet.

        Args:
            at_once: How many attempts of one operator may be under way together.
            ended: Told when one has ended.
        """
        self.fault: BaseException | None = None
        self.share = max(at_once // 2, 1)
        self._most = at_once - self.share
        self._ended = ended
        self._tasks: dict[asyncio.Task[None], None] = {}  # in order, so that the same run is the same
        self._operators: Counter[str] = Counter()

    def full(self) -> Sequence[str]:
        """The operators that have so many under way that another `share` would be too many."""
        return [operator for operator, count in self._operators.items() if count > self._most]

    def begin(self, operator: str, attempt: Coroutine[Any, Any, None]) -> None:
        """Begin an attempt."""
        task = asyncio.get_running_loop().create_task(attempt)
        self._tasks[task] = None
        self._operators[operator] += 1
        task.add_done_callback(partial(self._over, operator))

    async def finish(self) -> None:
        """Wait until everything that was begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def give_up(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks:
            task.cancel()
        await self.finish()

    def _over(self, operator: str, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._operators[operator] -= 1
        if not self._operators[operator]:
            del self._operators[operator]
        if not task.cancelled() and not isinstance(task.exception(), RetryLaterError):
            self.fault = self.fault or task.exception()
        self._ended()
