"""Tells people of rounds that have been open for too long, each once. It moves no money and ends no round.

How far it has told is a row of the ledger, written in one commit with what it tells: neither a restart nor another
process tells a round again. The row goes by the time in which rounds were opened, so each round is looked at once,
when it comes of age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from croupier.contract import RetryLaterError
from croupier.ledger.port import Change, Committed, Ledger, Owner, Page, RoundFilter
from croupier.ledger.records import Event, RoundRow, RoundState, SinkRow, changed
from croupier.wallet.alarms import OVERDUE, Alarm, unheard
from croupier.wallet.ports import Clock

READER: Final = "overdue rounds"
"""The name of the row that says how far it has told. No sink can have it: their ids hold no spaces."""

LOOK_SECONDS: Final = 300.0
"""How often it is looked for rounds that have come of age."""

LEASE_MS: Final = 900_000
"""How long an operator's rounds are one process's to look at: three looks."""

_AT_ONCE: Final = 100
_HOUR_MS: Final = 3_600_000

_READING_SECONDS: Final = 0.02
"""How long one reading may take: with SQLite all bets wait for it, and PostgreSQL breaks a long one off."""

_FIRST_SPAN_MS: Final = 60_000
"""How much of the time in which rounds were opened is read at first; then as much as is read quickly enough."""


class OverdueRounds:
    """Looks for rounds that are overdue."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        owner: Owner,
        hours: Callable[[], Mapping[str, int]],
        alarm: Alarm = unheard,
    ) -> None:
        """Everything it needs is handed in.

        Args:
            ledger: The durable record.
            clock: Time, as the ledger has it.
            owner: This process.
            hours: How long a round of each operator may be open, by the operator's id; 0 for as long as it likes.
            alarm: Told of every round that is overdue, once that is durable.
        """
        self._ledger = ledger
        self._clock = clock
        self._owner = owner
        self._hours = hours
        self._alarm = alarm
        self._span_ms = _FIRST_SPAN_MS
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin nothing new: `run` ends when what is under way is stored."""
        self._stop.set()

    async def run(self, look_seconds: float = LOOK_SECONDS) -> None:
        """Look again and again until `stop`."""
        while not self._stop.is_set():
            await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(look_seconds):
                    await self._stop.wait()

    async def look(self) -> int:
        """Tell what has come of age, of every operator whose rounds no other process looks at.

        Returns:
            How many rounds were told of.
        """
        told = 0
        for operator, hours in self._hours().items():
            if hours and not self._stop.is_set():
                with suppress(RetryLaterError):  # the next look goes on where this one was
                    told += await self._look_at(operator, hours * _HOUR_MS)
        return told

    async def _look_at(self, operator: str, age_ms: int) -> int:
        told = 0
        row = await self._ours(operator)
        if row is not None and row.position > (now := self._clock.now_ms()):
            row = await self._set_back(row, now, now - age_ms)
        while row is not None and not self._stop.is_set():
            row, events = await self._tell(row, self._clock.now_ms() - age_ms)
            told += len(events)
            for event in events:
                self._alarm(operator, event)
        return told

    async def _ours(self, operator: str) -> SinkRow | None:
        """How far was told, under a lease of ours; `None` while another process has it."""
        now = self._clock.now_ms()
        row = await self._ledger.sink(operator, READER)
        if row is not None and row.lease_until > now:
            return row if row.epoch == self._owner.epoch else None
        return await self._ledger.claim_sink(self._owner, operator, READER, now=now, lease_ms=LEASE_MS, start=0)

    async def _set_back(self, row: SinkRow, now: int, until: int) -> SinkRow | None:
        """The row after the ledger's time went back: else nothing was told of until it came there again."""
        after = changed(row, position=until, state={}, lease_until=now + LEASE_MS, version=row.version + 1)
        stored = await self._ledger.commit(Change(operator=row.operator, sinks=(after,)))
        return after if isinstance(stored, Committed) else None

    async def _tell(self, row: SinkRow, until: int) -> tuple[SinkRow | None, Sequence[Event]]:
        """Tell of the next rounds that are open and were opened before `until`.

        Returns:
            The row as it is now, if there may be more to tell; and what was told.
        """
        if until <= row.position:
            return None, ()
        place = row.position, str(row.state.get("round", ""))
        end = await self._end_of_span(row, place, until)
        found = await self._read(row, place, end)
        full = len(found) == _AT_ONCE
        now = self._clock.now_ms()
        after = changed(
            row,
            position=found[-1].opened_at if full else end,
            state={"round": found[-1].round} if full else {},
            lease_until=now + LEASE_MS,
            version=row.version + 1,
        )
        events = tuple([_overdue(each, now) for each in found])
        stored = await self._ledger.commit(Change(operator=row.operator, sinks=(after,), events=events))
        if not isinstance(stored, Committed):
            return None, ()
        return after if full or end < until else None, events

    async def _end_of_span(self, row: SinkRow, place: tuple[int, str], until: int) -> int:
        """Up to when rounds are read at once; a time in which none was opened is passed over."""
        which = RoundFilter(since=row.position, until=until)
        following = await self._ledger.rounds(row.operator, None, Page(after=place, limit=1), which)
        return min(until, following[0].opened_at + self._span_ms) if following else until

    async def _read(self, row: SinkRow, place: tuple[int, str], end: int) -> Sequence[RoundRow]:
        """The next rounds that are open; how much is read at once the next time follows from how long it took."""
        which = RoundFilter(state=RoundState.OPEN.value, since=row.position, until=end)
        began = self._clock.monotonic()
        try:
            found = await self._ledger.rounds(row.operator, None, Page(after=place, limit=_AT_ONCE), which)
        except RetryLaterError:
            self._span_ms = max(self._span_ms // 8, 1)
            raise
        took = self._clock.monotonic() - began
        wider = 2.0 if took < _READING_SECONDS / 2 else min(1.0, _READING_SECONDS / took)
        self._span_ms = min(max(int(self._span_ms * wider), 1), _HOUR_MS)
        return found


def _overdue(row: RoundRow, now: int) -> Event:
    opened = datetime.fromtimestamp(row.opened_at / 1000, UTC).isoformat()
    body = {"opened_at": opened, "bets": row.bets, "wins": row.wins}
    return Event(kind=OVERDUE, subject=row.round, at=now, body=body)
