"""Sends what a plan has begun, and settles what came of it.

One movement goes alone. Several go as one atomic batch where the wallet has it; else debits go first, a failure before
the last debit takes the earlier ones back, and after the last debit the credits are owed, never taken back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final

from croupier.contract import (
    Balance,
    Policy,
    WalletApplied,
    WalletBatch,
    WalletCapability,
    WalletMove,
    WalletPlayer,
    WalletRefused,
    WalletReply,
    WalletUnknown,
)
from croupier.contract.values import immutable
from croupier.ledger.port import Snapshot
from croupier.ledger.records import Event as LedgerEvent
from croupier.ledger.records import MovementRow, MovementState
from croupier.wallet.alarms import contradiction
from croupier.wallet.channel import Channel
from croupier.wallet.machine import IN_FLIGHT, UNANSWERED, UNHELD, Answer, Event, Shape
from croupier.wallet.parties import Connection
from croupier.wallet.ports import Clock
from croupier.wallet.rows import shape_of, takes_stake
from croupier.wallet.settle import Happening, Settler
from croupier.wallet.wire import (
    applied_columns,
    balance_columns,
    cancelled_columns,
    context_of,
    is_decided,
    is_waived,
    not_sent_columns,
    refused_columns,
    wallet_movement,
    wallet_rollback,
)

_UNDER_WAY: Final = frozenset({MovementState.REVERSING})
"""The state of a movement that is being undone."""


@immutable(kw_only=True)
class Errand:
    """What it takes to send a play's movements.

    Attributes:
        connection: The connection.
        policy: The operation's policy.
        player: Whose wallet.
        provider_round: The provider's round id.
        closes_round: Whether the round ends with the play.
        derives_end: Whether it ends if what became of the play has settled it.
        takes_only: Whether the play does nothing but take bets: it settles nothing, unless one of them is refused.
        deadline: `Clock.monotonic` value by which the provider must be answered.
        trace: The request's trace.
        known: The ledger's rows as they were just written, those of the whole round if they were read.
    """

    connection: Connection
    policy: Policy
    player: WalletPlayer
    provider_round: str
    closes_round: bool
    derives_end: bool
    takes_only: bool
    deadline: float
    trace: str
    known: Snapshot


@immutable(kw_only=True)
class Sent:
    """What came of it.

    Attributes:
        rows: The movements as they stand now, by id.
        balance: The balance after it, where the wallet told it.
        answer: What the provider is told where nothing definite is known.
    """

    rows: Mapping[str, MovementRow]
    balance: Balance | None = None
    answer: Answer = Answer.RETRY


class Sender:
    """Sends to wallets by plan."""

    def __init__(self, channel: Channel, settler: Settler, clock: Clock) -> None:
        """`channel` calls the wallet, `settler` writes what came of it."""
        self._channel = channel
        self._clock = clock
        self._settler = settler

    def send(self, errand: Errand, rows: Sequence[MovementRow]) -> Awaitable[Sent]:
        """Send new movements of one play, in order, and settle them."""
        if len(rows) == 1:
            return self._one(errand, rows[0])
        if WalletCapability.ATOMIC_BATCH in errand.connection.operator.capabilities:
            return self._batch(errand, rows)
        return self._in_turn(errand, rows)

    async def undo(self, errand: Errand, own: MovementRow, target: MovementRow) -> Sent:
        """Undo an applied movement for the provider's rollback `own`, and settle both."""
        movement = wallet_rollback(target, errand.connection)
        context = context_of(target, errand.connection, errand.provider_round, round_closed=errand.closes_round)
        call = WalletMove(player=errand.player, context=context, movement=movement)
        reply = await self._call(errand, call, amount_is_open=is_decided(target))
        answer, alarms = Answer.RETRY, contradiction(target, reply, self._clock.now_ms())
        match reply:
            case WalletApplied(balance=balance):
                changes = balance_columns(balance)
                happenings = [Happening(movement=target.movement, event=Event.UNDONE, changes=changes, while_in=UNHELD)]
            case WalletRefused():
                waived = is_waived(target, reply, errand.connection)
                event = Event.UNDO_WAIVED if waived else Event.UNDO_REFUSED
                changes = refused_columns(reply)
                happenings = [Happening(movement=target.movement, event=event, changes=changes, while_in=_UNDER_WAY)]
            case _:
                event, answer = self._unanswered(errand, Shape.ROLLBACK)
                happenings = [
                    Happening(movement=target.movement, event=Event.LOST_REVERSE, while_in=_UNDER_WAY),
                    Happening(movement=own.movement, event=event, while_in=IN_FLIGHT),
                ]
        rows = await self._settle(errand, happenings, ended_by=own.movement, alarms=alarms)
        return Sent(rows=rows, balance=_balance(reply), answer=answer)

    async def _one(self, errand: Errand, row: MovementRow) -> Sent:
        reply = await self._move(errand, row, last=True)
        event, answer = self._unanswered(errand, shape_of([row]))
        rows = await self._settle(errand, [_happening(row, reply, event)])
        return Sent(rows=rows, balance=_balance(reply), answer=answer)

    async def _batch(self, errand: Errand, rows: Sequence[MovementRow]) -> Sent:
        context = context_of(rows[0], errand.connection, errand.provider_round, round_closed=errand.closes_round)
        movements = tuple(wallet_movement(row, errand.connection) for row in rows)
        call = WalletBatch(player=errand.player, context=context, batch=rows[0].play, movements=movements)
        reply = await self._call(errand, call)
        mixed = any(takes_stake(row) for row in rows)
        event, answer = self._unanswered(errand, shape_of(rows))
        stakes_first = sorted(rows, key=lambda row: not takes_stake(row))
        happenings = [_happening(row, reply, event, owed=not mixed) for row in stakes_first]
        settled = await self._settle(errand, happenings)
        return Sent(rows=settled, balance=_balance(reply), answer=_told(settled, answer))

    async def _in_turn(self, errand: Errand, rows: Sequence[MovementRow]) -> Sent:
        debits = [row for row in rows if takes_stake(row)]
        payouts = [row for row in rows if not takes_stake(row)]
        if not debits:
            return await self._payouts(errand, payouts, Sent(rows={}))
        sent, stands = await self._debits(errand, debits, payouts)
        return await self._payouts(errand, payouts, sent) if stands else sent

    async def _payouts(self, errand: Errand, payouts: Sequence[MovementRow], sent: Sent) -> Sent:
        """Send the credits after what was `sent`; once something of the play may stand, all of them are owed."""
        settled, balance, answer = dict(sent.rows), sent.balance, sent.answer
        for place, row in enumerate(payouts):
            last = row is payouts[-1]
            reply = await self._move(errand, row, last=last)
            event, answer = self._unanswered(errand, Shape.WIN)
            balance = _balance(reply) or balance
            if isinstance(reply, WalletRefused) and not settled:
                happenings = [_happening(row, reply, event), *(_given_up(later) for later in payouts[place + 1 :])]
                return Sent(rows=await self._settle(errand, happenings), balance=balance, answer=answer)
            happening = (
                _refused(row, refused_columns(reply), Event.OWED_REFUSED)
                if isinstance(reply, WalletRefused)
                else _happening(row, reply, event)
            )
            settled |= await self._settle(errand, [happening], fresh=True, last=last)
        return Sent(rows=settled, balance=balance, answer=answer)

    async def _debits(
        self, errand: Errand, debits: Sequence[MovementRow], payouts: Sequence[MovementRow]
    ) -> tuple[Sent, bool]:
        """Send the debits; if one fails, nothing of the play stands."""
        replies: list[WalletReply] = []
        for row in debits:
            replies.append(await self._move(errand, row, last=False))
            if not isinstance(replies[-1], WalletApplied):
                break
        last, balance = replies[-1], _balance(replies[-1])
        if isinstance(last, WalletApplied):
            accepted = [_happening(row, reply, Event.ACCEPTED) for row, reply in zip(debits, replies, strict=True)]
            rows = await self._settle(errand, accepted, last=not payouts)
            if all(row.state is MovementState.APPLIED for row in rows.values()):
                return Sent(rows=rows, balance=balance), True
            if payouts:
                rows = {**rows, **await self._settle(errand, [_given_up(row) for row in payouts], fresh=True)}
            return Sent(rows=rows, balance=balance, answer=Answer.FAILED), False
        event, answer = self._unanswered(errand, Shape.BET_AND_WIN)
        failed = len(replies) - 1
        definite = isinstance(last, WalletRefused) or (isinstance(last, WalletUnknown) and not last.sent)
        answer = Answer.FAILED if definite else answer
        resend = event is Event.LOST_RESEND and isinstance(last, WalletUnknown) and last.sent
        happenings = []
        for place, row in enumerate((*debits, *payouts)):
            if place == failed:
                happenings.append(_happening(row, last, event))
            elif place < failed:
                took = _happening(row, replies[place], event)
                undone = Happening(movement=row.movement, event=Event.TAKEN_BACK, while_in=IN_FLIGHT)
                happenings.append(took if resend else undone)
            elif resend:
                happenings.append(Happening(movement=row.movement, event=Event.LOST_RESEND, while_in=IN_FLIGHT))
            else:
                happenings.append(_given_up(row))
        rows = await self._settle(errand, happenings)
        return Sent(rows=rows, balance=balance, answer=_told(rows, answer)), False

    def _move(self, errand: Errand, row: MovementRow, *, last: bool) -> Awaitable[WalletReply]:
        closed = errand.closes_round and last
        context = context_of(row, errand.connection, errand.provider_round, round_closed=closed)
        movement = wallet_movement(row, errand.connection)
        return self._call(errand, WalletMove(player=errand.player, context=context, movement=movement))

    def _call(
        self, errand: Errand, call: WalletMove | WalletBatch, *, amount_is_open: bool = False
    ) -> Awaitable[WalletReply]:
        return self._channel.call(
            errand.connection.operator,
            call,
            deadline=errand.deadline,
            trace=errand.trace,
            amount_is_open=amount_is_open,
        )

    def _settle(
        self,
        errand: Errand,
        happenings: Sequence[Happening],
        *,
        fresh: bool = False,
        last: bool = True,
        ended_by: str | None = None,
        alarms: Sequence[LedgerEvent] = (),
    ) -> Awaitable[Mapping[str, MovementRow]]:
        """Settle some of a play, or with the `last` of it also the end of its round."""
        settles = not errand.takes_only or any(item.event is Event.REFUSED for item in happenings)
        return self._settler.settle(
            errand.connection.operator.id,
            happenings,
            known=None if fresh else errand.known,
            closes_round=errand.closes_round and last,
            ended_by=ended_by,
            derives_end=errand.derives_end and last and settles,
            alarms=alarms,
        )

    @staticmethod
    def _unanswered(errand: Errand, shape: Shape) -> tuple[Event, Answer]:
        return UNANSWERED[shape, errand.policy.on_silence, errand.connection.operator.policy.retry_safe]


def _happening(row: MovementRow, reply: WalletReply, unanswered: Event, *, owed: bool = True) -> Happening:
    """What a reply means for one movement. `owed` says whether a credit that never left is owed all the same."""
    match reply:
        case WalletApplied():
            changes = applied_columns(row, reply)
            return Happening(movement=row.movement, event=Event.ACCEPTED, changes=changes, while_in=UNHELD)
        case WalletRefused():
            return _refused(row, refused_columns(reply))
        case WalletUnknown(sent=False) if takes_stake(row) or not owed:
            return _refused(row, not_sent_columns())
        case _:
            return Happening(movement=row.movement, event=unanswered, while_in=IN_FLIGHT)


def _refused(row: MovementRow, changes: Mapping[str, Any], event: Event = Event.REFUSED) -> Happening:
    """A movement that did not take place here. Whoever has taken it over may have sent it: then that decides."""
    return Happening(movement=row.movement, event=event, changes=changes, while_in=IN_FLIGHT)


def _given_up(row: MovementRow) -> Happening:
    """A movement that was not sent, because its play has failed before."""
    return _refused(row, cancelled_columns())


def _told(rows: Mapping[str, MovementRow], answer: Answer) -> Answer:
    """The answer of a play that is all or none: if one of it was rolled back meanwhile, the hub takes back the rest."""
    return Answer.FAILED if any(row.undone_by is not None for row in rows.values()) else answer


def _balance(reply: WalletReply) -> Balance | None:
    return reply.balance if isinstance(reply, WalletApplied | WalletRefused) else None
