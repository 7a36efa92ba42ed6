"""`croupier admin cases`: what reconciliation has found, which two administrators settle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any, Final
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
from croupier.contract import BodyTooLargeError, CroupierError, MalformedRequestError, read_json_object, write_json

_AT_ONCE: Final = 200
_SENT: Final = ("book", "id", "entries", "closes")


@click.group()
def cases() -> None:
    """Differences between the hub's book and others, as croupier reconcile has found them.

    Two administrators settle them, each with a key of his own. Nothing that was recorded is ever changed, and no wallet
    is called.
    """


@cases.command("record")
@click.argument("operator")
@click.argument("findings", type=click.File("rb"))
@calls_the_hub
@as_json
def record(hub: Admin, operator: str, findings: IO[bytes], *, as_json: bool) -> None:
    """Keep what croupier reconcile --json has printed, from a file or - for standard input.

    What was recorded before makes no second case; what has come to agree since is closed.
    """
    owner = hub.operator_id(operator)
    lines = _findings(findings, owner)
    found: list[dict[str, Any]] = []
    refused: list[CroupierError] = []
    while chunk := list(islice(lines, _AT_ONCE)):
        found += _recorded(hub, owner, chunk, refused)
    _tell_recorded(found, as_json=as_json)
    for error in refused:
        click.echo(str(error), err=True)
    if refused:
        raise MalformedRequestError(
            f"{len(refused)} findings cannot be kept, the others were: {refused[0].message}", where=refused[0].where
        )


def _recorded(
    hub: Admin, operator: str, chunk: Sequence[tuple[int, Mapping[str, Any]]], refused: list[CroupierError]
) -> list[dict[str, Any]]:
    """What became of findings, each with the number of its line; those that the hub cannot keep keep no other away."""
    body = write_json({"findings": [finding for _number, finding in chunk]})
    try:
        found: list[dict[str, Any]] = hub.ask("POST", f"/operators/{operator}/cases", body=body)["findings"]
    except (MalformedRequestError, BodyTooLargeError) as error:
        if len(chunk) == 1:
            refused.append(MalformedRequestError(error.message, where=f"line {chunk[0][0]}"))
            return []
        half = len(chunk) // 2
        return [*_recorded(hub, operator, chunk[:half], refused), *_recorded(hub, operator, chunk[half:], refused)]
    return found


def _tell_recorded(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"findings": found})
        return
    for one in found:
        if one["outcome"] != "known":
            click.echo(f"{one['outcome']}  {one['book']}  {one['id']}  {' '.join(one['cases'])}".rstrip())
    counts = Counter(one["outcome"] for one in found)
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "nothing was found")


def _findings(lines: Iterable[bytes], operator: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a comparison as the hub takes them, with their numbers."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                told = read_json_object(line)
            except MalformedRequestError as error:
                raise MalformedRequestError(error.message, where=f"line {number}") from None
            if told.get("operator") != operator:
                raise MalformedRequestError("the line is about another operator, or no finding", where=f"line {number}")
            yield number, {name: told[name] for name in _SENT if name in told}


@cases.command("list")
@click.argument("operator")
@click.option("--state", type=click.Choice(["open", "settled"]), help="Only what stands so.")
@limit_option
@cursor_option
@calls_the_hub
@as_json
def list_cases(hub: Admin, operator: str, *, state: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List cases, the oldest first."""
    path = f"/operators/{hub.operator_id(operator)}/cases"
    answer = hub.ask("GET", path, state=state, limit=limit, cursor=cursor)
    if as_json:
        print_json(answer)
        return
    rows = [("CASE", "FOUND", "BOOK", "TRANSACTION", "DIFFERS", "STATE", "DECISION")]
    rows += [
        (
            one["id"],
            one["opened_at"],
            one["book"],
            one["reference"],
            "+".join(one["kinds"]),
            one["state"],
            _decision(one) or "-",
        )
        for one in answer["cases"]
    ]
    print_rows(rows)
    tell_of_more(answer)


@cases.command("show")
@click.argument("operator")
@click.argument("case")
@calls_the_hub
@as_json
def show(hub: Admin, operator: str, case: str, *, as_json: bool) -> None:
    """Show what both books have, and what is proposed or was decided."""
    _tell(hub.ask("GET", _path(hub, operator, case)), as_json=as_json)


@cases.command("explain")
@click.argument("operator")
@click.argument("case")
@calls_the_hub
@why_option
@as_json
def explain(hub: Admin, operator: str, case: str, why: str, *, as_json: bool) -> None:
    """Settle a case although no record of the hub's is wrong: the same is not told again.

    The first administrator proposes, and another confirms by the same command.
    """
    _tell(hub.change("POST", f"{_path(hub, operator, case)}/explain", why), as_json=as_json)


@cases.command("adjust")
@click.argument("operator")
@click.argument("case")
@calls_the_hub
@why_option
@as_json
def adjust(hub: Admin, operator: str, case: str, why: str, *, as_json: bool) -> None:
    """Settle a case by a new record: from now on the hub's book is read as the other one. No money moves.

    The first administrator proposes, and another confirms by the same command.
    """
    _tell(hub.change("POST", f"{_path(hub, operator, case)}/adjust", why), as_json=as_json)


def _path(hub: Admin, operator: str, case: str) -> str:
    return f"/operators/{hub.operator_id(operator)}/cases/{quote(case, safe='')}"


def _decision(one: Mapping[str, Any]) -> str:
    if one["decision"] is None:
        return ""
    return str(one["decision"]) if one["state"] == "settled" else f"{one['decision']} proposed"


def _tell(one: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    settled = f"{one['decision']} {one['settled_at']} by {one['settled_by']}" if one["settled_at"] else "open"
    if one["settled_at"] and one["proposed_by"]:
        settled += f" as proposed by {one['proposed_by']}"
    click.echo(f"case {one['id']}: {'+'.join(one['kinds'])}, {settled}, found {one['opened_at']}")
    click.echo(f"book {one['book']}, transaction {one['reference']}, movement {one['movement'] or '-'}")
    for side, entries in sorted(one["entries"].items()):
        for each in entries:
            said = f"{each['kind']} {each['amount']} {each['currency']} {each['state']}"
            click.echo(f"  {side}: {said}, {each['at']}")
    if one["why"]:
        click.echo(f"why: {one['why']}")
    if one["decision"] and not one["settled_at"]:
        click.echo(f"proposed: {one['decision']} by {one['proposed_by']}; another administrator has to confirm it")
