"""What the processes of a hub tell each other at once, so that nobody has to wait for the next look at the ledger.

News are hints: each says that there may be something to read. One that is lost, doubled, forged or garbled changes
when something is read, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Final

import orjson
from attrs import define, field

from croupier.accelerator.client import Accelerator, Server, end_if_cancelled

Hear = Callable[..., None]
"""Told the words of one piece of news."""

_PAUSE_SECONDS: Final = 1.0
_LONGEST_WORD: Final = 200


@define(eq=False)
class News:
    """One process's way to tell and to hear.

    Attributes:
        accelerator: Tells.
        connect: Makes the connection that hears.
        channel: Where.
        me: This process, so that it does not hear itself.
        heard: How many pieces of news were taken.
        unclear: How many could not be read.
    """

    accelerator: Accelerator
    connect: Callable[[], Server]
    channel: str
    me: str
    heard: int = 0
    unclear: int = 0
    _hearers: dict[str, Hear] = field(factory=dict)
    _on_return: list[Callable[[], None]] = field(factory=list)

    def on(self, kind: str, hear: Hear) -> None:
        """Say who is told of a kind of news, with its words as arguments. It must not wait for anything."""
        self._hearers[kind] = hear

    def on_return(self, hear: Callable[[], None]) -> None:
        """Say who is told that news are heard again: some may have been missed."""
        self._on_return.append(hear)

    def tell(self, kind: str, *words: str) -> None:
        """Tell every other process."""
        self.accelerator.tell("PUBLISH", self.channel, orjson.dumps([self.me, kind, *words]))

    async def run(self) -> None:
        """Hear, until cancelled."""
        while True:
            end_if_cancelled()
            server = self.connect()
            try:
                async with aclosing(server.hear(self.channel)) as told:  # type: ignore[type-var] # it is a generator
                    first = True
                    async for message in told:
                        end_if_cancelled()
                        if message:
                            self._take(message)
                        elif first:
                            for hear in self._on_return:
                                hear()
                        first = False
            except Exception:  # noqa: BLE001 - it is tried again; whether the server is there, the accelerator tells
                await asyncio.sleep(_PAUSE_SECONDS)
            finally:
                with suppress(Exception):
                    await server.close()

    def _take(self, message: bytes) -> None:
        """Hand one piece of news out; what is no news is counted and dropped."""
        try:
            sender, kind, *words = orjson.loads(message)
            if sender == self.me:
                return
            hear = self._hearers[kind]
            if not all(isinstance(word, str) and len(word) <= _LONGEST_WORD for word in words):
                raise ValueError  # noqa: TRY301 # told apart from nothing else
            hear(*words)
        except (ValueError, TypeError, KeyError):
            self.unclear += 1
            return
        self.heard += 1
