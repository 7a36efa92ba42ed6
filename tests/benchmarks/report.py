"""The table, the plot and the file of figures."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen
from tests.benchmarks.hub_profile import Profile
from tests.benchmarks.measure import Ratio, Sample

COLOURS: Final = ("#9aa5b1", "#c9a227", "#2f7ebc", "#3a9d5d")


@frozen(kw_only=True)
class Results:
    """All that was measured.

    Attributes:
        samples: By case and target.
        ratios: By name, in the order in which they are told.
        rows: Of each target with a ledger: rows that are stored, and movements that were acknowledged.
        memory_mib: Resident memory of each process at the end.
        fills: How many old rows each target of the comparison of sizes began with.
        proxy_loop: The event loop that the proxy was faster with, and the rates with both.
        profiles: Of the hub on each engine, if they were asked for.
        seconds: How long the whole run took.
    """

    samples: Mapping[str, Mapping[str, Sequence[Sample]]]
    ratios: Mapping[str, Ratio]
    rows: Mapping[str, tuple[int, int]]
    memory_mib: Mapping[str, float]
    fills: Mapping[str, int]
    proxy_loop: Mapping[str, Any]
    profiles: Mapping[str, Profile]
    seconds: float

    def figures(self) -> dict[str, Any]:
        """The object `figures`."""
        cases = {
            case: {target: _summary(samples) for target, samples in by_target.items()}
            for case, by_target in self.samples.items()
        }
        return {
            "cases": cases,
            "memory_mib": dict(self.memory_mib),
            "ledger_rows": {name: {"stored": rows[0], "acknowledged": rows[1]} for name, rows in self.rows.items()},
            "rows_before": dict(self.fills),
            "proxy_loop": dict(self.proxy_loop),
            "seconds": self.seconds,
            "own_work_us_per_bet": {engine: profile.groups["own work"] for engine, profile in self.profiles.items()},
            "profile_us_per_bet": {engine: dict(profile.groups) for engine, profile in self.profiles.items()},
        }


def _summary(samples: Sequence[Sample]) -> dict[str, Any]:
    def median(values: Sequence[float]) -> float:
        return round(statistics.median(values), 3)

    return {
        "requests_per_second": median([sample.rate for sample in samples]),
        "p50_ms": median([sample.p50_ms for sample in samples]),
        "p99_ms": median([sample.p99_ms for sample in samples]),
        "cpu_us": {name: median([sample.cpu_us[name] for sample in samples]) for name in samples[0].cpu_us},
        "slices": len(samples),
        "requests": sum(sample.requests for sample in samples),
    }


def write(results: Results, folder: Path) -> str:
    """Write every file below the folder; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "ratios": {name: round(ratio.median, 4) for name, ratio in results.ratios.items()},
        "intervals": {name: asdict(ratio) for name, ratio in results.ratios.items()},
        "figures": results.figures(),
    }
    (folder / "results.json").write_text(json.dumps(document, indent=2) + "\n")
    profiles = [f"--- the hub on {engine}: {profile.text()}" for engine, profile in results.profiles.items()]
    (folder / "profile.txt").write_text("\n".join(profiles))
    (folder / "plot.svg").write_text(plot(results))
    told = table(results)
    (folder / "table.txt").write_text(told)
    return told


def table(results: Results) -> str:
    """The table that is printed."""
    figures = results.figures()
    head = f"{'case':10} {'target':13} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8}"
    lines = [f"{head} {'CPU us: server':>14} {'database':>8} {'wallet':>7} {'load':>6}"]
    for case, targets in figures["cases"].items():
        for target, found in targets.items():
            cpu = found["cpu_us"]
            lines.append(
                f"{case:10} {target:13} {found['requests_per_second']:10.0f} {found['p50_ms']:8.1f} "
                f"{found['p99_ms']:8.1f} {cpu['server']:14.0f} {cpu['database']:8.0f} {cpu['wallet']:7.0f} "
                f"{cpu['load']:6.0f}"
            )
    lines += ["", f"{'ratio of requests/s':34} {'median':>7}  interval"]
    for name, ratio in results.ratios.items():
        interval = f"{ratio.low:.3f} to {ratio.high:.3f} ({ratio.coverage:.1%}, {ratio.pairs} pairs)"
        lines.append(f"{name:34} {ratio.median:7.3f}  {interval}")
    lines += ["", "memory in MiB: " + ", ".join(f"{name} {value:.0f}" for name, value in results.memory_mib.items())]
    stored = ", ".join(f"{name} {rows[0]} = {rows[1]}" for name, rows in results.rows.items())
    lines += [f"rows in the ledger = movements acknowledged: {stored}"]
    lines += [f"the proxy runs on {results.proxy_loop['chosen']}, the faster one here"]
    for engine, profile in results.profiles.items():
        groups = ", ".join(f"{name} {value:.0f}" for name, value in profile.groups.items())
        lines += [f"CPU us a bet in the event loop's thread, by profile, on {engine}: {groups}"]
    lines += [f"took {results.seconds:.0f} s"]
    return "\n".join(lines) + "\n"


def plot(results: Results) -> str:
    """Bars of the medians of every case."""
    wide, line, left = 760, 22, 220
    parts: list[str] = []
    at = 34
    for case, targets in results.figures()["cases"].items():
        parts.append(f'<text x="12" y="{at}" font-weight="bold">{escape(case)}, requests/s</text>')
        at += 10
        most = max(found["requests_per_second"] for found in targets.values())
        for place, (target, found) in enumerate(targets.items()):
            rate = found["requests_per_second"]
            length = rate / most * (wide - left - 130)
            colour = COLOURS[place % len(COLOURS)]
            parts += [
                f'<text x="{left - 8}" y="{at + 14}" text-anchor="end">{escape(target)}</text>',
                f'<rect x="{left}" y="{at + 2}" width="{length:.1f}" height="{line - 6}" fill="{colour}"/>',
                f'<text x="{left + length + 6:.1f}" y="{at + 14}">{rate:.0f}</text>',
            ]
            at += line
        at += 26
    frame = f'xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{at}" font-family="sans-serif" font-size="13"'
    background = f'<rect width="{wide}" height="{at}" fill="white"/>'
    return "\n".join([f"<svg {frame}>", background, *parts, "</svg>"]) + "\n"
