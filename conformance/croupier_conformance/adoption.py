"""The kit in a package's own tests, in three lines: each rule that is about the adapter is a test item of its name.

```python
from croupier_conformance.adoption import adapter_suite

test_certification = adapter_suite("acme")
```

This is a slice with few examples, for every run of the tests; `pytest --certify-examples 100` makes it as thorough as
`croupier certify adapter acme`, which alone writes reports and certificates. A rule about what the adapter does not
declare is not collected. One that the certification file exempts is an expected failure with the author's reason as
long as it does not hold; so is one that the file says is still to do, which earns no tier.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from croupier_conformance.certification import adapter_rules  # noqa: F401 # it fills the book
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.report import explain
from croupier_conformance.certification.rule import ADAPTER_RULES, AdapterRule, RuleBook
from croupier_conformance.certification.run import Outcome, run_rule
from croupier_conformance.certification.subject import AdapterSubject, load_adapter

SLICE: Final = 10
"""Examples of each property, where nobody says more."""


def adapter_suite(
    adapter: str | AdapterSubject, *, examples: int = SLICE, seed: int = 0, rules: RuleBook[Any] = ADAPTER_RULES
) -> Callable[..., None]:
    """A parametrised test function: one item for each rule that is about what the adapter declares.

    Args:
        adapter: The slug of an installed adapter, or a subject.
        examples: Generated cases of each property, unless `--certify-examples` says otherwise.
        seed: Of everything that is drawn.
        rules: The rules; by default all for adapters.

    Raises:
        CroupierError: The adapter is not installed, or its certification file is wrong.
    """
    subject = adapter if isinstance(adapter, AdapterSubject) else load_adapter(adapter)
    collected = [rule for rule in rules if rule.is_about(subject.spec.capabilities)]

    @pytest.mark.parametrize("rule", collected, ids=[rule.slug for rule in collected])
    def test_certification(rule: AdapterRule, tmp_path: Path, certify_examples: int | None) -> None:
        bench = AdapterBench(subject=subject, folder=tmp_path, examples=certify_examples or examples, seed=seed)
        if rule.slug in subject.todo:
            pytest.xfail(f"to do: {subject.todo[rule.slug]}")
        result = run_rule(rule, bench, bench.notebook, subject.spec.capabilities, subject.exempt)
        match result.outcome:
            case Outcome.NOT_COLLECTED:
                pytest.skip(result.message)
            case Outcome.EXEMPT:
                pytest.xfail(result.message)
            case Outcome.BROKEN | Outcome.ERROR:
                pytest.fail(explain(result), pytrace=False)
            case Outcome.PASSED:
                pass

    return test_certification
