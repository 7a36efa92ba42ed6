"""Secrets as values that do not show themselves, and the one comparison for them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

from croupier.contract.errors import AuthenticationError, SettingsError

_DIGESTS: Final[Mapping[str, Callable[..., Any]]] = {
    "md5": hashlib.md5,
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
}


@frozen
class SecretField:
    """A secret that a connection must (or may) be configured with.

    Attributes:
        name: Its key in the connection's secrets.
        meaning: What it is and who gives it, for the person who configures.
        required: Whether a connection cannot work without it.
        check: Raises `SettingsError` for a value that could never be used, without showing it; so it is refused when
            it is put, and not at the first call.
    """

    name: str
    meaning: str
    required: bool = True
    check: Callable[[str], object] | None = field(default=None, repr=False, eq=False)


@frozen(repr=False)
class Credentials:
    """A connection's secrets. Each may have several values valid at once (rotation): the first is the current one.

    Example:
        >>> keys = Credentials({"auth_token": ("new", "old")})
        >>> keys.current("auth_token"), keys.every("auth_token")
        ('new', ('new', 'old'))
    """

    values: Mapping[str, tuple[str, ...]] = field(factory=dict)

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self.values))})"

    def current(self, name: str) -> str:
        """The value to sign with.

        Raises:
            SettingsError: The connection has no such secret.
        """
        values = self.values.get(name, ())
        if not values:
            raise SettingsError("the connection has no such secret", where=f"secrets.{name}")
        return values[0]

    def every(self, name: str) -> tuple[str, ...]:
        """The values to verify against; empty if there is none: then nothing can be proven, and all is refused."""
        return self.values.get(name, ())


def same_secret(left: str | bytes, right: str | bytes) -> bool:
    """Compare in constant time.

    Example:
        >>> same_secret("ab", b"ab")
        True
    """
    return hmac.compare_digest(_raw(left), _raw(right))


def hmac_hex(key: str | bytes, message: str | bytes, algorithm: str = "sha256") -> str:
    """Lower-case hex HMAC."""
    return hmac.digest(_raw(key), _raw(message), algorithm).hex()


def digest_hex(message: str | bytes, algorithm: str = "sha256") -> str:
    """Lower-case hex digest; MD5 is here only because providers' protocols demand it."""
    # The constructors themselves: `hashlib.new` costs three times the digest of a short message.
    make = _DIGESTS.get(algorithm)
    if make is not None:
        return str(make(_raw(message), usedforsecurity=False).hexdigest())
    return hashlib.new(algorithm, _raw(message), usedforsecurity=False).hexdigest()


def require_proof(candidates: tuple[str, ...], given: str | None, *, where: str) -> None:
    """Accept if `given` equals any candidate; every candidate is compared.

    Raises:
        AuthenticationError: It equals none, or there is none.
    """
    proof = _raw(given or "")
    matches = [hmac.compare_digest(_raw(candidate), proof) for candidate in candidates if candidate]
    if not given or True not in matches:
        raise AuthenticationError("the proof of origin is missing or wrong", where=where)


def _raw(value: str | bytes) -> bytes:
    # Header values may hold bytes that are no text: they must compare, not fail.
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
