"""The rules for wallets on trial: a sound wallet holds them all, and each rule finds the wallet that breaks it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from tests.certification.broken_wallets import wrong_at_once, wrong_extras, wrong_operations, wrong_orders
from tests.certification.broken_wallets.sound import SECRET, Clock, SoundWallet, subject_of

from croupier.contract import (
    Credentials,
    Headers,
    HttpRequest,
    HttpResponse,
    RollbackShortfall,
    TransportError,
    TransportProblem,
    WalletCapability,
    WalletPolicy,
)
from croupier.contract.policy import override
from croupier_conformance.certification import wallet_rules
from croupier_conformance.certification.rule import WALLET_RULES, Tier
from croupier_conformance.certification.run import Certification, Outcome
from croupier_conformance.certification.run_wallet import (
    RETRY_RULES,
    TOMBSTONE_RULES,
    NotReadyError,
    certify_wallet,
    check_ready,
    policy_of,
)
from croupier_conformance.certification.wallet_subject import WalletSubject

BROKEN: dict[str, tuple[Callable[[Clock], SoundWallet], set[str]]] = {
    **wrong_operations.BROKEN,
    **wrong_orders.BROKEN,
    **wrong_at_once.BROKEN,
    **wrong_extras.BROKEN,
}
SLUGS = [rule.slug for rule in WALLET_RULES]


@functools.cache
def run(make: Callable[[Clock], SoundWallet] = SoundWallet) -> tuple[Certification, WalletSubject]:
    subject = subject_of(make)
    return certify_wallet(subject, seed=1), subject


@pytest.fixture(scope="module")
def sound() -> tuple[Certification, WalletSubject]:
    return run()


def test_a_sound_wallet_holds_every_rule(sound: tuple[Certification, WalletSubject]) -> None:
    certification, _ = sound
    assert [(item.rule.slug, item.message) for item in certification.broken] == []
    assert {item.outcome for item in certification.results} == {Outcome.PASSED}
    assert certification.tier is Tier.PLATINUM
    assert certification.whole


def test_a_whole_run_takes_little_of_the_players_money() -> None:
    subject = subject_of(SoundWallet)
    wallet: Any = subject.send.__self__  # type: ignore[attr-defined] # a bound method knows its wallet
    before = dict(wallet.balances)
    certify_wallet(subject, seed=1)
    assert before["p-1"] - 300 < wallet.balances["p-1"] < before["p-1"]
    assert wallet.balances["p-2"] == before["p-2"]


def test_there_is_a_broken_wallet_for_every_rule() -> None:
    assert set(BROKEN) == set(SLUGS)
    assert all(slug in breaks for slug, (_, breaks) in BROKEN.items())


@pytest.mark.parametrize("slug", SLUGS)
def test_a_rule_finds_the_wallet_that_breaks_it_and_no_other_rule_does(slug: str) -> None:
    make, breaks = BROKEN[slug]
    certification, _ = run(make)
    assert {item.rule.slug: item.message for item in certification.broken}.keys() == breaks
    assert Outcome.ERROR not in {item.outcome for item in certification.results}
    for item in certification.broken:
        assert item.message
        assert item.sent


def test_the_rules_that_knobs_rest_on_exist() -> None:
    assert set(SLUGS) >= RETRY_RULES | TOMBSTONE_RULES
    assert wallet_rules.__all__


# --- what a run earns -------------------------------------------------------------------------------------------------


def test_a_wallet_that_proved_all_gets_every_knob(sound: tuple[Certification, WalletSubject]) -> None:
    document = policy_of(*sound).as_document()
    assert document == {
        "wallet_policy": {
            "retry_safe": True,
            "tombstones": True,
            "zero_amounts": True,
            "rollback_shortfall": "deficit",
        },
        "capabilities_missing": [],
    }
    policy = override(WalletPolicy(), document["wallet_policy"], "wallet_policy")
    assert policy.rollback_shortfall is RollbackShortfall.DEFICIT


@pytest.mark.parametrize("slug", sorted(RETRY_RULES))
def test_a_wallet_that_breaks_a_rule_about_repeats_is_not_safe_for_retries(slug: str) -> None:
    certification, subject = run(BROKEN[slug][0])
    assert not policy_of(certification, subject).retry_safe


@pytest.mark.parametrize("slug", sorted(TOMBSTONE_RULES))
def test_a_wallet_that_breaks_a_rule_about_tombstones_gets_none(slug: str) -> None:
    certification, subject = run(BROKEN[slug][0])
    assert not policy_of(certification, subject).tombstones


def test_a_wallet_that_takes_a_bet_twice_proves_no_silver_and_is_never_sent_a_bet_again() -> None:
    certification, subject = run(wrong_orders.TakesBetsTwice)
    assert certification.tier is Tier.BRONZE
    assert "repeated-bet-moves-once" in {item.rule.slug for item in certification.broken}
    assert policy_of(certification, subject).as_document()["wallet_policy"]["retry_safe"] is False
    assert WalletPolicy().retry_safe is False


def test_what_is_not_declared_is_not_collected_and_counts_as_missing() -> None:
    subject = subject_of(SoundWallet)
    declared = subject.capabilities - {WalletCapability.ATOMIC_BATCH, WalletCapability.ZERO_AMOUNT}
    less = evolve(subject, capabilities=declared)
    certification = certify_wallet(less, seed=1)
    left_out = {item.rule.slug for item in certification.results if item.outcome is Outcome.NOT_COLLECTED}
    assert left_out >= {"batch-is-all-or-none", "zero-amounts-are-accepted"}
    assert certification.tier is Tier.GOLD
    assert certification.missing == ["platinum needs the capability atomic_batch"]
    knobs = policy_of(certification, less)
    assert knobs.capabilities_missing == {WalletCapability.ATOMIC_BATCH, WalletCapability.ZERO_AMOUNT}
    assert not knobs.zero_amounts


def test_a_wallet_without_tombstones_can_be_gold() -> None:
    subject = subject_of(wrong_extras.BuriesNoWins)
    less = evolve(subject, capabilities=subject.capabilities - {WalletCapability.TOMBSTONES})
    certification = certify_wallet(less, seed=1)
    assert certification.tier is Tier.GOLD
    assert policy_of(certification, less).retry_safe
    assert not policy_of(certification, less).tombstones


def test_a_part_of_the_rules_earns_only_what_it_proved() -> None:
    subject = subject_of(SoundWallet)
    certification = certify_wallet(subject, seed=1, only=lambda rule: rule.slug == "repeated-bet-moves-once")
    assert not certification.whole
    knobs = policy_of(certification, subject)
    assert not knobs.retry_safe
    assert not knobs.tombstones
    assert knobs.rollback_shortfall is None


def test_a_rollback_that_is_recorded_without_movement_is_told_as_such() -> None:
    class Records(SoundWallet):
        def undo(self, play: dict[str, Any], change: dict[str, Any]) -> tuple[int, bool]:
            target = self.rows.get(change["target"])
            short = target is not None and target.state == "applied" and self.balances["p-1"] < target.moved
            return (0, True) if short else super().undo(play, change)

    certification, subject = run(Records)
    assert [item.rule.slug for item in certification.broken] == []
    assert policy_of(certification, subject).rollback_shortfall is RollbackShortfall.RECORD


def test_a_dialect_that_signs_only_what_it_wrote_proves_no_gold() -> None:
    from croupier.contract import Dialect
    from croupier_wallet_native.dialect import NativeDialect, NativeSettings

    class Plain(NativeDialect):
        signed_anew = Dialect.signed_anew

    subject = evolve(subject_of(SoundWallet), dialect=Plain(NativeSettings(url="https://wallet.example")))
    certification = certify_wallet(subject, seed=1)
    assert certification.broken == []
    assert certification.tier is Tier.SILVER
    assert any("broken-json-is-refused" in item for item in certification.missing)


def test_a_fault_in_place_of_a_refusal_breaks_the_rules_about_signatures() -> None:
    certification, _ = run(wrong_operations.AnswersForgeriesWithAFault)
    broken = {item.rule.slug for item in certification.broken}
    assert broken == {
        "forged-signature-is-refused",
        "unsigned-is-refused",
        "tampered-body-is-refused",
        "old-message-is-refused",
    }
    assert certification.tier is Tier.NONE


# --- what a run tells -------------------------------------------------------------------------------------------------


def test_no_exchange_shows_a_secret_or_a_session_token() -> None:
    class Chatty(SoundWallet):
        def answer(self, request: HttpRequest) -> HttpResponse:
            told = super().answer(request)
            return HttpResponse(told.status, Headers((("X-Seen", f"{SECRET} s-1"),)), told.body)

    certification, _ = run(Chatty)
    texts = [text for item in certification.results for one in item.exchanges for text in (one.sent, one.came_back)]
    assert len(texts) > 100
    assert [text for text in texts if SECRET in text or '"s-1"' in text] == []


def test_how_long_answers_take_is_told_and_not_graded(sound: tuple[Certification, WalletSubject]) -> None:
    assert float(sound[0].facts["answer_ms_p99"]) >= float(sound[0].facts["answer_ms_median"])


def test_two_runs_on_one_wallet_share_no_ids() -> None:
    subject = subject_of(SoundWallet)
    assert certify_wallet(subject, seed=1).tier is Tier.PLATINUM
    assert certify_wallet(subject, seed=2).tier is Tier.PLATINUM
    assert certify_wallet(subject, seed=2).tier is Tier.NONE


# --- before a run -----------------------------------------------------------------------------------------------------


def unready(subject: WalletSubject) -> NotReadyError:
    with pytest.raises(NotReadyError) as caught:
        check_ready(subject)
    return caught.value


def test_a_wallet_that_is_not_reached_is_not_ready() -> None:
    def nobody(_request: HttpRequest, _seconds: float) -> HttpResponse:
        raise TransportError("the connection failed", problem=TransportProblem.NOT_SENT)

    assert "cannot be reached" in unready(evolve(subject_of(SoundWallet), send=nobody)).message


def test_a_wrong_secret_is_told_as_such() -> None:
    other = Credentials({"signing_secret": (SECRET.replace("dGVz", "dGVj", 1),)})
    error = unready(evolve(subject_of(SoundWallet), credentials=other))
    assert "does not believe" in error.message
    assert "secret" in error.hint


def test_a_player_who_is_unknown_or_has_too_little_is_told_as_such() -> None:
    subject = subject_of(SoundWallet)
    first, second = subject.players
    assert "does not know the first" in unready(evolve(subject, players=[evolve(first, player="x"), second])).message
    assert "two different" in unready(evolve(subject, players=[first, first])).message

    class Poor(SoundWallet):
        def __init__(self, now: Clock) -> None:
            super().__init__(now)
            self.balances = {"p-1": 1_000, "p-2": 99}

    assert unready(subject_of(Poor)).message == "the second test player has 99 minor units, and needs 100"


def test_an_address_of_something_else_is_told_as_such() -> None:
    def page(_request: HttpRequest, _seconds: float) -> HttpResponse:
        return HttpResponse.text("not here", 404)

    assert "HTTP 404" in unready(evolve(subject_of(SoundWallet), send=page)).message
