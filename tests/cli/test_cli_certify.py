"""`croupier certify`: exit statuses, files, and certificates that the hub believes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from croupier.cli import croupier
from croupier.registry.certificates import TIERS, package_place, read_certificate
from croupier_conformance.certification import pages, run
from croupier_conformance.certification.rule import Layer, RuleBook, RuleBrokenError, Tier

SETTINGS = """
[secrets]
current = "k1"
keys.k1 = { env = "HUB_KEY" }
[packages]
require_certificate = "silver"
certificates = "certificates"
trusted_keys = ["signer.pub"]
"""


def call(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(croupier, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> RuleBook[Any]:
    """In place of all rules for adapters: one that holds."""
    made: RuleBook[Any] = RuleBook()
    monkeypatch.setattr(run, "ADAPTER_RULES", made)
    monkeypatch.setattr(pages, "ADAPTER_RULES", made)

    @made.rule("holds", layer=Layer.STATIC, tier=Tier.BRONZE, title="It holds", expects="that it holds")
    def holds(_bench: Any) -> None:
        """It holds."""

    return made


def add_broken(book: RuleBook[Any], tier: Tier) -> None:
    @book.rule("breaks", layer=Layer.FLOWS, tier=tier, title="It breaks", expects="that it holds")
    def breaks(_bench: Any) -> None:
        """It breaks."""
        raise RuleBrokenError("it is wrong", sent="a", came_back="b")


def test_what_holds_leaves_with_0_and_tells_the_tier(book: RuleBook[Any]) -> None:
    code, text = call("certify", "adapter", "softswiss")
    assert (code, "Proved: gold, with 100 examples of each property." in text) == (0, True)


def test_a_broken_rule_leaves_with_1_and_is_told(book: RuleBook[Any]) -> None:
    add_broken(book, Tier.SILVER)
    code, text = call("certify", "adapter", "softswiss")
    assert (code, "it is wrong" in text, "Proved: bronze" in text) == (1, True, True)


def test_a_minimum_is_what_counts_where_one_is_given(book: RuleBook[Any]) -> None:
    add_broken(book, Tier.GOLD)
    assert call("certify", "adapter", "softswiss", "--minimum", "silver")[0] == 0
    assert call("certify", "adapter", "softswiss", "--minimum", "gold")[0] == 1


def test_what_the_certification_file_claims_must_be_proved(book: RuleBook[Any]) -> None:
    """The adapter claims gold."""
    add_broken(book, Tier.PLATINUM)
    assert call("certify", "adapter", "softswiss", "--minimum", "gold")[0] == 0
    code, text = call("certify", "adapter", "softswiss")
    assert (code, "claims" in text) == (1, False)
    code, text = call("certify", "adapter", "pragmatic")
    assert (code, "pragmatic claims platinum in its certification.toml, which is not proved" in text) == (1, True)


def test_one_rule_or_one_layer_can_be_checked_alone(book: RuleBook[Any]) -> None:
    add_broken(book, Tier.BRONZE)
    code, text = call("certify", "adapter", "softswiss", "--rule", "holds")
    assert (code, "that proves no tier" in text, "It breaks" in text) == (0, True, False)
    code, text = call("certify", "adapter", "softswiss", "--layer", "flows")
    assert (code, "It breaks" in text, "It holds" in text) == (1, True, False)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--rule", "nonsense"), "there is no rule nonsense"),
        (("--layer", "nonsense"), "Invalid value for '--layer'"),
        (("--rule", "holds", "--minimum", "gold"), "a part of the rules proves no tier"),
        (("--layer", "static", "--sign", __file__), "a part of the rules proves no tier"),
        (("--examples", "0"), "Invalid value for '--examples'"),
    ],
)
def test_a_wrong_call_leaves_with_2(book: RuleBook[Any], args: tuple[str, ...], told: str) -> None:
    code, text = call("certify", "adapter", "softswiss", *args)
    assert (code, told in text) == (2, True)


def test_every_layer_and_tier_can_be_named() -> None:
    from croupier.cli.certify_adapter import adapter

    choices = {param.name: set(param.type.choices) for param in adapter.params if isinstance(param.type, click.Choice)}
    assert choices["layers"] == {layer.value for layer in Layer} - {"wallet"}
    assert choices["minimum"] == {tier.word for tier in Tier} - {"none"} == set(TIERS)


def test_reports_are_written_where_they_are_asked_for(book: RuleBook[Any], tmp_path: Path) -> None:
    files = {"--html": "a/r.html", "--junit": "r.xml", "--json": "r.json"}
    args = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
    assert call("certify", "adapter", "softswiss", *args, "--out", str(tmp_path / "all"))[0] == 0
    assert (tmp_path / "a/r.html").read_text().startswith("<!doctype html>")
    assert "<testsuite " in (tmp_path / "r.xml").read_text()
    assert json.loads((tmp_path / "r.json").read_text())["tier"] == "gold"
    assert {file.name for file in (tmp_path / "all").iterdir()} == {
        "softswiss.html",
        "softswiss.junit.xml",
        "softswiss.json",
    }


def test_every_rule_is_listed_and_has_its_page() -> None:
    code, text = call("certify", "rules", "--of", "adapter")
    assert (code, "no-secret-no-proof" in text) == (0, True)
    code, text = call("certify", "rule", "no-secret-no-proof")
    assert (code, text.splitlines()[0]) == (0, "# Without a secret nothing is proven")
    code, text = call("certify", "rule", "nonsense")
    assert (code, "there is no rule nonsense" in text) == (2, True)


@pytest.mark.parametrize("args", ["rules", "adapter softswiss", "rule no-secret-no-proof"])
def test_without_the_extra_the_command_says_what_to_install(args: str) -> None:
    code = "import sys; sys.modules['hypothesis'] = None\nfrom croupier.cli import main\nmain()"
    command = [sys.executable, "-c", code, "certify", *args.split()]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "croupier: the conformance kit cannot be used: hypothesis is not installed "
        '(pip install "croupier[conformance]")\n'
    )


def test_a_run_leaves_nothing_in_the_folder_that_it_is_started_in(tmp_path: Path) -> None:
    code = "from croupier.cli import main\nmain()"
    drawing = ["--layer", "properties", "--examples", "1"]
    command = [sys.executable, "-c", code, "certify", "adapter", "softswiss", *drawing]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_keys_are_made_without_the_kit_and_never_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "croupier_conformance", None)
    code, text = call("certify", "keygen", str(tmp_path / "signer"))
    assert (code, {file.name for file in tmp_path.iterdir()}) == (0, {"signer.key", "signer.pub"})
    assert "signer.key signs" in text
    assert CliRunner().invoke(croupier, ["certify", "keygen", str(tmp_path / "signer")]).exit_code != 0


# --- certificates


def certified(folder: Path) -> None:
    """A key pair, a certificate of softswiss, and settings that require one."""
    assert call("certify", "keygen", str(folder / "signer"))[0] == 0
    args = ("--sign", str(folder / "signer.key"), "--out", str(folder / "certificates"))
    assert call("certify", "adapter", "softswiss", *args)[0] == 0
    (folder / "hub.toml").write_text(SETTINGS)


def adapters(settings: Path) -> dict[str, dict[str, Any]]:
    code, text = call("adapters", "list", "--json", "--settings", str(settings))
    assert code == 0
    return {item["slug"]: item for item in json.loads(text)["adapters"]}


def test_a_certificate_says_what_was_proved(book: RuleBook[Any], tmp_path: Path) -> None:
    certified(tmp_path)
    told = read_certificate((tmp_path / "certificates/softswiss.certificate.json").read_text())
    assert (told.kind, told.name, told.tier, told.passed, told.exempt) == ("adapter", "softswiss", "gold", 1, 0)
    assert told.version == adapters(tmp_path / "hub.toml")["softswiss"]["version"]


def test_a_certified_adapter_is_shown_with_its_tier_and_the_others_are_refused(
    book: RuleBook[Any], tmp_path: Path
) -> None:
    certified(tmp_path)
    found = adapters(tmp_path / "hub.toml")
    assert {name: found["softswiss"][name] for name in ("tier", "state", "code")} == {
        "tier": "gold",
        "state": "available",
        "code": None,
    }
    assert {name: found["pragmatic"][name] for name in ("tier", "state", "code", "reason")} == {
        "tier": "uncertified",
        "state": "quarantined",
        "code": "certificate",
        "reason": "it has no certificate, and silver is required",
    }


def elsewhere(site: Path, settings: Path) -> dict[str, Any]:
    """What a program of its own tells of the adapter that is installed in another folder."""
    done = subprocess.run(
        [sys.executable, "-m", "croupier", "adapters", "list", "--json", "--load", "--settings", str(settings)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    (found,) = [item for item in json.loads(done.stdout)["adapters"] if item["slug"] == "softswiss"]
    return dict(found)


def test_an_installed_copy_is_certified_until_one_byte_of_it_is_changed(book: RuleBook[Any], tmp_path: Path) -> None:
    certified(tmp_path)
    place, site = package_place("croupier_softswiss"), tmp_path / "site"
    assert place is not None
    shutil.copytree(place, site / "croupier_softswiss")
    info = site / "croupier_softswiss-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: croupier-softswiss\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[croupier.adapters]\nsoftswiss = croupier_softswiss.plugin\n")

    found = elsewhere(site, tmp_path / "hub.toml")
    assert (found["tier"], found["state"], found["code"]) == ("gold", "loaded", None)

    changed = site / "croupier_softswiss/adapter.py"
    raw = bytearray(changed.read_bytes())
    raw[raw.index(b"a")] ^= 0x20
    changed.write_bytes(bytes(raw))

    found = elsewhere(site, tmp_path / "hub.toml")
    assert (found["tier"], found["state"], found["code"]) == ("uncertified", "quarantined", "certificate")
    assert found["reason"] == (
        "silver is required, and its certificate does not count: the package's files are not those that were certified"
    )


def refused(*args: str) -> str:
    result = CliRunner().invoke(croupier, ["certify", "adapter", "softswiss", *args])
    assert result.exit_code != 0
    return str(result.exception)


def test_too_few_examples_make_no_certificate(book: RuleBook[Any], tmp_path: Path) -> None:
    call("certify", "keygen", str(tmp_path / "signer"))
    told = refused("--sign", str(tmp_path / "signer.key"), "--out", str(tmp_path), "--examples", "99")
    assert told == "a certificate needs 100 examples of each property"
    assert {file.name for file in tmp_path.iterdir()} == {"signer.key", "signer.pub"}


def test_what_proves_no_tier_makes_no_certificate(book: RuleBook[Any], tmp_path: Path) -> None:
    add_broken(book, Tier.BRONZE)
    call("certify", "keygen", str(tmp_path / "signer"))
    assert refused("--sign", str(tmp_path / "signer.key"), "--out", str(tmp_path)) == "no tier is proved"
    assert not (tmp_path / "softswiss.certificate.json").exists()


def test_a_report_is_not_written_into_the_package_that_is_certified(book: RuleBook[Any], tmp_path: Path) -> None:
    call("certify", "keygen", str(tmp_path / "signer"))
    place = package_place("croupier_softswiss")
    assert place is not None
    for option in ("--out", "--html"):
        args = ("--sign", str(tmp_path / "signer.key"), option, str(place / "report"))
        code, text = call("certify", "adapter", "softswiss", *args)
        assert (code, "is in the package that is certified" in " ".join(text.split())) == (2, True)


def test_files_that_change_during_the_run_make_no_certificate(
    book: RuleBook[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = iter(["sha256:before", "sha256:after"])
    monkeypatch.setattr("croupier_conformance.certification.signing.content_hash", lambda _place: next(hashes))
    call("certify", "keygen", str(tmp_path / "signer"))
    told = refused("--sign", str(tmp_path / "signer.key"), "--out", str(tmp_path))
    assert told == "the package's files have changed during the run"
