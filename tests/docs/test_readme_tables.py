"""The README's tables say what is installed and proved."""

from __future__ import annotations

import pytest
from tests.docs.readme_tables import PAGE, adapters, with_tables

from croupier_conformance.certification.rule import ADAPTER_RULES, Tier
from croupier_conformance.certification.subject import AdapterSubject
from croupier_conformance.certification.tiers import missing_for

SUBJECTS = adapters()

each = pytest.mark.parametrize("subject", SUBJECTS, ids=[subject.spec.slug for subject in SUBJECTS])


def test_the_tables_are_those_of_what_is_installed() -> None:
    page = PAGE.read_text("utf-8")
    assert all(f"(adapters/{subject.spec.slug})" in page for subject in SUBJECTS)
    assert page == with_tables(page), "python -m tests.docs.readme_tables"


@each
def test_an_adapter_of_the_workspace_claims_gold_or_better_and_says_where_its_facts_come_from(
    subject: AdapterSubject,
) -> None:
    assert subject.claims >= Tier.GOLD
    assert subject.wire
    assert subject.source


@each
def test_what_a_claimed_tier_needs_besides_its_rules_is_there(subject: AdapterSubject) -> None:
    tiers = [tier for tier in Tier if Tier.NONE < tier <= subject.claims]
    assert [missing for tier in tiers for missing in missing_for(tier, subject)] == []
    assert not subject.todo.keys() & {rule.slug for rule in ADAPTER_RULES if rule.tier <= subject.claims}
