"""Works for one sink: holds its lease, takes step after step, and stores each before the next begins."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from attrs import define, evolve, field

from croupier.configuration.directory import LiveSink
from croupier.contract import EventEndpoint, RetryLaterError
from croupier.ledger.port import Change
from croupier.ledger.records import Event, SinkRow
from croupier.sinks.endpoint import EndpointCourse
from croupier.sinks.lanes import Progress
from croupier.sinks.means import Course, Means, Step, label
from croupier.sinks.stream import StreamCourse

LEASE_MS: Final = 45_000
"""How long a sink belongs to a process: longer than a step may take."""

_RENEW_MS: Final = 30_000
"""A lease that lasts less than this is renewed before the next step."""

_POLL_SECONDS: Final = 0.5
_IDLE_AFTER: Final = 20
"""After so many looks in a row that found nothing to do, there are fewer: many sinks must cost little."""

_IDLE_SECONDS: Final = 2.0
_OTHERS_SECONDS: Final = 2.0
_COUNT_MS: Final = 5_000
_FULL_MS: Final = 3_600_000
"""How often it is told that too much waits: while some of it goes, that begins again and again."""


@define(eq=False)
class Feeder:
    """Feeds one sink for as long as this process holds its lease.

    Attributes:
        live: The configured sink.
        means: The rooms below.
    """

    live: LiveSink
    means: Means
    course: Course = field(init=False)
    _stop: asyncio.Event = field(factory=asyncio.Event, init=False)
    _counted_at: int = field(default=0, init=False)
    _idle: int = field(default=0, init=False)
    _full_at: int | None = field(default=None, init=False)

    @course.default
    def _its_course(self) -> Course:
        sink = self.live.sink
        if isinstance(sink, EventEndpoint):
            return EndpointCourse(self.live, sink, self.means)
        return StreamCourse(self.live, sink, self.means)

    def stop(self) -> None:
        """End: what is under way is finished and stored."""
        self._stop.set()
        self.course.stop()

    async def run(self) -> None:
        """Feed until `stop`."""
        try:
            while not self._stop.is_set():
                try:
                    pause = await self.run_once()
                except RetryLaterError:
                    pause = _OTHERS_SECONDS
                await self.wait(pause)
        finally:
            await self.course.close()
            await self._release()

    async def run_once(self) -> float:
        """One step, if the sink is ours or can be; returns how many seconds to wait before the next."""
        row = await self._held()
        if row is None:
            return _OTHERS_SECONDS
        before = Progress.read(row.position, row.state)
        await self._count(before)
        step = await self.course.step(before)
        if step is None:
            self._idle += 1
            return _POLL_SECONDS if self._idle < _IDLE_AFTER else _IDLE_SECONDS
        self._idle = 0
        if not await self._store(row, step):
            return _OTHERS_SECONDS
        return 0.0 if step.more else max(step.pause_ms / 1000, _POLL_SECONDS)

    async def wait(self, seconds: float) -> None:
        """Wait, unless it is to end."""
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stop.wait()

    async def _held(self) -> SinkRow | None:
        """The sink's row under a lease of ours; `None` while another process has it."""
        means, live = self.means, self.live
        now = means.clock.now_ms()
        row = await means.ledger.sink(live.operator, live.id)
        mine = row is not None and row.epoch == means.owner.epoch
        if row is not None and row.lease_until > now and (not mine or row.lease_until - now > _RENEW_MS):
            return row if mine else None
        start = 0
        if row is None and live.document.start == "now":
            start = await means.ledger.newest_position(live.operator)
        return await means.ledger.claim_sink(
            means.owner, live.operator, live.id, now=now, lease_ms=LEASE_MS, start=start
        )

    async def _store(self, row: SinkRow, step: Step) -> bool:
        """Store what a step came to, on a newer row if a person has changed it; not if the sink is another's now."""
        epoch = self.means.owner.epoch
        found: SinkRow | None = row
        while found is not None and found.epoch == epoch:
            before = Progress.read(found.position, found.state)
            after = step.apply(before)
            if after == before:
                return True
            changed = evolve(found, position=after.position, state=after.state(), version=found.version + 1)
            stored = await self.means.ledger.store_sink(changed, epoch)
            if not stored:
                found = await self.means.ledger.sink(row.operator, row.sink)
            if stored or found == changed:  # the latter: it was stored, and the answer was lost
                await self._alarm(before, after, step.missed)
                return True
        return False

    async def _alarm(self, before: Progress, after: Progress, missed: tuple[int, int] | None) -> None:
        """Tell what a person must decide, or know."""
        name, now = self.live.document.name, self.means.clock.now_ms()
        events = []
        for key, lane in after.lanes.items():
            old = before.lanes.get(key)
            if lane.held and not (old is not None and old.held):
                self.means.log.warning(
                    "sink_holds_events",
                    operator=self.live.operator,
                    slug=name,
                    position=lane.first,
                    attempts=lane.attempts,
                )
                body = {"name": name, "position": lane.first, "detail": lane.detail}
                events.append(Event(kind="sink.held", subject=self.live.id, at=now, body=body))
        if after.stopped is not None and before.stopped is None:
            self.means.log.warning("sink_stopped", operator=self.live.operator, slug=name, reason=after.stopped)
            body = {"name": name, "detail": after.stopped}
            events.append(Event(kind="sink.stopped", subject=self.live.id, at=now, body=body))
        if after.full and not before.full and (self._full_at is None or now - self._full_at >= _FULL_MS):
            self._full_at = now
            self.means.log.warning("sink_full", operator=self.live.operator, slug=name, position=after.position)
            body = {"name": name, "position": after.position}
            events.append(Event(kind="sink.full", subject=self.live.id, at=now, body=body))
        if missed is not None:
            first, last = missed
            self.means.log.error(
                "sink_missed_events", operator=self.live.operator, slug=name, position=first, count=last - first + 1
            )
            body = {"name": name, "first": first, "last": last}
            events.append(Event(kind="sink.missed", subject=self.live.id, at=now, body=body))
        if events:
            await self.means.ledger.commit(Change(operator=self.live.operator, events=tuple(events)))

    async def _release(self) -> None:
        """Let another process take over at once."""
        live, epoch = self.live, self.means.owner.epoch
        self.means.metrics.sink_left(sink=label(live))
        with suppress(RetryLaterError):
            row = await self.means.ledger.sink(live.operator, live.id)
            if row is not None and row.epoch == epoch and row.lease_until > 0:
                await self.means.ledger.store_sink(evolve(row, lease_until=0, version=row.version + 1), epoch)

    async def _count(self, progress: Progress) -> None:
        now = self.means.clock.now_ms()
        if now - self._counted_at < _COUNT_MS:
            return
        self._counted_at = now
        newest = await self.means.ledger.newest_position(self.live.operator)
        held = sum(len(lane.positions) for lane in progress.lanes.values() if lane.held)
        self.means.metrics.sink_stands(
            sink=label(self.live), behind=newest - progress.position, waiting=progress.waiting, held=held
        )
