"""`croupier admin`: what is done on the machine itself, before anybody can call the admin API."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from croupier.runtime.settings import Settings


@click.group()
def admin() -> None:
    """Work on the database of a hub that is not running."""


@admin.command("create-key")
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--label", required=True, help="What tells the key from others: who holds it.")
@click.option("--why", default="made on the machine", show_default=True, help="Why it is made.")
def create_key(settings: Path, label: str, why: str) -> None:
    """Make a bearer key for the admin API and print it: it is not shown again.

    The first key can only be made here. Later ones may be made by the admin API.
    """
    from croupier.runtime.settings import load_settings

    click.echo(asyncio.run(_create(load_settings(settings), label, why)))


async def _create(settings: Settings, label: str, why: str) -> str:
    from croupier.configuration.documents import HUB_SCOPE, Role
    from croupier.runtime.clocks import SystemClock
    from croupier.runtime.hub import open_configuration, open_ledger
    from croupier.runtime.ids import SystemIds

    ledger = open_ledger(settings)
    await ledger.start()
    try:
        configuration, _registry, _key = await open_configuration(
            settings, os.environ, ledger, SystemClock(), SystemIds()
        )
        made = await configuration.create_key(HUB_SCOPE, role=Role.ADMIN, label=label, who=label, why=why)
        return made.bearer
    finally:
        await ledger.close()
