"""The provider's wire: forms in, JSON out, and the hash over a form's fields.

Facts: `reference/protocols/pragmatic.md`, sections "Transport & encoding" and "Authentication / hash".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from croupier.contract.errors import AuthenticationError, MalformedRequestError
from croupier.contract.secrets import Credentials, digest_hex, require_proof
from croupier_pragmatic.settings import SECRET

HASH: Final = "hash"
MAX_BODY: Final = 65_536
MAX_FIELDS: Final = 64
FIELDS: Final = frozenset(
    """
    amount bonusCode campaignId campaignType chosenBalance currency dataType gameId ipAddress jackpotContribution
    jackpotDetails jackpotId language launchingType platform previousToken promoCampaignID promoCampaignType
    promoWinAmount promoWinReference providerId reference roundDetails roundId timestamp token userId validBetAmount win
    """.split()
)
"""Every field that the provider's requests may have."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-\[\]]{0,63}")
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HIDDEN_FIELD: Final = re.compile(r"&([A-Za-z]+)=")


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form, url-decoded, every value exactly as it was sent.

    Raises:
        MalformedRequestError: Too large, broken escapes, not UTF-8, a NUL, a strange name, or a name that stands twice.
    """
    if len(body) > MAX_BODY:
        raise MalformedRequestError("the form is too large")
    if _BROKEN_ESCAPE.search(body):
        raise MalformedRequestError("the form has a broken escape")
    fields: dict[str, str] = {}
    for pair in body.split(b"&"):
        if not pair:
            continue
        name_bytes, _, value_bytes = pair.partition(b"=")
        name, value = _decoded(name_bytes), _decoded(value_bytes)
        if not _NAME.fullmatch(name):
            raise MalformedRequestError("the form has a field whose name is none")
        if name in fields:
            raise MalformedRequestError("the field stands twice", where=name)
        fields[name] = value
    if len(fields) > MAX_FIELDS:
        raise MalformedRequestError("the form has too many fields")
    return fields


def _decoded(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedRequestError("the form is not UTF-8") from None
    if "\0" in text:
        raise MalformedRequestError("the form has a NUL character")
    return text


def signed_text(fields: Mapping[str, str]) -> str:
    """What is hashed before the secret: all fields but `hash`, in the byte order of their names, values as they are."""
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != HASH)


def sign(fields: Mapping[str, str], secret: str) -> str:
    """The hash of a form's fields: lower-case hex MD5 of the signed text with the secret right behind it.

    Example:
        >>> sign({"secureLogin": "acme_login"}, "testsecret")
        '30bc1a3676e4f480a581ddef2118d849'
    """
    return digest_hex(f"{signed_text(fields)}{secret}", "md5")


def refuse_ambiguous(fields: Mapping[str, str]) -> None:
    """Refuse a value that could be read as further fields of the protocol.

    The hashed text does not tell where a value ends: `roundId=1&token=2` is the same text for two fields and for one.
    Without this rule somebody could cut a captured request into other fields under the same hash.

    Raises:
        AuthenticationError: A value holds `&name=` of a field that would stand behind it.
    """
    for name, value in fields.items():
        if any(hidden in FIELDS and hidden > name for hidden in _HIDDEN_FIELD.findall(value)):
            raise AuthenticationError("a value holds what may be another field", where=HASH)


def prove(fields: Mapping[str, str], credentials: Credentials) -> None:
    """Accept fields whose hash was made with any of the connection's secrets; hex is compared without case.

    Raises:
        AuthenticationError: The hash is missing or wrong, or the connection has no secret.
    """
    candidates = tuple(sign(fields, secret) for secret in credentials.every(SECRET) if secret)
    require_proof(candidates, fields.get(HASH, "").lower(), where=HASH)


def write_json(fields: Mapping[str, Any]) -> bytes:
    """JSON of text, integers, exact decimals, lists and objects; decimals keep all their digits.

    Example:
        >>> write_json({"cash": Decimal("10.50"), "error": 0})
        b'{"cash":10.50,"error":0}'
    """
    return _json(fields).encode("ascii")


def _json(value: Any) -> str:
    match value:
        case Decimal():
            return f"{value:f}"
        case Mapping():
            return f"{{{_joined(f'{json.dumps(str(key))}:{_json(item)}' for key, item in value.items())}}}"
        case list() | tuple():
            return f"[{_joined(_json(item) for item in value)}]"
        case _:
            return json.dumps(value, allow_nan=False)


def _joined(items: Iterable[str]) -> str:
    return ",".join(items)
