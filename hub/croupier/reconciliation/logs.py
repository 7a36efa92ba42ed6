"""Logs of providers and operators as JSON Lines, and putting books in order however long they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import msgspec
from attrs import frozen

from croupier.contract import SettingsError
from croupier.reconciliation.compare import Entry, Side, Standing, printable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE: Final = 5_000
_MOST: Final = 2**63 - 1
_CACHE_KIB: Final = 32 * 1024


@frozen(kw_only=True)
class Line:
    """One line of a log. Further fields are passed over.

    Attributes:
        id: In an operator's log the hub's transaction id, in a provider's the provider's.
        kind: `bet` for what was taken from the player, `win` for what was given. A rollback is no line of its own.
        amount: Minor units, never negative.
        currency: Its code.
        at: When it was written down, with its offset from UTC.
        state: What became of it.
        player: In an operator's log the operator's id of the player, in a provider's the provider's; may be left out.
    """

    id: str
    kind: Literal["bet", "win"]
    amount: int
    currency: str
    at: datetime
    state: Literal["applied", "rolled_back", "declined"] = "applied"
    player: str = ""


_DECODE: Final = msgspec.json.Decoder(Line).decode


def read_log(path: Path) -> Iterator[Entry]:
    """The entries of a log, in the order of its lines.

    Raises:
        SettingsError: A line is not what it should be; it is told by its number.
        OSError: The file cannot be read.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _entry(line, f"{path}:{number}")


def _entry(line: bytes, where: str) -> Entry:
    try:
        told = _DECODE(line)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SettingsError(f"the line cannot be read: {error}", where=where) from None
    if told.at.tzinfo is None:
        raise SettingsError("expected a time with its offset, like 2026-11-23T10:00:00Z", where=where)
    if not told.id or not 0 <= told.amount <= _MOST:
        raise SettingsError("expected an id, and an amount that is not negative and below 2^63", where=where)
    try:
        told.at.astimezone(UTC)
    except OverflowError:
        raise SettingsError("expected a time that can be told in UTC", where=where) from None
    return Entry(
        id=printable(told.id),
        kind=told.kind,
        amount=told.amount,
        currency=printable(told.currency),
        player=told.player,
        state=Standing(told.state),
        at=(told.at - _EPOCH) // timedelta(milliseconds=1),
    )


class Shelf:
    """Puts books in order on the disk, in a temporary file that is gone with it: memory does not grow with them."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._file.execute("PRAGMA temp_store = FILE")
        self._file.execute("PRAGMA journal_mode = OFF").fetchone()
        self._file.execute(
            "CREATE TABLE entries (side TEXT, id TEXT, kind TEXT, amount INTEGER, currency TEXT, player TEXT,"
            " state TEXT, at INTEGER, movement TEXT) STRICT"
        )

    def put(self, side: Side, entries: Iterable[Entry]) -> int:
        """Put entries into a side's book; returns how many."""
        rows = (
            (side.value, one.id, one.kind, one.amount, one.currency, one.player, one.state.value, one.at, one.movement)
            for one in entries
        )
        put = 0
        while chunk := list(islice(rows, _AT_ONCE)):
            self._file.execute("BEGIN")
            self._file.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", chunk)
            self._file.execute("COMMIT")
            put += len(chunk)
        return put

    def book(self, side: Side) -> Iterator[Entry]:
        """A side's book in order of `id`, then of time."""
        found = self._file.execute(
            "SELECT id, kind, amount, currency, player, state, at, movement FROM entries"
            " WHERE side = ? ORDER BY id, at",
            (side.value,),
        )
        for id_, kind, amount, currency, player, state, at, movement in found:
            yield Entry(
                id=id_,
                kind=kind,
                amount=amount,
                currency=currency,
                player=player,
                state=Standing(state),
                at=at,
                movement=movement,
            )

    def close(self) -> None:
        """Throw everything away."""
        self._file.close()
