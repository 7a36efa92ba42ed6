"""The proof of a request: the account's name and secret in the body, and signed header fields beside them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from croupier.contract import AuthenticationError, Credentials, Headers, HttpRequest, MalformedRequestError
from croupier_pgsoft.adapter import PgsoftAdapter
from croupier_pgsoft.settings import SALT, SECRET, PgsoftSettings
from croupier_pgsoft.wire import signed_headers

# The vendor's vector: reference/protocols/pgsoft.md, Auth (EXACT).
BODY = b"operator_token=abc123&secret_key=a1b25cde5f3gh46ijkl&count=5000&bet_type=1&row_version=1346592723000"
HOST = "apiexample.pgsoft.com"
DIGEST = "1700116101f424b9f6fc695b4dbaf2b7b0ee763ba1b3b53298e3069143ed46f1"
SIGNATURE = "d78220cf06ae85f9d1db11dad9c3fd926799619eab3d28574aadb8cf328cd7aa"
DAY = datetime(2019, 9, 2, 10, tzinfo=UTC)
KEYS = Credentials({SECRET: ("a1b25cde5f3gh46ijkl", "old-test-key"), SALT: ("SALTEXAMPLE",)})
SETTINGS = PgsoftSettings(operator_token="abc123", api_url="https://api.pgsoft.example")
HASHED = evolve(SETTINGS, require_hash=True)


def signed(body: bytes = BODY, salt: str = "SALTEXAMPLE", host: str = HOST) -> HttpRequest:
    headers = signed_headers(HASHED, host, body, DAY, salt)
    return HttpRequest("POST", "/Cash/Get", Headers((("Host", host), *headers.items)), body)


def with_header(request: HttpRequest, name: str, change: Callable[[str], str]) -> HttpRequest:
    items = [(key, change(value) if key == name else value) for key, value in request.headers.items]
    return evolve(request, headers=Headers(tuple(items)))


def test_the_vendors_vector_is_reproduced() -> None:
    headers = signed_headers(SETTINGS, HOST, BODY, DAY, "SALTEXAMPLE")
    assert headers.get("x-date") == "20190902"
    assert headers.get("x-content-sha256") == DIGEST
    assert headers.get("authorization") == (
        "PWS-HMAC-SHA256 Credential=20190902/abc123/pws/v1,"
        f"SignedHeaders=host;x-content-sha256;x-date,Signature={SIGNATURE}"
    )


def test_the_vendors_vector_proves_a_request_of_the_provider() -> None:
    assert PgsoftAdapter(HASHED).verify(signed(), KEYS, DAY).fields["count"] == "5000"


def test_a_blank_behind_a_comma_is_no_other_signature() -> None:
    spaced = with_header(signed(), "Authorization", lambda text: text.replace(",SignedHeaders", ", SignedHeaders"))
    assert spaced != signed()
    PgsoftAdapter(HASHED).verify(spaced, KEYS, DAY)


@pytest.mark.parametrize("name", ["x-date", "x-content-sha256", "Authorization"])
def test_a_changed_header_field_proves_nothing(name: str) -> None:
    changed = with_header(signed(), name, lambda text: text[:-1] + ("1" if text[-1] != "1" else "2"))
    with pytest.raises(AuthenticationError):
        PgsoftAdapter(HASHED).verify(changed, KEYS, DAY)


@pytest.mark.parametrize("name", ["x-date", "x-content-sha256", "Authorization", "Host"])
def test_a_missing_header_field_proves_nothing(name: str) -> None:
    bare = evolve(signed(), headers=Headers(tuple([item for item in signed().headers.items if item[0] != name])))
    with pytest.raises(AuthenticationError):
        PgsoftAdapter(HASHED).verify(bare, KEYS, DAY)


def test_a_changed_body_under_signed_header_fields_is_refused() -> None:
    with pytest.raises(AuthenticationError):
        PgsoftAdapter(HASHED).verify(evolve(signed(), body=BODY.replace(b"5000", b"1500")), KEYS, DAY)


@pytest.mark.parametrize("request_", [signed(salt="another"), signed(host="other.example")], ids=["salt", "host"])
def test_another_salt_or_host_is_refused(request_: HttpRequest) -> None:
    with pytest.raises(AuthenticationError):
        PgsoftAdapter(evolve(HASHED, hash_host=HOST)).verify(request_, KEYS, DAY)


def test_the_host_that_a_proxy_changed_may_be_set() -> None:
    changed = with_header(signed(), "Host", lambda _host: "inner.example")
    PgsoftAdapter(evolve(HASHED, hash_host=HOST)).verify(changed, KEYS, DAY)
    with pytest.raises(AuthenticationError):
        PgsoftAdapter(HASHED).verify(changed, KEYS, DAY)


def test_a_signature_is_good_on_its_day_and_next_to_it_and_never_else() -> None:
    adapter = PgsoftAdapter(HASHED)
    for days in (-1, 0, 1):
        adapter.verify(signed(), KEYS, DAY + timedelta(days=days))
    for days in (-2, 2, 365):
        with pytest.raises(AuthenticationError):
            adapter.verify(signed(), KEYS, DAY + timedelta(days=days))


@pytest.mark.parametrize("salts", [(), ("",)])
def test_without_a_salt_no_header_field_proves_anything(salts: tuple[str, ...]) -> None:
    keys = Credentials({SECRET: KEYS.every(SECRET), SALT: salts})
    for salt in ("SALTEXAMPLE", ""):
        with pytest.raises(AuthenticationError):
            PgsoftAdapter(HASHED).verify(signed(salt=salt), keys, DAY)


def test_both_secrets_are_good_during_a_rotation() -> None:
    request = HttpRequest("POST", "/Cash/Get", body=b"operator_token=abc123&secret_key=old-test-key")
    PgsoftAdapter(SETTINGS).verify(request, KEYS, DAY)


@pytest.mark.parametrize(
    "body",
    [
        b"operator_token=abc123",
        b"secret_key=a1b25cde5f3gh46ijkl",
        b"operator_token=abc124&secret_key=a1b25cde5f3gh46ijkl",
        b"operator_token=abc123&secret_key=A1b25cde5f3gh46ijkl",
        b"operator_token=abc123&secret_key=",
        b"",
    ],
)
def test_a_body_without_name_and_secret_is_refused(body: bytes) -> None:
    with pytest.raises(AuthenticationError):
        PgsoftAdapter(SETTINGS).verify(HttpRequest("POST", "/Cash/Get", body=body), KEYS, DAY)


def test_a_field_that_stands_twice_is_refused() -> None:
    with pytest.raises(MalformedRequestError):
        PgsoftAdapter(SETTINGS).verify(HttpRequest("POST", "/Cash/Get", body=BODY + b"&count=1"), KEYS, DAY)
