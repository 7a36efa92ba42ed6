"""REST JSON: a path for each method, an object with its fields, HTTP 200 for every answer.

Facts: `reference/protocols/tomhorn.md`, section "Transport & encoding".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from croupier.contract.errors import UnsupportedOperationError
from croupier.contract.fields import Told, told_by
from croupier.contract.http import JSON_HEADERS, HttpRequest, HttpResponse
from croupier.contract.redaction import safe_json
from croupier.contract.strict_json import read_json_object, write_json
from croupier_tomhorn.codec import SERVICES, Codec, Question
from croupier_tomhorn.codes import METHODS

_BY_PATH: Final[Mapping[str, str]] = {f"/{name}": name for name in METHODS}
_NO_ANSWER: Final = HttpResponse(503)


class JsonCodec(Codec):
    """The protocol in JSON."""

    def read(self, request: HttpRequest) -> tuple[str, dict[str, Any]]:
        method = self.method(request)
        if method is None:
            raise UnsupportedOperationError("the wallet has no such method", where="path")
        return method, read_json_object(request.body)

    def method(self, request: HttpRequest) -> str | None:
        return _BY_PATH.get(request.path.rstrip("/")) if request.method == "POST" else None

    def answer(self, method: str | None, fields: Mapping[str, Any]) -> HttpResponse:
        return HttpResponse(200, JSON_HEADERS, write_json(fields))

    def no_answer(self) -> HttpResponse:
        return _NO_ANSWER

    def ask(self, api_url: str, question: Question) -> HttpRequest:
        url = f"{api_url}{SERVICES}/Rest{question.service}.svc/{question.operation}"
        return HttpRequest("POST", url, JSON_HEADERS, write_json(question.fields), question.effect)

    def told(self, response: HttpResponse, operation: str) -> Told:
        return told_by(response, operation)

    def redacted(self, body: bytes, safe: frozenset[str]) -> bytes:
        return safe_json(body, safe)
