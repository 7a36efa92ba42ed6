"""Runs rules against a subject, and says which tier that has proved: never more."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, unique
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from croupier.contract import Capability, SettingsError, WalletCapability
from croupier_conformance.certification.bench import AdapterBench, Notebook
from croupier_conformance.certification.rule import (
    ADAPTER_RULES,
    Exchange,
    Rule,
    RuleBrokenError,
    RuleNotApplicableError,
    Tier,
)
from croupier_conformance.certification.subject import AdapterSubject


@unique
class Outcome(Enum):
    """What came of one rule."""

    PASSED = "passed"
    BROKEN = "broken"
    EXEMPT = "exempt"
    """The author says that it does not hold, and why."""
    NOT_COLLECTED = "not_collected"
    """The subject declares nothing that it is about."""
    ERROR = "error"
    """The check itself failed: the kit's fault, or the subject raised what no contract knows. It proves nothing."""


@frozen(kw_only=True)
class RuleResult:
    """What came of one rule.

    Attributes:
        rule: The rule.
        outcome: What came of it.
        message: What is wrong, or why it was not checked.
        sent: What was sent.
        came_back: What came back.
        hint: What usually mends it.
        seconds: How long the check took.
        exchanges: Messages for the report.
    """

    rule: Rule[Any]
    outcome: Outcome
    message: str = ""
    sent: str = ""
    came_back: str = ""
    hint: str = ""
    seconds: float = 0.0
    exchanges: Sequence[Exchange] = ()


@frozen(kw_only=True)
class Certification:
    """What a run came to.

    Attributes:
        kind: `adapter` or `wallet`.
        name: The subject's slug or address.
        version: Its version.
        results: Every rule's.
        tier: What is proved.
        missing: What keeps the subject from the next tier, besides rules.
        whole: Whether everything was run: a slice proves no tier for a certificate.
        seconds: How long it took.
        facts: What was found out beside what holds, by name: told, not graded.
    """

    kind: str
    name: str
    version: str
    results: Sequence[RuleResult]
    tier: Tier
    missing: Sequence[str] = field(default=())
    whole: bool = True
    seconds: float = 0.0
    facts: Mapping[str, str] = field(factory=dict)

    @property
    def broken(self) -> Sequence[RuleResult]:
        """Every rule that does not hold and is not exempt."""
        return [item for item in self.results if item.outcome in {Outcome.BROKEN, Outcome.ERROR}]


def certify_adapter(
    subject: AdapterSubject,
    *,
    examples: int = 100,
    seed: int = 0,
    only: Callable[[Rule[AdapterBench]], bool] = lambda _rule: True,
    heard: Callable[[RuleResult], None] = lambda _result: None,
) -> Certification:
    """Run the rules that an adapter's capabilities collect.

    Args:
        subject: What is certified.
        examples: How many generated cases a property tries.
        seed: Of everything that is drawn.
        only: Which rules to run; the rest count as not collected, and the run is no whole one.
        heard: Told of each result as it comes.

    Raises:
        SettingsError: The certification file names a rule that there is not as still to be proved.
    """
    from croupier_conformance.certification import adapter_rules  # noqa: F401 # it fills the book
    from croupier_conformance.certification.tiers import missing_for

    if unknown := sorted(subject.todo.keys() - {rule.slug for rule in ADAPTER_RULES}):
        raise SettingsError("there is no such rule", where=f"certification.toml: todo.{unknown[0]}")
    began = time.perf_counter()
    results = []
    whole = True
    with tempfile.TemporaryDirectory(prefix="croupier-certify-") as folder:
        for number, rule in enumerate(ADAPTER_RULES):
            if not only(rule):
                whole = False
                continue
            place = Path(folder) / f"{number:03}"
            place.mkdir()
            bench = AdapterBench(subject=subject, folder=place, examples=examples, seed=seed)
            result = run_rule(rule, bench, bench.notebook, subject.spec.capabilities, subject.exempt)
            result = unless_to_do(result, subject.todo)
            results.append(result)
            heard(result)
    tier, missing = proved(results, lambda tier: missing_for(tier, subject))
    return Certification(
        kind="adapter",
        name=subject.spec.slug,
        version=subject.version,
        results=results,
        tier=tier,
        missing=missing,
        whole=whole,
        seconds=time.perf_counter() - began,
    )


def run_rule(
    rule: Rule[Any],
    bench: Any,
    notebook: Notebook,
    declared: frozenset[Capability] | frozenset[WalletCapability],
    exempt: Mapping[str, str],
) -> RuleResult:
    """Check one rule; whatever a check raises becomes a result."""
    if not rule.is_about(declared):
        return RuleResult(rule=rule, outcome=Outcome.NOT_COLLECTED, message="nothing that it is about is declared")
    began = time.perf_counter()
    outcome, told = Outcome.PASSED, RuleBrokenError("")
    try:
        rule.check(bench)
    except RuleNotApplicableError as reason:
        return RuleResult(rule=rule, outcome=Outcome.NOT_COLLECTED, message=str(reason))
    except RuleBrokenError as broken:
        outcome, told = Outcome.BROKEN, broken
    except Exception as error:  # noqa: BLE001 - a check that fails is a result, and the other rules are still checked
        where = "".join(traceback.format_exception(error)[-3:])
        outcome, told = Outcome.ERROR, RuleBrokenError(f"{type(error).__name__}: {error}", came_back=where)
    if outcome is not Outcome.PASSED and rule.slug in exempt:
        outcome = Outcome.EXEMPT
        told = RuleBrokenError(f"exempt: {exempt[rule.slug]}", sent=told.sent, came_back=told.came_back)
    return RuleResult(
        rule=rule,
        outcome=outcome,
        message=told.message,
        sent=told.sent,
        came_back=told.came_back,
        hint=told.hint,
        seconds=time.perf_counter() - began,
        exchanges=tuple(notebook.exchanges),
    )


def unless_to_do(result: RuleResult, todo: Mapping[str, str]) -> RuleResult:
    """The result, or a broken one if the author says that the rule is still to be proved: that earns nothing."""
    missing = todo.get(result.rule.slug)
    if missing is None or result.outcome in {Outcome.BROKEN, Outcome.ERROR}:
        return result
    hint = "prove it, then take its line out of [todo] in certification.toml"
    return evolve(result, outcome=Outcome.BROKEN, message=f"to do: {missing}", hint=hint)


def proved(results: Iterable[RuleResult], missing_for: Callable[[Tier], Sequence[str]]) -> tuple[Tier, Sequence[str]]:
    """The highest tier all of whose rules, and those below, hold, and what is missing for the next one."""
    broken = {item.rule.tier for item in results if item.outcome in {Outcome.BROKEN, Outcome.ERROR}}
    proved = Tier.NONE
    for tier in (Tier.BRONZE, Tier.SILVER, Tier.GOLD, Tier.PLATINUM):
        missing = missing_for(tier)
        if tier in broken or missing:
            return proved, missing
        proved = tier
    return proved, ()
