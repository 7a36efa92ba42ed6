"""A profile of a hub that serves bets, told by what the time is spent on."""

from __future__ import annotations

import pstats
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

Function = tuple[str, int, str]
ROOT: Final = Path(__file__).resolve().parents[2]

GROUPS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    ("cryptography", ("/hmac.py", "/hashlib.py", "_hashlib", "_hmac", "compare_digest", "openssl_", "_sha")),
    ("ledger", ("/croupier/ledger/", "/psycopg", "sqlite3", "psycopg_binary", "concurrent/futures", "queue")),
    ("log and metrics", ("/structlog/", "/runtime/logs.py", "/runtime/metrics.py", "prometheus_client", "/logging/")),
    (
        "sockets",
        (
            "/aiohttp/", "/asyncio/", "uvloop", "/multidict", "/yarl", "/croupier/net/", "/web/server.py",
            "/aiohappyeyeballs/", "_asyncio", "aiosignal", "frozenlist", "propcache", "/selectors.py", "/ssl.py",
        ),
    ),
    ("own work", ("/hub/croupier/", "/adapters/", "/plugins/")),
)  # fmt: skip
"""Where a function belongs by its file or, of a builtin, by its name; the first that fits. What fits nowhere (attrs,
json, re, datetime and other builtins) belongs to those who call it."""


@frozen(kw_only=True)
class Profile:
    """What bets cost the thread of the event loop; what the ledger's own thread does is not in it.

    Attributes:
        bets: How many were measured.
        cpu_us: CPU time of a bet in this thread without the profiler.
        groups: Microseconds a bet by group, without what the profiler cost; their sum is `cpu_us`.
        files: The same for own work, by the file that does it; the dearest first.
        rows: Function, calls a bet, own and cumulated microseconds a bet, scaled; the dearest first.
    """

    bets: int
    cpu_us: float
    groups: Mapping[str, float]
    files: Mapping[str, float]
    rows: Sequence[tuple[str, float, float, float]]

    def text(self) -> str:
        """For people."""
        lines = [
            f"{self.bets} bets in the event loop's thread: {self.cpu_us:.0f} us of CPU a bet without the profiler,",
            "to which all is scaled: own time call by call, cumulated time as a whole, so that many small functions",
            "look dearer there. A coroutine counts as called whenever it goes on.",
            "",
        ]
        lines += [f"{name:18} {value:8.1f} us a bet" for name, value in self.groups.items()]
        lines += ["", "own work by file; what it calls in libraries is its own, what it calls in another file is not"]
        lines += [f"{value:8.1f} us  {name}" for name, value in self.files.items()]
        by_own = sorted(self.rows, key=lambda row: -row[2])
        by_cumulated = sorted(self.rows, key=lambda row: -row[3])
        for title, rows in (("by own time", by_own), ("by cumulated time", by_cumulated)):
            lines += ["", title, f"{'calls':>8} {'own us':>8} {'cum us':>8}  function"]
            lines += [f"{calls:8.2f} {own:8.2f} {cumulated:8.2f}  {name}" for name, calls, own, cumulated in rows[:80]]
        return "\n".join(lines) + "\n"


def read_profile(file: Path, bets: int, cpu_us: float) -> Profile:
    """Read what cProfile wrote."""
    stats: dict[Function, Any] = pstats.Stats(str(file)).stats  # type: ignore[attr-defined] # typeshed leaves it out
    whole = sum(own for _, _, own, _, _ in stats.values())
    shares = _without_profiler(stats, cpu_us * bets / 1e6)
    own_us = {function: share * cpu_us for function, share in shares.items()}
    scale = cpu_us / whole
    groups = {name: 0.0 for name, _ in GROUPS} | {"event loop": 0.0}
    groups |= _shared(stats, own_us, _group)
    files = {name: own for name, own in _shared(stats, own_us, _file).items() if name.endswith(".py")}
    rows = [
        (_name(function), calls / bets, own_us[function], cumulated * scale)
        for function, (_, calls, _, cumulated, _) in stats.items()
    ]
    return Profile(bets=bets, cpu_us=cpu_us, groups=groups, files=_dearest_first(files), rows=rows)


def _without_profiler(stats: Mapping[Function, Any], seconds: float) -> dict[Function, float]:
    """The own time of every function as its share of `seconds`, without what the profiler itself cost.

    The profiler made everything longer by so much a call; half of that fell to who was called, half to the caller.
    """
    whole = sum(own for _, _, own, _, _ in stats.values())
    events = dict.fromkeys(stats, 0.0)
    for function, (_, calls, _, _, callers) in stats.items():
        events[function] += calls / 2
        for caller, (_, made, _, _) in callers.items():
            events[caller] += made / 2
    each = max(whole - seconds, 0.0) / sum(events.values())
    left = {function: max(own - each * events[function], 0.0) for function, (_, _, own, _, _) in stats.items()}
    rest = sum(left.values())
    return {function: own / rest for function, own in left.items()}


def _shared(
    stats: Mapping[Function, Any], own_us: Mapping[Function, float], belongs_to: Callable[[Function], str | None]
) -> dict[str, float]:
    """The whole time by what it belongs to."""
    shares, found = _Shares(stats, belongs_to), dict[str, float]()
    for function, own in own_us.items():
        for name, share in shares.of(function).items():
            found[name] = found.get(name, 0.0) + own * share
    return found


def _dearest_first(values: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(values.items(), key=lambda item: -item[1]))


class _Shares:
    """What a function's own time belongs to, by how much; of one that belongs nowhere, what its callers belong to."""

    def __init__(self, stats: Mapping[Function, Any], belongs_to: Callable[[Function], str | None]) -> None:
        self._stats = stats
        self._belongs_to = belongs_to
        self._known: dict[Function, dict[str, float]] = {}

    def of(self, function: Function, above: frozenset[Function] = frozenset()) -> dict[str, float]:
        if function in self._known:
            return self._known[function]
        group = self._belongs_to(function)
        if group is not None:
            return self._known.setdefault(function, {group: 1.0})
        callers = {caller: own for caller, (_, _, own, _) in self._stats[function][4].items() if caller not in above}
        whole = sum(callers.values())
        if not callers or whole <= 0:
            return {"event loop": 1.0}
        found: dict[str, float] = {}
        for caller, own in callers.items():
            for name, share in self.of(caller, above | {function}).items():
                found[name] = found.get(name, 0.0) + share * own / whole
        if not above:
            self._known[function] = found
        return found


def _group(function: Function) -> str | None:
    text = f"{function[0]} {function[2]}"
    return next((name for name, marks in GROUPS if any(mark in text for mark in marks)), None)


def _file(function: Function) -> str | None:
    """The file of own work, else the group."""
    group = _group(function)
    return Path(function[0]).relative_to(ROOT).as_posix() if group == "own work" else group


def _name(function: Function) -> str:
    file, line, name = function
    if file == "~":
        return name
    place = Path(file)
    short = place.relative_to(ROOT).as_posix() if place.is_relative_to(ROOT) else "/".join(place.parts[-2:])
    return f"{short.rpartition('site-packages/')[2]}:{line} {name}"
