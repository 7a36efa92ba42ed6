"""A connection without a socket: however the bytes of requests are cut, the app sees the same requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import HttpResponse
from croupier.runtime.logs import make_log
from croupier.web.apps import Incoming
from croupier.web.http_connection import HttpConnection, ServerLimits, Service
from croupier_conformance.virtual_time import simulate

LIMIT = 50


@define
class EchoApp:
    """Answers with what it was asked, and keeps it."""

    body_limit: int = LIMIT
    seen: list[tuple[str, str, bytes]] = field(factory=list)

    async def answer(self, incoming: Incoming) -> HttpResponse:
        await asyncio.sleep(0)
        asked = incoming.request
        self.seen.append((asked.method, asked.url, asked.body))
        return HttpResponse.text(asked.url)

    async def drain(self, seconds: float) -> int:
        return 0


class Wire(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed
        self.written += data

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.is_closed = True

    abort = close


def of_length(place: int, body: bytes) -> bytes:
    return b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (place, len(body), body)


def in_chunks(place: int, body: bytes) -> bytes:
    head = b"POST /%d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" % place
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def with_an_offer(place: int, body: bytes) -> bytes:
    head = b"POST /%d HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % (
        place,
        len(body),
    )
    return head + body


async def talk(pieces: Sequence[bytes]) -> tuple[EchoApp, Wire]:
    app, wire = EchoApp(), Wire()
    connection = HttpConnection(Service(app, make_log("error"), ServerLimits()), asyncio.get_running_loop())
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.is_closed:
            connection.data_received(piece)
            await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    return app, wire


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(raw) + 1) for place in places} | {0, len(raw)})
    return [raw[begin:end] for begin, end in pairwise(ends)]


bodies = st.binary(max_size=LIMIT)
forms = st.sampled_from([of_length, in_chunks, with_an_offer])
places = st.lists(st.integers(0, 10_000), max_size=12)


@given(st.lists(st.tuples(forms, bodies), min_size=1, max_size=6), places)
def test_requests_are_the_same_however_their_bytes_are_cut(asked: list[tuple[Any, bytes]], at: list[int]) -> None:
    raw = b"".join(form(place, body) for place, (form, body) in enumerate(asked))
    app, wire = asyncio.run(talk(cut(raw, at)))
    assert app.seen == [("POST", f"/{place}", body) for place, (_, body) in enumerate(asked)]
    assert wire.written.count(b"HTTP/1.1 200 OK\r\n") == len(asked)
    assert not wire.is_closed


@given(forms, st.binary(min_size=LIMIT + 1, max_size=4 * LIMIT), places)
def test_a_body_beyond_the_limit_is_cut_and_the_last_that_is_read(form: Any, body: bytes, at: list[int]) -> None:
    raw = of_length(0, b"first") + form(1, body) + of_length(2, b"never")
    app, wire = asyncio.run(talk(cut(raw, at)))
    assert app.seen == [("POST", "/0", b"first"), ("POST", "/1", body[: LIMIT + 1])]
    assert wire.written.count(b"Connection: close\r\n") == 1


@given(st.binary(max_size=300), places)
def test_bytes_that_are_no_request_never_reach_the_app_as_more_than_they_are(noise: bytes, at: list[int]) -> None:
    app, wire = asyncio.run(talk(cut(of_length(0, b"first") + noise, at)))
    assert app.seen[0] == ("POST", "/0", b"first")
    assert wire.written.count(b"HTTP/1.1 200 OK\r\n") == len(app.seen)
    assert wire.written.count(b"HTTP/1.1 400 Bad Request\r\n") <= 1


class DeadWire(Wire):
    """Closed by the event loop, which has not told of it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        raise RuntimeError("the handler is closed")


async def test_an_answer_to_a_connection_that_is_dead_already_harms_nobody() -> None:
    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    app = EchoApp()
    service = Service(app, make_log("error"), ServerLimits())
    connection = HttpConnection(service, loop)
    connection.connection_made(DeadWire())
    connection.data_received(of_length(0, b"one"))
    for _ in range(10):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    assert [body for _, _, body in app.seen] == [b"one"]
    assert (faults, service.work) == ([], set())


def test_a_connection_between_two_requests_is_closed_when_it_is_idle_and_not_before() -> None:
    async def story() -> None:
        app, wire = EchoApp(), Wire()
        service = Service(app, make_log("error"), ServerLimits(idle_seconds=10))
        connection = HttpConnection(service, asyncio.get_running_loop())
        connection.connection_made(wire)
        for place in range(3):
            await asyncio.sleep(9.9)
            connection.data_received(of_length(place, b""))
        await asyncio.sleep(9.9)
        assert (len(app.seen), wire.is_closed) == (3, False)
        await asyncio.sleep(0.2)
        assert wire.is_closed
        connection.connection_lost(None)

    simulate(story())
