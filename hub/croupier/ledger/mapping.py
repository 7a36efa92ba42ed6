"""Rows as values and tables as columns: the same for every engine.

Columns are named like the attributes. JSON columns hold canonical text (sorted keys, no spaces), so that equal rows are
equal bytes in every database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from operator import attrgetter
from typing import Any, Generic, TypeVar, get_type_hints

import attrs
import orjson

from croupier.ledger.records import (
    AdjustmentRow,
    AliasRow,
    CaseRow,
    CaseState,
    ConfigurationRow,
    DeliveryRow,
    DeliveryState,
    DeliveryTask,
    Event,
    ExchangeRow,
    GrantRow,
    MovementRow,
    MovementState,
    PlayerRow,
    RoundRow,
    RoundState,
    SessionRow,
    SessionState,
    SinkRow,
    StoredEvent,
)

Row = TypeVar("Row", bound=attrs.AttrsInstance)
Value = int | str | None
"""What a column holds."""

ORPHANED = (MovementState.FENCED.value, MovementState.INTENT.value)
"""States in which a movement waits for an owner that may be gone, as literals of the partial index."""

UNFINISHED = tuple(
    sorted(
        state.value
        for state in (
            MovementState.INTENT,
            MovementState.OWED,
            MovementState.FENCED,
            MovementState.REVERSING,
            MovementState.HELD,
        )
    )
)
"""States that are not final, as `croupier.ledger.port.Ledger.count_states` counts them."""


def to_json(value: object) -> str:
    """Canonical JSON text of JSON-ready values.

    Raises:
        TypeError: Something in it is not JSON-ready.
    """
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS).decode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON-ready")


def from_json(text: str) -> Any:
    """What `to_json` wrote; it wrote no number that `orjson` would read inexactly."""
    return orjson.loads(text)


@attrs.frozen
class Codec:
    """How one attribute is stored.

    Attributes:
        encode: From the attribute to the column.
        decode: Back.
    """

    encode: Callable[[Any], Value]
    decode: Callable[[Any], Any]


def _enum(kind: type[Enum]) -> Codec:
    return Codec(attrgetter("_value_"), {member.value: member for member in kind}.__getitem__)


_JSON = Codec(to_json, from_json)
_TUPLE = Codec(to_json, lambda text: tuple(from_json(text)))
_BOOL = Codec(int, bool)
_INTEGERS = (int, int | None, bool)


class Table(Generic[Row]):
    """One table and the class of its rows.

    Args:
        name: The table's name.
        row: The class of its rows.
        key: The columns that identify a row.
        codecs: How attributes that are neither text nor integer are stored.
        settled: Indexed columns that hardly ever change: an update that leaves them alone spares their indexes.
        assigned: Columns that the ledger gives to a new row; an update keeps what is stored.

    Attributes:
        columns: Its columns, in the order of the attributes.
        integers: Those that hold integers; the others hold text.
        key_of: The key of a row.
    """

    def __init__(
        self,
        name: str,
        row: type[Row],
        key: tuple[str, ...],
        codecs: Mapping[str, Codec] | None = None,
        *,
        settled: tuple[str, ...] = (),
        assigned: tuple[str, ...] = (),
    ) -> None:
        fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(row)
        self.name = name
        self.key = key
        self.settled = settled
        self.assigned = assigned
        self.columns = tuple(field.name for field in fields)
        self.key_of: Callable[[Row], Any] = attrgetter(*key)
        self.integers = frozenset(name for name, kind in get_type_hints(row).items() if kind in _INTEGERS)
        self._row = row
        self._read = attrgetter(*self.columns)
        self._encoders = tuple((self.columns.index(column), codec.encode) for column, codec in (codecs or {}).items())
        self._decoders = tuple((column, codec.decode) for column, codec in (codecs or {}).items())

    def values(self, row: Row) -> list[Value]:
        """The row's columns, in the order of `columns`.

        Raises:
            TypeError: A JSON attribute holds what is not JSON-ready.
        """
        values: list[Value] = list(self._read(row))
        for place, encode in self._encoders:
            values[place] = encode(values[place])
        return values

    def row(self, values: Iterable[Any]) -> Row:
        """The row of columns in the order of `columns`; what comes after them is left out."""
        decoded = dict(zip(self.columns, values, strict=False))
        for column, decode in self._decoders:
            decoded[column] = decode(decoded[column])
        row = object.__new__(self._row)
        row.__dict__.update(decoded)  # as `croupier.ledger.records.changed` does: nothing of it validates
        return row

    def rows(self, found: Iterable[Iterable[Any]]) -> list[Row]:
        """Several rows."""
        return [self.row(values) for values in found]


MOVEMENTS = Table(
    "movements",
    MovementRow,
    ("operator", "movement"),
    {"state": _enum(MovementState), "fingerprint": _JSON, "facts": _JSON},
    settled=("player", "round", "created_at"),
)
ROUNDS = Table("rounds", RoundRow, ("operator", "round"), {"state": _enum(RoundState)}, settled=("player", "opened_at"))
DELIVERIES = Table(
    "deliveries",
    DeliveryRow,
    ("operator", "delivery"),
    {"task": _enum(DeliveryTask), "state": _enum(DeliveryState)},
    settled=("movement", "round"),
    assigned=("sequence",),
)
SESSIONS = Table(
    "sessions",
    SessionRow,
    ("operator", "session"),
    {"state": _enum(SessionState), "demo": _BOOL, "facts": _JSON},
    settled=("player", "connection", "launch_hash", "created_at"),
)
GRANTS = Table(
    "grants",
    GrantRow,
    ("operator", "connection", "grant"),
    {"games": _TUPLE},
    settled=("player", "created_at"),
)
CONFIGURATION = Table(
    "configuration",
    ConfigurationRow,
    ("operator", "kind", "name", "version"),
    {"body": _JSON, "active": _BOOL},
)
SINKS = Table("sinks", SinkRow, ("operator", "sink"), {"state": _JSON})
CASES = Table(
    "cases",
    CaseRow,
    ("operator", "case"),
    {"kinds": _TUPLE, "found": _JSON, "state": _enum(CaseState)},
    settled=("opened_at",),
)
ADJUSTMENTS = Table("adjustments", AdjustmentRow, ("operator", "case"), {"before": _JSON})
EXCHANGES = Table("exchanges", ExchangeRow, ("operator", "exchange"), {"decision": _JSON})
PLAYERS = Table("players", PlayerRow, ("operator", "player"))
ALIASES = Table("aliases", AliasRow, ("operator", "connection", "alias"))

EVENT_COLUMNS = ("operator", "position", "kind", "subject", "at", "body")


def event_values(operator: str, position: int, event: Event) -> tuple[Value, ...]:
    """The columns of an event at its place, as `EVENT_COLUMNS`."""
    return operator, position, event.kind, event.subject, event.at, to_json(event.body)


def stored_event(values: tuple[Any, ...]) -> StoredEvent:
    """The event of columns in the order of `EVENT_COLUMNS`."""
    operator, position, kind, subject, at, body = values
    event = Event(kind=kind, subject=subject, at=at, body=from_json(body))
    return StoredEvent(operator=operator, position=position, event=event)


def state_counts(movements: Mapping[str, int], owed: int, held: int, deliveries: int, cases: int) -> dict[str, int]:
    """The answer of `croupier.ledger.port.Ledger.count_states`.

    Args:
        movements: How many movements are in each state that is not final; absent ones are none.
        owed: Deliveries that are owed.
        held: Deliveries that are held.
        deliveries: All deliveries that were ever stored: the rest is done.
        cases: Cases that are open.
    """
    counts = {f"movement.{state}": movements.get(state, 0) for state in UNFINISHED}
    counts[f"delivery.{DeliveryState.OWED.value}"] = owed
    counts[f"delivery.{DeliveryState.HELD.value}"] = held
    counts[f"delivery.{DeliveryState.DONE.value}"] = deliveries - owed - held
    counts[f"case.{CaseState.OPEN.value}"] = cases
    return counts
