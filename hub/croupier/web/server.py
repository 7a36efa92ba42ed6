"""Apps behind sockets: the only module of this room that knows aiohttp, which is imported when a server is made.

aiohttp's low-level server is used, without its application and router: header fields, target and body reach the apps
exactly as they were sent (nothing is decompressed, decoded or normalised), and nothing of the framework is told.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from croupier.contract import Headers, HttpRequest, HttpResponse, SettingsError
from croupier.web.addresses import PresentedCertificate
from croupier.web.apps import App, Incoming
from croupier.web.ports import Log

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.web_runner import BaseSite

_OURS: Final = frozenset({"server", "content-length", "transfer-encoding", "connection", "date"})
"""Header fields that the server itself writes; an app's are left out."""


@frozen(kw_only=True)
class ServerLimits:
    """What one client may take of the server.

    Attributes:
        line_bytes: The longest request line.
        field_bytes: The longest header field.
        fields: How many header fields a request may have.
        idle_seconds: How long a connection may be silent, before its first request and between two.
        body_seconds: How long a body may take to arrive.
    """

    line_bytes: int = 8_190
    field_bytes: int = 8_190
    fields: int = 100
    idle_seconds: float = 75.0
    body_seconds: float = 15.0


@frozen(kw_only=True)
class TlsFiles:
    """What a TLS listener needs.

    Attributes:
        certificate: The server's certificate chain (PEM).
        key: Its private key (PEM).
        client_authorities: The authorities of client certificates (PEM): with it, mTLS is offered.
        require_client: Whether a client without a certificate is turned away in the handshake. Without it one
            listener serves connections that ask for a certificate and those that do not.
    """

    certificate: Path
    key: Path
    client_authorities: Path | None = None
    require_client: bool = False

    def context(self) -> ssl.SSLContext:
        """The TLS context: 1.2 or newer.

        Raises:
            SettingsError: A file cannot be read, or does not hold what it should.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_authorities is not None:
                context.load_verify_locations(self.client_authorities)
                context.verify_mode = ssl.CERT_REQUIRED if self.require_client else ssl.CERT_OPTIONAL
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(f"the TLS files cannot be used: {error.strerror or error}", where="tls") from None
        return context


@frozen(eq=False)
class HttpServer:
    """One app behind any number of listeners.

    Attributes:
        app: What answers.
        log: Faults of the transport.
        limits: What one client may take.
    """

    app: App
    log: Log
    limits: ServerLimits = ServerLimits()
    _runners: list[web.ServerRunner] = field(factory=list, init=False)
    _sites: list[BaseSite] = field(factory=list, init=False)

    async def listen(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None, *, reuse_port: bool = False
    ) -> tuple[str, int]:
        """Open a listener; returns its address (port 0 takes a free one)."""
        from aiohttp import web

        runner = await self._runner()
        site = web.TCPSite(runner, host, port, ssl_context=tls, reuse_port=reuse_port or None, backlog=1024)
        await site.start()
        self._sites.append(site)
        address = runner.addresses[-1]
        return str(address[0]), int(address[1])

    async def listen_unix(self, path: str) -> None:
        """Open a listener on a Unix socket."""
        from aiohttp import web

        site = web.UnixSite(await self._runner(), path)
        await site.start()
        self._sites.append(site)

    async def stop(self, seconds: float = 10.0) -> int:
        """Close the listeners, answer what was asked, finish the work; returns how much work is left undone."""
        for site in self._sites:
            await site.stop()
        self._sites.clear()
        left = await self.app.drain(seconds)
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        return left

    async def _runner(self) -> web.ServerRunner:
        from aiohttp import web

        if not self._runners:
            runner = web.ServerRunner(_make_server(self.app, self.limits, self.log), shutdown_timeout=5.0)
            await runner.setup()
            self._runners.append(runner)
        return self._runners[0]


def _make_server(app: App, limits: ServerLimits, log: Log) -> web.Server:
    """The server: a factory of protocols, one a connection."""
    from aiohttp import web

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await _answer(request, app, limits, log)

    options: dict[str, Any] = {
        "auto_decompress": False,
        "max_line_size": limits.line_bytes,
        "max_field_size": limits.field_bytes,
        "max_headers": limits.fields,
        "keepalive_timeout": limits.idle_seconds,
        "lingering_time": 2.0,
        "access_log": None,
        "logger": _silent_logger(),
    }

    class Protocol(web.RequestHandler):
        """A connection that tells nothing of the framework when it meets what is not HTTP."""

        __slots__ = ()

        def handle_error(
            self,
            request: web.BaseRequest,
            status: int = 500,
            exc: BaseException | None = None,
            message: str | None = None,
        ) -> web.StreamResponse:
            if status >= 500:
                log.error("http_failed", fault=type(exc).__name__, status=status)
            else:
                log.info("http_malformed", fault=type(exc).__name__, status=status)
            if request.writer.output_size > 0:
                raise ConnectionError("a part of the answer is sent already")
            response = _written(
                HttpResponse.text("500: Internal Server Error" if status >= 500 else "400: Bad Request", status)
            )
            response.force_close()
            return response

    class Server(web.Server):
        """Makes such connections."""

        def __call__(self) -> web.RequestHandler:
            return Protocol(self, loop=asyncio.get_running_loop(), **options)

    return Server(answer)


async def _answer(request: web.BaseRequest, app: App, limits: ServerLimits, log: Log) -> web.StreamResponse:
    """Read one request, have it answered, and write the answer."""
    from aiohttp.web import RequestPayloadError

    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # what came before the answer is no part of it
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await _read(request, app.body_limit)
    except TimeoutError:
        return _closing(HttpResponse.text("408: Request Timeout", 408))
    except RequestPayloadError:
        return _closing(HttpResponse.text("400: Bad Request", 400))
    incoming = Incoming(
        request=HttpRequest(request.method, _target(request.raw_path), Headers(tuple(request.headers.items())), body),
        source=_source(request),
        client_certificate=_certificate(request),
    )
    try:
        response = await app.answer(incoming)
    except Exception as error:  # noqa: BLE001 - no fault may show itself outside
        response = _failed(log, error)
    return _closing(response) if len(body) > app.body_limit else _written(response)


def _failed(log: Log, error: Exception) -> HttpResponse:
    log.error("app_failed", fault=type(error).__name__)
    return HttpResponse.text("500: Internal Server Error", 500)


async def _read(request: web.BaseRequest, limit: int) -> bytes:
    """The body, or so much of it as shows that it is longer than the limit."""
    if not request.body_exists:
        return b""
    body = bytearray()
    while len(body) <= limit:
        chunk = await request.content.readany()
        if not chunk:
            break
        body += chunk
    return bytes(body[: limit + 1])


def _target(raw: str) -> str:
    """The target in origin form: proxies may send the absolute form, with scheme and authority."""
    if raw.startswith("/"):
        return raw
    scheme, mark, rest = raw.partition("://")
    if not mark or scheme.lower() not in {"http", "https"}:
        return raw
    cut = min((place for place in (rest.find("/"), rest.find("?")) if place >= 0), default=len(rest))
    below = rest[cut:]
    return below if below.startswith("/") else "/" + below


def _source(request: web.BaseRequest) -> str:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


def _certificate(request: web.BaseRequest) -> PresentedCertificate | None:
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    raw = tls.getpeercert(binary_form=True) if tls else None
    if not tls or not raw:
        return None
    subject = dict(pair for group in tls.getpeercert().get("subject", ()) for pair in group)
    return PresentedCertificate(fingerprint=hashlib.sha256(raw).hexdigest(), subject=subject.get("commonName"))


def _written(response: HttpResponse) -> web.Response:
    """An answer as aiohttp sends it; fields that would break the framing are left out."""
    from aiohttp import web
    from multidict import CIMultiDict

    fields: CIMultiDict[str] = CIMultiDict((("Server", "croupier"),))
    for name, value in response.headers:
        if name.lower() not in _OURS and not _breaks(name) and not _breaks(value):
            fields.add(name, value)
    return web.Response(status=response.status, headers=fields, body=response.body)


def _breaks(text: str) -> bool:
    return any(sign in text for sign in "\r\n\0")


def _closing(response: HttpResponse) -> web.Response:
    written = _written(response)
    written.force_close()
    return written


def _silent_logger() -> logging.Logger:
    """A logger that never speaks: aiohttp writes the text of bad requests into its own."""
    logger = logging.Logger("croupier.web.silent")  # noqa: LOG001 - apart from the tree on purpose
    logger.disabled = True
    return logger
