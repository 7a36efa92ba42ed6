"""The run: start everything, play, kill if asked, drain, compare."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from attrs import define, field
from rich.console import Console
from rich.progress import Progress, TaskID

import demo_show as show
from croupier_conformance.books import Comparison
from demo_books import Sources, read_and_compare, unfinished
from demo_hub import Api, ApiError, configure, launch, write_settings
from demo_plan import NATIVE, OPENING_BALANCE, ROOT, Plan
from demo_processes import DiedError, Processes, until
from demo_sabotage import BOOKS

HERE: Final = Path(__file__).resolve().parent
KILLS: Final = 3
PLAY_SECONDS: Final = 240
DRAIN_SECONDS: Final = 60


@define(eq=False)
class Demo:
    """One run of the demonstration."""

    plan: Plan
    console: Console
    processes: Processes
    http: aiohttp.ClientSession
    crash: bool = False
    providers: dict[str, Api] = field(factory=dict)
    keys: dict[str, str] = field(factory=dict)
    kills: list[str] = field(factory=list)
    drained: bool = False
    found: Comparison = field(factory=lambda: Comparison(transactions=0))

    @property
    def operator_api(self) -> Api:
        return Api(self.http, self.plan.url("operators"), self.keys["operator"])

    @property
    def wallet(self) -> Api:
        return Api(self.http, self.plan.url("wallet"))

    @property
    def hop(self) -> Api:
        return Api(self.http, self.plan.url("hop"))

    async def start(self) -> None:
        """Start every process, and configure the hub."""
        plan = self.plan
        plan.write()
        settings = str(write_settings(plan))
        key = ["-m", "croupier", "admin", "create-key", settings, "--label", "demo", "--why", "the demonstration"]
        wallet = self._wallet_command()
        await asyncio.gather(
            self.processes.start("operator", wallet, [plan.ports["wallet"]]),
            self.processes.start("network", [str(HERE / "demo_hop.py"), str(plan.file)], [plan.ports["hop"]]),
            self.processes.start(
                "providers", [str(HERE / "demo_provider.py"), str(plan.file)], [each.port for each in plan.providers]
            ),
        )
        self.providers = {each.name: Api(self.http, each.url) for each in plan.providers}
        self.keys["admin"] = (await self.processes.run("create-key", key)).strip()
        ports = [plan.ports[name] for name in ("providers", "operators", "admin")]
        await self.processes.start("hub", ["-m", "croupier", "serve", settings], ports)
        self.keys["operator"] = await configure(Api(self.http, plan.url("admin"), self.keys["admin"]), plan)

    def _wallet_command(self) -> list[str]:
        if self.plan.dialect != NATIVE:
            return [str(HERE / "demo_wallet.py"), str(self.plan.file)]
        options = ["--port", str(self.plan.ports["wallet"]), "--database", f"{self.plan.folder}/operator.sqlite"]
        options += [
            "--secret",
            self.plan.wallet_secrets["signing_secret"],
            "--admin",
            "--initial-balance",
            str(OPENING_BALANCE),
        ]
        defect = self.plan.sabotage
        if defect is not None and defect in BOOKS:
            return [str(HERE / "demo_sabotage.py"), defect, *options]
        return [str(ROOT / "examples/operator/operator_wallet.py"), *options]

    async def launch_all(self) -> None:
        """Every player opens an account at the operator and launches a game."""
        for provider in self.plan.providers:
            players = [f"{provider.name}-player-{place + 1}" for place in range(self.plan.players)]
            opened = [{"player": player, "session": f"session-of-{player}"} for player in players]
            await asyncio.gather(*[self.wallet.ask("POST", "/players", each) for each in opened])
            launches = [launch(self.operator_api, provider, player, place) for place, player in enumerate(players)]
            given = await asyncio.gather(*launches)
            await self.providers[provider.name].ask("POST", "/-/seats", list(zip(players, given, strict=True)))

    async def play_and_drain(self) -> None:
        """Play, drain, and compare the books."""
        try:
            async with asyncio.timeout(PLAY_SECONDS):
                await self.play()
        except TimeoutError:
            raise DiedError(f"the rounds were not played to their end in {PLAY_SECONDS} s") from None
        with self.console.status("draining what is owed"):
            self.drained = await self.drain()
            books = Sources(providers=self.providers, hub=self.operator_api, wallet=self.wallet)
            self.found = await read_and_compare(books)

    async def play(self) -> None:
        """Play every round, and kill the hub meanwhile if asked."""
        share, more = divmod(self.plan.rounds, len(self.providers))
        for place, provider in enumerate(self.providers.values()):
            await provider.ask("POST", "/-/play", {"rounds": share + (place < more)})
        moments = self._moments_to_kill()
        with show.progress_bar(self.console) as progress:
            task = progress.add_task("playing", total=self.plan.rounds, note="")
            while True:
                states = await self.states()
                for name, state in states.items():
                    if state["failed"]:
                        raise DiedError(f"{name} cannot go on: {state['failed']}")
                done = sum(state["rounds"] for state in states.values())
                self._advance(progress, task, done, states)
                if all(state["finished"] for state in states.values()):
                    break
                if moments and done >= moments[0]:
                    moments.pop(0)
                    await self.kill_the_hub(done)
                await asyncio.sleep(0.1)

    def _advance(self, progress: Progress, task: TaskID, done: int, states: Mapping[str, Any]) -> None:
        struck = sum(sum(state["struck"].values()) for state in states.values())
        note = f"{struck} faults at the providers" + (f", {len(self.kills)} kills" if self.kills else "")
        progress.update(task, completed=done, note=note)

    def _moments_to_kill(self) -> list[int]:
        """After how many rounds the hub is killed: one moment in each third of the run, and one as draining begins."""
        if not self.crash:
            return []
        dice = random.Random(f"{self.plan.seed}/kills")  # noqa: S311 - the same moments for the same seed
        third = self.plan.rounds / KILLS
        return [int(third * place + dice.uniform(0.15, 0.85) * third) for place in range(KILLS)]

    async def kill_the_hub(self, done: int) -> None:
        await self.processes.kill("hub")
        self.kills.append(f"kill -9 of the hub after {done} rounds")
        await self.processes.start_again("hub")

    async def states(self) -> dict[str, Any]:
        names = [provider.name for provider in self.plan.providers]
        states = await asyncio.gather(*[self.providers[name].ask("GET", "/-/state") for name in names])
        return dict(zip(names, states, strict=True))

    async def drain(self) -> bool:
        """The network behaves from now on, and everything that is owed is delivered; whether that came true."""
        if self.crash:
            await self.kill_the_hub(self.plan.rounds)
        helpers = [*self.providers.values(), self.hop]
        await asyncio.gather(*[helper.ask("POST", "/-/quiet") for helper in helpers])

        async def at_rest() -> bool:
            states = await asyncio.gather(*[helper.ask("GET", "/-/state") for helper in helpers])
            return not any(state["on_its_way"] for state in states)

        async def drained() -> bool:
            return await at_rest() and await unfinished(self.operator_api) == 0 and await at_rest()

        return await until(drained, seconds=DRAIN_SECONDS, pause=0.2)

    async def report(self) -> bool:
        """Print what came of it; whether everything is as it must be."""
        found = self.found
        states = await self.states()
        books = {name: await provider.ask("GET", "/-/book") for name, provider in self.providers.items()}
        seconds = {name: book["seconds"] for name, book in books.items()}
        struck = {name: state["struck"] for name, state in states.items()}
        struck["to operator"] = (await self.hop.ask("GET", "/-/state"))["struck"]
        self.console.print()
        self.console.print(show.rounds_table(self.plan, states, seconds))
        self.console.print(show.faults_table(struck))
        self.console.print(show.books_table(self.plan, found))
        for line in self.kills:
            self.console.print(line)
        missing = show.never_struck(struck)
        for line in missing:
            self.console.print(f"this fault never struck, so the run proves less than it should: {line}")
        for line in show.differences(found):
            self.console.print(f"difference: {line}", highlight=False, markup=False, soft_wrap=True)
        if not self.drained:
            self.console.print(f"after {DRAIN_SECONDS} s something is still owed")
        self.console.print(f"{found.transactions:,} transactions compared one by one")
        return found.difference == 0 and not missing and self.drained


async def run(plan: Plan, *, crash: bool, keep: bool, console: Console) -> int:
    """Run it; the exit status."""
    processes = Processes(Path(plan.folder))
    loop = asyncio.get_running_loop()
    http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
    work = asyncio.ensure_future(_run(Demo(plan, console, processes, http, crash), keep=keep))
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        console.print("stopped")
        return 130
    except (ApiError, DiedError, TimeoutError, aiohttp.ClientError) as error:
        console.print(str(error) or "a process did not answer in time", highlight=False, markup=False)
        return 1
    finally:
        await http.close()
        await processes.stop()


async def _run(demo: Demo, *, keep: bool) -> int:
    console = demo.console
    console.print(show.introduction(demo.plan), highlight=False)
    with console.status("starting the hub, the operator and the providers"):
        await demo.start()
        await demo.launch_all()
    await demo.processes.guard(demo.play_and_drain())
    good = await demo.report()
    if keep:
        console.print(show.addresses(demo.plan, demo.keys), highlight=False, soft_wrap=True)
    console.print(f"three books: difference {demo.found.difference}", highlight=False)
    if keep:
        await demo.processes.watch()
    return 0 if good else 1
