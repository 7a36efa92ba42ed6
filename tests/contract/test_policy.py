"""Policies are data: resolved once, checked knob by knob."""

from decimal import Decimal

import pytest
from attrs import evolve

from croupier.contract import (
    OnSilence,
    Policies,
    Policy,
    RetryClass,
    SettingsError,
    WalletPolicy,
    WireCurrency,
    override,
)


def test_an_override_for_all_operations_reaches_those_with_a_policy_of_their_own() -> None:
    defaults = Policies(Policy(), {"bet": evolve(Policy(), on_silence=OnSilence.RESENDS)})
    effective = defaults.resolve({"provider_timeout_ms": 900, "operations": {"win": {"rollback_of_win": True}}})
    assert (effective.of("bet").on_silence, effective.of("bet").provider_timeout_ms) == (OnSilence.RESENDS, 900)
    assert (effective.of("win").rollback_of_win, effective.of("other").rollback_of_win) == (True, False)
    assert effective.of("win").provider_timeout_ms == 900


def test_of_two_limits_the_stricter_wins() -> None:
    defaults = Policies(Policy(max_bet_minor={"EUR": 500, "USD": 100}))
    effective = defaults.resolve({}, {"max_bet_minor": {"EUR": 200, "USD": 900, "SEK": 7}})
    assert effective.of("bet").max_bet_minor == {"EUR": 200, "USD": 100, "SEK": 7}


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"no_such_knob": 1}, "policy.no_such_knob"),
        ({"provider_timeout_ms": "fast"}, "policy.provider_timeout_ms"),
        ({"provider_timeout_ms": True}, "policy.provider_timeout_ms"),
        ({"provider_timeout_ms": -1}, "policy.provider_timeout_ms"),
        ({"on_silence": "shrugs"}, "policy.on_silence"),
        ({"rollback_of_win": 1}, "policy.rollback_of_win"),
        ({"fingerprint_ignores": "amount"}, "policy.fingerprint_ignores"),
        ({"currencies": [{"code": "RMB"}]}, "policy.currencies[0]"),
        ({"currencies": [{"code": "IDR2", "currency": "IDR", "ratio": "0"}]}, "policy.currencies[0].ratio"),
        ({"operations": {"bet": {"repeat": "maybe"}}}, "policy.operations.bet.repeat"),
        ({"operations": []}, "policy.operations"),
        ({"max_bet_minor": {"EUR": 1.5}}, "policy.max_bet_minor.EUR"),
    ],
)
def test_a_wrong_override_names_its_path(overrides: dict[str, object], where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Policies().resolve(overrides)
    assert caught.value.where == where


def test_currencies_and_retry_classes_are_read_from_plain_data() -> None:
    effective = Policies().resolve(
        {
            "currencies": [{"code": "IDR2", "currency": "IDR", "ratio": 1000}],
            "retry_class": {"insufficient_funds": "final"},
            "bets_per_round": None,
        }
    )
    policy = effective.of("bet")
    assert policy.wire_currency("IDR2") == WireCurrency("IDR2", "IDR", Decimal(1000))
    assert policy.shown_currency("IDR") == policy.wire_currency("IDR2")
    assert policy.retry_class == {"insufficient_funds": RetryClass.FINAL}


def test_a_wallets_policy_is_overridden_the_same_way() -> None:
    assert override(WalletPolicy(), {"retry_safe": True}, "wallet").retry_safe
    with pytest.raises(SettingsError, match=r"wallet\.nothing"):
        override(WalletPolicy(), {"nothing": 1}, "wallet")


def test_the_operators_budget_is_the_time_out_less_the_margin() -> None:
    assert Policy(provider_timeout_ms=3000, timeout_margin_ms=400).operator_budget_ms == 2600
    assert Policy(provider_timeout_ms=100, timeout_margin_ms=400).operator_budget_ms == 1
