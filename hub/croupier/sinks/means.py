"""What feeding a sink needs of the rest of the hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from attrs import frozen

from croupier.configuration.directory import Directory, LiveSink
from croupier.ledger.port import Ledger, Owner
from croupier.ledger.records import StoredEvent
from croupier.sinks.lanes import Progress
from croupier.wallet.ports import Clock, Ids, Send


class Log(Protocol):
    """A structured log: an event's name, and fields."""

    def warning(self, event: str, **fields: Any) -> Any:
        """What somebody may want to look into."""

    def error(self, event: str, **fields: Any) -> Any:
        """What must be looked into."""


class SinkMetrics(Protocol):
    """Counts of what sinks are fed."""

    def sink_events(self, *, sink: str, outcome: str, count: int) -> None:
        """So many events were tried; `outcome` is `taken` or `refused`."""

    def sink_stands(self, *, sink: str, behind: int, waiting: int, held: int) -> None:
        """How far a sink is behind the newest event, and how many events wait, or wait for a person."""

    def sink_left(self, *, sink: str) -> None:
        """This process feeds a sink no more."""


@frozen(kw_only=True, eq=False)
class Means:
    """The rooms below, as far as sinks need them.

    Attributes:
        ledger: The record.
        directory: What is configured now.
        send: Sends one request once, to addresses that the guard allows.
        refuses_host: Why a stream's host may not be connected to, or `None` if it may.
        clock: Time.
        ids: Chance.
        owner: This process.
        log: Told of what fails.
        metrics: Counts.
        scale: Every wait is divided by this: 1 in production.
    """

    ledger: Ledger
    directory: Callable[[], Directory]
    send: Send
    refuses_host: Callable[[str], Awaitable[str | None]]
    clock: Clock
    ids: Ids
    owner: Owner
    log: Log
    metrics: SinkMetrics
    scale: float = 1.0

    def failed(self, live: LiveSink, error: Exception) -> None:
        """Log what should not have happened: a fault of a plugin or of this room, which stops no other sink."""
        fault = type(error).__name__
        self.log.error("sink_failed", operator=live.operator, slug=live.document.name, fault=fault, exc_info=error)


def label(live: LiveSink) -> str:
    """A sink's name among those of every operator."""
    return f"{live.operator}/{live.document.name}"


def wants(live: LiveSink, stored: StoredEvent) -> bool:
    """Whether an event is for a sink.

    Events about sinks themselves are told by the admin API and to no sink: they would beget one another.
    """
    kind = stored.event.kind
    return not kind.startswith("sink.") and live.document.wants(kind)


@frozen(kw_only=True)
class Step:
    """What one step came to.

    Attributes:
        apply: Changes the progress; may be done again on a newer one that a person has changed meanwhile.
        more: Whether there may be more to do at once.
        pause_ms: How long to leave the sink alone, if not.
        missed: The first and the last of the events that the record does not hold any more, and this sink never read.
    """

    apply: Callable[[Progress], Progress]
    more: bool = False
    pause_ms: int = 0
    missed: tuple[int, int] | None = None


def gap(position: int, stored: Sequence[StoredEvent]) -> tuple[int, int] | None:
    """The first and the last position missing between a cursor and what is read beyond it: positions have no gaps."""
    if not stored or stored[0].position == position + 1:
        return None
    return position + 1, stored[0].position - 1


class Course(Protocol):
    """How one kind of sink is fed."""

    async def step(self, progress: Progress) -> Step | None:
        """Feed it a little; `None` if there is nothing to do now."""

    def stop(self) -> None:
        """Begin nothing new: the step that is under way ends soon."""

    async def close(self) -> None:
        """Let go of what is open."""
