"""REST JSON: a path for each method, an object with its fields, HTTP 200 for every answer.

Facts: `reference/protocols/tomhorn.md`, section "Transport & encoding". `croupier_tomhorn.soap` says the same in SOAP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from croupier.contract.errors import UnsupportedOperationError
from croupier.contract.fields import Told, told_by
from croupier.contract.http import JSON_HEADERS, Effect, HttpRequest, HttpResponse
from croupier.contract.redaction import safe_json
from croupier.contract.strict_json import read_json_object, write_json
from croupier_tomhorn.codes import METHODS

INTEGRATION: Final = "CustomerIntegrationService"
REPORT: Final = "CustomerReportService"
SERVICES: Final = "/services/gms"

Values = Mapping[str, Any]

_BY_PATH: Final[Mapping[str, str]] = {f"/{name}": name for name in METHODS}


class JsonCodec:
    """The protocol in JSON. What cannot be read is a `MalformedRequestError`, of the provider's an `UpstreamError`.

    Attributes:
        no_answer: What the provider cannot take for an answer of the protocol, and so handles as a time-out.
    """

    no_answer = HttpResponse(503)

    def read(self, request: HttpRequest) -> tuple[str, dict[str, Any]]:
        """The wallet's method and the fields of a request, unproven; `UnsupportedOperationError` if there is none."""
        method = self.method(request)
        if method is None:
            raise UnsupportedOperationError("the wallet has no such method", where="path")
        return method, read_json_object(request.body)

    def method(self, request: HttpRequest) -> str | None:
        """The wallet's method that a request names, if it names one."""
        return _BY_PATH.get(request.path.rstrip("/")) if request.method == "POST" else None

    def answer(self, method: str | None, fields: Values) -> HttpResponse:
        """The answer of a method."""
        return HttpResponse(200, JSON_HEADERS, write_json(fields))

    def ask(self, url: str, service: str, operation: str, fields: Values, effect: Effect) -> HttpRequest:
        """A call to one of the provider's services."""
        return HttpRequest("POST", f"{url}/Rest{service}.svc/{operation}", JSON_HEADERS, write_json(fields), effect)

    def told(self, response: HttpResponse, operation: str) -> Told:
        """What the provider answered."""
        return told_by(response, operation)

    def redacted(self, body: bytes, safe: frozenset[str]) -> bytes:
        """A body with the fields alone that are known to be safe; empty where it cannot be read."""
        return safe_json(body, safe)
