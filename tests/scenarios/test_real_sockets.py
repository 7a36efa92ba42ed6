"""The hub, the example operator and two providers as they run in earnest: processes, sockets, signals."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from attrs import evolve, frozen
from standardwebhooks import Webhook

from croupier.contract import (
    Capability,
    Headers,
    HttpRequest,
    HttpResponse,
    MovementKind,
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerMove,
    PeerPlay,
    PeerPlayer,
)
from croupier_conformance.servers import free_port
from croupier_conformance.simulated_hub import SimulatedProvider

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PATIENCE = 30.0
EVENTS_SECRET = "whsec_" + base64.b64encode(bytes(range(30))).decode()  # a test key
CROUPIER = str(Path(sys.executable).with_name("croupier"))

SETTINGS = """\
owner = "test"
database.url = "sqlite:///{folder}/hub.sqlite"
secrets = {{ current = "test", keys.test = {{ env = "TEST_HUB_KEY" }} }}
outgoing = {{ plain_http = true, loopback = true }}
listeners.providers = {{ port = 0 }}
listeners.operators = {{ port = 0 }}
listeners.admin = {{ port = 0 }}
limits.drain_seconds = 10
"""


def ask(url: str, method: str = "GET", body: Any = None, key: str = "") -> Any:
    """One request to a JSON API."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, sent, headers, method=method)  # noqa: S310 # always this machine
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 # same
            return json.loads(answer.read() or b"null")
    except HTTPError as error:
        with error:
            raise AssertionError(f"{method} {url}: {error.code} {error.read().decode()}") from None


def text(url: str) -> tuple[int, str]:
    """A probe's answer."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 # always this machine
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def until(true: Any, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@contextmanager
def peer_server(provider: SimulatedProvider) -> Iterator[int]:
    """The provider's own API at a socket; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = f"http://{self.headers['Host']}{self.path}"
            asked = HttpRequest("POST", url, Headers.of(self.headers.items()), body)
            answer = provider.peer.serve(asked, provider.credentials, datetime.now(UTC))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def webhook_server() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The operator's receiver of events; gives its port, and what it verified so far."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            got.append(Webhook(EVENTS_SECRET).verify(body, dict(self.headers.items())))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], got
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def operator_process(folder: Path, secret: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The example operator; gives its process and address."""
    port = free_port()
    script = ROOT / "examples/operator/operator_wallet.py"
    command = [sys.executable, str(script), "--port", str(port), "--database", str(folder / "wallet.sqlite"), "--admin"]
    with (folder / "operator.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, "WALLET_SECRET": secret}, stdout=log, stderr=log)
        try:
            url = f"http://{HOST}:{port}"
            until(lambda: _listens(port), "the operator listens")
            yield process, url
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(PATIENCE)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@frozen
class HubProcess:
    """A running hub: its process, its addresses by entrance, and where its log is."""

    process: subprocess.Popen[bytes]
    urls: dict[str, str]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it logged so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def _count(file: Path) -> int:
    return file.read_text().count("\n") if file.exists() else 0


@contextmanager
def hub_process(settings: Path, environ: dict[str, str]) -> Iterator[HubProcess]:
    folder = settings.parent
    ports, log = folder / "ports", folder / "hub.log"
    ports.unlink(missing_ok=True)
    command = [CROUPIER, "serve", str(settings), "--ports-file", str(ports)]
    with log.open("ab") as errors:
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            until(lambda: process.poll() is not None or _count(ports) == 3, "the hub listens")
            assert process.poll() is None, log.read_text()
            found = (line.split() for line in ports.read_text().splitlines())
            yield HubProcess(process, {name: f"http://{host}:{port}" for name, host, port in found}, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)


def configure(admin: str, key: str, wallet: str, secret: str, providers: list[SimulatedProvider]) -> str:
    """Seed by the admin API; returns a key of the operator API."""
    why = "a test"
    operator = {
        "name": "acme",
        "dialect": "native",
        "wallet": {"url": wallet},
        "wallet_secrets": {"signing_secret": [secret]},
        "wallet_policy": {"retry_safe": True, "tombstones": True, "timeout_ms": 15_000},
    }
    made = ask(f"{admin}/admin/v1/operators", "POST", {"why": why, "body": operator}, key)
    below = f"{admin}/admin/v1/operators/{made['id']}"
    for provider in providers:
        connection = {
            "name": provider.name,
            "adapter": provider.adapter,
            "settings": dict(provider.settings),
            "secrets": {name: [value] for name, value in provider.secrets.items()},
            "policy": {"provider_timeout_ms": 20_000},  # a busy machine must not look like a slow wallet
        }
        stored = ask(f"{below}/connections", "POST", {"why": why, "body": connection}, key)
        code, title = next(iter(provider.games.items()))
        game = {"title": title, "studio": provider.name}
        ask(f"{below}/games/{provider.name}-game", "PUT", {"why": why, "body": game}, key)
        route = {"connection": stored["id"], "game": f"{provider.name}-game", "code": code}
        ask(f"{below}/routes", "POST", {"why": why, "body": route}, key)
    return str(ask(f"{below}/keys", "POST", {"why": why, "label": "test", "role": "operator"}, key)["key"])


@frozen
class ProviderAtSockets:
    """A provider that calls the hub over real HTTP."""

    known: SimulatedProvider
    gateway: str

    @property
    def peer(self) -> Peer:
        return self.known.peer

    def call(self, action: PeerAction) -> PeerAnswer:
        """Send and read the answer."""
        connection, request = self.begin(action)
        try:
            answer = connection.getresponse()
            response = HttpResponse(answer.status, Headers.of(answer.getheaders()), answer.read())
        finally:
            connection.close()
        assert request.method == "POST"
        return self.peer.answer(action, response)

    def begin(self, action: PeerAction) -> tuple[HTTPConnection, HttpRequest]:
        """Send, and leave the answer to the caller."""
        request = self.peer.request(action, self.known.credentials, datetime.now(UTC))
        connection = HTTPConnection(self.gateway.partition("//")[2], timeout=PATIENCE)
        path = f"/providers/acme/{self.known.name}{request.url}"
        connection.request(request.method, path, request.body, dict(request.headers.items))
        return connection, request

    def sit_down(self, operators: str, key: str, player: str) -> PeerPlayer:
        """Launch by the operator API, and exchange the token where that is usual."""
        launch = {"game": f"{self.known.name}-game", "player": player, "currency": "EUR", "address": "192.0.2.1"}
        told = ask(f"{operators}/v1/launches", "POST", launch, key)
        seat = self.peer.launched(told["url"])
        if Capability.AUTHENTICATE in self.peer.capabilities:
            answer = self.call(PeerAuthenticate(player=seat))
            assert answer.player is not None
            return answer.player
        return seat


def play(seat: PeerPlayer, kind: MovementKind, id: str, amount: str) -> PeerPlay:
    return PeerPlay(player=seat, round=f"round-{id}", moves=(PeerMove(kind=kind, id=id, amount=Decimal(amount)),))


def test_a_hub_in_earnest_plays_drains_and_leaves_with_zero(stage: Any, tmp_path: Path) -> None:
    secret, player = stage.secrets[-1], stage.player
    environ = {**os.environ, "TEST_HUB_KEY": base64.b64encode(b"test-key-of-thirty-two-bytes-len").decode()}
    settings = tmp_path / "hub.toml"
    settings.write_text(SETTINGS.format(folder=tmp_path))
    made = subprocess.run(
        [CROUPIER, "admin", "create-key", str(settings), "--label", "test"],
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    admin_key = made.stdout.strip()
    with ExitStack() as stack:
        providers = []
        for name, setting in (("softswiss", "http://{}/api"), ("pragmatic", "http://{}")):
            known = stage.provider(name)
            port = stack.enter_context(peer_server(known))
            address = setting.format(f"{HOST}:{port}")
            served = evolve(known, settings={**known.settings, "api_url": address})
            providers.append(served)
        operator, wallet = stack.enter_context(operator_process(tmp_path, secret))
        hub = stack.enter_context(hub_process(settings, environ))
        for entrance in hub.urls.values():
            assert text(f"{entrance}/readyz") == (200, "ready\n")
        port, events = stack.enter_context(webhook_server())
        key = configure(hub.urls["admin"], admin_key, wallet, secret, providers)
        _send_events(hub.urls["admin"], admin_key, port)
        ask(f"{wallet}/players", "POST", {"player": player, "balance": 10_000})

        seats = []
        for known in providers:
            provider = ProviderAtSockets(known, hub.urls["providers"])
            seat = provider.sit_down(hub.urls["operators"], key, player)
            seats.append((provider, seat))
            bet, win = play(seat, MovementKind.BET, "r1", "1.00"), play(seat, MovementKind.WIN, "w1", "2.50")
            win = evolve(win, round=bet.round)
            assert [provider.call(bet).verdict.value, provider.call(win).verdict.value] == ["done", "done"]
            assert provider.call(bet).verdict.value == "done"
        assert _moved(wallet) == [-100, 250, -100, 250]
        told = ask(f"{hub.urls['operators']}/v1/transactions", key=key)["transactions"]
        assert [(row["kind"], row["state"]) for row in told] == [("bet", "applied"), ("win", "applied")] * 2

        _check_events(events, player)
        _hang_up(hub, operator, seats[0], wallet, key)
        _check_metrics(hub)
        _drain(hub, operator, seats[1], wallet)
        log = hub.log.read_text()
        for canary in (*stage.secrets, EVENTS_SECRET, player, admin_key, key, *(seat.player for _, seat in seats)):
            assert canary not in log
        assert [line["event"] for line in hub.lines() if line["event"] in {"serving", "draining"}] == [
            "serving",
            "draining",
        ]


def _send_events(admin: str, key: str, port: int) -> None:
    """Configure a sink while the hub runs."""
    operators = ask(f"{admin}/admin/v1/operators", key=key)["items"]
    sink = {
        "name": "events",
        "sink": "webhook",
        "settings": {"url": f"http://{HOST}:{port}/events"},
        "secrets": {"signing_secret": [EVENTS_SECRET]},
        "start": "beginning",
    }
    ask(f"{admin}/admin/v1/operators/{operators[0]['id']}/sinks", "POST", {"why": "a test", "body": sink}, key)


def _check_events(events: list[dict[str, Any]], player: str) -> None:
    """What was played arrives, signed, in order, in the operator's own words."""

    def applied() -> list[dict[str, Any]]:
        return [event["data"] for event in events if event["type"] == "movement.applied"]

    until(lambda: len(applied()) == 4, "the events arrive")
    told = applied()
    assert [(data["kind"], data["amount"]["amount"], data["amount"]["currency"]) for data in told] == [
        ("bet", 100, "EUR"),
        ("win", 250, "EUR"),
    ] * 2
    assert {data["player"] for data in told} == {player}
    assert [data["connection"] for data in told] == ["softswiss", "softswiss", "pragmatic", "pragmatic"]
    positions = [event["data"]["position"] for event in events]
    assert positions == sorted(set(positions))


def _moved(wallet: str) -> list[int]:
    return [row["moved"] for row in ask(f"{wallet}/book")["movements"] if row["moved"]]


def _hang_up(
    hub: HubProcess, operator: subprocess.Popen[bytes], at: tuple[ProviderAtSockets, PeerPlayer], wallet: str, key: str
) -> None:
    """The provider hangs up while the wallet works: the outcome is recorded all the same."""
    provider, seat = at
    operator.send_signal(signal.SIGSTOP)
    bet = play(seat, MovementKind.BET, "hung-up", "3.00")
    connection, _ = provider.begin(bet)
    time.sleep(0.3)
    connection.close()
    time.sleep(0.3)
    operator.send_signal(signal.SIGCONT)

    def recorded() -> bool:
        rows = ask(f"{hub.urls['operators']}/v1/transactions", key=key)["transactions"]
        return (rows[-1]["reference"], rows[-1]["state"]) == ("hung-up", "applied")

    until(recorded, "the outcome of the call is recorded")
    assert _moved(wallet)[-1] == -300
    assert provider.call(bet).verdict.value == "done"
    assert _moved(wallet).count(-300) == 1


def _check_metrics(hub: HubProcess) -> None:
    status, metrics = text(f"{hub.urls['admin']}/metrics")
    assert status == 200
    calls = [line for line in metrics.splitlines() if line.startswith("croupier_provider_calls_total{")]
    bets = [line for line in calls if 'connection="pragmatic"' in line and 'operation="bet"' in line]
    assert [line.rpartition(" ")[2] for line in bets if 'verdict="applied"' in line] == ["2.0"]
    assert text(f"{hub.urls['providers']}/metrics")[0] == 404


def _drain(
    hub: HubProcess, operator: subprocess.Popen[bytes], at: tuple[ProviderAtSockets, PeerPlayer], wallet: str
) -> None:
    """SIGTERM while a call is under way: it is answered and recorded, then the process leaves with 0."""
    provider, seat = at
    operator.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(provider.call, play(seat, MovementKind.BET, "last", "4.00"))
        time.sleep(0.3)
        hub.process.send_signal(signal.SIGTERM)
        until(lambda: any(line["event"] == "draining" for line in hub.lines()), "the hub drains")
        operator.send_signal(signal.SIGCONT)
        answer = last.result(PATIENCE)
    assert (answer.verdict.value, answer.code) == ("done", "0")
    assert hub.process.wait(PATIENCE) == 0
    assert _moved(wallet)[-1] == -400
