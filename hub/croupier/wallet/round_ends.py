"""Ends rounds: because a provider says so, or because nothing in them is open any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from croupier.contract import Direction, MovementKind, Play, Policy, RoundEnd, StoreUnavailableError
from croupier.ledger.port import Committed, Ledger, Look
from croupier.ledger.records import MovementRow, MovementState, RoundState
from croupier.wallet.draft import Draft
from croupier.wallet.machine import LIVE
from croupier.wallet.ports import Clock
from croupier.wallet.settle import MAX_TRIES

_ONLY_BETS: Final = frozenset({MovementKind.BET, MovementKind.FREE_BET})
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
    return not applied or not all(item.kind in _ONLY_BETS for item in play.movements)


def _every_bet_is_settled(rows: Sequence[MovementRow]) -> bool:
    """Whether every bet is gone or paid; a win that names no bet pays all bets of its round that came before it."""
    settled = {row.target for row in rows if row.direction == Direction.CREDIT.value and row.state in LIVE}
    for row in reversed(rows):
        if row.target is None and row.kind in _PAYS_ALL and row.state in LIVE:
            return True
        if row.direction == Direction.DEBIT.value and row.state not in _GONE and row.movement not in settled:
            return False
    return True
