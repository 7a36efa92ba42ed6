"""`croupier serve`: run a hub."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="How many processes share the ports and the database. More than one needs PostgreSQL.",
)
@click.option(
    "--ports-file",
    type=click.Path(path_type=Path),
    help="Write 'name host port' lines here once everything listens (for port 0).",
)
def serve(settings: Path, workers: int, ports_file: Path | None) -> None:
    """Run a hub with the process settings in SETTINGS, until SIGTERM or SIGINT.

    With several workers a parent keeps them running: one that dies is started anew. SIGTERM or SIGINT to the parent
    lets all of them finish what they began.
    """
    from croupier.runtime.crew import serve_many
    from croupier.runtime.loops import run
    from croupier.runtime.serving import serve as serve_alone
    from croupier.runtime.settings import load_settings

    loaded = load_settings(settings)

    def tell(name: str, host: str, port: int) -> None:
        click.echo(f"{name}: {host}:{port}")

    if workers == 1:
        run(serve_alone(loaded, os.environ, tell, ports_file))
    else:
        run(serve_many(loaded, workers, tell, ports_file))
