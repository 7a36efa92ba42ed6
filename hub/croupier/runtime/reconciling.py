"""Reconciling a ledger with logs, beside a running hub: the ledger is read and never written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from attrs import evolve, field, frozen

from croupier.ledger.reading import postgres_to_read, sqlite_to_read
from croupier.reconciliation import hub_book
from croupier.reconciliation.compare import Case, Count, Entry, Side, Window, compare
from croupier.reconciliation.logs import Shelf, read_log
from croupier.runtime.settings import Settings

_AT_ONCE = 5_000


@frozen(kw_only=True)
class Logs:
    """What to compare the hub's record with.

    Attributes:
        operator: The operator's log, or `None`.
        providers: Providers' logs, each with the name or id of its connection.
    """

    operator: Path | None = None
    providers: Sequence[tuple[str, Path]] = ()


@frozen(kw_only=True)
class Pair:
    """Two books of one time.

    Attributes:
        name: `operator`, or the connection's name.
        count: What was met.
    """

    name: str
    count: Count = field(factory=Count)


def reconcile(
    settings: Settings, operator: str, logs: Logs, window: Window, tell: Callable[[Pair, Case], None]
) -> Sequence[Pair]:
    """Compare the hub's record with logs; returns what was compared.

    Args:
        settings: Of the hub.
        operator: The operator's name or id.
        logs: The other books.
        window: The time that is judged; the record is read as far beyond it as its grace.
        tell: Is told every case as it is found.

    Raises:
        NotFoundError: There is no such operator or connection.
        FixConfigurationError: A line of a log cannot be read, or the ledger is none or of another schema.
        StoreUnavailableError: The ledger cannot be read now.
        OSError: A log cannot be read.
    """
    return asyncio.run(_reconcile(settings, operator, logs, window, tell))


async def _reconcile(
    settings: Settings, operator: str, logs: Logs, window: Window, tell: Callable[[Pair, Case], None]
) -> Sequence[Pair]:
    since, until = window.since - window.grace, window.until + window.grace
    pairs = []
    async with _reading(settings) as ledger:
        owner = await hub_book.find(ledger, None, "operator", operator)
        if logs.operator is not None:
            ours = hub_book.as_operator(ledger, owner, since, until)
            pair = Pair(name="operator")
            for case in await _cases(pair, ours, Side.OPERATOR, read_log(logs.operator), window):
                tell(pair, case)
            pairs.append(pair)
        for name, path in logs.providers:
            connection = await hub_book.find(ledger, owner.name, "connection", name)
            ours = hub_book.as_provider(ledger, owner, connection, since, until)
            pair = Pair(name=name)
            theirs = map(_by_kind, read_log(path))
            for case in await _cases(pair, _each_by_kind(ours), Side.PROVIDER, theirs, window):
                tell(pair, case)
            pairs.append(pair)
    return pairs


async def _cases(
    pair: Pair, ours: AsyncIterator[Entry], side: Side, theirs: Iterable[Entry], window: Window
) -> Iterator[Case]:
    shelf = Shelf()
    try:
        shelf.put(side, theirs)
        async for chunk in _chunks(ours):
            shelf.put(Side.HUB, chunk)
    except BaseException:
        shelf.close()
        raise
    return _compared(pair, shelf, side, window)


def _compared(pair: Pair, shelf: Shelf, side: Side, window: Window) -> Iterator[Case]:
    try:
        yield from compare({each: shelf.book(each) for each in (Side.HUB, side)}, window, pair.count)
    finally:
        shelf.close()


async def _chunks(entries: AsyncIterator[Entry]) -> AsyncIterator[list[Entry]]:
    chunk: list[Entry] = []
    async for entry in entries:
        chunk.append(entry)
        if len(chunk) >= _AT_ONCE:
            yield chunk
            chunk = []
    yield chunk


def _by_kind(entry: Entry) -> Entry:
    """A provider's one id may be a bet's and a win's: both in one message."""
    return evolve(entry, id=f"{entry.id}/{entry.kind}")


async def _each_by_kind(entries: AsyncIterator[Entry]) -> AsyncIterator[Entry]:
    async for entry in entries:
        yield _by_kind(entry)


def _reading(settings: Settings) -> AbstractAsyncContextManager[hub_book.Reads]:
    path = settings.database.sqlite_path
    return postgres_to_read(settings.database.url) if path is None else sqlite_to_read(path)
