"""`croupier admin deliveries`, `adapters` and `faults`: what goes on in a running hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from croupier.cli.admin_client import Admin, as_json, calls_the_hub, limit_option, why_option
from croupier.cli.output import print_json, print_rows

_STATES = ("owed", "held", "done")


@click.group()
def deliveries() -> None:
    """Work that is owed to operators. Held work was refused definitely and waits for a person."""


@deliveries.command("list")
@click.option("--operator", help="Of one operator; else of every.")
@click.option("--state", type=click.Choice(_STATES), help="Only what stands so.")
@limit_option
@calls_the_hub
@as_json
def list_deliveries(hub: Admin, operator: str | None, state: str | None, limit: int, *, as_json: bool) -> None:
    """List deliveries, oldest first."""
    owner = None if operator is None else hub.operator_id(operator)
    answer = hub.ask("GET", "/deliveries", operator=owner, state=state, limit=limit)
    if as_json:
        print_json(answer)
        return
    head = ("OPERATOR", "DELIVERY", "TASK", "STATE", "ATTEMPTS", "OWED SINCE", "DETAIL")
    print_rows(
        [
            head,
            *(
                (
                    one["operator"],
                    one["id"],
                    one["task"],
                    one["state"],
                    str(one["attempts"]),
                    one["created_at"],
                    one["detail"] or "-",
                )
                for one in answer["deliveries"]
            ),
        ]
    )


@deliveries.command("show")
@click.argument("operator")
@click.argument("delivery")
@calls_the_hub
@as_json
def show(hub: Admin, operator: str, delivery: str, *, as_json: bool) -> None:
    """Show a delivery, why it stands so, and the messages about its movement."""
    owner = hub.operator_id(operator)
    one = hub.ask("GET", _path(owner, delivery))
    said = hub.ask("GET", f"/operators/{owner}/exchanges", movement=one["movement"])["exchanges"]
    if as_json:
        print_json({"delivery": one, "exchanges": said})
        return
    _tell(one)
    for each in said:
        answered = "no answer" if each["status"] is None else str(each["status"])
        click.echo(f"  {each['started_at']}  {each['side']} {each['operation']}: {answered}, {each['verdict']}")


@deliveries.command("redrive")
@click.argument("operator")
@click.argument("delivery")
@calls_the_hub
@why_option
@as_json
def redrive(hub: Admin, operator: str, delivery: str, why: str, *, as_json: bool) -> None:
    """Try held work again, now: the operator has put right what made it refuse."""
    _decided(hub.change("POST", f"{_path(hub.operator_id(operator), delivery)}/redrive", why), as_json=as_json)


@deliveries.command("resolve")
@click.argument("operator")
@click.argument("delivery")
@click.option(
    "--applied/--undone", default=None, help="Whether the movement stands in the operator's books; one must be given."
)
@calls_the_hub
@why_option
@as_json
def resolve(hub: Admin, operator: str, delivery: str, why: str, *, applied: bool | None, as_json: bool) -> None:
    """Decide held work by hand: nothing is sent, the record says what you found in the operator's books.

    It takes two: the first administrator proposes, and another, with a key of his own, confirms by the same command.
    """
    if applied is None:
        raise click.UsageError("Say what the operator's books show: --applied or --undone.")
    place = f"{_path(hub.operator_id(operator), delivery)}/resolve"
    _decided(hub.change("POST", place, why, applied=applied), as_json=as_json)


@click.group()
def adapters() -> None:
    """What a running hub has found installed."""


@adapters.command("list")
@calls_the_hub
@as_json
def list_packages(hub: Admin, *, as_json: bool) -> None:
    """List the adapters and plugins that the hub has found."""
    _print_packages(hub.ask("GET", "/packages"), as_json=as_json)


@adapters.command("rescan")
@calls_the_hub
@as_json
def rescan(hub: Admin, *, as_json: bool) -> None:
    """Look again at what is installed; connections that waited for a package begin to work."""
    _print_packages(hub.ask("POST", "/packages/rescan"), as_json=as_json)


@click.command()
@calls_the_hub
@as_json
def faults(hub: Admin, *, as_json: bool) -> None:
    """List what is stored and cannot be used, each with the reason."""
    answer = hub.ask("GET", "/faults")
    if as_json:
        print_json(answer)
        return
    rows = [(one["operator"], one["kind"], one["id"], one["reason"]) for one in answer["faults"]]
    print_rows([("OPERATOR", "KIND", "ID", "REASON"), *rows])


def _path(operator: str, delivery: str) -> str:
    return f"/operators/{operator}/deliveries/{quote(delivery, safe='')}"


def _decided(one: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        _tell(one)


def _tell(one: Mapping[str, Any]) -> None:
    click.echo(f"delivery {one['id']}: {one['task']}, {one['state']}, {one['attempts']} attempts")
    click.echo(f"movement {one['movement']}, round {one['round'] or '-'}")
    click.echo(f"owed since {one['created_at']}, due {one['due_at']}")
    click.echo(f"why: {one['detail'] or '-'}")
    if one["proposed"]:
        click.echo(f"proposed: {one['proposed']} by {one['proposed_by']}; another administrator has to confirm it")
    if one["waits_for"]:
        click.echo(f"waits for movement {one['waits_for']}")


def _print_packages(answer: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    rows = [
        ("adapter", one["slug"], one["state"], one["distribution"] or "-", one["version"] or "-", one["reason"] or "-")
        for one in answer["adapters"]
    ]
    rows += [
        ("plugin", one["name"], one["state"], one["distribution"], one["version"] or "-", one["reason"] or "-")
        for one in answer["plugins"]
    ]
    print_rows([("KIND", "NAME", "STATE", "DISTRIBUTION", "VERSION", "REASON"), *rows])
