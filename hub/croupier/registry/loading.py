"""One package is imported, asked for its records, and checked: all of it is right, or none of it is used."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, Final

import pluggy
from attrs import frozen

from croupier import hookspecs
from croupier.contract import (
    ADAPTER_API,
    AdapterSpec,
    Capability,
    DialectSpec,
    PackageError,
    SinkSpec,
    WalletCapability,
)
from croupier.registry.discovery import ADAPTERS, Offer
from croupier.registry.structuring import can_structure

ACCEPTED_APIS: Final = frozenset({ADAPTER_API, ADAPTER_API - 1})
"""The versions of the contract that this hub works with."""

SLUG: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")


@frozen
class Contribution:
    """What a package hands over."""

    adapters: tuple[AdapterSpec, ...] = ()
    dialects: tuple[DialectSpec, ...] = ()
    sinks: tuple[SinkSpec, ...] = ()


def plugin_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the hub's hooks and no plugin."""
    manager = pluggy.PluginManager("croupier")
    manager.add_hookspecs(hookspecs)
    return manager


def load(manager: pluggy.PluginManager, offer: Offer, siblings: frozenset[str]) -> Contribution:
    """Import what an entry point names and ask its hooks.

    Args:
        manager: Keeps the plugin if it is right, and forgets it if not.
        offer: The entry point.
        siblings: The names of all entry points of the distribution that name the same module.

    Raises:
        PackageError: It cannot be used, for whatever reason.
    """
    name = f"{offer.distribution}:{offer.entry.value}"
    before = frozenset(sys.modules)
    try:
        plugin = manager.get_plugin(name)
        if plugin is None:
            plugin = offer.entry.load()
            manager.register(plugin, name=name)
            manager.check_pending()
        return _ask(manager, plugin, offer, siblings)
    except PackageError:
        _forget(manager, name, offer, before)
        raise
    except (Exception, SystemExit) as error:  # whatever a package does wrong is its own affair
        _forget(manager, name, offer, before)
        raise PackageError(_describe(error), where=offer.entry.name) from error


def check_adapter(spec: object) -> AdapterSpec:
    """The spec, if this hub can work with it.

    Raises:
        PackageError: It cannot.
    """
    if not isinstance(spec, AdapterSpec):
        raise PackageError(f"croupier_adapters returned a {type(spec).__name__} where an AdapterSpec is expected")
    _check_common(spec)
    _check_capabilities(spec, Capability)
    return spec


def check_dialect(spec: object) -> DialectSpec:
    """The spec, if this hub can work with it.

    Raises:
        PackageError: It cannot.
    """
    if not isinstance(spec, DialectSpec):
        raise PackageError(f"croupier_wallet_dialects returned a {type(spec).__name__} where a DialectSpec is expected")
    _check_common(spec)
    _check_capabilities(spec, WalletCapability)
    return spec


def check_sink(spec: object) -> SinkSpec:
    """The spec, if this hub can work with it.

    Raises:
        PackageError: It cannot.
    """
    if not isinstance(spec, SinkSpec):
        raise PackageError(f"croupier_event_sinks returned a {type(spec).__name__} where a SinkSpec is expected")
    _check_common(spec)
    return spec


def _check_capabilities(spec: AdapterSpec | DialectSpec, capability: type[Capability | WalletCapability]) -> None:
    capabilities: object = spec.capabilities
    if not (isinstance(capabilities, frozenset) and all(isinstance(item, capability) for item in capabilities)):
        raise PackageError(f"its capabilities are no frozenset of {capability.__name__}", where=spec.slug)


def _check_common(spec: AdapterSpec | DialectSpec | SinkSpec) -> None:
    slug: object = spec.slug  # a package may hand over anything: no type is taken for granted here
    if spec.api not in ACCEPTED_APIS:
        accepted = " and ".join(str(api) for api in sorted(ACCEPTED_APIS, reverse=True))
        raise PackageError(
            f"it was written against ADAPTER_API {spec.api}; this hub accepts {accepted}",
            where=str(spec.slug),
            hint="install a release of the package for this hub",
        )
    if not (isinstance(slug, str) and SLUG.fullmatch(slug)):
        raise PackageError("a slug is lower case letters, digits and _, and begins with a letter", where=str(spec.slug))
    if not callable(spec.create):
        raise PackageError("its `create` cannot be called", where=spec.slug)
    try:
        can_structure(spec.settings)
    except Exception as error:
        raise PackageError(f"its class of settings cannot be used: {_describe(error)}", where=spec.slug) from error


def _ask(manager: pluggy.PluginManager, plugin: object, offer: Offer, siblings: frozenset[str]) -> Contribution:
    if not manager.get_hookcallers(plugin):
        raise PackageError(f"{offer.entry.value} implements no hook of the hub", where=offer.entry.name)
    adapters = tuple(check_adapter(spec) for spec in _call(manager, "croupier_adapters", plugin))
    dialects = tuple(check_dialect(spec) for spec in _call(manager, "croupier_wallet_dialects", plugin))
    sinks = tuple(check_sink(spec) for spec in _call(manager, "croupier_event_sinks", plugin))
    for slugs in ([spec.slug for spec in adapters], [spec.slug for spec in dialects], [spec.slug for spec in sinks]):
        if len(set(slugs)) < len(slugs):
            raise PackageError("it hands over two records with one slug", where=offer.entry.name)
    if offer.entry.group == ADAPTERS:
        if dialects or sinks:
            raise PackageError(
                f"it brings {'wallet dialects' if dialects else 'event sinks'}",
                where=offer.entry.name,
                hint="they belong to a package in croupier.plugins",
            )
        found = {spec.slug for spec in adapters}
        if found != siblings:
            raise PackageError(
                f"its entry points are named {_list(siblings)}, and its adapters {_list(found)}: both must be the slug",
                where=offer.entry.name,
            )
        adapters = tuple(spec for spec in adapters if spec.slug == offer.entry.name)
    return Contribution(adapters, dialects, sinks)


def _call(manager: pluggy.PluginManager, hook: str, plugin: object) -> Iterable[Any]:
    others = [other for other in manager.get_plugins() if other is not plugin]
    caller = manager.subset_hook_caller(hook, remove_plugins=others)
    return [record for records in caller() for record in records]


def _forget(manager: pluggy.PluginManager, name: str, offer: Offer, before: frozenset[str]) -> None:
    """Leave nothing behind, so that a repaired package can be imported by the next rescan."""
    if manager.has_plugin(name):
        manager.unregister(name=name)
    package = offer.entry.module.partition(".")[0]
    for module in set(sys.modules) - before:
        if module.partition(".")[0] == package:
            del sys.modules[module]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
