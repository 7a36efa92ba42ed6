"""Messages as they should not be: JSON, forms and XML with odd values, keys twice, depth and size.

Everything starts from a genuine message, for noise alone never gets past the first field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum, unique
from itertools import pairwise
from typing import Any, Final
from urllib.parse import parse_qsl, quote_plus, urlencode

ODD_TEXTS: Final = (
    "", " ", "\x00", "\u202e", "null", "true", "NaN", "-Infinity", "1e400", "1E5", "-1", "-0", "0x10", "1,00", "1.2.3",
    "1_000", "\uff11", "9" * 45, "0." + "1" * 60, "a" * 300, "\U0001f3b0", "%00", "&amount=1", "\r\nX-Sign: 1", "[]",
)  # fmt: skip
"""Texts that stand where a text, a number or an id should."""

_ODD_JSON: Final = (
    "null", "true", "false", "0", "-0", "-1", "1.5", "1e400", "-1E5", "1e-400", "NaN", "Infinity", "9" * 45, "9" * 19,
    '""', '"\\u0000"', '"\\ud800"', '"1"', f'"{"a" * 300}"', "[]", "[[]]", "[null]", "{}", '{"a":1}', "[1,2,3]", "01",
)  # fmt: skip
"""What stands in a JSON document where another value should; some of it is no JSON."""

_ODD_VALUES: Final[tuple[Any, ...]] = (None, True, -1, 10**30, Decimal("0.5"), "", "a" * 300, [], {}, [[]])

_MARK: Final = "@here@"
_TWICE: Final = "@twice@"
DEEP: Final = 100_000
_ENTITIES: Final = "bcdefghij"
_BOMB: Final = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">'
    + "".join([f'<!ENTITY {name} "{f"&{last};" * 10}">' for last, name in pairwise(_ENTITIES)])
    + "]>"
)


@unique
class Kind(Enum):
    """How a message is written."""

    JSON = "JSON"
    FORM = "form"
    XML = "XML"
    OTHER = "other"


def kind_of(body: bytes) -> Kind:
    """How a body is written, by its beginning."""
    head = body.lstrip()[:1]
    if head in {b"{", b"["}:
        return Kind.JSON
    if head == b"<":
        return Kind.XML
    return Kind.FORM if b"=" in body and body.isascii() and b" " not in body else Kind.OTHER


def odd_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The message with one value after the other replaced by something odd, or left out; each with what was done."""
    match kind_of(body):
        case Kind.JSON:
            yield from _odd_json(body)
        case Kind.FORM:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True)
            for fields in _odd_pairs(pairs):
                yield fields[0], urlencode(fields[1]).encode("ascii")
        case Kind.XML:
            yield from _odd_xml(body.decode("utf-8", "replace"))
        case Kind.OTHER:
            return


def odd_fields(fields: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Decoded fields with one value after the other replaced by something odd, or left out."""
    if all(isinstance(value, str) for value in fields.values()):
        for what, pairs in _odd_pairs(list(fields.items())):
            yield what, dict(pairs)
        return
    for path in _paths(fields):
        yield f"{path} left out", _changed(fields, path, remove=True)
        for odd in _ODD_VALUES:
            yield f"{path} is {str(odd)[:40]}", _changed(fields, path, odd)


def doubled(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The message with one key after the other standing twice: before and behind, with the same and another value."""
    match kind_of(body):
        case Kind.JSON:
            yield from _doubled_json(body)
        case Kind.FORM:
            for name, value in parse_qsl(body.decode("ascii"), keep_blank_values=True):
                for other in (value, "1"):
                    pair = f"{quote_plus(name)}={quote_plus(other)}".encode("ascii")
                    yield f"{name} twice, {other[:20]!r} behind", body + b"&" + pair
                    yield f"{name} twice, {other[:20]!r} before", pair + b"&" + body
        case Kind.XML:
            text = body.decode("utf-8", "replace")
            for found in re.finditer(r'\s([A-Za-z][\w.-]*)="', text):
                yield f"{found[1]} twice", (text[: found.start()] + f' {found[1]}="1"' + text[found.start() :]).encode()
        case Kind.OTHER:
            return


def oversized(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Messages that are too deep or too long for anybody."""
    match kind_of(body):
        case Kind.JSON:
            document = _read(body)
            for path in list(_paths(document))[:4]:
                for what, raw in (
                    ("nested lists", "[" * DEEP + "]" * DEEP),
                    ("nested objects", '{"a":' * DEEP + "1" + "}" * DEEP),
                    ("open lists", "[" * DEEP),
                    ("a long number", "9" * DEEP),
                    ("a long fraction", "0." + "1" * DEEP),
                    ("a large exponent", "1e" + "9" * 12),
                ):
                    yield f"{what} in {path}", _with_raw(document, path, raw)
        case Kind.FORM:
            yield "a hundred thousand fields", body + b"".join(b"&a%d=1" % number for number in range(DEEP))
            yield "a long number", body + b"&amount=" + b"9" * DEEP
            yield "a long escape", body + b"&a=" + b"%41" * DEEP
        case Kind.XML:
            text = body.decode("utf-8", "replace")
            yield "an entity bomb", (_BOMB + text).encode()
            yield "nested elements", ("<a>" * DEEP + "</a>" * DEEP).encode()
        case Kind.OTHER:
            yield "a long body", body * (DEEP // max(len(body), 1) + 1)


def _read(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal)


def _paths(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield (*path, name)
            yield from _paths(value, (*path, name))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield (*path, place)
            yield from _paths(value, (*path, place))


def _changed(document: Any, path: tuple[Any, ...], value: Any = None, *, remove: bool = False) -> Any:
    copy: Any = dict(document) if isinstance(document, Mapping) else list(document)
    head, *rest = path
    if rest:
        copy[head] = _changed(copy[head], tuple(rest), value, remove=remove)
    elif remove:
        del copy[head]
    else:
        copy[head] = value
    return copy


def _written(document: Any) -> str:
    return json.dumps(document, default=str, separators=(",", ":"))


def _with_raw(document: Any, path: tuple[Any, ...], raw: str) -> bytes:
    return _written(_changed(document, path, _MARK)).replace(f'"{_MARK}"', raw).encode()


def _odd_json(body: bytes) -> Iterator[tuple[str, bytes]]:
    document = _read(body)
    for path in _paths(document):
        yield f"{path} left out", _written(_changed(document, path, remove=True)).encode()
        for raw in _ODD_JSON:
            yield f"{path} is {raw[:40]}", _with_raw(document, path, raw)
    for raw in _ODD_JSON:
        yield f"the whole is {raw[:40]}", raw.encode()


def _doubled_json(body: bytes) -> Iterator[tuple[str, bytes]]:
    document = _read(body)
    for path in _paths(document):
        name = path[-1]
        if not isinstance(name, str):
            continue
        owner: Any = document
        for step in path[:-1]:
            owner = owner[step]
        for other in (owner[name], 1):
            behind = {**owner, _TWICE: other}
            before = {_TWICE: other, **owner}
            for where, twice in (("behind", behind), ("before", before)):
                whole = _changed(document, path[:-1], twice) if len(path) > 1 else twice
                text = _written(whole).replace(f'"{_TWICE}"', json.dumps(name))
                yield f"{path} twice, {str(other)[:20]!r} {where}", text.encode()


def _odd_pairs(pairs: list[tuple[str, str]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for place, (name, _) in enumerate(pairs):
        before, after = pairs[:place], pairs[place + 1 :]
        yield f"{name} left out", before + after
        for odd in ODD_TEXTS:
            yield f"{name} is {odd[:40]!r}", [*before, (name, odd), *after]


def _odd_xml(text: str) -> Iterator[tuple[str, bytes]]:
    for found in re.finditer(r'(?<==")[^"]*(?=")|(?<=>)[^<>]+(?=<)', text):
        for odd in (*ODD_TEXTS, "&b;", "<a/>"):
            yield f"{found[0][:20]!r} is {odd[:40]!r}", (text[: found.start()] + odd + text[found.end() :]).encode()
    yield "an entity is declared", ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>' + text).encode()
