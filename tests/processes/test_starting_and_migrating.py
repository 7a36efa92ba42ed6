"""What a start with several workers refuses, and bringing a schema up to date."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from croupier.contract import SettingsError
from croupier.runtime.crew import reserved
from croupier.runtime.settings import Listener, Listeners


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine."""
    if request.param == "postgres":
        return str(request.getfixturevalue("database"))
    return f"sqlite:///{tmp_path}/ledger.sqlite"


def test_sqlite_with_several_workers_is_refused_and_says_why(tmp_path: Path, tools: Any) -> None:
    settings = tools.write_settings(tmp_path, "sqlite:///hub.sqlite")
    done = tools.command("serve", settings, "--workers", "2")
    assert done.returncode == 3
    assert "database.url" in done.stderr
    assert "SQLite serves one process, not 2 workers" in done.stderr
    assert "postgresql://HOST/NAME" in done.stderr
    assert not (tmp_path / "hub.sqlite").exists()


def test_what_keeps_a_worker_from_starting_ends_the_parent(database: str, tmp_path: Path, tools: Any) -> None:
    settings = tools.write_settings(tmp_path, database)
    settings.write_text(settings.read_text().replace("TEST_HUB_KEY", "NO_SUCH_KEY"))
    done = tools.command("serve", settings, "--workers", "2")
    assert done.returncode == 3
    assert "secrets.keys.test.env" in done.stderr


def test_a_database_that_is_away_at_the_start_may_be_tried_later(tmp_path: Path, tools: Any) -> None:
    settings = tools.write_settings(tmp_path, f"postgresql://nobody@/nothing?host={tmp_path}")
    assert tools.command("serve", settings, "--workers", "2").returncode == 4
    assert tools.command("migrate", settings).returncode == 4


def test_a_port_where_somebody_listens_is_refused_even_if_he_shares_it() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        listener = Listener(port=other.getsockname()[1])
        with pytest.raises(SettingsError, match="cannot be bound") as refused, reserved(Listeners(operators=listener)):
            pass
    assert refused.value.where == "listeners.operators"


def test_port_0_is_resolved_once_and_a_shared_address_stays_shared() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with reserved(
        Listeners(providers=Listener(port=0), operators=Listener(port=port), admin=Listener(port=port))
    ) as found:
        assert found.providers.port not in {0, port}
        assert (found.operators.port, found.admin.port) == (port, port)


def test_migrate_tells_the_versions_and_has_nothing_to_do_the_second_time(url: str, tmp_path: Path, tools: Any) -> None:
    settings = tools.write_settings(tmp_path, url)
    first, second = tools.command("migrate", settings), tools.command("migrate", settings)
    newest = first.stdout.split()[-1]
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout.splitlines()[0] == "applied 0001_ledger"
    assert first.stdout.splitlines()[-1] == f"schema version 0 -> {newest}"
    assert second.stdout.splitlines() == [
        "releases that know schema version 2 or newer can work with it",
        f"schema version {newest} -> {newest} (nothing to do)",
    ]


def test_migrate_of_the_release_before_leaves_a_schema_alone_that_it_can_work_with(
    url: str, tmp_path: Path, tools: Any
) -> None:
    settings = tools.write_settings(tmp_path, url)
    newest = int(tools.command("migrate", settings).stdout.split()[-1])
    step = "INSERT INTO schema_versions (version, name, oldest_code) VALUES ({}, 'later', {})"
    _execute(url, step.format(newest + 1, newest))
    told = tools.command("migrate", settings)
    assert told.returncode == 0
    assert told.stdout.splitlines() == [
        f"releases that know schema version {newest} or newer can work with it",
        f"schema version {newest + 1} -> {newest + 1} (this release knows up to {newest}; nothing to do)",
    ]
    _execute(url, step.format(newest + 2, newest + 2))
    refused = tools.command("migrate", settings)
    assert refused.returncode == 3
    assert f"is version {newest + 2}, this code knows up to {newest}" in refused.stderr


def _execute(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute(statement)
        connection.close()
        return
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(statement.encode())


def test_a_start_that_may_not_migrate_is_refused_until_somebody_did(url: str, tmp_path: Path, tools: Any) -> None:
    settings = tools.write_settings(tmp_path, url, "migrate = false")
    refused = tools.command("admin", "create-key", settings, "--label", "ann")
    assert refused.returncode == 3
    assert "run `croupier migrate`" in refused.stderr
    assert tools.command("serve", settings).returncode == 3
    assert tools.command("migrate", settings).returncode == 0
    made = tools.command("admin", "create-key", settings, "--label", "ann")
    assert (made.returncode, made.stdout.startswith("croupier_")) == (0, True)


def test_a_file_that_is_no_ledger_is_not_touched(tmp_path: Path, tools: Any) -> None:
    file = tmp_path / "other.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE somebody (id)")
    connection.close()
    done = tools.command("migrate", tools.write_settings(tmp_path, f"sqlite:///{file}"))
    assert done.returncode == 3
    assert "something else than a ledger" in done.stderr
