"""Events in a stream of a real server: in order, nothing lost when it is, and a limit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from redis.asyncio import Redis, RedisCluster

from croupier.configuration.directory import Directory, LiveOperator, LiveSink
from croupier.configuration.documents import SinkDocument
from croupier.contract import Credentials, Currencies, SettingsError, SinkEvent, UpstreamError
from croupier.ledger.port import Change, Owner
from croupier.ledger.records import Event
from croupier.ledger.sqlite import SqliteLedger
from croupier.registry import Registry
from croupier.runtime.clocks import VirtualClock
from croupier.runtime.ids import SeededIds
from croupier.sinks.feeder import Feeder
from croupier.sinks.means import Means
from croupier_conformance.servers import ServerMissingError, ValkeyServer, valkey_server
from croupier_sink_redis.sink import SPEC, RedisSettings, RedisSink

OPERATOR = "3f0b7a52-7f0e-4c38-9d0b-6f3a9f0d1c11"
STREAM = f"croupier:events:{{{OPERATOR}}}"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def events(first: int, last: int) -> Sequence[SinkEvent]:
    return [
        SinkEvent(id=f"e{place}", operator=OPERATOR, position=place, kind="round.closed", at=AT, data={"subject": "r"})
        for place in range(first, last + 1)
    ]


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    try:
        with valkey_server(own=True) as server:
            yield server
    except ServerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Any]:
    made: Any = Redis.from_url(valkey.address, decode_responses=True)
    await made.flushall()
    yield made
    await made.aclose()


async def positions(client: Any, stream: str = STREAM) -> list[int]:
    return [int(entry["position"]) for _, entry in await client.xrange(stream)]


def sink(valkey: ValkeyServer, **more: Any) -> RedisSink:
    return RedisSink(RedisSettings(url=valkey.address, **more))


def feeding(ledger: SqliteLedger, stream: RedisSink) -> Feeder:
    """A feeder of the hub."""
    document = SinkDocument(name="events", sink="redis", start="beginning")
    live = LiveSink(id="s1", operator=OPERATOR, sink=stream, credentials=Credentials(), document=document)
    owned = LiveOperator(id=OPERATOR, name="a", document=None, party=None, reason=None, currencies=Currencies())

    async def any_host(host: str) -> None:
        return None

    quiet: Any = Mock()
    means = Means(
        ledger=ledger,
        directory=lambda: Directory(operators={OPERATOR: owned}),
        send=quiet,
        refuses_host=any_host,
        clock=VirtualClock(),
        ids=SeededIds(1),
        owner=Owner("w1", 1),
        log=quiet,
        metrics=quiet,
    )
    return Feeder(live, means)


async def test_events_are_appended_in_order_with_what_tells_repeats(valkey: ValkeyServer, client: Any) -> None:
    writer = sink(valkey).open(Credentials())
    await writer.write(events(1, 3))
    await writer.write(events(3, 4))
    await writer.close()
    assert await positions(client) == [1, 2, 3, 3, 4]
    (_, entry), *_ = await client.xrange(STREAM)
    assert entry["id"] == "e1"
    assert entry["type"] == "round.closed"
    assert json.loads(entry["message"]) == {
        "type": "round.closed",
        "timestamp": "2026-01-02T03:04:05.000Z",
        "data": {"subject": "r"},
    }


async def test_a_server_that_died_is_found_again(valkey: ValkeyServer, client: Any) -> None:
    made = sink(valkey)
    writer = made.open(Credentials())
    await writer.write(events(1, 2))
    valkey.kill()
    with pytest.raises(UpstreamError) as away:
        await writer.write(events(3, 4))
    assert valkey.address.removeprefix("unix://") not in str(away.value)
    await writer.close()
    valkey.start()
    writer = made.open(Credentials())
    await writer.write(events(3, 4))
    assert await positions(client) == [3, 4], "it kept nothing; what comes now is whole"
    await client.flushall()
    await writer.write(events(5, 5))
    await writer.close()
    assert await positions(client) == [5]


async def test_a_hub_goes_on_from_its_cursor_when_the_server_is_back(
    valkey: ValkeyServer, client: Any, tmp_path: Path
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", threaded=False)
    await ledger.start()
    happened = Change(operator=OPERATOR, events=(Event(kind="session.ended", subject="s", at=1),) * 30)
    feeder = feeding(ledger, sink(valkey))
    await ledger.commit(happened)
    await feeder.run_once()
    valkey.kill()
    await ledger.commit(happened)
    await feeder.run_once()
    row = await ledger.sink(OPERATOR, "s1")
    assert row is not None
    assert (row.position, "could not be appended" in row.state["trouble"]) == (30, True)
    valkey.start()
    for _ in range(3):
        await ledger.commit(happened)
        await feeder.run_once()
    assert await positions(client) == list(range(31, 151))
    await feeder.course.close()
    await ledger.close()


async def test_a_refusal_of_the_server_is_no_confirmation(valkey: ValkeyServer, client: Any) -> None:
    await client.set(STREAM, "something else")
    writer = sink(valkey).open(Credentials())
    with pytest.raises(UpstreamError):
        await writer.write(events(1, 1))
    await writer.close()


async def test_an_entry_that_is_refused_ends_the_batch(valkey: ValkeyServer, client: Any) -> None:
    newest = 2**64 - 1
    await client.xadd(STREAM, {"position": 0}, id=f"{newest}-{newest - 1}")  # there is room for one entry more
    writer = sink(valkey).open(Credentials())
    with pytest.raises(UpstreamError):
        await writer.write(events(1, 3))
    await writer.close()
    assert await positions(client) == [0, 1]


async def test_a_user_with_few_rights_can_append(valkey: ValkeyServer, client: Any) -> None:
    await client.execute_command("ACL", "SETUSER", "few", "on", ">test-word", "~croupier:*", "+eval", "+xadd")
    writer = sink(valkey, username="few").open(Credentials({"password": ("test-word",)}))
    await writer.write(events(1, 2))
    await writer.close()
    assert await positions(client) == [1, 2]


async def test_a_stream_is_kept_short_if_it_is_to_be(valkey: ValkeyServer, client: Any) -> None:
    for stream, limit in (("short", 100), ("long", None)):
        writer = sink(valkey, stream=stream, max_length=limit).open(Credentials())
        for first in range(1, 1_001, 500):
            await writer.write(events(first, first + 499))
        await writer.close()
    kept = await positions(client, "short")
    assert 100 <= len(kept) <= 300
    assert kept == list(range(1_001 - len(kept), 1_001))
    assert len(await positions(client, "long")) == 1_000


async def test_user_and_password_are_used(valkey: ValkeyServer, client: Any) -> None:
    await client.execute_command("ACL", "SETUSER", "hub", "on", ">test-word", "~*", "+@all")
    writer = sink(valkey, username="hub").open(Credentials({"password": ("test-word", "old")}))
    await writer.write(events(1, 1))
    await writer.close()
    writer = sink(valkey, username="hub").open(Credentials({"password": ("wrong",)}))
    with pytest.raises(UpstreamError):
        await writer.write(events(2, 2))
    await writer.close()
    assert await positions(client) == [1]


async def test_a_cluster_has_all_of_an_operators_events_in_one_place() -> None:
    try:
        with valkey_server(cluster=True) as server:
            url = server.address.replace("redis://", "redis+cluster://")
            writer = RedisSink(RedisSettings(url=url)).open(Credentials())
            await writer.write(events(1, 50))
            await writer.close()
            client: Any = RedisCluster.from_url(server.address, decode_responses=True)
            assert await positions(client) == list(range(1, 51))
            await client.aclose()
    except ServerMissingError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"url": "http://redis.example"}, "settings.url"),
        ({"url": "redis://"}, "settings.url"),
        ({"url": "redis://redis.example:port"}, "settings.url"),
        ({"url": "redis://user:test-word@redis.example"}, "settings.url"),
        ({"url": "redis://redis.example?password=test-word"}, "settings.url"),
        ({"url": "redis://redis.example", "max_length": 0}, "settings.max_length"),
        ({"url": "redis://redis.example", "stream": ""}, "settings.stream"),
    ],
)
def test_wrong_settings_are_told_by_their_path_and_without_a_password(wrong: dict[str, Any], where: str) -> None:
    registry = Registry(discover=False)
    registry.register(SPEC)
    with pytest.raises(SettingsError) as refused:
        registry.configure_sink("redis", wrong)
    assert refused.value.where == where
    assert "test-word" not in str(refused.value)


def test_the_host_that_the_guard_is_asked_about() -> None:
    assert RedisSink(RedisSettings(url="rediss+cluster://Redis.example:7000/0")).host == "redis.example"
    assert RedisSink(RedisSettings(url="unix:///run/redis.sock")).host == ""
