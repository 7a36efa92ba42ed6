"""`croupier admin`: configure a running hub and decide about held work, by the admin API; and the first key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from croupier.cli import LazyGroup

if TYPE_CHECKING:
    from croupier.configuration.service import Configuration
    from croupier.runtime.settings import Settings

T = TypeVar("T")

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "create-key": ("croupier.cli.admin:create_key", "Make an administrator's key, in the database of a stopped hub."),
    "rewrap": ("croupier.cli.admin:rewrap", "Seal every secret under the current key, in a stopped hub's database."),
    "follow-clock": ("croupier.cli.admin:follow_clock", "Let a stopped hub's time be the database's clock again."),
    "operators": ("croupier.cli.admin_things:operators", "Operators and their wallets."),
    "connections": ("croupier.cli.admin_things:connections", "Connections of an operator to providers."),
    "keys": ("croupier.cli.admin_things:keys", "Bearer keys of an operator, or of administrators (hub)."),
    "games": ("croupier.cli.admin_things:games", "Games of an operator."),
    "routes": ("croupier.cli.admin_things:routes", "Games as connections serve them."),
    "sinks": ("croupier.cli.admin_sinks:sinks", "Event sinks of an operator, and events that wait for them."),
    "policy": ("croupier.cli.admin_things:policy", "How a connection's provider behaves and wants to be answered."),
    "import-games": ("croupier.cli.admin_things:import_games", "Take over a provider's list of games."),
    "deliveries": ("croupier.cli.admin_running:deliveries", "Work that is owed to operators, and held work."),
    "rounds": ("croupier.cli.admin_rounds:rounds", "Rounds that never go on, which two administrators end."),
    "cases": ("croupier.cli.admin_cases:cases", "What reconciliation found, which two administrators settle."),
    "adapters": ("croupier.cli.admin_running:adapters", "Adapters and plugins of a running hub."),
    "faults": ("croupier.cli.admin_running:faults", "What is stored and cannot be used."),
}
"""As `croupier.cli.COMMANDS`."""


@click.group(cls=LazyGroup, commands_by_name=COMMANDS)
def admin() -> None:
    """Configure a running hub and decide about held work.

    All commands but create-key, rewrap and follow-clock call the hub's admin API, with the key of an administrator.
    An OPERATOR or CONNECTION is given by its name or its id.
    """


@click.command("create-key")
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--label", required=True, help="What tells the key from others: who holds it.")
@click.option("--why", default="made on the machine", show_default=True, help="Why it is made.")
def create_key(settings: Path, label: str, why: str) -> None:
    """Make a bearer key for the admin API and print it: it is not shown again.

    The first key can only be made here, while the hub is stopped. Later ones: croupier admin keys create hub.
    """
    from croupier.runtime.settings import load_settings

    loaded = load_settings(settings)

    async def make(configuration: Configuration) -> str:
        made = await configuration.create_key(HUB_SCOPE, role=Role.ADMIN, label=label, who=label, why=why)
        return made.bearer

    from croupier.configuration.documents import HUB_SCOPE, Role

    click.echo(asyncio.run(_configured(loaded, make)))


@click.command("rewrap")
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--who", required=True, help="Who does it.")
@click.option("--why", required=True, help="Why it is done.")
def rewrap(settings: Path, who: str, why: str) -> None:
    """Seal every secret in force under the current key, while the hub is stopped: then the old key may go."""
    from croupier.runtime.settings import load_settings

    loaded = load_settings(settings)

    async def seal(configuration: Configuration) -> int:
        return await configuration.rewrap(who=who, why=why)

    click.echo(f"{asyncio.run(_configured(loaded, seal))} sealed anew")


@click.command("follow-clock")
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def follow_clock(settings: Path) -> None:
    """Let the ledger's time be what the database's clock shows, from the next start on.

    A hub follows a clock that was set only slowly, one second in a hundred. If it was far from right for a while,
    and the hub with it, set the clock right, let the hub deliver what is owed, stop every process, and run this.
    """
    from croupier.runtime.settings import load_settings

    apart = asyncio.run(_followed(load_settings(settings)))
    way = "ahead of" if apart >= 0 else "behind"
    click.echo(f"the database's clock is {abs(apart) / 1000:.1f} s {way} the ledger's time, and is followed")


async def _followed(settings: Settings) -> int:
    from croupier.runtime.clocks import boot_of_machine
    from croupier.runtime.hub import open_ledger
    from croupier.runtime.timekeeper import follow_database

    ledger = open_ledger(settings)
    await ledger.start()
    try:
        return await follow_database(ledger, boot_of_machine() or "")
    finally:
        await ledger.close()


async def _configured(settings: Settings, work: Callable[[Configuration], Awaitable[T]]) -> T:
    """Do something with the configuration of a hub that is stopped."""
    from croupier.runtime.clocks import SystemClock
    from croupier.runtime.hub import open_configuration, open_ledger
    from croupier.runtime.ids import SystemIds

    ledger = open_ledger(settings)
    await ledger.start()
    try:
        configuration, _registry, _key = await open_configuration(
            settings, os.environ, ledger, SystemClock(), SystemIds()
        )
        return await work(configuration)
    finally:
        await ledger.close()
