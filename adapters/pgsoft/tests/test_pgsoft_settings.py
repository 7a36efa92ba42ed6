"""What a connection may be set to, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from croupier.contract import Capability, MovementKind, SettingsError
from croupier.registry import structure
from croupier_pgsoft.adapter import SPEC, PgsoftAdapter
from croupier_pgsoft.settings import PgsoftSettings

LEAST: dict[str, Any] = {"operator_token": "acme", "api_url": "https://api.pgsoft.example"}


def made(**changes: Any) -> PgsoftAdapter:
    adapter = SPEC.create(structure({**LEAST, **changes}, PgsoftSettings, where="settings"))
    assert isinstance(adapter, PgsoftAdapter)
    return adapter


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"operator_token": ""}, "operator_token"),
        ({"operator_token": "a\nb"}, "operator_token"),
        ({"api_url": "api.pgsoft.example"}, "api_url"),
        ({"api_url": "https://api.pgsoft.example/?a=b"}, "api_url"),
        ({"feed_url": "feed"}, "feed_url"),
        ({"launch": "direct"}, "game_url"),
        ({"history_url": "ftp://history.example"}, "history_url"),
        ({"hash_host": "https://hub.example"}, "hash_host"),
        ({"currency_ratios": {"VND": 0}}, "currency_ratios.VND"),
        ({"adjustment_kinds": {"901": "bet"}}, "adjustment_kinds.901"),
        ({"page_size": 1499}, "page_size"),
        ({"page_size": 5001}, "page_size"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_their_name(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as refused:
        made(**changes)
    assert refused.value.where == where


@pytest.mark.parametrize("changes", [{"launch": "page"}, {"free_games_pay": "both"}, {"grant_field": "x"}, {"more": 1}])
def test_settings_that_are_no_choice_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        made(**changes)


def test_settings_are_read_as_an_operator_writes_them() -> None:
    adapter = made(
        launch="direct",
        game_url="https://m.pgsoft.example",
        hash_host="hub.example:8443",
        currency_ratios={"VND": 1000},
        adjustment_kinds={"902": "promo_win"},
    )
    assert adapter.settings.adjustment_kinds == {"902": MovementKind.PROMO_WIN}
    assert adapter.settings.ratio("VND") == 1000
    assert adapter.settings.ratio("EUR") == 1


def test_rounds_are_shown_again_only_where_their_page_is_known() -> None:
    assert Capability.ROUND_REPLAY not in made().spec.capabilities
    assert Capability.ROUND_REPLAY in made(history_url="https://public.pgsoft.example").spec.capabilities


def test_there_is_no_rollback() -> None:
    assert not Capability.of("rollback_bet rollback_win") & SPEC.capabilities
