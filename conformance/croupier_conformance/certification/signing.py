"""Certificates from runs: only a whole run of an unchanged adapter, with enough examples, makes one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from croupier.contract import CertificateError
from croupier.registry.certificates import SUFFIX, Certificate, content_hash, sign
from croupier_conformance.certification.report import Report
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.run import Outcome
from croupier_conformance.certification.subject import AdapterSubject

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LEAST_EXAMPLES: Final = 100
"""Fewer generated cases make no certificate."""


def content_of(subject: AdapterSubject) -> str:
    """The hash of an adapter's files; to be taken before the run, too.

    Raises:
        CertificateError: The files are not on a disk, or cannot be read.
    """
    if not isinstance(subject.folder, Path):
        raise CertificateError("the package's files are not in one folder on a disk", where=subject.package)
    return content_hash(subject.folder)


def certificate_of(report: Report, subject: AdapterSubject, content: str) -> Certificate:
    """What a run proved, not yet signed.

    Args:
        report: The run.
        subject: What was certified.
        content: `content_of` the subject as it was before the run.

    Raises:
        CertificateError: The run proves no tier, or the files have changed meanwhile.
    """
    certification = report.certification
    if not certification.whole:
        raise CertificateError("a part of the rules proves no tier: run all of them")
    if certification.tier is Tier.NONE:
        raise CertificateError("no tier is proved")
    if report.examples is None or report.examples < LEAST_EXAMPLES:
        raise CertificateError(f"a certificate needs {LEAST_EXAMPLES} examples of each property")
    if content_of(subject) != content:
        raise CertificateError("the package's files have changed during the run")
    return Certificate(
        kind=certification.kind,
        name=certification.name,
        version=certification.version,
        contract=report.contract,
        kit=report.kit,
        content=content,
        tier=certification.tier.word,
        date=report.date,
        passed=report.counts[Outcome.PASSED],
        exempt=report.counts[Outcome.EXEMPT],
    )


def write_certificate(certificate: Certificate, key: Ed25519PrivateKey, folder: Path) -> Path:
    """Sign a certificate and write it into a folder; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{certificate.name}{SUFFIX}"
    file.write_text(sign(certificate, key).write(), "utf-8")
    return file
