"""One attempt at owed work: what is sent to the wallet, and what follows from its answer.

A definite refusal holds the work for a person; everything else that is not an answer leaves it owed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, assert_never

from attrs import evolve, frozen

from croupier.contract import (
    AppliedEffect,
    PlayContext,
    RoundEnd,
    TransactionState,
    WalletApplied,
    WalletCall,
    WalletCapability,
    WalletMove,
    WalletPlayer,
    WalletRefused,
    WalletReply,
    WalletStatus,
    WalletStatusReply,
    WalletUnknown,
)
from croupier.ledger.port import Ledger
from croupier.ledger.records import (
    DeliveryRow,
    DeliveryState,
    DeliveryTask,
    MovementRow,
    MovementState,
    RoundState,
)
from croupier.ledger.records import Event as LedgerEvent
from croupier.wallet.alarms import contradiction
from croupier.wallet.channel import Channel
from croupier.wallet.machine import IN_FLIGHT, UNHELD, Event
from croupier.wallet.parties import Connection
from croupier.wallet.ports import Clock
from croupier.wallet.rows import takes_stake
from croupier.wallet.settle import Happening
from croupier.wallet.siblings import play_of
from croupier.wallet.wire import (
    applied_columns,
    balance_columns,
    context_of,
    is_decided,
    is_waived,
    refused_columns,
    wallet_movement,
    wallet_rollback,
)

FindPlayer = Callable[[Connection, MovementRow], Awaitable[WalletPlayer]]


@frozen(kw_only=True)
class Verdict:
    """What one attempt came to.

    Attributes:
        events: What happened to movements; the delivery's own movement first.
        state: Where the delivery stands now.
        task: What is owed next, if it is still owed.
        due_in_ms: When it is due; `None` leaves it to the calendar.
        detail: For people, without secrets or player data.
        derives_end: Whether the round ends if it is settled by these events.
        alarms: What a person should look at.
    """

    events: Sequence[Happening] = ()
    state: DeliveryState = DeliveryState.DONE
    task: DeliveryTask | None = None
    due_in_ms: int | None = None
    detail: str | None = None
    derives_end: bool = False
    alarms: Sequence[LedgerEvent] = ()


class Attempts:
    """Tries owed work at the wallets."""

    def __init__(self, ledger: Ledger, channel: Channel, find_player: FindPlayer, clock: Clock, lease_ms: int) -> None:
        """Everything an attempt needs is handed in.

        Args:
            ledger: The durable record.
            channel: The way to the wallets.
            find_player: Finds a movement's wallet.
            clock: Time.
            lease_ms: How long claimed work is this worker's; no call to a wallet takes longer than most of it.
        """
        self._ledger = ledger
        self._channel = channel
        self._find_player = find_player
        self._clock = clock
        self._lease_ms = lease_ms

    async def attempt(self, connection: Connection, row: DeliveryRow, movement: MovementRow) -> Verdict:
        """Try owed work once, if the wallet's budget of retries lets it.

        Raises:
            RetryLaterError: The record cannot be read now.
        """
        verdict = await self._tried(connection, row, movement)
        return evolve(verdict, derives_end=derives_end(connection, movement))

    async def _tried(self, connection: Connection, row: DeliveryRow, movement: MovementRow) -> Verdict:
        if not self._channel.retries(connection.operator).take():
            return Verdict(state=DeliveryState.OWED, detail="the wallet answers too little to be asked more often")
        match row.task:
            case DeliveryTask.SEND:
                return await self._send(connection, row, movement)
            case DeliveryTask.REVERSE:
                return await self._reverse(connection, row, movement)
            case DeliveryTask.ASK:
                return await self._ask(connection, row, movement)
            case _:
                assert_never(row.task)

    async def _send(self, connection: Connection, row: DeliveryRow, movement: MovementRow) -> Verdict:
        if movement.state is not MovementState.OWED:
            return Verdict(detail=f"no longer owed: {movement.state.value}")
        bets = await self._bets_of(movement)
        if any([await self._is_being_undone(bet) for bet in bets]):
            return Verdict(state=DeliveryState.OWED, detail=_UNDECIDED)
        if any(_has_failed(bet, movement) for bet in bets):
            # It may have been sent before: only the wallet can say that nothing of it is left.
            return Verdict(events=(_taken_back(movement),), detail="its bet did not stand")
        if any(bet.state in _UNSETTLED for bet in bets):
            return Verdict(state=DeliveryState.OWED, detail="its bet is not settled yet")
        context = await self._context(movement, connection)
        call = WalletMove(
            player=await self._find_player(connection, movement),
            context=context,
            movement=wallet_movement(movement, connection),
        )
        reply = await self._call(connection, call, row)
        match reply:
            case WalletApplied():
                return Verdict(events=(_accepted(movement, applied_columns(movement, reply)),))
            case WalletRefused() if takes_stake(movement):
                return Verdict(events=await self._refused_debit(movement, reply), detail=reply.reason.value)
            case WalletRefused():
                changes = refused_columns(reply)
                held = Happening(
                    movement=movement.movement, event=Event.OWED_REFUSED, changes=changes, while_in=_SENT_AGAIN
                )
                return Verdict(events=(held,), state=DeliveryState.HELD, detail=reply.reason.value)
            case _ if connection.operator.policy.retry_safe or _never_left(reply):
                return Verdict(state=DeliveryState.OWED, detail=_detail(reply))
            case _:
                wait = connection.operator.policy.late_window_ms
                return Verdict(state=DeliveryState.OWED, task=DeliveryTask.ASK, due_in_ms=wait, detail=_detail(reply))

    async def _bets_of(self, movement: MovementRow) -> Sequence[MovementRow]:
        """What must stand for a payout to be sent: the bet that it settles, and the stakes of its own play."""
        if takes_stake(movement):
            return ()
        bet = await self._ledger.movement(movement.operator, movement.target) if movement.target else None
        stakes = [row for row in await play_of(self._ledger, movement) if takes_stake(row)]
        return [bet, *stakes] if bet is not None else stakes

    async def _is_being_undone(self, bet: MovementRow) -> bool:
        """Whether the wallet is asked just now to undo a bet for its provider: it may refuse, and the bet stands."""
        if bet.state is not MovementState.REVERSING or bet.undone_by is None:
            return False
        own = await self._ledger.movement(bet.operator, bet.undone_by)
        return own is not None and own.state is MovementState.INTENT

    async def _refused_debit(self, movement: MovementRow, reply: WalletRefused) -> tuple[Happening, ...]:
        """A bet that was sent again is refused: it is taken back, with what else its play has moved, or may have.

        What was sent before may arrive still, when the wallet has no reason to refuse it any more.
        """
        changes = refused_columns(reply)
        refused = Happening(movement=movement.movement, event=Event.TAKEN_BACK, changes=changes, while_in=_SENT_AGAIN)
        siblings = await play_of(self._ledger, movement)
        others = [row for row in siblings if row.movement != movement.movement and row.state in _UNDOABLE]
        return (refused, *(_taken_back(row) for row in others))

    async def _reverse(self, connection: Connection, row: DeliveryRow, movement: MovementRow) -> Verdict:
        if movement.state is not MovementState.REVERSING:
            return Verdict(detail=f"no longer owed: {movement.state.value}")
        own = await self._with_its_bet(movement)
        if own is not None and own.state is MovementState.INTENT:
            return Verdict(state=DeliveryState.OWED, detail=_UNDECIDED)
        if own is not None and own.state is MovementState.DECLINED:
            return _stands_with_its_bet(movement)
        final = connection.operator.policy.tombstones or movement.generation > 0
        return await self._roll_back(connection, row, movement, final=final)

    async def _with_its_bet(self, movement: MovementRow) -> MovementRow | None:
        """The provider's rollback of the bet with which a movement is undone, if it goes with one."""
        own = await self._ledger.movement(movement.operator, movement.undone_by) if movement.undone_by else None
        return own if own is not None and own.target != movement.movement else None

    async def _roll_back(
        self, connection: Connection, row: DeliveryRow, movement: MovementRow, *, final: bool
    ) -> Verdict:
        """Ask the wallet to undo a movement. `final` says whether "nothing to undo" can be believed for good."""
        call = WalletMove(
            player=await self._find_player(connection, movement),
            context=await self._context(movement, connection),
            movement=wallet_rollback(movement, connection),
        )
        reply = await self._call(connection, call, row, amount_is_open=is_decided(movement))
        alarms = contradiction(movement, reply, self._clock.now_ms())
        if alarms and not await self._is_first_rollback(row, movement):
            alarms = ()
        match reply:
            case WalletApplied(nothing_moved=True) if not final:
                return Verdict(
                    alarms=alarms,
                    state=DeliveryState.OWED,
                    task=DeliveryTask.ASK,
                    due_in_ms=connection.operator.policy.late_window_ms,
                    detail="nothing to undo yet; the original may still arrive",
                )
            case WalletApplied(balance=balance):
                return Verdict(events=(_undone(movement, balance_columns(balance)),), alarms=alarms)
            case WalletRefused() if is_waived(movement, reply, connection):
                waived = Happening(movement=movement.movement, event=Event.UNDO_WAIVED, while_in=_BEING_UNDONE)
                return Verdict(events=(waived,), detail="recorded without movement")
            case WalletRefused(reason=reason):
                changes = refused_columns(reply)
                held = Happening(
                    movement=movement.movement, event=Event.OWED_UNDO_REFUSED, changes=changes, while_in=_BEING_UNDONE
                )
                return Verdict(events=(held,), state=DeliveryState.HELD, task=DeliveryTask.REVERSE, detail=reason.value)
            case _:
                return Verdict(state=DeliveryState.OWED, detail=_detail(reply))

    async def _is_first_rollback(self, row: DeliveryRow, movement: MovementRow) -> bool:
        """Whether no rollback of a movement can have reached the wallet before this attempt, as far as is on record.

        One that its provider asked for may have been sent at once, unless it met the movement in flight: then its own
        row was owed from the beginning.
        """
        lost = row.version > _JUST_CLAIMED + 2 * row.attempts  # an attempt that was not written down
        if lost or (row.attempts and row.detail != _UNDECIDED) or movement.generation:
            return False
        if movement.undone_by is None:
            return True
        own = await self._ledger.movement(movement.operator, movement.undone_by)
        return own is not None and (own.version == 1 or own.target != movement.movement)

    async def _ask(self, connection: Connection, row: DeliveryRow, movement: MovementRow) -> Verdict:
        """Ask what became of a movement.

        A wallet that cannot be asked gets the rollback once more under the *same* id: another id could pay twice.
        """
        if movement.state not in {MovementState.REVERSING, MovementState.OWED}:
            return Verdict(detail=f"no longer owed: {movement.state.value}")
        reversing = movement.state is MovementState.REVERSING
        if reversing and await self._is_reversed_apart(row):
            return Verdict(detail="its rollback is owed apart")
        if WalletCapability.TRANSACTION_STATUS not in connection.operator.capabilities:
            if reversing:
                return await self._roll_back(connection, row, movement, final=True)
            held = Happening(movement=movement.movement, event=Event.OWED_REFUSED, while_in=_SENT_AGAIN)
            detail = "the wallet is not proven safe for retries and cannot be asked"
            return Verdict(events=(held,), state=DeliveryState.HELD, detail=detail)
        call = WalletStatus(player=await self._find_player(connection, movement), transaction=movement.movement)
        reply = await self._call(connection, call, row)
        if not isinstance(reply, WalletStatusReply):
            return Verdict(state=DeliveryState.OWED, detail=_detail(reply))
        match reply.state:
            case TransactionState.APPLIED if reversing:
                return Verdict(events=(_next_generation(movement),), detail="it had arrived late")
            case TransactionState.APPLIED:
                return Verdict(events=(_accepted(movement, {"effect": AppliedEffect.MOVED.value}),))
            case TransactionState.ROLLED_BACK | TransactionState.NOT_FOUND if reversing:
                return Verdict(events=(_undone(movement, {}),))
            case TransactionState.NOT_FOUND:
                late = row.created_at + connection.operator.policy.late_window_ms - self._clock.now_ms()
                if late > 0:
                    return Verdict(state=DeliveryState.OWED, due_in_ms=late, detail="it may still arrive")
                return Verdict(state=DeliveryState.OWED, task=DeliveryTask.SEND, due_in_ms=0, detail="not there")
            case _:
                held = Happening(movement=movement.movement, event=Event.OWED_REFUSED, while_in=_SENT_AGAIN)
                return Verdict(events=(held,), state=DeliveryState.HELD, detail=ROLLED_BACK_THERE)

    async def _is_reversed_apart(self, row: DeliveryRow) -> bool:
        """Whether a later delivery brings the movement's rollback to the wallet.

        Then this one asks for a movement that was to be sent: that the wallet does not know it yet undoes nothing.
        """
        others = await self._ledger.deliveries_of(row.operator, row.movement)
        later = (other for other in others if other.sequence > row.sequence)
        return any(other.task is DeliveryTask.REVERSE and other.state is DeliveryState.OWED for other in later)

    async def _call(
        self, connection: Connection, call: WalletCall, row: DeliveryRow, *, amount_is_open: bool = False
    ) -> WalletReply:
        left = row.lease_until - self._clock.now_ms() - self._lease_ms // 4  # the rest is for writing it down
        longest = min(connection.operator.policy.timeout_ms, left)
        deadline = self._clock.monotonic() + longest / 1000
        reply = await self._channel.call(
            connection.operator, call, deadline=deadline, trace=row.delivery, amount_is_open=amount_is_open
        )
        if not isinstance(reply, WalletUnknown):
            self._channel.retries(connection.operator).retry_answered()
        return reply

    async def _context(self, movement: MovementRow, connection: Connection) -> PlayContext:
        stored = await self._ledger.round(movement.operator, movement.round) if movement.round else None
        provider_round = stored.provider_round if stored else ""
        closed = stored is not None and stored.state is RoundState.CLOSED
        return context_of(movement, connection, provider_round, round_closed=closed)


ROLLED_BACK_THERE: Final = "the wallet rolled it back"
"""Why work is held: asked what became of a movement, the wallet said that it took it back."""

BET_STANDS: Final = "its bet stands"
"""Why work is held: the movement was to be undone with its bet, and the wallet has refused to undo that."""

_FAILED: Final = frozenset(
    {MovementState.DECLINED, MovementState.REVERSED, MovementState.REVERSING, MovementState.TOMBSTONED}
)
_UNSETTLED: Final = IN_FLIGHT | {MovementState.OWED}
_UNDOABLE: Final = frozenset({MovementState.APPLIED, MovementState.OWED})
_SENT_AGAIN: Final = frozenset({MovementState.OWED})
"""What was refused when it was sent again matters only while it is owed: in no round, a rollback overtakes it."""
_BEING_UNDONE: Final = frozenset({MovementState.REVERSING})
"""What a rollback came to matters only while it is owed: another process may have taken it over."""
_JUST_CLAIMED: Final = 2
"""The version of a delivery that was written down, and claimed for the first time."""
_UNDECIDED: Final = "the rollback of its bet is not decided yet"
"""Why an attempt has sent nothing: while it is so, the movement may come to stand again."""


def derives_end(connection: Connection, movement: MovementRow) -> bool:
    """Whether what was open in the movement's round may have been this: where the hub derives a round's end."""
    return movement.round is not None and connection.policies.of(movement.operation).round_end is RoundEnd.SETTLED


def _detail(reply: WalletReply) -> str:
    return reply.detail if isinstance(reply, WalletUnknown) else "an answer to another question"


def _has_failed(bet: MovementRow, win: MovementRow) -> bool:
    """Whether a win cannot be paid for this bet: the one that it settles, or a stake of its play that the hub undid."""
    return bet.state in _FAILED and (bet.movement == win.target or bet.undone_by is None)


def _never_left(reply: WalletReply) -> bool:
    return isinstance(reply, WalletUnknown) and not reply.sent


def _taken_back(movement: MovementRow) -> Happening:
    return Happening(movement=movement.movement, event=Event.TAKEN_BACK, while_in=_UNDOABLE)


def _accepted(movement: MovementRow, changes: Mapping[str, Any]) -> Happening:
    return Happening(movement=movement.movement, event=Event.ACCEPTED, changes=changes, while_in=UNHELD)


def _undone(movement: MovementRow, changes: Mapping[str, Any]) -> Happening:
    return Happening(movement=movement.movement, event=Event.UNDONE, changes=changes, while_in=UNHELD)


def _stands_with_its_bet(movement: MovementRow) -> Verdict:
    """The wallet has refused to undo the bet: its win stands too, or must be looked for if it was never answered."""
    if movement.effect is not None:
        stands = Happening(movement=movement.movement, event=Event.UNDO_REFUSED, while_in=_BEING_UNDONE)
        return Verdict(events=(stands,), detail=BET_STANDS)
    changes = {"undone_by": None}
    held = Happening(movement=movement.movement, event=Event.OWED_UNDO_REFUSED, changes=changes, while_in=_BEING_UNDONE)
    return Verdict(events=(held,), state=DeliveryState.HELD, task=DeliveryTask.SEND, detail=BET_STANDS)


def _next_generation(movement: MovementRow) -> Happening:
    changes = {"generation": movement.generation + 1}
    return Happening(movement=movement.movement, event=Event.LOST_REVERSE, changes=changes, while_in=_BEING_UNDONE)
