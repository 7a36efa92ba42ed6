"""The figures of a run as Markdown, for `hub/docs/benchmarks.md`: `python -m tests.benchmarks.page [RESULTS]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

CASES: Final = ("bet", "batch", "duplicate", "balance")
NAMES: Final = {
    "sqlite_vs_proxy": "SQLite to the proxy",
    "postgres_vs_proxy": "PostgreSQL to the proxy",
    "sqlite_vs_naive": "SQLite to the naive ledger",
    "postgres_vs_naive": "PostgreSQL to the naive ledger",
    "sqlite_vs_nginx": "SQLite to nginx",
    "postgres_vs_nginx": "PostgreSQL to nginx",
    "postgres_w2_vs_postgres": "PostgreSQL, two workers to one",
    "postgres_vs_sqlite": "PostgreSQL to SQLite",
}


def page(document: Mapping[str, Any]) -> Iterator[str]:
    """The section, line by line."""
    figures, intervals = document["figures"], document["intervals"]
    yield f"{figures['machine']}; a {figures['kind']} run of {figures['seconds'] / 60:.0f} minutes."
    yield from document["notes"]
    yield from (f"Failed: {failure}" for failure in document["failures"])
    yield from _ratios(intervals)
    crowds = sorted({int(label.rpartition("_")[2]) for label in figures.get("fairness", {})})
    for crowd in crowds:
        yield from _ratios(intervals, crowd)
    yield from _rates(figures["cases"])
    yield from _fairness(figures.get("fairness", {}))
    yield from _old_bets(figures)
    yield from _costs(figures)
    yield ""
    yield "| goal | found | bound | |"
    yield "|---|---|---|---|"
    for goal in document["goals"]:
        value = "-" if goal["value"] is None else f"{goal['value']:.3f} {goal['unit']}".strip()
        bound = f"{goal['bound']} {goal['unit']}".strip()
        verdict = {True: "met", False: "not met", None: "not measured"}[goal["met"]]
        yield f"| {goal['goal']} | {value} | {bound} | {verdict} |"


def _told(ratio: Mapping[str, Any] | None) -> str:
    return f"{ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})" if ratio else "-"


def _ratios(intervals: Mapping[str, Any], crowd: int | None = None) -> Iterator[str]:
    def suffix(case: str) -> str:
        return f"_{case}_{crowd}" if crowd else "" if case == "bet" else f"_{case}"

    names = {name: text for name, text in NAMES.items() if f"{name}{suffix('bet')}" in intervals}
    cases = [case for case in CASES if any(f"{name}{suffix(case)}" in intervals for name in names)]
    if not names:
        return
    yield ""
    yield f"| requests per second, {crowd or 64} connections | {' | '.join(cases)} |"
    yield "|---" * (len(cases) + 1) + "|"
    for name, text in names.items():
        yield f"| {text} | " + " | ".join(_told(intervals.get(name + suffix(case))) for case in cases) + " |"


def _rates(cases: Mapping[str, Any]) -> Iterator[str]:
    if "bet" not in cases:
        return
    yield ""
    yield "| bets over 64 connections | requests/s | p50 ms | p99 ms | CPU us a bet: target | database |"
    yield "|---|---|---|---|---|---|"
    for target, found in cases["bet"].items():
        yield (
            f"| {target} | {found['requests_per_second']:.0f} | {found['p50_ms']:.1f} | {found['p99_ms']:.1f} | "
            f"{found['cpu_us']['server']:.0f} | {found['cpu_us']['database']:.0f} |"
        )


def _fairness(fairness: Mapping[str, Any]) -> Iterator[str]:
    if not fairness:
        return
    yield ""
    yield "| more connections | target | longest wait ms | longest to p50 | refused | answered |"
    yield "|---|---|---|---|---|---|"
    for label, targets in fairness.items():
        for target, found in targets.items():
            yield (
                f"| {label} | {target} | {found['max_ms']:.0f} | {found['max_vs_p50']:.1f} | {found['refused']} | "
                f"{found['answered']} |"
            )


def _old_bets(figures: Mapping[str, Any]) -> Iterator[str]:
    """What bets cost over ledgers that hold few old ones and many."""
    filled = figures.get("filled", {})
    measured = {label: found for targets in figures["cases"].values() for label, found in targets.items()}
    if not filled:
        return
    yield ""
    yield "| old bets in the ledger | GiB | requests/s | p50 ms | p99 ms | CPU us a bet: target | database |"
    yield "|---|---|---|---|---|---|---|"
    for label, ledger in filled.items():
        found = measured[label]
        yield (
            f"| {label} | {ledger['bets'] * ledger['bytes_per_bet'] / 2**30:.2f} | "
            f"{found['requests_per_second']:.0f} | {found['p50_ms']:.1f} | {found['p99_ms']:.1f} | "
            f"{found['cpu_us']['server']:.0f} | {found['cpu_us']['database']:.0f} |"
        )


def _costs(figures: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    for engine, found in figures.get("half_load", {}).items():
        added = found["added_p50_ms"]
        yield (
            f"- Half load, {engine}, {found['requests_per_second']:.0f} bets a second: p50 {found['p50_ms']:.2f} ms, "
            f"p99 {found['p99_ms']:.2f} ms, of which {added['median']:.2f} ms "
            f"({added['low']:.2f} to {added['high']:.2f}) are the hub's at p50. A commit took {found['commit_ms']:.2f} "
            f"ms with {found['changes_per_commit']:.1f} changes in it; the disk alone, right before, kept 8 KiB in "
            f"{found['sync_ms']:.2f} ms."
        )
    for engine, found in figures.get("open_sessions", {}).items():
        yield (
            f"- {found['sessions']} open sessions, {engine}: {found['memory_mib']:.0f} MiB, "
            f"{found['bytes_per_session']:.0f} bytes a session."
        )
    for engine, found in figures.get("disk_bytes_per_bet", {}).items():
        told = ", ".join(f"{name} {value:.0f}" for name, value in found.items() if name != "bets")
        yield f"- Bytes of a bet on the disk, {engine}: {told}."
    for engine, groups in figures["profile_us_per_bet"].items():
        told = ", ".join(f"{name} {value:.0f}" for name, value in groups.items())
        yield f"- CPU us a bet in the event loop's thread, {engine}: {told}."


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/bench/results.json")
    sys.stdout.write("\n".join(page(json.loads(file.read_text()))) + "\n")


if __name__ == "__main__":
    main()
