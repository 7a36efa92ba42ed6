"""What happens to money when connections, servers and rivals of a PostgreSQL ledger come and go."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.pq import Format
from psycopg.pq.abc import PGresult
from tests.ledger.postgres_ledgers import started

from croupier.contract.errors import LedgerCorruptError, StoreUnavailableError
from croupier.ledger import postgres_connection, postgres_lookups, postgres_transaction
from croupier.ledger.port import (
    Backlog,
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
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.postgres_open import connect
from croupier.ledger.postgres_statements import LOCK_WRITER
from croupier.ledger.postgres_transaction import Batch, Outcome
from croupier.ledger.postgres_wire import Step, Wire
from croupier.ledger.postgres_writer import GroupWriter
from croupier.ledger.records import Key, MovementState
from croupier.ledger.sqlite_statements import sql
from croupier_conformance.servers import PostgresServer

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows

WRITERS = "application_name LIKE 'croupier-writer-%' AND datname = current_database()"
TERMINATE = sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE", WRITERS)
WAITING = sql("SELECT true FROM pg_stat_activity WHERE", WRITERS, "AND wait_event_type = 'Lock'")
WAITING_FOR_STANDBY = sql("SELECT true FROM pg_stat_activity WHERE", WRITERS, "AND wait_event = 'SyncRep'")


@pytest.fixture
def ends() -> list[BatchEnd]:
    """What became of the ledger's transactions."""
    return []


@pytest.fixture
async def ledger(postgres_url: str, ends: list[BatchEnd]) -> AsyncIterator[PostgresLedger]:
    async with started(postgres_url, on_batch=ends.append) as ledger:
        yield ledger


@pytest.fixture
async def other(postgres_url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection that is none of the ledger's."""
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        yield connection


async def ask(connection: psycopg.AsyncConnection[Any], statement: str) -> Any:
    """The only value that a statement gives, or `None`."""
    found = await (await connection.execute(statement.encode())).fetchone()
    return found[0] if found else None


async def until(connection: psycopg.AsyncConnection[Any], statement: str) -> None:
    """Wait until a statement gives true."""
    for _ in range(2000):
        if await ask(connection, statement):
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"never true: {statement}")


async def check_books(ledger: PostgresLedger, rows: Rows, acked: dict[str, int]) -> None:
    """What was acknowledged is there once, at its position, and nothing else is."""
    events = await ledger.events_after(rows.operator, 0, 1_000_000)
    assert [one.position for one in events] == list(range(1, len(events) + 1))
    assert {one.event.subject: one.position for one in events} == acked
    found = await ledger.look(Look(operator=rows.operator, movements=tuple(acked)))
    assert found.movements.keys() == acked.keys()


class Acked:
    """What was acknowledged, at which positions."""

    def __init__(self) -> None:
        self.positions: dict[str, int] = {}
        self._new: asyncio.Queue[str] = asyncio.Queue()

    def note(self, name: str, position: int) -> None:
        self.positions[name] = position
        self._new.put_nowait(name)

    async def more(self, count: int) -> None:
        """Wait for so many more."""
        while not self._new.empty():
            self._new.get_nowait()
        for _ in range(count):
            await self._new.get()


async def play(ledger: PostgresLedger, rows: Rows, caller: int, acked: Acked, over: asyncio.Event) -> None:
    """Play until it is over; what was not available is tried again, and must then not be there yet."""
    number = 0
    while not over.is_set():
        name = f"{caller}-{number}"
        try:
            result = await ledger.commit(rows.bet(name, nonce=name))
        except StoreUnavailableError:
            await asyncio.sleep(0.01)
            continue
        assert isinstance(result, Committed), (name, result)
        acked.note(name, result.position)
        number += 1


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_is_acknowledged_is_what_survives_when_writers_are_terminated_at_random(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows, seed: int
) -> None:
    chance = random.Random(seed)
    acked = Acked()
    over = asyncio.Event()
    players = [asyncio.ensure_future(play(ledger, rows, caller, acked, over)) for caller in range(8)]
    for _ in range(30):
        await acked.more(3)
        await asyncio.sleep(chance.uniform(0, 0.006))
        await other.execute(TERMINATE.encode())
    over.set()
    await asyncio.gather(*players)
    await check_books(ledger, rows, acked.positions)


async def test_a_commit_whose_answer_was_lost_is_found_to_have_taken_place(
    ledger: PostgresLedger, ends: list[BatchEnd], other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    assert await ledger.commit(rows.bet("m0")) == Committed(1)
    # A standby that never answers: the commit is durable here and waits, and a lost connection does not undo it.
    async with setting(other, "synchronous_standby_names", "nobody"):
        taken = rows.change(movements=(rows.movement("m0"),))
        stale = rows.change(updates=(Update(rows.movement("m0", version=9)),))
        changes = [rows.bet("m1"), taken, rows.bet("m2"), stale]
        tasks = [asyncio.ensure_future(ledger.commit(change)) for change in changes]
        await until(other, WAITING_FOR_STANDBY)
        await other.execute(TERMINATE.encode())
        await until(other, sql(WAITING_FOR_STANDBY, "AND query LIKE 'UPDATE%'"))
        assert not any(task.done() for task in tasks)  # not before the standby has it, too
    first, refused, second, late = await asyncio.gather(*tasks)
    assert (first, second) == (Committed(2), Committed(3))
    assert refused == Refused(RefusedBecause.TAKEN, "movements casino m0")
    assert late == Refused(RefusedBecause.STALE, "movements casino m0")
    assert [(end.changes, end.durable) for end in ends] == [(1, True), (4, True)]
    await check_books(ledger, rows, {"m0": 1, "m1": 2, "m2": 3})


async def test_a_commit_that_was_cut_off_before_its_end_is_made_once(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    assert await ledger.commit(rows.bet("m0")) == Committed(1)
    await other.execute("BEGIN")
    await other.execute("SELECT FROM operator_positions FOR UPDATE")
    task = asyncio.ensure_future(ledger.commit(rows.bet("m1")))
    await until(other, WAITING)
    await other.execute(TERMINATE.encode())
    await other.execute("COMMIT")
    assert await task == Committed(2)
    await check_books(ledger, rows, {"m0": 1, "m1": 2})


async def test_what_an_abandoned_connection_still_sends_is_refused(
    ledger: PostgresLedger, postgres_url: str, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.bet("m0"))
    writing = ledger._writing
    assert writing is not None
    abandoned = (writing.writer, writing.fence)
    connection = await connect(postgres_url, "abandoned")
    await connection.execute(LOCK_WRITER, abandoned)
    await other.execute(TERMINATE.encode())
    assert await ledger.commit(rows.bet("m1")) == Committed(2)
    assert writing.fence > abandoned[1]
    with pytest.raises(psycopg.errors.DivisionByZero):
        await connection.execute(LOCK_WRITER, abandoned)
    await connection.close()


async def test_a_process_that_was_forgotten_enters_itself_again(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.bet("m0"))
    await other.execute("DELETE FROM writers")
    assert await ledger.commit(rows.bet("m1")) == Committed(2)
    await check_books(ledger, rows, {"m0": 1, "m1": 2})


async def test_reads_go_on_when_readers_are_terminated(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.bet())
    for _ in range(5):
        await asyncio.gather(*(ledger.movement(rows.operator, "m1") for _ in range(20)))
        await other.execute(TERMINATE.replace("writer-%", "reader").encode())
        assert await ledger.movement(rows.operator, "m1") == rows.movement()


async def test_writing_calls_are_repeated_on_a_new_connection(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    first = await ledger.register("hub")
    await ledger.commit(rows.change(movements=(rows.movement(),), deliveries=(rows.delivery(),)))
    await other.execute(TERMINATE.encode())
    second = await ledger.register("hub")
    assert second.epoch > first.epoch
    await other.execute(TERMINATE.encode())
    assert [row.delivery for row in await ledger.claim_deliveries(second, 100, 50, 10)] == ["d1"]


@pytest.mark.parametrize("damage", [r"detail = '\xff'::bytea::text", "task = 'unheard of'"], ids=["text", "task"])
async def test_work_that_cannot_be_read_is_told_of_and_does_not_stand_in_the_way_of_other_work(
    empty_postgres: str, rows: Rows, damage: str
) -> None:
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["message"]))
    async with started(empty_postgres) as ledger, asyncio.timeout(10):
        owner = await ledger.register("hub")
        work = tuple(rows.delivery(f"d{place}") for place in range(3))
        await ledger.commit(rows.change(movements=(rows.movement(),), deliveries=work))
        with psycopg.connect(empty_postgres, autocommit=True) as other:
            other.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")  # no text of the server's own is damaged
            other.execute(sql("UPDATE deliveries SET", damage, "WHERE delivery <> 'd1'").encode())
        claimed, stored = await asyncio.gather(
            ledger.claim_deliveries(owner, 100, 50, 10), ledger.commit(rows.bet("m2"))
        )
        assert [row.delivery for row in claimed] == ["d1"]
        assert stored == Committed(1)
        assert await ledger.claim_deliveries(owner, 149, 50, 10) == []
        assert len(reported) == 2
        assert all("cannot be read" in message for message in reported)


async def test_a_server_that_knows_less_than_the_one_before_it_is_written_to(empty_postgres: str, rows: Rows) -> None:
    """As a standby does that was not waited for, and is the server now."""
    async with started(empty_postgres) as ledger:
        assert await ledger.commit(rows.bet("m1")) == Committed(1)
        with psycopg.connect(empty_postgres, autocommit=True) as other:
            for table in ("movement_keys", "movements", "operator_positions"):
                other.execute(sql("DELETE FROM", table).encode())
            (partition,) = other.execute("SELECT tableoid::regclass::text FROM events").fetchone() or ()
            other.execute(sql("DROP TABLE", partition).encode())
            other.execute(TERMINATE.encode())
        for number in (1, 2):
            assert await ledger.commit(rows.bet(f"m{number}")) == Committed(number)
        assert [one.position for one in await ledger.events_after(rows.operator, 0, 10)] == [1, 2]


async def test_a_server_that_crashes_loses_nothing_and_its_return_heals(
    postgres: PostgresServer, postgres_url: str, rows: Rows
) -> None:
    acked = Acked()
    over = asyncio.Event()
    async with started(postgres_url) as ledger:
        players = [asyncio.ensure_future(play(ledger, rows, caller, acked, over)) for caller in range(4)]
        await acked.more(50)
        await asyncio.to_thread(postgres.kill)
        with pytest.raises(StoreUnavailableError):
            await ledger.movement(rows.operator, "0-0")
        await asyncio.to_thread(postgres.start)
        await acked.more(50)
        over.set()
        await asyncio.gather(*players)
        await check_books(ledger, rows, acked.positions)


async def test_a_server_that_is_away_is_said_to_be_and_exchanges_wait_for_it(
    postgres: PostgresServer, postgres_url: str, ends: list[BatchEnd], rows: Rows
) -> None:
    async with started(postgres_url, patience=0.2, exchange_delay=0.05, on_batch=ends.append) as ledger:
        await ledger.commit(rows.bet("m0"))
        await asyncio.to_thread(postgres.kill)
        try:
            ledger.note(rows.exchange())
            for _ in range(2):
                with pytest.raises(StoreUnavailableError):
                    await ledger.commit(rows.bet("m1"))
            assert [end.durable for end in ends] == [True, False, False]
            assert ledger.backlog() == Backlog(changes=0, exchanges=1, dropped=0)
            with pytest.raises(StoreUnavailableError):
                await ledger.register("hub")
        finally:
            await asyncio.to_thread(postgres.start)
        assert await ledger.commit(rows.bet("m1")) == Committed(2)
        for _ in range(500):
            if await ledger.exchanges(rows.operator, trace="t1"):
                break
            await asyncio.sleep(0.02)
        assert await ledger.exchanges(rows.operator, trace="t1") == [rows.exchange()]
        assert ledger.backlog().dropped == 0


async def test_two_processes_that_want_the_same_settle_it_among_themselves(postgres_url: str, rows: Rows) -> None:
    operators = ("one", "two", "three")
    results: dict[tuple[str, str], list[CommitResult]] = {}

    async def race(ledger: PostgresLedger, who: str, caller: int) -> None:
        chance = random.Random(f"{who}{caller}")
        for number in chance.sample(range(120), 120):
            operator = operators[number % 3]
            name = f"{who}-{caller}-{number}"
            movement = rows.movement(name, operator=operator)
            key = rows.key(f"k{number}", operator=operator)
            own = rows.key(f"own-{name}", operator=operator)
            round_ = rows.round(f"r{number}", operator=operator)
            change = Change(
                operator=operator,
                movements=(movement,),
                keys=((own, name), (key, name)),
                rounds=(round_,),
                events=(rows.event(name),),
            )
            results.setdefault((operator, f"k{number}"), []).append(await ledger.commit(change))

    async with started(postgres_url, max_batch=7) as here, started(postgres_url) as there:
        racing = [race(ledger, who, caller) for who, ledger in (("a", here), ("b", there)) for caller in range(4)]
        await asyncio.wait_for(asyncio.gather(*racing), 60)
        assert len(results) == 120
        for outcomes in results.values():
            assert sum(isinstance(outcome, Committed) for outcome in outcomes) == 1
            assert {outcome.because for outcome in outcomes if isinstance(outcome, Refused)} == {RefusedBecause.TAKEN}
        for operator in operators:
            events = await there.events_after(operator, 0, 1000)
            assert [one.position for one in events] == list(range(1, 41))
            movements = await here.look(Look(operator=operator, movements=tuple(one.event.subject for one in events)))
            assert len(movements.movements) == 40


async def test_of_two_processes_that_change_the_same_row_one_wins_each_turn(postgres_url: str, rows: Rows) -> None:
    async with started(postgres_url) as here, started(postgres_url) as there:
        await here.commit(rows.change(movements=tuple(rows.movement(f"m{i}") for i in range(10))))
        for version in range(2, 12):
            changes = [
                (ledger, rows.change(updates=(Update(rows.movement(f"m{i}", owner=who, version=version), epoch=1),)))
                for i in range(10)
                for who, ledger in (("here", here), ("there", there))
            ]
            random.Random(version).shuffle(changes)
            results = await asyncio.gather(*(ledger.commit(change) for ledger, change in changes))
            assert sum(isinstance(result, Committed) for result in results) == 10
            assert {type(result) for result in results} == {Committed, Refused}


async def test_claims_of_two_processes_never_share_work(postgres_url: str, rows: Rows) -> None:
    async with started(postgres_url) as here, started(postgres_url) as there:
        await here.commit(
            rows.change(
                movements=tuple(rows.movement(f"m{i}") for i in range(100)),
                deliveries=tuple(rows.delivery(f"d{i}", movement=f"m{i}") for i in range(100)),
            )
        )
        owners = [(ledger, await ledger.register("hub")) for ledger in (here, there)]
        claimed: list[str] = []
        for _ in range(20):
            for rows_ in await asyncio.gather(
                *(ledger.claim_deliveries(owner, 100, 50, 7) for ledger, owner in owners)
            ):
                claimed += [row.delivery for row in rows_]
        assert sorted(claimed) == sorted(f"d{i}" for i in range(100))


async def test_a_row_that_appears_behind_the_operators_lock_refuses_all_the_same(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await ledger.commit(rows.bet("m0"))
    await other.execute("BEGIN")
    await other.execute("INSERT INTO movement_keys VALUES ('casino', 'c1', 'bet', 'k-m1', 'm0')")
    tasks = [asyncio.ensure_future(ledger.commit(rows.bet(name))) for name in ("m1", "m2")]
    await until(other, WAITING)
    await other.execute("COMMIT")
    refused, stored = await asyncio.gather(*tasks)
    assert refused == Refused(RefusedBecause.TAKEN, "key casino c1 bet k-m1")
    assert stored == Committed(2)


@pytest.mark.parametrize("trouble", ["serialization_failure", "deadlock_detected"])
async def test_a_transaction_that_met_another_is_tried_again(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows, trouble: str
) -> None:
    await ledger.commit(rows.bet("m0"))
    await other.execute("CREATE SEQUENCE attempts")
    await other.execute(
        f"""CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF nextval('attempts') < 4 THEN RAISE {trouble}; END IF; RETURN NEW; END $$""".encode()
    )
    await other.execute("CREATE TRIGGER meet BEFORE INSERT ON movements FOR EACH ROW EXECUTE FUNCTION meet()")
    try:
        assert await ledger.commit(rows.bet("m1")) == Committed(2)
    finally:
        await other.execute("DROP TRIGGER meet ON movements")
        await other.execute("DROP FUNCTION meet; DROP SEQUENCE attempts")


async def test_a_full_disk_refuses_and_space_heals(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    await other.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$"
    )
    await other.execute("CREATE TRIGGER full_disk BEFORE INSERT ON movements FOR EACH ROW EXECUTE FUNCTION full_disk()")
    try:
        with pytest.raises(StoreUnavailableError, match="53100"):
            await ledger.commit(rows.bet("m1"))
    finally:
        await other.execute("DROP TRIGGER full_disk ON movements")
        await other.execute("DROP FUNCTION full_disk")
    assert await ledger.commit(rows.bet("m1")) == Committed(1)


async def test_a_key_too_long_for_its_index_fails_alone(ledger: PostgresLedger, rows: Rows) -> None:
    chance = random.Random(1)
    endless = "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(5000))
    broken = rows.change(movements=(rows.movement("m1"),), keys=((Key("casino", "c1", "bet", endless), "m1"),))
    failed, stored = await asyncio.gather(ledger.commit(broken), ledger.commit(rows.bet("m2")), return_exceptions=True)
    assert isinstance(failed, LedgerCorruptError)
    assert endless[:10] not in str(failed)
    assert stored == Committed(1)


async def test_a_fault_of_the_writer_itself_fails_its_batch_and_not_what_waits_behind_it(
    postgres_url: str, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults, persist = [KeyError("a fault")], GroupWriter._persist

    async def persist_but_one(self: GroupWriter, batch: Batch) -> Sequence[Outcome]:
        if faults:
            raise faults.pop()
        return await persist(self, batch)

    monkeypatch.setattr(GroupWriter, "_persist", persist_but_one)
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    async with started(postgres_url, max_batch=1) as ledger, asyncio.timeout(10):
        first, second = await asyncio.gather(
            ledger.commit(rows.bet("m1")), ledger.commit(rows.bet("m2")), return_exceptions=True
        )
        assert isinstance(first, LedgerCorruptError)
        assert second == Committed(1)
    assert [type(error) for error in reported] == [KeyError]


async def test_a_transaction_that_could_not_be_brought_back_to_its_savepoint_is_not_taken_for_stored(
    ledger: PostgresLedger, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, failures = Wire.run, [psycopg.errors.QueryCanceled()]

    async def run_but_for_one(self: Wire, steps: Sequence[Step]) -> list[PGresult]:
        if failures and steps[0][0] == b"ROLLBACK TO one":
            raise failures.pop()
        return await run(self, steps)

    monkeypatch.setattr(Wire, "run", run_but_for_one)
    chance = random.Random(1)
    endless = "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(5000))
    for number in range(200):  # so many go with the next batch
        ledger.note(rows.exchange(f"x{number}", trace=endless if number == 199 else "t1"))
    with pytest.raises(StoreUnavailableError, match="25P02"):
        await ledger.commit(rows.bet("m1"))
    assert not failures
    assert await ledger.movement(rows.operator, "m1") is None
    assert await ledger.commit(rows.bet("m1")) == Committed(1)
    assert await ledger.movement(rows.operator, "m1") == rows.movement("m1")


async def test_what_comes_after_a_fault_in_the_middle_of_a_transaction_is_not_taken_for_stored_with_it(
    ledger: PostgresLedger, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, faults = postgres_transaction._store_one, [RuntimeError("a fault")]

    async def store_but_one(*given: Any, **more: Any) -> Outcome:
        outcome = await store(*given, **more)
        if faults:
            raise faults.pop()
        return outcome

    monkeypatch.setattr(postgres_transaction, "_store_one", store_but_one)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    chance = random.Random(1)
    endless = rows.key("".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(5000)))
    broken = rows.change(movements=(rows.movement("m0"),), keys=((endless, "m0"),))  # so that each is stored apart
    failed = await asyncio.gather(ledger.commit(rows.bet("m1")), ledger.commit(broken), return_exceptions=True)
    assert [type(one) for one in failed] == [LedgerCorruptError] * 2
    assert await ledger.commit(rows.bet("m2")) == Committed(1)
    assert await ledger.movement(rows.operator, "m2") == rows.movement("m2")
    assert await ledger.movement(rows.operator, "m1") is None


async def test_a_claim_and_a_late_settlement_at_once_leave_one_of_them(postgres_url: str, rows: Rows) -> None:
    async with started(postgres_url) as here, started(postgres_url) as there:
        for i in range(20):
            name = f"m{i}"
            await here.commit(rows.bet(name, lease_until=10))
            late = rows.change(updates=(Update(rows.movement(name, state=MovementState.APPLIED, version=2), epoch=1),))
            claimed, result = await asyncio.gather(
                there.claim_orphans(Owner("second", 2), 100, 5000, 10), here.commit(late)
            )
            stored = await here.movement(rows.operator, name)
            if isinstance(result, Committed):
                assert claimed == []
                assert stored == late.updates[0].row
            else:
                assert [stored] == claimed


@asynccontextmanager
async def setting(connection: psycopg.AsyncConnection[Any], name: str, value: str) -> AsyncIterator[None]:
    """A setting of the whole server, for a while."""
    before = await ask(connection, f"SELECT current_setting('{name}')")
    await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    try:
        await connection.execute("SELECT pg_reload_conf()")
        await until(connection, f"SELECT current_setting('{name}') = '{value}'")
        yield
    finally:
        await connection.execute(f"ALTER SYSTEM RESET {name}".encode())
        await connection.execute("SELECT pg_reload_conf()")
        await until(connection, f"SELECT current_setting('{name}') = '{before}'")


async def test_a_connection_that_was_lost_at_rest_is_replaced_though_the_number_of_its_socket_is_used_again(
    ledger: PostgresLedger, other: psycopg.AsyncConnection[Any], rows: Rows
) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        assert await ledger.commit(rows.bet("m0")) == Committed(1)
        await ask(other, TERMINATE)
        await until(other, sql("SELECT count(*) = 0 FROM pg_stat_activity WHERE", WRITERS))
        await asyncio.sleep(0.05)  # the process hears of it
        taken = [await asyncio.open_connection(host, port) for _ in range(8)]
        try:
            assert await ledger.commit(rows.bet("m1")) == Committed(2)
        finally:
            for _reader, writer in taken:
                writer.close()
                await writer.wait_closed()


async def test_a_socket_that_the_event_loop_has_let_go_of_is_a_lost_connection(
    ledger: PostgresLedger, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await ledger.commit(rows.bet("m0")) == Committed(1)
    assert ledger._lookups is not None
    assert ledger._writing is not None
    for wire in (ledger._lookups._wire, await ledger._writing.wire()):
        assert wire is not None
        wire.rest()
        monkeypatch.setattr(wire, "_loop", _LetGo())
    assert await ledger.movement("casino", "m0") == rows.movement("m0")
    assert await ledger.commit(rows.bet("m1")) == Committed(2)


class _LetGo:
    """An event loop that does not look after a socket any more."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.get_running_loop(), name)

    def add_reader(self, *_arguments: Any) -> None:
        raise RuntimeError("the handler is closed")


@pytest.mark.parametrize("silent", ["croupier-reader", "croupier-writer-%"])
async def test_a_server_that_falls_silent_without_a_goodbye_is_left_for_another_connection(
    silent: str, postgres_url: str, other: psycopg.AsyncConnection[Any], rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_lookups, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(postgres_connection, "_PATIENCE_SECONDS", 0.5)
    ledger = PostgresLedger(postgres_url)
    await ledger.start()
    try:
        assert await ledger.commit(rows.bet("m0")) == Committed(1)
        find = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s"
        found = await (await other.execute(find, (silent,))).fetchone()
        assert found is not None
        os.kill(found[0], signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                assert (await ledger.movement("casino", "m0")) == rows.movement("m0")
                answer = asyncio.ensure_future(ledger.commit(rows.bet("m1")))
                await asyncio.sleep(1.5)  # a new connection ends the one before, which must run to notice it
                os.kill(found[0], signal.SIGCONT)
                assert await answer == Committed(2)
                assert (await ledger.movement("casino", "m1")) == rows.movement("m1")
        finally:
            with suppress(ProcessLookupError):  # it may have noticed that it was left
                os.kill(found[0], signal.SIGCONT)
    finally:
        await ledger.close()


async def test_the_patience_with_a_server_begins_anew_with_each_question(postgres_url: str) -> None:
    connection = await connect(postgres_url, "tests")
    wire = Wire(connection, Format.TEXT, 2.0)
    try:
        await wire.run([(b"SELECT 1", ())])
        await asyncio.sleep(1.7)
        await wire.run([(b"SELECT pg_sleep(0.5)", ())])
        with pytest.raises(psycopg.OperationalError, match="does not answer"):
            await wire.run([(b"SELECT pg_sleep(20)", ())])
    finally:
        wire.close()
        await connection.close()
