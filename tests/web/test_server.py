"""Apps behind real sockets: what reaches an app, what is turned away, and what survives a client that leaves."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from attrs import field, mutable
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from croupier.contract import Headers, HttpResponse, SettingsError
from croupier.runtime.logs import make_log
from croupier.web.apps import Incoming, JoinedApps, Probes, ProbesApp
from croupier.web.server import HttpServer, ServerLimits, TlsFiles

KEY = "test-key-of-the-toy-provider"


@mutable
class KeepingApp:
    """An app that keeps what it was asked."""

    body_limit: int = 1_000
    seen: list[Incoming] = field(factory=list)
    response: HttpResponse = field(factory=lambda: HttpResponse.text("done"))
    fault: Exception | None = None

    async def answer(self, incoming: Incoming) -> HttpResponse:
        self.seen.append(incoming)
        if self.fault:
            raise self.fault
        return self.response

    async def drain(self, seconds: float) -> int:
        return 0


@mutable
class Served:
    """A running server and its address."""

    app: KeepingApp
    server: HttpServer
    port: int
    log: Any

    async def send(self, raw: bytes, *, tls: ssl.SSLContext | None = None) -> bytes:
        return await exchange(self.port, raw, tls)


async def exchange(port: int, raw: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Send bytes, read all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        writer.write(raw)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def served(hub: Any) -> AsyncIterator[Served]:
    app = KeepingApp()
    limits = ServerLimits(idle_seconds=5, fields=20, line_bytes=2_000, field_bytes=2_000)
    server = HttpServer(app, hub.log, limits)
    _, port = await server.listen()
    yield Served(app, server, port, hub.log)
    await server.stop(1)


async def test_target_headers_and_body_reach_the_app_as_they_were_sent(served: Served) -> None:
    body = gzip.compress(b'{"a": 1}')
    head = (
        b"POST /providers/a/b/%2e%2E//c?x=%20+&x=2&&=%zz HTTP/1.1\r\nHost: h\r\nX-Sign: one\r\nx-sign: two\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: "
    ) + f"{len(body)}\r\nConnection: close\r\n\r\n".encode()
    answer = await served.send(head + body)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    (incoming,) = served.app.seen
    assert incoming.request.method == "POST"
    assert incoming.request.url == "/providers/a/b/%2e%2E//c?x=%20+&x=2&&=%zz"
    assert incoming.request.headers.all("X-Sign") == ("one", "two")
    assert incoming.request.body == body
    assert incoming.source == "127.0.0.1"
    assert incoming.client_certificate is None


async def test_nothing_tells_which_software_serves(served: Served) -> None:
    served.app.response = HttpResponse(200, Headers((("Server", "toy/1"), ("X-A", "1"), ("X-A", "2"))), b"x")
    for raw in (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"nonsense\r\n\r\n"):
        answer = (await served.send(raw)).lower()
        assert b"server: croupier\r\n" in answer
        assert b"aiohttp" not in answer
        assert b"python" not in answer
        assert b"toy/1" not in answer


async def test_a_header_that_would_break_the_framing_is_left_out(served: Served) -> None:
    served.app.response = HttpResponse(200, Headers((("X-Bad", "a\r\nX-Evil: 1"), ("X-Good", "2"))), b"x")
    answer = await served.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert b"Evil" not in answer
    assert b"X-Good: 2\r\n" in answer


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nBad Header: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n: empty\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 3_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 3_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(40)) + b"\r\n",
    ],
)
async def test_what_is_not_http_is_refused_before_any_app_sees_it(served: Served, raw: bytes) -> None:
    answer = await served.send(raw)
    assert b" 400 Bad Request\r\n" in answer[:40]
    assert answer.endswith(b"400: Bad Request")
    assert served.app.seen == []


async def test_a_broken_chunk_is_refused(served: Served) -> None:
    answer = await served.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nZZ\r\n")
    assert b" 400 Bad Request\r\n" in answer[:40]
    assert served.app.seen == []


async def test_a_chunked_body_arrives_whole(served: Served) -> None:
    await served.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert served.app.seen[0].request.body == b"abcde"


async def test_a_body_that_does_not_come_is_not_waited_for(hub: Any) -> None:
    app = KeepingApp()
    server = HttpServer(app, hub.log, ServerLimits(body_seconds=0.3))
    _, port = await server.listen()
    answer = await exchange(port, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert app.seen == []
    await server.stop(1)


async def test_a_body_beyond_the_limit_is_not_read_to_its_end(served: Served) -> None:
    answer = await served.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5_000)
    assert b"Connection: close" in answer
    assert len(served.app.seen[0].request.body) == 1_001


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    assert served.app.seen[0].request.body == b"abc"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("target", "seen"),
    [(b"http://h:80/a/b?c=http://d/", "/a/b?c=http://d/"), (b"http://h?x=1", "/?x=1"), (b"*", "*")],
)
async def test_the_target_is_read_in_every_form(served: Served, target: bytes, seen: str) -> None:
    await served.send(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert served.app.seen[0].request.url == seen


async def test_a_fault_of_an_app_tells_nothing(served: Served) -> None:
    served.app.fault = RuntimeError("the password is hush")
    answer = await served.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"500: Internal Server Error")
    assert "hush" not in repr(served.log.lines)


async def test_a_connection_that_says_nothing_is_closed(hub: Any) -> None:
    server = HttpServer(KeepingApp(), hub.log, ServerLimits(idle_seconds=0.2))
    _, port = await server.listen()
    assert await exchange(port, b"GET / HTTP/1.1\r\nHo") == b""
    await server.stop(1)


async def test_a_bet_whose_provider_hangs_up_is_finished(hub: Any) -> None:
    hub.engine.gate = asyncio.Event()
    hub.clock.is_real = True
    server = HttpServer(hub.app, hub.log)
    _, port = await server.listen()
    body = b'{"id": "b1"}'
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /providers/acme/toy/move HTTP/1.1\r\nHost: h\r\nX-Key: " + KEY.encode()
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )  # fmt: skip
    await hub.engine.arrived()
    writer.close()
    await writer.wait_closed()
    hub.engine.gate.set()
    assert await server.stop(5) == 0
    assert hub.engine.finished == ["b1"]


async def test_stopping_answers_what_was_asked_and_takes_nothing_new(hub: Any) -> None:
    hub.engine.gate = asyncio.Event()
    hub.clock.is_real = True
    server = HttpServer(hub.app, hub.log)
    _, port = await server.listen()
    raw = (
        b"POST /providers/acme/toy/move HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Key: " + KEY.encode()
        + b'\r\nContent-Length: 12\r\n\r\n{"id": "b1"}'
    )  # fmt: skip
    asked = asyncio.create_task(exchange(port, raw))
    await hub.engine.arrived()
    stopping = asyncio.create_task(server.stop(5))
    await asyncio.sleep(0.05)
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection("127.0.0.1", port)
    hub.engine.gate.set()
    assert (await asked).startswith(b"HTTP/1.1 200 OK")
    assert await stopping == 0


async def test_apps_at_one_socket_are_told_apart_by_whole_path_segments(hub: Any) -> None:
    one, two, other = KeepingApp(), KeepingApp(body_limit=5_000), ProbesApp(probes=Probes(obstacles=list))
    joined = JoinedApps(apps={"/v1": one, "/v1/admin": two}, other=other)
    server = HttpServer(joined, hub.log)
    _, port = await server.listen()
    for path in (b"/v1/games?x", b"/v1/admin", b"/v1/administrators", b"/v10", b"/healthz"):
        await exchange(port, b"GET " + path + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    await server.stop(1)
    assert [incoming.request.url for incoming in one.seen] == ["/v1/games?x", "/v1/administrators"]
    assert [incoming.request.url for incoming in two.seen] == ["/v1/admin"]
    assert joined.body_limit == 5_000


# --- what a connection promises beyond one request --------------------------------------------------------------------


def _get(path: bytes, *fields: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([method + b" " + path + b" " + version, b"Host: h", *fields, b"", b""])


@mutable
class SlowApp(KeepingApp):
    """An app that answers with the path, once it may."""

    began: asyncio.Event = field(factory=asyncio.Event)
    gate: asyncio.Event = field(factory=asyncio.Event)

    async def answer(self, incoming: Incoming) -> HttpResponse:
        self.seen.append(incoming)
        self.began.set()
        await self.gate.wait()
        return HttpResponse.text(incoming.request.url)


async def test_requests_sent_ahead_are_answered_one_by_one_and_in_order(hub: Any) -> None:
    app = SlowApp()
    server = HttpServer(app, hub.log)
    _, port = await server.listen()
    paths = [b"/%d" % number for number in range(100)]
    raw = b"".join(_get(path) for path in paths[:-1]) + _get(paths[-1], b"Connection: close")
    asked = asyncio.create_task(exchange(port, raw))
    await app.began.wait()
    await asyncio.sleep(0.05)
    assert [incoming.request.url for incoming in app.seen] == ["/0"]
    app.gate.set()
    answers = (await asked).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == paths
    await server.stop(1)


async def test_what_is_no_request_behind_one_is_refused_after_the_answer_to_it(served: Served) -> None:
    answer = await served.send(_get(b"/one") + b"nonsense\r\n\r\n")
    first, second = answer.split(b"HTTP/1.1 ")[1:]
    assert (first[:6], second[:15]) == (b"200 OK", b"400 Bad Request")
    assert [incoming.request.url for incoming in served.app.seen] == ["/one"]


async def test_a_request_that_comes_byte_by_byte_is_the_same_request(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    raw = _get(b"/a?b=1", b"X-Sign: ab", b"Content-Length: 3", b"Connection: close", method=b"POST") + b"abc"
    for place in range(len(raw)):
        writer.write(raw[place : place + 1])
        await writer.drain()
        await asyncio.sleep(0)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    await writer.wait_closed()
    (incoming,) = served.app.seen
    assert (incoming.request.url, incoming.request.body) == ("/a?b=1", b"abc")
    assert incoming.request.headers.get("x-sign") == "ab"


async def test_head_is_answered_without_the_body_and_with_its_length(served: Served) -> None:
    answer = await served.send(_get(b"/", b"Connection: close", method=b"HEAD"))
    assert b"Content-Length: 4\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_an_answer_without_content_says_no_length(served: Served) -> None:
    served.app.response = HttpResponse(204)
    answer = await served.send(_get(b"/", b"Connection: close"))
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"content-length" not in answer.lower()


async def test_an_old_client_is_told_whether_its_connection_goes_on(served: Served) -> None:
    kept = _get(b"/", b"Connection: keep-alive", version=b"HTTP/1.0")
    answer = await served.send(kept + _get(b"/", version=b"HTTP/1.0"))
    first, second = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert b"Connection: keep-alive\r\n" in first
    assert b"Connection: close\r\n" in second


@pytest.mark.parametrize("body", [b"", b"abc"])
async def test_an_offer_of_another_protocol_is_passed_over(served: Served, body: bytes) -> None:
    fields = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk", b"X-Sign: ab"]
    raw = _get(b"/up", *fields, b"Content-Length: %d" % len(body), method=b"POST") + body
    answer = await served.send(raw + _get(b"/next", b"Connection: close"))
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    offered, following = served.app.seen
    assert (offered.request.url, offered.request.body) == ("/up", body)
    assert offered.request.headers.get("X-Sign") == "ab"
    assert following.request.url == "/next"


async def test_a_tunnel_is_not_opened(served: Served) -> None:
    answer = await served.send(_get(b"h:443", method=b"CONNECT") + _get(b"/next"))
    assert b"Connection: close\r\n" in answer
    assert [incoming.request.method for incoming in served.app.seen] == ["CONNECT"]


async def test_a_field_behind_the_body_is_not_taken_for_one_before_it(served: Served) -> None:
    await served.send(
        _get(b"/", b"Transfer-Encoding: chunked", b"Connection: close", method=b"POST")
        + b"3\r\nabc\r\n0\r\nX-Sign: late\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    )
    (incoming,) = served.app.seen
    assert incoming.request.body == b"abc"
    assert incoming.request.headers.get("X-Sign") is None
    assert incoming.request.headers.get("X-Forwarded-For") is None


@pytest.mark.parametrize(
    "endless",
    [
        b"GET / HTTP/1.1\r\nX-Endless: ",
        b"GET / HTTP/1.1\r\nHost: h\r\nX",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Endless: ",
    ],
)
async def test_a_field_without_an_end_is_not_waited_for(served: Served, endless: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(endless)
    for _ in range(40):
        writer.write(b"x" * 500)
        await asyncio.sleep(0.001)
    assert b" 400 Bad Request\r\n" in (await reader.read(100))[:40]
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    assert served.app.seen == []


async def test_answers_that_nobody_takes_stop_further_work_on_their_connection(hub: Any) -> None:
    app = KeepingApp(response=HttpResponse.text("x" * 5_000_000))
    server = HttpServer(app, hub.log)
    _, port = await server.listen()
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
    writer.write(_get(b"/") * 50)
    async with asyncio.timeout(20):
        while not app.seen:  # noqa: ASYNC110 # the server takes its time
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert len(app.seen) < 10
    writer.transport.abort()
    assert await server.stop(1) == 0


async def test_a_request_on_an_open_connection_is_answered_while_the_server_stops_and_ends_it(hub: Any) -> None:
    hub.engine.gate = asyncio.Event()
    hub.clock.is_real = True
    server = HttpServer(hub.app, hub.log)
    _, port = await server.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = asyncio.create_task(exchange(port, _ask(b"toy")))
    await hub.engine.arrived()
    stopping = asyncio.create_task(server.stop(5))
    await asyncio.sleep(0.05)
    writer.write(_get(b"/healthz"))
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer
    hub.engine.gate.set()
    assert b'"moved"' in await asked
    assert await stopping == 0
    writer.close()
    await writer.wait_closed()


async def test_a_connection_between_two_requests_is_closed_when_it_is_idle(hub: Any) -> None:
    server = HttpServer(KeepingApp(), hub.log, ServerLimits(idle_seconds=0.3))
    _, port = await server.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_get(b"/"))
    assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200 OK")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await writer.wait_closed()
    await server.stop(1)


# --- who is let in ----------------------------------------------------------------------------------------------------


def test_clients_that_come_together_are_let_in_together() -> None:
    async def story() -> int:
        app = KeepingApp()
        server = HttpServer(app, make_log("error"))
        _, port = await server.listen()
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        for client in clients:
            client.sendall(_get(b"/", b"Connection: close"))
        rounds = 0
        while len(app.seen) < len(clients):
            rounds += 1
            await asyncio.sleep(0)
        for client in clients:
            client.close()
        await server.stop(1)
        return rounds

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(story()) < 100


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_a_client_that_comes_while_the_server_stops_does_not_hold_it_up(
    turns: int, loop_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("croupier.web.server._LAST_ANSWERS_SECONDS", 60.0)

    async def story() -> None:
        server = HttpServer(KeepingApp(), make_log("error"))
        _, port = await server.listen()
        with socket.create_connection(("127.0.0.1", port)):
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(30):
                assert await server.stop(1) == 0

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(story())


async def test_a_process_that_may_have_no_more_sockets_lets_clients_in_later(hub: Any) -> None:
    server = HttpServer(KeepingApp(), hub.log)
    _, port = await server.listen()
    loop = asyncio.get_running_loop()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        client.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
        try:
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, _get(b"/", b"Connection: close"))
            await asyncio.sleep(0.1)
            (line,) = hub.log.of("http_failed")
            assert line["fault"] == "EMFILE"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await asyncio.wait_for(loop.sock_recv(client, 100), 5)).startswith(b"HTTP/1.1 200 OK")
    await server.stop(1)


async def test_an_address_that_is_taken_is_an_error_and_leaves_nothing_open(hub: Any) -> None:
    first, second = HttpServer(KeepingApp(), hub.log), HttpServer(KeepingApp(), hub.log)
    host, port = await first.listen()
    with pytest.raises(OSError, match="in use"):
        await second.listen(host, port)
    await second.stop(1)
    assert (await exchange(port, _get(b"/", b"Connection: close"))).startswith(b"HTTP/1.1 200 OK")
    await first.stop(1)


# --- TLS --------------------------------------------------------------------------------------------------------------


@mutable
class Certificates:
    """An authority, and what it signed, as files."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    authority: x509.Certificate = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.authority = self._sign("test authority", self.key, authority=True)
        self.path("authority").write_bytes(self.authority.public_bytes(serialization.Encoding.PEM))

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def make(self, name: str, subject: str) -> bytes:
        """Sign a certificate, write it and its key, and return its DER bytes."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(subject, key, authority=False)
        self.path(name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.path(f"{name}-key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate.public_bytes(serialization.Encoding.DER)

    def _sign(self, subject: str, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        def name(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject.replace(" ", "-"))]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def client(self, name: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.path("authority")))
        if name:
            context.load_cert_chain(self.path(name), self.path(f"{name}-key"))
        return context


def _ask(connection: bytes) -> bytes:
    return (
        b"POST /providers/acme/" + connection + b"/move HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Key: "
        + KEY.encode() + b'\r\nContent-Length: 12\r\n\r\n{"id": "b1"}'
    )  # fmt: skip


async def test_a_client_certificate_reaches_the_connection_that_asks_for_it(hub: Any, tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    made.make("server", "localhost")
    raw = made.make("provider", "provider.example")
    made.make("stranger", "stranger.example")
    app = KeepingApp()
    keeping, server = HttpServer(app, hub.log), HttpServer(hub.app, hub.log)
    files = TlsFiles(
        certificate=made.path("server"), key=made.path("server-key"), client_authorities=made.path("authority")
    )
    _, port = await keeping.listen(tls=files.context())
    await exchange(port, _ask(b"certified"), made.client("provider"))
    presented = app.seen[0].client_certificate
    assert presented is not None
    assert (presented.fingerprint, presented.subject) == (hashlib.sha256(raw).hexdigest(), "provider.example")

    _, port = await server.listen(tls=files.context())
    assert b'"moved"' in await exchange(port, _ask(b"certified"), made.client("provider"))
    assert b"error:authentication" in await exchange(port, _ask(b"certified"), made.client("stranger"))
    assert b"error:authentication" in await exchange(port, _ask(b"certified"), made.client())
    assert b'"moved"' in await exchange(port, _ask(b"toy"), made.client())
    await keeping.stop(1)
    await server.stop(1)


async def test_a_listener_may_turn_away_clients_without_a_certificate(hub: Any, tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    made.make("server", "localhost")
    (tmp_path / "foreign").mkdir()
    foreign = Certificates(tmp_path / "foreign")
    foreign.make("provider", "provider.example")
    context = made.client()
    context.load_cert_chain(foreign.path("provider"), foreign.path("provider-key"))
    app = KeepingApp()
    server = HttpServer(app, hub.log)
    files = TlsFiles(
        certificate=made.path("server"),
        key=made.path("server-key"),
        client_authorities=made.path("authority"),
        require_client=True,
    )
    _, port = await server.listen(tls=files.context())
    for client in (made.client(), context):
        with suppress(ssl.SSLError, ConnectionError):  # TLS 1.3 tells the client after its own handshake
            assert await exchange(port, _ask(b"toy"), client) == b""
    assert app.seen == []
    await server.stop(1)


def test_tls_files_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.pem cannot be read: No such file"):
        TlsFiles(certificate=tmp_path / "none.pem", key=tmp_path / "none.pem").context()
