"""Feeds an endpoint, one event a request: lanes side by side, the events of a lane one after the other.

An endpoint that answers nobody any more is away: now and then it is asked with a new event and one that waits, the
others stay at the cursor, and what waits in lanes does not use up its calendar.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from attrs import define, evolve, field, frozen

from croupier.configuration.directory import LiveSink
from croupier.contract import (
    CroupierError,
    EndpointGone,
    EventAnswer,
    EventEndpoint,
    EventRefused,
    EventTaken,
    SinkEvent,
)
from croupier.ledger.records import StoredEvent
from croupier.sinks.attempts import Attempt
from croupier.sinks.lanes import Lane, Progress, Refusal
from croupier.sinks.means import Means, Step, gap, label, wants
from croupier.sinks.telling import Teller

BATCH: Final = 100
"""How many new events are taken up at once."""

AT_ONCE: Final = 32
"""How many requests are under way together."""

LANES_AT_ONCE: Final = 16
FROM_A_LANE: Final = 10
"""How many events that wait are read of a lane at once, of so many lanes: bets wait for the event loop meanwhile."""

STEP_SECONDS: Final = 5.0
"""A step begins no request after this: with the longest attempt it is over long before the lease."""

LONGEST_ATTEMPT_SECONDS: Final = 20.0
AWAY_AFTER: Final = 5
"""So many attempts in a row without any answer of worth: the endpoint is away."""

PROBE_MS: Final = 30_000
"""How often an endpoint that is away is asked."""


@frozen(kw_only=True)
class _Tried:
    """What became of the events of one lane.

    Attributes:
        lane: The lane.
        events: The positions, in order.
        taken: How many of them were taken.
        refusal: What the next one met, if it was tried.
        gone: Whether it was told that the endpoint is gone.
        waited: Whether they waited in the lane before.
    """

    lane: str
    events: tuple[int, ...]
    taken: int = 0
    refusal: Refusal | None = None
    gone: str | None = None
    waited: bool = False

    def apply(self, progress: Progress, now: int) -> Progress:
        """The progress after it."""
        if not self.waited:
            progress = progress.behind(self.lane, self.events[self.taken :], now)
        else:
            for position in self.events[: self.taken]:
                progress = progress.taken(position, now)
        if self.refusal is not None:
            progress = progress.refused(self.events[self.taken], self.refusal)
        return progress


@define(eq=False)
class EndpointCourse:
    """Feeds one endpoint.

    Attributes:
        live: The configured sink.
        endpoint: The sink itself.
        means: The rooms below.
    """

    live: LiveSink
    endpoint: EventEndpoint
    means: Means
    _failures: int = field(default=0, init=False)
    _probe_at: int = field(default=0, init=False)
    _asked_at: int = field(default=0, init=False)
    _stopped: bool = field(default=False, init=False)
    _gone: bool = field(default=False, init=False)

    def stop(self) -> None:
        self._stopped = True

    async def close(self) -> None:
        """Nothing is open."""

    async def step(self, progress: Progress) -> Step | None:
        now = self.means.clock.now_ms()
        if progress.stopped is not None or self._stopped:
            return None
        self._gone = False
        away = self._failures >= AWAY_AFTER
        if away and now < self._probe_at and not self._wanted_now(progress):
            return None
        fresh = [] if progress.full else await self._fresh(progress.position, BATCH)
        missed = gap(progress.position, fresh)
        if away:
            fresh = self._to_the_first_wanted(fresh)
        lanes = self._lanes(progress, now, away=away)
        if not fresh and not lanes:
            return None
        tried = await self._try(progress, lanes, fresh)
        return evolve(self._result(tried, fresh, away=away), missed=missed)

    def _wanted_now(self, progress: Progress) -> bool:
        """Whether a person has had something tried again since the endpoint was asked last."""
        lanes = progress.lanes.values()
        return any(not (lane.attempts or lane.held) and lane.due_at > self._asked_at for lane in lanes)

    def _to_the_first_wanted(self, fresh: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        first = next((place for place, stored in enumerate(fresh) if wants(self.live, stored)), len(fresh))
        return fresh[: first + 1]

    async def _fresh(self, position: int, limit: int) -> Sequence[StoredEvent]:
        return await self.means.ledger.events_after(self.live.operator, position, limit)

    def _lanes(self, progress: Progress, now: int, *, away: bool) -> Sequence[Lane]:
        if not away:
            return progress.due(now)[:LANES_AT_ONCE]
        waiting = [lane for lane in progress.lanes.values() if not lane.held]
        return [waiting[int(self.means.ids.jitter() * len(waiting))]] if waiting else []

    async def _try(self, progress: Progress, lanes: Sequence[Lane], fresh: Sequence[StoredEvent]) -> Sequence[_Tried]:
        """Send what may be sent, lanes side by side."""
        live = self.means.directory().operators[self.live.operator]
        teller = Teller(self.means.ledger, live)
        wanted = [each for each in fresh if wants(self.live, each)]
        waiting = await asyncio.gather(*(self._stored(lane) for lane in lanes))
        told = await teller.tell([*wanted, *(each for stored in waiting for each in stored if each is not None)])
        events = {event.position: event for event in told}
        queues: dict[str, list[SinkEvent]] = {}
        for stored in wanted:
            event = events[stored.position]
            queues.setdefault(event.lane, []).append(event)
        end = self.means.clock.monotonic() + STEP_SECONDS
        turn = asyncio.Semaphore(AT_ONCE)
        old = [
            self._drain(lane.lane, _next(lane), [events.get(place) for place in _next(lane)], turn, end, waited=True)
            for lane in lanes
        ]
        # What comes new to a lane that waits stays behind it.
        new = [
            self._drain(name, tuple(event.position for event in queue), queue, turn, end, waited=False)
            for name, queue in queues.items()
            if name not in progress.lanes
        ]
        behind = [
            _Tried(lane=name, events=tuple(event.position for event in queue))
            for name, queue in queues.items()
            if name in progress.lanes
        ]
        return [*await asyncio.gather(*old, *new), *behind]

    async def _stored(self, lane: Lane) -> Sequence[StoredEvent | None]:
        """The events of a lane, as they stand in the record; `None` for one that does not any more."""

        async def one(position: int) -> StoredEvent | None:
            found = await self._fresh(position - 1, 1)
            return found[0] if found and found[0].position == position else None

        return await asyncio.gather(*(one(position) for position in _next(lane)))

    async def _drain(
        self,
        lane: str,
        positions: tuple[int, ...],
        events: Iterable[SinkEvent | None],
        turn: asyncio.Semaphore,
        end: float,
        *,
        waited: bool,
    ) -> _Tried:
        """Send the events of a lane one after the other, as far as they are taken."""
        tried = _Tried(lane=lane, events=positions, waited=waited)
        for event in events:
            async with turn:
                if self._stopped or self._gone or self.means.clock.monotonic() >= end:
                    return tried
                missing = EventRefused(detail="the event is not in the record any more")
                answer = missing if event is None else await self._send(event)
            match answer:
                case EventTaken():
                    tried = evolve(tried, taken=tried.taken + 1)
                case EventRefused():
                    return evolve(tried, refusal=self._refusal(answer))
                case EndpointGone(detail=detail):
                    self._gone = True
                    refusal = self._refusal(EventRefused(detail=detail, passing=True))
                    return evolve(tried, refusal=refusal, gone=detail)
                case _:
                    assert_never(answer)
        return tried

    def _refusal(self, answer: EventRefused) -> Refusal:
        means = self.means
        return Refusal(
            answer=answer,
            now=means.clock.now_ms(),
            waits_ms=self.endpoint.waits_ms,
            jitter=means.ids.jitter(),
            scale=means.scale,
        )

    async def _send(self, event: SinkEvent) -> EventAnswer:
        """One attempt."""
        attempt = Attempt(self.means, self.live, event)
        try:
            request = attempt.asks(self.endpoint.request(event, self.live.credentials, self.means.clock.now()))
            seconds = min(self.endpoint.timeout_seconds, LONGEST_ATTEMPT_SECONDS)
            answer = self.endpoint.answer(attempt.hears(await self.means.send(request, seconds)))
        except CroupierError as error:
            answer = EventRefused(detail=error.message, passing=True)
        except Exception as error:  # noqa: BLE001 # the plugin's own fault must not stop the other sinks
            self.means.failed(self.live, error)
            answer = EventRefused(detail=f"the sink failed: {type(error).__name__}", passing=True)
        attempt.note(answer)
        return answer

    def _result(self, tried: Sequence[_Tried], fresh: Sequence[StoredEvent], *, away: bool) -> Step:
        taken = sum(each.taken for each in tried)
        refused = [each.refusal for each in tried if each.refusal is not None]
        for outcome, count in (("taken", taken), ("refused", len(refused))):
            if count:
                self.means.metrics.sink_events(sink=label(self.live), outcome=outcome, count=count)
        now = self.means.clock.now_ms()
        self._note(now, taken, [refusal.answer for refusal in refused], away=away)
        kept = [_unless_away(each) if away else each for each in tried]
        gone = next((each.gone for each in tried if each.gone is not None), None)

        def apply(progress: Progress) -> Progress:
            for each in kept:
                progress = each.apply(progress, now)
            if fresh:
                progress = progress.moved(fresh[-1].position)
            if taken and away:
                progress = progress.roused(now)
            return progress if gone is None else evolve(progress, stopped=gone)

        asked = bool(taken or refused)
        return Step(apply=apply, more=bool(taken) or (bool(fresh) and not (away and asked)))

    def _note(self, now: int, taken: int, refused: Sequence[EventRefused], *, away: bool) -> None:
        """Find out whether the endpoint is away, and when it may be asked again."""
        self._asked_at = now
        if taken or any(not answer.passing for answer in refused):
            self._failures = 0
            if away:
                self.means.log.warning("sink_back", operator=self.live.operator, slug=self.live.document.name)
            return
        self._failures += len(refused)
        if self._failures < AWAY_AFTER or not refused:
            return
        pause = int(PROBE_MS / self.means.scale) if away else 0
        self._probe_at = now + max(pause, *(answer.wait_ms for answer in refused))
        if not away:
            name, reason = self.live.document.name, refused[-1].detail
            self.means.log.warning("sink_away", operator=self.live.operator, slug=name, reason=reason)


def _next(lane: Lane) -> tuple[int, ...]:
    """The events of a lane that one step may get to."""
    return lane.positions[:FROM_A_LANE]


def _unless_away(tried: _Tried) -> _Tried:
    """What waited and was tried only to see whether the endpoint is back: then its calendar stays as it was."""
    only_asked = tried.waited and tried.refusal is not None and tried.refusal.answer.passing and tried.gone is None
    return evolve(tried, refusal=None) if only_asked else tried
