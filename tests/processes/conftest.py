"""Hubs of several processes over PostgreSQL, the example operator and a provider, at real sockets."""

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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psycopg
import pytest
from attrs import define, field, frozen

from croupier.contract import (
    Credentials,
    Headers,
    HttpRequest,
    HttpResponse,
    MovementKind,
    PeerAnswer,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Verdict,
)
from croupier.registry import structure
from croupier_conformance.servers import PostgresServer, ServerMissingError, postgres_server
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PATIENCE = 120.0
CROUPIER = str(Path(sys.executable).with_name("croupier"))
SIGNING = "whsec_" + base64.b64encode(bytes(range(32))).decode()  # a test key
TOKEN = "test-token-of-the-provider"
ENVIRON = {**os.environ, "TEST_HUB_KEY": base64.b64encode(b"test-key-of-thirty-two-bytes-len").decode()}
OPENING = 1_000_000

SETTINGS = """\
owner = "test"
secrets = {{ current = "test", keys.test = {{ env = "TEST_HUB_KEY" }} }}
outgoing = {{ plain_http = true, loopback = true }}
deliveries = {{ scale = 20 }}
limits.drain_seconds = 10
listeners.providers = {{ port = 0 }}
listeners.operators = {{ port = 0 }}
listeners.admin = {{ port = 0 }}
listeners.probes = {{ port = 0 }}

[database]
url = "{url}"
{more}
"""


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def known_at_once(change: Callable[[int], object], known: Callable[[int], object]) -> None:
    """Make changes one after another, each once the one before is known.

    Who hears of them knows most of them at once; who looks every five seconds, at best the first.
    """
    took: list[float] = []
    for number in range(4):
        change(number)
        began = time.monotonic()
        until(partial(known, number), "the change is known")
        took.append(time.monotonic() - began)
    assert sorted(took)[1] < 3, took


def ask(url: str, method: str = "GET", body: Any = None, key: str = "") -> Any:
    """One request to a JSON API; an answer that is no success raises."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, sent, headers, method=method)  # noqa: S310 # always this machine
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 # same
        return json.loads(answer.read() or b"null")


def text(url: str) -> str:
    """A probe's answer."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 # always this machine
        return str(answer.read().decode())


def listens(port: int) -> bool:
    """Whether somebody takes connections at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@frozen
class Crew:
    """A running parent: its process, where its workers listen, and its log."""

    process: subprocess.Popen[bytes]
    urls: dict[str, str]
    log: Path

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What the parent and the workers logged of one event so far."""
        told = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in told if line["event"] == event]

    def workers(self) -> list[int]:
        """The process ids of the workers that run now, by their numbers."""
        newest = {line["slot"]: line["pid"] for line in self.lines("worker_listens")}
        return [newest[slot] for slot in sorted(newest)]


@contextmanager
def crew_process(
    settings: Path, workers: int = 2, *, meanwhile: Callable[[int], None] = lambda _parent: None
) -> Iterator[Crew]:
    """`croupier serve --workers`, once everything listens; `meanwhile` is told the parent's process id before that."""
    ports, log = settings.with_name("ports"), settings.with_name("hub.log")
    ports.unlink(missing_ok=True)
    command = [CROUPIER, "serve", str(settings), "--workers", str(workers), "--ports-file", str(ports)]
    with log.open("ab") as errors:
        process = subprocess.Popen(command, env=ENVIRON, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            meanwhile(process.pid)
            until(lambda: process.poll() is not None or ports.exists(), "the hub listens")
            assert process.poll() is None, log.read_text()
            found = (line.split() for line in ports.read_text().splitlines())
            yield Crew(process, {name: f"http://{host}:{port}" for name, host, port in found}, log)
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@frozen
class Wallet:
    """The example operator."""

    process: subprocess.Popen[bytes]
    url: str

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Takes connections and answers nothing meanwhile."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def book(self) -> dict[str, Any]:
        """Accounts and movements."""
        told: dict[str, Any] = ask(f"{self.url}/book")
        return told

    def moved(self) -> list[int]:
        """Every change of a balance, oldest first."""
        return [row["moved"] for row in self.book()["movements"] if row["moved"]]


@contextmanager
def wallet_process(folder: Path) -> Iterator[Wallet]:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
    script = ROOT / "examples/operator/operator_wallet.py"
    command = [sys.executable, str(script), "--port", str(port), "--database", str(folder / "wallet.sqlite"), "--admin"]
    with (folder / "operator.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, "WALLET_SECRET": SIGNING}, stdout=log, stderr=log)
        try:
            until(lambda: listens(port), "the operator listens")
            yield Wallet(process, f"http://{HOST}:{port}")
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(PATIENCE)


@contextmanager
def provider_server(peer: SoftswissPeer) -> Iterator[int]:
    """The provider's own API at a socket; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = f"http://{self.headers['Host']}{self.path}"
            asked = HttpRequest("POST", url, Headers.of(self.headers.items()), body)
            answer = peer.serve(asked, CREDENTIALS, datetime.now(UTC))
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


CREDENTIALS = Credentials({"auth_token": (TOKEN,)})


@define(eq=False)
class Table:
    """Everything around a hub: an operator with a wallet, a provider, its database."""

    crew: Crew
    wallet: Wallet
    peer: SoftswissPeer
    database: str
    operator_key: str = field(repr=False)
    admin_key: str = field(repr=False)

    def sit_down(self, player: str) -> PeerPlayer:
        """Open a player with money, and launch a game."""
        ask(f"{self.wallet.url}/players", "POST", {"player": player, "balance": OPENING})
        launch = {"game": "softswiss-game", "player": player, "currency": "EUR", "address": "192.0.2.1"}
        told = ask(f"{self.crew.urls['operators']}/v1/launches", "POST", launch, self.operator_key)
        return self.peer.launched(told["url"])

    def signed(self, action: PeerPlay) -> HttpRequest:
        """The provider's request: the bytes that it sends, however often."""
        return self.peer.request(action, CREDENTIALS, datetime.now(UTC))

    def send(self, action: PeerPlay, request: HttpRequest | None = None) -> PeerAnswer | None:
        """Send over a connection of its own; `None` if no answer came."""
        request = request or self.signed(action)
        connection = HTTPConnection(self.crew.urls["providers"].partition("//")[2], timeout=PATIENCE)
        try:
            path = f"/providers/acme/softswiss{request.url}"
            connection.request(request.method, path, request.body, dict(request.headers.items))
            answer = connection.getresponse()
            response = HttpResponse(answer.status, Headers.of(answer.getheaders()), answer.read())
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()
        return self.peer.answer(action, response)

    def insist(self, action: PeerPlay, seconds: float = PATIENCE) -> PeerAnswer:
        """Send the same again until it is answered definitely."""
        request, end = self.signed(action), time.monotonic() + seconds
        while True:
            answer = self.send(action, request)
            if answer is not None and answer.verdict is not Verdict.RETRY:
                return answer
            assert time.monotonic() < end, "a definite answer"
            time.sleep(0.2)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What stands in the ledger."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()


def play(seat: PeerPlayer, kind: MovementKind, id: str, amount: str, round: str | None = None) -> PeerPlay:
    """One movement in a round."""
    move = PeerMove(kind=kind, id=id, amount=Decimal(amount))
    return PeerPlay(player=seat, round=round or f"round-{id}", moves=(move,))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process."""
    try:
        with postgres_server() as server:
            yield server
    except ServerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


def write_settings(folder: Path, url: str, more: str = "") -> Path:
    """A settings file for a database."""
    file = folder / "hub.toml"
    file.write_text(SETTINGS.format(url=url, more=more))
    return file


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `croupier` to its end."""
    return subprocess.run(
        [CROUPIER, *map(str, words)], env=ENVIRON, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def laid_table(database: str, folder: Path, more: str = "", workers: int = 2) -> Iterator[Table]:
    """Workers, configured, and everything around them."""
    settings = write_settings(folder, database, more)
    made = command("admin", "create-key", settings, "--label", "test")
    assert made.returncode == 0, made.stderr
    with ExitStack() as stack:
        chosen = {"api_url": "https://softswiss.example/api", "casino_id": "acme-casino"}
        peer = SoftswissPeer(structure(chosen, SoftswissSettings, where="settings"))
        port = stack.enter_context(provider_server(peer))
        wallet = stack.enter_context(wallet_process(folder))
        crew = stack.enter_context(crew_process(settings, workers))
        chosen = {**chosen, "api_url": f"http://{HOST}:{port}/api"}
        admin_key = made.stdout.strip()
        key = _configure(crew.urls["admin"], admin_key, wallet.url, chosen)
        until(lambda: every_worker_shows(1, crew, key), "every worker knows of it")
        yield Table(crew, wallet, peer, database, key, admin_key)


def every_worker_shows(games: int, crew: Crew, key: str) -> bool:
    """Whether everybody who answers has so many games: so many are asked that it is all but certain that all are."""
    try:
        return all(ask(f"{crew.urls['operators']}/v1/games", key=key)["total"] == games for _ in range(12))
    except HTTPError:  # it does not know the key yet
        return False


@pytest.fixture
def table(database: str, tmp_path: Path) -> Iterator[Table]:
    """Two workers, configured."""
    with laid_table(database, tmp_path) as laid:
        yield laid


def _configure(admin: str, key: str, wallet: str, settings: dict[str, str]) -> str:
    """Seed by the admin API, at whichever workers answer; returns a key of the operator API."""
    operator = {
        "name": "acme",
        "dialect": "native",
        "wallet": {"url": wallet},
        "wallet_secrets": {"signing_secret": [SIGNING]},
        "wallet_policy": {"retry_safe": True, "tombstones": True, "timeout_ms": 15_000},
    }
    made = ask(f"{admin}/admin/v1/operators", "POST", {"why": "a test", "body": operator}, key)
    below = f"{admin}/admin/v1/operators/{made['id']}"
    connection = {
        "name": "softswiss",
        "adapter": "softswiss",
        "settings": settings,
        "secrets": {"auth_token": [TOKEN]},
        "policy": {"provider_timeout_ms": 15_000},
    }
    stored = ask(f"{below}/connections", "POST", {"why": "a test", "body": connection}, key)
    game = {"title": "Acceptance Test", "studio": "softswiss"}
    ask(f"{below}/games/softswiss-game", "PUT", {"why": "a test", "body": game}, key)
    route = {"connection": stored["id"], "game": "softswiss-game", "code": "acceptance:test"}
    ask(f"{below}/routes", "POST", {"why": "a test", "body": route}, key)
    asked = {"why": "a test", "label": "test", "role": "operator"}
    return str(ask(f"{below}/keys", "POST", asked, key)["key"])


@pytest.fixture
def tools() -> Tools:
    """What tests of this folder share."""
    return Tools()


class Tools:
    """The functions of this file: files of tests cannot import each other."""

    opening = OPENING
    environ = ENVIRON
    until = staticmethod(until)
    known_at_once = staticmethod(known_at_once)
    every_worker_shows = staticmethod(every_worker_shows)
    play = staticmethod(play)
    command = staticmethod(command)
    listens = staticmethod(listens)
    text = staticmethod(text)
    crew_process = staticmethod(crew_process)
    laid_table = staticmethod(laid_table)
    ask = staticmethod(ask)
    write_settings = staticmethod(write_settings)
