"""The provider gateway: one request of a provider, from its bytes to its answer.

Address, certificate, size and route are checked first, then the adapter proves the origin and reads the request, the
engine works, the adapter answers. A provider learns of a failure in its own protocol and nothing of the hub's inside.
If it hangs up, the work that was begun is finished all the same.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Final, TypeVar

from attrs import evolve, frozen

from croupier.configuration.directory import Directory
from croupier.configuration.documents import ClientCertificate
from croupier.contract import (
    AuthenticationError,
    BodyTooLargeError,
    Calls,
    CroupierError,
    ForbiddenError,
    Headers,
    HttpRequest,
    HttpResponse,
    NotFoundError,
    OverloadedError,
    Result,
    RetryLaterError,
    Route,
    StoreUnavailableError,
    UnknownCause,
    UnsupportedOperationError,
    same_secret,
)
from croupier.ledger.port import Ledger
from croupier.wallet.ports import Clock, Ids
from croupier.web.addresses import PresentedCertificate, client_address, is_in
from croupier.web.ports import Engine, GatewayMetrics, Log
from croupier.web.provider_record import Answer, Arrival, ProviderRecord
from croupier.web.results import may_be_shed, not_known_yet, verdict_of
from croupier.web.tracing import TraceContext

T = TypeVar("T")

NO_SUCH_ADDRESS: Final = HttpResponse.text("404: Not Found", 404)
"""The answer where there is no connection: the same for an unknown operator and for an unknown connection."""

DOWN: Final = HttpResponse(
    503, Headers((("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "10"))), b"503: Service Unavailable"
)
"""The answer of a connection that cannot work now: its provider must ask again, for wins are owed to players."""


@frozen(kw_only=True)
class GatewayLimits:
    """How much the gateway takes on.

    Attributes:
        body_bytes: The largest body of a request.
        under_way: How many requests of one operator may be worked on at once. Beyond it the hub refuses what a
            provider may repeat without harm; wins and rollbacks are always taken.
    """

    body_bytes: int = 1_048_576
    under_way: int = 1_000


class Gateway:
    """Serves the providers' requests.

    Args:
        directory: Gives the directory that is in force now; it changes without a restart.
        engine: The money path.
        ledger: Keeps the exchanges.
        clock: Time.
        ids: Fresh identities.
        log: One line for each request.
        metrics: Counts.
        limits: How much is taken on.
    """

    def __init__(
        self,
        *,
        directory: Callable[[], Directory],
        engine: Engine,
        ledger: Ledger,
        clock: Clock,
        ids: Ids,
        log: Log,
        metrics: GatewayMetrics,
        limits: GatewayLimits = GatewayLimits(),
    ) -> None:
        self._directory = directory
        self._engine = engine
        self._clock = clock
        self._ids = ids
        self._log = log
        self._metrics = metrics
        self._record = ProviderRecord(ledger, clock, ids, log, metrics)
        self._under_way: Counter[str] = Counter()
        self._work: set[asyncio.Task[tuple[Result, ...]]] = set()
        self.limits = limits

    async def handle(
        self,
        operator: str,
        connection: str,
        request: HttpRequest,
        *,
        source: str,
        forwarded: Headers,
        client_certificate: PresentedCertificate | None,
        trace: TraceContext,
    ) -> HttpResponse:
        """Answer one request of a provider. Raises nothing, but for its own cancellation.

        Args:
            operator: The operator as the address names it.
            connection: The connection as the address names it.
            request: The request; `url` begins below the connection's address.
            source: The address of the socket's other end.
            forwarded: Where `X-Forwarded-For` is read, as far as the connection trusts the proxies.
            client_certificate: The client's certificate, once TLS has checked it.
            trace: The trace that the request belongs to.
        """
        directory = self._directory()
        live = directory.connection_by_name(operator, connection)
        if live is None:
            is_down = directory.down_by_name(operator, connection) is not None
            return self._nowhere(DOWN if is_down else NO_SUCH_ADDRESS, trace)
        arrival = Arrival(
            live=live,
            request=request,
            trace=trace,
            at=self._clock.now_ms(),
            monotonic=self._clock.monotonic(),
        )
        route: Route | None = None
        try:
            self._admit(arrival, source, forwarded, client_certificate)
            route = self._route(arrival)
            answer = await self._answer(arrival, route)
        except CroupierError as error:
            answer = self._refused(arrival, error, route)
        except Exception as error:  # noqa: BLE001 - whatever fails, the provider gets an answer in its protocol
            self._complain(arrival, error)
            answer = self._refused(arrival, CroupierError("an internal error"), route)
        self._record.keep(arrival, answer)
        return answer.response or HttpResponse(500)

    async def drain(self, seconds: float) -> int:
        """Wait for the work that was begun; returns how much of it is still under way after that time."""
        if self._work:
            await self._first_of(asyncio.gather(*self._work, return_exceptions=True), seconds)
        return len(self._work)

    def _nowhere(self, response: HttpResponse, trace: TraceContext) -> HttpResponse:
        self._metrics.provider_call(operator="", connection="", operation="", verdict="error", seconds=0.0)
        self._log.info("provider_call_nowhere", trace=trace.trace, status=response.status)
        return response

    def _admit(
        self, arrival: Arrival, source: str, forwarded: Headers, client_certificate: PresentedCertificate | None
    ) -> None:
        """Check what can be known without the adapter."""
        live = arrival.live
        if live.networks:
            address = client_address(source, forwarded, live.proxies)
            if address is None or not is_in(address, live.networks):
                raise ForbiddenError("the address is not on the connection's list")
        wanted = live.document.require_client_certificate
        if wanted is not None and not _is_wanted(wanted, client_certificate):
            raise AuthenticationError("the connection asks for a client certificate that it knows")
        if len(arrival.request.body) > self.limits.body_bytes:
            raise BodyTooLargeError("the body is too large", hint=f"at most {self.limits.body_bytes} bytes")

    def _route(self, arrival: Arrival) -> Route:
        """The adapter's entrance that a request names."""
        path = _plain_path(arrival.request.url)
        here = [route for route in arrival.live.adapter.routes() if _plain_path(route.path) == path]
        if not here:
            raise NotFoundError("the connection has no such address")
        for route in here:
            if route.method == arrival.request.method:
                return route
        raise _MethodError(sorted({route.method for route in here}))

    async def _answer(self, arrival: Arrival, route: Route) -> Answer:
        live, request = arrival.live, arrival.request
        verified = live.adapter.verify(request, live.credentials, self._clock.now())
        unread = Answer(response=None, verdict="error", reason="", operation=route.operation, proven=True)
        try:
            calls = live.adapter.parse(verified)
        except CroupierError as error:
            return self._rendered_error(arrival, error, unread)
        operation = calls.items[0].operation if calls.items else route.operation
        policy = live.connection.policies.of(operation)
        read = evolve(unread, operation=operation, policy=policy)
        deadline = arrival.monotonic + policy.operator_budget_ms / 1000
        patience = (policy.operator_budget_ms + policy.timeout_margin_ms / 2) / 1000
        try:
            results = await self._results(arrival, calls, deadline, patience)
        except OverloadedError as error:
            return self._rendered_error(arrival, error, read)
        except asyncio.CancelledError:
            self._record.keep(arrival, evolve(read, verdict="unknown", reason="hung_up"))
            raise
        verdict, reason = verdict_of(results)
        read = evolve(read, verdict=verdict, reason=reason, results=results)
        try:
            response = live.adapter.render(calls, results, live.credentials, self._clock.now(), self._ids.nonce())
        except Exception as error:  # noqa: BLE001 - money may have moved: the provider must ask again
            self._complain(arrival, error)
            return self._rendered_error(arrival, RetryLaterError("the answer could not be written"), read)
        return evolve(read, response=response)

    async def _results(self, arrival: Arrival, calls: Calls, deadline: float, patience: float) -> tuple[Result, ...]:
        """Drive the engine; where it fails or takes too long, money may have moved: nothing definite is said."""
        operator = arrival.live.connection.operator.id
        if self._under_way[operator] >= self.limits.under_way and may_be_shed(calls):
            raise OverloadedError("too many requests are under way")
        work = asyncio.create_task(
            self._engine.handle(arrival.live.connection, calls, trace=arrival.trace.trace, deadline=deadline)
        )
        self._begin(operator, work)
        try:
            await self._first_of(work, arrival.monotonic + patience - self._clock.monotonic())
        except asyncio.CancelledError:
            work.add_done_callback(lambda done: self._complain_late(arrival, done))
            raise
        if not work.done():
            work.add_done_callback(lambda done: self._complain_late(arrival, done))
            self._log.warning("provider_call_overdue", trace=arrival.trace.trace, operator=operator)
            return not_known_yet(calls, UnknownCause.IN_PROGRESS)
        try:
            return work.result()
        except StoreUnavailableError:
            return not_known_yet(calls, UnknownCause.STORE)
        except Exception as error:  # noqa: BLE001 - the engine's own fault is no evidence that nothing moved
            self._complain(arrival, error)
            return not_known_yet(calls, UnknownCause.IN_PROGRESS)

    async def _first_of(self, work: asyncio.Future[T], seconds: float) -> None:
        """Wait for work, but no longer than this; the work itself is never cancelled."""
        timer = asyncio.ensure_future(self._clock.sleep(max(seconds, 0.0)))
        both: set[asyncio.Future[Any]] = {work, timer}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()

    def _begin(self, operator: str, work: asyncio.Task[tuple[Result, ...]]) -> None:
        def end(done: asyncio.Task[tuple[Result, ...]]) -> None:
            self._work.discard(done)
            self._count(operator, -1)

        self._work.add(work)
        self._count(operator, 1)
        work.add_done_callback(end)

    def _count(self, operator: str, change: int) -> None:
        self._under_way[operator] += change
        self._metrics.provider_calls_under_way(operator=operator, count=self._under_way[operator])

    def _refused(self, arrival: Arrival, error: CroupierError, route: Route | None) -> Answer:
        operation = route.operation if route else ""
        return self._rendered_error(
            arrival, error, Answer(response=None, verdict="error", reason="", operation=operation)
        )

    def _rendered_error(self, arrival: Arrival, error: CroupierError, answer: Answer) -> Answer:
        try:
            response = arrival.live.adapter.render_error(arrival.request, error)
        except Exception as failure:  # noqa: BLE001 - an adapter that cannot even refuse is answered for
            self._complain(arrival, failure)
            response = HttpResponse.text("500: Internal Server Error", 500)
        if isinstance(error, _MethodError) and response.status == UnsupportedOperationError.status:
            allow = ("Allow", ", ".join(error.methods))
            response = evolve(response, status=405, headers=Headers((*response.headers, allow)))
        return evolve(answer, response=response, verdict="error", reason=error.code)

    def _complain_late(self, arrival: Arrival, done: asyncio.Task[tuple[Result, ...]]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self._complain(arrival, error)

    def _complain(self, arrival: Arrival, error: BaseException) -> None:
        """Log a fault by its type and place: the text of an exception may hold what a log must not."""
        frames = traceback.extract_tb(error.__traceback__)
        self._log.error(
            "provider_call_failed",
            operator=arrival.live.connection.operator.id,
            connection=arrival.live.connection.name,
            trace=arrival.trace.trace,
            fault=type(error).__name__,
            places=[f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
        )


class _MethodError(UnsupportedOperationError):
    """The address exists, the method does not."""

    def __init__(self, methods: list[str]) -> None:
        super().__init__("the address has no such method", hint=f"it has {', '.join(methods)}")
        self.methods = methods


def _plain_path(url: str) -> str:
    """The path as it was sent, without query and trailing slash."""
    return url.partition("?")[0].rstrip("/") or "/"


def _is_wanted(wanted: ClientCertificate, given: PresentedCertificate | None) -> bool:
    if given is None:
        return False
    if wanted.fingerprint is not None and not same_secret(wanted.fingerprint, given.fingerprint):
        return False
    return wanted.subject is None or wanted.subject == given.subject
