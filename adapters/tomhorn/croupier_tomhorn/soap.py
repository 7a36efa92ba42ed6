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
from croupier.contract.http import Effect, Headers, HttpRequest, HttpResponse
from croupier_tomhorn.codec import INTEGRATION, JsonCodec, Values
from croupier_tomhorn.codes import METHODS

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
WALLET: Final = "http://GMS.Integration.Plugin/WalletService"
REPORTS: Final = "http://tomhorn.eu/crservice"
XML: Final = "text/xml; charset=utf-8"
LISTS: Final = {"Parameters": "Parameter", "GameModules": "GameModule", "Campaigns": "Campaign"}
"""Elements that are lists, each with the name of its members."""

_MAX_DEPTH: Final = 4
_MANY_TAGS: Final = 100_000
_EQUALS: Final = 4
"""So many signs of equality there may be for each tag: attributes cost time before they can be refused."""

_HEADERS: Final = Headers((("Content-Type", XML),))
_OPEN: Final = f'<soap:Envelope xmlns:soap="{ENVELOPE}"><soap:Body>'
_CLOSE: Final = "</soap:Body></soap:Envelope>"
_FAULT: Final = "<soap:Fault><faultcode>soap:{}</faultcode><faultstring>{}</faultstring></soap:Fault>"
_NIL: Final = f"{{{INSTANCE}}}nil"
_ATTRIBUTES: Final = frozenset({_NIL, f"{{{INSTANCE}}}type"})
_METHODS: Final[Mapping[str, str]] = {tag: name for name in METHODS for tag in (name, f"{{{WALLET}}}{name}")}
_ANSWERS: Final[Mapping[str, tuple[str, str]]] = {
    name: (f'{_OPEN}<{name}Response xmlns="{WALLET}"><{name}Result>', f"</{name}Result></{name}Response>{_CLOSE}")
    for name in METHODS
}


def envelope(content: str) -> bytes:
    """A document around the content of its body."""
    return f"{_OPEN}{content}{_CLOSE}".encode()


def _fault(who: str, why: str) -> HttpResponse:
    return HttpResponse(500, _HEADERS, envelope(_FAULT.format(who, why)))  # the status that SOAP 1.1 wants


class SoapCodec(JsonCodec):
    """The protocol in SOAP: what JSON's codec does, in XML.

    Args:
        namespace: The namespace of the provider's integration service.
    """

    no_answer = _fault("Server", "No definite answer now")

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace.rstrip("/")

    def read(self, request: HttpRequest) -> tuple[str, dict[str, Any]]:
        element = content_of(request.body)
        method = _METHODS.get(element.tag)
        if method is None:
            raise UnsupportedOperationError("the wallet has no such method", where="Body")
        return method, fields_of(element)

    def method(self, request: HttpRequest) -> str | None:
        try:
            return _METHODS.get(content_of(request.body).tag)
        except MalformedRequestError:
            return None

    def answer(self, method: str | None, fields: Values) -> HttpResponse:
        if method is None:
            return _fault("Client", "The request names no method of the wallet")
        before, after = _ANSWERS[method]
        return HttpResponse(200, _HEADERS, f"{before}{elements(fields)}{after}".encode())

    def ask(self, url: str, service: str, operation: str, fields: Values, effect: Effect) -> HttpRequest:
        namespace, name = (self._namespace, operation) if service == INTEGRATION else (REPORTS, f"{operation}Request")
        headers = Headers((("Content-Type", XML), ("SOAPAction", f'"{namespace}/I{service}/{operation}"')))
        body = envelope(f'<{name} xmlns="{namespace}">{elements(fields)}</{name}>')
        return HttpRequest("POST", f"{url}/{service}.svc", headers, body, effect)

    def told(self, response: HttpResponse, operation: str) -> Told:
        try:
            (result,) = list(content_of(response.body, _MANY_TAGS))
            fields = fields_of(result, _MAX_DEPTH)
        except (MalformedRequestError, ValueError):
            raise UpstreamError(f"HTTP {response.status} without a readable result", where=operation) from None
        if local(result) != f"{operation}Result":
            raise UpstreamError("the answer is that of another operation", where=operation)
        return Told(fields, operation)

    def redacted(self, body: bytes, safe: frozenset[str]) -> bytes:
        try:
            element = content_of(body)
            kept = {name: value for name, value in fields_of(element).items() if name in safe}
        except MalformedRequestError:
            return b""
        return elements({local(element): kept}).encode()


def content_of(body: bytes, tags: int = 200) -> Element:
    """The one element in the body of an envelope.

    Raises:
        MalformedRequestError: It is no such document.
    """
    if body.count(b"<") > tags or body.count(b"=") > tags * _EQUALS:
        raise MalformedRequestError("the document has too many elements or attributes")
    try:
        document: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError, LookupError):  # LookupError: an encoding that there is not
        raise MalformedRequestError("the body is no XML") from None
    bodies = document.findall(f"{{{ENVELOPE}}}Body") if document.tag == f"{{{ENVELOPE}}}Envelope" else []
    if len(bodies) != 1 or len(bodies[0]) != 1:
        raise MalformedRequestError("expected a SOAP envelope with one element in its body")
    return bodies[0][0]


def fields_of(element: Element, depth: int = 0) -> dict[str, Any]:
    """The fields of an element: texts, `None` for what is nil and, as deep as is said, objects and lists.

    Raises:
        MalformedRequestError: An element stands twice, or holds more than it may.
    """
    fields = {local(child): _value(child, depth) for child in element}
    if len(fields) != len(element):
        raise MalformedRequestError("an element stands twice", where=local(element))
    return fields


def local(element: Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _value(element: Element, depth: int) -> Any:
    if depth and local(element) in LISTS:
        return [fields_of(child, depth - 1) for child in element]
    if depth and len(element):
        return fields_of(element, depth - 1)
    if len(element) or not element.attrib.keys() <= _ATTRIBUTES:
        raise MalformedRequestError("expected a text and no attributes", where=local(element))
    return None if element.attrib.get(_NIL) in {"true", "1"} else element.text or ""


def elements(fields: Values) -> str:
    """Elements with these names and values; of texts what XML cannot hold is left out."""
    return "".join([f"<{name}>{_inner(name, value)}</{name}>" for name, value in fields.items()])


def _inner(name: str, value: Any) -> str:
    match value:
        case Mapping():
            return elements(value)
        case list():
            return "".join([elements({LISTS[name]: item}) for item in value])
        case None:
            return ""
        case Decimal():
            return f"{value:f}"
        case _:
            return escape("".join(filter(str.isprintable, str(value))))
