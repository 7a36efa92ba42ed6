"""Signed webhooks: what goes over the wire, what an answer means, and that a library of the standard agrees."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import define, field
from standardwebhooks import Webhook, WebhookVerificationError

from croupier.contract import (
    Credentials,
    EndpointGone,
    EventRefused,
    EventTaken,
    Headers,
    HttpResponse,
    SettingsError,
    SinkEvent,
    TransportError,
    TransportProblem,
)
from croupier.net import Guard, HttpClient
from croupier.registry import Registry, structure
from croupier_sink_webhook.sink import SPEC, WAITS_MS, WebhookSettings, WebhookSink

OLD = "whsec_" + base64.b64encode(bytes(range(24))).decode()  # a test key
NEW = "whsec_" + base64.b64encode(bytes(range(32))).decode()  # a test key
EVENT = SinkEvent(
    id="0199a3b0-0000-8000-8000-000000000001",
    operator="o1",
    position=7,
    kind="movement.applied",
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    lane="surrogate",
    data={"position": 7, "subject": "m1", "player": "p-1001", "amount": {"amount": 150, "currency": "EUR", "scale": 2}},
)


def sink(url: str = "https://operator.example/events", **more: Any) -> WebhookSink:
    return WebhookSink(WebhookSettings(url=url, **more))


def credentials(*secrets: str) -> Credentials:
    return Credentials({"signing_secret": secrets})


@define(eq=False)
class Receiver:
    """A real HTTP server: keeps what it is sent and answers as it is told."""

    port: int = 0
    status: int = 200
    extra: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.got.append((headers, body))
                writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n{self.extra}\r\n".encode())
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def receiving(status: int = 200, extra: str = "") -> AsyncIterator[Receiver]:
    receiver = Receiver(status=status, extra=extra)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()


async def send(receiver: Receiver, *secrets: str, guard: Guard | None = None) -> HttpResponse:
    made = sink(f"http://127.0.0.1:{receiver.port}/events?from=hub")
    async with HttpClient(guard=guard or Guard.development()) as client:
        return await client(made.request(EVENT, credentials(*secrets), datetime.now(UTC)), 5.0)


async def test_a_library_of_the_standard_verifies_what_arrives_at_a_real_server() -> None:
    async with receiving(204) as receiver:
        assert sink().answer(await send(receiver, NEW)) == EventTaken()
    ((headers, body),) = receiver.got
    assert Webhook(NEW).verify(body, headers) == json.loads(body)
    assert json.loads(body) == {
        "type": "movement.applied",
        "timestamp": "2026-01-02T03:04:05.000Z",
        "data": dict(EVENT.data),
    }
    assert headers["webhook-id"] == EVENT.id
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(body, headers)


async def test_while_a_secret_is_changed_both_verify() -> None:
    async with receiving() as receiver:
        await send(receiver, NEW, OLD)
    ((headers, body),) = receiver.got
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(body, headers)


def test_a_repeat_has_the_same_id_and_body_and_a_signature_of_its_own_time() -> None:
    first = sink().request(EVENT, credentials(NEW), datetime(2026, 1, 2, tzinfo=UTC))
    again = sink().request(EVENT, credentials(NEW), datetime(2026, 1, 5, tzinfo=UTC))
    assert first.body == again.body
    assert first.headers.get("webhook-id") == again.headers.get("webhook-id") == EVENT.id
    assert first.headers.get("webhook-timestamp") == "1767312000"
    assert first.headers.get("webhook-signature") != again.headers.get("webhook-signature")


async def test_a_redirect_is_not_followed_and_counts_as_refused() -> None:
    async with receiving() as other, receiving(302, f"Location: http://127.0.0.1:{other.port}/\r\n") as receiver:
        assert sink().answer(await send(receiver, NEW)) == EventRefused(detail="it answered 302")
    assert other.got == []


async def test_an_address_in_the_hubs_own_network_is_not_called() -> None:
    async with receiving() as receiver:
        with pytest.raises(TransportError) as refused:
            await send(receiver, NEW, guard=Guard(plain_http=True))
    assert refused.value.problem is TransportProblem.NOT_SENT
    assert receiver.got == []


@pytest.mark.parametrize(
    ("status", "headers", "meaning"),
    [
        (200, {}, EventTaken()),
        (299, {}, EventTaken()),
        (410, {}, EndpointGone(detail="it answered 410")),
        (400, {"Retry-After": "9"}, EventRefused(detail="it answered 400")),
        (500, {}, EventRefused(detail="it answered 500")),
        (502, {}, EventRefused(detail="it answered 502", passing=True)),
        (429, {"Retry-After": "9"}, EventRefused(detail="it answered 429", passing=True, wait_ms=9_000)),
        (503, {"retry-after": "99999999"}, EventRefused(detail="it answered 503", passing=True, wait_ms=3_600_000)),
        (503, {"Retry-After": "soon"}, EventRefused(detail="it answered 503", passing=True)),
    ],
)
def test_what_an_answer_means(status: int, headers: dict[str, str], meaning: object) -> None:
    assert sink().answer(HttpResponse(status, Headers.of(headers))) == meaning


def test_the_calendar_is_that_of_the_specification() -> None:
    hours = [wait / 3_600_000 for wait in WAITS_MS]
    assert [round(hour, 4) for hour in hours] == [0.0014, 0.0833, 0.5, 2, 5, 10, 14, 20, 24]
    assert round(sum(hours), 1) == 75.6


@pytest.mark.parametrize("secret", ["", "plain", "whsec_AAAA", "whsec_" + "A" * 200, "whsec_*" * 9])
def test_a_secret_of_another_form_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(SettingsError) as refused:
        sink().request(EVENT, credentials(secret), datetime(2026, 1, 2, tzinfo=UTC))
    assert not secret or secret not in str(refused.value)
    with pytest.raises(SettingsError) as unstored:
        sink().check(credentials(NEW, secret))
    assert unstored.value.where == "secrets.signing_secret"


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"url": "ftp://x"}, "settings.url"),
        ({"url": "https://x:99999/"}, "settings.url"),
        ({"url": "https://x/a b"}, "settings.url"),
        ({"url": "https://x/\n"}, "settings.url"),
        ({"url": "https://x/#part"}, "settings.url"),
        ({"url": "https://user:test-word@x/"}, "settings.url"),
        ({"url": "https://x", "timeout_seconds": 60}, "settings.timeout_seconds"),
    ],
)
def test_wrong_settings_are_told_by_their_path(wrong: dict[str, Any], where: str) -> None:
    registry = Registry(discover=False)
    registry.register(SPEC)
    with pytest.raises(SettingsError) as refused:
        registry.configure_sink("webhook", wrong)
    assert refused.value.where == where
    assert "test-word" not in str(refused.value)


def test_settings_are_read_from_what_is_stored() -> None:
    read = structure(
        {"url": "https://operator.example/events", "timeout_seconds": 5}, WebhookSettings, where="settings"
    )
    assert sink(read.url, timeout_seconds=read.timeout_seconds).timeout_seconds == 5
