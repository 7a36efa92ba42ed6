"""The proof of origin: HMAC-SHA256 over the raw body."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import AuthenticationError, Credentials, Headers, HttpRequest
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.settings import SoftswissSettings
from croupier_softswiss.wire import sign

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEYS = Credentials({"auth_token": ("test",)})
ADAPTER = SoftswissAdapter(SoftswissSettings(api_url="https://provider.example/api", casino_id="acme"))

VECTORS = (
    (
        b'{"user_id":"8|USDT|USD","currency":"USD","game":"acceptance:test"}',
        "442c4cd8926008096225416b21f5a1862fbf4fc4e5224362e3b463e85a39f40a",
    ),
    (
        b'{"user_id":"421","currency":"EUR","game":"acceptance:test"}',
        "34d167634768a71d5688f4cb25c2f4cd02beee3fb32676678ea598d8190ab815",
    ),
    (
        (
            b'{"user_id":"421","currency":"EUR","game":"acceptance:test","game_id":"r-1","finished":true,"actions":'
            b'[{"action":"bet","amount":100,"action_id":"a1"},{"action":"win","amount":250,"action_id":"a2"}]}'
        ),
        "5b6dde038407bbd175dedc0c213a5737f3b3572aa243c143e248aea44d05ad5a",
    ),
)


def request(body: bytes, *signatures: str) -> HttpRequest:
    return HttpRequest("POST", "/play", Headers(tuple(("x-request-sign", s) for s in signatures)), body)


@pytest.mark.parametrize(("body", "signature"), VECTORS)
def test_the_published_vectors_are_reproduced(body: bytes, signature: str) -> None:
    assert sign("test", body) == signature


@pytest.mark.parametrize(("body", "signature"), VECTORS)
def test_a_signed_request_is_accepted_with_its_bytes_untouched(body: bytes, signature: str) -> None:
    assert ADAPTER.verify(request(body, signature), KEYS, NOW).request.body == body


@pytest.mark.parametrize(("body", "signature"), VECTORS)
def test_the_case_of_the_hex_digits_does_not_matter(body: bytes, signature: str) -> None:
    assert ADAPTER.verify(request(body, signature.upper()), KEYS, NOW).request.body == body


@pytest.mark.parametrize("token", ["new", "old"])
def test_both_tokens_of_a_rotation_are_accepted(token: str) -> None:
    both = Credentials({"auth_token": ("new", "old")})
    assert ADAPTER.verify(request(b"{}", sign(token, b"{}")), both, NOW).request.body == b"{}"


@pytest.mark.parametrize(
    "signatures",
    [
        (),
        ("",),
        (VECTORS[0][1],),
        (VECTORS[1][1][:-1],),
        (VECTORS[1][1] + "0",),
        (VECTORS[1][1], VECTORS[1][1]),
        ("\udcff" * 64,),
        ("é" * 64,),
    ],
    ids=["absent", "empty", "another body's", "short", "long", "twice", "undecodable", "not ASCII"],
)
def test_a_missing_or_wrong_proof_is_refused(signatures: tuple[str, ...]) -> None:
    with pytest.raises(AuthenticationError):
        ADAPTER.verify(request(VECTORS[1][0], *signatures), KEYS, NOW)


@pytest.mark.parametrize("keys", [Credentials(), Credentials({"auth_token": ()}), Credentials({"auth_token": ("",)})])
def test_without_a_token_nothing_is_proven(keys: Credentials) -> None:
    with pytest.raises(AuthenticationError):
        ADAPTER.verify(request(b"{}", sign("", b"{}")), keys, NOW)


@given(st.data())
def test_any_flipped_bit_of_the_body_or_the_proof_is_refused(data: st.DataObject) -> None:
    body, signature = data.draw(st.sampled_from(VECTORS))
    signed = bytearray(body + signature.encode())
    place = data.draw(st.integers(0, len(signed) - 1))
    flipped = signed[place] ^ (1 << data.draw(st.integers(0, 7)))
    if place >= len(body) and chr(flipped).lower() == chr(signed[place]):
        return  # the same hex digit in the other case
    signed[place] = flipped
    changed = bytes(signed[len(body) :]).decode("latin-1")
    with pytest.raises(AuthenticationError):
        ADAPTER.verify(request(bytes(signed[: len(body)]), changed), KEYS, NOW)


def test_the_refusal_of_a_proof_tells_neither_token_nor_proof() -> None:
    with pytest.raises(AuthenticationError) as caught:
        ADAPTER.verify(request(b"{}", "ab" * 32), Credentials({"auth_token": ("hush",)}), NOW)
    answer = ADAPTER.render_error(request(b"{}"), caught.value)
    assert (answer.status, answer.body) == (403, b'{"code":403,"message":"forbidden"}')
    assert "hush" not in str(caught.value)
    assert sign("hush", b"{}") not in str(caught.value)
