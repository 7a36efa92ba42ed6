"""What is installed: the entry points of every distribution, without importing one."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Final

from attrs import frozen

from croupier.registry.reports import distribution_key

ADAPTERS: Final = "croupier.adapters"
PLUGINS: Final = "croupier.plugins"


@frozen
class Offer:
    """An entry point as it was found.

    Attributes:
        entry: The entry point: its name is the adapter's slug or the plugin's name.
        distribution: The distribution's name.
        version: The distribution's version.
    """

    entry: EntryPoint
    distribution: str
    version: str


@frozen
class Unreadable:
    """A distribution that has entry points for the hub, as far as one can tell, but whose metadata are damaged.

    Attributes:
        distribution: Its name, or its folder's.
        group: Which group its entry points are in.
        reason: What is wrong.
    """

    distribution: str
    group: str
    reason: str


def find() -> tuple[list[Offer], list[Unreadable]]:
    """Every offer of every installed distribution, ordered by name and distribution.

    `importlib.metadata.entry_points` is not used: one damaged file of one distribution, be it none of ours, makes it
    raise for all.
    """
    offers: list[Offer] = []
    unreadable: list[Unreadable] = []
    seen: set[str] = set()
    for distribution in distributions():
        text = _text(distribution)
        groups = [group for group in (ADAPTERS, PLUGINS) if group in text]
        if not groups:
            continue
        name = _name(distribution)
        if distribution_key(name) in seen:  # the first on the path is the one that is imported
            continue
        seen.add(distribution_key(name))
        try:
            offers.extend(_offers(distribution, name, groups))
        except Exception as error:  # noqa: BLE001  # whatever damage there is, it is another package's
            reason = f"its metadata cannot be read: {type(error).__name__}: {error}"
            unreadable.extend(Unreadable(name, group, reason) for group in groups)
    return sorted(offers, key=_order), unreadable


def _offers(distribution: Distribution, name: str, groups: list[str]) -> list[Offer]:
    version = distribution.version
    if not version:
        raise ValueError("it tells no version")
    return [Offer(entry, name, version) for entry in distribution.entry_points if entry.group in groups]


def _order(offer: Offer) -> tuple[str, str, str]:
    return offer.entry.group, offer.entry.name, distribution_key(offer.distribution)


def _text(distribution: Distribution) -> str:
    try:
        return distribution.read_text("entry_points.txt") or ""
    except (OSError, UnicodeDecodeError):
        return ""


def _name(distribution: Distribution) -> str:
    return next(_names(distribution), "unknown")


def _names(distribution: Distribution) -> Iterator[str]:
    try:
        name = distribution.metadata["Name"]
    except Exception:  # noqa: BLE001  # damaged or missing METADATA raises whatever the email parser meets
        name = None
    if name:
        yield name
    folder = getattr(distribution, "_path", None)  # the one place that still tells whose it is
    if folder is not None:
        yield str(folder.name).split("-")[0]
