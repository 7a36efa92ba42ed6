"""The example wallet, served by two threads with a book each on one file, as a subject of certification."""

from __future__ import annotations

import asyncio
import base64
import importlib
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from attrs import evolve

from croupier.contract import Credentials, Currency, HttpRequest, HttpResponse
from croupier.registry import Registry
from croupier_conformance.certification.rule import WalletRule
from croupier_conformance.certification.run import Certification, RuleResult
from croupier_conformance.certification.run_wallet import certify_wallet, check_ready
from croupier_conformance.certification.wallet_line import WalletLine
from croupier_conformance.certification.wallet_subject import TestPlayer, WalletSubject

SECRET: Final = "whsec_" + base64.b64encode(b"a key of these tests alone......").decode()
MONEY: Final = 1_000_000
HOT: Final = 20
"""Bets of one player at once: fewer than in a whole certification, for the file is synced at each."""


@contextmanager
def example_wallet() -> Iterator[WalletSubject]:
    """The wallet, ready to be certified."""
    module = importlib.import_module("operator_wallet")
    euro = Currency("EUR", 2)
    with ExitStack() as stack:
        path = str(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="croupier-wallet-"))) / "wallet.sqlite")
        book = module.Book(path)
        for number in (1, 2):
            book.open_player(f"player-{number}", "EUR", MONEY, f"session-{number}")
        book.open_player("player-1", "EUR", MONEY, "session-0")
        book.end_session("session-0")
        book.close()
        ports = [stack.enter_context(_served(module, path)) for _ in range(2)]
        line = stack.enter_context(WalletLine())
        turns = itertools.cycle(ports)

        def send(request: HttpRequest, seconds: float) -> HttpResponse:
            there = urlsplit(request.url)._replace(netloc=f"127.0.0.1:{next(turns)}")
            return line.send(evolve(request, url=urlunsplit(there)), seconds)

        dialect = Registry().configure_dialect("native", {"url": "http://127.0.0.1"})
        yield WalletSubject(
            name="example",
            dialect=dialect,
            credentials=Credentials({"signing_secret": (SECRET,)}),
            capabilities=dialect.spec.capabilities,
            send=send,
            players=[
                TestPlayer(player="player-1", currency=euro, session="session-1", ended_session="session-0"),
                TestPlayer(player="player-2", currency=euro, session="session-2"),
            ],
            settle_seconds=0.1,
            hot=HOT,
        )


def certify_example(only: Callable[[WalletRule], bool], heard: Callable[[RuleResult], None]) -> Certification:
    """Certify it; a wallet that is not fit to be certified raises `NotReadyError`."""
    with example_wallet() as subject:
        check_ready(subject)
        return certify_wallet(subject, seed=1, only=only, heard=heard)


@contextmanager
def _served(module: Any, path: str) -> Iterator[int]:
    """Serve the wallet on a free port of this machine, from a thread with an event loop of its own."""
    from aiohttp import web

    loop, up = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []

    async def serve(stop: asyncio.Event) -> None:
        book = module.Book(path)
        runner = web.AppRunner(module.make_app(book, (SECRET,)), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            ports.append(runner.addresses[0][1])
            up.set()
            await stop.wait()
        finally:
            await runner.cleanup()
            book.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(stop),), daemon=True)
    thread.start()
    up.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
