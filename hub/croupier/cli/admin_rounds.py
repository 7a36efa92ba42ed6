"""`croupier admin rounds`: rounds that never go on, which two administrators end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from croupier.cli.admin_client import (
    Admin,
    as_json,
    calls_the_hub,
    cursor_option,
    limit_option,
    tell_of_more,
    why_option,
)
from croupier.cli.output import print_json, print_rows


@click.group()
def rounds() -> None:
    """Rounds that never go on. The hub ends none by itself: it takes two administrators, each with a key of his own."""


@rounds.command("list")
@click.argument("operator")
@click.option("--opened-since", help="Opened at or after this time, as 2030-01-31T00:00:00Z: the less has to be read.")
@click.option("--opened-before", help="Opened before this time.")
@limit_option
@cursor_option
@calls_the_hub
@as_json
def list_rounds(
    hub: Admin,
    operator: str,
    *,
    opened_since: str | None,
    opened_before: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List the rounds that are open, the longest open first."""
    answer = hub.ask(
        "GET",
        f"/operators/{hub.operator_id(operator)}/rounds",
        opened_since=opened_since,
        opened_before=opened_before,
        limit=limit,
        cursor=cursor,
    )
    if as_json:
        print_json(answer)
        return
    rows = [("ROUND", "OPEN SINCE", "BETS", "WINS", "CONNECTION", "GAME", "PROVIDER'S ROUND")]
    rows += [
        (
            one["id"],
            one["opened_at"],
            str(one["bets"]),
            str(one["wins"]),
            one["connection"],
            one["game"] or "-",
            one["provider_round"],
        )
        for one in answer["rounds"]
    ]
    print_rows(rows)
    tell_of_more(answer)


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
