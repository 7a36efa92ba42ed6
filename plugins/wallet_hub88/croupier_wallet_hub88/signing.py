"""The proof: RSA-SHA256 (PKCS#1 v1.5) over the exact bytes of the body, in base64.

Source: `reference/protocols/hub88.md`, "Auth (EXACT)".
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from croupier.contract import SettingsError

PRIVATE_KEY: Final = "private_key"
SMALLEST_KEY: Final = 2048

_HASH: Final = hashes.SHA256()
_PADDING: Final = padding.PKCS1v15()


def load_private_key(pem: str) -> RSAPrivateKey:
    """The key to sign with.

    Raises:
        SettingsError: It is no RSA private key in PEM without a password, or a small one. The message does not show it.
    """
    try:
        # To prove the primes takes most of a tenth of a second, in which the hub does nothing else. The wallet refuses
        # what a key signed that contradicts itself.
        key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise SettingsError("expected an RSA private key in PEM, without a password", where=f"secrets.{PRIVATE_KEY}")
    if key.key_size < SMALLEST_KEY:
        raise SettingsError(f"the key has less than {SMALLEST_KEY} bits", where=f"secrets.{PRIVATE_KEY}")
    return key


def sign(key: RSAPrivateKey, body: bytes) -> str:
    """The proof of a body: standard base64, padded."""
    return base64.b64encode(key.sign(body, _PADDING, _HASH)).decode("ascii")


def is_proven(key: RSAPublicKey, body: bytes, proof: str) -> bool:
    """Whether a proof is that of a body, and written in the one way there is."""
    try:
        signature = base64.b64decode(proof, validate=True)
        key.verify(signature, body, _PADDING, _HASH)
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return base64.b64encode(signature).decode("ascii") == proof
