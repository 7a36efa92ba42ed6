"""The provider's logs: CSV feeds with a time point as their cursor.

Facts: `reference/protocols/pragmatic.md`, section "Reconciliation: DataFeeds".
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from croupier.contract.calls import MovementKey, MovementKind
from croupier.contract.errors import MalformedRequestError, UpstreamError
from croupier.contract.fields import Told, refuse_status, told_rows
from croupier.contract.flows import Flow, LogEntry, LogPage, LogQuery
from croupier.contract.http import Effect, HttpRequest, HttpResponse
from croupier.contract.secrets import Credentials
from croupier.contract.times import epoch_ms, read_moment
from croupier_pragmatic.mapping import REFERENCES, REFUNDS
from croupier_pragmatic.settings import SECRET, PragmaticSettings

TRANSACTIONS: Final = "transactions"
TRANSACTION_COLUMNS: Final = tuple(
    "playerID extPlayerID gameID playSessionID timestamp referenceID type amount currency".split()
)
ROUND_COLUMNS: Final = tuple(
    """
    playerID extPlayerID gameID playSessionID parentSessionID startDate endDate status type bet win currency jackpot
    """.split()
)
_MARK: Final = "timepoint="
_ABSENT: Final = frozenset({"", "null"})


def transactions(query: LogQuery, settings: PragmaticSettings, credentials: Credentials) -> Flow[LogPage]:
    """A page of the feed of transactions."""
    rows, cursor = yield from _page(TRANSACTIONS, TRANSACTION_COLUMNS, query, settings, credentials)
    return LogPage(entries=tuple([_transaction(row, settings) for row in rows]), cursor=cursor)


def rounds(query: LogQuery, settings: PragmaticSettings, credentials: Credentials) -> Flow[LogPage]:
    """A page of the feed of game rounds."""
    rows, cursor = yield from _page(settings.rounds_feed, ROUND_COLUMNS, query, settings, credentials)
    return LogPage(entries=tuple([_round(row) for row in rows]), cursor=cursor)


def _page(
    feed: str, columns: tuple[str, ...], query: LogQuery, settings: PragmaticSettings, credentials: Credentials
) -> Flow[tuple[tuple[Told, ...], str | None]]:
    cursor = query.cursor if query.cursor is not None else str(max(epoch_ms(query.since), 0))
    if not (cursor.isascii() and cursor.isdigit()):
        raise MalformedRequestError("expected a time point in milliseconds", where="cursor")
    parameters = {
        "login": settings.secure_login,
        "password": credentials.current(SECRET),
        "timepoint": cursor,
        "dataType": query.stream or settings.data_type,
    }
    url = f"{settings.api_url.rstrip('/')}/IntegrationService/v3/DataFeeds/{feed}/?{urlencode(parameters)}"
    response = yield HttpRequest("GET", url, effect=Effect.READ)
    reached, rows = _read(response, columns, feed)
    # An empty page is no end: some accounts answer one short window a call. The end is where time stands still.
    goes_on = int(cursor) < reached < epoch_ms(query.until)
    return rows, str(reached) if goes_on else None


def _read(response: HttpResponse, columns: tuple[str, ...], feed: str) -> tuple[int, tuple[Told, ...]]:
    refuse_status(response, feed)
    try:
        first, _, rest = response.body.decode("utf-8-sig").partition("\n")
    except UnicodeDecodeError:
        raise UpstreamError("the feed is not UTF-8", where=feed) from None
    point = first.strip().removeprefix(_MARK)
    if not first.startswith(_MARK) or not (point.isascii() and point.isdigit()):
        raise UpstreamError("the feed does not begin with its time point", where=feed)
    return int(point), told_rows(rest, columns, feed, _ABSENT)


def _transaction(row: Told, settings: PragmaticSettings) -> LogEntry:
    letter = row.word("type") or ""
    kind = settings.transaction_types.get(letter)
    return LogEntry(
        round=row.word("playSessionID"),
        player=row.word("extPlayerID") or "",
        game=row.word("gameID"),
        key=MovementKey(REFUNDS if kind is MovementKind.ROLLBACK else REFERENCES, row.text("referenceID")),
        kind=kind,
        amount=row.signed_amount("amount", currency=row.word("currency")),
        state=letter,
        at=read_moment(row.word("timestamp")),
    )


def _round(row: Told) -> LogEntry:
    currency = row.word("currency")
    return LogEntry(
        round=row.word("playSessionID"),
        player=row.word("extPlayerID") or "",
        game=row.word("gameID"),
        bet=row.signed_amount("bet", currency=currency),
        win=row.signed_amount("win", currency=currency),
        state=row.word("status") or "",
        at=read_moment(row.word("endDate")) or read_moment(row.word("startDate")),
    )
