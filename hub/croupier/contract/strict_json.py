"""The one JSON reader for what comes from outside.

Python's own reader turns `0.1` into a float and keeps the last of two equal keys; faster readers do too. This one
reads numbers into `int` and `Decimal`, and refuses duplicate keys, `NaN`, `Infinity`, over-long numbers and depth.

Example:
    >>> read_json(b'{"amount": 0.10}')
    {'amount': Decimal('0.10')}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn

from croupier.contract.errors import MalformedRequestError

MAX_DEPTH: Final = 32
MAX_NUMBER: Final = 40


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise MalformedRequestError("the key stands twice", where=twice[:64])
    return found


def _number(text: str) -> Decimal:
    if len(text) > MAX_NUMBER:
        raise MalformedRequestError("a number has too many digits")
    number = Decimal(text)
    if abs(int(number.as_tuple().exponent)) > MAX_NUMBER:
        raise MalformedRequestError("a number's exponent is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER:
        raise MalformedRequestError("a number has too many digits")
    return int(text)


def _no_constant(text: str) -> NoReturn:
    raise MalformedRequestError(f"{text} is not a number")


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_number, parse_int=_integer, parse_constant=_no_constant
)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    quoted = escaped = False
    for char in text:
        if quoted:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedRequestError(f"the JSON is nested deeper than {MAX_DEPTH}")
        elif char in "]}":
            depth -= 1


def read_json(body: bytes | str) -> Any:
    """Read JSON from outside.

    Returns:
        Dicts, lists, `str`, `bool`, `None`, `int`, and `Decimal` for any number with a point or an exponent.

    Raises:
        MalformedRequestError: Not UTF-8, not JSON, duplicate keys, non-finite or over-long numbers, too deep.
    """
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
    except UnicodeDecodeError as error:
        raise MalformedRequestError("the body is not UTF-8", where=f"byte {error.start}") from None
    _check_depth(text)
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedRequestError(
            f"not JSON: {error.msg}", where=f"line {error.lineno} column {error.colno}"
        ) from None


def read_json_object(body: bytes | str) -> dict[str, Any]:
    """Like `read_json`, for a body that must be an object."""
    value = read_json(body)
    if not isinstance(value, dict):
        raise MalformedRequestError("the body must be a JSON object")
    return value
