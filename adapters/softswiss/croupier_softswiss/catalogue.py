"""The provider's catalogue files: one entry a game.

Source: `reference/protocols/softswiss.md`, section "Operator → provider", "Game list".
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from croupier.contract import Device, GameListing, MalformedRequestError, UpstreamError, WireAmount, read_json
from croupier_softswiss.settings import CatalogueFormat


def read_catalogue(body: bytes, form: CatalogueFormat) -> tuple[GameListing, ...]:
    """The games of one file: a list of entries, or an object that holds the list as `games`.

    Raises:
        UpstreamError: The file cannot be read, or an entry has no identifier: half a list would look as if games
            had been withdrawn.
    """
    try:
        document = _document(body, form)
    except MalformedRequestError as error:
        raise UpstreamError(f"the catalogue cannot be read: {error.message}", where=error.where) from None
    entries = document.get("games") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise UpstreamError("expected a list of games", where="games")
    return tuple(_listing(entry, f"games[{index}]") for index, entry in enumerate(entries))


def _document(body: bytes, form: CatalogueFormat) -> Any:
    match form:
        case CatalogueFormat.JSON:
            return read_json(body)
        case CatalogueFormat.YAML:
            from croupier_softswiss.plain_yaml import read_plain_yaml

            return read_plain_yaml(body)


def _listing(entry: Any, where: str) -> GameListing:
    if not isinstance(entry, dict):
        raise UpstreamError("expected a game", where=where)
    code = _text(entry.get("identifier"))
    if code is None:
        raise UpstreamError("a game has no identifier", where=f"{where}.identifier")
    feature = _text(entry.get("feature_group"))
    return GameListing(
        code=code,
        name=_text(entry.get("title")) or code,
        studio=_text(entry.get("producer")) or _text(entry.get("provider")),
        category=_text(entry.get("category")),
        devices=_devices(entry.get("devices")),
        free_rounds=_flag(entry.get("has_freespins")),
        rtp=_number(entry.get("payout")),
        volatility=_text(entry.get("volatility_rating")),
        lines=_text(entry.get("lines")) or _text(entry.get("ways")),
        blocked_countries=_blocked(entry.get("restrictions")),
        features=(feature,) if feature else (),
    )


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = format(value, "f") if isinstance(value, Decimal) else str(value).strip()
    return text or None


def _number(value: Any) -> str | None:
    text = _text(value)
    try:
        return text and format(WireAmount.of(text.removesuffix("%").rstrip()).value, "f")
    except MalformedRequestError:
        return None


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in {"true", "yes"})


def _devices(value: Any) -> frozenset[Device]:
    words = {word.lower() for word in value if isinstance(word, str)} if isinstance(value, list) else set()
    return frozenset(device for device in Device if device.value in words) or frozenset(Device)


def _blocked(value: Any) -> frozenset[str]:
    for name in ("default", "blacklist"):
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, list):
        return frozenset()
    return frozenset(code.upper() for code in value if isinstance(code, str) and len(code) == 2 and code.isalpha())
