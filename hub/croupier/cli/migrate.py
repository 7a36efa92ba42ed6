"""`croupier migrate`: bring the ledger's schema up to date."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def migrate(settings: Path) -> None:
    """Bring the schema of the database that SETTINGS names to the newest version that this release knows.

    It needs no keys. With SQLite the hub must be stopped. There is no way back to an older version but a backup.
    """
    from croupier.runtime.migrating import migrate as bring
    from croupier.runtime.settings import load_settings

    done = bring(load_settings(settings))
    for step in done.steps:
        click.echo(f"applied {step.version:04}_{step.name}")
    click.echo(f"schema version {done.before} -> {done.after}" + ("" if done.steps else " (nothing to do)"))
