"""The plot: rates as bars, ratios with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

COLOURS: Final = {
    "proxy": "#9aa5b1", "nginx": "#5f6b78", "naive": "#c9a227", "sqlite": "#2f7ebc", "postgres": "#3a9d5d",
    "postgres-w2": "#7cc396",
}  # fmt: skip
WIDE, LINE, LEFT = 860, 22, 290


def plot(document: Mapping[str, Any]) -> str:
    """All of it, as SVG."""
    parts: list[str] = []
    at = 34
    for label, targets in document["figures"]["cases"].items():
        at = _bars(parts, at, f"{label}, requests/s", targets)
    at = _ratios(parts, at, document["intervals"])
    frame = f'xmlns="http://www.w3.org/2000/svg" width="{WIDE}" height="{at}" font-family="sans-serif" font-size="13"'
    background = f'<rect width="{WIDE}" height="{at}" fill="white"/>'
    return "\n".join([f"<svg {frame}>", background, *parts, "</svg>"]) + "\n"


def _bars(parts: list[str], at: int, title: str, targets: Mapping[str, Any]) -> int:
    parts.append(f'<text x="12" y="{at}" font-weight="bold">{escape(title)}</text>')
    at += 10
    most = max(found["requests_per_second"] for found in targets.values()) or 1
    for target, found in targets.items():
        rate = found["requests_per_second"]
        length = rate / most * (WIDE - LEFT - 130)
        colour = COLOURS.get(target, COLOURS["postgres" if target.startswith("postgres") else "sqlite"])
        parts += [
            f'<text x="{LEFT - 8}" y="{at + 14}" text-anchor="end">{escape(target)}</text>',
            f'<rect x="{LEFT}" y="{at + 2}" width="{length:.1f}" height="{LINE - 6}" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{at + 14}">{rate:.0f}</text>',
        ]
        at += LINE
    return at + 26


def _ratios(parts: list[str], at: int, intervals: Mapping[str, Any]) -> int:
    """A point for each median, a line for its interval, on one scale that ends at the largest."""
    if not intervals:
        return at
    parts.append(f'<text x="12" y="{at}" font-weight="bold">ratios, with the interval of the median</text>')
    at += 10
    most = max(1.0, *(found["high"] for found in intervals.values()))
    scale = (WIDE - LEFT - 130) / most
    one = LEFT + scale
    parts.append(f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{at}" y2="{at + LINE * len(intervals)}" stroke="#cccccc"/>')
    for name, found in intervals.items():
        low, middle, high = (LEFT + found[end] * scale for end in ("low", "median", "high"))
        y = at + LINE / 2
        parts += [
            f'<text x="{LEFT - 8}" y="{at + 15}" text-anchor="end">{escape(name)}</text>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="#2f7ebc" stroke-width="2"/>',
            f'<circle cx="{middle:.1f}" cy="{y}" r="4" fill="#2f7ebc"/>',
            f'<text x="{high + 8:.1f}" y="{at + 15}">{found["median"]:.3f}</text>',
        ]
        at += LINE
    return at + 12
