"""Row 33: two releases over one ledger. The newer one's schema is a step ahead: columns, an index and a table more."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import psycopg
import pytest

from croupier.contract import Applied, FixConfigurationError
from croupier.ledger.migrations import Migration, migrate_sqlite, migrations, oldest_code, pending, stored_version
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import MovementState
from croupier.ledger.sqlite import SqliteLedger
from croupier_conformance.books import Account, Entry, compare
from croupier_conformance.ledger_dump import dump_ledger
from croupier_conformance.money_path import bet, rollback, win
from croupier_conformance.newer_schema import newer_schema

OPENING = 1_000_000
NEWEST = migrations("sqlite")[-1].version


async def _stake(process: Any, name: str, told: dict[str, Entry]) -> None:
    """A bet in a round of its own, as its provider takes it down."""
    result = await process.play(bet(f"b-{name}", "1.00"), round=f"r-{name}")
    assert isinstance(result.outcome, Applied), name
    told[f"b-{name}"] = _entry(f"b-{name}", "bet", 100)


async def _pay(process: Any, name: str, told: dict[str, Entry]) -> None:
    result = await process.play(win(f"w-{name}", "0.30"), round=f"r-{name}", closes_round=True)
    assert isinstance(result.outcome, Applied), name
    told[f"w-{name}"] = _entry(f"w-{name}", "win", 30)


async def _take_back(process: Any, name: str, told: dict[str, Entry]) -> None:
    result = await process.play(rollback(f"x-{name}", f"b-{name}"), round=f"r-{name}")
    assert isinstance(result.outcome, Applied), name
    del told[f"b-{name}"]


def _entry(id: str, kind: str, amount: int) -> Entry:
    return Entry(transaction=id, player="p1", kind=kind, amount=amount)


async def _three_books(hub: Any, told: dict[str, Entry]) -> None:
    """What the provider took down, what the hub recorded and what the wallet did are the same, one by one."""
    await hub.check()
    held = {name: entry for name, entry in hub.wallet.applied.items() if name not in hub.wallet.undone}
    rows = [row for row in await hub.rows() if row.state is MovementState.APPLIED and row.direction != "reversal"]
    compared = compare(
        told.values(),
        [
            Entry(transaction=row.movement, reference=row.reference, player="p1", kind=row.kind, amount=row.amount)
            for row in rows
        ],
        [
            Entry(
                transaction=name,
                player=player.removeprefix("op-"),
                kind="win" if moved > 0 else "bet",
                amount=abs(moved),
            )
            for name, (player, moved) in held.items()
        ],
        [Account(player="p1", opening=OPENING, balance=hub.path.balance("p1"))],
    )
    assert compared.differences == ()
    assert compared.transactions == len(told) > 0


def test_row_33_two_releases_play_on_one_postgresql_ledger_that_is_upgraded_while_they_do(
    tell_postgres: Any,
) -> None:
    async def story(hub: Any) -> None:
        told: dict[str, Entry] = {}
        url, older = hub.ledger._url, hub.process
        await asyncio.gather(*(_stake(older, f"early{i}", told) for i in range(20)))

        async def go_on(process: Any, which: str) -> None:
            for turn in range(40):
                await asyncio.gather(*(_stake(process, f"{which}{turn}-{i}", told) for i in range(3)))
                await _pay(process, f"{which}{turn}-0", told)
                await _take_back(process, f"{which}{turn}-1", told)

        async def upgrade() -> PostgresLedger:
            await asyncio.sleep(0.1)
            ledger = PostgresLedger(url, schema=newer_schema("postgres"))
            await ledger.start()
            return ledger

        _, ahead = await asyncio.gather(go_on(older, "upgraded"), upgrade())
        assert _versions(url)[-1] == (NEWEST + 1, NEWEST)
        newer = await hub.start(ledger=ahead)
        await asyncio.gather(go_on(older, "old"), go_on(newer, "new"))
        for process, which in ((newer, "old"), (older, "new")):  # what one began the other ends
            await _pay(process, f"{which}7-2", told)
            await _take_back(process, f"{which}8-2", told)
        # The newer process dies with a bet on its way, and the older release is started anew.
        newer.life.last = newer.life.steps + 2
        assert await newer.play(bet("b-lost", "1.00"), round="r-lost") is None
        await ahead.close()
        back = PostgresLedger(url)
        await back.start()
        await hub.start(ledger=back)
        hub.pass_time(31.0)
        await hub.drain()
        assert (await hub.row("b-lost")).state is MovementState.REVERSED
        for process, i in ((older, 3), (hub.process, 4)):
            repeated = await process.play(bet(f"b-early{i}", "1.00"), round=f"r-early{i}")
            assert isinstance(repeated.outcome, Applied)
        await _pay(hub.process, "early5", told)
        await _three_books(hub, told)
        await back.close()

    tell_postgres(story)


def test_row_33_a_sqlite_ledger_goes_to_the_next_release_and_back_with_work_in_flight(tell: Any) -> None:
    async def story(hub: Any) -> None:
        told: dict[str, Entry] = {}
        path = hub.ledger._path
        for turn, schema in enumerate((None, newer_schema("sqlite"), None)):
            if turn:
                await hub.ledger.close()
                hub.ledger = SqliteLedger(path, threaded=False, schema=schema)
                await hub.ledger.start()
                await hub.start()
                hub.pass_time(31.0)
                await hub.drain()
                await _pay(hub.process, f"{turn - 1}-0", told)
                await _take_back(hub.process, f"{turn - 1}-1", told)
                result = await hub.process.play(bet(f"b-{turn - 1}-2", "1.00"), round=f"r-{turn - 1}-2")
                assert isinstance(result.outcome, Applied)  # a repeat
            for i in range(4):
                await _stake(hub.process, f"{turn}-{i}", told)
            if turn < 2:  # it is stopped with a bet on its way
                dying = await hub.dying(2)
                assert await dying.play(bet(f"b-lost{turn}", "1.00"), round=f"r-lost{turn}") is None
        for turn in range(2):
            assert (await hub.row(f"b-lost{turn}")).state is MovementState.REVERSED
        assert "newer" in dump_ledger(path)
        await _three_books(hub, told)
        await hub.ledger.close()

    tell(story)


@pytest.mark.parametrize("mark", [NEWEST, NEWEST - 1, NEWEST + 1, None])
def test_row_33_older_code_starts_on_a_newer_schema_only_where_that_says_so(tell_both: Any, mark: int | None) -> None:
    async def story(hub: Any) -> None:
        await hub.ledger.close()
        engine, make = _another(hub.ledger)
        *known, step = newer_schema(engine)
        ahead = make(schema=(*known, Migration(step.version, step.name, step.sql, mark)))
        await ahead.start()
        await ahead.close()
        for migrate in (True, False):
            older = make(schema=None, migrate=migrate)
            if mark is not None and mark <= NEWEST:
                await older.start()
                await older.close()
            else:
                with pytest.raises(
                    FixConfigurationError, match=f"version {NEWEST + 1}, this code knows up to {NEWEST}"
                ):
                    await older.start()
        if mark == NEWEST - 1:
            oldest = make(schema=known[: NEWEST - 1])
            await oldest.start()
            await oldest.close()
        with pytest.raises(FixConfigurationError, match="at least"):
            await make(schema=known[:1]).start()
        await hub.ledger.start() if mark is not None and mark <= NEWEST else None

    tell_both(story)


def _another(ledger: Any) -> Any:
    if isinstance(ledger, PostgresLedger):
        return "postgres", lambda **chosen: PostgresLedger(ledger._url, **chosen)
    return "sqlite", lambda **chosen: SqliteLedger(ledger._path, threaded=False, **chosen)


def _versions(url: str) -> list[tuple[int, int | None]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute("SELECT version, oldest_code FROM schema_versions ORDER BY 1").fetchall()


def test_a_step_says_the_same_of_older_code_on_both_engines() -> None:
    said = [[step.oldest_code for step in migrations(engine)] for engine in ("sqlite", "postgres")]
    assert said[0] == said[1]
    assert said[0][:3] == [None, None, 2]
    assert all(oldest is None or oldest < version for version, oldest in enumerate(said[0], start=1))


def test_a_step_that_takes_something_away_ends_what_the_steps_before_it_allowed() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    known = newer_schema("sqlite")
    migrate_sqlite(connection, known)
    assert (stored_version(connection), oldest_code(connection)) == (NEWEST + 1, NEWEST)
    contract = Migration(NEWEST + 2, "contract", "DROP TABLE later;")
    migrate_sqlite(connection, (*known, contract))
    assert (stored_version(connection), oldest_code(connection)) == (NEWEST + 2, NEWEST + 2)
    after = Migration(NEWEST + 3, "after", "CREATE TABLE after (id INTEGER) STRICT;", NEWEST)
    migrate_sqlite(connection, (*known, contract, after))
    assert oldest_code(connection) == NEWEST + 2
    with pytest.raises(FixConfigurationError):
        pending(known, NEWEST + 3, NEWEST + 2)
    connection.close()
