"""Values of the contract as tables of text, numbers and lists, and back; what is at its default is left out.

Where a field may be one of several classes, the table says which: `is = "Applied"`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import attrs

from croupier.contract import MAJOR, MINOR, CroupierError, SettingsError, Unit, WireAmount

TAG: Final = "is"
_UNITS: Final = {"major": MAJOR, "minor": MINOR}
_STEPS: Final = "10^"


def encode(value: Any, kind: Any) -> Any:
    """A value as a table, a list, or what TOML has.

    Args:
        value: The value.
        kind: Its type, as it is annotated.
    """
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | str() | datetime():
            return value
        case Decimal():
            return f"{value:f}"
        case Unit():
            return _unit_text(value)
        case Mapping():
            inner = _inner(kind, 1)
            return {str(name): encode(item, inner) for name, item in value.items()}
        case frozenset():
            return sorted(encode(item, _inner(kind, 0)) for item in value)
        case tuple() | list():
            return [encode(item, _inner(kind, 0)) for item in value]
        case _:
            return _table(value, kind)


def decode(told: Any, kind: Any, where: str) -> Any:
    """A value of what `encode` made of it.

    Raises:
        SettingsError: It is no such value; `where` is its path.
    """
    if told is None or kind is Any:
        return told
    if _is_union(kind):
        return _one_of(told, kind, where)
    origin = get_origin(kind)
    if origin is not None:
        return _collection(told, kind, origin, where)
    if kind is Decimal:
        return WireAmount.of(told).value
    if kind is Unit:
        return _unit(told, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(told)
        except ValueError:
            raise SettingsError(f"{told!r} is no {kind.__name__}", where=where) from None
    if isinstance(kind, type) and attrs.has(kind):
        return _instance(told, kind, where)
    if not isinstance(told, kind):
        raise SettingsError(f"expected {kind.__name__}", where=where)
    return told.astimezone(UTC) if isinstance(told, datetime) else told


def default_of(one: Any) -> Any:
    """The default value of an attribute; `attrs.NOTHING` if it has none."""
    return one.default.factory() if isinstance(one.default, attrs.Factory) else one.default  # type: ignore[arg-type]  # attrs shows Factory as a function


def _table(value: Any, kind: Any) -> dict[str, Any]:
    hints = _hints(type(value))
    tagged = _is_union(kind) and len(_classes(kind)) > 1
    told: dict[str, Any] = {TAG: type(value).__name__} if tagged else {}
    for one in attrs.fields(type(value)):
        item = getattr(value, one.name)
        if item != default_of(one):
            told[one.name] = encode(item, hints[one.name])
    return told


def _instance(told: Any, kind: type[Any], where: str) -> Any:
    if not isinstance(told, Mapping):
        raise SettingsError(f"expected a table: {kind.__name__}", where=where)
    hints = _hints(kind)
    known = {one.name for one in attrs.fields(kind)}
    strange = sorted(set(told) - known - {TAG})
    if strange:
        raise SettingsError(f"{kind.__name__} has no {strange[0]}", where=where)
    values = {name: decode(told[name], hints[name], f"{where}.{name}") for name in known & set(told)}
    try:
        return kind(**values)
    except (TypeError, CroupierError) as error:
        raise SettingsError(f"it is no {kind.__name__}: {error}", where=where) from None


def _one_of(told: Any, kind: Any, where: str) -> Any:
    options = [option for option in get_args(kind) if option is not type(None)]
    if len(options) == 1:
        return decode(told, options[0], where)
    name = told.get(TAG) if isinstance(told, Mapping) else None
    for option in _classes(kind):
        if option.__name__ == name:
            return _instance(told, option, where)
    names = ", ".join(option.__name__ for option in _classes(kind))
    raise SettingsError(f"expected {TAG}: one of {names}", where=where)


def _collection(told: Any, kind: Any, origin: Any, where: str) -> Any:
    inner = _inner(kind, -1)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(told, Mapping):
            raise SettingsError("expected a table", where=where)
        return {name: decode(item, inner, f"{where}.{name}") for name, item in told.items()}
    if isinstance(told, str) or not isinstance(told, Sequence):
        raise SettingsError("expected a list", where=where)
    items = [decode(item, _inner(kind, 0), f"{where}[{place}]") for place, item in enumerate(told)]
    return frozenset(items) if origin is frozenset else tuple(items)


def _inner(kind: Any, place: int) -> Any:
    """The type of a collection's members."""
    if _is_union(kind):
        options = [option for option in get_args(kind) if get_origin(option) is not None]
        kind = options[0] if options else kind
    inner = [one for one in get_args(kind) if one is not Ellipsis]
    return inner[place] if len(inner) > abs(place) - (place < 0) else Any


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in {Union, types.UnionType}


def _classes(kind: Any) -> list[type[Any]]:
    return [option for option in get_args(kind) if isinstance(option, type) and attrs.has(option)]


def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _unit_text(unit: Unit) -> str:
    return next((name for name, known in _UNITS.items() if known == unit), f"{_STEPS}{unit.power}")


def _unit(told: Any, where: str) -> Unit:
    if told in _UNITS:
        return _UNITS[told]
    text = str(told)
    if text.startswith(_STEPS) and text.removeprefix(_STEPS).lstrip("-").isdigit():
        return Unit(int(text.removeprefix(_STEPS)))
    raise SettingsError("expected major, minor or 10^-5", where=where)
