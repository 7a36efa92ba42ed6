"""The SQLite ledger's file: settings, lock, schema, batches, and equal runs."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from croupier.contract.errors import FixConfigurationError, UnsafeStoreError
from croupier.ledger import mapping, sqlite_groups, sqlite_open, sqlite_reader, sqlite_statements
from croupier.ledger.migrations import Migration, migrate_sqlite, migrations, stored_version
from croupier.ledger.port import (
    BatchEnd,
    Change,
    CommitResult,
    Committed,
    Look,
    Owner,
    Refused,
    RefusedBecause,
    Update,
)
from croupier.ledger.records import MovementState
from croupier.ledger.sqlite import SqliteLedger
from croupier_conformance.ledger_dump import dump_ledger

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


async def test_a_second_hub_is_refused_whatever_name_it_knows_the_file_by(tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    path, link = tmp_path / "mounted" / "ledger.sqlite", tmp_path / "hub.sqlite"
    link.symlink_to(path)
    first, second = SqliteLedger(path), SqliteLedger(link)
    await first.start()
    with pytest.raises(UnsafeStoreError, match=f"process {os.getpid()}"):
        await second.start()
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


async def test_a_file_that_can_be_no_ledger_is_named_as_something_to_correct(tmp_path: Path) -> None:
    text = tmp_path / "hub.toml"
    text.write_text("[secrets]\n" * 500)
    for path, why in ((text, "not a database"), (tmp_path, "unable to open")):
        with pytest.raises(FixConfigurationError, match=why) as caught:
            await SqliteLedger(path).start()
        assert caught.value.where == str(path)


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


async def test_a_ledger_of_the_first_schema_is_migrated_with_all_its_rows(tmp_path: Path, rows: Rows) -> None:
    path = tmp_path / "old.sqlite"
    movements = [
        rows.movement(name, round="r1", created_at=at, lease_until=0) for at, name in enumerate(("b", "a", "c"))
    ]
    exchange = rows.exchange(movement="a", request="asked", response="answered")
    connection = sqlite3.connect(path, isolation_level=None)
    migrate_sqlite(connection, migrations("sqlite")[:1])
    stored: list[tuple[sqlite_statements.Statements[Any], Any]] = [
        *((sqlite_statements.MOVEMENTS, movement) for movement in movements),
        (sqlite_statements.ROUNDS, rows.round()),
        (sqlite_statements.EXCHANGES, exchange),
    ]
    for statements, row in stored:
        connection.execute(statements.insert, statements.table.values(row))
    for value, movement in (("k1", "a"), ("k2", "a"), ("k3", "c")):
        connection.execute("INSERT INTO movement_keys VALUES ('casino', 'c1', 'bet', ?, ?)", (value, movement))
    connection.execute("INSERT INTO operator_positions VALUES ('casino', 7, 0)")
    connection.close()
    ledger = SqliteLedger(path)
    await ledger.start()
    found = await ledger.look(Look(operator="casino", keys=(rows.key("k2"),), round="r1", round_movements=True))
    assert found.round == rows.round()
    assert [row.movement for row in found.round_movements] == ["b", "a", "c"]
    assert found.keys == {rows.key("k2"): movements[1]}
    keys = tuple(map(rows.key, ("k1", "k3", "k4")))
    assert (await ledger.look(Look(operator="casino", keys=keys))).keys == {
        keys[0]: movements[1],
        keys[1]: movements[2],
    }
    assert await ledger.exchanges("casino", movement="a") == [exchange]
    assert await ledger.commit(rows.bet("d")) == Committed(8)
    assert isinstance(await ledger.commit(rows.change(rounds=(rows.round(),))), Refused)
    assert isinstance(await ledger.commit(rows.change(rounds=(rows.round(version=2),))), Committed)
    await ledger.close()


def test_every_attribute_of_a_row_has_its_column() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate_sqlite(connection)
    tables = [table for table in vars(mapping).values() if isinstance(table, mapping.Table)]
    assert len(tables) == 12
    for table in tables:
        columns = {column for _, column, *_ in connection.execute(f"PRAGMA table_info({table.name})")}
        assert columns - {"number", "movement_number"} == set(table.columns)
    connection.close()


def test_no_lookup_reads_a_whole_table() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate_sqlite(connection)
    movements, sessions = sqlite_statements.MOVEMENTS.select, sqlite_statements.SESSIONS.select
    cases, adjustments = sqlite_statements.CASES.select, sqlite_statements.ADJUSTMENTS.select
    statements = [
        sqlite_reader._numbers_of(2),
        sqlite_reader._BY_NUMBER,
        sqlite_groups._MOVEMENT_VERSIONS,
        sqlite_groups._ROUND_VERSIONS,
        sqlite_groups._SESSION_VERSIONS,
        sqlite_statements.MOVEMENTS.guarded_update,
        sqlite_statements.ROUNDS.guarded_update,
        sqlite_reader.SESSION_BY_HASH,
        sqlite_statements.SELECT_DUE,
        sqlite_statements.SELECT_ORPHANS,
        sqlite_statements.ANY_DUE,
        sqlite_statements.ANY_ORPHANED,
        sqlite_statements.SELECT_PLAYER,
        sqlite_statements.SELECT_ALIAS,
        f"{movements} WHERE operator = ? AND round = ? ORDER BY number",
        f"{movements} WHERE operator = ? AND (created_at, movement) > (?, ?) ORDER BY created_at, movement LIMIT 9",
        f"{movements} WHERE operator = ? AND player = ? ORDER BY created_at, movement LIMIT 9",
        f"{sessions} WHERE operator = ? AND connection = ? AND player = ? ORDER BY created_at DESC, session DESC",
        f"{sqlite_statements.DELIVERIES.select} WHERE state = 'held' AND operator = ? ORDER BY sequence",
        f"{sqlite_statements.ROUNDS.select} WHERE operator = ? AND player = ? ORDER BY opened_at, round LIMIT 9",
        sqlite_reader.EXCHANGES_BY_TRACE,
        sqlite_reader.EXCHANGES_BY_MOVEMENT,
        sqlite_reader.COUNT_MOVEMENTS,
        f'{cases} WHERE operator = ? AND state = \'open\' AND (opened_at, "case") > (?, ?) ORDER BY opened_at, "case"',
        f'{cases} WHERE operator = ? AND (opened_at, "case") > (?, ?) ORDER BY opened_at, "case"',
        f'{adjustments} WHERE operator = ? AND book = ? AND at >= ? AND at < ? ORDER BY at, "case"',
        sqlite_reader.ADJUSTMENTS_OF,
    ]
    computed = ("SCAN CONSTANT ROW", "SCAN (subquery-3)")
    for statement in statements:
        named: Any = dict.fromkeys(re.findall(r":(\w+)", statement), 1) or (1,) * statement.count("?")
        steps = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", named)]
        whole = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step and step not in computed]
        assert whole == [], statement
        assert not [step for step in steps if step.endswith("USING PRIMARY KEY (operator=?)")], statement
        sorts = [step for step in steps if "TEMP B-TREE" in step]
        if sqlite_statements.SELECT_DUE in statement or sqlite_statements.SELECT_ORPHANS in statement:
            assert sorts == [], statement
        elif "movement LIMIT" in statement:
            assert sorts == ["USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"], statement  # those of one millisecond
    connection.close()


async def test_everything_that_waits_is_one_transaction(tmp_path: Path, rows: Rows) -> None:
    ends: list[BatchEnd] = []
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", max_batch=50, on_batch=ends.append)
    await ledger.start()
    await asyncio.gather(*(ledger.commit(rows.bet(f"m{i}")) for i in range(100)))
    assert [end.changes for end in ends] == [50, 50]
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
    assert ledger.backlog().dropped == 2
    await ledger.commit(rows.bet())
    await ledger.close()
    again = SqliteLedger(tmp_path / "ledger.sqlite")
    await again.start()
    assert [row.exchange for row in await again.exchanges(rows.operator, trace="t1")] == ["x0", "x1", "x2"]
    await again.close()


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


def mixed(rows: Rows) -> list[Change]:
    """Changes at once, some of which cannot be applied, some only after others."""
    applied = rows.movement("m1", state=MovementState.APPLIED, version=2)
    again = attrs.evolve(applied, balance=5, version=3)
    return [
        rows.bet("m1", round="r1"),
        rows.change(rounds=(rows.round("r1"),), events=(rows.event("opened"),)),
        rows.change(updates=(Update(applied, epoch=1),), rounds=(rows.round("r1", version=2),)),
        rows.change(updates=(Update(applied, epoch=1),), events=(rows.event("late"),)),
        rows.change(updates=(Update(again, epoch=9),), events=(rows.event("of another epoch"),)),
        attrs.evolve(rows.bet("m2"), expects=(("s1", 1),)),
        rows.change(sessions=(rows.session("s1"),)),
        attrs.evolve(rows.bet("m3"), expects=(("s1", 1),)),
        rows.change(sessions=(rows.session("s1", version=2),), events=(rows.event("ended"),)),
        attrs.evolve(rows.bet("m4"), expects=(("s1", 1),)),
        rows.change(movements=(rows.movement("m5"),), keys=((rows.key("k-m3"), "m5"),)),
        rows.change(keys=((rows.key("second"), "m1"),)),
        rows.change(movements=(rows.movement("m1", operator="other"),)),
        rows.change(updates=(Update(rows.movement("m3", player="bob", round="r1", version=2)),)),
    ]


async def outcomes(ledger: SqliteLedger, changes: list[Change], *, at_once: bool) -> list[object]:
    """What each change comes to."""
    if at_once:
        return await asyncio.gather(*map(ledger.commit, changes), return_exceptions=True)
    return [(await asyncio.gather(ledger.commit(change), return_exceptions=True))[0] for change in changes]


@pytest.mark.parametrize("spoiled", [False, True], ids=["group", "spoiled"])
async def test_changes_of_a_group_come_to_the_same_as_one_after_another(
    tmp_path: Path, rows: Rows, *, spoiled: bool
) -> None:
    changes = mixed(rows)
    if spoiled:  # a row that cannot be stored: the whole batch is applied one by one
        changes.insert(3, rows.change(movements=(rows.movement("negative", amount=-1),)))
    found = []
    for at_once in (True, False):
        path = tmp_path / f"{at_once}.sqlite"
        ends: list[BatchEnd] = []
        ledger = SqliteLedger(path, threaded=False, on_batch=ends.append)
        await ledger.start()
        results = await outcomes(ledger, changes, at_once=at_once)
        assert [end.changes for end in ends] == ([len(changes)] if at_once else [1] * len(changes))
        await ledger.close()
        found.append(([str(result) for result in results], dump_ledger(path)))
    assert found[0] == found[1]
    refused = [text for text in found[0][0] if text.startswith("Refused")]
    assert len(refused) == 5, refused


class CountingCursor(sqlite3.Cursor):
    """Counts the statements of the writing connection."""

    statements = 0

    def execute(self, statement: str, parameters: Any = ()) -> CountingCursor:
        CountingCursor.statements += 1
        return super().execute(statement, parameters)

    def executemany(self, statement: str, parameters: Any) -> CountingCursor:
        CountingCursor.statements += 1
        return super().executemany(statement, parameters)


class CountingConnection(sqlite3.Connection):
    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(CountingCursor)


async def test_a_batch_of_bets_takes_a_few_statements_and_a_repeat_among_them_a_few_more(
    tmp_path: Path, rows: Rows
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", factory=CountingConnection)
    await ledger.start()
    for number in range(5):
        await ledger.commit(attrs.evolve(rows.bet(f"old{number}"), rounds=(rows.round(f"old{number}"),)))
    changes = [attrs.evolve(rows.bet(f"m{i}"), rounds=(rows.round(f"r{i}"),)) for i in range(50)]
    CountingCursor.statements = 0
    results: list[CommitResult] = await asyncio.gather(*map(ledger.commit, changes))
    assert results == [Committed(place) for place in range(6, 56)]
    assert CountingCursor.statements < 15
    again = [attrs.evolve(rows.bet(f"n{i}"), rounds=(rows.round(f"n{i}"),)) for i in range(50)]
    again[7] = attrs.evolve(rows.bet("old1"), rounds=(rows.round("n7"),))
    again[9] = attrs.evolve(rows.bet("n9"), rounds=(rows.round("old2"),))
    again[11] = attrs.evolve(rows.bet("n11"), rounds=(rows.round("old3", version=4),))
    CountingCursor.statements = 0
    results = await asyncio.gather(*map(ledger.commit, again))
    refused = {place: result.what for place, result in enumerate(results) if isinstance(result, Refused)}
    assert refused == {7: "movements casino old1", 9: "rounds casino old2", 11: "rounds casino old3"}
    assert CountingCursor.statements < 30
    await ledger.close()


async def test_a_stale_session_refuses_without_disturbing_the_group(tmp_path: Path, rows: Rows) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    await ledger.start()
    await ledger.commit(rows.change(sessions=(rows.session("s1"),)))
    changes = [attrs.evolve(rows.bet(f"m{i}"), expects=(("s1", 1 + i % 2),)) for i in range(4)]
    stale = Refused(RefusedBecause.STALE, "s1")
    assert await asyncio.gather(*map(ledger.commit, changes)) == [Committed(1), stale, Committed(2), stale]
    await ledger.close()
