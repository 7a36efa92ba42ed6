"""The wire: XML whose root element is the method, proven by the secret `accessToken` inside it.

Facts: `reference/protocols/playngo.md`, sections "Transport & encoding" and "Auth (EXACT)". Documents are read with
defusedxml: document types and entities are refused. Nothing is read from attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml.ElementTree import fromstring

from croupier.contract.adapter import Verified
from croupier.contract.errors import MalformedRequestError
from croupier.contract.http import Headers, HttpRequest, HttpResponse
from croupier.contract.secrets import Credentials, require_proof
from croupier_playngo.codes import Code
from croupier_playngo.settings import ACCESS_TOKEN

TOKEN_FIELD: Final = "accessToken"  # noqa: S105 # an element's name

LONGEST: Final = 65_536
"""No request of the protocol is longer, in bytes; they have about a thousand."""

_XML: Final = Headers((("Content-Type", "application/xml"),))
_SAFE: Final = frozenset(
    """
    actualValue channel Coins currency Denomination ExpireTime FreegameExternalId freegameExternalId freegameFinished
    gameId jackpotGain jackpotGainId jackpotLoss LastGameId Lines ProductGroup productId real RequestId roundId Rounds
    state transactionId TriggerId turnover type
    """.split()
)
"""Elements without a token, a session or a person."""


def parsed(body: bytes) -> Element:
    """The root of a document.

    Raises:
        MalformedRequestError: It is no XML, or has a document type or entities of its own.
    """
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError, LookupError):  # LookupError: an encoding that there is not
        raise MalformedRequestError("the body is no XML") from None
    return root


def read(body: bytes) -> tuple[str, dict[str, Any]]:
    """The name of the root element, and its children: text, `None` if empty, or a list of records (`jackpots`).

    Raises:
        MalformedRequestError: It is no such document, or something in it could be read in two ways.
    """
    if len(body) > LONGEST:
        raise MalformedRequestError("the body is too long")
    root = parsed(body)
    return root.tag, _children(root, 0)


def _children(element: Element, depth: int) -> dict[str, Any]:
    if depth > 1:
        raise MalformedRequestError("an element is nested too deeply", where=element.tag[:40])
    fields: dict[str, Any] = {}
    _refuse_text(element.text)
    for child in element:
        if child.tag in fields:
            raise MalformedRequestError("an element stands twice", where=child.tag[:40])
        _refuse_text(child.tail)
        fields[child.tag] = [_children(item, depth + 1) for item in child] if len(child) else child.text
    return fields


def _refuse_text(text: str | None) -> None:
    if text and not text.isspace():
        raise MalformedRequestError("expected elements or text, not both")


def prove(request: HttpRequest, credentials: Credentials, method: str | None) -> Verified:
    """Accept a document of the method, if the address has one, that holds any of the connection's access tokens.

    Raises:
        AuthenticationError: The token is missing or wrong, or the connection has none.
        MalformedRequestError: It is no such document, or another method's.
    """
    root, fields = read(request.body)
    given = fields.get(TOKEN_FIELD)
    require_proof(credentials.every(ACCESS_TOKEN), given if isinstance(given, str) else None, where=TOKEN_FIELD)
    if method is not None and root != method:
        raise MalformedRequestError("the root element is not the address's method", where="root element")
    return Verified(request, fields)


def element(name: str, text: str) -> str:
    """An element with a text, escaped; what XML cannot hold is left out."""
    if not text.isprintable():
        text = "".join([char for char in text if char.isprintable()])
    return f"<{name}>{escape(text)}</{name}>"


def written(root: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """A flat document."""
    inner = "".join([element(name, text) for name, text in fields])
    return f"<{root}>{inner}</{root}>".encode()


def answer(method: str, code: Code, fields: Mapping[str, str] | None = None) -> HttpResponse:
    """An answer: the method's own root element, HTTP status 200 always, the truth in `statusCode`."""
    told = {**(fields or {}), "statusCode": str(code.value), "statusMessage": code.text}
    return HttpResponse(200, _XML, written(method, told.items()))


def redacted(request: HttpRequest) -> HttpRequest:
    """A message in either direction as it may be kept: the elements that are known to be safe, and no header."""
    body = b""
    try:
        root = parsed(request.body if len(request.body) <= LONGEST else b"")
    except MalformedRequestError:
        root = Element("")
    # A SOAP envelope holds a body, which holds the operation.
    operation = root.find("*/*") if root.tag.endswith("}Envelope") else root
    if operation is not None and (name := _local(operation)).isalnum():
        body = written(
            name, [(_local(child), child.text) for child in operation if _local(child) in _SAFE and child.text]
        )
    return HttpRequest(request.method, request.path, _XML, body, request.effect)


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]
