"""Feeds a stream, a batch at a time: what is not confirmed is written again, and nothing is ever passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from attrs import define, evolve, field

from croupier.configuration.directory import LiveSink
from croupier.contract import CroupierError, EventStream, SinkEvent, StreamWriter
from croupier.sinks.lanes import Progress
from croupier.sinks.means import Means, Step, gap, label, wants
from croupier.sinks.telling import Teller

BATCH: Final = 100
"""How many events are read, and written, at once: bets wait for the event loop meanwhile."""

WRITE_SECONDS: Final = 15.0
CLOSE_SECONDS: Final = 2.0
LONGEST_PAUSE_MS: Final = 10_000


@define(eq=False)
class StreamCourse:
    """Feeds one stream.

    Attributes:
        live: The configured sink.
        stream: The sink itself.
        means: The rooms below.
    """

    live: LiveSink
    stream: EventStream
    means: Means
    _writer: StreamWriter | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _stopped: bool = field(default=False, init=False)

    def stop(self) -> None:
        self._stopped = True

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(Exception):  # what it held is gone either way
                async with asyncio.timeout(CLOSE_SECONDS):
                    await writer.close()

    async def step(self, progress: Progress) -> Step | None:
        if self._stopped:
            return None
        means, live = self.means, self.live
        stored = await means.ledger.events_after(live.operator, progress.position, BATCH)
        if not stored:
            return None
        wanted = [each for each in stored if wants(live, each)]
        told = await Teller(means.ledger, means.directory().operators[live.operator]).tell(wanted)
        trouble = await self._write(told) if told else None
        if told:
            outcome = "taken" if trouble is None else "refused"
            means.metrics.sink_events(sink=label(live), outcome=outcome, count=len(told))
        if trouble is None:
            self._failures = 0
            position = stored[-1].position
            return Step(
                apply=lambda before: evolve(before.moved(position), trouble=None),
                more=True,
                missed=gap(progress.position, stored),
            )
        self._failures += 1
        pause = min(LONGEST_PAUSE_MS, 500 * 2 ** min(self._failures, 10)) * (0.5 + means.ids.jitter() / 2)
        return Step(apply=lambda before: evolve(before, trouble=trouble), pause_ms=int(pause / means.scale))

    async def _write(self, events: Sequence[SinkEvent]) -> str | None:
        """Write a batch; returns what went wrong, if anything did."""
        try:
            if self._writer is None:
                reason = await self.means.refuses_host(self.stream.host)
                if reason is not None:
                    return f"the address may not be called: {reason}"
                self._writer = self.stream.open(self.live.credentials)
            async with asyncio.timeout(WRITE_SECONDS):
                await self._writer.write(events)
            return None
        except CroupierError as error:
            trouble = error.message
        except OSError as error:  # TimeoutError is one
            trouble = type(error).__name__
        except Exception as error:  # noqa: BLE001 # the plugin's own fault must not stop the other sinks
            self.means.failed(self.live, error)
            trouble = f"the sink failed: {type(error).__name__}"
        await self.close()
        return trouble
