"""What the admin API reads and writes about cases of reconciliation. Times are RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from attrs import frozen
from msgspec import Meta

from croupier.ledger.records import CaseState
from croupier.reconciliation.compare import CaseKind, Side, Standing
from croupier.reconciliation.decisions import Decision
from croupier.reconciliation.desk import Outcome
from croupier.web.admin_api.messages import Moment, Why

Reference = Annotated[str, Meta(min_length=1, max_length=500)]
Label = Annotated[str, Meta(max_length=200)]
Minor = Annotated[int, Meta(ge=0, le=2**63 - 1)]


@frozen(kw_only=True)
class BookEntry:
    """One transaction in one book.

    Attributes:
        kind: `bet` or `win`.
        amount: In minor units.
        currency: Its code; empty if the book does not say.
        state: Whether it stands.
        at: When it was written down.
        player_mark: Tells players of one case apart, not who they are; empty if the book names none.
        movement: In the hub's book, the movement's id.
    """

    kind: Label
    amount: Minor
    currency: Label
    state: Standing
    at: Moment
    player_mark: Label = ""
    movement: Label = ""


@frozen(kw_only=True)
class FindingBody:
    """One transaction as a comparison found it.

    Attributes:
        book: `operator`, or a connection's id.
        id: What that book calls the transaction.
        entries: What the hub's book (`hub`) and the other (`operator` or `provider`) have: what differs follows.
        closes: Where the books agree: the open cases of the transaction.
    """

    book: Reference
    id: Reference
    entries: Mapping[Side, Annotated[tuple[BookEntry, ...], Meta(max_length=100)]]
    closes: Annotated[tuple[Reference, ...], Meta(max_length=100)] = ()


@frozen(kw_only=True)
class RecordBody:
    """What a comparison has found.

    Attributes:
        findings: The transactions.
    """

    findings: Annotated[tuple[FindingBody, ...], Meta(max_length=500)]


@frozen(kw_only=True)
class RecordedFinding:
    """What became of a transaction that was found.

    Attributes:
        book: As it was given.
        id: As it was given.
        outcome: `opened`, `known`, `healed`, `settled` by two people before, `gone`, or `outdated`: the hub's book does
            not read so (any more), and nothing was recorded.
        cases: The cases that it is, or that it closed.
    """

    book: str
    id: str
    outcome: Outcome
    cases: tuple[str, ...]


@frozen(kw_only=True)
class RecordAnswer:
    """What became of each finding.

    Attributes:
        findings: In the order in which they were given.
    """

    findings: tuple[RecordedFinding, ...]


@frozen(kw_only=True)
class CasesQuery:
    """Which cases of an operator to list.

    Attributes:
        state: `open` or `settled`; without it all.
        limit: The most entries to return.
        cursor: The `next_cursor` of the page before.
    """

    state: CaseState | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(min_length=1, max_length=400)] | None = None


@frozen(kw_only=True)
class CaseAnswer:
    """A transaction that was not the same in the hub's book and another.

    Attributes:
        operator: The operator's id.
        id: Its id.
        book: `operator`, or a connection's id.
        reference: What that book calls the transaction.
        movement: The hub's movement, where its book has one.
        kinds: What differs.
        entries: What each book has.
        state: Whether it is settled.
        opened_at: When it was recorded.
        decision: What one administrator has proposed, and another has to confirm; or how it was settled.
        proposed_by: Who proposed that.
        why: What the last to speak about it said.
        settled_by: Who settled it.
        settled_at: When.
    """

    operator: str
    id: str
    book: str
    reference: str
    movement: str | None
    kinds: tuple[CaseKind, ...]
    entries: Mapping[Side, tuple[BookEntry, ...]]
    state: CaseState
    opened_at: datetime
    decision: Decision | None
    proposed_by: str | None
    why: str | None
    settled_by: str | None
    settled_at: datetime | None


@frozen(kw_only=True)
class CaseList:
    """One page of cases, oldest first.

    Attributes:
        cases: The cases.
        next_cursor: For the next page; `null` if this is the last.
    """

    cases: tuple[CaseAnswer, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class SettleBody:
    """Settle a case, or confirm what another has proposed.

    Attributes:
        why: Why.
    """

    why: Why
