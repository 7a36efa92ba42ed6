"""`croupier adapters`: what is installed, what is used, and why something is not."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import click

from croupier.cli.output import print_json, print_rows
from croupier.contract import PackageError
from croupier.registry import AdapterReport, PluginReport, Registry, State


@click.group()
def adapters() -> None:
    """What adapters and plugins are installed."""


@adapters.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with `adapters` and `plugins`.")
@click.option("--load", is_flag=True, help="Import every adapter, to see its API and capabilities, or why it fails.")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Apply the allow-list, the trusted keys and the required certificate of this settings file.",
)
@click.option("--strict", is_flag=True, help="Leave with status 1 if one is in quarantine.")
def list_adapters(*, as_json: bool, load: bool, settings_file: Path | None, strict: bool) -> None:
    """List adapters and plugins. Adapters are not imported unless --load is given; plugins always are."""
    registry = _registry(settings_file)
    if load:
        for report in registry.adapters():
            if report.state is State.AVAILABLE:
                _try(registry, report.slug)
    found, plugins = registry.adapters(), registry.plugins()
    if as_json:
        print_json({"adapters": [_plain(item) for item in found], "plugins": [_plain(item) for item in plugins]})
    else:
        _print_table(found, plugins)
    states = [item.state for item in found] + [item.state for item in plugins]
    if strict and State.QUARANTINED in states:
        click.get_current_context().exit(1)


def _registry(file: Path | None) -> Registry:
    if file is None:
        return Registry()
    from croupier.runtime.settings import load_settings

    packages = load_settings(file).packages
    return Registry(packages.allow_list(), packages.certificate_rule())


def _try(registry: Registry, slug: str) -> None:
    try:
        registry.adapter(slug)
    except PackageError:
        return  # the report tells


def _plain(report: AdapterReport | PluginReport) -> dict[str, Any]:
    return attrs.asdict(
        report, value_serializer=lambda _i, _a, value: value.value if isinstance(value, Enum) else value
    )


def _print_table(found: Sequence[AdapterReport], plugins: Sequence[PluginReport]) -> None:
    rows = [("ADAPTER", "STATE", "TIER", "API", "DISTRIBUTION", "CAPABILITIES OR REASON")]
    rows += [
        (
            item.slug or "?",
            item.state.value,
            item.tier,
            "-" if item.api is None else str(item.api),
            _distribution(item.distribution, item.version),
            item.reason or " ".join(item.capabilities) or "-",
        )
        for item in found
    ]
    print_rows(rows)
    if plugins:
        click.echo()
        head = [("PLUGIN", "STATE", "DISTRIBUTION", "BRINGS OR REASON")]
        print_rows(
            head
            + [
                (
                    item.name or "?",
                    item.state.value,
                    _distribution(item.distribution, item.version),
                    item.reason
                    or ", ".join(
                        [f"dialect {slug}" for slug in item.dialects]
                        + [f"sink {slug}" for slug in item.sinks]
                        + [f"adapter {s}" for s in item.adapters]
                    )
                    or "-",
                )
                for item in plugins
            ]
        )


def _distribution(name: str | None, version: str | None) -> str:
    return f"{name or '(code)'} {version or ''}".rstrip()
