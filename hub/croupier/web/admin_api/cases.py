"""Cases of reconciliation: what was found, and how two administrators settle it."""

from __future__ import annotations

from attrs import frozen

from croupier.configuration.documents import Kind
from croupier.contract import MalformedRequestError, NotFoundError
from croupier.ledger.records import CaseRow
from croupier.reconciliation.compare import CaseKind, Entry, Side, Standing
from croupier.reconciliation.decisions import Decision
from croupier.reconciliation.findings import Finding, finding_in, other_side
from croupier.reconciliation.hub_book import OPERATOR_BOOK
from croupier.web.admin_api.case_messages import (
    BookEntry,
    CaseAnswer,
    CaseList,
    CasesQuery,
    FindingBody,
    RecordAnswer,
    RecordBody,
    RecordedFinding,
    SettleBody,
)
from croupier.web.admin_api.parts import AdminAsk, AdminParts, Plain
from croupier.web.api import Nothing
from croupier.web.paging import milliseconds_of, moment, moment_or_none, next_cursor, page_of

_UNDECIDED = frozenset({Standing.OPEN, Standing.HELD})


@frozen
class Cases:
    """Handlers about cases."""

    parts: AdminParts

    async def list(self, ask: AdminAsk[CasesQuery, Nothing]) -> CaseList:
        """One page of an operator's cases, oldest first."""
        operator, query = ask.path["operator"], ask.query
        self.parts.configuration.get(operator, Kind.OPERATOR, operator)
        rows = await self.parts.ledger.cases(operator, query.state, page_of(query.cursor, query.limit))
        return CaseList(
            cases=tuple(_told(row) for row in rows[: query.limit]),
            next_cursor=next_cursor([(row.opened_at, row.case) for row in rows], query.limit),
        )

    async def get(self, ask: Plain) -> CaseAnswer:
        """One case."""
        return _told(await self.parts.cases.case(ask.path["operator"], ask.path["case"]))

    async def record(self, ask: AdminAsk[Nothing, RecordBody]) -> RecordAnswer:
        """Keep what a comparison has found."""
        operator = ask.path["operator"]
        self.parts.configuration.get(operator, Kind.OPERATOR, operator)
        for book in sorted({finding.book for finding in ask.body.findings} - {OPERATOR_BOOK}):
            if not await self.parts.ledger.configuration_history(operator, Kind.CONNECTION.value, book):
                raise NotFoundError("there is no such connection", where=book)
        findings = [_finding(operator, body, f"body.findings[{place}]") for place, body in enumerate(ask.body.findings)]
        answers = []
        for body, finding in zip(ask.body.findings, findings, strict=True):
            done = await self.parts.cases.record(finding, who=ask.caller.name, closes=body.closes)
            answers.append(RecordedFinding(book=body.book, id=body.id, outcome=done.outcome, cases=done.cases))
        return RecordAnswer(findings=tuple(answers))

    async def explain(self, ask: AdminAsk[Nothing, SettleBody]) -> CaseAnswer:
        """Say why nothing of the hub's is wrong: the first administrator proposes, the second confirms."""
        row = await self.parts.cases.explain(
            ask.path["operator"], ask.path["case"], who=ask.caller.name, why=ask.body.why
        )
        return _told(row)

    async def adjust(self, ask: AdminAsk[Nothing, SettleBody]) -> CaseAnswer:
        """Let the hub's book be read as the other one: likewise."""
        row = await self.parts.cases.adjust(
            ask.path["operator"], ask.path["case"], who=ask.caller.name, why=ask.body.why
        )
        return _told(row)


def _finding(operator: str, body: FindingBody, where: str) -> Finding:
    """A finding as it was sent.

    Raises:
        MalformedRequestError: No comparison could have found it.
    """
    theirs = other_side(body.book)
    if not any(body.entries.values()) or not {Side.HUB, theirs} >= body.entries.keys():
        raise MalformedRequestError(f"expected entries of hub and {theirs.value}", where=f"{where}.entries")
    if any(entry.state in _UNDECIDED for entry in body.entries.get(theirs, ())):
        raise MalformedRequestError("the hub's book alone has what is not decided", where=f"{where}.entries")
    if not all(_is_told(entry) for entries in body.entries.values() for entry in entries):
        raise MalformedRequestError("expected a time that can be told in UTC", where=f"{where}.entries")
    if any(entry.kind not in {"bet", "win"} for entries in body.entries.values() for entry in entries):
        raise MalformedRequestError("expected a bet or a win", where=f"{where}.entries")
    return Finding(
        operator=operator,
        book=body.book,
        reference=body.id,
        entries={side: tuple(_entry(body.id, one) for one in found) for side, found in body.entries.items() if found},
    )


def _is_told(body: BookEntry) -> bool:
    """Whether its time can be told again: in UTC it may be before the first year or behind the last."""
    try:
        moment(milliseconds_of(body.at))
    except OverflowError:
        return False
    return True


def _entry(reference: str, body: BookEntry) -> Entry:
    return Entry(
        id=reference,
        kind=body.kind,
        amount=body.amount,
        currency=body.currency,
        player=body.player_mark,
        state=body.state,
        at=milliseconds_of(body.at),
        movement=body.movement,
    )


def _told(row: CaseRow) -> CaseAnswer:
    entries = finding_in(row).entries
    return CaseAnswer(
        operator=row.operator,
        id=row.case,
        book=row.book,
        reference=row.reference,
        movement=row.movement,
        kinds=tuple(CaseKind(kind) for kind in row.kinds),
        entries={side: tuple(_body(one) for one in found) for side, found in entries.items()},
        state=row.state,
        opened_at=moment(row.opened_at),
        decision=Decision(row.decision) if row.decision else None,
        proposed_by=row.proposed_by,
        why=row.why,
        settled_by=row.settled_by,
        settled_at=moment_or_none(row.settled_at),
    )


def _body(entry: Entry) -> BookEntry:
    return BookEntry(
        kind=entry.kind,
        amount=entry.amount,
        currency=entry.currency,
        state=entry.state,
        at=moment(entry.at),
        player_mark=entry.player,
        movement=entry.movement,
    )
