"""How both clients keep connections: bounded, used again while they are sound, and never with another call's answer."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

import pytest

from croupier.contract import HttpRequest, HttpResponse, TransportError, TransportProblem
from croupier.net import ClientLimits, ClientTls, Guard, HttpClient, WalletClient
from croupier.net.wallet_connection import WalletConnection
from croupier.net.wallet_pool import WalletPool
from croupier.net.wallet_request import Requests

Client = type[HttpClient | WalletClient]
NO_ANSWER = TransportProblem.NO_ANSWER
NOT_SENT = TransportProblem.NOT_SENT


only_for_wallets = pytest.mark.parametrize("client", [WalletClient])
"""What aiohttp's client, which `HttpClient` is built on, sees more loosely."""


class Peer:
    """A server that answers each request with its own body, except where the test says otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.opened = 0
        self.open = 0
        self.most = 0
        self.bodies: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.answer: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]] = self.echo

    async def echo(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(body))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(cast("asyncio.Task[None]", asyncio.current_task()))
        self.opened += 1
        self.open += 1
        self.most = max(self.most, self.open)
        self.writers.append(writer)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.bodies.append(body)
                await self.answer(body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open -= 1
            writer.close()


def whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    found = Peer()
    listener = await asyncio.start_server(found.serve, "127.0.0.1", 0, backlog=1024)
    found.url = "http://{}:{}/bet".format(*listener.sockets[0].getsockname())
    try:
        yield found
    finally:
        listener.close()
        for task in found.tasks:
            task.cancel()
        await asyncio.gather(*found.tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


@pytest.fixture(params=[HttpClient, WalletClient])
def client(request: pytest.FixtureRequest) -> Client:
    kind: Client = request.param
    return kind


def made(client: Client, limits: ClientLimits | None = None) -> HttpClient | WalletClient:
    return client(guard=Guard.development(), limits=limits)


async def bet(send: HttpClient | WalletClient, wallet: Peer, body: bytes, seconds: float = 2.0) -> HttpResponse:
    return await send(HttpRequest("POST", wallet.url, body=body), seconds)


async def test_a_thousand_calls_at_once_each_get_their_own_answer_over_a_bounded_number_of_connections(
    client: Client,
) -> None:
    limits = ClientLimits(connections=20, connections_per_host=8, connect_seconds=20.0)
    async with peer() as wallet, made(client, limits) as send:
        answers = await asyncio.gather(*(bet(send, wallet, b"bet-%d" % number, 20.0) for number in range(1000)))
    assert [answer.body for answer in answers] == [b"bet-%d" % number for number in range(1000)]
    assert sorted(wallet.bodies) == sorted(b"bet-%d" % number for number in range(1000))
    assert wallet.most <= 8


async def test_many_calls_of_which_some_are_given_up_leave_the_others_their_own_answers(client: Client) -> None:
    async def slowly(body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05 if body.endswith(b"7") else 0)
        writer.write(whole(body))

    async with peer() as wallet, made(client, ClientLimits(connections_per_host=6, connect_seconds=5.0)) as send:
        wallet.answer = slowly
        tasks = [asyncio.ensure_future(bet(send, wallet, b"%d" % number, 5.0)) for number in range(300)]
        for turn in range(60):
            await asyncio.sleep(0.001)
            tasks[turn * 5].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for number, answer in enumerate(done):
            if isinstance(answer, HttpResponse):
                assert answer.body == b"%d" % number
            else:
                assert isinstance(answer, asyncio.CancelledError)
                assert number % 5 == 0
        wallet.answer = wallet.echo
        assert (await bet(send, wallet, b"after")).body == b"after"  # no place was lost
    assert wallet.most <= 6 + 60  # a connection whose call was given up may still be open on the other side


async def test_a_call_that_is_given_up_closes_its_connection(client: Client) -> None:
    async with peer() as wallet, made(client) as send:
        silent = asyncio.Event()

        async def wait(body: bytes, writer: asyncio.StreamWriter) -> None:
            silent.set()
            await asyncio.sleep(0.1)
            writer.write(whole(body))

        wallet.answer = wait
        call = asyncio.ensure_future(bet(send, wallet, b"first"))
        await silent.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        wallet.answer = wallet.echo
        assert (await bet(send, wallet, b"second")).body == b"second"
        await asyncio.sleep(0.15)
        assert (await bet(send, wallet, b"third")).body == b"third"
        assert (wallet.opened, wallet.open) == (2, 1)


async def test_a_late_answer_is_not_the_next_calls(client: Client) -> None:
    async with peer() as wallet, made(client) as send:
        await bet(send, wallet, b"before")  # it leaves a connection: time goes into the answer alone

        async def late(body: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.1)
            writer.write(whole(body))

        wallet.answer = late
        with pytest.raises(TransportError) as caught:
            await bet(send, wallet, b"first", 0.03)
        assert caught.value.problem is NO_ANSWER
        wallet.answer = wallet.echo
        for number in range(20):
            assert (await bet(send, wallet, b"%d" % number)).body == b"%d" % number
            await asyncio.sleep(0.01)
    assert wallet.opened == 2


@only_for_wallets
async def test_an_answer_that_nobody_asked_for_is_not_the_next_calls(client: Client) -> None:
    async with peer() as wallet, made(client) as send:
        assert (await bet(send, wallet, b"first")).body == b"first"
        wallet.writers[0].write(whole(b"unasked"))
        await asyncio.sleep(0.05)
        assert (await bet(send, wallet, b"second")).body == b"second"
    assert wallet.opened == 2


@pytest.mark.parametrize("more", [whole(b"unasked"), b"garbage", b"\x00"])
async def test_what_follows_an_answer_is_not_the_next_calls(client: Client, more: bytes) -> None:
    async with peer() as wallet, made(client) as send:

        async def twice(body: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(whole(body) + more)

        wallet.answer = twice
        for body in (b"first", b"second"):
            try:
                assert (await bet(send, wallet, body)).body == body
            except TransportError as error:  # to distrust the answer altogether is as good
                assert error.problem is NO_ANSWER  # noqa: PT017
    assert wallet.opened == 2


async def test_a_connection_that_the_other_side_closed_while_idle_is_not_used(client: Client) -> None:
    async with peer() as wallet, made(client) as send:
        for body in (b"first", b"second", b"third"):
            assert (await bet(send, wallet, body)).body == body
            wallet.writers[-1].close()
            await asyncio.sleep(0.02)
    assert wallet.opened == 3


async def test_an_idle_connection_is_closed_in_time(client: Client) -> None:
    async with peer() as wallet, made(client, ClientLimits(keepalive_seconds=0.1)) as send:
        everybody = asyncio.Barrier(5)

        async def together(body: bytes, writer: asyncio.StreamWriter) -> None:
            await everybody.wait()
            await wallet.echo(body, writer)

        wallet.answer = together
        await asyncio.gather(*(bet(send, wallet, b"%d" % number) for number in range(5)))
        assert wallet.most == 5
        async with asyncio.timeout(10):
            while wallet.open:  # noqa: ASYNC110 # the other side sees it
                await asyncio.sleep(0.02)
        wallet.answer = wallet.echo
        assert (await bet(send, wallet, b"after")).body == b"after"
    assert wallet.opened == 6


async def test_a_connection_that_says_it_closes_is_not_used_again(client: Client) -> None:
    async with peer() as wallet, made(client) as send:

        async def last(body: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(whole(body).replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))

        wallet.answer = last
        for body in (b"first", b"second"):
            assert (await bet(send, wallet, body)).body == body
    assert wallet.opened == 2


@only_for_wallets
async def test_an_answer_before_the_request_was_read_is_taken_and_the_connection_closed(client: Client) -> None:
    async with peer() as wallet, made(client) as send:
        wallet.answer = wallet.echo
        early = await asyncio.start_server(_refuses_unread, "127.0.0.1", 0)
        host, port = early.sockets[0].getsockname()
        async with early:
            long = HttpRequest("POST", f"http://{host}:{port}/bet", body=bytes(16 * 1024 * 1024))
            try:
                assert (await send(long, 2.0)).status == 413
            except TransportError as error:  # the reset may overtake the answer
                assert error.problem is NO_ANSWER  # noqa: PT017
            assert (await bet(send, wallet, b"after")).body == b"after"
            await asyncio.sleep(0.05)


async def _refuses_unread(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    with suppress(ConnectionError):
        await writer.drain()
        await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + whole(b"hi"), b"hi"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;a=b\r\n!\r\n0\r\nX-T: 1\r\n\r\n", b"hi!"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 100_000])
async def test_an_answer_may_come_in_any_form_and_any_pieces(
    client: Client, answer: bytes, body: bytes, piece: int
) -> None:
    async with peer() as wallet, made(client) as send:

        async def in_pieces(_body: bytes, writer: asyncio.StreamWriter) -> None:
            for start in range(0, len(answer), piece):
                writer.write(answer[start : start + piece])
                await asyncio.sleep(0)

        wallet.answer = in_pieces
        for _ in range(2):
            assert (await bet(send, wallet, b"x")).body == body
    assert wallet.opened == 1


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_body_may_end_with_the_connection(client: Client, version: bytes) -> None:
    async with peer() as wallet, made(client) as send:

        async def until_close(body: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/%b 200 OK\r\n\r\n" % version + body)
            await writer.drain()
            writer.close()

        wallet.answer = until_close
        for body in (b"first", b"second"):
            assert (await bet(send, wallet, body)).body == body


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nhi",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
async def test_an_answer_that_can_be_read_in_two_ways_is_no_answer(client: Client, answer: bytes) -> None:
    async with peer() as wallet, made(client) as send:
        await bet(send, wallet, b"before")  # it leaves a connection: time goes into the answer alone

        async def say(_body: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)

        wallet.answer = say
        with pytest.raises(TransportError) as caught:
            await bet(send, wallet, b"first", 0.3)
        assert caught.value.problem is NO_ANSWER
        wallet.answer = wallet.echo
        assert (await bet(send, wallet, b"second")).body == b"second"
    assert wallet.opened == 2


@only_for_wallets
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 099 Nothing\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 2000,
        b"\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 40_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 40_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 33_000 + b"\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
async def test_a_wallets_answer_that_is_not_written_as_it_should_is_no_answer(client: Client, answer: bytes) -> None:
    async with peer() as wallet, made(client) as send:

        async def say(_body: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)

        wallet.answer = say
        with pytest.raises(TransportError) as caught:
            await bet(send, wallet, b"first", 5.0)
        assert caught.value.problem is NO_ANSWER
        assert caught.value.message != "no answer in time"
        wallet.answer = wallet.echo
        assert (await bet(send, wallet, b"second")).body == b"second"
    assert wallet.opened == 2


@only_for_wallets
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_a_connection_whose_answer_speaks_of_a_body_it_cannot_have_is_not_used_again(
    client: Client, status: bytes
) -> None:
    async with peer() as wallet, made(client) as send:

        async def say(body: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(whole(body).replace(b"200 OK", status))

        wallet.answer = say
        for body in (b"first", b"second"):
            assert (await bet(send, wallet, body)).body == b""
    assert wallet.opened == 2


@only_for_wallets
async def test_a_place_that_one_wallet_does_not_use_goes_to_another(client: Client) -> None:
    limits = ClientLimits(connections=2, connections_per_host=2, connect_seconds=1.0)
    async with peer() as first, peer() as second, made(client, limits) as send:
        await asyncio.gather(bet(send, first, b"a"), bet(send, first, b"b"))
        answers = await asyncio.gather(*(bet(send, second, b"%d" % number) for number in range(10)))
        assert [answer.body for answer in answers] == [b"%d" % number for number in range(10)]
        answers = await asyncio.gather(
            *(bet(send, wallet, b"%d" % number) for number in range(40) for wallet in (first, second))
        )
        assert [answer.body for answer in answers] == [b"%d" % (number // 2) for number in range(80)]
        assert first.most <= 2
        assert second.most <= 2


@only_for_wallets
@pytest.mark.parametrize("answers", [True, False], ids=["busy", "silent"])
async def test_wallets_that_want_every_place_leave_others_their_share(client: Client, answers: bool) -> None:
    limits = ClientLimits(connections=4, connections_per_host=3, connect_seconds=5.0)

    async def take_time(body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01 if answers else 60)
        writer.write(whole(body))

    async with peer() as one, peer() as other, peer() as third, made(client, limits) as send:

        async def want_more(wallet: Peer) -> None:
            wallet.answer = take_time
            while True:
                with suppress(TransportError):
                    await bet(send, wallet, b"more", 0.05)

        greedy = [asyncio.create_task(want_more(wallet)) for wallet in (one, other) for _ in range(8)]
        try:
            await asyncio.sleep(0.2)
            for number in range(5):
                assert (await bet(send, third, b"%d" % number, 5.0)).body == b"%d" % number
        finally:
            for task in greedy:
                task.cancel()
            await asyncio.gather(*greedy, return_exceptions=True)


@only_for_wallets
async def test_connections_that_cannot_be_made_use_up_no_place(client: Client) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        async with made(client, ClientLimits(connections=2, connect_seconds=1.0)) as send:
            for _ in range(5):
                with pytest.raises(TransportError, match="the connection failed") as caught:
                    await send(HttpRequest("POST", url), 2.0)
                assert caught.value.problem is NOT_SENT


async def test_a_connection_handed_to_a_call_that_is_given_up_in_that_moment_goes_to_the_next() -> None:
    async with peer() as wallet:
        target = Requests(Guard.development()).target(wallet.url)
        limits = ClientLimits(connections_per_host=1)
        pool = WalletPool(limits, Guard.development(), ClientTls().context())
        only = await pool.acquire(target.origin, 1.0)
        given_up = asyncio.ensure_future(pool.acquire(target.origin, 1.0))
        next_one = asyncio.ensure_future(pool.acquire(target.origin, 1.0))
        await asyncio.sleep(0.01)
        pool.give_back(target.origin, only)
        given_up.cancel()
        assert await next_one is only
        assert given_up.cancelled()
        await pool.close()


@only_for_wallets
async def test_neither_calls_nor_connections_leave_garbage_that_only_a_search_finds(client: Client) -> None:
    async with peer() as wallet, made(client, ClientLimits(keepalive_seconds=0)) as send:
        await bet(send, wallet, b"first")
        await asyncio.sleep(0.01)
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await bet(send, wallet, b"again")
            await asyncio.sleep(0.05)
            left = sum(isinstance(found, WalletConnection) for found in gc.get_objects())
        finally:
            gc.enable()
    assert wallet.opened == 21
    assert left <= 1


async def test_closing_ends_what_is_under_way_and_what_comes_after_is_not_sent(client: Client) -> None:
    async with peer() as wallet, made(client) as send:
        reached = asyncio.Event()

        async def silent(_body: bytes, _writer: asyncio.StreamWriter) -> None:
            reached.set()
            await asyncio.sleep(1.0)

        wallet.answer = silent
        call = asyncio.ensure_future(bet(send, wallet, b"first"))
        await reached.wait()
        await send.close()
        with pytest.raises(TransportError) as caught:
            await call
        assert caught.value.problem is NO_ANSWER
        with pytest.raises((TransportError, RuntimeError)):
            await bet(send, wallet, b"second")
    assert wallet.bodies == [b"first"]
