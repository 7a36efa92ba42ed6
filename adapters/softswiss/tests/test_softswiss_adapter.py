"""What the adapter says of itself: plugin, settings, policies, and what of a request may be kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    ADAPTER_API,
    AliasRule,
    Capability,
    DedupeScope,
    FreeRoundsCredit,
    Headers,
    HttpRequest,
    LateOriginal,
    OnSilence,
    Proof,
    RepeatAnswer,
    RepeatBalance,
    RollbackAfterWin,
    RolledBackRepeat,
    RoundEnd,
    SettingsError,
    UnknownRollback,
    WinWithoutBet,
)
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.plugin import croupier_adapters
from croupier_softswiss.settings import CatalogueFormat, SoftswissSettings

SETTINGS = SoftswissSettings(api_url="https://provider.example/api", casino_id="acme")
ADAPTER = SoftswissAdapter(SETTINGS)


def test_the_plugin_registers_one_adapter_that_makes_itself_from_its_settings() -> None:
    (spec,) = croupier_adapters()
    assert (spec.slug, spec.api, spec.proof, spec.settings) == (
        "softswiss",
        ADAPTER_API,
        Proof.SIGNATURE,
        SoftswissSettings,
    )
    assert [secret.name for secret in spec.secrets] == ["auth_token"]
    made = spec.create(SETTINGS)
    assert isinstance(made, SoftswissAdapter)
    assert made.spec is spec
    assert {Capability.BATCH, Capability.ROLLBACK_WIN, Capability.BONUS_WIN} <= spec.capabilities
    assert {Capability.AUTHENTICATE, Capability.TRANSACTION_LOG, Capability.QUERY} & spec.capabilities == set()
    assert spec.aliases == AliasRule()
    assert "not endorsed or certified" in spec.documentation


@pytest.mark.parametrize("operation", ["play", "win", "rollback", "freespins", "balance", "close_round"])
def test_the_policies_are_those_of_the_protocol(operation: str) -> None:
    policy = ADAPTER.policies.of(operation)
    assert policy.on_silence is (OnSilence.CANCELS if operation == "play" else OnSilence.RESENDS)
    assert policy.dedupe_scope is DedupeScope.PROVIDER
    assert policy.fingerprint_ignores == frozenset()
    assert policy.unknown_rollback is UnknownRollback.ACCEPT
    assert policy.late_original is LateOriginal.ACCEPT
    assert (policy.repeat, policy.repeat_rollback) == (RepeatAnswer.SUCCESS, RepeatAnswer.SUCCESS)
    assert policy.repeat_balance is RepeatBalance.CURRENT
    assert policy.rolled_back_repeat is RolledBackRepeat.STORED
    assert policy.rollback_of_win
    assert policy.rollback_after_win is RollbackAfterWin.ALLOW
    assert policy.rollback_of_declined is UnknownRollback.ACCEPT
    assert policy.win_without_bet is WinWithoutBet.ACCEPT
    assert policy.round_end is RoundEnd.FLAG
    assert (policy.session_for_bet, policy.session_for_balance) == (True, False)
    assert policy.free_rounds_credit is FreeRoundsCredit.TOTAL
    assert policy.answer_needs_balance


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"api_url": ""}, "settings.api_url"),
        ({"api_url": "provider.example"}, "settings.api_url"),
        ({"api_url": "ftp://provider.example"}, "settings.api_url"),
        ({"api_url": "https://[provider"}, "settings.api_url"),
        ({"casino_id": ""}, "settings.casino_id"),
        ({"catalogue_urls": ("https://a.example/1", "games.json")}, "settings.catalogue_urls[1]"),
        ({"callback_prefix": "wallet"}, "settings.callback_prefix"),
        ({"callback_prefix": "/wallet/"}, "settings.callback_prefix"),
        ({"callback_prefix": "/wallet?x"}, "settings.callback_prefix"),
        ({"subunits": {"ETH": 19}}, "settings.subunits.ETH"),
        ({"subunits": {"ETH": -1}}, "settings.subunits.ETH"),
        ({"processed_at_digits": 7}, "settings.processed_at_digits"),
        ({"processed_at_digits": -1}, "settings.processed_at_digits"),
        ({"ongoing_statuses": ("Played",)}, "settings.final_statuses"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_their_path(change: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SoftswissAdapter(evolve(SETTINGS, **change))
    assert caught.value.where == where


def test_a_stored_configuration_is_structured_into_the_settings() -> None:
    import cattrs

    stored = {
        "api_url": "https://provider.example",
        "casino_id": "acme",
        "catalogue_urls": ["https://files.example/games.yml"],
        "catalogue_format": "yaml",
        "subunits": {"ETH": 18},
    }
    settings = cattrs.Converter(forbid_extra_keys=True).structure(stored, SoftswissSettings)
    assert settings == SoftswissSettings(
        api_url="https://provider.example",
        casino_id="acme",
        catalogue_urls=("https://files.example/games.yml",),
        catalogue_format=CatalogueFormat.YAML,
        subunits={"ETH": 18},
    )
    SoftswissAdapter(settings)


def kept(url: str, body: Any, method: str = "POST") -> tuple[HttpRequest, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = Headers.of({"X-REQUEST-SIGN": "proof", "content-type": "application/json", "Cookie": "c=secret"})
    request = ADAPTER.redact(HttpRequest(method, url, headers, raw))
    return request, json.loads(request.body) if request.body else None


def test_of_a_play_the_money_and_its_ids_are_kept_and_the_player_is_not() -> None:
    body = {
        "user_id": "p-1",
        "session_id": "secret",
        "currency": "EUR",
        "game": "acceptance:test",
        "game_id": "r-1",
        "finished": True,
        "actions": [{"action": "bet", "amount": 100, "action_id": "a1", "note": "secret", "jackpot_win": 0.5}],
        "ip": "203.0.113.7",
    }
    request, fields = kept("/play?token=secret", body)
    assert request.url == "/play"
    assert request.headers == Headers((("Content-Type", "application/json"),))
    assert fields == {
        "currency": "EUR",
        "game": "acceptance:test",
        "game_id": "r-1",
        "finished": True,
        "actions": [{"action": "bet", "amount": 100, "action_id": "a1", "jackpot_win": 0.5}],
    }


def test_of_a_launch_nothing_personal_is_kept() -> None:
    body = {
        "casino_id": "acme",
        "game": "acceptance:test",
        "currency": "EUR",
        "balance": 5,
        "ip": "203.0.113.7",
        "user": {"id": "p-1", "email": "test@person.example"},
        "urls": {"return_url": "https://casino.example/?player=1"},
    }
    request, fields = kept("https://provider.example/api/sessions", body)
    assert request.url == "/api/sessions"
    assert fields == {"casino_id": "acme", "game": "acceptance:test", "currency": "EUR"}


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"game":1,"game":2}'])
def test_what_cannot_be_read_is_not_kept(body: bytes) -> None:
    assert kept("/play", body)[0].body == b""


def test_an_object_under_a_safe_name_is_not_kept() -> None:
    _, fields = kept("/play", {"game": {"email": "x"}, "games": [{"email": "x"}, "a:b", [["c:d"]]]})
    assert fields == {"games": [{}, "a:b", [["c:d"]]]}


def test_an_address_that_is_not_the_protocols_is_not_kept() -> None:
    assert kept("https://files.example/secret-resource/games.json", b"", "GET")[0].url == "/"
