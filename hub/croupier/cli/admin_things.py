"""`croupier admin operators` and its like: read, put, delete, and the history of what is configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final
from urllib.parse import quote

import click

from croupier.cli.admin_client import HUB, Admin, as_json, calls_the_hub, why_option
from croupier.cli.output import print_json, print_rows

_OPERATORS: Final = "operators"
_DOCUMENT: Final = click.argument("document", type=click.File("rb"))
_VERSION: Final = click.option(
    "--version",
    type=click.IntRange(min=0),
    help="The version that the change was made on: refused if there is a newer.",
)
NAMED: Final = frozenset({"connections", "sinks"})
"""What may be given by its name."""

_ONE: Final[Mapping[str, str]] = {
    _OPERATORS: "an operator", "connections": "a connection", "keys": "a key", "games": "a game", "routes": "a route",
    "sinks": "an event sink",
}  # fmt: skip


def place_of(hub: Admin, plural: str, operator: str, thing: str | None = None) -> str:
    """The path of a thing, or of all things of a kind."""
    if plural == _OPERATORS:
        return f"/{_OPERATORS}/{hub.operator_id(operator)}"
    owner = HUB if operator == HUB and plural == "keys" else hub.operator_id(operator)
    path = f"/{_OPERATORS}/{owner}/{plural}"
    if thing is None:
        return path
    which = hub.id_by_name(owner, plural, thing) if plural in NAMED else thing
    return f"{path}/{quote(which, safe='')}"


def _group(plural: str) -> click.Group:
    """The commands about the things of one kind."""
    group = click.Group(plural, help=f"Read and change {plural}. Every change is kept with who and why.")
    one = [click.argument("operator")] if plural == _OPERATORS else [click.argument("operator"), _THING[plural]]

    def arguments(command: Any, extra: Sequence[Any] = ()) -> Any:
        for decorate in reversed([*one, *extra]):
            command = decorate(command)
        return command

    _add_reading(group, plural, arguments)
    if plural != "keys":
        _add_putting(group, plural)

    @calls_the_hub
    @why_option
    @_VERSION
    @as_json
    def delete(
        hub: Admin, operator: str, why: str, version: int | None, *, as_json: bool, thing: str | None = None
    ) -> None:
        place = place_of(hub, plural, operator, thing)
        _tell(hub.ask("DELETE", place, why=why, version=version), as_json=as_json)

    disable = " Disable it first." if plural in {_OPERATORS, "connections"} else ""
    group.command("delete", help=f"Take {_ONE[plural]} out of force; its versions stay.{disable}")(arguments(delete))
    return group


_THING: Final = {
    "connections": click.argument("thing", metavar="CONNECTION"),
    "keys": click.argument("thing", metavar="KEY"),
    "games": click.argument("thing", metavar="GAME"),
    "routes": click.argument("thing", metavar="ROUTE"),
    "sinks": click.argument("thing", metavar="SINK"),
}


def _add_reading(group: click.Group, plural: str, arguments: Any) -> None:
    word = _ONE[plural]

    @calls_the_hub
    @as_json
    def list_all(hub: Admin, *, as_json: bool, operator: str | None = None) -> None:
        place = f"/{_OPERATORS}" if operator is None else place_of(hub, plural, operator)
        answer = hub.ask("GET", place)
        if as_json:
            print_json(answer)
        else:
            print_rows([("ID", "VERSION", "NAME", "CHANGED", "WHY"), *map(_row, answer["items"])])

    listing: Any = list_all if plural == _OPERATORS else click.argument("operator")(list_all)
    group.command("list", help=f"List the {plural} that are in force.")(listing)

    @calls_the_hub
    @as_json
    @click.option("--body", "body_only", is_flag=True, help="The body alone: what put takes. Secrets are not in it.")
    def show(hub: Admin, operator: str, *, as_json: bool, body_only: bool, thing: str | None = None) -> None:
        answer = hub.ask("GET", place_of(hub, plural, operator, thing))
        if body_only:
            print_json(answer["body"])
        else:
            _tell(answer, as_json=as_json, body=True)

    group.command("show", help=f"Show the newest version of {word}.")(arguments(show))

    @calls_the_hub
    @as_json
    def history(hub: Admin, operator: str, *, as_json: bool, thing: str | None = None) -> None:
        answer = hub.ask("GET", f"{place_of(hub, plural, operator, thing)}/history")
        if as_json:
            print_json(answer)
            return
        rows = [(str(one["version"]), _state(one), one["at"], one["who"], one["why"]) for one in answer["items"]]
        print_rows([("VERSION", "STATE", "CHANGED", "WHO", "WHY"), *rows])

    group.command("history", help=f"List every version of {word}, with who and why.")(arguments(history))


def _add_putting(group: click.Group, plural: str) -> None:
    word = _ONE[plural]

    @calls_the_hub
    @_DOCUMENT
    @why_option
    @_VERSION
    @as_json
    def put(
        hub: Admin,
        document: BinaryIO,
        why: str,
        version: int | None,
        *,
        as_json: bool,
        operator: str | None = None,
        which: str | None = None,
    ) -> None:
        if operator is None:
            place = f"/{_OPERATORS}" if which is None else place_of(hub, plural, which)
        else:
            place = place_of(hub, plural, operator, which)
        method = "POST" if which is None else "PUT"
        _tell(hub.put(method, place, why=why, name="body", document=document.read(), version=version), as_json=as_json)

    chosen: Any = click.option("--id", "which", help="The id of the one to replace; without it a new one is made.")(put)
    if plural != _OPERATORS:
        chosen = click.argument("operator")(chosen)
    told = f"""Make {word}, or replace one, by a JSON object in the file DOCUMENT (- reads the standard input).

    It is the whole new body. Secrets that are not in it stay; one that is given as an empty list is removed."""
    group.command("put", help=told)(chosen)


operators = _group(_OPERATORS)
connections = _group("connections")
keys = _group("keys")
games = _group("games")
routes = _group("routes")
sinks = _group("sinks")


@keys.command("create")
@click.argument("operator")
@click.option("--label", required=True, help="What tells the key from the holder's other key.")
@click.option("--not-after", help="When it stops being valid, as 2030-01-31T00:00:00Z.")
@calls_the_hub
@why_option
@as_json
def create(hub: Admin, operator: str, label: str, not_after: str | None, why: str, *, as_json: bool) -> None:
    """Make a bearer key and print it: it is not shown again.

    OPERATOR may be hub: then it is an administrator's. Of an operator two keys may be valid at once.
    """
    place = place_of(hub, "keys", operator)
    role = "admin" if place == f"/{_OPERATORS}/{HUB}/keys" else "operator"
    answer = hub.change("POST", place, why, label=label, role=role, not_after=not_after)
    if as_json:
        print_json(answer)
    else:
        click.echo(answer["key"])


@click.group()
def policy() -> None:
    """Read and change a connection's policy, and nothing else of the connection."""


@policy.command("show")
@click.argument("operator")
@click.argument("connection")
@calls_the_hub
@as_json
def show_policy(hub: Admin, operator: str, connection: str, *, as_json: bool) -> None:
    """Show every knob as it is in force; * marks what the connection overrides."""
    answer = hub.ask("GET", f"{place_of(hub, 'connections', operator, connection)}/policy")
    if as_json:
        print_json(answer)
        return
    overrides = answer["overrides"]
    rows = [("KNOB", "", "VALUE")]
    rows += [(knob, "*" if knob in overrides else "", _word(value)) for knob, value in answer["effective"].items()]
    for operation, knobs in answer["operations"].items():
        own = overrides.get("operations", {}).get(operation, {})
        rows += [(f"{operation}.{knob}", "*" if knob in own else "", _word(value)) for knob, value in knobs.items()]
    print_rows(rows)


@policy.command("put")
@click.argument("operator")
@click.argument("connection")
@_DOCUMENT
@calls_the_hub
@why_option
@_VERSION
@as_json
def put_policy(
    hub: Admin, operator: str, connection: str, *, document: BinaryIO, why: str, version: int | None, as_json: bool
) -> None:
    """Replace a connection's overrides by a JSON object in the file DOCUMENT (- reads the standard input)."""
    place = f"{place_of(hub, 'connections', operator, connection)}/policy"
    answer = hub.put("PUT", place, why=why, name="policy", document=document.read(), version=version)
    print_json(answer if as_json else answer["overrides"])


@click.command("import-games")
@click.argument("operator")
@click.argument("connection")
@calls_the_hub
@why_option
@as_json
def import_games(hub: Admin, operator: str, connection: str, why: str, *, as_json: bool) -> None:
    """Ask a provider for its games and take over those that are new. What is stored already is not touched."""
    answer = hub.change("POST", f"{place_of(hub, 'connections', operator, connection)}/games/import", why)
    if as_json:
        print_json(answer)
        return
    click.echo(
        f"listed {answer['listed']}, new games {len(answer['new_games'])}, new routes {len(answer['new_routes'])}, "
        f"kept {answer['kept']}"
    )
    for code in answer["missing"]:
        click.echo(f"no longer listed: {code}")


def _tell(stored: Mapping[str, Any], *, as_json: bool, body: bool = False) -> None:
    if as_json:
        print_json(stored)
        return
    click.echo(f"{stored['kind']} {stored['id']} version {stored['version']} {_state(stored)}")
    if stored.get("unchanged"):
        click.echo("nothing has changed: it was stored like this already, and no version was added")
    click.echo(f"changed {stored['at']} by {stored['who']}: {stored['why']}")
    for name, count in sorted(stored["secrets"].items()):
        click.echo(f"secret {name}: {count} {'value' if count == 1 else 'values'}")
    if body:
        print_json(stored["body"])


def _row(stored: Mapping[str, Any]) -> tuple[str, ...]:
    body = stored["body"]
    name = next((str(body[key]) for key in ("name", "title", "label", "code") if key in body), "-")
    off = "" if body.get("enabled", True) else " (disabled)"
    return stored["id"], str(stored["version"]), name + off, stored["at"], stored["why"]


def _state(stored: Mapping[str, Any]) -> str:
    if not stored["active"]:
        return "deleted"
    return "in force" if stored["body"].get("enabled", True) else "disabled"


def _word(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return "-"
        case dict():
            return ", ".join(f"{name}={_word(each)}" for name, each in value.items()) or "-"
        case list():
            return ", ".join(map(_word, value)) or "-"
        case _:
            return str(value)
