"""Pragmatic Play simulated: its logs, as CSV with a time point."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from attrs import define, field

from croupier.contract.calls import MovementKind
from croupier.contract.peer import PeerCloseRound, PeerPlay, PeerPlayer
from croupier.contract.times import epoch_ms
from croupier_pragmatic.feeds import ROUND_COLUMNS, TRANSACTION_COLUMNS, TRANSACTIONS

WINDOW_MS: Final = 600_000
"""One page covers ten minutes at most."""

_LETTERS: Final[Mapping[MovementKind, str]] = {
    MovementKind.BET: "B",
    MovementKind.FREE_BET: "B",
    MovementKind.ROLLBACK: "R",
}
_ROUND_FEEDS: Final[Mapping[str, frozenset[str]]] = {
    "gamerounds": frozenset("ICF"),
    "gamerounds/finished": frozenset("CF"),
    "gamerounds/incomplete": frozenset("I"),
}


DATE_FORMAT: Final = "%Y-%m-%d %H:%M:%S"


@define(kw_only=True)
class _Transaction:
    player: PeerPlayer
    round: str
    kind: MovementKind
    reference: str
    amount: Decimal
    at: datetime
    grant: str | None

    def row(self) -> list[str]:
        letter = _LETTERS.get(self.kind, "W")
        who = self.player
        at = self.at.strftime(DATE_FORMAT)
        return ["1", who.player, who.game, self.round, at, self.reference, letter, f"{self.amount:f}", who.currency]


@define(kw_only=True)
class _Round:
    player: PeerPlayer
    round: str
    started: datetime
    touched: datetime
    bets: dict[str, Decimal] = field(factory=dict)
    win: Decimal = Decimal(0)
    jackpot: Decimal = Decimal(0)
    free: bool = False
    ended: bool = False

    @property
    def status(self) -> str:
        if self.ended:
            return "C"
        return "I" if self.bets or self.win else "F"

    def row(self) -> list[str]:
        who, status = self.player, self.status
        return [
            "1",
            who.player,
            who.game,
            self.round,
            "null",
            self.started.strftime(DATE_FORMAT),
            "null" if status == "I" else self.touched.strftime(DATE_FORMAT),
            status,
            "F" if self.free else "R",
            f"{sum(self.bets.values(), Decimal('0.00')):f}",
            f"{self.win:f}",
            who.currency,
            f"{self.jackpot:f}",
        ]


class Feeds:
    """What was booked, and the pages that show it."""

    def __init__(self) -> None:
        self._transactions: list[_Transaction] = []
        self._rounds: dict[tuple[str, str], _Round] = {}

    def record(self, action: PeerPlay | PeerCloseRound, at: datetime) -> None:
        """Book a play or the end of a round."""
        game_round = self._rounds.setdefault(
            (action.player.player, action.round),
            _Round(player=action.player, round=action.round, started=at, touched=at),
        )
        game_round.touched = at
        if isinstance(action, PeerCloseRound):
            game_round.ended = True
            return
        for move in action.moves:
            reference = move.target or move.id if move.kind is MovementKind.ROLLBACK else move.id
            amount = move.amount
            match move.kind:
                case MovementKind.BET | MovementKind.FREE_BET:
                    amount = Decimal(0) if move.kind is MovementKind.FREE_BET else amount
                    game_round.bets[reference] = amount
                    game_round.free = move.kind is MovementKind.FREE_BET
                case MovementKind.ROLLBACK:
                    amount = game_round.bets.pop(reference, Decimal(0))
                case MovementKind.JACKPOT_WIN:
                    game_round.jackpot += amount
                case _:
                    game_round.win += amount
            self._transactions.append(
                _Transaction(
                    player=action.player,
                    round=action.round,
                    kind=move.kind,
                    reference=reference,
                    amount=amount,
                    at=at,
                    grant=action.grant,
                )
            )

    def page(self, name: str, point: int, now: datetime) -> str:
        """One page of a feed: what happened from a time point on, within the window.

        Raises:
            ValueError: There is no such feed.
        """
        until = min(point + WINDOW_MS, epoch_ms(now))
        if name == TRANSACTIONS:
            shown = [item.row() for item in self._transactions if point <= epoch_ms(item.at) < until]
            return _csv(max(until, point), TRANSACTION_COLUMNS, shown)
        if name not in _ROUND_FEEDS:
            raise ValueError(name)
        found = [item for item in self._rounds.values() if point <= epoch_ms(item.touched) < until]
        rows = [item.row() for item in found if item.status in _ROUND_FEEDS[name]]
        return _csv(max(until, point), ROUND_COLUMNS, rows)

    def free_bets(self, grant: str) -> int:
        """How many rounds of a grant were played."""
        return sum(item.grant == grant and item.kind is MovementKind.FREE_BET for item in self._transactions)


def _csv(point: int, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    text.write(f"timepoint={point}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
