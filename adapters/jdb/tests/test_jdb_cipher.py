"""The envelope: the vectors, what is believed, and what is not."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from croupier.contract import (
    AuthenticationError,
    Credentials,
    CroupierError,
    HttpRequest,
    SettingsError,
    Verified,
)
from croupier_jdb import cipher
from croupier_jdb.adapter import JdbAdapter
from croupier_jdb.settings import JdbSettings

PUBLISHED_KEYS = Credentials({"key": ("testKey",), "iv": ("testIVtestIVtest",)})
PUBLISHED = (
    "RK3wn-eTsqaqNKQbX9kz6ngE6UktzyXXHiPZh1mQH1Oz9tITxuP7GdX8SZhtbOMPnONlHoiJ3QGgMYHm7oc-OAGBBHBYTr9AWRkb2DgEqVaQEA2iBdBf"
    "SLtTeeLIeRA7vjw39gpYIcXqnRKvoMX7JkB58pryC-yDisadqo0TPvU"
)
PUBLISHED_FIELDS = {
    "action": 21,
    "ts": 1609430400000,
    "parent": "testParent",
    "uid": "testPlayID",
    "balance": 1000,
    "lang": "en",
    "gType": "0",
    "mType": "8001",
}
KEY, IV = "0123456789abcdef", "fedcba9876543210"
KEYS = Credentials({"key": (KEY,), "iv": (IV,)})
BET = (
    b'{"action":9,"ts":1700029138004,"transferId":272016,"uid":"john","currency":"XX","amount":0.2,'
    b'"gameRoundSeqNo":"5250228497993","gType":0,"mType":8001}'
)
SEALED = (
    "zcbS8YXfhtnIJ0uRs-wIAoKSU023DjKvixu-SUJLYdC9MRY0OPyV82UXOhbyUg4gdqp9g0WTNyBS7QdPlHS3JP0u28ioiEdNV6QiMIRFQgcjJF4xZewu"
    "4Sl8j1nghpQLbDQWUujvKOyAZgFbRikX0TGsJgbSgbN_U8Phk14nmVK_kfB-7qOK0q85nNLAYLQJAcFLgIT5OSc_nnP0XXtFdg"
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
adapter = JdbAdapter(JdbSettings(api_url="https://api.jdb.example", domain="test", agents={"EUR": "agent"}))


def sealed(plain: bytes, filling: bytes = b" ", more: int = 0) -> str:
    """Encrypted by the book, without the adapter's own code; `more` whole blocks of filling behind."""
    plain += filling * (-len(plain) % 16 + 16 * more)
    encryptor = Cipher(AES(KEY.encode()), CBC(IV.encode())).encryptor()
    return urlsafe_b64encode(encryptor.update(plain) + encryptor.finalize()).rstrip(b"=").decode()


def believed(body: str, keys: Credentials = KEYS) -> bool:
    try:
        adapter.verify(HttpRequest("POST", "/", body=body.encode()), keys, NOW)
    except CroupierError:
        return False
    return True


def test_the_published_vector_is_read_and_written() -> None:
    assert cipher.prove(PUBLISHED, PUBLISHED_KEYS) == PUBLISHED_FIELDS
    assert cipher.seal(PUBLISHED_FIELDS, PUBLISHED_KEYS) == PUBLISHED


def test_the_documented_bet_is_sealed_by_the_book() -> None:
    assert sealed(BET) == SEALED
    assert cipher.prove(SEALED, KEYS)["transferId"] == 272016


@pytest.mark.parametrize("body", [f"x={SEALED}", f'{{"x":"{SEALED}"}}', f"x={SEALED}%3D%3D", f'{{"x":"{SEALED}=="}}'])
def test_a_form_and_json_are_accepted_with_and_without_padding_of_the_text(body: str) -> None:
    assert believed(body)


@pytest.mark.parametrize("filling", [b" ", b"\0"])
@pytest.mark.parametrize("length", range(16))
def test_any_filling_to_whole_blocks_is_stripped(filling: bytes, length: int) -> None:
    plain = b'{"action":6,"ts":1,"uid":"%s"}' % (b"a" * (length + 1))
    assert believed(f"x={sealed(plain, filling)}")


def test_a_whole_block_of_blanks_behind_is_accepted_and_more_is_not() -> None:
    whole = b'{"action":6,"ts":1,"uid":"abcd"}'
    assert len(whole) == 32
    assert believed(f"x={sealed(whole, more=1)}")
    assert not believed(f"x={sealed(whole, more=2)}")


@pytest.mark.parametrize(
    "plain",
    [
        b'{"ts":1,"uid":"a"}',
        b'{"action":"9","ts":1}',
        b'{"action":true,"ts":1}',
        b'{"action":9}',
        b'{"action":9,"ts":"1"}',
        b'{"action":9,"action":8,"ts":1}',
        b'{"action":9,"ts":1,"a b":1}',
        b'{"action":9,"ts":1}}',
        b' {"action":9,"ts":1}',
        b'[{"action":9,"ts":1}]',
        b'{"action":9,"ts":1,"uid":"\xff"}',
        b'{"action":9,"ts":1,"uid":"\x01"}',
        b"{}",
        b"",
    ],
)
def test_what_is_no_whole_request_inside_is_not_believed(plain: bytes) -> None:
    assert not believed(f"x={sealed(plain)}")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x=",
        "y=1",
        f"x={SEALED}&dc=1",
        f"x={SEALED}&x={SEALED}",
        f"x={SEALED[:-3]}",
        f"x={SEALED[:22]}",
        f"x={SEALED}!",
        f"x={SEALED}====",
        f"x={SEALED.replace('-', '%2B')}",
        f"x={SEALED.replace('_', '/')}",
        f'{{"x":"{SEALED}","y":1}}',
        '{"x":1}',
        '{"x":"\u00e4"}',
    ],
)
def test_an_envelope_that_is_not_whole_is_not_believed(body: str) -> None:
    assert not believed(body)


def test_every_changed_byte_of_the_cipher_text_is_noticed() -> None:
    raw = urlsafe_b64decode(SEALED + "==")
    for place in range(len(raw)):
        for bit in range(8):
            changed = raw[:place] + bytes([raw[place] ^ (1 << bit)]) + raw[place + 1 :]
            assert not believed("x=" + urlsafe_b64encode(changed).decode().rstrip("="))


def test_a_missing_or_repeated_block_is_noticed() -> None:
    raw = urlsafe_b64decode(SEALED + "==")
    blocks = [raw[place : place + 16] for place in range(0, len(raw), 16)]
    for place in range(len(blocks)):
        for changed in (blocks[:place] + blocks[place + 1 :], blocks[: place + 1] + blocks[place:]):
            assert not believed("x=" + urlsafe_b64encode(b"".join(changed)).decode().rstrip("="))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"key": (), "iv": ()},
        {"key": ("",), "iv": (IV,)},
        {"key": (KEY,), "iv": ("",)},
        {"key": (KEY,)},
        {"key": (f"{KEY}0",), "iv": (IV,)},
        {"key": ("0123456789abcdee",), "iv": (IV,)},
        {"key": (KEY,), "iv": ("fedcba9876543211",)},
    ],
)
def test_without_the_right_key_and_iv_nothing_is_proven(keys: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(AuthenticationError):
        adapter.verify(HttpRequest("POST", "/", body=f"x={SEALED}".encode()), Credentials(keys), NOW)


def test_key_and_iv_may_be_changed_one_after_the_other() -> None:
    new = "another test key"
    assert believed(f"x={SEALED}", Credentials({"key": (new, KEY), "iv": (IV,)}))
    assert believed(f"x={SEALED}", Credentials({"key": (KEY,), "iv": (new, IV)}))
    assert believed(f"x={SEALED}", Credentials({"key": (new, KEY), "iv": (new, IV)}))


@pytest.mark.parametrize("keys", [{"key": (f"{KEY}0",), "iv": (IV,)}, {"key": (KEY,), "iv": ("",)}, {"key": (KEY,)}])
def test_nothing_is_sealed_with_a_key_that_does_not_fit(keys: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(SettingsError):
        cipher.seal({"action": 49}, Credentials(keys))


def test_a_key_that_does_not_fit_is_refused_when_it_is_put_and_not_shown() -> None:
    for field in adapter.spec.secrets:
        assert field.check is not None
        field.check(KEY)
        field.check(KEY[:5])
        with pytest.raises(SettingsError) as caught:
            field.check(f"{KEY}0")
        assert KEY not in str(caught.value)


@pytest.mark.parametrize("body", [b"x=%zz", b'{"x":'])
def test_a_body_that_cannot_be_read_proves_nothing(body: bytes) -> None:
    with pytest.raises(AuthenticationError):
        cipher.envelope(body)


def test_what_is_stored_of_a_request_is_not_its_cipher_text() -> None:
    kept = adapter.redact(HttpRequest("POST", "/", body=f"x={SEALED}".encode()))
    assert (kept.method, kept.url, kept.body) == ("POST", "/", b"")


def test_what_is_stored_of_a_proven_request_are_its_safe_fields() -> None:
    fields = {"action": 9, "transferId": 7, "uid": "john", "amount": Decimal("0.2"), "refTransferIds": [1, 2], "new": 1}
    kept = adapter.redact_verified(Verified(HttpRequest("POST", "/?a=b", body=f"x={SEALED}".encode()), fields))
    assert (kept.method, kept.url) == ("POST", "/")
    assert kept.body == b'{"action":9,"transferId":7,"amount":0.2,"refTransferIds":[1,2]}'
