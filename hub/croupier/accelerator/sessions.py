"""Sessions that one process has read from the ledger, for the others.

What is kept is a whole session, the operator's own session token and the player's facts among it. So it is encrypted
and authenticated (AES-256-GCM) under a key that is derived from the hub's and from the name that it is kept under: who
reads the server reads nothing, and what was forged, garbled or moved to another name is not there.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec
from attrs import define, field
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from croupier.accelerator.client import Accelerator
from croupier.accelerator.keys import session_key
from croupier.accelerator.news import News
from croupier.ledger.records import SessionRow
from croupier.wallet.ports import Clock

LONGEST_MS: Final = 3_600_000
"""How long a session is kept at most, in milliseconds."""

CHANGED: Final = "session"
"""The news that a session has changed: the hashes of its tokens."""

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(SessionRow).decode


class Seal:
    """Encrypts sessions for one name each.

    Args:
        key: A secret of the hub, the same in each of its processes.
        draw: Gives so many fresh random bytes.
    """

    def __init__(self, key: bytes, draw: Callable[[int], bytes]) -> None:
        self._key = hmac.digest(key, b"croupier sessions at hand", hashlib.sha256)
        self._draw = draw

    def seal(self, name: str, row: SessionRow) -> bytes:
        """A session as it is kept under a name."""
        nonce = self._draw(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher(name).encrypt(nonce, _ENCODE(row), _FORMAT)

    def open(self, name: str, sealed: object) -> SessionRow | None:
        """The session that was kept under a name; `None` for whatever else is found there."""
        if not isinstance(sealed, bytes) or not sealed.startswith(_FORMAT):
            return None
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return _DECODE(self._cipher(name).decrypt(nonce, rest, _FORMAT))
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            return None

    def _cipher(self, name: str) -> AESGCM:
        """A key of its own for each name: so few values are sealed with it that nonces can be drawn."""
        return AESGCM(hmac.digest(self._key, name.encode(), hashlib.sha256))


@define(eq=False)
class AcceleratedSessions:
    """`croupier.sessions.cache.SharedSessions` on the server.

    Attributes:
        accelerator: The server.
        news: Tells other processes of changes.
        seal: Encrypts.
        clock: Time.
        unreadable: How many values were found that could not be read.
    """

    accelerator: Accelerator
    news: News
    seal: Seal
    clock: Clock
    unreadable: int = field(default=0)

    async def read(self, operator: str, connection: str, token_hash: str) -> SessionRow | None:
        """The session that was kept for a token, or `None`."""
        name = session_key(operator, connection, token_hash)
        found = await self.accelerator.ask("GET", name)
        if found is None:
            return None
        row = self.seal.open(name, found)
        if row is None:
            self.unreadable += 1
        return row

    def write(self, row: SessionRow, token_hash: str) -> None:
        """Keep a session for a token, while bets may be accepted on it."""
        left = min(row.expires_at - self.clock.now_ms(), LONGEST_MS)
        if left > 0:
            name = session_key(row.operator, row.connection, token_hash)
            self.accelerator.tell("SET", name, self.seal.seal(name, row), "PX", left)

    def remove(self, row: SessionRow) -> None:
        """A session has changed: forget it here and in every other process."""
        hashes = [row.launch_hash, *([row.token_hash] if row.token_hash else ())]
        self.accelerator.tell("DEL", *(session_key(row.operator, row.connection, each) for each in hashes))
        self.news.tell(CHANGED, *hashes)
