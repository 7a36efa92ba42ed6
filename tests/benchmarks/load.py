"""The load generator: plays SOFTSWISS over connections that are kept alive, with requests signed ahead of time.

It reads one JSON command a line and answers with one JSON line: `setup` names a target, `prepare` makes the requests
of one slice and opens the connections, `run` sends for so many seconds and waits for the answers. A slice has one
stream of requests or several, at targets of their own. Afterwards every answer is read and checked, outside the time
that is measured.

A stream without a rate has a request under way on every connection all the time. One with a rate begins a request at
every tick of that rate, answered or not: a wait is counted from the tick, so that a target which stops for a moment is
told with every request that would have come meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
import uvloop
from attrs import define, field, frozen
from tests.benchmarks.load_ticks import Ticks

from croupier.contract import Credentials, MovementKind, PeerAction, PeerBalance, PeerMove, PeerPlay, PeerPlayer
from croupier.registry import structure
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings

HOST: Final = "127.0.0.1"
MORE: Final = 400
"""So many bets are kept to be repeated."""

PATIENCE: Final = 60.0
"""So many seconds after the end of a slice an answer is waited for."""


@frozen
class Request:
    """One request as it is sent, with the ids that its answer must name."""

    raw: bytes
    ids: tuple[str, ...]


@define(eq=False)
class Target:
    """Who is asked."""

    name: str
    port: int
    prefix: str
    peer: SoftswissPeer
    credentials: Credentials
    players: Sequence[PeerPlayer]
    echoes: bool
    applied: list[Request] = field(factory=list)
    made: int = 0

    def request(self, case: str, place: int) -> Request:
        """A new request of a case."""
        player = self.players[place % len(self.players)]
        self.made += 1
        round_id = f"{self.name}-{self.made}"
        bet = PeerMove(kind=MovementKind.BET, id=f"bet-{round_id}", amount=Decimal("1.00"))
        action: PeerAction
        match case:
            case "bet":
                action = PeerPlay(player=player, round=round_id, moves=(bet,))
            case "batch":
                win = PeerMove(kind=MovementKind.WIN, id=f"win-{round_id}", amount=Decimal("0.50"))
                action = PeerPlay(player=player, round=round_id, moves=(bet, win), closes_round=True)
            case "balance":
                action = PeerBalance(player=player)
            case _:
                raise ValueError(case)
        ids = tuple(move.id for move in action.moves) if isinstance(action, PeerPlay) else ()
        made = self.peer.request(action, self.credentials, datetime.now(UTC))
        head = [f"POST {self.prefix}{made.url} HTTP/1.1", f"Host: {HOST}:{self.port}"]
        head += [f"{name}: {value}" for name, value in made.headers]
        head += [f"Content-Length: {len(made.body)}", "", ""]
        return Request("\r\n".join(head).encode() + made.body, ids)

    def requests(self, case: str, count: int) -> list[Request]:
        """The requests of a slice; duplicates are bets that were answered before."""
        if case == "duplicate":
            return [self.applied[place % len(self.applied)] for place in range(count)]
        return [self.request(case, place) for place in range(count)]


@define(eq=False)
class Stream:
    """What is sent to one target in one slice.

    Attributes:
        target: Who is asked.
        case: What is asked.
        source: The requests.
        rate: Requests a second, or `None`.
        judged: Whether answers are waited for and must be right.
        deadline: When no request begins any more.
        done: Every request with its status and answer.
        waits: How long each took, in seconds.
        lost: Connections that ended, and requests that were never answered.
    """

    target: Target
    case: str
    source: Iterator[Request]
    rate: float | None
    judged: bool
    deadline: float = 0.0
    done: list[tuple[Request, int, bytes]] = field(factory=list)
    waits: list[float] = field(factory=list)
    lost: int = 0
    connections: list[Connection] = field(factory=list)
    free: list[Connection] = field(factory=list)
    due: deque[float] = field(factory=deque)
    ticks: Ticks | None = None

    def begin(self, now: float, seconds: float, place: float) -> None:
        """Start sending; with a rate, by such a part of the time between two requests later."""
        self.deadline = now + seconds
        if self.rate is None:
            for connection in self.connections:
                self.idle(connection)
            return
        self.free = list(self.connections)
        self.ticks = Ticks(self.rate, self.tick)
        self.ticks.start(now + place / self.rate, self.deadline)

    def tick(self, at: float) -> None:
        """A request is due."""
        if self.free:
            self.free.pop().send(next(self.source, None), at)
        else:
            self.due.append(at)

    def idle(self, connection: Connection) -> None:
        """A connection can take the next request."""
        if self.rate is None:
            now = time.perf_counter()
            connection.send(next(self.source, None) if now < self.deadline else None, now)
        elif self.due:
            connection.send(next(self.source, None), self.due.popleft())
        elif self.ticks is None or self.ticks.over:
            connection.finish()
        else:
            self.free.append(connection)

    async def end(self) -> None:
        """Until every answer is here."""
        if self.ticks is not None:
            await self.ticks.ended
            for connection in self.free:
                connection.finish()
        if self.judged:
            left = {connection.finished for connection in self.connections}
            _done, left = await asyncio.wait(left, timeout=max(self.deadline + PATIENCE - time.perf_counter(), 0.0))
            self.lost += len(left)

    def close(self) -> None:
        for connection in self.connections:
            connection.finish()
            connection.transport.close()

    def told(self) -> dict[str, Any]:
        """What the answers say."""
        refused: list[str] = []
        movements = answered = 0
        for request, status, body in self.done:
            if status != 200 or not self.is_right(request, body):
                refused.append(f"{status} {body[:300].decode(errors='replace')}")
                continue
            answered += 1
            movements += len(request.ids) if self.case in {"bet", "batch"} else 0
            if self.case == "bet" and len(self.target.applied) < MORE:
                self.target.applied.append(request)
        waits = sorted(self.waits) or [0.0]
        return {
            "requests": answered,
            "movements": movements,
            "refused": len(refused),
            "sample": refused[:1],
            "lost": self.lost,
            "p50_ms": waits[len(waits) // 2] * 1e3,
            "p99_ms": waits[len(waits) * 99 // 100] * 1e3,
            "max_ms": waits[-1] * 1e3,
        }

    def is_right(self, request: Request, body: bytes) -> bool:
        told = msgspec.json.decode(body)
        if not self.target.echoes:
            return "balance" in told
        ids = tuple(row["action_id"] for row in told.get("transactions", ()))
        return type(told.get("balance")) is int and ids == request.ids


class Connection(asyncio.Protocol):
    """Sends one request after another."""

    transport: asyncio.Transport

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.buffer = b""
        self.request: Request | None = None
        self.began = 0.0
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: Request | None, began: float) -> None:
        """Send a request whose wait is counted from `began`; without one the connection has done its work."""
        self.began, self.request = began, request
        if request is None:
            self.finish()
        else:
            self.transport.write(request.raw)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if not mark or self.request is None:
            return
        at = head.lower().find(b"content-length:")
        if len(body) < int(head[at + 15 :].split(b"\r\n", 1)[0]):
            return
        stream = self.stream
        stream.waits.append(time.perf_counter() - self.began)
        stream.done.append((self.request, int(head[9:12]), body))
        self.buffer = b""
        stream.idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.stream.lost += 1
            self.finish()

    def finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


class Load:
    """Answers commands."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self.streams: list[Stream] = []

    async def do(self, command: dict[str, Any]) -> Any:
        match command.pop("do"):
            case "setup":
                return self.setup(**command)
            case "prepare":
                self.streams = [await self.prepare(**stream) for stream in command["streams"]]
                return {}
            case "run":
                return await self.run(**command)
            case other:
                raise ValueError(other)

    def setup(
        self, *, target: str, port: int, prefix: str, settings: Any, token: str, players: list[Any], echoes: bool
    ) -> dict[str, Any]:
        known = self.targets.get(target)
        self.targets[target] = Target(
            name=target,
            made=known.made if known else 0,
            port=port,
            prefix=prefix,
            peer=SoftswissPeer(structure(settings, SoftswissSettings, where="settings")),
            credentials=Credentials({"auth_token": (token,)}),
            players=[PeerPlayer(**player) for player in players],
            echoes=echoes,
        )
        return {}

    async def prepare(
        self, *, target: str, case: str, count: int, connections: int, rate: float | None = None, judged: bool = True
    ) -> Stream:
        asked = self.targets[target]
        requests = iter(asked.requests(case, count))
        stream = Stream(target=asked, case=case, source=requests, rate=rate, judged=judged)
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _transport, made = await loop.create_connection(lambda: Connection(stream), HOST, asked.port)
            stream.connections.append(made)
        return stream

    async def run(self, seconds: float) -> list[dict[str, Any]]:
        began, worked = time.perf_counter(), time.process_time()
        for place, stream in enumerate(self.streams):
            stream.begin(began, seconds, place % 2 / 2)  # two targets are not asked in the same moment
        for stream in self.streams:
            await stream.end()
        took, worked = time.perf_counter() - began, time.process_time() - worked
        for stream in self.streams:
            stream.close()
        return [stream.told() | {"seconds": took, "cpu_seconds": worked} for stream in self.streams]


async def main() -> None:
    load = Load()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer = await load.do(msgspec.json.decode(line))
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
