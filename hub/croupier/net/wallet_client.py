"""The HTTP client for operators' wallets: the one call that every bet waits for, so it does no more than that needs.

Everything else goes through `HttpClient`. Both keep the same promises; the reason for this one is its price
(`tests/benchmarks/wallet_client.py`). It speaks HTTP/1.1 without pipelining, follows no redirect, asks for no
compression, and repeats nothing: a kept connection that breaks after the request was written leaves it unknown.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from croupier.contract import HttpRequest, HttpResponse, TransportError, TransportProblem
from croupier.net.client import ClientLimits, ClientTls
from croupier.net.guard import Guard
from croupier.net.wallet_pool import WalletPool
from croupier.net.wallet_request import Requests

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver


class WalletClient:
    """Sends requests, each once; implements `croupier.wallet.ports.Send`.

    To be made and used in one event loop. It keeps connections alive; close it at the end.

    Args:
        limits: What connections may cost.
        guard: Where to connect to.
        tls: How the other side is recognised.
        resolver: Resolves names; the system's by default. What it finds is checked by `guard` all the same.

    Raises:
        SettingsError: A file of `tls` cannot be used.

    Example:
        ```python
        async with WalletClient(guard=Guard.development()) as send:
            response = await send(HttpRequest("POST", "http://127.0.0.1:9000/bet", body=b"{}"), 2.0)
        ```
    """

    def __init__(
        self,
        *,
        limits: ClientLimits | None = None,
        guard: Guard | None = None,
        tls: ClientTls | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._limits = limits or ClientLimits()
        guard = guard or Guard()
        self._requests = Requests(guard)
        self._pool = WalletPool(self._limits, guard, (tls or ClientTls()).context(), resolver)
        self._loop = asyncio.get_running_loop()

    async def __call__(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        target = self._requests.target(request.url)
        written = self._requests.render(request, target)
        connection = self._pool.take(target.origin)
        if connection is None:
            began = self._loop.time()
            connection = await self._pool.acquire(target.origin, min(timeout_seconds, self._limits.connect_seconds))
            timeout_seconds -= self._loop.time() - began
        if timeout_seconds <= 0:
            self._pool.give_back(target.origin, connection)
            raise TransportError("no time was left", problem=TransportProblem.NOT_SENT)
        answer = connection.send(written)
        timer = self._loop.call_later(timeout_seconds, connection.expire, answer)
        try:
            return await answer
        finally:
            timer.cancel()
            connection.withdraw(answer)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
