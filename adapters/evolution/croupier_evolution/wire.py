"""The wire: JSON objects under a token in the query, inwards; the casino's key with a token for each API, outwards.

```
POST <address>/debit?authToken=<the shared token>
{"sid": "...", "userId": "...", "uuid": "...", "currency": "EUR", "game": {...}, "transaction": {...}}
```

Every answer has HTTP status 200; `status` tells. Facts: `reference/protocols/evolution.md`, sections "Transport &
encoding" and "Auth (EXACT)".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from croupier.contract import (
    AuthenticationError,
    Credentials,
    Headers,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Route,
    read_json,
    require_proof,
    write_json,
)
from croupier_evolution.codes import AGAIN, OPERATIONS
from croupier_evolution.settings import AUTH_TOKEN

LAUNCH: Final = "/ua/v1/"
"""What stands before the casino's key and the API token in the path of a launch."""

QUERY: Final = "authToken"
"""Where the shared token stands."""

ROUTES: Final = tuple([Route("POST", f"/{name}", name) for name in OPERATIONS])
"""Every operation has a path of its own."""

_SAFE: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"uuid", "currency"}),
    "channel": frozenset({"type"}),
    "game": frozenset({"id", "type"}),
    "transaction": frozenset({"id", "refId", "amount"}),
    "promoTransaction": frozenset({"type", "id", "amount", "voucherId", "remainingRounds"}),
    "table": frozenset({"id", "vid"}),
    "details": frozenset(),
}
"""What may be kept of an object, by the object's name; what is not here may be a session or a name."""


def prove(request: HttpRequest, credentials: Credentials) -> None:
    """Check the token in the query against every valid one.

    Raises:
        AuthenticationError: There is no token, more than one or a wrong one, or none to compare it with.
    """
    given = [value for name, value in request.query if name == QUERY]
    if len(given) != 1:
        raise AuthenticationError("one token is expected", where=QUERY)
    require_proof(credentials.every(AUTH_TOKEN), given[0], where=QUERY)


def basic(user: str, password: str) -> Headers:
    """The header of HTTP Basic authentication.

    Example:
        >>> basic("acme0001", "tok").get("Authorization")
        'Basic YWNtZTAwMDE6dG9r'
    """
    return Headers((("Authorization", f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"),))


def refusal(status: str, uuid: str | None) -> HttpResponse:
    """An answer that is no success; `retransmission` says whether the provider may send the same again."""
    told = {"status": status, "retransmission": status in AGAIN}
    return HttpResponse.json(write_json(told if uuid is None else {**told, "uuid": uuid}))


def uuid_of(request: HttpRequest) -> str | None:
    """The `uuid` of a request that could not be understood, as far as it can be read."""
    try:
        body = read_json(request.body)
    except MalformedRequestError:
        return None
    uuid = body.get("uuid") if isinstance(body, dict) else None
    return uuid if isinstance(uuid, str) and 0 < len(uuid) <= 200 else None


def redact(request: HttpRequest) -> HttpRequest:
    """A request as it may be kept: without the token, the session id and the player."""
    try:
        body = read_json(request.body)
    except MalformedRequestError:
        body = None
    kept = write_json(_safe("", body)) if isinstance(body, dict) else b""
    path, launch, _ = request.path.partition(LAUNCH)  # behind it stands the token
    return HttpRequest(request.method, path + launch, body=kept)


def _safe(place: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            if name in _SAFE:
                kept[name] = _safe(name, value)
        elif name in _SAFE[place] and not isinstance(value, list):
            kept[name] = value
    return kept
