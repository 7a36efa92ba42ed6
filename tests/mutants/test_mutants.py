"""The records of mutants fit the code, and a slice of them is caught; all of them are `make mutants`."""

from __future__ import annotations

import pytest
from tests.mutants.machine import Noting, changes_of
from tests.mutants.records import ROOT, Edit, Judge, Mutant, StaleMutantError, load
from tests.mutants.run import KILLED, Fate, try_out

from croupier.wallet.machine import TRANSITIONS, UNANSWERED
from croupier_conformance.certification import adapter_rules, wallet_rules  # noqa: F401 # they fill the books
from croupier_conformance.certification.rule import ADAPTER_RULES, WALLET_RULES

RECORDS = load()
SLICE = ("softswiss-proof-compared-in-part", "tombstone-forgotten", "wallet-no-tombstone")


@pytest.mark.parametrize("mutant", RECORDS, ids=lambda mutant: mutant.name)
def test_a_record_fits_the_code_exactly_once_and_what_it_makes_can_be_read(mutant: Mutant) -> None:
    texts: dict[str, str] = {}
    for edit in mutant.edits:
        text = texts.get(edit.file) or (ROOT / edit.file).read_text("utf-8")
        texts[edit.file] = edit.applied_to(text)
    for file, text in texts.items():
        compile(text, file, "exec")


def test_a_record_that_does_not_fit_is_an_error() -> None:
    for old in ("no such text anywhere", "import"):
        edit = Edit(file="hub/croupier/wallet/plan.py", old=old, new="")
        with pytest.raises(StaleMutantError):
            edit.applied_to((ROOT / edit.file).read_text("utf-8"))


def test_every_record_names_rules_of_the_kit_or_tests_of_the_suite() -> None:
    adapters, wallets = {rule.slug for rule in ADAPTER_RULES}, {rule.slug for rule in WALLET_RULES}
    for mutant in RECORDS:
        known = wallets if mutant.judge is Judge.WALLET else adapters
        assert set(mutant.rules) <= known, mutant.name
        assert mutant.rules or mutant.tests, mutant.name
        assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.tests), mutant.name


def test_there_are_defects_of_every_kind_that_must_be_caught() -> None:
    assert len([mutant for mutant in RECORDS if mutant.judge is not Judge.TESTS]) >= 60
    assert {mutant.judge for mutant in RECORDS} == set(Judge)


def test_a_slice_of_the_mutants_is_caught_by_the_rules_that_are_expected_to() -> None:
    chosen = [mutant for mutant in RECORDS if mutant.name in SLICE]
    verdicts = [try_out(mutant, {judge: frozenset() for judge in Judge}) for mutant in chosen]
    assert [verdict.mutant.name for verdict in verdicts if verdict.fate not in KILLED] == []
    assert all(verdict.as_expected for verdict in verdicts)


def test_a_mutant_that_changes_nothing_that_a_rule_looks_at_survives_it() -> None:
    file = "adapters/softswiss/croupier_softswiss/wire.py"
    harmless = Mutant(
        name="harmless",
        edits=(Edit(file=file, old="given = request", new="given  = request"),),
        defect="none",
        changes="told: nothing",
        judge=Judge.TESTS,
        tests=("adapters/softswiss/tests/test_softswiss_proof.py",),
    )
    assert try_out(harmless, {}).fate is Fate.SURVIVED


def test_every_change_of_the_state_machine_changes_it_and_has_a_name_of_its_own() -> None:
    tables = Noting(TRANSITIONS), Noting(UNANSWERED)
    changes = list(changes_of(*tables))
    assert len({change.name for change in changes}) == len(changes)
    assert all(change.table[change.key] != change.value for change in changes)
    assert {change.key for change in changes} == TRANSITIONS.keys() | UNANSWERED.keys()
