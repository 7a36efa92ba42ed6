"""Which packages a hub uses: certificates that the settings ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from croupier.contract import CertificateError, SettingsError
from croupier.ledger.sqlite import SqliteLedger
from croupier.registry.certificates import make_keys
from croupier.runtime.clocks import SystemClock
from croupier.runtime.hub import open_configuration
from croupier.runtime.ids import SystemIds
from croupier.runtime.settings import load_settings

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SECRETS = '[secrets]\ncurrent = "k1"\nkeys.k1 = { env = "HUB_KEY" }\n'


def write(folder: Path, packages: str) -> Path:
    file = folder / "hub.toml"
    file.write_text(f"{SECRETS}[packages]\n{packages}\n")
    return file


def test_keys_and_certificates_are_meant_from_the_folder_of_the_settings(tmp_path: Path) -> None:
    made = make_keys(tmp_path / "c.key", tmp_path / "c.pub")
    rule = load_settings(
        write(tmp_path, 'require_certificate = "silver"\ncertificates = "certificates"\ntrusted_keys = ["c.pub"]')
    ).packages.certificate_rule()
    assert (rule.required, rule.folder, set(rule.trusted)) == ("silver", tmp_path / "certificates", {made})


def test_a_required_certificate_needs_a_key_to_trust(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"packages\.trusted_keys: is missing"):
        load_settings(write(tmp_path, 'require_certificate = "silver"'))


def test_a_tier_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match='expected "bronze", "silver", "gold" or "platinum"'):
        load_settings(write(tmp_path, 'require_certificate = "diamond"\ntrusted_keys = ["c.pub"]'))


async def test_a_hub_that_requires_certificates_uses_no_adapter_without_one(tmp_path: Path) -> None:
    make_keys(tmp_path / "c.key", tmp_path / "c.pub")
    settings = load_settings(write(tmp_path, 'require_certificate = "bronze"\ntrusted_keys = ["c.pub"]'))
    ledger = SqliteLedger(tmp_path / "hub.sqlite")
    await ledger.start()
    try:
        _, registry, _ = await open_configuration(settings, {"HUB_KEY": KEY}, ledger, SystemClock(), SystemIds())
        states = {(item.state.value, item.code) for item in registry.adapters()}
        assert states == {("quarantined", "certificate")}
        with pytest.raises(CertificateError, match="it has no certificate, and bronze is required"):
            registry.adapter("softswiss")
    finally:
        await ledger.close()
