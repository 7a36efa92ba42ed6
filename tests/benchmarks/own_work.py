"""The hub's own work on a bet, in one process: no sockets, no ledger, a wallet that answers at once.

    python -m tests.benchmarks.own_work [--bets 3000] [--profile]

Signed SOFTSWISS bets go through the real gateway, adapter, engine and dialect. The ledger finds no movement and stores
none, and the wallet's answer is ready made. What is left is what the hub itself costs, with the cryptography of both
hops: verify, parse, policy, machine, render, the record and the line of log. The best of several rounds is told.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from io import StringIO
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

from attrs import frozen

from croupier.contract import HttpRequest, HttpResponse, MovementKind, PeerMove, PeerPlay, PeerPlayer
from croupier.ledger.port import Change, CommitResult, Committed, Ledger, Look, Snapshot
from croupier.ledger.records import ExchangeRow
from croupier.registry import structure
from croupier.runtime.clocks import SystemClock
from croupier.runtime.ids import SystemIds
from croupier.runtime.logs import make_log
from croupier.runtime.metrics import Metrics
from croupier.wallet.channel import Channel
from croupier.wallet.engine import Engine
from croupier.wallet.watch import Bell
from croupier.web.gateway import Gateway
from croupier.web.tracing import trace_of
from croupier_conformance.simulated_hub import OPERATOR, SimulatedHub, SimulatedOperator, SimulatedProvider
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings

SETTINGS: Final = {"api_url": "https://softswiss.example/api", "casino_id": "benchmark"}
SECRETS: Final = {"auth_token": "benchmark-token"}
WALLET_SECRETS: Final = {"signing_secret": "whsec_" + "YmVuY2htYXJrLXNlY3JldC0wMDAwMDAw"}
ROUNDS: Final = 5


def softswiss() -> SimulatedProvider:
    """The provider that bets."""
    return SimulatedProvider(
        name="softswiss",
        adapter="softswiss",
        peer=SoftswissPeer(structure(SETTINGS, SoftswissSettings, where="settings")),
        host="softswiss.example",
        settings=SETTINGS,
        secrets=SECRETS,
        games={"acceptance:test": "Acceptance Test"},
    )


def answer(request: HttpRequest) -> HttpResponse:
    """The wallet's answer."""
    asked = json.loads(request.body)
    told: dict[str, Any] = {"status": "ok", "balance": {"cash": 10**9, "currency": asked["currency"]}}
    names = {"transaction": asked["transaction"], "operator_transaction": "w1"} if "transaction" in asked else {}
    return HttpResponse(200, body=json.dumps(told | (names or {"player": asked["player"]})).encode())


async def answer_bet(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
    """The wallet's answer to a bet, cut from its text: it is no part of what is measured."""
    at = request.body.index(b'"transaction":"') + 15
    return HttpResponse(
        200,
        body=b'{"status":"ok","transaction":"%b","operator_transaction":"w1",'
        b'"balance":{"cash":1000000000,"currency":"EUR"}}' % request.body[at : at + 36],
    )


@frozen
class NoLedger:
    """Knows the players and sessions of a ledger that was read once, and no movement."""

    _ledger: Ledger
    _known: dict[Any, Any]

    def note(self, exchange: ExchangeRow) -> None:
        """Forget it."""

    async def look(self, _look: Look) -> Snapshot:
        """Nothing is there."""
        return Snapshot()

    async def commit(self, _change: Change) -> CommitResult:
        """It is as durable as it will be."""
        return Committed(1)

    def __getattr__(self, name: str) -> Any:
        return partial(self._once, name)

    async def _once(self, name: str, *arguments: Any) -> Any:
        if (name, *arguments) not in self._known:
            self._known[name, *arguments] = await getattr(self._ledger, name)(*arguments)
        return self._known[name, *arguments]


def bets(hub: SimulatedHub, seats: Sequence[PeerPlayer], count: int, part: int) -> list[HttpRequest]:
    """New bets, each in a round of its own, signed."""
    made = []
    for place in range(count):
        move = PeerMove(kind=MovementKind.BET, id=f"bet-{part}-{place}", amount=Decimal("1.00"))
        play = PeerPlay(player=seats[place % len(seats)], round=f"round-{part}-{place}", moves=(move,))
        made.append(hub.signed("softswiss", play))
    return made


def wired(hub: SimulatedHub) -> Gateway:
    """The gateway and what stands behind it, as the runtime wires them, between nothing and nothing."""
    clock, ids, metrics = SystemClock(), SystemIds(), Metrics()
    ledger = cast(Ledger, NoLedger(hub.ledger, {}))
    process = hub.process
    sessions = type(process.sessions)(
        ledger,
        hub.clock,
        ids,
        process.sessions._settings,  # the same keys: its tokens must be known
        process.sessions._alias_rule,  # likewise
    )
    engine = Engine(
        ledger=ledger,
        sessions=sessions,
        games=process.configuration,
        channel=Channel(ledger, answer_bet, clock, ids, metrics),
        clock=clock,
        ids=ids,
        owner=process.engine._owner,  # somebody must own what is begun
        bell=Bell(clock),
    )
    return Gateway(
        directory=lambda: process.configuration.directory,
        engine=engine,
        ledger=ledger,
        clock=clock,
        ids=ids,
        log=make_log(stream=StringIO()),
        metrics=metrics,
    )


async def ask(gateway: Gateway, requests: Sequence[HttpRequest]) -> float:
    """CPU microseconds a request, of those in turn; every answer must be a success."""
    ids = SystemIds()
    gc.collect()
    began = time.process_time()
    for request in requests:
        response = await gateway.handle(
            OPERATOR,
            "softswiss",
            request,
            source="198.51.100.7",
            forwarded=request.headers,
            client_certificate=None,
            trace=trace_of(request.headers, ids),
        )
        if response.status != 200:
            raise SystemExit(f"answered with {response.status}: {response.body!r}")
    return (time.process_time() - began) / len(requests) * 1_000_000


async def run(folder: str, count: int, *, profile: bool) -> None:
    """Measure and tell."""
    operator = SimulatedOperator(secrets=WALLET_SECRETS)
    async with SimulatedHub.open(folder, wallet=answer, providers=[softswiss()], operator=operator) as hub:
        seats = [await hub.launch("softswiss", f"player-{place}") for place in range(64)]
        gateway = wired(hub)
        await ask(gateway, bets(hub, seats, 500, 0))
        measured = [await ask(gateway, bets(hub, seats, count, part)) for part in range(1, ROUNDS + 1)]
        sys.stdout.write(
            f"{min(measured):.1f} us of CPU a bet; rounds: {', '.join(f'{one:.1f}' for one in measured)}\n"
        )
        if profile:
            requests = bets(hub, seats, count, ROUNDS + 1)
            profiler = cProfile.Profile(time.thread_time)
            profiler.enable()
            await ask(gateway, requests)
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(60)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bets", type=int, default=3000, help="how many in a round")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        asyncio.run(run(folder, chosen.bets, profile=chosen.profile))


if __name__ == "__main__":
    main()
