"""`croupier certify`: prove that an adapter or a wallet is correct, by the rules of the conformance kit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from croupier.cli import LazyGroup
from croupier.cli.output import print_rows
from croupier.contract import PackageError

if TYPE_CHECKING:
    from croupier_conformance.certification.report import Report
    from croupier_conformance.certification.rule import Rule

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "adapter": ("croupier.cli.certify_adapter:adapter", "Certify an installed adapter."),
    "keygen": ("croupier.cli.certify:keygen", "Make a pair of keys for signing certificates."),
    "rule": ("croupier.cli.certify:rule_page", "What a rule is about, and how it is usually broken."),
    "rules": ("croupier.cli.certify:rules", "Every rule."),
    "wallet": ("croupier.cli.certify_wallet:wallet", "Certify an operator's test wallet."),
}
"""As `croupier.cli.COMMANDS`."""

_EXTRA: Final = frozenset({"croupier_conformance", "hypothesis", "pytest"})


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def certify() -> None:
    """Prove that an adapter or a wallet is correct, by the rules of the conformance kit.

    It needs the extra `conformance` of the distribution: pip install "croupier[conformance]".
    """


def all_rules() -> list[tuple[str, Rule[Any]]]:
    """Every rule of the kit with what it is about, `adapter` or `wallet`.

    Raises:
        PackageError: The extra `conformance` is not installed.
    """
    try:
        from croupier_conformance.certification.pages import rules as found
    except ModuleNotFoundError as error:
        raise no_kit(error) from None
    try:
        return found()
    except ModuleNotFoundError as error:
        raise no_kit(error) from None


def no_kit(error: ModuleNotFoundError) -> Exception:
    """What to raise where the kit cannot be imported: an error for people if that is why, else the same one."""
    if (error.name or "").partition(".")[0] not in _EXTRA:
        return error
    return PackageError(
        f"the conformance kit cannot be used: {error.name} is not installed",
        hint='pip install "croupier[conformance]"',
    )


def write_reports(
    report: Report, *, html: Path | None, junit: Path | None, json_file: Path | None, out: Path | None = None
) -> None:
    """Write the reports that were asked for, and say where they are.

    Args:
        report: What to write.
        html: The file of the HTML page.
        junit: The file of the JUnit XML.
        json_file: The file of the JSON.
        out: A folder for all three, named after the subject.
    """
    from croupier_conformance.certification.report_html import html as as_html
    from croupier_conformance.certification.report_json import as_json
    from croupier_conformance.certification.report_junit import junit as as_junit

    name = report.certification.name
    for ending, write, chosen in (
        ("html", as_html, html),
        ("junit.xml", as_junit, junit),
        ("json", as_json, json_file),
    ):
        files = [file for file in (chosen, out / f"{name}.{ending}" if out else None) if file is not None]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(write(report), "utf-8")
            click.echo(f"report: {file}")


@click.command("rules")
@click.option("--of", "about", type=click.Choice(["adapter", "wallet"]), help="Only the rules about these.")
def rules(*, about: str | None) -> None:
    """List every rule: what it is about, its tier and layer, its name, and what holds."""
    found = [(kind, rule) for kind, rule in all_rules() if about in {None, kind}]
    rows = [(kind, rule.tier.word, rule.layer.value, rule.slug, rule.title) for kind, rule in found]
    print_rows([("ABOUT", "TIER", "LAYER", "RULE", "WHAT HOLDS"), *rows])


@click.command("rule")
@click.argument("slug")
def rule_page(*, slug: str) -> None:
    """Print the page of the rule SLUG: why it is there, how it is checked, and how it is usually broken and mended.

    Where a rule for adapters and one for wallets have the same name, both are printed.
    """
    found = [(kind, rule) for kind, rule in all_rules() if rule.slug == slug]
    if not found:
        raise click.BadParameter(f"there is no rule {slug}: see `croupier certify rules`", param_hint="SLUG")
    from croupier_conformance.certification.pages import page

    click.echo("\n".join(page(kind, rule) for kind, rule in found), nl=False)


@click.command("keygen")
@click.argument("name", type=click.Path(path_type=Path))
def keygen(*, name: Path) -> None:
    """Make an Ed25519 pair: NAME.key signs certificates and stays with you, NAME.pub goes to those who trust you."""
    from croupier.registry.certificates import make_keys

    private, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    made = make_keys(private, public)
    click.echo(f"{made}: {private} signs, {public} is for those who trust it")
