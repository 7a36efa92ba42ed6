"""Ends rounds: because a provider says so, or because nothing in them is open any more."""

from __future__ import annotations

from typing import Final

from croupier.contract import MovementKind, Play, Policy, RoundEnd, StoreUnavailableError
from croupier.ledger.port import Committed, Ledger, Look
from croupier.ledger.records import RoundState
from croupier.wallet.draft import Draft
from croupier.wallet.intended import TAKING
from croupier.wallet.ports import Clock
from croupier.wallet.settle import MAX_TRIES
from croupier.wallet.settled import is_settled

_SETTLES_NOTHING: Final = TAKING - {MovementKind.BET_AND_WIN}
"""A play of these alone settles nothing, if it is applied."""


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
            if only_if_settled and not is_settled(snapshot.round_movements):
                return True
            change = Draft(operator, self._clock.now_ms()).change(snapshot.round, stored=True, closes=True)
            if isinstance(await self._ledger.commit(change), Committed):
                return True
        raise StoreUnavailableError("other writers came first too often")


def closes(play: Play, policy: Policy) -> bool:
    """Whether a round ends with a play, whatever else is in it."""
    return play.closes_round or policy.round_end is RoundEnd.TRANSACTION


def takes_only(play: Play) -> bool:
    """Whether a play does nothing but take bets: what was taken is open; what was refused may have been all."""
    return all(item.kind in _SETTLES_NOTHING for item in play.movements)
