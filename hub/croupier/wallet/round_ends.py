"""Ends rounds: because a provider says so, or because nothing in them is open any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from croupier.contract import Direction, MovementKind, Play, Policy, RoundEnd, StoreUnavailableError
from croupier.ledger.port import Committed, Ledger, Look
from croupier.ledger.records import MovementRow, MovementState, RoundState
from croupier.wallet.draft import Draft
from croupier.wallet.intended import TAKING
from croupier.wallet.ports import Clock
from croupier.wallet.rows import is_bet, names_its_bet
from croupier.wallet.settle import MAX_TRIES

_SETTLES_NOTHING: Final = TAKING - {MovementKind.BET_AND_WIN}
"""A play of these alone settles nothing, if it is applied."""

_PAYS_ALL: Final = frozenset({MovementKind.WIN.value, MovementKind.FREE_WIN.value, MovementKind.TRANSFER_IN.value})
"""Kinds that pay the bets of their round, where they name none."""

_GONE: Final = frozenset({MovementState.DECLINED, MovementState.REVERSED, MovementState.TOMBSTONED})


class RoundEnds:
    """Ends rounds in the ledger.

    Args:
        ledger: The durable record.
        clock: Time.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def end(self, operator: str, round_id: str, *, only_if_settled: bool = False) -> bool:
        """Close a round; `False` if there is no such round.

        Args:
            operator: The operator.
            round_id: The hub's round id.
            only_if_settled: Whether it is left open while one of its bets is neither paid nor taken back.

        Raises:
            StoreUnavailableError: It could not be made durable.
        """
        for _try in range(MAX_TRIES):
            look = Look(operator=operator, round=round_id, round_movements=only_if_settled)
            snapshot = await self._ledger.look(look)
            if snapshot.round is None:
                return False
            if snapshot.round.state is RoundState.CLOSED:
                return True
            if only_if_settled and not _every_bet_is_settled(snapshot.round_movements):
                return True
            change = Draft(operator, self._clock.now_ms()).change(snapshot.round, stored=True, closes=True)
            if isinstance(await self._ledger.commit(change), Committed):
                return True
        raise StoreUnavailableError("other writers came first too often")


def closes(play: Play, policy: Policy) -> bool:
    """Whether a round ends with a play, whatever else is in it."""
    return play.closes_round or policy.round_end is RoundEnd.TRANSACTION


def may_settle(play: Play, policy: Policy, *, applied: bool) -> bool:
    """Whether a round may be settled by what became of a play, where the hub derives that.

    A bet that was taken is open. One that was refused may have been all that was.
    """
    if policy.round_end is not RoundEnd.SETTLED:
        return False
    return not applied or not all(item.kind in _SETTLES_NOTHING for item in play.movements)


def _every_bet_is_settled(rows: Sequence[MovementRow]) -> bool:
    """Whether every bet is gone or paid; what is still in flight has paid nothing.

    A win that names no bet pays those of its own play, and all bets of its round that came before it.
    """
    credits_ = [row for row in rows if row.direction == Direction.CREDIT.value and row.state is MovementState.APPLIED]
    paid = {row.target for row in credits_}
    for_all = [row for row in credits_ if row.kind in _PAYS_ALL and not names_its_bet(row)]
    plays = {row.play for row in for_all}
    last = for_all[-1] if for_all else None
    for row in reversed(rows):
        if row is last:
            return True
        if _is_open(row) and row.movement not in paid and row.play not in plays:
            return False
    return True


def _is_open(row: MovementRow) -> bool:
    """Whether a bet waits for its win. One that moved net of its win waits for nothing once it is applied."""
    done = row.state is MovementState.APPLIED and "win_amount" in row.fingerprint
    return is_bet(row) and row.state not in _GONE and not done
