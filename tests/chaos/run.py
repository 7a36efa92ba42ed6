"""The crash run: `python -m tests.chaos.run`, or `make chaos`.

Real processes play against each other while a seeded conductor kills, pauses and parts them; in the end the books of
the providers, the hub and the operator are compared transaction by transaction. The exit status is 0 only if nothing
differs, nothing is held, every kind of fault struck and every process behaved.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop
from attrs import define, field
from tests.chaos.closing import Auditor, Closing, faults_in_logs
from tests.chaos.conductor import Conductor
from tests.chaos.hop import Cut, Mishap
from tests.chaos.plan import Timing, make_plan
from tests.chaos.processes import EndedError, Processes
from tests.chaos.stand import ApiError, Stand, database

from croupier_conformance.servers import valkey_server

MEMORY_MIB: Final = 600.0
"""More than any one process may have in its memory."""

DRAIN_SECONDS: Final = 120.0
SHOWN: Final = 20
PROVIDERS: Final = "softswiss pragmatic jdb evolution".split()
"""Batches; forms; one address for all, net bets; tables whose rounds the hub ends."""

SABOTAGES: Final = ("no-dedupe", "no-tombstone")


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--seed", type=int, help="of faults, stories and amounts; without it one is drawn and told")
    parser.add_argument("--movements", type=int, default=100_000, help="how many movements, at least (%(default)s)")
    parser.add_argument("--minutes", type=float, default=30.0, help="play no longer than this (%(default)s)")
    parser.add_argument("--engine", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--providers", nargs="+", default=PROVIDERS, help="adapters that are installed (%(default)s)")
    parser.add_argument("--players", type=int, default=64, help="at all providers together (%(default)s)")
    parser.add_argument("--pace", type=float, default=2.5, help="seconds between two faults, about (%(default)s)")
    parser.add_argument("--lease", type=float, default=5.0, help="the hubs' lease in seconds (%(default)s)")
    parser.add_argument("--patience", type=float, default=2.5, help="the providers' time-out in seconds (%(default)s)")
    parser.add_argument("--trouble", type=int, default=1, help="multiplies how many single requests meet trouble")
    parser.add_argument("--faults", help="only these kinds, separated by commas; without it all that there are")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="plant a defect in the wallet: the books must notice")
    parser.add_argument("--keep", action="store_true", help="keep logs, plan and the wallet's book")
    return parser.parse_args(given)


def timing(options: argparse.Namespace) -> Timing:
    """How long everybody waits, from the command line."""
    provider = int(options.patience * 1000)
    margin = provider // 5
    wallet = provider - margin
    lease = int(options.lease * 1000)
    if lease < wallet * 1.5:
        raise SystemExit("--lease: a lease is longer than any call to a wallet: at least 1.2 times --patience")
    return Timing(lease_ms=lease, provider_ms=provider, margin_ms=margin, wallet_ms=wallet, pace=options.pace)


@define(eq=False)
class Run:
    """One crash run, from its first fault to its verdict."""

    stand: Stand
    conductor: Conductor
    began: float = field(factory=time.monotonic)
    seconds: float = 0.0
    states: dict[str, Any] = field(factory=dict)

    async def play(self) -> Closing:
        """Play under faults, then drain and compare."""
        plan = self.stand.plan
        self.began = time.monotonic()
        await self.stand.tell_providers("POST", "/-/play")
        conducting = asyncio.create_task(self.conductor.run())
        try:
            while not await self._enough(plan.movements, plan.minutes * 60):  # noqa: ASYNC110 # it is in other processes
                await asyncio.sleep(0.5)
        finally:
            self.conductor.stopping.set()
            await conducting
        self.seconds = time.monotonic() - self.began
        self.stand.quiet()
        await self.stand.tell_providers("POST", "/-/stop")
        closing = await Auditor(self.stand).close(DRAIN_SECONDS)
        self.states = await self.stand.tell_providers("GET", "/-/state")
        return closing

    async def _enough(self, movements: int, seconds: float) -> bool:
        """Whether enough was played, and every kind of fault dealt, or the time is over."""
        elapsed = time.monotonic() - self.began
        states = await self.stand.tell_providers("GET", "/-/state")
        for name, state in states.items():
            if state["failed"]:
                raise EndedError(f"{name} cannot go on: {state['failed']}")
        done = sum(state["movements"] for state in states.values())
        if sys.stderr.isatty():
            faults = sum(self.conductor.struck.values())
            sys.stderr.write(f"\r{done:,} movements, {faults} faults, {elapsed:.0f} s ")
        self.conductor.enough = done >= movements
        missing = set(self.conductor.faults()) - set(self.conductor.struck)
        return elapsed > seconds or (done >= movements and not missing)

    # --- the verdict --------------------------------------------------------------------------------------------------

    def report(self, closing: Closing) -> bool:
        """Tell what came of it; whether everything is as it must be."""
        tally: Counter[str] = Counter()
        for state in self.states.values():
            tally.update(state["tally"])
        sent: Counter[str] = Counter()
        for state in self.states.values():
            sent.update(state["sent"])
        rows = sum(closing.movements.values())
        say(f"\nplayed for {self.seconds:.0f} s, {rows / max(self.seconds, 1):.0f} movements a second")
        _table("faults that struck", self.conductor.struck)
        for name, hop in self.stand.hops.items():
            if hop.struck:
                _table(f"on the way to {_far_end(name)}", hop.struck)
        _table("acknowledged at the providers", tally)
        _table("sent by the providers", sent)
        _table("movements in the hub's ledger", closing.movements)
        _table("of them", closing.kinds)
        memory = {name: f"{mib:.0f} MiB" for name, mib in sorted(self.conductor.memory.items())}
        _table("the most memory of one process", memory)
        drained = closing.drained_seconds
        say(f"drained in {drained:.1f} s" if drained is not None else f"not drained after {DRAIN_SECONDS:.0f} s")
        say(f"{closing.replayed} old requests sent once more moved {closing.moved_by_replay} things")
        wrong = [*self._wrong(closing), *self._unexplained(tally)]
        for line in (*closing.traces, *wrong):
            say(line)
        found = closing.comparison
        say(f"held: {closing.held}")
        say(f"{found.transactions:,} transactions that stand, compared one by one")
        say(f"three books: difference {found.difference}")
        return not wrong and found.difference == 0

    def _wrong(self, closing: Closing) -> list[str]:
        wrong = list(self.conductor.wrong)
        wrong += [f"left: {line}" for line in closing.left[:SHOWN]]
        wrong += [f"{closing.held} deliveries are held"] if closing.held else []
        wrong += [f"difference: {found.what}" for found in closing.comparison.differences[:SHOWN]]
        wrong += ["repeats of old requests moved money"] if closing.moved_by_replay else []
        logs = faults_in_logs(self.stand.hub(name).log for name in self.stand.plan.hubs)
        wrong += [f"{count} times in {what}" for what, count in logs.items()]
        big = {name: mib for name, mib in self.conductor.memory.items() if mib > MEMORY_MIB}
        wrong += [f"{name} has {mib:.0f} MiB in its memory" for name, mib in big.items()]
        never = sorted(set(self.conductor.faults()) - set(self.conductor.struck))
        struck: set[str] = set().union(*(hop.struck for hop in self.stand.hops.values()))
        never += sorted({mishap.value for mishap in Mishap} - struck)
        cutting = self.conductor.cut_commits in (fault for fault, _count in self.conductor.faults().values())
        never += sorted({cut.value for cut in Cut} - struck) if cutting else []
        return wrong + [f"this never struck, so the run proves less than it should: {kind}" for kind in never]

    @staticmethod
    def _unexplained(tally: Mapping[str, int]) -> list[str]:
        """What a provider is never to hear."""
        return [f"{tally[name]} times {name}" for name in ("unpaid", "not undone") if tally.get(name)]


def _far_end(name: str) -> str:
    return {"wallet": "the wallet", "database": "the database"}.get(name, f"hub {name}")


def _table(title: str, values: Mapping[str, Any]) -> None:
    say(f"{title}: " + ", ".join(f"{value} {name}" for name, value in values.items()))


def say(line: str) -> None:
    """One line for people, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def chaos(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="croupier-chaos-"))
    plan = make_plan(
        folder, seed=seed, engine=options.engine, movements=options.movements, minutes=options.minutes,
        players=options.players, timing=timing(options), trouble=options.trouble, sabotage=options.sabotage,
        providers=options.providers,
    )  # fmt: skip
    say(f"seed {seed}, {plan.engine}, at least {plan.movements:,} movements" + (f", {folder}" if options.keep else ""))
    work = asyncio.ensure_future(_chaos(options, plan_processes := Processes(folder, keep=options.keep), plan))
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        say("stopped")
        return 130
    except (EndedError, ApiError, aiohttp.ClientError, TimeoutError) as error:
        say(f"{type(error).__name__}: {error}")
        return 1
    finally:
        plan_processes.close()


async def _chaos(options: argparse.Namespace, processes: Processes, plan: Any) -> int:
    good = False
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
    with ExitStack() as stack:
        postgres = stack.enter_context(database(plan))
        cache = stack.enter_context(valkey_server(own=True))
        async with session as http:
            stand = Stand(plan, processes, http, cache, postgres)
            try:
                await stand.start()
                only = tuple(options.faults.split(",")) if options.faults else ()
                conductor = Conductor(stand, random.Random(f"{plan.seed}/faults"), only)
                run = Run(stand, conductor)
                good = run.report(await run.play())
                if options.keep:
                    (Path(plan.folder) / "faults.txt").write_text("\n".join(conductor.told) + "\n", "utf-8")
            finally:
                stubborn = await processes.stop()
                for name in stubborn:
                    say(f"did not end by itself: {name}")
                for hop in stand.hops.values():
                    with suppress(OSError):
                        await hop.close()
    return 0 if good and not stubborn else 1


if __name__ == "__main__":
    sys.exit(uvloop.run(chaos(arguments(sys.argv[1:]))))
