"""Cases: what comparisons have found is kept, and settled by two people as new records, never as edits.

One person proposes, another, with a key of his own, says the same: then it is done, in one commit. Nobody's money is
moved by it: the player's balance is the operator's, and no wallet is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve, frozen

from croupier.contract import ConflictError, Direction, ForbiddenError, NotFoundError
from croupier.contract.choice import Choice
from croupier.ledger.port import Change, Committed, Ledger
from croupier.ledger.records import AdjustmentRow, CaseRow, CaseState, Event, MovementRow
from croupier.reconciliation.compare import CaseKind, Entry, Standing
from croupier.reconciliation.decisions import BY_PEOPLE, Decision
from croupier.reconciliation.findings import Finding, finding_in
from croupier.reconciliation.healing import Healer
from croupier.reconciliation.hub_book import OPERATOR_BOOK, Adjusted, entry_of, reading
from croupier.reconciliation.rows import case_event, opened, reopened, settled, settled_event
from croupier.wallet.alarms import CASE, Alarm
from croupier.wallet.ports import Clock

_TRIES: Final = 20


class Outcome(Choice):
    """What became of a finding that was recorded."""

    OPENED = "opened"
    """It is a new case, or was found again after it had gone."""
    KNOWN = "known"
    """It is a case that is open already."""
    HEALED = "healed"
    """It was held work that stands in the operator's log: it was settled as applied, and the case with it."""
    SETTLED = "settled"
    """Two people have settled it as it was found."""
    GONE = "gone"
    """The books agree: what was open of it is closed."""
    OUTDATED = "outdated"
    """The hub's book does not read so, or not any more: it was not recorded."""


@frozen(kw_only=True)
class Recorded:
    """What became of a finding.

    Attributes:
        outcome: In a word.
        cases: The cases that it is, or that it closed.
    """

    outcome: Outcome
    cases: tuple[str, ...] = ()


class CaseDesk:
    """Keeps cases and lets people settle them; every step is recorded with who took it and why."""

    def __init__(self, ledger: Ledger, clock: Clock, alarm: Alarm, healer: Healer | None = None) -> None:
        """Everything it needs is handed in.

        Args:
            ledger: The durable record.
            clock: Time.
            alarm: Told of every case that is opened, after it is durable.
            healer: Settles held work whose end is proven; without it people do.
        """
        self._ledger = ledger
        self._clock = clock
        self._alarm = alarm
        self._healer = healer

    async def case(self, operator: str, case: str) -> CaseRow:
        """A case.

        Raises:
            NotFoundError: There is none.
        """
        row = await self._ledger.case(operator, case)
        if row is None:
            raise NotFoundError("there is no such case", where=case)
        return row

    async def record(self, finding: Finding, *, who: str, closes: Sequence[str] = ()) -> Recorded:
        """Keep what a comparison has found. The same finding makes no second case.

        What the finding says of the hub's book is not believed but read again.

        Args:
            finding: What was found.
            who: Who had it compared.
            closes: Where the books agree, the open cases of the transaction.

        Raises:
            ConflictError: Others came first too often.
        """
        for _try in range(_TRIES):
            done = await (self._keep(finding, who) if finding.kinds else self._close(finding, who, closes))
            if done is not None:
                return done
        raise ConflictError("the case was changed by others meanwhile", where=finding.reference, hint="record it again")

    async def explain(self, operator: str, case: str, *, who: str, why: str) -> CaseRow:
        """Propose that no record of the hub's is wrong, or confirm it: the same is not told again.

        Raises:
            NotFoundError: There is no such case.
            ConflictError: It is settled, or somebody else was faster.
            ForbiddenError: The same person has proposed the same before.
        """
        return await self._agree(await self._open(operator, case), Decision.EXPLAINED, who, why, None)

    async def adjust(self, operator: str, case: str, *, who: str, why: str) -> CaseRow:
        """Propose that the hub's book is to be read as the other one from now on, or confirm it: a new record says so.

        Raises:
            NotFoundError: There is no such case.
            ConflictError: It is settled; the hub's book reads otherwise by now; it is a difference that no such record
                could tell; or somebody else was faster.
            ForbiddenError: The same person has proposed the same before.
        """
        row = await self._open(operator, case)
        return await self._agree(row, Decision.ADJUSTED, who, why, await self._adjustment(row, who, why))

    async def _keep(self, finding: Finding, who: str) -> Recorded | None:
        """Open a case; `None` if somebody was faster."""
        stored = await self._ledger.case(finding.operator, finding.case)
        is_open = stored is not None and stored.state is CaseState.OPEN
        if stored is not None and not is_open and stored.decision in BY_PEOPLE:
            return Recorded(outcome=Outcome.SETTLED, cases=(stored.case,))
        if self._healer is not None and await self._healer.heal(finding, stored, who):
            return Recorded(outcome=Outcome.HEALED, cases=(finding.case,))
        if is_open:
            return Recorded(outcome=Outcome.KNOWN, cases=(finding.case,))
        if not await self._reads_so(finding):
            return Recorded(outcome=Outcome.OUTDATED)
        now = self._clock.now_ms()
        row = opened(finding, now) if stored is None else reopened(stored)
        event = case_event(CASE, row, now, {"who": who})
        if not await self._commit(row, event):
            return None
        self._alarm(row.operator, event)
        return Recorded(outcome=Outcome.OPENED, cases=(row.case,))

    async def _close(self, finding: Finding, who: str, closes: Sequence[str]) -> Recorded | None:
        """Close the open cases of a transaction that both books have and agree about."""
        entries = (*finding.ours, *finding.theirs)
        decided = all(entry.state not in {Standing.OPEN, Standing.HELD} for entry in entries)
        if not (finding.ours and finding.theirs and decided and await self._reads_so(finding)):
            return Recorded(outcome=Outcome.OUTDATED)
        closed = []
        for case in closes:
            row = await self._ledger.case(finding.operator, case)
            if row is None or (row.book, row.reference) != (finding.book, finding.reference):
                continue
            if row.state is CaseState.OPEN:
                after = settled(row, Decision.GONE, self._clock.now_ms(), who, None)
                if not await self._commit(after, settled_event(after)):
                    return None
            closed.append(case)
        return Recorded(outcome=Outcome.GONE, cases=tuple(closed))

    async def _reads_so(self, finding: Finding) -> bool:
        """Whether the hub's book has of the transaction what the finding says."""
        rows = await self._ledger.adjustments_of(finding.operator, finding.book, [finding.reference])
        adjusted = Adjusted(rows)
        found: list[Entry] = []
        for row in await self._movements(finding):
            entry = entry_of(row, finding.book)
            if entry.id == finding.reference:
                found.append(adjusted.read(entry))
        found += adjusted.left()
        return sorted(map(_key, found)) == sorted(map(_key, finding.ours))

    async def _movements(self, finding: Finding) -> Sequence[MovementRow]:
        """The movements that a finding names; or, if it says that the operator's book alone has it, that one."""
        named = [entry.movement for entry in finding.ours if entry.movement]
        if not named and finding.book == OPERATOR_BOOK:
            row = await self._ledger.movement(finding.operator, finding.reference)
            return [row] if row is not None and _moves_money(row) else []
        rows = [await self._ledger.movement(finding.operator, movement) for movement in named]
        return [row for row in rows if row is not None]

    async def _adjustment(self, row: CaseRow, who: str, why: str) -> AdjustmentRow:
        """The record that would settle a case."""
        finding = finding_in(row)
        if CaseKind.UNDECIDED in finding.kinds:
            raise ConflictError(
                "the hub holds the movement", where=row.case, hint="decide the held work: it is read as decided then"
            )
        if CaseKind.PLAYER in finding.kinds or len(finding.ours) > 1 or len(finding.theirs) > 1:
            raise ConflictError(
                "a transaction of two players, or one that stands twice, cannot be adjusted",
                where=row.case,
                hint="settle it where it arose, and explain the case",
            )
        if not await self._reads_so(finding):
            raise ConflictError("the hub's book reads otherwise by now", where=row.case, hint="compare again")
        ours, theirs = (next(iter(entries), None) for entries in (finding.ours, finding.theirs))
        movement = None
        if ours is not None and ours.movement:
            movement = await self._ledger.movement(row.operator, ours.movement)
        after = theirs or evolve(_filled(ours), state=Standing.DECLINED)
        return AdjustmentRow(
            operator=row.operator,
            case=row.case,
            book=row.book,
            reference=row.reference,
            movement=movement.movement if movement else None,
            before=reading(entry_of(movement, row.book)) if movement else None,
            kind=after.kind,
            amount=after.amount,
            currency=after.currency or (ours.currency if ours else ""),
            state=after.state.value,
            at=movement.created_at if movement else after.at,
            made_at=self._clock.now_ms(),
            proposed_by=row.proposed_by or "",
            who=who,
            why=why,
        )

    async def _agree(
        self, row: CaseRow, decision: Decision, who: str, why: str, adjustment: AdjustmentRow | None
    ) -> CaseRow:
        """The first who says it proposes; another who says the same of the same case settles it."""
        if row.decision != decision.value:
            said: dict[str, Any] = {"decision": decision.value, "proposed_by": who, "why": why}
            after = evolve(row, **said, version=row.version + 1)
            told = case_event(
                "case.proposed", row, self._clock.now_ms(), {"decision": decision.value, "who": who, "why": why}
            )
            return await self._store(after, told)
        if row.proposed_by == who:
            raise ForbiddenError(
                "this key has proposed it already",
                where=row.case,
                hint="an administrator with another key confirms it",
            )
        after = settled(row, decision, self._clock.now_ms(), who, why)
        return await self._store(after, settled_event(after, adjustment), adjustment)

    async def _store(self, row: CaseRow, event: Event, adjustment: AdjustmentRow | None = None) -> CaseRow:
        if not await self._commit(row, event, adjustment):
            raise ConflictError("the case was changed meanwhile", where=row.case, hint="look again")
        return row

    async def _commit(self, row: CaseRow, event: Event, adjustment: AdjustmentRow | None = None) -> bool:
        made = () if adjustment is None else (adjustment,)
        change = Change(operator=row.operator, cases=(row,), adjustments=made, events=(event,))
        return isinstance(await self._ledger.commit(change), Committed)

    async def _open(self, operator: str, case: str) -> CaseRow:
        row = await self.case(operator, case)
        if row.state is not CaseState.OPEN:
            raise ConflictError(f"the case is settled: {row.decision}", where=case)
        return row


def _moves_money(row: MovementRow) -> bool:
    """Whether a movement is a transaction that stands in the operator's book in any case."""
    return row.direction != Direction.REVERSAL.value and row.amount > 0


def _key(entry: Entry) -> tuple[str, int, str, str, str]:
    return entry.kind, entry.amount, entry.currency, entry.state.value, entry.movement


def _filled(entry: Entry | None) -> Entry:
    assert entry is not None  # noqa: S101 # a finding is of an entry at least
    return entry
