"""From stored documents to live values: packages configured, policies resolved, routes indexed.

Whatever cannot be resolved takes down what depends on it, with a reason, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from attrs import asdict, evolve, frozen

from croupier.configuration.directory import (
    DownConnection,
    Fault,
    LiveConnection,
    LiveOperator,
    LiveRoute,
    LiveSink,
    refused,
)
from croupier.configuration.documents import (
    ConnectionDocument,
    Document,
    GameDocument,
    Kind,
    OperatorDocument,
    RouteDocument,
    SinkDocument,
)
from croupier.contract import (
    Adapter,
    CroupierError,
    Currencies,
    DeclineReason,
    Dialect,
    EventEndpoint,
    EventStream,
    Policies,
    SecretField,
    SettingsError,
    WalletPolicy,
    override,
)
from croupier.wallet.parties import Connection, Operator, Route


class Packages(Protocol):
    """What is asked of the registry."""

    def configure_adapter(self, slug: str, settings: Mapping[str, Any]) -> Adapter:
        """An adapter with a connection's settings.

        Raises:
            PackageError: There is no such adapter that works.
            SettingsError: A setting is wrong; `where` begins with `settings`.
        """

    def configure_dialect(self, slug: str, settings: Mapping[str, Any]) -> Dialect:
        """A dialect with an operator's settings; raises as `configure_adapter` does."""

    def configure_sink(self, slug: str, settings: Mapping[str, Any]) -> EventEndpoint | EventStream:
        """An event sink with its settings; raises as `configure_adapter` does."""


@frozen(kw_only=True)
class Entry:
    """The newest version of a configured thing, read.

    Attributes:
        operator: The operator's id, or `HUB_SCOPE`.
        kind: What kind of thing.
        id: Its immutable id.
        active: Whether it is in force.
        document: What it says, or `None` where that cannot be read.
        error: Why it cannot be read, or why its secrets cannot be opened: then they are missing in the document.
    """

    operator: str
    kind: Kind
    id: str
    active: bool
    document: Document | None
    error: CroupierError | None = None


def path_of(kind: Kind, id: str, body: Mapping[str, Any] | Document | None) -> str:
    """What the path of an error begins with: `operators.acme`, by name where there is one."""
    name = body.get("name") if isinstance(body, Mapping) else getattr(body, "name", None)
    return f"{kind.plural}.{name if isinstance(name, str) and name else id or 'new'}"


def resolve_party(id: str, document: OperatorDocument, packages: Packages) -> Operator:
    """What the engine needs of an operator.

    Raises:
        SettingsError: The wallet's settings, secrets or knobs are wrong.
        PackageError: The dialect cannot be used.
    """
    where = path_of(Kind.OPERATOR, id, document)
    try:
        dialect = packages.configure_dialect(document.dialect, document.wallet)
    except SettingsError as error:
        raise _moved(error, where, "settings", "wallet") from None
    _check_secrets(document.wallet_secrets, dialect.spec.secrets, f"{where}.wallet_secrets")
    return Operator(
        id=id,
        dialect=dialect,
        credentials=document.credentials,
        enabled=document.enabled,
        capabilities=dialect.spec.capabilities - document.capabilities_missing,
        policy=override(WalletPolicy(), document.wallet_policy, f"{where}.wallet_policy"),
    )


def resolve_adapter(
    id: str, document: ConnectionDocument, owner: OperatorDocument, packages: Packages
) -> tuple[Adapter, Policies]:
    """The adapter of a connection and the effective policies.

    Raises:
        SettingsError: The connection's settings, secrets or knobs are wrong.
        PackageError: The adapter cannot be used.
    """
    where = path_of(Kind.CONNECTION, id, document)
    try:
        adapter = packages.configure_adapter(document.adapter, document.settings)
        policies = adapter.policies.resolve(document.policy, asdict(owner.limits))
    except SettingsError as error:
        raise _moved(error, where) from None
    _check_secrets(document.secrets, adapter.spec.secrets, f"{where}.secrets")
    for policy in (policies.default, *policies.operations.values()):
        if policy.free_rounds_credit is None:
            raise SettingsError(
                "expected per_win or total: this provider's protocol leaves open which message pays for free rounds",
                where=f"{where}.policy.free_rounds_credit",
            )
    return adapter, policies


def resolve_sink(id: str, document: SinkDocument, packages: Packages) -> EventEndpoint | EventStream:
    """An event sink with its settings.

    Raises:
        SettingsError: The sink's settings or secrets are wrong.
        PackageError: The sink cannot be used.
    """
    where = path_of(Kind.SINK, id, document)
    try:
        sink = packages.configure_sink(document.sink, document.settings)
    except SettingsError as error:
        raise _moved(error, where) from None
    _check_secrets(document.secrets, sink.spec.secrets, f"{where}.secrets")
    try:
        sink.check(document.credentials)
    except SettingsError as error:
        raise _moved(error, where) from None
    return sink


def resolve_operator(id: str, entries: Iterable[Entry], packages: Packages) -> tuple[LiveOperator, tuple[Fault, ...]]:
    """Everything of one operator, and what of it cannot be used."""
    of_kind: dict[Kind, list[Entry]] = {kind: [] for kind in Kind}
    faults = []
    own = None
    for entry in sorted(entries, key=lambda entry: entry.id):
        of_kind[entry.kind].append(entry)
        if entry.kind is Kind.OPERATOR:
            own = entry
        if entry.error is not None:
            faults.append(_fault(entry, entry.error))
    live, fault = _own(id, own, packages)
    faults.extend(fault)
    live, fault = _with_connections(live, of_kind[Kind.CONNECTION], packages)
    faults.extend(fault)
    live, fault = _with_sinks(live, of_kind[Kind.SINK], packages)
    faults.extend(fault)
    return _with_games(live, of_kind[Kind.GAME], of_kind[Kind.ROUTE]), tuple(faults)


def _own(id: str, entry: Entry | None, packages: Packages) -> tuple[LiveOperator, list[Fault]]:
    document = entry.document if entry and isinstance(entry.document, OperatorDocument) else None
    party, reason = None, None
    faults: list[Fault] = []
    try:
        if entry is None or (document is None and entry.error is None):
            raise SettingsError("the operator itself is not stored")
        if entry.error is not None:
            raise entry.error
        if document is not None:
            party = resolve_party(id, document, packages)
            party = party if entry.active else evolve(party, enabled=False)
    except CroupierError as error:
        reason = str(error)
        if entry is not None and entry.error is None:
            faults.append(_fault(entry, error))
    return LiveOperator(
        id=id,
        name=document.name if document else id,
        document=document,
        party=party,
        reason=reason,
        currencies=Currencies(document.currencies if document else None),
        deleted=entry is not None and not entry.active,
    ), faults


def _with_connections(
    owner: LiveOperator, entries: list[Entry], packages: Packages
) -> tuple[LiveOperator, list[Fault]]:
    connections: dict[str, LiveConnection] = {}
    down: dict[str, DownConnection] = {}
    parties: dict[str, Connection] = {}
    faults = []
    for entry in entries:
        try:
            live = _connect(entry, owner, packages)
        except CroupierError as error:
            if entry.active:
                name = getattr(entry.document, "name", entry.id)
                down[entry.id] = DownConnection(id=entry.id, name=name, reason=str(error), code=error.code)
            if entry.error is None and owner.party is not None:
                faults.append(_fault(entry, error))
            continue
        parties[entry.id] = live.connection
        if entry.active:
            connections[entry.id] = live
    return evolve(owner, connections=connections, down=down, parties=parties), faults


def _connect(entry: Entry, owner: LiveOperator, packages: Packages) -> LiveConnection:
    if entry.error is not None:
        raise entry.error
    document = entry.document
    if not isinstance(document, ConnectionDocument) or owner.document is None or owner.party is None:
        raise SettingsError(f"the operator's wallet cannot be called: {owner.reason}")
    adapter, policies = resolve_adapter(entry.id, document, owner.document, packages)
    return LiveConnection(
        connection=Connection(
            id=entry.id,
            name=document.name,
            provider=document.adapter,
            operator=owner.party,
            policies=policies,
            currencies=owner.currencies,
            enabled=document.enabled and entry.active,
        ),
        adapter=adapter,
        credentials=document.credentials,
        networks=document.networks,
        proxies=document.proxies,
        document=document,
    )


def _with_sinks(owner: LiveOperator, entries: list[Entry], packages: Packages) -> tuple[LiveOperator, list[Fault]]:
    sinks: dict[str, LiveSink] = {}
    faults = []
    for entry in entries:
        document = entry.document
        if entry.error is not None or not entry.active or not isinstance(document, SinkDocument):
            continue
        try:
            sink = resolve_sink(entry.id, document, packages)
        except CroupierError as error:
            faults.append(_fault(entry, error))
            continue
        if document.enabled:
            sinks[entry.id] = LiveSink(
                id=entry.id, operator=owner.id, sink=sink, credentials=document.credentials, document=document
            )
    return evolve(owner, sinks=sinks), faults


def _with_games(owner: LiveOperator, games: list[Entry], routes: list[Entry]) -> LiveOperator:
    known = {entry.id: entry.document for entry in games if entry.active and isinstance(entry.document, GameDocument)}
    live: dict[str, LiveRoute] = {}
    launched: dict[tuple[str, str], Route] = {}
    played: dict[tuple[str, str], Route] = {}
    # Those in force come last and so win over deleted ones of the same code.
    for entry in sorted(routes, key=lambda entry: (entry.active, entry.id)):
        document = entry.document
        if not isinstance(document, RouteDocument):
            continue
        route = Route(game=document.game, code=document.played_as)
        game = known.get(document.game)
        if game is None or not game.enabled or not document.enabled or not entry.active:
            route = refused(route, DeclineReason.GAME_DISABLED)
        if entry.active:
            live[entry.id] = LiveRoute(id=entry.id, document=document, route=route)
        launched[document.connection, document.code] = route
        played[document.connection, document.played_as] = route
    return evolve(owner, games=known, routes=live, played=launched | played)


def _check_secrets(given: Mapping[str, Any], fields: tuple[SecretField, ...], where: str) -> None:
    names = [field.name for field in fields]
    for name in given:
        if name not in names:
            hint = f"known: {', '.join(names)}" if names else None
            raise SettingsError("there is no such secret", where=f"{where}.{name}", hint=hint)
    for field in fields:
        if field.required and field.name not in given:
            raise SettingsError("expected a value, found none", where=f"{where}.{field.name}", hint=field.meaning)
        if field.check is not None:
            for number, value in enumerate(given.get(field.name, ())):
                try:
                    field.check(value)
                except SettingsError as error:
                    raise SettingsError(
                        error.message, where=f"{where}.{field.name}.{number}", hint=error.hint
                    ) from None


def _moved(error: SettingsError, where: str, old: str = "", new: str = "") -> SettingsError:
    """The same error with the path that it has in the whole configuration."""
    inner = error.where or ""
    if old and (inner == old or inner.startswith(f"{old}.")):
        inner = f"{new}{inner[len(old) :]}"
    return SettingsError(error.message, where=f"{where}.{inner}" if inner else where, hint=error.hint)


def _fault(entry: Entry, error: CroupierError) -> Fault:
    return Fault(
        operator=entry.operator,
        kind=entry.kind.value,
        id=entry.id,
        name=getattr(entry.document, "name", entry.id),
        code=error.code,
        reason=str(error),
    )
