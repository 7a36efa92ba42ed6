"""The bad network between the hub and the operator's wallet, as a process: a proxy that carries requests badly.

python demo_hop.py PLAN
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from functools import partial

import aiohttp
import uvloop
from aiohttp import web

from croupier_conformance.chaos import Chaos
from demo_plan import BUDGET_MS, HOST, Plan
from demo_sabotage import Answer, Message, defect_of_the_hop

TIMEOUT = BUDGET_MS / 1000
OF_THE_HOP = {"host", "connection", "content-length", "transfer-encoding", "keep-alive"}


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """All that is not of one connection alone."""
    return {name: value for name, value in headers.items() if name.lower() not in OF_THE_HOP}


class Hop:
    """Takes the hub's requests and hands them to the wallet."""

    http: aiohttp.ClientSession

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chaos = Chaos(f"{plan.seed}/operator/network", timeout_seconds=TIMEOUT)
        self.deliver = defect_of_the_hop(plan, self.forward)

    async def forward(self, message: Message) -> Answer | None:
        """One request to the wallet over a real socket."""
        url = f"{self.plan.url('wallet')}/{message.path}"
        try:
            async with self.http.post(url, data=message.body, headers=message.headers) as got:
                return Answer(got.status, await got.read(), passed_on(got.headers))
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    async def carry(self, request: web.Request) -> web.Response:
        message = Message(request.match_info["path"], passed_on(request.headers), await request.read())
        answer = await self.chaos.carry(partial(self.deliver, message))
        if answer is None:
            if request.transport is not None:
                request.transport.abort()  # the hub sees its connection break, and knows nothing
            return web.Response(status=502)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def state(self, _request: web.Request) -> web.Response:
        struck = {fault.value: count for fault, count in self.chaos.struck.items()}
        return web.json_response({"struck": struck, "on_its_way": self.chaos.on_its_way})

    async def quiet(self, _request: web.Request) -> web.Response:
        self.chaos.quiet = True
        return web.json_response({})

    async def run(self) -> None:
        app = web.Application()
        app.router.add_get("/-/state", self.state)
        app.router.add_post("/-/quiet", self.quiet)
        app.router.add_post("/{path:.*}", self.carry)
        timeout = aiohttp.ClientTimeout(total=10)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as self.http:
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, HOST, self.plan.ports["hop"]).start()
            await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(Hop(Plan.read(sys.argv[1])).run())
