"""Apps behind sockets: listeners, TLS, and a graceful end. What happens on a connection is `http_connection`'s."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import field, frozen

from croupier.contract import SettingsError
from croupier.web.apps import App
from croupier.web.http_connection import HttpConnection, ServerLimits, Service
from croupier.web.listener import Listener
from croupier.web.ports import Log

__all__ = ["HttpServer", "ServerLimits", "TlsFiles"]

_LAST_ANSWERS_SECONDS: Final = 5.0
"""How long answers may take once the app is drained."""


@frozen(kw_only=True)
class TlsFiles:
    """What a TLS listener needs.

    Attributes:
        certificate: The server's certificate chain (PEM).
        key: Its private key (PEM).
        client_authorities: The authorities of client certificates (PEM): with it, mTLS is offered.
        require_client: Whether a client without a certificate is turned away in the handshake. Without it one
            listener serves connections that ask for a certificate and those that do not.
    """

    certificate: Path
    key: Path
    client_authorities: Path | None = None
    require_client: bool = False

    def context(self) -> ssl.SSLContext:
        """The TLS context: 1.2 or newer.

        Raises:
            SettingsError: A file cannot be read, or does not hold what it should.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_authorities is not None:
                context.load_verify_locations(self.client_authorities)
                context.verify_mode = ssl.CERT_REQUIRED if self.require_client else ssl.CERT_OPTIONAL
        except OSError as error:  # ssl.SSLError is one
            raise self._trouble(error) from None
        return context

    def _trouble(self, error: OSError) -> SettingsError:
        """Which of the files it is, as far as that can be told: OpenSSL names none."""
        for name, file in (
            ("certificate", self.certificate),
            ("key", self.key),
            ("client_ca", self.client_authorities),
        ):
            try:
                if file is not None:
                    file.open("rb").close()
            except OSError as unreadable:
                return SettingsError(f"{file} cannot be read: {unreadable.strerror}", where=f"tls.{name}")
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        return SettingsError(
            f"the TLS files cannot be used: {reason or type(error).__name__}",
            where="tls",
            hint="certificate: its chain, key: the private key of its first, client_ca: certificates; all in PEM",
        )


@frozen(eq=False)
class HttpServer:
    """One app behind any number of listeners.

    Attributes:
        app: What answers.
        log: Faults of the transport.
        limits: What one client may take.
    """

    app: App
    log: Log
    limits: ServerLimits = field(factory=ServerLimits)
    _service: Service = field(init=False)
    _listeners: list[Listener] = field(factory=list, init=False)

    @_service.default
    def _made_service(self) -> Service:
        return Service(self.app, self.log, self.limits)

    async def listen(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None, *, reuse_port: bool = False
    ) -> tuple[str, int]:
        """Open a listener; returns its address (port 0 takes a free one).

        Raises:
            OSError: It cannot be bound.
        """
        loop, service = asyncio.get_running_loop(), self._service
        listener = Listener(lambda: HttpConnection(service, loop), tls, self.log)
        address = await listener.open(host, port, reuse_port=reuse_port)
        self._listeners.append(listener)
        return address

    async def stop(self, seconds: float = 10.0) -> int:
        """Close the listeners, answer what was asked, finish the work; returns how much work is left undone.

        A client that asks once more on an open connection is answered meanwhile, and its connection closed.
        """
        service = self._service
        service.closing = True
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        left = await self.app.drain(seconds)
        for connection in tuple(service.connections):
            connection.close_if_idle()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_ANSWERS_SECONDS):
                await service.is_over()
        for work in tuple(service.work):
            work.cancel()
        for connection in tuple(service.connections):
            connection.abort()
        await asyncio.gather(*service.work, return_exceptions=True)
        return left
