"""Taking over a provider's list of games."""

from __future__ import annotations

from attrs import frozen

from croupier.configuration.documents import Kind
from croupier.contract import Capability, UnsupportedOperationError
from croupier.web.admin_api.messages import ImportAnswer, ImportBody
from croupier.web.admin_api.parts import AdminAsk, AdminParts
from croupier.web.api import Nothing


@frozen
class Importing:
    """Handlers about a provider's own data."""

    parts: AdminParts

    async def games(self, ask: AdminAsk[Nothing, ImportBody]) -> ImportAnswer:
        """Ask the provider for its games, and take over those that are new."""
        operator, connection = ask.path["operator"], ask.path["id"]
        self.parts.configuration.get(operator, Kind.CONNECTION, connection)
        owner = self.parts.configuration.directory.find_operator(operator)
        live = owner.connections.get(connection) if owner else None
        if live is None:
            raise UnsupportedOperationError("the connection does not work now", where="connection", hint="see faults")
        if self.parts.outbound is None:
            raise UnsupportedOperationError("this process calls no providers")
        if Capability.GAME_LIST not in live.adapter.spec.capabilities:
            raise UnsupportedOperationError("the provider has no list of games", where="connection")
        flow = live.adapter.game_list(live.credentials, self.parts.clock.now())
        listings = await self.parts.outbound(flow, live, operation="game_list", trace=ask.trace.trace)
        found = await self.parts.catalogue.import_games(live, listings, who=ask.caller.name, why=ask.body.why)
        return ImportAnswer(
            listed=len(listings),
            new_games=found.new_games,
            new_routes=found.new_routes,
            kept=found.kept,
            missing=found.missing,
        )
