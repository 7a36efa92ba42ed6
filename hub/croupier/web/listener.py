"""Listening sockets: every client that waits is let in at once.

The event loop's own servers are not used: uvloop's lets in one client each time it comes round. On a busy hub one round
takes long, and of a thousand clients that come together the last would wait for many seconds.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from croupier.web.ports import Log

_BACKLOG: Final = 1024
_AT_ONCE: Final = 128
"""So many clients are let in before requests have their turn again."""

_PAUSE_SECONDS: Final = 1.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """The sockets of one address.

    Args:
        connect: Makes the protocol of a client.
        tls: How clients are spoken to, if by TLS.
        log: Told when the process may have no more sockets.
    """

    def __init__(self, connect: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None, log: Log) -> None:
        self._connect = connect
        self._tls = tls
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._joining: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int, *, reuse_port: bool) -> tuple[str, int]:
        """Bind and listen; returns the address (port 0 takes a free one).

        Raises:
            OSError: It cannot be bound.
        """
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._sockets.append(_bound(family, address, reuse_port=reuse_port))
        except OSError:
            self.close()
            raise
        for each in self._sockets:
            self._loop.add_reader(each, self._accept, each)
        bound = self._sockets[-1].getsockname()
        return str(bound[0]), int(bound[1])

    def close(self) -> None:
        """Let nobody in any more."""
        for each in self._sockets:
            self._loop.remove_reader(each)
            each.close()
        self._sockets.clear()
        for joining in self._joining:
            joining.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._log.error("http_failed", fault=errno.errorcode[error.errno or 0])
                self._loop.remove_reader(listening)
                self._loop.call_later(_PAUSE_SECONDS, self._resume, listening)
                return
            client.setblocking(False)
            joining = self._loop.create_task(self._join(client))
            self._joining.add(joining)
            joining.add_done_callback(partial(self._joined, client))

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    async def _join(self, client: socket.socket) -> None:
        """Hand a client to the event loop; one who fails the handshake is gone."""
        connection = self._connect()
        try:
            with suppress(OSError):  # ssl.SSLError is one
                await self._loop.connect_accepted_socket(lambda: connection, client, ssl=self._tls)
        except asyncio.CancelledError:
            # uvloop closes it and does not say so to a protocol that it has told of it already.
            connection.connection_lost(None)
            raise

    def _joined(self, client: socket.socket, joining: asyncio.Task[None]) -> None:
        self._joining.discard(joining)
        if joining.cancelled():
            client.close()  # nobody else does, if it was not begun


def _bound(family: int, address: object, *, reuse_port: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Its clients' sockets take these over from it.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.setblocking(False)
        listening.bind(address)  # type: ignore[arg-type] # as `getaddrinfo` gave it
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening
