"""The one room that wires the others: settings in, a running hub out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import define, evolve, field

from croupier.catalogue.service import CatalogueService
from croupier.configuration.secretbox import SecretBox
from croupier.configuration.service import Configuration
from croupier.contract import hmac_hex
from croupier.ledger.port import Ledger, OnBatch, Owner, unheard
from croupier.ledger.records import Event
from croupier.ledger.sqlite import SqliteLedger
from croupier.net.client import HttpClient
from croupier.net.driver import FlowLimits
from croupier.net.hosts import refuses_host
from croupier.net.outbound import OutboundDriver
from croupier.net.wallet_client import WalletClient
from croupier.reconciliation.desk import CaseDesk
from croupier.reconciliation.healing import Healer
from croupier.registry import Registry
from croupier.runtime.acceleration import Acceleration, accelerate
from croupier.runtime.clocks import boot_of_machine
from croupier.runtime.faults import FaultWatch
from croupier.runtime.ids import SystemIds
from croupier.runtime.ledger_clock import LedgerClock
from croupier.runtime.logs import Log, make_log
from croupier.runtime.loops import end
from croupier.runtime.metrics import Metrics
from croupier.runtime.settings import Settings
from croupier.runtime.timekeeper import Timekeeper, start_clock
from croupier.sessions.service import SessionService, SessionSettings
from croupier.sinks.means import Means
from croupier.sinks.pump import Pump
from croupier.wallet.calendar import Calendar
from croupier.wallet.channel import Channel
from croupier.wallet.deliveries import Deliveries
from croupier.wallet.engine import Engine
from croupier.wallet.overdue import OverdueRounds
from croupier.wallet.ports import Clock, Ids
from croupier.wallet.watch import Bell
from croupier.web.gateway import Gateway, GatewayLimits

LEASE_MS: Final = 20_000
"""How long an intent or a claimed delivery belongs to a process: longer than any call to a wallet may take."""

LOG_HOLD_SECONDS: Final = 0.1
"""How long a line of the log below `warning` may wait for others: what a process that is killed may lose of them."""

CATCH_UP_SECONDS: Final = 5.0
"""How often a process looks for configuration that another one changed."""


@define(eq=False, kw_only=True)
class Hub:
    """Every room, wired.

    Attributes:
        settings: What it was started with.
        clock: Time.
        timekeeper: Keeps it with that of other processes.
        ids: Ids and chance.
        log: The process's log.
        ledger: The durable record.
        registry: Adapters and plugins.
        configuration: What is configured.
        sessions: Sessions and aliases.
        catalogue: Games.
        engine: The money path.
        deliveries: What is owed.
        sinks: Feeds event sinks.
        overdue: Tells of rounds that have been open for too long.
        cases: What comparisons with other books have found.
        gateway: The providers' entrance.
        metrics: Counts.
        outbound: Calls to providers.
        client: The way to providers.
        wallet_client: The way to operators' wallets.
        sink_client: The way to event sinks, so that slow ones keep no launch waiting for a connection.
        owner: This process, as the ledger registered it.
        acceleration: What is kept at hand, and the server for what may be lost.
        draining: Whether it takes no more work.
    """

    settings: Settings
    clock: LedgerClock
    timekeeper: Timekeeper
    ids: Ids
    log: Log
    ledger: Ledger
    registry: Registry
    configuration: Configuration
    sessions: SessionService
    catalogue: CatalogueService
    engine: Engine
    deliveries: Deliveries
    sinks: Pump
    overdue: OverdueRounds
    cases: CaseDesk
    gateway: Gateway
    metrics: Metrics
    outbound: OutboundDriver
    client: HttpClient
    wallet_client: WalletClient
    sink_client: HttpClient
    owner: Owner
    acceleration: Acceleration
    draining: bool = False
    _tasks: list[asyncio.Task[None]] = field(factory=list)
    _finishing: list[asyncio.Task[None]] = field(factory=list)
    """Those of the tasks that end by themselves when they are told to stop."""
    _changed: asyncio.Event = field(factory=asyncio.Event)
    _dropped_told: int = 0
    """How many messages that were not stored the log has told of."""

    def obstacles(self) -> Sequence[str]:
        """Why requests should go elsewhere now; empty when ready."""
        if self.draining:
            return ("draining",)
        return () if self.configuration.directory.works() else ("configuration",)

    def remarks(self) -> Sequence[str]:
        """What else somebody may want to know who finds it ready."""
        return (*self.acceleration.remarks(), *self.timekeeper.remarks())

    def begin(self) -> None:
        """Start the workers: deliveries, sinks, overdue rounds, configuration of others, gauges, time, accelerator."""
        self.acceleration.begin()
        self._finishing = [
            self._work("deliveries", self.deliveries.run),
            self._work("sinks", self.sinks.run),
            self._work("overdue_rounds", self.overdue.run),
        ]
        others = {"configuration": self._catch_up, "gauges": self._gauges, "clock": self.timekeeper.run}
        self._tasks += [*self._finishing, *(self._work(name, work) for name, work in others.items())]

    def _work(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        return asyncio.create_task(self._for_ever(name, work))

    async def _for_ever(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a worker; one that fails is reported and begins anew: what is owed must not wait for a person."""
        while not self.draining:
            try:
                await work()
            except Exception as error:  # whatever it was, the work goes on
                self.log.error("worker_failed", fault=type(error).__name__, source=name, exc_info=error)  # noqa: TRY400 # the log writes no text of exceptions
            if not self.draining:
                await self.clock.sleep(1.0)

    def look_for_changes(self) -> None:
        """Another process has changed the configuration: take it over now."""
        self._changed.set()

    async def _catch_up(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CATCH_UP_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            await self.configuration.catch_up()

    async def _gauges(self) -> None:
        while True:
            if (now := self.ledger.backlog().dropped) > self._dropped_told:
                self.log.warning("exchanges_dropped", count=now - self._dropped_told)
                self._dropped_told = now
            self.metrics.ledger_states(await self.ledger.count_states())
            await self.clock.sleep(CATCH_UP_SECONDS)

    def drain(self) -> None:
        """Take no more work: neither requests nor what is owed."""
        self.draining = True
        self.deliveries.stop()
        self.sinks.stop()
        self.overdue.stop()

    async def close(self) -> None:
        """Stop the workers, finish what was begun, and close everything."""
        self.drain()
        if self._finishing:
            # What would be cut off here stays claimed for the rest of its lease.
            await asyncio.wait(self._finishing, timeout=self.settings.limits.drain_seconds)
        await end(self._tasks)
        await self.engine.drain()
        await self.acceleration.close()
        await self.wallet_client.close()
        await self.sink_client.close()
        await self.client.close()
        await self.ledger.close()


def open_ledger(settings: Settings, on_batch: OnBatch = unheard) -> Ledger:
    """The ledger that the settings name, not yet started; `on_batch` is told of its transactions."""
    path, migrate = settings.database.sqlite_path, settings.database.migrate
    if path is not None:
        return SqliteLedger(path, migrate=migrate, on_batch=on_batch)
    from croupier.ledger.postgres import PostgresLedger

    return PostgresLedger(settings.database.url, migrate=migrate, on_batch=on_batch)


async def open_configuration(
    settings: Settings, environ: Mapping[str, str], ledger: Ledger, clock: Clock, ids: Ids
) -> tuple[Configuration, Registry, bytes]:
    """What is configured, loaded; the registry; and the key that session tokens are derived with.

    Raises:
        SettingsError: A key for secrets at rest is missing or wrong.
    """
    keys = settings.secrets.read(environ)
    registry = Registry(settings.packages.allow_list(), settings.packages.certificate_rule())
    box = SecretBox(keys, settings.secrets.current, secrets.token_bytes)
    configuration = Configuration(ledger, registry, box, clock, ids)
    await configuration.load()
    # The oldest key: it is the one that stays when a new one is added.
    first = keys[min(keys)]
    return configuration, registry, hmac_hex(first, "croupier session tokens").encode()


async def build(settings: Settings, environ: Mapping[str, str]) -> Hub:
    """Open and wire everything; nothing listens and no worker runs yet.

    Raises:
        FixConfigurationError: Settings, keys or the database cannot be used as they are.
    """
    log = make_log(settings.telemetry.level, settings.telemetry.format, hold_seconds=LOG_HOLD_SECONDS)
    metrics = Metrics()
    ledger = open_ledger(settings, metrics.ledger_batch)
    await ledger.start()
    try:
        return await _wire(settings, environ, ledger, log, metrics)
    except BaseException:
        await ledger.close()
        raise


async def _wire(settings: Settings, environ: Mapping[str, str], ledger: Ledger, log: Log, metrics: Metrics) -> Hub:
    ids = SystemIds()
    clock = await start_clock(
        ledger, boot_of_machine() or ids.nonce(), None if settings.database.sqlite_path else asyncio.sleep
    )
    configuration, registry, token_key = await open_configuration(settings, environ, ledger, clock, ids)
    owner: Owner = await ledger.register(f"{settings.owner}-{ids.nonce()[:12]}")
    acceleration = accelerate(settings, token_key, clock, ids, log)
    metrics.watch(acceleration)
    metrics.watch_backlog(ledger.backlog)
    faults = FaultWatch(log, metrics)
    faults.look(configuration.directory)
    configuration.on_resolve = faults.look
    limits, guard, tls = settings.outgoing.limits(), settings.outgoing.guard(), settings.outgoing.tls()
    client = HttpClient(limits=limits, guard=guard, tls=tls)
    wallet_client = WalletClient(limits=limits, guard=guard, tls=tls)
    # Each sink limits itself: a limit of all of them would let slow ones keep the others waiting.
    sink_client = HttpClient(limits=evolve(limits, connections=0), guard=guard, tls=tls)
    sessions = SessionService(
        ledger,
        clock,
        ids,
        SessionSettings(token_key=token_key),
        lambda slug: registry.adapter(slug).aliases,
        cache=acceleration.sessions,
    )
    bell = Bell(clock, acceleration.bells)

    def alarm(operator: str, event: Event) -> None:
        metrics.alarm(operator=operator, kind=event.kind)
        subject = {event.kind.partition(".")[0]: event.subject}
        log.warning(event.kind.replace(".", "_"), operator=operator, **subject)

    channel = Channel(ledger, wallet_client, clock, ids, metrics)
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
        alarm=alarm,
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
        calendar=Calendar(scale=settings.deliveries.scale),
        lease_ms=LEASE_MS,
        alarm=alarm,
    )
    sinks = Pump(
        Means(
            ledger=ledger,
            directory=lambda: configuration.directory,
            send=sink_client,
            refuses_host=lambda host: refuses_host(guard, host),
            clock=clock,
            ids=ids,
            owner=owner,
            log=log,
            metrics=metrics,
            scale=settings.deliveries.scale,
        )
    )
    overdue = OverdueRounds(
        ledger=ledger,
        clock=clock,
        owner=owner,
        hours=lambda: configuration.directory.overdue_hours,
        alarm=alarm,
    )
    healer = Healer(ledger, deliveries.held, clock, lambda: configuration.directory.healed_by_logs)
    gateway = Gateway(
        directory=lambda: configuration.directory,
        engine=engine,
        ledger=ledger,
        clock=clock,
        ids=ids,
        log=log,
        metrics=metrics,
        limits=GatewayLimits(body_bytes=settings.limits.body_bytes),
        rates=acceleration.rates,
    )
    hub = Hub(
        settings=settings,
        clock=clock,
        timekeeper=Timekeeper(ledger=ledger, clock=clock, log=log),
        ids=ids,
        log=log,
        ledger=ledger,
        registry=registry,
        configuration=configuration,
        sessions=sessions,
        catalogue=CatalogueService(configuration),
        engine=engine,
        deliveries=deliveries,
        sinks=sinks,
        overdue=overdue,
        cases=CaseDesk(ledger, clock, alarm, healer),
        gateway=gateway,
        metrics=metrics,
        outbound=OutboundDriver(client, ledger, clock, ids, FlowLimits(total_seconds=settings.limits.request_seconds)),
        client=client,
        wallet_client=wallet_client,
        sink_client=sink_client,
        owner=owner,
        acceleration=acceleration,
    )
    bell.wake = deliveries.wake
    acceleration.connect(hub.look_for_changes, deliveries.wake, bell)
    configuration.on_change = acceleration.tell_configuration
    return hub
