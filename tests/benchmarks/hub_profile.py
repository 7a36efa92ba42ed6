"""Where the CPU time of a bet goes in the thread of a hub's event loop."""

from __future__ import annotations

import json
import linecache
import pstats
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

import croupier

Function = tuple[str, int, str]
Frame = tuple[str, int, str]
ROOT: Final = Path(croupier.__file__).resolve().parents[2]

GROUPS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    ("cryptography", ("/hmac.py", "/hashlib.py", "/cryptography/")),
    ("ledger", ("/croupier/ledger/", "/psycopg", "/sqlite3/", "/concurrent/futures/", "/queue.py")),
    (
        "log and metrics",
        (
            "/structlog/", "/runtime/log", "/runtime/metrics.py", "/runtime/tallies.py", "/prometheus_client/",
            "/logging/",
        ),
    ),
    (
        "sockets and loop",
        (
            "/aiohttp/", "/asyncio/", "/uvloop/", "/multidict/", "/yarl/", "/croupier/net/", "/croupier/web/server",
            "/croupier/web/http_", "/aiohappyeyeballs/", "/aiosignal/", "/frozenlist/", "/propcache/", "/selectors.py",
            "/ssl.py", "/httptools/", "/runtime/loops.py",
        ),
    ),
    ("own work", ("/hub/croupier/", "/adapters/", "/plugins/")),
)  # fmt: skip
"""What a file belongs to; the first that fits. What fits nowhere (attrs, json, re) belongs to those who call it."""

_SECRET: Final = re.compile(r"\b(?:hmac|hashlib|sha\d+|md5|compare_digest|digest)\b")
"""A line that calls cryptography written in C, which has no frame of its own."""

REST: Final = "sockets and loop"
"""What is sampled outside of every file that we know: the event loop between two callbacks."""


@frozen(kw_only=True)
class Profile:
    """What bets cost the thread of the event loop; what the ledger's own thread does is not in it.

    Attributes:
        samples: How many were taken.
        cpu_us: CPU time of a bet in this thread without a profiler.
        groups: Microseconds a bet by group; their sum is `cpu_us`.
        files: The same for own work, by the file that does it; the dearest first.
        lines: The same by the function at the top of the stack.
        calls: Of each function: calls a bet and, scaled to `cpu_us`, own and cumulated microseconds a bet.
    """

    samples: int
    cpu_us: float
    groups: Mapping[str, float]
    files: Mapping[str, float]
    lines: Mapping[str, float]
    calls: Sequence[tuple[str, float, float, float]]

    def text(self) -> str:
        """For people."""
        error = 100 * (self.groups["own work"] / self.cpu_us * (1 - self.groups["own work"] / self.cpu_us)) ** 0.5
        lines = [
            f"{self.cpu_us:.0f} us of CPU a bet in the event loop's thread, by {self.samples} samples of its stack,",
            "taken by the thread's own CPU time. What C code does is its caller's. The standard error of own work's",
            f"share is {error / max(self.samples, 1) ** 0.5:.1f} % of the whole.",
            "",
        ]
        lines += [f"{name:18} {value:8.1f} us a bet" for name, value in self.groups.items()]
        lines += ["", "own work by file, with what it calls in libraries"]
        lines += [f"{value:8.1f} us  {name}" for name, value in self.files.items()]
        lines += ["", "by the function at the top of the stack"]
        lines += [f"{value:8.1f} us  {name}" for name, value in list(self.lines.items())[:60]]
        lines += ["", "calls, by cProfile: its times make many small functions look dear; a coroutine counts as"]
        lines += ["called whenever it goes on", f"{'calls':>8} {'own us':>8} {'cum us':>8}  function"]
        dearest = sorted(self.calls, key=lambda row: -row[2])[:120]
        lines += [f"{calls:8.2f} {own:8.2f} {cumulated:8.2f}  {name}" for name, calls, own, cumulated in dearest]
        return "\n".join(lines) + "\n"


def read_profile(samples: Path, calls: Path, bets: int, cpu_us: float) -> Profile:
    """Read what a profiled hub wrote.

    Args:
        samples: Its samples.
        calls: Its calls.
        bets: How many bets were made while calls were counted.
        cpu_us: What a bet costs the thread without profilers.
    """
    groups, files, lines = Counter[str](), Counter[str](), Counter[str]()
    whole = 0
    for found in json.loads(samples.read_text()):
        count, stack = found["count"], [tuple(frame) for frame in found["stack"]]
        group, file = _belongs(stack)
        whole += count
        groups[group] += count
        if group == "own work":
            files[file] += count
        lines[_name(stack[0])] += count
    scale = cpu_us / max(whole, 1)
    return Profile(
        samples=whole,
        cpu_us=cpu_us,
        groups={name: groups[name] * scale for name, _ in GROUPS},
        files={name: count * scale for name, count in files.most_common()},
        lines={name: count * scale for name, count in lines.most_common()},
        calls=_calls(calls, bets, cpu_us),
    )


def _calls(file: Path, bets: int, cpu_us: float) -> list[tuple[str, float, float, float]]:
    stats: dict[Function, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined] # typeshed leaves it out
    scale = cpu_us / max(sum(own for _, _, own, _, _ in stats.values()), 1e-9)
    return [
        (_name(function), calls / bets, own * scale, cumulated * scale)
        for function, (_, calls, own, cumulated, _) in stats.items()
    ]


def _belongs(stack: Sequence[Frame]) -> tuple[str, str]:
    """The group of a stack, from its top down, and the file that decided."""
    for place, (file, line, _) in enumerate(stack):
        group = next((name for name, marks in GROUPS if any(mark in file for mark in marks)), None)
        if group is None:
            continue
        if place == 0 and group == "own work" and _SECRET.search(linecache.getline(file, line)):
            return "cryptography", file
        return group, _short(file)
    return REST, ""


def _name(function: Function) -> str:
    file, _line, name = function
    return name if file == "~" else f"{_short(file)} {name}"


def _short(file: str) -> str:
    place = Path(file)
    if place.is_relative_to(ROOT) and "site-packages" not in place.parts:
        return place.relative_to(ROOT).as_posix()
    return file.rpartition("site-packages/")[2].rpartition("/lib/")[2]
