"""`croupier serve`: run a hub."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click


@click.command()
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--ports-file",
    type=click.Path(path_type=Path),
    help="Write 'name host port' lines here once everything listens (for port 0).",
)
def serve(settings: Path, ports_file: Path | None) -> None:
    """Run a hub with the process settings in SETTINGS, until SIGTERM or SIGINT."""
    from croupier.runtime.serving import serve as run
    from croupier.runtime.settings import load_settings

    loaded = load_settings(settings)

    def tell(name: str, host: str, port: int) -> None:
        click.echo(f"{name}: {host}:{port}")

    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        runner.run(run(loaded, os.environ, tell, ports_file))
