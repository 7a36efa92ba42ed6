"""A ledger in PostgreSQL, from its start to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from croupier.ledger.postgres import PostgresLedger


@asynccontextmanager
async def started(url: str, **settings: Any) -> AsyncIterator[PostgresLedger]:
    """A ledger with such settings."""
    ledger = PostgresLedger(url, **settings)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()
