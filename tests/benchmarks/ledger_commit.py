"""Measure the SQLite ledger's group commit: `python tests/benchmarks/ledger_commit.py [folder]`.

Each caller plays bets one after another: an intent (movement, key, round, event), then its outcome. The folder decides
which disk is measured.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import attrs

from croupier.ledger.port import Change, Committed, Look, Update
from croupier.ledger.records import Event, Key, MovementRow, MovementState, RoundRow, RoundState
from croupier.ledger.sqlite import SqliteLedger


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


async def play(ledger: SqliteLedger, caller: int, bets: int, waits: list[float]) -> None:
    """Play bets one after another."""
    for number in range(bets):
        for change in bet(caller, number):
            began = time.perf_counter()
            assert isinstance(await ledger.commit(change), Committed)
            waits.append(time.perf_counter() - began)


async def measure(folder: Path, callers: int, bets: int) -> str:
    """One line of results."""
    ledger = SqliteLedger(folder / f"{callers}.sqlite")
    await ledger.start()
    waits: list[float] = []
    began, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(play(ledger, caller, bets, waits) for caller in range(callers)))
    took, worked = time.perf_counter() - began, time.process_time() - worked
    commits = 2 * callers * bets
    waits.sort()
    began = time.perf_counter()
    for number in range(1000):
        await ledger.look(
            Look(operator="casino", keys=(Key("casino", "connection", "bet", f"transaction-0-{number}"),))
        )
    look = time.perf_counter() - began
    line = (
        f"{callers:5} callers {commits / took:9.0f} commits/s {commits / ledger.batches:7.1f} per batch "
        f"{worked / commits * 1e6:6.0f} us CPU each {waits[len(waits) // 2] * 1e3:7.2f} ms median "
        f"{waits[len(waits) * 99 // 100] * 1e3:7.2f} ms p99 {look * 1e3:6.0f} us a look"
    )
    await ledger.close()
    return line


def main() -> None:
    """Measure with more and more callers at once."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for callers, bets in ((1, 300), (10, 100), (100, 30), (500, 10)):
            sys.stdout.write(asyncio.run(measure(Path(folder), callers, bets)) + "\n")


if __name__ == "__main__":
    main()
