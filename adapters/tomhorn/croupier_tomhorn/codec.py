"""What a codec does: the same methods and fields, as REST JSON or as SOAP 1.1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from croupier.contract.fields import Told
from croupier.contract.http import Effect, HttpRequest, HttpResponse

INTEGRATION: Final = "CustomerIntegrationService"
REPORT: Final = "CustomerReportService"
SERVICES: Final = "/services/gms"


@frozen(kw_only=True)
class Question:
    """One call to the provider.

    Attributes:
        service: Which of its services.
        operation: The operation.
        fields: The fields with their proof.
        effect: What a repeat would do.
    """

    service: str
    operation: str
    fields: Mapping[str, Any]
    effect: Effect


class Codec(ABC):
    """One way to write the protocol."""

    @abstractmethod
    def read(self, request: HttpRequest) -> tuple[str, dict[str, Any]]:
        """The wallet's method and the fields of a request, unproven.

        Raises:
            MalformedRequestError: It cannot be read.
            UnsupportedOperationError: There is no such method.
        """

    @abstractmethod
    def method(self, request: HttpRequest) -> str | None:
        """The wallet's method that a request names, as far as one can be read."""

    @abstractmethod
    def answer(self, method: str | None, fields: Mapping[str, Any]) -> HttpResponse:
        """The answer of a method."""

    @abstractmethod
    def no_answer(self) -> HttpResponse:
        """What the provider cannot take for an answer of the protocol, and so handles as a time-out."""

    @abstractmethod
    def ask(self, api_url: str, question: Question) -> HttpRequest:
        """A call to the provider."""

    @abstractmethod
    def told(self, response: HttpResponse, operation: str) -> Told:
        """What the provider answered.

        Raises:
            UpstreamError: It cannot be read.
        """

    @abstractmethod
    def redacted(self, body: bytes, safe: frozenset[str]) -> bytes:
        """A body with the fields alone that are known to be safe; empty where it cannot be read."""
