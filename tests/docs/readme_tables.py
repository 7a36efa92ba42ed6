"""The tables of the README, made of what is installed: `python -m tests.docs.readme_tables` writes them into the page.

An adapter's tier is the one that its certification file claims. `make certify` fails where a whole run proves less, and
the slice in the adapter's own tests where a rule of it is broken.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

from croupier.registry import Registry
from croupier_conformance.certification.subject import AdapterSubject, load_adapter

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "README.md"


def adapters() -> list[AdapterSubject]:
    """Every adapter of the workspace, with what its author says about it."""
    return [load_adapter(report.slug) for report in Registry().adapters()]


def adapters_table() -> str:
    """Slug, wire style, capabilities, tier and source of the facts of every adapter."""
    rows = ["| adapter | wire | capabilities | tier | the facts come from |", "|---|---|---|---|---|"]
    for subject in adapters():
        spec = subject.spec
        capabilities = ", ".join(sorted(one.value for one in spec.capabilities))
        name = f"[{spec.slug}](adapters/{spec.slug})<br>{spec.name}"
        rows.append(f"| {name} | {subject.wire} | {capabilities} | {subject.claims.word} | {subject.source} |")
    return "\n".join(rows)


def plugins_table() -> str:
    """What every other package is."""
    rows = ["| plugin | what it is |", "|---|---|"]
    for file in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        said = tomllib.loads(file.read_text("utf-8"))["project"]["description"]
        rows.append(f"| [{file.parent.name}](plugins/{file.parent.name}) | {said} |")
    return "\n".join(rows)


def with_tables(page: str) -> str:
    """The page with both tables as they must be."""
    for name, table in (("adapters", adapters_table()), ("plugins", plugins_table())):
        begin, end = f"<!-- {name}: made by tests/docs/readme_tables.py -->", f"<!-- end of {name} -->"
        page = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", f"{begin}\n\n{table}\n\n{end}", page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
