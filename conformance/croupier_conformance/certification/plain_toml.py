"""Writes TOML that people read and review: short values first, tables below, text as it is where TOML allows that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Final = 100


def write_toml(document: Mapping[str, Any]) -> str:
    """A document of text, whole numbers, truth values, moments, lists and tables; `None` is left out.

    Raises:
        TypeError: A value is of another kind.
    """
    return "\n".join(_table(document, ())).strip() + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    below: list[tuple[str, Any]] = []
    for name, value in table.items():
        if value is None:
            continue
        if _is_short(value):
            yield f"{_key(name)} = {_value(value)}"
        else:
            below.append((name, value))
    for name, value in below:
        whole = (*path, name)
        heading = ".".join(map(_key, whole))
        if isinstance(value, Mapping):
            yield ""
            yield f"[{heading}]"
            yield from _table(value, whole)
        else:
            for item in value:
                yield ""
                yield f"[[{heading}]]"
                yield from _table(item, whole)


def _is_short(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(not isinstance(item, Mapping | list | tuple) for item in value.values()) and (
            len(_value(value)) <= _WIDTH and "\n" not in _value(value)
        )
    if isinstance(value, list | tuple):
        return not (value and all(isinstance(item, Mapping) for item in value))
    return True


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _escaped(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _text(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Mapping():
            inner = ", ".join(f"{_key(str(name))} = {_value(item)}" for name, item in value.items() if item is not None)
            return f"{{ {inner} }}" if inner else "{}"
        case list() | tuple():
            return _list(value)
        case _:
            raise TypeError(f"TOML has no {type(value).__name__}")


def _list(items: Sequence[Any]) -> str:
    parts = [_value(item) for item in items]
    line = f"[{', '.join(parts)}]"
    return line if len(line) <= _WIDTH else "[\n" + "".join(f"    {part},\n" for part in parts) + "]"


def _text(text: str) -> str:
    if text.isprintable():
        plain = '"' not in text and "\\" not in text
        return f'"{text}"' if plain else (f"'{text}'" if "'" not in text else _escaped(text))
    lines = text.replace("\n", "").replace("\t", "")
    if lines.isprintable() and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''"
    return _escaped(text)


def _escaped(text: str) -> str:
    # JSON's escapes are TOML's, but for pairs of surrogates; DEL must not stand as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
