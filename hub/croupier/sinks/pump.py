"""Feeds every configured sink: a feeder for each, made and ended as the configuration says."""

from __future__ import annotations

import asyncio
from typing import Final

from attrs import define, field

from croupier.configuration.directory import LiveSink
from croupier.sinks.feeder import Feeder
from croupier.sinks.means import Means

_LOOK_SECONDS: Final = 0.5
"""How often the configuration is looked at: it is in memory."""

_AGAIN_SECONDS: Final = 5.0
"""How long a feeder that failed is left alone."""


@define(eq=False)
class Pump:
    """Feeds every sink that is configured and enabled.

    Attributes:
        means: The rooms below.
    """

    means: Means
    _feeders: dict[tuple[str, str], tuple[Feeder, asyncio.Task[None]]] = field(factory=dict, init=False)
    _stop: asyncio.Event = field(factory=asyncio.Event, init=False)

    def stop(self) -> None:
        """Begin nothing new: `run` ends when what is under way is stored."""
        self._stop.set()
        self._stop_feeders()

    def _stop_feeders(self) -> None:
        for feeder, _ in self._feeders.values():
            feeder.stop()

    async def run(self) -> None:
        """Feed until `stop`. If it fails, it can be run again."""
        try:
            while not self._stop.is_set():
                self._look()
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._stop.wait()
                except TimeoutError:
                    continue
        finally:
            self._stop_feeders()
            await asyncio.gather(*(task for _, task in self._feeders.values()))
            self._feeders.clear()

    def _look(self) -> None:
        """Begin with new sinks, and end those that are gone or changed: the next feeder goes on where one stopped."""
        wished = {(live.operator, live.id): live for live in self.means.directory().sinks()}
        for key, (feeder, task) in list(self._feeders.items()):
            if task.done():
                del self._feeders[key]
            elif key not in wished or feeder.live.document != wished[key].document:
                feeder.stop()
        for key, live in wished.items():
            if key not in self._feeders:
                feeder = Feeder(live, self.means)
                self._feeders[key] = feeder, asyncio.create_task(self._feed(feeder, live))

    async def _feed(self, feeder: Feeder, live: LiveSink) -> None:
        try:
            await feeder.run()
        except Exception as error:  # noqa: BLE001 # whatever it was, the other sinks go on, and this one begins anew
            self.means.failed(live, error)
            await feeder.wait(_AGAIN_SECONDS)
