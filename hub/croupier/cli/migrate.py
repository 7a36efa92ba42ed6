"""`croupier migrate`: bring the ledger's schema up to date."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def migrate(settings: Path) -> None:
    """Bring the schema of the database that SETTINGS names to the newest version that this release knows.

    It needs no keys. With SQLite the hub must be stopped. It tells what was applied, and which releases can still
    work with the database: those that know the schema version it names, or a newer one. A schema does not go back to
    an older version but by a backup.
    """
    from croupier.runtime.migrating import migrate as bring
    from croupier.runtime.settings import load_settings

    done = bring(load_settings(settings))
    for step in done.steps:
        click.echo(f"applied {step.version:04}_{step.name}")
    click.echo(f"releases that know schema version {done.oldest_code} or newer can work with it")
    told = f"schema version {done.before} -> {done.after}"
    if done.after > done.known:
        told += f" (this release knows up to {done.known}; nothing to do)"
    elif not done.steps:
        told += " (nothing to do)"
    click.echo(told)
