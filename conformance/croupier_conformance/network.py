"""A network that loses, doubles, delays and, above all, delivers *after* the caller has given up.

Without late delivery a missing tombstone is never noticed: everything that arrives, arrives in time.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, unique
from random import Random

from attrs import define, field, frozen

from croupier.contract import HttpResponse, TransportError, TransportProblem

Deliver = Callable[[], Awaitable[HttpResponse]]


@unique
class Fault(Enum):
    """What may happen to a message."""

    REFUSED = "refused"
    """The other side is not there: nothing was sent."""
    LOST_REQUEST = "lost_request"
    LOST_REPLY = "lost_reply"
    LATE_REPLY = "late_reply"
    """It takes effect in time, and is answered too late."""
    LATE_DELIVERY = "late_delivery"
    """It arrives after the caller's time-out."""
    DUPLICATE = "duplicate"
    """It arrives twice."""
    REORDER = "reorder"
    """It is held back while others pass."""


@frozen(kw_only=True)
class Faults:
    """How often each fault strikes, as shares of all messages."""

    share: dict[Fault, float] = field(factory=dict)

    @classmethod
    def evenly(cls, total: float) -> Faults:
        """Every kind equally often, `total` in all."""
        return cls(share={fault: total / len(Fault) for fault in Fault})

    @classmethod
    def always(cls, fault: Fault) -> Faults:
        """One kind strikes every message."""
        return cls(share={fault: 1.0})

    def draw(self, random: Random) -> Fault | None:
        """What happens to the next message."""
        point = random.random()
        for fault, share in self.share.items():
            if point < share:
                return fault
            point -= share
        return None


def _queue(coming: Iterable[Fault | None]) -> deque[Fault | None]:
    return deque(coming)


@frozen(kw_only=True)
class Scripted(Faults):
    """What happens to one message after the other; then nothing does."""

    coming: deque[Fault | None] = field(converter=_queue)

    @classmethod
    def of(cls, *coming: Fault | None) -> Scripted:
        """What happens to the first message, to the second, and so on."""
        return cls(coming=coming)

    def draw(self, random: Random) -> Fault | None:
        """What happens to the next message."""
        return self.coming.popleft() if self.coming else None


@define
class Network:
    """Carries messages under faults; switch it `quiet` to let everything through.

    Attributes:
        random: Where chance comes from.
        faults: How often what strikes.
        struck: How often each fault struck.
        quiet: Whether faults have stopped.
        failed: Faults of receivers, other than that they are gone.
    """

    random: Random
    faults: Faults
    struck: Counter[Fault] = field(factory=Counter)
    quiet: bool = False
    failed: list[Exception] = field(factory=list)
    _late: set[asyncio.Task[HttpResponse]] = field(factory=set)

    async def carry(self, deliver: Deliver, timeout_seconds: float) -> HttpResponse:
        """Carry one message to `deliver` and its answer back.

        Raises:
            TransportError: There is no answer in time.
        """
        fault = None if self.quiet else self.faults.draw(self.random)
        if fault is not None:
            self.struck[fault] += 1
        match fault:
            case None:
                return await self._in_time(deliver(), timeout_seconds)
            case Fault.REFUSED:
                raise TransportError("refused", problem=TransportProblem.NOT_SENT)
            case Fault.LOST_REQUEST:
                await asyncio.sleep(timeout_seconds)
            case Fault.LOST_REPLY:
                self._later(deliver, self.random.uniform(0, timeout_seconds / 2))
                await asyncio.sleep(timeout_seconds)
            case Fault.LATE_REPLY:
                self._later(deliver, timeout_seconds * 0.9)
                await asyncio.sleep(timeout_seconds)
            case Fault.LATE_DELIVERY:
                self._later(deliver, timeout_seconds * self.random.uniform(1.05, 4.0))
                await asyncio.sleep(timeout_seconds)
            case Fault.DUPLICATE:
                self._later(deliver, self.random.uniform(0, timeout_seconds * 2))
                return await self._in_time(deliver(), timeout_seconds)
            case Fault.REORDER:
                await asyncio.sleep(timeout_seconds * self.random.uniform(0.05, 0.6))
                return await self._in_time(deliver(), timeout_seconds * 0.4)
        raise TransportError("time-out", problem=TransportProblem.NO_ANSWER)

    async def _in_time(self, answer: Awaitable[HttpResponse], timeout_seconds: float) -> HttpResponse:
        task = asyncio.ensure_future(answer)
        self._late.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.wait_for(asyncio.shield(task), timeout_seconds)
        except TimeoutError:
            raise TransportError("time-out", problem=TransportProblem.NO_ANSWER) from None

    def _later(self, deliver: Deliver, seconds: float) -> None:
        async def wait_and_deliver() -> HttpResponse:
            await asyncio.sleep(seconds)
            return await deliver()

        task = asyncio.ensure_future(wait_and_deliver())
        self._late.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[HttpResponse]) -> None:
        """Nobody waits for a message that is late: that its receiver is gone is told to nobody."""
        self._late.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self.failed += [error] if not isinstance(error, TransportError) else []

    async def settle(self) -> None:
        """Wait until nothing is under way any more."""
        while self._late:
            await asyncio.wait(set(self._late))
