"""`croupier new-adapter`: a new adapter's package, complete in a starting protocol."""

from __future__ import annotations

from pathlib import Path

import click

from croupier.cli.certify import no_kit
from croupier.contract import SettingsError

STYLES = ("json-hmac", "form-hash", "xml", "actions")


@click.command("new-adapter")
@click.argument("slug")
@click.option(
    "--style",
    type=click.Choice(STYLES),
    default=STYLES[0],
    show_default=True,
    help="How the provider's messages look: JSON with an HMAC in a header, a form with a hash over its sorted fields, "
    "XML, or JSON with action codes to one address.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The package's folder, which must be empty or not there.  [default: croupier-SLUG]",
)
@click.option("--name", help="The provider's name for people.  [default: from the slug]")
def new_adapter(*, slug: str, style: str, out: Path | None, name: str | None) -> None:
    """Write a package for an adapter that passes its tests, to be changed into the provider's protocol.

    SLUG is the adapter's name in addresses, configuration and entry points: lower-case letters, digits and _.
    """
    from croupier_conformance.new_adapter import Style, check_slug, write_adapter

    try:
        check_slug(slug)
        _check_free(slug)
        folder = out or Path(f"croupier-{slug.replace('_', '-')}")
        title = name or slug.replace("_", " ").title()
        files = write_adapter(slug, style=Style(style), name=title, out=folder)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except ModuleNotFoundError as error:
        raise no_kit(error) from None
    for file in files:
        click.echo(file)
    click.echo(
        f"\nNext:\n  pip install --no-deps --no-build-isolation -e {folder.resolve()}\n  pytest {folder}\n"
        f"then change it into {title}'s protocol, step by step as hub/docs/tutorial.md tells."
    )


def _check_free(slug: str) -> None:
    from croupier.registry import Registry

    taken = [report for report in Registry().adapters() if report.slug == slug]
    if taken:
        raise SettingsError(f"{slug!r} is taken by {taken[0].distribution or 'the hub'}", where="slug")
