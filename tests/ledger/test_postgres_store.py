"""The PostgreSQL ledger's database: settings, schema, keys, partitions, plans and batches."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.postgres_ledgers import started

from croupier.contract.errors import FixConfigurationError, LedgerCorruptError, StoreUnavailableError, UnsafeStoreError
from croupier.ledger import mapping, postgres_open
from croupier.ledger.migrations import Migration, migrations
from croupier.ledger.port import BatchEnd, Change, Committed, Look, MovementFilter, Owner, Page, Refused, Update
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.postgres_partitions import following, month_of
from croupier.ledger.postgres_statements import PARTS, wave
from croupier.ledger.postgres_values import json_rows, json_texts, restored, storable
from croupier.ledger.records import MovementState
from croupier.ledger.sqlite_statements import sql
from croupier_conformance.servers import PostgresServer, postgres_server

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows

OF_NO_OPERATOR = {"clock_marks", "owners", "schema_versions", "writers"}


def rows_of(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def milliseconds(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("name", "value"), [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")]
)
async def test_settings_of_the_server_that_would_lose_commits_are_refused(name: str, value: str) -> None:
    with postgres_server({name: value}) as server:
        with pytest.raises(UnsafeStoreError, match=name):
            await PostgresLedger(server.address).start()
        assert rows_of(server.address, "SELECT relname FROM pg_class WHERE relname = 'movements'") == []


async def test_a_ledger_works_in_the_schema_that_its_url_names_however_that_is_written(
    empty_postgres: str, rows: Rows
) -> None:
    rows_of(empty_postgres, 'CREATE SCHEMA "Hub 2"')
    named = quote('-csearch_path="Hub\\ 2"')
    url = f"{empty_postgres}{'&' if '?' in empty_postgres else '?'}options={named}"
    later = milliseconds(2047, 3, 1)
    async with started(url) as ledger:
        assert await ledger.commit(rows.change(events=(rows.event(at=later),))) == Committed(1)
    ask = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname IN ('events', 'events_2047_04')"
    assert rows_of(empty_postgres, ask) == 2 * [('"Hub 2"',)]


async def test_a_database_that_does_not_wait_for_its_commits_is_refused(empty_postgres: str) -> None:
    async with started(empty_postgres):
        pass
    (database,) = rows_of(empty_postgres, "SELECT current_database()")[0]
    rows_of(empty_postgres, f'ALTER DATABASE "{database}" SET synchronous_commit = off')
    with pytest.raises(UnsafeStoreError, match="synchronous_commit"):
        await PostgresLedger(empty_postgres).start()
    rows_of(empty_postgres, f'ALTER DATABASE "{database}" SET synchronous_commit = remote_apply')
    async with started(empty_postgres):
        pass


async def test_a_server_that_became_unsafe_is_refused_when_the_connection_is_made_again(
    empty_postgres: str, rows: Rows
) -> None:
    async with started(empty_postgres) as ledger:
        await ledger.commit(rows.bet("m0"))
        (database,) = rows_of(empty_postgres, "SELECT current_database()")[0]
        rows_of(empty_postgres, f'ALTER DATABASE "{database}" SET synchronous_commit = off')
        rows_of(
            empty_postgres,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'croupier-writer-%' AND datname = current_database()",
        )
        with pytest.raises(StoreUnavailableError):
            await ledger.commit(rows.bet("m1"))
        assert await ledger.movement(rows.operator, "m1") is None
        rows_of(empty_postgres, f'ALTER DATABASE "{database}" RESET synchronous_commit')
        assert await ledger.commit(rows.bet("m1")) == Committed(2)


async def test_a_server_that_is_told_meanwhile_not_to_wait_loses_no_commit_of_a_connection_that_was_made(
    rows: Rows,
) -> None:
    with postgres_server({"wal_writer_delay": "10s"}) as server:  # so long its memory alone may hold what is stored
        async with started(server.address) as ledger:
            rows_of(server.address, "ALTER SYSTEM SET synchronous_commit = off")
            rows_of(server.address, "SELECT pg_reload_conf()")
            while rows_of(server.address, "SHOW synchronous_commit") != [("off",)]:  # noqa: ASYNC110 - a server's state
                await asyncio.sleep(0.02)
            assert await ledger.commit(rows.bet("m1")) == Committed(1)
            assert await ledger.commit(rows.bet("m2")) == Committed(2)
            await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        assert rows_of(server.address, "SELECT movement FROM movements ORDER BY movement") == [("m1",), ("m2",)]


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
async def test_a_server_that_is_told_meanwhile_to_keep_less_is_written_to_no_more_until_it_is_told_otherwise(
    name: str, rows: Rows
) -> None:
    async def told(server: PostgresServer, value: str) -> None:
        rows_of(server.address, f"ALTER SYSTEM SET {name} = {value}")
        rows_of(server.address, "SELECT pg_reload_conf()")
        while rows_of(server.address, f"SHOW {name}") != [(value,)]:  # noqa: ASYNC110 - a server's state
            await asyncio.sleep(0.02)

    with postgres_server() as server:
        async with started(server.address) as ledger:
            assert await ledger.commit(rows.bet("m1")) == Committed(1)
            await told(server, "off")
            with pytest.raises(StoreUnavailableError):
                await ledger.commit(rows.bet("m2"))
            assert await ledger.movement(rows.operator, "m2") is None
            await told(server, "on")
            assert await ledger.commit(rows.bet("m2")) == Committed(2)


async def test_an_address_without_a_server_is_said_to_be_unavailable() -> None:
    with pytest.raises(
        StoreUnavailableError, match=r'^database\.url: .*"/nonexistent/.* failed: No such file or directory$'
    ):
        await PostgresLedger("postgresql://nobody:hunter2@/nothing?host=/nonexistent").start()
    with pytest.raises(FixConfigurationError, match="URL"):
        await PostgresLedger("postgresql://host/name?colour=blue").start()


async def test_a_closed_ledger_is_unavailable(postgres_url: str, rows: Rows) -> None:
    ledger = PostgresLedger(postgres_url)
    with pytest.raises(StoreUnavailableError):
        await ledger.commit(rows.bet())
    await ledger.start()
    await ledger.start()
    await ledger.close()
    ledger.note(rows.exchange())
    assert ledger.backlog().dropped == 1
    for call in (ledger.register("hub"), ledger.look(Look(operator="casino")), ledger.movement("casino", "m1")):
        with pytest.raises(StoreUnavailableError):
            await call
    assert rows_of(postgres_url, "SELECT * FROM writers") == []  # it has taken its leave


async def test_closing_waits_for_what_was_asked(postgres_url: str, rows: Rows) -> None:
    ledger = PostgresLedger(postgres_url, max_batch=3)
    await ledger.start()
    tasks = [asyncio.ensure_future(ledger.commit(rows.bet(f"m{i}"))) for i in range(20)]
    await asyncio.sleep(0)
    ledger.note(rows.exchange())
    await ledger.close()
    assert [await task for task in tasks] == [Committed(i) for i in range(1, 21)]
    assert rows_of(postgres_url, "SELECT exchange FROM exchanges") == [("x1",)]


async def test_a_newer_schema_is_refused_and_an_older_one_where_it_is_not_to_be_migrated(empty_postgres: str) -> None:
    with pytest.raises(FixConfigurationError, match="older"):
        await PostgresLedger(empty_postgres, migrate=False).start()
    async with started(empty_postgres):
        pass
    async with started(empty_postgres, migrate=False):
        pass
    rows_of(empty_postgres, "INSERT INTO schema_versions (version, name) VALUES (9999, 'future')")
    with pytest.raises(FixConfigurationError, match="9999"):
        await PostgresLedger(empty_postgres).start()


async def test_another_programs_database_is_left_alone(empty_postgres: str) -> None:
    rows_of(empty_postgres, "CREATE TABLE theirs (id int)")
    with pytest.raises(FixConfigurationError, match="something else"):
        await PostgresLedger(empty_postgres).start()


async def test_processes_that_start_at_once_make_one_schema(empty_postgres: str) -> None:
    ledgers = [PostgresLedger(empty_postgres, readers=1) for _ in range(4)]
    await asyncio.gather(*(ledger.start() for ledger in ledgers))
    assert len({(await ledger.register("hub")).epoch for ledger in ledgers}) == 4
    for ledger in ledgers:
        await ledger.close()
    assert rows_of(empty_postgres, "SELECT version FROM schema_versions ORDER BY 1") == [
        (step.version,) for step in migrations("postgres")
    ]


async def test_a_step_of_the_schema_takes_as_long_as_it_takes_and_who_starts_meanwhile_waits(
    empty_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_open._SESSION, "statement_timeout", "400ms")
    monkeypatch.setitem(postgres_open._SESSION, "lock_timeout", "200ms")
    known = migrations("postgres")
    steps = (*known, Migration(known[-1].version + 1, "of_a_long_record", "SELECT pg_sleep(1.5)"))
    ledgers = [PostgresLedger(empty_postgres, schema=steps, readers=1) for _ in range(2)]
    await asyncio.gather(*(ledger.start() for ledger in ledgers))
    for ledger in ledgers:
        await ledger.close()
    assert rows_of(empty_postgres, "SELECT max(version) FROM schema_versions") == [(steps[-1].version,)]


async def test_a_migration_takes_place_whole_or_not_at_all(empty_postgres: str) -> None:
    connection = await postgres_open.connect(empty_postgres, "tests")
    first = Migration(
        1, "first", "CREATE TABLE one (id int); -- a comment; with a semicolon\nINSERT INTO one VALUES (1);"
    )
    broken = Migration(2, "second", "CREATE TABLE two (id int); INSERT INTO missing VALUES (1);")
    with pytest.raises(psycopg.errors.UndefinedTable):
        await postgres_open.migrate_postgres(connection, [first, broken])
    assert await postgres_open.stored_version(connection) == 1
    mended = attrs.evolve(broken, sql="CREATE TABLE two (id int);")
    assert await postgres_open.migrate_postgres(connection, [first, mended]) == (mended,)
    assert await postgres_open.migrate_postgres(connection, [first, mended]) == ()
    await connection.close()


def test_both_engines_know_the_same_schema_versions() -> None:
    names = [[(step.version, step.name) for step in migrations(engine)] for engine in ("sqlite", "postgres")]
    assert names[0] == names[1]


def test_every_attribute_of_a_row_has_its_column_of_the_right_type(kept_postgres: str) -> None:
    tables = [table for table in vars(mapping).values() if isinstance(table, mapping.Table)]
    assert len(tables) == 12
    for table in tables:
        statement = sql(
            "SELECT attname, format_type(atttypid, NULL), attcollation FROM pg_attribute WHERE attnum > 0",
            f"AND attrelid = '{table.name}'::regclass",
        )
        found = {name: (kind, collation) for name, kind, collation in rows_of(kept_postgres, statement)}
        for assigned in ("number", "movement_number"):
            found.pop(assigned, None)
        ((by_bytes,),) = rows_of(kept_postgres, "SELECT oid FROM pg_collation WHERE collname = 'C'")
        expected = {c: ("bigint", 0) if c in table.integers else ("text", by_bytes) for c in table.columns}
        assert found == expected


def test_every_unique_key_holds_the_operator_so_that_tables_can_be_distributed_by_it(kept_postgres: str) -> None:
    unique = rows_of(
        kept_postgres,
        "SELECT tables.relname, index.indexrelid::regclass::text, array_agg(attname::text)"
        " FROM pg_index AS index JOIN pg_class AS tables ON tables.oid = indrelid"
        " JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey::int2[])"
        " WHERE indisunique AND relnamespace = current_schema()::regnamespace GROUP BY 1, 2",
    )
    assert len(unique) > 15
    for table, index, columns in unique:
        assert "operator" in columns or table in OF_NO_OPERATOR, index
    held = rows_of(kept_postgres, "SELECT relname FROM pg_class WHERE relname = 'movement_keys' AND relkind = 'r'")
    assert held == [("movement_keys",)]  # never partitioned: the same id must be refused next month, too


def test_what_citus_is_told_is_every_table_of_an_operator(kept_postgres: str) -> None:
    from importlib import resources

    text = resources.files("croupier.ledger").joinpath("migrations", "postgres", "citus.sql").read_text("utf-8")
    told = re.findall(r"create_distributed_table\('(\w+)', 'operator'", text)
    tables = rows_of(
        kept_postgres,
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = current_schema()::regnamespace",
    )
    assert sorted(told) == sorted({name for (name,) in tables} - OF_NO_OPERATOR)


async def test_a_repeat_a_month_later_is_still_refused(empty_postgres: str, rows: Rows) -> None:
    january, february, next_year = (milliseconds(2031, 1, 20), milliseconds(2031, 2, 20), milliseconds(2032, 1, 20))

    def bet(name: str, at: int) -> Change:
        return rows.change(
            movements=(rows.movement(name, created_at=at),),
            keys=((rows.key("the same"), name),),
            events=(rows.event(name, at=at),),
        )

    async with started(empty_postgres) as ledger:
        assert await ledger.commit(bet("m1", january)) == Committed(1)
        for name, at in (("m2", february), ("m3", next_year)):
            assert isinstance(await ledger.commit(bet(name, at)), Refused)
            other = rows.change(events=(rows.event(name, at=at),))
            assert isinstance(await ledger.commit(other), Committed)
        found = await ledger.events_after(rows.operator, 0, 10)
        assert [(one.position, one.event.at) for one in found] == [(1, january), (2, february), (3, next_year)]
    stored = rows_of(empty_postgres, "SELECT tableoid::regclass::text FROM events ORDER BY position")
    assert stored == [("events_2031_01",), ("events_2031_02",), ("events_2032_01",)]


async def test_partitions_are_there_before_they_are_needed(empty_postgres: str, rows: Rows) -> None:
    async with started(empty_postgres) as ledger:
        await ledger.commit(rows.change(events=(rows.event(at=milliseconds(2031, 12, 31)),)))
    made = {
        name
        for (name,) in rows_of(empty_postgres, "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    }
    this_month = month_of(int(datetime.now(UTC).timestamp()) * 1000)
    months = [this_month, following(this_month), (2031, 12), (2032, 1)]
    assert made == {f"{table}_{year}_{month:02}" for year, month in months for table in ("events", "exchanges")}


async def test_processes_that_need_the_same_partition_at_once_make_it_once(empty_postgres: str, rows: Rows) -> None:
    async with started(empty_postgres) as here, started(empty_postgres) as there:
        for year in range(2040, 2046):
            at = milliseconds(year, 6, 1)
            changes = [Change(operator=who, events=(rows.event(at=at),)) for who in ("one", "two")]
            results = await asyncio.gather(here.commit(changes[0]), there.commit(changes[1]))
            assert all(isinstance(result, Committed) for result in results)


@pytest.mark.parametrize("at", [2**62, -(2**62), 10**15])
async def test_an_event_beyond_the_calendar_fails_alone(postgres_url: str, rows: Rows, at: int) -> None:
    async with started(postgres_url) as ledger:
        broken = rows.change(events=(rows.event(at=at),))
        failed, stored = await asyncio.gather(ledger.commit(broken), ledger.commit(rows.bet()), return_exceptions=True)
        assert isinstance(failed, LedgerCorruptError)
        assert stored == Committed(1)
        ledger.note(rows.exchange(started_at=at))
        assert ledger.backlog().dropped == 1


@pytest.mark.parametrize("filled", [False, True])
async def test_a_wave_finds_every_row_by_its_key_however_small_the_tables_were_when_it_was_planned(
    empty_postgres: str, rows: Rows, filled: bool
) -> None:
    async with started(empty_postgres) as ledger:
        if filled:
            await ledger.commit(attrs.evolve(rows.bet(), rounds=(rows.round(),), deliveries=(rows.delivery(),)))
            rows_of(empty_postgres, "VACUUM ANALYZE")
    connection = await postgres_open.connect(empty_postgres, "tests")
    explained = await connection.execute(b"EXPLAIN (GENERIC_PLAN) " + wave(PARTS, first=False), prepare=False)
    plan = "\n".join(line for (line,) in await explained.fetchall())
    await connection.close()
    scans = re.findall(r"(\w+ Scan|Scan Backward|Only Scan)(?: Backward)? using (\w+) on (\w+)", plan)
    assert len(scans) >= 13
    assert [(index, table) for _, index, table in scans if index != f"{table}_pkey"] == []
    assert "Seq Scan" not in plan
    assert "Bitmap" not in plan


async def test_batches_and_lookups_that_were_planned_on_empty_tables_do_not_read_more_as_these_grow(
    empty_postgres: str, rows: Rows
) -> None:
    async def play(turn: int) -> None:
        names = [f"m{turn}-{i}" for i in range(100)]
        await asyncio.gather(*(ledger.commit(_in_round(rows, name)) for name in names))
        await asyncio.gather(*(ledger.commit(_settled(rows, name)) for name in names))
        await ledger.claim_orphans(Owner("hub", 1), 5000, 50, 10)
        for name in names[:10]:
            keys = (rows.key(f"k-{name}"),)
            look = Look(operator="casino", keys=keys, movements=(name,), round=f"r-{name}", round_movements=True)
            assert len((await ledger.look(look)).round_movements) == 1

    async with started(empty_postgres, max_batch=50, readers=1) as ledger:
        await play(0)
        rows_of(empty_postgres, "ANALYZE")  # which makes plans anew, for tables as small as these
        for turn in range(1, 6):
            await play(turn)
        await asyncio.sleep(1)
        await play(6)
        rows_of(empty_postgres, "SELECT pg_stat_reset()")
        for turn in range(7, 12):
            await play(turn)
    await asyncio.sleep(0.1)
    whole = rows_of(
        empty_postgres,
        "SELECT relname, seq_scan, seq_tup_read FROM pg_stat_user_tables WHERE seq_tup_read > 0"
        " AND relname IN ('movements', 'movement_keys', 'rounds', 'operator_positions', 'writers')",
    )
    assert whole == []
    read = rows_of(
        empty_postgres,
        "SELECT indexrelname, idx_scan, idx_tup_read FROM pg_stat_user_indexes"
        " WHERE relname IN ('movements', 'movement_keys', 'rounds') AND idx_scan > 0",
    )
    used = {"movements_pkey", "movement_keys_pkey", "rounds_pkey", "movements_of_round"}
    assert {name for name, *_ in read} >= used
    for name, scans, entries in read:
        assert entries < 4 * scans or name not in used, name


def _in_round(rows: Rows, name: str) -> Change:
    return attrs.evolve(rows.bet(name, round=f"r-{name}"), rounds=(rows.round(f"r-{name}"),))


def _settled(rows: Rows, name: str) -> Change:
    row = rows.movement(name, round=f"r-{name}", state=MovementState.APPLIED, version=2)
    return rows.change(updates=(Update(row, epoch=1),), rounds=(rows.round(f"r-{name}", version=2),))


async def test_everything_that_waits_is_one_transaction(postgres_url: str, rows: Rows) -> None:
    ends: list[BatchEnd] = []
    async with started(postgres_url, max_batch=50, on_batch=ends.append) as ledger:
        await ledger.commit(rows.bet("first"))  # which makes the partition of its month
        before = transactions(postgres_url)
        await asyncio.gather(*(ledger.commit(rows.bet(f"m{i}")) for i in range(100)))
        assert [end.changes for end in ends] == [1, 50, 50]
        # The same row again and again is judged in turn, in one transaction all the same.
        updates = [Update(rows.movement("m0", amount=i, version=i + 2)) for i in range(40)]
        results = await asyncio.gather(*(ledger.commit(rows.change(updates=(update,))) for update in updates))
        assert all(isinstance(result, Committed) for result in results)
        assert ends[3:] == [BatchEnd(changes=40, seconds=ends[-1].seconds, durable=True)]
        assert await ledger.movement("casino", "m0") == updates[-1].row
        assert transactions(postgres_url) - before == 3


def transactions(url: str) -> int:
    """How many transactions have written something so far."""
    found = rows_of(url, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    return int(found[0][0])


async def test_exchanges_are_stored_by_themselves_after_a_moment_and_dropped_beyond_the_bound(
    postgres_url: str, rows: Rows
) -> None:
    async with started(postgres_url, max_exchanges_waiting=3, exchange_delay=0.02) as ledger:
        for i in range(5):
            ledger.note(rows.exchange(f"x{i}", started_at=i))
        assert ledger.backlog().dropped == 2
        stored = await ledger.exchanges(rows.operator, trace="t1")
        while not stored:
            await asyncio.sleep(0.01)
            stored = await ledger.exchanges(rows.operator, trace="t1")
        assert [row.exchange for row in stored] == ["x0", "x1", "x2"]


async def test_text_that_the_database_cannot_hold_comes_back_as_it_was(postgres_url: str, rows: Rows) -> None:
    odd = ("\x00", "a\x00b", "\x01", "\x01\x00\x02", "\x01\x01", "é\x00")
    async with started(postgres_url) as ledger:
        names = [f"m{text}" for text in odd]
        for name in names:
            await ledger.commit(attrs.evolve(rows.bet(name, round=name), rounds=(rows.round(name),)))
        for name in names:
            found = await ledger.look(
                Look(operator="casino", keys=(rows.key(f"k-{name}"),), round=name, round_movements=True)
            )
            assert [row.movement for row in found.round_movements] == [name]
            assert found.round == rows.round(name)
            assert list(found.movements) == [name]
        listed = [row.movement for row in await ledger.movements("casino", MovementFilter(), Page())]
        assert listed == sorted(names)


@given(st.lists(st.text()))
def test_stored_texts_keep_their_order_and_meaning(texts: list[str]) -> None:
    assert [restored(storable(text)) for text in texts] == texts
    assert sorted(map(storable, texts)) == [storable(text) for text in sorted(texts)]
    assert not any("\x00" in storable(text) for text in texts)


def test_values_that_no_column_can_hold_are_refused_before_they_are_sent() -> None:
    for rows in ([["m1", 2**64]], [["\ud800"]], [[object()]]):
        with pytest.raises(TypeError):
            json_rows(rows)  # type: ignore[arg-type] # what must not come
    with pytest.raises(TypeError):
        json_texts(["\ud800"])


@given(st.lists(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.text()))))
def test_rows_are_the_same_as_json_but_for_the_texts_that_are_replaced(rows: list[list[int | str | None]]) -> None:
    held = [[storable(value) if isinstance(value, str) else value for value in row] for row in rows]
    assert json.loads(json_rows(rows)) == held
    assert b"\\u0000" not in json_rows(rows).replace(rb"\\", b"")
