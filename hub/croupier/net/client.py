"""The HTTP client for everything the hub calls beside operators' wallets, which have `WalletClient`.

What matters here is the border between `NOT_SENT` and `NO_ANSWER`. As long as no connection (TLS included) was handed
to the request, nothing can have reached the other side. From then on everything that is not a whole answer is unknown.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Self

from attrs import define, frozen

from croupier import __version__
from croupier.contract import Headers, HttpRequest, HttpResponse, SettingsError, TransportError, TransportProblem
from croupier.net import wire
from croupier.net.guard import Guard

if TYPE_CHECKING:
    import aiohttp


@frozen(kw_only=True)
class ClientLimits:
    """What outgoing connections may cost.

    Attributes:
        response_bytes: The longest body that is accepted.
        connect_seconds: How long it may take to get a connection, a free place in the pool included.
        connections: How many connections there may be at once; 0 for no limit.
        connections_per_host: How many of them to one host and port.
        keepalive_seconds: How long an idle connection is kept. It should be shorter than the other side's time: a
            request on a connection that is being closed there has an unknown outcome.
    """

    response_bytes: int = 8 * 1024 * 1024
    connect_seconds: float = 3.0
    connections: int = 400
    connections_per_host: int = 100
    keepalive_seconds: float = 4.0


@frozen(kw_only=True)
class ClientTls:
    """How the other side is recognised, and how the hub shows who it is. Verification cannot be turned off.

    Attributes:
        ca: A file of the certificate authorities to trust, instead of the system's.
        certificate: The hub's client certificate (PEM, with its chain).
        key: Its private key (PEM).
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """The context for connections: TLS 1.2 or newer.

        Raises:
            SettingsError: A file cannot be read, or is not what it should be.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise _unusable("ca", self.ca, error) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                raise _unusable("certificate", self.certificate, error) from error
        return context


def _unusable(name: str, file: Path | None, error: OSError) -> SettingsError:
    if isinstance(error, ssl.SSLError):
        what = "certificates" if name == "ca" else "a certificate and its private key (`key` names a second file)"
        return SettingsError(f"{file} does not hold {what} in PEM", where=f"outgoing.{name}")
    which = error.filename or file or "a file"
    return SettingsError(f"{which} cannot be read: {error.strerror}", where=f"outgoing.{name}")


@define
class _Progress:
    """Whether the request was given a connection: what was written to it nobody can take back."""

    connected: bool = False


class HttpClient:
    """Sends requests, each once; implements `croupier.wallet.ports.Send`.

    To be made and used in one event loop. It keeps connections alive; close it at the end.

    Args:
        limits: What connections may cost.
        guard: Where to connect to.
        tls: How the other side is recognised.
        traceparent: Gives the W3C `traceparent` of the work at hand, or `None`.

    Raises:
        SettingsError: A file of `tls` cannot be used.

    Example:
        ```python
        async with HttpClient(guard=Guard.development()) as send:
            response = await send(HttpRequest("GET", "http://127.0.0.1:9000/health"), 2.0)
        ```
    """

    def __init__(
        self,
        *,
        limits: ClientLimits | None = None,
        guard: Guard | None = None,
        tls: ClientTls | None = None,
        traceparent: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._limits = limits or ClientLimits()
        self._guard = guard or Guard()
        self._traceparent = traceparent
        self._session = _session(self._limits, self._guard, (tls or ClientTls()).context())

    async def __call__(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        self._guard.check_url(request.url)
        _check(request)
        headers = list(request.headers)
        for name, value in (("Accept-Encoding", "identity"), ("traceparent", self._traceparent())):
            if value is not None and request.headers.get(name) is None:
                headers.append((name, value))
        progress = _Progress()
        import aiohttp

        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._exchange(request, headers, progress)
        except TimeoutError as error:  # aiohttp's own time-outs are among these
            raise _failed("no answer in time", progress) from error
        except aiohttp.ClientError as error:
            raise _failed(_reason(error), progress) from error
        except OSError as error:
            raise _failed(type(error).__name__, progress) from error

    async def _exchange(
        self, request: HttpRequest, headers: list[tuple[str, str]], progress: _Progress
    ) -> HttpResponse:
        from multidict import CIMultiDict
        from yarl import URL

        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),  # written as it is: it may have been signed
            headers=CIMultiDict(headers),
            data=request.body or None,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            body = await self._body(response, progress)
            return HttpResponse(response.status, Headers(tuple(response.headers.items())), body)

    async def _body(self, response: aiohttp.ClientResponse, progress: _Progress) -> bytes:
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            response.close()
            raise _failed("the answer is compressed, which was not asked for", progress)
        limit = self._limits.response_bytes
        body = bytearray()
        if (response.content_length or 0) <= limit:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > limit:
                    break
            else:
                return bytes(body)
        response.close()
        raise _failed(f"the answer is longer than {limit} bytes", progress)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _session(limits: ClientLimits, guard: Guard, context: ssl.SSLContext) -> aiohttp.ClientSession:
    import aiohttp

    from croupier.net.resolver import guarded_resolver

    connector = aiohttp.TCPConnector(
        limit=limits.connections,
        limit_per_host=limits.connections_per_host,
        keepalive_timeout=limits.keepalive_seconds,
        resolver=guarded_resolver(guard),
        ssl=context,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_seconds),
        headers={"User-Agent": f"croupier/{__version__}"},
        skip_auto_headers=("Content-Type",),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        trace_configs=[_trace()],
    )
    session._retry_connection = False  # noqa: SLF001  # else aiohttp itself sends GET, PUT and DELETE again
    return session


def _trace() -> aiohttp.TraceConfig:
    import aiohttp

    async def connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _event: Any) -> None:
        context.trace_request_ctx.connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace


def _check(request: HttpRequest) -> None:
    """Refuse what would be read as another request on the wire."""
    if not wire.URL.fullmatch(request.url):
        raise TransportError("the URL has characters that may not stand in one", problem=TransportProblem.NOT_SENT)
    for name, value in request.headers:
        if not (wire.HEADER_NAME.fullmatch(name) and wire.HEADER_VALUE.fullmatch(value)):
            raise TransportError("a header has characters that may not stand in one", problem=TransportProblem.NOT_SENT)


def _failed(message: str, progress: _Progress) -> TransportError:
    problem = TransportProblem.NO_ANSWER if progress.connected else TransportProblem.NOT_SENT
    return TransportError(message, problem=problem)


def _reason(error: aiohttp.ClientError) -> str:
    """What went wrong and with which host, without the URL, which may hold a token."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"the host name {error.host} cannot be resolved, or leads to an address that may not be called"
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host} is not trusted"
        case aiohttp.ClientConnectorSSLError():
            return f"the TLS handshake with {error.host} failed"
        case aiohttp.ClientConnectorError():
            return f"the connection to {error.host} failed"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return "the connection was closed before the answer"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.InvalidURL():
            return "it is no URL"
        case _:
            return f"the answer is no HTTP ({type(error).__name__})"
