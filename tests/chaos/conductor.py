"""What happens to the parties of a crash run, and when: a deck of faults, shuffled by the seed, dealt again and again.

Every fault heals by itself. Several may be under way at once, but one process is started by one fault at a time.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from attrs import define, field
from tests.chaos.hop import Cut, Way
from tests.chaos.processes import Child, command_line, holder_of, members, memory_mib, state_of
from tests.chaos.stand import Stand

Fault = Callable[[], Awaitable[bool]]
"""Does it, and heals it; whether it met anybody."""

AT_ONCE: Final = 4
TERM_SECONDS: Final = 60.0
BACKENDS: Final = (
    "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    " AND backend_type = 'client backend' ORDER BY random() LIMIT {count}) AS chosen"
)


@define(eq=False)
class Conductor:
    """Carries out faults until it is stopped.

    Attributes:
        stand: The parties.
        dice: Chance.
        only: The kinds of faults; without any, all that there are.
        struck: What happened how often.
        told: Every fault with the second of the run in which it began.
        wrong: What no fault explains: a hub that ended by itself, or would not end.
        memory: The most resident memory that any process of a name has had, in MiB.
        enough: Whether only those kinds are dealt that have struck nobody yet.
        rounds: How often the whole deck was dealt.
    """

    stand: Stand
    dice: random.Random
    only: Sequence[str] = ()
    struck: Counter[str] = field(factory=Counter)
    told: list[str] = field(factory=list)
    wrong: list[str] = field(factory=list)
    memory: dict[str, float] = field(factory=dict)
    rounds: int = 0
    stopping: asyncio.Event = field(factory=asyncio.Event)
    enough: bool = False
    _under_way: Counter[str] = field(factory=Counter)
    _began: float = field(factory=time.monotonic)
    _locks: dict[str, asyncio.Lock] = field(factory=dict)

    def faults(self) -> Mapping[str, tuple[Fault, int]]:
        """Every kind of this run with how often it stands in the deck.

        Raises:
            KeyError: There is no such kind, or not over this engine.
        """
        known = self._known()
        return {kind: known[kind] for kind in self.only} if self.only else known

    def _known(self) -> Mapping[str, tuple[Fault, int]]:
        always: dict[str, tuple[Fault, int]] = {
            "hub killed": (self.kill_hub, 4),
            "hub terminated": (self.terminate_hub, 3),
            "worker paused": (self.pause_worker, 3),
            "worker paused past its lease": (self.pause_past_lease, 3),
            "wallet killed": (self.kill_wallet, 2),
            "wallet paused": (self.pause_wallet, 2),
            "wallet slow": (self.slow_wallet, 2),
            "wallet cut off": (self.part_wallet, 4),
            "providers cut off from a hub": (self.part_providers, 4),
            "cache emptied": (self.empty_cache, 5),
            "cache stalled": (self.stall_cache, 3),
            "cache killed": (self.kill_cache, 2),
            "cache set back": (self.set_cache_back, 2),
        }
        if self.stand.postgres is None:
            return always
        return always | {
            "worker killed": (self.kill_worker, 10),
            "worker terminated": (self.terminate_worker, 2),
            "parent of workers killed": (self.kill_parent, 1),
            "wallet cut off from one hub": (self.part_wallet_from_one, 4),
            "database sessions terminated": (self.terminate_backends, 8),
            "database sessions cut at commits": (self.cut_commits, 8),
            "database killed": (self.kill_database, 3),
            "database cut off": (self.part_database, 2),
        }

    # --- the course of a run ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deal faults until `stopping`; when this returns, everything has healed."""
        faults, pace = self.faults(), self.stand.plan.timing.pace
        places = asyncio.Semaphore(AT_ONCE)
        running: set[asyncio.Task[None]] = set()
        watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._measure())]
        while not self.stopping.is_set():
            deck = [kind for kind, (_fault, count) in faults.items() for _ in range(count)]
            # Each kind once before any comes again, so that a short run has them all.
            first = list(faults)
            for kind in first:
                deck.remove(kind)
            self.dice.shuffle(first)
            self.dice.shuffle(deck)
            for kind in (*first, *deck):
                if self.enough and (kind in self.struck or kind in self._under_way):
                    continue
                if await self._is_stopped(pace * self.dice.uniform(0.5, 1.5)):
                    break
                await places.acquire()
                task = asyncio.create_task(self._carry_out(kind, faults[kind][0], places))
                running.add(task)
                task.add_done_callback(running.discard)
            else:
                self.rounds += 1
                _over = await self._is_stopped(0.1)
        if running:
            _done = await asyncio.wait(running)
        for task in watching:
            task.cancel()
        _ended = await asyncio.gather(*watching, return_exceptions=True)
        for hub in self.stand.plan.hubs:
            async with self._lock(hub):
                await self._start_if_down(self.stand.hub(hub))

    async def _is_stopped(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        return self.stopping.is_set()

    async def _carry_out(self, kind: str, fault: Fault, places: asyncio.Semaphore) -> None:
        begun = time.monotonic() - self._began
        self._under_way[kind] += 1
        try:
            if await fault():
                self.struck[kind] += 1
                self.told.append(f"{begun:7.1f} s  {kind}")
        except Exception as error:  # noqa: BLE001 # the run goes on, and fails at its end
            self.wrong.append(f"{begun:.1f} s: {kind}: {type(error).__name__}: {error}")
        finally:
            places.release()
            self._under_way -= Counter((kind,))

    def _now(self) -> str:
        return f"{time.monotonic() - self._began:.1f} s"

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def _watch(self) -> None:
        """A supervisor: starts a hub or the wallet that ended by itself, and remembers that it did."""
        names = [*self.stand.plan.hubs, "wallet"]
        while True:
            await asyncio.sleep(0.5)
            for name in names:
                child = self.stand.processes.children[name]
                async with self._lock(name):
                    if not child.alive:
                        self.wrong.append(f"{time.monotonic() - self._began:.1f} s: {child.obituary()}")
                        await self._start_if_down(child)

    async def _measure(self) -> None:
        while True:
            for child in self.stand.processes.children.values():
                most = max(map(memory_mib, child.pids()), default=0.0)
                self.memory[child.name] = max(self.memory.get(child.name, 0.0), most)
            await asyncio.sleep(2.0)

    async def _start_if_down(self, child: Child) -> None:
        if not child.alive:
            child.signal_group(signal.SIGKILL)
            _gone = await child.is_gone(10.0)
            self.struck["starts that had to be repeated"] += await self.stand.start_again(child)

    def _some_hub(self) -> str:
        return self.dice.choice(self.stand.plan.hubs)

    def _some_worker(self) -> int | None:
        pids = self.stand.hub(self._some_hub()).pids()
        return self.dice.choice(pids) if pids else None

    async def _pause(self, low: float, high: float) -> None:
        await asyncio.sleep(self.dice.uniform(low, high))

    # --- hubs ---------------------------------------------------------------------------------------------------------

    async def kill_hub(self) -> bool:
        """`kill -9` of a hub with all its workers, and a new one after a moment."""
        name = self._some_hub()
        async with self._lock(name):
            child = self.stand.hub(name)
            child.signal_group(signal.SIGKILL)
            _gone = await child.is_gone(10.0)
            await self._pause(0.0, 1.0)
            await self._start_if_down(child)
        return True

    async def kill_parent(self) -> bool:
        """`kill -9` of the parent alone: its workers finish what they began and end."""
        async with self._lock("a"):
            child = self.stand.hub("a")
            if child.running is None:
                return False
            child.running.kill()
            if not await child.is_gone(TERM_SECONDS):
                self.wrong.append(f"{self._now()}: workers outlive their parent: {await self._who_is_left(child)}")
            await self._start_if_down(child)
        return True

    async def kill_worker(self) -> bool:
        """`kill -9` of one worker; its parent starts it again."""
        name = self._some_hub()
        async with self._lock(name):  # a parent whose workers have never listened gives up when one of them ends
            child = self.stand.hub(name)
            pids = child.pids()
            if not pids or child.running is None:
                return False
            with suppress(ProcessLookupError):
                os.kill(self.dice.choice(pids), signal.SIGKILL)
            if child.running.pid in pids:
                _gone = await child.is_gone(10.0)
                await self._start_if_down(child)
        return True

    async def terminate_hub(self) -> bool:
        """SIGTERM in the middle of calls: it ends by itself, with status 0."""
        name = self._some_hub()
        async with self._lock(name):
            child = self.stand.hub(name)
            if child.running is None or not child.alive:
                return False
            child.running.terminate()
            if not await child.is_gone(TERM_SECONDS):
                left = await self._who_is_left(child)
                self.wrong.append(f"{self._now()}: hub {name} does not end at SIGTERM: {left}")
            elif child.running.returncode:
                self.wrong.append(f"at SIGTERM: {child.obituary()}")
            await self._start_if_down(child)
        return True

    async def _who_is_left(self, child: Child) -> str:
        """The processes of a hub that should have ended; their tasks stand in its log then."""
        left = members(child.running.pid) if child.running else []
        hubs = [pid for pid in left if b"resource_tracker" not in command_line(pid)]
        told = ", ".join(f"{pid} ({state_of(pid)})" for pid in hubs)
        for pid in hubs:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
        await asyncio.sleep(1.0)
        return told

    async def terminate_worker(self) -> bool:
        """SIGTERM to one worker; its parent starts another."""
        async with self._lock("a"):
            pids = self.stand.hub("a").pids()
            if not pids:
                return False
            with suppress(ProcessLookupError):
                os.kill(self.dice.choice(pids), signal.SIGTERM)
        return True

    async def pause_worker(self) -> bool:
        """SIGSTOP for a moment."""
        return await self._stopped(self._some_worker(), self.dice.uniform(0.2, 2.0))

    async def pause_past_lease(self) -> bool:
        """SIGSTOP until what it holds has been taken over by others: it goes on as a zombie."""
        return await self._stopped(self._some_worker(), self._past_lease())

    def _past_lease(self) -> float:
        timing = self.stand.plan.timing
        return (timing.lease_ms * 1.3 + timing.provider_ms) / 1000

    async def _stopped(self, pid: int | None, seconds: float) -> bool:
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)
            return True
        return False

    # --- the wallet ---------------------------------------------------------------------------------------------------

    async def kill_wallet(self) -> bool:
        """`kill -9` of the operator's wallet, whose book is durable."""
        async with self._lock("wallet"):
            child = self.stand.processes.children["wallet"]
            child.signal_group(signal.SIGKILL)
            _gone = await child.is_gone(10.0)
            await self._pause(0.0, 1.0)
            await self._start_if_down(child)
        return True

    async def pause_wallet(self) -> bool:
        """It takes connections and answers nothing for a moment."""
        wallet = self.stand.processes.children["wallet"].running
        return await self._stopped(wallet.pid if wallet else None, self.dice.uniform(0.5, 3.0))

    async def slow_wallet(self) -> bool:
        """Every call takes long for a moment."""
        hop = self.stand.hops["wallet"]
        hop.delay = hop.patience * self.dice.uniform(0.1, 0.7)
        await self._pause(1.0, 3.0)
        hop.delay = 0.0
        return True

    async def part_wallet(self) -> bool:
        """No hub reaches it."""
        return await self._part("wallet")

    async def part_wallet_from_one(self) -> bool:
        """One hub does not reach it, the other does."""
        pids = self.stand.hub(self._some_hub()).pids()
        return await self._part("wallet", lambda port: holder_of(port, pids) is not None)

    # --- the other ways -----------------------------------------------------------------------------------------------

    async def part_providers(self) -> bool:
        """No provider reaches one of the hubs."""
        return await self._part(self._some_hub())

    async def part_database(self) -> bool:
        """No hub reaches the database."""
        return await self._part("database")

    async def _part(self, name: str, whom: Callable[[int], bool] = lambda _port: True) -> bool:
        hop = self.stand.hops[name]
        async with self._lock(f"hop {name}"):
            before = hop.concerned
            hop.part(self.dice.choice((Way.BROKEN, Way.STUCK)), whom)
            await self._pause(0.5, 3.0)
            hop.part(Way.OPEN)
        return hop.concerned > before

    # --- the cache ----------------------------------------------------------------------------------------------------

    async def empty_cache(self) -> bool:
        """FLUSHALL, several times."""
        for _turn in range(self.dice.randint(1, 5)):
            await asyncio.to_thread(self._tell_cache, "FLUSHALL")
            await self._pause(0.0, 0.5)
        return True

    async def stall_cache(self) -> bool:
        """It takes connections and answers nothing for a moment."""
        async with self._lock("cache"):
            with self.stand.cache.standing_still():
                await self._pause(0.5, 4.0)
        return True

    async def kill_cache(self) -> bool:
        """`kill -9`, and an empty one after a moment."""
        await asyncio.to_thread(self._tell_cache, "FLUSHALL")
        await asyncio.to_thread(self._tell_cache, "SAVE")
        return await self._restart_cache()

    async def set_cache_back(self) -> bool:
        """It loses what it learned of late, and comes back with what it knew before."""
        await asyncio.to_thread(self._tell_cache, "SAVE")
        await self._pause(1.0, 5.0)
        return await self._restart_cache()

    async def _restart_cache(self) -> bool:
        async with self._lock("cache"):
            await asyncio.to_thread(self.stand.cache.kill)
            await self._pause(0.0, 2.0)
            await asyncio.to_thread(self.stand.cache.start)
        return True

    def _tell_cache(self, command: str) -> None:
        from redis import Redis
        from redis.exceptions import RedisError

        with suppress(RedisError, OSError), Redis.from_url(self.stand.cache.address, socket_timeout=10.0) as client:
            client.execute_command(command)

    # --- the database -------------------------------------------------------------------------------------------------

    async def terminate_backends(self) -> bool:
        """Some or all sessions are ended by the server, several times in a row, wherever they are."""
        ended = 0
        for _turn in range(self.dice.randint(1, 6)):
            ended += await self._terminate(self.dice.choice((1, 2, 4, 100)))
            await self._pause(0.0, 0.2)
        self.struck["sessions that were terminated"] += ended
        return ended > 0

    async def _terminate(self, count: int) -> int:
        import psycopg

        server = self.stand.postgres
        assert server is not None
        with suppress(psycopg.Error):
            found = await asyncio.to_thread(server.execute, BACKENDS.format(count=count))
            return int(str(found[0][0]))
        return 0

    async def cut_commits(self) -> bool:
        """Sessions are lost around commits: before the server has one, while it is at it, before it is heard of."""
        hop = self.stand.hops["database"]
        cuts = list(Cut) * self.dice.randint(1, 4)
        before = sum(hop.struck[cut.value] for cut in Cut)
        hop.cut(*self.dice.sample(cuts, len(cuts)))
        await asyncio.sleep(1.5)
        hop.uncut()
        return sum(hop.struck[cut.value] for cut in Cut) > before and all(hop.struck[cut.value] for cut in Cut)

    async def kill_database(self) -> bool:
        """The server ends as by a power cut, and replays its log."""
        server = self.stand.postgres
        assert server is not None
        async with self._lock("database"):
            await asyncio.to_thread(server.kill)
            await self._pause(0.0, 1.5)
            await asyncio.to_thread(server.start)
        return True
