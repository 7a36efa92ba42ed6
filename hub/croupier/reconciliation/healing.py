"""Held work whose end the ids prove: it stands in the operator's log under the hub's own transaction id.

Nothing else is healed. Where anything of it is in doubt, two people decide.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final

from attrs import evolve

from croupier.contract import ConflictError, DeclineReason, Direction, NotFoundError
from croupier.ledger.port import Ledger
from croupier.ledger.records import (
    CaseRow,
    CaseState,
    DeliveryRow,
    DeliveryState,
    DeliveryTask,
    MovementRow,
    MovementState,
)
from croupier.reconciliation.compare import CaseKind, Standing
from croupier.reconciliation.decisions import Decision
from croupier.reconciliation.findings import Finding, player_mark
from croupier.reconciliation.hub_book import OPERATOR_BOOK, entry_of, reading
from croupier.reconciliation.rows import opened, settled, settled_event
from croupier.wallet.attempts import BET_STANDS, ROLLED_BACK_THERE
from croupier.wallet.held import HeldWork
from croupier.wallet.ports import Clock
from croupier.wallet.two_people import proposal_of

_TAKEN_BACK: Final = frozenset(
    {
        ROLLED_BACK_THERE,
        BET_STANDS,
        DeclineReason.ALREADY_ROLLED_BACK.value,
        DeclineReason.CANCELLED.value,
    }
)
"""Held work of a movement that may have been applied and taken back since: a log may be older than that."""


class Healer:
    """Settles held work that a finding proves to be applied."""

    def __init__(self, ledger: Ledger, held: HeldWork, clock: Clock, heals: Callable[[], Container[str]]) -> None:
        """Everything it needs is handed in.

        Args:
            ledger: The durable record.
            held: Settles held work.
            clock: Time.
            heals: The operators, by id, whose logs are believed so far.
        """
        self._ledger = ledger
        self._held = held
        self._clock = clock
        self._heals = heals

    async def heal(self, finding: Finding, stored: CaseRow | None, who: str) -> bool:
        """Settle the held work that a finding is about as applied, and the case with it, in one commit.

        Args:
            finding: What was found.
            stored: The case, if it was recorded before.
            who: Who had it compared.

        Returns:
            Whether that was done: not if its ids do not prove it, or somebody else is at it.
        """
        if stored is not None and stored.state is CaseState.OPEN and stored.decision is not None:
            return False  # a person has proposed something
        work = await self._proven(finding)
        if work is None:
            return False
        now = self._clock.now_ms()
        by, why = f"reconciliation ({who})", f"it stands in the operator's log: case {finding.case}"
        after = settled(opened(finding, now) if stored is None else stored, Decision.HEALED, now, by, why)
        after = evolve(after, version=1 if stored is None else stored.version + 1)
        try:
            await self._held.resolve(
                work.operator,
                work.delivery,
                who=by,
                why=why,
                applied=True,
                version=work.version,
                cases=(after,),
                also=(settled_event(after),),
            )
        except (ConflictError, NotFoundError):
            return False
        return True

    async def _proven(self, finding: Finding) -> DeliveryRow | None:
        """The held work of a movement that the finding proves to be applied."""
        if finding.book != OPERATOR_BOOK or finding.kinds != (CaseKind.UNDECIDED,):
            return None
        if finding.operator not in self._heals():
            return None
        movement = await self._ledger.movement(finding.operator, finding.reference)
        if movement is None or not _awaits_its_first_answer(movement) or not await self._is_the_same(finding, movement):
            return None
        works = [
            work
            for work in await self._ledger.deliveries_of(finding.operator, movement.movement)
            if work.state is not DeliveryState.DONE
        ]
        if len(works) != 1 or works[0].state is not DeliveryState.HELD or works[0].task is DeliveryTask.REVERSE:
            return None
        if not _TAKEN_BACK.isdisjoint({works[0].detail, movement.reason}):
            return None
        return None if proposal_of(works[0]) else works[0]

    async def _is_the_same(self, finding: Finding, movement: MovementRow) -> bool:
        """Whether the operator's log says in every word what the movement says, the player's name too."""
        (theirs,) = finding.theirs
        player = await self._ledger.player(movement.operator, movement.player)
        if player is None:
            return False
        mark = player_mark(finding.operator, finding.book, finding.reference, player.operator_player)
        says = {**reading(entry_of(movement, finding.book)), "state": Standing.APPLIED.value}
        return theirs.player == mark and reading(theirs) == says


def _awaits_its_first_answer(movement: MovementRow) -> bool:
    """Whether a movement is held because of its own call, and nobody ever wanted it undone."""
    return (
        movement.state is MovementState.HELD
        and movement.direction != Direction.REVERSAL.value
        and movement.undone_by is None
        and movement.generation == 0
    )
