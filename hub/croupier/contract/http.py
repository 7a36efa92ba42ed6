"""HTTP as immutable values: what an adapter reads and writes instead of a socket.

Example:
    >>> request = HttpRequest("POST", "/bet?trace=1", Headers.of({"X-Sign": "ab"}), b"{}")
    >>> request.path, request.query, request.headers.get("x-sign")
    ('/bet', (('trace', '1'),), 'ab')
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, unique
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from attrs import frozen


@frozen
class Headers:
    """Header fields in order; names compare without case, a name may repeat."""

    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, items: Mapping[str, str] | Iterable[tuple[str, str]]) -> Headers:
        """From a mapping or from pairs."""
        return cls(tuple(items.items() if isinstance(items, Mapping) else items))

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a field, or `default`."""
        wanted, length = name.lower(), len(name)
        for key, value in self.items:
            if len(key) == length and key.lower() == wanted:
                return value
        return default

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, in order."""
        wanted, length = name.lower(), len(name)
        return tuple([value for key, value in self.items if len(key) == length and key.lower() == wanted])

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items)


JSON_HEADERS: Final = Headers((("Content-Type", "application/json"),))
"""The header fields of a JSON body."""
FORM_HEADERS: Final = Headers((("Content-Type", "application/x-www-form-urlencoded"),))
"""The header fields of a form."""


@unique
class Effect(Enum):
    """What repeating an outbound request would do; the hub decides retries by it."""

    READ = "read"
    """Changes nothing: may be repeated at will."""
    IDEMPOTENT = "idempotent"
    """The other side recognises a repeat: may be repeated with the same bytes."""
    ONCE = "once"
    """A repeat might act twice: never repeated by the hub."""


@frozen
class HttpRequest:
    """One HTTP request.

    Attributes:
        method: Upper case.
        url: Outbound: the absolute URL. Inbound: the path below the connection's own address, beginning with
            `/`, with the query exactly as it was received.
        headers: The header fields.
        body: The exact bytes. Proofs are computed over these, never over something parsed and written again.
        effect: Outbound only: what a repeat would do. The default is the careful one.
    """

    method: str
    url: str
    headers: Headers = Headers()
    body: bytes = b""
    effect: Effect = Effect.ONCE

    @property
    def path(self) -> str:
        """The path, without query."""
        return urlsplit(self.url).path

    @property
    def query_string(self) -> str:
        """The raw query, without `?`."""
        return urlsplit(self.url).query

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The query's pairs in order, decoded; blank values are kept."""
        return tuple(parse_qsl(self.query_string, keep_blank_values=True))


@frozen
class HttpResponse:
    """One HTTP response."""

    status: int
    headers: Headers = Headers()
    body: bytes = b""

    @classmethod
    def json(cls, body: bytes | str, status: int = 200) -> HttpResponse:
        """A JSON answer from text that is already written."""
        return cls(status, JSON_HEADERS, body.encode() if isinstance(body, str) else body)

    @classmethod
    def text(cls, body: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> HttpResponse:
        """A text answer."""
        return cls(status, Headers((("Content-Type", content_type),)), body.encode())
