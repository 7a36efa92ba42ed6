"""What every report of a run says, whatever it is written as: the claim, the counts, and how a failure is told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from croupier import __version__
from croupier.contract import ADAPTER_API
from croupier_conformance.certification.rule import Layer, Rule, Tier
from croupier_conformance.certification.run import Certification, Outcome, RuleResult

WORDS: Final[Mapping[Outcome, str]] = {
    Outcome.PASSED: "passed",
    Outcome.BROKEN: "broken",
    Outcome.ERROR: "error",
    Outcome.EXEMPT: "exempt",
    Outcome.NOT_COLLECTED: "not collected",
}
"""An outcome for people; the order is that of a summary."""

PAGES: Final = "hub/docs/rules"
"""Where the rules' pages are, in the repository."""


@frozen(kw_only=True)
class Report:
    """A run, and what it was run with.

    Attributes:
        certification: What it came to.
        date: When, with its time zone.
        examples: How many generated cases a property tried; `None` where nothing is generated.
        seed: Of everything that was drawn.
        contract: The `ADAPTER_API`.
        kit: The kit's version.
    """

    certification: Certification
    date: datetime
    seed: int
    examples: int | None = None
    contract: int = ADAPTER_API
    kit: str = __version__

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many rules came to each outcome."""
        found = [result.outcome for result in self.certification.results]
        return {outcome: found.count(outcome) for outcome in WORDS}

    @property
    def claim(self) -> str:
        """What the run proved, in a sentence, and never more."""
        if not self.certification.whole:
            return "A part of the rules was checked: that proves no tier."
        if self.certification.tier is Tier.NONE:
            return "No tier is proved."
        examples = f", with {self.examples} examples of each property" if self.examples is not None else ""
        exempt = self.counts[Outcome.EXEMPT]
        exemptions = f", but for {exempt} exempt rule{'s' if exempt > 1 else ''}" if exempt else ""
        return f"Proved: {self.certification.tier.word}{examples}{exemptions}."

    @property
    def missing(self) -> Sequence[str]:
        """What keeps the subject from the next tier, rules included; empty for a part of the rules."""
        if not self.certification.whole or self.certification.tier is Tier.PLATINUM:
            return ()
        following = Tier(self.certification.tier + 1)
        broken = [item.rule.slug for item in self.certification.broken if item.rule.tier is following]
        rules = [f"{following.word} needs the rule{'s' if len(broken) > 1 else ''} {', '.join(broken)}"]
        return [*(rules if broken else []), *self.certification.missing]

    def of_layer(self, layer: Layer) -> Sequence[RuleResult]:
        """The results of a layer, in their order."""
        return [result for result in self.certification.results if result.rule.layer is layer]


def page_name(rule: Rule[Any]) -> str:
    """The name of a rule's page. A rule for wallets may be called as one for adapters is: its page says which it is."""
    return f"wallet-{rule.slug}.md" if rule.layer is Layer.WALLET else f"{rule.slug}.md"


def page_of(rule: Rule[Any]) -> str:
    """The address of a rule's page in the repository; `croupier certify rule` prints the same."""
    return f"{PAGES}/{page_name(rule)}"


def text_of(rule: Rule[Any]) -> str:
    """What the rule says about itself: why it is there, how it is checked, how it is usually broken and mended."""
    return inspect.cleandoc(rule.check.__doc__ or "")


def explain(result: RuleResult) -> str:
    """A result that is not right, for a terminal or a log: everything that is needed to mend it."""
    rule = result.rule
    lines = [
        f"{WORDS[result.outcome]}: {rule.slug} ({rule.tier.word}, {rule.layer.value})",
        f"  {rule.title}",
        f"  what is wrong: {_indented(result.message)}",
        f"  expected: {rule.expects}",
    ]
    if result.sent:
        lines.append(f"  sent:\n    {_indented(result.sent)}")
    if result.came_back:
        lines.append(f"  came back:\n    {_indented(result.came_back)}")
    if result.hint:
        lines.append(f"  hint: {_indented(result.hint)}")
    lines.append(f"  page: {page_of(rule)} (croupier certify rule {rule.slug})")
    return "\n".join(lines)


def _indented(text: str) -> str:
    return text.rstrip().replace("\n", "\n    ")
