"""Hosts that others connect to for the hub: asked of the guard before they do."""

from __future__ import annotations

import asyncio
import socket

from croupier.net.guard import Guard


async def refuses_host(guard: Guard, host: str) -> str | None:
    """Why a host may not be connected to, or `None` if it may: like a URL's, each of its addresses is looked at.

    Whoever connects resolves the name once more: a name whose addresses change in between is not caught.

    Args:
        guard: The rules.
        host: A name or an address; empty for this machine.
    """
    if not host:
        return None if guard.loopback else "this machine itself may not be called"
    if guard.hosts is not None and host.lower() not in guard.hosts:
        return "its host is not on the allow-list"
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return "the host name cannot be resolved"
    reasons = (guard.refuses_address(str(place[0]).partition("%")[0]) for *_, place in found)
    return next((reason for reason in reasons if reason is not None), None)
