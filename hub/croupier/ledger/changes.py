"""What is the same whatever the engine: what is asked of a change, and rows that the ledger makes itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import attrs

from croupier.contract.errors import LedgerCorruptError
from croupier.ledger.mapping import Table
from croupier.ledger.port import Change, Owner
from croupier.ledger.records import SinkRow

Row = TypeVar("Row", bound=attrs.AttrsInstance)


def check_change(change: Change) -> None:
    """A change never crosses operators, and brings the movements that its keys name.

    Raises:
        LedgerCorruptError: This one does, or does not.
    """
    operator = change.operator
    for rows in _rows(change):
        for row in rows:
            if row.operator != operator:
                raise LedgerCorruptError("a change crosses operators", where=type(row).__name__)
    new = [row.movement for row in change.movements]
    if any(movement not in new for _, movement in change.keys):
        raise LedgerCorruptError("a key names a movement that its change does not bring")


def claimed_sink(owner: Owner, operator: str, sink: str, lease_until: int, start: int) -> SinkRow:
    """The row of a sink that is claimed for the first time."""
    return SinkRow(
        operator=operator, sink=sink, position=start, owner=owner.name, epoch=owner.epoch, lease_until=lease_until
    )


def readable(table: Table[Row], claimed: Iterable[Iterable[Any]]) -> list[Row]:
    """The rows that were claimed, but for those that this code does not understand: others must not wait for them.

    They stay claimed until their lease has ended, and are told of each time.
    """
    rows = []
    for values in claimed:
        try:
            rows.append(table.row(values))
        except Exception as error:  # noqa: BLE001 # whatever such a row holds
            tell_unreadable(table.name, error)
    return rows


def tell_unreadable(table: str, error: Exception) -> None:
    """Tell that a row of owed work is left out."""
    told = {"message": f"a row of {table} cannot be read: what is owed by it waits", "exception": error}
    asyncio.get_running_loop().call_exception_handler(told)


def _rows(change: Change) -> Iterator[Sequence[Any]]:
    """Everything that has an operator; most changes hold little of it."""
    yield change.movements
    if change.keys:
        yield [key for key, _ in change.keys]
    if change.updates:
        yield [update.row for update in change.updates]
    yield change.rounds
    if change.deliveries:
        yield change.deliveries
    if change.delivery_updates:
        yield [update.row for update in change.delivery_updates]
    if change.sessions:
        yield change.sessions
    if change.grants:
        yield change.grants
    if change.configuration:
        yield change.configuration
    if change.sinks:
        yield change.sinks
    if change.cases:
        yield change.cases
    if change.adjustments:
        yield change.adjustments
