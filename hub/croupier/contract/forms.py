"""Forms (`application/x-www-form-urlencoded`) read strictly: what two readers could understand in two ways is refused.

Example:
    >>> read_form(b"userId=p-1&roundDetails=free+spin")
    {'userId': 'p-1', 'roundDetails': 'free spin'}
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from croupier.contract.errors import MalformedRequestError

MAX_FORM_BYTES: Final = 65_536
MAX_FORM_FIELDS: Final = 64

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-\[\]]{0,63}")
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form, url-decoded, every value exactly as it was sent.

    Raises:
        MalformedRequestError: Too large, broken escapes, not UTF-8, a NUL, a strange name, or a name that stands twice.
    """
    if len(body) > MAX_FORM_BYTES:
        raise MalformedRequestError("the form is too large")
    if b"%" in body and _BROKEN_ESCAPE.search(body):
        raise MalformedRequestError("the form has a broken escape")
    as_sent = body.isascii() and b"\0" not in body
    fields: dict[str, str] = {}
    for pair in body.decode("latin-1").split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        if not as_sent or "%" in pair or "+" in pair:
            name, value = _decoded(name), _decoded(value)
        if name in fields:
            raise MalformedRequestError("the field stands twice", where=name)
        # A name of letters alone is the common one; only others are looked at closely.
        if not (name.isalpha() and name.isascii() and len(name) <= 64) and not _NAME.fullmatch(name):
            raise MalformedRequestError("the form has a field whose name is none")
        fields[name] = value
    if len(fields) > MAX_FORM_FIELDS:
        raise MalformedRequestError("the form has too many fields")
    return fields


def _decoded(raw: str) -> str:
    """The text of a name or value, of which `raw` has one character for each byte."""
    try:
        text = unquote_to_bytes(raw.replace("+", " ").encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise MalformedRequestError("the form is not UTF-8") from None
    if "\0" in text:
        raise MalformedRequestError("the form has a NUL character")
    return text
