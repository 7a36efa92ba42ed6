"""The command line, run in this process and as a program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import croupier as package
from croupier.cli import COMMANDS, croupier, main
from croupier.cli.output import print_rows
from croupier.contract import PackageError, SettingsError, StoreUnavailableError, TransportError, TransportProblem

SETTINGS = '[secrets]\ncurrent = "k1"\nkeys.k1 = { env = "HUB_KEY" }\n'


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(croupier, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_it_tells_its_version() -> None:
    assert run("--version") == (0, f"croupier, version {package.__version__}\n")


def test_the_help_names_every_command() -> None:
    code, text = run("--help")
    assert code == 0
    for name, (_, meaning) in COMMANDS.items():
        assert name in text
        assert meaning.split()[0] in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_imported(name: str) -> None:
    assert run(name, "--help")[0] == 0


def test_an_unknown_command_is_told() -> None:
    code, text = run("dance")
    assert (code, "No such command 'dance'" in text) == (2, True)


def test_the_adapters_of_this_workspace_are_listed_as_json() -> None:
    code, text = run("adapters", "list", "--json")
    found = json.loads(text)
    assert code == 0
    assert {item["slug"] for item in found["adapters"]} >= {"pragmatic", "softswiss"}
    (pragmatic,) = [item for item in found["adapters"] if item["slug"] == "pragmatic"]
    assert pragmatic == {
        "slug": "pragmatic",
        "distribution": "croupier-pragmatic",
        "version": "0.1.0",
        "state": "available",
        "reason": None,
        "api": None,
        "capabilities": [],
        "tier": "uncertified",
        "code": None,
    }
    (native,) = [item for item in found["plugins"] if item["name"] == "wallet_native"]
    assert (native["state"], native["dialects"]) == ("loaded", ["native"])


def test_the_list_is_a_table_for_people() -> None:
    code, text = run("adapters", "list")
    assert code == 0
    assert text.splitlines()[0].split()[:3] == ["ADAPTER", "STATE", "TIER"]
    assert any(line.split()[:3] == ["pragmatic", "available", "uncertified"] for line in text.splitlines())


def test_the_allow_list_of_a_settings_file_is_applied(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(SETTINGS + '[packages]\nadapters = ["softswiss"]\nplugins = []\n')
    found = json.loads(run("adapters", "list", "--json", "--settings", str(file))[1])
    states = {item["slug"]: item["state"] for item in found["adapters"]}
    assert (states["pragmatic"], states["softswiss"]) == ("blocked", "available")
    assert {item["state"] for item in found["plugins"]} == {"blocked"}


def test_settings_that_are_right_are_right(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(SETTINGS)
    assert run("check-settings", str(file)) == (0, f"{file}: right\n")


def test_everything_that_is_wrong_with_settings_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(SETTINGS + '[limits]\nbody_bytes = "big"\nbody_byte = 1\n')
    code, text = run("check-settings", str(file))
    assert code == 3
    assert text.splitlines() == [
        f"{file}: line 5: limits.body_bytes: expected a whole number, not text",
        f"{file}: line 6: limits.body_byte: unknown key: did you mean body_bytes?",
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SettingsError("wrong", where="a.b"), 3),
        (PackageError("broken"), 3),
        (StoreUnavailableError("full"), 4),
        (TransportError("refused", problem=TransportProblem.NOT_SENT), 4),
    ],
)
def test_an_error_is_one_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, status: int
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("croupier.cli.croupier", fail)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == status
    assert capsys.readouterr().err == f"croupier: {error}\n"


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "croupier", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"croupier, version {package.__version__}\n"


def test_listing_adapters_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom croupier.cli import croupier\n"
        "croupier(['adapters', 'list'], standalone_mode=False)\n"
        "print(sorted(sys.modules.keys() & {'aiohttp', 'structlog', 'psycopg', 'redis', 'prometheus_client', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def rows_as_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int | None) -> str:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: columns is not None, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns or 1))
    print_rows([("ID", "WHY"), ("1", "the first"), ("2", "")])
    return capsys.readouterr().out


def test_a_table_that_is_wider_than_the_terminal_is_told_in_blocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "ID  WHY\n1   the first\n2\n"
    assert rows_as_printed(monkeypatch, capsys, 13) == table
    assert rows_as_printed(monkeypatch, capsys, None) == table
    assert rows_as_printed(monkeypatch, capsys, 12) == "ID   1\nWHY  the first\n\nID   2\nWHY\n"


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([("ID", "WHY")])
    assert capsys.readouterr().out == "ID  WHY\n(none)\n"
