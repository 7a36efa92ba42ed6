"""A server beside the ledger, several processes that use it, and what they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, field
from redis import Redis

from croupier.accelerator.bells import NewsBells
from croupier.accelerator.client import Accelerator, State
from croupier.accelerator.keys import news_channel
from croupier.accelerator.news import News
from croupier.accelerator.opening import opener
from croupier.accelerator.rates import Rates
from croupier.accelerator.sessions import CHANGED, AcceleratedSessions, Seal
from croupier.contract import (
    AliasRule,
    Calls,
    Credentials,
    Movement,
    Play,
    PlayResult,
    Policies,
    Policy,
    WalletPolicy,
)
from croupier.ledger.port import Change, Committed
from croupier.ledger.records import PlayerRow, SessionRow, SessionState
from croupier.runtime.clocks import SystemClock
from croupier.runtime.ids import SeededIds
from croupier.sessions.cache import SessionCache
from croupier.sessions.service import SessionService, SessionSettings, token_hash
from croupier.wallet.engine import Engine
from croupier.wallet.parties import Connection, Operator
from croupier.wallet.watch import Bell
from croupier_conformance.model_wallet import ModelDialect, ModelSettings
from croupier_conformance.money_path import CONNECTION, GAME, OPERATOR, MoneyPath
from croupier_conformance.servers import ServerMissingError, ValkeyServer, valkey_server
from croupier_conformance.simulated_process import LogBook

KEY: Final = b"test-key-of-thirty-two-bytes-len"
TIMEOUT: Final = 5.0
"""Far more than an answer takes on a busy machine. Who tests a missing one says how long it is waited for."""

OPENING: Final = 1_000_000


@define(eq=False)
class Client:
    """One process's way to the server."""

    log: LogBook
    accelerator: Accelerator
    news: News
    cache: SessionCache
    shared: AcceleratedSessions
    bell: Bell
    rates: Rates
    listening: asyncio.Event
    _tasks: list[asyncio.Task[None]] = field(factory=list)

    @classmethod
    def of(cls, address: str, name: str, *, timeout: float = TIMEOUT, key: bytes = KEY, **rates: Any) -> Client:
        connect, log, clock = opener(address), LogBook(), SystemClock()
        accelerator = Accelerator(connect, timeout, log)
        news, cache = News(accelerator, connect, news_channel(key), name), SessionCache()
        shared = AcceleratedSessions(accelerator, news, Seal(key, SeededBytes()), clock)
        cache.shared = shared
        bells = NewsBells(news, clock)
        bell, listening = Bell(clock, bells), asyncio.Event()
        bells.answer_with(bell)
        news.on(CHANGED, cache.forget_tokens)
        news.on_return(cache.forget_all)
        news.on_return(listening.set)
        own = Rates(clock=clock, accelerator=accelerator, **rates)
        return cls(log, accelerator, news, cache, shared, bell, own, listening)

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(work) for work in (self.accelerator.run(), self.news.run())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def up(self) -> None:
        await until(lambda: self.accelerator.state is State.UP)

    async def answered(self) -> None:
        """Everything that was told before has arrived."""
        assert await self.accelerator.ask("PING") is not None


class SeededBytes:
    """Nonces that differ from each other."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self, size: int) -> bytes:
        self._made += 1
        return self._made.to_bytes(size, "big")


async def until(true: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 # what is waited for happens in another process
            await asyncio.sleep(0.005)


@asynccontextmanager
async def clients(address: str, *names: str, **options: Any) -> AsyncIterator[tuple[Client, ...]]:
    """Processes that have found the server, and hear each other."""
    made = tuple(Client.of(address, name, **options) for name in names)
    try:
        for client in made:
            client.begin()
        for client in made:
            await client.up()
            await client.listening.wait()
        yield made
    finally:
        for client in made:
            await client.close()


@define(eq=False)
class Process:
    """A process of the hub on the money path: an engine with sessions of its own."""

    path: MoneyPath
    client: Client | None
    cache: SessionCache
    sessions: SessionService
    engine: Engine

    async def play(self, token: str, round: str, *movements: Movement, **rest: Any) -> PlayResult:
        play = Play(operation="play", movements=movements, session=token, round=round, game=GAME, **rest)
        deadline = self.path.clock.monotonic() + 5
        calls = Calls((play,))
        (result,) = await self.engine.handle(self.path.connection, calls, trace="trace", deadline=deadline)
        assert isinstance(result, PlayResult)
        return result


@asynccontextmanager
async def stand(folder: Path, address: str | None, count: int = 2, **options: Any) -> AsyncIterator[Stand]:
    """Processes over one ledger, with a server beside it or without."""
    policy = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000)
    async with MoneyPath.open(folder / "ledger.sqlite3", opening=OPENING, wallet_policy=policy) as path:
        made: list[Process] = []
        for number in range(count):
            client = Client.of(address, f"process-{number}", **options) if address else None
            cache = client.cache if client else SessionCache()
            sessions = SessionService(
                path.ledger,
                path.clock,
                SeededIds(number),
                SessionSettings(token_key=KEY),
                lambda _: AliasRule(alphabet="abc", length=20),
                cache=cache,
            )
            if client:
                client.shared.clock = path.clock
            engine = Engine(
                ledger=path.ledger,
                sessions=sessions,
                games=path.games,
                channel=path.channel,
                clock=path.clock,
                ids=path.ids,
                owner=await path.ledger.register(f"process-{number}"),
                bell=client.bell if client else Bell(path.clock),
            )
            made.append(Process(path, client, cache, sessions, engine))
        try:
            for process in made:
                if process.client:
                    process.client.begin()
                    await process.client.up()
                    await process.client.listening.wait()
            yield Stand(path, made)
        finally:
            for process in made:
                await process.engine.drain()
                if process.client:
                    await process.client.close()


@define(eq=False)
class Stand:
    """Processes over one ledger."""

    path: MoneyPath
    processes: list[Process]

    async def seat(self, alias: str) -> str:
        """Seat a player with money and a session in the ledger; returns the token."""
        token, player, now = f"token-of-{alias}-that-nobody-guesses", f"surrogate-{alias}", self.path.clock.now_ms()
        row = PlayerRow(operator=OPERATOR, player=player, operator_player=f"op-{alias}", created_at=now)
        await self.path.ledger.ensure_player(row)
        self.path.wallet.balances[f"op-{alias}"] = OPENING
        session = SessionRow(
            operator=OPERATOR,
            session=f"session-{alias}",
            player=player,
            connection=CONNECTION,
            game="game-1",
            route=GAME,
            currency="EUR",
            state=SessionState.ACTIVE,
            launch_hash=token_hash(token),
            created_at=now,
            expires_at=now + 3_600_000,
            launch_expires_at=now + 60_000,
            operator_session="the-operators-own-session-canary",
            facts={"display_name": "name-canary", "country": "SE"},
        )
        assert isinstance(await self.path.ledger.commit(Change(operator=OPERATOR, sessions=(session,))), Committed)
        return token


def a_session(token: str = "token-canary", **changes: Any) -> SessionRow:
    """A session that stands in no ledger."""
    fields: dict[str, Any] = {
        "operator": "op1",
        "session": "s1",
        "player": "p1",
        "connection": "c1",
        "game": "g1",
        "route": "r1",
        "currency": "EUR",
        "state": SessionState.ACTIVE,
        "launch_hash": token_hash(token),
        "created_at": 1,
        "expires_at": 10**14,
        "launch_expires_at": 2,
        "operator_session": "operator-session-canary",
        "facts": {"display_name": "name-canary"},
    }
    return SessionRow(**{**fields, **changes})


def a_connection(id: str = "c1", operator: str = "op1") -> Connection:
    """A connection as the engine knows it."""
    party = Operator(id=operator, dialect=ModelDialect(ModelSettings()), credentials=Credentials())
    return Connection(id=id, name=id, provider="model", operator=party, policies=Policies(Policy()))


@pytest.fixture(scope="session")
def server() -> Iterator[ValkeyServer]:
    """A server of this test process, which tests may kill and stall."""
    try:
        with valkey_server(own=True) as made:
            yield made
    except ServerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def valkey(server: ValkeyServer) -> Iterator[ValkeyServer]:
    """The server, empty."""
    with Redis.from_url(server.address) as client:
        client.flushall()
    yield server
    with Redis.from_url(server.address) as client:
        client.flushall()


@pytest.fixture
def tools() -> Tools:
    """What tests of this folder share."""
    return Tools()


@pytest.fixture(scope="session")
def tools_of_the_folder() -> Tools:
    """The same, for what is made once."""
    return Tools()


class Tools:
    """The functions of this file: files of tests cannot import each other."""

    key = KEY
    opening = OPENING
    client = staticmethod(Client.of)
    clients = staticmethod(clients)
    until = staticmethod(until)
    stand = staticmethod(stand)
    session = staticmethod(a_session)
    connection = staticmethod(a_connection)
