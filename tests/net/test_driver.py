"""Flows under a virtual clock: what is repeated, what never is, and when it ends."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from croupier.contract import (
    Effect,
    Flow,
    HttpRequest,
    HttpResponse,
    TransportError,
    TransportProblem,
    UpstreamError,
)
from croupier.net import FlowLimits, drive
from croupier.runtime.clocks import VirtualClock
from croupier.runtime.ids import SeededIds

NOT_SENT = TransportProblem.NOT_SENT
NO_ANSWER = TransportProblem.NO_ANSWER
OK = HttpResponse(200, body=b"ok")
Step = HttpResponse | TransportProblem


class World:
    """Answers by a script; each send takes `seconds` of virtual time."""

    def __init__(self, *script: Step, seconds: float = 0.0) -> None:
        self.script = list(script)
        self.seconds = seconds
        self.sent: list[HttpRequest] = []
        self.timeouts: list[float] = []
        self.clock = VirtualClock()

    async def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        self.sent.append(request)
        self.timeouts.append(timeout_seconds)
        if self.seconds:
            await self.clock.sleep(self.seconds)
        step = self.script.pop(0)
        if isinstance(step, TransportProblem):
            raise TransportError("scripted", problem=step)
        return step

    async def drive(self, flow: Flow[bytes], limits: FlowLimits | None = None) -> bytes:
        task = asyncio.ensure_future(
            drive(flow, self.send, limits=limits or FlowLimits(), clock=self.clock, ids=SeededIds(1))
        )
        for _ in range(100):
            await self.clock.advance(1.0)
            if task.done():
                break
        return await task


def one(effect: Effect) -> Flow[bytes]:
    response = yield HttpRequest("POST", "https://games.example/x", effect=effect)
    return b"%d " % response.status + response.body


async def test_a_flow_gets_its_answer_and_its_value_is_returned() -> None:
    world = World(OK)
    assert await world.drive(one(Effect.ONCE)) == b"200 ok"
    assert [request.url for request in world.sent] == ["https://games.example/x"]


@pytest.mark.parametrize("problem", list(TransportProblem))
async def test_what_acts_once_is_never_sent_twice(problem: TransportProblem) -> None:
    world = World(problem, OK)
    with pytest.raises(TransportError) as caught:
        await world.drive(one(Effect.ONCE))
    assert caught.value.problem is problem
    assert len(world.sent) == 1


async def test_what_acts_once_is_not_sent_again_after_a_passing_status() -> None:
    world = World(HttpResponse(503), OK)
    assert await world.drive(one(Effect.ONCE)) == b"503 "
    assert len(world.sent) == 1


@pytest.mark.parametrize("effect", [Effect.READ, Effect.IDEMPOTENT])
@pytest.mark.parametrize("step", [NOT_SENT, NO_ANSWER, HttpResponse(429), HttpResponse(502), HttpResponse(503)])
async def test_what_may_be_repeated_is_repeated_with_the_same_bytes(effect: Effect, step: Step) -> None:
    world = World(step, step, OK)
    assert await world.drive(one(effect)) == b"200 ok"
    assert len(world.sent) == 3
    assert len(set(world.sent)) == 1


async def test_repeats_are_bounded_and_the_last_answer_goes_to_the_flow() -> None:
    world = World(HttpResponse(503), HttpResponse(503), HttpResponse(503, body=b"last"), OK)
    assert await world.drive(one(Effect.READ)) == b"503 last"
    assert len(world.sent) == 3


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 409, 500])
async def test_a_definite_answer_is_not_repeated(status: int) -> None:
    world = World(HttpResponse(status), OK)
    assert await world.drive(one(Effect.IDEMPOTENT)) == b"%d " % status


async def test_one_attempt_that_may_have_arrived_makes_the_whole_unknown() -> None:
    world = World(NOT_SENT, NO_ANSWER, NOT_SENT)
    with pytest.raises(TransportError) as caught:
        await world.drive(one(Effect.IDEMPOTENT))
    assert caught.value.problem is NO_ANSWER


async def test_what_never_left_stays_not_sent() -> None:
    world = World(NOT_SENT, NOT_SENT, NOT_SENT)
    with pytest.raises(TransportError) as caught:
        await world.drive(one(Effect.READ))
    assert caught.value.problem is NOT_SENT


async def test_a_flow_may_handle_the_error_and_go_on() -> None:
    def flow() -> Flow[bytes]:
        try:
            yield HttpRequest("POST", "https://games.example/first")
        except TransportError as error:
            response = yield HttpRequest("GET", "https://games.example/status", effect=Effect.READ)
            return error.problem.value.encode() + response.body
        return b"never"

    world = World(NO_ANSWER, OK)
    assert await world.drive(flow()) == b"no_answerok"


async def test_a_flow_ends_with_its_deadline_and_attempts_get_what_is_left() -> None:
    world = World(*[NO_ANSWER] * 9, seconds=4.0)
    limits = FlowLimits(attempts=9, request_seconds=5.0, total_seconds=10.0, pause_seconds=0.1)
    with pytest.raises(TransportError, match="time for the whole exchange is over") as caught:
        await world.drive(one(Effect.READ), limits)
    assert caught.value.problem is NO_ANSWER
    assert world.timeouts[0] == 5.0
    assert world.timeouts[-1] < 2.0
    assert len(world.timeouts) == 3


async def test_pauses_grow_and_differ_by_chance() -> None:
    world = World(*[NOT_SENT] * 5)
    starts: list[float] = []

    async def send(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        starts.append(world.clock.monotonic())
        return await world.send(request, timeout_seconds)

    limits = FlowLimits(attempts=5, pause_seconds=1.0, total_seconds=100)
    task = asyncio.ensure_future(drive(one(Effect.READ), send, limits=limits, clock=world.clock, ids=SeededIds(7)))
    for _ in range(400):
        await world.clock.advance(0.1)
    with pytest.raises(TransportError):
        await task
    chance = SeededIds(7)
    expected = [chance.jitter() * 2**n for n in range(4)]
    assert [b - a for a, b in pairwise(starts)] == pytest.approx(expected)


async def test_a_flow_that_does_not_end_is_stopped_and_closed() -> None:
    closed: list[bool] = []

    def endless() -> Flow[bytes]:
        try:
            while True:
                yield HttpRequest("GET", "https://games.example/page", effect=Effect.READ)
        finally:
            closed.append(True)

    world = World(*[OK] * 5)
    with pytest.raises(UpstreamError, match="does not end within 5 requests"):
        await world.drive(endless(), FlowLimits(requests=5))
    assert closed == [True]


async def test_a_flow_is_closed_when_the_caller_gives_up() -> None:
    closed: list[bool] = []

    def flow() -> Flow[bytes]:
        try:
            response = yield HttpRequest("GET", "https://games.example/slow")
        finally:
            closed.append(True)
        return response.body

    world = World(OK, seconds=1000.0)
    task = asyncio.ensure_future(drive(flow(), world.send, limits=FlowLimits(), clock=world.clock, ids=SeededIds(1)))
    await world.clock.advance(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


async def test_a_flow_without_requests_returns_at_once() -> None:
    def nothing() -> Flow[bytes]:
        yield from ()
        return b"done"

    assert await World().drive(nothing()) == b"done"
