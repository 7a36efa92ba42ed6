"""What a comparison found of one transaction: as it is told, recorded as a case, and read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from attrs import evolve, field, frozen

from croupier.ledger.mapping import to_json
from croupier.ledger.records import CaseRow
from croupier.reconciliation.compare import Case, CaseKind, Entry, Side, Standing, differing
from croupier.reconciliation.hub_book import OPERATOR_BOOK
from croupier.wallet.identity import derived_id

_SAID: Final = ("kind", "amount", "currency", "player")
"""What an entry says beside its state. When it was written down makes no other case of it, nor does the movement's id,
which follows from the transaction's."""


def other_side(book: str) -> Side:
    """Whose book it is that the hub's is compared with."""
    return Side.OPERATOR if book == OPERATOR_BOOK else Side.PROVIDER


def player_mark(operator: str, book: str, reference: str, player: str) -> str:
    """Tells players of one transaction apart without telling who they are; empty where a book names none."""
    return derived_id("player of case", operator, book, reference, player) if player else ""


@frozen(kw_only=True, slots=False)
class Finding:
    """One transaction in the hub's book and another.

    Attributes:
        operator: The operator's id.
        book: Whose the other book is: `operator`, or a connection's id.
        reference: What that book calls the transaction.
        entries: What each book has, in order of time, with marks in place of players.
    """

    operator: str
    book: str
    reference: str
    entries: Mapping[Side, tuple[Entry, ...]] = field(factory=dict)

    @cached_property
    def kinds(self) -> tuple[CaseKind, ...]:
        """What differs; nothing if the books agree."""
        return differing((Side.HUB, other_side(self.book)), self.entries)

    @cached_property
    def case(self) -> str:
        """The id of the case that it is: it follows from what was found."""
        said = {side.value: sorted(map(_said, entries)) for side, entries in self.entries.items()}
        return derived_id("case", self.operator, self.book, self.reference, to_json(said))

    @property
    def ours(self) -> tuple[Entry, ...]:
        """What the hub's book has."""
        return self.entries.get(Side.HUB, ())

    @property
    def theirs(self) -> tuple[Entry, ...]:
        """What the other book has."""
        return self.entries.get(other_side(self.book), ())


def _said(entry: Entry) -> str:
    return to_json([entry.state.value, *(getattr(entry, name) for name in _SAID)])


def finding_of(operator: str, book: str, case: Case) -> Finding:
    """What a comparison has told, with marks in place of players."""
    return Finding(
        operator=operator,
        book=book,
        reference=case.id,
        entries={
            side: tuple(evolve(one, player=player_mark(operator, book, case.id, one.player)) for one in entries)
            for side, entries in case.entries.items()
        },
    )


def as_found(finding: Finding) -> Mapping[str, Any]:
    """What both books have, as a case keeps it."""
    return {
        side.value: [
            {
                "kind": one.kind,
                "amount": one.amount,
                "currency": one.currency,
                "state": one.state.value,
                "at": one.at,
                "player": one.player,
                "movement": one.movement,
            }
            for one in entries
        ]
        for side, entries in finding.entries.items()
    }


def finding_in(row: CaseRow) -> Finding:
    """What a case keeps."""
    return Finding(
        operator=row.operator,
        book=row.book,
        reference=row.reference,
        entries={Side(side): tuple(_entries(row.reference, found)) for side, found in row.found.items()},
    )


def _entries(reference: str, found: Iterable[Mapping[str, Any]]) -> Iterable[Entry]:
    for one in found:
        yield Entry(id=reference, **{**one, "state": Standing(one["state"])})
