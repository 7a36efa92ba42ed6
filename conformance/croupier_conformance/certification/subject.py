"""What is certified: an adapter package with its certification file, `certification.toml` beside the adapter's module.

```toml
peer = "croupier_acme.peer:AcmePeer"      # a class, made from the settings
host = "api.acme.example"                 # where the hub's calls to the provider go
wire = "JSON; HMAC-SHA256 of the body"    # in a few words, for people
source = "docs.acme.example"              # where the facts come from, for people
claims = "gold"                           # the tier that a whole run must prove; without it no more than it does

[settings]                                # a connection's settings, as an operator would write them
api_url = "https://api.acme.example"

[secrets]                                 # test secrets
secret_key = "certification-only"

[games]                                   # the peer's game codes and their titles
acme_fruits = "Acme Fruits"

[wallet_codes]                            # of games that have another code in wallet calls than at launch
acme_fruits = "1041"

[operations]                              # EVERY operation of the provider's own documentation
"POST /bet" = "bet"                       # capabilities that it is offered as, parted by white space
"POST /jackpotFeed" = { omitted = "a feed for lobbies, not for wallets" }
"POST /tip" = { todo = "the amount's unit is not told" }    # still to be written: keeps from gold

[todo]                                    # rules that are still to be proved: they count as broken until the line goes
"another-rule" = "the provider's own examples are missing"

[exempt]                                  # rules that do not hold, each with a reason that a reader will believe
"some-rule" = "the provider cancels by round alone"

[transcripts]
folder = "transcripts"                    # golden requests and answers, beside this file
```
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from croupier.contract import Adapter, AdapterSpec, Capability, Credentials, Peer, SettingsError
from croupier.registry import Registry, structure
from croupier_conformance.certification.rule import Tier

FILE: Final = "certification.toml"


@frozen(kw_only=True)
class Operation:
    """One operation of the provider's documentation.

    Attributes:
        name: As the documentation calls it.
        capabilities: What it is offered as.
        omitted: Why it is not offered; empty if it is.
        todo: What is still missing; empty if nothing is.
    """

    name: str
    capabilities: frozenset[Capability] = frozenset()
    omitted: str = ""
    todo: str = ""


@frozen(kw_only=True, eq=False)
class AdapterSubject:
    """An installed adapter with what its author says about it.

    Attributes:
        spec: What the adapter says of itself.
        version: The distribution's version.
        package: The import package, `croupier_acme`: the one that the settings class is in.
        folder: Where the package's files are.
        settings_raw: The settings as they are written.
        settings: The same as the adapter's settings class.
        secrets: The test secrets.
        host: The host of the hub's calls to the provider.
        games: The peer's games, code to title.
        wallet_codes: The codes in wallet calls of games that have another one there.
        operations: Every operation of the provider's documentation.
        exempt: Rules that do not hold, with reasons.
        todo: Rules that are still to be proved, with what is missing: they count as broken, whatever their check finds.
        transcripts: Where the golden messages are, or `None`.
        wire: How the provider's messages look, in a few words; empty if nobody said it.
        source: Where the facts of the protocol come from; empty if nobody said it.
        claims: The tier that a whole run must prove.
    """

    spec: AdapterSpec
    version: str
    package: str
    folder: Traversable
    settings_raw: Mapping[str, Any]
    settings: Any
    secrets: Mapping[str, str] = field(repr=False)
    host: str
    games: Mapping[str, str]
    operations: tuple[Operation, ...]
    exempt: Mapping[str, str]
    transcripts: Traversable | None
    _peer: type[Any]
    todo: Mapping[str, str] = field(factory=dict)
    wallet_codes: Mapping[str, str] = field(factory=dict)
    wire: str = ""
    source: str = ""
    claims: Tier = Tier.NONE

    def played_as(self, code: str) -> str:
        """A game's code in wallet calls."""
        return self.wallet_codes.get(code, code)

    def at(self, url: str) -> AdapterSubject:
        """The same where the provider's `host` is at another address: `https://` and the host give way to it.

        Whoever serves the peer over a socket asks for this (the demonstration does).
        """
        raw = {name: _moved(value, f"https://{self.host}", url) for name, value in self.settings_raw.items()}
        return evolve(self, settings_raw=raw, settings=structure(raw, self.spec.settings, where="settings"))

    @property
    def credentials(self) -> Credentials:
        """The test secrets as adapter and peer take them."""
        return Credentials({name: (value,) for name, value in self.secrets.items()})

    def adapter(self) -> Adapter:
        """A new adapter with the test settings."""
        return self.spec.create(self.settings)

    def peer(self) -> Peer:
        """A new peer with the test settings."""
        made = self._peer(self.settings)
        if not isinstance(made, Peer):
            raise SettingsError("it makes no Peer", where="peer")
        return made


def load_adapter(slug: str, registry: Registry | None = None) -> AdapterSubject:
    """The subject of an installed adapter.

    Args:
        slug: The adapter's.
        registry: Where adapters are found; by default what is installed.

    Raises:
        NotFoundError: No such adapter is installed.
        PackageError: It cannot be loaded.
        SettingsError: The certification file is missing or wrong; `where` is the place in it.
    """
    known = registry or Registry()
    spec = known.adapter(slug)
    version = next((report.version for report in known.adapters() if report.slug == slug), None)
    package = spec.settings.__module__.partition(".")[0]
    return read_subject(spec, version=version or "0", package=package, folder=resources.files(package))


def read_subject(spec: AdapterSpec, *, version: str, package: str, folder: Traversable | Path) -> AdapterSubject:
    """The subject of a specification whose certification file is in a folder.

    Raises:
        SettingsError: The file is missing or wrong.
    """
    document = _document(folder)
    peer = _peer_class(_text(document, "peer"))
    raw = _table(document, "settings")
    transcripts = _table(document, "transcripts").get("folder")
    exempt = {str(slug): str(reason) for slug, reason in _table(document, "exempt").items()}
    todo = {str(slug): str(missing) for slug, missing in _table(document, "todo").items()}
    games = {str(code): str(title) for code, title in _table(document, "games").items()}
    wallet_codes = {str(code): str(other) for code, other in _table(document, "wallet_codes").items()}
    if unknown := wallet_codes.keys() - games.keys():
        raise SettingsError("there is no such game", where=f"{FILE}: wallet_codes.{min(unknown)}")
    if both := exempt.keys() & todo.keys():
        raise SettingsError("a rule is exempt or to be done, not both", where=f"{FILE}: todo.{min(both)}")
    return AdapterSubject(
        spec=spec,
        version=version,
        package=package,
        folder=folder,
        settings_raw=raw,
        settings=structure(raw, spec.settings, where="settings"),
        secrets={str(name): str(value) for name, value in _table(document, "secrets").items()},
        host=_text(document, "host"),
        games=games,
        operations=tuple(_operation(name, told) for name, told in _table(document, "operations").items()),
        exempt=exempt,
        todo=todo,
        wallet_codes=wallet_codes,
        transcripts=folder / str(transcripts) if transcripts else None,
        wire=str(document.get("wire", "")),
        source=str(document.get("source", "")),
        claims=_claims(document),
        peer=peer,
    )


def _moved(value: Any, here: str, there: str) -> Any:
    match value:
        case str():
            return value.replace(here, there)
        case Mapping():
            return {key: _moved(item, here, there) for key, item in value.items()}
        case list():
            return [_moved(item, here, there) for item in value]
        case _:
            return value


def _document(folder: Traversable | Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError("the package has no certification file", where=FILE, hint="see adapters.md") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"it is no TOML: {error}", where=FILE) from None


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise SettingsError("expected a text", where=f"{FILE}: {name}")
    return value


def _claims(document: Mapping[str, Any]) -> Tier:
    word = document.get("claims", Tier.NONE.word)
    found = next((tier for tier in Tier if tier.word == word), None)
    if found is None:
        known = ", ".join(tier.word for tier in Tier if tier)
        raise SettingsError(f"expected one of {known}", where=f"{FILE}: claims")
    return found


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name, {})
    if not isinstance(value, Mapping):
        raise SettingsError("expected a table", where=f"{FILE}: {name}")
    return value


def _operation(name: str, told: Any) -> Operation:
    where = f"{FILE}: operations.{name}"
    match told:
        case str():
            try:
                capabilities = Capability.of(told)
            except ValueError as error:
                raise SettingsError(str(error), where=where) from None
            if not capabilities:
                raise SettingsError("expected capabilities, or a reason why it is omitted", where=where)
            return Operation(name=name, capabilities=capabilities)
        case {"omitted": str(reason)} if reason.strip():
            return Operation(name=name, omitted=reason)
        case {"todo": str(missing)} if missing.strip():
            return Operation(name=name, todo=missing)
        case _:
            raise SettingsError('expected capabilities, or { omitted = "a reason" } or { todo = "..." }', where=where)


def _peer_class(path: str) -> type[Any]:
    module, mark, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name) if mark else None
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"it cannot be imported: {error}", where=f"{FILE}: peer") from None
    if not isinstance(found, type):
        raise SettingsError("expected `package.module:Class`", where=f"{FILE}: peer")
    return found
