"""What only Acme has; the kit tests the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from croupier.contract import (
    AuthenticationError,
    BalanceQuery,
    Credentials,
    Headers,
    HttpRequest,
    SettingsError,
    read_json_object,
)
from croupier_acme.adapter import AcmeAdapter
from croupier_acme.settings import SECRET, AcmeSettings

# The example of section 2, byte for byte.
SENT_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = Credentials({SECRET: ("acme-test-key",)})
EXAMPLE = HttpRequest(
    "POST",
    "/balance",
    Headers(
        (
            ("Content-Type", "application/json"),
            ("X-Acme-Time", "1767268800"),
            ("X-Acme-Sign", "ea72e0d2dd47500f01b8bc51a759ca47802266794c3e656dba7b544634961f42"),
        )
    ),
    b'{"playerId":"p-1","currency":"EUR"}',
)

adapter = AcmeAdapter(AcmeSettings(api_url="https://api.acme.example/v2", casino_id="1042"))


def test_the_example_of_the_document_is_believed_and_understood() -> None:
    calls = adapter.parse(adapter.verify(EXAMPLE, KEY, SENT_AT))
    assert calls.items == (BalanceQuery(operation="balance", player="p-1", currency="EUR"),)


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_request_of_another_minute_is_refused(seconds: int) -> None:
    with pytest.raises(AuthenticationError, match="not signed just now"):
        adapter.verify(EXAMPLE, KEY, SENT_AT + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-60, 60])
def test_clocks_may_differ_by_a_minute(seconds: int) -> None:
    assert adapter.verify(EXAMPLE, KEY, SENT_AT + timedelta(seconds=seconds)).request == EXAMPLE


def test_a_refused_signature_is_told_in_acmes_words() -> None:
    told = adapter.render_error(EXAMPLE, AuthenticationError("no"))
    assert (told.status, read_json_object(told.body)) == (200, {"status": "ERROR", "error": "BAD_SIGNATURE"})


@pytest.mark.parametrize(
    ("url", "casino"), [("api", "1"), ("https://a.example/?x", "1"), ("https://a.example", ""), ("https://a.b", "x")]
)
def test_settings_that_cannot_work_are_refused(url: str, casino: str) -> None:
    with pytest.raises(SettingsError):
        AcmeAdapter(AcmeSettings(api_url=url, casino_id=casino))
