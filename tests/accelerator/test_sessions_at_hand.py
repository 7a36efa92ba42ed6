"""Sessions that are kept at hand: where they are found, who forgets them, and what is believed of what is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from redis import Redis

from croupier.accelerator.keys import session_key
from croupier.accelerator.sessions import Seal
from croupier.contract import Applied, Declined, DeclineReason
from croupier.ledger.records import SessionState
from croupier.sessions.cache import SessionCache
from croupier.sessions.service import token_hash
from croupier_conformance.money_path import OPERATOR, bet, win

HASH = token_hash("token-canary")


def counts(cache: SessionCache) -> tuple[int, int, int]:
    return cache.reads.near, cache.reads.shared, cache.reads.ledger


async def test_a_session_is_read_from_the_ledger_once_and_by_the_others_from_the_server(
    valkey: Any, tools: Any, tmp_path: Path
) -> None:
    async with tools.stand(tmp_path, valkey.address) as table:
        one, two = table.processes
        token = await table.seat("ann")
        for number in range(3):
            assert isinstance((await one.play(token, f"r{number}", bet(f"b{number}"))).outcome, Applied)
        await one.client.answered()
        for number in range(3, 6):
            assert isinstance((await two.play(token, f"r{number}", bet(f"b{number}"))).outcome, Applied)
        assert counts(one.cache) == (2, 0, 1)
        assert counts(two.cache) == (2, 1, 0)


async def test_without_a_server_a_process_has_its_own_memory(tools: Any, tmp_path: Path) -> None:
    async with tools.stand(tmp_path, None, 1) as table:
        (one,) = table.processes
        token = await table.seat("ann")
        for number in range(3):
            assert isinstance((await one.play(token, f"r{number}", bet(f"b{number}"))).outcome, Applied)
        assert counts(one.cache) == (2, 0, 1)


async def test_a_session_that_another_process_ended_is_forgotten_at_once(
    valkey: Any, tools: Any, tmp_path: Path
) -> None:
    async with tools.stand(tmp_path, valkey.address) as table:
        one, two = table.processes
        token = await table.seat("ann")
        hashed = token_hash(token)
        await one.play(token, "r1", bet("b1"))
        await two.sessions.end(OPERATOR, "session-ann")
        await tools.until(lambda: one.cache.near(table.path.connection, hashed) is None)
        refused = (await one.play(token, "r2", bet("b2"))).outcome
        assert isinstance(refused, Declined)
        assert refused.reason is DeclineReason.SESSION_EXPIRED
        assert isinstance((await one.play(token, "r1", win("w1"))).outcome, Applied)


@pytest.mark.parametrize("beside", [True, False])
async def test_a_session_that_ended_unheard_takes_no_bet_all_the_same(
    valkey: Any, tools: Any, tmp_path: Path, beside: bool
) -> None:
    async with tools.stand(tmp_path, valkey.address if beside else None) as table:
        one, two = table.processes
        token = await table.seat("ann")
        await one.play(token, "r1", bet("b1"))
        row = one.cache.near(table.path.connection, token_hash(token))
        if beside:
            one.client.news.on("session", lambda *_: None)
        await two.sessions.end(OPERATOR, "session-ann")
        if beside:
            await two.client.answered()
            two.client.shared.write(row, token_hash(token))  # as one who read it before it ended
            await two.client.answered()
        for process in (one, two):
            refused = (await process.play(token, "r2", bet(f"b-{id(process)}"))).outcome
            assert isinstance(refused, Declined)
            assert refused.reason is DeclineReason.SESSION_EXPIRED
        assert table.path.balance("ann") == tools.opening - 100
        assert [row.reference for row in await table.path.rows() if row.state.value == "applied"] == ["b1"]


async def test_what_was_admitted_meanwhile_is_known(valkey: Any, tools: Any, tmp_path: Path) -> None:
    async with tools.stand(tmp_path, valkey.address) as table:
        one, two = table.processes
        token = await table.seat("ann")
        connection = table.path.connection
        assert (await one.sessions.by_token(connection, token, fresh=False)).version == 1
        await two.sessions.end(OPERATOR, "session-ann")
        fresh = await one.sessions.by_token(connection, token)
        assert (fresh.version, fresh.state) == (2, SessionState.ENDED)
        kept = await one.sessions.by_token(connection, token, fresh=False)
        assert kept == fresh


async def test_a_token_of_another_connection_opens_nothing(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one", "two") as (one, two):
        row = tools.session()
        one.cache.keep(row, HASH)
        await one.answered()
        assert one.cache.near(tools.connection(), HASH) == row
        assert one.cache.near(tools.connection("c2"), HASH) is None
        assert await two.cache.far(tools.connection("c2"), HASH) is None
        assert await two.cache.far(tools.connection("c1", "op2"), HASH) is None
        assert await two.cache.far(tools.connection(), HASH) == row


async def test_nothing_of_a_player_or_a_token_stands_on_the_server(valkey: Any, tools: Any, tmp_path: Path) -> None:
    async with tools.stand(tmp_path, valkey.address) as table:
        one, _two = table.processes
        token = await table.seat("ann")
        await one.play(token, "r1", bet("b1"))
        await one.client.answered()
        with Redis.from_url(valkey.address) as server:
            everything = [(key, server.get(key)) for key in server.keys("*")]
        assert len(everything) == 1
        for key, value in everything:
            text = key + value
            assert key.startswith(b"croupier:{" + OPERATOR.encode() + b"}:session:")
            for canary in (token, "canary", "surrogate-ann", "session-ann", "EUR"):
                assert canary.encode() not in text


async def test_what_is_kept_lives_no_longer_than_an_hour_nor_than_the_session(valkey: Any, tools: Any) -> None:
    async with tools.clients(valkey.address, "one") as (one,):
        now = one.shared.clock.now_ms()
        for token, lives in (("long", 10**9), ("short", 30_000), ("over", -1)):
            row = tools.session(token, session=token, expires_at=now + lives)
            one.shared.write(row, token_hash(token))
        await one.answered()
        with Redis.from_url(valkey.address) as server:
            left = {token: server.pttl(session_key("op1", "c1", token_hash(token))) for token in ("long", "short")}
            assert server.dbsize() == 2
        assert 3_500_000 < left["long"] <= 3_600_000
        assert 20_000 < left["short"] <= 30_000


def test_what_was_not_sealed_for_this_place_is_not_there(tools: Any) -> None:
    seal = Seal(tools.key, lambda size: b"n" * size)
    row = tools.session(token_hash="t" * 64, seen_at=5)
    sealed = seal.seal("here", row)
    assert seal.open("here", sealed) == row
    assert seal.open("there", sealed) is None
    assert Seal(b"another test key", lambda size: b"n" * size).open("here", sealed) is None
    for place in range(len(sealed)):
        broken = bytearray(sealed)
        broken[place] ^= 1
        assert seal.open("here", bytes(broken)) is None
        assert seal.open("here", sealed[:place]) is None


@pytest.mark.parametrize("garbage", [b"", b"\x01", b"\x01" + b"x" * 12, b"\x00" * 400, "text", 7, None, [b"\x01"]])
def test_garbage_is_not_there(tools: Any, garbage: Any) -> None:
    assert Seal(tools.key, lambda size: b"n" * size).open("here", garbage) is None


async def test_garbage_on_the_server_is_read_past(valkey: Any, tools: Any, tmp_path: Path) -> None:
    async with tools.stand(tmp_path, valkey.address) as table:
        one, two = table.processes
        token = await table.seat("ann")
        await one.play(token, "r1", bet("b1"))
        await one.client.answered()
        with Redis.from_url(valkey.address) as server:
            (name,) = server.keys("*")
            server.set(name, b"\x01 no session")
        assert isinstance((await two.play(token, "r2", bet("b2"))).outcome, Applied)
        assert two.client.shared.unreadable == 1
        with Redis.from_url(valkey.address) as server:
            server.delete(name)
            server.lpush(name, "a list")
        two.cache.forget_all()
        assert isinstance((await two.play(token, "r3", bet("b3"))).outcome, Applied)


def test_an_older_reading_does_not_replace_a_newer_one(tools: Any) -> None:
    cache, row = SessionCache(), tools.session()
    newer = evolve(row, version=2, state=SessionState.ENDED)
    cache.keep(newer, HASH)
    cache.keep(row, HASH)
    assert cache.near(tools.connection(), HASH) == newer


def test_the_memory_of_a_process_is_bounded(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("croupier.sessions.cache._KEPT", 3)
    cache = SessionCache()
    hashes = [token_hash(str(number)) for number in range(5)]
    for number, hashed in enumerate(hashes):
        cache.keep(tools.session(str(number)), hashed)
    kept = [cache.near(tools.connection(), hashed) is not None for hashed in hashes]
    assert kept == [False, False, True, True, True]
