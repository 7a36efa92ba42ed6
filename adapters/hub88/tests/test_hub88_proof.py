"""The proof of origin: RSA-SHA256 (PKCS#1 v1.5) over the raw body, both ways, with test keys."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from croupier.contract import AuthenticationError, Credentials, Headers, HttpRequest, LogQuery, SettingsError
from croupier_hub88.adapter import Hub88Adapter
from croupier_hub88.peer_keys import (
    HUB_TEST_KEY,
    HUB_TEST_PUBLIC_KEY,
    NEXT_TEST_KEY,
    NEXT_TEST_PUBLIC_KEY,
    PROVIDER_TEST_KEY,
    PROVIDER_TEST_PUBLIC_KEY,
)
from croupier_hub88.settings import PRIVATE_KEY, PUBLIC_KEY, Hub88Settings
from croupier_hub88.wire import SIGNATURE, Keys, sign

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ADAPTER = Hub88Adapter(Hub88Settings(api_url="https://api.hub88.example", operator_id=1))
BODY = b'{"user":"john12345","request_uuid":"583c985f-fee6-4c0e-bbf5-308aad6265af"}'

# DigestInfo of SHA-256, RFC 8017 section 9.2, note 1.
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def keys(*public: str) -> Credentials:
    return Credentials({PUBLIC_KEY: public})


def request(body: bytes, *signatures: str) -> HttpRequest:
    return HttpRequest("POST", "/user/info", Headers(tuple((SIGNATURE, one) for one in signatures)), body)


def signature(pem: str, body: bytes) -> str:
    return sign(Keys().private(pem, "test"), body)


def public_text(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("body", [b'{"operator_id":1}', BODY, b""])
def test_a_signature_is_what_the_standard_says(body: bytes) -> None:
    key = load_pem_private_key(HUB_TEST_KEY.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    info = SHA256_PREFIX + hashlib.sha256(body).digest()
    padded = b"\x00\x01" + b"\xff" * (256 - 3 - len(info)) + b"\x00" + info
    expected = pow(int.from_bytes(padded), numbers.d, numbers.public_numbers.n).to_bytes(256)
    assert signature(HUB_TEST_KEY, body) == b64encode(expected).decode()
    assert len(signature(HUB_TEST_KEY, body)) == 344


def test_a_signed_request_is_accepted_with_its_bytes_untouched() -> None:
    proven = ADAPTER.verify(request(BODY, signature(PROVIDER_TEST_KEY, BODY)), keys(PROVIDER_TEST_PUBLIC_KEY), NOW)
    assert proven.request.body == BODY


@pytest.mark.parametrize("pem", [PROVIDER_TEST_KEY, NEXT_TEST_KEY])
def test_both_keys_of_a_change_are_accepted(pem: str) -> None:
    both = keys(NEXT_TEST_PUBLIC_KEY, PROVIDER_TEST_PUBLIC_KEY)
    assert ADAPTER.verify(request(BODY, signature(pem, BODY)), both, NOW).request.body == BODY


def test_after_a_change_the_old_key_proves_nothing() -> None:
    old = request(BODY, signature(PROVIDER_TEST_KEY, BODY))
    ADAPTER.verify(old, keys(NEXT_TEST_PUBLIC_KEY, PROVIDER_TEST_PUBLIC_KEY), NOW)
    with pytest.raises(AuthenticationError):
        ADAPTER.verify(old, keys(NEXT_TEST_PUBLIC_KEY), NOW)


GOOD = signature(PROVIDER_TEST_KEY, BODY)


@pytest.mark.parametrize(
    "signatures",
    [
        (),
        ("",),
        (signature(PROVIDER_TEST_KEY, BODY + b" "),),
        (signature(HUB_TEST_KEY, BODY),),
        (GOOD[:-4],),
        (GOOD[:-3] + chr(ord(GOOD[-3]) + 1) + "==",),
        (GOOD + "\n",),
        (GOOD, GOOD),
        ("\udcff" * 344,),
    ],
    ids=["absent", "empty", "of another body", "by another key", "short", "spare bits", "blank", "twice", "no text"],
)
def test_a_missing_or_wrong_proof_is_refused(signatures: tuple[str, ...]) -> None:
    with pytest.raises(AuthenticationError):
        ADAPTER.verify(request(BODY, *signatures), keys(PROVIDER_TEST_PUBLIC_KEY), NOW)


def test_the_spare_bits_of_the_test_above_decode_to_the_same_signature() -> None:
    assert b64decode(GOOD[:-3] + chr(ord(GOOD[-3]) + 1) + "==") == b64decode(GOOD)


@pytest.mark.parametrize(
    "public",
    [
        (),
        ("",),
        ("no key",),
        (PROVIDER_TEST_PUBLIC_KEY + "-",),
        (PROVIDER_TEST_PUBLIC_KEY + NEXT_TEST_PUBLIC_KEY,),
        (PROVIDER_TEST_KEY,),
        (public_text(ec.generate_private_key(ec.SECP256R1()).public_key()),),
    ],
    ids=["none", "empty", "text", "something behind it", "two in one", "the private half", "another kind of key"],
)
def test_what_is_no_public_key_proves_nothing(public: tuple[str, ...]) -> None:
    with pytest.raises(AuthenticationError):
        ADAPTER.verify(request(BODY, GOOD), keys(*public), NOW)


def test_a_key_of_1024_bits_proves_nothing() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 # it shall be refused
    text = short.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(SettingsError):
        Keys().private(text, "test")
    with pytest.raises(SettingsError):
        Keys().public(public_text(short.public_key()))


def test_an_unreadable_key_beside_a_good_one_does_no_harm() -> None:
    mixed = keys("no key", PROVIDER_TEST_PUBLIC_KEY)
    assert ADAPTER.verify(request(BODY, GOOD), mixed, NOW).request.body == BODY


def test_a_key_is_parsed_once() -> None:
    kept = Keys()
    assert kept.public(HUB_TEST_PUBLIC_KEY) is kept.public(HUB_TEST_PUBLIC_KEY)
    assert kept.private(HUB_TEST_KEY, "test") is kept.private(HUB_TEST_KEY, "test")


def test_not_every_key_that_ever_was_is_kept() -> None:
    kept = Keys()
    first = kept.public(HUB_TEST_PUBLIC_KEY)
    kept.public(PROVIDER_TEST_PUBLIC_KEY)
    for number in range(100):
        kept.public(PROVIDER_TEST_PUBLIC_KEY + "\n" * number)
    assert kept.public(HUB_TEST_PUBLIC_KEY) is not first


@pytest.mark.parametrize("text", ["no key", HUB_TEST_PUBLIC_KEY, HUB_TEST_KEY + "x"])
def test_a_call_needs_a_private_key_and_the_error_does_not_tell_what_was_given(text: str) -> None:
    flow = ADAPTER.transaction_log(LogQuery(since=NOW, until=NOW), Credentials({PRIVATE_KEY: (text,)}), NOW)
    with pytest.raises(SettingsError) as caught:
        next(flow)
    assert caught.value.where == "secrets.private_key"
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "key", "other"),
    [(PRIVATE_KEY, HUB_TEST_KEY, HUB_TEST_PUBLIC_KEY), (PUBLIC_KEY, HUB_TEST_PUBLIC_KEY, HUB_TEST_KEY)],
)
def test_a_key_that_can_do_nothing_is_refused_when_it_is_put_and_not_shown(name: str, key: str, other: str) -> None:
    (check,) = [field.check for field in ADAPTER.spec.secrets if field.name == name]
    assert check is not None
    check(key)
    for text in ("no key", other, key + "x", key[:-40]):
        with pytest.raises(SettingsError) as caught:
            check(text)
        assert text not in str(caught.value)


def test_a_call_is_signed_with_the_first_key() -> None:
    both = Credentials({PRIVATE_KEY: (NEXT_TEST_KEY, HUB_TEST_KEY)})
    sent = next(ADAPTER.game_list(both, NOW))
    assert sent.body == b'{"operator_id":1}'
    assert sent.headers.get(SIGNATURE) == signature(NEXT_TEST_KEY, sent.body)


def test_the_refusal_of_a_proof_echoes_the_request_and_nothing_else() -> None:
    with pytest.raises(AuthenticationError) as caught:
        ADAPTER.verify(request(BODY, GOOD), keys(NEXT_TEST_PUBLIC_KEY), NOW)
    answer = ADAPTER.render_error(request(BODY, GOOD), caught.value)
    told = b'{"request_uuid":"583c985f-fee6-4c0e-bbf5-308aad6265af","status":"RS_ERROR_INVALID_SIGNATURE"}'
    assert (answer.status, answer.body) == (200, told)
    assert ADAPTER.render_error(request(b"\xff", GOOD), caught.value).body == b'{"status":"RS_ERROR_INVALID_SIGNATURE"}'
