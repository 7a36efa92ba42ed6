"""`croupier check-settings`: everything that is wrong with a settings file, before a hub is started with it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check-settings")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check a settings FILE and the files with keys and certificates that it names.

    Leaves with status 3 if something is wrong. Variables of the environment, the database and other servers are not
    looked at: that is left to a start.
    """
    from croupier.runtime.settings import check_settings
    from croupier.runtime.settings_files import check_files

    problems = check_settings(file) or check_files(file)
    for problem in problems:
        click.echo(f"{file}: {problem}", err=True)
    if problems:
        click.get_current_context().exit(3)
    click.echo(f"{file}: right")
