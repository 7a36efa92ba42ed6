"""Errors as the JSON APIs tell them: `{"error": {"code", "message", "where", "hint", "docs"}}`."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from croupier.contract import (
    AuthenticationError,
    CroupierError,
    ForbiddenError,
    Headers,
    HttpResponse,
    OverloadedError,
    ProviderRefusedError,
    RateLimitedError,
    RetryLaterError,
)
from croupier.web.decoding import write_json

API_HEADERS: Final = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)


@frozen(kw_only=True)
class Problem:
    """What was wrong.

    Attributes:
        code: The stable code; the documentation has a section for each.
        message: What was wrong, in one sentence.
        where: The field, path or row that the message speaks of.
        hint: What to do about it.
        docs: Where to read more.
        provider_code: The provider's own code, where a provider refused.
    """

    code: str
    message: str
    where: str | None = None
    hint: str | None = None
    docs: str
    provider_code: str | None = None


@frozen(kw_only=True)
class ProblemAnswer:
    """The body of every answer that is no success.

    Attributes:
        error: What was wrong.
    """

    error: Problem


def problem_answer(error: CroupierError, docs: str) -> HttpResponse:
    """An error as an answer.

    Args:
        error: What was raised.
        docs: The address of the documentation; the code is added as its anchor.
    """
    problem = Problem(
        code=error.code,
        message=error.message,
        where=error.where,
        hint=error.hint,
        docs=f"{docs}#{error.code}",
        provider_code=error.provider_code if isinstance(error, ProviderRefusedError) else None,
    )
    more: tuple[tuple[str, str], ...] = ()
    match error:
        case AuthenticationError():
            more = (("WWW-Authenticate", "Bearer"),)
        case RateLimitedError():
            more = (("Retry-After", str(error.retry_after)),)
        case RetryLaterError() if error.status == OverloadedError.status:
            more = (("Retry-After", "1"),)
        case _:
            pass
    return HttpResponse(error.status, Headers((*API_HEADERS, *more)), write_json(ProblemAnswer(error=problem)))


def every_error() -> tuple[type[CroupierError], ...]:
    """Every class of error, those of the contract in the order of their definition."""
    found: list[type[CroupierError]] = []
    waiting: list[type[CroupierError]] = [CroupierError]
    while waiting:
        kind = waiting.pop(0)
        if kind.__module__ == CroupierError.__module__:
            found.append(kind)
            waiting.extend(kind.__subclasses__())
    return tuple(dict.fromkeys(found))


STATUS_WORDS: Final = {
    400: "The request is wrong: the same bytes will never be accepted.",
    401: AuthenticationError.__doc__ or "",
    403: ForbiddenError.__doc__ or "",
    404: "There is no such thing, or not for this caller.",
    405: "The address has no such method.",
    409: "It contradicts what is stored, or a rule refuses it.",
    413: "The body is larger than the limit.",
    422: "A value is not accepted, or the provider refused.",
    429: "More than the caller may send: `Retry-After` tells when there is room again.",
    500: "A fault of the hub.",
    502: "The provider answered with something that cannot be used.",
    503: "The same request may succeed later.",
}
