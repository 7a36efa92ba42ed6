"""Cursors: the place of the last entry of a page, as text that says nothing and is checked when it comes back."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from croupier.contract import MalformedRequestError
from croupier.ledger.port import Page

_PLACE: Final = re.compile(r"(\d{1,16}) ([\x21-\x7e]{1,200})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def page_of(cursor: str | None, limit: int) -> Page:
    """The page behind a cursor, with one entry more than asked for: it tells whether there is a next page.

    Raises:
        MalformedRequestError: The cursor is none of ours.
    """
    if cursor is None:
        return Page(limit=limit + 1)
    try:
        text = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise MalformedRequestError("expected the next_cursor of the page before", where="query.cursor")
    return Page(after=(int(found[1]), found[2]), limit=limit + 1)


def next_cursor(places: Sequence[tuple[int, str]], limit: int) -> str | None:
    """The cursor behind the first `limit` of the places that were read, or `None` if there are no more."""
    if len(places) <= limit:
        return None
    at, name = places[limit - 1]
    return base64.urlsafe_b64encode(f"{at} {name}".encode("ascii")).decode("ascii")


def moment(milliseconds: int) -> datetime:
    """A time of the ledger (milliseconds since 1970) as a time."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def moment_or_none(milliseconds: int | None) -> datetime | None:
    """Likewise, where there may be none."""
    return None if milliseconds is None else moment(milliseconds)


def milliseconds_of(time: datetime) -> int:
    """A time as the ledger keeps it; parts of a millisecond are cut."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def milliseconds_or_none(time: datetime | None) -> int | None:
    """Likewise, where there may be none."""
    return None if time is None else milliseconds_of(time)
