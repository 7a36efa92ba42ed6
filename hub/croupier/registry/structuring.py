"""Configuration as it was stored (TOML, JSON) read into attrs classes, strictly.

Nothing is converted that was not written: a number in quotes is text, `true` is no number, a text is no list, and a
key that the class does not have is an error. What is wrong is told by its path.

Example:
    >>> from attrs import frozen
    >>> @frozen
    ... class Listener:
    ...     host: str
    ...     port: int = 8080
    >>> structure({"host": "localhost", "port": 80}, Listener, where="listener")
    Listener(host='localhost', port=80)
    >>> problems({"host": "localhost", "port": "80", "tls": True}, Listener)[0].message
    'expected a whole number, not text'
"""

from __future__ import annotations

import difflib
import functools
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
from attrs import frozen
from cattrs import BaseValidationError, ClassValidationError, Converter, IterableValidationError
from cattrs.cols import (
    homogenous_tuple_structure_factory,
    is_mapping,
    list_structure_factory,
    mapping_structure_factory,
)
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn

from croupier.contract import CroupierError, SettingsError

T = TypeVar("T")
_Hook = Callable[[Any, Any], Any]


@frozen
class Problem:
    """One thing that is wrong.

    Attributes:
        path: The keys and list positions that lead to it, below the value that was read.
        message: What was expected, and what was found instead, without the value itself.
    """

    path: tuple[str, ...]
    message: str

    def place(self, root: str = "") -> str:
        """The path as text: `root.subunits.BTC`."""
        return ".".join((root, *self.path) if root else self.path)


def structure(value: object, into: type[T], *, where: str) -> T:
    """Read a value into an attrs class.

    Args:
        value: What a TOML or JSON reader returned.
        into: The class. Its fields' types may be text, numbers, `Decimal`, enums, literals, paths, attrs classes,
            and optional, lists, tuples, sets and mappings of those.
        where: What paths begin with in the error.

    Raises:
        SettingsError: Something is wrong; it names the first place and counts the others.
    """
    result = _read(value, into)
    if isinstance(result, _Wrong):
        raise settings_error(result.problems, where=where)
    value_read: T = result.value
    return value_read


def problems(value: object, into: type[Any]) -> tuple[Problem, ...]:
    """Everything that is wrong with a value, in the order of the class's fields; empty if nothing is."""
    result = _read(value, into)
    return result.problems if isinstance(result, _Wrong) else ()


def settings_error(found: Sequence[Problem], *, where: str) -> SettingsError:
    """One error for several problems: the first, and how many more there are."""
    first = found[0]
    others = [problem.place(where) for problem in found[1:]]
    return SettingsError(
        first.message, where=first.place(where), hint=f"also wrong: {', '.join(others)}" if others else None
    )


def can_structure(into: Any) -> None:
    """Prove that a class can be read into.

    Raises:
        TypeError: It is no attrs class.
        Exception: A field's type is unknown or cannot be read; whatever was raised by resolving it.
    """
    if not (isinstance(into, type) and attrs.has(into)):
        raise TypeError("the class of the settings is no attrs class")
    _converter().get_structure_hook(into)


# --- reading


@frozen
class _Read:
    value: Any


@frozen
class _Wrong:
    problems: tuple[Problem, ...]


class _UnexpectedError(ValueError):
    """A value of the wrong type."""

    def __init__(self, expected: str, value: object) -> None:
        super().__init__(f"expected {expected}, not {_found(value)}")


def _read(value: object, into: type[Any]) -> _Read | _Wrong:
    try:
        return _Read(_converter().structure(value, into))
    except (BaseValidationError, ValueError, TypeError, CroupierError) as error:
        return _Wrong(tuple(_explain(error, (), into)))


@functools.cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in (str, int, float, bool, Decimal, Path, datetime):
        converter.register_structure_hook(kind, _scalar)
    converter.register_structure_hook_factory(attrs.has, lambda cl: _table(cl, converter))
    converter.register_structure_hook_factory(is_mapping, lambda cl: _mapping(cl, converter))
    converter.register_structure_hook_factory(_is_list, lambda cl: _list(cl, converter))
    converter.register_structure_hook_factory(_is_union, lambda cl: _union(cl, converter))
    converter.register_structure_hook_factory(_is_literal, _literal)
    converter.register_structure_hook_factory(lambda cl: isinstance(cl, type) and issubclass(cl, Enum), _enum)
    return converter


def _scalar(value: Any, kind: type) -> Any:
    if isinstance(value, bool) and kind is not bool:  # bool is a subclass of int
        raise _UnexpectedError(_expected(kind), value)
    if kind is float and isinstance(value, int):
        return float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is Decimal:
        return _decimal(value)
    if not isinstance(value, kind):
        raise _UnexpectedError(_expected(kind), value)
    return value


def _decimal(value: Any) -> Decimal:
    if not isinstance(value, str | int):
        raise _UnexpectedError(_expected(Decimal), value)
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"expected {_expected(Decimal)}") from None
    if not number.is_finite():
        raise ValueError(f"expected {_expected(Decimal)}")
    return number


def _shaped(shape: type, hook: _Hook) -> _Hook:
    """A hook that refuses what has not even the right shape, where cattrs would iterate over anything."""

    def read(value: Any, cl: Any) -> Any:
        if not isinstance(value, shape) or isinstance(value, str | bytes):
            raise _UnexpectedError(_expected(cl), value)
        return hook(value, cl)

    return read


def _table(cl: Any, converter: Converter) -> _Hook:
    return _shaped(Mapping, make_dict_structure_fn(cl, converter))


def _mapping(cl: Any, converter: Converter) -> _Hook:
    return _shaped(Mapping, mapping_structure_factory(cl, converter, structure_to=dict))


def _list(cl: Any, converter: Converter) -> _Hook:
    origin, args = get_origin(cl), get_args(cl)
    item = args[0] if args else Any
    if issubclass(origin, tuple):
        return _shaped(Sequence, homogenous_tuple_structure_factory(cl, converter))
    if not issubclass(origin, AbstractSet):
        return _shaped(Sequence, list_structure_factory(cl, converter))
    inner = list_structure_factory(list[item], converter)  # type: ignore[valid-type]  # a type known at run time
    make = set if issubclass(origin, set) else frozenset

    def read(value: Any, _cl: Any) -> Any:
        items = inner(value, list)
        if len(make(items)) != len(items):
            raise ValueError("the same value stands twice in the list")
        return make(items)

    return _shaped(Sequence, read)


def _union(cl: Any, converter: Converter) -> _Hook:
    arms = [arm for arm in get_args(cl) if arm is not types.NoneType]
    optional = len(arms) < len(get_args(cl))
    hooks = [(converter.get_structure_hook(arm), arm) for arm in arms]

    def read(value: Any, _cl: Any) -> Any:
        if value is None and optional:
            return None
        if len(hooks) == 1:  # the one arm's own error says more
            return hooks[0][0](value, hooks[0][1])
        for hook, arm in hooks:
            try:
                return hook(value, arm)
            except (BaseValidationError, ValueError, TypeError, CroupierError):
                continue
        raise _UnexpectedError(_expected(cl), value)

    return read


def _literal(cl: Any) -> _Hook:
    def read(value: Any, _cl: Any) -> Any:
        for choice in get_args(cl):
            if type(choice) is type(value) and choice == value:
                return choice
        raise ValueError(f"expected {_expected(cl)}")

    return read


def _enum(cl: Any) -> _Hook:
    def read(value: Any, _cl: Any) -> Any:
        for member in cl:
            if type(member.value) is type(value) and member.value == value:
                return member
        raise ValueError(f"expected {_expected(cl)}")

    return read


def _is_list(cl: Any) -> bool:
    origin, args = get_origin(cl), get_args(cl)
    if origin is tuple:
        return len(args) == 2 and args[1] is ...
    return (
        isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet) and not issubclass(origin, str | bytes)
    )


def _is_literal(cl: Any) -> bool:
    origin: Any = get_origin(cl)
    return origin is Literal


def _is_union(cl: Any) -> bool:
    return get_origin(cl) in (Union, types.UnionType)


# --- explaining


def _explain(error: BaseException, path: tuple[str, ...], into: Any) -> list[Problem]:
    match error:
        case ClassValidationError():
            noted, plain = error.group_exceptions()
            inside = [
                problem
                for sub, note in noted
                for problem in (
                    [Problem((*path, note.name), f"is missing: expected {_expected(note.type)}")]
                    if isinstance(sub, KeyError)
                    else _explain(sub, (*path, note.name), note.type)
                )
            ]
            return inside + [problem for sub in plain for problem in _explain(sub, path, error.cl)]
        case IterableValidationError():
            noted_items, plain = error.group_exceptions()
            inside = [
                problem for sub, item in noted_items for problem in _explain(sub, (*path, str(item.index)), item.type)
            ]
            return inside + [problem for sub in plain for problem in _explain(sub, path, into)]
        case ForbiddenExtraKeysError():
            known = [a.name for a in attrs.fields(error.cl)]
            return [Problem((*path, str(key)), _unknown_key(str(key), known)) for key in sorted(error.extra_fields)]
        case CroupierError():
            return [Problem((*path, *(error.where.split(".") if error.where else ())), error.message)]
        case _:
            # attrs' validators put the attribute and the value beside the message.
            text = error.args[0] if error.args and isinstance(error.args[0], str) else type(error).__name__
            return [Problem(path, text)]


def _unknown_key(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"unknown key: did you mean {close[0]}?"
    return f"unknown key: expected {_either(sorted(known))}" if known else "unknown key: none is expected here"


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


_SCALARS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path as text",
    Decimal: "a decimal number as text",
    datetime: "a date and time",
}


def _expected(cl: Any) -> str:
    if cl in _SCALARS:
        return _SCALARS[cl]
    if _is_union(cl):
        return _either([_expected(arm) for arm in get_args(cl) if arm is not types.NoneType])
    if _is_literal(cl):
        return _either([f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in get_args(cl)])
    if isinstance(cl, type) and issubclass(cl, Enum):
        return _either([f'"{member.value}"' for member in cl])
    if _is_list(cl):
        return "a list"
    return "a table of keys and values"


def _found(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number with a point"
        case str():
            return "text"
        case Mapping():
            return "a table"
        case Sequence() | AbstractSet():
            return "a list"
        case _:
            return type(value).__name__
