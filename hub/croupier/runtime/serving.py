"""A hub behind its listeners, from start to a graceful end."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from attrs import evolve, frozen

from croupier.contract import HttpResponse, SettingsError
from croupier.runtime.hub import Hub, build
from croupier.runtime.link import Link
from croupier.runtime.logs import capture_libraries
from croupier.runtime.loops import settle
from croupier.runtime.settings import Listener, Settings
from croupier.web.admin_api import make_admin_app
from croupier.web.apps import App, Incoming, JoinedApps, Probes, ProbesApp, make_provider_app
from croupier.web.operator_api import make_operator_app
from croupier.web.server import HttpServer, TlsFiles

Tell = Callable[[str, str, int], None]
"""Told of every listener: its name, host and port."""


def provider_app(hub: Hub) -> App:
    """What providers call."""
    return make_provider_app(hub.gateway, hub.ids, _probes(hub))


def operator_app(hub: Hub) -> App:
    """What operators call."""
    return make_operator_app(
        ledger=hub.ledger,
        sessions=hub.sessions,
        catalogue=hub.catalogue,
        outbound=hub.outbound,
        directory=lambda: hub.configuration.directory,
        clock=hub.clock,
        ids=hub.ids,
        log=hub.log,
        metrics=hub.metrics,
        probes=_probes(hub),
        dialects=hub.registry.dialects(),
        rates=hub.acceleration.rates,
    )


def admin_app(hub: Hub) -> App:
    """What those who run the hub call."""
    return make_admin_app(
        ledger=hub.ledger,
        configuration=hub.configuration,
        registry=hub.registry,
        held=hub.deliveries.held,
        rounds=hub.deliveries.rounds,
        cases=hub.cases,
        outbound=hub.outbound,
        clock=hub.clock,
        ids=hub.ids,
        log=hub.log,
        metrics=hub.metrics,
        probes=_admin_probes(hub),
    )


def _admin_probes(hub: Hub) -> Probes:
    return evolve(_probes(hub), metrics=hub.metrics.render if hub.settings.telemetry.metrics else None)


def _probes(hub: Hub) -> Probes:
    return Probes(obstacles=hub.obstacles, remarks=hub.remarks)


def _joined(parts: Mapping[str, App], probes: App) -> App:
    """One app for a socket; several are told apart by their paths."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    prefixes = {"operators": "/v1", "admin": "/admin", "providers": "/providers"}
    apps = {prefixes[name]: app for name, app in parts.items()}
    if "admin" in parts:
        apps["/metrics"] = probes
    return JoinedApps(apps=apps, other=parts.get("operators") or parts["admin"])


@frozen(kw_only=True)
class _Fresh:
    """The admin API of one worker among several: it sees what the others have stored, and says what it stores."""

    app: App
    catch_up: Callable[[], Awaitable[object]]
    changed: Callable[[], None]

    @property
    def body_limit(self) -> int:
        return self.app.body_limit

    async def answer(self, incoming: Incoming) -> HttpResponse:
        await self.catch_up()
        response = await self.app.answer(incoming)
        if incoming.request.method not in {"GET", "HEAD"}:
            self.changed()
        return response

    async def drain(self, seconds: float) -> int:
        return await self.app.drain(seconds)


async def serve(
    settings: Settings,
    environ: Mapping[str, str],
    tell: Tell,
    ports_file: Path | None = None,
    *,
    worker: int | None = None,
    link: Link | None = None,
) -> None:
    """Run until SIGTERM or SIGINT, then finish what was begun.

    Args:
        settings: What to run with.
        environ: The environment, for keys.
        tell: Told of every listener that is open.
        ports_file: Where to write `name host port` lines once everything listens.
        worker: Which of several that share their ports this one is.
        link: To the parent of several; if the parent is gone, this one ends, too.

    Raises:
        FixConfigurationError: It cannot be started like this.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    hub = await build(settings, environ)
    capture_libraries(hub.log)
    servers: list[HttpServer] = []
    try:
        hub.begin()
        if link is not None:
            _listen_to(link, hub, stop)
        places: list[tuple[str, str, int]] = []
        for names, listener, app in _listening(hub, link):
            server = HttpServer(app, hub.log)
            servers.append(server)
            host, port = await _listen(server, listener, names[0], share=worker is not None)
            places += [(name, host, port) for name in names]
        if settings.listeners.probes is not None:
            server = HttpServer(ProbesApp(probes=_admin_probes(hub)), hub.log)
            servers.append(server)
            name = "probes" if worker is None else f"probes-{worker}"
            host, port = await _listen(server, _own(settings.listeners.probes, worker), name, share=False)
            places.append((name, host, port))
        for place in places:
            tell(*place)
        if ports_file is not None:
            lines = "".join(f"{name} {host} {port}\n" for name, host, port in places)
            ports_file.write_text(lines)  # noqa: ASYNC240 # once, before anything is served
        if link is not None:
            link.tell("listening", *(part for place in places for part in place))
        hub.log.info("serving", database=settings.database.url.partition(":")[0], slot=worker, owner=hub.owner.name)
        settle()
        await stop.wait()
    finally:
        hub.drain()
        hub.log.info("draining", slot=worker)
        await asyncio.gather(*(server.stop(settings.limits.drain_seconds) for server in servers))
        await hub.close()


def _own(listener: Listener, worker: int | None) -> Listener:
    """The listener that one worker has for itself."""
    further = worker - 1 if worker is not None and listener.port else 0
    return evolve(listener, port=listener.port + further)


async def _listen(server: HttpServer, listener: Listener, name: str, *, share: bool) -> tuple[str, int]:
    try:
        return await server.listen(listener.host, listener.port, listener_tls(listener, name), reuse_port=share)
    except OSError as error:
        message = f"{listener.host}:{listener.port} cannot be bound: {error.strerror}"
        raise SettingsError(message, where=f"listeners.{name}") from None


def _listen_to(link: Link, hub: Hub, stop: asyncio.Event) -> None:
    """Hear when another worker has changed the configuration, and when the parent is gone."""
    loop = asyncio.get_running_loop()

    def hear() -> None:
        told = link.read()
        if told is None:
            loop.remove_reader(link.fileno())
            stop.set()
        elif told:
            hub.look_for_changes()

    loop.add_reader(link.fileno(), hear)


def _listening(hub: Hub, link: Link | None) -> list[tuple[list[str], Listener, App]]:
    """Which app listens where; entrances with one address share a socket."""
    listeners = hub.settings.listeners
    admin = admin_app(hub)
    if link is not None:
        admin = _Fresh(app=admin, catch_up=hub.configuration.catch_up, changed=lambda: link.tell("changed"))
    entrances: dict[str, tuple[Listener, App]] = {
        "providers": (listeners.providers, provider_app(hub)),
        "operators": (listeners.operators, operator_app(hub)),
        "admin": (listeners.admin, admin),
    }
    groups: dict[object, list[str]] = {}
    for name, (listener, _app) in entrances.items():
        place: object = (listener.host, listener.port) if listener.port else name
        groups.setdefault(place, []).append(name)
    probes = ProbesApp(probes=_admin_probes(hub))
    return [
        (names, entrances[names[0]][0], _joined({name: entrances[name][1] for name in names}, probes))
        for names in groups.values()
    ]


def listener_tls(listener: Listener, name: str) -> ssl.SSLContext | None:
    """The TLS context of a listener; `None` if it speaks plain HTTP.

    Args:
        listener: The listener.
        name: What the settings call it.

    Raises:
        SettingsError: A file cannot be used.
    """
    if listener.tls is None:
        return None
    files = TlsFiles(
        certificate=listener.tls.certificate,
        key=listener.tls.key,
        client_authorities=listener.tls.client_ca,
        require_client=listener.tls.client_required,
    )
    try:
        return files.context()
    except SettingsError as error:
        error.where = f"listeners.{name}.{error.where}"
        raise
