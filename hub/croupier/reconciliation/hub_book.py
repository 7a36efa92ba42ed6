"""The hub's own book, read from the ledger page by page, as an operator or a provider would have written it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from croupier.contract import Direction, NotFoundError
from croupier.ledger.port import MovementFilter, Page
from croupier.ledger.records import ConfigurationRow, MovementRow, MovementState, PlayerRow
from croupier.reconciliation.compare import Entry, Standing

_PAGE: Final = 1_000
_NAMES_KEPT: Final = 50_000

_STANDING: Final = {
    MovementState.APPLIED: Standing.APPLIED,
    MovementState.DECLINED: Standing.DECLINED,
    MovementState.REVERSED: Standing.ROLLED_BACK,
    MovementState.TOMBSTONED: Standing.ROLLED_BACK,
}
"""Every other state is open: what is owed, held or on its way is shown by the hub itself."""


class Reads(Protocol):
    """What is read of the ledger; raises as `croupier.ledger.port.Ledger` does."""

    async def movements(self, operator: str, which: MovementFilter, page: Page) -> Sequence[MovementRow]: ...

    async def player(self, operator: str, player: str) -> PlayerRow | None: ...

    async def alias_of(self, operator: str, connection: str, player: str) -> str | None: ...

    async def configuration(
        self, operator: str | None = None, kind: str | None = None
    ) -> Sequence[ConfigurationRow]: ...


async def find(ledger: Reads, operator: str | None, kind: str, name: str) -> ConfigurationRow:
    """An operator or connection by its name or id, whether it is in force or not.

    Raises:
        NotFoundError: There is none.
    """
    rows = await ledger.configuration(operator, kind)
    found = next((row for row in rows if row.name == name or row.body.get("name") == name), None)
    if found is None:
        raise NotFoundError(f"there is no such {kind}", where=name)
    return found


async def as_operator(ledger: Reads, operator: ConfigurationRow, since: int, until: int) -> AsyncIterator[Entry]:
    """What the operator's book should have: the hub's ids, the operator's ids of players.

    Movements of zero are left out where the operator's wallet is not called for them.
    """
    zero = bool(operator.body.get("wallet_policy", {}).get("zero_amounts", True))

    async def name(player: str) -> str:
        row = await ledger.player(operator.name, player)
        return row.operator_player if row else ""

    names = _Names(name)
    async for row in _rows(ledger, operator.name, MovementFilter(since=since, until=until)):
        if row.amount or zero:
            yield _entry(row, row.movement, await names.of(row.player))


async def as_provider(
    ledger: Reads, operator: ConfigurationRow, connection: ConfigurationRow, since: int, until: int
) -> AsyncIterator[Entry]:
    """What the provider's book should have: its own ids of transactions and players."""

    async def name(player: str) -> str:
        return await ledger.alias_of(operator.name, connection.name, player) or ""

    names = _Names(name)
    which = MovementFilter(connection=connection.name, since=since, until=until)
    async for row in _rows(ledger, operator.name, which):
        yield _entry(row, row.reference, await names.of(row.player))


class _Names:
    """Names of players, as many as are kept in memory."""

    def __init__(self, look: Callable[[str], Awaitable[str]]) -> None:
        self._look = look
        self._known: dict[str, str] = {}

    async def of(self, player: str) -> str:
        if player not in self._known:
            if len(self._known) >= _NAMES_KEPT:
                self._known.clear()
            self._known[player] = await self._look(player) if player else ""
        return self._known[player]


async def _rows(ledger: Reads, operator: str, which: MovementFilter) -> AsyncIterator[MovementRow]:
    after: tuple[int, str] | None = None
    while rows := await ledger.movements(operator, which, Page(after=after, limit=_PAGE)):
        for row in rows:
            if row.direction != Direction.REVERSAL.value:
                yield row
        after = (rows[-1].created_at, rows[-1].movement)


def _entry(row: MovementRow, id: str, player: str) -> Entry:
    return Entry(
        id=id,
        kind="bet" if row.direction == Direction.DEBIT.value else "win",
        amount=row.amount,
        currency=row.currency,
        player=player,
        state=_STANDING.get(row.state, Standing.OPEN),
        at=row.created_at,
    )
