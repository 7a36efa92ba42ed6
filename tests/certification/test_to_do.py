"""What an author says is still to do counts as not held, whatever a check finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from croupier.contract import SettingsError
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.run import Outcome, certify_adapter
from croupier_conformance.certification.subject import AdapterSubject, Operation, load_adapter, read_subject
from croupier_conformance.certification.tiers import missing_for

RULE = "no-secret-no-proof"


@pytest.fixture(scope="module")
def softswiss() -> AdapterSubject:
    return load_adapter("softswiss")


def written(folder: Path, more: str) -> AdapterSubject:
    """Softswiss with a certification file of its own."""
    known = load_adapter("softswiss")
    head = 'peer = "croupier_softswiss.peer:SoftswissPeer"\nhost = "softswiss.example"\n'
    settings = '[settings]\napi_url = "https://softswiss.example/api"\ncasino_id = "certification"\n'
    (folder / "certification.toml").write_text(head + settings + more)
    return read_subject(known.spec, version="1", package="croupier_softswiss", folder=folder)


def test_a_rule_that_holds_is_not_held_while_it_is_to_do(softswiss: AdapterSubject) -> None:
    subject = evolve(softswiss, todo={RULE: "nobody looked yet"})
    certification = certify_adapter(subject, examples=1, only=lambda rule: rule.slug == RULE)
    (result,) = certification.results
    assert (result.outcome, result.message) == (Outcome.BROKEN, "to do: nobody looked yet")
    assert certification.tier is Tier.NONE


def test_a_rule_that_there_is_not_cannot_be_to_do(softswiss: AdapterSubject) -> None:
    with pytest.raises(SettingsError, match=r"todo\.no-such-rule: there is no such rule"):
        certify_adapter(evolve(softswiss, todo={"no-such-rule": "?"}), examples=1, only=lambda _rule: False)


def test_an_operation_that_is_to_do_keeps_from_gold(softswiss: AdapterSubject) -> None:
    before = missing_for(Tier.GOLD, softswiss)
    operations = (*softswiss.operations, Operation(name="tip", todo="the amount's unit is not told"))
    missing = missing_for(Tier.GOLD, evolve(softswiss, operations=operations))
    if softswiss.operations:
        assert set(missing) - set(before) == {"[operations] tip is still to do: the amount's unit is not told"}
    assert missing


def test_what_is_to_do_is_read_from_the_file(tmp_path: Path) -> None:
    subject = written(tmp_path, f'[operations]\ntip = {{ todo = "soon" }}\n[todo]\n{RULE} = "later"\n')
    assert subject.operations == (Operation(name="tip", todo="soon"),)
    assert subject.todo == {RULE: "later"}


def test_a_rule_is_not_exempt_and_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"todo.{RULE}"):
        written(tmp_path, f'[todo]\n{RULE} = "later"\n[exempt]\n{RULE} = "never"\n')
