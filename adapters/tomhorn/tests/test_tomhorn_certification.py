"""A slice of the certification in JSON, and what a codec decides of it once more in SOAP.

`croupier certify adapter tomhorn` runs all of it.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from croupier.registry import structure
from croupier_conformance.adoption import adapter_suite
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBook
from croupier_conformance.certification.subject import AdapterSubject, load_adapter
from croupier_tomhorn.settings import TomhornSettings

SLUG: Final = "tomhorn"
SOAP: Final = {"encoding": "soap", "integration_namespace": "http://tomhorn.example/integration"}
STORIES: Final = frozenset("three-books repeat-is-equal rollback-first silent-wallet-bet forgery-moves-nothing".split())
"""Of the rules about the hub those are enough: what happens behind a codec is the same for both."""


def in_soap() -> AdapterSubject:
    """The adapter whose provider speaks SOAP, in both directions."""
    subject = load_adapter(SLUG)
    raw = {**subject.settings_raw, **SOAP}
    settings: TomhornSettings = structure(raw, subject.spec.settings, where="settings")
    return evolve(subject, settings_raw=raw, settings=settings)


def about_the_codec() -> RuleBook[AdapterBench]:
    """The rules that see what is on the wire; transcripts in SOAP are among those that JSON's slice plays."""
    kept: RuleBook[AdapterBench] = RuleBook()
    for rule in ADAPTER_RULES:
        if rule.layer in {Layer.PROPERTIES, Layer.FLOWS, Layer.SPEED} or rule.slug in STORIES:
            kept.rule(
                rule.slug,
                layer=rule.layer,
                tier=rule.tier,
                title=rule.title,
                expects=rule.expects,
                needs=rule.needs,
            )(rule.check)
    return kept


test_certification = adapter_suite(SLUG)
test_certification_in_soap = adapter_suite(in_soap(), examples=5, rules=about_the_codec())
