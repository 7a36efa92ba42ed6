"""What is kept of a provider's request: the exchange, one line in the log, the counts.

A request whose origin is not proven is kept by method and path alone; of a proven one the adapter says what may be
kept. Of answers only status, type, size and digest are kept: they carry tokens and names, and no adapter redacts them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, fields

from croupier.configuration.directory import LiveConnection
from croupier.contract import HttpRequest, HttpResponse, Policy, Result, Verified, WireCurrency, digest_hex
from croupier.contract.values import immutable
from croupier.ledger.port import Ledger
from croupier.ledger.records import ExchangeRow
from croupier.wallet.ports import Clock, Ids
from croupier.web.ports import GatewayMetrics, Log
from croupier.web.results import transaction_of

_SHOWN_PATH: Final = 200
_SHOWN_MESSAGE: Final = 16_384
_DEFAULT_POLICY: Final = Policy()
NOTHING: Final[Mapping[str, Any]] = {}
"""The decision of a request that came to no policy."""

_KNOBS: Final = tuple(attribute.name for attribute in fields(Policy))


@immutable
class Arrival:
    """What is known of a request from the beginning.

    Attributes:
        live: The connection it came to.
        request: The request.
        trace: The id of its trace.
        at: When it came (milliseconds since 1970).
        monotonic: The same by the clock that deadlines are counted on.
    """

    live: LiveConnection
    request: HttpRequest
    trace: str
    at: int
    monotonic: float


@immutable
class Answer:
    """An answer, and what the record shall say of it.

    Attributes:
        response: The answer; `None` where the provider hung up before there was one.
        verdict: `applied`, `declined`, `unknown` or `error`.
        reason: The decline reason, the cause, or the error's code.
        operation: The adapter's name of the operation, as far as it was found out.
        verified: What was proven; `None` where nothing was.
        decision: The policy that decided, where it was looked up, as `decision_of` tells it.
        results: What the engine said.
    """

    response: HttpResponse | None
    verdict: str
    reason: str
    operation: str
    verified: Verified | None = field(default=None, kw_only=True, repr=False)
    decision: Mapping[str, Any] = field(default=NOTHING, kw_only=True)
    results: tuple[Result, ...] = field(default=(), kw_only=True)


@define(eq=False)
class ProviderRecord:
    """Writes the record, once the answers are on their way: nobody waits for it.

    What a process had not written when it was killed is lost, as an exchange may be (`Ledger.note`).

    Attributes:
        ledger: Keeps the exchanges.
        clock: Time.
        ids: Fresh identities.
        log: One line for each request.
        metrics: Counts.
    """

    ledger: Ledger = field(repr=False)
    clock: Clock = field(repr=False)
    ids: Ids = field(repr=False)
    log: Log = field(repr=False)
    metrics: GatewayMetrics = field(repr=False)
    _waiting: list[tuple[Arrival, Answer, float]] = field(factory=list, init=False)

    def keep(self, arrival: Arrival, answer: Answer) -> None:
        """Keep one request and its answer; it is written when the event loop comes to it."""
        self._waiting.append((arrival, answer, self.clock.monotonic() - arrival.monotonic))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self.write)

    def write(self) -> None:
        """Write what is kept."""
        waiting, self._waiting = self._waiting, []
        for arrival, answer, seconds in waiting:
            try:
                self._write(arrival, answer, seconds)
            except Exception as error:  # noqa: BLE001 - the other requests are to be written all the same
                self._complain(arrival, error)

    def _complain(self, arrival: Arrival, error: Exception) -> None:
        self.log.error(
            "provider_call_not_kept",
            operator=arrival.live.connection.operator.id,
            trace=arrival.trace,
            fault=type(error).__name__,
        )

    def _write(self, arrival: Arrival, answer: Answer, seconds: float) -> None:
        connection, response = arrival.live.connection, answer.response
        operator, operation = connection.operator.id, answer.operation[:64]
        status = response.status if response else None
        duration_us = round(seconds * 1_000_000)
        self.ledger.note(
            ExchangeRow(
                operator=operator,
                exchange=self.ids.new_id(),
                side="provider_in",
                operation=operation,
                connection=connection.id,
                trace=arrival.trace,
                movement=transaction_of(answer.results),
                request=shown_request(arrival, answer.verified),
                response=shown_response(response) if response else "",
                status=status,
                verdict=f"{answer.verdict}:{answer.reason}" if answer.reason else answer.verdict,
                decision=answer.decision,
                started_at=arrival.at,
                duration_us=duration_us,
            )
        )
        self.metrics.provider_call(
            operator=operator,
            connection=connection.name,
            operation=operation,
            verdict=answer.verdict,
            seconds=seconds,
        )
        self.log.info(
            "provider_call",
            operator=operator,
            connection=connection.name,
            operation=operation,
            verdict=answer.verdict,
            reason=answer.reason,
            status=status,
            duration_us=duration_us,
            trace=arrival.trace,
            request_bytes=len(arrival.request.body),
            response_bytes=len(response.body) if response else 0,
        )


def shown_request(arrival: Arrival, verified: Verified | None) -> str:
    """A request as it may be stored."""
    request = arrival.request
    if verified is None:
        return _unproven(request)
    try:
        shown = arrival.live.adapter.redact_verified(verified)
    except Exception:  # noqa: BLE001 - a fault of an adapter must not cost the record
        return f"{_unproven(request)}\nCroupier-Redaction: failed"
    text = f"{shown.method} {shown.url}"
    for name, value in shown.headers.items:
        text += f"\n{name}: {value}"
    if shown.body:
        text += "\n\n" + shown.body.decode("utf-8", "replace")
    return text[:_SHOWN_MESSAGE]


def _unproven(request: HttpRequest) -> str:
    return f"{request.method} {request.url.partition('?')[0][:_SHOWN_PATH]}"


def shown_response(response: HttpResponse) -> str:
    """An answer as it may be stored."""
    kind = response.headers.get("Content-Type", "")
    return f"{response.status}\nContent-Type: {kind}\n\n{len(response.body)} bytes, SHA-256 {digest_hex(response.body)}"


def decision_of(policy: Policy) -> dict[str, Any]:
    """The knobs of a policy that differ from the contract's defaults, JSON-ready."""
    return {
        name: plain_value(value)
        for name in _KNOBS
        if (value := getattr(policy, name)) != getattr(_DEFAULT_POLICY, name)
    }


def plain_value(value: Any) -> Any:
    """A knob's value, JSON-ready."""
    match value:
        case None | bool() | int() | str():
            return value
        case Mapping():
            return {str(key): plain_value(item) for key, item in value.items()}
        case frozenset():
            return sorted(str(item) for item in value)
        case tuple():
            return [plain_value(item) for item in value]
        case WireCurrency():
            return {"code": value.code, "currency": value.currency, "ratio": str(value.ratio)}
        case _:
            return str(getattr(value, "value", value))
