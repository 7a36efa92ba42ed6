"""The table of the admin API, and the app made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from croupier.catalogue.service import CatalogueService
from croupier.configuration.documents import Kind, Role
from croupier.configuration.service import Configuration, key_hash
from croupier.contract import AuthenticationError, ForbiddenError, HttpRequest, same_secret
from croupier.ledger.port import Ledger
from croupier.sinks.desk import SinkDesk
from croupier.wallet.ports import Clock, Ids
from croupier.web.admin_api.case_messages import CaseAnswer, CaseList, CasesQuery, RecordAnswer, RecordBody, SettleBody
from croupier.web.admin_api.cases import Cases
from croupier.web.admin_api.configuring import PolicyHandlers, Things
from croupier.web.admin_api.importing import Importing
from croupier.web.admin_api.messages import (
    DeleteQuery,
    DeliveriesQuery,
    Delivery,
    DeliveryList,
    EventList,
    EventsQuery,
    ExchangeList,
    ExchangesQuery,
    Faults,
    ImportAnswer,
    ImportBody,
    KeyBody,
    MadeKey,
    Packages,
    PolicyAnswer,
    PolicyBody,
    PutBody,
    PutThing,
    RedriveBody,
    ResolveBody,
    RoundCompleteBody,
    RoundList,
    RoundsQuery,
    RoundStanding,
    RoundVoidBody,
    SinkDropBody,
    SinkRedriveBody,
    SinkStanding,
    StoredThing,
    StoredThings,
)
from croupier.web.admin_api.parts import Administrator, AdminParts, CaseDesk, HeldWork, OpenRounds, Registry
from croupier.web.admin_api.rounds import Rounds
from croupier.web.admin_api.running import Running
from croupier.web.admin_api.sinking import Sinking
from croupier.web.api import AnyEndpoint, JsonApi, Nothing, RouteTable, bearer_of, endpoint
from croupier.web.apps import Probes
from croupier.web.openapi import ApiDescription, documents
from croupier.web.ports import ApiMetrics, Log, Outbound

DESCRIPTION: Final = ApiDescription(
    name="admin",
    title="Croupier admin API",
    summary="Configuration with its history, packages, held work, open rounds, cases, event sinks, events, exchanges.",
    prefix="/admin",
)

_BASE: Final = "/admin/v1"
_OPERATOR: Final = f"{_BASE}/operators/{{operator}}"
BOOTSTRAP: Final = "bootstrap"
"""What the record of a change says where the key of the settings was used."""


def admin_table(parts: AdminParts) -> RouteTable:
    """Every endpoint of the admin API."""
    lines = _operators(parts)
    for kind in (Kind.CONNECTION, Kind.GAME, Kind.ROUTE, Kind.KEY, Kind.SINK):
        lines += _things(parts, kind)
    return RouteTable(
        [
            *lines,
            *_policies(parts),
            *_importing(parts),
            *_sinking(parts),
            *_running(parts),
            *_rounds(parts),
            *_cases(parts),
        ]
    )


def _operators(parts: AdminParts) -> list[AnyEndpoint]:
    things = Things(parts, Kind.OPERATOR)
    return [
        endpoint("GET", f"{_BASE}/operators", "operators.list", "List the operators.", handler=things.list,
                 query=Nothing, body=Nothing, answer=StoredThings, tag="operators"),
        endpoint("POST", f"{_BASE}/operators", "operators.create", "Make an operator.", handler=things.create,
                 query=Nothing, body=PutBody, answer=PutThing, tag="operators", status=201),
        endpoint("GET", _OPERATOR, "operators.get", "Read an operator.", handler=things.get,
                 query=Nothing, body=Nothing, answer=StoredThing, tag="operators"),
        endpoint("PUT", _OPERATOR, "operators.replace", "Change an operator.", handler=things.replace,
                 query=Nothing, body=PutBody, answer=PutThing, tag="operators"),
        endpoint("DELETE", _OPERATOR, "operators.delete", "Take a disabled operator out of force.",
                 handler=things.delete, query=DeleteQuery, body=Nothing, answer=StoredThing, tag="operators"),
        endpoint("GET", f"{_OPERATOR}/history", "operators.history", "Read every version of an operator.",
                 handler=things.history, query=Nothing, body=Nothing, answer=StoredThings, tag="operators"),
    ]  # fmt: skip


def _things(parts: AdminParts, kind: Kind) -> list[AnyEndpoint]:
    """The lines of one kind of thing below its operator. Keys are made by the hub and never changed."""
    things, many, word = Things(parts, kind), f"{_OPERATOR}/{kind.plural}", kind.value
    one = f"{many}/{{id}}"
    lines = [
        endpoint("GET", many, f"{kind.plural}.list", f"List the {kind.plural} of an operator.", handler=things.list,
                 query=Nothing, body=Nothing, answer=StoredThings, tag=kind.plural),
        endpoint("GET", one, f"{kind.plural}.get", f"Read a {word}.", handler=things.get,
                 query=Nothing, body=Nothing, answer=StoredThing, tag=kind.plural),
        endpoint("DELETE", one, f"{kind.plural}.delete", f"Take a {word} out of force; its versions stay.",
                 handler=things.delete, query=DeleteQuery, body=Nothing, answer=StoredThing, tag=kind.plural),
        endpoint("GET", f"{one}/history", f"{kind.plural}.history", f"Read every version of a {word}.",
                 handler=things.history, query=Nothing, body=Nothing, answer=StoredThings, tag=kind.plural),
    ]  # fmt: skip
    if kind is Kind.KEY:
        return [
            *lines,
            endpoint("POST", many, "keys.create", "Make a bearer key; it is shown this once.",
                     handler=things.create_key, query=Nothing, body=KeyBody, answer=MadeKey, tag="keys", status=201),
        ]  # fmt: skip
    return [
        *lines,
        endpoint("POST", many, f"{kind.plural}.create", f"Make a {word}.", handler=things.create,
                 query=Nothing, body=PutBody, answer=PutThing, tag=kind.plural, status=201),
        endpoint("PUT", one, f"{kind.plural}.replace", f"Change a {word}, or make it under this id.",
                 handler=things.replace, query=Nothing, body=PutBody, answer=PutThing, tag=kind.plural),
    ]  # fmt: skip


def _policies(parts: AdminParts) -> list[AnyEndpoint]:
    policies, path = PolicyHandlers(parts), f"{_OPERATOR}/connections/{{id}}/policy"
    return [
        endpoint("GET", path, "policies.get", "Read a connection's policy, as configured and as in force.",
                 handler=policies.get, query=Nothing, body=Nothing, answer=PolicyAnswer, tag="policies"),
        endpoint("PUT", path, "policies.replace", "Change a connection's policy and nothing else of it.",
                 handler=policies.replace, query=Nothing, body=PolicyBody, answer=PolicyAnswer, tag="policies"),
    ]  # fmt: skip


def _importing(parts: AdminParts) -> list[AnyEndpoint]:
    return [
        endpoint("POST", f"{_OPERATOR}/connections/{{id}}/games/import", "games.import",
                 "Ask a provider for its games, and take over those that are new.", handler=Importing(parts).games,
                 query=Nothing, body=ImportBody, answer=ImportAnswer, tag="games"),
    ]  # fmt: skip


def _sinking(parts: AdminParts) -> list[AnyEndpoint]:
    sinking, path = Sinking(parts), f"{_OPERATOR}/sinks/{{id}}"
    return [
        endpoint("GET", f"{path}/standing", "sinks.standing", "Read how far a sink has come, and what waits for it.",
                 handler=sinking.standing, query=Nothing, body=Nothing, answer=SinkStanding, tag="sinks"),
        endpoint("POST", f"{path}/redrive", "sinks.redrive", "Try again what waits for a sink.",
                 handler=sinking.redrive, query=Nothing, body=SinkRedriveBody, answer=SinkStanding, tag="sinks"),
        endpoint("POST", f"{path}/drop", "sinks.drop", "Never deliver one event to a sink.",
                 handler=sinking.drop, query=Nothing, body=SinkDropBody, answer=SinkStanding, tag="sinks"),
    ]  # fmt: skip


def _rounds(parts: AdminParts) -> list[AnyEndpoint]:
    rounds, many = Rounds(parts), f"{_OPERATOR}/rounds"
    path = f"{many}/{{round}}"
    return [
        endpoint("GET", many, "rounds.list", "List the rounds that are open, the longest open first.",
                 handler=rounds.list_open, query=RoundsQuery, body=Nothing, answer=RoundList, tag="rounds"),
        endpoint("GET", path, "rounds.get", "Read how a round stands, and what is proposed for it.",
                 handler=rounds.standing, query=Nothing, body=Nothing, answer=RoundStanding, tag="rounds"),
        endpoint("POST", f"{path}/void", "rounds.void", "Propose that a round's stakes are given back, or confirm it.",
                 handler=rounds.void, query=Nothing, body=RoundVoidBody, answer=RoundStanding, tag="rounds"),
        endpoint("POST", f"{path}/complete", "rounds.complete", "Propose to end a round as it stands, or confirm it.",
                 handler=rounds.complete, query=Nothing, body=RoundCompleteBody, answer=RoundStanding, tag="rounds"),
    ]  # fmt: skip


def _cases(parts: AdminParts) -> list[AnyEndpoint]:
    cases, many = Cases(parts), f"{_OPERATOR}/cases"
    path = f"{many}/{{case}}"
    return [
        endpoint("GET", many, "cases.list", "List cases of reconciliation, the oldest first.", handler=cases.list,
                 query=CasesQuery, body=Nothing, answer=CaseList, tag="cases"),
        endpoint("POST", many, "cases.record", "Keep what a comparison with another book has found.",
                 handler=cases.record, query=Nothing, body=RecordBody, answer=RecordAnswer, tag="cases"),
        endpoint("GET", path, "cases.get", "Read a case, and what is proposed for it.", handler=cases.get,
                 query=Nothing, body=Nothing, answer=CaseAnswer, tag="cases"),
        endpoint("POST", f"{path}/explain", "cases.explain",
                 "Propose that no record of the hub's is wrong, or confirm it.", handler=cases.explain,
                 query=Nothing, body=SettleBody, answer=CaseAnswer, tag="cases"),
        endpoint("POST", f"{path}/adjust", "cases.adjust",
                 "Propose that the hub's book is to be read as the other one, or confirm it.", handler=cases.adjust,
                 query=Nothing, body=SettleBody, answer=CaseAnswer, tag="cases"),
    ]  # fmt: skip


def _running(parts: AdminParts) -> list[AnyEndpoint]:
    running, held = Running(parts), f"{_OPERATOR}/deliveries/{{delivery}}"
    return [
        endpoint("GET", f"{_BASE}/packages", "packages.list", "List adapters and plugins.", handler=running.packages,
                 query=Nothing, body=Nothing, answer=Packages, tag="packages"),
        endpoint("POST", f"{_BASE}/packages/rescan", "packages.rescan", "Look again at what is installed.",
                 handler=running.rescan, query=Nothing, body=Nothing, answer=Packages, tag="packages"),
        endpoint("GET", f"{_BASE}/faults", "faults.list", "List what is stored and cannot be used.",
                 handler=running.faults, query=Nothing, body=Nothing, answer=Faults, tag="packages"),
        endpoint("GET", f"{_BASE}/deliveries", "deliveries.list", "List owed and held work.",
                 handler=running.deliveries, query=DeliveriesQuery, body=Nothing, answer=DeliveryList,
                 tag="deliveries"),
        endpoint("GET", held, "deliveries.get", "Read one delivery.", handler=running.delivery,
                 query=Nothing, body=Nothing, answer=Delivery, tag="deliveries"),
        endpoint("POST", f"{held}/redrive", "deliveries.redrive", "Try held work again.", handler=running.redrive,
                 query=Nothing, body=RedriveBody, answer=Delivery, tag="deliveries"),
        endpoint("POST", f"{held}/resolve", "deliveries.resolve", "Propose a decision on held work, or confirm one.",
                 handler=running.resolve, query=Nothing, body=ResolveBody, answer=Delivery, tag="deliveries"),
        endpoint("GET", f"{_OPERATOR}/events", "events.list", "Read an operator's events in order.",
                 handler=running.events, query=EventsQuery, body=Nothing, answer=EventList, tag="events"),
        endpoint("GET", f"{_OPERATOR}/exchanges", "exchanges.list", "Read the messages of a trace or movement.",
                 handler=running.exchanges, query=ExchangesQuery, body=Nothing, answer=ExchangeList, tag="events"),
    ]  # fmt: skip


def admit_administrator(
    configuration: Configuration, now_ms: Callable[[], int], bootstrap_key_hash: str | None
) -> Callable[[HttpRequest], Administrator]:
    """Finds out who a request speaks for: the holder of an admin key, or of the key in the settings."""

    def admit(request: HttpRequest) -> Administrator:
        given = key_hash(bearer_of(request))
        if bootstrap_key_hash is not None and same_secret(bootstrap_key_hash, given):
            return Administrator(BOOTSTRAP)
        holder = configuration.directory.operator_by_key_hash(given, now_ms())
        if holder is None:
            raise AuthenticationError("a valid bearer key is needed", where="Authorization")
        if holder.role is not Role.ADMIN:
            raise ForbiddenError("the key is no administrator's", where="Authorization")
        return Administrator(f"{holder.label} ({holder.key})")

    return admit


def make_admin_app(
    *,
    configuration: Configuration,
    registry: Registry,
    held: HeldWork,
    rounds: OpenRounds,
    cases: CaseDesk,
    ledger: Ledger,
    clock: Clock,
    ids: Ids,
    log: Log,
    metrics: ApiMetrics,
    outbound: Outbound | None = None,
    bootstrap_key_hash: str | None = None,
    probes: Probes | None = None,
    docs: str = "/admin/docs",
) -> JsonApi[Administrator]:
    """The admin API as an app.

    Args:
        configuration: What is configured.
        registry: What is installed.
        held: Held work.
        rounds: Decisions on rounds that stay open.
        cases: Cases of reconciliation.
        ledger: The record.
        clock: Time.
        ids: Fresh identities.
        log: One line for each request.
        metrics: Counts.
        outbound: Drives flows to providers; without it no lists of games are imported.
        bootstrap_key_hash: SHA-256 (small hex) of a key that is always an administrator's, for the first steps of a
            new hub; `None` where there is none.
        probes: The probes, where this listener answers them.
        docs: The address of the documentation of errors, as errors tell it.
    """
    parts = AdminParts(
        configuration=configuration,
        registry=registry,
        held=held,
        rounds=rounds,
        cases=cases,
        sinks=SinkDesk(ledger, clock),
        ledger=ledger,
        catalogue=CatalogueService(configuration),
        clock=clock,
        outbound=outbound,
    )
    table = admin_table(parts)
    return JsonApi(
        name=DESCRIPTION.name,
        table=table,
        admit=admit_administrator(configuration, clock.now_ms, bootstrap_key_hash),
        label=lambda caller: caller.name,
        documents=documents(DESCRIPTION, table),
        docs=docs,
        clock=clock,
        ids=ids,
        log=log,
        metrics=metrics,
        probes=probes,
        body_limit=1_048_576,
    )
