"""The report on a terminal: a line for each rule as it is checked, then what is broken, then the claim."""

from __future__ import annotations

from typing import Final

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from croupier_conformance.certification.report import WORDS, Report, page_of
from croupier_conformance.certification.run import Outcome, RuleResult

_STYLES: Final = {
    Outcome.PASSED: "green",
    Outcome.BROKEN: "bold red",
    Outcome.ERROR: "bold magenta",
    Outcome.EXEMPT: "yellow",
    Outcome.NOT_COLLECTED: "dim",
}


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for a log."""
    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = 160
    return made


def tell_result(console: Console, result: RuleResult) -> None:
    """One line for a rule that was checked just now."""
    line = Text()
    line.append(f"{WORDS[result.outcome]:13}", style=_STYLES[result.outcome])
    line.append(f"  {result.rule.tier.word:8}  {result.seconds:6.2f} s  ", style="dim")
    line.append(result.rule.slug)
    line.append(f"  {result.rule.title}", style="dim")
    console.print(line, no_wrap=True, overflow="ellipsis", crop=True)


def tell_report(console: Console, report: Report) -> None:
    """What is broken, what is exempt, and what the run proved."""
    certification = report.certification
    for result in certification.broken:
        console.print(_panel(result))
    for result in certification.results:
        if result.outcome is Outcome.EXEMPT:
            console.print(Text.assemble((result.rule.slug, "yellow"), f": {result.message}"))
    for name, fact in certification.facts.items():
        console.print(Text(f"{name}: {fact}"))
    counts = ", ".join(f"{count} {WORDS[outcome]}" for outcome, count in report.counts.items())
    console.print()
    console.print(Text(f"{certification.name} {certification.version}: {counts}, in {certification.seconds:.1f} s"))
    console.print(Text(report.claim, style="bold"))
    for one in report.missing:
        console.print(Text(f"  {one}"))


def _panel(result: RuleResult) -> Panel:
    rule = result.rule
    parts: list[Text] = [
        Text(rule.title, style="bold"),
        Text(result.message, style="red"),
        Text.assemble(("expected: ", "dim"), rule.expects),
    ]
    for name, text in (("sent", result.sent), ("came back", result.came_back)):
        if text:
            parts.append(Text.assemble((f"\n{name}:\n", "dim"), text.rstrip()))
    if result.hint:
        parts.append(Text.assemble(("\nhint: ", "dim"), result.hint))
    parts.append(Text.assemble(("\npage: ", "dim"), f"{page_of(rule)} (croupier certify rule {rule.slug})"))
    title = Text(f"{WORDS[result.outcome]}: {rule.slug} ({rule.tier.word}, {rule.layer.value})")
    return Panel(Group(*parts), title=title, title_align="left", border_style=_STYLES[result.outcome])
