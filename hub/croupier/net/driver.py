"""Runs an outbound flow: sends what it yields, repeats what may be repeated, and keeps the time."""

from __future__ import annotations

from typing import Final, TypeVar, assert_never

from attrs import frozen

from croupier.contract import Effect, Flow, HttpRequest, HttpResponse, TransportError, TransportProblem, UpstreamError
from croupier.wallet.ports import Clock, Ids, Send

T = TypeVar("T")

PASSING_STATUSES: Final = frozenset({429, 502, 503, 504})
"""Answers of an overloaded or restarting server: worth repeating what may be repeated."""


@frozen(kw_only=True)
class FlowLimits:
    """What a flow may cost.

    Attributes:
        attempts: How often one request is sent at most, if its effect allows to repeat it.
        request_seconds: How long one attempt may take.
        total_seconds: How long the whole flow may take, pauses included.
        pause_seconds: The longest pause before the second attempt; it doubles for each further one, and chance takes
            a part of it.
        requests: How many requests a flow may make; more is a loop.
    """

    attempts: int = 3
    request_seconds: float = 10.0
    total_seconds: float = 30.0
    pause_seconds: float = 0.5
    requests: int = 200


async def drive(flow: Flow[T], send: Send, *, limits: FlowLimits, clock: Clock, ids: Ids) -> T:
    """Run a flow to its end.

    A request of `Effect.ONCE` is sent once, whatever happens. Others are repeated after a transport problem or a
    passing status (429, 502, 503, 504); the last answer goes to the flow as it is. If any attempt may have arrived,
    the error that the flow sees says `NO_ANSWER`.

    Args:
        flow: What an adapter's launch, game list, ... returned.
        send: Sends one request once.
        limits: What it may cost.
        clock: For deadlines and pauses.
        ids: For chance in pauses.

    Returns:
        What the flow returned.

    Raises:
        UpstreamError: The flow makes more requests than `limits` allow.
        CroupierError: What the flow raised: `ProviderRefusedError`, `UpstreamError`, or the `TransportError` that was
            thrown into it and not handled.
    """
    exchange = _Exchange(send, limits, clock, ids, clock.monotonic() + limits.total_seconds)
    try:
        request = next(flow)
        for _ in range(limits.requests):
            try:
                response = await exchange(request)
            except TransportError as error:
                request = flow.throw(error)
            else:
                request = flow.send(response)
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        flow.close()
    raise UpstreamError(f"the exchange does not end within {limits.requests} requests")


@frozen
class _Exchange:
    """One flow's means: how its requests are sent and repeated."""

    send: Send
    limits: FlowLimits
    clock: Clock
    ids: Ids
    deadline: float

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        attempts = self.limits.attempts if _may_repeat(request.effect) else 1
        problem = TransportProblem.NOT_SENT
        attempt = 0
        while True:
            attempt += 1
            left = self.deadline - self.clock.monotonic()
            if left <= 0:
                raise TransportError("the time for the whole exchange is over", problem=problem)
            try:
                response = await self.send(request, min(self.limits.request_seconds, left))
            except TransportError as error:
                if error.problem is TransportProblem.NO_ANSWER:
                    problem = error.problem
                if attempt >= attempts:
                    raise TransportError(error.message, problem=problem, where=error.where) from error
            else:
                if response.status not in PASSING_STATUSES or attempt >= attempts:
                    return response
                problem = TransportProblem.NO_ANSWER
            pause = self.limits.pause_seconds * 2 ** (attempt - 1) * self.ids.jitter()
            await self.clock.sleep(min(pause, max(0.0, self.deadline - self.clock.monotonic())))


def _may_repeat(effect: Effect) -> bool:
    match effect:
        case Effect.READ | Effect.IDEMPOTENT:
            return True
        case Effect.ONCE:
            return False
        case _ as unreachable:
            assert_never(unreachable)
