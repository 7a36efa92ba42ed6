"""Toys for tests of rooms that need an adapter, a dialect or a clock, and not what these do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from attrs import frozen, mutable

from croupier.contract import (
    Adapter,
    Calls,
    Credentials,
    CroupierError,
    Dialect,
    HttpRequest,
    HttpResponse,
    Policies,
    Result,
    Route,
    Verified,
    WalletCall,
    WalletReply,
    WalletUnknown,
)
from croupier.wallet.ports import Timer


@mutable
class StillClock:
    """A clock that moves when a test moves it, or something sleeps.

    Attributes:
        ms: The time, in milliseconds since 1970.
    """

    ms: int = 1_700_000_000_000

    def now(self) -> datetime:
        """The time that stands."""
        return datetime.fromtimestamp(self.ms / 1000, UTC)

    def now_ms(self) -> int:
        """The same in milliseconds."""
        return self.ms

    def monotonic(self) -> float:
        """The same in seconds."""
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        """Move the time, at once."""
        self.ms += int(seconds * 1000)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Never call it: nobody waits here."""
        return self

    def cancel(self) -> None:
        """What was to be called later is not called."""


@frozen
class NoSettings:
    """Nothing can be set."""


class ToyAdapter(Adapter):
    """Accepts everything and asks for nothing; a subclass says what it is."""

    policies = Policies()

    def routes(self) -> Sequence[Route]:
        return ()

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        return Verified(request)

    def parse(self, verified: Verified) -> Calls:
        return Calls(())

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        return HttpResponse(200)

    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        return HttpResponse(error.status)


class ToyDialect(Dialect):
    """A wallet that never answers; a subclass says what it is."""

    def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
        return HttpRequest("POST", "https://wallet.example")

    def reply(self, call: WalletCall, response: HttpResponse) -> WalletReply:
        return WalletUnknown(detail="a toy knows nothing")
