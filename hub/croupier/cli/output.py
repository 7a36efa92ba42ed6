"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence

import click


def print_json(value: object) -> None:
    """Print JSON with sorted keys."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of them the head, as aligned columns.

    On a terminal that is too narrow for them each row is a block of lines, one for each column. A pipe or a file gets
    columns always. If there is the head alone, a line says so.
    """
    if len(rows) == 1:
        click.echo("  ".join(rows[0]))
        click.echo("(none)")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if sys.stdout.isatty() and sum(widths) + 2 * (len(widths) - 1) > shutil.get_terminal_size().columns:
        _print_blocks(rows)
        return
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_blocks(rows: Sequence[Sequence[str]]) -> None:
    width = max(map(len, rows[0]))
    for number, row in enumerate(rows[1:]):
        if number:
            click.echo()
        for name, cell in zip(rows[0], row, strict=True):
            click.echo(f"{name.ljust(width)}  {cell}".rstrip())
