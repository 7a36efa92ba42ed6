"""One process of a simulated hub: the rooms wired as `croupier.runtime.hub` does, and a life that can end.

A process that is killed stands still at its next effect, whichever that is: a reading or writing of the ledger, or a
call that leaves the hub. So a test kills it between any two effects by their number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any, Final, TypeVar, cast

from attrs import define, field, frozen

from croupier.catalogue.service import CatalogueService
from croupier.configuration.secretbox import SecretBox
from croupier.configuration.service import Configuration
from croupier.contract import HttpRequest, HttpResponse
from croupier.ledger.port import Ledger
from croupier.ledger.records import ExchangeRow
from croupier.net.outbound import OutboundDriver
from croupier.registry import Registry
from croupier.runtime.metrics import Metrics
from croupier.sessions.cache import SessionCache
from croupier.sessions.service import SessionService, SessionSettings
from croupier.wallet.calendar import Calendar
from croupier.wallet.channel import Channel
from croupier.wallet.deliveries import Deliveries
from croupier.wallet.engine import Engine
from croupier.wallet.overdue import OverdueRounds
from croupier.wallet.ports import Clock, Ids, Send
from croupier.wallet.watch import Bell
from croupier.web.apps import App
from croupier.web.gateway import Gateway
from croupier.web.operator_api import make_operator_app

T = TypeVar("T")

LEASE_MS: Final = 20_000
"""How long an intent or a claimed delivery belongs to a process."""


@define
class LogBook:
    """A log that keeps its lines, every field as it was given: also those that a real log would withhold."""

    lines: list[dict[str, Any]] = field(factory=list)

    def info(self, event: str, **fields: Any) -> None:
        """What happens all the time."""
        self.lines.append({"event": event, "level": "info", **fields})

    def warning(self, event: str, **fields: Any) -> None:
        """What somebody may want to look into."""
        self.lines.append({"event": event, "level": "warning", **fields})

    def error(self, event: str, **fields: Any) -> None:
        """What must be looked into."""
        self.lines.append({"event": event, "level": "error", **fields})

    def of(self, event: str) -> list[dict[str, Any]]:
        """Every line of an event."""
        return [line for line in self.lines if line["event"] == event]


@define(eq=False)
class Life:
    """What one process of the hub may do before it is killed. After that its work stands still for ever.

    Attributes:
        steps: How many effects it had: every reading and writing of the ledger and every call that leaves it.
        last: The effect after which it dies, if it is to die by itself.
        is_over: Whether it was killed.
    """

    steps: int = 0
    last: int | None = None
    is_over: bool = False
    _end: asyncio.Event = field(factory=asyncio.Event)
    _frozen: list[asyncio.Future[None]] = field(factory=list)

    def kill(self) -> None:
        """Nothing more happens in this process, and its callers lose their connections."""
        self.is_over = True
        self._end.set()

    async def effect(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Have one effect, if it is alive; what it would have told a dead process, nobody hears."""
        await self._living()
        result = await begin()
        self.steps += 1
        if self.last is not None and self.steps >= self.last:
            self.kill()
        await self._living()
        return result

    async def unless_over(self, work: asyncio.Future[T]) -> T | None:
        """What the work comes to, or `None` if the process dies first."""
        ending = asyncio.ensure_future(self._end.wait())
        either: set[asyncio.Future[Any]] = {work, ending}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            work.cancel()
            raise
        finally:
            ending.cancel()
        return None if self.is_over else work.result()

    async def _living(self) -> None:
        if self.is_over:
            for_ever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._frozen.append(for_ever)  # a task that nobody refers to any more would be reported as lost
            await for_ever


@frozen
class MortalLedger:
    """The ledger as one process sees it: a dead one reads and writes nothing. Use `as_ledger`."""

    _ledger: Ledger
    _life: Life

    @classmethod
    def as_ledger(cls, ledger: Ledger, life: Life) -> Ledger:
        """The ledger, tied to a life."""
        return cast(Ledger, cls(ledger, life))

    def note(self, exchange: ExchangeRow) -> None:
        """Keep an exchange."""
        if not self._life.is_over:
            self._ledger.note(exchange)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ledger, name)

        async def tied(*arguments: Any, **named: Any) -> Any:
            return await self._life.effect(partial(method, *arguments, **named))

        return tied


@frozen(kw_only=True, eq=False)
class Process:
    """One process of the hub: everything that is lost when it is killed. It looks for overdue rounds when told to."""

    life: Life
    configuration: Configuration
    sessions: SessionService
    engine: Engine
    deliveries: Deliveries
    overdue: OverdueRounds
    gateway: Gateway
    operator_api: App
    worker: asyncio.Task[None] = field()


@frozen(kw_only=True)
class World:
    """What outlives a process.

    Attributes:
        ledger: The durable record.
        registry: Adapters and dialects.
        clock: Time.
        ids: Ids and chance.
        log: Where every process writes.
        send: The way out of the hub.
        seed: Of the nonces that secrets are sealed with.
    """

    ledger: Ledger
    registry: Registry
    clock: Clock
    ids: Ids
    log: LogBook
    send: Send
    seed: int


async def start_process(world: World, number: int) -> Process:
    """Wire one process and start its worker; `number` tells the processes of one world apart."""
    life = Life()
    ledger = MortalLedger.as_ledger(world.ledger, life)
    clock, ids, metrics = world.clock, world.ids, Metrics()
    owner = await ledger.register(f"hub-{number}")
    box = SecretBox({"test": b"k" * 32}, "test", Random(f"{world.seed}/{number}/secrets").randbytes)
    configuration = Configuration(ledger, world.registry, box, clock, ids)
    await configuration.load()
    settings = SessionSettings(token_key=b"t" * 32)
    sessions = SessionService(
        ledger, clock, ids, settings, lambda slug: world.registry.adapter(slug).aliases, cache=SessionCache()
    )

    async def send(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        return await life.effect(partial(world.send, request, timeout_seconds))

    bell, channel = Bell(clock), Channel(ledger, send, clock, ids, metrics)
    engine = Engine(
        ledger=ledger,
        sessions=sessions,
        games=configuration,
        channel=channel,
        clock=clock,
        ids=ids,
        owner=owner,
        bell=bell,
        lease_ms=LEASE_MS,
    )
    deliveries = Deliveries(
        ledger=ledger,
        channel=channel,
        connections=configuration,
        find_player=engine.wallet_player,
        clock=clock,
        ids=ids,
        owner=owner,
        notify=bell.ring,
        calendar=Calendar(),
        lease_ms=LEASE_MS,
    )
    overdue = OverdueRounds(
        ledger=ledger, clock=clock, owner=owner, hours=lambda: configuration.directory.overdue_hours
    )
    gateway = Gateway(
        directory=lambda: configuration.directory,
        engine=engine,
        ledger=ledger,
        clock=clock,
        ids=ids,
        log=world.log,
        metrics=metrics,
    )
    operator_api = make_operator_app(
        ledger=ledger,
        sessions=sessions,
        catalogue=CatalogueService(configuration),
        outbound=OutboundDriver(send, ledger, clock, ids),
        directory=lambda: configuration.directory,
        clock=clock,
        ids=ids,
        log=world.log,
        metrics=metrics,
    )
    return Process(
        life=life,
        configuration=configuration,
        sessions=sessions,
        engine=engine,
        deliveries=deliveries,
        overdue=overdue,
        gateway=gateway,
        operator_api=operator_api,
        worker=asyncio.ensure_future(deliveries.run()),
    )
