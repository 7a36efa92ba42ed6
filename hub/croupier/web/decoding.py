"""Reading requests into attrs classes, strictly, and writing them out: one pair of functions for every JSON API.

The classes say everything: types, bounds (`Annotated` with `msgspec.Meta`) and defaults. The same classes make the
OpenAPI document, so what is documented is what is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import unquote

import attrs
import msgspec

from croupier.contract import MalformedRequestError, read_json_object

T = TypeVar("T")

_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<where>[^`]*)`)?$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>\w+)`$")
_SECRETS: Final = frozenset({"secrets", "wallet_secrets"})
_LINE_BREAKS: Final = str.maketrans("", "", "\r\n")


def read_body(kind: type[T], body: bytes) -> T:
    """Read a JSON object into a class.

    Raises:
        MalformedRequestError: Not JSON, an unknown field, a missing one, a wrong type or value; `where` is its path.
    """
    value = read_json_object(body)
    _check(value, kind, "body")
    return _convert(kind, value, "body", strict=True)


def read_query(kind: type[T], pairs: Iterable[tuple[str, str]]) -> T:
    """Read the pairs of a query into a class; numbers and truth values are read from their text.

    Raises:
        MalformedRequestError: As `read_body`, and for a name that stands twice.
    """
    value: dict[str, str] = {}
    for name, text in pairs:
        if name in value:
            raise MalformedRequestError("the name stands twice", where=f"query.{name[:64]}")
        value[name] = text
    _check(value, kind, "query")
    return _convert(kind, value, "query", strict=False)


def read_segment(text: str, name: str) -> str:
    """One segment of a path, decoded.

    Raises:
        MalformedRequestError: It is no UTF-8, or holds control characters.
    """
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise MalformedRequestError("not UTF-8", where=f"path.{name}") from None
    _check_text(decoded, f"path.{name}")
    return decoded


def write_json(value: object) -> bytes:
    """Write an attrs value as JSON: times as RFC 3339, amounts as integers, members of enums by value."""
    return msgspec.json.encode(value)


def _convert(kind: type[T], value: Mapping[str, Any], root: str, *, strict: bool) -> T:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        found = _PLACE.match(str(error))
        what, where = (found["what"], found["where"] or "") if found else (str(error), "")
        missing = _MISSING.match(what)
        if missing:
            what, where = "expected a value, found none", f"{where}.{missing['name']}"
        raise MalformedRequestError(what[:200], where=f"{root}{where}") from None


def _check(value: Any, kind: Any, where: str, *, lines: bool = False) -> None:
    """Refuse fields that the class does not have, and text that no store or log should meet.

    Only a secret may have several `lines`: a key in PEM has.
    """
    kind = _plain(kind, value)
    match value:
        case str():
            _check_text(value.translate(_LINE_BREAKS) if lines else value, where)
        case Mapping():
            fields = _hints(kind) if attrs.has(kind) else None
            for name, item in value.items():
                _check_text(str(name), where)
                if fields is not None and name not in fields:
                    known = ", ".join(sorted(fields))
                    raise MalformedRequestError(
                        "there is no such field", where=f"{where}.{name[:64]}", hint=f"known: {known or 'none'}"
                    )
                inner = fields[name] if fields is not None else _item(kind)
                _check(item, inner, f"{where}.{name[:64]}", lines=lines or name in _SECRETS)
        case list():
            for index, item in enumerate(value):
                _check(item, _item(kind), f"{where}[{index}]", lines=lines)
        case _:
            pass


def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {attribute.name: hints[attribute.name] for attribute in attrs.fields(kind)}


def _plain(kind: Any, value: Any) -> Any:
    """The type behind `Annotated` and `| None`."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0], value)
    if get_origin(kind) in {UnionType, Union}:
        options = [option for option in get_args(kind) if option is not type(None)]
        return _plain(options[0], value) if len(options) == 1 else object
    return kind


def _item(kind: Any) -> Any:
    arguments = get_args(kind)
    if issubclass(get_origin(kind) or object, Mapping):
        return arguments[1]
    return arguments[0] if arguments else object


def _check_text(text: str, where: str) -> None:
    if any(sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff" for sign in text):
        raise MalformedRequestError("control characters are not accepted", where=where)
