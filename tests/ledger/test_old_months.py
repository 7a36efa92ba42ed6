"""Taking old messages away, by the statements that the documentation gives."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from croupier.ledger.port import Committed
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.sqlite import SqliteLedger

PAGE = (Path(__file__).resolve().parents[2] / "hub/docs/operating.md").read_text("utf-8")
SECTION = PAGE.partition("## Old months\n")[2].partition("\n## ")[0]
JANUARY, FEBRUARY = (int(datetime(2026, month, 15, tzinfo=UTC).timestamp()) * 1000 for month in (1, 2))
Rows = Any


async def test_a_month_of_messages_is_taken_from_postgres_while_bets_go_on(empty_postgres: str, rows: Rows) -> None:
    (block,) = re.findall(r"^```sql\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    ledger = PostgresLedger(empty_postgres, exchange_delay=0.01)
    await ledger.start()
    over = asyncio.Event()

    async def play() -> int:
        number = 0
        while not over.is_set():
            ledger.note(rows.exchange(f"x{number}", started_at=FEBRUARY, movement=f"m{number}"))
            assert isinstance(await ledger.commit(rows.bet(f"m{number}")), Committed)
            await ledger.exchanges(rows.operator, movement=f"m{number}")
            number += 1
        return number

    try:
        ledger.note(rows.exchange("old", started_at=JANUARY))
        playing = asyncio.ensure_future(play())
        async with await psycopg.AsyncConnection.connect(empty_postgres, autocommit=True) as owner_of_tables:
            while "old" not in {row.exchange for row in await ledger.exchanges(rows.operator, trace="t1")}:  # noqa: ASYNC110 # untold
                await asyncio.sleep(0.01)
            for statement in re.findall(r"[^;]+;", block):
                await owner_of_tables.execute(statement.encode())
        over.set()
        played = await playing
        assert played > 1
    finally:
        await ledger.close()
    assert ledger.backlog().dropped == 0
    with psycopg.connect(empty_postgres) as owner:
        stored = owner.execute("SELECT exchange FROM exchanges").fetchall()
    assert sorted(stored) == sorted((f"x{number}",) for number in range(played))


async def test_old_messages_are_taken_from_sqlite_while_the_hub_is_away(tmp_path: Path, rows: Rows) -> None:
    (statement,) = re.findall(r'^sqlite3 hub\.sqlite "(.*)"$', SECTION, re.MULTILINE)
    for at in (JANUARY, FEBRUARY):
        ledger = SqliteLedger(tmp_path / "hub.sqlite")
        await ledger.start()
        assert await ledger.commit(rows.bet(f"m{at}")) == Committed(1 + (at == FEBRUARY))
        ledger.note(rows.exchange(f"x{at}", started_at=at, movement=f"m{at}"))
        await ledger.close()
    connection = sqlite3.connect(tmp_path / "hub.sqlite", isolation_level=None)
    connection.execute(statement)
    connection.close()
    ledger = SqliteLedger(tmp_path / "hub.sqlite")
    await ledger.start()
    assert [row.exchange for row in await ledger.exchanges(rows.operator, trace="t1")] == [f"x{FEBRUARY}"]
    assert await ledger.movement(rows.operator, f"m{JANUARY}") is not None
    await ledger.close()
