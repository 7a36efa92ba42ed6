"""`croupier admin follow-clock`: the ledger's time is the database's clock again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from croupier.cli import croupier
from croupier.contract import FixConfigurationError, UnsafeStoreError
from croupier.ledger.clock_marks import ClockMark, ClockReading
from croupier.ledger.sqlite import SqliteLedger

SETTINGS = """
[database]
url = "sqlite:///hub.sqlite"
[secrets]
current = "k1"
keys.k1 = { env = "NO_KEY_IS_NEEDED" }
"""
HOUR = 3_600_000


def leave(folder: Path, *, ahead_ms: int, ago_ms: int = 60_000) -> None:
    """A mark of a hub that was ahead of the database's clock."""

    async def mark() -> None:
        ledger = SqliteLedger(folder / "hub.sqlite")
        await ledger.start()
        at = (await ledger.clock()).database_ms - ago_ms
        left = ClockMark(boot="another machine's", steady_ms=1, ledger_ms=at, database_ms=at)
        await ledger.mark_clock(evolve(left, ledger_ms=at + ahead_ms))
        await ledger.close()

    asyncio.run(mark())


def read(folder: Path) -> ClockReading:
    async def clock() -> ClockReading:
        ledger = SqliteLedger(folder / "hub.sqlite")
        await ledger.start()
        found = await ledger.clock()
        await ledger.close()
        return found

    return asyncio.run(clock())


def follow(folder: Path) -> Result:
    file = folder / "hub.toml"
    file.write_text(SETTINGS)
    return CliRunner().invoke(croupier, ["admin", "follow-clock", str(file)])


@pytest.mark.parametrize(
    ("ahead_ms", "told"),
    [(HOUR, "3600.0 s behind"), (-HOUR, "3600.0 s ahead of")],
    ids=["ahead", "behind"],
)
def test_marks_are_forgotten_and_it_tells_by_how_much_the_clocks_were_apart(
    tmp_path: Path, ahead_ms: int, told: str
) -> None:
    leave(tmp_path, ahead_ms=ahead_ms)
    result = follow(tmp_path)
    assert (result.exit_code, result.output) == (
        0,
        f"the database's clock is {told} the ledger's time, and is followed\n",
    )
    assert read(tmp_path).marks == ()


def test_it_is_refused_beside_a_hub_and_right_after_one(tmp_path: Path) -> None:
    leave(tmp_path, ahead_ms=HOUR, ago_ms=1_000)
    assert isinstance(follow(tmp_path).exception, FixConfigurationError)
    assert len(read(tmp_path).marks) == 1

    async def beside() -> Result:
        ledger = SqliteLedger(tmp_path / "hub.sqlite")
        await ledger.start()
        try:
            return await asyncio.to_thread(follow, tmp_path)
        finally:
            await ledger.close()

    assert isinstance(asyncio.run(beside()).exception, UnsafeStoreError)
