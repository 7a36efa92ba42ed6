"""The example wallet as a process, certified by the command as any operator's is."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from croupier.cli import croupier

SCRIPT = Path(__file__).resolve().parents[2] / "examples/operator/certify.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("certify_operator", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example: Any = _load()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with example.running_wallet(tmp_path_factory.mktemp("wallet")) as address:
        yield address


def run(url: str, *words: str, secret: str = example.SECRET, players: tuple[str, ...] = ("p-1", "p-2")) -> Result:
    options = [word for player in players for word in ("--player", player)]
    command = ["certify", "wallet", "--url", url, "--secret-env", "A_SECRET", *options, "--settle", "0.1", *words]
    return CliRunner().invoke(croupier, command, env={"A_SECRET": secret})


def test_the_example_wallet_is_certified_as_platinum(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Proved: platinum." in done.stdout
    report = json.loads((tmp_path / "operator-wallet.json").read_text())
    assert {item["outcome"] for item in report["results"]} == {"passed"}
    assert report["tier"] == "platinum"
    assert (tmp_path / "operator-wallet.html").read_text().startswith("<!")
    cases = ET.parse(tmp_path / "operator-wallet.junit.xml").getroot().iter("testcase")  # noqa: S314 # our own file
    assert len(list(cases)) == len(report["results"])
    knobs = json.loads((tmp_path / "operator-wallet.policy.json").read_text())
    assert knobs["wallet_policy"] == {
        "retry_safe": True,
        "tombstones": True,
        "zero_amounts": True,
        "rollback_shortfall": "deficit",
    }
    told = "".join(file.read_text() for file in tmp_path.iterdir())
    assert example.SECRET not in told
    assert "s-ended" not in told


def test_a_rule_can_be_checked_alone_and_proves_no_tier(url: str) -> None:
    done = run(url, "--rule", "repeated-bet-moves-once")
    assert done.exit_code == 0, done.output
    assert "1 passed" in done.output
    assert "proves no tier" in done.output
    assert "retry_safe" not in done.output


def test_a_part_of_the_wallet_can_be_left_out_and_a_tier_demanded(url: str) -> None:
    done = run(url, "--without", "atomic_batch", "--minimum", "platinum")
    assert done.exit_code == 1, done.output
    assert "Proved: gold." in done.output
    assert "platinum needs the capability atomic_batch" in done.output
    assert '"atomic_batch"' in done.output


def test_a_seed_that_was_used_before_breaks_rules_and_the_status_says_so(url: str) -> None:
    assert run(url, "--seed", "7", "--rule", "bet-takes-its-amount").exit_code == 0
    again = run(url, "--seed", "7", "--rule", "bet-takes-its-amount")
    assert again.exit_code == 1
    assert "what is wrong" in again.output or "expected" in again.output


def test_a_wrong_secret_is_told_and_nothing_is_tried(url: str) -> None:
    done = run(url, secret=example.SECRET.replace("dGVz", "dGVj", 1))
    assert done.exit_code == 2
    assert "does not believe the hub's signature (HTTP 401)" in done.output
    assert "passed" not in done.output


def test_an_unreachable_wallet_is_told(tmp_path: Path) -> None:
    with example.running_wallet(tmp_path) as gone:
        pass
    done = run(gone)
    assert done.exit_code == 2
    assert "cannot be reached" in done.output


def test_how_much_money_is_needed_is_said_first(tmp_path: Path) -> None:
    with example.running_wallet(tmp_path, balance=999) as url:
        done = run(url)
    assert done.exit_code == 2
    assert done.output.index("need 1000 and 100 minor units") < done.output.index("has 999 minor units")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--secret-env", "NOT_SET"), "NOT_SET is not set"),
        (("--secret-env", "other=A_SECRET"), "no secret other"),
        (("--dialect", "telepathy"), "dialect"),
        (("--currency", "XYZ"), "XYZ"),
        (("--session", "s-1"), "--session twice"),
        (("--rule", "no-such-rule"), "no rule no-such-rule"),
        (("--rule", "balance-is-told", "--minimum", "gold"), "proves no tier"),
    ],
)
def test_what_is_called_wrongly_is_told_with_status_2(url: str, words: tuple[str, ...], told: str) -> None:
    done = run(url, *words)
    assert done.exit_code == 2, done.output
    assert told in done.output


def test_two_players_are_needed(url: str) -> None:
    assert run(url, players=("p-1",)).exit_code == 2
    assert "two different" in run(url, players=("p-1", "p-1")).output
    assert "does not know the second" in run(url, players=("p-1", "p-9")).output
