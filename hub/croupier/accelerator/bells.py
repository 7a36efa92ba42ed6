"""Bells across processes: who waits for a movement asks the others, and the one that settles it rings back.

A movement that nobody waits for elsewhere is told nobody, so that most bets cost nothing here.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from croupier.accelerator.news import News
from croupier.wallet.ports import Clock
from croupier.wallet.watch import Bell

ASKED: Final = "asked"
"""The news that somebody waits for a movement: its id."""

RANG: Final = "rang"
"""The news that a movement changed: its id."""

OWED: Final = "owed"
"""The news that there is more work that is owed."""

_OWED_SECONDS: Final = 0.1
"""How often others are told of owed work at most: each time all of them look for it."""


@define(eq=False)
class NewsBells:
    """`croupier.wallet.watch.Elsewhere` by news.

    Attributes:
        news: The way to the other processes.
        clock: Time.
    """

    news: News
    clock: Clock
    _owed_at: float = float("-inf")

    def ask(self, movement: str) -> None:
        """Ask the others to ring when a movement changes."""
        self.news.tell(ASKED, movement)

    def ring(self, movement: str) -> None:
        """Tell the others that a movement changed that one of them asked about."""
        self.news.tell(RANG, movement)

    def owed(self) -> None:
        """Tell the others that there is more work than before."""
        now = self.clock.monotonic()
        if now - self._owed_at >= _OWED_SECONDS:
            self._owed_at = now
            self.news.tell(OWED)

    def answer_with(self, bell: Bell) -> None:
        """Let a bell hear what others ask and tell."""
        self.news.on(ASKED, bell.asked)
        self.news.on(RANG, bell.heard)
