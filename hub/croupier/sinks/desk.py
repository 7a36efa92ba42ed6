"""What a person can see of a sink, and decide about the events that wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import evolve, frozen

from croupier.contract import ConflictError, FixRequestError, NotFoundError
from croupier.ledger.port import Change, Ledger
from croupier.ledger.records import Event
from croupier.sinks.lanes import Lane, Progress
from croupier.wallet.ports import Clock

_TRIES: Final = 10


@frozen(kw_only=True)
class Standing:
    """How a sink stands.

    Attributes:
        position: Every event up to here was taken or waits.
        newest: The operator's newest event.
        feeding: The process that feeds it now, if one does.
        stopped: Why nothing is sent any more, if so.
        trouble: What writing meets since it fails, if it does.
        lanes: What waits, the oldest first.
    """

    position: int
    newest: int
    feeding: str | None
    stopped: str | None
    trouble: str | None
    lanes: Sequence[Lane]


class SinkDesk:
    """Looks at sinks and decides about what waits.

    Args:
        ledger: The record.
        clock: Time.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def standing(self, operator: str, sink: str) -> Standing:
        """How a sink stands; one that was never fed stands at its beginning."""
        row = await self._ledger.sink(operator, sink)
        newest = await self._ledger.newest_position(operator)
        progress = Progress.read(row.position, row.state) if row else Progress(position=0)
        return Standing(
            position=progress.position,
            newest=newest,
            feeding=row.owner if row and row.lease_until > self._clock.now_ms() else None,
            stopped=progress.stopped,
            trouble=progress.trouble,
            lanes=sorted(progress.lanes.values(), key=lambda lane: lane.first),
        )

    async def redrive(self, operator: str, sink: str, position: int | None, *, who: str, why: str) -> Standing:
        """Try again what waits, from the beginning of the calendar; a sink that was stopped goes on.

        Args:
            operator: The operator's id.
            sink: The sink's id.
            position: The first event of the lane that is to be tried again; `None` for all.
            who: Who wants it.
            why: Why.

        Raises:
            NotFoundError: The sink was never fed, or no lane begins with this event.
            FixRequestError: `who` or `why` is empty.
        """
        now = self._clock.now_ms()

        def again(progress: Progress) -> Progress:
            if position is not None and progress.holding(position) is None:
                raise NotFoundError("no event that is tried next stands there", where="position")
            return progress.redriven(now, position)

        await self._change(operator, sink, "sink.redriven", again, position, who=who, why=why)
        return await self.standing(operator, sink)

    async def drop(self, operator: str, sink: str, position: int, *, who: str, why: str) -> Standing:
        """Never deliver the first event of a lane; what waits behind it is tried at once.

        Args:
            operator: The operator's id.
            sink: The sink's id.
            position: The event.
            who: Who decides.
            why: Why.

        Raises:
            NotFoundError: The sink was never fed, or no lane begins with this event.
            FixRequestError: `who` or `why` is empty.
        """
        now = self._clock.now_ms()

        def without(progress: Progress) -> Progress:
            if progress.holding(position) is None:
                raise NotFoundError("no event that is tried next stands there", where="position")
            return progress.taken(position, now)

        await self._change(operator, sink, "sink.dropped", without, position, who=who, why=why)
        return await self.standing(operator, sink)

    async def _change(
        self,
        operator: str,
        sink: str,
        kind: str,
        change: Callable[[Progress], Progress],
        position: int | None,
        *,
        who: str,
        why: str,
    ) -> None:
        for name, value in (("who", who), ("why", why)):
            if not value.strip():
                raise FixRequestError("expected text: every decision says who made it and why", where=name)
        told = False
        for _ in range(_TRIES):
            row = await self._ledger.sink(operator, sink)
            if row is None:
                raise NotFoundError("the sink was never fed")
            after = change(Progress.read(row.position, row.state))
            if not told:
                # Before it is done: a decision may be on record that was not carried out, never the other way round.
                body = {"who": who, "why": why} | ({} if position is None else {"position": position})
                event = Event(kind=kind, subject=sink, at=self._clock.now_ms(), body=body)
                await self._ledger.commit(Change(operator=operator, events=(event,)))
                told = True
            changed = evolve(row, position=after.position, state=after.state(), version=row.version + 1)
            if await self._ledger.store_sink(changed):
                return
        raise ConflictError("the sink is changing all the time", hint="try again")
