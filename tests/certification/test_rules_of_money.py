"""The rules about money, about what the hub asks and about speed are on trial: each finds what it is there for.

A broken adapter must break its rule, and of the rules in the same table exactly those that its record lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest
from tests.certification.broken_adapters import asking, money
from tests.certification.broken_adapters.bent import by_slug, pragmatic, softswiss

from croupier_conformance.certification import adapter_rules  # noqa: F401 # it fills the book
from croupier_conformance.certification.rule import ADAPTER_RULES
from croupier_conformance.certification.run import Certification, Outcome, certify_adapter
from croupier_conformance.certification.subject import AdapterSubject

TABLES: Mapping[str, Mapping[str, Any]] = {
    slug: table for table in (money.BROKEN, asking.BROKEN) for slug in by_slug(table)
}
EXAMPLES = 2
"""Few: what the records list is what this many find."""


@cache
def _certified(slug: str) -> Certification:
    table = TABLES[slug]
    made = table[slug][0]
    if (same := next(other for other in table if table[other][0] is made)) != slug:
        return _certified(same)
    return certify_adapter(made(), examples=EXAMPLES, only=lambda rule: rule.slug in table)


def test_every_rule_that_is_on_trial_is_in_the_book() -> None:
    assert by_slug(money.BROKEN, asking.BROKEN).keys() <= {rule.slug for rule in ADAPTER_RULES}


@pytest.mark.parametrize("slug", TABLES)
def test_a_broken_adapter_breaks_its_rule_and_only_those_of_its_record(slug: str) -> None:
    _make, record = TABLES[slug][slug]
    certified = _certified(slug)
    assert slug in record
    assert {result.rule.slug for result in certified.broken} == record
    assert {result.outcome for result in certified.broken} == {Outcome.BROKEN}


@pytest.mark.parametrize("slug", TABLES)
def test_a_failure_says_what_is_wrong_and_what_was_sent_or_heard(slug: str) -> None:
    (broken,) = [result for result in _certified(slug).broken if result.rule.slug == slug]
    assert len(broken.message) > 20
    assert broken.sent or broken.came_back or broken.hint
    for secret in ("certification-only", "whsec_"):
        assert secret not in broken.message
        assert secret not in broken.came_back


@pytest.mark.parametrize("sound", [softswiss, pragmatic])
def test_sound_adapters_break_none_of_these_rules(sound: Callable[[], AdapterSubject]) -> None:
    certified = certify_adapter(sound(), examples=EXAMPLES, only=lambda rule: rule.slug in TABLES)
    assert [result.rule.slug for result in certified.broken] == []


def test_the_whole_book_is_tried_with_a_broken_adapter_as_its_record_says() -> None:
    """`make trial` does it with each of them."""
    from tests.certification.whole_book import broken_by, defects, elsewhere

    assert elsewhere().keys() <= {defect.name for defect in defects()}
    for name in ("zero-win-ends", "flow-proof"):
        found, must = broken_by(name)
        assert found == must
