"""What the hub is compared with: a proxy that only passes on, and a ledger written the naive way.

    python baselines.py proxy --port PORT --wallet PORT [--loop asyncio|uvloop]
    python baselines.py naive --port PORT --wallet PORT --database URL

Both use aiohttp's low-level server and its client with connections that are kept alive, and write no log. The naive
ledger checks no proof, has no state machine and no recovery: it writes a row and commits, calls the wallet, writes what
came of it and commits.
"""

from __future__ import annotations

import argparse
import asyncio
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import msgspec
import psycopg_pool
import uvloop
from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

TABLE = """
CREATE TABLE bets (
    reference text PRIMARY KEY, transaction text NOT NULL, player text NOT NULL, kind text NOT NULL,
    amount bigint NOT NULL, currency text NOT NULL, round text NOT NULL, state text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT = """
INSERT INTO bets (reference, transaction, player, kind, amount, currency, round, state)
VALUES (%s, %s, %s, %s, %s, %s, %s, 'intent') ON CONFLICT DO NOTHING
"""


class Proxy:
    """Passes every request on to the wallet and its answer back."""

    def __init__(self, http: aiohttp.ClientSession, wallet: str) -> None:
        self.http = http
        self.wallet = wallet

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self.http.post(f"{self.wallet}/pass/play", data=await request.read()) as got:
            return web.Response(status=got.status, body=await got.read(), content_type="application/json")


class Naive:
    """Two commits for each request that moves money."""

    def __init__(self, http: aiohttp.ClientSession, wallet: str, pool: psycopg_pool.AsyncConnectionPool[Any]) -> None:
        self.http = http
        self.wallet = wallet
        self.pool = pool

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = msgspec.json.decode(await request.read())
        actions = asked.get("actions", [])
        rows = [(action["action_id"], str(uuid.uuid4()), action) for action in actions]
        known = await self.begin(asked, rows) if rows else None
        if rows and known is None:
            told = await self.call(asked, rows)
            async with self.pool.connection() as connection:
                await connection.execute(
                    "UPDATE bets SET state = 'applied' WHERE reference = ANY(%s)", ([row[0] for row in rows],)
                )
        else:
            told = await self.call(asked, [])
        body: dict[str, Any] = {"balance": told["balance"]["cash"]}
        if rows:
            ids = known or {reference: transaction for reference, transaction, _ in rows}
            body["game_id"] = asked["game_id"]
            body["transactions"] = [{"action_id": reference, "tx_id": ids[reference]} for reference, _, _ in rows]
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    async def begin(self, asked: Any, rows: list[tuple[str, str, Any]]) -> dict[str, str] | None:
        """Write the rows and commit; the ids that are stored, if they were stored before."""
        async with self.pool.connection() as connection:
            new = 0
            for reference, transaction, action in rows:
                done = await connection.execute(
                    INSERT,
                    (
                        reference, transaction, asked["user_id"], action["action"], action["amount"],
                        asked["currency"], asked["game_id"],
                    ),
                )  # fmt: skip
                new += done.rowcount
            if new:
                return None
            found = await connection.execute(
                "SELECT reference, transaction FROM bets WHERE reference = ANY(%s)", ([row[0] for row in rows],)
            )
            return dict(await found.fetchall())

    async def call(self, asked: Any, rows: list[tuple[str, str, Any]]) -> Any:
        movements = [
            {"operation": action["action"], "transaction": transaction, "amount": action["amount"]}
            for _, transaction, action in rows
        ]
        message: dict[str, Any] = {"player": asked["user_id"], "currency": asked["currency"]}
        match movements:
            case []:
                message["operation"] = "balance"
            case [one]:
                message |= one
            case _:
                message |= {"operation": "batch", "batch": str(uuid.uuid4()), "movements": movements}
        url = f"{self.wallet}/{message['operation']}"
        async with self.http.post(url, data=msgspec.json.encode(message)) as got:
            return msgspec.json.decode(await got.read())


async def listen(handler: Handler, port: int) -> None:
    # Without `access_log=None` the low-level server would log.
    server = web.Server(handler, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", port, backlog=4096)
    await listener.serve_forever()


async def main(options: argparse.Namespace) -> None:
    wallet = f"http://127.0.0.1:{options.wallet}"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
        if options.kind == "proxy":
            await listen(Proxy(http, wallet).answer, options.port)
            return
        async with psycopg_pool.AsyncConnectionPool(options.database, min_size=16, max_size=16) as pool:
            async with pool.connection() as connection:
                await connection.execute(TABLE)
            await listen(Naive(http, wallet, pool).answer, options.port)


def run(work: Coroutine[Any, Any, None], loop: str) -> None:
    if loop == "uvloop":
        uvloop.run(work)
    else:
        asyncio.run(work)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["proxy", "naive"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--wallet", type=int, required=True)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    parser.add_argument("--database")
    chosen = parser.parse_args()
    run(main(chosen), chosen.loop)
