"""The operator's wallet of the benchmark: answers the native protocol as fast as one process can.

    python wallet_stub.py PORT [silent]

It moves money once under each transaction and answers a repeat like the first request. It checks no signature: what it
costs is no part of what is measured. `/pass/...` is answered with one fixed text, for the proxy that reads nothing. A
silent one takes every request and answers none.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

import msgspec
import uvloop

OPENING: Final = 10**14
PASSED: Final = msgspec.json.encode(
    {
        "balance": OPENING,
        "game_id": "round-000000000000",
        "transactions": [
            {"action_id": "action-000000000000", "tx_id": "0" * 36, "processed_at": "2026-01-01T00:00:00.000000Z"}
        ],
    }
)


class Wallet:
    """Every player's money."""

    def __init__(self) -> None:
        self.moved: set[str] = set()
        self.undone: dict[str, bool] = {}
        self.balances: dict[str, int] = {}

    def move(self, player: str, movement: dict[str, Any]) -> None:
        """Move money, unless this transaction has."""
        if movement["transaction"] in self.moved or movement["transaction"] in self.undone:
            return
        self.moved.add(movement["transaction"])
        amount = movement["amount"] if movement["operation"] == "win" else -movement["amount"]
        self.balances[player] = self.balances.get(player, OPENING) + amount

    def undo(self, player: str, movement: dict[str, Any]) -> bool:
        """Undo what was moved, once; whether there was nothing to undo. What comes later moves nothing."""
        target = movement["target"]
        if target not in self.undone:
            self.undone[target] = target not in self.moved
            if target in self.moved:
                amount = movement["amount"] if movement["undoes"] == "bet" else -movement["amount"]
                self.balances[player] = self.balances.get(player, OPENING) + amount
        return self.undone[target]

    def answer(self, path: bytes, body: bytes) -> bytes:
        """The answer's body."""
        if path.startswith(b"/pass/"):
            return PASSED
        if path == b"/-/state":
            return msgspec.json.encode({"moved": len(self.moved), "undone": len(self.undone)})
        asked = msgspec.json.decode(body)
        player = asked["player"]
        told: dict[str, Any] = {"status": "ok"}
        match asked["operation"]:
            case "bet" | "win":
                self.move(player, asked)
                told |= _moved(asked)
            case "rollback":
                nothing = self.undo(player, asked)
                told |= _moved(asked) | ({"nothing_moved": True} if nothing else {})
            case "batch":
                for movement in asked["movements"]:
                    self.move(player, movement)
                told |= {"batch": asked["batch"], "movements": [_moved(movement) for movement in asked["movements"]]}
            case "balance" | "authenticate":
                told["player"] = player
            case operation:
                raise ValueError(f"the benchmark sends no {operation}")
        told["balance"] = {"cash": self.balances.get(player, OPENING), "currency": asked["currency"]}
        return msgspec.json.encode(told)


def _moved(movement: dict[str, Any]) -> dict[str, str]:
    return {"transaction": movement["transaction"], "operator_transaction": "w" + movement["transaction"]}


class Silence(asyncio.Protocol):
    """One connection on which nothing is ever answered."""


class Connection(asyncio.Protocol):
    """One connection that is kept alive."""

    transport: asyncio.Transport

    def __init__(self, wallet: Wallet) -> None:
        self.wallet = wallet
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, mark, rest = self.buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            answer = self.wallet.answer(head.split(b" ", 2)[1], rest[:length])
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )


async def serve(port: int, *, silent: bool) -> None:
    wallet = Wallet()
    made = Silence if silent else lambda: Connection(wallet)
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), silent=sys.argv[2:] == ["silent"]))
