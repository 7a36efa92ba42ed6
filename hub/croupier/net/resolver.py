"""A resolver for aiohttp that hands over no address the guard refuses. The connection goes to what it returns."""

from __future__ import annotations

import socket

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from croupier.net.guard import Guard


class _GuardedResolver(AbstractResolver):
    def __init__(self, guard: Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of the host.

        Raises:
            OSError: It has none, or any of them may not be called: a name with one foot in the hub's own network is
                refused as a whole.
        """
        found = await self._inner.resolve(host, port, family)
        for result in found:
            reason = self._guard.refuses_address(result["host"].partition("%")[0])
            if reason is not None:
                raise OSError(reason)
        return found

    async def close(self) -> None:
        """Release the resolver."""
        await self._inner.close()


def guarded_resolver(guard: Guard, inner: AbstractResolver | None = None) -> AbstractResolver:
    """A resolver that asks `inner` (the system's by default) and refuses what `guard` refuses."""
    return _GuardedResolver(guard, inner or ThreadedResolver())
