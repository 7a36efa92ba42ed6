"""Event sinks: where the hub's committed events go, at least once and, for each player, in order.

A sink is one of two things. An `EventEndpoint` takes one event a request: it is pure, and the hub sends, repeats by the
endpoint's calendar, and keeps the order. An `EventStream` takes batches over a connection of its own; what it has not
confirmed is written again. Either way the hub remembers durably what was confirmed, and goes on from there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from attrs import field, frozen

from croupier.contract.adapter import ADAPTER_API
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.secrets import Credentials, SecretField
from croupier.contract.strict_json import write_json
from croupier.contract.times import iso_utc


@frozen(kw_only=True)
class SinkEvent:
    """Something that became true, as the operator is told it.

    Attributes:
        id: A UUID; the same for every attempt and every sink, and another for every other event.
        operator: The operator's id.
        position: Its place among the operator's events: it rises, and an event that comes again comes with the same.
        kind: What became true: `movement.applied`, `round.closed`, ...
        at: When (UTC).
        lane: The player that it is about, as a surrogate, or empty: events of one lane are delivered in order.
        data: More about it, ready for JSON. Players are named by the operator's own ids; an amount is a whole number
            of minor units with its currency and scale.
    """

    id: str
    operator: str
    position: int
    kind: str
    at: datetime
    lane: str = ""
    data: Mapping[str, Any] = field(factory=dict, repr=False)

    def message(self) -> bytes:
        """The event as the JSON text that sinks send: `type`, `timestamp` and `data` (Standard Webhooks, "Payload").

        Example:
            >>> from datetime import UTC
            >>> at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
            >>> SinkEvent(id="e1", operator="o1", position=7, kind="round.closed", at=at, data={"a": 7}).message()
            b'{"type":"round.closed","timestamp":"2026-01-02T03:04:05.000Z","data":{"a":7}}'
        """
        return write_json({"type": self.kind, "timestamp": iso_utc(self.at), "data": dict(self.data)})


@frozen
class EventTaken:
    """The other side has the event."""


@frozen(kw_only=True)
class EventRefused:
    """The other side has not taken the event: it is sent again.

    Attributes:
        detail: What it answered, without secrets or player data.
        passing: Whether it says nothing of this event: a server that is away, busy or broken.
        wait_ms: How long it asks to be left alone.
    """

    detail: str
    passing: bool = False
    wait_ms: int = 0


@frozen(kw_only=True)
class EndpointGone:
    """The other side wants no events any more: nothing is sent until a person says so.

    Attributes:
        detail: What it answered, without secrets or player data.
    """

    detail: str


EventAnswer = EventTaken | EventRefused | EndpointGone


@frozen(kw_only=True)
class SinkSpec:
    """What a sink says of itself; a package's hook `croupier_event_sinks` returns these.

    Attributes:
        slug: Its name in configuration.
        name: The name for people.
        secrets: The secrets that a configured sink has.
        settings: An attrs class of its settings.
        create: Makes the sink from an instance of `settings`.
        api: The `ADAPTER_API` it was written against.
    """

    slug: str
    name: str
    secrets: tuple[SecretField, ...]
    settings: type
    create: Callable[[Any], EventEndpoint | EventStream]
    api: int = ADAPTER_API


class EventEndpoint(ABC):
    """A sink that takes one event a request. Immutable, and free of any I/O.

    Attributes:
        spec: What it says of itself.
        waits_ms: The calendar: how long to wait after the first failed attempt, the second, and so on. An event that
            failed once more often than that is held for a person.
        timeout_seconds: How long one attempt may take, up to 20 seconds.
    """

    spec: SinkSpec
    waits_ms: ClassVar[tuple[int, ...]]
    timeout_seconds: float = 15.0

    def check(self, credentials: Credentials) -> None:  # noqa: B027 # most sinks take whatever secrets there are
        """Refuse secrets that cannot work; asked before they are stored.

        Raises:
            SettingsError: They cannot; `where` begins with `secrets`.
        """

    @abstractmethod
    def request(self, event: SinkEvent, credentials: Credentials, now: datetime) -> HttpRequest:
        """Write and sign the request. The same event at another time differs by time stamp and signature alone."""

    @abstractmethod
    def answer(self, response: HttpResponse) -> EventAnswer:
        """Read the answer. Total."""


class StreamWriter(ABC):
    """An open way to a stream."""

    @abstractmethod
    async def write(self, events: Sequence[SinkEvent]) -> None:
        """Write events in their order; returns once the other side has confirmed every one.

        Raises:
            RetryLaterError: It has not, and may have taken some: all of them are written again later.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of the connection."""


class EventStream(ABC):
    """A sink that takes batches over a connection of its own.

    Attributes:
        spec: What it says of itself.
        host: The host that it connects to, which the hub's guard must allow; empty for this machine.
    """

    spec: SinkSpec
    host: str = ""

    def check(self, credentials: Credentials) -> None:  # noqa: B027 # most sinks take whatever secrets there are
        """Refuse secrets that cannot work; asked before they are stored.

        Raises:
            SettingsError: They cannot; `where` begins with `secrets`.
        """

    @abstractmethod
    def open(self, credentials: Credentials) -> StreamWriter:
        """A writer; it connects when it is first used, and again after a loss."""
