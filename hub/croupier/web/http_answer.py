"""An answer as the bytes of HTTP/1.1: its head is put together once for every kind of answer, and dated each second."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from croupier.contract import HttpResponse

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client is told that asks before it sends its body."""

_OURS: Final = frozenset({"server", "content-length", "transfer-encoding", "connection", "date"})
"""Header fields that are written here; an app's are left out."""

_BODILESS: Final = frozenset({204, 304})
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


def answer_bytes(response: HttpResponse, *, keep_alive: bool, old: bool, headless: bool) -> bytes:
    """The whole answer, ready to be sent.

    Args:
        response: The answer; fields that would break the framing are left out.
        keep_alive: Whether the connection goes on after it.
        old: Whether the client speaks HTTP/1.0 and has to be told that it does.
        headless: Whether the body is left out because the client asked by HEAD.
    """
    body = response.body
    connection = b"" if keep_alive else b"Connection: close\r\n"
    if keep_alive and old:
        connection = b"Connection: keep-alive\r\n"
    if response.status in _BODILESS:
        body, length = b"", b""
    else:
        length = b"Content-Length: %d\r\n" % len(body)
    head = _head(response.status, response.headers.items, bool(body))
    return b"%b%bDate: %b\r\n%b\r\n%b" % (head, length, _date(), connection, b"" if headless else body)


@lru_cache(maxsize=256)
def _head(status: int, fields: tuple[tuple[str, str], ...], has_body: bool) -> bytes:  # noqa: FBT001 # a cache's key
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}", "Server: croupier"]
    lines += [
        f"{name}: {value}"
        for name, value in fields
        if name.lower() not in _OURS and not _breaks(name) and not _breaks(value)
    ]
    if has_body and not any(name.lower() == "content-type" for name, _ in fields):
        lines.append("Content-Type: application/octet-stream")
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "replace")


def _breaks(text: str) -> bool:
    return any(sign in text for sign in "\r\n\0")


class _Date:
    """The text of the second that was last asked for."""

    second = -1
    text = b""


def _date() -> bytes:
    second = int(time.time())
    if second != _Date.second:
        _Date.second, _Date.text = second, formatdate(second, usegmt=True).encode()
    return _Date.text
