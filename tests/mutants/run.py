"""Whether the certification kit catches what real integrations got wrong: `make mutants`.

Every record of a defect is planted into a copy of its package, and a process of its own certifies with that copy first
on its path. What must be caught by the kit and is not is a survivor. Defects that no certification can see are planted
before the suite's own tests, and counted apart. In the end the state machine's tables are changed entry by entry.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, unique
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from tests.mutants.records import ROOT, Judge, Mutant, load, say

EXAMPLES: Final = 25
"""So many generated cases a property tries."""

PATIENCE_SECONDS: Final = 240
EXAMPLE_WALLET: Final = ROOT / "examples/operator"


@unique
class Fate(Enum):
    """What became of a mutant."""

    BROKEN = "a rule is broken"
    ERROR = "a rule's check could not be done"
    FAILED = "a test failed"
    SURVIVED = "survived"
    HUNG = "nothing was said in time"
    UNFIT = "the judge did not work"


KILLED: Final = frozenset({Fate.BROKEN, Fate.ERROR, Fate.FAILED})


@frozen(kw_only=True)
class Verdict:
    """What came of one mutant.

    Attributes:
        mutant: The mutant.
        fate: What became of it.
        by: The rule or test that noticed.
        message: What it said.
        seconds: How long it took.
    """

    mutant: Mutant
    fate: Fate
    by: str = ""
    message: str = ""
    seconds: float = 0.0

    @property
    def as_expected(self) -> bool:
        """Whether one of the rules noticed that the record names."""
        return self.mutant.judge is Judge.TESTS or self.by in self.mutant.rules


def sound_rules_broken(judge: Judge) -> frozenset[str]:
    """Rules that sound code breaks: what they say of a mutant proves nothing."""
    answer = _asked([judge.value, "--every", "--examples", str(EXAMPLES)], {})
    if isinstance(answer, str):
        raise SystemExit(f"{judge.value} cannot be certified: {answer}")
    return frozenset(slug for slug, told in answer["rules"].items() if told["outcome"] in {"broken", "error"})


def try_out(mutant: Mutant, without: Mapping[Judge, frozenset[str]]) -> Verdict:
    """Plant a mutant and have it judged."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="croupier-mutant-") as folder:
        overlay = Path(folder)
        mutant.lay_over(overlay)
        if mutant.judge is Judge.TESTS:
            fate, by, message = _by_tests(mutant, overlay)
        else:
            fate, by, message = _by_rules(mutant, overlay, without[mutant.judge])
    return Verdict(mutant=mutant, fate=fate, by=by, message=message, seconds=time.perf_counter() - began)


def _by_rules(mutant: Mutant, overlay: Path, without: frozenset[str]) -> tuple[Fate, str, str]:
    arguments = [mutant.judge.value, "--overlay", str(overlay), "--examples", str(EXAMPLES)]
    arguments += ["--mutated", *mutant.modules, "--without", *sorted(without), "--first", *mutant.rules]
    answer = _asked(arguments, _environment(overlay))
    if isinstance(answer, str):
        return (Fate.HUNG if answer == "" else Fate.UNFIT), "", answer
    broken = answer["broken"]
    if broken is None:
        return Fate.SURVIVED, "", ""
    return (Fate.BROKEN if broken["outcome"] == "broken" else Fate.ERROR), broken["rule"], broken["message"]


def _by_tests(mutant: Mutant, overlay: Path) -> tuple[Fate, str, str]:
    done = _pytest(mutant.tests, _environment(overlay))
    if done is None:
        return Fate.HUNG, "", ""
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode == 1 and lines:
        by, _, message = lines[0].partition(" ")[2].partition(" - ")
        return Fate.FAILED, by, message
    return (Fate.SURVIVED if done.returncode == 0 else Fate.UNFIT), "", done.stdout[-500:] if done.returncode else ""


def _pytest(
    tests: Iterable[str], environment: Mapping[str, str], seconds: float = PATIENCE_SECONDS
) -> subprocess.CompletedProcess[str] | None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "--tb=line",
        "-k",
        "not postgres",
        *tests,
    ]
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _environment(overlay: Path) -> dict[str, str]:
    # The checkout's own example comes last: an overlay of it, or of any package, is found before.
    path = os.pathsep.join([str(overlay), str(EXAMPLE_WALLET)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "HYPOTHESIS_PROFILE": "ci"}


def _asked(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any] | str:
    """What the judge says; text if it does not work, empty if it takes too long."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.mutants.judge", *arguments],
            cwd=ROOT,
            env=environment or _environment(EXAMPLE_WALLET),
            text=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    if done.returncode:
        return done.stderr.strip()[-500:] or f"exit status {done.returncode}"
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def show(verdict: Verdict) -> None:
    """One line about a mutant."""
    mark = "killed  " if verdict.fate in KILLED else "SURVIVED" if verdict.fate is Fate.SURVIVED else "UNFIT   "
    by = verdict.by.rpartition("/")[2] or verdict.fate.value
    note = "" if verdict.as_expected or verdict.fate not in KILLED else "  (not the rule that was expected)"
    note += "  (its check could not be done)" if verdict.fate is Fate.ERROR else ""
    say(f"{mark} {verdict.seconds:5.1f} s  {verdict.mutant.name}: {by}{note}")
    if verdict.fate not in KILLED:
        say(f"           {verdict.mutant.changes}")
        if verdict.message:
            say(f"           {verdict.message}")


def judge_all(mutants: Sequence[Mutant], workers: int) -> list[Verdict]:
    """Try out every mutant, several at once."""
    judges = {mutant.judge for mutant in mutants} - {Judge.TESTS}
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with ThreadPoolExecutor(workers) as pool:
        sound = pool.submit(_pytest, tests, _environment(EXAMPLE_WALLET), 5 * PATIENCE_SECONDS) if tests else None
        ordered = sorted(judges, key=lambda judge: judge.value)
        without = dict(zip(ordered, pool.map(sound_rules_broken, ordered), strict=True))
        for judge, broken in without.items():
            for slug in sorted(broken):
                say(f"sound code breaks {slug} ({judge.value}): it counts for nothing here")
        verdicts = []
        for verdict in pool.map(lambda mutant: try_out(mutant, without), mutants):
            show(verdict)
            verdicts.append(verdict)
        if sound is not None:
            done = sound.result()
            if done is None or done.returncode:
                raise SystemExit(f"sound code fails its tests:\n{done.stdout[-2000:] if done else 'no answer in time'}")
    return verdicts


def summary(verdicts: Sequence[Verdict]) -> bool:
    """The counts; whether nothing survived."""
    kit = [verdict for verdict in verdicts if verdict.mutant.judge is not Judge.TESTS]
    tests = [verdict for verdict in verdicts if verdict.mutant.judge is Judge.TESTS]
    killers = Counter(verdict.by for verdict in kit if verdict.fate in KILLED)
    say("\nby rule: " + ", ".join(f"{slug} {count}" for slug, count in killers.most_common()))
    for title, group in (("by the kit", kit), ("by tests, of what the kit cannot see", tests)):
        killed = sum(verdict.fate in KILLED for verdict in group)
        errors = sum(verdict.fate is Fate.ERROR for verdict in group)
        more = f" ({errors} of them because a rule's check could not be done)" if errors else ""
        say(f"{title}: killed {killed} of {len(group)}{more}")
    return all(verdict.fate in KILLED for verdict in verdicts)


def main() -> int:
    """Run what is asked for; 1 if anything survived."""
    parser = argparse.ArgumentParser(prog="make mutants ARGS=", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--only", default="*", help="only mutants of names like this, and no state machine")
    parser.add_argument("--workers", type=int, default=2, help="how many at once (%(default)s)")
    parser.add_argument("--list", action="store_true", help="list the records and what each changes")
    parser.add_argument("--machine", action="store_true", help="the state machine's tables alone")
    options = parser.parse_args()
    mutants = [mutant for mutant in load() if fnmatch.fnmatch(mutant.name, options.only)]
    if options.list:
        for mutant in mutants:
            say(f"{mutant.name} ({mutant.judge.value}): {mutant.defect}; {mutant.changes}")
        return 0
    began, good, killed, every = time.perf_counter(), True, 0, 0
    if not options.machine:
        verdicts = judge_all(mutants, options.workers)
        good = summary(verdicts)
        killed, every = sum(verdict.fate in KILLED for verdict in verdicts), len(verdicts)
    if options.only == "*" and (ROOT / "tests/mutants/machine.py").exists():
        command = [sys.executable, "-m", "tests.mutants.machine", "--workers", str(options.workers)]
        good = subprocess.run(command, cwd=ROOT, check=False).returncode == 0 and good
    if every:
        say(f"killed {killed} of {every} in {time.perf_counter() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
