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
from typing import Any, Final

import aiohttp
import uvloop
from aiohttp import web
from tests.chaos.plan import DEMO, TOO_MUCH, Plan

from croupier.contract import HttpRequest, HttpResponse
from croupier_conformance.drivers import Habits, Seat

sys.path.insert(1, str(DEMO))

from demo_provider import ProviderServer  # found by the line above

TWIN_SHARE: Final = 0.01
"""How many requests are sent to two hubs at once."""

ECHO_SHARE: Final = 0.01
"""How many requests are sent again some time after their answer."""

ECHO_SECONDS: Final = 6.0
REMEMBERED: Final = 500
"""How many requests are kept to be sent again at the end."""

PLAY_SIGNS: Final = frozenset({"bets", "wins", "rollbacks", "refused", "unanswered"})


class ProviderProcess(ProviderServer):
    """A provider that may send to any hub."""

    def __init__(self, plan: Plan, name: str, http: aiohttp.ClientSession) -> None:
        super().__init__(plan.provider(name), http, seed=plan.seed, habits=Habits(too_much=TOO_MUCH))
        self.timeout = plan.timing.provider_ms / 1000
        self.dice = random.Random(f"{plan.seed}/{name}/sending")
        self.gateways = plan.gateways(name)
        self.sent: Counter[str] = Counter()
        self.recent: deque[HttpRequest] = deque(maxlen=REMEMBERED)
        self.stopping = False
        self.background: set[asyncio.Task[Any]] = set()

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
        answer = await self._in_time(request, self.gateways[place])
        if answer is None:
            self.sent["without an answer"] += 1
        elif answer.status == 200 and self.dice.random() < 0.05:
            self.recent.append(request)
        return answer

    def _later(self, seconds: float, request: HttpRequest, place: int) -> None:
        async def again() -> None:
            await asyncio.sleep(seconds)
            await self._in_time(request, self.gateways[place % len(self.gateways)])

        task = asyncio.create_task(again())
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    async def _in_time(self, request: HttpRequest, gateway: str) -> HttpResponse | None:
        try:
            async with asyncio.timeout(self.timeout):
                return await self.deliver(gateway, request)
        except TimeoutError:
            return None

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
        return web.json_response(
            {
                "movements": sum(count for name, count in self.driver.tally.items() if name in PLAY_SIGNS),
                "tally": self.driver.tally,
                "sent": self.sent,
                "finished": done and not self.background,
                "failed": self.failure(),
            }
        )

    async def replay(self, _request: web.Request) -> web.Response:
        """Send what is remembered once more, as it was."""
        answers: Counter[str] = Counter()
        for request in tuple(self.recent):
            answer = await self._in_time(request, self.gateways[self.dice.randrange(len(self.gateways))])
            answers["none" if answer is None else str(answer.status)] += 1
        return web.json_response(answers)


async def main(plan: Plan, name: str) -> None:
    """Serve for ever."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as http:
        process = ProviderProcess(plan, name, http)
        await process.listen(web.post("/-/stop", process.stop), web.post("/-/replay", process.replay))
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Plan.read(sys.argv[1]), sys.argv[2]))
