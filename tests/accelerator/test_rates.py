"""Rates: what is taken and refused in one process, over several, and while the server is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from redis import Redis

from croupier.accelerator.rates import BURST_SECONDS, Rates
from croupier.configuration.directory import LiveConnection, LiveOperator
from croupier.configuration.documents import ConnectionDocument, LimitsDocument, OperatorDocument
from croupier.contract import Adapter, Credentials, Currencies, RateLimitedError
from croupier_conformance.toys import ToyAdapter
from croupier_conformance.virtual_time import LoopClock


class Ticking(LoopClock):
    """A clock that a test moves."""

    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


def provider(tools: Any, rate: int | None = None, id: str = "c1") -> LiveConnection:
    adapter: Adapter = ToyAdapter()
    return LiveConnection(
        connection=tools.connection(id),
        adapter=adapter,
        credentials=Credentials(),
        networks=(),
        proxies=(),
        document=ConnectionDocument(name=id, adapter="toy", requests_per_second=rate),
    )


def operator(rate: int | None = None) -> LiveOperator:
    document = OperatorDocument(name="op", dialect="toy", limits=LimitsDocument(api_requests_per_second=rate))
    return LiveOperator(id="op1", name="op", document=document, party=None, reason=None, currencies=Currencies())


def taken(rates: Rates, live: LiveConnection, tries: int) -> int:
    return sum(rates.over(live) is None for _ in range(tries))


def test_what_is_not_limited_is_taken(tools: Any) -> None:
    rates = Rates(clock=Ticking())
    assert taken(rates, provider(tools), 10_000) == 10_000
    for _ in range(1_000):
        rates.check_operator(operator())
        rates.check_address("192.0.2.1")
    assert set(rates.refused.values()) == {0}


def test_a_rate_holds_two_seconds_at_once_and_then_flows(tools: Any) -> None:
    clock = Ticking()
    rates, live = Rates(clock=clock, connection=10), provider(tools)
    assert taken(rates, live, 100) == 10 * BURST_SECONDS
    clock.seconds += 0.5
    assert taken(rates, live, 100) == 5
    clock.seconds += 3_600
    assert taken(rates, live, 100) == 10 * BURST_SECONDS


def test_one_who_keeps_to_the_rate_is_never_refused(tools: Any) -> None:
    clock = Ticking()
    rates, live = Rates(clock=clock, connection=8), provider(tools)
    for _ in range(500):
        assert rates.over(live) is None
        clock.seconds += 0.125


def test_a_refusal_tells_when_there_is_room_again(tools: Any) -> None:
    clock = Ticking()
    rates, live = Rates(clock=clock, connection=0.1), provider(tools)
    assert rates.over(live) is not None, "ten seconds of flow do not fit into two"
    rates, live = Rates(clock=clock), provider(tools, 1)
    assert taken(rates, live, 10) == 2
    refusal = rates.over(live)
    assert refusal is not None
    assert (refusal.code, refusal.status, refusal.retry_after) == ("rate_limited", 429, 1)
    clock.seconds += 1
    assert rates.over(live) is None


def test_what_is_configured_goes_before_the_setting_and_each_has_its_own(tools: Any) -> None:
    rates = Rates(clock=Ticking(), connection=10, operator_api=10)
    assert taken(rates, provider(tools, 3), 100) == 6
    assert taken(rates, provider(tools, id="c2"), 100) == 20
    for _ in range(8):
        rates.check_operator(operator(4))
    with pytest.raises(RateLimitedError):
        rates.check_operator(operator(4))
    assert rates.refused == {"operator": 1, "address": 0, "connection": 0}


def test_addresses_are_told_apart() -> None:
    rates = Rates(clock=Ticking(), operator_api_address=1)
    for address in ("192.0.2.1", "192.0.2.2"):
        rates.check_address(address)
        rates.check_address(address)
        with pytest.raises(RateLimitedError):
            rates.check_address(address)
    assert rates.refused["address"] == 2


def test_the_number_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("croupier.accelerator.rates._KEPT", 10)
    rates = Rates(clock=Ticking(), operator_api_address=1)
    for number in range(1_000):
        rates.check_address(f"192.0.2.{number}")
    assert len(rates._buckets) == 10


async def test_processes_keep_to_the_rate_together(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one", "two", connection=10) as (one, two):
        live = provider(tools)
        assert taken(one.rates, live, 20) == 20
        await one.rates.share()
        assert taken(two.rates, live, 1) == 1
        await two.rates.share()
        assert taken(two.rates, live, 20) <= 1
        assert isinstance(two.rates.over(live), RateLimitedError)


async def test_without_the_server_each_process_keeps_to_the_rate_by_itself(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one", "two", timeout=0.1, connection=10) as (one, two):
        live = provider(tools)
        with valkey.standing_still():
            for client in (one, two):
                assert taken(client.rates, live, 5) == 5
                await client.rates.share()
                assert 15 <= taken(client.rates, live, 50) <= 20


@pytest.mark.parametrize("garbage", ["nan", "inf", "-inf", "-1", "9" * 40, "text", "1e400", ""])
async def test_garbage_in_a_rate_refuses_nobody_for_long(valkey: Any, tools: Any, garbage: str) -> None:
    async with tools.clients(valkey.address, "one", connection=10) as (one,):
        live = provider(tools)
        assert one.rates.over(live) is None
        await one.rates.share()
        with Redis.from_url(valkey.address) as server:
            (name,) = server.keys("*")
            server.set(name, garbage)
            assert one.rates.over(live) is None
            await one.rates.share()
            assert 0 < server.pttl(name) < 10_000
        assert 15 <= taken(one.rates, live, 50) <= 20


async def test_every_key_has_its_operator_as_hash_tag(valkey: Any, tools: Any, tmp_path: Path) -> None:
    async with tools.clients(valkey.address, "one", connection=10, operator_api=10, operator_api_address=10) as (one,):
        live = provider(tools)
        one.rates.over(live)
        one.rates.over(evolve(live, connection=tools.connection("c9", "op2")))
        one.rates.check_operator(operator())
        one.rates.check_address("192.0.2.1")
        await one.rates.share()
        one.cache.keep(tools.session(), "hash")
        await one.answered()
        with Redis.from_url(valkey.address) as server:
            names = sorted(key.decode() for key in server.keys("*"))
        assert [name.partition("}")[0] for name in names] == [
            "croupier:{hub", "croupier:{op1", "croupier:{op1", "croupier:{op1", "croupier:{op2"
        ]  # fmt: skip
        assert not any("192.0.2.1" in name for name in names)
        assert one.news.channel.startswith("croupier:{hub}:")
