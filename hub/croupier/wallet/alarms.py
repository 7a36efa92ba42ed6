"""Alarms: events that a person should look at. They are written with what they are about, and move no money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from croupier.contract import AppliedEffect, WalletApplied, WalletReply
from croupier.ledger.records import Event, MovementRow, changed
from croupier.wallet.rows import movement_event

Alarm = Callable[[str, Event], None]
"""Told an operator's id and an event, once that is durable."""

LATE: Final = "delivery.late"
"""Work has been owed for so long that a person should know."""

CONTRADICTED: Final = "movement.contradicted"
"""A wallet had accepted a movement and then knew nothing to undo: its book and the hub's may differ."""


OVERDUE: Final = "round.overdue"
"""A round has been open for longer than its operator wants."""


CASE: Final = "case.opened"
"""A comparison with another book has found a difference that nobody has settled."""


def unheard(_operator: str, _event: Event) -> None:
    """Tell nobody: the event stands in the ledger."""


def contradiction(target: MovementRow, reply: WalletReply, now: int) -> Sequence[Event]:
    """The alarm if a wallet knows nothing to undo of a movement that it had accepted; else nothing.

    That a rollback moves nothing is its final success, and the rule where the movement was never answered.

    Args:
        target: The movement that was to be undone, as it was before.
        reply: The answer to its first rollback; a later one may find it undone already.
        now: UTC milliseconds.
    """
    accepted = target.effect == AppliedEffect.MOVED.value and target.amount > 0
    if not accepted or not isinstance(reply, WalletApplied) or not reply.nothing_moved:
        return ()
    return (changed(movement_event(target), kind=CONTRADICTED, at=now),)
