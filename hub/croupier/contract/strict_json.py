"""The one JSON reader for what comes from outside, and the writer for what goes out.

Python's own reader turns `0.1` into a float and keeps the last of two equal keys; faster readers do too. This one
reads numbers into `int` and `Decimal`, and refuses duplicate keys, `NaN`, `Infinity`, over-long numbers and depth.

Example:
    >>> read_json(b'{"amount": 0.10}')
    {'amount': Decimal('0.10')}
    >>> write_json({"amount": Decimal("0.10")})
    b'{"amount":0.10}'
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn

import msgspec
import orjson

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


_fast_decode = msgspec.json.Decoder(float_hook=_number).decode


def _plain_decimal(value: Any) -> orjson.Fragment:
    if type(value) is Decimal and value.is_finite():
        return orjson.Fragment(f"{value:f}")
    raise TypeError(type(value).__name__)


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
    if isinstance(body, bytes) and body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        try:
            value = _fast_decode(body)
            # What writes back as the same bytes was read whole: no key twice, no number changed, none over 64 bits.
            written = orjson.dumps(value, _plain_decimal)
            if written == body or (len(written) < len(body) and msgspec.json.format(written, indent=0) == body):
                return value
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, MalformedRequestError):
            pass  # read again below, which says what is wrong
    return _read_slowly(body)


def _read_slowly(body: bytes | str) -> Any:
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


def write_json(value: Any) -> bytes:
    """Compact JSON of text, integers, exact decimals, truth values, `None`, lists and mappings with text as keys.

    Decimals keep all their digits and never have an exponent. What is not ASCII is escaped, so any text can be written.

    Raises:
        TypeError: A value is of another kind.
        ValueError: A decimal is not finite.
    """
    try:
        written = orjson.dumps(value, _plain_decimal)
    except TypeError:
        return _written(value).encode("ascii")
    return written if written.isascii() else _written(value).encode("ascii")


def _written(value: Any) -> str:
    match value:
        case Decimal():
            if not value.is_finite():
                raise ValueError("a decimal in JSON must be finite")
            return f"{value:f}"
        case Mapping():
            return f"{{{','.join(f'{json.dumps(str(key))}:{_written(item)}' for key, item in value.items())}}}"
        case list() | tuple():
            return f"[{','.join(map(_written, value))}]"
        case _:
            return json.dumps(value, allow_nan=False)
