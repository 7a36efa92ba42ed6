"""Reconciling a ledger with logs, beside a running hub: the ledger is read and never written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from attrs import define, evolve, field, frozen

from croupier.ledger.reading import postgres_to_read, sqlite_to_read
from croupier.reconciliation import hub_book
from croupier.reconciliation.compare import Case, Count, Entry, Side, Window, compare
from croupier.reconciliation.findings import Finding, finding_of, other_side
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


@define(kw_only=True)
class Pair:
    """Two books of one time.

    Attributes:
        name: `operator`, or what the connection was called.
        book: `operator`, or the connection's id.
        count: What was met.
        settled: How many differences two people have settled before: they are not told.
    """

    name: str
    book: str
    count: Count = field(factory=Count)
    settled: int = 0


Tell = Callable[[Pair, Finding, Sequence[str]], None]
"""Is told what was found of a transaction; where the books agree, the cases that were open of it."""


def reconcile(settings: Settings, operator: str, logs: Logs, window: Window, tell: Tell) -> Sequence[Pair]:
    """Compare the hub's record with logs; returns what was compared.

    Args:
        settings: Of the hub.
        operator: The operator's name or id.
        logs: The other books.
        window: The time that is judged; the record is read as far beyond it as its grace.
        tell: Is told every difference as it is found, and every transaction with an open case that agrees by now.

    Raises:
        NotFoundError: There is no such operator or connection.
        FixConfigurationError: A line of a log cannot be read, or the ledger is none or of another schema.
        StoreUnavailableError: The ledger cannot be read now.
        OSError: A log cannot be read.
    """
    return asyncio.run(_reconcile(settings, operator, logs, window, tell))


async def _reconcile(settings: Settings, operator: str, logs: Logs, window: Window, tell: Tell) -> Sequence[Pair]:
    since, until = window.since - window.grace, window.until + window.grace
    pairs = []
    async with _reading(settings) as ledger:
        owner = await hub_book.find(ledger, None, "operator", operator)
        if logs.operator is not None:
            ours = hub_book.as_operator(ledger, owner, since, until)
            pair = Pair(name="operator", book=hub_book.OPERATOR_BOOK)
            await _tell_cases(ledger, owner.name, pair, ours, read_log(logs.operator), window=window, tell=tell)
            pairs.append(pair)
        for name, path in logs.providers:
            connection = await hub_book.find(ledger, owner.name, "connection", name)
            ours = hub_book.as_provider(ledger, owner, connection, since, until)
            pair = Pair(name=name, book=connection.name)
            theirs = map(_by_kind, read_log(path))
            await _tell_cases(ledger, owner.name, pair, ours, theirs, window=window, tell=tell)
            pairs.append(pair)
    return pairs


async def _tell_cases(
    ledger: hub_book.Reads,
    operator: str,
    pair: Pair,
    ours: AsyncIterator[Entry],
    theirs: Iterable[Entry],
    *,
    window: Window,
    tell: Tell,
) -> None:
    """Tell what differs, but for what is settled as it was found, and what has come to agree."""
    watched = await hub_book.open_cases(ledger, operator, pair.book)
    settled = hub_book.SettledByPeople(ledger, operator, pair.book)
    for case in await _cases(pair, ours, theirs, window, watched):
        finding = finding_of(operator, pair.book, case)
        if not case.kinds:
            tell(pair, finding, watched[case.id])
            continue
        if await settled.has(finding.case):
            pair.settled += 1
        else:
            tell(pair, finding, ())


async def _cases(
    pair: Pair, ours: AsyncIterator[Entry], theirs: Iterable[Entry], window: Window, watched: Container[str]
) -> Iterator[Case]:
    side = other_side(pair.book)
    shelf = Shelf()
    try:
        shelf.put(side, theirs)
        async for chunk in _chunks(ours):
            shelf.put(Side.HUB, chunk)
    except BaseException:
        shelf.close()
        raise
    return _compared(pair, shelf, side, window, watched)


def _compared(pair: Pair, shelf: Shelf, side: Side, window: Window, watched: Container[str]) -> Iterator[Case]:
    try:
        yield from compare({each: shelf.book(each) for each in (Side.HUB, side)}, window, pair.count, watched)
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
    return evolve(entry, id=hub_book.by_kind(entry.id, entry.kind))


def _reading(settings: Settings) -> AbstractAsyncContextManager[hub_book.Reads]:
    path = settings.database.sqlite_path
    return postgres_to_read(settings.database.url) if path is None else sqlite_to_read(path)
