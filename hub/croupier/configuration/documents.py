"""The stored bodies of configured things, and how strictly they are read.

A body is JSON-ready; reading one into its class refuses unknown fields, wrong types and names that would not survive
a URL. Every refusal is a `SettingsError` whose `where` is the path of the value: `operators.acme.wallet_policy.
timeout_ms`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum, unique
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final, Literal

from attrs import Attribute, field, fields, frozen, validators
from cattrs import Converter

from croupier.contract import Credentials, Device, SettingsError, WalletCapability
from croupier.registry import structure

Network = IPv4Network | IPv6Network

HUB_SCOPE: Final = "hub"
"""The scope, in place of an operator's id, of what belongs to the hub itself: the keys of its administrators."""

VALID_AT_ONCE: Final = 2
"""How many values of a secret, and how many bearer keys of one holder, may be valid at once: enough to rotate."""

MOST_PER_SECOND: Final = 1_000_000
"""The highest rate of requests."""

MOST_HOURS: Final = 87_600
"""The longest that a round may be open before it is overdue: ten years."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_CURRENCY: Final = re.compile(r"[A-Z0-9]{2,12}")
_RTP: Final = re.compile(r"\d{1,3}(?:\.\d{1,4})?")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_EVENTS: Final = re.compile(r"\*|[a-z_]+(?:\.[a-z_]+)*(?:\.\*)?")


@unique
class Kind(Enum):
    """What can be configured."""

    OPERATOR = "operator"
    CONNECTION = "connection"
    KEY = "key"
    GAME = "game"
    ROUTE = "route"
    SINK = "sink"

    @property
    def plural(self) -> str:
        """The word that begins the path of an error: `operators`, `connections`, ..."""
        return f"{self.value}s"


@unique
class Role(Enum):
    """What the holder of a bearer key may do."""

    OPERATOR = "operator"
    """The operator's API, for one operator."""
    ADMIN = "admin"
    """The admin API, for every operator; such keys are stored under `HUB_SCOPE`."""


# An attrs validator runs inside the constructor, where the reader no longer knows the field: so it names it itself.


def _matches(pattern: re.Pattern[str], expected: str) -> Callable[[object, Attribute[Any], str], None]:
    def check(_instance: object, attribute: Attribute[Any], value: str) -> None:
        if not pattern.fullmatch(value):
            raise SettingsError(f"expected {expected}", where=attribute.name)

    return check


def _filled(_instance: object, attribute: Attribute[Any], value: str) -> None:
    if not value.strip():
        raise SettingsError("expected text that is not empty", where=attribute.name)


def _scales(_instance: object, attribute: Attribute[Any], value: Mapping[str, int]) -> None:
    for code, scale in value.items():
        if not _CURRENCY.fullmatch(code):
            raise SettingsError("expected codes of 2 to 12 capital letters and digits", where=attribute.name)
        if not 0 <= scale <= 9:
            raise SettingsError("expected a scale of 0 to 9 digits", where=f"{attribute.name}.{code}")


def _amounts(_instance: object, attribute: Attribute[Any], value: Mapping[str, int]) -> None:
    for code, amount in value.items():
        if amount < 0:
            raise SettingsError("expected an amount from 0, in minor units", where=f"{attribute.name}.{code}")


def _rate(_instance: object, attribute: Attribute[Any], value: int | None) -> None:
    if value is not None and not 1 <= value <= MOST_PER_SECOND:
        raise SettingsError(f"expected 1 to {MOST_PER_SECOND} requests a second", where=attribute.name)


def _hours(_instance: object, attribute: Attribute[Any], value: int) -> None:
    if not 0 <= value <= MOST_HOURS:
        raise SettingsError(f"expected 0 to {MOST_HOURS} hours; 0 switches it off", where=attribute.name)


def _secret_values(_instance: object, attribute: Attribute[Any], value: Mapping[str, tuple[str, ...]]) -> None:
    for name, values in value.items():
        if not 1 <= len(values) <= VALID_AT_ONCE or not all(values):
            raise SettingsError(
                f"expected 1 to {VALID_AT_ONCE} values that are not empty, the current one first",
                where=f"{attribute.name}.{name}",
            )


def _cidrs(_instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for place, text in enumerate(value):
        try:
            ip_network(text)
        except ValueError:
            raise SettingsError(
                "expected a network like 192.0.2.0/24, without bits beyond its length",
                where=f"{attribute.name}.{place}",
            ) from None


def _event_kinds(_instance: object, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for place, kind in enumerate(value):
        if not _EVENTS.fullmatch(kind):
            raise SettingsError(
                "expected a kind like movement.applied, movement.* or *", where=f"{attribute.name}.{place}"
            )


_URL_NAME = _matches(_NAME, "up to 63 small letters, digits, '-' and '_', neither of the signs at an end")


@frozen(kw_only=True)
class LimitsDocument:
    """Limits of an operator that bind every one of its connections; where both say one, the stricter wins.

    Attributes:
        max_bet_minor: The largest bet by currency code, in minor units.
        api_requests_per_second: How many requests the operator may send to its API, in place of the setting
            `rates.operator_api`.
        round_overdue_hours: How long a round may be open before people are told of it (`round.overdue`); 0 for never.
    """

    max_bet_minor: Mapping[str, int] = field(factory=dict, validator=_amounts)
    api_requests_per_second: int | None = field(default=None, validator=_rate)
    round_overdue_hours: int = field(default=72, validator=_hours)


@frozen(kw_only=True)
class OperatorDocument:
    """An operator and its wallet.

    Attributes:
        name: Its name in URLs; unique in the hub.
        enabled: Whether bets are accepted; wins and rollbacks always are.
        dialect: The slug of the wallet's protocol.
        wallet: The dialect's settings (`url` at least), structured by the dialect's own settings class.
        wallet_secrets: The dialect's secrets, by name up to two values, the current one first; encrypted in the
            ledger.
        capabilities_missing: What the dialect could carry and this wallet cannot do.
        wallet_policy: Knobs of `WalletPolicy` that differ from its defaults.
        limits: What binds every connection.
        currencies: The operator's own currencies, code to scale (0 to 9 digits). A scale never changes.
        heal_held_work: Whether held work that stands in the operator's log, as `croupier reconcile` was given it, is
            settled as applied without two people.
    """

    name: str = field(validator=_URL_NAME)
    dialect: str = field(validator=_filled)
    enabled: bool = True
    wallet: Mapping[str, Any] = field(factory=dict)
    wallet_secrets: Mapping[str, tuple[str, ...]] = field(factory=dict, repr=False, validator=_secret_values)
    capabilities_missing: frozenset[WalletCapability] = frozenset()
    wallet_policy: Mapping[str, Any] = field(factory=dict)
    limits: LimitsDocument = LimitsDocument()
    currencies: Mapping[str, int] = field(factory=dict, validator=_scales)
    heal_held_work: bool = False

    @property
    def credentials(self) -> Credentials:
        """The wallet's secrets as a dialect takes them."""
        return Credentials(self.wallet_secrets)


@frozen(kw_only=True)
class ClientCertificate:
    """The client certificate that a provider must present; at least one of the two is given, and all given must match.

    Attributes:
        fingerprint: SHA-256 of the certificate (DER), 64 small hex digits.
        subject: The subject's common name.
    """

    fingerprint: str | None = None
    subject: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.fingerprint is None and not self.subject:
            raise SettingsError("expected a fingerprint or a subject")
        if self.fingerprint is not None and not _HASH.fullmatch(self.fingerprint):
            raise SettingsError("expected a SHA-256 of 64 small hex digits", where="fingerprint")


@frozen(kw_only=True)
class ConnectionDocument:
    """One configured use of an adapter by one operator.

    The connection's immutable id is the namespace of every key that the provider sends; it survives a new name.

    Attributes:
        name: Its name in URLs; unique in its operator.
        adapter: The adapter's slug; never changes.
        enabled: Whether bets and launches are accepted; wins and rollbacks always are.
        settings: The adapter's settings, structured by its own settings class.
        secrets: The adapter's secrets, by name up to two values, the current one first; encrypted in the ledger.
        policy: Knobs of `Policy` that differ from the adapter's defaults, and under `operations` those of one.
        allow_cidrs: The networks that the provider calls from; empty allows every address.
        trusted_proxies: The networks whose forwarded client addresses are believed.
        require_client_certificate: The certificate that the provider must present, if it must.
        priority: Where several connections serve a game, the lower number comes first.
        requests_per_second: How many requests of its provider are taken, in place of the setting `rates.connection`.
            Beyond it the hub refuses what may be repeated without harm; wins and rollbacks are always taken.
    """

    name: str = field(validator=_URL_NAME)
    adapter: str = field(validator=_filled)
    enabled: bool = True
    settings: Mapping[str, Any] = field(factory=dict)
    secrets: Mapping[str, tuple[str, ...]] = field(factory=dict, repr=False, validator=_secret_values)
    policy: Mapping[str, Any] = field(factory=dict)
    allow_cidrs: tuple[str, ...] = field(default=(), validator=_cidrs)
    trusted_proxies: tuple[str, ...] = field(default=(), validator=_cidrs)
    require_client_certificate: ClientCertificate | None = None
    priority: int = 100
    requests_per_second: int | None = field(default=None, validator=_rate)

    @property
    def credentials(self) -> Credentials:
        """The secrets as an adapter takes them."""
        return Credentials(self.secrets)

    @property
    def networks(self) -> tuple[Network, ...]:
        """`allow_cidrs`, read."""
        return tuple(ip_network(text) for text in self.allow_cidrs)

    @property
    def proxies(self) -> tuple[Network, ...]:
        """`trusted_proxies`, read."""
        return tuple(ip_network(text) for text in self.trusted_proxies)


@frozen(kw_only=True)
class ApiKeyDocument:
    """A bearer key of the hub's API; the key itself is shown once and never stored.

    Attributes:
        hash: SHA-256 (small hex) of the key.
        label: What tells it from the holder's other key.
        role: What its holder may do.
        not_after: When it stops being valid (UTC milliseconds), or `None`.
    """

    hash: str = field(repr=False, validator=_matches(_HASH, "a SHA-256 of 64 small hex digits"))
    label: str = field(validator=_filled)
    role: Role = Role.OPERATOR
    not_after: int | None = None


@frozen(kw_only=True)
class GameDocument:
    """A game as players know it, whichever connection serves it.

    Attributes:
        title: Its title.
        studio: Who made it.
        category: The kind of game (`slots`, `live`, ...).
        rtp: Return to player in percent, as exact text.
        volatility: The studio's word.
        features: Feature words.
        devices: What it runs on.
        enabled: Whether bets and launches are accepted.
        thumbnail: An image's address.
    """

    title: str = field(validator=_filled)
    studio: str = field(validator=_filled)
    category: str | None = None
    rtp: str | None = field(
        default=None,
        validator=validators.optional(_matches(_RTP, "a percentage as text, like '96.50'")),
    )
    volatility: str | None = None
    features: tuple[str, ...] = ()
    devices: frozenset[Device] = frozenset(Device)
    enabled: bool = True
    thumbnail: str | None = None


@frozen(kw_only=True)
class RouteDocument:
    """A game as one connection serves it.

    Attributes:
        connection: The connection's id.
        game: The game's id.
        code: The provider's code that launches it; never changes.
        wallet_code: The provider's code in wallet calls, where it is another.
        demo: Whether it can be played for fun.
        free_rounds: Whether free rounds can be given in it.
        enabled: Whether bets and launches are accepted.
    """

    connection: str = field(validator=_filled)
    game: str = field(validator=_filled)
    code: str = field(validator=_filled)
    wallet_code: str | None = None
    demo: bool = True
    free_rounds: bool = False
    enabled: bool = True

    @property
    def played_as(self) -> str:
        """The code in wallet calls."""
        return self.wallet_code or self.code


@frozen(kw_only=True)
class SinkDocument:
    """Where an operator's events go.

    The sink's immutable id is what its place among the events is kept under; it survives a new name and a new address.

    Attributes:
        name: Its name; unique in its operator.
        sink: The slug of the plugin's sink; never changes.
        enabled: Whether it is fed. Its place is kept: once it is enabled again, it goes on from there.
        settings: The sink's settings, structured by its own settings class.
        secrets: The sink's secrets, by name up to two values, the current one first; encrypted in the ledger.
        events: The kinds of events that it is sent: whole kinds, or beginnings with `.*`, or `*` for all.
        start: Where a new sink begins: with what happens from `now` on, or with the operator's first event.
    """

    name: str = field(validator=_URL_NAME)
    sink: str = field(validator=_filled)
    enabled: bool = True
    settings: Mapping[str, Any] = field(factory=dict)
    secrets: Mapping[str, tuple[str, ...]] = field(factory=dict, repr=False, validator=_secret_values)
    events: tuple[str, ...] = field(default=("movement.*", "round.*", "session.*", "grant.*"), validator=_event_kinds)
    start: Literal["now", "beginning"] = "now"

    @property
    def credentials(self) -> Credentials:
        """The secrets as a sink takes them."""
        return Credentials(self.secrets)

    def wants(self, kind: str) -> bool:
        """Whether it is sent events of a kind."""
        return any(
            wanted in {"*", kind} or (wanted.endswith(".*") and kind.startswith(wanted[:-1])) for wanted in self.events
        )


Document = OperatorDocument | ConnectionDocument | ApiKeyDocument | GameDocument | RouteDocument | SinkDocument

DOCUMENTS: Final[Mapping[Kind, type[Document]]] = {
    Kind.OPERATOR: OperatorDocument,
    Kind.CONNECTION: ConnectionDocument,
    Kind.KEY: ApiKeyDocument,
    Kind.GAME: GameDocument,
    Kind.ROUTE: RouteDocument,
    Kind.SINK: SinkDocument,
}

_INNER: Final[Mapping[str, type[Any]]] = {
    "limits": LimitsDocument,
    "require_client_certificate": ClientCertificate,
}
"""The fields that are documents themselves."""

SECRETS_FIELD: Final[Mapping[Kind, str]] = {
    Kind.OPERATOR: "wallet_secrets",
    Kind.CONNECTION: "secrets",
    Kind.SINK: "secrets",
}
"""Where the secrets stand in the bodies that have any."""


def read_document(kind: Kind, body: Mapping[str, Any], where: str) -> Document:
    """Read a body, strictly; secrets in it are plain text.

    Args:
        kind: What it describes.
        body: The JSON-ready values.
        where: The path that an error's own begins with, like `operators.acme`.

    Raises:
        SettingsError: A value is missing, unknown, or not what was expected.
    """
    return structure(body, DOCUMENTS[kind], where=where)


def known_part(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """A stored body without the fields that this code does not know: a newer release may have written it."""
    return _known_fields(DOCUMENTS[kind], body)


def _known_fields(of: type[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    known = {attribute.name for attribute in fields(of)}
    return {
        name: _known_fields(_INNER[name], value) if name in _INNER and isinstance(value, Mapping) else value
        for name, value in body.items()
        if name in known
    }


def write_document(document: Document) -> dict[str, Any]:
    """The JSON-ready body of a document; secrets stand in it as plain text."""
    body: dict[str, Any] = _WRITER.unstructure(document)
    return body


# Sets in a fixed order: the same document is always the same body.
_WRITER: Final = Converter(unstruct_collection_overrides={AbstractSet: sorted, tuple: list})
