"""What one call to a wallet costs its caller: `python tests/benchmarks/wallet_client.py [--seconds N] [way ...]`.

The ways are measured one after another, several times in turn, each in a process of its own against the wallet of
`wallet_stub.py`: 64 calls in flight, connections kept alive, a signed POST of about 400 bytes. The best turn of each is
told: calls a second, and microseconds of CPU a call, all threads of the caller included.

`aiohttp` is that library's session with nothing around it, as the bare proxy of the benchmark uses it; `http_client` is
the hub's client for providers, built on it; `wallet_client` is the hub's client for wallets. `pyreqwest` is a library
that the hub does not use; it is measured if it is installed (`.venv/bin/pip install pyreqwest`).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import uvloop

from croupier.contract import Headers, HttpRequest, HttpResponse
from croupier.net import Guard, HttpClient, WalletClient
from croupier.wallet.ports import Send
from croupier_conformance.servers import free_port

IN_FLIGHT: Final = 64
TURNS: Final = 3
HEADERS: Final = Headers.of(
    {
        "Content-Type": "application/json",
        "webhook-id": "0b0e0f5c-52a4-8d0e-9a53-4a4d3a7e9f10",
        "webhook-timestamp": "1800000000",
        "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
)
BODY: Final = b'{"operation":"bet","transaction":"0b0e0f5c-52a4-8d0e-9a53-4a4d3a7e9f10"}'.ljust(400)


@asynccontextmanager
async def bare_aiohttp() -> AsyncIterator[Send]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:

        async def send(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
            async with http.post(request.url, data=request.body, headers=request.headers.items) as got:
                return HttpResponse(got.status, Headers(tuple(got.headers.items())), await got.read())

        yield send


@asynccontextmanager
async def pyreqwest() -> AsyncIterator[Send]:
    library: Any = importlib.import_module("pyreqwest.client")
    async with library.ClientBuilder().follow_redirects(False).no_proxy().build() as http:

        async def send(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
            asked = http.post(request.url).headers(list(request.headers.items)).body_bytes(request.body)
            got = await asked.build().send()
            return HttpResponse(got.status, Headers(tuple(got.headers.items())), bytes(await got.bytes()))

        yield send


WAYS: Final[dict[str, Callable[[], AbstractAsyncContextManager[Send]]]] = {
    "aiohttp": bare_aiohttp,
    "http_client": lambda: HttpClient(guard=Guard.development()),
    "pyreqwest": pyreqwest,
    "wallet_client": lambda: WalletClient(guard=Guard.development()),
}


async def measure(way: str, url: str, seconds: float) -> tuple[float, float]:
    """Calls a second and CPU microseconds a call."""
    done = 0

    async def call(send: Send, until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            answer = await send(HttpRequest("POST", url, HEADERS, BODY), 5.0)
            if answer.status != 200 or not answer.body:
                raise RuntimeError(f"the wallet answered {answer.status}")
            done += 1

    async def run(send: Send, lasting: float) -> tuple[float, float]:
        nonlocal done
        done = 0
        began, spent = time.perf_counter(), time.process_time()
        await asyncio.gather(*(call(send, began + lasting) for _ in range(IN_FLIGHT)))
        return done / (time.perf_counter() - began), (time.process_time() - spent) / done * 1e6

    async with WAYS[way]() as send:
        await run(send, 0.3)
        return await run(send, seconds)


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the wallet does not listen")


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "ways", nargs="*", metavar="way", choices=list(WAYS), help=f"one of {', '.join(WAYS)}; all without one"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="how long one turn of one way lasts")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.port:
        url = f"http://127.0.0.1:{options.port}/pass/play"
        sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(options.ways[0], url, options.seconds))))
        return
    ways = options.ways or list(WAYS)
    if importlib.util.find_spec("pyreqwest") is None and "pyreqwest" in ways:
        tell("pyreqwest is not installed: left out")
        ways.remove("pyreqwest")
    port = free_port()
    stub = subprocess.Popen([sys.executable, str(Path(__file__).with_name("wallet_stub.py")), str(port)])
    try:
        wait_for(port)
        tell(f"{os.cpu_count()} processors, {IN_FLIGHT} calls in flight, best of {TURNS}")
        told: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(TURNS):
            for way in ways:
                command = [sys.executable, __file__, way, "--port", str(port), "--seconds", str(options.seconds)]
                done = subprocess.run(command, check=True, capture_output=True)
                told[way].append(msgspec.json.decode(done.stdout, type=tuple[float, float]))
        for way, turns in told.items():
            rate, cpu = max(rate for rate, _ in turns), min(cpu for _, cpu in turns)
            tell(f"{way:14} {rate:8.0f} calls/s {cpu:8.1f} us CPU a call")
    finally:
        stub.terminate()
        stub.wait()


if __name__ == "__main__":
    main()
