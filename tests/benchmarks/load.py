"""The load generator: plays SOFTSWISS over connections that are kept alive, with requests signed ahead of time.

It reads one JSON command a line and answers with one JSON line: `setup` names a target, `prepare` makes the requests
of one slice and opens the connections, `run` sends for so many seconds and waits for every answer. After the slice
every answer is read and checked, outside the time that is measured.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import uvloop
from attrs import define, field, frozen

from croupier.contract import Credentials, MovementKind, PeerAction, PeerBalance, PeerMove, PeerPlay, PeerPlayer
from croupier.registry import structure
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings

HOST = "127.0.0.1"
MORE = 400
"""So many bets are kept to be repeated."""


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
class Slice:
    """What happens in one slice."""

    source: Iterator[Request]
    deadline: float = 0.0
    done: list[tuple[Request, int, bytes]] = field(factory=list)
    waits: list[float] = field(factory=list)
    lost: int = 0


class Connection(asyncio.Protocol):
    """Sends one request after another."""

    transport: asyncio.Transport

    def __init__(self, one: Slice) -> None:
        self.slice = one
        self.buffer = b""
        self.request: Request | None = None
        self.began = 0.0
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self) -> None:
        self.began = time.perf_counter()
        self.request = next(self.slice.source, None) if self.began < self.slice.deadline else None
        if self.request is None:
            self.finish()
        else:
            self.transport.write(self.request.raw)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if not mark or self.request is None:
            return
        at = head.lower().find(b"content-length:")
        if len(body) < int(head[at + 15 :].split(b"\r\n", 1)[0]):
            return
        self.slice.waits.append(time.perf_counter() - self.began)
        self.slice.done.append((self.request, int(head[9:12]), body))
        self.buffer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished.done():
            self.slice.lost += 1
            self.finish()

    def finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


class Load:
    """Answers commands."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self.target: Target
        self.slice: Slice
        self.case = ""
        self.connections: list[Connection] = []

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        match command.pop("do"):
            case "setup":
                return self.setup(**command)
            case "prepare":
                return await self.prepare(**command)
            case "run":
                return await self.run(**command)
            case other:
                raise ValueError(other)

    def setup(
        self, *, target: str, port: int, prefix: str, settings: Any, token: str, players: list[Any], echoes: bool
    ) -> dict[str, Any]:
        self.targets[target] = Target(
            name=target,
            port=port,
            prefix=prefix,
            peer=SoftswissPeer(structure(settings, SoftswissSettings, where="settings")),
            credentials=Credentials({"auth_token": (token,)}),
            players=[PeerPlayer(**player) for player in players],
            echoes=echoes,
        )
        return {}

    async def prepare(self, target: str, case: str, count: int, connections: int) -> dict[str, Any]:
        self.target, self.case = self.targets[target], case
        self.slice = Slice(iter(self.target.requests(case, count)))
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda: Connection(self.slice), HOST, self.target.port)
            for _ in range(connections)
        ]
        self.connections = [protocol for _, protocol in made]
        return {}

    async def run(self, seconds: float) -> dict[str, Any]:
        one = self.slice
        began, worked = time.perf_counter(), time.process_time()
        one.deadline = began + seconds
        for connection in self.connections:
            connection.send()
        await asyncio.gather(*(connection.finished for connection in self.connections))
        took, worked = time.perf_counter() - began, time.process_time() - worked
        for connection in self.connections:
            connection.transport.close()
        return {"requests": len(one.done), "seconds": took, "cpu_seconds": worked, "lost": one.lost} | self.told()

    def told(self) -> dict[str, Any]:
        """What the answers say."""
        wrong: list[str] = []
        movements = 0
        for request, status, body in self.slice.done:
            if status != 200 or not self.is_right(request, body):
                wrong.append(f"{status} {body[:300].decode(errors='replace')}")
                continue
            movements += len(request.ids) if self.case in {"bet", "batch"} else 0
            if self.case == "bet" and len(self.target.applied) < MORE:
                self.target.applied.append(request)
        waits = sorted(self.slice.waits) or [0.0]
        return {
            "movements": movements,
            "wrong": len(wrong),
            "sample": wrong[:1],
            "p50_ms": waits[len(waits) // 2] * 1e3,
            "p99_ms": waits[len(waits) * 99 // 100] * 1e3,
        }

    def is_right(self, request: Request, body: bytes) -> bool:
        told = msgspec.json.decode(body)
        if not self.target.echoes:
            return "balance" in told
        ids = tuple(row["action_id"] for row in told.get("transactions", ()))
        return type(told.get("balance")) is int and ids == request.ids


async def main() -> None:
    load = Load()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer = await load.do(msgspec.json.decode(line))
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
