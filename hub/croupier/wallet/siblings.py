"""The movements of one play: what is all or none stays together, also when its process is gone."""

from __future__ import annotations

from typing import Final

from croupier.ledger.port import Ledger, Look, MovementFilter, Page
from croupier.ledger.records import MovementRow
from croupier.wallet.rows import takes_stake

_AT_ONCE: Final = 1000
"""More movements than a player has begun in one millisecond."""


async def play_of(ledger: Ledger, row: MovementRow) -> tuple[MovementRow, ...]:
    """Every movement that began with this one, itself included; stakes before payouts, each in the play's order."""
    if row.round is not None:
        look = Look(operator=row.operator, round=row.round, round_movements=True)
        found = (await ledger.look(look)).round_movements
    else:
        same_time = MovementFilter(player=row.player, since=row.created_at, until=row.created_at + 1)
        found = tuple(await ledger.movements(row.operator, same_time, Page(limit=_AT_ONCE)))
    together = (item for item in found if item.play == row.play)
    return tuple(sorted(together, key=lambda item: (not takes_stake(item), item.ordinal)))
