"""A hub whose user may make, change and drop no tables, with the rights that the documentation gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.ledger.postgres_ledgers import started

from croupier.ledger.clock_marks import ClockMark
from croupier.ledger.port import Committed, Owner
from croupier_conformance.servers import ServerMissingError, postgres_server

PAGE = Path(__file__).resolve().parents[2] / "hub/docs/operating.md"
FAR = int(datetime(2041, 6, 1, tzinfo=UTC).timestamp()) * 1000
Rows = Any


def statements() -> list[list[str]]:
    """The page's blocks: as a superuser, in the new database, and as the owner."""
    before, after, _ = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [re.findall(r"[^;]+;", block) for block in (*before.split("\\connect croupier\n"), after)]


def carry_out(url: str, block: list[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in block:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def url_of() -> Iterator[Callable[[str], str]]:
    """The URL of a database that was set up as the page says, for a user."""
    roles, rights, _ = statements()
    try:
        with postgres_server({}) as server:
            carry_out(server.url("postgres"), roles)
            carry_out(server.url("croupier"), rights)
            yield lambda user: re.sub(r"://[^@/]*@?/", f"://{user}@/", server.url("croupier"))
    except ServerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
async def limited(url_of: Callable[[str], str]) -> str:
    """The URL for the hub, after the owner has migrated."""
    owner = url_of("croupier_owner")
    async with started(owner):
        pass
    carry_out(owner, statements()[2])
    return url_of("croupier")


async def test_a_hub_does_all_its_work_and_begins_new_months_without_any_right_to_tables(
    limited: str, rows: Rows
) -> None:
    async with started(limited, migrate=False, exchange_delay=0.01) as ledger:
        owner = await ledger.register("hub")
        change = rows.change(movements=(rows.movement(),), deliveries=(rows.delivery(),), rounds=(rows.round("r1"),))
        assert await ledger.commit(change) == Committed(0)
        assert await ledger.commit(rows.change(events=(rows.event(at=FAR),))) == Committed(1)
        assert [one.event.at for one in await ledger.events_after(rows.operator, 0, 10)] == [FAR]
        ledger.note(rows.exchange(started_at=FAR))
        assert await ledger.claim_deliveries(Owner("hub", owner.epoch), 10_000, 50, 10)
        await ledger.commit(rows.bet("m2"))
        mark = ClockMark(boot="b1", steady_ms=1, ledger_ms=FAR, database_ms=FAR)
        await ledger.mark_clock(mark)
        assert (await ledger.clock()).marks == (mark,)
        await ledger.forget_clock()
        assert (await ledger.clock()).marks == ()
    async with started(limited, migrate=False) as ledger:
        assert await ledger.exchanges(rows.operator, trace="t1") == [rows.exchange(started_at=FAR)]
        assert ledger.backlog().dropped == 0
    with psycopg.connect(limited) as connection:
        assert connection.execute("SELECT count(*) FROM writers").fetchone() == (0,)  # each has left


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM movements",
        "DELETE FROM events",
        "TRUNCATE exchanges",
        "DROP TABLE movements",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "CREATE TABLE mine ()",
        "SELECT make_month('movements', 2031, 1)",
    ],
)
def test_what_a_hub_may_not_do_is_refused_by_the_database(limited: str, statement: str) -> None:
    with psycopg.connect(limited, autocommit=True) as connection, pytest.raises(psycopg.Error) as refusal:
        connection.execute(statement.encode())
    assert refusal.value.sqlstate in {"42501", "P0001"}


async def test_a_table_of_the_callers_own_is_not_taken_for_the_ledgers(limited: str) -> None:
    with psycopg.connect(limited, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE events (at bigint) PARTITION BY RANGE (at)")
        connection.execute("SELECT make_month('events', 2051, 7)")
        ask = "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = 'events_2051_07'::regclass"
        assert connection.execute(ask).fetchone() == ("public.events",)
