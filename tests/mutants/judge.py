"""One certification in a process of its own, as far as the first rule that is broken: `python -m tests.mutants.judge`.

What is imported is what stands first on the path, so a mutant's copy of a package. The answer is one line of JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.mutants.records import Judge

from croupier_conformance.certification.rule import Layer, Rule
from croupier_conformance.certification.run import Certification, Outcome, RuleResult
from croupier_conformance.certification.run_wallet import NotReadyError

BROKEN: Final = frozenset({Outcome.BROKEN, Outcome.ERROR})
Certify = Callable[[Callable[[Rule[Any]], bool], Callable[[RuleResult], None]], Certification]


class _EnoughError(Exception):
    """A rule is broken: nothing more needs to be known."""


def certify_by(judge: Judge, examples: int) -> Certify:
    """The certification of a subject, ready to be run with some of its rules."""
    if judge is Judge.WALLET:
        from tests.mutants.example_wallet import certify_example

        return certify_example
    from croupier_conformance.certification.run import certify_adapter
    from croupier_conformance.certification.subject import load_adapter

    subject = load_adapter(judge.value)
    return lambda only, heard: certify_adapter(subject, examples=examples, only=only, heard=heard)


def first_broken(certify: Certify, first: Sequence[str], without: frozenset[str]) -> RuleResult | None:
    """The first broken rule: those that are expected to break are asked first."""
    found: list[RuleResult] = []

    def heard(result: RuleResult) -> None:
        if result.outcome in BROKEN:
            found.append(result)
            raise _EnoughError

    def counts(rule: Rule[Any]) -> bool:
        return rule.layer is not Layer.SPEED and rule.slug not in without  # speed is the machine's, not a defect's

    rounds: list[Callable[[Rule[Any]], bool]] = [lambda rule: counts(rule) and rule.slug not in first]
    if first:
        rounds.insert(0, lambda rule: counts(rule) and rule.slug in first)
    for only in rounds:
        try:
            certify(only, heard)
        except _EnoughError:
            return found[0]
    return None


def every_rule(certify: Certify) -> dict[str, dict[str, Any]]:
    """What comes of every rule."""
    results: dict[str, dict[str, Any]] = {}

    def heard(result: RuleResult) -> None:
        results[result.rule.slug] = told(result)

    certify(lambda _rule: True, heard)
    return results


def told(result: RuleResult) -> dict[str, Any]:
    """A result, ready for JSON."""
    return {
        "rule": result.rule.slug,
        "outcome": result.outcome.value,
        "message": result.message,
        "seconds": round(result.seconds, 2),
    }


def _broken(certify: Certify, first: Sequence[str], without: frozenset[str]) -> dict[str, Any] | None:
    try:
        broken = first_broken(certify, first, without)
    except NotReadyError as error:  # the kit refuses to begin: no certificate either
        return {"rule": "ready", "outcome": Outcome.BROKEN.value, "message": error.message, "seconds": 0.0}
    return told(broken) if broken else None


def main() -> int:
    """Certify, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject", type=Judge, choices=list(Judge))
    parser.add_argument("--examples", type=int, default=25)
    parser.add_argument("--first", nargs="*", default=[], help="rules that are asked first")
    parser.add_argument("--without", nargs="*", default=[], help="rules that prove nothing: sound code breaks them")
    parser.add_argument("--mutated", nargs="*", default=[], help="modules that must come from the overlay")
    parser.add_argument("--overlay", type=Path)
    parser.add_argument("--every", action="store_true", help="run every rule, whatever comes of it")
    options = parser.parse_args()
    for name in options.mutated:
        place = importlib.import_module(name).__file__ or ""
        if options.overlay is None or not Path(place).is_relative_to(options.overlay):
            parser.error(f"{name} was not imported from the overlay but from {place}")
    began = time.perf_counter()
    certify = certify_by(options.subject, options.examples)
    if options.every:
        answer: dict[str, Any] = {"rules": every_rule(certify)}
    else:
        answer = {"broken": _broken(certify, options.first, frozenset(options.without))}
    answer["seconds"] = round(time.perf_counter() - began, 2)
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
