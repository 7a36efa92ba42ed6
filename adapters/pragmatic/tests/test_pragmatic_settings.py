"""The settings, the policies that follow from them, and what the package declares."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest
from attrs import evolve
from cattrs import Converter
from cattrs.errors import ClassValidationError

from croupier.contract.adapter import ADAPTER_API, Proof
from croupier.contract.calls import MovementKind
from croupier.contract.capabilities import Capability
from croupier.contract.errors import SettingsError
from croupier.contract.policy import (
    FreeRoundsCredit,
    LateOriginal,
    OnSilence,
    RoundEnd,
    UnknownRollback,
    WinWithoutBet,
)
from croupier_pragmatic import plugin
from croupier_pragmatic.adapter import SPEC, PragmaticAdapter
from croupier_pragmatic.codes import OPERATIONS
from croupier_pragmatic.settings import PragmaticSettings

STORED: dict[str, Any] = {"secure_login": "acme", "api_url": "https://api.pp.example", "frb_credit_on": "bonusWin"}
SETTINGS = PragmaticSettings(secure_login="acme", api_url="https://api.pp.example", frb_credit_on="result")


def test_a_stored_configuration_becomes_settings() -> None:
    settings = Converter().structure(STORED | {"transaction_types": {"B": "bet", "X": "adjustment"}}, PragmaticSettings)
    assert settings.frb_credit_on == "bonusWin"
    assert settings.transaction_types["X"] is MovementKind.ADJUSTMENT
    assert settings.provider_id == "pragmaticplay"


@pytest.mark.parametrize("value", [None, "both", ["result", "bonusWin"], "result,bonusWin"])
def test_which_message_pays_for_free_rounds_has_no_default_and_cannot_be_both(value: object) -> None:
    stored = STORED | {"frb_credit_on": value}
    if value is None:
        del stored["frb_credit_on"]
    with pytest.raises(ClassValidationError):
        Converter().structure(stored, PragmaticSettings)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"api_url": "api.pp.example"}, "api_url"),
        ({"api_url": "ftp://api.pp.example"}, "api_url"),
        ({"api_url": "https://api.pp.example?x=1"}, "api_url"),
        ({"secure_login": ""}, "secure_login"),
        ({"provider_id": ""}, "provider_id"),
        ({"launch": "play_game"}, "game_host"),
        ({"launch": "play_game", "game_host": "https://x/y"}, "game_host"),
        ({"demo": "open_game"}, "demo_host"),
        ({"frb_credit_on": "both"}, "frb_credit_on"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(change: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as refused:
        PragmaticAdapter(evolve(SETTINGS, **change))
    assert refused.value.where == where


def test_the_package_is_found_by_its_entry_point() -> None:
    (entry,) = entry_points(group="croupier.adapters", name="pragmatic")
    assert entry.load() is plugin
    assert plugin.croupier_adapters() == [SPEC]


def test_the_declaration_says_what_the_adapter_is() -> None:
    assert (SPEC.slug, SPEC.proof, SPEC.api) == ("pragmatic", Proof.FIELD_MAC, ADAPTER_API)
    assert [secret.name for secret in SPEC.secrets] == ["secret_key"]
    assert "not endorsed or certified" in SPEC.documentation
    assert isinstance(SPEC.create(SETTINGS), PragmaticAdapter)


def test_a_total_that_pays_nothing_is_no_capability() -> None:
    paying = PragmaticAdapter(evolve(SETTINGS, frb_credit_on="bonusWin"))
    assert Capability.BONUS_WIN in paying.spec.capabilities
    assert SPEC.capabilities - PragmaticAdapter(SETTINGS).spec.capabilities == {Capability.BONUS_WIN}


def test_policies_say_who_pays_for_free_rounds() -> None:
    per_win = PragmaticAdapter(evolve(SETTINGS, frb_credit_on="result")).policies
    total = PragmaticAdapter(evolve(SETTINGS, frb_credit_on="bonusWin")).policies
    for name in OPERATIONS:
        assert per_win.of(name).free_rounds_credit is FreeRoundsCredit.PER_WIN
        assert total.of(name).free_rounds_credit is FreeRoundsCredit.TOTAL


def test_only_a_bet_needs_a_session_and_is_cancelled_on_silence() -> None:
    policies = PragmaticAdapter(SETTINGS).policies
    for name in OPERATIONS:
        policy = policies.of(name)
        assert policy.session_for_bet == (name == "bet")
        assert (policy.on_silence is OnSilence.CANCELS) == (name == "bet")
        assert policy.answer_needs_balance == (name != "refund")
        assert policy.balance_digits == 2
    for name in ("result", "bonusWin", "jackpotWin", "promoWin", "adjustment", "refund", "endRound"):
        assert policies.of(name).on_silence is OnSilence.RESENDS


def test_only_a_result_waits_for_its_bet() -> None:
    policies = PragmaticAdapter(SETTINGS).policies
    assert {name for name in OPERATIONS if policies.of(name).win_without_bet is WinWithoutBet.RETRY} == {"result"}


def test_a_refund_of_an_unknown_bet_is_accepted_and_the_late_bet_is_not() -> None:
    policies = PragmaticAdapter(SETTINGS).policies
    assert policies.of("refund").unknown_rollback is UnknownRollback.ACCEPT
    assert policies.of("bet").late_original is LateOriginal.DECLINE


def test_rounds_end_by_a_call_or_by_settlement_and_then_may_take_further_bets() -> None:
    by_call = PragmaticAdapter(SETTINGS).policies.of("bet")
    settled = PragmaticAdapter(evolve(SETTINGS, end_round_calls=False)).policies.of("bet")
    assert (by_call.round_end, by_call.bet_on_closed_round) == (RoundEnd.CALL, False)
    assert (settled.round_end, settled.bet_on_closed_round) == (RoundEnd.SETTLED, True)
