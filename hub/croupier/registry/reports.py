"""What the registry tells about the packages it found, and what decides which of them may be used."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, unique

from attrs import field, frozen

from croupier.registry.certificates import UNCERTIFIED


@unique
class State(Enum):
    """What the hub did with a package."""

    AVAILABLE = "available"
    """Installed, not imported yet."""
    LOADED = "loaded"
    """Imported, and right."""
    QUARANTINED = "quarantined"
    """Not used: the reason says why."""
    BLOCKED = "blocked"
    """Not imported: it is not on the allow-list."""


@frozen(kw_only=True)
class AdapterReport:
    """One adapter as it was found.

    Attributes:
        slug: Its slug; empty if the package's metadata cannot be read as far as that.
        distribution: The distribution's name; `None` if it was registered in code.
        version: The distribution's version.
        state: What was done with it.
        reason: Why it is not used, or what is to be done about it.
        api: Its `ADAPTER_API`, once it is loaded.
        capabilities: What it can do, sorted, once it is loaded.
        tier: The tier of its certificate that counts, or `uncertified`; the reason says why one does not count.
        code: The code of the error that asking for it raises, `package` or `certificate`; `None` if it can be used.
    """

    slug: str
    distribution: str | None
    version: str | None
    state: State
    reason: str | None = None
    api: int | None = None
    capabilities: tuple[str, ...] = ()
    tier: str = UNCERTIFIED
    code: str | None = None


@frozen(kw_only=True)
class PluginReport:
    """One plugin as it was found.

    Attributes:
        name: The name of its entry point; empty if the package's metadata cannot be read as far as that.
        distribution: The distribution's name.
        version: The distribution's version.
        state: What was done with it.
        reason: Why it is not used, or what is to be done about it.
        adapters: The slugs of the adapters it brings.
        dialects: The slugs of the wallet dialects it brings.
        sinks: The slugs of the event sinks it brings.
    """

    name: str
    distribution: str
    version: str | None
    state: State
    reason: str | None = None
    adapters: tuple[str, ...] = ()
    dialects: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()


def distribution_key(name: str) -> str:
    """A distribution's name as it is compared: `Croupier_Acme` and `croupier-acme` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _distributions(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(distribution_key(name) for name in names)


@frozen(kw_only=True)
class AllowList:
    """Which packages may be imported. `None` allows every one; an empty set allows none.

    Attributes:
        adapters: Slugs of adapters.
        plugins: Names of plugins.
        distributions: Names of distributions, for adapters and plugins alike.
    """

    adapters: frozenset[str] | None = field(default=None, converter=_names)
    plugins: frozenset[str] | None = field(default=None, converter=_names)
    distributions: frozenset[str] | None = field(default=None, converter=_distributions)

    def refuses_adapter(self, slug: str, distribution: str) -> str | None:
        """Why this adapter may not be imported, or `None` if it may."""
        if self.adapters is not None and slug not in self.adapters:
            return "the adapter is not on the allow-list"
        return self.refuses_distribution(distribution)

    def refuses_plugin(self, name: str, distribution: str) -> str | None:
        """Why this plugin may not be imported, or `None` if it may."""
        if self.plugins is not None and name not in self.plugins:
            return "the plugin is not on the allow-list"
        return self.refuses_distribution(distribution)

    def refuses_distribution(self, distribution: str) -> str | None:
        """Why nothing of this distribution may be imported, or `None` if it may."""
        if self.distributions is not None and distribution_key(distribution) not in self.distributions:
            return "the distribution is not on the allow-list"
        return None
