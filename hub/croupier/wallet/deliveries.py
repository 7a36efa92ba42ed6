"""Delivers what is owed, until it is answered definitely.

Work is claimed under a lease and an epoch, tried, and settled in one commit with its movement: what is not answered
definitely goes back into the calendar. Nothing owed is ever dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from attrs import evolve

from croupier.contract import (
    CroupierError,
    Direction,
    RetryLaterError,
)
from croupier.contract.errors import ConflictError
from croupier.ledger.port import Change, Committed, DeliveryUpdate, Ledger, Owner
from croupier.ledger.records import (
    DeliveryRow,
    DeliveryState,
    DeliveryTask,
    MovementRow,
    MovementState,
)
from croupier.ledger.records import Event as LedgerEvent
from croupier.wallet.alarms import LATE, Alarm, unheard
from croupier.wallet.attempts import Attempts, FindPlayer, Verdict, derives_end
from croupier.wallet.calendar import Calendar
from croupier.wallet.channel import Channel
from croupier.wallet.held import HeldWork
from croupier.wallet.machine import IN_FLIGHT, UNANSWERED, Event
from croupier.wallet.open_rounds import OpenRounds
from croupier.wallet.parties import Connection, Connections
from croupier.wallet.ports import Clock, Ids
from croupier.wallet.rows import shape_of
from croupier.wallet.settle import Happening, Settler
from croupier.wallet.siblings import play_of
from croupier.wallet.under_way import UnderWay


class Deliveries:
    """The worker for owed work.

    Attributes:
        held: What a person can do about held work.
        rounds: What people can do about rounds that never go on.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        channel: Channel,
        connections: Connections,
        find_player: FindPlayer,
        clock: Clock,
        ids: Ids,
        owner: Owner,
        notify: Callable[[str], None],
        calendar: Calendar,
        lease_ms: int = 30_000,
        at_once: int = 32,
        alarm: Alarm = unheard,
    ) -> None:
        """Everything the worker needs is handed in.

        Args:
            ledger: The durable record.
            channel: The way to the wallets.
            connections: Finds a movement's connection.
            find_player: Finds a movement's wallet.
            clock: Time.
            ids: Jitter and traces.
            owner: This process.
            notify: Told of every movement that changed.
            calendar: When to try again.
            lease_ms: How long claimed work is this worker's; no call to a wallet takes longer than most of it.
            at_once: How many deliveries of one operator may be under way together.
            alarm: Told of what a person should look at.
        """
        self._ledger = ledger
        self._attempts = Attempts(ledger, channel, find_player, clock, lease_ms)
        self._connections = connections
        self._clock = clock
        self._ids = ids
        self._owner = owner
        self._settler = Settler(ledger, clock, notify, alarm=alarm)
        self._alarm = alarm
        self._calendar = calendar
        self._lease_ms = lease_ms
        self._at_once = at_once
        self._wake = asyncio.Event()
        self._stopped = False
        self.held = HeldWork(ledger, self._settler, clock, self.wake, self._derives_end)
        self.rounds = OpenRounds(ledger, connections, clock, notify, self.wake)

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def stop(self) -> None:
        """Claim no more work: `run` ends when what is under way is recorded."""
        self._stopped = True
        self.wake()

    async def run(self, poll_seconds: float = 1.0) -> None:
        """Deliver until `stop`. Work that is cancelled in the middle stays claimed until its lease has ended.

        Attempts at a wallet that does not answer take as long as they may; what other wallets are owed does not wait
        for them.
        """
        under_way = UnderWay(self._at_once, self.wake)
        try:
            while not self._stopped and under_way.fault is None:
                self._wake.clear()
                try:
                    busy = await self._begin(under_way, under_way.share)
                except RetryLaterError:
                    busy = 0
                if not busy and under_way.fault is None:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(poll_seconds):
                            await self._wake.wait()
            await under_way.finish()
        finally:
            await under_way.give_up()
        if under_way.fault is not None:
            raise under_way.fault

    async def run_once(self) -> int:
        """Claim what is due and try it; returns how much that was.

        Work that fails stops no other: the fault is raised when everything else was tried, and what failed is
        still owed.
        """
        under_way = UnderWay(self._at_once, lambda: None)
        try:
            count = await self._begin(under_way, self._at_once)
            await under_way.finish()
        finally:
            await under_way.give_up()
        if under_way.fault is not None:
            raise under_way.fault
        return count

    async def _begin(self, under_way: UnderWay, limit: int) -> int:
        """Claim what is due, of operators that have not too much under way, and begin to try it."""
        for adopted in await self._adopt_orphans():
            if adopted is not None and not isinstance(adopted, RetryLaterError):
                under_way.fault = under_way.fault or adopted
        now, full = self._clock.now_ms(), under_way.full()
        claimed = await self._ledger.claim_deliveries(self._owner, now, self._lease_ms, limit, apart_from=full)
        for row in claimed:
            under_way.begin(row.operator, self._deliver(row))
        return len(claimed)

    async def _deliver(self, row: DeliveryRow) -> None:
        """One attempt. If it cannot be recorded, the lease runs out and it is tried again: the ids are the same."""
        try:
            concerned = await self._concerned(row)
            if concerned is not None and _may_repeat_itself(row, concerned[0]):
                if (foreseen := await self._foreseen(row, concerned[0])) is None:
                    return
                row, concerned = foreseen, await self._concerned(foreseen)
            if concerned is None:
                verdict = Verdict(state=DeliveryState.OWED, detail="the connection cannot be used now")
            else:
                connection, movement = concerned
                verdict = await self._attempts.attempt(connection, row, movement)
            await self._record(row, verdict)
        except RetryLaterError:
            raise
        except Exception as error:
            code = error.code if isinstance(error, CroupierError) else type(error).__name__
            await self._record(row, Verdict(state=DeliveryState.OWED, detail=f"the attempt failed: {code}"))
            raise

    async def _foreseen(self, row: DeliveryRow, connection: Connection) -> DeliveryRow | None:
        """Note that the wallet must be asked first, should this process die in the attempt.

        Returns:
            The delivery as it is then; `None` if it is somebody else's by now.
        """
        version, late = row.version + 1, row.lease_until + connection.operator.policy.late_window_ms
        ahead = DeliveryUpdate(evolve(row, task=DeliveryTask.ASK, due_at=late, version=version), epoch=row.epoch)
        noted = await self._ledger.commit(Change(operator=row.operator, delivery_updates=(ahead,)))
        return evolve(row, version=version) if isinstance(noted, Committed) else None

    async def _concerned(self, row: DeliveryRow) -> tuple[Connection, MovementRow] | None:
        """What owed work is about, as it is now."""
        movement = await self._ledger.movement(row.operator, row.movement)
        connection = self._connections.connection(row.operator, movement.connection) if movement else None
        return None if movement is None or connection is None else (connection, movement)

    async def _derives_end(self, row: DeliveryRow) -> bool:
        concerned = await self._concerned(row)
        return concerned is not None and derives_end(*concerned)

    async def _record(self, row: DeliveryRow, verdict: Verdict) -> None:
        """Write what an attempt came to, in one commit with the movement."""
        now, attempts = self._clock.now_ms(), row.attempts + 1
        owed = verdict.state is DeliveryState.OWED
        age = now - row.created_at
        wait = (
            self._calendar.wait_ms(attempts, age, self._ids.jitter())
            if verdict.due_in_ms is None
            else verdict.due_in_ms
        )
        after = evolve(
            row,
            state=verdict.state,
            task=verdict.task or row.task,
            attempts=attempts,
            due_at=now + wait if owed else row.due_at,
            detail=verdict.detail,
            owner=None,
            lease_until=0,
            version=row.version + 1,
        )
        update = DeliveryUpdate(after, epoch=row.epoch)
        try:
            if verdict.events:
                await self._settler.settle(
                    row.operator,
                    verdict.events,
                    derives_end=verdict.derives_end,
                    delivery=update,
                    alarms=verdict.alarms,
                )
            else:
                alarms = (*verdict.alarms, *(self._late(row, age, verdict) if owed else ()))
                change = Change(operator=row.operator, delivery_updates=(update,), events=alarms)
                if isinstance(await self._ledger.commit(change), Committed):
                    for event in alarms:
                        self._alarm(row.operator, event)
        except ConflictError:
            return
        if not owed:
            self.wake()

    def _late(self, row: DeliveryRow, age: int, verdict: Verdict) -> tuple[LedgerEvent, ...]:
        if not self._calendar.is_late(age):
            return ()
        body = {"movement": row.movement, "task": row.task.value, "detail": verdict.detail or ""}
        return (LedgerEvent(kind=LATE, subject=row.delivery, at=self._clock.now_ms(), body=body),)

    async def _adopt_orphans(self) -> Sequence[BaseException | None]:
        """Take over what a process left behind; returns what failed. What is not settled now comes up again."""
        rows = await self._ledger.claim_orphans(self._owner, self._clock.now_ms(), self._lease_ms, self._at_once)
        plays = {(row.operator, row.play): row for row in rows}
        return await asyncio.gather(*(self._adopt(row) for row in plays.values()), return_exceptions=True)

    async def _adopt(self, row: MovementRow) -> None:
        """Settle a play whose process is gone: its calls have no answer, and the usual table says what follows.

        Its movements are judged together, however few of them were claimed.
        """
        connection = self._connections.connection(row.operator, row.connection)
        if connection is not None:
            left = [item for item in await play_of(self._ledger, row) if item.state in IN_FLIGHT]
            await self._settler.settle(row.operator, _orphaned(connection, left))

    async def owed(self) -> int:
        """How many deliveries are owed and not held: zero after everything is drained."""
        states = await self._ledger.count_states()
        return sum(count for name, count in states.items() if name in _UNFINISHED)


_UNFINISHED: Final = frozenset({"delivery.owed", "movement.intent", "movement.fenced"})


def _may_repeat_itself(row: DeliveryRow, connection: Connection) -> bool:
    """Whether sending this once more, after a process died in the attempt, could move money twice."""
    return row.task is DeliveryTask.SEND and not connection.operator.policy.retry_safe


def _orphaned(connection: Connection, movements: Sequence[MovementRow]) -> list[Happening]:
    """What follows for the movements of one play whose process is gone: they may have been sent.

    If the process lives after all and was only slow, what it has settled meanwhile stands.
    """
    happenings = []
    for row in movements:
        if row.direction == Direction.REVERSAL.value:
            happenings.append(Happening(movement=row.movement, event=Event.PROMISED, while_in=IN_FLIGHT))
            if row.target is not None:
                reversing = frozenset({MovementState.REVERSING})
                happenings.append(Happening(movement=row.target, event=Event.LOST_REVERSE, while_in=reversing))
            continue
        policy = connection.policies.of(row.operation)
        event, _answer = UNANSWERED[shape_of(movements), policy.on_silence, connection.operator.policy.retry_safe]
        happenings.append(Happening(movement=row.movement, event=event, while_in=IN_FLIGHT))
    return happenings
