"""The same commands leave equal ledgers, whatever the engine and however they were grouped into commits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from croupier.ledger.port import Change, Committed, DeliveryUpdate, Ledger, Update
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import AliasRow, DeliveryState, MovementState, PlayerRow
from croupier.ledger.sqlite import SqliteLedger
from croupier_conformance.ledger_dump import dump_ledger

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows


async def run_everything(ledger: Ledger, rows: Rows) -> None:
    """A bit of everything, much of it at once."""
    await ledger.start()
    owner = await ledger.register("hub")
    await ledger.ensure_player(PlayerRow(operator="casino", player="s1", operator_player="4711", created_at=1))
    await ledger.ensure_alias(AliasRow(operator="casino", connection="c1", alias="a1", player="s1"))
    for turn in range(5):
        changes = [rows.bet(f"m{turn}-{i % 20}", amount=i, facts={"b": i, "a": [turn]}) for i in range(30)]
        await asyncio.gather(*map(ledger.commit, changes))
        ledger.note(rows.exchange(f"x{turn}", started_at=turn))
        deliveries = tuple(rows.delivery(f"d{turn}-{i}", movement=f"m{turn}-{i}", round=f"r{i}") for i in range(4))
        await ledger.commit(rows.change(deliveries=deliveries, configuration=(rows.configuration(version=turn + 1),)))
        for row in await ledger.claim_deliveries(owner, 100 + turn, 50, 3):
            done = rows.delivery(
                row.delivery, movement=row.movement, round=row.round, state=DeliveryState.DONE, version=3
            )
            await ledger.commit(rows.change(delivery_updates=(DeliveryUpdate(done, epoch=owner.epoch),)))
        for orphan in await ledger.claim_orphans(owner, 1000 + turn, 5000, 7):
            settled = rows.movement(orphan.movement, state=MovementState.DECLINED, version=3)
            await ledger.commit(rows.change(updates=(Update(settled, epoch=owner.epoch),), events=(rows.event(),)))
    await ledger.close()


async def test_runs_of_the_same_commands_leave_equal_ledgers(tmp_path: Path, rows: Rows, postgres_url: str) -> None:
    ledgers: dict[str, Ledger] = {
        "one": SqliteLedger(tmp_path / "one", threaded=False),
        "two": SqliteLedger(tmp_path / "two", threaded=False),
        "small batches": SqliteLedger(tmp_path / "small batches", threaded=False, max_batch=3),
        "threaded": SqliteLedger(tmp_path / "threaded"),
    }
    for ledger in ledgers.values():
        await run_everything(ledger, rows)
    dumps = [dump_ledger(tmp_path / name) for name in ledgers]
    ledger = PostgresLedger(postgres_url)
    await run_everything(ledger, rows)
    dumps.append(dump_ledger(postgres_url))
    assert dumps[0].count("\n") > 250
    assert set(dumps) == {dumps[0]}
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


async def test_dumps_of_different_ledgers_differ(tmp_path: Path, rows: Rows) -> None:
    dumps = []
    for name, amount in (("one", 1), ("two", 2)):
        ledger = SqliteLedger(tmp_path / name, threaded=False)
        await ledger.start()
        assert isinstance(
            await ledger.commit(Change(operator="casino", movements=(rows.movement(amount=amount),))), Committed
        )
        await ledger.close()
        dumps.append(dump_ledger(tmp_path / name))
    assert dumps[0] != dumps[1]
