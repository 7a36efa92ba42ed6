"""The report as JSON, for programs.

```json
{
  "format": 1,
  "kind": "adapter", "name": "acme", "version": "1.0", "contract": 1, "kit": "0.1.0",
  "date": "2026-01-01T12:00:00+00:00", "examples": 100, "seed": 0, "seconds": 12.345,
  "whole": true, "tier": "silver", "claim": "Proved: silver, with ...", "missing": ["gold needs the rule some-rule"],
  "facts": {},
  "counts": {"passed": 40, "broken": 1, "error": 0, "exempt": 1, "not_collected": 3},
  "results": [
    {
      "rule": "some-rule", "tier": "gold", "layer": "flows", "title": "...", "expects": "...",
      "page": "hub/docs/rules/some-rule.md", "outcome": "broken", "message": "...", "sent": "...",
      "came_back": "...", "hint": "...", "seconds": 0.012,
      "exchanges": [{"title": "...", "sent": "...", "came_back": "..."}]
    }
  ]
}
```

`tier` is `none` where the run was of a part of the rules. `outcome` is `passed`, `broken`, `error`, `exempt` or
`not_collected`. A field is never left out; later formats of the same number may have more.
"""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import asdict

from croupier_conformance.certification.report import Report, page_of
from croupier_conformance.certification.run import RuleResult

FORMAT: Final = 1


def as_json(report: Report) -> str:
    """The report as JSON text."""
    certification = report.certification
    told = {
        "format": FORMAT,
        "kind": certification.kind,
        "name": certification.name,
        "version": certification.version,
        "contract": report.contract,
        "kit": report.kit,
        "date": report.date.isoformat(timespec="seconds"),
        "examples": report.examples,
        "seed": report.seed,
        "seconds": round(certification.seconds, 3),
        "whole": certification.whole,
        "tier": certification.tier.word if certification.whole else "none",
        "claim": report.claim,
        "missing": list(report.missing),
        "facts": dict(certification.facts),
        "counts": {outcome.value: count for outcome, count in report.counts.items()},
        "results": [_result(result) for result in certification.results],
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _result(result: RuleResult) -> dict[str, Any]:
    rule = result.rule
    return {
        "rule": rule.slug,
        "tier": rule.tier.word,
        "layer": rule.layer.value,
        "title": rule.title,
        "expects": rule.expects,
        "page": page_of(rule),
        "outcome": result.outcome.value,
        "message": result.message,
        "sent": result.sent,
        "came_back": result.came_back,
        "hint": result.hint,
        "seconds": round(result.seconds, 3),
        "exchanges": [asdict(exchange) for exchange in result.exchanges],
    }
