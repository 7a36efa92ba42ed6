"""Both clients against real sockets that behave badly: they keep the same promises."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from croupier.contract import Headers, HttpRequest, HttpResponse, TransportError, TransportProblem
from croupier.net import ClientLimits, Guard, HttpClient, WalletClient

Client = type[HttpClient] | type[WalletClient]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NOT_SENT = TransportProblem.NOT_SENT
NO_ANSWER = TransportProblem.NO_ANSWER
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Server:
    """A raw server: reads one request's head and body, then writes what the test says."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    return head + await reader.readexactly(length)


@asynccontextmanager
async def serving(answer: bytes | Handler, *, keep_open: bool = False) -> AsyncIterator[Server]:
    server = Server()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            while True:
                server.requests.append(await read_request(reader))
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(reader, writer)
                if not keep_open:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        listener.close()
        await asyncio.sleep(0.01)


@pytest.fixture(params=[HttpClient, WalletClient])
def client(request: pytest.FixtureRequest) -> Client:
    kind: Client = request.param
    return kind


def made(client: Client, limits: ClientLimits | None = None) -> HttpClient | WalletClient:
    return client(guard=Guard.development(), limits=limits)


async def ask(
    client: Client,
    answer: bytes | Handler,
    *,
    seconds: float = 2.0,
    request: HttpRequest | None = None,
    limits: ClientLimits | None = None,
) -> HttpResponse:
    async with serving(answer) as server, made(client, limits) as send:
        sample = request or HttpRequest("POST", "/bet", body=b"{}")
        return await send(HttpRequest(sample.method, server.url + sample.url, sample.headers, sample.body), seconds)


async def problem_of(
    client: Client, answer: bytes | Handler, *, seconds: float = 2.0, limits: ClientLimits | None = None
) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await ask(client, answer, seconds=seconds, limits=limits)
    return caught.value


async def test_a_request_arrives_byte_for_byte_and_the_answer_comes_back(client: Client) -> None:
    async with (
        serving(b"HTTP/1.1 409 Conflict\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello") as server,
        made(client) as send,
    ):
        response = await send(
            HttpRequest("POST", f"{server.url}/a%2Fb?x=%C3%A4&y=1%202", Headers.of({"X-Sign": "ab=="}), b'{"a":1.00}'),
            2.0,
        )
    assert (response.status, response.body, response.headers.all("X-A")) == (409, b"hello", ("1", "2"))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /a%2Fb?x=%C3%A4&y=1%202 HTTP/1.1"
    assert b"X-Sign: ab==" in lines
    assert b"Content-Length: 10" in lines
    assert not any(line.lower().startswith((b"content-type", b"cookie")) for line in lines)
    assert body == b'{"a":1.00}'


async def test_a_connection_is_used_again(client: Client) -> None:
    async with serving(HELLO, keep_open=True) as server, made(client) as send:
        for _ in range(3):
            assert (await send(HttpRequest("GET", server.url), 2.0)).body == b"hello"
    assert (server.connections, len(server.requests)) == (1, 3)


async def test_the_trace_of_the_work_at_hand_is_passed_on() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with serving(HELLO) as server, HttpClient(guard=Guard.development(), traceparent=lambda: trace) as send:
        await send(HttpRequest("GET", server.url), 2.0)
    assert f"traceparent: {trace}".encode() in server.requests[0]


async def test_a_refused_connection_is_not_sent(client: Client) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with made(client) as send:
            with pytest.raises(TransportError) as caught:
                await send(HttpRequest("POST", f"http://127.0.0.1:{port}/"), 2.0)
    assert caught.value.problem is NOT_SENT


async def test_a_name_that_does_not_exist_is_told_and_not_sent(client: Client) -> None:
    async with made(client) as send:
        with pytest.raises(TransportError) as caught:
            await send(HttpRequest("POST", "http://no-such-host.invalid/secret-token"), 5.0)
    assert caught.value.problem is NOT_SENT
    assert "the host name no-such-host.invalid cannot be resolved" in str(caught.value)
    assert "secret-token" not in str(caught.value)


async def test_a_server_that_never_accepts_is_not_sent(client: Client) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:  # until the queue of the listener is full
            filler.setblocking(False)
            filler.connect_ex(address)
        async with made(client, ClientLimits(connect_seconds=0.2)) as send:
            with pytest.raises(TransportError) as caught:
                await send(HttpRequest("POST", f"http://127.0.0.1:{address[1]}/"), 2.0)
        for filler in fillers:
            filler.close()
    assert caught.value.problem is NOT_SENT


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


async def _half_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhel")
    await writer.drain()


async def _half_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()


async def _half_chunk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    await writer.drain()


async def _half_closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write_eof()
    await reader.read()


async def _drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("handler", [_drops, _resets, _half_answer, _half_head, _half_chunk, _half_closes])
async def test_what_was_sent_and_got_no_whole_answer_is_unknown(client: Client, handler: Handler) -> None:
    assert (await problem_of(client, handler, seconds=5.0)).problem is NO_ANSWER


@pytest.mark.parametrize("handler", [_silent, _drips])
async def test_what_was_sent_and_got_no_whole_answer_in_time_is_unknown(client: Client, handler: Handler) -> None:
    async def first_well(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) == 1:
            writer.write(HELLO)
        else:
            await handler(reader, writer)

    async with serving(first_well, keep_open=True) as server, made(client) as send:
        await send(HttpRequest("POST", server.url), 5.0)  # it leaves a connection: time goes into the answer alone
        with pytest.raises(TransportError, match="no answer in time") as caught:
            await send(HttpRequest("POST", server.url), 0.2)
    assert caught.value.problem is NO_ANSWER
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello world\r\n\r\n",
        b"\x00\xff\xfe" * 50 + b"\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
async def test_an_answer_that_is_no_http_is_unknown(client: Client, garbage: bytes) -> None:
    assert (await problem_of(client, garbage)).problem is NO_ANSWER


async def test_an_answer_that_announces_too_much_is_refused_unread(client: Client) -> None:
    error = await problem_of(
        client,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001,
        limits=ClientLimits(response_bytes=1000),
    )
    assert error.problem is NO_ANSWER
    assert error.message == "the answer is longer than 1000 bytes"


async def test_an_answer_that_grows_too_long_is_cut_off(client: Client) -> None:
    written: list[int] = []

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await writer.drain()
            written.append(4096)

    error = await problem_of(client, endless, limits=ClientLimits(response_bytes=100_000))
    assert error.message == "the answer is longer than 100000 bytes"
    assert sum(written) < 50_000_000


async def test_an_answer_of_exactly_the_limit_is_accepted(client: Client) -> None:
    response = await ask(
        client,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000,
        limits=ClientLimits(response_bytes=1000),
    )
    assert len(response.body) == 1000


async def test_a_redirect_is_an_answer_and_not_followed(client: Client) -> None:
    async with serving(HELLO) as target:
        response = await ask(
            client, b"HTTP/1.1 302 Found\r\nLocation: " + target.url.encode() + b"/\r\nContent-Length: 0\r\n\r\n"
        )
    assert response.status == 302
    assert target.requests == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_nothing_is_sent_twice_when_a_kept_connection_breaks(client: Client, method: str) -> None:
    async def once_then_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        await writer.drain()
        server.requests.append(await read_request(reader))
        writer.close()

    async with serving(once_then_drop) as server, made(client) as send:
        assert (await send(HttpRequest("GET", server.url), 2.0)).status == 200
        with pytest.raises(TransportError) as caught:
            await send(HttpRequest(method, server.url), 2.0)
    assert caught.value.problem is NO_ANSWER
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("GET", "/a b"),
        HttpRequest("GET", "/a\r\nX-Evil: 1"),
        HttpRequest("GET", "/\u00e4"),
        HttpRequest("GET", "/", Headers.of({"X-A": "1\r\nX-Evil: 1"})),
        HttpRequest("GET", "/", Headers.of({"X A": "1"})),
        HttpRequest("GET", "/", Headers.of({"X-A": "\u20ac"})),
    ],
)
async def test_what_would_be_another_request_on_the_wire_is_not_sent(client: Client, request_: HttpRequest) -> None:
    with pytest.raises(TransportError) as caught:
        await ask(client, HELLO, request=request_)
    assert caught.value.problem is NOT_SENT


async def test_a_full_pool_is_not_sent(client: Client) -> None:
    async with serving(_silent) as server, made(client, ClientLimits(connections=1, connect_seconds=0.1)) as send:
        first = asyncio.ensure_future(send(HttpRequest("POST", server.url), 20.0))
        while not server.requests:  # noqa: ASYNC110 # the other side sees it
            await asyncio.sleep(0.005)
        with pytest.raises(TransportError) as caught:
            await send(HttpRequest("POST", server.url), 10.0)
        assert caught.value.problem is NOT_SENT
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert len(server.requests) == 1
