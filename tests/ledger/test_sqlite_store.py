"""The SQLite ledger's file: settings, lock, schema, batches, and equal runs."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from croupier.contract.errors import FixConfigurationError, UnsafeStoreError
from croupier.ledger import mapping, sqlite_open, sqlite_reader, sqlite_statements
from croupier.ledger.migrations import Migration, migrate_sqlite, migrations, stored_version
from croupier.ledger.port import Owner, Refused
from croupier.ledger.records import MovementState
from croupier.ledger.sqlite import SqliteLedger

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows


def start_elsewhere(path: Path) -> str:
    """What another process says when it fails to start a ledger."""
    program = (
        "import asyncio, sys; from croupier.ledger.sqlite import SqliteLedger; "
        "asyncio.run(SqliteLedger(sys.argv[1]).start())"
    )
    other = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    return other.stderr


async def test_a_second_hub_is_refused_and_told_who_holds_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    first, second = SqliteLedger(path), SqliteLedger(path)
    await first.start()
    with pytest.raises(UnsafeStoreError, match=f"process {os.getpid()}"):
        await second.start()
    assert f"another hub holds this ledger (process {os.getpid()})" in await asyncio.to_thread(start_elsewhere, path)
    await first.close()
    await second.start()
    await second.close()


async def test_work_of_a_hub_that_died_is_taken_over_without_waiting_for_its_leases(tmp_path: Path, rows: Rows) -> None:
    path, now, long = tmp_path / "ledger.sqlite", 1_000, 3_600_000
    first = SqliteLedger(path)
    await first.start()
    gone = await first.register("gone")
    await first.commit(rows.bet("m1", lease_until=now + long, owner=gone.name, epoch=gone.epoch))
    await first.commit(rows.change(deliveries=(rows.delivery("d1"),)))
    assert len(await first.claim_deliveries(gone, now, long, 10)) == 1
    assert await first.claim_orphans(gone, now, long, 10) == []
    await first.close()
    second = SqliteLedger(path)
    await second.start()
    heir = await second.register("heir")
    assert [row.movement for row in await second.claim_orphans(heir, now, long, 10)] == ["m1"]
    assert [row.owner for row in await second.claim_deliveries(heir, now, long, 10)] == ["heir"]
    await second.close()


class Hasty(sqlite3.Connection):
    """A SQLite that does not take FULL for an answer."""

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        return super().execute(statement.replace("synchronous = FULL", "synchronous = NORMAL"), parameters)


class Traditional(sqlite3.Connection):
    """A file system that cannot share memory."""

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        return super().execute(statement.replace("journal_mode = WAL", "journal_mode = DELETE"), parameters)


@pytest.mark.parametrize(("factory", "what"), [(Hasty, "below FULL"), (Traditional, "not WAL")])
async def test_settings_that_would_lose_commits_are_refused(
    tmp_path: Path, factory: type[sqlite3.Connection], what: str
) -> None:
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(UnsafeStoreError, match=what):
        await SqliteLedger(path, factory=factory).start()
    safe = SqliteLedger(path)  # the refused one has let go of the lock
    await safe.start()
    await safe.close()


async def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeStoreError, match="folder"):
        await SqliteLedger(tmp_path / "missing" / "ledger.sqlite").start()


def test_an_old_or_unsafe_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_open.check_library()
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
        with pytest.raises(UnsafeStoreError, match="too old"):
            sqlite_open.check_library()
    monkeypatch.setattr(sqlite3, "threadsafety", 0)
    with pytest.raises(UnsafeStoreError, match="thread"):
        sqlite_open.check_library()


async def test_the_reader_cannot_write(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    await ledger.start()
    reader = sqlite_open.open_reader(tmp_path / "ledger.sqlite")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO owners (epoch, name) VALUES (1, 'intruder')")
    reader.close()
    await ledger.close()


async def test_a_path_with_odd_characters_works(tmp_path: Path, rows: Rows) -> None:
    path = tmp_path / "odd ?#%41 & ü.sqlite"
    ledger = SqliteLedger(path)
    await ledger.start()
    await ledger.commit(rows.bet())
    assert await ledger.movement(rows.operator, "m1") == rows.movement()
    await ledger.close()
    assert path.exists()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path)
    await ledger.start()
    await ledger.close()
    connection = sqlite3.connect(path, isolation_level=None)
    assert stored_version(connection) == migrations("sqlite")[-1].version
    connection.execute("INSERT INTO schema_versions (version, name) VALUES (9999, 'future')")
    connection.close()
    with pytest.raises(FixConfigurationError, match="9999"):
        await SqliteLedger(path).start()


async def test_an_older_schema_is_refused_where_it_is_not_to_be_migrated(tmp_path: Path) -> None:
    with pytest.raises(FixConfigurationError, match="older"):
        await SqliteLedger(tmp_path / "ledger.sqlite", migrate=False).start()
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    await ledger.start()
    await ledger.close()
    strict = SqliteLedger(tmp_path / "ledger.sqlite", migrate=False)
    await strict.start()
    await strict.close()


async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    connection.close()
    with pytest.raises(FixConfigurationError, match="something else"):
        await SqliteLedger(path).start()


def test_a_migration_takes_place_whole_or_not_at_all() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    first = Migration(
        1, "first", "CREATE TABLE one (id);\n-- a comment; with a semicolon\nINSERT INTO one VALUES (1);\n"
    )
    broken = Migration(2, "second", "CREATE TABLE two (id);\nINSERT INTO missing VALUES (1);\n")
    with pytest.raises(sqlite3.OperationalError):
        migrate_sqlite(connection, [first, broken])
    assert stored_version(connection) == 1
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    assert tables == {"one", "schema_versions"}
    mended = Migration(2, "second", "CREATE TABLE two (id);\n")
    assert migrate_sqlite(connection, [first, mended]) == (mended,)
    assert migrate_sqlite(connection, [first, mended]) == ()
    with pytest.raises(ValueError, match="middle"):
        migrate_sqlite(connection, [first, mended, Migration(3, "third", "CREATE TABLE three (")])
    assert stored_version(connection) == 2
    connection.close()


def test_released_migrations_are_numbered_without_gaps() -> None:
    steps = migrations("sqlite")
    assert steps
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))


def test_every_attribute_of_a_row_has_its_column() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate_sqlite(connection)
    tables = [table for table in vars(mapping).values() if isinstance(table, mapping.Table)]
    assert len(tables) == 9
    for table in tables:
        columns = {column for _, column, *_ in connection.execute(f"PRAGMA table_info({table.name})")}
        assert columns - {"number"} == set(table.columns)
    connection.close()


def test_no_lookup_reads_a_whole_table() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate_sqlite(connection)
    movements, sessions = sqlite_statements.MOVEMENTS.select, sqlite_statements.SESSIONS.select
    statements = [
        sqlite_statements.SELECT_BY_KEY,
        sqlite_statements.SELECT_DUE,
        sqlite_statements.SELECT_ORPHANS,
        sqlite_statements.SELECT_PLAYER,
        sqlite_statements.SELECT_ALIAS,
        f"{movements} WHERE operator = ? AND round = ? ORDER BY number",
        f"{movements} WHERE operator = ? AND (created_at, movement) > (?, ?) ORDER BY created_at, movement LIMIT 9",
        f"{movements} WHERE operator = ? AND player = ? ORDER BY created_at, movement LIMIT 9",
        f"{sessions} WHERE operator = ? AND connection = ? AND launch_hash = ?",
        f"{sessions} WHERE operator = ? AND connection = ? AND token_hash = ?",
        f"{sessions} WHERE operator = ? AND connection = ? AND player = ? ORDER BY created_at DESC, session DESC",
        f"{sqlite_statements.DELIVERIES.select} WHERE state = 'held' AND operator = ? ORDER BY sequence",
        f"{sqlite_statements.EXCHANGES.select} WHERE operator = ? AND trace = ?",
        sqlite_reader.COUNT_MOVEMENTS,
    ]
    for statement in statements:
        named = {"now": 1, "limit": 1} if ":now" in statement else (1,) * statement.count("?")
        steps = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", named)]
        whole = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step]
        assert whole == [], statement
        if "player = ? ORDER" in statement or statement in {
            sqlite_statements.SELECT_DUE,
            sqlite_statements.SELECT_ORPHANS,
        }:
            assert not [step for step in steps if "TEMP B-TREE" in step], statement
    connection.close()


async def test_everything_that_waits_is_one_transaction(tmp_path: Path, rows: Rows) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", max_batch=50)
    await ledger.start()
    await asyncio.gather(*(ledger.commit(rows.bet(f"m{i}")) for i in range(100)))
    assert ledger.batches == 2
    await ledger.close()


async def test_what_writes_nothing_costs_no_commit(tmp_path: Path, rows: Rows) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path)
    await ledger.start()
    await ledger.commit(rows.bet(state=MovementState.APPLIED))
    log = path.with_name("ledger.sqlite-wal")
    size = log.stat().st_size
    assert isinstance(await ledger.commit(rows.bet()), Refused)
    assert await ledger.claim_deliveries(Owner("hub", 1), 10_000, 50, 10) == []
    assert await ledger.claim_orphans(Owner("hub", 1), 10_000, 50, 10) == []
    assert log.stat().st_size == size
    await ledger.close()


async def test_exchanges_beyond_the_bound_are_dropped_and_counted(tmp_path: Path, rows: Rows) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", max_exchanges_waiting=3, exchange_delay=1000)
    await ledger.start()
    for i in range(5):
        ledger.note(rows.exchange(f"x{i}", started_at=i))
    assert ledger.dropped_exchanges == 2
    await ledger.commit(rows.bet())
    assert [row.exchange for row in await ledger.exchanges(rows.operator, trace="t1")] == ["x0", "x1", "x2"]
    await ledger.close()


async def test_exchanges_are_stored_by_themselves_after_a_moment(tmp_path: Path, rows: Rows) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", exchange_delay=0.01)
    await ledger.start()
    for name in ("x1", "x2"):
        ledger.note(rows.exchange(name))
        stored: list[str] = []
        for _ in range(2000):
            stored = [row.exchange for row in await ledger.exchanges(rows.operator, trace="t1")]
            if name in stored:
                break
            await asyncio.sleep(0.005)
        assert name in stored
    await ledger.close()
