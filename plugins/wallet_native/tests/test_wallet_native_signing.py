"""What proves a request, checked against the scheme's own library and against every kind of tampering."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from croupier.contract import AuthenticationError, Headers, MalformedRequestError, SettingsError
from croupier_wallet_native.signing import decode_secret, sign, verify

# Test keys: plain counting bytes.
NEW = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD = "whsec_" + base64.b64encode(bytes(range(100, 124))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(50, 90))).decode()
NOW = datetime(2026, 5, 17, 12, 0, 0, 250_000, UTC)
BODY = b'{"operation":"bet","amount":150}'

repeatable = settings(deadline=None, derandomize=True)


def test_the_vector_of_the_schemes_documentation_is_reproduced() -> None:
    # Key, id, time, body and signature stand in the tests of the Standard Webhooks libraries.
    headers = sign(
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
    )
    assert dict(headers) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@repeatable
@given(key=st.binary(min_size=24, max_size=64), body=st.text(max_size=200), second=st.integers(0, 2**33))
def test_every_signature_equals_that_of_the_reference_library(key: bytes, body: str, second: int) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    now = datetime.fromtimestamp(second, UTC)
    ours = sign((secret,), "id-1", now, body.encode())
    assert ours.get("webhook-signature") == Webhook(secret).sign("id-1", now, body)


def test_the_reference_library_accepts_what_is_signed_now_with_either_of_two_keys() -> None:
    headers = dict(sign((NEW, OLD), "id-1", datetime.now(UTC), BODY))
    assert Webhook(NEW).verify(BODY, headers) == Webhook(OLD).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(BODY, headers)


def test_a_verifier_with_the_old_key_or_the_new_one_or_both_accepts() -> None:
    headers = sign((NEW, OLD), "id-1", NOW, BODY)
    for keys in ((NEW,), (OLD,), (OTHER, OLD)):
        assert verify(headers, BODY, keys, NOW) == "id-1"


def test_a_retired_key_and_no_key_at_all_are_refused() -> None:
    headers = sign((NEW,), "id-1", NOW, BODY)
    for keys in ((OLD,), ()):
        with pytest.raises(AuthenticationError):
            verify(headers, BODY, keys, NOW)


@pytest.mark.parametrize(("seconds", "fresh"), [(-301, False), (-299, True), (0, True), (299, True), (301, False)])
def test_a_message_is_good_for_five_minutes_either_way(seconds: int, fresh: bool) -> None:
    headers = sign((NEW,), "id-1", NOW, BODY)
    later = NOW + timedelta(seconds=seconds)
    if fresh:
        assert verify(headers, BODY, (NEW,), later) == "id-1"
    else:
        with pytest.raises(AuthenticationError):
            verify(headers, BODY, (NEW,), later)


def test_a_repeat_has_the_same_id_and_a_fresh_proof() -> None:
    first = sign((NEW,), "id-1", NOW, BODY)
    again = sign((NEW,), "id-1", NOW + timedelta(hours=1), BODY)
    assert first.get("webhook-id") == again.get("webhook-id")
    assert first.get("webhook-signature") != again.get("webhook-signature")
    assert verify(again, BODY, (NEW,), NOW + timedelta(hours=1)) == "id-1"


def test_no_flipped_bit_of_the_body_is_accepted() -> None:
    headers = sign((NEW,), "id-1", NOW, BODY)
    for bit in range(len(BODY) * 8):
        tampered = bytearray(BODY)
        tampered[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(AuthenticationError):
            verify(headers, bytes(tampered), (NEW,), NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_no_changed_character_of_a_header_is_accepted(name: str) -> None:
    headers = dict(sign((NEW,), "id-1", NOW, BODY))
    value = headers[name]
    for place in range(len(value)):
        for bit in range(7):
            changed = value[:place] + chr(ord(value[place]) ^ (1 << bit)) + value[place + 1 :]
            with pytest.raises(AuthenticationError):
                verify({**headers, name: changed}, BODY, (NEW,), NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_empty_or_doubled_header_is_refused(name: str) -> None:
    good = sign((NEW,), "id-1", NOW, BODY)
    without = tuple(item for item in good if item[0] != name)
    for items in (without, (*without, (name, "")), (*good, (name.upper(), good.get(name) or ""))):
        with pytest.raises(AuthenticationError):
            verify(Headers(items), BODY, (NEW,), NOW)


@repeatable
@given(value=st.text(max_size=60), name=st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]))
def test_nothing_in_a_header_breaks_the_verifier(value: str, name: str) -> None:
    headers = dict(sign((NEW,), "id-1", NOW, BODY))
    if headers[name] != value:
        with pytest.raises(AuthenticationError):
            verify({**headers, name: value}, BODY, (NEW,), NOW)


def test_bytes_that_are_no_text_in_a_header_are_refused() -> None:
    headers = dict(sign((NEW,), "id-1", NOW, BODY))
    with pytest.raises(AuthenticationError):
        verify({**headers, "webhook-signature": "v1,\udcff"}, BODY, (NEW,), NOW)


def test_another_version_and_a_flood_of_signatures_are_refused() -> None:
    headers = dict(sign((NEW,), "id-1", NOW, BODY))
    signature = headers["webhook-signature"]
    for value in (signature.replace("v1,", "v2,"), signature.replace("v1,", "v1a,"), " ".join([signature] * 9)):
        with pytest.raises(AuthenticationError):
            verify({**headers, "webhook-signature": value}, BODY, (NEW,), NOW)


def test_an_unknown_version_beside_a_good_signature_is_passed_over() -> None:
    headers = dict(sign((NEW,), "id-1", NOW, BODY))
    both = "v1a,AAAA " + headers["webhook-signature"]
    assert verify({**headers, "webhook-signature": both}, BODY, (NEW,), NOW) == "id-1"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_!!!!",
        NEW.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_é",
    ],
)
def test_a_secret_of_another_form_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        decode_secret(secret)
    assert len(secret) < 7 or secret not in str(caught.value)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\nb", "é", "x" * 201])
def test_an_id_that_could_be_read_in_two_ways_is_not_signed(message_id: str) -> None:
    with pytest.raises(MalformedRequestError):
        sign((NEW,), message_id, NOW, BODY)


def test_nothing_is_sent_unsigned() -> None:
    with pytest.raises(SettingsError):
        sign((), "id-1", NOW, BODY)
