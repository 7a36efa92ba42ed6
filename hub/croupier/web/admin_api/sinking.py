"""Event sinks: how each stands, and what a person decides about the events that wait for it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from croupier.configuration.documents import Kind
from croupier.sinks.desk import Standing
from croupier.sinks.lanes import Lane
from croupier.web.admin_api.messages import SinkDropBody, SinkRedriveBody, SinkStanding, WaitingEvents
from croupier.web.admin_api.parts import AdminAsk, AdminParts, Plain
from croupier.web.api import Nothing
from croupier.web.paging import moment


@frozen
class Sinking:
    """Handlers about feeding sinks; a deleted one can be looked at, too."""

    parts: AdminParts

    async def standing(self, ask: Plain) -> SinkStanding:
        """How far a sink has come, and what waits."""
        return _shown(await self.parts.sinks.standing(*self._which(ask.path)))

    async def redrive(self, ask: AdminAsk[Nothing, SinkRedriveBody]) -> SinkStanding:
        """Try again what waits."""
        operator, sink = self._which(ask.path)
        body = ask.body
        return _shown(await self.parts.sinks.redrive(operator, sink, body.position, who=ask.caller.name, why=body.why))

    async def drop(self, ask: AdminAsk[Nothing, SinkDropBody]) -> SinkStanding:
        """Never deliver one event."""
        operator, sink = self._which(ask.path)
        body = ask.body
        return _shown(await self.parts.sinks.drop(operator, sink, body.position, who=ask.caller.name, why=body.why))

    def _which(self, path: Mapping[str, str]) -> tuple[str, str]:
        stored = self.parts.configuration.get(path["operator"], Kind.SINK, path["id"])
        return stored.operator, stored.id


def _shown(standing: Standing) -> SinkStanding:
    return SinkStanding(
        position=standing.position,
        newest=standing.newest,
        feeding=standing.feeding,
        stopped=standing.stopped,
        trouble=standing.trouble,
        waiting=tuple(_waiting(lane) for lane in standing.lanes),
    )


def _waiting(lane: Lane) -> WaitingEvents:
    return WaitingEvents(
        position=lane.first,
        count=len(lane.positions),
        attempts=lane.attempts,
        held=lane.held,
        due_at=moment(lane.due_at),
        since=moment(lane.since) if lane.since else None,
        detail=lane.detail,
    )
