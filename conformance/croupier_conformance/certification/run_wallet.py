"""Runs the rules for wallets, and says what they prove: a tier, and the knobs that an operator's wallet gets.

The knobs are never better than what was proved. A wallet that is not proven safe for retries gets none of them: the
hub's default for it is that a bet without an answer is taken back (`wallet_policy.retry_safe`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from croupier.contract import (
    DeclineReason,
    RollbackShortfall,
    TransportError,
    WalletApplied,
    WalletBalance,
    WalletCapability,
    WalletRefused,
)
from croupier_conformance.certification.bench import WalletBench
from croupier_conformance.certification.rule import WALLET_RULES, Rule, Tier, WalletRule
from croupier_conformance.certification.run import Certification, Outcome, RuleResult, proved, run_rule
from croupier_conformance.certification.wallet_rules.rollbacks import SHORTFALL
from croupier_conformance.certification.wallet_story import Story
from croupier_conformance.certification.wallet_subject import NEEDED, WalletSubject

RETRY_RULES: Final = frozenset(
    "repeated-bet-moves-once repeated-win-moves-once repeated-rollback-moves-once replayed-message-moves-nothing "
    "repeat-after-the-rollback-moves-nothing copies-at-once-move-once rollbacks-at-once-pay-once "
    "given-up-call-moves-once".split()
)
"""What a wallet has to hold to be sent the same again."""

TOMBSTONE_RULES: Final = frozenset(
    "late-bet-moves-nothing tombstone-outlives-repeats bet-and-rollback-at-once-agree given-up-bet-is-taken-back "
    "rollback-of-unknown-moves-nothing".split()
)
"""What a wallet has to hold for its "nothing to undo" to be believed at once."""

PLATINUM_NEEDS: Final = (
    WalletCapability.ATOMIC_BATCH,
    WalletCapability.TRANSACTION_STATUS,
    WalletCapability.TOMBSTONES,
)

PROTOCOL_MAY_LACK: Final = frozenset(
    "old-message-is-refused message-for-another-path-is-refused tampered-body-is-refused take-all-takes-everything "
    "required-funds-are-held".split()
)
"""Rules about what a wire protocol need not have; every other one that could not be checked is not proved."""


class NotReadyError(Exception):
    """The wallet cannot be certified as things are: it is not reached, does not believe the hub, or lacks money.

    Args:
        message: What is wrong.
        hint: What to do.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@frozen(kw_only=True)
class WalletKnobs:
    """What a run proved of a wallet, as the operator's configuration has it.

    Attributes:
        retry_safe: As `WalletPolicy.retry_safe`.
        tombstones: As `WalletPolicy.tombstones`.
        zero_amounts: As `WalletPolicy.zero_amounts`.
        rollback_shortfall: As `WalletPolicy.rollback_shortfall`; `None` where it was not found out.
        capabilities_missing: What the dialect could carry and was not proved.
    """

    retry_safe: bool
    tombstones: bool
    zero_amounts: bool
    rollback_shortfall: RollbackShortfall | None
    capabilities_missing: frozenset[WalletCapability]

    def as_document(self) -> Mapping[str, Any]:
        """The part of an operator's document that follows from it."""
        policy: dict[str, Any] = {
            "retry_safe": self.retry_safe,
            "tombstones": self.tombstones,
            "zero_amounts": self.zero_amounts,
        }
        if self.rollback_shortfall is not None:
            policy["rollback_shortfall"] = self.rollback_shortfall.value
        missing = sorted(capability.value for capability in self.capabilities_missing)
        return {"wallet_policy": policy, "capabilities_missing": missing}


def check_ready(subject: WalletSubject) -> None:
    """Ask for the test players' balances: nothing moves.

    Raises:
        NotReadyError: The wallet cannot be certified as things are.
    """
    if len({one.player for one in subject.players}) < len(NEEDED):
        raise NotReadyError("there have to be two different test players", "Name two players.")
    story = Story(WalletBench(subject=subject, seed=0), "ready")
    for number, needed in enumerate(NEEDED):
        _check_player(story, number, needed)


def _check_player(story: Story, number: int, needed: int) -> None:
    who = f"the {('first', 'second')[number]} test player"
    call = WalletBalance(player=story.player(number))
    try:
        response = story.subject.send(story.written(call), story.subject.timeout_seconds)
    except TransportError as error:
        raise NotReadyError(f"the wallet cannot be reached: {error.message}", "Is the address right?") from None
    if response.status in {401, 403}:
        raise NotReadyError(
            f"the wallet does not believe the hub's signature (HTTP {response.status})",
            "Has it the same secret? Is the clock of its machine right?",
        )
    match story.subject.dialect.reply(call, response):
        case WalletApplied(balance=balance) if balance is not None:
            if balance.cash.minor < needed:
                raise NotReadyError(
                    f"{who} has {balance.cash.minor} minor units, and needs {needed}",
                    "Give the test players money: most of it is given back.",
                )
        case WalletRefused(reason=DeclineReason.PLAYER_UNKNOWN):
            raise NotReadyError(f"the wallet does not know {who}", "Is the player's id right?")
        case WalletRefused(reason=reason):
            raise NotReadyError(f"the wallet refuses to tell the balance of {who}: {reason.value}", "Look at its log.")
        case reply:
            detail = getattr(reply, "detail", "no balance is told")
            raise NotReadyError(
                f"the wallet does not tell the balance of {who}: {detail}", "Are the address and the dialect right?"
            )


def certify_wallet(
    subject: WalletSubject,
    *,
    seed: int,
    only: Callable[[WalletRule], bool] = lambda _rule: True,
    heard: Callable[[RuleResult], None] = lambda _result: None,
) -> Certification:
    """Run the rules that a wallet's capabilities collect, tier by tier.

    Args:
        subject: What is certified; `check_ready` should have passed.
        seed: Of every id: a wallet that remembers an earlier run with the same seed breaks the rules.
        only: Which rules to run; the run is no whole one without the rest.
        heard: Told of each result as it comes.
    """
    from croupier_conformance.certification import wallet_rules  # noqa: F401 # it fills the book

    began = time.perf_counter()
    results: list[RuleResult] = []
    facts: dict[str, str] = {"dialect": subject.dialect.spec.slug, "seed": str(seed)}
    seconds: list[float] = []
    chosen = [rule for rule in sorted(WALLET_RULES, key=lambda rule: rule.tier) if only(rule)]
    for rule in chosen:
        bench = WalletBench(subject=subject, seed=seed, facts=facts, seconds=seconds)
        result = run_rule(rule, bench, bench.notebook, subject.capabilities, {})
        results.append(result)
        heard(result)
    tier, missing = proved(results, lambda tier: _missing_for(tier, subject, results))
    return Certification(
        kind="wallet",
        name=subject.name,
        version=subject.dialect.spec.slug,
        results=results,
        tier=tier,
        missing=missing,
        whole=len(chosen) == len(list(WALLET_RULES)),
        seconds=time.perf_counter() - began,
        facts={**facts, **_times(seconds)},
    )


def policy_of(certification: Certification, subject: WalletSubject) -> WalletKnobs:
    """The knobs that a run has earned for a wallet: what was not proved is not set."""
    passed = {item.rule.slug for item in certification.results if item.outcome is Outcome.PASSED}
    shortfall = certification.facts.get(SHORTFALL)
    shown = frozenset(
        capability for capability in subject.capabilities if _rules_of(capability, WALLET_RULES) <= passed
    )
    return WalletKnobs(
        retry_safe=passed >= RETRY_RULES,
        tombstones=WalletCapability.TOMBSTONES in shown and passed >= TOMBSTONE_RULES,
        zero_amounts=WalletCapability.ZERO_AMOUNT in shown,
        rollback_shortfall=None if shortfall is None else RollbackShortfall(shortfall),
        capabilities_missing=subject.dialect.spec.capabilities - shown,
    )


def _rules_of(capability: WalletCapability, rules: Iterable[Rule[Any]]) -> set[str]:
    """The rules that are about a capability; none for one that no call shows, such as `round_end`."""
    return {rule.slug for rule in rules if any(capability in one for one in rule.needs)}


def _missing_for(tier: Tier, subject: WalletSubject, results: Iterable[RuleResult]) -> Sequence[str]:
    missing = [
        f"{tier.word} needs the rule {item.rule.slug}, which could not be checked: {item.message}"
        for item in results
        if item.rule.tier is tier
        and item.outcome is Outcome.NOT_COLLECTED
        and item.rule.is_about(subject.capabilities)
        and item.rule.slug not in PROTOCOL_MAY_LACK
    ]
    if tier is Tier.PLATINUM:
        lacking = [one for one in PLATINUM_NEEDS if one not in subject.capabilities]
        missing += [f"platinum needs the capability {one.value}" for one in lacking]
    return missing


def _times(seconds: Sequence[float]) -> Mapping[str, str]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    places = {"answer_ms_median": len(ordered) // 2, "answer_ms_p99": len(ordered) * 99 // 100}
    return {name: f"{ordered[place] * 1000:.1f}" for name, place in places.items()}
