"""Time and chance, real and by hand."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from croupier.runtime.clocks import SystemClock, VirtualClock
from croupier.runtime.ids import SeededIds, SystemIds
from croupier.wallet.ports import Clock, Ids

# What the type checker proves here: the classes implement the ports.
CLOCKS: list[Clock] = [SystemClock(), VirtualClock()]
IDS: list[Ids] = [SystemIds(), SeededIds(1)]


@pytest.mark.parametrize("ids", IDS, ids=lambda ids: type(ids).__name__)
def test_ids_have_their_promised_shape_and_do_not_repeat(ids: Ids) -> None:
    many = [ids.new_id() for _ in range(200)]
    assert len(set(many)) == 200
    assert {uuid.UUID(item).variant for item in many} == {uuid.RFC_4122}
    assert all(re.fullmatch(r"[0-9a-f]{32}", ids.nonce()) for _ in range(50))
    tokens = [ids.token() for _ in range(50)]
    assert len(set(tokens)) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert all(0 <= ids.jitter() < 1 for _ in range(200))


def test_ids_of_a_process_come_in_the_order_of_time() -> None:
    ids = SystemIds()
    earlier = [ids.new_id() for _ in range(600)]
    assert {uuid.UUID(item).variant for item in earlier} == {uuid.RFC_4122}
    assert {uuid.UUID(item).version for item in earlier} == {7}
    time.sleep(0.002)
    later, began = ids.new_id(), int(time.time() * 1000)
    assert max(earlier) < later
    assert abs(int(later.replace("-", "")[:12], 16) - began) < 1000


def test_seeded_ids_tell_no_time() -> None:
    assert {uuid.UUID(SeededIds(seed).new_id()).version for seed in range(50)} == {4}


def test_threads_never_get_the_same_chance() -> None:
    ids = SystemIds()
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda _: [ids.nonce() for _ in range(2_000)], range(8)))
    assert len({nonce for row in rows for nonce in row}) == 16_000


def test_a_forked_process_has_chance_of_its_own() -> None:
    program = (
        "import os\nfrom croupier.runtime.ids import SystemIds\nids = SystemIds()\nids.nonce()\n"
        "child = os.fork()\nos.write(1, (ids.nonce() + ' ').encode())\nchild and os.waitpid(child, 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    one, other = done.stdout.split()
    assert one != other


def test_the_same_seed_gives_the_same_row() -> None:
    def row(seed: int) -> list[object]:
        ids = SeededIds(seed)
        return [ids.new_id(), ids.nonce(), ids.token(), ids.jitter(), ids.new_id()]

    assert row(1) == row(1)
    assert row(1) != row(2)


def test_one_more_jitter_changes_no_id() -> None:
    one, two = SeededIds(1), SeededIds(1)
    one.jitter()
    assert one.new_id() == two.new_id()


@pytest.mark.parametrize("clock", CLOCKS, ids=lambda clock: type(clock).__name__)
def test_a_clock_tells_aware_utc(clock: Clock) -> None:
    now = clock.now()
    assert now.tzinfo is UTC
    assert abs(clock.now_ms() - now.timestamp() * 1000) < 1000


async def test_a_virtual_clock_wakes_sleepers_in_order_of_time() -> None:
    clock = VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    tasks = [asyncio.ensure_future(sleeper("late", 3.0)), asyncio.ensure_future(sleeper("early", 1.0, 1.0))]
    await clock.advance(2.5)
    assert woken == [("early", 1.0), ("early", 2.0)]
    await clock.advance(0.5)
    assert woken[-1] == ("late", 3.0)
    assert clock.now() == datetime(2026, 3, 1, 0, 0, 3, tzinfo=UTC)
    await asyncio.gather(*tasks)


async def test_a_virtual_clock_calls_what_is_due_unless_it_was_cancelled() -> None:
    clock, called = VirtualClock(), list[str]()
    clock.call_later(2.0, lambda: called.append("late"))
    clock.call_later(1.0, lambda: called.append("early"))
    clock.call_later(1.5, lambda: called.append("never")).cancel()
    clock.call_later(-1.0, lambda: called.append("at once"))
    await clock.advance(1.7)
    assert called == ["at once", "early"]
    await clock.advance(1.0)
    assert called == ["at once", "early", "late"]


async def test_the_system_clock_calls_later_for_real() -> None:
    clock, called = SystemClock(), asyncio.Event()
    clock.call_later(0.01, called.set)
    never = clock.call_later(0.0, lambda: pytest.fail("it was cancelled"))
    never.cancel()
    before = clock.monotonic()
    await asyncio.wait_for(called.wait(), 5)
    assert clock.monotonic() - before >= 0.009


async def test_the_system_clock_sleeps_for_real() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.02)
    assert clock.monotonic() - before >= 0.019
