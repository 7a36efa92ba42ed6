"""The rules follow from the declared proof: one protocol, signed, encrypted, or with a secret sent as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.certification.broken_adapters import proofs
from tests.certification.broken_adapters.made import Factory
from tests.certification.broken_adapters.proofs import proven

from croupier.contract import Proof
from croupier_conformance.certification.rule import Layer
from croupier_conformance.certification.run import Certification, Outcome, certify_adapter

BEARER = proven(Proof.BEARER, proofs.BearerAdapter, proofs.BearerPeer)
QUERY = proven(Proof.BEARER, proofs.QueryAdapter, proofs.QueryPeer)
SEALED = proven(Proof.ENCRYPTION, proofs.SealedAdapter, proofs.SealedPeer)


def certified(make: Factory, folder: Path) -> Certification:
    return certify_adapter(make(folder), examples=5, only=lambda rule: rule.layer is Layer.PROPERTIES)


def outcomes(run: Certification) -> dict[str, Outcome]:
    return {result.rule.slug: result.outcome for result in run.results}


@pytest.mark.parametrize("make", [BEARER, QUERY, SEALED], ids=["bearer", "secret in the query", "encryption"])
def test_a_sound_proof_of_any_kind_breaks_no_rule(make: Factory, tmp_path: Path) -> None:
    run = certified(make, tmp_path)
    assert [f"{one.rule.slug}: {one.message}" for one in run.broken] == []


def test_a_bearer_answers_for_its_secret_and_for_no_body(tmp_path: Path) -> None:
    told = outcomes(certified(BEARER, tmp_path))
    assert told["tampered-proof-is-refused"] is Outcome.PASSED
    assert told["tampered-body-is-refused"] is told["what-is-not-proven-is-not-read"] is Outcome.NOT_COLLECTED


def test_encryption_answers_for_every_byte_of_the_body(tmp_path: Path) -> None:
    told = outcomes(certified(SEALED, tmp_path))
    assert told["tampered-body-is-refused"] is Outcome.PASSED
    assert told["tampered-proof-is-refused"] is Outcome.NOT_COLLECTED


def test_a_window_of_time_that_is_closed_on_both_sides_holds(tmp_path: Path) -> None:
    run = certified(proofs.windowed, tmp_path)
    assert outcomes(run)["stale-requests-are-refused"] is Outcome.PASSED
    assert list(run.broken) == []


@pytest.mark.parametrize(
    ("make", "rules"),
    [
        (proofs.partly_signed, {"tampered-body-is-refused"}),
        (
            proven(Proof.BEARER, proofs.BelievesABeginning, proofs.BearerPeer),
            {"tampered-proof-is-refused", "rotation-accepts-both-keys"},
        ),
        (
            proven(Proof.BEARER, proofs.AsksForNothing, proofs.BearerPeer),
            {"tampered-proof-is-refused", "rotation-accepts-both-keys"},
        ),
        (
            proven(Proof.ENCRYPTION, proofs.ReadsWithoutASeal, proofs.SealedPeer),
            {"tampered-body-is-refused", "rotation-accepts-both-keys", "no-secret-no-proof"},
        ),
    ],
    ids=["an amount that is not hashed", "the beginning of a secret", "no secret at all", "no seal"],
)
def test_a_weak_proof_is_found(make: Factory, rules: set[str], tmp_path: Path) -> None:
    assert {one.rule.slug for one in certified(make, tmp_path).broken} == rules
