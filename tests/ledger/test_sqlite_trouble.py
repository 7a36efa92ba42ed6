"""What happens to money when SQLite cannot store it (failure matrix, rows 22, 24 and 25)."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from croupier.contract.errors import LedgerCorruptError, StoreUnavailableError
from croupier.ledger.port import BatchEnd, Change, Committed, Look, Owner, Update
from croupier.ledger.records import MovementState
from croupier.ledger.sqlite import SqliteLedger
from croupier.ledger.sqlite_statements import sql
from croupier_conformance.ledger_dump import dump_ledger

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows


class Trouble:
    """When statements of the writing connection fail: from the `first` on, `lasting` of them."""

    seen = 0
    first: int | None = None
    lasting = 1
    after_commit = False

    @classmethod
    def reset(cls, first: int | None = None, *, lasting: int = 1, after_commit: bool = False) -> None:
        cls.seen, cls.first, cls.lasting, cls.after_commit = 0, first, lasting, after_commit

    @classmethod
    def strikes(cls) -> bool:
        cls.seen += 1
        return cls.first is not None and cls.first <= cls.seen < cls.first + cls.lasting


class TroubledCursor(sqlite3.Cursor):
    def execute(self, statement: str, parameters: Any = ()) -> TroubledCursor:
        if Trouble.strikes():
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(statement, parameters)

    def executemany(self, statement: str, parameters: Iterable[Any]) -> TroubledCursor:
        if Trouble.strikes():
            raise sqlite3.OperationalError("disk I/O error")
        return super().executemany(statement, parameters)


class TroubledConnection(sqlite3.Connection):
    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(TroubledCursor)

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        if Trouble.strikes():
            if statement == "COMMIT" and Trouble.after_commit:
                super().execute(statement)
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(statement, parameters)


@pytest.fixture(params=[True, False], ids=["threaded", "inline"])
async def troubled(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    Trouble.reset()
    ledger = SqliteLedger(tmp_path / "troubled.sqlite", threaded=request.param, factory=TroubledConnection)
    await ledger.start()
    yield ledger
    Trouble.reset()
    await ledger.close()


def story(rows: Rows) -> list[list[Change]]:
    """Batches of changes that belong together."""
    applied = Update(rows.movement("m1", state=MovementState.APPLIED, version=2), epoch=1)
    return [
        [rows.bet("m1"), rows.bet("m2"), rows.change(rounds=(rows.round(),), sessions=(rows.session(),))],
        [
            rows.change(updates=(applied,), events=(rows.event("a"), rows.event("b"))),
            rows.change(deliveries=(rows.delivery(), rows.delivery("d2")), rounds=(rows.round(version=2),)),
        ],
    ]


async def commit_until_stored(ledger: SqliteLedger, changes: list[Change]) -> int:
    """Commit a batch, again and again what was not stored; returns how many were not stored at first."""
    failures = 0
    for attempt in range(10):
        results = await asyncio.gather(*map(ledger.commit, changes), return_exceptions=True)
        failed = [change for change, result in zip(changes, results, strict=True) if not isinstance(result, Committed)]
        assert all(isinstance(result, Committed | StoreUnavailableError) for result in results), results
        if attempt == 0:
            failures = len(failed)
            assert failures in {0, len(changes)}  # one batch: all or none
        if not failed:
            return failures
        Trouble.reset()
        changes = failed
    raise AssertionError("the ledger stayed unusable")


@pytest.mark.parametrize("lasting", [1, 2, 3, 4, 1000])
async def test_trouble_at_any_statement_loses_nothing_and_doubles_nothing(
    tmp_path: Path, rows: Rows, lasting: int
) -> None:
    Trouble.reset()
    undisturbed = SqliteLedger(tmp_path / "undisturbed.sqlite", threaded=False, factory=TroubledConnection)
    await undisturbed.start()
    Trouble.reset()
    for batch in story(rows):
        assert await commit_until_stored(undisturbed, batch) == 0
    statements = Trouble.seen
    await undisturbed.close()
    expected = dump_ledger(tmp_path / "undisturbed.sqlite")
    assert statements > 20
    for place in range(1, statements + 1):
        path = tmp_path / f"{place}.sqlite"
        ledger = SqliteLedger(path, threaded=False, factory=TroubledConnection)
        await ledger.start()
        Trouble.reset(place, lasting=lasting)
        failures = [await commit_until_stored(ledger, batch) for batch in story(rows)]
        assert sum(failures) > 0
        Trouble.reset()
        await ledger.close()
        assert dump_ledger(path) == expected, place


async def test_a_commit_that_took_place_and_failed_to_say_so_is_acknowledged(
    troubled: SqliteLedger, rows: Rows
) -> None:
    Trouble.reset()
    assert await troubled.commit(rows.bet("m0")) == Committed(1)
    Trouble.reset(Trouble.seen, after_commit=True)  # the COMMIT is the last statement
    assert await troubled.commit(rows.bet("m1")) == Committed(2)
    assert Trouble.seen > (Trouble.first or 0)
    Trouble.reset()
    assert await troubled.commit(rows.bet("m2")) == Committed(3)
    assert await troubled.movement(rows.operator, "m1") == rows.movement("m1")


async def test_a_commit_that_did_not_take_place_is_not_acknowledged(troubled: SqliteLedger, rows: Rows) -> None:
    Trouble.reset()
    await troubled.commit(rows.bet("m0"))
    Trouble.reset(Trouble.seen)
    with pytest.raises(StoreUnavailableError):
        await troubled.commit(rows.bet("m1"))
    assert await troubled.movement(rows.operator, "m1") is None
    assert await troubled.commit(rows.bet("m1")) == Committed(2)


async def test_every_writing_call_says_that_the_store_is_unavailable(troubled: SqliteLedger, rows: Rows) -> None:
    await troubled.commit(rows.bet("m1"))
    await troubled.commit(rows.change(deliveries=(rows.delivery(),)))
    owner = await troubled.register("hub")
    Trouble.reset(1, lasting=10**6)
    calls = [
        troubled.commit(rows.bet("m2")),
        troubled.register("hub"),
        troubled.claim_deliveries(owner, 10_000, 50, 10),
        troubled.claim_orphans(owner, 10_000, 50, 10),
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailableError] * 4
    assert (await troubled.look(Look(operator=rows.operator, movements=("m1",)))).movements  # reading still works
    Trouble.reset()
    assert (await troubled.register("hub")).epoch == owner.epoch + 1
    assert len(await troubled.claim_deliveries(owner, 10_000, 50, 10)) == 1


async def test_the_first_commit_after_the_trouble_succeeds(troubled: SqliteLedger, rows: Rows) -> None:
    for place in range(1, 9):
        Trouble.reset(place, lasting=10**6)  # from some statement on nothing works, not even a rollback
        with pytest.raises(StoreUnavailableError):
            await troubled.commit(rows.bet(f"m{place}"))
        Trouble.reset()
        assert await troubled.commit(rows.bet(f"m{place}")) == Committed(place)


async def test_exchanges_wait_for_the_end_of_the_trouble(troubled: SqliteLedger, rows: Rows) -> None:
    troubled.note(rows.exchange())
    Trouble.reset(1, lasting=10**6)
    with pytest.raises(StoreUnavailableError):
        await troubled.commit(rows.bet("m1"))
    await asyncio.sleep(0.3)  # the turn of what waits comes while nothing works
    Trouble.reset()
    await troubled.commit(rows.bet("m1"))
    async with asyncio.timeout(5):
        while await troubled.exchanges(rows.operator, trace="t1") != [rows.exchange()]:  # noqa: ASYNC110 # untold
            await asyncio.sleep(0.01)
    assert troubled.backlog().dropped == 0


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    """What a full disk does to a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("threaded", [True, False])
async def test_a_full_disk_refuses_and_space_heals(tmp_path: Path, rows: Rows, threaded: bool) -> None:
    path = tmp_path / "full.sqlite"
    ledger = SqliteLedger(path, threaded=threaded)
    await ledger.start()
    await ledger.commit(rows.bet("m0"))
    log = path.with_name("full.sqlite-wal")
    for room in (0, 100, 5000, 9000):
        with no_file_grows_beyond(log.stat().st_size + room):
            big = rows.bet(f"m{room}-no", message="x" * 50_000)
            with pytest.raises(StoreUnavailableError):
                await ledger.commit(big)
        assert await ledger.movement(rows.operator, f"m{room}-no") is None
        assert isinstance(await ledger.commit(rows.bet(f"m{room}-yes")), Committed)
    await ledger.close()
    again = SqliteLedger(path)
    await again.start()
    assert [one.event.subject for one in await again.events_after(rows.operator, 0, 100)] == [
        "m0", "m0-yes", "m100-yes", "m5000-yes", "m9000-yes",
    ]  # fmt: skip
    await again.close()


async def test_a_foreign_lock_refuses_and_its_end_heals(tmp_path: Path, rows: Rows) -> None:
    ends: list[BatchEnd] = []
    ledger = SqliteLedger(tmp_path / "locked.sqlite", on_batch=ends.append)
    await ledger.start()
    foreign = sqlite3.connect(tmp_path / "locked.sqlite", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"):
        await ledger.commit(rows.bet())
    foreign.execute("ROLLBACK")
    foreign.close()
    assert await ledger.commit(rows.bet()) == Committed(1)
    assert [(end.changes, end.durable) for end in ends] == [(1, False), (1, True)]
    await ledger.close()


async def test_a_closed_ledger_is_unavailable(tmp_path: Path, rows: Rows) -> None:
    ledger = SqliteLedger(tmp_path / "closed.sqlite")
    with pytest.raises(StoreUnavailableError):
        await ledger.commit(rows.bet())
    await ledger.start()
    await ledger.close()
    ledger.note(rows.exchange())
    assert ledger.backlog().dropped == 1
    with pytest.raises(StoreUnavailableError):
        await ledger.register("hub")
    with pytest.raises(StoreUnavailableError):
        await ledger.look(Look(operator=rows.operator))
    with pytest.raises(StoreUnavailableError):
        await ledger.movement(rows.operator, "m1")


async def test_closing_waits_for_what_was_asked(tmp_path: Path, rows: Rows) -> None:
    ledger = SqliteLedger(tmp_path / "closing.sqlite", max_batch=3)
    await ledger.start()
    tasks = [asyncio.ensure_future(ledger.commit(rows.bet(f"m{i}"))) for i in range(20)]
    await asyncio.sleep(0)
    ledger.note(rows.exchange())
    await ledger.close()
    assert [await task for task in tasks] == [Committed(i) for i in range(1, 21)]
    dump = dump_ledger(tmp_path / "closing.sqlite")
    assert "'x1'" in dump
    assert not (tmp_path / "closing.sqlite-wal").exists()


HUB = """
    import asyncio, sys
    from croupier.ledger.port import Change, Committed
    from croupier.ledger.records import Event, Key, MovementRow, MovementState
    from croupier.ledger.sqlite import SqliteLedger

    async def play(ledger, caller):
        for number in range(100_000):
            name = f"{caller}-{number}"
            row = MovementRow(
                operator="casino", movement=name, play=name, ordinal=0, connection="c1", player="p", kind="bet",
                direction="debit", state=MovementState.INTENT, amount=1, currency="EUR", reference=name,
                fingerprint={}, owner="hub", epoch=1, nonce="", lease_until=0, created_at=number,
            )
            event = Event(kind="bet", subject=name, at=number)
            keys = ((Key("casino", "c1", "bet", name), name),)
            result = await ledger.commit(Change(operator="casino", movements=(row,), keys=keys, events=(event,)))
            sys.stdout.write(f"{name} {result.position}\\n")
            sys.stdout.flush()

    async def main():
        ledger = SqliteLedger(sys.argv[1])
        await ledger.start()
        await asyncio.gather(*(play(ledger, caller) for caller in range(8)))

    asyncio.run(main())
"""


def kill_after(path: Path, acknowledged: int) -> dict[str, str]:
    """Run a hub, kill it after so many acknowledgements, and tell all that it gave, with their positions."""
    program = [sys.executable, "-c", textwrap.dedent(HUB), str(path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout is not None
        told = [hub.stdout.readline() for _ in range(acknowledged)]
        hub.kill()
        told += hub.stdout.readlines()
    assert hub.returncode == -signal.SIGKILL
    return dict(line.split() for line in told if line.endswith("\n"))


@pytest.mark.parametrize("acknowledged", [1, 200, 2000])
async def test_what_a_killed_hub_acknowledged_survives(tmp_path: Path, acknowledged: int) -> None:
    path = tmp_path / "killed.sqlite"
    acked = await asyncio.to_thread(kill_after, path, acknowledged)
    assert len(acked) >= acknowledged
    ledger = SqliteLedger(path)
    await ledger.start()  # the dead hub's lock is gone with it
    events = await ledger.events_after("casino", 0, 1_000_000)
    surviving = {one.event.subject: str(one.position) for one in events}
    assert acked.items() <= surviving.items()
    assert len(surviving) - len(acked) <= 8  # what was in flight
    assert [one.position for one in events] == list(range(1, len(events) + 1))
    for name in surviving:
        assert await ledger.movement("casino", name) is not None
    await ledger.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


@pytest.mark.parametrize("threaded", [True, False])
async def test_work_of_another_release_is_told_of_and_does_not_stand_in_the_way_of_other_work(
    tmp_path: Path, rows: Rows, threaded: bool
) -> None:
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["message"]))
    ledger = await with_work(tmp_path / "ledger.sqlite", rows, "task = 'unheard of'", threaded=threaded)
    claimed, stored = await asyncio.gather(
        ledger.claim_deliveries(Owner("hub", 1), 100, 50, 10), ledger.commit(rows.bet("m2"))
    )
    assert [row.delivery for row in claimed] == ["d1"]
    assert stored == Committed(1)
    assert await ledger.claim_deliveries(Owner("hub", 1), 149, 50, 10) == []
    assert reported == ["a row of deliveries cannot be read: what is owed by it waits"] * 2
    await ledger.close()


@pytest.mark.parametrize("threaded", [True, False])
async def test_work_whose_text_is_damaged_is_done_as_far_as_it_can_be_read(
    tmp_path: Path, rows: Rows, threaded: bool
) -> None:
    damage = "detail = CAST(x'61ff' AS TEXT)"
    ledger = await with_work(tmp_path / "ledger.sqlite", rows, damage, threaded=threaded)
    with pytest.raises(LedgerCorruptError, match="a stored text is damaged"):
        await ledger.delivery(rows.operator, "d0")
    claimed, stored = await asyncio.gather(
        ledger.claim_deliveries(Owner("hub", 1), 100, 50, 10), ledger.commit(rows.bet("m2"))
    )
    assert [(row.delivery, row.detail) for row in claimed] == [("d0", "a\ufffd"), ("d1", None), ("d2", "a\ufffd")]
    assert stored == Committed(1)
    assert await ledger.claim_deliveries(Owner("hub", 1), 149, 50, 10) == []
    await ledger.close()


async def with_work(path: Path, rows: Rows, damage: str, *, threaded: bool) -> SqliteLedger:
    """A ledger with three pieces of work, of which the first and the last are damaged."""
    ledger = SqliteLedger(path, threaded=threaded)
    await ledger.start()
    work = tuple(rows.delivery(f"d{place}") for place in range(3))
    await ledger.commit(rows.change(movements=(rows.movement(),), deliveries=work))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(sql("UPDATE deliveries SET", damage, "WHERE delivery <> 'd1'"))
    return ledger


async def test_a_machine_that_can_start_no_thread_is_told_of_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    async with asyncio.timeout(5):
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", start)
            with pytest.raises(StoreUnavailableError, match="can't start new thread"):
                await ledger.start()
        await ledger.start()
        assert await ledger.register("hub") == Owner("hub", 1)
        await ledger.close()
