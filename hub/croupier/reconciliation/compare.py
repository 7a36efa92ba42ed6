"""The comparison: books that are sorted by id are merged, and what differs is told. Nothing is ever edited.

Nothing is compared by totals: two errors that cancel out in a sum are two cases here. What moved no money is no case
where a book does not have it: a refused bet need not be written down.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from enum import Enum, unique
from itertools import groupby
from typing import Final

from attrs import define, field, frozen


@unique
class Side(Enum):
    """Whose book."""

    PROVIDER = "provider"
    HUB = "hub"
    OPERATOR = "operator"


@unique
class Standing(Enum):
    """Whether a transaction stands in a book."""

    APPLIED = "applied"
    ROLLED_BACK = "rolled_back"
    DECLINED = "declined"
    OPEN = "open"
    """Not decided yet: it is compared once it is."""
    HELD = "held"
    """Not decided, and it will not be unless somebody does: it is compared with an operator's book that has it."""


@unique
class CaseKind(Enum):
    """What differs."""

    MISSING_AT_PROVIDER = "missing_at_provider"
    MISSING_AT_HUB = "missing_at_hub"
    MISSING_AT_OPERATOR = "missing_at_operator"
    DUPLICATE = "duplicate"
    UNDECIDED = "undecided"
    """The hub holds it, not knowing its end, and it stands in the operator's book."""
    STATE = "state"
    KIND = "kind"
    PLAYER = "player"
    CURRENCY = "currency"
    AMOUNT = "amount"


_MISSING = {
    Side.PROVIDER: CaseKind.MISSING_AT_PROVIDER,
    Side.HUB: CaseKind.MISSING_AT_HUB,
    Side.OPERATOR: CaseKind.MISSING_AT_OPERATOR,
}


_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """Text as it can be printed, and kept: its control characters as escapes, in every book alike."""
    return text if text.isprintable() else _CONTROL.sub(lambda sign: f"\\x{ord(sign[0]):02x}", text)


@frozen(kw_only=True)
class Entry:
    """One transaction in one book.

    Attributes:
        id: What all books call it.
        kind: `bet` for what was taken from the player, `win` for what was given.
        amount: Minor units, never negative.
        currency: Its code; empty if the book does not say, then it is not compared.
        player: The player; empty if the book does not say, then it is not compared.
        state: Whether it stands.
        at: When it was written down, in milliseconds since 1970.
        movement: In the hub's book, the movement's id.
    """

    id: str
    kind: str
    amount: int
    currency: str = ""
    player: str = ""
    state: Standing = Standing.APPLIED
    at: int = 0
    movement: str = ""


@frozen(kw_only=True)
class Window:
    """The time that is judged, in milliseconds since 1970.

    A transaction is judged if any book has it in this time. Books that reach further on both ends, by the grace, have
    it wherever it was written down a little earlier or later: an edge makes no case.

    Attributes:
        since: Inclusive.
        until: Exclusive.
        grace: How far books are to reach beyond both ends, in milliseconds.
    """

    since: int
    until: int
    grace: int = 0


@frozen(kw_only=True)
class Case:
    """One transaction that is not the same in all books, or is watched.

    Attributes:
        id: The transaction.
        kinds: Everything that differs; nothing of a transaction that is watched and has come to agree.
        entries: What each book has, by side; more than one where it stands twice.
    """

    id: str
    kinds: tuple[CaseKind, ...]
    entries: Mapping[Side, tuple[Entry, ...]]


@define
class Count:
    """What was met on the way.

    Attributes:
        transactions: How many were compared.
        open: How many of them some book has not decided yet.
    """

    transactions: int = field(default=0)
    open: int = field(default=0)


def compare(
    books: Mapping[Side, Iterable[Entry]],
    window: Window | None = None,
    count: Count | None = None,
    watched: Container[str] = (),
) -> Iterator[Case]:
    """Compare books; each is read once, and no more of it is held than the entries of one transaction.

    Args:
        books: Two or three books, each in order of `id`.
        window: What is judged; everything if it is left out.
        count: Is added up.
        watched: Transactions that are told even if nothing differs, provided that every book has them and has decided.

    Raises:
        ValueError: A book is not in order.
    """
    counted = Count() if count is None else count
    merged = heapq.merge(*(_told(side, book) for side, book in books.items()), key=_id_of)
    for id_, group in groupby(merged, key=_id_of):
        entries: dict[Side, list[Entry]] = {}
        for side, entry in group:
            entries.setdefault(side, []).append(entry)
        if window is not None and not any(
            window.since <= entry.at < window.until for found in entries.values() for entry in found
        ):
            continue
        counted.transactions += 1
        undecided = any(entry.state in _UNDECIDED for found in entries.values() for entry in found)
        counted.open += undecided
        kinds = differing(books, entries)
        if kinds or (id_ in watched and len(entries) == len(books) and not undecided):
            yield Case(id=id_, kinds=kinds, entries={side: tuple(found) for side, found in entries.items()})


def _id_of(told: tuple[Side, Entry]) -> str:
    return told[1].id


def _told(side: Side, book: Iterable[Entry]) -> Iterator[tuple[Side, Entry]]:
    before = ""
    for entry in book:
        if entry.id < before:
            raise ValueError(f"the {side.value}'s book is not in order")
        before = entry.id
        yield side, entry


def differing(sides: Iterable[Side], entries: Mapping[Side, Sequence[Entry]]) -> tuple[CaseKind, ...]:
    """What differs in one transaction.

    Args:
        sides: Whose books were compared.
        entries: What each of them has; a book that lacks it is left out.
    """
    kinds = [CaseKind.DUPLICATE] if any(len(found) > 1 for found in entries.values()) else []
    first = {side: found[0] for side, found in entries.items()}
    if any(entry.state is Standing.OPEN for entry in first.values()):
        return tuple(kinds)
    standing = [entry for entry in first.values() if entry.state in _STANDING]
    if any(entry.state is Standing.HELD for entry in standing):
        at_operator = first.get(Side.OPERATOR)
        if at_operator is None or at_operator.state is not Standing.APPLIED:
            return tuple(kinds)
        kinds.append(CaseKind.UNDECIDED)
    elif standing:
        kinds += [_MISSING[side] for side in sides if side not in first]
        if len(standing) < len(first):
            kinds.append(CaseKind.STATE)
    kinds += [kind for kind, said in _SAID if len({value for entry in standing if (value := said(entry))}) > 1]
    amounts = {entry.amount for entry in standing}
    if len(amounts) > 1 and CaseKind.CURRENCY not in kinds:  # amounts of two currencies cannot be compared
        kinds.append(CaseKind.AMOUNT)
    return tuple(kinds)


_STANDING = frozenset({Standing.APPLIED, Standing.HELD})
_UNDECIDED = frozenset({Standing.OPEN, Standing.HELD})
_SAID: tuple[tuple[CaseKind, Callable[[Entry], str]], ...] = (
    (CaseKind.KIND, lambda entry: entry.kind),
    (CaseKind.PLAYER, lambda entry: entry.player),
    (CaseKind.CURRENCY, lambda entry: entry.currency),
)
