"""The same over a cluster: every command goes to the node of its operator's slot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from croupier_conformance.servers import ServerMissingError, ValkeyServer, valkey_server


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyServer]:
    try:
        with valkey_server(cluster=True) as made:
            yield made
    except ServerMissingError as missing:
        pytest.skip(str(missing))


async def test_sessions_news_and_rates_work_over_a_cluster(cluster: Any, tools: Any) -> None:
    address = cluster.address.replace("redis://", "redis+cluster://")
    async with tools.clients(address, "one", "two", operator_api_address=10) as (one, two):
        row = tools.session("token", token_hash="u" * 64)
        one.cache.keep(row, row.launch_hash)
        one.cache.keep(row, "u" * 64)
        await one.answered()
        assert await two.cache.far(tools.connection(), row.launch_hash) == row
        assert await two.cache.far(tools.connection(), "u" * 64) == row
        one.cache.forget(row)
        await tools.until(lambda: two.cache.near(tools.connection(), row.launch_hash) is None)
        await one.answered()
        assert await two.cache.far(tools.connection(), row.launch_hash) is None
        for address in ("192.0.2.1", "192.0.2.2"):
            one.rates.check_address(address)
        await one.rates.share()
        assert one.accelerator.counts.refused == one.accelerator.counts.failed == 0
        assert len(await one.accelerator.ask("KEYS", "croupier:{hub}:rate:*")) == 2


async def test_a_cluster_that_stands_still_costs_one_time_out(cluster: Any, tools: Any) -> None:
    address = cluster.address.replace("redis://", "redis+cluster://")
    async with tools.clients(address, "one", timeout=0.2) as (one,):
        with cluster.standing_still():
            assert await one.accelerator.ask("GET", "croupier:{a}:x") is None
            assert one.accelerator.counts.lost == 1
        await one.up()
