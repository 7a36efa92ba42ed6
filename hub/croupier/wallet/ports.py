"""What the money path asks of the world: time, ids and chance, and one way to send.

Nothing below `croupier.runtime` reads a clock or a random source; it is handed these. Tests hand over a virtual clock
and seeded ids, so a run with the same seed leaves the same ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from croupier.contract import HttpRequest, HttpResponse


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Do not call it; without effect once it was called."""


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""

    def now_ms(self) -> int:
        """The wall clock in whole milliseconds since 1970-01-01 UTC: the ledger's unit of time."""

    def monotonic(self) -> float:
        """Seconds since some fixed point, never going back: for deadlines only, never stored."""

    async def sleep(self, seconds: float) -> None:
        """Let others run for at least this long."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call something after this long, from the event loop, unless it is cancelled before."""


class Ids(Protocol):
    """Fresh identities and chance."""

    def new_id(self) -> str:
        """A new random UUID as text."""

    def nonce(self) -> str:
        """A fresh text of 32 hex digits, unique but no secret: attempts, adapters' nonces."""

    def token(self) -> str:
        """A fresh secret of 256 bits as URL-safe text without padding (43 characters)."""

    def jitter(self) -> float:
        """A number in [0, 1), evenly spread: it moves waiting times apart, never money."""


class Send(Protocol):
    """Sends one request once; it never repeats one by itself."""

    async def __call__(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        """Send and wait for the whole answer, whatever its status.

        Args:
            request: What to send; `url` is absolute.
            timeout_seconds: How long it may take in all, connecting included.

        Raises:
            TransportError: There is no answer; `problem` tells whether the request may have arrived.
        """
