"""The operator's wallet as a process, for a protocol that operators serve already: the dialect's own simulation of one.

    python demo_wallet.py PLAN

`operator_wallet.py`, the example in one file, is what speaks the hub's own protocol.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

import uvloop
from aiohttp import web
from attrs import asdict

from croupier.contract import Credentials, Currencies, Headers, HttpRequest
from demo_dialects import wallet_peer
from demo_plan import CURRENCY, HOST, OPENING_BALANCE, Plan


class Wallet:
    """The simulated wallet behind a socket."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.peer = wallet_peer(plan)
        self.credentials = Credentials({name: (value,) for name, value in plan.wallet_secrets.items()})

    async def serve(self, request: web.Request) -> web.Response:
        headers = Headers.of(request.headers.items())
        asked = HttpRequest(request.method, request.raw_path, headers, await request.read())
        answer = self.peer.answer(asked, self.credentials, datetime.now(UTC))
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers.items))

    async def open(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.peer.open_player(asked["player"], Currencies().get(CURRENCY), OPENING_BALANCE, asked["session"])
        return web.json_response({})

    async def book(self, _request: web.Request) -> web.Response:
        return web.json_response({name: [asdict(row) for row in rows] for name, rows in self.peer.book().items()})

    async def run(self) -> None:
        app = web.Application()
        app.router.add_post("/players", self.open)
        app.router.add_get("/book", self.book)
        app.router.add_route("*", "/{path:.*}", self.serve)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, self.plan.ports["wallet"]).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(Wallet(Plan.read(sys.argv[1])).run())
