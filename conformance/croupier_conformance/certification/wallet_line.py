"""The line to a wallet that is really there: the hub's own HTTP client, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from croupier.contract import HttpRequest, HttpResponse
from croupier.net import ClientLimits, ClientTls, Guard, WalletClient

CONNECTIONS: Final = 200
"""More than any rule sends at once."""

_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")


class WalletLine:
    """Sends requests as the hub does, and waits for the answers; safe to be used from many threads at once.

    It goes wherever it is told to, other than the hub: whoever certifies a wallet owns it.

    Args:
        ca: A file of the certificate authorities to trust, instead of the system's.

    Raises:
        SettingsError: The file cannot be used.

    Example:
        ```python
        with WalletLine() as line:
            response = line.send(HttpRequest("POST", "http://127.0.0.1:8081/balance", body=b"{}"), 5.0)
        ```
    """

    def __init__(self, ca: Path | None = None) -> None:
        self._tls = ClientTls(ca=ca)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wallet-line", daemon=True)

    def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        """Send one request once.

        Raises:
            TransportError: There is no whole answer.
        """
        return asyncio.run_coroutine_threadsafe(self._client(request, timeout_seconds), self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._client = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._stop()

    async def _open(self) -> WalletClient:
        limits = ClientLimits(connections=CONNECTIONS, connections_per_host=CONNECTIONS)
        guard = Guard(plain_http=True, loopback=True, networks=_EVERYWHERE)
        return WalletClient(limits=limits, guard=guard, tls=self._tls)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
