"""Row 26 of the failure matrix: whatever happens to the server beside the ledger, money and records are the same.

The same play is played without a server and beside one to which things happen. Two processes share a ledger; every
player's next move goes to the other process, and sessions end in the middle.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from attrs import define, field
from redis import Redis

from croupier.contract import Applied, Declined, Outcome
from croupier_conformance.money_path import OPERATOR, bet, rollback, win

PLAYERS: Final = 12
ROUNDS: Final = 12
TIMEOUT: Final = 0.2
PAUSE: Final = 0.02
"""Between a player's moves, so that the play outlasts what happens."""


@define(eq=False)
class Course:
    """What came of a play."""

    outcomes: dict[str, str] = field(factory=dict)
    seconds: list[float] = field(factory=list)
    records: list[tuple[Any, ...]] = field(factory=list)
    balances: dict[str, int] = field(factory=dict)
    reads: int = 0
    losses: int = 0

    @property
    def money(self) -> tuple[Any, ...]:
        return self.outcomes, self.records, self.balances


Trouble = Callable[[Any], Coroutine[Any, Any, None]]


def told(outcome: Outcome) -> str:
    match outcome:
        case Applied():
            return f"applied {outcome.transaction}"
        case Declined(reason=reason):
            return f"declined {reason.value}"
        case _:
            return "unknown"


async def _play(tools: Any, folder: Path, valkey: Any | None, trouble: Trouble | None) -> Course:
    course = Course()
    async with tools.stand(folder, valkey.address if valkey else None, timeout=TIMEOUT) as table:
        processes = table.processes

        async def move(number: int, name: str, token: str, round: str, *movements: Any) -> None:
            began = time.perf_counter()
            result = await processes[number % 2].play(token, round, *movements)
            course.seconds.append(time.perf_counter() - began)
            course.outcomes[name] = told(result.outcome)
            await asyncio.sleep(PAUSE)

        async def player(number: int) -> None:
            alias, chance = f"guest{number}", Random(number)
            token = await table.seat(alias)
            ends = chance.randrange(3, ROUNDS + 3)
            for turn in range(ROUNDS):
                if turn == ends:
                    await processes[(number + turn) % 2].sessions.end(OPERATOR, f"session-{alias}")
                name, played = f"{alias}-{turn}", f"{alias}-r{turn}"
                await move(number + turn + 1, f"{name}-bet", token, played, bet(f"{name}b", "1.00"))
                if chance.random() < 0.2:
                    await move(number + turn, f"{name}-undo", token, played, rollback(f"{name}x", f"{name}b"))
                else:
                    await move(number + turn, f"{name}-win", token, played, win(f"{name}w", "0.30"))
                await move(number + turn, f"{name}-again", token, played, bet(f"{name}b", "1.00"))

        troubling = asyncio.create_task(trouble(valkey)) if trouble else None
        await asyncio.gather(*(player(number) for number in range(PLAYERS)))
        if troubling is not None:
            troubling.cancel()
            await asyncio.gather(troubling, return_exceptions=True)
        rows = await table.path.rows()
        course.records = sorted(
            (row.movement, row.reference, row.state.value, row.amount, row.player, row.session or "") for row in rows
        )
        course.balances = {f"guest{number}": table.path.balance(f"guest{number}") for number in range(PLAYERS)}
        course.reads = sum(process.cache.reads.ledger for process in processes)
        if valkey is not None:
            course.losses = sum(process.client.accelerator.counts.lost for process in processes)
    return course


def _with(valkey: Any, act: Callable[[Redis], object]) -> None:
    with Redis.from_url(valkey.address) as server:
        act(server)


async def flushed(valkey: Any) -> None:
    while True:
        _with(valkey, lambda server: server.flushall())
        await asyncio.sleep(0.03)


async def killed(valkey: Any) -> None:
    await asyncio.sleep(0.2)
    valkey.kill()


async def killed_and_back(valkey: Any) -> None:
    while True:
        await asyncio.sleep(0.15)
        valkey.kill()
        await asyncio.sleep(0.05)
        valkey.start()


async def stalled(valkey: Any) -> None:
    await asyncio.sleep(0.2)
    with valkey.standing_still():
        await asyncio.sleep(30)


async def stalled_now_and_then(valkey: Any) -> None:
    while True:
        with valkey.standing_still():
            await asyncio.sleep(2 * TIMEOUT)
        await asyncio.sleep(0.3)


async def restored(valkey: Any) -> None:
    """What was kept at the beginning comes back again and again, sessions that have ended since among it."""
    await asyncio.sleep(0.15)
    _with(valkey, lambda server: server.save())
    while True:
        await asyncio.sleep(0.15)
        valkey.kill()
        valkey.start()


async def shuffled(valkey: Any) -> None:
    """Every value is replaced: by garbage, by another key's value, or by one of another kind."""
    chance = Random(7)

    def spoil(server: Redis) -> None:
        names = list(server.scan_iter("*"))
        values = [server.get(name) for name in names if server.type(name) == b"string"]
        for name in names:
            match chance.randrange(4):
                case 0:
                    server.set(name, chance.randbytes(300))
                case 1 if values:
                    server.set(name, chance.choice(values) or b"")
                case 2:
                    server.delete(name)
                    server.rpush(name, "a list")
                case _:
                    server.set(name, b"\x01" + b"0" * 40)

    while True:
        _with(valkey, spoil)
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def alone(tools_of_the_folder: Any) -> Course:
    """The play without a server."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_play(tools_of_the_folder, Path(folder), None, None))


def test_the_play_without_a_server_has_everything_in_it(alone: Course) -> None:
    kinds = {(name.rpartition("-")[2], outcome.split()[0]) for name, outcome in alone.outcomes.items()}
    assert {("bet", "applied"), ("bet", "declined"), ("win", "applied"), ("undo", "applied")} <= kinds
    assert "declined session_expired" in alone.outcomes.values()
    assert "unknown" not in alone.outcomes.values()
    assert len(set(alone.balances.values())) > 3


async def test_beside_a_server_that_works_nothing_is_different(
    alone: Course, valkey: Any, tools: Any, tmp_path: Path
) -> None:
    course = await _play(tools, tmp_path, valkey, None)
    assert course.money == alone.money
    assert course.reads < 2 * len(alone.outcomes) / 3


@pytest.mark.parametrize(
    "trouble", [flushed, killed, killed_and_back, stalled, stalled_now_and_then, restored, shuffled]
)
async def test_row_26_whatever_happens_to_the_accelerator_money_and_records_are_the_same(
    alone: Course, valkey: Any, tools: Any, tmp_path: Path, trouble: Trouble
) -> None:
    try:
        course = await _play(tools, tmp_path, valkey, trouble)
    finally:
        valkey.kill()
        valkey.start()
    assert course.money == alone.money
    if trouble in {killed, stalled}:
        assert course.losses > 0
    # Who waits, waits once; a server that is known to be away is waited for by nobody.
    assert median(course.seconds) < median(alone.seconds) + TIMEOUT
    assert max(course.seconds) < max(alone.seconds) + TIMEOUT + 2


async def test_bets_on_a_session_that_ended_are_refused_though_an_old_copy_comes_back(
    valkey: Any, tools: Any, tmp_path: Path
) -> None:
    async with tools.stand(tmp_path, valkey.address) as table:
        one, two = table.processes
        token = await table.seat("ann")
        assert isinstance((await one.play(token, "r1", bet("b1"))).outcome, Applied)
        await one.client.answered()
        _with(valkey, lambda server: server.save())
        await two.sessions.end(OPERATOR, "session-ann")
        await two.client.answered()
        valkey.kill()
        valkey.start()
        _with(valkey, lambda server: server.dbsize() == 1 or pytest.fail("the copy is not there"))
        for process in (one, two):
            process.cache.forget_all()
            async with asyncio.timeout(20):
                while not await process.client.accelerator.ask("PING"):  # noqa: ASYNC110 # a probe finds it, unheard
                    await asyncio.sleep(0.05)
            outcome = (await process.play(token, "r2", bet(f"b-{process is one}"))).outcome
            assert told(outcome) == "declined session_expired"
            assert process.cache.reads.shared == 1, "the old copy was found, and not believed"
        assert table.path.balance("ann") == tools.opening - 100
