"""Values as parameters: rows as one JSON text, and text that PostgreSQL could not hold as it is.

What concerns many rows goes to the server as one JSON array of rows for each table. An array for each column would cost
several times as much on either side: an object for each value here, a function scan for each column there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

_ESCAPED = b"\\u000"
"""How what `storable` replaces begins in JSON, where hardly any text has the other control characters either."""


def json_rows(rows: Sequence[Sequence[int | str | None]]) -> bytes:
    """Rows as `jsonb_array_elements` reads them, with their texts as `storable` makes them.

    Raises:
        TypeError: A text is none (a lone surrogate), or a number has more than 64 bits.
    """
    text = orjson.dumps(rows)
    if _ESCAPED in text:
        return orjson.dumps([[storable(value) if isinstance(value, str) else value for value in row] for row in rows])
    return text


def json_texts(texts: Sequence[str]) -> bytes:
    """Texts as `jsonb_array_elements_text` reads them, as `storable` makes them.

    Raises:
        TypeError: A text is none (a lone surrogate).
    """
    return orjson.dumps(list(map(storable, texts)))


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


def restored_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row with its texts as they were given."""
    for value in row:
        if value.__class__ is str and "\x01" in value:
            return tuple(restored(value) if isinstance(value, str) else value for value in row)
    return row
