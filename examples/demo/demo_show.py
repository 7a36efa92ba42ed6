"""What the demonstration prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from croupier_conformance.books import Comparison, Side, Totals
from croupier_conformance.chaos import Fault
from demo_plan import BUDGET_MS, CALENDAR_SCALE, CURRENCY, PROVIDER_TIMEOUT_MS, Plan

SHOWN_DIFFERENCES: Final = 10
NOTHING: Final = Totals(bets=0, staked=0, wins=0, paid=0)
ALWAYS_SHOWN: Final = ("rounds", "bets", "wins", "rollbacks", "refused", "unanswered")
COUNTED: Final[Mapping[str, str]] = {
    "rounds": "rounds",
    "bets": "bets accepted",
    "wins": "wins accepted",
    "rollbacks": "rollbacks accepted",
    "refused": "bets refused",
    "unanswered": "bets without an answer",
    "unpaid": "wins refused",
    "not undone": "rollbacks refused",
}


def progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
    )


def introduction(plan: Plan) -> str:
    lines = [
        f"One hub, one operator, {len(plan.providers)} providers with {plan.players} players each.",
        f"{plan.rounds} rounds, seed {plan.seed}." + (f" Planted defect: {plan.sabotage}." if plan.sabotage else ""),
        f"Calendars are scaled down: every wait of owed work is divided by {CALENDAR_SCALE}.",
        f"Providers wait {PROVIDER_TIMEOUT_MS} ms for the hub, which leaves {BUDGET_MS} ms to the operator.",
    ]
    return "\n".join(lines)


def rounds_table(plan: Plan, states: Mapping[str, Any], seconds: Mapping[str, Sequence[float]]) -> Table:
    """What was played, and how fast it was answered: a column for each provider."""
    tallies = [Counter(states[provider.name]["tally"]) for provider in plan.providers]
    waits = [seconds[provider.name] for provider in plan.providers]
    tallies.append(sum(tallies, Counter()))
    waits.append(sorted(value for part in waits for value in part))
    table = _table("What the providers played", [*[provider.title for provider in plan.providers], "together"])
    for name, meaning in COUNTED.items():
        if name in ALWAYS_SHOWN or tallies[-1][name]:
            table.add_row(meaning, *[f"{tally[name]:,}" for tally in tallies])
    table.add_section()
    for share in (50, 95, 99, 100):
        name = f"answered, p{share}, ms" if share < 100 else "longest answer, ms"
        table.add_row(name, *[_percentile(values, share) for values in waits])
    return table


def faults_table(struck: Mapping[str, Mapping[str, int]]) -> Table:
    """How often each fault struck: a column for each hop."""
    table = _table("Faults that struck", list(struck))
    for fault in Fault:
        table.add_row(fault.value, *[f"{counts.get(fault.value, 0):,}" for counts in struck.values()])
    return table


def never_struck(struck: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Every fault that a hop never met: then the run proves less than it says."""
    return [f"{hop}: {fault.value}" for hop, counts in struck.items() for fault in Fault if not counts.get(fault.value)]


def books_table(plan: Plan, found: Comparison) -> Table:
    """The three books side by side: what stands in each."""
    table = _table(f"Three books, in {CURRENCY}", [side.value for side in Side])
    for provider in plan.providers:
        books = [found.totals.get((provider.name, side), NOTHING) for side in Side]
        table.add_row(f"[bold]{provider.title}")
        table.add_row("  bets", *[f"{book.bets:,}" for book in books])
        table.add_row("  staked", *[_money(book.staked) for book in books])
        table.add_row("  wins", *[f"{book.wins:,}" for book in books])
        table.add_row("  paid", *[_money(book.paid) for book in books])
        table.add_row("  players won", *[_money(book.net) for book in books])
        table.add_section()
    return table


def differences(found: Comparison) -> list[str]:
    lines = [row.what for row in found.differences[:SHOWN_DIFFERENCES]]
    more = len(found.differences) - SHOWN_DIFFERENCES
    return [*lines, *([f"and {more} more"] if more > 0 else [])]


def addresses(plan: Plan, keys: Mapping[str, str]) -> str:
    lines = [
        "Left running; Ctrl-C ends it.",
        f"  providers call      {plan.url('providers')}/providers/...",
        f"  operator API        {plan.url('operators')}/v1   bearer {keys['operator']}",
        f"  admin API           {plan.url('admin')}/admin/v1   bearer {keys['admin']}",
        f"  operator's wallet   {plan.url('wallet')}   its book: {plan.url('wallet')}/book",
        f"  network before it   {plan.url('hop')}",
        *[f"  {provider.title:<19} {provider.url}" for provider in plan.providers],
        f"  files and logs      {plan.folder}",
    ]
    return "\n".join(lines)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    table.add_column("", min_width=22)
    for column in columns:
        table.add_column(column, justify="right", min_width=12)
    return table


def _money(minor: int) -> str:
    sign, whole = "-" if minor < 0 else "", abs(minor)
    return f"{sign}{whole // 100:,}.{whole % 100:02}"


def _percentile(ordered: Sequence[float], share: int) -> str:
    if not ordered:
        return "-"
    return f"{ordered[min(len(ordered) * share // 100, len(ordered) - 1)] * 1000:.0f}"
