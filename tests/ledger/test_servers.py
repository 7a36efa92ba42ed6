"""The servers that tests are run against come up, and are gone afterwards whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import redis

from croupier_conformance.servers import ServerMissingError, postgres_server, valkey_server

ENDLESS = """
    import time
    from croupier_conformance.servers import postgres_server
    with postgres_server({}) as server:
        print(server.address, flush=True)
        time.sleep(600)
"""


def folder_of(address: str) -> Path:
    return Path(parse_qs(urlsplit(address).query)["host"][0])


def test_a_postgresql_server_holds_databases_and_is_gone_afterwards() -> None:
    with postgres_server({}) as server:
        name = server.create()
        with psycopg.connect(server.url(name)) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (name,)
        copy = server.create(template=name)
        server.drop(name)
        found = server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'croupier%'")
        assert found == [(copy,)]
    assert not folder_of(server.address).exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.address)


def test_a_server_ends_with_the_process_that_was_killed() -> None:
    program = [sys.executable, "-c", textwrap.dedent(ENDLESS)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        address = tests.stdout.readline().strip()
        psycopg.connect(address).close()
        tests.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while folder_of(address).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address)


def test_a_valkey_server_answers_and_is_gone_afterwards() -> None:
    try:
        with valkey_server() as server:
            with redis.Redis.from_url(server.address) as client:
                assert client.set("key", "value")
                assert client.get("key") == b"value"
            if server.address.startswith("unix://"):
                assert Path(server.address.removeprefix("unix://")).is_socket()
    except ServerMissingError as missing:
        pytest.skip(str(missing))
    if server.address.startswith("unix://"):
        assert not Path(server.address.removeprefix("unix://")).parent.exists()


def test_a_valkey_server_can_be_killed_and_come_back_with_what_it_saved() -> None:
    try:
        with valkey_server(own=True) as server, redis.Redis.from_url(server.address) as client:
            assert client.set("key", "saved")
            assert client.save()
            assert client.set("key", "not saved")
            server.kill()
            with pytest.raises(redis.ConnectionError):
                client.get("key")
            server.start()
            assert client.get("key") == b"saved"
    except ServerMissingError as missing:
        pytest.skip(str(missing))
