"""What is kept of a provider's request: the exchange, one line in the log, the counts.

A request whose origin is not proven is kept by method and path alone; of a proven one the adapter says what may be
kept. Of answers only status, type, size and digest are kept: they carry tokens and names, and no adapter redacts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, fields, frozen

from croupier.configuration.directory import LiveConnection
from croupier.contract import Headers, HttpRequest, HttpResponse, Policy, Result, WireCurrency, digest_hex
from croupier.ledger.port import Ledger
from croupier.ledger.records import ExchangeRow
from croupier.wallet.ports import Clock, Ids
from croupier.web.ports import GatewayMetrics, Log
from croupier.web.results import transaction_of
from croupier.web.tracing import TraceContext

_SHOWN_PATH: Final = 200
_SHOWN_MESSAGE: Final = 16_384
_DEFAULT_POLICY: Final = Policy()
_KNOBS: Final = tuple(attribute.name for attribute in fields(Policy))


@frozen(kw_only=True)
class Arrival:
    """What is known of a request from the beginning.

    Attributes:
        live: The connection it came to.
        request: The request.
        trace: Its trace.
        at: When it came (milliseconds since 1970).
        monotonic: The same by the clock that deadlines are counted on.
    """

    live: LiveConnection
    request: HttpRequest
    trace: TraceContext
    at: int
    monotonic: float


@frozen(kw_only=True)
class Answer:
    """An answer, and what the record shall say of it.

    Attributes:
        response: The answer; `None` where the provider hung up before there was one.
        verdict: `applied`, `declined`, `unknown` or `error`.
        reason: The decline reason, the cause, or the error's code.
        operation: The adapter's name of the operation, as far as it was found out.
        proven: Whether the origin was proven.
        results: What the engine said.
        policy: The policy that decided, where it was looked up.
    """

    response: HttpResponse | None
    verdict: str
    reason: str
    operation: str = ""
    proven: bool = False
    results: tuple[Result, ...] = ()
    policy: Policy | None = None


@frozen
class ProviderRecord:
    """Writes the record.

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

    def keep(self, arrival: Arrival, answer: Answer) -> None:
        """Keep one request and its answer."""
        seconds = self.clock.monotonic() - arrival.monotonic
        connection = arrival.live.connection
        response = answer.response
        operation = answer.operation[:64]
        self.ledger.note(
            ExchangeRow(
                operator=connection.operator.id,
                exchange=self.ids.new_id(),
                side="provider_in",
                operation=operation,
                connection=connection.id,
                trace=arrival.trace.trace,
                movement=transaction_of(answer.results),
                request=shown_request(arrival, proven=answer.proven),
                response=shown_response(response) if response else "",
                status=response.status if response else None,
                verdict=f"{answer.verdict}:{answer.reason}" if answer.reason else answer.verdict,
                decision=decision_of(answer.policy),
                started_at=arrival.at,
                duration_us=round(seconds * 1_000_000),
            )
        )
        self.metrics.provider_call(
            operator=connection.operator.id,
            connection=connection.name,
            operation=operation,
            verdict=answer.verdict,
            seconds=seconds,
        )
        self.log.info(
            "provider_call",
            operator=connection.operator.id,
            connection=connection.name,
            operation=operation,
            verdict=answer.verdict,
            reason=answer.reason,
            status=response.status if response else None,
            duration_us=round(seconds * 1_000_000),
            trace=arrival.trace.trace,
            request_bytes=len(arrival.request.body),
            response_bytes=len(response.body) if response else 0,
        )


def shown_request(arrival: Arrival, *, proven: bool) -> str:
    """A request as it may be stored."""
    request = arrival.request
    shown = HttpRequest(request.method, request.url.partition("?")[0][:_SHOWN_PATH])
    if proven:
        try:
            shown = arrival.live.adapter.redact(request)
        except Exception:  # noqa: BLE001 - a fault of an adapter must not cost the record
            shown = HttpRequest(shown.method, shown.url, Headers((("Croupier-Redaction", "failed"),)))
    lines = [f"{shown.method} {shown.url}", *(f"{name}: {value}" for name, value in shown.headers)]
    text = "\n".join(lines)
    if shown.body:
        text += "\n\n" + shown.body.decode("utf-8", "replace")
    return text[:_SHOWN_MESSAGE]


def shown_response(response: HttpResponse) -> str:
    """An answer as it may be stored."""
    kind = response.headers.get("Content-Type", "")
    return f"{response.status}\nContent-Type: {kind}\n\n{len(response.body)} bytes, SHA-256 {digest_hex(response.body)}"


def decision_of(policy: Policy | None) -> Mapping[str, Any]:
    """The knobs of a policy that differ from the contract's defaults, JSON-ready."""
    if policy is None:
        return {}
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
