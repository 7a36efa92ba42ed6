"""Messages as they may be stored and logged: the fields that are known to be safe, and nothing else.

An adapter's `redact` and `redact_verified` say which fields these are: an unknown field may hold a token or a name.

Example:
    >>> safe_json(b'{"amount": 5, "token": "t-1"}', frozenset({"amount"}))
    b'{"amount":5}'
    >>> safe_form(b"amount=5.00&token=t-1", frozenset({"amount"}))
    b'amount=5.00'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from croupier.contract.errors import MalformedRequestError
from croupier.contract.strict_json import read_json, write_json


def safe_json(body: bytes, names: frozenset[str]) -> bytes:
    """A JSON object with these fields alone, at every depth of lists; an object inside an object is not kept.

    Empty where the body is no JSON object.
    """
    try:
        value = read_json(body)
    except MalformedRequestError:
        return b""
    return safe_fields(value, names) if isinstance(value, dict) else b""


def safe_fields(fields: Mapping[str, Any], names: frozenset[str]) -> bytes:
    """Like `safe_json`, of fields that were decoded already: those of an encrypted request, say."""
    return write_json(_safe(fields, names))


def _safe(fields: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    kept = {}
    for name, value in fields.items():
        if name in names and value is not None:
            if isinstance(value, list):
                kept[name] = _safe_items(value, names)
            elif not isinstance(value, dict):
                kept[name] = value
    return kept


def _safe_items(items: list[Any], names: frozenset[str]) -> list[Any]:
    safe: list[Any] = []
    for item in items:
        if isinstance(item, dict):
            safe.append(_safe(item, names))
        else:
            safe.append(_safe_items(item, names) if isinstance(item, list) else item)
    return safe


def safe_form(body: bytes, names: frozenset[str]) -> bytes:
    """A form with these fields alone, written as they were sent. Empty where it holds what a form would escape."""
    text = body.decode("ascii", "replace")
    if not (body.isascii() and text.isprintable()):
        return b""
    return "&".join([pair for pair in text.split("&") if pair.partition("=")[0] in names]).encode()
