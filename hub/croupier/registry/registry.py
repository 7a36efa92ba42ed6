"""The registry: which adapters, dialects and event sinks there are, and a configured instance of each on demand."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from croupier.contract import (
    Adapter,
    AdapterSpec,
    CertificateError,
    Dialect,
    DialectSpec,
    EventEndpoint,
    EventStream,
    PackageError,
    SettingsError,
    SinkSpec,
)
from croupier.registry import discovery
from croupier.registry.certificates import UNCERTIFIED, CertificateRule, Standing
from croupier.registry.discovery import Offer, Unreadable
from croupier.registry.loading import (
    ACCEPTED_APIS,
    SLUG,
    Contribution,
    check_adapter,
    check_dialect,
    check_sink,
    load,
    plugin_manager,
)
from croupier.registry.reports import AdapterReport, AllowList, PluginReport, State, distribution_key
from croupier.registry.structuring import structure

_Key = tuple[str, str]  # name of the entry point, compared name of the distribution


class Registry:
    """Finds packages by their entry points, isolates a broken one, and hands out adapters, dialects and event sinks.

    Plugins are imported at once; an adapter is imported when it is asked for. Not to be used by several threads at
    once.

    Args:
        allow: Which packages may be imported; without it, all that are installed.
        certificates: Which certificates of adapters count, and which tier is required; without it, none.
        discover: Whether to look for installed packages at all; tests register their own.

    Example:
        >>> registry = Registry(discover=False)
        >>> registry.adapters()
        []
    """

    def __init__(
        self,
        allow: AllowList | None = None,
        certificates: CertificateRule | None = None,
        *,
        discover: bool = True,
    ) -> None:
        self._allow = allow or AllowList()
        self._certificates = certificates or CertificateRule()
        self._manager = plugin_manager()
        self._specs: dict[str, AdapterSpec] = {}
        self._dialects: dict[str, DialectSpec] = {}
        self._sinks: dict[str, SinkSpec] = {}
        self._offers: dict[str, Offer] = {}
        self._siblings: dict[_Key, frozenset[str]] = {}
        self._versions: dict[str, str | None] = {}
        self._doubts: dict[str, str] = {}  # why the certificate of a loaded adapter does not count
        self._adapter_reports: list[AdapterReport] = []
        self._plugin_reports: list[PluginReport] = []
        if discover:
            self.rescan()

    # --- what there is

    def adapters(self) -> list[AdapterReport]:
        """Every adapter that was found or registered, ordered by slug."""
        return sorted(self._adapter_reports, key=lambda report: (report.slug, report.distribution or ""))

    def plugins(self) -> list[PluginReport]:
        """Every plugin that was found, ordered by name."""
        return sorted(self._plugin_reports, key=lambda report: (report.name, report.distribution))

    def dialects(self) -> list[DialectSpec]:
        """Every wallet dialect that can be used, ordered by slug."""
        return [self._dialects[slug] for slug in sorted(self._dialects)]

    def adapter(self, slug: str) -> AdapterSpec:
        """The adapter's spec; its package is imported now if it was not before.

        Raises:
            PackageError: No installed package offers it, or the one that does cannot be used.
            CertificateError: A certificate is required, and it has none that counts and is high enough.
        """
        if slug in self._specs:
            return self._specs[slug]
        offer = self._offers.pop(slug, None)
        if offer is not None:
            return self._load_adapter(offer)
        reports = [report for report in self._adapter_reports if report.slug == slug and report.reason]
        if not reports:
            raise PackageError("no installed package offers this adapter", where=f"adapters.{slug}")
        error = CertificateError if reports[0].code == CertificateError.code else PackageError
        raise error(reports[0].reason or "", where=f"adapters.{slug}")

    def dialect(self, slug: str) -> DialectSpec:
        """The dialect's spec.

        Raises:
            PackageError: No plugin that can be used offers it.
        """
        if slug not in self._dialects:
            raise PackageError("no installed plugin offers this wallet dialect", where=f"dialects.{slug}")
        return self._dialects[slug]

    def sink(self, slug: str) -> SinkSpec:
        """The event sink's spec.

        Raises:
            PackageError: No plugin that can be used offers it.
        """
        if slug not in self._sinks:
            raise PackageError("no installed plugin offers this event sink", where=f"sinks.{slug}")
        return self._sinks[slug]

    # --- configured instances

    def configure_adapter(self, slug: str, settings: Mapping[str, Any]) -> Adapter:
        """Make an adapter from stored settings.

        Raises:
            PackageError: The adapter cannot be used, or it failed in another way than by refusing its settings.
            SettingsError: A setting is wrong; `where` is its path, beginning with `settings`.
        """
        made = _create(self.adapter(slug), settings)
        if not isinstance(made, Adapter):
            raise PackageError(f"its `create` returned a {type(made).__name__}", where=f"adapters.{slug}")
        return made

    def configure_dialect(self, slug: str, settings: Mapping[str, Any]) -> Dialect:
        """Make a dialect from stored settings.

        Raises:
            PackageError: The dialect cannot be used, or it failed in another way than by refusing its settings.
            SettingsError: A setting is wrong; `where` is its path, beginning with `settings`.
        """
        made = _create(self.dialect(slug), settings)
        if not isinstance(made, Dialect):
            raise PackageError(f"its `create` returned a {type(made).__name__}", where=f"dialects.{slug}")
        return made

    def configure_sink(self, slug: str, settings: Mapping[str, Any]) -> EventEndpoint | EventStream:
        """Make an event sink from stored settings.

        Raises:
            PackageError: The sink cannot be used, or it failed in another way than by refusing its settings.
            SettingsError: A setting is wrong; `where` is its path, beginning with `settings`.
        """
        made = _create(self.sink(slug), settings)
        if not isinstance(made, EventEndpoint | EventStream):
            raise PackageError(f"its `create` returned a {type(made).__name__}", where=f"sinks.{slug}")
        return made

    # --- what changes it

    def register(self, spec: AdapterSpec | DialectSpec | SinkSpec) -> None:
        """Add an adapter, dialect or event sink from code, for tests and examples; no allow-list applies.

        Raises:
            PackageError: It is not right, or its slug is taken.
        """
        if isinstance(spec, AdapterSpec):
            check_adapter(spec)
            if spec.slug in self._specs or spec.slug in self._offers:
                raise PackageError("another adapter has this slug", where=f"adapters.{spec.slug}")
            self._take_adapter(spec, None, None, Standing())
        elif isinstance(spec, SinkSpec):
            check_sink(spec)
            if spec.slug in self._sinks:
                raise PackageError("another sink has this slug", where=f"sinks.{spec.slug}")
            self._sinks[spec.slug] = spec
        else:
            check_dialect(spec)
            if spec.slug in self._dialects:
                raise PackageError("another dialect has this slug", where=f"dialects.{spec.slug}")
            self._dialects[spec.slug] = spec

    def rescan(self) -> None:
        """Look again at what is installed: new packages are found, and what was in quarantine gets another chance.

        What is loaded stays as it is; a newer version of it is used after a restart. A package that was installed in
        place (editable) after the start is found after a restart, too, unless its folder was on the path before.
        """
        importlib.invalidate_caches()
        offers, unreadable = discovery.find()
        self._versions = {distribution_key(offer.distribution): offer.version for offer in offers}
        self._find_plugins(
            [offer for offer in offers if offer.entry.group == discovery.PLUGINS],
            [item for item in unreadable if item.group == discovery.PLUGINS],
        )
        self._find_adapters(
            [offer for offer in offers if offer.entry.group == discovery.ADAPTERS],
            [item for item in unreadable if item.group == discovery.ADAPTERS],
        )

    # --- plugins

    def _find_plugins(self, offers: list[Offer], unreadable: list[Unreadable]) -> None:
        kept = [report for report in self._plugin_reports if report.state is State.LOADED]
        reports = [evolve(report, reason=self._outdated(report)) for report in kept]
        reports += [
            PluginReport(
                name="", distribution=item.distribution, version=None, state=State.QUARANTINED, reason=item.reason
            )
            for item in unreadable
        ]
        loaded = {(report.name, distribution_key(report.distribution)) for report in kept}
        names = {report.name for report in kept}
        contributions: list[tuple[PluginReport, Contribution, Offer]] = []
        for offer in offers:
            if _key(offer) in loaded:
                continue
            report, contribution = self._load_plugin(offer, taken=names)
            if contribution is None:
                reports.append(report)
            else:
                names.add(report.name)
                contributions.append((report, contribution, offer))
        self._plugin_reports = reports + [self._take_plugin(*item, contributions) for item in contributions]

    def _load_plugin(self, offer: Offer, taken: Iterable[str]) -> tuple[PluginReport, Contribution | None]:
        report = PluginReport(
            name=offer.entry.name, distribution=offer.distribution, version=offer.version, state=State.LOADED
        )
        refusal = self._allow.refuses_plugin(offer.entry.name, offer.distribution)
        if refusal:
            return evolve(report, state=State.BLOCKED, reason=refusal), None
        if offer.entry.name in taken:
            reason = "another distribution has a plugin of this name"
            return evolve(report, state=State.QUARANTINED, reason=reason), None
        try:
            return report, load(self._manager, offer, frozenset({offer.entry.name}))
        except PackageError as error:
            return evolve(report, state=State.QUARANTINED, reason=_reason(error)), None

    def _take_plugin(
        self,
        report: PluginReport,
        contribution: Contribution,
        offer: Offer,
        all_of_them: list[tuple[PluginReport, Contribution, Offer]],
    ) -> PluginReport:
        claims = Counter(spec.slug for _, other, _ in all_of_them for spec in other.dialects)
        sinks = Counter(spec.slug for _, other, _ in all_of_them for spec in other.sinks)
        adapters = Counter(spec.slug for _, other, _ in all_of_them for spec in other.adapters)
        twice = [
            spec.slug for spec in contribution.dialects if claims[spec.slug] > 1 or spec.slug in self._dialects
        ] + [spec.slug for spec in contribution.adapters if adapters[spec.slug] > 1 or spec.slug in self._specs]
        twice += [spec.slug for spec in contribution.sinks if sinks[spec.slug] > 1 or spec.slug in self._sinks]
        if twice:
            reason = f"another package brings {', '.join(twice)}, too"
            return evolve(report, state=State.QUARANTINED, reason=reason)
        for spec in contribution.adapters:
            if self._allow.refuses_adapter(spec.slug, report.distribution):
                reason = f"it brings the adapter {spec.slug}, which is not on the allow-list"
                return evolve(report, state=State.BLOCKED, reason=reason)
        standings = {spec.slug: self._standing(spec.slug, report.version, offer) for spec in contribution.adapters}
        for slug, standing in standings.items():
            if refusal := self._refusal(standing):
                reason = f"it brings the adapter {slug}: {refusal}"
                return evolve(report, state=State.QUARANTINED, reason=reason)
        self._dialects.update({spec.slug: spec for spec in contribution.dialects})
        self._sinks.update({spec.slug: spec for spec in contribution.sinks})
        for spec in contribution.adapters:
            self._take_adapter(spec, report.distribution, report.version, standings[spec.slug])
        return evolve(
            report,
            adapters=tuple(sorted(spec.slug for spec in contribution.adapters)),
            dialects=tuple(sorted(spec.slug for spec in contribution.dialects)),
            sinks=tuple(sorted(spec.slug for spec in contribution.sinks)),
        )

    def _outdated(self, report: AdapterReport | PluginReport) -> str | None:
        if report.distribution is None:
            return None
        installed = self._versions.get(distribution_key(report.distribution))
        if installed == report.version:
            return None
        if installed is None:
            return "it is not installed any more; it is used until the hub restarts"
        return f"version {installed} is installed; it is used after a restart of the hub"

    # --- adapters

    def _find_adapters(self, offers: list[Offer], unreadable: list[Unreadable]) -> None:
        failed = {report.slug for report in self._adapter_reports if report.state is State.QUARANTINED}
        loaded = [report for report in self._adapter_reports if report.state is State.LOADED]
        reports = [evolve(report, reason=self._outdated(report) or self._doubts.get(report.slug)) for report in loaded]
        reports += [
            AdapterReport(
                slug="",
                distribution=item.distribution,
                version=None,
                state=State.QUARANTINED,
                reason=item.reason,
                code=PackageError.code,
            )
            for item in unreadable
        ]
        keys = {(report.slug, distribution_key(report.distribution)) for report in loaded if report.distribution}
        self._siblings = _siblings(offers)
        self._offers = {}
        candidates = [offer for offer in offers if _key(offer) not in keys]
        allowed = Counter(
            offer.entry.name
            for offer in candidates
            if not self._allow.refuses_adapter(offer.entry.name, offer.distribution)
        )
        for offer in candidates:
            report = self._judge(offer, claims=allowed[offer.entry.name])
            reports.append(report)
            if report.state is State.AVAILABLE:
                self._offers[offer.entry.name] = offer
        self._adapter_reports = reports
        for slug in sorted(failed & self._offers.keys()):  # so that the report stays true
            try:
                self.adapter(slug)
            except PackageError:
                continue  # the report tells

    def _judge(self, offer: Offer, *, claims: int) -> AdapterReport:
        slug = offer.entry.name
        report = AdapterReport(
            slug=slug,
            distribution=offer.distribution,
            version=offer.version,
            state=State.QUARANTINED,
            code=PackageError.code,
        )
        refusal = self._allow.refuses_adapter(slug, offer.distribution)
        if refusal:
            return evolve(report, state=State.BLOCKED, reason=refusal)
        if not SLUG.fullmatch(slug):
            return evolve(report, reason="a slug is lower case letters, digits and _, and begins with a letter")
        if claims > 1 or slug in self._specs:
            hint = "uninstall one, or allow one distribution only"
            return evolve(report, reason=f"another package offers an adapter of this slug, too ({hint})")
        standing = self._standing(slug, offer.version, offer)
        if refusal := self._refusal(standing):
            return evolve(report, tier=standing.tier, reason=refusal, code=CertificateError.code)
        return evolve(report, state=State.AVAILABLE, tier=standing.tier, reason=_doubt(standing), code=None)

    def _standing(self, slug: str, version: str | None, offer: Offer) -> Standing:
        return self._certificates.standing(slug, version, offer.entry.module, ACCEPTED_APIS)

    def _refusal(self, standing: Standing) -> str | None:
        """Why an adapter of this standing is not used, or `None` if it is."""
        required = self._certificates.required
        if required is None or standing.reaches(required):
            return None
        there = "has no certificate" if standing.tier == UNCERTIFIED else f"is certified as {standing.tier}"
        return (
            f"it {there}, and {required} is required"
            if standing.problem is None
            else (f"{required} is required, and its certificate does not count: {standing.problem}")
        )

    def _load_adapter(self, offer: Offer) -> AdapterSpec:
        slug = offer.entry.name
        self._adapter_reports = [
            report
            for report in self._adapter_reports
            if (report.slug, report.distribution) != (slug, offer.distribution)
        ]
        standing = self._standing(slug, offer.version, offer)  # again: the files may have changed since they were found
        try:
            if refusal := self._refusal(standing):
                raise CertificateError(refusal, where=f"adapters.{slug}")
            spec = load(self._manager, offer, self._siblings[_module_key(offer)]).adapters[0]
        except PackageError as error:
            self._adapter_reports.append(
                AdapterReport(
                    slug=slug,
                    distribution=offer.distribution,
                    version=offer.version,
                    state=State.QUARANTINED,
                    reason=_reason(error),
                    tier=standing.tier,
                    code=error.code,
                )
            )
            raise
        self._take_adapter(spec, offer.distribution, offer.version, standing)
        return spec

    def _take_adapter(
        self, spec: AdapterSpec, distribution: str | None, version: str | None, standing: Standing
    ) -> None:
        self._specs[spec.slug] = spec
        doubt = _doubt(standing)
        if doubt is not None:
            self._doubts[spec.slug] = doubt
        self._adapter_reports.append(
            AdapterReport(
                slug=spec.slug,
                distribution=distribution,
                version=version,
                state=State.LOADED,
                reason=doubt,
                api=spec.api,
                capabilities=tuple(sorted(capability.value for capability in spec.capabilities)),
                tier=standing.tier,
            )
        )


def _create(spec: AdapterSpec | DialectSpec | SinkSpec, settings: Mapping[str, Any]) -> object:
    read: object = structure(settings, spec.settings, where="settings")
    try:
        return spec.create(read)
    except SettingsError as error:
        path = error.where or ""
        where = path if path.partition(".")[0] == "settings" else f"settings.{path}".rstrip(".")
        raise SettingsError(error.message, where=where, hint=error.hint) from error
    except Exception as error:
        raise PackageError(f"it cannot be made: {type(error).__name__}", where=spec.slug) from error


def _key(offer: Offer) -> _Key:
    return offer.entry.name, distribution_key(offer.distribution)


def _module_key(offer: Offer) -> _Key:
    return offer.entry.value, distribution_key(offer.distribution)


def _siblings(offers: Iterable[Offer]) -> dict[_Key, frozenset[str]]:
    names: dict[_Key, set[str]] = {}
    for offer in offers:
        names.setdefault(_module_key(offer), set()).add(offer.entry.name)
    return {key: frozenset(values) for key, values in names.items()}


def _doubt(standing: Standing) -> str | None:
    return None if standing.problem is None else f"its certificate does not count: {standing.problem}"


def _reason(error: PackageError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message
