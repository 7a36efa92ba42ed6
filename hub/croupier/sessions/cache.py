"""Sessions at hand: a reading of the ledger that plays are spared.

A session that is at hand may have changed meanwhile, in this process or another. So it is good for one thing: to plan
a play whose change is committed with `Change.expects`, which the ledger refuses if the session has changed. Then it is
read afresh, and that is kept. Nothing that is not there is remembered: an unknown token is looked up every time.
"""

from __future__ import annotations

from typing import Final, Protocol

from attrs import define, field

from croupier.ledger.records import SessionRow
from croupier.wallet.parties import Connection

_KEPT: Final = 20_000
"""So many tokens are kept in a process; a session is about a kilobyte."""


class SharedSessions(Protocol):
    """Sessions that other processes have read. It may lose anything at any time, and never raises."""

    async def read(self, operator: str, connection: str, token_hash: str) -> SessionRow | None:
        """The session that was kept for a token, or `None`."""

    def write(self, row: SessionRow, token_hash: str) -> None:
        """Keep a session for a token. Waits for nothing."""

    def remove(self, row: SessionRow) -> None:
        """A session has changed: forget it here and in every other process. Waits for nothing."""


@define
class Reads:
    """Where sessions of plays came from.

    Attributes:
        near: From this process's memory.
        shared: From what another process had read.
        ledger: From the ledger.
    """

    near: int = 0
    shared: int = 0
    ledger: int = 0


@define(eq=False)
class SessionCache:
    """Sessions by the hash of a token.

    Attributes:
        shared: Sessions that other processes have read, where there is a place for them.
        reads: Counts.
    """

    shared: SharedSessions | None = None
    reads: Reads = field(factory=Reads)
    _near: dict[str, SessionRow] = field(factory=dict)

    def near(self, connection: Connection, token_hash: str) -> SessionRow | None:
        """The session of a token, if it is in this process's memory."""
        row = self._near.get(token_hash)
        if row is None or row.connection != connection.id:
            return None
        self.reads.near += 1
        return row

    async def far(self, connection: Connection, token_hash: str) -> SessionRow | None:
        """The session of a token, if another process has kept it; it is near from now on."""
        if self.shared is None:
            return None
        operator = connection.operator.id
        row = await self.shared.read(operator, connection.id, token_hash)
        if row is None or (row.operator, row.connection) != (operator, connection.id):
            return None
        if token_hash not in {row.launch_hash, row.token_hash}:
            return None
        self.reads.shared += 1
        self._keep(row, token_hash)
        return row

    def keep(self, row: SessionRow, token_hash: str) -> None:
        """Keep what the ledger told."""
        self.reads.ledger += 1
        known = self._near.get(token_hash)
        if known is not None and known.version >= row.version:
            return
        self._keep(row, token_hash)
        if self.shared is not None:
            self.shared.write(row, token_hash)

    def forget(self, row: SessionRow) -> None:
        """A session has changed: forget it here and in every other process."""
        self.forget_tokens(row.launch_hash, row.token_hash or "")
        if self.shared is not None:
            self.shared.remove(row)

    def forget_tokens(self, *hashes: str) -> None:
        """Forget, in this process alone, what another one says has changed."""
        for token_hash in hashes:
            self._near.pop(token_hash, None)

    def forget_all(self) -> None:
        """Forget, in this process alone, everything: what has changed was not heard of for a while."""
        self._near.clear()

    def _keep(self, row: SessionRow, token_hash: str) -> None:
        if len(self._near) >= _KEPT:
            del self._near[next(iter(self._near))]
        self._near[token_hash] = row
