"""One client's connection: bytes in, requests to the app one after the other, answers out in the same order.

The parser is llhttp (by httptools) in its strict form. Header fields, target and body reach the app exactly as they
were sent: nothing is decompressed, decoded or normalised. Nothing tells a client which software serves. An offer to
change the protocol (`Upgrade`) is passed over.

A request that was read is worked on to its end, whether its client is still there or not.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from functools import partial
from typing import Any, Final, cast

from attrs import define, field, frozen
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from croupier.contract import Headers, HttpRequest, HttpResponse
from croupier.web.addresses import PresentedCertificate
from croupier.web.apps import App, Incoming
from croupier.web.http_answer import CONTINUE, answer_bytes
from croupier.web.ports import Log

_QUEUE: Final = 16
"""How many requests of one connection may wait for the one before them; beyond it nothing more is read."""

_LINGER_SECONDS: Final = 2.0
"""How long what a client still sends is thrown away, so that it gets to read why."""

_LOOK_SECONDS: Final = 0.01

_MALFORMED: Final = HttpResponse.text("400: Bad Request", 400)
_TOO_SLOW: Final = HttpResponse.text("408: Request Timeout", 408)
_FAILED: Final = HttpResponse.text("500: Internal Server Error", 500)


@frozen(kw_only=True)
class ServerLimits:
    """What one client may take of the server.

    Attributes:
        line_bytes: The longest target of a request.
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


@define(eq=False)
class Service:
    """What the connections of one server share.

    Attributes:
        app: What answers.
        log: Faults.
        limits: What one client may take.
        body_limit: The app's, read once.
        closing: Whether every answer is the last one of its connection.
        connections: Those that are open.
        work: The requests under way, also those whose clients have left.
    """

    app: App
    log: Log
    limits: ServerLimits
    body_limit: int = field(init=False)
    closing: bool = False
    connections: set[HttpConnection] = field(factory=set)
    work: set[asyncio.Future[HttpResponse]] = field(factory=set)

    @body_limit.default
    def _body_limit(self) -> int:
        return self.app.body_limit

    async def is_over(self) -> None:
        """Wait until the work is done and the last answers are sent."""
        while self.work or self.connections:  # noqa: ASYNC110 - an event would be set and cleared by every request
            await asyncio.sleep(_LOOK_SECONDS)


class _LimitError(Exception):
    """A request takes more than a client may."""


@define
class _Asked:
    """A request that waits for its turn; without one it is the refusal of what was no request."""

    incoming: Incoming | None
    keep_alive: bool = False
    old: bool = False
    refusal: HttpResponse = _MALFORMED


class HttpConnection(asyncio.Protocol):
    """A connection, as the event loop drives it; the methods that begin with `on_` are the parser's.

    Args:
        service: What it belongs to.
        loop: The running event loop.
    """

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._limits = limits = service.limits
        self._line_bytes, self._field_bytes, self._most_fields = limits.line_bytes, limits.field_bytes, limits.fields
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._source = ""
        self._certificate: PresentedCertificate | None = None
        self._parser = HttpRequestParser(self)
        # What is being read.
        self._url = b""
        self._fields: list[tuple[str, str]] = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._in_body = False
        self._expects = False
        self._unheard = 0
        self._deaf = False
        # What is being answered.
        self._is_busy = False
        self._is_writable = True
        self._is_paused = False
        self._queue: deque[_Asked] = deque()
        self._quiet_since = loop.time()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None

    # --- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._source = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._certificate = _certificate(transport.get_extra_info("ssl_object"))
        self._service.connections.add(self)
        self._idle_timer = self._loop.call_later(self._limits.idle_seconds, self._look_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone; the request that is under way goes on."""
        if self._transport is None:  # it was told before, or never came
            return
        self._transport = None
        self._deaf = True
        self._queue.clear()
        self._service.connections.discard(self)
        del self._parser  # it refers to this connection
        for timer in (self._idle_timer, self._body_timer):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if self._deaf:
            return
        self._unheard += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
            return
        except HttpParserError as error:
            self._refuse(error.__context__ or error, _MALFORMED)
            return
        if self._unheard > self._line_bytes + self._field_bytes:
            self._refuse(_LimitError(), _MALFORMED)
        elif self._in_body and self._body_timer is None and not self._deaf:
            self._body_timer = self._loop.call_later(self._limits.body_seconds, self._body_is_late)

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """It has taken it."""
        self._is_writable = True
        self._next()

    # --- the parser's side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url, self._fields, self._pieces, self._size = b"", [], [], 0
        self._expects = False

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._unheard = 0
        self._url += url
        if len(self._url) > self._line_bytes:
            raise _LimitError

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; one behind the body is not believed."""
        if self._in_body:
            return
        self._unheard = 0
        if len(name) + len(value) > self._field_bytes or len(self._fields) >= self._most_fields:
            raise _LimitError
        self._fields.append((name.decode("ascii"), value.decode("utf-8", "surrogateescape").strip(" \t")))
        if len(name) == 6 and name.lower() == b"expect":
            self._expects = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_body = True
        if self._expects and not self._is_busy and self._transport and not self._parser.should_upgrade():
            self._transport.write(CONTINUE)

    def on_body(self, piece: bytes) -> None:
        """A piece of the body; one that is too long is cut one byte behind the limit, and is the last that is read."""
        if self._deaf:
            return
        self._unheard = 0
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._service.body_limit:
            self._deaf = True
            self._ask(b"".join(self._pieces)[: self._service.body_limit + 1], keep_alive=False)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._deaf or self._parser.should_upgrade():
            return
        self._in_body = False
        self._unheard = 0
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        pieces = self._pieces
        self._ask(pieces[0] if len(pieces) == 1 else b"".join(pieces), keep_alive=self._parser.should_keep_alive())

    # --- requests and their answers

    def _decline(self, rest: bytes) -> None:
        """Read a request that offers another protocol anew, without the offer; the parser left out its body."""
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._deaf = True
            self._ask(b"", keep_alive=False)
            return
        head = b"%b %b HTTP/%b\r\n" % (method, self._url, self._parser.get_http_version().encode())
        fields = (f"{name}: {value}\r\n" for name, value in self._fields if name.lower() != "upgrade")
        self._parser = HttpRequestParser(self)
        self._in_body = False
        self.data_received(head + "".join(fields).encode("utf-8", "surrogateescape") + b"\r\n" + rest)

    def _ask(self, body: bytes, *, keep_alive: bool) -> None:
        """Have a request answered, now or after those before it."""
        method = self._parser.get_method().decode("ascii")
        target = _target(self._url.decode("utf-8", "surrogateescape"))
        incoming = Incoming(
            request=HttpRequest(method, target, Headers(tuple(self._fields)), body),
            source=self._source,
            client_certificate=self._certificate,
        )
        self._put(_Asked(incoming, keep_alive, keep_alive and self._parser.get_http_version() == "1.0"))

    def _refuse(self, fault: BaseException, refusal: HttpResponse) -> None:
        """Answer what was no request, and read no more."""
        if self._deaf:
            return
        self._deaf = True
        self._service.log.info("http_malformed", fault=type(fault).__name__, status=refusal.status)
        self._put(_Asked(None, refusal=refusal))

    def _put(self, asked: _Asked) -> None:
        self._queue.append(asked)
        if not self._is_busy:
            self._next()
        elif len(self._queue) >= _QUEUE and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _next(self) -> None:
        """Begin with the next request, if it is its turn."""
        if self._is_busy or not self._is_writable or not self._queue:
            return
        asked = self._queue.popleft()
        if self._is_paused and not self._queue and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        self._is_busy = True
        if asked.incoming is None:
            self._answer(asked, asked.refusal)
            return
        try:
            work = asyncio.ensure_future(self._service.app.answer(asked.incoming))
        except Exception as error:  # noqa: BLE001 - no fault may show itself outside
            self._answer(asked, self._failed(error))
            return
        self._service.work.add(work)
        work.add_done_callback(partial(self._answered, asked))

    def _answered(self, asked: _Asked, work: asyncio.Future[HttpResponse]) -> None:
        self._service.work.remove(work)
        if work.cancelled():
            return
        error = work.exception()
        self._answer(asked, work.result() if error is None else self._failed(error))

    def _failed(self, error: BaseException) -> HttpResponse:
        self._service.log.error("app_failed", fault=type(error).__name__)
        return _FAILED

    def _answer(self, asked: _Asked, response: HttpResponse) -> None:
        self._is_busy = False
        transport = self._transport
        if transport is None:
            return
        is_last = self._service.closing or (self._deaf and not self._queue)
        keep_alive = asked.keep_alive and not is_last
        headless = asked.incoming is not None and asked.incoming.request.method == "HEAD"
        try:
            transport.write(answer_bytes(response, keep_alive=keep_alive, old=asked.old, headless=headless))
        except RuntimeError:  # the event loop has closed the connection and not told of it: nobody is there to answer
            return
        if keep_alive:
            self._quiet_since = self._loop.time()
            self._next()
        else:
            self._part(transport, is_read=asked.incoming is not None and not self._in_body)

    def _part(self, transport: asyncio.Transport, *, is_read: bool) -> None:
        """Close the connection behind the last answer.

        Where the client may not have sent everything, closing at once would reset the connection, and it might not
        see the answer.
        """
        self._deaf = True
        self._queue.clear()
        if is_read:
            transport.close()
            return
        if transport.can_write_eof():
            transport.write_eof()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._idle_timer = self._loop.call_later(_LINGER_SECONDS, transport.abort)

    # --- time

    def _body_is_late(self) -> None:
        self._body_timer = None
        if self._is_paused:  # it is not the client who is slow
            self._body_timer = self._loop.call_later(self._limits.body_seconds, self._body_is_late)
        else:
            self._refuse(TimeoutError(), _TOO_SLOW)

    def _look_if_idle(self) -> None:
        left = self._quiet_since + self._limits.idle_seconds - self._loop.time()
        if self._is_busy or self._in_body:
            left = self._limits.idle_seconds
        if left > 0:
            self._idle_timer = self._loop.call_later(left, self._look_if_idle)
        elif self._transport is not None and self._is_writable:
            self._transport.close()
        elif self._transport is not None:
            self._transport.abort()

    def close_if_idle(self) -> None:
        """Close the connection, unless a request is under way: then its answer closes it, if the service does."""
        if not self._is_busy and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()


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


def _certificate(tls: Any) -> PresentedCertificate | None:
    raw = tls.getpeercert(binary_form=True) if tls else None
    if not tls or not raw:
        return None
    subject = dict(pair for group in tls.getpeercert().get("subject", ()) for pair in group)
    return PresentedCertificate(fingerprint=hashlib.sha256(raw).hexdigest(), subject=subject.get("commonName"))
