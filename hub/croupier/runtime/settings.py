"""The process settings: one TOML file for sockets, database, limits and telemetry.

Operators, connections, keys, games and policies are not here: they are rows in the database, changed through the admin
API without a restart. A file with every key:

```toml
owner = "hub-1"

[database]
url = "sqlite:///croupier.db"            # relative to this file; "sqlite:////var/lib/croupier/hub.db" is absolute
migrate = true                           # bring an older schema up to date at the start

[listeners.providers]
host = "0.0.0.0"
port = 8443
tls = { certificate = "tls/hub.crt", key = "tls/hub.key", client_ca = "tls/providers.pem" }

[listeners.operators]
port = 8081

[listeners.admin]
port = 8082

[secrets]
current = "k1"
keys.k1 = { file = "keys/k1" }           # 32 bytes as base64, made by `openssl rand -base64 32`

[limits]
body_bytes = 1048576

[outgoing]
networks = ["10.20.0.0/16"]

[deliveries]
scale = 1.0

[accelerator]
url = "rediss://croupier@valkey.internal:6379/0"

[rates]
operator_api = 200

[telemetry]
level = "info"
format = "json"

[packages]
adapters = ["pragmatic"]
require_certificate = "silver"
trusted_keys = ["keys/certifier.pub"]    # made by `croupier certify keygen`
```
"""

from __future__ import annotations

import base64
import binascii
import re
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal

from attrs import Attribute, evolve, field, frozen, has
from attrs.validators import optional

from croupier.accelerator.opening import check_address
from croupier.configuration.documents import MOST_PER_SECOND
from croupier.contract import SettingsError
from croupier.net import ClientLimits, ClientTls, Guard
from croupier.registry import AllowList, CertificateRule, Problem, problems, structure
from croupier.registry.certificates import read_public_keys
from croupier.runtime.toml_lines import line_of

_KEY_BYTES: Final = 32
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SYNTAX: Final = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")


def _between(low: float, high: float) -> Callable[[Any, Attribute[Any], Any], None]:
    def check(_instance: Any, attribute: Attribute[Any], value: float) -> None:
        if not low <= value <= high:
            raise SettingsError(f"expected a number from {low} to {high}", where=attribute.name)

    return check


def _check_authority(rest: str) -> None:
    """Refuse a URL whose parts cannot be told apart: some of its password would be taken, and told, for a host."""
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if authority.count("@") > 1:
        raise SettingsError("@ in a user or password is written %40", where="url")
    for place in authority.rpartition("@")[2].split(","):
        port = place.rpartition("]")[2].partition(":")[2]
        if port and not (port.isascii() and port.isdecimal()):
            raise SettingsError(
                "expected a number as port (in a user or password / is written %2F, ? %3F and # %23)", where="url"
            )


@frozen(kw_only=True)
class Tls:
    """TLS of a listener.

    Attributes:
        certificate: The certificate and its chain (PEM).
        key: Its private key (PEM).
        client_ca: The authorities of client certificates (PEM): with it, clients are asked for one.
        client_required: Whether clients without a certificate are turned away in the handshake.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    client_required: bool = False

    def __attrs_post_init__(self) -> None:
        if self.client_required and self.client_ca is None:
            raise SettingsError("is missing: client_required needs the authorities", where="client_ca")


@frozen(kw_only=True)
class Listener:
    """Where one of the entrances listens.

    Attributes:
        host: The address to bind.
        port: The port; 0 takes any that is free.
        tls: Without it the listener speaks plain HTTP, for a proxy in front that does not.
    """

    host: str = "127.0.0.1"
    port: int = field(default=0, validator=_between(0, 65535))
    tls: Tls | None = None


@frozen(kw_only=True)
class Listeners:
    """The three entrances. Two with the same host and port share one socket.

    Attributes:
        providers: What providers call.
        operators: The API for operators.
        admin: The API and console for those who run the hub.
        probes: `/healthz`, `/readyz` and `/metrics` of each worker by itself: the first at this port, every further
            one at the next port. Without it there are those of the other entrances alone.
    """

    providers: Listener = Listener(port=8080)
    operators: Listener = Listener(port=8081)
    admin: Listener = Listener(port=8082)
    probes: Listener | None = None


@frozen(kw_only=True)
class Database:
    """Where the ledger is.

    Attributes:
        url: `sqlite:///relative/path`, `sqlite:////absolute/path` or `postgresql://...`.
        migrate: Whether a start brings an older schema up to date; without it, such a start is refused until
            `croupier migrate` was run.
    """

    url: str = field(default="sqlite:///croupier.db", repr=False)
    migrate: bool = True

    @url.validator
    def _known(self, _attribute: Attribute[str], value: str) -> None:
        scheme, mark, rest = value.partition("://")
        if not mark or scheme not in {"sqlite", "postgresql"}:
            raise SettingsError("expected sqlite:///PATH or postgresql://HOST/NAME", where="url")
        if scheme == "sqlite" and (not rest.startswith("/") or len(rest) < 2):
            raise SettingsError("expected three slashes and a path: sqlite:///croupier.db", where="url")
        if scheme == "postgresql":
            _check_authority(rest)

    @property
    def sqlite_path(self) -> Path | None:
        """The file of the embedded ledger, or `None` if the database is a server."""
        scheme, _, rest = self.url.partition("://")
        return Path(rest[1:]) if scheme == "sqlite" else None


@frozen(kw_only=True)
class Limits:
    """What one request may take.

    Attributes:
        body_bytes: The longest body.
        request_seconds: How long a request of an API may wait for a provider, all repeats included.
        drain_seconds: How long the hub waits, when it stops, for what is under way.
    """

    body_bytes: int = field(default=1024 * 1024, validator=_between(1024, 64 * 1024 * 1024))
    request_seconds: float = field(default=30.0, validator=_between(0.1, 600))
    drain_seconds: float = field(default=20.0, validator=_between(0, 600))


@frozen(kw_only=True)
class Outgoing:
    """Calls to operators' wallets and to providers.

    Attributes:
        networks: CIDR blocks that may be called although they are not public.
        hosts: Host names that may be called; without it, every one.
        plain_http: Whether `http:` may be called: for development.
        loopback: Whether this machine itself may be called: for development.
        connect_seconds: How long it may take to get a connection.
        response_bytes: The longest answer.
        keepalive_seconds: How long an idle connection is kept.
        ca: The authorities to trust instead of the system's (PEM).
        certificate: The hub's client certificate (PEM).
        key: Its private key (PEM).
    """

    networks: tuple[str, ...] = field(default=())
    hosts: tuple[str, ...] | None = None
    plain_http: bool = False
    loopback: bool = False
    connect_seconds: float = field(default=3.0, validator=_between(0.05, 60))
    response_bytes: int = field(default=8 * 1024 * 1024, validator=_between(1024, 256 * 1024 * 1024))
    keepalive_seconds: float = field(default=4.0, validator=_between(0, 300))
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @networks.validator
    def _are_blocks(self, _attribute: Attribute[Any], value: tuple[str, ...]) -> None:
        for number, block in enumerate(value):
            try:
                ip_network(block)
            except ValueError:
                raise SettingsError("expected a CIDR block such as 10.0.0.0/8", where=f"networks.{number}") from None

    def guard(self) -> Guard:
        """Where the hub may connect to."""
        return Guard(networks=self.networks, hosts=self.hosts, plain_http=self.plain_http, loopback=self.loopback)

    def limits(self) -> ClientLimits:
        """What connections may cost."""
        return ClientLimits(
            connect_seconds=self.connect_seconds,
            response_bytes=self.response_bytes,
            keepalive_seconds=self.keepalive_seconds,
        )

    def tls(self) -> ClientTls:
        """How others are recognised, and how the hub shows who it is."""
        return ClientTls(ca=self.ca, certificate=self.certificate, key=self.key)


@frozen(kw_only=True)
class Deliveries:
    """Work that is owed.

    Attributes:
        scale: Every wait of the calendar is divided by this: 1 in production, more in a demonstration.
    """

    scale: float = field(default=1.0, validator=_between(0.001, 1_000_000))


@frozen(kw_only=True)
class AcceleratorSettings:
    """A Redis or Valkey server beside the ledger. It may be lost, emptied or slow at any time: that costs latency.

    Attributes:
        url: `redis://`, `rediss://` (TLS), `unix://`, or the first two with `+cluster`; without it there is none.
        timeout_ms: How long a request may wait for it.
        ca: The authorities to trust in place of the system's (PEM), for TLS.
    """

    url: str | None = field(default=None, repr=False)
    timeout_ms: int = field(default=50, validator=_between(1, 1000))
    ca: Path | None = None

    @url.validator
    def _is_known(self, _attribute: Attribute[str | None], value: str | None) -> None:
        if value is not None:
            check_address(value)


@frozen(kw_only=True)
class RateSettings:
    """How many requests are taken a second; none is limited unless it is named.

    Attributes:
        operator_api: Of one operator to its API. An operator's `limits.api_requests_per_second` goes before it.
        operator_api_address: From one address to the operator API, with a valid key or without. Behind a proxy all
            requests have the proxy's address.
        connection: Of one connection's provider. A connection's `requests_per_second` goes before it. Wins and
            rollbacks are counted, but never refused.
    """

    operator_api: float | None = field(default=None, validator=optional(_between(0.01, MOST_PER_SECOND)))
    operator_api_address: float | None = field(default=None, validator=optional(_between(0.01, MOST_PER_SECOND)))
    connection: float | None = field(default=None, validator=optional(_between(0.01, MOST_PER_SECOND)))


@frozen(kw_only=True)
class Telemetry:
    """What the process tells of itself.

    Attributes:
        level: The lowest level that is logged.
        format: `json` has one object a line; `console` is for people.
        metrics: Whether the admin listener shows `/metrics`.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"
    metrics: bool = True


@frozen(kw_only=True)
class KeySource:
    """Where a key comes from: exactly one of the two is given. A key never stands in the file itself.

    Attributes:
        file: A file with 32 bytes as base64.
        env: The name of an environment variable with the same.
    """

    file: Path | None = None
    env: str | None = None

    def __attrs_post_init__(self) -> None:
        if (self.file is None) == (self.env is None):
            raise SettingsError("expected either a file or an env")


@frozen(kw_only=True)
class Secrets:
    """The keys that secrets at rest are encrypted with.

    Attributes:
        current: The id of the key that encrypts.
        keys: Every key that still has to decrypt something, by its id.
    """

    current: str
    keys: Mapping[str, KeySource]

    def __attrs_post_init__(self) -> None:
        for name in self.keys:
            if not _KEY_ID.fullmatch(name):
                raise SettingsError("a key id is up to 32 letters, digits, - and _", where="keys")
        if self.current not in self.keys:
            raise SettingsError("there is no key of this id", where="current")

    def read(self, environ: Mapping[str, str]) -> dict[str, bytes]:
        """Every key by its id.

        Args:
            environ: The environment.

        Raises:
            SettingsError: A key is not there, or is not 32 bytes as base64.
        """
        return {name: _read_key(source, environ, f"secrets.keys.{name}") for name, source in self.keys.items()}

    def check_files(self) -> None:
        """Try the keys that are in files.

        Raises:
            SettingsError: One cannot be read, or is not 32 bytes as base64.
        """
        for name, source in self.keys.items():
            if source.file is not None:
                _read_key(source, {}, f"secrets.keys.{name}")


@frozen(kw_only=True)
class Packages:
    """Which packages may be imported; a list that is left out allows all.

    Attributes:
        adapters: Slugs of adapters.
        plugins: Names of plugins.
        distributions: Names of distributions, for both.
        require_certificate: The lowest tier of a certificate with which an adapter is used; without it, every adapter.
        certificates: A folder with certificates, beside those that lie in the adapters' packages.
        trusted_keys: Public keys (PEM) of those whose certificates count.
    """

    adapters: tuple[str, ...] | None = None
    plugins: tuple[str, ...] | None = None
    distributions: tuple[str, ...] | None = None
    require_certificate: Literal["bronze", "silver", "gold", "platinum"] | None = None
    certificates: Path | None = None
    trusted_keys: tuple[Path, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.require_certificate is not None and not self.trusted_keys:
            raise SettingsError("is missing: require_certificate needs the keys of signers", where="trusted_keys")

    def allow_list(self) -> AllowList:
        """As the registry takes it."""
        return AllowList(adapters=self.adapters, plugins=self.plugins, distributions=self.distributions)

    def certificate_rule(self) -> CertificateRule:
        """Which certificates count, as the registry takes it.

        Raises:
            SettingsError: A key cannot be read.
        """
        return CertificateRule(
            required=self.require_certificate,
            folder=self.certificates,
            trusted=read_public_keys(self.trusted_keys) if self.trusted_keys else {},
        )


@frozen(kw_only=True)
class Settings:
    """Everything a process is started with.

    Attributes:
        secrets: The keys for secrets at rest.
        owner: The name of this process among those that share the database.
        database: Where the ledger is.
        listeners: The entrances.
        limits: What requests may take.
        outgoing: Calls to others.
        deliveries: Work that is owed.
        accelerator: A server for what may be lost.
        rates: How many requests are taken.
        telemetry: Logs and metrics.
        packages: Which adapters and plugins may be imported.
    """

    secrets: Secrets
    owner: str = field(default="hub")
    database: Database = Database()
    listeners: Listeners = Listeners()
    limits: Limits = Limits()
    outgoing: Outgoing = Outgoing()
    deliveries: Deliveries = Deliveries()
    accelerator: AcceleratorSettings = AcceleratorSettings()
    rates: RateSettings = RateSettings()
    telemetry: Telemetry = Telemetry()
    packages: Packages = Packages()

    @owner.validator
    def _is_a_name(self, _attribute: Attribute[str], value: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value):
            raise SettingsError("expected up to 64 letters, digits, ., - and _", where="owner")


@frozen
class SettingsProblem:
    """One thing that is wrong in the file.

    Attributes:
        path: The key's path, or empty.
        line: The line, as far as it can be told.
        message: What was expected.
        column: The column, where the syntax is wrong.
    """

    path: str
    line: int | None
    message: str
    column: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}" + (f" column {self.column}" if self.column else "") if self.line else ""
        return ": ".join(part for part in (place, self.path, self.message) if part)


def load_settings(file: Path) -> Settings:
    """Read the settings; relative paths in it are meant from the file's own folder.

    Raises:
        SettingsError: The file cannot be read, is no TOML, or something in it is wrong.
    """
    found, data, _ = _inspect(file)
    if found:
        others = [str(problem) for problem in found[1:]]
        first = found[0]
        raise SettingsError(
            first.message,
            where=" ".join(part for part in (f"{file}:{first.line or ''}".rstrip(":"), first.path) if part),
            hint=f"also wrong: {'; '.join(others)}" if others else None,
        )
    settings: Settings = _anchored(structure(data, Settings, where=""), file.resolve().parent)
    return settings


def check_settings(file: Path) -> tuple[SettingsProblem, ...]:
    """Everything that is wrong with a settings file; empty if nothing is."""
    return _inspect(file)[0]


def _inspect(file: Path) -> tuple[tuple[SettingsProblem, ...], dict[str, Any], str]:
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        return (SettingsProblem("", None, f"the file cannot be read: {error.strerror}"),), {}, ""
    except UnicodeDecodeError:
        return (SettingsProblem("", None, "the file is not UTF-8"),), {}, ""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return (_syntax(error, text),), {}, text
    return tuple(_located(problem, text) for problem in problems(data, Settings)), data, text


def _located(problem: Problem, text: str) -> SettingsProblem:
    return SettingsProblem(problem.place(), line_of(text, problem.path), problem.message)


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> SettingsProblem:
    found = _SYNTAX.fullmatch(str(error))
    if found is None:
        return SettingsProblem("", None, f"not TOML: {error}")
    if found["line"] is None:
        lines = text.splitlines() or [""]
        return SettingsProblem("", len(lines), f"not TOML: {found['what']}", len(lines[-1]) + 1)
    return SettingsProblem("", int(found["line"]), f"not TOML: {found['what']}", int(found["column"]))


def _anchored(value: Any, folder: Path) -> Any:
    """The same settings with every relative path made absolute."""
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, Database) and value.sqlite_path is not None:
        return evolve(value, url=f"sqlite:///{folder / value.sqlite_path}")
    if isinstance(value, Mapping):
        return {key: _anchored(item, folder) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_anchored(item, folder) for item in value)
    if has(type(value)):
        names = [attribute.name for attribute in type(value).__attrs_attrs__]
        return evolve(value, **{name: _anchored(getattr(value, name), folder) for name in names})
    return value


def _read_key(source: KeySource, environ: Mapping[str, str], where: str) -> bytes:
    if source.file is not None:
        try:
            text = source.file.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            told = error.strerror if isinstance(error, OSError) else "it is not base64"
            raise SettingsError(f"{source.file} cannot be read: {told}", where=f"{where}.file") from None
    else:
        text = environ.get(source.env or "", "")
        if not text:
            raise SettingsError("the environment has no such variable", where=f"{where}.env")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"expected {_KEY_BYTES} bytes as base64", where=where)
    return key
