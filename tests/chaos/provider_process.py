"""A provider of the crash run as a process: it plays rounds against every hub, and keeps its own book.

    python -m tests.chaos.provider_process PLAN NAME

It waits as long as its protocol lets it, sends again or cancels by its protocol's rules, and now and then sends a
request a second time, at once or later, to whichever hub. Below `/-/` the run tells it what to do.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter, deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import uvloop
from aiohttp import web
from tests.chaos.plan import HOST, TOO_MUCH, Plan
from yarl import URL

from croupier.contract import Headers, HttpRequest, HttpResponse, Launched
from croupier_conformance.drivers import Habits, ProviderDriver, Seat

TWIN_SHARE: Final = 0.01
"""How many requests are sent to two hubs at once."""

ECHO_SHARE: Final = 0.01
"""How many requests are sent again some time after their answer."""

ECHO_SECONDS: Final = 6.0
REMEMBERED: Final = 500
"""How many requests are kept to be sent again at the end."""

PLAY_SIGNS: Final = frozenset({"bets", "wins", "rollbacks", "refused", "unanswered"})


class ProviderProcess:
    """A peer, its driver, and the sockets between them and the hubs."""

    http: aiohttp.ClientSession

    def __init__(self, plan: Plan, name: str) -> None:
        self.provider = plan.provider(name)
        subject = self.provider.subject()
        self.peer = subject.peer()
        self.credentials = subject.credentials
        self.timeout = plan.timing.provider_ms / 1000
        self.dice = random.Random(f"{plan.seed}/{name}/sending")
        self.driver = ProviderDriver(
            name=name,
            peer=self.peer,
            credentials=self.credentials,
            send=self.send,
            seed=f"{plan.seed}/{name}",
            habits=Habits(too_much=TOO_MUCH),
        )
        self.gateways = plan.gateways(name)
        self.seats: list[Seat] = []
        self.sent: Counter[str] = Counter()
        self.recent: deque[HttpRequest] = deque(maxlen=REMEMBERED)
        self.playing: asyncio.Future[Any] | None = None
        self.stopping = False
        self.background: set[asyncio.Task[Any]] = set()

    # --- towards the hubs ---------------------------------------------------------------------------------------------

    async def send(self, request: HttpRequest) -> HttpResponse | None:
        """Send as the provider does: to any hub, waiting so long and no longer."""
        place = self.dice.randrange(len(self.gateways))
        chance = self.dice.random()
        self.sent["requests"] += 1
        if chance < TWIN_SHARE and not self.stopping:
            self.sent["sent twice at once"] += 1
            self._later(0.0, request, place + 1)
        elif chance < TWIN_SHARE + ECHO_SHARE and not self.stopping:
            self.sent["sent again later"] += 1
            self._later(self.dice.uniform(0.0, ECHO_SECONDS), request, place)
        answer = await self._deliver(request, self.gateways[place])
        if answer is None:
            self.sent["without an answer"] += 1
        elif answer.status == 200 and self.dice.random() < 0.05:
            self.recent.append(request)
        return answer

    def _later(self, seconds: float, request: HttpRequest, place: int) -> None:
        async def again() -> None:
            await asyncio.sleep(seconds)
            await self._deliver(request, self.gateways[place % len(self.gateways)])

        task = asyncio.create_task(again())
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    async def _deliver(self, request: HttpRequest, gateway: str) -> HttpResponse | None:
        url = URL(gateway + request.url, encoded=True)
        try:
            async with (
                asyncio.timeout(self.timeout),
                self.http.request(request.method, url, data=request.body, headers=request.headers.items) as got,
            ):
                return HttpResponse(got.status, Headers.of(got.headers.items()), await got.read())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    # --- what the hubs ask --------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.Response:
        """The provider's own API."""
        headers = Headers.of(request.headers.items())
        asked = HttpRequest(request.method, str(request.url), headers, await request.read())
        answer = self.peer.serve(asked, self.credentials, datetime.now(UTC))
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers.items))

    # --- what the run asks --------------------------------------------------------------------------------------------

    async def sit_down(self, request: web.Request) -> web.Response:
        """Open the games that were launched."""
        players = await request.json()
        launches = [(label, Launched(**given)) for label, given in players]
        self.seats += await asyncio.gather(*[self.driver.sit_down(label, given) for label, given in launches])
        return web.json_response({"seats": len(self.seats)})

    async def play(self, _request: web.Request) -> web.Response:
        """Begin to play, until told to stop."""
        self.playing = asyncio.gather(*[self._play(seat) for seat in self.seats])
        return web.json_response({})

    async def _play(self, seat: Seat) -> None:
        while not self.stopping:
            await self.driver.play_round(seat)

    async def stop(self, _request: web.Request) -> web.Response:
        """Begin no more rounds."""
        self.stopping = True
        return web.json_response({})

    async def state(self, _request: web.Request) -> web.Response:
        """How far it has come."""
        done = self.playing is not None and self.playing.done()
        failed = None
        if done and self.playing is not None:
            with suppress(asyncio.CancelledError):
                failed = self.playing.exception()
        return web.json_response(
            {
                "movements": sum(count for name, count in self.driver.tally.items() if name in PLAY_SIGNS),
                "tally": self.driver.tally,
                "sent": self.sent,
                "finished": done and not self.background,
                "failed": repr(failed) if failed else None,
            }
        )

    async def replay(self, _request: web.Request) -> web.Response:
        """Send what is remembered once more, as it was."""
        answers: Counter[str] = Counter()
        for request in tuple(self.recent):
            answer = await self._deliver(request, self.gateways[self.dice.randrange(len(self.gateways))])
            answers["none" if answer is None else str(answer.status)] += 1
        return web.json_response(answers)

    async def book(self, _request: web.Request) -> web.Response:
        """What the provider holds."""
        rows = [[entry.transaction, entry.player, entry.kind, entry.amount] for entry in self.driver.book.values()]
        return web.json_response(rows)

    async def run(self) -> None:
        """Serve for ever."""
        app = web.Application()
        app.router.add_post("/-/seats", self.sit_down)
        app.router.add_post("/-/play", self.play)
        app.router.add_post("/-/stop", self.stop)
        app.router.add_post("/-/replay", self.replay)
        app.router.add_get("/-/state", self.state)
        app.router.add_get("/-/book", self.book)
        app.router.add_route("*", "/{path:.*}", self.serve)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as self.http:
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, HOST, self.provider.port).start()
            await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(ProviderProcess(Plan.read(sys.argv[1]), sys.argv[2]).run())
