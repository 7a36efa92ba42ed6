"""The protocol's syntax: its proof, its JSON, its fields, its times.

Source: `reference/protocols/softswiss.md`, sections "Transport & encoding", "Auth (EXACT)" and "Amounts".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from croupier.contract import (
    AuthenticationError,
    Credentials,
    Effect,
    Headers,
    HttpRequest,
    MalformedRequestError,
    Unit,
    WireAmount,
    hmac_hex,
    require_proof,
)

SIGNATURE_HEADER: Final = "X-REQUEST-SIGN"
AUTH_TOKEN: Final = "auth_token"  # noqa: S105 -- the name of the secret, not its value
MAX_ID: Final = 200


def encode(value: Mapping[str, Any]) -> bytes:
    """Compact JSON. Non-ASCII text is escaped, so any text can be written."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def sign(token: str, body: bytes) -> str:
    """The proof of a body: lower-case hex HMAC-SHA256 over the exact bytes (section "Auth (EXACT)").

    Example:
        >>> sign("test", b'{"user_id":"8|USDT|USD","currency":"USD","game":"acceptance:test"}')[:16]
        '442c4cd892600809'
    """
    return hmac_hex(token, body)


def signed_request(method: str, url: str, body: Mapping[str, Any], token: str, effect: Effect) -> HttpRequest:
    """A request with its proof, in either direction."""
    raw = encode(body)
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
    candidates = tuple(sign(token, request.body) for token in credentials.every(AUTH_TOKEN) if token)
    require_proof(candidates, given[0].strip().lower(), where=SIGNATURE_HEADER)


def timestamp(at: datetime, digits: int) -> str:
    """ISO 8601 in UTC with `Z`, cut to `digits` of a second.

    Example:
        >>> timestamp(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), 3)
        '2026-01-02T03:04:05.678Z'
    """
    utc = at.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}"[: digits + 1] if digits else ""
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"


@frozen
class Fields:
    """A JSON object of a request, read field by field; `null` counts as absent.

    Attributes:
        values: The object.
        path: Where it stands in the body, for messages.
    """

    values: Mapping[str, Any]
    path: str = ""

    def text(self, name: str) -> str:
        """A required text of 1 to 200 printable characters."""
        value = self.optional_text(name)
        if value is None:
            raise MalformedRequestError("the field is missing", where=self._where(name))
        return value

    def optional_text(self, name: str) -> str | None:
        """Like `text`, or `None` if it is absent."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise MalformedRequestError("expected a text", where=self._where(name))
        if not 0 < len(value) <= MAX_ID or not value.isprintable():
            raise MalformedRequestError(f"expected 1 to {MAX_ID} printable characters", where=self._where(name))
        return value

    def flag(self, name: str) -> bool:
        """A truth value, false if it is absent."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise MalformedRequestError("expected true or false", where=self._where(name))
        return value is True

    def subunits(self, name: str, unit: Unit, currency: str | None) -> WireAmount:
        """A required amount: a whole number of subunits, from zero (section "Amounts")."""
        value = self.values.get(name)
        if value is None:
            raise MalformedRequestError("the field is missing", where=self._where(name))
        if type(value) is not int:
            raise MalformedRequestError("expected a whole number of subunits", where=self._where(name))
        if value < 0:
            raise MalformedRequestError("expected a number from zero", where=self._where(name))
        return WireAmount.of(value, unit, currency)

    def fraction(self, name: str, unit: Unit, currency: str) -> WireAmount | None:
        """An optional decimal of subunits, as a number or as its text (jackpot fields)."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise MalformedRequestError("expected a decimal number", where=self._where(name))
        amount = WireAmount.of(value, unit, currency)
        if amount.is_negative:
            raise MalformedRequestError("expected a number from zero", where=self._where(name))
        return amount

    def objects(self, name: str) -> tuple[Fields, ...]:
        """A list of objects, empty if it is absent."""
        value = self.values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise MalformedRequestError("expected a list", where=self._where(name))
        return tuple(self._members(name, value))

    def _members(self, name: str, items: Sequence[Any]) -> Iterator[Fields]:
        for index, item in enumerate(items):
            where = f"{self._where(name)}[{index}]"
            if not isinstance(item, dict):
                raise MalformedRequestError("expected an object", where=where)
            yield Fields(item, where)

    def _where(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
