"""What is asked of a change before any engine looks at its database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from croupier.contract.errors import LedgerCorruptError
from croupier.ledger.port import Change


def stay_with_operator(change: Change) -> None:
    """A change never crosses operators.

    Raises:
        LedgerCorruptError: This one does.
    """
    rows: Iterable[Any] = (
        *change.movements,
        *(key for key, _ in change.keys),
        *(update.row for update in change.updates),
        *change.rounds,
        *change.deliveries,
        *(update.row for update in change.delivery_updates),
        *change.sessions,
        *change.grants,
        *change.configuration,
    )
    for row in rows:
        if row.operator != change.operator:
            raise LedgerCorruptError("a change crosses operators", where=type(row).__name__)
