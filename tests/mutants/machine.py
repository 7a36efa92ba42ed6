"""The state machine's tables, changed entry by entry: `python -m tests.mutants.machine`.

Every transition is dropped, led to another state, and robbed of its effects or given one; every line of the table of
unanswered calls is given another event or answer. The fast tests of the money path are run once, and each notes which
entries it looks up; then each change is made in a forked process that runs the tests which look up the changed entry,
the quickest first, until one fails. These tests are stories: messages of a provider, answers of a wallet, and the money
at the end. What no story notices is held against the laws of the machine, which say what must follow from an event
without any story around it, and is counted apart.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import pytest
from attrs import define, field, frozen
from tests.mutants.records import ROOT, say

from croupier.ledger.records import MovementState
from croupier.wallet import machine
from croupier.wallet.machine import Answer, Effect, Event

NAMES: Final = "fenced money_path rollbacks unanswered deliveries whole_plays rules knobs two_people"
FILES: Final = tuple([f"tests/wallet/test_{name}.py" for name in NAMES.split()])
"""The fast tests of the money path: stories of a few messages."""

LAWS: Final = "tests/wallet/test_machine.py"
"""What must follow from each event."""

SLOW_SECONDS: Final = 3.0
"""Tests that take longer are not asked."""

MOST_ASKED: Final = 80
"""So many tests are asked about one change, the quickest of them."""


class Noting(dict[Any, Any]):
    """A table that knows who looks things up in it."""

    def __init__(self, table: Mapping[Any, Any]) -> None:
        super().__init__(table)
        self.asked: set[Any] = set()

    def __getitem__(self, key: Any) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


@frozen(kw_only=True)
class Change:
    """One change of one entry.

    Attributes:
        name: Stable: the entry and what is done to it.
        table: Which table.
        key: The entry.
        value: What stands there instead; `None` drops it.
    """

    name: str
    table: Noting
    key: Any
    value: Any

    def make(self) -> None:
        """Make it, in this process."""
        if self.value is None:
            del self.table[self.key]
        else:
            self.table[self.key] = self.value


def changes_of(transitions: Noting, unanswered: Noting) -> Iterator[Change]:
    """Every change, in the tables' order."""
    states, tasks = list(MovementState), [Effect.OWE_SEND, Effect.OWE_REVERSE, Effect.OWE_ASK]
    for key, (state, effects) in list(dict.items(transitions)):
        place = f"{key[0].value}/{key[1].value}"
        yield Change(name=f"{place}: dropped", table=transitions, key=key, value=None)
        other = states[(states.index(state) + 1) % len(states)]
        for wrong in dict.fromkeys((other, key[0])):
            if wrong is not state:
                name = f"{place}: to {wrong.value} instead of {state.value}"
                yield Change(name=name, table=transitions, key=key, value=(wrong, effects))
        for effect in effects:
            less = tuple(item for item in effects if item is not effect)
            yield Change(name=f"{place}: without {effect.value}", table=transitions, key=key, value=(state, less))
        if not effects:
            more = tasks[1]
            yield Change(name=f"{place}: with {more.value}", table=transitions, key=key, value=(state, (more,)))
    lost = [Event.LOST_RESEND, Event.LOST_REVERSE, Event.LOST_ASK, Event.PROMISED]
    for key, (event, answer) in list(dict.items(unanswered)):
        place = f"{key[0].value}/{key[1].value}/{'safe' if key[2] else 'unsafe'}"
        other_event = lost[(lost.index(event) + 1) % len(lost)]
        name = f"{place}: {other_event.value} instead of {event.value}"
        yield Change(name=name, table=unanswered, key=key, value=(other_event, answer))
        for wrong_answer in Answer:
            if wrong_answer is not answer:
                name = f"{place}: told {wrong_answer.value} instead of {answer.value}"
                yield Change(name=name, table=unanswered, key=key, value=(event, wrong_answer))


@define(eq=False)
class _Trial:
    """A plugin of pytest that runs the collected tests once, and then as often as there are changes.

    Attributes:
        transitions: The first table.
        unanswered: The second.
        workers: How many processes at once.
        survivors: Names of changes that nothing noticed.
        lawless: Names of changes that the laws alone noticed.
        every: How many changes were made.
    """

    transitions: Noting
    unanswered: Noting
    workers: int
    survivors: list[str] = field(factory=list)
    lawless: list[str] = field(factory=list)
    every: int = 0
    _failed: bool = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice what fails."""
        self._failed = self._failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """The loop in place of pytest's own."""
        laws = [item for item in session.items if _is_law(item)]
        by_entry = self._watched(item for item in session.items if not _is_law(item))
        for item in laws:
            self._sound(item)
        running: dict[int, str] = {}
        for change in changes_of(self.transitions, self.unanswered):
            self.every += 1
            tests = [item for _seconds, item in sorted(by_entry.get((id(change.table), change.key), []), key=_seconds)]
            tests = [*tests[:MOST_ASKED], *laws]
            while len(running) >= self.workers:
                self._reap(running)
            sys.stdout.flush()
            child = os.fork()
            if not child:
                os._exit(self._tried(change, tests))
            running[child] = change.name
        while running:
            self._reap(running)
        return True

    def _sound(self, item: pytest.Item) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if self._failed:
            raise pytest.UsageError(f"sound code fails {item.nodeid}")

    def _watched(self, items: Iterable[pytest.Item]) -> dict[tuple[int, Any], list[tuple[float, pytest.Item]]]:
        """Which tests look an entry up, and how long they take."""
        by_entry: dict[tuple[int, Any], list[tuple[float, pytest.Item]]] = {}
        tables = (self.transitions, self.unanswered)
        for item in items:
            for table in tables:
                table.asked.clear()
            began = time.process_time()
            self._sound(item)
            seconds = time.process_time() - began
            if seconds <= SLOW_SECONDS:
                for table in tables:
                    for key in table.asked:
                        by_entry.setdefault((id(table), key), []).append((seconds, item))
        return by_entry

    def _tried(self, change: Change, tests: Iterable[pytest.Item]) -> int:
        """In a process of its own: 1 if a story fails with the change, 2 if only a law does, 0 if nothing does."""
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 # a descriptor is wanted
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        try:
            change.make()
            for item in tests:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if self._failed:
                    return 2 if _is_law(item) else 1
        except BaseException:  # noqa: BLE001 # a forked copy of pytest must not go on as if it were the first
            return 1
        return 0

    def _reap(self, running: dict[int, str]) -> None:
        child, status = os.wait()
        name = running.pop(child)
        match os.waitstatus_to_exitcode(status):
            case 0:
                self.survivors.append(name)
                say(f"SURVIVED {name}")
            case 2:
                self.lawless.append(name)
                say(f"by the laws alone: {name}")
            case _:
                pass


def _seconds(timed: tuple[float, pytest.Item]) -> float:
    return timed[0]


def _is_law(item: pytest.Item) -> bool:
    return item.nodeid.startswith(LAWS)


def put_under_watch() -> tuple[Noting, Noting]:
    """Replace the machine's tables by such that note who asks; before anybody else has imported them."""
    watched = Noting(machine.TRANSITIONS), Noting(machine.UNANSWERED)
    for name, table in zip(("TRANSITIONS", "UNANSWERED"), watched, strict=True):
        sound = getattr(machine, name)
        for module in list(sys.modules.values()):
            with suppress(AttributeError):
                if getattr(module, name, None) is sound:
                    setattr(module, name, table)
    return watched


def main(run: Callable[..., Any] = pytest.main) -> int:
    """Make every change; 1 if one survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    began = time.perf_counter()
    trial = _Trial(*put_under_watch(), workers=options.workers)
    plain = "addopts=--import-mode=importlib -p no:schemathesis -p no:terminal -p no:cacheprovider"
    command: Sequence[str] = ["-o", plain, *FILES, LAWS]
    os.chdir(ROOT)
    status = run(command, plugins=[trial])
    if status != pytest.ExitCode.OK:
        say(f"the tests could not be run: {status}")
        return 1
    say(
        f"the state machine: killed {trial.every - len(trial.survivors)} of {trial.every},"
        f" {len(trial.lawless)} of them by the laws alone; {time.perf_counter() - began:.0f} s"
    )
    return 1 if trial.survivors else 0


if __name__ == "__main__":
    sys.exit(main())
