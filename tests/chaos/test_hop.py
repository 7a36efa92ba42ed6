"""The proxy of the crash run carries, cuts, delays and parts as it says: else the run would prove less than it says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.chaos.hop import HOST, Cut, Hop, Mishap, Way
from tests.chaos.plan import free_ports

SYNC = b"S\0\0\0\x04"


class Echo(asyncio.Protocol):
    """A receiver that answers each message with itself, and remembers it."""

    def __init__(self, heard: list[bytes]) -> None:
        self.heard = heard

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)
        self.transport.write(b"re " + data)


@asynccontextmanager
async def carried(hop: Hop, *before: tuple[str, int]) -> AsyncIterator[tuple[list[bytes], int]]:
    """What its receiver hears, and the port where it listens."""
    heard: list[bytes] = []
    server = await asyncio.get_running_loop().create_server(lambda: Echo(heard), HOST, 0)
    async with server:
        (port,) = free_ports(1)
        await hop.listen(port, *before, server.sockets[0].getsockname()[:2])
        try:
            yield heard, port
        finally:
            await hop.close()
            await asyncio.sleep(0.05)


async def ask(port: int, message: bytes, seconds: float = 10.0) -> bytes | None:
    """The answer; nothing if the connection breaks; `None` for silence."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(message)
        async with asyncio.timeout(seconds):
            return await reader.read(1000)
    except TimeoutError:
        return None
    except OSError:
        return b""
    finally:
        writer.transport.abort()


async def until_heard(heard: list[bytes], *messages: bytes) -> None:
    async with asyncio.timeout(10):
        while heard != list(messages):  # noqa: ASYNC110 # a test may ask again and again
            await asyncio.sleep(0.01)


async def test_what_meets_nothing_passes() -> None:
    async with carried(Hop("hop", random.Random(1))) as (heard, port):
        assert await ask(port, b"one") == b"re one"
        assert heard == [b"one"]


@pytest.mark.parametrize(
    ("mishap", "answer", "expected"),
    [
        (Mishap.CUT_BEFORE, b"", []),
        (Mishap.CUT_AFTER, b"", [b"one"]),
        (Mishap.SILENT_AFTER, None, [b"one"]),
        (Mishap.LATE, None, [b"one"]),
        (Mishap.SLOW, b"re one", [b"one"]),
    ],
)
async def test_a_request_meets_its_mishap(mishap: Mishap, answer: bytes | None, expected: list[bytes]) -> None:
    hop = Hop("hop", random.Random(1), patience=0.1, shares={mishap: 1000})
    async with carried(hop) as (heard, port):
        assert await ask(port, b"one", 0.1 if answer is None else 10.0) == answer
        await until_heard(heard, *expected)
        assert hop.struck == {mishap.value: 1}


async def test_what_stands_in_a_partition_passes_when_it_ends_though_its_sender_is_gone() -> None:
    hop = Hop("hop", random.Random(1))
    async with carried(hop) as (heard, port):
        hop.part(Way.STUCK)
        assert await ask(port, b"one", 0.1) is None
        assert heard == []
        hop.part(Way.OPEN)
        await until_heard(heard, b"one")


async def test_a_broken_way_resets_those_whom_it_is_about_and_no_others() -> None:
    hop = Hop("hop", random.Random(1))
    async with carried(hop) as (heard, port):
        hop.part(Way.BROKEN)
        assert await ask(port, b"one") == b""
        hop.part(Way.BROKEN, lambda _port: False)
        assert await ask(port, b"two") == b"re two"
        assert heard == [b"two"]


@pytest.mark.parametrize(("cut", "expected"), [(Cut.BEFORE, []), (Cut.WITHIN, [b"COMMIT"]), (Cut.AFTER, [b"COMMIT"])])
async def test_a_session_is_cut_at_its_commit(cut: Cut, expected: list[bytes]) -> None:
    hop = Hop("hop", random.Random(1), commits=True)
    async with carried(hop) as (heard, port):
        hop.cut(cut)
        assert await ask(port, b"SELECT" + SYNC) == b"re SELECT" + SYNC
        assert await ask(port, b"COMMIT") == b""
        await until_heard(heard, b"SELECT" + SYNC, *expected)
        assert hop.struck == {cut.value: 1}


async def test_what_a_writer_sends_in_one_go_is_a_commit() -> None:
    hop = Hop("hop", random.Random(1), commits=True)
    async with carried(hop) as (_heard, port):
        hop.cut(Cut.AFTER)
        assert await ask(port, b"croupier-writer-1 INSERT" + SYNC) == b""


async def test_a_receiver_that_takes_no_connections_is_passed_over() -> None:
    (nobody,) = free_ports(1)
    async with carried(Hop("hop", random.Random(1)), (HOST, nobody)) as (_heard, port):
        assert await ask(port, b"one") == b"re one"
