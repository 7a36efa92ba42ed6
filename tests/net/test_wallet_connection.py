"""One connection to a wallet by itself: whatever bytes come, there is one answer or none, and never two."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import Headers, HttpResponse, TransportError, TransportProblem
from croupier.net.wallet_connection import WalletConnection

LIMIT = 1000


class Transport:
    """Keeps what was written; lost at once when it is closed."""

    def __init__(self) -> None:
        self.connection: WalletConnection | None = None
        self.written: list[bytes] = []
        self.unwritten = 0
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.unwritten

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            assert self.connection is not None
            self.connection.connection_lost(None)

    close = abort


class Keeper:
    def __init__(self) -> None:
        self.released = 0
        self.lost_ones = 0

    def release(self, connection: WalletConnection) -> None:
        self.released += 1

    def lost(self, connection: WalletConnection) -> None:
        self.lost_ones += 1


def made() -> tuple[WalletConnection, Transport, Keeper]:
    keeper, transport = Keeper(), Transport()
    connection = WalletConnection(keeper, LIMIT)
    transport.connection = connection
    handed: Any = transport
    connection.connection_made(handed)
    return connection, transport, keeper


def told(answer: asyncio.Future[HttpResponse]) -> HttpResponse | TransportError:
    assert answer.done()
    error = answer.exception()
    assert error is None or (isinstance(error, TransportError) and error.problem is TransportProblem.NO_ANSWER)
    return answer.result() if error is None else error


def exchanged(*pieces: bytes) -> tuple[HttpResponse | TransportError, Keeper]:
    """What comes of these bytes and the end of the connection, and whether it would have been used again."""

    async def run() -> tuple[HttpResponse | TransportError, Keeper]:
        connection, transport, keeper = made()
        answer = connection.send(b"POST / HTTP/1.1\r\n\r\n")
        for piece in pieces:
            if not transport.closed:
                connection.data_received(piece)
        if not transport.closed:
            connection.eof_received()
            transport.abort()
        assert transport.written == [b"POST / HTTP/1.1\r\n\r\n"]
        assert keeper.lost_ones == 1
        return told(answer), keeper

    return asyncio.run(run())


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, HttpResponse]:
    """An answer as it is written, in one of its forms, and what it means."""
    status = draw(st.sampled_from([200, 201, 400, 404, 500, 503]))
    body = draw(st.binary(max_size=60))
    names = st.sampled_from(["X-Sign", "Date", "webhook-id"])
    fields = draw(st.lists(st.tuples(names, st.text(st.characters(codec="ascii", min_codepoint=33)).map(_visible))))
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"]))
    if draw(st.booleans()):
        framing = ("Content-Length", str(len(body)))
        tail = body
    else:
        framing = ("Transfer-Encoding", "chunked")
        tail = b""
        for start in range(0, len(body), 7):
            chunk = body[start : start + 7]
            tail += b"%x\r\n%b\r\n" % (len(chunk), chunk)
        tail += b"0\r\n" + draw(st.sampled_from([b"", b"X-Trailer: 1\r\n"])) + b"\r\n"
    headers = (*fields, framing)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
    return interim + b"HTTP/1.1 %d Said\r\n%b\r\n%b" % (status, head, tail), HttpResponse(
        status, Headers(headers), body
    )


def _visible(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).strip()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges) if start != end]


@given(answers(), st.lists(st.integers(min_value=0), max_size=12))
def test_an_answer_means_the_same_however_it_is_cut(answer: tuple[bytes, HttpResponse], places: list[int]) -> None:
    written, meant = answer
    found, keeper = exchanged(*cut(written, places))
    assert found == meant
    assert keeper.released == 1


@given(answers(), st.binary(min_size=1, max_size=30), st.booleans())
def test_what_follows_an_answer_changes_nothing_and_ends_the_connection(
    answer: tuple[bytes, HttpResponse], more: bytes, at_once: bool
) -> None:
    written, meant = answer
    found, keeper = exchanged(*([written + more] if at_once else [written, more]))
    assert found == meant
    if at_once and more.strip(b"\r\n"):
        assert keeper.released == 0


@given(answers(), st.integers(min_value=0))
def test_half_an_answer_is_none(answer: tuple[bytes, HttpResponse], place: int) -> None:
    written, _ = answer
    found, keeper = exchanged(written[: place % len(written)])
    assert isinstance(found, TransportError)
    assert keeper.released == 0


@given(
    answers(),
    st.lists(st.tuples(st.integers(min_value=0), st.binary(max_size=3)), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_spoilt_answer_is_read_or_refused_and_nothing_else_happens(
    answer: tuple[bytes, HttpResponse], faults: list[tuple[int, bytes]], single: bool
) -> None:
    written = answer[0]
    for place, fault in faults:
        at = place % len(written)
        written = written[:at] + fault + written[at + 1 :]
    pieces = [written[at : at + 1] for at in range(len(written))] if single else [written]
    found, keeper = exchanged(*pieces)
    if isinstance(found, HttpResponse):
        assert 200 <= found.status <= 999
        assert len(found.body) <= LIMIT
    else:
        assert keeper.released == 0


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_answer(data: bytes) -> None:
    found, keeper = exchanged(data)
    assert isinstance(found, TransportError)
    assert keeper.released == 0


async def test_a_time_out_that_fires_after_its_answer_does_not_end_the_next_exchange() -> None:
    connection, transport, _ = made()
    first = connection.send(b"1")
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
    second = connection.send(b"2")
    connection.expire(first)
    connection.withdraw(first)
    assert not transport.closed
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2")
    assert (first.result().body, second.result().body) == (b"1", b"2")


async def test_a_time_out_ends_its_own_exchange() -> None:
    connection, transport, keeper = made()
    answer = connection.send(b"1")
    connection.expire(answer)
    assert isinstance(told(answer), TransportError)
    assert transport.closed
    assert (keeper.released, keeper.lost_ones) == (0, 1)


async def test_an_answer_before_the_request_is_written_whole_ends_the_connection() -> None:
    connection, transport, keeper = made()
    transport.unwritten = 1
    answer = connection.send(b"1")
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
    assert answer.result().body == b"1"
    assert transport.closed
    assert keeper.released == 0


async def test_a_connection_that_is_given_up_before_it_is_made_ends_when_it_is() -> None:
    connection = WalletConnection(Keeper(), LIMIT)
    connection.abort()
    transport = Transport()
    transport.connection = connection
    handed: Any = transport
    connection.connection_made(handed)
    assert transport.closed
    assert not connection.usable


@pytest.mark.parametrize("error", [ConnectionResetError(), None])
async def test_a_body_until_the_end_of_the_connection_is_whole_only_if_that_end_is_a_good_one(
    error: Exception | None,
) -> None:
    connection, _, _ = made()
    answer = connection.send(b"1")
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhello")
    connection.connection_lost(error)
    found = told(answer)
    if error is None:
        assert isinstance(found, HttpResponse)
        assert found.body == b"hello"
    else:
        assert isinstance(found, TransportError)


async def test_what_is_not_utf_8_in_a_header_is_kept_apart() -> None:
    connection, _, _ = made()
    answer = connection.send(b"1")
    connection.data_received(b"HTTP/1.1 200 OK\r\nX-A: \xe4\r\nX-B: \xc3\xa4\r\nContent-Length: 0\r\n\r\n")
    assert answer.result().headers.items[:2] == (("X-A", "\udce4"), ("X-B", "\u00e4"))
