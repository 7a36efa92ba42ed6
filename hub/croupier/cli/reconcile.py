"""`croupier reconcile`: compare the hub's record with what others have written down."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from croupier.reconciliation.compare import Entry
    from croupier.reconciliation.findings import Finding
    from croupier.runtime.reconciling import Pair

_LOG = click.Path(path_type=Path, exists=True, dir_okay=False)


def _moment(value: str) -> int:
    """A time with its offset from UTC, as milliseconds since 1970."""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise click.BadParameter("expected a time with its offset, like 2026-11-23T00:00:00Z")
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@click.command()
@click.argument("settings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("operator")
@click.option(
    "--since", type=_moment, required=True, metavar="TIME", help="From this time on, like 2026-11-23T00:00:00Z."
)
@click.option("--until", type=_moment, required=True, metavar="TIME", help="Before this time.")
@click.option(
    "--grace-minutes",
    type=click.IntRange(0, 7 * 24 * 60),
    default=60,
    show_default=True,
    help="How far beyond both ends a transaction may stand in another book. Logs must reach as far.",
)
@click.option("--operator-log", type=_LOG, help="The operator's log, as JSON Lines.")
@click.option(
    "--provider-log",
    type=(str, _LOG),
    multiple=True,
    metavar="CONNECTION FILE",
    help="A provider's log, as JSON Lines, with the name or id of its connection. May be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each case as a line of JSON, for programs.")
def reconcile(
    *,
    settings: Path,
    operator: str,
    since: int,
    until: int,
    grace_minutes: int,
    operator_log: Path | None,
    provider_log: tuple[tuple[str, Path], ...],
    as_json: bool,
) -> None:
    """Compare the record of OPERATOR in the database that SETTINGS names with logs, transaction by transaction.

    The database is only read, a hub may run on it, and nothing is ever corrected. Leaves with 1 if anything differs
    that two people have not settled. What it prints with --json is kept by: croupier admin cases record OPERATOR -
    """
    from croupier.reconciliation.compare import Window
    from croupier.runtime.reconciling import Logs
    from croupier.runtime.reconciling import reconcile as compare_all
    from croupier.runtime.settings import load_settings

    if operator_log is None and not provider_log:
        raise click.UsageError("Name a log: --operator-log or --provider-log.")
    if since >= until:
        raise click.UsageError("--since must be before --until.")
    found: Counter[str] = Counter()

    def tell(pair: Pair, finding: Finding, closes: Sequence[str]) -> None:
        found[pair.name] += bool(finding.kinds)
        told = _as_json(pair, finding, closes)
        click.echo(json.dumps(told, sort_keys=True) if as_json else _as_text(pair, finding, closes))

    pairs = compare_all(
        load_settings(settings),
        operator,
        Logs(operator=operator_log, providers=provider_log),
        Window(since=since, until=until, grace=grace_minutes * 60_000),
        tell,
    )
    for pair in pairs:
        said = f"{pair.name}: {pair.count.transactions} transactions compared, {found[pair.name]} cases"
        settled = f", {pair.settled} settled before" if pair.settled else ""
        click.echo(f"{said}{settled}, {pair.count.open} not decided yet", err=as_json)
    if any(found[pair.name] for pair in pairs):
        sys.exit(1)


def _as_json(pair: Pair, finding: Finding, closes: Sequence[str]) -> dict[str, object]:
    return {
        "operator": finding.operator,
        "with": pair.name,
        "book": finding.book,
        "id": finding.reference,
        "case": [kind.value for kind in finding.kinds],
        "case_id": finding.case if finding.kinds else None,
        "closes": list(closes),
        "entries": {side.value: [_entry(one) for one in found] for side, found in finding.entries.items()},
    }


def _entry(entry: Entry) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "amount": entry.amount,
        "currency": entry.currency,
        "state": entry.state.value,
        "at": (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=entry.at)).isoformat(),
        "player_mark": entry.player,
        "movement": entry.movement,
    }


def _as_text(pair: Pair, finding: Finding, closes: Sequence[str]) -> str:
    told = ", ".join(
        f"{side.value} {one.kind} {one.amount} {one.currency} {one.state.value}"
        for side, found in finding.entries.items()
        for one in found
    )
    what = "+".join(kind.value for kind in finding.kinds) or f"agrees by now (case {', '.join(closes)})"
    return f"{pair.name}  {what}  {finding.reference}: {told}"
