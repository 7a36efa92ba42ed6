"""The tests of the net room run on the event loop that the hub runs on, and on the one it falls back to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

import pytest
import uvloop

from croupier.net import ClientTls


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def system_context() -> ssl.SSLContext:
    return ClientTls().context()


@pytest.fixture(autouse=True)
def _one_system_context(system_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read the system's authorities takes longer than most of these tests."""
    made = ClientTls.context

    def context(tls: ClientTls) -> ssl.SSLContext:
        return system_context if tls == ClientTls() else made(tls)

    monkeypatch.setattr(ClientTls, "context", context)
