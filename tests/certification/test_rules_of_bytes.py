"""Rules about source, papers, golden conversations and bytes, on trial: each is broken by an adapter made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.certification.broken_adapters.made import sound
from tests.certification.broken_adapters.wrong_bytes import BYTES
from tests.certification.broken_adapters.wrong_papers import PAPERS

from croupier_conformance.certification import adapter_rules  # noqa: F401 - it fills the book
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, Rule
from croupier_conformance.certification.run import Outcome, certify_adapter

OF_PAPERS = frozenset({Layer.STATIC, Layer.TRANSCRIPTS})
LAYERS = OF_PAPERS | {Layer.PROPERTIES}
BROKEN = {**PAPERS, **BYTES}


def of_bytes(rule: Rule[Any]) -> bool:
    return rule.layer in LAYERS


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_adapter_breaks_its_rules_and_no_other(name: str, tmp_path: Path) -> None:
    broken = BROKEN[name]
    # Other papers behave no differently: their properties are those of the sound adapter, which a test below looks at.
    layers = OF_PAPERS if name in PAPERS else LAYERS
    run = certify_adapter(broken.make(tmp_path), examples=5, only=lambda rule: rule.layer in layers)
    assert [f"{one.rule.slug}: {one.message}" for one in run.results if one.outcome is Outcome.ERROR] == []
    assert {one.rule.slug for one in run.broken} == broken.breaks
    assert name.partition(":")[0] in broken.breaks
    assert all(one.message and (one.sent or one.came_back) for one in run.broken)


def test_there_is_a_broken_adapter_for_every_rule() -> None:
    assert {rule.slug for rule in ADAPTER_RULES if of_bytes(rule)} - {
        name.partition(":")[0] for name in BROKEN
    } == set()


@pytest.mark.parametrize("slug", ["softswiss", "pragmatic"])
def test_a_sound_adapter_breaks_none(slug: str) -> None:
    run = certify_adapter(sound(slug), examples=10, only=of_bytes)
    assert [f"{one.rule.slug}: {one.message}" for one in run.broken] == []
    assert run.missing == () or "platinum" in run.missing[0]


def test_the_same_seed_checks_the_same_cases() -> None:
    said = [
        [result.exchanges for result in certify_adapter(sound(), examples=5, seed=3, only=of_bytes).results]
        for _ in range(2)
    ]
    assert said[0] == said[1]
