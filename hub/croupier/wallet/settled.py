"""Whether a round is settled: what the hub derives its end from, where its provider says nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from croupier.contract import Direction, MovementKind
from croupier.ledger.records import MovementRow, MovementState
from croupier.wallet.rows import is_bet, names_its_bet

_PAYS_ALL: Final = frozenset({MovementKind.WIN.value, MovementKind.FREE_WIN.value, MovementKind.TRANSFER_IN.value})
"""Kinds that pay the bets of their round, where they name none."""

_GONE: Final = frozenset({MovementState.DECLINED, MovementState.REVERSED, MovementState.TOMBSTONED})


def is_settled(rows: Sequence[MovementRow]) -> bool:
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
