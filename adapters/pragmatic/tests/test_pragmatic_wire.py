"""The wire: forms, the hash, JSON."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract.errors import AuthenticationError, MalformedRequestError
from croupier.contract.forms import MAX_FORM_FIELDS, read_form
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import write_json
from croupier_pragmatic.settings import SECRET
from croupier_pragmatic.wire import prove, refuse_ambiguous, sign, signed_text

KEYS = Credentials({SECRET: ("testsecret", "oldsecret")})

BET = (
    "amount=10.5&gameId=vs20doghouse&providerId=pragmaticplay&reference=585c1306f89c56f5ecfc2f5d&roundDetails=spin"
    "&roundId=5103188801&timestamp=1482429190374&token=tok-1&userId=421"
)
LAUNCH = (
    "language=en&lobbyUrl=https://casino.example/lobby&platform=WEB&playMode=REAL&secureLogin=acme_login"
    "&symbol=vs20doghouse&technology=H5&token=tok-1"
)
VECTORS = [
    (BET, "691436fdc937d3568248e7b28056f8b7"),
    (LAUNCH, "aab8b8feebadfda6e70453a8e5b3fa7e"),
    ("secureLogin=acme_login", "30bc1a3676e4f480a581ddef2118d849"),
]

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True)


@pytest.mark.parametrize(("text", "digest"), VECTORS)
def test_the_published_vectors_are_reproduced(text: str, digest: str) -> None:
    fields = dict(parse_qsl(text))
    assert signed_text(fields) == text
    assert sign(fields, "testsecret") == digest


@pytest.mark.parametrize(("text", "digest"), VECTORS)
def test_the_order_of_fields_and_the_case_of_the_hash_do_not_matter(text: str, digest: str) -> None:
    fields = {"hash": digest.upper()} | dict(reversed(parse_qsl(text)))
    prove(fields, KEYS)


def test_the_order_is_that_of_bytes_without_case_folding() -> None:
    assert signed_text({"b": "1", "B": "2", "a": "3", "Z": "4"}) == "B=2&Z=4&a=3&b=1"


def test_values_are_hashed_as_they_are_after_url_decoding() -> None:
    fields = read_form(b"lobby=https%3A%2F%2Fx%2Fa+b%26&hash=x")
    assert signed_text(fields) == "lobby=https://x/a b&"


def test_an_empty_field_that_was_sent_is_hashed_and_an_absent_one_is_not() -> None:
    assert sign(read_form(b"a=&b=1"), "s") == hashlib.md5(b"a=&b=1s", usedforsecurity=False).hexdigest()
    assert sign(read_form(b"b=1"), "s") == hashlib.md5(b"b=1s", usedforsecurity=False).hexdigest()


def test_different_spellings_of_one_amount_have_different_hashes() -> None:
    assert sign({"amount": "10.5"}, "s") != sign({"amount": "10.50"}, "s")


def test_both_secrets_of_a_rotation_are_accepted() -> None:
    for secret in ("testsecret", "oldsecret"):
        prove({"a": "1", "hash": sign({"a": "1"}, secret)}, KEYS)


@pytest.mark.parametrize("given_hash", ["", "0" * 32, "691436fdc937d3568248e7b28056f8b", "ü"])
def test_a_wrong_hash_is_refused(given_hash: str) -> None:
    with pytest.raises(AuthenticationError):
        prove({"a": "1", "hash": given_hash}, KEYS)


def test_a_missing_hash_is_refused() -> None:
    with pytest.raises(AuthenticationError):
        prove({"a": "1"}, KEYS)


@pytest.mark.parametrize("keys", [Credentials(), Credentials({SECRET: ()}), Credentials({SECRET: ("",)})])
def test_without_a_secret_nothing_is_proven(keys: Credentials) -> None:
    with pytest.raises(AuthenticationError):
        prove({"a": "1", "hash": sign({"a": "1"}, "")}, keys)


def test_a_form_cannot_be_cut_into_other_fields_under_the_same_hash() -> None:
    honest = {"reference": "r1", "roundId": "1", "userId": "u1"}
    cut = {"reference": "r1&roundId=1", "userId": "u1"}
    assert sign(honest, "testsecret") == sign(cut, "testsecret")
    refuse_ambiguous(honest)
    with pytest.raises(AuthenticationError):
        refuse_ambiguous(cut)


@pytest.mark.parametrize("id_", ["reference", "promoWinReference"])
def test_what_makes_a_repeat_cannot_be_cut_out_of_a_field_that_the_protocol_has_got_since(id_: str) -> None:
    honest = {"amount": "5.00", id_: "r1", "requestedAt": "1", "userId": "u1"}
    cut = {"amount": "5.00", id_: "r1&requestedAt=1", "userId": "u1"}
    assert sign(honest, "testsecret") == sign(cut, "testsecret")
    refuse_ambiguous(honest)
    with pytest.raises(AuthenticationError):
        refuse_ambiguous(cut)


def test_text_that_looks_like_a_query_but_names_no_field_is_accepted() -> None:
    refuse_ambiguous({"roundDetails": "spin&line=4", "token": "a&b=c&amount=1"})


@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a=1",
        b"a=1&%61=2",
        b"a=%ff",
        b"a=\xff",
        b"a=%zz",
        b"a=%4",
        b"a=%00",
        b"=1",
        b"a b=1",
        b"a%3D1%26b=1",
        b"{}",
        b"a=" + b"x" * 70_000,
        b"&".join(b"f%d=1" % number for number in range(MAX_FORM_FIELDS + 1)),
    ],
)
def test_what_is_no_plain_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        read_form(body)


@given(st.dictionaries(names, texts, max_size=8))
def test_a_form_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    assert read_form(urlencode(fields).encode()) == fields


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        fields = read_form(body)
    except MalformedRequestError:
        return
    assert len(fields) <= MAX_FORM_FIELDS


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**12), max_value=10**12))
def test_decimals_are_written_with_every_digit(value: Decimal) -> None:
    assert write_json({"cash": value}) == f'{{"cash":{value:f}}}'.encode()


def test_json_escapes_what_must_be_escaped() -> None:
    written = write_json({"a": 'x"\n€\ud800', "b": [1, True, Decimal("0.10")], "c": {"d": None}})
    assert written == b'{"a":"x\\"\\n\\u20ac\\ud800","b":[1,true,0.10],"c":{"d":null}}'
