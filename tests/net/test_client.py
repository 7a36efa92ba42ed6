"""Both clients against real sockets that behave badly: they keep the same promises."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from croupier.contract import Headers, HttpRequest, HttpResponse, SettingsError, TransportError, TransportProblem
from croupier.net import ClientLimits, ClientTls, Guard, HttpClient, WalletClient

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
async def serving(
    answer: bytes | Handler, *, keep_open: bool = False, context: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
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

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    host, port = listener.sockets[0].getsockname()
    server.url = f"{'https' if context else 'http'}://{host}:{port}"
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


async def test_a_name_that_does_not_exist_is_not_sent(client: Client) -> None:
    async with made(client) as send:
        with pytest.raises(TransportError) as caught:
            await send(HttpRequest("POST", "http://no-such-host.invalid/secret-token"), 5.0)
    assert caught.value.problem is NOT_SENT
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
    await asyncio.sleep(0.5)


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
    await asyncio.sleep(0.5)


async def _drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(10):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "handler", [_silent, _drops, _resets, _half_answer, _half_head, _half_chunk, _half_closes, _drips]
)
async def test_what_was_sent_and_got_no_whole_answer_is_unknown(client: Client, handler: Handler) -> None:
    assert (await problem_of(client, handler, seconds=0.3)).problem is NO_ANSWER


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
        first = asyncio.ensure_future(send(HttpRequest("POST", server.url), 0.4))
        await asyncio.sleep(0.05)
        with pytest.raises(TransportError) as caught:
            await send(HttpRequest("POST", server.url), 1.0)
        assert caught.value.problem is NOT_SENT
        with pytest.raises(TransportError):
            await first
    assert len(server.requests) == 1


# --- TLS, with throw-away keys made for the test


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            self._builder(self.subject, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=True,
                    crl_sign=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self.key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    def issue(self, name: str, host: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        certificate = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def server_context(files: tuple[Path, Path], client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca)
    context.load_cert_chain(*files)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def quiet_handshakes() -> AsyncIterator[None]:
    """A refused handshake is the server's error, too; asyncio would report it to the loop's handler."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        yield
    finally:
        loop.set_exception_handler(None)


async def call(client: Client, server: Server, tls: ClientTls | None) -> HttpResponse:
    async with client(guard=Guard.development(), tls=tls) as send:
        return await send(HttpRequest("POST", server.url, body=b"{}"), 2.0)


async def test_a_server_of_a_trusted_authority_is_called(client: Client, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "test-ca")
    async with serving(HELLO, context=server_context(authority.issue("server", "127.0.0.1"))) as server:
        assert (await call(client, server, ClientTls(ca=authority.file))).body == b"hello"


@pytest.mark.parametrize("fault", ["unknown authority", "another host", "system authorities"])
async def test_a_server_that_cannot_prove_who_it_is_gets_nothing(client: Client, tmp_path: Path, fault: str) -> None:
    authority = Authority(tmp_path, "test-ca")
    trusted = Authority(tmp_path, "other-ca") if fault == "unknown authority" else authority
    files = authority.issue("server", "other.example" if fault == "another host" else "127.0.0.1")
    tls = None if fault == "system authorities" else ClientTls(ca=trusted.file)
    async with quiet_handshakes(), serving(HELLO, context=server_context(files)) as server:
        with pytest.raises(TransportError, match="certificate") as caught:
            await call(client, server, tls)
    assert caught.value.problem is NOT_SENT
    assert server.requests == []


async def test_a_server_that_speaks_no_tls_gets_nothing(client: Client) -> None:
    async with quiet_handshakes(), serving(HELLO) as server:
        server.url = server.url.replace("http:", "https:")
        with pytest.raises(TransportError) as caught:
            await call(client, server, None)
    assert caught.value.problem is NOT_SENT
    assert server.requests == []


async def test_the_hub_shows_its_client_certificate(client: Client, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "test-ca")
    context = server_context(authority.issue("server", "127.0.0.1"), client_ca=authority.file)
    certificate, key = authority.issue("hub", "hub.example")
    async with quiet_handshakes(), serving(HELLO, context=context) as server:
        assert (
            await call(client, server, ClientTls(ca=authority.file, certificate=certificate, key=key))
        ).status == 200
        with pytest.raises(TransportError):
            await call(client, server, ClientTls(ca=authority.file))
    assert len(server.requests) == 1


def test_a_certificate_file_that_is_none_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(SettingsError, match=r"tls\.ca"):
        ClientTls(ca=tmp_path / "missing.pem").context()
    with pytest.raises(SettingsError, match=r"tls\.ca"):
        ClientTls(ca=empty).context()
    with pytest.raises(SettingsError, match=r"tls\.certificate"):
        ClientTls(certificate=empty).context()
