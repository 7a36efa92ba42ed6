"""The providers as a process: each serves its own API to the hub, and plays rounds against the hub over a bad network.

    python demo_provider.py PLAN

Below `/-/` the demonstration tells them what to do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from yarl import URL

from croupier.contract import Headers, HttpRequest, HttpResponse, Launched
from croupier_conformance.chaos import Chaos, Fault
from croupier_conformance.drivers import ProviderDriver, Seat
from demo_plan import HOST, PROVIDER_TIMEOUT_MS, Plan, Provider

TIMEOUT = PROVIDER_TIMEOUT_MS / 1000
ENCORES = 60


class ProviderProcess:
    """A peer, its driver, and the sockets between them and the hub."""

    def __init__(self, plan: Plan, provider: Provider, http: aiohttp.ClientSession) -> None:
        self.provider = provider
        self.http = http
        subject = provider.subject()
        self.peer = subject.peer()
        self.credentials = subject.credentials
        name = provider.name
        self.chaos = Chaos(f"{plan.seed}/{name}/network", timeout_seconds=TIMEOUT)
        self.driver = ProviderDriver(
            name=name, peer=self.peer, credentials=self.credentials, send=self.send, seed=f"{plan.seed}/{name}"
        )
        self.gateway = plan.gateway(name)
        self.seats: list[Seat] = []
        self.seconds: list[float] = []
        self.playing: asyncio.Future[Any] | None = None

    # --- towards the hub ----------------------------------------------------------------------------------------------

    async def send(self, request: HttpRequest) -> HttpResponse | None:
        """Send as the provider does: wait so long and no longer, over the bad network."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self.chaos.carry(partial(self.deliver, request))
        except TimeoutError:
            return None

    async def deliver(self, request: HttpRequest) -> HttpResponse | None:
        """One request over a real socket."""
        begun = time.perf_counter()
        url = URL(self.gateway + request.url, encoded=True)
        try:
            async with self.http.request(request.method, url, data=request.body, headers=request.headers.items) as got:
                answer = HttpResponse(got.status, Headers.of(got.headers.items()), await got.read())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        self.seconds.append(time.perf_counter() - begun)
        return answer

    # --- what the hub asks --------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.Response:
        headers = Headers.of(request.headers.items())
        asked = HttpRequest(request.method, str(request.url), headers, await request.read())
        answer = self.peer.serve(asked, self.credentials, datetime.now(UTC))
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers.items))

    # --- what the demonstration asks ----------------------------------------------------------------------------------

    async def sit_down(self, request: web.Request) -> web.Response:
        players = await request.json()
        self.seats += await asyncio.gather(
            *[self.driver.sit_down(label, Launched(**launch)) for label, launch in players]
        )
        return web.json_response({"seats": len(self.seats)})

    async def play(self, request: web.Request) -> web.Response:
        """Begin to play; the rounds are spread over the seats."""
        rounds = (await request.json())["rounds"]
        each, more = divmod(rounds, len(self.seats))
        shares = [each + (place < more) for place in range(len(self.seats))]
        self.playing = asyncio.ensure_future(self._play(shares))
        return web.json_response({})

    async def _play(self, shares: list[int]) -> None:
        """Play the rounds, and some more where a kind of fault has met nobody yet."""
        await asyncio.gather(*(self.driver.play(seat, share) for seat, share in zip(self.seats, shares, strict=True)))
        for _turn in range(ENCORES):
            if all(self.chaos.struck[fault] for fault in Fault):
                return
            await asyncio.gather(*(self.driver.play(seat, 1) for seat in self.seats))

    async def state(self, _request: web.Request) -> web.Response:
        failed = None
        if self.playing is not None and self.playing.done() and self.playing.exception() is not None:
            failed = repr(self.playing.exception())
        return web.json_response(
            {
                "rounds": self.driver.tally["rounds"],
                "finished": self.playing is not None and self.playing.done(),
                "failed": failed,
                "tally": self.driver.tally,
                "struck": {fault.value: count for fault, count in self.chaos.struck.items()},
                "on_its_way": self.chaos.on_its_way,
            }
        )

    async def quiet(self, _request: web.Request) -> web.Response:
        self.chaos.quiet = True
        return web.json_response({})

    async def book(self, _request: web.Request) -> web.Response:
        rows = [[entry.transaction, entry.player, entry.kind, entry.amount] for entry in self.driver.book.values()]
        return web.json_response({"entries": rows, "seconds": sorted(self.seconds)})

    async def listen(self) -> None:
        app = web.Application()
        app.router.add_post("/-/seats", self.sit_down)
        app.router.add_post("/-/play", self.play)
        app.router.add_get("/-/state", self.state)
        app.router.add_post("/-/quiet", self.quiet)
        app.router.add_get("/-/book", self.book)
        app.router.add_route("*", "/{path:.*}", self.serve)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, self.provider.port).start()


async def main(plan: Plan) -> None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT * 4)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        for provider in plan.providers:
            await ProviderProcess(plan, provider, http).listen()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Plan.read(sys.argv[1])))
