"""Drives the adapters' outbound flows and notes every exchange with a provider."""

from __future__ import annotations

import re
from typing import Final, TypeVar
from urllib.parse import urlsplit

from attrs import evolve

from croupier.configuration.directory import LiveConnection
from croupier.contract import Flow, Headers, HttpRequest, HttpResponse, TransportError
from croupier.ledger.port import Ledger
from croupier.ledger.records import ExchangeRow
from croupier.net.driver import FlowLimits, drive
from croupier.wallet.parties import Connection
from croupier.wallet.ports import Clock, Ids, Send

T = TypeVar("T")

_TRACE_ID: Final = re.compile("[0-9a-f]{32}")


class OutboundDriver:
    """Runs flows for connections.

    Args:
        send: Sends one request once.
        ledger: Where exchanges are noted.
        clock: Time.
        ids: Chance and ids.
        limits: What one flow may cost.
    """

    def __init__(self, send: Send, ledger: Ledger, clock: Clock, ids: Ids, limits: FlowLimits | None = None) -> None:
        self._send = send
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._limits = limits or FlowLimits()

    async def __call__(self, flow: Flow[T], live: LiveConnection, *, operation: str, trace: str) -> T:
        """Run a flow to its end.

        Args:
            flow: What an adapter's launch, game list, ... returned.
            live: The connection that it belongs to.
            operation: The adapter's name of it.
            trace: The trace that it belongs to.

        Raises:
            CroupierError: What the flow raised.
        """

        async def noted(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
            return await self._exchange(request, timeout_seconds, live.connection, operation, trace)

        return await drive(flow, noted, limits=self._limits, clock=self._clock, ids=self._ids)

    async def _exchange(
        self, request: HttpRequest, timeout_seconds: float, connection: Connection, operation: str, trace: str
    ) -> HttpResponse:
        started, began = self._clock.now_ms(), self._clock.monotonic()
        status: int | None = None
        verdict = "answered"
        try:
            response = await self._send(self._traced(request, trace), timeout_seconds)
            status = response.status
            return response
        except TransportError as error:
            verdict = error.problem.value
            raise
        finally:
            target = urlsplit(request.url)
            self._ledger.note(
                ExchangeRow(
                    operator=connection.operator.id,
                    exchange=self._ids.new_id(),
                    connection=connection.id,
                    side="provider_out",
                    operation=operation,
                    trace=trace,
                    # Queries and bodies may hold credentials and personal fields; where it went is enough.
                    request=f"{request.method} {target.scheme}://{target.hostname}{target.path}",
                    status=status,
                    verdict=verdict,
                    started_at=started,
                    duration_us=int((self._clock.monotonic() - began) * 1_000_000),
                )
            )

    def _traced(self, request: HttpRequest, trace: str) -> HttpRequest:
        if not _TRACE_ID.fullmatch(trace):
            return request
        parent = f"00-{trace}-{self._ids.nonce()[:16]}-01"
        return evolve(request, headers=Headers((*request.headers, ("traceparent", parent))))
