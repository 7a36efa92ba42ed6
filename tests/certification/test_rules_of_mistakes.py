"""The rules about others' mistakes are on trial: each is broken by an adapter made for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.certification.broken_adapters.bent import pragmatic, softswiss
from tests.certification.broken_adapters.mistaken import BROKEN

from croupier_conformance.certification import adapter_rules  # noqa: F401 # it fills the book
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, Rule
from croupier_conformance.certification.run import Outcome, certify_adapter
from croupier_conformance.certification.subject import AdapterSubject


def of_mistakes(rule: Rule[Any]) -> bool:
    return rule.layer is Layer.MISTAKES


def test_every_rule_of_this_layer_has_a_broken_adapter() -> None:
    assert BROKEN.keys() == {rule.slug for rule in ADAPTER_RULES if of_mistakes(rule)}


@pytest.mark.parametrize("slug", BROKEN)
def test_a_broken_adapter_breaks_its_rule_and_only_those_of_its_record(slug: str) -> None:
    make, record = BROKEN[slug]
    certified = certify_adapter(make(), examples=2, only=of_mistakes)
    assert slug in record
    assert {result.rule.slug for result in certified.broken} == record
    assert {result.outcome for result in certified.broken} == {Outcome.BROKEN}
    assert all(result.message and (result.sent or result.came_back) for result in certified.broken)


@pytest.mark.parametrize("sound", [softswiss, pragmatic])
def test_sound_adapters_break_none_of_these_rules(sound: Callable[[], AdapterSubject]) -> None:
    certified = certify_adapter(sound(), examples=2, only=of_mistakes)
    assert [f"{result.rule.slug}: {result.message}" for result in certified.broken] == []
