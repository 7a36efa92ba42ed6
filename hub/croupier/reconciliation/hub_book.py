"""The hub's own book, read from the ledger page by page, as an operator or a provider would have written it.

Where two people have decided how a transaction is to be read against a book, it is read so: the movements themselves
stay as they are, and a movement that has changed since is read by itself again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import evolve

from croupier.contract import Direction, NotFoundError
from croupier.ledger.port import MovementFilter, Page
from croupier.ledger.records import (
    AdjustmentRow,
    CaseRow,
    CaseState,
    ConfigurationRow,
    MovementRow,
    MovementState,
    PlayerRow,
)
from croupier.reconciliation.compare import Entry, Standing, printable
from croupier.reconciliation.decisions import BY_PEOPLE

_PAGE: Final = 1_000
_NAMES_KEPT: Final = 50_000
_ALONE: Final = 1_000
"""So many differences are looked up one by one. A log that is empty or another day's has one for every transaction."""

_STANDING: Final = {
    MovementState.APPLIED: Standing.APPLIED,
    MovementState.DECLINED: Standing.DECLINED,
    MovementState.REVERSED: Standing.ROLLED_BACK,
    MovementState.TOMBSTONED: Standing.ROLLED_BACK,
    MovementState.HELD: Standing.HELD,
}
"""Every other state is open: what is owed or on its way is shown by the hub itself."""

OPERATOR_BOOK: Final = "operator"
"""What the operator's book is called; a provider's is called by its connection's id."""


class Reads(Protocol):
    """What is read of the ledger; raises as `croupier.ledger.port.Ledger` does."""

    async def movements(self, operator: str, which: MovementFilter, page: Page) -> Sequence[MovementRow]: ...

    async def player(self, operator: str, player: str) -> PlayerRow | None: ...

    async def alias_of(self, operator: str, connection: str, player: str) -> str | None: ...

    async def case(self, operator: str, case: str) -> CaseRow | None: ...

    async def cases(self, operator: str, state: CaseState | None, page: Page) -> Sequence[CaseRow]: ...

    async def adjustments(
        self, operator: str, book: str, since: int, until: int, page: Page
    ) -> Sequence[AdjustmentRow]: ...

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
    adjusted = await _adjusted(ledger, operator.name, OPERATOR_BOOK, since, until)
    async for row in _rows(ledger, operator.name, MovementFilter(since=since, until=until)):
        if row.amount or zero:
            yield adjusted.read(entry_of(row, OPERATOR_BOOK, await names.of(row.player)))
    for entry in adjusted.left():
        yield entry


async def as_provider(
    ledger: Reads, operator: ConfigurationRow, connection: ConfigurationRow, since: int, until: int
) -> AsyncIterator[Entry]:
    """What the provider's book should have: its own ids of transactions and players.

    A provider's one id may be a bet's and a win's, both in one message: the kind tells them apart.
    """

    async def name(player: str) -> str:
        return await ledger.alias_of(operator.name, connection.name, player) or ""

    names = _Names(name)
    which = MovementFilter(connection=connection.name, since=since, until=until)
    adjusted = await _adjusted(ledger, operator.name, connection.name, since, until)
    async for row in _rows(ledger, operator.name, which):
        yield adjusted.read(entry_of(row, connection.name, await names.of(row.player)))
    for entry in adjusted.left():
        yield entry


async def open_cases(ledger: Reads, operator: str, book: str) -> Mapping[str, Sequence[str]]:
    """The cases of a book that wait for somebody, by what it calls the transaction."""
    found: dict[str, list[str]] = {}
    async for row in _cases(ledger, operator, book, CaseState.OPEN):
        found.setdefault(row.reference, []).append(row.case)
    return found


class SettledByPeople:
    """The cases of a book that people have settled: looked up one by one, and all at once if many are asked for."""

    def __init__(self, ledger: Reads, operator: str, book: str) -> None:
        self._of = (ledger, operator, book)
        self._asked = 0
        self._every: set[str] | None = None

    async def has(self, case: str) -> bool:
        """Whether a case is settled by people."""
        ledger, operator, _book = self._of
        if self._every is None and self._asked < _ALONE:
            self._asked += 1
            row = await ledger.case(operator, case)
            return row is not None and _is_settled_by_people(row)
        if self._every is None:
            rows = _cases(*self._of, CaseState.SETTLED)
            self._every = {row.case async for row in rows if _is_settled_by_people(row)}
        return case in self._every


def _is_settled_by_people(row: CaseRow) -> bool:
    return row.state is CaseState.SETTLED and row.decision in BY_PEOPLE


async def _cases(ledger: Reads, operator: str, book: str, state: CaseState) -> AsyncIterator[CaseRow]:
    after: tuple[int, str] | None = None
    while rows := await ledger.cases(operator, state, Page(after=after, limit=_PAGE)):
        for row in rows:
            if row.book == book:
                yield row
        after = (rows[-1].opened_at, rows[-1].case)


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


def by_kind(reference: str, kind: str) -> str:
    """A provider's id, told apart by its kind."""
    return f"{printable(reference)}/{kind}"


def entry_of(row: MovementRow, book: str, player: str = "") -> Entry:
    """A movement as it stands by itself in the hub's book.

    Args:
        row: The movement.
        book: Against whose book it is read: that tells what the transaction is called.
        player: What that book calls the player.
    """
    kind = "bet" if row.direction == Direction.DEBIT.value else "win"
    return Entry(
        id=row.movement if book == OPERATOR_BOOK else by_kind(row.reference, kind),
        kind=kind,
        amount=row.amount,
        currency=row.currency,
        player=player,
        state=_STANDING.get(row.state, Standing.OPEN),
        at=row.created_at,
        movement=row.movement,
    )


def reading(entry: Entry) -> Mapping[str, Any]:
    """What an entry says of the money, as JSON-ready values: what adjustments are bound to."""
    return {"kind": entry.kind, "amount": entry.amount, "currency": entry.currency, "state": entry.state.value}


class Adjusted:
    """How transactions are to be read against one book, as people have decided.

    Args:
        rows: The adjustments, the newest of a transaction last.
    """

    def __init__(self, rows: Sequence[AdjustmentRow]) -> None:
        self._of: dict[str, list[AdjustmentRow]] = {}
        for row in rows:
            self._of.setdefault(row.reference, []).append(row)
        self._met: set[str] = set()

    def read(self, entry: Entry) -> Entry:
        """An entry of the hub's book as it is to be read; as it is if nobody has adjusted it as it stands."""
        rows = self._of.get(entry.id)
        if rows is None:
            return entry
        self._met.add(entry.id)
        before = reading(entry)
        row = next((row for row in reversed(rows) if row.before == before), None)
        return entry if row is None else evolve(entry, **_as_adjusted(row))

    def left(self) -> Iterator[Entry]:
        """What the hub's book lacks and is to have, of all that was not read: it names no player."""
        for reference, rows in self._of.items():
            row = next((row for row in reversed(rows) if row.before is None), None)
            if row is not None and reference not in self._met:
                yield Entry(id=reference, at=row.at, **_as_adjusted(row))


def _as_adjusted(row: AdjustmentRow) -> dict[str, Any]:
    return {"kind": row.kind, "amount": row.amount, "currency": row.currency, "state": Standing(row.state)}


async def _adjusted(ledger: Reads, operator: str, book: str, since: int, until: int) -> Adjusted:
    rows: list[AdjustmentRow] = []
    after: tuple[int, str] | None = None
    while found := await ledger.adjustments(operator, book, since, until, Page(after=after, limit=_PAGE)):
        rows += found
        after = (found[-1].at, found[-1].case)
    return Adjusted(sorted(rows, key=lambda row: (row.made_at, row.case)))
