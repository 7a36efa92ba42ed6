"""A request to a wallet as the bytes of HTTP/1.1: the fixed parts are made once for each URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from attrs import field, frozen

from croupier import __version__
from croupier.contract import Headers, HttpRequest, TransportError, TransportProblem
from croupier.net.guard import Guard
from croupier.net.wire import HEADER_NAME, HEADER_VALUE, URL

_METHODS: Final = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})
_ALWAYS_SIZED: Final = frozenset({"PATCH", "POST", "PUT"})

_HOST: Final = re.compile(r"[a-z0-9._-]+")
_LOOKS_NUMERIC: Final = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_REMEMBERED: Final = 256

_LENGTH_GIVEN: Final = 1
_HOST_GIVEN: Final = 2
_DEFAULTS: Final = {
    "User-Agent": f"croupier/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
_BITS: Final = {"content-length": _LENGTH_GIVEN, "host": _HOST_GIVEN} | {
    name.lower(): 4 << number for number, name in enumerate(_DEFAULTS)
}
_CONNECTION_WIDE: Final = frozenset(
    {"connection", "expect", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)


class Origin(NamedTuple):
    """One end to connect to.

    Attributes:
        scheme: `http` or `https`.
        host: Its name or address, lower case, without the brackets of IPv6.
        port: Its port.
    """

    scheme: str
    host: str
    port: int


@frozen(eq=False)
class Target:
    """One URL, checked and taken apart.

    Attributes:
        origin: Where to connect to.
        host: The value of the `Host` field.
        path: Path and query, exactly as they are written in the URL.
    """

    origin: Origin
    host: str
    path: str
    _heads: dict[tuple[str, int], str] = field(init=False, factory=dict)

    def head(self, method: str, given: int) -> str:
        """The first line and the fields that the request does not give itself.

        Args:
            method: The method.
            given: Which fields the request gives: bits of those that would be added.
        """
        head = self._heads.get((method, given))
        if head is None:
            added = [] if given & _HOST_GIVEN else [("Host", self.host)]
            added += [item for item in _DEFAULTS.items() if not given & _BITS[item[0].lower()]]
            head = f"{method} {self.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in added)
            self._heads[method, given] = head
        return head


class Requests:
    """Checks requests and writes them.

    Args:
        guard: Which URLs may be called.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._bits: dict[str, int] = {}
        self.target: Callable[[str], Target] = lru_cache(maxsize=_REMEMBERED)(self._target)
        """The target of a URL; raises `TransportError` (`NOT_SENT`) if it may not be called or is no URL."""

    def render(self, request: HttpRequest, target: Target) -> bytes:
        """The bytes of a request, head and body.

        Args:
            request: What to send.
            target: Its URL's target.

        Raises:
            TransportError: It would be read as another request, or as no request (`NOT_SENT`).
        """
        if request.method not in _METHODS:
            raise _refused("the method is not one that is sent to wallets")
        body = request.body
        bits, items, given = self._bits, request.headers.items, 0
        lines = []
        for name, value in items:
            bit = bits.get(name)
            given |= self._learn(name) if bit is None else bit
            lines.append(f"{name}: {value}\r\n")
        values = "".join([value for _, value in items])
        if not (values.isascii() and values.isprintable()):
            _check_values(request.headers)
        if given & (_LENGTH_GIVEN | _HOST_GIVEN):
            _check_framing(request)
        lines.insert(0, target.head(request.method, given & ~_LENGTH_GIVEN))
        if not given & _LENGTH_GIVEN and (body or request.method in _ALWAYS_SIZED):
            lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        else:
            lines.append("\r\n")
        return "".join(lines).encode() + body

    def _learn(self, name: str) -> int:
        """What a field's name means to the head; names are checked when they are seen first."""
        if not HEADER_NAME.fullmatch(name):
            raise _refused("a header has characters that may not stand in one")
        lowered = name.lower()
        if lowered in _CONNECTION_WIDE:
            raise _refused("a header speaks of the connection, which is not the request's to decide")
        bit = _BITS.get(lowered, 0)
        if len(self._bits) < _REMEMBERED:
            self._bits[name] = bit
        return bit

    def _target(self, url: str) -> Target:
        if not URL.fullmatch(url):
            raise _refused("the URL has characters that may not stand in one")
        self._guard.check_url(url)
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        default = 443 if parts.scheme == "https" else 80
        literal = _is_address(host)
        if not literal and (not _HOST.fullmatch(host) or _LOOKS_NUMERIC.fullmatch(host)):
            raise _refused("the URL's host is neither a name nor an address")
        written = url[len(parts.scheme) + 3 + len(parts.netloc) :].partition("#")[0]
        shown = f"[{host}]" if ":" in host else host
        return Target(
            Origin(parts.scheme, host, port or default),
            shown if port in {None, 0, default} else f"{shown}:{port}",
            written if written.startswith("/") else f"/{written}",
        )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _check_values(headers: Headers) -> None:
    if not all(HEADER_VALUE.fullmatch(value) for _, value in headers):
        raise _refused("a header has characters that may not stand in one")


def _check_framing(request: HttpRequest) -> None:
    """A request says once, if at all, how long it is and whom it is for."""
    if request.headers.all("Content-Length") not in {(), (str(len(request.body)),)}:
        raise _refused("its Content-Length is not the length of its body")
    if len(request.headers.all("Host")) > 1:
        raise _refused("it names its host more than once")


def _refused(message: str) -> TransportError:
    return TransportError(message, problem=TransportProblem.NOT_SENT)
