"""`croupier check-settings`: everything that is wrong with a settings file, before a hub is started with it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check-settings")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a settings FILE. Leaves with status 3 if something is wrong with it."""
    from croupier.runtime.settings import check_settings

    problems = check_settings(file)
    for problem in problems:
        click.echo(f"{file}: {problem}", err=True)
    if problems:
        click.get_current_context().exit(3)
    click.echo(f"{file}: right")
