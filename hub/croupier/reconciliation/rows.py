"""The rows of cases as they come and go, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from croupier.ledger.records import AdjustmentRow, CaseRow, CaseState, Event
from croupier.reconciliation.decisions import BY_PEOPLE, Decision
from croupier.reconciliation.findings import Finding, as_found


def opened(finding: Finding, now: int) -> CaseRow:
    """The row of a new case."""
    return CaseRow(
        operator=finding.operator,
        case=finding.case,
        book=finding.book,
        reference=finding.reference,
        kinds=tuple(kind.value for kind in finding.kinds),
        found=as_found(finding),
        opened_at=now,
        movement=next((entry.movement for entry in finding.ours if entry.movement), None),
    )


def reopened(row: CaseRow) -> CaseRow:
    """The row of a case that had gone and was found again."""
    return evolve(
        row,
        state=CaseState.OPEN,
        decision=None,
        proposed_by=None,
        why=None,
        settled_by=None,
        settled_at=None,
        version=row.version + 1,
    )


def settled(row: CaseRow, decision: Decision, now: int, who: str, why: str | None) -> CaseRow:
    """The row of a case that is settled now. What was proposed for it stays only if it was decided so."""
    kept = row.proposed_by if decision.value in BY_PEOPLE else None
    return evolve(
        row,
        state=CaseState.SETTLED,
        decision=decision.value,
        proposed_by=kept,
        why=why,
        settled_by=who,
        settled_at=now,
        version=row.version + 1,
    )


def settled_event(row: CaseRow, adjustment: AdjustmentRow | None = None) -> Event:
    """Tells that a case was settled, how and by whom."""
    body: dict[str, Any] = {"decision": row.decision, "who": row.settled_by, "why": row.why}
    if row.proposed_by is not None:
        body["proposed_by"] = row.proposed_by
    if adjustment is not None:
        after = {name: getattr(adjustment, name) for name in ("kind", "amount", "currency", "state")}
        body |= {"before": adjustment.before, "after": after}
    return case_event("case.settled", row, row.settled_at or 0, body)


def case_event(kind: str, row: CaseRow, at: int, body: Mapping[str, Any]) -> Event:
    """For the hub's own people: it is sent to no sink that does not ask for it."""
    about = {"book": row.book, "reference": row.reference, "kinds": list(row.kinds), "movement": row.movement}
    return Event(kind=kind, subject=row.case, at=at, body={**about, **body})
