"""One event a POST, signed as Standard Webhooks says (https://www.standardwebhooks.com), symmetric `v1`.

`webhook-id` is the event's id, the same at every attempt; `webhook-timestamp` is the time of the attempt; and
`webhook-signature` has one `v1,<base64>` for each secret that is valid, each the HMAC-SHA256 of
`{id}.{timestamp}.{body}`. Any 2xx confirms, 410 ends it, all else is tried again by the specification's calendar.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import datetime
from functools import lru_cache
from typing import ClassVar, Final
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from croupier.contract import (
    Credentials,
    Effect,
    EndpointGone,
    EventAnswer,
    EventEndpoint,
    EventRefused,
    EventTaken,
    Headers,
    HttpRequest,
    HttpResponse,
    SecretField,
    SettingsError,
    SinkEvent,
    SinkSpec,
    epoch_seconds,
    is_address,
)

_SIGNING: Final = "signing_secret"
_PREFIX: Final = "whsec_"
_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE

WAITS_MS: Final = (
    5 * _SECOND,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""After the first attempt, at once (Standard Webhooks, "Operational considerations": retry schedule)."""

_PASSING: Final = frozenset({408, 425, 429, 502, 503, 504})
_LONGEST_WISH_SECONDS: Final = 3_600


def _address(_instance: object, _attribute: Attribute[str], value: str) -> None:
    problem = "expected an http or https address"
    try:
        parts = urlsplit(value)
        usable = is_address(value) and parts.port != 0 and value.isascii() and value.isprintable()
    except ValueError:
        raise SettingsError(problem, where="url") from None
    if not usable or set(value) & set(" #"):
        raise SettingsError(problem, where="url")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("an address is no place for a user name or password: it is shown", where="url")


def _seconds(_instance: object, _attribute: Attribute[float], value: float) -> None:
    if not 1 <= value <= 20:
        raise SettingsError("expected 1 to 20 seconds", where="timeout_seconds")


@frozen(kw_only=True)
class WebhookSettings:
    """Settings of a webhook.

    Attributes:
        url: Where events are sent.
        timeout_seconds: How long one attempt may take, from 1 to 20.
    """

    url: str = field(validator=_address)
    timeout_seconds: float = field(default=15.0, validator=_seconds)


class WebhookSink(EventEndpoint):
    """Signed webhooks to one address."""

    waits_ms: ClassVar[tuple[int, ...]] = WAITS_MS

    def __init__(self, settings: WebhookSettings) -> None:
        self.spec = SPEC
        self.timeout_seconds = settings.timeout_seconds
        self._url = settings.url

    def check(self, credentials: Credentials) -> None:
        for secret in credentials.every(_SIGNING):
            _key(secret)

    def request(self, event: SinkEvent, credentials: Credentials, now: datetime) -> HttpRequest:
        body, timestamp = event.message(), str(epoch_seconds(now))
        signed = f"{event.id}.{timestamp}.".encode("ascii") + body
        signatures = [_signature(secret, signed) for secret in credentials.every(_SIGNING)]
        if not signatures:
            raise SettingsError("there is no secret to sign with", where=f"secrets.{_SIGNING}")
        headers = (
            ("Content-Type", "application/json"),
            ("webhook-id", event.id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", " ".join(signatures)),
        )
        return HttpRequest("POST", self._url, Headers(headers), body, Effect.IDEMPOTENT)

    def answer(self, response: HttpResponse) -> EventAnswer:
        status = response.status
        if 200 <= status < 300:
            return EventTaken()
        detail = f"it answered {status}"
        if status == 410:
            return EndpointGone(detail=detail)
        return EventRefused(detail=detail, passing=status in _PASSING, wait_ms=_wish(response) * _SECOND)


def _wish(response: HttpResponse) -> int:
    """For how many seconds a busy endpoint wants to be left alone, within reason."""
    text = response.headers.get("Retry-After", "")
    if response.status not in {429, 503} or not (text and text.isascii() and text.isdigit()):
        return 0
    return min(int(text[:6]), _LONGEST_WISH_SECONDS)


@lru_cache(maxsize=256)
def _key(secret: str) -> bytes:
    """The key inside a secret: `whsec_` and the base64 of 24 to 64 bytes (Standard Webhooks, "Signature scheme").

    Raises:
        SettingsError: It is not of that form. The message does not show it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise SettingsError("a signing secret is whsec_ and the base64 of 24 to 64 bytes", where=f"secrets.{_SIGNING}")
    return key


def _signature(secret: str, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode("ascii")


SPEC: Final = SinkSpec(
    slug="webhook",
    name="Signed webhooks",
    secrets=(SecretField(_SIGNING, "What events are signed with: whsec_ and the base64 of 24 to 64 random bytes."),),
    settings=WebhookSettings,
    create=WebhookSink,
)
