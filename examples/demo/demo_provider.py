"""The providers as a process: each serves its own API to the hub, and plays rounds against the hub over a bad network.

    python demo_provider.py PLAN

Below `/-/` the demonstration tells them what to do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from yarl import URL

from croupier.contract import Headers, HttpRequest, HttpResponse, Launched
from croupier_conformance.chaos import Chaos, Fault
from croupier_conformance.drivers import Habits, ProviderDriver, Seat
from demo_plan import HOST, PROVIDER_TIMEOUT_MS, Plan, Provider

TIMEOUT = PROVIDER_TIMEOUT_MS / 1000
ENCORES = 60
HABITS = Habits()


class ProviderServer(ABC):
    """A peer, its driver, and the sockets between them and a hub; what it meets on the way is said elsewhere.

    Args:
        provider: Who it is.
        http: What it sends with.
        seed: Of what it plays.
        habits: How it plays.
    """

    def __init__(
        self, provider: Provider, http: aiohttp.ClientSession, *, seed: object, habits: Habits = HABITS
    ) -> None:
        self.provider = provider
        self.http = http
        subject = provider.subject()
        self.peer = subject.peer()
        self.credentials = subject.credentials
        self.driver = ProviderDriver(
            name=provider.name,
            peer=self.peer,
            credentials=self.credentials,
            send=self.send,
            seed=f"{seed}/{provider.name}",
            habits=habits,
        )
        self.seats: list[Seat] = []
        self.playing: asyncio.Future[Any] | None = None

    @abstractmethod
    async def send(self, request: HttpRequest) -> HttpResponse | None:
        """Send as the provider does; `None` without an answer."""

    @abstractmethod
    async def play(self, request: web.Request) -> web.Response:
        """Begin to play."""

    @abstractmethod
    async def state(self, request: web.Request) -> web.Response:
        """How far it has come."""

    async def deliver(self, gateway: str, request: HttpRequest) -> HttpResponse | None:
        """One request over a real socket."""
        url = URL(gateway + request.url, encoded=True)
        try:
            async with self.http.request(request.method, url, data=request.body, headers=request.headers.items) as got:
                return HttpResponse(got.status, Headers.of(got.headers.items()), await got.read())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    async def serve(self, request: web.Request) -> web.Response:
        """What the hub asks: the provider's own API."""
        headers = Headers.of(request.headers.items())
        asked = HttpRequest(request.method, str(request.url), headers, await request.read())
        answer = self.peer.serve(asked, self.credentials, datetime.now(UTC))
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers.items))

    async def sit_down(self, request: web.Request) -> web.Response:
        """Open the games that were launched."""
        players = await request.json()
        self.seats += await asyncio.gather(
            *[self.driver.sit_down(label, Launched(**launch)) for label, launch in players]
        )
        return web.json_response({"seats": len(self.seats)})

    def failure(self) -> str | None:
        """What playing has failed with."""
        if self.playing is None or not self.playing.done() or self.playing.cancelled():
            return None
        return repr(error) if (error := self.playing.exception()) else None

    def entries(self) -> list[list[Any]]:
        """What the provider's book holds."""
        return [[entry.transaction, entry.player, entry.kind, entry.amount] for entry in self.driver.book.values()]

    async def book(self, _request: web.Request) -> web.Response:
        return web.json_response(self.entries())

    async def listen(self, *more: web.RouteDef) -> None:
        """Listen from now on; `more` can be asked for beside what every provider is."""
        app = web.Application()
        app.router.add_routes(
            [
                web.post("/-/seats", self.sit_down),
                web.post("/-/play", self.play),
                web.get("/-/state", self.state),
                web.get("/-/book", self.book),
                *more,
                web.route("*", "/{path:.*}", self.serve),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, self.provider.port).start()


class ProviderProcess(ProviderServer):
    """A provider of the demonstration."""

    def __init__(self, plan: Plan, provider: Provider, http: aiohttp.ClientSession) -> None:
        super().__init__(provider, http, seed=plan.seed)
        self.chaos = Chaos(f"{plan.seed}/{provider.name}/network", timeout_seconds=TIMEOUT)
        self.gateway = plan.gateway(provider.name)
        self.seconds: list[float] = []

    async def send(self, request: HttpRequest) -> HttpResponse | None:
        """Send as the provider does: wait so long and no longer, over the bad network."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self.chaos.carry(partial(self._timed, request))
        except TimeoutError:
            return None

    async def _timed(self, request: HttpRequest) -> HttpResponse | None:
        begun = time.perf_counter()
        answer = await self.deliver(self.gateway, request)
        if answer is not None:
            self.seconds.append(time.perf_counter() - begun)
        return answer

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
        return web.json_response(
            {
                "rounds": self.driver.tally["rounds"],
                "finished": self.playing is not None and self.playing.done(),
                "failed": self.failure(),
                "tally": self.driver.tally,
                "struck": {fault.value: count for fault, count in self.chaos.struck.items()},
                "on_its_way": self.chaos.on_its_way,
            }
        )

    async def quiet(self, _request: web.Request) -> web.Response:
        self.chaos.quiet = True
        return web.json_response({})

    async def book(self, _request: web.Request) -> web.Response:
        return web.json_response({"entries": self.entries(), "seconds": sorted(self.seconds)})


async def main(plan: Plan) -> None:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT * 4)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        for provider in plan.providers:
            process = ProviderProcess(plan, provider, http)
            await process.listen(web.post("/-/quiet", process.quiet))
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Plan.read(sys.argv[1])))
