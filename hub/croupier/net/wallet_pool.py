"""The connections to wallets: bounded, kept alive, and made to checked addresses only.

Every failure here is before a request: nothing has been sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import aiohappyeyeballs

from croupier.contract import TransportError, TransportProblem
from croupier.net.client import ClientLimits
from croupier.net.guard import Guard
from croupier.net.wallet_connection import WalletConnection
from croupier.net.wallet_request import Origin

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

_NAME_SECONDS: Final = 10.0
"""How long a resolved and checked name is believed."""

_NEXT_ADDRESS_SECONDS: Final = 0.25
"""After what time the next address of a name is tried beside the first (RFC 8305, section 5)."""

_TLS_GOODBYE_SECONDS: Final = 2.0

_CLOSED: Final = "the client is closed"

_Address = tuple[int, int, int, str, tuple[Any, ...]]


class WalletPool:
    """Connections by their origin.

    Args:
        limits: What they may cost.
        guard: Which addresses may be connected to.
        tls: How the other side is recognised.
        resolver: Resolves names; the system's by default.
    """

    def __init__(
        self, limits: ClientLimits, guard: Guard, tls: ssl.SSLContext, resolver: AbstractResolver | None = None
    ) -> None:
        from croupier.net.resolver import guarded_resolver

        self.limits = limits
        self.tls = tls
        self.resolver = guarded_resolver(guard, resolver)
        self.loop = asyncio.get_running_loop()
        self.opened = 0
        self._places: dict[Origin, _Place] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self, origin: Origin) -> WalletConnection | None:
        """An idle connection, if there is one; the caller sends on it, or gives it back."""
        place = self._places.get(origin)
        return None if place is None else place.take()

    def give_back(self, origin: Origin, connection: WalletConnection) -> None:
        """A connection that nothing was sent on."""
        place = self._places.get(origin)
        if place is None:
            connection.abort()
        else:
            place.release(connection)

    async def acquire(self, origin: Origin, seconds: float) -> WalletConnection:
        """An idle connection or a new one.

        Args:
            origin: Where to connect to.
            seconds: How long it may take, waiting for a free place included.

        Raises:
            TransportError: There is none (`NOT_SENT`).
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._acquire(origin)
        except TimeoutError as error:
            raise _not_sent("no connection in time") from error
        except ssl.SSLCertVerificationError as error:
            raise _not_sent("its certificate is not trusted") from error
        except ssl.SSLError as error:
            raise _not_sent("the TLS handshake failed") from error
        except (OSError, ValueError) as error:
            raise _not_sent("the connection failed") from error

    async def _acquire(self, origin: Origin) -> WalletConnection:
        while not self._closed:
            place = self._places.get(origin)
            if place is None:
                place = self._places[origin] = _Place(self, origin)
            connection = place.take()
            if connection is None:
                connection = place.reserve() if place.has_room() else await self._wait(place)
            if connection.new:
                await place.connect(connection)
                if not connection.usable and not self._closed:
                    raise _not_sent("the connection was closed as soon as it was made")
            if connection.usable:
                return connection
        raise _not_sent(_CLOSED)

    async def _wait(self, place: _Place) -> WalletConnection:
        """Wait for a place; if another origin has one that it does not use, it is taken away."""
        if place.below_own_limit():
            unused = [other for other in self._places.values() if other.idle]
            if unused:
                min(unused, key=lambda other: other.idle[0].idle_since).idle.pop(0).abort()
        return await place.wait()

    def went_idle(self, place: _Place) -> None:
        """A connection has nothing to do; if others wait for a place, it gives up its own."""
        if self.opened >= self.limits.connections and any(
            other.queue and other.below_own_limit() for other in self._places.values()
        ):
            place.idle.pop().abort()
        elif self._sweeper is None:
            self._sweeper = self.loop.call_later(self.limits.keepalive_seconds, self._sweep)

    def has_to_share(self, place: _Place) -> bool:
        """Whether an origin waits that has fewer connections than this one would have with one less."""
        return self.opened >= self.limits.connections and any(
            other.queue and len(other.connections) < len(place.connections) - 1 for other in self._places.values()
        )

    def freed(self, place: _Place) -> None:
        """A connection is gone: where calls wait, the origin with the fewest connections may open one."""
        waiting = [each for each in (place, *self._places.values()) if each.queue and each.has_room()]
        for each in sorted(waiting, key=lambda each: len(each.connections)):
            if each.offer(None):
                break
        if not place.connections and not place.queue:
            self._places.pop(place.origin, None)

    def _sweep(self) -> None:
        """Close what was idle for too long, and come again when the next one will have been."""
        self._sweeper = None
        oldest = self.loop.time() - self.limits.keepalive_seconds
        left = []
        for place in tuple(self._places.values()):
            while place.idle and place.idle[0].idle_since <= oldest:
                place.idle.pop(0).close()
            left += place.idle[:1]
        if left:
            soonest = min(connection.idle_since for connection in left)
            self._sweeper = self.loop.call_at(soonest + self.limits.keepalive_seconds, self._sweep)

    async def close(self) -> None:
        """Close every connection; calls under way fail."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for place in tuple(self._places.values()):
            place.close()
        for _ in range(3):  # until the loop has closed the sockets
            await asyncio.sleep(0)
        await self.resolver.close()


class _Place:
    """The connections of one origin, and who waits for one; the keeper of each of them."""

    def __init__(self, pool: WalletPool, origin: Origin) -> None:
        self.origin = origin
        self.connections: set[WalletConnection] = set()
        self.idle: list[WalletConnection] = []
        """The longest idle first."""
        self.queue: deque[asyncio.Future[WalletConnection]] = deque()
        self._pool = pool
        self._naming = asyncio.Lock()
        self._named_until = 0.0
        self._addresses: list[_Address] = []

    def take(self) -> WalletConnection | None:
        """The connection that was used last, if it was not idle for too long."""
        oldest = self._pool.loop.time() - self._pool.limits.keepalive_seconds
        while self.idle:
            connection = self.idle.pop()
            if connection.idle_since > oldest and connection.usable:
                return connection
            connection.close()
        return None

    def below_own_limit(self) -> bool:
        """Whether this origin may have one more connection, as far as it is concerned."""
        return len(self.connections) < self._pool.limits.connections_per_host

    def has_room(self) -> bool:
        """Whether one more connection may be opened."""
        return self.below_own_limit() and self._pool.opened < self._pool.limits.connections

    def reserve(self) -> WalletConnection:
        """A connection that is yet to be made: it counts from now on."""
        connection = WalletConnection(self, self._pool.limits.response_bytes)
        self.connections.add(connection)
        self._pool.opened += 1
        return connection

    async def wait(self) -> WalletConnection:
        """A connection that became free, or a reserved one."""
        waiter: asyncio.Future[WalletConnection] = self._pool.loop.create_future()
        self.queue.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter in self.queue:
                self.queue.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())  # it was handed over in the same moment
            raise

    def offer(self, connection: WalletConnection | None) -> bool:
        """Hand a connection, or the right to make one, to whoever waits longest; whether anybody did."""
        while self.queue:
            waiter = self.queue.popleft()
            if not waiter.done():
                waiter.set_result(self.reserve() if connection is None else connection)
                return True
        return False

    def release(self, connection: WalletConnection) -> None:
        """Keep a connection for the next call, or hand it to one that waits."""
        if not connection.usable:
            self.lost(connection) if connection.new else connection.abort()
        elif self._pool.has_to_share(self):
            connection.abort()
        elif not self.offer(connection):
            connection.idle_since = self._pool.loop.time()
            self.idle.append(connection)
            self._pool.went_idle(self)

    def lost(self, connection: WalletConnection) -> None:
        """A connection is gone; its place is free."""
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        self._pool.opened -= 1
        with suppress(ValueError):
            self.idle.remove(connection)
        self._pool.freed(self)

    async def connect(self, connection: WalletConnection) -> None:
        """Make a reserved connection, TLS included.

        Raises:
            TransportError: The name is unknown or leads where it must not.
            OSError: It cannot be made.
        """
        secure = self.origin.scheme == "https"
        taken: socket.socket | None = None
        try:
            taken = await aiohappyeyeballs.start_connection(
                await self._resolved(), happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS
            )
            await self._pool.loop.create_connection(
                lambda: connection,
                sock=taken,
                ssl=self._pool.tls if secure else None,
                server_hostname=self.origin.host if secure else None,
                ssl_shutdown_timeout=_TLS_GOODBYE_SECONDS if secure else None,
            )
        except BaseException:
            if taken is not None:
                taken.close()
            self._named_until = 0.0
            connection.abort()
            self.lost(connection)
            raise

    async def _resolved(self) -> list[_Address]:
        """The origin's addresses, all checked, a different one first each time."""
        host, port = self.origin.host, self.origin.port
        with suppress(ValueError):
            ip_address(host)  # the guard saw it in the URL
            return [_address(host, port)]
        async with self._naming:
            if self._named_until <= self._pool.loop.time():
                try:
                    found = await self._pool.resolver.resolve(host, port, socket.AF_UNSPEC)
                except OSError as error:
                    raise _not_sent(
                        f"the host name {host} cannot be resolved, or leads to an address that may not be called"
                    ) from error
                self._addresses = [_address(result["host"], port) for result in found]
                self._named_until = self._pool.loop.time() + _NAME_SECONDS
            first, *others = self._addresses
            self._addresses = [*others, first]
            return [first, *others]

    def close(self) -> None:
        """Close every connection and send away whoever waits."""
        for waiter in self.queue:
            if not waiter.done():
                waiter.set_exception(_not_sent(_CLOSED))
        self.queue.clear()
        for connection in tuple(self.connections):
            connection.abort()


def _address(host: str, port: int) -> _Address:
    where = (host, port, 0, 0) if ":" in host else (host, port)
    return socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where


def _not_sent(message: str) -> TransportError:
    return TransportError(message, problem=TransportProblem.NOT_SENT)
