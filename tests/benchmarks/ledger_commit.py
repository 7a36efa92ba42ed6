"""Measure the group commit of both ledgers: `python tests/benchmarks/ledger_commit.py [--processes N] [engine]`.

Each caller plays bets one after another: an intent (movement, key, round, event), then its outcome; then it looks at
each of them. CPU is that of this process, so that of SQLite's thread too, and not the server's. `TMPDIR` decides
which disk is measured. PostgreSQL is started for the measurement, or is that of `CROUPIER_TEST_POSTGRES`. With more
than one process, the callers of PostgreSQL are shared among so many, each with a ledger of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import attrs

from croupier.ledger.port import BatchEnd, Change, Committed, Ledger, Look, Update
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import Event, Key, MovementRow, MovementState, RoundRow, RoundState
from croupier.ledger.sqlite import SqliteLedger
from croupier_conformance.servers import postgres_server


def bet(caller: int, number: int) -> tuple[Change, Change]:
    """The two changes of one bet: its intent and its outcome."""
    movement = MovementRow(
        operator="casino",
        movement=f"01890000-{caller:08x}-{number:08x}",
        play=f"play-{caller}-{number}",
        ordinal=0,
        connection="connection",
        player=f"player-{caller}",
        kind="bet",
        direction="debit",
        state=MovementState.INTENT,
        amount=100,
        currency="EUR",
        reference=f"transaction-{caller}-{number}",
        fingerprint={"amount": "1.00", "currency": "EUR", "round": f"{caller}-{number}"},
        owner="hub",
        epoch=1,
        nonce=f"{number:032x}",
        lease_until=60_000,
        created_at=number,
        round=f"round-{caller}-{number}",
        game="game",
        facts={"turnover": 100},
    )
    key = Key("casino", "connection", "bet", movement.reference)
    opened = RoundRow(
        operator="casino",
        round=f"round-{caller}-{number}",
        connection="connection",
        player=movement.player,
        provider_round=f"{caller}-{number}",
        game="game",
        currency="EUR",
        state=RoundState.OPEN,
        opened_at=number,
        bets=1,
    )
    applied = attrs.evolve(
        movement, state=MovementState.APPLIED, effect="applied", balance=900, settled_at=number, version=2
    )
    event = Event(kind="movement.applied", subject=movement.movement, at=number, body={"amount": 100, "kind": "bet"})
    intent = Change(operator="casino", movements=(movement,), keys=((key, movement.movement),), rounds=(opened,))
    outcome = Change(
        operator="casino",
        updates=(Update(applied, epoch=1),),
        rounds=(attrs.evolve(opened, version=2),),
        events=(event,),
    )
    return intent, outcome


async def play(ledger: Ledger, caller: int, bets: int, waits: list[float]) -> None:
    """Play bets one after another."""
    for number in range(bets):
        for change in bet(caller, number):
            began = time.perf_counter()
            assert isinstance(await ledger.commit(change), Committed)
            waits.append(time.perf_counter() - began)


async def measure(name: str, ledger: Ledger, ends: list[BatchEnd], callers: range, bets: int) -> str:
    """One line of results; `ends` are those of the ledger's transactions."""
    await ledger.start()
    waits: list[float] = []
    began, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(play(ledger, caller, bets, waits) for caller in callers))
    took, worked = time.perf_counter() - began, time.process_time() - worked
    commits = 2 * len(callers) * bets
    batches = len(ends)
    waits.sort()
    looks = await measure_looks(ledger, callers, bets)
    await ledger.close()
    return (
        f"{name:12} {len(callers):5} callers {commits / took:9.0f} commits/s {commits / batches:7.1f} per batch "
        f"{worked / commits * 1e6:6.0f} us CPU each {waits[len(waits) // 2] * 1e3:7.2f} ms median "
        f"{waits[len(waits) * 99 // 100] * 1e3:7.2f} ms p99 {looks}\n"
    )


async def measure_looks(ledger: Ledger, callers: range, bets: int) -> str:
    """What it costs to look at each of the bets, and at a round, with all callers at once."""

    async def look(caller: int) -> None:
        for number in range(bets):
            key = Key("casino", "connection", "bet", f"transaction-{caller}-{number}")
            seen = await ledger.look(Look(operator="casino", keys=(key,), round=f"round-{caller}-{number}"))
            assert seen.round is not None
            assert key in seen.keys

    began, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(look, callers))
    took, worked = time.perf_counter() - began, time.process_time() - worked
    count = len(callers) * bets
    return f"{count / took:9.0f} looks/s {worked / count * 1e6:6.0f} us CPU each"


SIZES = ((1, 300), (10, 100), (100, 30), (500, 10))


def measure_sqlite() -> None:
    """Measure SQLite with more and more callers at once."""
    with tempfile.TemporaryDirectory() as folder:
        for callers, bets in SIZES:
            ends: list[BatchEnd] = []
            ledger = SqliteLedger(Path(folder) / f"{callers}.sqlite", on_batch=ends.append)
            sys.stdout.write(asyncio.run(measure("sqlite", ledger, ends, range(callers), bets)))


def measure_process(url: str, callers: range, bets: int) -> str:
    """What one of several processes measures."""
    ends: list[BatchEnd] = []
    return asyncio.run(measure("postgres", PostgresLedger(url, on_batch=ends.append), ends, callers, bets))


def measure_postgres(processes: int) -> None:
    """Measure PostgreSQL with more and more callers at once, shared among processes."""
    with postgres_server() as server, ProcessPoolExecutor(processes) as pool:
        for callers, bets in SIZES:
            if callers < processes:
                continue
            name = server.create()
            each = callers // processes
            shares = [range(place * each, (place + 1) * each) for place in range(processes)]
            work = [pool.submit(measure_process, server.url(name), share, bets) for share in shares]
            for one in work:
                sys.stdout.write(one.result())
            server.drop(name)


def main() -> None:
    """Measure the engine that was named, or both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", nargs="?", choices=["sqlite", "postgres"])
    parser.add_argument("--processes", type=int, default=1, help="of PostgreSQL")
    chosen = parser.parse_args()
    if chosen.engine != "postgres":
        measure_sqlite()
    if chosen.engine != "sqlite":
        measure_postgres(chosen.processes)


if __name__ == "__main__":
    main()
