"""Spares players and the hub the wait for a wallet that does not answer: bets fail at once, before they are sent.

Wins and rollbacks are never stopped here: they are owed, and the calendar spaces them. Every definite answer, to
whatever call, closes the breaker.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from croupier.contract import (
    WalletBatch,
    WalletCall,
    WalletMove,
    WalletOperation,
    WalletPolicy,
    WalletReply,
    WalletUnknown,
)
from croupier.wallet.ports import Clock

LONGEST: Final = 8
"""The pause doubles with each failed probe, at most to so many times the first one."""


@define
class Breaker:
    """What one operator's wallet did of late.

    Attributes:
        clock: For pauses.
        failures: Calls in a row without a definite answer.
        pauses: Pauses in a row that ended with a failed probe.
        open_until: Until when bets fail at once; `None` while it is closed.
        probing: Whether a bet is under way that shall show whether the wallet is back.
    """

    clock: Clock
    failures: int = 0
    pauses: int = 0
    open_until: float | None = None
    probing: bool = False

    def refuses_bets(self) -> bool:
        """Whether a bet would fail now without being sent."""
        return self.open_until is not None and (self.probing or self.clock.monotonic() < self.open_until)

    def refuses(self, call: WalletCall) -> bool:
        """Whether the call fails without being sent. When a pause is over, one bet goes through as a probe."""
        if self.open_until is None or not stakes(call):
            return False
        if self.refuses_bets():
            return True
        self.probing = True
        return False

    def ended(self, call: WalletCall) -> None:
        """A call is over, whether it was answered, given up, or never got a place: a probe makes way for another."""
        if self.probing and stakes(call):
            self.probing = False

    def heard(self, reply: WalletReply, policy: WalletPolicy) -> None:
        """Learn from an answer, or from there being none."""
        if not isinstance(reply, WalletUnknown):
            self.failures = self.pauses = 0
            self.open_until = None
            self.probing = False
            return
        self.failures += 1
        if self.failures < policy.breaker_failures or (self.open_until is not None and not self.probing):
            return
        pause = policy.breaker_pause_ms / 1000 * min(2**self.pauses, LONGEST)
        self.pauses += 1
        self.open_until = self.clock.monotonic() + pause
        self.probing = False


def stakes(call: WalletCall) -> bool:
    """Whether a call takes money from a player, and may therefore be refused before it is sent."""
    match call:
        case WalletMove(movement=movement):
            return movement.operation is WalletOperation.BET
        case WalletBatch(movements=movements):
            return any(movement.operation is WalletOperation.BET for movement in movements)
        case _:
            return False
