"""The table, the plot and the file of figures."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen
from tests.benchmarks.goals import judged
from tests.benchmarks.hub_profile import Profile
from tests.benchmarks.measure import Ratio, Sample
from tests.benchmarks.plot import plot

BOTTLENECK: Final = 0.8
"""Where the load generator takes more of a core than this, it may be what limits a rate."""

MANY_SESSIONS: Final = 100_000
"""With fewer, what a process needs with so many cannot be told: memory does not grow evenly."""


@frozen(kw_only=True)
class Results:
    """All that was measured.

    Attributes:
        samples: By case and target.
        ratios: By name, in the order in which they are told.
        rows: Of each target with a ledger: rows that are stored, and movements that were acknowledged.
        figures: What the parts found besides.
        profiles: Of the hub on each engine, if they were asked for.
        notes: What must be said besides.
        missing: Ratios that were not measured, with the reason.
        failures: What went wrong.
        kind: `short` or `long`.
        seconds: How long the whole run took.
    """

    samples: Mapping[str, Mapping[str, Sequence[Sample]]]
    ratios: Mapping[str, Ratio]
    rows: Mapping[str, tuple[int, int]]
    figures: Mapping[str, Any]
    profiles: Mapping[str, Profile]
    notes: Sequence[str]
    missing: Mapping[str, str]
    failures: Sequence[str]
    kind: str
    seconds: float

    def document(self) -> dict[str, Any]:
        """What `results.json` holds."""
        figures = {
            "kind": self.kind,
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "seconds": self.seconds,
            "cases": {
                case: {target: _summary(samples) for target, samples in by_target.items()}
                for case, by_target in self.samples.items()
            },
            "ledger_rows": {name: {"stored": rows[0], "acknowledged": rows[1]} for name, rows in self.rows.items()},
            **self.figures,
            "own_work_us_per_bet": {engine: profile.groups["own work"] for engine, profile in self.profiles.items()},
            "profile_us_per_bet": {engine: dict(profile.groups) for engine, profile in self.profiles.items()},
            "memory_mb_at_100000_sessions": {
                engine: found["memory_mib"] * 2**20 / 1e6
                for engine, found in self.figures.get("open_sessions", {}).items()
                if found["sessions"] >= MANY_SESSIONS
            },
            "load_generator_limits": list(self._limited()),
        }
        document: dict[str, Any] = {
            "ratios": {name: round(ratio.median, 4) for name, ratio in self.ratios.items()}
            | dict.fromkeys(self.missing),
            "intervals": {name: asdict(ratio) for name, ratio in self.ratios.items()},
            "not_measured": dict(self.missing),
            "notes": list(self.notes),
            "failures": list(self.failures),
            "figures": figures,
        }
        return document | {"goals": judged(document)}

    def _limited(self) -> Iterator[str]:
        for case, by_target in self.samples.items():
            for target, samples in by_target.items():
                if samples and statistics.median(sample.load_share for sample in samples) > BOTTLENECK:
                    yield f"{case}, {target}"


def _summary(samples: Sequence[Sample]) -> dict[str, Any]:
    def median(values: Sequence[float]) -> float:
        return round(statistics.median(values), 3)

    return {
        "requests_per_second": median([sample.rate for sample in samples]),
        "p50_ms": median([sample.p50_ms for sample in samples]),
        "p99_ms": median([sample.p99_ms for sample in samples]),
        "max_ms": round(max(sample.max_ms for sample in samples), 3),
        "cpu_us": {name: median([sample.cpu_us[name] for sample in samples]) for name in samples[0].cpu_us},
        "load_share_of_a_core": median([sample.load_share for sample in samples]),
        "slices": len(samples),
        "requests": sum(sample.requests for sample in samples),
        "refused": sum(sample.refused for sample in samples),
    }


def write(results: Results, folder: Path) -> str:
    """Write every file below the folder; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    document = results.document()
    (folder / "results.json").write_text(json.dumps(document, indent=2) + "\n")
    profiles = [f"--- the hub on {engine}: {profile.text()}" for engine, profile in results.profiles.items()]
    (folder / "profile.txt").write_text("\n".join(profiles))
    (folder / "plot.svg").write_text(plot(document))
    told = "\n".join(_table(document)) + "\n"
    (folder / "table.txt").write_text(told)
    return told


def _table(document: Mapping[str, Any]) -> Iterator[str]:
    """The table that is printed."""
    figures = document["figures"]
    yield from _cases(figures["cases"])
    yield ""
    yield f"{'ratio (of requests/s, if not said)':42} {'median':>7}  interval"
    for name, ratio in document["intervals"].items():
        interval = f"{ratio['low']:.3f} to {ratio['high']:.3f} ({ratio['coverage']:.1%}, {ratio['pairs']} pairs)"
        yield f"{name:42} {ratio['median']:7.3f}  {interval}"
    for name, reason in document["not_measured"].items():
        yield f"{name:42} {'-':>7}  {reason}"
    yield ""
    yield from _others(figures)
    yield from document["notes"]
    yield from (f"FAILED: {failure}" for failure in document["failures"])
    if figures["load_generator_limits"]:
        yield f"THE LOAD GENERATOR may have been the limit: {'; '.join(figures['load_generator_limits'])}"
    yield ""
    yield f"{'goal':46} {'found':>10}  bound"
    for goal in document["goals"]:
        value = "-" if goal["value"] is None else f"{goal['value']:.3f}"
        verdict = {True: "met", False: "NOT MET", None: "not measured"}[goal["met"]]
        yield f"{goal['goal']:46} {value:>10}  {goal['bound']} {goal['unit']}".rstrip() + f"  {verdict}"
    yield f"took {figures['seconds']:.0f} s"


def _cases(cases: Mapping[str, Any]) -> Iterator[str]:
    if not cases:
        return
    head = f"{'case':18} {'target':18} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'refused':>8}"
    yield f"{head} {'CPU us: server':>14} {'database':>8} {'wallet':>7} {'load':>6}"
    for case, targets in cases.items():
        for target, found in targets.items():
            cpu = found["cpu_us"]
            yield (
                f"{case:18} {target:18} {found['requests_per_second']:10.0f} {found['p50_ms']:8.1f} "
                f"{found['p99_ms']:8.1f} {found['max_ms']:8.0f} {found['refused']:8} {cpu['server']:14.0f} "
                f"{cpu['database']:8.0f} {cpu['wallet']:7.0f} {cpu['load']:6.0f}"
            )


def _others(figures: Mapping[str, Any]) -> Iterator[str]:
    if "memory_mib" in figures:
        yield "memory in MiB: " + ", ".join(f"{name} {value:.0f}" for name, value in figures["memory_mib"].items())
    for engine, found in figures.get("open_sessions", {}).items():
        yield (
            f"{found['sessions']} open sessions, {engine}: {found['memory_mib_before']:.0f} MiB before, "
            f"{found['memory_mib']:.0f} after; {found['bytes_per_session']:.0f} bytes a session"
        )
    for engine, found in figures.get("disk_bytes_per_bet", {}).items():
        told = ", ".join(f"{name} {value:.0f}" for name, value in found.items() if name != "bets")
        yield f"bytes a bet on the disk, {engine}: {told}"
    for name, found in figures.get("filled", {}).items():
        yield f"old bets, {name}: {found['bytes_per_bet']:.0f} bytes each, written in {found['seconds']:.0f} s"
    for engine, found in figures.get("half_load", {}).items():
        added = found["added_p50_ms"]
        yield (
            f"half load, {engine}, {found['requests_per_second']:.0f}/s: p50 {found['p50_ms']:.2f} ms, p99 "
            f"{found['p99_ms']:.2f} ms; {added['median']:.2f} ms more than direct "
            f"({added['low']:.2f} to {added['high']:.2f}); a commit {found['commit_ms']:.2f} ms with "
            f"{found['changes_per_commit']:.1f} changes, a sync of the disk {found['sync_ms']:.2f} ms"
        )
    for engine, found in figures.get("stalled_operator", {}).items():
        alone, beside = found["alone"], found["beside"]
        yield (
            f"stalled operator, {engine}: p99 {alone['p99_ms']:.1f} ms alone, {beside['p99_ms']:.1f} ms beside; "
            f"max {alone['max_ms']:.0f} and {beside['max_ms']:.0f} ms"
        )
    stored = ", ".join(
        f"{name} {rows['stored']} {'=' if rows['stored'] == rows['acknowledged'] else '>='} {rows['acknowledged']}"
        for name, rows in figures["ledger_rows"].items()
    )
    yield f"rows in the ledger = movements acknowledged: {stored}"
    if "proxy_loop" in figures:
        yield f"the proxy runs on {figures['proxy_loop']['chosen']}, the faster one here"
    for engine, groups in figures["profile_us_per_bet"].items():
        told = ", ".join(f"{name} {value:.0f}" for name, value in groups.items())
        yield f"CPU us a bet in the event loop's thread, by samples, on {engine}: {told}"
