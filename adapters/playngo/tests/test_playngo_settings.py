"""What a connection may be set to."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from croupier.contract import SettingsError
from croupier_playngo.adapter import PlayngoAdapter
from croupier_playngo.settings import PlayngoSettings

SETTINGS = PlayngoSettings(
    product_id="1", game_host="games.playngo.example", api_url="https://api.playngo.example/service", api_user="test"
)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("product_id", ""),
        ("product_id", "one"),
        ("product_id", "²"),
        ("game_host", ""),
        ("game_host", "https://games.example"),
        ("game_host", "games.example/path"),
        ("api_url", ""),
        ("api_url", "api.example"),
        ("api_url", "https://api.example/#a"),
        ("games_url", "games"),
        ("origin", "casino.example"),
        ("api_user", ""),
        ("api_user", "a:b"),
        ("page_size", 0),
    ],
)
def test_a_setting_that_cannot_work_is_named(where: str, value: Any) -> None:
    changed: PlayngoSettings = evolve(SETTINGS, **{where: value})
    with pytest.raises(SettingsError) as refused:
        PlayngoAdapter(changed)
    assert refused.value.where == f"settings.{where}"


@pytest.mark.parametrize("lines", [{"peerfruits": 10}, {"100310": 0}])
def test_lines_are_those_of_a_games_number(lines: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=r"settings\.lines\."):
        PlayngoAdapter(evolve(SETTINGS, lines=lines))


def test_settings_that_fit_make_an_adapter() -> None:
    settings = evolve(SETTINGS, games_url="https://api.example/games?x=1", lines={"100310": 10}, credit_on_closed=True)
    assert PlayngoAdapter(settings).settings is settings
