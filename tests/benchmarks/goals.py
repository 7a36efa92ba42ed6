"""What the hub is to reach, held against what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

Document = Mapping[str, Any]


@frozen
class Goal:
    """One goal.

    Attributes:
        name: What is to be reached.
        figure: Where it is found.
        least: Whether `bound` is the least (or else the most).
        bound: What it is held against.
        unit: Of both.
    """

    name: str
    figure: Callable[[Document], float | None]
    least: bool
    bound: float
    unit: str = ""


def _ratio(name: str) -> Callable[[Document], float | None]:
    return lambda document: document["ratios"].get(name)


def _figure(*path: str) -> Callable[[Document], float | None]:
    def find(document: Document) -> float | None:
        found: Any = document["figures"]
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return None if found is None else float(found)

    return find


def _added(name: str, engine: str) -> Goal:
    found = _figure("half_load", engine, "added_p50_ms", "median")
    return Goal(f"added at half load, {name}", found, least=False, bound=4.0, unit="ms")


def _memory(name: str, engine: str) -> Goal:
    found = _figure("memory_mb_at_100000_sessions", engine)
    return Goal(f"memory with 100 000 open sessions, {name}", found, least=False, bound=400.0, unit="MB")


GOALS: Final[Sequence[Goal]] = (
    Goal("PostgreSQL to the bare proxy, bets", _ratio("postgres_vs_proxy"), True, 1.0),
    Goal("SQLite to the bare proxy, bets", _ratio("sqlite_vs_proxy"), True, 0.8),
    Goal("PostgreSQL to the naive ledger, bets", _ratio("postgres_vs_naive"), True, 5.0),
    Goal("SQLite to the naive ledger, bets", _ratio("sqlite_vs_naive"), True, 5.0),
    Goal("own work a bet, SQLite", _figure("own_work_us_per_bet", "sqlite"), False, 60.0, "us"),
    Goal("own work a bet, PostgreSQL", _figure("own_work_us_per_bet", "postgres"), False, 60.0, "us"),
    _added("SQLite", "sqlite"),
    _added("PostgreSQL", "postgres"),
    Goal("p99 to p50 at half load, SQLite", _ratio("sqlite_half_load_p99_vs_p50"), False, 5.0),
    Goal("p99 to p50 at half load, PostgreSQL", _ratio("postgres_half_load_p99_vs_p50"), False, 5.0),
    Goal("10^7 rows to 10^4, PostgreSQL", _ratio("rows_1e7_vs_1e4"), True, 0.9),
    Goal("10^7 rows to 10^4, SQLite", _ratio("sqlite_rows_1e7_vs_1e4"), True, 0.9),
    _memory("SQLite", "sqlite"),
    _memory("PostgreSQL", "postgres"),
    Goal("p99 beside a stalled operator", _ratio("stalled_operator_p99"), False, 1.25),
)  # fmt: skip


def judged(document: Document) -> list[dict[str, Any]]:
    """Every goal with what was found; a goal of what was not measured is neither met nor missed."""
    found = []
    for goal in GOALS:
        value = goal.figure(document)
        met = None if value is None else (value >= goal.bound if goal.least else value <= goal.bound)
        bound = f"{'at least' if goal.least else 'at most'} {goal.bound}"
        found.append({"goal": goal.name, "value": value, "bound": bound, "unit": goal.unit, "met": met})
    return found
