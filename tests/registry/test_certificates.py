"""Certificates that count, and everything that makes one count no more."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from croupier.contract import ADAPTER_API, CertificateError, SettingsError
from croupier.registry import AdapterReport, CertificateRule, Registry, State
from croupier.registry.certificates import (
    Certificate,
    check_signature,
    content_hash,
    key_id,
    make_keys,
    package_place,
    read_certificate,
    read_private_key,
    read_public_keys,
    sign,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRUSTED = {key_id(KEY.public_key()): KEY.public_key()}


def certificate(place: Path, **other: Any) -> Certificate:
    told = Certificate(
        kind="adapter",
        name="toy",
        version="1.0",
        contract=ADAPTER_API,
        kit="0.1.0",
        content=content_hash(place),
        tier="silver",
        date=datetime(2026, 1, 1, tzinfo=UTC),
        passed=40,
        exempt=1,
    )
    return evolve(told, **other)


@frozen
class Installed:
    """A toy adapter in a folder on the path."""

    folder: Any

    @property
    def package(self) -> Path:
        return Path(self.folder.path) / "zz_toy"

    def certify(self, key: Ed25519PrivateKey = KEY, place: Path | None = None, **other: Any) -> None:
        text = sign(certificate(self.package, **other), key).write()
        ((place or self.package) / "toy.certificate.json").write_text(text)

    def registry(self, required: str | None = None, folder: Path | None = None) -> Registry:
        return Registry(certificates=CertificateRule(required=required, folder=folder, trusted=TRUSTED))

    def report(self, required: str | None = None, folder: Path | None = None) -> AdapterReport:
        (found,) = self.registry(required, folder).adapters()
        return found


@pytest.fixture
def toy(folder: Any) -> Installed:
    folder.adapter("toy")
    return Installed(folder)


def test_a_certificate_in_the_package_gives_the_adapter_its_tier_without_an_import(toy: Installed) -> None:
    toy.certify()
    found = toy.report("silver")
    assert (found.tier, found.state, found.reason, found.code) == ("silver", State.AVAILABLE, None, None)
    assert "zz_toy" not in sys.modules


def test_a_loaded_adapter_keeps_its_tier(toy: Installed) -> None:
    toy.certify(tier="gold")
    registry = toy.registry("gold")
    registry.adapter("toy")
    registry.rescan()
    (found,) = registry.adapters()
    assert (found.tier, found.state, found.reason) == ("gold", State.LOADED, None)


def test_a_certificate_in_the_folder_of_the_settings_counts_as_well(toy: Installed, tmp_path: Path) -> None:
    toy.certify(place=tmp_path)
    assert toy.report("silver", tmp_path).tier == "silver"
    assert toy.report().tier == "uncertified"


def test_of_two_certificates_that_count_the_higher_one_is_shown(toy: Installed, tmp_path: Path) -> None:
    toy.certify(tier="bronze")
    toy.certify(tier="gold", place=tmp_path)
    assert toy.report(folder=tmp_path).tier == "gold"
    toy.certify(tier="platinum")
    assert toy.report(folder=tmp_path).tier == "platinum"


def test_one_that_counts_outweighs_one_that_does_not(toy: Installed, tmp_path: Path) -> None:
    toy.certify(STRANGER, tier="gold")
    toy.certify(place=tmp_path)
    assert (toy.report(folder=tmp_path).tier, toy.report(folder=tmp_path).reason) == ("silver", None)


def flip(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-2] ^= 1
    file.write_bytes(bytes(raw))


def add(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")


CHANGES: dict[str, Callable[[Path], object]] = {
    "one byte of a module": lambda package: flip(package / "plugin.py"),
    "a new module": lambda package: add(package / "more.py"),
    "a new module in a folder": lambda package: add(package / "sub/more.py"),
    "a module renamed": lambda package: (package / "__init__.py").rename(package / "__init2__.py"),
    "compiled code without a source": lambda package: add(package / "more.pyc"),
    "tests further below": lambda package: add(package / "sub/tests/more.py"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_adapter_loses_its_certificate(toy: Installed, change: Callable[[Path], object]) -> None:
    toy.certify()
    assert toy.report("silver").state is State.AVAILABLE
    change(toy.package)
    found = toy.report()
    assert (found.tier, found.state) == ("uncertified", State.AVAILABLE)
    assert found.reason == ("its certificate does not count: the package's files are not those that were certified")
    refused = toy.registry("silver")
    (found,) = refused.adapters()
    assert (found.state, found.code, found.tier) == (State.QUARANTINED, "certificate", "uncertified")
    with pytest.raises(CertificateError, match="files are not those that were certified"):
        refused.adapter("toy")
    assert "zz_toy" not in sys.modules


def test_what_comes_with_running_and_testing_changes_nothing(toy: Installed) -> None:
    toy.certify()
    for name in ("__pycache__", "tests", "sub/__pycache__"):
        (toy.package / name).mkdir(parents=True)
        (toy.package / name / "x.py").write_text("x = 1")
    (toy.package / "other.certificate.json").write_text("{}")
    assert toy.report("silver").tier == "silver"


def test_files_that_change_between_being_found_and_being_imported_are_not_imported(toy: Installed) -> None:
    toy.certify()
    registry = toy.registry("silver")
    flip(toy.package / "plugin.py")
    with pytest.raises(CertificateError, match="silver is required"):
        registry.adapter("toy")
    (found,) = registry.adapters()
    assert (found.state, found.code) == (State.QUARANTINED, "certificate")
    assert "zz_toy" not in sys.modules


def test_a_mended_adapter_is_used_after_a_rescan(toy: Installed) -> None:
    toy.certify()
    flip(toy.package / "plugin.py")
    registry = toy.registry("silver")
    flip(toy.package / "plugin.py")
    registry.rescan()
    assert registry.adapter("toy").slug == "toy"


def test_an_adapter_without_a_certificate_is_used_only_where_none_is_required(toy: Installed) -> None:
    assert toy.registry().adapter("toy").slug == "toy"
    with pytest.raises(CertificateError, match=r"adapters\.toy: it has no certificate, and bronze is required"):
        toy.registry("bronze").adapter("toy")


def test_a_tier_below_what_is_required_is_not_enough(toy: Installed) -> None:
    toy.certify(tier="bronze")
    found = toy.report("silver")
    assert (found.tier, found.state, found.reason) == (
        "bronze",
        State.QUARANTINED,
        "it is certified as bronze, and silver is required",
    )
    assert toy.report("bronze").state is State.AVAILABLE


OTHERS = {
    "another version": ({"version": "0.9"}, "it is for version 0.9, and 1.0 is installed"),
    "another adapter": ({"name": "other"}, "it is for the adapter other"),
    "a wallet": ({"kind": "wallet"}, "it is for the wallet toy"),
    "a newer contract": ({"contract": ADAPTER_API + 1}, f"it was made against ADAPTER_API {ADAPTER_API + 1}"),
}


@pytest.mark.parametrize(("other", "reason"), OTHERS.values(), ids=OTHERS)
def test_a_certificate_for_something_else_does_not_count(toy: Installed, other: Any, reason: str) -> None:
    toy.certify(**other)
    found = toy.report()
    assert (found.tier, found.reason) == ("uncertified", f"its certificate does not count: {reason}")


def test_a_stranger_certifies_nothing_here(toy: Installed) -> None:
    toy.certify(STRANGER)
    stranger = key_id(STRANGER.public_key())
    assert toy.report().reason == (
        f"its certificate does not count: it is signed by the key {stranger}, which is not trusted here"
    )


def test_a_stranger_who_names_a_trusted_key_is_found_out(toy: Installed) -> None:
    told = json.loads(sign(certificate(toy.package), STRANGER).write())
    (toy.package / "toy.certificate.json").write_text(json.dumps({**told, "key": key_id(KEY.public_key())}))
    assert toy.report().reason == "its certificate does not count: its signature is wrong"


ALTERED = {
    "kind": "wallet",
    "name": "other",
    "version": "2.0",
    "contract": ADAPTER_API - 1,
    "kit": "9",
    "content": "sha256:0",
    "tier": "platinum",
    "date": "2030-01-01T00:00:00+00:00",
    "passed": 99,
    "exempt": 0,
    "signature": "AAAA",
}


@pytest.mark.parametrize("name", ALTERED)
def test_every_field_is_covered_by_the_signature(toy: Installed, name: str) -> None:
    told = json.loads(sign(certificate(toy.package), KEY).write())
    assert told[name] != ALTERED[name]
    altered = read_certificate(json.dumps({**told, name: ALTERED[name]}))
    with pytest.raises(CertificateError, match="its signature is wrong"):
        check_signature(altered, KEY.public_key())


def test_no_field_is_left_out_of_the_alterations(toy: Installed) -> None:
    told = json.loads(sign(certificate(toy.package), KEY).write())
    assert told.keys() - ALTERED.keys() == {"format", "key"}  # those two lead to other refusals


def test_a_certificate_reads_as_it_was_written(toy: Installed) -> None:
    signed = sign(certificate(toy.package), KEY)
    assert read_certificate(signed.write()) == signed


BAD = {
    "no JSON": "certificate",
    "a list": "[]",
    "another format": '{"format": 2}',
    "nothing": '{"format": 1}',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_certificate_is_told(toy: Installed, text: str) -> None:
    (toy.package / "toy.certificate.json").write_text(text)
    assert "its certificate does not count: it is no certificate" in str(toy.report().reason)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tier", "diamond"), ("passed", True), ("passed", "40"), ("name", 7), ("date", "2026-01-01"), ("more", 1)],
)
def test_a_field_that_is_wrong_makes_it_no_certificate(toy: Installed, name: str, value: object) -> None:
    told = json.loads(sign(certificate(toy.package), KEY).write())
    with pytest.raises(CertificateError, match="it is no certificate"):
        read_certificate(json.dumps({**told, name: value}))


def test_a_file_that_is_too_long_is_not_read_to_its_end(toy: Installed) -> None:
    (toy.package / "toy.certificate.json").write_text("{" + " " * 70_000)
    assert toy.report().reason == "its certificate does not count: it is too long for a certificate"


def test_a_plugin_does_not_bring_an_adapter_past_the_requirement(folder: Any, adapter_source: Any) -> None:
    folder.plugin("toys", adapter_source("toy"))
    registry = Registry(certificates=CertificateRule(required="bronze", trusted=TRUSTED))
    (found,) = registry.plugins()
    assert (found.state, found.reason) == (
        State.QUARANTINED,
        "it brings the adapter toy: it has no certificate, and bronze is required",
    )
    assert registry.adapters() == []


def test_a_plugin_brings_a_certified_adapter_with_its_tier(folder: Any, adapter_source: Any) -> None:
    folder.plugin("toys", adapter_source("toy"))
    package = Path(folder.path) / "zz_toys"
    (package / "toy.certificate.json").write_text(sign(certificate(package), KEY).write())
    registry = Registry(certificates=CertificateRule(required="silver", trusted=TRUSTED))
    (found,) = registry.adapters()
    assert (found.slug, found.tier, found.state) == ("toy", "silver", State.LOADED)


# --- content


def test_the_hash_is_of_names_and_contents_and_nothing_else(toy: Installed, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(toy.package, copy)
    os.utime(copy / "plugin.py", (0, 0))
    (copy / "plugin.py").chmod(0o400)
    assert content_hash(copy) == content_hash(toy.package)


def test_names_and_contents_cannot_be_mistaken_for_each_other(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "a").write_text("x")
    (one / "b").write_text("y")
    (two / "a").write_text("y")
    (two / "b").write_text("x")
    assert content_hash(one) != content_hash(two)


def test_a_package_of_one_file_has_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "zz_one.py"
    file.write_text("x = 1")
    before = content_hash(file)
    file.write_text("x = 2")
    assert content_hash(file) != before


def test_a_link_to_a_folder_is_refused(toy: Installed, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (toy.package / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(CertificateError, match="a link to a folder"):
        content_hash(toy.package)


def test_a_package_is_found_without_being_imported(toy: Installed) -> None:
    assert package_place("zz_toy.plugin") == toy.package
    assert package_place("zz_nobody") is None
    assert "zz_toy" not in sys.modules


# --- keys


def test_keys_are_made_once_and_the_private_one_is_for_its_owner_only(tmp_path: Path) -> None:
    private, public = tmp_path / "c.key", tmp_path / "c.pub"
    made = make_keys(private, public)
    assert private.stat().st_mode & 0o777 == 0o600
    assert key_id(read_private_key(private).public_key()) == made
    assert set(read_public_keys([public])) == {made}
    with pytest.raises(SettingsError, match="File exists"):
        make_keys(private, public)


def test_what_is_no_key_is_told_by_its_file(tmp_path: Path) -> None:
    private, public = tmp_path / "c.key", tmp_path / "c.pub"
    make_keys(private, public)
    with pytest.raises(SettingsError, match="expected a key as PEM"):
        read_public_keys([private])
    with pytest.raises(SettingsError, match="expected a key as PEM"):
        read_private_key(public)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_public_keys([tmp_path / "nobody.pub"])
