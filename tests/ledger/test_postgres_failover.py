"""Row 23: the server is lost for good, and its standby goes on with everything that was acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from attrs import define, field
from tests.ledger.postgres_ledgers import started

from croupier.contract.errors import FixConfigurationError, StoreUnavailableError, UnsafeStoreError
from croupier.ledger.port import Committed, Look
from croupier.ledger.postgres import PostgresLedger
from croupier_conformance.servers import PostgresServer, ServerMissingError, postgres_server

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows


@pytest.fixture
def leader() -> Iterator[PostgresServer]:
    """A server of this test."""
    try:
        with postgres_server({}) as server:
            yield server
    except ServerMissingError as missing:
        pytest.skip(str(missing))


def either(*servers: PostgresServer) -> str:
    """The URL that leads to whichever of the servers can be written."""
    hosts = ",".join(parse_qs(urlsplit(server.address).query)["host"][0] for server in servers)
    return f"postgresql://postgres@/postgres?host={quote(hosts, safe=',')}&target_session_attrs=read-write"


@define
class Acked:
    """What was acknowledged: each bet with the position of its event."""

    positions: dict[str, int] = field(factory=dict)
    over: bool = False
    _new: asyncio.Queue[str] = field(factory=asyncio.Queue)

    async def play(self, ledger: PostgresLedger, rows: Rows, caller: str) -> None:
        """Bet after bet; what was not acknowledged is tried again, and must then not be there yet."""
        number = 0
        while not self.over:
            name = f"{caller}-{number}"
            try:
                result = await ledger.commit(rows.bet(name, nonce=name))
            except StoreUnavailableError:
                await asyncio.sleep(0.02)
                continue
            assert isinstance(result, Committed), (name, result)
            self.positions[name] = result.position
            self._new.put_nowait(name)
            number += 1

    async def more(self, count: int) -> None:
        """Wait for so many more."""
        while not self._new.empty():
            self._new.get_nowait()
        for _ in range(count):
            await self._new.get()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_what_was_acknowledged_is_what_survives_a_failover_to_the_standby(
    leader: PostgresServer, rows: Rows, seed: int
) -> None:
    chance = random.Random(seed)
    with leader.standby() as follower:
        leader.wait_for_standbys()
        url = either(leader, follower)
        acked = Acked()
        async with started(url, readers=2) as here, started(url, readers=2) as there:
            async with asyncio.TaskGroup() as players:
                for caller in range(8):
                    players.create_task(acked.play((here, there)[caller % 2], rows, str(caller)))
                await acked.more(40)
                await asyncio.sleep(chance.uniform(0, 0.05))
                await asyncio.to_thread(leader.kill)
                known = dict(acked.positions)
                await asyncio.to_thread(follower.promote)
                await acked.more(40)
                acked.over = True
            assert known.items() <= acked.positions.items()
            for ledger in (here, there):
                events = await ledger.events_after(rows.operator, 0, 1_000_000)
                assert [one.position for one in events] == list(range(1, len(events) + 1))
                assert {one.event.subject: one.position for one in events} == acked.positions
                found = await ledger.look(Look(operator=rows.operator, movements=tuple(acked.positions)))
                assert found.movements.keys() == acked.positions.keys()


async def test_after_a_switch_to_the_standby_nothing_is_read_from_the_server_before_it(
    leader: PostgresServer, rows: Rows
) -> None:
    with leader.standby() as follower:
        leader.wait_for_standbys()
        acked = Acked()
        async with started(either(leader, follower), readers=2) as ledger:
            assert await ledger.commit(rows.bet("m1")) == Committed(1)
            assert await ledger.newest_position(rows.operator) == 1
            leader.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            leader.execute("SELECT pg_reload_conf()")
            await asyncio.to_thread(follower.promote)
            async with asyncio.TaskGroup() as players:
                players.create_task(acked.play(ledger, rows, "1"))
                await acked.more(1)
                acked.over = True
            newest = max(acked.positions.values())
            assert await ledger.newest_position(rows.operator) == newest
            assert [one.position for one in await ledger.events_after(rows.operator, 1, 10)] == [*range(2, newest + 1)]


async def test_nothing_is_acknowledged_while_the_standby_is_away_and_everything_once_it_is_back(
    leader: PostgresServer, rows: Rows
) -> None:
    with leader.standby() as follower:
        leader.wait_for_standbys()
        async with started(either(leader, follower), readers=2) as ledger:
            await ledger.commit(rows.bet("m1"))
            await asyncio.to_thread(follower.kill)
            waiting = [asyncio.ensure_future(ledger.commit(rows.bet(f"m{number}"))) for number in range(2, 12)]
            await asyncio.sleep(0.5)
            assert not any(task.done() for task in waiting)
            await asyncio.to_thread(follower.start)
            assert sorted(await asyncio.gather(*waiting), key=str) == sorted(map(Committed, range(2, 12)), key=str)


async def test_a_standby_takes_no_bets_and_one_that_is_not_waited_for_is_refused(leader: PostgresServer) -> None:
    with leader.standby() as follower:
        with pytest.raises(FixConfigurationError, match="standby"):
            await PostgresLedger(follower.address).start()
        leader.wait_for_standbys()
        leader.execute("ALTER SYSTEM SET synchronous_commit = local")
        leader.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(0.2)
        with pytest.raises(UnsafeStoreError, match="synchronous_commit is local"):
            await PostgresLedger(either(leader, follower)).start()
