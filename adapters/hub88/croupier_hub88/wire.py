"""The wire: JSON, and in both directions a signature over the exact bytes of the body.

`X-Hub88-Signature` is the base64 of RSA-SHA256 (PKCS#1 v1.5). Each side has a key pair of its own.

Source: `reference/protocols/hub88.md`, sections "Transport & encoding", "Auth (EXACT)" and "Amounts".
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from croupier.contract.errors import AuthenticationError, MalformedRequestError, SettingsError, UpstreamError
from croupier.contract.fields import Told
from croupier.contract.http import Effect, Headers, HttpRequest, HttpResponse
from croupier.contract.money import Unit
from croupier.contract.strict_json import read_json, write_json

SIGNATURE: Final = "X-Hub88-Signature"

UNIT: Final = Unit(-5)
"""Amounts are whole numbers of a hundred-thousandth, in every currency: 3.56 is 356000."""

FEWEST_BITS: Final = 2048
"""A shorter RSA key proves nothing."""

_PADDING: Final = PKCS1v15()
_HASH: Final = SHA256()
_MOST_KEYS: Final = 16
_BEGIN: Final = "-----BEGIN "
_END: Final = "KEY-----"


class Keys:
    """Keys by their text. Parsing a key costs more than using it, so what was parsed is kept, for the text alone.

    Attributes:
        public: A public key; `SettingsError` if the text is none that can prove anything.
        private: A private key; `SettingsError` if the text is none, or too short a one.
    """

    def __init__(self) -> None:
        self.public = lru_cache(_MOST_KEYS)(read_public)
        self.private = lru_cache(_MOST_KEYS)(read_private)


def sign(key: RSAPrivateKey, body: bytes) -> str:
    """The proof of a body."""
    return b64encode(key.sign(body, _PADDING, _HASH)).decode("ascii")


def signed(key: RSAPrivateKey, url: str, body: Mapping[str, Any], effect: Effect) -> HttpRequest:
    """A request with its proof, in either direction."""
    raw = write_json(body)
    headers = Headers((("Content-Type", "application/json"), (SIGNATURE, sign(key, raw))))
    return HttpRequest("POST", url, headers, raw, effect)


def prove(keys: Keys, pems: tuple[str, ...], request: HttpRequest) -> None:
    """Check a request's proof against every valid public key.

    Raises:
        AuthenticationError: There is no proof, more than one or a wrong one, or no key to check it with.
    """
    proof = _proof(request)
    for pem in pems:
        try:
            keys.public(pem).verify(proof, request.body, _PADDING, _HASH)
        except (InvalidSignature, SettingsError):
            continue
        return
    raise AuthenticationError("the signature is wrong, or there is no key that could have made it", where=SIGNATURE)


def told_list(response: HttpResponse, where: str) -> tuple[Told, ...]:
    """The objects of an answer that is a list.

    Raises:
        UpstreamError: It is none.
    """
    try:
        rows = read_json(response.body)
    except MalformedRequestError as error:
        raise UpstreamError(f"the answer cannot be read: {error.message}", where=where) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UpstreamError("expected a list of objects", where=where)
    return tuple([Told(row, f"{where}[{place}]") for place, row in enumerate(rows)])


def _proof(request: HttpRequest) -> bytes:
    given = request.headers.all(SIGNATURE)
    if len(given) != 1:
        raise AuthenticationError("one signature is expected", where=SIGNATURE)
    try:
        text = given[0].encode("ascii")
        proof = b64decode(text, validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise AuthenticationError("the signature is no base64", where=SIGNATURE) from None
    # Base64 has spare bits at its end: one signature has one spelling.
    if b64encode(proof) != text:
        raise AuthenticationError("the signature is no base64", where=SIGNATURE)
    return proof


def read_public(pem: str) -> RSAPublicKey:
    """As `Keys.public`, and not kept."""
    try:
        key = load_pem_public_key(pem.encode() if _is_one_block(pem) else b"")
        if isinstance(key, RSAPublicKey) and key.key_size >= FEWEST_BITS:
            return key
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise SettingsError(f"expected a public RSA key of at least {FEWEST_BITS} bits in PEM")


def read_private(pem: str, where: str | None = None) -> RSAPrivateKey:
    """As `Keys.private`, and not kept."""
    # To prove the primes takes a tenth of a second, in which the hub does nothing else. The provider refuses what a key
    # signed that contradicts itself.
    try:
        text = pem.encode() if _is_one_block(pem) else b""
        key = load_pem_private_key(text, password=None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, RSAPrivateKey) and key.key_size >= FEWEST_BITS:
            return key
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass  # it is said below, without the text
    raise SettingsError(f"expected an RSA key of at least {FEWEST_BITS} bits in PEM, without password", where=where)


def _is_one_block(pem: str) -> bool:
    """Whether there is nothing before and behind the key: parsers pass over what is there."""
    text = pem.strip()
    return text.startswith(_BEGIN) and text.endswith(_END) and text.count(_BEGIN) == 1
