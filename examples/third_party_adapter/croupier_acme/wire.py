"""The wire (sections 1 and 2): JSON, proven by an HMAC over the time and the exact bytes of the body."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from croupier.contract import (
    AuthenticationError,
    Credentials,
    Effect,
    Headers,
    HttpRequest,
    Verified,
    epoch_seconds,
    hmac_hex,
    require_proof,
    safe_json,
    write_json,
)
from croupier_acme.settings import SECRET

SIGNATURE: Final = "X-Acme-Sign"
TIME: Final = "X-Acme-Time"
WINDOW_SECONDS: Final = 60

_SAFE: Final = frozenset(["amount", "currency", "gameId", "mode", "roundClosed", "roundId", "txId"])


def sign(key: str, at: str, body: bytes) -> str:
    """The proof of a body that is sent at a time.

    Example:
        >>> sign("acme-test-key", "1767268800", b'{"playerId":"p-1","currency":"EUR"}')[:16]
        'ea72e0d2dd47500f'
    """
    return hmac_hex(key, at.encode("utf-8", "surrogateescape") + b"." + body)


def signed(
    method: str, url: str, fields: Mapping[str, Any] | None, credentials: Credentials, now: datetime, *, effect: Effect
) -> HttpRequest:
    """A request with its proof, in either direction; without fields the body is empty."""
    body, at = b"" if fields is None else write_json(fields), str(epoch_seconds(now))
    proof = sign(credentials.current(SECRET), at, body)
    headers = Headers((("Content-Type", "application/json"), (TIME, at), (SIGNATURE, proof)))
    return HttpRequest(method, url, headers, body, effect)


def prove(request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
    """Check a request's proof against every valid key, and then its time.

    Raises:
        AuthenticationError: The proof or the time is missing, wrong or too old, or there is no key to check it with.
    """
    given, times = request.headers.all(SIGNATURE), request.headers.all(TIME)
    if len(given) != 1 or len(times) != 1:
        raise AuthenticationError("one time and one proof of origin are expected", where=SIGNATURE)
    candidates = tuple([sign(key, times[0], request.body) for key in credentials.every(SECRET) if key])
    require_proof(candidates, given[0], where=SIGNATURE)
    at = times[0]
    plain = at.isascii() and at.isdigit() and len(at) <= 12
    if not plain or abs(epoch_seconds(now) - int(at)) > WINDOW_SECONDS:
        raise AuthenticationError("the request was not signed just now", where=TIME)
    return Verified(request)


def redact(request: HttpRequest) -> HttpRequest:
    """A request as it may be kept: the fields that are known to be safe, and no proof."""
    headers = Headers((("Content-Type", "application/json"),))
    return HttpRequest(request.method, request.path, headers, safe_json(request.body, _SAFE), request.effect)
