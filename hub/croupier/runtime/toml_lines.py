"""On which line of a TOML text a key stands: `tomllib` does not tell, and people who correct a file want to know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_NAME: Final = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE: Final = re.compile(rf"\s*(?P<open>\[\[?)\s*(?P<name>{_NAME})\s*\]")
_KEY: Final = re.compile(rf"\s*(?P<name>{_NAME})\s*=")
_PARTS: Final = re.compile(_PART)


def line_of(text: str, path: Sequence[str]) -> int | None:
    r"""The line of the key, or of the nearest table around it that is written out; `None` if there is none.

    The text is valid TOML. Lines inside of long strings that look like keys can mislead it: a hint, not more.

    Args:
        text: The file.
        path: Keys, and positions in arrays of tables.

    Example:
        >>> line_of("[listeners.admin]\nport = 'x'\n", ["listeners", "admin", "port"])
        2
    """
    best, best_length = None, 0
    table: list[str] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _TABLE.match(line)
        if header:
            table = _split(header["name"])
            if header["open"] == "[[":
                name = ".".join(table)
                counts[name] = counts.get(name, -1) + 1
                table.append(str(counts[name]))
            found = table
        else:
            key = _KEY.match(line)
            if not key:
                continue
            found = [*table, *_split(key["name"])]
        length = _common(found, path)
        if length > best_length and (length == len(found) or length == len(path)):
            best, best_length = number, length
    return best


def _split(name: str) -> list[str]:
    return [part.strip("\"'") for part in _PARTS.findall(name)]


def _common(found: Sequence[str], path: Sequence[str]) -> int:
    length = 0
    for left, right in zip(found, path, strict=False):
        if left != right:
            break
        length += 1
    return length
