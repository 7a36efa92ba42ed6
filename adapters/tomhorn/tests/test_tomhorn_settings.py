"""Settings that cannot work are refused with their path."""

from __future__ import annotations

from typing import Any

import pytest

from croupier.contract import SettingsError
from croupier.registry import structure
from croupier_tomhorn.adapter import TomhornAdapter
from croupier_tomhorn.settings import TomhornSettings

RIGHT: dict[str, Any] = {"partner_id": "Partner01", "api_url": "https://tomhorn.example"}


def made(**changes: Any) -> TomhornAdapter:
    return TomhornAdapter(structure({**RIGHT, **changes}, TomhornSettings, where="settings"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoding": "soap", "integration_namespace": "http://tomhorn.example/integration"},
        {"launch": "launcher", "round_end": "settled", "duplicates": "duplicate", "transaction_id": "reference"},
        {"deposit_types": {"7": "jackpot_win", "8": "promo_win", "9": "win"}},
    ],
)
def test_settings_that_fit_make_an_adapter(changes: dict[str, Any]) -> None:
    assert made(**changes).spec.slug == "tomhorn"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"partner_id": ""}, "partner_id"),
        ({"api_url": "tomhorn.example"}, "api_url"),
        ({"api_url": "https://tomhorn.example/?x"}, "api_url"),
        ({"encoding": "xml"}, "encoding"),
        ({"encoding": "soap"}, "integration_namespace"),
        ({"launch": "page"}, "launch"),
        ({"deposit_types": {"seven": "jackpot_win"}}, "deposit_types.seven"),
        ({"deposit_types": {"7": "bet"}}, "deposit_types"),
        ({"partner": "x"}, "partner"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as refused:
        made(**changes)
    assert f"settings.{where}" in str(refused.value.where)
