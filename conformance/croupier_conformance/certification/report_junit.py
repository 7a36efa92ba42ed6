"""The report as JUnit XML: a test case for each rule, as build servers read it."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from croupier_conformance.certification.report import WORDS, Report, explain
from croupier_conformance.certification.run import Outcome, RuleResult

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that an XML document cannot hold in any spelling."""


def junit(report: Report) -> str:
    """The report as JUnit XML."""
    certification, counts = report.certification, report.counts
    suite = ET.Element(
        "testsuite",
        name=_clean(f"croupier certification of the {certification.kind} {certification.name}"),
        tests=str(len(certification.results)),
        failures=str(counts[Outcome.BROKEN]),
        errors=str(counts[Outcome.ERROR]),
        skipped=str(counts[Outcome.EXEMPT] + counts[Outcome.NOT_COLLECTED]),
        time=f"{certification.seconds:.3f}",
        timestamp=report.date.isoformat(timespec="seconds"),
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in {
        "version": certification.version,
        "tier": certification.tier.word if certification.whole else "none",
        "claim": report.claim,
        "contract": report.contract,
        "kit": report.kit,
        "examples": report.examples,
        "seed": report.seed,
    }.items():
        ET.SubElement(properties, "property", name=name, value=_clean(str(value)))
    for result in certification.results:
        _case(suite, f"{certification.kind}.{certification.name}.{result.rule.layer.value}", result)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, place: str, result: RuleResult) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=_clean(place), name=result.rule.slug, time=f"{result.seconds:.3f}"
    )
    match result.outcome:
        case Outcome.BROKEN:
            ET.SubElement(case, "failure", message=_clean(result.message)).text = _clean(explain(result))
        case Outcome.ERROR:
            ET.SubElement(case, "error", message=_clean(result.message)).text = _clean(explain(result))
        case Outcome.EXEMPT | Outcome.NOT_COLLECTED:
            ET.SubElement(case, "skipped", message=_clean(f"{WORDS[result.outcome]}: {result.message}"))
        case Outcome.PASSED:
            pass


def _clean(text: str) -> str:
    return _NO_XML.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
