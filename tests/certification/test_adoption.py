"""The kit in a package's own tests: which items there are, and what becomes of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from defusedxml.ElementTree import parse

SUITE = '''
from attrs import evolve

from croupier.contract import Capability
from croupier_conformance.adoption import adapter_suite
from croupier_conformance.certification.rule import Layer, RuleBook, RuleBrokenError, RuleNotApplicableError, Tier
from croupier_conformance.certification.subject import load_adapter

BOOK = RuleBook()


def rule(slug, needs=()):
    return BOOK.rule(slug, layer=Layer.STATIC, tier=Tier.BRONZE, title=slug, expects="what it expects", needs=needs)


@rule("holds")
def holds(bench):
    """It holds."""
    assert list(bench.folder.iterdir()) == []
    assert bench.examples == EXAMPLES
    assert bench.seed == 3


@rule("breaks")
def breaks(bench):
    """It breaks."""
    raise RuleBrokenError("it is wrong", sent="what was sent", came_back="what came back", hint="mend it")


@rule("raises")
def raises(bench):
    """It raises."""
    raise ValueError("boom")


@rule("exempt")
def exempt(bench):
    """It is exempt."""
    raise RuleBrokenError("it is wrong")


@rule("exempt-and-right")
def exempt_and_right(bench):
    """It is exempt without need."""


@rule("not-applicable")
def not_applicable(bench):
    """It is about nothing here."""
    raise RuleNotApplicableError("there is no such thing")


@rule("undeclared", needs=(frozenset({Capability.ROUND_REPLAY}),))
def undeclared(bench):
    """It is about what is not declared."""
    raise ValueError("never asked")


reasons = {"exempt": "the provider does it so", "exempt-and-right": "it did so once"}
subject = evolve(load_adapter("softswiss"), exempt=reasons)
test_certification = adapter_suite(subject, seed=3, rules=BOOK)
'''


def run(folder: Path, *args: str, examples: int = 10) -> dict[str, tuple[str, str]]:
    """What became of each item: its tag in the report, and the text."""
    (folder / "test_adopted.py").write_text(SUITE.replace("EXAMPLES", str(examples)))
    out = folder / "out.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={out}", *args, "test_adopted.py"],
        cwd=folder,
        check=False,
        capture_output=True,
    )
    cases: list[ET.Element] = list(parse(out).iter("testcase"))
    return {str(case.get("name")): told_of(case) for case in cases}


def told_of(case: ET.Element) -> tuple[str, str]:
    for child in case:
        return child.tag, f"{child.get('type')} {child.get('message')} {child.text}"
    return "passed", ""


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    return run(tmp_path_factory.mktemp("adopted"))


def test_every_rule_about_what_is_declared_is_an_item_of_its_name(items: dict[str, tuple[str, str]]) -> None:
    expected = "holds breaks raises exempt exempt-and-right not-applicable".split()
    assert list(items) == [f"test_certification[{slug}]" for slug in expected]


def test_a_rule_that_holds_passes_exempt_or_not(items: dict[str, tuple[str, str]]) -> None:
    assert items["test_certification[holds]"][0] == "passed", items["test_certification[holds]"][1]
    assert items["test_certification[exempt-and-right]"][0] == "passed"


def test_a_broken_rule_fails_with_all_that_is_needed_to_mend_it(items: dict[str, tuple[str, str]]) -> None:
    tag, text = items["test_certification[breaks]"]
    assert tag == "failure"
    for told in ("it is wrong", "what it expects", "what was sent", "what came back", "mend it", "rules/breaks.md"):
        assert told in text


def test_a_check_that_fails_by_itself_fails_the_item(items: dict[str, tuple[str, str]]) -> None:
    tag, text = items["test_certification[raises]"]
    assert (tag, "ValueError: boom" in text) == ("failure", True)


def test_an_exempt_rule_is_an_expected_failure_with_the_reason(items: dict[str, tuple[str, str]]) -> None:
    tag, text = items["test_certification[exempt]"]
    assert (tag, "pytest.xfail" in text, "the provider does it so" in text) == ("skipped", True, True)


def test_a_rule_that_finds_nothing_to_check_is_skipped_with_the_reason(items: dict[str, tuple[str, str]]) -> None:
    tag, text = items["test_certification[not-applicable]"]
    assert (tag, "pytest.skip" in text, "there is no such thing" in text) == ("skipped", True, True)


def test_the_option_says_how_thorough_it_is(tmp_path: Path) -> None:
    found = run(tmp_path, "--certify-examples", "77", "-k", "holds", examples=77)
    assert found == {"test_certification[holds]": ("passed", "")}
