"""The provider's catalogue files: one entry a game.

Source: `reference/protocols/softswiss.md`, section "Operator → provider", "Game list".
"""

from __future__ import annotations

from typing import Any

from croupier.contract.errors import MalformedRequestError, UpstreamError
from croupier.contract.fields import Told
from croupier.contract.flows import Device, GameListing
from croupier.contract.money import WireAmount
from croupier.contract.strict_json import read_json
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
    told = Told(document if isinstance(document, dict) else {"games": document})
    return tuple([_listing(entry) for entry in told.objects("games")])


def _document(body: bytes, form: CatalogueFormat) -> Any:
    match form:
        case CatalogueFormat.JSON:
            return read_json(body)
        case CatalogueFormat.YAML:
            from croupier_softswiss.plain_yaml import read_plain_yaml

            return read_plain_yaml(body)


def _listing(entry: Told) -> GameListing:
    code = entry.word("identifier")
    if code is None:
        raise UpstreamError("a game has no identifier", where=entry.where("identifier"))
    words = {word.lower() for word in entry.words("devices")}
    feature = entry.word("feature_group")
    return GameListing(
        code=code,
        name=entry.word("title") or code,
        studio=entry.word("producer") or entry.word("provider"),
        category=entry.word("category"),
        devices=frozenset(device for device in Device if device.value in words) or frozenset(Device),
        free_rounds=_flag(entry.values.get("has_freespins")),
        rtp=_number(entry.word("payout")),
        volatility=entry.word("volatility_rating"),
        lines=entry.word("lines") or entry.word("ways"),
        blocked_countries=_blocked(entry.values.get("restrictions")),
        features=(feature,) if feature else (),
    )


def _number(text: str | None) -> str | None:
    try:
        return text and format(WireAmount.of(text.removesuffix("%").rstrip()).value, "f")
    except MalformedRequestError:
        return None


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in {"true", "yes"})


def _blocked(value: Any) -> frozenset[str]:
    default = value.get("default") if isinstance(value, dict) else None
    codes = Told(default).words("blacklist") if isinstance(default, dict) else ()
    return frozenset(code.upper() for code in codes if len(code) == 2 and code.isalpha())
