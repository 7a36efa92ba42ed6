"""`croupier certify adapter`: the rules, on an installed adapter; reports, and a certificate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from attrs import frozen

from croupier.cli.certify import all_rules, no_kit, write_reports

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from croupier_conformance.certification.report import Report
    from croupier_conformance.certification.rule import AdapterRule, Tier

_TIERS: Final = ("bronze", "silver", "gold", "platinum")
_LAYERS: Final = ("static", "transcripts", "properties", "scenarios", "mistakes", "flows", "speed")

file_option: Final = click.Path(path_type=Path, dir_okay=False)


@click.command("adapter")
@click.argument("slug")
@click.option("--examples", type=click.IntRange(1), default=100, show_default=True, help="Generated cases a property.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything that is drawn.")
@click.option("--rule", "chosen", multiple=True, metavar="RULE", help="Check this rule only; may be repeated.")
@click.option("--layer", "layers", multiple=True, type=click.Choice(_LAYERS), help="Check this layer only.")
@click.option("--html", type=file_option, help="Write the report as one HTML page.")
@click.option("--junit", type=file_option, help="Write the report as JUnit XML.")
@click.option("--json", "json_file", type=file_option, help="Write the report as JSON.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write all reports, and the certificate, here."
)
@click.option("--sign", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Sign with this key (PEM).")
@click.option("--minimum", type=click.Choice(_TIERS), help="Leave with status 1 unless this tier is proved.")
def adapter(
    *,
    slug: str,
    examples: int,
    seed: int,
    chosen: tuple[str, ...],
    layers: tuple[str, ...],
    html: Path | None,
    junit: Path | None,
    json_file: Path | None,
    out: Path | None,
    sign: Path | None,
    minimum: str | None,
) -> None:
    """Certify the installed adapter SLUG, by what its `certification.toml` says.

    Leaves with status 0 if no rule is broken and a whole run proves what that file claims, or, with --minimum, if that
    tier is proved; with 1 if not; with 2 if it was called wrongly; with 3 if the adapter, its certification file or the
    kit cannot be used.

    With --sign a certificate is written, SLUG.certificate.json, into the folder of --out or else the current one. Only
    a run of all rules with at least 100 examples makes one. It counts where it lies in the package itself, or in the
    folder of certificates that a hub's settings name.
    """
    known = {rule.slug for kind, rule in all_rules() if kind == "adapter"}
    if unknown := sorted(set(chosen) - known):
        raise click.BadParameter(f"there is no rule {unknown[0]}: see `croupier certify rules`", param_hint="--rule")
    if (chosen or layers) and (sign or minimum):
        raise click.UsageError("a part of the rules proves no tier: --sign and --minimum need all of them")
    if sign:
        _keep_out(slug, [file for file in (html, junit, json_file, out) if file is not None])
    whether = partial(_is_asked, chosen, layers)
    try:
        report, claimed = _certify(slug, examples, seed, whether, _signer(sign, out or Path()))
    except ModuleNotFoundError as error:
        raise no_kit(error) from None
    write_reports(report, html=html, junit=junit, json_file=json_file, out=out)
    certification = report.certification
    if minimum:
        wrong = certification.tier.word not in _TIERS[_TIERS.index(minimum) :]
    else:
        unproved = certification.whole and certification.tier < claimed
        if unproved:
            click.echo(f"{slug} claims {claimed.word} in its certification.toml, which is not proved", err=True)
        wrong = bool(certification.broken) or unproved
    if wrong:
        click.get_current_context().exit(1)


def _keep_out(slug: str, written: Sequence[Path]) -> None:
    """A report in the package would be a change of what was certified."""
    from croupier_conformance.certification.subject import load_adapter

    folder = Path(str(load_adapter(slug).folder)).resolve()
    for place in written:
        if place.resolve().is_relative_to(folder):
            raise click.UsageError(f"{place} is in the package that is certified: write reports elsewhere")


def _is_asked(chosen: tuple[str, ...], layers: tuple[str, ...], rule: AdapterRule) -> bool:
    return (not chosen or rule.slug in chosen) and (not layers or rule.layer.value in layers)


@frozen
class _Signer:
    """Who signs, and where the certificate goes."""

    key: Ed25519PrivateKey
    folder: Path


def _signer(key_file: Path | None, folder: Path) -> _Signer | None:
    if key_file is None:
        return None
    from croupier.registry.certificates import read_private_key

    return _Signer(read_private_key(key_file), folder)


def _certify(
    slug: str, examples: int, seed: int, whether: Callable[[AdapterRule], bool], signer: _Signer | None
) -> tuple[Report, Tier]:
    from croupier_conformance.certification.report import Report
    from croupier_conformance.certification.report_terminal import console, tell_report, tell_result
    from croupier_conformance.certification.run import certify_adapter
    from croupier_conformance.certification.signing import certificate_of, content_of, write_certificate
    from croupier_conformance.certification.subject import load_adapter

    subject = load_adapter(slug)
    content = content_of(subject) if signer else ""
    screen = console()
    certification = certify_adapter(
        subject, examples=examples, seed=seed, only=whether, heard=partial(tell_result, screen)
    )
    report = Report(certification=certification, date=datetime.now(UTC), examples=examples, seed=seed)
    tell_report(screen, report)
    if signer:
        file = write_certificate(certificate_of(report, subject, content), signer.key, signer.folder)
        click.echo(f"certificate: {file}")
    return report, subject.claims
