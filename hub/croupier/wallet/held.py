"""Held work: what was refused definitely though it is owed waits for people, and this is what they can do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from attrs import evolve

from croupier.contract.errors import ConflictError, ForbiddenError, NotFoundError
from croupier.ledger.port import Change, DeliveryUpdate, Ledger, Refused
from croupier.ledger.records import CaseRow, DeliveryRow, DeliveryState, DeliveryTask, MovementState
from croupier.ledger.records import Event as LedgerEvent
from croupier.wallet.machine import Event
from croupier.wallet.ports import Clock
from croupier.wallet.settle import Happening, Settler
from croupier.wallet.two_people import Proposal, proposal_of, with_proposal

_HELD: Final = frozenset({MovementState.HELD})
"""Of a movement that was settled otherwise, a decision ends the held work alone: it stands in the way of later work."""


class HeldWork:
    """Decides about held work; every decision is recorded with who took it and why."""

    def __init__(
        self,
        ledger: Ledger,
        settler: Settler,
        clock: Clock,
        wake: Callable[[], None],
        derives_end: Callable[[DeliveryRow], Awaitable[bool]],
    ) -> None:
        """`wake` is called when there may be something to deliver again.

        `derives_end` tells whether a round ends when it is settled by what is decided.
        """
        self._ledger = ledger
        self._settler = settler
        self._clock = clock
        self._wake = wake
        self._derives_end = derives_end

    async def redrive(self, operator: str, delivery: str, *, who: str, why: str) -> DeliveryRow:
        """Try held work again, now.

        Raises:
            NotFoundError: There is no such delivery.
            ConflictError: It is not held.
        """
        row = await self._held(operator, delivery)
        body = {"who": who, "why": why, "decision": "redrive"}
        if row.task is DeliveryTask.REVERSE:
            return await self._decide(row, Event.UNDO_AGAIN, DeliveryState.OWED, body)
        sent = evolve(row, task=DeliveryTask.SEND)  # a wallet that cannot be asked is not asked again
        return await self._decide(sent, Event.SEND_AGAIN, DeliveryState.OWED, body)

    async def agree(self, operator: str, delivery: str, *, who: str, why: str, applied: bool) -> DeliveryRow:
        """Say what was found by hand. The first who says it proposes; another who says the same resolves the work.

        Whoever says otherwise puts his own proposal in place of the one before.

        Returns:
            The delivery: still held, with a proposal, or done.

        Raises:
            NotFoundError: There is no such delivery.
            ConflictError: It is not held, or somebody else was faster.
            ForbiddenError: The same person has proposed the same before.
        """
        row = await self._held(operator, delivery)
        said, before = Proposal(applied=applied, who=who), proposal_of(row)
        if before is None or before.applied is not applied:
            return await self._propose(row, said, why)
        if before.who == who:
            raise ForbiddenError(
                "this key has proposed it already", where=delivery, hint="an administrator with another key confirms it"
            )
        return await self._resolve(row, said, {"why": why, "proposed_by": before.who})

    async def resolve(
        self,
        operator: str,
        delivery: str,
        *,
        who: str,
        why: str,
        applied: bool,
        version: int,
        cases: Sequence[CaseRow] = (),
        also: Sequence[LedgerEvent] = (),
    ) -> DeliveryRow:
        """Mark held work as done without `agree`, for a caller who has made sure that it may be.

        Args:
            operator: The operator.
            delivery: The held work.
            who: Who decides.
            why: Why.
            applied: Whether the movement stands at the operator.
            version: The version of the held work that the caller has read: a proposal that was made since is not
                passed over.
            cases: Cases of reconciliation that are settled by it, in the same commit.
            also: Further events.

        Raises:
            NotFoundError: There is no such delivery.
            ConflictError: It is not held, or it or a case was changed meanwhile.
        """
        row = await self._held(operator, delivery)
        if row.version != version:
            raise ConflictError("the delivery was changed by somebody else", where=delivery, hint="look again")
        return await self._resolve(row, Proposal(applied=applied, who=who), {"why": why}, cases=cases, also=also)

    async def _propose(self, row: DeliveryRow, said: Proposal, why: str) -> DeliveryRow:
        after = with_proposal(row, said)
        body = {"movement": row.movement, "who": said.who, "why": why, "decision": said.decision}
        told = LedgerEvent(kind="delivery.proposed", subject=row.delivery, at=self._clock.now_ms(), body=body)
        change = Change(operator=row.operator, delivery_updates=(DeliveryUpdate(after),), events=(told,))
        if isinstance(await self._ledger.commit(change), Refused):
            raise ConflictError("the delivery was changed by somebody else", where=row.delivery, hint="look again")
        return after

    async def _resolve(
        self,
        row: DeliveryRow,
        said: Proposal,
        more: Mapping[str, str],
        *,
        cases: Sequence[CaseRow] = (),
        also: Sequence[LedgerEvent] = (),
    ) -> DeliveryRow:
        event = Event.SETTLED_DONE if said.applied else Event.SETTLED_UNDONE
        body = {"who": said.who, "decision": said.decision, **more}
        return await self._decide(row, event, DeliveryState.DONE, body, cases=cases, also=also)

    async def _held(self, operator: str, delivery: str) -> DeliveryRow:
        row = await self._ledger.delivery(operator, delivery)
        if row is None:
            raise NotFoundError("there is no such delivery", where=delivery)
        if row.state is not DeliveryState.HELD:
            raise ConflictError(f"the delivery is not held but {row.state.value}", where=delivery)
        return row

    async def _decide(
        self,
        row: DeliveryRow,
        event: Event,
        state: DeliveryState,
        body: Mapping[str, str],
        *,
        cases: Sequence[CaseRow] = (),
        also: Sequence[LedgerEvent] = (),
    ) -> DeliveryRow:
        now = self._clock.now_ms()
        after = evolve(
            row,
            state=state,
            due_at=now,
            detail=f"{body['decision']} by {body['who']}",
            owner=None,
            version=row.version + 1,
        )
        happening = Happening(movement=row.movement, event=event, while_in=_HELD)
        about = {"movement": row.movement, **body}
        decided = LedgerEvent(kind="delivery.decided", subject=row.delivery, at=now, body=about)
        await self._settler.settle(
            row.operator,
            [happening],
            derives_end=await self._derives_end(row),
            delivery=DeliveryUpdate(after),
            also=(decided, *also),
            cases=cases,
        )
        self._wake()
        return after
