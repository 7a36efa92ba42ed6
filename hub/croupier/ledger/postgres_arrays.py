"""Columns of values as PostgreSQL arrays in binary form, and text that PostgreSQL could not hold as it is.

A batch goes to the server as one array for each column. psycopg would ask each element for its type; here a column is
known to be text or 64-bit integers, which is several times faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = Struct(">iiIii").pack
_INTEGER = Struct(">iq").pack
_LENGTH = Struct(">i").pack
_NULL = _LENGTH(-1)
_TEXT_TYPE, _INTEGER_TYPE = 25, 20


class Array:
    """An array as PostgreSQL reads it.

    Attributes:
        data: Its binary form.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Integers(Array):
    """A column of 64-bit integers.

    Args:
        values: The column; `None` is NULL.

    Raises:
        struct.error: A value is no 64-bit integer.
    """

    __slots__ = ()

    def __init__(self, values: Sequence[int | None]) -> None:
        elements = [_NULL if value is None else _INTEGER(8, value) for value in values]
        super().__init__(_array(_INTEGER_TYPE, elements))


class Texts(Array):
    """A column of text.

    Args:
        values: The column; `None` is NULL.

    Raises:
        UnicodeEncodeError: A value is no Unicode text (a lone surrogate).
        AttributeError: A value is no text.
    """

    __slots__ = ()

    def __init__(self, values: Sequence[str | None]) -> None:
        elements: list[bytes] = []
        for value in values:
            if value is None:
                elements.append(_NULL)
            else:
                held = storable(value).encode()
                elements.append(_LENGTH(len(held)) + held)
        super().__init__(_array(_TEXT_TYPE, elements))


def _array(kind: int, elements: list[bytes]) -> bytes:
    if not elements:
        return _HEADER(0, 0, kind, 0, 0)[:12]
    return _HEADER(1, 1, kind, len(elements), 1) + b"".join(elements)


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> Buffer | None:
        data: bytes = obj.data
        return data


class TextsDumper(_ArrayDumper):
    """Hands over `Texts` as `text[]`."""

    oid = 1009


class IntegersDumper(_ArrayDumper):
    """Hands over `Integers` as `int8[]`."""

    oid = 1016


def storable(text: str) -> str:
    """Text without NUL, which PostgreSQL cannot hold. The order of texts stays what it was."""
    if "\x00" in text or "\x01" in text:
        return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    return text


def restored(text: str) -> str:
    """What `storable` was given."""
    if "\x01" in text:
        return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")
    return text
