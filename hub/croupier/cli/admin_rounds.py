"""`croupier admin rounds`: rounds that never go on, which two administrators end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from croupier.cli.admin_client import Admin, as_json, calls_the_hub, why_option
from croupier.cli.output import print_json


@click.group()
def rounds() -> None:
    """Rounds that never go on. The hub ends none by itself: it takes two administrators, each with a key of his own."""


@rounds.command("show")
@click.argument("operator")
@click.argument("round_id", metavar="ROUND")
@calls_the_hub
@as_json
def show(hub: Admin, operator: str, round_id: str, *, as_json: bool) -> None:
    """Show how a round stands: what was staked and won, and what is proposed for it."""
    _tell(hub.ask("GET", _path(hub, operator, round_id)), as_json=as_json)


@rounds.command("void")
@click.argument("operator")
@click.argument("round_id", metavar="ROUND")
@calls_the_hub
@why_option
@as_json
def void(hub: Admin, operator: str, round_id: str, why: str, *, as_json: bool) -> None:
    """Give the stakes of a round that has paid nothing back to the player, and end it.

    The first administrator proposes, and another confirms by the same command.
    """
    _tell(hub.change("POST", f"{_path(hub, operator, round_id)}/void", why), as_json=as_json)


@rounds.command("complete")
@click.argument("operator")
@click.argument("round_id", metavar="ROUND")
@click.option(
    "--short",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How much less than its stakes the round has paid, in minor units: it has to be said as it is.",
)
@calls_the_hub
@why_option
@as_json
def complete(hub: Admin, operator: str, round_id: str, why: str, short: int, *, as_json: bool) -> None:
    """End a round as it stands. Nothing moves, and what it wins later is still paid.

    The first administrator proposes, and another confirms by the same command.
    """
    _tell(hub.change("POST", f"{_path(hub, operator, round_id)}/complete", why, short=short), as_json=as_json)


def _path(hub: Admin, operator: str, round_id: str) -> str:
    return f"/operators/{hub.operator_id(operator)}/rounds/{quote(round_id, safe='')}"


def _tell(one: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    ended = f"ended {one['closed_at']}" if one["closed_at"] else "open"
    click.echo(f"round {one['id']}: {ended}, since {one['opened_at']}, the provider's {one['provider_round']}")
    click.echo(f"{one['bets']} bets, {one['wins']} wins")
    click.echo(f"{one['currency']} in minor units: staked {one['staked']}, won {one['won']}, short {one['short']}")
    if one["proposed"]:
        click.echo(f"proposed: {one['proposed']} by {one['proposed_by']}; another administrator has to confirm it")
