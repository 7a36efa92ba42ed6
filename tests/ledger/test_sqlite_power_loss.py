"""Row 25: the power is cut at any moment, and of what was not yet synced any part is lost."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.ledger.unsynced import NoHookError, Recorder, Said, Step, Synced, Wrote, after_a_cut

from croupier.ledger import sqlite_open
from croupier.ledger.port import Committed
from croupier.ledger.sqlite import SqliteLedger

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows

CUTS = 120


class HalfSynced(sqlite3.Connection):
    """Does not wait for the disk with every commit."""

    def execute(self, statement: str, parameters: object = ()) -> sqlite3.Cursor:
        return super().execute(statement.replace("synchronous = FULL", "synchronous = NORMAL"), parameters)  # type: ignore[arg-type] # as it came


async def play(path: Path, rows: Rows, steps: list[Step], factory: type[sqlite3.Connection], *, threaded: bool) -> None:
    """Several callers, each bet after bet, through some checkpoints."""
    ledger = SqliteLedger(path, threaded=threaded, factory=factory)
    await ledger.start()

    async def caller(name: str) -> None:
        for number in range(15):
            bet = f"{name}-{number}"
            steps.append(Said("asked", bet))
            assert isinstance(await ledger.commit(rows.bet(bet, nonce=bet, lease_until=0)), Committed)
            steps.append(Said("acked", bet))

    await asyncio.gather(*(caller(str(one)) for one in range(4)))
    await ledger.close()


async def lost_by(steps: list[Step], rows: Rows, chance: random.Random) -> set[str]:
    """What was acknowledged and is not there after a cut; all else must be in order."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        after_a_cut(steps, folder, chance)
        ledger = SqliteLedger(folder / "ledger.sqlite", threaded=False)
        await ledger.start()
        events = await ledger.events_after(rows.operator, 0, 1_000)
        assert [one.position for one in events] == list(range(1, len(events) + 1))
        stored = {one.event.subject for one in events}
        for bet in stored:
            assert await ledger.movement(rows.operator, bet) == rows.movement(bet, nonce=bet, lease_until=0)
        assert isinstance(await ledger.commit(rows.bet("next")), Committed)
        await ledger.close()
        connection = sqlite3.connect(folder / "ledger.sqlite")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
    said = {
        what: {one.name for one in steps if isinstance(one, Said) and one.what == what} for what in ("asked", "acked")
    }
    assert stored <= said["asked"]
    return said["acked"] - stored


async def recorded(
    path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch, factory: type[sqlite3.Connection], *, threaded: bool
) -> list[Step]:
    monkeypatch.setattr(sqlite_open, "_CHECKPOINT_PAGES", 40)  # several in the time of the test
    recorder = Recorder()
    try:
        with recorder.under_sqlite():
            await play(path, rows, recorder.steps, factory, threaded=threaded)
    except NoHookError:
        pytest.skip("nothing can be put under this SQLite")
    database = str(path)
    synced = [step.path for step in recorder.steps if isinstance(step, Synced)]
    assert synced.count(database) > 3  # checkpoints
    assert sum(isinstance(step, Wrote) for step in recorder.steps) > 200
    return recorder.steps


@pytest.mark.parametrize("threaded", [True, False])
async def test_what_was_acknowledged_survives_a_power_cut_at_any_moment(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch, threaded: bool
) -> None:
    steps = await recorded(tmp_path / "ledger.sqlite", rows, monkeypatch, sqlite3.Connection, threaded=threaded)
    chance = random.Random(25)
    for moment in sorted(chance.sample(range(len(steps)), CUTS)):
        assert await lost_by(steps[:moment], rows, chance) == set(), moment


async def test_settings_that_do_not_wait_for_the_disk_are_seen_to_lose_what_was_acknowledged(
    tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_open, "check_settings", lambda connection: None)
    steps = await recorded(tmp_path / "ledger.sqlite", rows, monkeypatch, HalfSynced, threaded=False)
    chance = random.Random(25)
    moments = sorted(chance.sample(range(len(steps)), CUTS // 2))
    assert any([await lost_by(steps[:moment], rows, chance) for moment in moments])
