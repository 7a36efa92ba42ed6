"""What the demonstration prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from croupier_conformance.books import Comparison, Side, Totals
from croupier_conformance.chaos import Fault
from demo_dialects import DIALECTS
from demo_plan import BUDGET_MS, CALENDAR_SCALE, CURRENCY, PROVIDER_TIMEOUT_MS, Plan

SHOWN_DIFFERENCES: Final = 10
NOTHING: Final = Totals(bets=0, staked=0, wins=0, paid=0)
PERCENTILES: Final = (50, 99, 100)
ALWAYS_SHOWN: Final = ("rounds", "bets", "wins", "rollbacks", "refused", "unanswered")
COUNTED: Final[Mapping[str, str]] = {
    "rounds": "rounds",
    "bets": "bets",
    "wins": "wins",
    "rollbacks": "undone",
    "refused": "refused",
    "unanswered": "no answer",
    "unpaid": "unpaid",
    "not undone": "not undone",
}
"""What a driver counts: bets, wins and rollbacks that were accepted; bets that were refused, or had no answer; wins and
rollbacks that were refused."""


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
        f"One hub, {len(plan.providers)} providers with {plan.players} players each: "
        + ", ".join(provider.title for provider in plan.providers)
        + ".",
        f"One operator, whose wallet speaks {DIALECTS[plan.dialect].title} protocol.",
        f"{plan.rounds} rounds, seed {plan.seed}." + (f" Planted defect: {plan.sabotage}." if plan.sabotage else ""),
        f"Calendars are scaled down: every wait of owed work is divided by {CALENDAR_SCALE}.",
        f"Providers wait {PROVIDER_TIMEOUT_MS} ms for the hub, which leaves {BUDGET_MS} ms to the operator.",
    ]
    return "\n".join(lines)


def rounds_table(plan: Plan, states: Mapping[str, Any], seconds: Mapping[str, Sequence[float]]) -> Table:
    """What was played, and how fast it was answered: a row for each provider."""
    tallies = {provider.name: Counter(states[provider.name]["tally"]) for provider in plan.providers}
    waits = {provider.name: seconds[provider.name] for provider in plan.providers}
    tallies["together"] = sum(tallies.values(), Counter())
    waits["together"] = sorted(value for part in waits.values() for value in part)
    shown = [name for name in COUNTED if name in ALWAYS_SHOWN or tallies["together"][name]]
    table = _table("What the providers played, and ms until the answer", [COUNTED[name] for name in shown])
    for share in PERCENTILES:
        table.add_column(f"p{share}" if share < 100 else "most", justify="right")
    for name, tally in tallies.items():
        if name == "together":
            table.add_section()
        counts = [f"{tally[counted]:,}" for counted in shown]
        table.add_row(name, *counts, *[_percentile(waits[name], share) for share in PERCENTILES])
    return table


def faults_table(struck: Mapping[str, Mapping[str, int]]) -> Table:
    """How often each fault struck: a row for each hop."""
    table = _table("Faults that struck", [fault.value for fault in Fault])
    for hop, counts in struck.items():
        table.add_row(hop, *[f"{counts.get(fault.value, 0):,}" for fault in Fault])
    return table


def never_struck(struck: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Every fault that a hop never met: then the run proves less than it says."""
    return [f"{hop}: {fault.value}" for hop, counts in struck.items() for fault in Fault if not counts.get(fault.value)]


def books_table(plan: Plan, found: Comparison) -> Table:
    """What stands in the three books: one row where they add up to the same, else a row for each of them."""
    table = _table(f"Three books, in {CURRENCY}", ["book", "bets", "staked", "wins", "paid", "players won"])
    for provider in plan.providers:
        books = {side.value: found.totals.get((provider.name, side), NOTHING) for side in Side}
        if len(set(books.values())) == 1:
            books = {"all three": next(iter(books.values()))}
        for name, book in books.items():
            sums = [f"{book.bets:,}", _money(book.staked), f"{book.wins:,}", _money(book.paid), _money(book.net)]
            table.add_row(provider.name, name, *sums)
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
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _money(minor: int) -> str:
    sign, whole = "-" if minor < 0 else "", abs(minor)
    return f"{sign}{whole // 100:,}.{whole % 100:02}"


def _percentile(ordered: Sequence[float], share: int) -> str:
    if not ordered:
        return "-"
    return f"{ordered[min(len(ordered) * share // 100, len(ordered) - 1)] * 1000:.0f}"
