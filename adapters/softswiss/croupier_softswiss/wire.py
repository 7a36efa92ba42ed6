"""The protocol's proof: one header over the exact bytes of the body, in both directions.

Source: `reference/protocols/softswiss.md`, sections "Transport & encoding" and "Auth (EXACT)".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from croupier.contract import (
    AuthenticationError,
    Credentials,
    Effect,
    Headers,
    HttpRequest,
    hmac_hex,
    require_proof,
    write_json,
)

SIGNATURE_HEADER: Final = "X-REQUEST-SIGN"
AUTH_TOKEN: Final = "auth_token"  # noqa: S105 -- the name of the secret, not its value


def sign(token: str, body: bytes) -> str:
    """The proof of a body: lower-case hex HMAC-SHA256 over the exact bytes (section "Auth (EXACT)").

    Example:
        >>> sign("test", b'{"user_id":"8|USDT|USD","currency":"USD","game":"acceptance:test"}')[:16]
        '442c4cd892600809'
    """
    return hmac_hex(token, body)


def signed_request(method: str, url: str, body: Mapping[str, Any], token: str, effect: Effect) -> HttpRequest:
    """A request with its proof, in either direction."""
    raw = write_json(body)
    headers = Headers((("Content-Type", "application/json"), (SIGNATURE_HEADER, sign(token, raw))))
    return HttpRequest(method, url, headers, raw, effect)


def prove(request: HttpRequest, credentials: Credentials) -> None:
    """Check a request's proof against every valid token, without regard to the case of its hex digits.

    Raises:
        AuthenticationError: There is no proof, more than one, a wrong one, or no token to check it with.
    """
    given = request.headers.all(SIGNATURE_HEADER)
    if len(given) != 1 or not given[0].isascii():
        raise AuthenticationError("one proof of origin is expected", where=SIGNATURE_HEADER)
    candidates = tuple([sign(token, request.body) for token in credentials.every(AUTH_TOKEN) if token])
    require_proof(candidates, given[0].strip().lower(), where=SIGNATURE_HEADER)
