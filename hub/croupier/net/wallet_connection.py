"""One connection to a wallet: one request at a time, and whatever comes unasked ends it.

From the moment `send` is called, the request may have arrived: each failure after it says `NO_ANSWER`.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from croupier.contract import Headers, HttpResponse, TransportError, TransportProblem

HEAD_BYTES: Final = 32 * 1024
"""The longest head of an answer; also what its chunk sizes and trailers may take beside the body."""

_OVERHEAD: Final = 8
"""How many bytes of framing one byte of a chunked body may cost: a chunk of one byte takes five."""

_FRAMING: Final = frozenset({b"content-length", b"content-encoding", b"transfer-encoding"})
_SHORTEST, _LONGEST = min(map(len, _FRAMING)), max(map(len, _FRAMING))

_BODILESS: Final = frozenset({204, 304})
"""Answers without a body, whatever their fields say; one that speaks of a body all the same is not trusted further."""

_SPENT: Final = HttpResponseParser(object())
"""Takes the place of a parser that is not needed any more: a parser and its connection hold each other."""

_CLOSED: Final = "the connection was closed before the answer"
_BROKE_OFF: Final = "the answer broke off"
_NO_HTTP: Final = "the answer is no HTTP"


class Keeper(Protocol):
    """Whoever keeps connections."""

    def release(self, connection: WalletConnection) -> None:
        """The exchange is over, the connection can have another."""

    def lost(self, connection: WalletConnection) -> None:
        """The connection is gone."""


class _RefusedError(Exception):
    """The answer may not be what it is; the text says why."""


class WalletConnection(asyncio.Protocol):
    """An HTTP/1.1 connection.

    Args:
        keeper: Told when the connection is free, and when it is gone.
        body_bytes: The longest body that is accepted.

    Attributes:
        idle_since: When the last exchange ended, by the loop's clock.
    """

    __slots__ = (
        "_answer",
        "_body_bytes",
        "_chunks",
        "_complete",
        "_fields",
        "_gone",
        "_keep",
        "_keeper",
        "_loop",
        "_parser",
        "_received",
        "_size",
        "_sound",
        "_status",
        "_transport",
        "_until_close",
        "idle_since",
    )

    def __init__(self, keeper: Keeper, body_bytes: int) -> None:
        self._keeper = keeper
        self._body_bytes = body_bytes
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpResponse] | None = None
        self._gone = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        """Forget the last answer."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._status = self._size = self._received = 0
        self._until_close = self._sound = self._keep = self._complete = False

    @property
    def new(self) -> bool:
        """Whether it is yet to be made."""
        return self._transport is None

    @property
    def usable(self) -> bool:
        """Whether a request can be sent."""
        return not self._gone and self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> asyncio.Future[HttpResponse]:
        """Write a request; the connection must be usable and free.

        Args:
            request: Head and body.

        Returns:
            The answer, or a `TransportError` (`NO_ANSWER`).
        """
        assert self._transport is not None  # noqa: S101 - `usable` was asked
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return self._answer

    def expire(self, answer: asyncio.Future[HttpResponse]) -> None:
        """The time for this answer is over; if it is here, nothing happens."""
        if self._answer is answer:
            self._fail("no answer in time")

    def withdraw(self, answer: asyncio.Future[HttpResponse]) -> None:
        """Nobody waits for this answer any more; if it is here, nothing happens."""
        if self._answer is answer:
            self.abort()

    def abort(self) -> None:
        """Close at once; an answer that is waited for fails."""
        self._end(_CLOSED)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close an idle connection in good order."""
        self._gone = True
        if self._transport is not None:
            self._transport.close()

    def _end(self, reason: str) -> None:
        self._gone = True
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(TransportError(reason, problem=TransportProblem.NO_ANSWER))

    def _fail(self, reason: str) -> None:
        self._end(reason)
        self.abort()

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._gone:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.abort()  # nobody asked
            return
        self._received += len(data)
        refused = ""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            refused = _NO_HTTP
        except HttpParserError as error:
            refused = str(error.__context__) if isinstance(error.__context__, _RefusedError) else _NO_HTTP
        if self._complete:  # what came after it, if anything, is no part of it
            self._finish(reusable=self._keep and not refused)
        elif refused:
            self._fail(refused)
        elif self._received - (_OVERHEAD + 1) * self._size > HEAD_BYTES:
            self._fail(_too_long("the frame of the answer", HEAD_BYTES))

    def eof_received(self) -> None:
        self._other_side_closed()

    def connection_lost(self, error: Exception | None) -> None:
        if error is None:
            self._other_side_closed()
        else:
            self._end(_BROKE_OFF if self._status else _CLOSED)
        self._parser = _SPENT
        self._keeper.lost(self)

    def _other_side_closed(self) -> None:
        if self._answer is not None and self._until_close:
            self._finish(reusable=False)
        self._end(_BROKE_OFF if self._status else _CLOSED)

    # What the parser tells. An exception stops it.

    def on_message_begin(self) -> None:
        if self._complete:
            raise _RefusedError("there is more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # else it is a trailer
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._received > HEAD_BYTES and sum(len(name) + len(value) + 4 for name, value in self._fields) > HEAD_BYTES:
            raise _RefusedError(_too_long("the frame of the answer", HEAD_BYTES))
        if status < 200:
            if status < 100 or status == 101:
                raise _RefusedError(_NO_HTTP)
            return  # an interim answer
        self._status = status
        framed = 0
        for name, value in self._fields:
            if _SHORTEST <= len(name) <= _LONGEST and name.lower() in _FRAMING:
                framed += self._framed(name.lower(), value)
        if framed > 1:
            raise _RefusedError(_NO_HTTP)
        bodiless = status in _BODILESS
        self._until_close = not framed and not bodiless
        self._sound = not framed or not bodiless

    def _framed(self, name: bytes, value: bytes) -> bool:
        """Check a field that speaks of the body; whether it tells where the body ends."""
        match name:
            case b"content-length":
                if int(value) > self._body_bytes:
                    raise _RefusedError(_too_long("the answer", self._body_bytes))
                return True
            case b"transfer-encoding":
                if value.strip().lower() != b"chunked":
                    raise _RefusedError("the answer is encoded in a way that was not asked for")
                return True
            case _:
                if value.strip().lower() not in {b"", b"identity"}:
                    raise _RefusedError("the answer is compressed, which was not asked for")
                return False

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._body_bytes:
            raise _RefusedError(_too_long("the answer", self._body_bytes))
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self._status:
            self._complete = True
            self._keep = self._sound and self._parser.should_keep_alive()
        else:
            self._fields = []

    def _finish(self, *, reusable: bool) -> None:
        """Hand over the answer and be free, or gone."""
        answer, self._answer = self._answer, None
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        response = HttpResponse(self._status, Headers(_decoded(self._fields)), body)
        # An answer may come before the request was read; the rest of that is not left to stand before the next one.
        if reusable and self._transport is not None and not self._transport.get_write_buffer_size():
            self._begin()
            self._keeper.release(self)
        else:
            self.abort()
        if answer is not None and not answer.done():
            answer.set_result(response)


def _decoded(fields: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    try:
        return tuple([(name.decode(), value.decode()) for name, value in fields])
    except UnicodeDecodeError:
        return tuple((name.decode("ascii"), value.decode(errors="surrogateescape")) for name, value in fields)


def _too_long(what: str, limit: int) -> str:
    return f"{what} is longer than {limit} bytes"
