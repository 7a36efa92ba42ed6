"""Hosts that others connect to for the hub are asked about first."""

from __future__ import annotations

import pytest

from croupier.net.guard import Guard
from croupier.net.hosts import refuses_host


@pytest.mark.parametrize(
    ("guard", "host", "reason"),
    [
        (Guard(), "127.0.0.1", "127.0.0.1 is not a public address"),
        (Guard(), "localhost", "is not a public address"),
        (Guard(), "169.254.169.254", "169.254.169.254 is not a public address"),
        (Guard(), "::ffff:10.0.0.1", "10.0.0.1 is not a public address"),
        (Guard(), "", "this machine itself may not be called"),
        (Guard(), "nobody.invalid", "the host name cannot be resolved"),
        (Guard(hosts=("redis.example",)), "192.0.1.1", "its host is not on the allow-list"),
    ],
)
async def test_a_host_that_may_not_be_called_is_refused(guard: Guard, host: str, reason: str) -> None:
    assert reason in (await refuses_host(guard, host) or "")


@pytest.mark.parametrize(
    ("guard", "host"),
    [
        (Guard.development(), "localhost"),
        (Guard.development(), ""),
        (Guard(networks=("10.1.0.0/16",)), "10.1.2.3"),
        (Guard(), "1.1.1.1"),
    ],
)
async def test_a_host_that_may_be_called_is_not(guard: Guard, host: str) -> None:
    assert await refuses_host(guard, host) is None
