"""The way to the server: what it answers, and what it costs when it does not."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from croupier.accelerator.client import State
from croupier.accelerator.opening import opener
from croupier.contract import SettingsError


async def ask_many(client: Any, count: int = 64) -> tuple[set[Any], float]:
    """What so many at once are told, and how long that took in milliseconds."""
    began = time.perf_counter()
    told = await asyncio.gather(*(client.accelerator.ask("GET", "croupier:{a}:x") for _ in range(count)))
    return set(told), (time.perf_counter() - began) * 1000


def answer_at_once(client: Any) -> Any:
    """What one is told who does not wait at all."""
    asking = client.accelerator.ask("GET", "croupier:{a}:x")
    with pytest.raises(StopIteration) as told:
        asking.send(None)
    return told.value.value


async def test_everybody_gets_the_answer_to_his_own_question(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one") as (one,):
        for number in range(300):
            one.accelerator.tell("SET", f"croupier:{{a}}:{number}", str(number))
        told = await asyncio.gather(*(one.accelerator.ask("GET", f"croupier:{{a}}:{n}") for n in range(300)))
        assert told == [str(number).encode() for number in range(300)]
        assert await one.accelerator.ask("HGET", "croupier:{a}:1", "no hash") is None
        assert (one.accelerator.counts.refused, one.accelerator.counts.failed) == (1, 0)


async def test_a_server_that_was_never_there_is_asked_nothing_and_found_once_it_is(valkey: Any, tools: Any) -> None:
    valkey.kill()
    one = tools.client(valkey.address, "one")
    one.begin()
    try:
        assert await one.accelerator.ask("GET", "croupier:{a}:x") is None
        one.accelerator.tell("SET", "croupier:{a}:x", "lost")
        valkey.start()
        await one.up()
        assert await one.accelerator.ask("GET", "croupier:{a}:x") is None
        one.accelerator.tell("SET", "croupier:{a}:x", "kept")
        assert await one.accelerator.ask("GET", "croupier:{a}:x") == b"kept"
    finally:
        await one.close()


async def test_a_server_that_stands_still_costs_one_time_out_once(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one", timeout=0.2) as (one,):
        with valkey.standing_still():
            told, first = await ask_many(one)
            assert (told, one.accelerator.counts.lost) == ({None}, 1)
            assert first > 150
            for _ in range(640):
                assert answer_at_once(one) is None
        await one.up()
        assert one.accelerator.counts.lost == 1
        assert [line["event"] for line in one.log.lines] == ["accelerator_up", "accelerator_away", "accelerator_up"]


async def test_a_server_that_is_killed_and_comes_back_is_used_again(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one", "two") as (one, two):
        heard: list[str] = []
        two.news.on("greeting", heard.append)
        valkey.kill()
        told, _ = await ask_many(one)
        assert told == {None}
        assert one.accelerator.state is State.AWAY
        two.listening.clear()
        valkey.start()
        await one.up()
        await two.listening.wait()
        one.news.tell("greeting", "again")
        await tools.until(lambda: heard == ["again"])


async def test_closing_answers_those_who_still_wait(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one", timeout=30) as (one,):
        with valkey.standing_still():
            waiting = [asyncio.create_task(one.accelerator.ask("PING")) for _ in range(5)]
            await asyncio.sleep(0.05)
            await one.close()
            assert await asyncio.gather(*waiting) == [None] * 5
        assert await one.accelerator.ask("PING") is None


async def test_news_reach_the_others_and_not_oneself(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one", "two", "three") as (one, two, three):
        heard: list[tuple[str, ...]] = []
        for client in (one, two, three):
            client.news.on("greeting", lambda *words, me=client.news.me: heard.append((me, *words)))
        one.news.tell("greeting", "hello", "there")
        await tools.until(lambda: len(heard) == 2)
        assert sorted(heard) == [("three", "hello", "there"), ("two", "hello", "there")]


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\xff\xfe", b"{}", b"[]", b'["x"]', b'["x","unknown"]', b'["x","greeting",5]', b'["x",["greeting"]]',
     b'["x","greeting","' + b"w" * 500 + b'"]', b'["x","greeting","too","many","words"]', b"9" * 100_000],
)  # fmt: skip
async def test_what_is_no_news_changes_nothing(valkey: Any, tools: Any, garbage: bytes) -> None:
    async with tools.clients(valkey.address, "one", "two") as (one, two):
        heard: list[str] = []

        def hear(word: str) -> None:
            heard.append(word)

        two.news.on("greeting", hear)
        one.accelerator.tell("PUBLISH", one.news.channel, garbage)
        one.news.tell("greeting", "after")
        await tools.until(lambda: heard == ["after"])
        assert two.news.unclear == bool(garbage)


async def test_hubs_with_other_keys_hear_nothing_of_each_other(valkey: Any, tools: Any) -> None:
    other = tools.client(valkey.address, "other", key=b"another-test-key")
    async with tools.clients(valkey.address, "one") as (one,):
        assert other.news.channel != one.news.channel


@pytest.mark.parametrize("address", ["", "redis", "redis://", "http://host", "memcached://host", "redis://host:port/"])
def test_an_address_that_cannot_be_one_is_refused(address: str) -> None:
    with pytest.raises(SettingsError):
        opener(address)
