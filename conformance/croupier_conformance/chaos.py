"""A bad network between two parties that trust nothing: messages are repeated, reordered, lost and late.

`Chaos` carries messages one by one. Whether a message meets a fault is drawn from a shuffled deck, so that every kind
comes up as often as it was asked for, even in a short run; with the same seed the deck is the same. A fault counts only
when it really struck: a held message that nothing overtook was not reordered.

The rows of `reference/failure-matrix.md` that need it: 1, 2, 8 to 12, and its finding 3: without messages that are
delivered *after* the caller gave up, a wallet that forgets its tombstones is never noticed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import Enum, unique
from typing import Any, Final, TypeVar, assert_never

T = TypeVar("T")
Deliver = Callable[[], Awaitable[T | None]]
"""Hands a message to its receiver once; the answer, or `None` if there is none. It raises nothing."""


@unique
class Fault(Enum):
    """What the network does to one message."""

    DUPLICATED = "duplicated"
    """The receiver gets it twice, at once or a little later."""
    REORDERED = "reordered"
    """It is held until a later message has passed it."""
    REQUEST_DROPPED = "request dropped"
    """The receiver never gets it."""
    REPLY_DROPPED = "reply dropped"
    """The receiver works on it and its answer is lost."""
    ANSWERED_LATE = "answered late"
    """The answer comes when the caller has given up."""
    DELIVERED_LATE = "delivered late"
    """The receiver gets it only when the caller has given up."""


SHARES: Final[Mapping[Fault, int]] = {
    Fault.DUPLICATED: 30,
    Fault.REORDERED: 20,
    Fault.REQUEST_DROPPED: 10,
    Fault.REPLY_DROPPED: 15,
    Fault.ANSWERED_LATE: 10,
    Fault.DELIVERED_LATE: 15,
}
"""How many of a thousand messages meet each fault."""


class Chaos:
    """A network that carries messages badly, for one direction of one hop.

    Args:
        seed: The run's seed; hops with different seeds differ.
        timeout_seconds: After what time the caller gives up.
        shares: How many of a thousand messages meet each fault.
        hold_seconds: How long a message is held at most, waiting to be overtaken.

    Attributes:
        struck: How often each fault struck.
        quiet: Whether the network behaves: set it for the phase in which what is owed must drain.
    """

    def __init__(
        self,
        seed: str,
        *,
        timeout_seconds: float,
        shares: Mapping[Fault, int] = SHARES,
        hold_seconds: float = 0.15,
    ) -> None:
        self.struck: Counter[Fault] = Counter()
        self.quiet = False
        self._random = random.Random(seed)
        self._timeout = timeout_seconds
        self._hold = hold_seconds
        self._cards = _deck(shares)
        self._deck: list[Fault | None] = []
        self._held: list[asyncio.Future[None]] = []
        self._background: set[asyncio.Task[Any]] = set()

    async def carry(self, deliver: Deliver[T]) -> T | None:
        """Carry one message and its answer.

        Args:
            deliver: Hands the message to its receiver; called never, once or twice.

        Returns:
            The answer, or `None`: the caller hears nothing, or its connection is closed. It may be cancelled when
            the caller gives up; what is under way goes on.
        """
        fault = None if self.quiet else self._draw()
        match fault:
            case None:
                return await self._passed(deliver)
            case Fault.DUPLICATED:
                _twin = self._spawn(self._later(self._random.choice((0.0, 0.0, 0.05, 0.3)), deliver, fault))
                return await deliver()
            case Fault.REORDERED:
                return await self._overtaken(deliver)
            case Fault.REQUEST_DROPPED:
                self.struck[fault] += 1
                await self._silence()
                return None
            case Fault.REPLY_DROPPED:
                await asyncio.shield(self._spawn(self._later(0.0, deliver, fault)))
                return None
            case Fault.ANSWERED_LATE:
                return await asyncio.shield(self._spawn(self._answered_late(deliver)))
            case Fault.DELIVERED_LATE:
                _late = self._spawn(self._later(self._timeout + self._lateness(), deliver, fault))
                await self._silence()
                return None
            case _:
                assert_never(fault)

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        while self._background:
            await asyncio.wait(set(self._background))

    @property
    def on_its_way(self) -> int:
        """How many messages are still to be delivered or answered late."""
        return len(self._background)

    def _draw(self) -> Fault | None:
        if not self._deck:
            self._deck = list(self._cards)
            self._random.shuffle(self._deck)
        return self._deck.pop()

    def _lateness(self) -> float:
        """Seconds beyond the caller's time-out: what the caller does next comes first, or at the same time."""
        return self._random.uniform(0.05, 0.9)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _passed(self, deliver: Deliver[T]) -> T | None:
        answer = await deliver()
        while self._held:
            held = self._held.pop()
            if not held.done():
                held.set_result(None)
        return answer

    async def _overtaken(self, deliver: Deliver[T]) -> T | None:
        overtaken = asyncio.get_running_loop().create_future()
        self._held.append(overtaken)
        done, _ = await asyncio.wait({overtaken}, timeout=self._hold)
        self._count(Fault.REORDERED, struck=bool(done))
        return await deliver()

    async def _later(self, seconds: float, deliver: Deliver[T], fault: Fault) -> None:
        """Deliver after some time and lose the answer; it struck if there was somebody to deliver to."""
        await asyncio.sleep(seconds)
        self._count(fault, struck=await deliver() is not None)

    async def _answered_late(self, deliver: Deliver[T]) -> T | None:
        begun = asyncio.get_running_loop().time()
        answer = await deliver()
        await asyncio.sleep(begun + self._timeout + self._lateness() - asyncio.get_running_loop().time())
        self._count(Fault.ANSWERED_LATE, struck=answer is not None)
        return answer

    def _count(self, fault: Fault, *, struck: bool) -> None:
        """Count a fault that struck; the card of one that met nobody goes back to be drawn next."""
        if struck:
            self.struck[fault] += 1
        else:
            self._deck.append(fault)

    async def _silence(self) -> None:
        """Half of the callers lose their connection, the others hear nothing until they give up."""
        if self._random.random() < 0.5:
            await asyncio.sleep(self._timeout * 2)


def _deck(shares: Mapping[Fault, int]) -> list[Fault | None]:
    """The smallest deck that has the shares."""
    cards: list[Fault | None] = [fault for fault in Fault for _ in range(shares.get(fault, 0))]
    if len(cards) > 1000:
        raise ValueError("the shares of a thousand are more than a thousand")
    cards += [None] * (1000 - len(cards))
    step = next(size for size in (5, 2, 1) if all(shares.get(fault, 0) % size == 0 for fault in Fault))
    counted = Counter(cards)
    return [card for card in (*Fault, None) for _ in range(counted[card] // step)]
