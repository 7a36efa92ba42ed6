"""How many retries one operator's wallet gets, in relation to what it answers.

A wallet that comes back from an outage finds a backlog waiting, and would fall over again if all of it came at once.
So a retry needs a part of what the wallet has answered of late; retries that succeed earn more of them, so that a
healthy wallet's backlog drains ever faster, and one that answers nothing is asked about once a second.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

from croupier.wallet.ports import Clock

MOST: Final = 100.0
"""The most retries that can be saved up; a hub begins with them."""

FOR_AN_ANSWER: Final = 0.1
"""What an answered call earns: retries stay below a tenth of the load."""

FOR_A_RETRY: Final = 2.0
"""What an answered retry earns besides: one more than it cost."""

A_SECOND: Final = 1.0
"""What passing time earns: somebody must ask whether the wallet is back."""


@define
class RetryBudget:
    """One operator's budget.

    Attributes:
        clock: For what passing time earns.
        saved: Retries that may be made now.
        since: Until when time was counted, by `clock.monotonic`.
    """

    clock: Clock
    saved: float = MOST
    since: float = field(init=False)

    @since.default
    def _now(self) -> float:
        return self.clock.monotonic()

    def answered(self) -> None:
        """The wallet gave a definite answer to some call."""
        self._earn(FOR_AN_ANSWER)

    def retry_answered(self) -> None:
        """That call was a retry."""
        self._earn(FOR_A_RETRY)

    def take(self) -> bool:
        """Take a retry, if there is one."""
        now = self.clock.monotonic()
        self._earn((now - self.since) * A_SECOND)
        self.since = now
        if self.saved < 1.0:
            return False
        self.saved -= 1.0
        return True

    def _earn(self, much: float) -> None:
        self.saved = min(self.saved + much, MOST)
