"""The provider gateway: one request of a provider, from its bytes to its answer.

Address, certificate, size and route are checked first, then the adapter proves the origin and reads the request, the
engine works, the adapter answers. A provider learns of a failure in its own protocol and nothing of the hub's inside.
If it hangs up, the work that was begun is finished all the same.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, Final

from attrs import define, frozen

from croupier.configuration.directory import Directory, LiveConnection
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
    OverloadedError,
    Result,
    RetryLaterError,
    Route,
    StoreUnavailableError,
    UnknownCause,
    UnsupportedOperationError,
    Verified,
    same_secret,
)
from croupier.ledger.port import Ledger
from croupier.wallet.ports import Clock, Ids
from croupier.web.addresses import PresentedCertificate, client_address, is_in
from croupier.web.entrance import Budget, Entrance, Entrances, MethodError
from croupier.web.patience import Patience
from croupier.web.places import Places
from croupier.web.ports import Engine, GatewayMetrics, Log, Rates
from croupier.web.provider_record import NOTHING, Answer, Arrival, ProviderRecord
from croupier.web.results import may_be_shed, not_known_yet, verdict_of

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
        under_way: How many requests of one operator may be worked on at once. Beyond it what a provider may repeat
            without harm waits for a place, and is refused if none gets free in time; wins and rollbacks are always
            taken.
        waiting: How many requests of one operator may wait for a place. Beyond it they are refused at once.
    """

    body_bytes: int = 1_048_576
    under_way: int = 1_000
    waiting: int = 10_000


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
        rates: How many requests are taken a second, if that is limited.
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
        rates: Rates | None = None,
    ) -> None:
        self._entrances = Entrances(directory)
        self._engine = engine
        self._clock = clock
        self._ids = ids
        self._log = log
        self._metrics = metrics
        self._rates = rates
        self._record = ProviderRecord(ledger, clock, ids, log, metrics)
        self._work: dict[_Visit, asyncio.Task[None]] = {}
        self._patience = Patience(clock, self._give_up)
        self._places = Places(
            clock, metrics, places=limits.under_way, line=limits.waiting, begin=self._set_to_work, refuse=self._shed
        )
        self.limits = limits

    def handle(
        self,
        operator: str,
        connection: str,
        request: HttpRequest,
        *,
        source: str,
        forwarded: Headers,
        client_certificate: PresentedCertificate | None,
        trace: str,
    ) -> asyncio.Future[HttpResponse]:
        """Answer one request of a provider. Raises nothing, and neither does the answer.

        Cancel the answer if nobody waits for it any more: what was begun goes on.

        Args:
            operator: The operator as the address names it.
            connection: The connection as the address names it.
            request: The request; `url` begins below the connection's address.
            source: The address of the socket's other end.
            forwarded: Where `X-Forwarded-For` is read, as far as the connection trusts the proxies.
            client_certificate: The client's certificate, once TLS has checked it.
            trace: The id of the trace that the request belongs to.
        """
        response: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        entrance = self._entrances.find(operator, connection)
        if entrance is None:
            is_down = self._entrances.is_down(operator, connection)
            response.set_result(self._nowhere(DOWN if is_down else NO_SUCH_ADDRESS, trace))
            return response
        arrival = Arrival(entrance.live, request, trace, self._clock.now_ms(), self._clock.monotonic())
        route: Route | None = None
        try:
            if entrance.is_guarded:
                _admit(entrance.live, source, forwarded, client_certificate)
            _measure(request, self.limits.body_bytes)
            route = entrance.route(request.method, request.url)
            refusal = self._begin(entrance, arrival, route, response)
        except CroupierError as error:
            refusal = self._refused(arrival, error, route)
        except Exception as error:  # noqa: BLE001 - whatever fails, the provider gets an answer in its protocol
            self._complain(arrival, error)
            refusal = self._refused(arrival, CroupierError("an internal error"), route)
        if refusal is not None:
            self._tell(arrival, refusal, response)
        return response

    async def drain(self, seconds: float) -> int:
        """Wait for the work that was begun; returns how much of it is still under way after that time.

        What waits for a place is refused.
        """
        self._places.close()
        if self._work:
            over = asyncio.Event()
            timer = self._clock.call_later(seconds, over.set)
            waiting = asyncio.ensure_future(over.wait())
            work = asyncio.gather(*self._work.values(), return_exceptions=True)
            try:
                await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
                waiting.cancel()
        self._record.write()
        return len(self._work)

    def _nowhere(self, response: HttpResponse, trace: str) -> HttpResponse:
        self._metrics.provider_call(operator="", connection="", operation="", verdict="error", seconds=0.0)
        self._log.info("provider_call_nowhere", trace=trace, status=response.status)
        return response

    def _begin(
        self, entrance: Entrance, arrival: Arrival, route: Route, response: asyncio.Future[HttpResponse]
    ) -> Answer | None:
        """Prove and read a request, and set the engine to work; or the answer, if there is nothing to work on.

        The engine works in a task of its own, which nobody cancels: it goes on if the provider hangs up or was answered
        without it, and `drain` waits for it.
        """
        live = arrival.live
        verified = live.adapter.verify(arrival.request, live.credentials, self._clock.now())
        try:
            calls = live.adapter.parse(verified)
        except CroupierError as error:
            return self._rendered_error(arrival, error, route.operation, verified=verified)
        operation = calls.items[0].operation if calls.items else route.operation
        budget = entrance.budget(operation)
        over = self._rates.over(live) if self._rates is not None else None
        if over is not None and may_be_shed(calls):
            return self._rendered_error(arrival, over, operation, verified=verified, decision=budget.decision)
        visit = _Visit(arrival, verified, calls, operation, budget, response)
        operator = live.connection.operator.id
        if self._places.is_free(operator) or not may_be_shed(calls):
            self._places.take(operator)
            self._set_to_work(visit)
        elif not self._places.wait(operator, visit, arrival.monotonic, budget.queue):
            return self._overloaded(visit)
        response.add_done_callback(partial(self._may_be_gone, visit))
        return None

    def _set_to_work(self, visit: _Visit) -> None:
        self._work[visit] = visit.response.get_loop().create_task(self._drive(visit))
        self._patience.wait(visit, visit.arrival.monotonic, visit.budget.patience)

    def _shed(self, visit: _Visit) -> None:
        self._tell(visit.arrival, self._overloaded(visit), visit.response)

    def _overloaded(self, visit: _Visit) -> Answer:
        return self._rendered_error(
            visit.arrival,
            OverloadedError("too many requests are under way"),
            visit.operation,
            verified=visit.verified,
            decision=visit.budget.decision,
        )

    async def _drive(self, visit: _Visit) -> None:
        """Have the engine work, and tell who waits for it, if somebody still does.

        Where the engine fails, money may have moved: nothing definite is said.
        """
        arrival, calls = visit.arrival, visit.calls
        connection, deadline = arrival.live.connection, arrival.monotonic + visit.budget.work
        try:
            results = await self._engine.handle(connection, calls, trace=arrival.trace, deadline=deadline)
        except Exception as error:  # noqa: BLE001 - the engine's own fault is no evidence that nothing moved
            is_store = isinstance(error, StoreUnavailableError)
            if not is_store or visit.is_done():
                self._complain(arrival, error)
            results = not_known_yet(calls, UnknownCause.STORE if is_store else UnknownCause.IN_PROGRESS)
        finally:
            del self._work[visit]
            self._places.leave(connection.operator.id)
        if not visit.is_done():
            self._tell(arrival, self._rendered(visit, results), visit.response)

    def _give_up(self, visit: _Visit) -> None:
        """Answer without the engine, which goes on: money may have moved, nothing definite is said."""
        arrival = visit.arrival
        self._log.warning("provider_call_overdue", trace=arrival.trace, operator=arrival.live.connection.operator.id)
        results = not_known_yet(visit.calls, UnknownCause.IN_PROGRESS)
        self._tell(arrival, self._rendered(visit, results), visit.response)

    def _may_be_gone(self, visit: _Visit, response: asyncio.Future[HttpResponse]) -> None:
        if response.cancelled():
            self._record.keep(visit.arrival, visit.answer(None, "unknown", "hung_up"))

    def _rendered(self, visit: _Visit, results: tuple[Result, ...]) -> Answer:
        live = visit.arrival.live
        try:
            response = live.adapter.render(visit.calls, results, live.credentials, self._clock.now(), self._ids.nonce())
        except Exception as error:  # noqa: BLE001 - money may have moved: the provider must ask again
            self._complain(visit.arrival, error)
            return self._rendered_error(
                visit.arrival,
                RetryLaterError("the answer could not be written"),
                visit.operation,
                verified=visit.verified,
                decision=visit.budget.decision,
                results=results,
            )
        return visit.answer(response, *verdict_of(results), results)

    def _tell(self, arrival: Arrival, answer: Answer, response: asyncio.Future[HttpResponse]) -> None:
        """Give the answer to who waits for it, and keep it."""
        response.set_result(answer.response or HttpResponse(500))
        self._record.keep(arrival, answer)

    def _refused(self, arrival: Arrival, error: CroupierError, route: Route | None) -> Answer:
        return self._rendered_error(arrival, error, route.operation if route else "")

    def _rendered_error(
        self,
        arrival: Arrival,
        error: CroupierError,
        operation: str,
        *,
        verified: Verified | None = None,
        decision: Mapping[str, Any] = NOTHING,
        results: tuple[Result, ...] = (),
    ) -> Answer:
        try:
            response = arrival.live.adapter.render_error(arrival.request, error)
        except Exception as failure:  # noqa: BLE001 - an adapter that cannot even refuse is answered for
            self._complain(arrival, failure)
            response = HttpResponse.text("500: Internal Server Error", 500)
        if isinstance(error, MethodError) and response.status == UnsupportedOperationError.status:
            allow = ("Allow", ", ".join(error.methods))
            response = HttpResponse(405, Headers((*response.headers, allow)), response.body)
        return Answer(response, "error", error.code, operation, verified=verified, decision=decision, results=results)

    def _complain(self, arrival: Arrival, error: BaseException) -> None:
        """Log a fault by its type and place: the text of an exception may hold what a log must not."""
        frames = traceback.extract_tb(error.__traceback__)
        self._log.error(
            "provider_call_failed",
            operator=arrival.live.connection.operator.id,
            connection=arrival.live.connection.name,
            trace=arrival.trace,
            fault=type(error).__name__,
            places=[f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
        )


@define(eq=False)
class _Visit:
    """A request that the engine works on.

    Attributes:
        arrival: What is known of it from the beginning.
        verified: What was proven.
        calls: What it asks for.
        operation: The adapter's name of that.
        budget: How long it may take.
        response: The answer that is waited for.
    """

    arrival: Arrival
    verified: Verified
    calls: Calls
    operation: str
    budget: Budget
    response: asyncio.Future[HttpResponse]

    def is_done(self) -> bool:
        """Whether it is answered, or the provider has hung up."""
        return self.response.done()

    def answer(
        self, response: HttpResponse | None, verdict: str, reason: str, results: tuple[Result, ...] = ()
    ) -> Answer:
        """The answer, with what the record shall say of it."""
        return Answer(
            response,
            verdict,
            reason,
            self.operation,
            verified=self.verified,
            decision=self.budget.decision,
            results=results,
        )


def _admit(
    live: LiveConnection, source: str, forwarded: Headers, client_certificate: PresentedCertificate | None
) -> None:
    """Check what can be known without the adapter."""
    if live.networks:
        address = client_address(source, forwarded, live.proxies)
        if address is None or not is_in(address, live.networks):
            raise ForbiddenError("the address is not on the connection's list")
    wanted = live.document.require_client_certificate
    if wanted is not None and not _is_wanted(wanted, client_certificate):
        raise AuthenticationError("the connection asks for a client certificate that it knows")


def _measure(request: HttpRequest, limit: int) -> None:
    if len(request.body) > limit:
        raise BodyTooLargeError("the body is too large", hint=f"at most {limit} bytes")


def _is_wanted(wanted: ClientCertificate, given: PresentedCertificate | None) -> bool:
    if given is None:
        return False
    if wanted.fingerprint is not None and not same_secret(wanted.fingerprint, given.fingerprint):
        return False
    return wanted.subject is None or wanted.subject == given.subject
