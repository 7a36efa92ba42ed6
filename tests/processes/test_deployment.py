"""The example of two machines: its files are put to use, with other addresses and paths."""

from __future__ import annotations

import configparser
import os
import random
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import yaml  # type: ignore[import-untyped]  # it comes without types
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.benchmarks.nginx import program

from croupier.cli import croupier as command_line
from croupier.contract import Headers, HttpResponse, MovementKind, Verdict
from croupier.runtime.settings import Limits, check_settings, load_settings
from croupier_conformance.servers import ServerMissingError, postgres_server

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples/deployment"
HOST = "127.0.0.1"
PROVIDER, STRANGER = "127.0.0.2", "127.0.0.3"
"""Where requests come from: the whole block leads to this machine."""
NAME = "providers.hub.example"


def text_of(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def free_port() -> int:
    """A port that nobody listens at, below those that the kernel gives to connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


# --- the proxy


def certify(folder: Path) -> None:
    """A certificate for the name under which providers call."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "hub.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "hub.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))


def proxy_settings(folder: Path, port: int, first: dict[str, str], second: dict[str, str]) -> str:
    """The example's file with this machine's addresses."""
    text = text_of("nginx.conf")
    for address, there in {
        "10.0.0.11:8080": first["providers"].removeprefix("http://"),
        "10.0.0.12:8080": second["providers"].removeprefix("http://"),
        "10.0.0.11:8081": first["operators"].removeprefix("http://"),
        "10.0.0.12:8081": second["operators"].removeprefix("http://"),
        "/etc/nginx/tls": str(folder),
        "listen 443": f"listen {HOST}:{port}",
    }.items():
        assert address in text
        text = text.replace(address, there)
    user = "" if os.geteuid() else "user root;"
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
        daemon off; {user} pid {folder}/nginx.pid; error_log stderr warn;
        events {{ }} http {{ {temporary} {text} }}
    """


@contextmanager
def proxy(tools: Any, folder: Path, first: dict[str, str], second: dict[str, str]) -> Iterator[int]:
    """nginx with the example's file before two machines, by where each listens; gives its port."""
    nginx = program()
    if nginx is None:
        pytest.skip("there is no nginx here")
    certify(folder)
    port, file = free_port(), folder / "nginx.conf"
    file.write_text(proxy_settings(folder, port, first, second))
    command = [str(nginx), "-p", str(folder), "-c", str(file), "-e", "stderr"]
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            tools.until(lambda: process.poll() is not None or tools.listens(port), "nginx listens")
            assert process.poll() is None, (folder / "nginx.log").read_text()
            yield port
        finally:
            process.terminate()
            process.wait(30)


def call(folder: Path, port: int, source: str, path: str, request: Any, **fields: str) -> HttpResponse:
    """Send a provider's request by TLS from one of this machine's addresses."""
    trusted = ssl.create_default_context(cafile=str(folder / "hub.crt"))
    plain = socket.create_connection((HOST, port), timeout=60, source_address=(source, 0))
    with trusted.wrap_socket(plain, server_hostname=NAME) as secured:
        connection = HTTPConnection(NAME)
        connection.sock = secured
        headers = dict(request.headers.items) | {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(request.method, path, request.body, headers)
        answer = connection.getresponse()
        return HttpResponse(answer.status, Headers.of(answer.getheaders()), answer.read())


def let_in(table: Any, tools: Any) -> None:
    """Only the provider's address may call, as the proxy tells it."""
    admin = table.crew.urls["admin"]
    (operator,) = tools.ask(f"{admin}/admin/v1/operators", key=table.admin_key)["items"]
    below = f"{admin}/admin/v1/operators/{operator['id']}/connections"
    (connection,) = tools.ask(below, key=table.admin_key)["items"]
    body = connection["body"] | {"allow_cidrs": [f"{PROVIDER}/32"], "trusted_proxies": [f"{HOST}/32"]}
    tools.ask(f"{below}/{connection['id']}", "PUT", {"why": "behind a proxy", "body": body}, table.admin_key)


def test_bets_come_through_the_proxy_from_the_providers_address_alone_and_a_machine_that_is_away_costs_none(
    table: Any, tools: Any, tmp_path: Path
) -> None:
    seat = table.sit_down("ann")
    bet = tools.play(seat, MovementKind.BET, "b1", "1.00")
    request = table.signed(bet)
    path = f"/providers/acme/softswiss{request.url}"
    let_in(table, tools)
    away = {name: f"http://{HOST}:{free_port()}" for name in ("providers", "operators")}
    with proxy(tools, tmp_path, away, table.crew.urls) as port:

        def turned_away() -> bool:
            stranger = call(tmp_path, port, STRANGER, path, table.signed(bet), X_Forwarded_For=PROVIDER)
            return stranger.status == 403

        tools.until(turned_away, "both workers have heard of it")
        for number in range(12):  # at either worker; the machine that is away is asked first now and then
            bet = tools.play(seat, MovementKind.BET, f"b{number}", "1.00")
            response = call(tmp_path, port, PROVIDER, path, table.signed(bet))
            assert table.peer.answer(bet, response).verdict is Verdict.DONE
        told = [call(tmp_path, port, PROVIDER, elsewhere, request).status for elsewhere in ("/admin/v1/operators", "/")]
        assert told == [404, 404]
    assert table.rows("SELECT count(*), sum(amount) FROM movements WHERE state = 'applied'") == [(12, 1200)]
    assert sum(table.wallet.moved()) == -1200


def test_a_restart_of_one_machine_after_the_other_costs_no_bet(table: Any, tools: Any, tmp_path: Path) -> None:
    settings = tmp_path / "second" / "hub.toml"
    settings.parent.mkdir()
    text = (tmp_path / "hub.toml").read_text().replace('owner = "test"', 'owner = "second"')
    ports = {name: free_port() for name in ("providers", "operators")}
    for name, port in ports.items():
        text = text.replace(f"listeners.{name} = {{ port = 0 }}", f"listeners.{name} = {{ port = {port} }}")
    settings.write_text(text)
    second = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    seats = [table.sit_down(f"player-{number}") for number in range(4)]
    restarted = threading.Event()

    def play(number: int, port: int) -> int:
        """Bet after bet until the machine is back and a while longer; returns how many."""
        spins = 0
        while not restarted.is_set() or spins < 20:
            bet = tools.play(seats[number], MovementKind.BET, f"p{number}s{spins}", "1.00")
            request = table.signed(bet)
            while True:
                response = call(tmp_path, port, PROVIDER, f"/providers/acme/softswiss{request.url}", request)
                # The proxy answers 502 where a machine went away in the middle: the provider asks again.
                if response.status < 500 and table.peer.answer(bet, response).verdict is Verdict.DONE:
                    break
                time.sleep(0.05)
            spins += 1
        return spins

    with proxy(tools, tmp_path, table.crew.urls, second) as port, ThreadPoolExecutor(len(seats)) as pool:
        with tools.crew_process(settings, workers=1) as crew:
            told = [pool.submit(play, number, port) for number in range(len(seats))]
            tools.until(lambda: len(table.wallet.moved()) > 10, "the game is under way")
            crew.process.terminate()
            assert crew.process.wait(60) == 0
        with tools.crew_process(settings, workers=1):
            restarted.set()
            played = sum(each.result() for each in told)
    assert table.rows("SELECT count(*), sum(amount) FROM movements WHERE state = 'applied'") == [(played, 100 * played)]
    assert sum(table.wallet.moved()) == -100 * played
    assert table.rows("SELECT count(DISTINCT split_part(name, '-', 1)) FROM owners") == [(2,)]


# --- settings


def test_the_settings_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(text_of("hub.toml"))
    (tmp_path / "hub.key").write_text("dGVzdCBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyBsZW4=")
    assert check_settings(file) == ()
    settings = load_settings(file)
    assert not settings.database.migrate
    assert settings.listeners.admin.host == HOST


def test_the_unit_starts_a_command_that_exists_and_waits_for_it_to_drain() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # the library's own way to keep capitals
    unit.read_string(text_of("croupier.service"))
    service = unit["Service"]
    program_name, command, settings, *options = service["ExecStart"].split()
    assert program_name.endswith("/bin/croupier")
    assert settings == "/etc/croupier/hub.toml"
    serve = command_line.get_command(click.Context(command_line), command)
    assert serve is not None
    assert set(options[::2]) <= {flag for parameter in serve.params for flag in parameter.opts}
    assert int(service["TimeoutStopSec"]) > Limits().drain_seconds + 60
    assert service["KillMode"] == "mixed"


def test_each_worker_is_scraped() -> None:
    workers = int(re.findall(r"--workers (\d+)", text_of("croupier.service"))[0])
    first = load_settings(FOLDER / "hub.toml").listeners.probes
    assert first is not None
    (job,) = yaml.safe_load(text_of("prometheus.yml"))["scrape_configs"]
    ports = [sorted(int(target.rpartition(":")[2]) for target in one["targets"]) for one in job["static_configs"]]
    assert ports == [list(range(first.port, first.port + workers))] * 2


def test_the_databases_settings_are_those_of_a_server_that_the_hub_takes(tools: Any, tmp_path: Path) -> None:
    lines = (line.partition("#")[0].partition("=") for line in text_of("postgresql.conf").splitlines())
    named = {name.strip(): value.strip().strip("'") for name, _, value in lines if name.strip()}
    assert named["synchronous_standby_names"]
    # No standbys here, and not so much memory.
    here = named | {"synchronous_standby_names": "", "shared_buffers": "64MB", "max_wal_size": "1GB"}
    try:
        with postgres_server(here) as server:
            url = server.url(server.create())
            with psycopg.connect(url) as connection:
                for name in named:
                    assert connection.execute("SELECT 1 FROM pg_settings WHERE name = %s", (name,)).fetchone(), name
            started = tools.command("migrate", tools.write_settings(tmp_path, url))
            assert started.returncode == 0, started.stderr
    except ServerMissingError as missing:
        pytest.skip(str(missing))


def test_alerts_ask_for_metrics_and_labels_that_exist() -> None:
    page = (ROOT / "hub/docs/operating.md").read_text("utf-8")
    table = re.findall(r"^\| `(croupier_\w+)` \| (.*?) \|", page, re.MULTILINE)
    known = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in table}
    (group,) = yaml.safe_load(text_of("alerts.yml"))["groups"]
    asked: set[str] = set()
    for rule in group["rules"]:
        for name, labels in re.findall(r"(croupier_\w+)(?:\{(.*?)\})?", rule["expr"]):
            metric = name if name in known else re.sub(r"_(bucket|count|sum)$", "", name)
            assert metric in known, rule["alert"]
            assert set(re.findall(r"(\w+)=", labels)) <= known[metric], rule["alert"]
            asked.add(metric)
        for group_by in re.findall(r"by \((.*?)\)", rule["expr"]):
            of_rule = set().union(*(known[name] for name in known if name in rule["expr"]), {"le"})
            assert {label.strip() for label in group_by.split(",")} <= of_rule, rule["alert"]
    assert len(asked) >= 9
