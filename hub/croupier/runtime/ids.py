"""Fresh identities and chance: from the system, or from a seed."""

from __future__ import annotations

import base64
import os
import random
import secrets
import time
import uuid

from croupier.wallet.identity import uuid_text

_TOKEN_BYTES = 32
_DRAWN_BYTES = 4096

_drawn: list[str] = []
"""Chance of the system's, 32 hex digits each: asking for it each time costs more than all else about an id."""

os.register_at_fork(after_in_child=_drawn.clear)  # or two processes would give out the same ids


class SystemIds:
    """Unpredictable; implements `croupier.wallet.ports.Ids`."""

    def new_id(self) -> str:
        """A UUID of version 7 (RFC 9562) as text: random behind the time, so that what is stored at once lies together.

        An index of random ids changes a page of its own for each of them; nothing relies on the order.
        """
        return uuid_text(f"{time.time_ns() // 1_000_000:012x}{self.nonce()}", "7")

    def nonce(self) -> str:
        """A fresh text of 32 hex digits."""
        try:
            return _drawn.pop()  # in one step, so that no two threads get the same
        except IndexError:
            digits = os.urandom(_DRAWN_BYTES).hex()
            mine, *others = [digits[place : place + 32] for place in range(0, len(digits), 32)]
            _drawn.extend(others)
            return mine

    def token(self) -> str:
        """A fresh secret of 256 bits as URL-safe text."""
        return secrets.token_urlsafe(_TOKEN_BYTES)

    def jitter(self) -> float:
        """A number in [0, 1)."""
        return secrets.randbits(53) / 2**53


class SeededIds:
    """The same row of ids for the same seed: for tests and simulations alone, because anybody can foretell it.

    Args:
        seed: Any whole number.
    """

    def __init__(self, seed: int) -> None:
        # Each kind has a row of its own, so that one more jitter does not change every id after it.
        self._ids, self._nonces, self._tokens, self._jitters = (
            random.Random(f"{seed}:{kind}")  # noqa: S311  # to be foretold is what it is for
            for kind in ("id", "nonce", "token", "jitter")
        )

    def new_id(self) -> str:
        """The next UUID."""
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    def nonce(self) -> str:
        """The next text of 32 hex digits."""
        return self._nonces.randbytes(16).hex()

    def token(self) -> str:
        """The next text of 43 characters."""
        return base64.urlsafe_b64encode(self._tokens.randbytes(_TOKEN_BYTES)).rstrip(b"=").decode()

    def jitter(self) -> float:
        """The next number in [0, 1)."""
        return self._jitters.random()
