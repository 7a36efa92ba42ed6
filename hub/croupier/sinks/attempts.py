"""Attempts to deliver an event, as exchanges of the record: what became of a movement tells of them, too."""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import define, field

from croupier.configuration.directory import LiveSink
from croupier.contract import (
    EndpointGone,
    EventAnswer,
    EventRefused,
    EventTaken,
    HttpRequest,
    HttpResponse,
    SinkEvent,
)
from croupier.ledger.records import ExchangeRow
from croupier.sinks.means import Means


@define(eq=False)
class Attempt:
    """One attempt, from its beginning.

    Attributes:
        means: The rooms below.
        live: The sink.
        event: The event.
    """

    means: Means
    live: LiveSink
    event: SinkEvent
    _started: int = field(init=False)
    _began: float = field(init=False)
    _request: str = field(default="", init=False)
    _status: int | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._started, self._began = self.means.clock.now_ms(), self.means.clock.monotonic()

    def asks(self, request: HttpRequest) -> HttpRequest:
        """What is sent; of it is kept where to: queries and bodies may hold credentials and personal fields."""
        target = urlsplit(request.url)
        self._request = f"{request.method} {target.scheme}://{target.hostname}{target.path}"
        return request

    def hears(self, response: HttpResponse) -> HttpResponse:
        """What is answered; of it is kept the status."""
        self._status = response.status
        return response

    def note(self, answer: EventAnswer) -> None:
        """Note it, if it is about a movement: by these exchanges are found, and a standing tells of all else."""
        movement = self._movement()
        if movement is None:
            return
        means = self.means
        means.ledger.note(
            ExchangeRow(
                operator=self.live.operator,
                exchange=means.ids.new_id(),
                side="operator_out",
                operation=self.event.kind,
                movement=movement,
                request=self._request,
                status=self._status,
                verdict=_verdict(answer),
                decision={"sink": self.live.document.name, "position": self.event.position},
                started_at=self._started,
                duration_us=int((means.clock.monotonic() - self._began) * 1_000_000),
            )
        )

    def _movement(self) -> str | None:
        about, _, _ = self.event.kind.partition(".")
        found = self.event.data.get("subject" if about == "movement" else "movement")
        return found if isinstance(found, str) else None


def _verdict(answer: EventAnswer) -> str:
    match answer:
        case EventTaken():
            return "taken"
        case EventRefused(detail=detail) | EndpointGone(detail=detail):
            return f"refused: {detail}"
