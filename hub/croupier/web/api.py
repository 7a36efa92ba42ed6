"""A JSON API as one table of endpoints: the table answers requests and makes the OpenAPI document.

An endpoint names its classes (query, body, answer) and its handler; mypy holds them together. Handlers get values that
are already read and checked, and raise `CroupierError`.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, Generic, TypeVar

from attrs import field, frozen

from croupier.contract import (
    BodyTooLargeError,
    CroupierError,
    Headers,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    NotFoundError,
    UnsupportedOperationError,
)
from croupier.wallet.ports import Clock, Ids
from croupier.web.apps import Incoming, Probes
from croupier.web.decoding import read_body, read_query, read_segment, write_json
from croupier.web.ports import ApiMetrics, Log
from croupier.web.problems import API_HEADERS, problem_answer
from croupier.web.tracing import TraceContext, continue_trace

CallerT = TypeVar("CallerT")
QueryT = TypeVar("QueryT")
BodyT = TypeVar("BodyT")
AnswerT = TypeVar("AnswerT")


@frozen(kw_only=True)
class Nothing:
    """No query parameters, or no body."""


@frozen(kw_only=True)
class Ask(Generic[CallerT, QueryT, BodyT]):
    """One request to an endpoint, read and checked.

    Attributes:
        caller: Who asks.
        path: The values of the path's parameters.
        query: The query.
        body: The body.
        trace: The trace it belongs to.
    """

    caller: CallerT
    path: Mapping[str, str]
    query: QueryT
    body: BodyT
    trace: TraceContext


@frozen(kw_only=True)
class Endpoint(Generic[CallerT, QueryT, BodyT, AnswerT]):
    """One line of the table.

    Attributes:
        method: The HTTP method.
        path: The path, with parameters in braces.
        operation: Its name: in logs, metrics, and as `operationId`.
        summary: What it does, in one sentence.
        handler: Does it.
        query: The class of the query.
        body: The class of the body; `Nothing` for none.
        answer: The class of the answer.
        status: The status of success.
        tag: The group it is shown in.
    """

    method: str
    path: str
    operation: str
    summary: str
    handler: Callable[[Ask[CallerT, QueryT, BodyT]], Awaitable[AnswerT]]
    query: type[QueryT]
    body: type[BodyT]
    answer: type[AnswerT]
    status: int = 200
    tag: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path's braces."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


AnyEndpoint = Endpoint[Any, Any, Any, Any]

Document = Callable[[], HttpResponse]
"""A document for everybody, made when it is first asked for."""


def endpoint(
    method: str,
    path: str,
    operation: str,
    summary: str,
    *,
    handler: Callable[[Ask[CallerT, QueryT, BodyT]], Awaitable[AnswerT]],
    query: type[QueryT],
    body: type[BodyT],
    answer: type[AnswerT],
    tag: str,
    status: int = 200,
) -> AnyEndpoint:
    """One line of the table; here, and not in a list of mixed types, mypy holds handler and classes together."""
    return Endpoint(
        method=method,
        path=path,
        operation=operation,
        summary=summary,
        handler=handler,
        query=query,
        body=body,
        answer=answer,
        tag=tag,
        status=status,
    )


class RouteTable:
    """Finds the endpoint of a request."""

    def __init__(self, endpoints: Iterable[AnyEndpoint]) -> None:
        self.endpoints: Final = tuple(endpoints)
        self._by_shape: dict[int, list[tuple[tuple[str, ...], AnyEndpoint]]] = {}
        for endpoint in self.endpoints:
            parts = tuple(endpoint.path.split("/"))
            self._by_shape.setdefault(len(parts), []).append((parts, endpoint))

    def find(self, request: HttpRequest) -> tuple[AnyEndpoint, dict[str, str]]:
        """The endpoint and its path's values.

        Raises:
            NotFoundError: There is no such path.
            UnsupportedOperationError: The path has no such method.
        """
        parts = request.url.partition("?")[0].split("/")
        methods = set()
        for shape, endpoint in self._by_shape.get(len(parts), ()):
            if all(part == wanted or (wanted[:1] == "{" and part) for part, wanted in zip(parts, shape, strict=True)):
                if endpoint.method == request.method:
                    pairs = zip(parts, shape, strict=True)
                    return endpoint, {
                        name[1:-1]: read_segment(part, name[1:-1]) for part, name in pairs if name[:1] == "{"
                    }
                methods.add(endpoint.method)
        if methods:
            raise NoMethodError(sorted(methods))
        raise NotFoundError("there is no such address")


class NoMethodError(UnsupportedOperationError):
    """The address exists, the method does not."""

    def __init__(self, methods: Sequence[str]) -> None:
        super().__init__("the address has no such method", hint=f"it has {', '.join(methods)}")
        self.methods = methods


@frozen(kw_only=True, eq=False)
class JsonApi(Generic[CallerT]):
    """A JSON API as an app.

    Attributes:
        name: Its name in logs and metrics.
        table: Its endpoints.
        admit: Who a request speaks for; raises `AuthenticationError` or `ForbiddenError`.
        label: How the log names a caller: without secrets.
        documents: What is shown to everybody, by path: the OpenAPI document and the documentation.
        docs: The address of the documentation of errors.
        clock: Time.
        ids: Fresh identities.
        log: One line for each request.
        metrics: Counts.
        probes: The probes, where this listener answers them.
        body_limit: The largest body.
        check_address: Raises `RateLimitedError` for the address of a caller that sends too much.
        check_caller: Raises `RateLimitedError` for a caller that sends too much.
    """

    name: str
    table: RouteTable
    admit: Callable[[HttpRequest], CallerT]
    label: Callable[[CallerT], str]
    documents: Mapping[str, Document] = field(repr=False)
    docs: str
    clock: Clock
    ids: Ids
    log: Log
    metrics: ApiMetrics
    probes: Probes | None = None
    body_limit: int = 262_144
    check_address: Callable[[str], None] | None = None
    check_caller: Callable[[CallerT], None] | None = None

    async def answer(self, incoming: Incoming) -> HttpResponse:
        """Answer one request."""
        request = incoming.request
        probe = self.probes.answer(request) if self.probes else None
        if probe is not None:
            return probe
        if request.method in {"GET", "HEAD"} and (shown := self.documents.get(request.url.partition("?")[0])):
            return shown()
        began = self.clock.monotonic()
        trace = continue_trace(request.headers, self.ids)
        seen = _Seen()
        try:
            response = await self._serve(incoming, trace, seen)
        except CroupierError as error:
            seen.code = error.code
            response = self._refused(error)
        except Exception as error:  # noqa: BLE001 - a caller learns nothing of the hub's inside
            seen.code = CroupierError.code
            self._complain(error, trace)
            response = problem_answer(CroupierError("an internal error", hint="report the trace id"), self.docs)
        seconds = self.clock.monotonic() - began
        self.metrics.api_call(api=self.name, operation=seen.operation, status=response.status, seconds=seconds)
        self.log.info(
            "api_call",
            api=self.name,
            operation=seen.operation,
            caller=seen.caller,
            status=response.status,
            code=seen.code,
            duration_us=round(seconds * 1_000_000),
            trace=trace.trace,
            request_bytes=len(request.body),
            response_bytes=len(response.body),
        )
        traced = (*response.headers, ("Traceparent", trace.traceparent))
        return HttpResponse(response.status, Headers(traced), response.body)

    async def drain(self, seconds: float) -> int:
        """Nothing outlives its request."""
        return 0

    async def _serve(self, incoming: Incoming, trace: TraceContext, seen: _Seen) -> HttpResponse:
        request = incoming.request
        if self.check_address is not None:
            self.check_address(incoming.source)
        caller = self.admit(request)
        seen.caller = self.label(caller)
        if self.check_caller is not None:
            self.check_caller(caller)
        if len(request.body) > self.body_limit:
            raise BodyTooLargeError("the body is too large", hint=f"at most {self.body_limit} bytes")
        endpoint, path = self.table.find(request)
        seen.operation = endpoint.operation
        ask = Ask(
            caller=caller,
            path=path,
            query=read_query(endpoint.query, request.query),
            body=_body(endpoint, request),
            trace=trace,
        )
        answer = await endpoint.handler(ask)
        return HttpResponse(endpoint.status, Headers(API_HEADERS), write_json(answer))

    def _refused(self, error: CroupierError) -> HttpResponse:
        response = problem_answer(error, self.docs)
        if isinstance(error, NoMethodError):
            allow = ("Allow", ", ".join(error.methods))
            return HttpResponse(405, Headers((*response.headers, allow)), response.body)
        return response

    def _complain(self, error: Exception, trace: TraceContext) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        self.log.error(
            "api_call_failed",
            api=self.name,
            trace=trace.trace,
            fault=type(error).__name__,
            places=[f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
        )


class _Seen:
    """What the log shall say of a request, as far as it came."""

    __slots__ = ("caller", "code", "operation")

    def __init__(self) -> None:
        self.caller = ""
        self.code = ""
        self.operation = ""


def _body(endpoint: AnyEndpoint, request: HttpRequest) -> Any:
    if endpoint.body is Nothing:
        if request.body:
            raise MalformedRequestError("expected no body", where="body")
        return Nothing()
    kind = (request.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise MalformedRequestError("expected application/json", where="Content-Type")
    return read_body(endpoint.body, request.body)


def bearer_of(request: HttpRequest) -> str:
    """The bearer key of a request, or an empty text: where there is none, or more than one."""
    given = request.headers.all("Authorization")
    if len(given) != 1:
        return ""
    scheme, _, key = given[0].strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
