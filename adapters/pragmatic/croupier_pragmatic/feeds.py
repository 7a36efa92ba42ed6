"""The provider's logs: CSV feeds with a time point as their cursor.

Facts: `reference/protocols/pragmatic.md`, section "Reconciliation: DataFeeds".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from croupier.contract.calls import MovementKey, MovementKind
from croupier.contract.errors import AmountError, MalformedRequestError, ProviderRefusedError, UpstreamError
from croupier.contract.flows import Flow, LogEntry, LogPage, LogQuery
from croupier.contract.http import Effect, HttpRequest, HttpResponse
from croupier.contract.money import WireAmount
from croupier.contract.secrets import Credentials
from croupier_pragmatic.mapping import EPOCH, REFERENCES, REFUNDS
from croupier_pragmatic.settings import SECRET, PragmaticSettings

TRANSACTIONS: Final = "transactions"
TRANSACTION_COLUMNS: Final = (
    "playerID",
    "extPlayerID",
    "gameID",
    "playSessionID",
    "timestamp",
    "referenceID",
    "type",
    "amount",
    "currency",
)
ROUND_COLUMNS: Final = (
    "playerID",
    "extPlayerID",
    "gameID",
    "playSessionID",
    "parentSessionID",
    "startDate",
    "endDate",
    "status",
    "type",
    "bet",
    "win",
    "currency",
    "jackpot",
)
DATE_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_MARK: Final = "timepoint="
_NONE: Final = frozenset({"", "null"})
_BUSY: Final = frozenset({408, 425, 429})


def transactions(query: LogQuery, settings: PragmaticSettings, credentials: Credentials) -> Flow[LogPage]:
    """A page of the feed of transactions."""
    rows, cursor = yield from _page(TRANSACTIONS, TRANSACTION_COLUMNS, query, settings, credentials)
    return LogPage(entries=tuple(_transaction(row, settings) for row in rows), cursor=cursor)


def rounds(query: LogQuery, settings: PragmaticSettings, credentials: Credentials) -> Flow[LogPage]:
    """A page of the feed of game rounds."""
    feed = settings.rounds_feed.value
    rows, cursor = yield from _page(feed, ROUND_COLUMNS, query, settings, credentials)
    return LogPage(entries=tuple(_round(row) for row in rows), cursor=cursor)


def refuse_status(response: HttpResponse, where: str) -> None:
    """Accept nothing but HTTP 200.

    Raises:
        UpstreamError: The provider cannot answer now.
        ProviderRefusedError: It will not answer this.
    """
    if 400 <= response.status < 500 and response.status not in _BUSY:
        raise ProviderRefusedError(
            f"the provider answered {response.status}", provider_code=str(response.status), where=where
        )
    if response.status != 200:
        raise UpstreamError(f"the provider answered {response.status}", where=where)


def epoch_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _page(
    feed: str, columns: tuple[str, ...], query: LogQuery, settings: PragmaticSettings, credentials: Credentials
) -> Flow[tuple[list[dict[str, str]], str | None]]:
    asked = _time_point(query)
    parameters = {
        "login": settings.secure_login,
        "password": credentials.current(SECRET),
        "timepoint": str(asked),
        "dataType": query.stream or settings.data_type,
    }
    url = f"{settings.api_url.rstrip('/')}/IntegrationService/v3/DataFeeds/{feed}/?{urlencode(parameters)}"
    response = yield HttpRequest("GET", url, effect=Effect.READ)
    reached, rows = _read(response, columns, feed)
    # An empty page is no end: some accounts answer one short window a call. The end is where time stands still.
    goes_on = asked < reached < epoch_ms(query.until)
    return rows, str(reached) if goes_on else None


def _time_point(query: LogQuery) -> int:
    if query.cursor is None:
        return max(epoch_ms(query.since), 0)
    if not (query.cursor.isascii() and query.cursor.isdigit()):
        raise MalformedRequestError("expected a time point in milliseconds", where="cursor")
    return int(query.cursor)


def _read(response: HttpResponse, columns: tuple[str, ...], feed: str) -> tuple[int, list[dict[str, str]]]:
    refuse_status(response, feed)
    try:
        text = response.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UpstreamError("the feed is not UTF-8", where=feed) from None
    first, _, rest = text.partition("\n")
    point = first.strip().removeprefix(_MARK)
    if not first.startswith(_MARK) or not (point.isascii() and point.isdigit()):
        raise UpstreamError("the feed does not begin with its time point", where=feed)
    try:
        table = [row for row in csv.reader(io.StringIO(rest, newline=""), strict=True) if row]
    except csv.Error:
        raise UpstreamError("the feed is no CSV", where=feed) from None
    if not table:
        return int(point), []
    header, *lines = table
    if not set(columns) <= set(header) or any(len(line) != len(header) for line in lines):
        raise UpstreamError("the feed has not the columns that were expected", where=feed)
    return int(point), [dict(zip(header, line, strict=True)) for line in lines]


def _transaction(row: Mapping[str, str], settings: PragmaticSettings) -> LogEntry:
    kind = settings.transaction_types.get(row["type"])
    reference = row["referenceID"]
    if not reference:
        raise UpstreamError("a row has no reference", where=TRANSACTIONS)
    return LogEntry(
        round=_text(row["playSessionID"]),
        player=row["extPlayerID"],
        game=_text(row["gameID"]),
        key=MovementKey(REFUNDS if kind is MovementKind.ROLLBACK else REFERENCES, reference),
        kind=kind,
        amount=_amount(row, "amount"),
        state=row["type"],
        at=_moment(row["timestamp"]),
    )


def _round(row: Mapping[str, str]) -> LogEntry:
    return LogEntry(
        round=_text(row["playSessionID"]),
        player=row["extPlayerID"],
        game=_text(row["gameID"]),
        bet=_amount(row, "bet"),
        win=_amount(row, "win"),
        state=row["status"],
        at=_moment(row["endDate"]) or _moment(row["startDate"]),
    )


def _text(value: str) -> str | None:
    return None if value in _NONE else value


def _amount(row: Mapping[str, str], column: str) -> WireAmount:
    try:
        return WireAmount.of(row[column], currency=_text(row["currency"]))
    except AmountError:
        raise UpstreamError("a row has an amount that is no number", where=column) from None


def _moment(value: str) -> datetime | None:
    """The time of a row (UTC): milliseconds since 1970, or a date with a time. A form not known is no time."""
    if value.isascii() and value.isdigit() and len(value) <= 14:
        return EPOCH + timedelta(milliseconds=int(value))
    try:
        return datetime.strptime(value[:19], DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
