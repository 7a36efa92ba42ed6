"""Row 23: the server is lost for good, and its standby goes on with everything that was acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from tests.chaos.failovers import Acked, fail_over
from tests.ledger.postgres_ledgers import started

from croupier.contract.errors import FixConfigurationError, UnsafeStoreError
from croupier.ledger.port import Committed
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


@pytest.mark.usefixtures("postgres")
async def test_what_was_acknowledged_is_what_survives_failovers_to_standbys(rows: Rows) -> None:
    acked, differences = await fail_over(3, rows.operator, lambda name: rows.bet(name, nonce=name), random.Random(1))
    assert differences == []
    assert len(acked.positions) > 3 * 80


async def test_after_a_switch_to_the_standby_nothing_is_read_from_the_server_before_it(
    leader: PostgresServer, rows: Rows
) -> None:
    with leader.standby() as follower:
        leader.wait_for_standbys()
        acked = Acked(rows.operator, rows.bet)
        async with started(either(leader, follower), readers=2) as ledger:
            assert await ledger.commit(rows.bet("m1")) == Committed(1)
            assert await ledger.newest_position(rows.operator) == 1
            leader.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            leader.execute("SELECT pg_reload_conf()")
            await asyncio.to_thread(follower.promote)
            async with asyncio.TaskGroup() as players:
                players.create_task(acked.play(ledger, "1"))
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
        async with asyncio.timeout(20):
            while leader.execute("SHOW synchronous_commit") != [("local",)]:  # noqa: ASYNC110 # the server takes its time
                await asyncio.sleep(0.02)
        with pytest.raises(UnsafeStoreError, match="synchronous_commit is local"):
            await PostgresLedger(either(leader, follower)).start()
