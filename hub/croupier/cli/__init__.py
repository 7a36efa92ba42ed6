"""The command `croupier`.

Each command lives in a module of its own that is imported when the command is used: `COMMANDS` names them. To add one,
write `croupier/cli/<module>.py` with a click command or group, and add its line.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from croupier import __version__
from croupier.contract import CroupierError, FixConfigurationError, RetryLaterError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "admin": ("croupier.cli.admin:admin", "Configure a running hub, and make the first key."),
    "new-adapter": ("croupier.cli.new_adapter:new_adapter", "Write the package of a new adapter."),
    "adapters": ("croupier.cli.adapters:adapters", "What adapters and plugins are installed."),
    "certify": ("croupier.cli.certify:certify", "Prove that an adapter or a wallet is correct."),
    "serve": ("croupier.cli.serve:serve", "Run a hub."),
    "migrate": ("croupier.cli.migrate:migrate", "Bring the ledger's schema up to date."),
    "reconcile": ("croupier.cli.reconcile:reconcile", "Compare the record with logs of an operator and of providers."),
    "check-settings": ("croupier.cli.settings:check", "Check a settings file."),
}
"""Command to where it is (`module:name`) and what it does in one line."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used.

    Args:
        commands_by_name: As `COMMANDS`.
    """

    def __init__(self, *, commands_by_name: dict[str, tuple[str, str]], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # handed on to click as they came
        self._lazy = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, sorted."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; `None` if there is none of this name."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{name} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help, without importing them."""
        rows = [(name, self._lazy[name][1]) for name in self.list_commands(ctx) if name in self._lazy]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=LazyGroup, commands_by_name=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="croupier")
def croupier() -> None:
    """A casino game aggregation hub: many game providers, one connection for the operator."""


def main() -> None:
    """Run the command line and leave with its exit status.

    0: done. 1: the command found something wrong. 2: it was called wrongly. 3: settings or packages have to be
    corrected. 4: the same may succeed later.
    """
    try:
        croupier()
    except CroupierError as error:
        click.echo(f"croupier: {error}", err=True)
        sys.exit(_status(error))


def _status(error: CroupierError) -> int:
    match error:
        case FixConfigurationError():
            return 3
        case RetryLaterError():
            return 4
        case _:
            return 1
