"""Secrets at rest: AES-256-GCM, bound to the place where they stand.

A sealed text is `v1.<key id>.<nonce and ciphertext, base64url>`. Operator, kind, id and field are authenticated with
it: a ciphertext that is moved to another row, field or operator does not open. The keys come from outside (the runtime
reads them); several may be known, so that a new one can take over while the old still opens what it sealed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from croupier.contract import FixConfigurationError, SettingsError

_VERSION: Final = "v1"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


@frozen(kw_only=True)
class Place:
    """Where a secret stands; what is sealed for one place opens in no other.

    Attributes:
        operator: The operator's id.
        kind: The kind of the configured thing.
        id: Its immutable id.
        field: The path of the field in its body.
    """

    operator: str
    kind: str
    id: str
    field: str


class SecretBox:
    """Seals and opens secrets.

    Args:
        keys: Key id to key (32 bytes): every key that still has to open something.
        current: The id of the key that seals.
        random_bytes: Where nonces come from: `random_bytes(12)` must not repeat under one key.

    Raises:
        SettingsError: A key has another length, an id has signs that it must not have, or `current` is not among them.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str, random_bytes: Callable[[int], bytes]) -> None:
        for name, key in keys.items():
            if not _KEY_ID.fullmatch(name):
                raise SettingsError("a key id is up to 32 letters, digits, - and _", where="secrets.keys")
            if len(key) != _KEY_BYTES:
                raise SettingsError(f"expected a key of {_KEY_BYTES} bytes", where=f"secrets.keys.{name}")
        if current not in keys:
            raise SettingsError("there is no key of this id", where="secrets.current")
        self._keys = {name: AESGCM(key) for name, key in keys.items()}
        self._current = current
        self._random_bytes = random_bytes

    def seal(self, secret: str, place: Place) -> str:
        """Encrypt a secret for its place, under the current key."""
        nonce = self._random_bytes(_NONCE_BYTES)
        if len(nonce) != _NONCE_BYTES:
            raise ValueError(f"the source of nonces gave {len(nonce)} bytes instead of {_NONCE_BYTES}")
        sealed = self._keys[self._current].encrypt(nonce, secret.encode(), _binding(place, self._current))
        return f"{_VERSION}.{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: Place) -> str:
        """Decrypt what was sealed for this place.

        Raises:
            FixConfigurationError: Its key is not known, it was sealed for another place, or it was changed.
        """
        key_id, raw = _parts(sealed, place)
        key = self._keys.get(key_id)
        if key is None:
            raise FixConfigurationError(
                "the key that sealed this secret is not known",
                where=_path(place),
                hint=f"hand the hub the key {key_id!r}, or set the secret anew",
            )
        try:
            return key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _binding(place, key_id)).decode()
        except (InvalidTag, UnicodeDecodeError):
            raise FixConfigurationError(
                "the secret does not open: it was changed, moved from another place, or sealed with another key",
                where=_path(place),
                hint="set the secret anew",
            ) from None

    def is_current(self, sealed: str) -> bool:
        """Whether a sealed text is under the current key."""
        return sealed.startswith(f"{_VERSION}.{self._current}.")

    def rewrap(self, sealed: str, place: Place) -> str:
        """The same secret under the current key; as it is, if it is already. Raises as `open` does."""
        return sealed if self.is_current(sealed) else self.seal(self.open(sealed, place), place)


def _parts(sealed: str, place: Place) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    # One secret has one text: the spare bits of base64 are not free.
    if version != _VERSION or len(raw) <= _NONCE_BYTES or base64.urlsafe_b64encode(raw).decode() != text:
        raise FixConfigurationError("this is no sealed secret", where=_path(place), hint="set the secret anew")
    return key_id, raw


def _binding(place: Place, key_id: str) -> bytes:
    return json.dumps([_VERSION, key_id, place.operator, place.kind, place.id, place.field]).encode()


def _path(place: Place) -> str:
    return f"{place.kind}s.{place.id}.{place.field}"
