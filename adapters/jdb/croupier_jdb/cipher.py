"""The envelope of every request, in both directions: AES-128-CBC over JSON, in one field `x`.

Source: `reference/protocols/jdb.md`, section "Auth / encryption (EXACT)".

The cipher is the proof: there is no MAC. Who changes a byte on the way makes at least one block of sixteen bytes
senseless, so nothing is believed that is not whole: alphabet and length of the text, the padding, UTF-8, strict JSON,
names that are names, and the two fields that every request has.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import Error, a2b_base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from croupier.contract.errors import AuthenticationError, MalformedRequestError, SettingsError
from croupier.contract.forms import read_form
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import read_json_object, write_json
from croupier_jdb.settings import IV, KEY

BLOCK: Final = 16
ENVELOPE: Final = "x"
_URL_SAFE: Final = bytes.maketrans(b"-_+/", b"+/!!")


def seal(fields: Mapping[str, Any], credentials: Credentials) -> str:
    """The text of `x`: JSON filled up with blanks to whole blocks, encrypted, base64 for URLs without `=`.

    Raises:
        SettingsError: The connection has no key or no iv, or one of them does not fit.
    """
    plain = write_json(fields)
    plain += b" " * (-len(plain) % BLOCK)
    encryptor = _cipher(credentials.current(KEY), credentials.current(IV)).encryptor()
    return urlsafe_b64encode(encryptor.update(plain) + encryptor.finalize()).rstrip(b"=").decode("ascii")


def envelope(body: bytes) -> str:
    """The text of `x` in a body: the only field of a form, or of a JSON object.

    Raises:
        AuthenticationError: There is no such field, or another one beside it.
    """
    try:
        fields: Mapping[str, Any] = read_json_object(body) if body[:1] == b"{" else read_form(body)
    except MalformedRequestError:
        fields = {}
    text = fields.get(ENVELOPE)
    if type(text) is not str or len(fields) != 1:
        raise AuthenticationError("expected an encrypted request, and nothing beside it", where=ENVELOPE)
    return text


def prove(text: str, credentials: Credentials) -> dict[str, Any]:
    """Decrypt what is sealed, with any valid key and iv.

    Raises:
        AuthenticationError: No key of the connection makes a request of it.
    """
    sealed = _decoded(text)
    for cipher in _ciphers(credentials):
        if sealed is not None and (fields := _opened(sealed, cipher)) is not None:
            return fields
    raise AuthenticationError("no key makes a request of it", where=ENVELOPE)


def _decoded(text: str) -> bytes | None:
    """The bytes of a text in base64 for URLs, with its `=` or without; `None` for all else."""
    try:
        raw = text.encode("ascii")
        raw = raw if b"=" in raw else raw + b"=" * (-len(raw) % 4)
        sealed = a2b_base64(raw.translate(_URL_SAFE), strict_mode=True)
    except (UnicodeEncodeError, Error):
        return None
    return sealed if sealed and len(sealed) % BLOCK == 0 else None


def _opened(sealed: bytes, cipher: Cipher[CBC]) -> dict[str, Any] | None:
    decryptor = cipher.decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    plain = padded.rstrip(b"\0" if padded.endswith(b"\0") else b" ")
    # The documents fill up to whole blocks; some fill a whole block more.
    if len(padded) - len(plain) > BLOCK or plain[:1] != b"{":
        return None
    try:
        fields = read_json_object(plain)
    except MalformedRequestError:
        return None
    known = type(fields.get("action")) is int and type(fields.get("ts")) is int
    return fields if known and all(map(str.isidentifier, fields)) else None


def _ciphers(credentials: Credentials) -> list[Cipher[CBC]]:
    """One for each valid pair: while secrets are changed, key and iv may be changed one after the other."""
    keys, ivs = ([one for one in credentials.every(name) if 0 < len(one.encode()) <= BLOCK] for name in (KEY, IV))
    return [_cipher(key, iv) for key in keys for iv in ivs]


@lru_cache(maxsize=64)
def _cipher(key: str, iv: str) -> Cipher[CBC]:
    return Cipher(AES(sixteen(key)), CBC(sixteen(iv)))


def sixteen(secret: str) -> bytes:
    """A key or iv as bytes; a shorter one is filled up with zeros. `SettingsError` if it is empty or too long."""
    raw = secret.encode()
    if not 0 < len(raw) <= BLOCK:
        raise SettingsError(f"expected 1 to {BLOCK} bytes")
    return raw.ljust(BLOCK, b"\0")
