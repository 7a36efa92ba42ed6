"""Reports say what a run proved, all of it, and never more."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve
from defusedxml.ElementTree import fromstring
from rich.console import Console

from croupier_conformance.certification.report import WORDS, Report, explain, page_of
from croupier_conformance.certification.report_html import html
from croupier_conformance.certification.report_json import as_json
from croupier_conformance.certification.report_junit import junit
from croupier_conformance.certification.report_terminal import tell_report, tell_result
from croupier_conformance.certification.rule import Exchange, Layer, RuleBook, Tier
from croupier_conformance.certification.run import Certification, Outcome, RuleResult

BOOK: RuleBook[Any] = RuleBook()
DATE = datetime(2026, 1, 1, 12, tzinfo=UTC)


@BOOK.rule("holds", layer=Layer.PROPERTIES, tier=Tier.BRONZE, title="It holds", expects="that it holds")
def holds(_bench: Any) -> None:
    """It holds, always.

    A second paragraph.
    """


@BOOK.rule("breaks", layer=Layer.SCENARIOS, tier=Tier.SILVER, title="It breaks", expects="that nothing moved")
def breaks(_bench: Any) -> None:
    """It breaks."""


def result(slug: str, outcome: Outcome, **other: Any) -> RuleResult:
    rule = BOOK.get(slug)
    assert rule is not None
    return RuleResult(rule=rule, outcome=outcome, seconds=0.25, **other)


BROKEN = result(
    "breaks",
    Outcome.BROKEN,
    message="a bet was taken twice",
    sent="POST /bet\n\n<script>alert(1)</script> \x00]]>",
    came_back="200\n\n{}",
    hint="keep the key of a movement",
    exchanges=(Exchange(title="the first bet", sent="POST /bet & more", came_back="200"),),
)


def report(results: Sequence[RuleResult] = (result("holds", Outcome.PASSED), BROKEN), **other: Any) -> Report:
    told = Certification(
        kind="adapter", name="acme", version="1.0", results=results, tier=Tier.BRONZE, seconds=0.5, **other
    )
    return Report(certification=told, date=DATE, examples=100, seed=7)


def on_terminal(told: Report) -> str:
    out = io.StringIO()
    console = Console(file=out, width=160)
    for item in told.certification.results:
        tell_result(console, item)
    tell_report(console, told)
    return out.getvalue()


# --- the claim


def test_a_whole_run_claims_its_tier_and_what_it_was_run_with() -> None:
    assert report().claim == "Proved: bronze, with 100 examples of each property."
    assert evolve(report(), examples=None).claim == "Proved: bronze."


def test_exemptions_are_part_of_the_claim() -> None:
    told = report((result("holds", Outcome.EXEMPT, message="exempt: so it is"),))
    assert told.claim == "Proved: bronze, with 100 examples of each property, but for 1 exempt rule."


def test_a_part_of_the_rules_claims_nothing() -> None:
    told = report(whole=False)
    assert told.claim == "A part of the rules was checked: that proves no tier."
    assert told.missing == ()
    assert json.loads(as_json(told))["tier"] == "none"
    assert 'name="tier" value="none"' in junit(told)
    assert 'class="claim "' in html(told)


def test_what_keeps_it_from_the_next_tier_is_told() -> None:
    told = report(missing=("silver needs the capability win",))
    assert told.missing == ["silver needs the rule breaks", "silver needs the capability win"]
    assert "silver needs the rule breaks" in on_terminal(told)
    assert "silver needs the capability win" in html(told)


def test_without_a_tier_there_is_no_claim() -> None:
    assert evolve(report(), certification=evolve(report().certification, tier=Tier.NONE)).claim == "No tier is proved."


def test_every_outcome_has_a_word_and_is_counted() -> None:
    assert set(WORDS) == set(Outcome) == set(report().counts)


# --- a failure


WHAT_A_FAILURE_TELLS = (
    "breaks",
    "silver",
    "scenarios",
    "It breaks",
    "a bet was taken twice",
    "that nothing moved",
    "POST /bet",
    "200",
    "keep the key of a movement",
    "hub/docs/rules/breaks.md",
    "croupier certify rule breaks",
)


@pytest.mark.parametrize("told", WHAT_A_FAILURE_TELLS)
def test_a_failure_tells_all_that_is_needed_to_mend_it(told: str) -> None:
    assert told in explain(BROKEN)
    assert told in on_terminal(report())
    assert told in "".join(fromstring(junit(report())).itertext())


def test_what_is_in_brackets_is_no_style_of_the_terminal() -> None:
    told = report((result("breaks", Outcome.BROKEN, message="[bold]not[/bold] [/] a style"),))
    assert "[bold]not[/bold] [/] a style" in on_terminal(told)


# --- JUnit


def test_junit_has_a_case_for_every_rule_and_counts_them() -> None:
    results = (
        result("holds", Outcome.PASSED),
        BROKEN,
        result("breaks", Outcome.ERROR, message="ValueError: boom", came_back="Traceback"),
        result("breaks", Outcome.EXEMPT, message="exempt: so it is"),
        result("breaks", Outcome.NOT_COLLECTED, message="nothing that it is about is declared"),
    )
    suite: ET.Element = fromstring(junit(report(results)))
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    cases = [
        (case.get("classname"), case.get("name"), [child.tag for child in case]) for case in suite.iter("testcase")
    ]
    assert cases == [
        ("adapter.acme.properties", "holds", []),
        ("adapter.acme.scenarios", "breaks", ["failure"]),
        ("adapter.acme.scenarios", "breaks", ["error"]),
        ("adapter.acme.scenarios", "breaks", ["skipped"]),
        ("adapter.acme.scenarios", "breaks", ["skipped"]),
    ]


def test_what_no_xml_can_hold_is_spelled_out() -> None:
    assert "\\x00" in "".join(fromstring(junit(report())).itertext())


# --- JSON


def test_json_has_every_field_that_is_promised() -> None:
    told = json.loads(as_json(report()))
    assert {
        name: told[name] for name in ("format", "kind", "name", "version", "tier", "whole", "examples", "seed")
    } == {
        "format": 1,
        "kind": "adapter",
        "name": "acme",
        "version": "1.0",
        "tier": "bronze",
        "whole": True,
        "examples": 100,
        "seed": 7,
    }
    assert told["counts"] == {"passed": 1, "broken": 1, "error": 0, "exempt": 0, "not_collected": 0}
    assert told["results"][1] == {
        "rule": "breaks",
        "tier": "silver",
        "layer": "scenarios",
        "title": "It breaks",
        "expects": "that nothing moved",
        "page": "hub/docs/rules/breaks.md",
        "outcome": "broken",
        "message": "a bet was taken twice",
        "sent": BROKEN.sent,
        "came_back": BROKEN.came_back,
        "hint": "keep the key of a movement",
        "seconds": 0.25,
        "exchanges": [{"title": "the first bet", "sent": "POST /bet & more", "came_back": "200"}],
    }


def test_the_shape_that_the_module_documents_is_the_shape() -> None:
    from croupier_conformance.certification import report_json

    (block,) = re.findall(r"```json\n(.*?)```", report_json.__doc__ or "", re.DOTALL)
    documented, told = json.loads(block), json.loads(as_json(report()))
    assert documented.keys() == told.keys()
    assert documented["counts"].keys() == told["counts"].keys()
    assert documented["results"][0].keys() == told["results"][0].keys()
    assert documented["results"][0]["exchanges"][0].keys() == told["results"][1]["exchanges"][0].keys()


# --- HTML


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    page = html(report())
    assert re.findall(r"<(?:script|link|img|iframe|object)\b|@import|url\(|https?://", page) == []


def test_what_a_subject_answered_is_text_and_no_markup() -> None:
    page = html(report())
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_page_has_every_rule_and_every_exchange_to_be_opened() -> None:
    page = html(report())
    for item in report().certification.results:
        assert f'<details class="rule" id="{item.rule.slug}"' in page
        assert page_of(item.rule) in page
    assert "<summary>the first bet</summary>" in page
    assert "POST /bet &amp; more" in page
    assert "<p>A second paragraph.</p>" in page


def test_only_what_is_wrong_is_open_at_first() -> None:
    assert re.findall(r'<details class="rule" id="([a-z]+)" open>', html(report())) == ["breaks"]


def test_the_page_tells_readers_of_screens_its_language_headings_and_tables() -> None:
    page = html(report())
    assert '<html lang="en">' in page
    assert page.count("<h1>") == 1
    assert re.findall(r"<h(\d)", page)[:2] == ["1", "2"]
    assert "<caption>" in page
    assert all('scope="' in head for head in re.findall(r"<th[ >][^>]*>?", page))
    assert '<a class="skip" href="#rules">' in page
    assert len(set(found := re.findall(r' id="([^"]+)"', page))) == len(found)
