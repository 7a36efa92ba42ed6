"""Whether a bet is new is mostly plain: it comes once, in a round of its own. Then it need not be read about first.

A guess decides nothing. What it saves is a reading; whether a key or a round is there already is judged by the ledger
when the intent is written, and a wrong guess costs one refused writing.
"""

from __future__ import annotations

from typing import Final

from croupier.contract import MovementKind, Play
from croupier.ledger.port import Snapshot
from croupier.wallet.intended import BETS
from croupier.wallet.parties import Connection

NOTHING: Final = Snapshot()
"""What the ledger is guessed to know of a new bet and its round."""

_DOUBT: Final = 4
"""So many wrong guesses more than right ones, and a connection's plays are read about first."""

_MOST: Final = 8


class Guesses:
    """How well guessing goes, by connection: games with many bets in a round are not worth it."""

    def __init__(self) -> None:
        self._doubts: dict[str, int] = {}

    def worth(self, connection: Connection) -> bool:
        """Whether to begin this connection's new bets without a reading."""
        return self._doubts.get(connection.id, 0) < _DOUBT

    def wrong(self, connection: Connection) -> None:
        """The ledger knew the bet or its round."""
        self._doubts[connection.id] = min(self._doubts.get(connection.id, 0) + 1, _MOST)

    def right(self, connection: Connection) -> None:
        """It did not, or a reading showed that it would not have."""
        doubts = self._doubts.get(connection.id, 0)
        if doubts:
            self._doubts[connection.id] = doubts - 1


def may_be_new(play: Play) -> bool:
    """Whether everything that decides a play is in its own keys and round: bets, and wins of these bets alone."""
    if play.resend or play.round is None or play.movements[0].kind not in BETS:
        return False
    for movement in play.movements:
        if movement.kind is MovementKind.ROLLBACK or movement.resend_of is not None:
            return False
        target = movement.target
        if target is not None and not any(target.key in other.keys for other in play.movements):
            return False
    return True
