"""Reads of single rows in PostgreSQL: shared round trips, their plans, and trouble on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.ledger.postgres_ledgers import started

from croupier.contract import StoreUnavailableError
from croupier.ledger import postgres_lookups, postgres_wire
from croupier.ledger.port import Committed, Look
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.postgres_lookups import LOOKUPS, Lookups
from croupier.ledger.postgres_open import Connection, connect
from croupier.ledger.records import AliasRow, PlayerRow, SessionState
from croupier.ledger.sqlite_statements import sql

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows

INDEXES = {
    "MOVEMENT": {"movements_pkey"},
    "MOVEMENT_BY_KEY": {"movement_keys_pkey", "movements_pkey"},
    "MOVEMENTS_OF_ROUND": {"movements_of_round"},
    "ROUND": {"rounds_pkey"},
    "SESSION": {"sessions_pkey"},
    "SESSION_BY_HASH": {"sessions_pkey", "sessions_by_token", "sessions_by_launch"},
    "LATEST_SESSION": {"sessions_latest"},
    "GRANT": {"grants_pkey"},
    "PLAYER": {"players_pkey"},
    "PLAYER_BY_OPERATOR_ID": {"players_operator_operator_player_key"},
    "ALIAS": {"aliases_pkey"},
    "ALIAS_OF_PLAYER": {"aliases_operator_connection_player_key"},
}
"""What each kind of question may read."""

FILL = """
INSERT INTO movements (operator, movement, play, ordinal, connection, player, kind, direction, state, amount, currency,
  reference, fingerprint, owner, epoch, nonce, lease_until, created_at, round, funding, facts, operation, generation,
  version)
SELECT 'casino', 'm' || i, 'p', 0, 'c', 'player' || i % 100, 'bet', 'debit', 'applied', 1, 'EUR', 'r', '{}', 'hub', 1,
  'n', 0, i, 'round' || i, 'player', '{}', 'bet', 0, 2 FROM many AS i;
INSERT INTO movement_keys SELECT 'casino', 'c', 'bet', 'k' || i, 'm' || i FROM many AS i;
INSERT INTO rounds (operator, round, connection, player, provider_round, currency, state, opened_at, bets, wins,
  version)
SELECT 'casino', 'round' || i, 'c', 'player' || i % 100, 'r', 'EUR', 'open', i, 1, 0, 1 FROM many AS i;
INSERT INTO sessions (operator, session, player, connection, game, route, currency, state, launch_hash, token_hash,
  created_at, expires_at, launch_expires_at, demo, facts, version)
SELECT 'casino', 's' || i, 'player' || i % 100, 'c' || i % 7, 'g', 'x', 'EUR', 'active', 'l' || i, 't' || i, i, i, i, 0,
  '{}', 1 FROM many AS i;
INSERT INTO grants (operator, connection, "grant", player, currency, games, rounds, state, valid_from, valid_until,
  created_at, version)
SELECT 'casino', 'c' || i % 7, 'f' || i, 'player' || i % 100, 'EUR', '[]', 1, 'active', i, i, i, 1 FROM many AS i;
INSERT INTO players SELECT 'casino', 'player' || i, 'own' || i, i FROM many AS i;
INSERT INTO aliases SELECT 'casino', 'c', 'a' || i, 'player' || i FROM many AS i;
"""


@pytest.fixture
async def ledger(postgres_url: str) -> AsyncIterator[PostgresLedger]:
    async with started(postgres_url) as ledger:
        yield ledger


@pytest.fixture
async def other(postgres_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection that is none of the ledger's."""
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        yield connection


def lookups_of(ledger: PostgresLedger) -> Lookups:
    lookups = ledger._lookups
    assert lookups is not None
    return lookups


def test_every_kind_of_question_has_its_indexes_named_here() -> None:
    named = {name: value for name, value in vars(postgres_lookups).items() if name in INDEXES}
    assert named.keys() == INDEXES.keys()
    assert set(named.values()) == set(LOOKUPS)


@pytest.mark.parametrize("many", [0, 500, 30_000])
async def test_every_question_finds_its_rows_by_an_index_however_many_there_are(empty_postgres: str, many: int) -> None:
    async with started(empty_postgres) as ledger:
        async with await psycopg.AsyncConnection.connect(empty_postgres, autocommit=True) as other:
            await other.execute(FILL.replace("many AS", f"generate_series(1, {many}) AS").encode())
            await other.execute("VACUUM ANALYZE")
        connection = lookups_of(ledger)._connection
        assert connection is not None
        for name, indexes in INDEXES.items():
            lookup = getattr(postgres_lookups, name)
            explained = await connection.execute(b"EXPLAIN (GENERIC_PLAN) " + lookup.statement, prepare=False)
            plan = "\n".join(line for (line,) in await explained.fetchall())
            used = set(re.findall(r"using (\w+) on", plan))
            # Over an empty table every index looks equally good: its plan is made anew within moments (`Plans`).
            assert used == indexes or not many, (name, plan)
            assert len(used) >= 1
            assert "Seq Scan" not in plan, name
            assert "Bitmap" not in plan, name


async def test_what_is_asked_for_at_once_is_one_round_trip(ledger: PostgresLedger, rows: Rows) -> None:
    await asyncio.gather(*(ledger.commit(rows.bet(f"m{i}", round=f"r{i % 7}", created_at=i)) for i in range(50)))
    await ledger.commit(rows.change(sessions=(rows.session(token_hash="t1"),), grants=(rows.grant(),)))
    await ledger.ensure_player(PlayerRow(operator="casino", player="alice", operator_player="4711", created_at=1))
    await ledger.ensure_alias(AliasRow(operator="casino", connection="c1", alias="a1", player="alice"))
    before = lookups_of(ledger).round_trips
    looks = [
        Look(operator="casino", keys=(rows.key(f"k-m{i}"), rows.key("none")), movements=("m1",)) for i in range(50)
    ]
    played = [Look(operator="casino", round=f"r{i}", round_movements=True) for i in range(8)]
    looking = asyncio.gather(*map(ledger.look, looks), *map(ledger.look, played))
    others = asyncio.gather(
        ledger.session_by_hash("casino", "c1", "t1"),
        ledger.session_by_hash("casino", "c1", "launch-s1"),
        ledger.session_by_hash("casino", "c2", "t1"),
        ledger.latest_session("casino", "c1", "alice"),
        ledger.session("casino", "s1"),
        ledger.grant("casino", "c1", "f1"),
        ledger.player("casino", "alice"),
        ledger.player_by_alias("casino", "c1", "a1"),
        ledger.player_by_alias("casino", "c1", "a2"),
    )
    found = await looking
    assert lookups_of(ledger).round_trips == before + 1
    for i, snapshot in enumerate(found[:50]):
        assert [key.value for key in snapshot.keys] == [f"k-m{i}"]
        assert set(snapshot.movements) == {f"m{i}", "m1"}
    for i, snapshot in enumerate(found[50:]):
        assert [row.movement for row in snapshot.round_movements] == [f"m{n}" for n in range(50) if n % 7 == i]
    session = rows.session(token_hash="t1")
    player = PlayerRow(operator="casino", player="alice", operator_player="4711", created_at=1)
    assert await others == [session, session, None, session, session, rows.grant(), player, "alice", None]


async def test_a_session_token_goes_before_a_launch_token(ledger: PostgresLedger, rows: Rows) -> None:
    launched, active = rows.session("s1", launch_hash="same"), rows.session("s2", token_hash="same")
    await ledger.commit(rows.change(sessions=(launched, active)))
    assert await ledger.session_by_hash("casino", "c1", "same") == active
    ended = rows.session("s2", state=SessionState.ENDED, version=2)
    await ledger.commit(rows.change(sessions=(ended,)))
    assert await ledger.session_by_hash("casino", "c1", "same") == launched


async def test_a_commit_that_was_acknowledged_while_a_round_trip_is_under_way_is_seen_by_the_next(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.bet("m0"))
    before = lookups_of(ledger).round_trips
    await other.execute("BEGIN")
    await other.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
    first = asyncio.ensure_future(ledger.session("casino", "s1"))
    await asyncio.sleep(0.01)
    assert lookups_of(ledger).round_trips == before + 1
    assert isinstance(await ledger.commit(rows.bet("m1")), Committed)
    second = asyncio.ensure_future(ledger.movement("casino", "m1"))
    await asyncio.sleep(0.01)
    assert not second.done()
    await other.execute("COMMIT")
    assert await second == rows.movement("m1")
    assert await first is None


async def test_what_is_asked_for_together_is_seen_at_one_moment(ledger: PostgresLedger, rows: Rows) -> None:
    async def play() -> None:
        for i in range(60):
            opened = rows.round(f"r{i}")
            bet = rows.movement(f"m{i}", round=f"r{i}")
            await ledger.commit(rows.change(movements=(bet,), keys=((rows.key(f"k{i}"), f"m{i}"),), rounds=(opened,)))

    playing = asyncio.ensure_future(play())
    seen = 0
    while seen < 60:
        look = Look(operator="casino", keys=(rows.key(f"k{seen}"),), round=f"r{seen}", round_movements=True)
        found = await ledger.look(look)
        assert bool(found.keys) == bool(found.round) == bool(found.round_movements)
        seen += bool(found.keys)
    await playing


async def test_a_question_that_cannot_be_asked_fails_alone(ledger: PostgresLedger, rows: Rows) -> None:
    await ledger.commit(rows.bet("m1"))
    broken, stored = await asyncio.gather(
        ledger.movement("casino", "\ud800"), ledger.movement("casino", "m1"), return_exceptions=True
    )
    assert isinstance(broken, TypeError)
    assert stored == rows.movement("m1")


async def test_a_row_that_another_release_wrote_fails_alone(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.bet("m1"))
    await ledger.commit(rows.bet("m2"))
    await other.execute("UPDATE movements SET state = 'unheard of' WHERE movement = 'm2'")
    stored, broken = await asyncio.gather(
        ledger.movement("casino", "m1"), ledger.movement("casino", "m2"), return_exceptions=True
    )
    assert stored == rows.movement("m1")
    assert isinstance(broken, KeyError)


async def test_a_row_whose_text_is_damaged_fails_alone_and_the_next_question_is_answered(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.bet("m1"))
    await ledger.commit(rows.bet("m2"))
    await other.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")  # no text of the server's own is like this
    await other.execute(r"UPDATE movements SET message = '\xff'::bytea::text WHERE movement = 'm2'")
    async with asyncio.timeout(5):
        stored, broken = await asyncio.gather(
            ledger.movement("casino", "m1"), ledger.movement("casino", "m2"), return_exceptions=True
        )
        assert stored == rows.movement("m1")
        assert isinstance(broken, UnicodeDecodeError)
        assert await ledger.movement("casino", "m1") == rows.movement("m1")


async def test_a_row_that_no_column_of_ours_looks_like_fails_alone_and_the_next_question_is_answered(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.change(grants=(rows.grant("f1"), rows.grant("f2"))))
    await other.execute("UPDATE grants SET games = '5' WHERE \"grant\" = 'f2'")
    async with asyncio.timeout(5):
        stored, broken = await asyncio.gather(
            ledger.grant("casino", "c1", "f1"), ledger.grant("casino", "c1", "f2"), return_exceptions=True
        )
        assert stored == rows.grant("f1")
        assert isinstance(broken, TypeError)
        assert await ledger.grant("casino", "c1", "f1") == rows.grant("f1")


async def test_who_waits_for_a_connection_that_cannot_be_opened_is_told_so_whatever_the_fault(
    ledger: PostgresLedger, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [RuntimeError("can't start new thread")]

    async def connect_but_once(url: str, name: str) -> Connection:
        if faults:
            raise faults.pop()
        return await connect(url, name)

    monkeypatch.setattr(postgres_lookups, "connect", connect_but_once)
    await ledger.commit(rows.bet("m1"))
    lookups_of(ledger).renew()
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError):
            await ledger.movement("casino", "m1")
        assert await ledger.movement("casino", "m1") == rows.movement("m1")


async def test_who_waits_when_lookups_are_closed_is_told_so_and_no_connection_is_left(postgres_url: str) -> None:
    lookups = Lookups(postgres_url)
    await lookups.open()
    waiting = asyncio.ensure_future(lookups.first(postgres_lookups.MOVEMENT, "casino", "m1"))
    await asyncio.sleep(0)  # it asks
    await asyncio.sleep(0)  # that is sent
    assert lookups.round_trips == 1
    await lookups.close()
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailableError):
            await waiting
    assert asyncio.all_tasks() == {asyncio.current_task()}  # none opens another connection


async def test_a_caller_that_gives_up_leaves_the_others_their_answers(ledger: PostgresLedger, rows: Rows) -> None:
    await ledger.commit(rows.bet("m1"))
    tasks = [asyncio.ensure_future(ledger.movement("casino", "m1")) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[1], asyncio.CancelledError)
    assert [found[i] for i in (0, 2, 3, 4)] == [rows.movement("m1")] * 4


async def test_reads_move_to_a_new_connection_with_the_writer(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.bet("m0"))
    pids = sql(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()",
        "AND query LIKE '%found.*%' AND pid <> pg_backend_pid()",
    ).encode()
    await ledger.movement("casino", "m0")
    (before,) = [pid for (pid,) in await (await other.execute(pids)).fetchall()]
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'croupier-writer-%' AND datname = current_database()"
    )
    await ledger.commit(rows.bet("m1"))
    assert await ledger.movement("casino", "m1") == rows.movement("m1")
    (after,) = [pid for (pid,) in await (await other.execute(pids)).fetchall() if pid != before]
    assert after != before


async def test_rows_larger_than_what_a_socket_takes_at_once_are_stored_and_read(
    ledger: PostgresLedger, rows: Rows
) -> None:
    large = {f"m{i}": {"text": f"{i}" * 1_500_000} for i in range(3)}
    results = await asyncio.gather(*(ledger.commit(rows.bet(name, facts=facts)) for name, facts in large.items()))
    assert all(isinstance(result, Committed) for result in results)
    found = await asyncio.gather(*(ledger.movement("casino", name) for name in large))
    assert [row.facts for row in found if row] == list(large.values())
    asked = await ledger.look(Look(operator="casino", movements=("m1", "x" * 2_000_000)))
    assert list(asked.movements) == ["m1"]


async def test_statements_beyond_what_a_connection_keeps_are_prepared_again(
    ledger: PostgresLedger, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_wire, "_MOST_STATEMENTS", 3)
    for i in range(4):
        assert isinstance(await ledger.commit(rows.bet(f"m{i}")), Committed)
        assert isinstance(await ledger.commit(rows.change(rounds=(rows.round(f"r{i}"),))), Committed)
        assert isinstance(await ledger.commit(rows.change(sessions=(rows.session(f"s{i}"),))), Committed)
        found = await ledger.look(Look(operator="casino", keys=(rows.key(f"k-m{i}"),), round=f"r{i}"))
        assert (list(found.movements), found.round) == ([f"m{i}"], rows.round(f"r{i}"))
        assert await ledger.session("casino", f"s{i}") == rows.session(f"s{i}")
        assert await ledger.grant("casino", "c1", "f1") is None
