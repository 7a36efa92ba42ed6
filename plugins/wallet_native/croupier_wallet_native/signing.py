"""Signatures of the Standard Webhooks scheme (https://www.standardwebhooks.com), symmetric `v1`.

Three header fields prove a request: `webhook-id`, `webhook-timestamp` (unix seconds) and `webhook-signature`, a list of
`v1,<base64>` parted by spaces, each the HMAC-SHA256 of `{id}.{timestamp}.{body}` under one secret. Two secrets are
valid at once while one replaces the other: the hub signs with both, and whoever verifies needs only one of them.

Example:
    >>> from datetime import UTC, datetime
    >>> secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    >>> now = datetime(2026, 1, 2, tzinfo=UTC)
    >>> headers = sign((secret,), "msg-1", now, b"{}")
    >>> verify(headers, b"{}", (secret,), now)
    'msg-1'
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

from croupier.contract import (
    AuthenticationError,
    Headers,
    MalformedRequestError,
    SettingsError,
    same_secret,
)

__all__ = ["AuthenticationError", "SettingsError", "decode_secret", "sign", "verify"]

PREFIX: Final = "whsec_"
TOLERANCE_SECONDS: Final = 300
MAX_SIGNATURES: Final = 8

_ID: Final = re.compile(r"[!-\-/-~]{1,200}", re.ASCII)  # visible ASCII without the dot that parts the fields
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


@lru_cache(maxsize=256)
def decode_secret(secret: str) -> bytes:
    """The key inside a secret: `whsec_` and the base64 of 24 to 64 bytes (Standard Webhooks, "Signature scheme").

    Raises:
        SettingsError: It is not of that form. The message does not show it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise SettingsError(
            "a signing secret is whsec_ and the base64 of 24 to 64 bytes", where="secrets.signing_secret"
        )
    return key


def sign(secrets: Iterable[str], message_id: str, now: datetime, body: bytes) -> Headers:
    """The three header fields that prove a message.

    Args:
        secrets: Every secret that is valid now; each adds one signature.
        message_id: The same for every repeat of a message; visible ASCII, no dot.
        now: The time of this attempt, with its time zone.
        body: The exact bytes that are sent.

    Raises:
        MalformedRequestError: The id cannot stand in a header.
        SettingsError: There is no secret, or one is not of the right form.
    """
    if not _ID.fullmatch(message_id):
        raise MalformedRequestError("a message id is 1 to 200 visible ASCII characters, no dot", where="webhook-id")
    timestamp = str(int(now.timestamp()))
    signatures = [_signature(decode_secret(secret), message_id, timestamp, body) for secret in secrets]
    if not signatures:
        raise SettingsError("there is no secret to sign with", where="secrets.signing_secret")
    return Headers(
        (
            ("webhook-id", message_id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", " ".join(signatures)),
        )
    )


def verify(
    headers: Headers | Mapping[str, str],
    body: bytes,
    secrets: Iterable[str],
    now: datetime,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> str:
    """Accept a message only if one of the secrets signed it and it is fresh.

    A replay inside the window is still possible: what makes it harmless is that the id of every movement is
    remembered.

    Args:
        headers: The header fields as received; names compare without case.
        body: The exact bytes received, before any parsing.
        secrets: Every secret that is valid now.
        now: The verifier's time, with its time zone.
        tolerance_seconds: How far the time stamp may be from `now`, either way.

    Returns:
        The message's id.

    Raises:
        AuthenticationError: A field is missing, twice or malformed, the time is too far away, or no signature fits.
        SettingsError: A secret is not of the right form.
    """
    received = headers if isinstance(headers, Headers) else Headers.of(headers)
    message_id = _only(received, "webhook-id", _ID)
    timestamp = _only(received, "webhook-timestamp", _TIMESTAMP)
    if abs(now.timestamp() - int(timestamp)) > tolerance_seconds:
        raise AuthenticationError("the time stamp is too far from now", where="webhook-timestamp")
    given = _only(received, "webhook-signature", re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)).split(" ")
    if len(given) > MAX_SIGNATURES:
        raise AuthenticationError("too many signatures", where="webhook-signature")
    expected = [_signature(decode_secret(secret), message_id, timestamp, body) for secret in secrets]
    # Compared as text, so that one signature has one spelling; every pair is compared.
    matches = [same_secret(ours, theirs) for ours in expected for theirs in given]
    if not any(matches):
        raise AuthenticationError("no signature fits", where="webhook-signature")
    return message_id


def _only(headers: Headers, name: str, form: re.Pattern[str]) -> str:
    values = headers.all(name)
    if len(values) != 1 or not form.fullmatch(values[0]):
        raise AuthenticationError("the field is missing, twice or malformed", where=name)
    return values[0]


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode("ascii") + body
    return "v1," + binascii.b2a_base64(hmac.digest(key, signed, "sha256"), newline=False).decode("ascii")
