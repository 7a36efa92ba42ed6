"""How far a sink has come: the cursor, and the lanes of players whose events wait. Pure: nothing here waits or sends.

Every event up to the cursor was taken, or waits in the lane of its player, oldest first. Only the first event of a lane
is ever tried: what comes after it stays behind it, and everybody else goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import asdict, evolve, field, fields, frozen

from croupier.contract import EventRefused

MOST_WAITING: Final = 10_000
"""So many events wait before the cursor does, too: hours of one busy player, whose events must not stop everybody's."""

MOST_LANES: Final = 1_000
"""So many lanes wait before the cursor does, too: they are read and written with every step."""


@frozen(kw_only=True)
class Lane:
    """The waiting events of one player, or of none.

    Attributes:
        lane: The player's surrogate, or empty.
        positions: Where the events stand, oldest first; never empty.
        attempts: How often the first one was refused.
        due_at: When it is tried next.
        since: When it was refused first.
        passing: Whether the last refusal said nothing of the event itself.
        held: Whether the calendar has ended: it waits for a person.
        detail: What the last attempt met.
    """

    lane: str
    positions: tuple[int, ...]
    attempts: int = 0
    due_at: int = 0
    since: int = 0
    passing: bool = False
    held: bool = False
    detail: str = ""

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Lane:
        """From a row of the ledger; what a newer release has added is passed over."""
        known = {attribute.name: stored[attribute.name] for attribute in fields(cls) if attribute.name in stored}
        return cls(**{**known, "positions": tuple(stored["positions"])})

    @property
    def first(self) -> int:
        """The event that is tried next."""
        return self.positions[0]

    def without_first(self, now: int) -> Lane | None:
        """What remains once the first event is done with: due at once."""
        rest = self.positions[1:]
        return Lane(lane=self.lane, positions=rest, due_at=now) if rest else None


@frozen(kw_only=True)
class Refusal:
    """What decides when a refused event is tried again.

    Attributes:
        answer: What it met.
        now: The time.
        waits_ms: The sink's calendar.
        jitter: A number in [0, 1): waits are spread from half to one and a half of what the calendar says.
        scale: Every wait is divided by this: 1 in production.
    """

    answer: EventRefused
    now: int
    waits_ms: Sequence[int]
    jitter: float
    scale: float = 1.0


@frozen(kw_only=True)
class Progress:
    """How far a sink has come.

    Attributes:
        position: Every event up to here was taken or waits.
        lanes: What waits, by lane.
        stopped: Why nothing is sent any more, if so.
        trouble: What writing to a stream meets since it fails, if it does.
    """

    position: int
    lanes: Mapping[str, Lane] = field(factory=dict)
    stopped: str | None = None
    trouble: str | None = None

    @classmethod
    def read(cls, position: int, state: Mapping[str, Any]) -> Progress:
        """From a row of the ledger."""
        lanes = [Lane.read(lane) for lane in state.get("lanes", ())]
        return cls(
            position=position,
            lanes={lane.lane: lane for lane in lanes},
            stopped=state.get("stopped"),
            trouble=state.get("trouble"),
        )

    def state(self) -> dict[str, Any]:
        """As it stands in a row of the ledger, beside the position."""
        state: dict[str, Any] = {}
        if self.lanes:
            lanes = sorted(self.lanes.values(), key=lambda lane: lane.first)
            state["lanes"] = [{**asdict(lane, recurse=False), "positions": list(lane.positions)} for lane in lanes]
        if self.stopped is not None:
            state["stopped"] = self.stopped
        if self.trouble is not None:
            state["trouble"] = self.trouble
        return state

    # --- what is to be tried

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return sum(len(lane.positions) for lane in self.lanes.values())

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing new is taken up."""
        return len(self.lanes) >= MOST_LANES or self.waiting >= MOST_WAITING

    def due(self, now: int) -> tuple[Lane, ...]:
        """The lanes whose first event is to be tried, the longest due first."""
        lanes = [lane for lane in self.lanes.values() if not lane.held and lane.due_at <= now]
        return tuple(sorted(lanes, key=lambda lane: (lane.due_at, lane.first)))

    def holding(self, position: int) -> Lane | None:
        """The lane whose first event this is."""
        return next((lane for lane in self.lanes.values() if lane.first == position), None)

    # --- what became of it

    def moved(self, position: int) -> Progress:
        """Everything up to a position was taken or waits."""
        return evolve(self, position=max(self.position, position))

    def behind(self, lane: str, positions: Iterable[int], now: int) -> Progress:
        """Events wait, behind those of their lane that do already."""
        before = self.lanes.get(lane)
        new = tuple(positions)
        if not new:
            return self
        if before is None:
            return self._with(Lane(lane=lane, positions=new, due_at=now))
        return self._with(evolve(before, positions=(*before.positions, *new)))

    def taken(self, position: int, now: int) -> Progress:
        """The first event of a lane was taken; nothing changes if it does not wait any more."""
        lane = self.holding(position)
        return self if lane is None else self._without(lane, lane.without_first(now))

    def refused(self, position: int, refusal: Refusal) -> Progress:
        """The first event of a lane was refused; nothing changes if it does not wait any more."""
        lane = self.holding(position)
        if lane is None or lane.held:
            return self
        answer, attempts = refusal.answer, lane.attempts + 1
        held = attempts > len(refusal.waits_ms)
        wait = 0 if held else refusal.waits_ms[attempts - 1] * (0.5 + refusal.jitter) / refusal.scale
        return self._with(
            evolve(
                lane,
                attempts=attempts,
                due_at=refusal.now + max(int(wait), answer.wait_ms),
                since=lane.since or refusal.now,
                passing=answer.passing,
                held=held,
                detail=answer.detail,
            )
        )

    def roused(self, now: int) -> Progress:
        """The other side is back: what it only was away for is due at once."""
        lanes = {
            name: evolve(lane, due_at=min(lane.due_at, now)) if lane.passing and not lane.held else lane
            for name, lane in self.lanes.items()
        }
        return evolve(self, lanes=lanes)

    def redriven(self, now: int, position: int | None = None) -> Progress:
        """A person wants it tried again from the beginning of the calendar: one lane, or everything."""
        lanes = {
            name: Lane(lane=name, positions=lane.positions, due_at=now, detail=lane.detail)
            if position in {None, lane.first}
            else lane
            for name, lane in self.lanes.items()
        }
        return evolve(self, lanes=lanes, stopped=None if position is None else self.stopped)

    def _with(self, lane: Lane) -> Progress:
        return evolve(self, lanes={**self.lanes, lane.lane: lane})

    def _without(self, lane: Lane, rest: Lane | None) -> Progress:
        others = {name: other for name, other in self.lanes.items() if name != lane.lane}
        return evolve(self, lanes=others if rest is None else {**others, lane.lane: rest})
