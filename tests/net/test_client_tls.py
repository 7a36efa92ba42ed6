"""Both clients and TLS, with throw-away keys made for the test; and names that lead to several or other addresses."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from croupier.contract import HttpRequest, HttpResponse, SettingsError, TransportError, TransportProblem
from croupier.net import ClientLimits, ClientTls, Guard, HttpClient, WalletClient

Client = type[HttpClient | WalletClient]
NOT_SENT = TransportProblem.NOT_SENT
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(params=[HttpClient, WalletClient])
def client(request: pytest.FixtureRequest) -> Client:
    kind: Client = request.param
    return kind


class Server:
    """Reads the head of each request and says hello; counts what it heard, and the names that were asked for."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.names: list[str | None] = []
        self.url = ""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(HELLO)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    if context is not None:
        context.sni_callback = lambda _socket, name, _context: server.names.append(name)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    host, server.port = listener.sockets[0].getsockname()
    server.url = f"{'https' if context else 'http'}://{host}:{server.port}"
    try:
        yield server
    finally:
        listener.close()
        await asyncio.sleep(0.02)


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
        return await send(HttpRequest("GET", server.url), 2.0)


async def test_a_server_of_a_trusted_authority_is_called(client: Client, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "test-ca")
    async with serving(server_context(authority.issue("server", "127.0.0.1"))) as server:
        assert (await call(client, server, ClientTls(ca=authority.file))).body == b"hello"


@pytest.mark.parametrize("fault", ["unknown authority", "another host", "system authorities"])
async def test_a_server_that_cannot_prove_who_it_is_gets_nothing(client: Client, tmp_path: Path, fault: str) -> None:
    authority = Authority(tmp_path, "test-ca")
    trusted = Authority(tmp_path, "other-ca") if fault == "unknown authority" else authority
    files = authority.issue("server", "other.example" if fault == "another host" else "127.0.0.1")
    tls = None if fault == "system authorities" else ClientTls(ca=trusted.file)
    async with quiet_handshakes(), serving(server_context(files)) as server:
        with pytest.raises(TransportError, match="certificate") as caught:
            await call(client, server, tls)
    assert caught.value.problem is NOT_SENT
    assert server.requests == []


async def test_a_server_that_speaks_no_tls_gets_nothing(client: Client) -> None:
    async with quiet_handshakes(), serving() as server:
        server.url = server.url.replace("http:", "https:")
        with pytest.raises(TransportError) as caught:
            await call(client, server, None)
    assert caught.value.problem is NOT_SENT
    assert server.requests == []


async def test_the_hub_shows_its_client_certificate(client: Client, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "test-ca")
    context = server_context(authority.issue("server", "127.0.0.1"), client_ca=authority.file)
    certificate, key = authority.issue("hub", "hub.example")
    async with quiet_handshakes(), serving(context) as server:
        assert (
            await call(client, server, ClientTls(ca=authority.file, certificate=certificate, key=key))
        ).status == 200
        with pytest.raises(TransportError):
            await call(client, server, ClientTls(ca=authority.file))
    assert len(server.requests) == 1


def test_a_certificate_file_that_is_none_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(SettingsError, match=r"outgoing\.ca"):
        ClientTls(ca=tmp_path / "missing.pem").context()
    with pytest.raises(SettingsError, match=r"outgoing\.ca"):
        ClientTls(ca=empty).context()
    with pytest.raises(SettingsError, match=r"outgoing\.certificate"):
        ClientTls(certificate=empty).context()


# Names: only the client for wallets can be handed a resolver; `HttpClient` uses the same guard around aiohttp's.


class Names:
    """A resolver with the answers of a test, in turn; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [{"host": address, "port": port} for address in found]

    async def close(self) -> None:
        self.answers = [[]]


def named(names: Names, *, guard: Guard | None = None, **options: Any) -> WalletClient:
    resolver: Any = names
    return WalletClient(guard=guard or Guard.development(), resolver=resolver, **options)


async def get(send: WalletClient, url: str) -> HttpResponse:
    return await send(HttpRequest("GET", url), 2.0)


async def test_the_name_in_the_url_is_asked_for_and_must_be_in_the_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "test-ca")
    tls = ClientTls(ca=authority.file)
    context = server_context(authority.issue("s", "wallet.example"))
    async with quiet_handshakes(), serving(context) as server, named(Names(["127.0.0.1"]), tls=tls) as send:
        assert (await get(send, f"https://wallet.example:{server.port}/")).body == b"hello"
        assert b"Host: wallet.example:" in server.requests[0]
        with pytest.raises(TransportError, match="certificate") as caught:
            await get(send, f"https://other.example:{server.port}/")
    assert caught.value.problem is NOT_SENT
    assert server.names == ["wallet.example", "other.example"]
    assert len(server.requests) == 1


async def test_a_server_with_an_old_protocol_gets_nothing(tmp_path: Path, client: Client) -> None:
    authority = Authority(tmp_path, "test-ca")
    context = server_context(authority.issue("server", "127.0.0.1"))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with quiet_handshakes(), serving(context) as server:
        with pytest.raises(TransportError) as caught:
            await call(client, server, ClientTls(ca=authority.file))
    assert caught.value.problem is NOT_SENT
    assert server.requests == []


async def test_a_handshake_that_does_not_end_is_not_sent(client: Client) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        async with client(guard=Guard.development(), limits=ClientLimits(connect_seconds=0.2)) as send:
            with pytest.raises(TransportError) as caught:
                await send(HttpRequest("POST", url, body=b"{}"), 2.0)
    assert caught.value.problem is NOT_SENT


async def test_many_calls_share_tls_connections(tmp_path: Path, client: Client) -> None:
    authority = Authority(tmp_path, "test-ca")
    async with serving(server_context(authority.issue("server", "127.0.0.1"))) as server:
        limits = ClientLimits(connections_per_host=4)
        async with client(guard=Guard.development(), tls=ClientTls(ca=authority.file), limits=limits) as send:
            answers = await asyncio.gather(*(send(HttpRequest("GET", server.url), 5.0) for _ in range(100)))
        await asyncio.sleep(0.02)
    assert {answer.body for answer in answers} == {b"hello"}
    assert server.connections <= 4


async def test_a_name_with_one_foot_inside_is_refused_as_a_whole() -> None:
    async with serving() as server, named(Names(["93.184.216.34", "127.0.0.1"]), guard=Guard(plain_http=True)) as send:
        with pytest.raises(TransportError, match="may not be called") as caught:
            await get(send, f"http://wallet.example:{server.port}/")
    assert caught.value.problem is NOT_SENT
    assert server.connections == 0


async def test_a_name_that_leads_elsewhere_later_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("croupier.net.wallet_pool._NAME_SECONDS", 0.0)
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with serving() as server, named(names, limits=ClientLimits(keepalive_seconds=0)) as send:
        url = f"http://wallet.example:{server.port}/"
        assert (await get(send, url)).body == b"hello"
        with pytest.raises(TransportError, match="may not be called") as caught:
            await get(send, url)
    assert caught.value.problem is NOT_SENT
    assert names.asked == 2


async def test_a_name_is_looked_up_once_for_many_calls() -> None:
    names = Names(["127.0.0.1"])
    async with serving() as server, named(names) as send:
        url = f"http://wallet.example:{server.port}/"
        await asyncio.gather(*(get(send, url) for _ in range(50)))
    assert names.asked == 1


async def test_an_address_that_refuses_leaves_the_others_of_its_name() -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])
    async with serving() as server, named(names) as send:
        url = f"http://wallet.example:{server.port}/"
        answers = await asyncio.gather(*(get(send, url) for _ in range(4)))
    assert {answer.body for answer in answers} == {b"hello"}


async def test_after_a_failed_connection_the_name_is_looked_up_again() -> None:
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    async with serving() as server, named(names) as send:
        url = f"http://wallet.example:{server.port}/"
        with pytest.raises(TransportError) as caught:
            await get(send, url)
        assert caught.value.problem is NOT_SENT
        assert (await get(send, url)).body == b"hello"


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "-"])
async def test_a_host_that_cannot_be_a_name_is_not_sent(host: str) -> None:
    async with WalletClient(guard=Guard.development()) as send:
        with pytest.raises(TransportError) as caught:
            await get(send, f"https://{host}/")
    assert caught.value.problem is NOT_SENT


async def test_a_call_without_time_is_not_sent() -> None:
    async with serving() as server, WalletClient(guard=Guard.development()) as send:
        await get(send, server.url)
        for seconds in (0.0, -1.0):
            with pytest.raises(TransportError) as caught:
                await send(HttpRequest("GET", server.url), seconds)
            assert caught.value.problem is NOT_SENT
        await get(send, server.url)
    assert (server.connections, len(server.requests)) == (1, 2)
