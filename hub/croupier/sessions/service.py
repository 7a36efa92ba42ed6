"""Launches, session tokens and the names by which providers know players."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from croupier.configuration.directory import LiveConnection, LiveRoute
from croupier.ledger.records import SessionRow


@frozen(kw_only=True)
class Launch:
    """A launched session: what an adapter's `LaunchQuery` needs of it.

    Attributes:
        session: The stored session.
        token: The launch token, shown here alone; empty for demo.
        alias: The name by which the provider shall know the player; empty for demo.
    """

    session: SessionRow
    token: str = field(repr=False)
    alias: str


class SessionService:
    """Sessions; `croupier.wallet.parties.Sessions` among others."""

    async def launch(
        self,
        live: LiveConnection,
        route: LiveRoute,
        operator_player: str,
        currency: str,
        *,
        demo: bool = False,
        operator_session: str | None = None,
        facts: Mapping[str, str] | None = None,
        lifetime_ms: int | None = None,
    ) -> Launch:
        """Open a session for a player who wants to play."""
        raise NotImplementedError

    async def end(self, operator: str, session: str) -> SessionRow:
        """End a session: bets are refused from now on, wins and rollbacks are not. Idempotent."""
        raise NotImplementedError
