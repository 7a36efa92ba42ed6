"""`croupier admin sinks`: event sinks as configured things, how each stands, and what a person decides about events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from croupier.cli.admin_client import Admin, as_json, calls_the_hub, why_option
from croupier.cli.admin_things import place_of, sinks
from croupier.cli.output import print_json, print_rows

__all__ = ["sinks"]

_POSITION: Final = click.option("--position", type=click.IntRange(min=1), help="The event that is tried next.")


@sinks.command("standing")
@click.argument("operator")
@click.argument("sink")
@calls_the_hub
@as_json
def standing(hub: Admin, operator: str, sink: str, *, as_json: bool) -> None:
    """Show how far a sink has come, and the events that wait for it. Positions are those of the operator's events."""
    _tell(hub.ask("GET", f"{place_of(hub, 'sinks', operator, sink)}/standing"), as_json=as_json)


@sinks.command("redrive")
@click.argument("operator")
@click.argument("sink")
@_POSITION
@calls_the_hub
@why_option
@as_json
def redrive(hub: Admin, operator: str, sink: str, position: int | None, why: str, *, as_json: bool) -> None:
    """Try again, now, one event or all that wait. Without --position, a sink that was stopped goes on, too."""
    place = f"{place_of(hub, 'sinks', operator, sink)}/redrive"
    _tell(hub.change("POST", place, why, position=position), as_json=as_json)


@sinks.command("drop")
@click.argument("operator")
@click.argument("sink")
@_POSITION
@calls_the_hub
@why_option
@as_json
def drop(hub: Admin, operator: str, sink: str, position: int | None, why: str, *, as_json: bool) -> None:
    """Never deliver one event: the first of those that wait for its player. The others are tried at once.

    That, who did it and why stays on record.
    """
    if position is None:
        raise click.UsageError("Say which event is not to be delivered: --position.")
    _tell(hub.change("POST", f"{place_of(hub, 'sinks', operator, sink)}/drop", why, position=position), as_json=as_json)


def _tell(answer: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    click.echo(f"at event {answer['position']} of {answer['newest']}, fed by {answer['feeding'] or 'nobody'}")
    for what in ("stopped", "trouble"):
        if answer[what] is not None:
            click.echo(f"{what}: {answer[what]}")
    rows = [("EVENT", "WAITING", "STATE", "ATTEMPTS", "NEXT", "DETAIL")]
    rows += [
        (
            str(one["position"]),
            str(one["count"]),
            "held" if one["held"] else "waits",
            str(one["attempts"]),
            "-" if one["held"] else one["due_at"],
            one["detail"] or "-",
        )
        for one in answer["waiting"]
    ]
    if answer["waiting"]:
        print_rows(rows)
