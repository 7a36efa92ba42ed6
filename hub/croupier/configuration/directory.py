"""Everything that is configured, resolved: immutable values that a request reads without waiting.

`Configuration` replaces the whole `Directory` after each change; whoever holds one sees one consistent state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from types import MappingProxyType
from typing import TypeVar

from attrs import evolve, field, frozen

from croupier.configuration.documents import (
    ApiKeyDocument,
    ConnectionDocument,
    GameDocument,
    Network,
    OperatorDocument,
    Role,
    RouteDocument,
    SinkDocument,
)
from croupier.contract import Adapter, Credentials, Currencies, DeclineReason, EventEndpoint, EventStream
from croupier.wallet.parties import Connection, Operator, Route


@frozen(kw_only=True, eq=False)
class LiveConnection:
    """A connection that works.

    Attributes:
        connection: What the engine needs of it.
        adapter: The adapter with this connection's settings.
        credentials: Its secrets, every value that is valid now.
        networks: Where the provider may call from; empty allows every address.
        proxies: Whose forwarded client addresses are believed.
        document: As it is configured.
    """

    connection: Connection
    adapter: Adapter
    credentials: Credentials
    networks: tuple[Network, ...]
    proxies: tuple[Network, ...]
    document: ConnectionDocument

    @property
    def id(self) -> str:
        """The connection's immutable id."""
        return self.connection.id

    @property
    def name(self) -> str:
        """Its name in URLs."""
        return self.connection.name

    def allows(self, address: str) -> bool:
        """Whether a call from an IP address is let in; a text that is no address is not, unless all are."""
        return not self.networks or _within(address, self.networks)

    def trusts(self, address: str) -> bool:
        """Whether an IP address is a proxy whose forwarded client address is believed."""
        return _within(address, self.proxies)


@frozen(kw_only=True, eq=False)
class DownConnection:
    """A connection that is configured and cannot work now: its package, settings, secrets or wallet are broken.

    A provider that calls it is to be told to retry (503), never that it does not exist: its wins are owed to players.

    Attributes:
        id: The connection's immutable id.
        name: Its name in URLs, or its id where the stored body cannot be read.
        reason: Why, for the operator's people; without secrets.
        code: The error's stable code.
    """

    id: str
    name: str
    reason: str
    code: str


@frozen(kw_only=True, eq=False)
class LiveRoute:
    """A game as one connection serves it.

    Attributes:
        id: The route's immutable id.
        document: As it is configured.
        route: What the engine needs of it, with why bets are refused, if they are.
    """

    id: str
    document: RouteDocument
    route: Route


@frozen(kw_only=True, eq=False)
class LiveSink:
    """An event sink that works.

    Attributes:
        id: Immutable.
        operator: The operator's id.
        sink: The sink with its settings.
        credentials: Its secrets, every value that is valid now.
        document: As it is configured.
    """

    id: str
    operator: str
    sink: EventEndpoint | EventStream
    credentials: Credentials
    document: SinkDocument


@frozen(kw_only=True, eq=False)
class LiveKey:
    """A bearer key.

    Attributes:
        id: The key's immutable id.
        scope: The operator's id, or `HUB_SCOPE`.
        document: As it is configured.
    """

    id: str
    scope: str
    document: ApiKeyDocument

    def is_valid(self, now_ms: int) -> bool:
        """Whether it is valid at a time (UTC milliseconds)."""
        return self.document.not_after is None or now_ms < self.document.not_after


@frozen(kw_only=True)
class KeyHolder:
    """Who a bearer key speaks for.

    Attributes:
        key: The key's id, for the record of who did something.
        label: The key's label.
        role: What the holder may do.
        operator: The operator, or `None` for an administrator of the hub.
    """

    key: str
    label: str
    role: Role
    operator: LiveOperator | None


@frozen(kw_only=True, eq=False)
class LiveOperator:
    """An operator with everything that is its own.

    Attributes:
        id: Immutable.
        name: Its name in URLs, or its id where the stored body cannot be read.
        document: As it is configured, or `None` where the stored body cannot be read.
        party: What the engine needs of it, or `None` where its wallet cannot be called (see `reason`).
        reason: Why its wallet cannot be called.
        currencies: The registered currencies, its own among them.
        deleted: Whether it was deleted: it is kept for the work that is still owed to it.
        connections: The connections that work, by id.
        down: Those that do not, by id.
        parties: What the engine needs of each connection that works, by id, for owed work: deleted ones too, with
            bets refused.
        games: The games that were not deleted, by id.
        routes: The routes that were not deleted, by id.
        played: What answers `Games.route`, by connection and code; deleted routes stay, with a refusal.
        sinks: The event sinks that are enabled and work, by id.
    """

    id: str
    name: str
    document: OperatorDocument | None
    party: Operator | None
    reason: str | None
    currencies: Currencies
    deleted: bool = False
    connections: Mapping[str, LiveConnection] = field(factory=dict)
    down: Mapping[str, DownConnection] = field(factory=dict)
    parties: Mapping[str, Connection] = field(factory=dict)
    games: Mapping[str, GameDocument] = field(factory=dict)
    routes: Mapping[str, LiveRoute] = field(factory=dict)
    played: Mapping[tuple[str, str], Route] = field(factory=dict)
    sinks: Mapping[str, LiveSink] = field(factory=dict)

    def launchable(self) -> tuple[LiveRoute, ...]:
        """Every route that can be launched now, of one game the connection of the lowest priority number first."""
        able = [route for route in self.routes.values() if route.route.refusal is None and self._serves(route.document)]
        return tuple(sorted(able, key=self._rank))

    def routes_of(self, game: str) -> tuple[LiveRoute, ...]:
        """Where a game can be launched now, the connection of the lowest priority number first."""
        return tuple(route for route in self.launchable() if route.document.game == game)

    def _serves(self, route: RouteDocument) -> bool:
        live = self.connections.get(route.connection)
        return self.party is not None and self.party.enabled and live is not None and live.connection.enabled

    def _rank(self, route: LiveRoute) -> tuple[int, str, str]:
        live = self.connections[route.document.connection]
        return live.document.priority, live.name, route.document.code


@frozen(kw_only=True)
class Fault:
    """A stored thing that cannot be used as it is.

    Attributes:
        operator: Whose.
        kind: Its kind.
        id: Its id.
        name: Its name in URLs, or its id where it has none or the stored body cannot be read.
        code: The error's stable code.
        reason: Why, without secrets.
    """

    operator: str
    kind: str
    id: str
    name: str
    code: str
    reason: str


@frozen(kw_only=True, eq=False)
class Directory:
    """One consistent state of everything configured: `Games` and `Connections` of `croupier.wallet.parties`, and more.

    Attributes:
        operators: By id, deleted ones too.
        keys: By the SHA-256 of the key.
        faults: What is stored and cannot be used.
    """

    operators: Mapping[str, LiveOperator] = field(factory=dict)
    keys: Mapping[str, LiveKey] = field(factory=dict)
    faults: tuple[Fault, ...] = ()
    _names: Mapping[str, str] = field(init=False)
    _owners: Mapping[str, str] = field(init=False)

    @_names.default
    def _every_name(self) -> Mapping[str, str]:
        return {live.name: live.id for live in self.operators.values() if not live.deleted}

    @_owners.default
    def _every_owner(self) -> Mapping[str, str]:
        return {connection: live.id for live in self.operators.values() for connection in live.parties}

    def works(self) -> bool:
        """Whether the wallet of any operator can be called; true as long as there is no operator."""
        served = [live for live in self.operators.values() if not live.deleted]
        return not served or any(live.party is not None for live in served)

    def find_operator(self, operator: str) -> LiveOperator | None:
        """An operator by name or id; `None` if there is none or it was deleted."""
        live = self.operators.get(self._names.get(operator, operator))
        return None if live is None or live.deleted else live

    def operator(self, operator: str) -> Operator | None:
        """What the engine and owed work need of an operator, by id, deleted ones too."""
        live = self.operators.get(operator)
        return live.party if live else None

    def connection(self, operator: str, connection: str) -> Connection | None:
        """What owed work needs of a connection, by ids: of disabled and deleted ones, too.

        `None` if it does not exist or cannot be used now: without its adapter nobody knows its policies.
        """
        live = self.operators.get(operator)
        return live.parties.get(connection) if live else None

    def live_connection(self, connection: str) -> LiveConnection | None:
        """A connection that works, by its id alone."""
        live = self.operators.get(self._owners.get(connection, ""))
        return live.connections.get(connection) if live else None

    def connection_by_name(self, operator: str, connection: str) -> LiveConnection | None:
        """The connection of an address: operator and connection by name or id.

        `None` where there is none that works; `down_by_name` tells one that is broken from one that does not exist.
        """
        live = self.find_operator(operator)
        return _named(live.connections, connection) if live else None

    def down_by_name(self, operator: str, connection: str) -> DownConnection | None:
        """The broken connection of an address: answer 503, so that the provider asks again."""
        live = self.find_operator(operator)
        return _named(live.down, connection) if live else None

    def connections(self, operator: str) -> tuple[LiveConnection, ...]:
        """The working connections of an operator, by name."""
        live = self.find_operator(operator)
        return tuple(sorted(live.connections.values(), key=lambda one: one.name)) if live else ()

    def games(self, operator: str) -> Mapping[str, GameDocument]:
        """The games of an operator, by id."""
        live = self.find_operator(operator)
        return MappingProxyType(live.games) if live else {}

    def routes(self, operator: str) -> Mapping[str, LiveRoute]:
        """The routes of an operator, by id."""
        live = self.find_operator(operator)
        return MappingProxyType(live.routes) if live else {}

    def route(self, connection: str, code: str) -> Route | None:
        """The route of a provider's game code (in wallet calls, or of the launch), by connection id."""
        live = self.operators.get(self._owners.get(connection, ""))
        return live.played.get((connection, code)) if live else None

    def sinks(self) -> tuple[LiveSink, ...]:
        """The event sinks that are to be fed, of every operator that was not deleted."""
        return tuple(sink for live in self.operators.values() if not live.deleted for sink in live.sinks.values())

    @property
    def overdue_hours(self) -> Mapping[str, int]:
        """How long a round may be open before people are told, by operator; deleted ones' rounds hold money, too."""
        every = self.operators.values()
        return {live.id: live.document.limits.round_overdue_hours for live in every if live.document is not None}

    @property
    def healed_by_logs(self) -> frozenset[str]:
        """The operators whose logs may settle held work; deleted ones' held work is money, too."""
        every = self.operators.values()
        return frozenset(live.id for live in every if live.document is not None and live.document.heal_held_work)

    def operator_by_key_hash(self, key_hash: str, now_ms: int) -> KeyHolder | None:
        """Who a bearer key speaks for.

        Args:
            key_hash: SHA-256 (small hex) of the key as it was sent.
            now_ms: The time, in UTC milliseconds: an expired key speaks for nobody.
        """
        key = self.keys.get(key_hash)
        if key is None or not key.is_valid(now_ms):
            return None
        operator = None
        if key.document.role is Role.OPERATOR:
            operator = self.find_operator(key.scope)
            if operator is None:
                return None
        return KeyHolder(key=key.id, label=key.document.label, role=key.document.role, operator=operator)


def refused(route: Route, reason: DeclineReason) -> Route:
    """The route with bets refused; a refusal that it has already stays."""
    return route if route.refusal else evolve(route, refusal=reason)


Named = TypeVar("Named", LiveConnection, DownConnection)


def _named(connections: Mapping[str, Named], name: str) -> Named | None:
    found = connections.get(name)
    return found or next((one for one in connections.values() if one.name == name), None)


def _within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)
