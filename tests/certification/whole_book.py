"""Every broken adapter against the whole book of rules: `make trial`.

The tests try a broken adapter with the rules of its own layers. A defect may break rules of other layers, too: those
stand in `whole_book.toml`, and every other rule must hold. Rules about speed are left out: they are about the machine,
too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from tests.certification.broken_adapters import asking, mistaken, money
from tests.certification.broken_adapters.bent import by_slug
from tests.certification.broken_adapters.wrong_bytes import BYTES
from tests.certification.broken_adapters.wrong_papers import PAPERS

from croupier_conformance.certification import adapter_rules  # noqa: F401 # it fills the book
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, Rule
from croupier_conformance.certification.run import certify_adapter
from croupier_conformance.certification.subject import AdapterSubject

RECORD: Final = Path(__file__).with_name("whole_book.toml")
EXAMPLES: Final = 3
"""So many generated cases a property tries: few, for what a record lists is what this many find."""


@frozen(kw_only=True)
class Defect:
    """A broken adapter.

    Attributes:
        name: The rule that it was made for, and what is wrong where there are several.
        make: Makes it, in an empty folder.
        breaks: What its own test says that it breaks.
    """

    name: str
    make: Callable[[Path], AdapterSubject]
    breaks: frozenset[str]


def defects() -> Iterator[Defect]:
    """Every broken adapter of the tests, each once, but for those that are slow."""
    slow = {rule.slug for rule in ADAPTER_RULES if rule.layer is Layer.SPEED}
    for name, broken in {**PAPERS, **BYTES}.items():
        yield Defect(name=name, make=broken.make, breaks=frozenset(broken.breaks))
    for table in (money.BROKEN, asking.BROKEN, mistaken.BROKEN):
        seen: dict[Any, str] = {}
        for slug, (make, breaks) in by_slug(table).items():
            if seen.setdefault(make, slug) == slug and slug not in slow:
                yield Defect(name=slug, make=partial(_made, make), breaks=frozenset(breaks))


def _made(make: Callable[[], AdapterSubject], _folder: Path) -> AdapterSubject:
    return make()


@cache
def elsewhere() -> Mapping[str, frozenset[str]]:
    """What a broken adapter breaks besides what its own test says."""
    return {name: frozenset(rules) for name, rules in tomllib.loads(RECORD.read_text("utf-8")).items()}


def of_no_machine(rule: Rule[Any]) -> bool:
    """Whether a rule is about the adapter alone."""
    return rule.layer is not Layer.SPEED


def broken_by(name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Try one with the whole book: the rules that it breaks, and those that it must."""
    defect = next(defect for defect in defects() if defect.name == name)
    with tempfile.TemporaryDirectory(prefix="croupier-trial-") as folder:
        run = certify_adapter(defect.make(Path(folder)), examples=EXAMPLES, only=of_no_machine)
    found = frozenset(result.rule.slug for result in run.broken)
    return found, defect.breaks | elsewhere().get(name, frozenset())


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all, several at once; 1 if one breaks what its record does not list, or does not break what it lists."""
    parser = argparse.ArgumentParser(prog="make trial ARGS=", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--workers", type=int, default=2, help="how many at once (%(default)s)")
    parser.add_argument("--only", nargs="+", help="these alone")
    options = parser.parse_args(arguments)
    began, wrong = time.perf_counter(), 0
    names = [defect.name for defect in defects() if not options.only or defect.name in options.only]
    with ProcessPoolExecutor(options.workers) as pool:
        for name, (found, must) in zip(names, pool.map(broken_by, names), strict=True):
            more, less = sorted(found - must), sorted(must - found)
            wrong += bool(more or less)
            told = f": breaks {' '.join(more)} besides" * bool(more) + f": does not break {' '.join(less)}" * bool(less)
            sys.stdout.write(f"{'WRONG' if told else 'as recorded'} {name}{told}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(names) - wrong} of {len(names)} break what their records list and nothing else;")
    sys.stdout.write(f" {time.perf_counter() - began:.0f} s\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
