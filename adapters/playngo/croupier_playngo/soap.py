"""`CasinoGameTPService`: SOAP 1.1 with a user's name and password.

Facts: `reference/protocols/playngo.md`, section "Operator → provider", and the provider's WSDL named in its sources.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Final
from xml.etree.ElementTree import Element

from croupier.contract.errors import MalformedRequestError, ProviderRefusedError, UpstreamError
from croupier.contract.fields import Told, refuse_status
from croupier.contract.flows import Flow
from croupier.contract.http import Effect, Headers, HttpRequest
from croupier.contract.secrets import Credentials
from croupier_playngo import wire
from croupier_playngo.settings import API_PASSWORD, PlayngoSettings, is_number

NAMESPACE: Final = "http://playngo.com/v1"
ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
ARRAYS: Final = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
SOAP_ACTION: Final = "SOAPAction"
XML: Final = "text/xml; charset=utf-8"

_TRANSIENT: Final = frozenset({"Unknown", "InternalError", "ServerFull", "Timeout", "ActionDelayed"})
"""`ErrorId`s that say nothing about the request."""
_VALIDATION: Final = "ValidationFault"  # has no `ErrorId`

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
    proof = basic(settings, credentials)
    headers = Headers((("Content-Type", XML), (SOAP_ACTION, action(operation)), ("Authorization", proof)))
    response = yield HttpRequest("POST", settings.api_url, headers, envelope(operation, values), effect)
    try:
        told = wire.parsed(response.body)
    except MalformedRequestError:
        told = Element("")
    fault = told.find(f"{{{ENVELOPE}}}Body/{{{ENVELOPE}}}Fault")
    if fault is not None:
        raise _refusal(fault, operation)
    refuse_status(response, operation)
    answer = told.find(f"{{{ENVELOPE}}}Body/{{{NAMESPACE}}}{operation}Response")
    if answer is None:
        raise UpstreamError("the service's answer is no answer to this", where=operation)
    return answer


def _refusal(fault: Element, operation: str) -> ProviderRefusedError | UpstreamError:
    """The error that a fault says: a definite refusal names an `ErrorId` that is about the request."""
    code = (fault.findtext("detail/*/{*}ErrorId") or "").strip()
    if not code and fault.find(f"detail/{{*}}{_VALIDATION}") is not None:
        code = _VALIDATION
    if not code or code in _TRANSIENT:
        return UpstreamError("the service failed", where=operation)
    return ProviderRefusedError("the service refused", provider_code=code[:40], where=operation)


def texts(element: Element, where: str) -> Told:
    """The children of an element that hold a text, by name."""
    return Told({child.tag.rpartition("}")[2]: child.text for child in element if not len(child)}, where)


def items(element: Element, *path: str) -> Iterator[Element]:
    """The elements at a path below an element."""
    return element.iterfind("/".join([f"{{{NAMESPACE}}}{name}" for name in path]))


def numbers(element: Element, name: str) -> tuple[str, ...]:
    """The whole numbers in a list below an element."""
    found = [(item.text or "").strip() for item in element.iterfind(f"{{{NAMESPACE}}}{name}/{{{ARRAYS}}}int")]
    return tuple([text for text in found if is_number(text)])
