"""SOAP 1.1, literal: one address, an element for the method, elements for its fields, all of them text.

Facts: `reference/protocols/tomhorn.md`, section "Transport & encoding", and the examples of the provider's help centre,
which show elements without their envelope. Read with defusedxml: document types and entities are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml.ElementTree import fromstring

from croupier.contract.errors import MalformedRequestError, UnsupportedOperationError, UpstreamError
from croupier.contract.fields import Told
from croupier.contract.http import Headers, HttpRequest, HttpResponse
from croupier_tomhorn.codec import INTEGRATION, SERVICES, Codec, Question
from croupier_tomhorn.codes import METHODS
from croupier_tomhorn.settings import REPORT_NAMESPACE

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
WALLET: Final = "http://GMS.Integration.Plugin/WalletService"
INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
XML: Final = "text/xml; charset=utf-8"
MAX_DEPTH: Final = 6

LISTS: Final[Mapping[str, str]] = {
    "Parameters": "Parameter",
    "GameModules": "GameModule",
    "Campaigns": "Campaign",
}
"""Elements that are lists, each with the name of its members."""

_HEADERS: Final = Headers((("Content-Type", XML),))
_OPEN: Final = f'<soap:Envelope xmlns:soap="{ENVELOPE}"><soap:Body>'
_CLOSE: Final = "</soap:Body></soap:Envelope>"
_FAULT: Final = "<soap:Fault><faultcode>soap:{}</faultcode><faultstring>{}</faultstring></soap:Fault>"
_NIL: Final = f"{{{INSTANCE}}}nil"
_LEAF_ATTRIBUTES: Final = frozenset({_NIL, f"{{{INSTANCE}}}type"})
_METHOD_TAGS: Final[Mapping[str, str]] = {tag: name for name in METHODS for tag in (name, f"{{{WALLET}}}{name}")}
_ANSWERS: Final[Mapping[str, tuple[str, str]]] = {
    name: (
        f'{_OPEN}<{name}Response xmlns="{WALLET}"><{name}Result>',
        f"</{name}Result></{name}Response>{_CLOSE}",
    )
    for name in METHODS
}


def envelope(content: str) -> bytes:
    """A document around the content of its body."""
    return f"{_OPEN}{content}{_CLOSE}".encode()


def fault(who: str, why: str) -> HttpResponse:
    """An answer that is none of the method's own; SOAP 1.1 wants HTTP 500 for it."""
    return HttpResponse(500, _HEADERS, envelope(_FAULT.format(who, why)))


_NO_ANSWER: Final = fault("Server", "No definite answer now")
_UNREADABLE: Final = fault("Client", "The request names no method of the wallet")


class SoapCodec(Codec):
    """The protocol in SOAP.

    Args:
        namespace: The namespace of the provider's integration service.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace.rstrip("/")

    def read(self, request: HttpRequest) -> tuple[str, dict[str, Any]]:
        element = content_of(request.body)
        method = _METHOD_TAGS.get(element.tag)
        if method is None:
            raise UnsupportedOperationError("the wallet has no such method", where="Body")
        return method, leaves(element)

    def method(self, request: HttpRequest) -> str | None:
        try:
            return _METHOD_TAGS.get(content_of(request.body).tag)
        except MalformedRequestError:
            return None

    def answer(self, method: str | None, fields: Mapping[str, Any]) -> HttpResponse:
        if method is None:
            return _UNREADABLE
        before, after = _ANSWERS[method]
        inner = "".join([written(name, value) for name, value in fields.items()])
        return HttpResponse(200, _HEADERS, f"{before}{inner}{after}".encode())

    def no_answer(self) -> HttpResponse:
        return _NO_ANSWER

    def ask(self, api_url: str, question: Question) -> HttpRequest:
        integrates = question.service == INTEGRATION
        namespace = self._namespace if integrates else REPORT_NAMESPACE
        name = question.operation if integrates else f"{question.operation}Request"
        inner = "".join([written(field, value) for field, value in question.fields.items()])
        action = f'"{namespace}/I{question.service}/{question.operation}"'
        headers = Headers((("Content-Type", XML), ("SOAPAction", action)))
        body = envelope(f'<{name} xmlns="{namespace}">{inner}</{name}>')
        return HttpRequest("POST", f"{api_url}{SERVICES}/{question.service}.svc", headers, body, question.effect)

    def told(self, response: HttpResponse, operation: str) -> Told:
        try:
            (result,) = list(content_of(response.body))
            value = _value(result, 0)
        except (MalformedRequestError, ValueError):
            raise UpstreamError(f"HTTP {response.status} without a readable result", where=operation) from None
        if local(result.tag) != f"{operation}Result" or not isinstance(value, dict):
            raise UpstreamError("the answer is that of another operation", where=operation)
        return Told(value, operation)

    def redacted(self, body: bytes, safe: frozenset[str]) -> bytes:
        try:
            element = content_of(body)
            kept = {name: value for name, value in leaves(element).items() if name in safe and value is not None}
        except MalformedRequestError:
            return b""
        inner = "".join([written(name, value) for name, value in kept.items()])
        name = local(element.tag)
        return envelope(f"<{name}>{inner}</{name}>") if name.isalnum() and name.isascii() else b""


def content_of(body: bytes) -> Element:
    """The one element in the body of an envelope.

    Raises:
        MalformedRequestError: It is no such document.
    """
    try:
        document = fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError, LookupError):  # LookupError: an encoding that there is not
        raise MalformedRequestError("the body is no XML") from None
    bodies = document.findall(f"{{{ENVELOPE}}}Body") if document.tag == f"{{{ENVELOPE}}}Envelope" else []
    if len(bodies) != 1 or len(bodies[0]) != 1:
        raise MalformedRequestError("expected a SOAP envelope with one element in its body")
    content: Element = bodies[0][0]
    return content


def leaves(element: Element) -> dict[str, str | None]:
    """The fields of a method: texts, or `None` for what is nil.

    Raises:
        MalformedRequestError: An element stands twice or is no text.
    """
    fields: dict[str, str | None] = {}
    for child in element:
        name = local(child.tag)
        if name in fields:
            raise MalformedRequestError("the element stands twice", where=name)
        fields[name] = _leaf(child)
    return fields


def local(tag: str) -> str:
    """An element's name without its namespace."""
    return tag.rpartition("}")[2]


def _leaf(element: Element) -> str | None:
    if len(element):
        raise MalformedRequestError("expected a text", where=local(element.tag))
    if element.attrib:
        if not element.attrib.keys() <= _LEAF_ATTRIBUTES:
            raise MalformedRequestError("expected no such attribute", where=local(element.tag))
        if element.attrib.get(_NIL) in {"true", "1"}:
            return None
    return element.text or ""


def _value(element: Element, depth: int) -> Any:
    """What an element of an answer says: a text, an object, or one of the known lists."""
    if depth > MAX_DEPTH:
        raise MalformedRequestError("the answer is nested too deep")
    if local(element.tag) in LISTS:
        return [_value(child, depth + 1) for child in element]
    if not len(element):
        return _leaf(element)
    pairs = [(local(child.tag), _value(child, depth + 1)) for child in element]
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedRequestError("an element stands twice", where=local(element.tag))
    return fields


def written(name: str, value: Any) -> str:
    """An element; of texts what XML cannot hold is left out."""
    match value:
        case Mapping():
            inner = "".join([written(key, item) for key, item in value.items()])
        case list():
            inner = "".join([written(LISTS[name], item) for item in value])
        case None:
            inner = ""
        case str():
            inner = escape(value if value.isprintable() else "".join(filter(str.isprintable, value)))
        case Decimal():
            inner = f"{value:f}"
        case _:
            inner = str(value)
    return f"<{name}>{inner}</{name}>"
