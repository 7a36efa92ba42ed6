"""`CasinoGameTPService`: SOAP 1.1 with a user's name and password.

Facts: `reference/protocols/playngo.md`, section "Operator → provider", and the provider's WSDL named in its sources.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Final
from xml.etree.ElementTree import Element

from croupier.contract import (
    Credentials,
    Effect,
    Flow,
    Headers,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    ProviderRefusedError,
    Told,
    UpstreamError,
    refuse_status,
)
from croupier_playngo import wire
from croupier_playngo.settings import API_PASSWORD, PlayngoSettings

NAMESPACE: Final = "http://playngo.com/v1"
ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
ARRAYS: Final = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
SOAP_ACTION: Final = "SOAPAction"

_TRANSIENT: Final = frozenset({"Unknown", "InternalError", "ServerFull", "Timeout", "ActionDelayed"})
"""`ErrorId`s that say nothing about the request."""
_VALIDATION: Final = "ValidationFault"
"""The fault of a request that cannot be right; it has no `ErrorId`."""

Values = Iterable[tuple[str, str | Iterable[str] | None]]
"""Elements in the order of the WSDL: text, a list of whole numbers, or `None` for what is not sent."""


def action(operation: str) -> str:
    """The value of `SOAPAction`, in its quotes."""
    return f'"{NAMESPACE}/CasinoGameTPService/{operation}"'


def basic(settings: PlayngoSettings, credentials: Credentials) -> str:
    """The value of `Authorization`."""
    pair = f"{settings.api_user}:{credentials.current(API_PASSWORD)}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def envelope(operation: str, values: Values) -> bytes:
    """A document that asks for an operation."""
    inner = "".join([_element(name, value) for name, value in values if value is not None])
    return (
        f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{ENVELOPE}" xmlns:v1="{NAMESPACE}"'
        f' xmlns:arr="{ARRAYS}"><soap:Body><v1:{operation}>{inner}</v1:{operation}></soap:Body></soap:Envelope>'
    ).encode()


def _element(name: str, value: str | Iterable[str]) -> str:
    if isinstance(value, str):
        return wire.element(f"v1:{name}", value)
    numbers = "".join([wire.element("arr:int", number) for number in value])
    return f"<v1:{name}>{numbers}</v1:{name}>"


def call(
    settings: PlayngoSettings, credentials: Credentials, operation: str, values: Values, effect: Effect
) -> Flow[Element]:
    """Ask for an operation; returns the response element.

    Raises:
        ProviderRefusedError: The service refused definitely.
        UpstreamError: Its answer cannot be used.
    """
    headers = Headers(
        (
            ("Content-Type", "text/xml; charset=utf-8"),
            (SOAP_ACTION, action(operation)),
            ("Authorization", basic(settings, credentials)),
        )
    )
    response = yield HttpRequest("POST", settings.api_url, headers, envelope(operation, values), effect)
    return _answered(response, operation)


def _answered(response: HttpResponse, operation: str) -> Element:
    body = _body(response)
    fault = None if body is None else body.find(f"{{{ENVELOPE}}}Fault")
    if fault is not None:
        raise _refusal(fault, operation)
    refuse_status(response, operation)
    answer = None if body is None else body.find(f"{{{NAMESPACE}}}{operation}Response")
    if answer is None:
        raise UpstreamError("the service's answer is no answer to this", where=operation)
    return answer


def _body(response: HttpResponse) -> Element | None:
    try:
        return wire.parsed(response.body).find(f"{{{ENVELOPE}}}Body")
    except MalformedRequestError:
        return None


def _refusal(fault: Element, operation: str) -> ProviderRefusedError | UpstreamError:
    """The error that a fault says: a definite refusal names an `ErrorId` that is about the request."""
    code = (fault.findtext("detail/*/{*}ErrorId") or "").strip()
    if not code and fault.find(f"detail/{{*}}{_VALIDATION}") is not None:
        code = _VALIDATION
    if not code or code in _TRANSIENT:
        return UpstreamError("the service failed", where=operation)
    return ProviderRefusedError("the service refused", provider_code=code[:40], where=operation)


def told(element: Element, where: str) -> Told:
    """The children of an element that hold a text, by name."""
    return Told({child.tag.rpartition("}")[2]: child.text for child in element if not len(child)}, where)


def items(element: Element, *path: str) -> Iterator[Element]:
    """The elements at a path below an element."""
    return element.iterfind("/".join([f"{{{NAMESPACE}}}{name}" for name in path]))


def numbers(element: Element, *path: str) -> tuple[str, ...]:
    """The whole numbers in a list at a path below an element."""
    inner = "/".join([*[f"{{{NAMESPACE}}}{name}" for name in path], f"{{{ARRAYS}}}int"])
    texts = [(item.text or "").strip() for item in element.iterfind(inner)]
    return tuple([text for text in texts if text.isascii() and text.isdigit()])
