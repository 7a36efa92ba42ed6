"""Packages, faults, owed work, events and exchanges: what goes on in the hub."""

from __future__ import annotations

from attrs import frozen

from croupier.contract import MalformedRequestError, NotFoundError
from croupier.ledger.records import DeliveryRow, ExchangeRow
from croupier.wallet.two_people import proposal_of
from croupier.web.admin_api.messages import (
    AdapterReport,
    DeliveriesQuery,
    Delivery,
    DeliveryList,
    EventEntry,
    EventList,
    EventsQuery,
    Exchange,
    ExchangeList,
    ExchangesQuery,
    FaultReport,
    Faults,
    Packages,
    PluginReport,
    RedriveBody,
    ResolveBody,
)
from croupier.web.admin_api.parts import AdminAsk, AdminParts, Plain
from croupier.web.api import Nothing
from croupier.web.paging import moment


@frozen
class Running:
    """Handlers about what goes on."""

    parts: AdminParts

    async def packages(self, ask: Plain) -> Packages:
        """Every package that was found."""
        return Packages(
            adapters=tuple(
                AdapterReport(
                    slug=report.slug,
                    distribution=report.distribution,
                    version=report.version,
                    state=report.state,
                    reason=report.reason,
                    api=report.api,
                    capabilities=report.capabilities,
                    tier=report.tier,
                    code=report.code,
                )
                for report in self.parts.registry.adapters()
            ),
            plugins=tuple(
                PluginReport(
                    name=report.name,
                    distribution=report.distribution,
                    version=report.version,
                    state=report.state,
                    reason=report.reason,
                    dialects=report.dialects,
                    sinks=report.sinks,
                )
                for report in self.parts.registry.plugins()
            ),
        )

    async def rescan(self, ask: Plain) -> Packages:
        """Look again at what is installed; connections that waited for a package begin to work."""
        self.parts.registry.rescan()
        await self.parts.configuration.load()
        return await self.packages(ask)

    async def faults(self, ask: Plain) -> Faults:
        """What is stored and cannot be used."""
        return Faults(
            faults=tuple(
                FaultReport(operator=fault.operator, kind=fault.kind, id=fault.id, reason=fault.reason)
                for fault in self.parts.configuration.directory.faults
            )
        )

    async def deliveries(self, ask: AdminAsk[DeliveriesQuery, Nothing]) -> DeliveryList:
        """Owed and held work, oldest first."""
        query = ask.query
        rows = await self.parts.ledger.deliveries(query.operator, query.state, query.limit)
        return DeliveryList(deliveries=tuple(_delivery(row) for row in rows))

    async def delivery(self, ask: Plain) -> Delivery:
        """One delivery."""
        row = await self.parts.ledger.delivery(ask.path["operator"], ask.path["delivery"])
        if row is None:
            raise NotFoundError("there is no such delivery")
        return _delivery(row)

    async def redrive(self, ask: AdminAsk[Nothing, RedriveBody]) -> Delivery:
        """Try held work again."""
        row = await self.parts.held.redrive(
            ask.path["operator"], ask.path["delivery"], who=ask.caller.name, why=ask.body.why
        )
        return _delivery(row)

    async def resolve(self, ask: AdminAsk[Nothing, ResolveBody]) -> Delivery:
        """Decide held work by hand: the first administrator proposes, the second confirms."""
        row = await self.parts.held.agree(
            ask.path["operator"],
            ask.path["delivery"],
            who=ask.caller.name,
            why=ask.body.why,
            applied=ask.body.applied,
        )
        return _delivery(row)

    async def events(self, ask: AdminAsk[EventsQuery, Nothing]) -> EventList:
        """Events of an operator, in order."""
        stored = await self.parts.ledger.events_after(ask.path["operator"], ask.query.after, ask.query.limit)
        return EventList(
            events=tuple(
                EventEntry(
                    position=one.position,
                    kind=one.event.kind,
                    subject=one.event.subject,
                    at=moment(one.event.at),
                    body=one.event.body,
                )
                for one in stored
            ),
            position=stored[-1].position if stored else ask.query.after,
        )

    async def exchanges(self, ask: AdminAsk[ExchangesQuery, Nothing]) -> ExchangeList:
        """The messages of one trace or movement, in order."""
        query = ask.query
        if (query.trace is None) is (query.movement is None):
            raise MalformedRequestError("expected either a trace or a movement", where="query")
        rows = await self.parts.ledger.exchanges(ask.path["operator"], trace=query.trace, movement=query.movement)
        return ExchangeList(exchanges=tuple(_exchange(row) for row in rows))


def _delivery(row: DeliveryRow) -> Delivery:
    proposal = proposal_of(row)
    return Delivery(
        operator=row.operator,
        id=row.delivery,
        movement=row.movement,
        round=row.round,
        task=row.task,
        state=row.state,
        attempts=row.attempts,
        due_at=moment(row.due_at),
        created_at=moment(row.created_at),
        detail=row.detail,
        waits_for=row.waits_for,
        proposed=proposal.decision if proposal else None,
        proposed_by=proposal.who if proposal else None,
    )


def _exchange(row: ExchangeRow) -> Exchange:
    return Exchange(
        id=row.exchange,
        side=row.side,
        operation=row.operation,
        connection=row.connection,
        trace=row.trace,
        movement=row.movement,
        request=row.request,
        response=row.response,
        status=row.status,
        verdict=row.verdict,
        decision=row.decision,
        started_at=moment(row.started_at),
        duration_us=row.duration_us,
    )
