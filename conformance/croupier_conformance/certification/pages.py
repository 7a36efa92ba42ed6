"""The rules' pages, written from the rules' records: `python -m croupier_conformance.certification.pages [FOLDER]`.

Run it from the root of the repository after a rule was added or changed; a test holds that what is committed is
current.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from croupier_conformance.certification.report import PAGES, page_name, text_of
from croupier_conformance.certification.rule import ADAPTER_RULES, WALLET_RULES, Layer, Rule

INDEX: Final = "README.md"

_HEAD: Final = """# The rules of certification

Every rule that the kit checks, by what it is about and how it looks. How a certification is run: \
[adapters.md](../adapters.md#certification). These pages are written from the rules themselves by \
`python -m croupier_conformance.certification.pages`.
"""


def rules() -> list[tuple[str, Rule[Any]]]:
    """Every rule with what it is about, `adapter` or `wallet`."""
    from croupier_conformance.certification import adapter_rules, wallet_rules  # noqa: F401 # they fill the books

    return [("adapter", rule) for rule in ADAPTER_RULES] + [("wallet", rule) for rule in WALLET_RULES]


def page(kind: str, rule: Rule[Any]) -> str:
    """The page of one rule."""
    return f"""# {rule.title}

| | |
|---|---|
| rule | `{rule.slug}` |
| about | {kind}s{_declaring(rule)} |
| tier | {rule.tier.word} |
| layer | {rule.layer.value} |

**Expected:** {rule.expects.rstrip(".")}.

{text_of(rule)}

[All rules]({INDEX})
"""


def index() -> str:
    """The page that leads to all others."""
    parts = [_HEAD]
    found = rules()
    for kind in ("adapter", "wallet"):
        for layer in Layer:
            chosen = [rule for about, rule in found if about == kind and rule.layer is layer]
            if chosen:
                parts.append(
                    f"\n## {kind.capitalize()}s: {layer.value}\n\n| rule | tier | what holds |\n|---|---|---|\n"
                )
                parts += [
                    f"| [{rule.slug}]({page_name(rule)}) | {rule.tier.word} | {rule.title} |\n" for rule in chosen
                ]
    return "".join(parts)


def pages() -> Mapping[str, str]:
    """Every page by the name of its file."""
    return {INDEX: index()} | {page_name(rule): page(kind, rule) for kind, rule in rules()}


def write(folder: Path) -> list[str]:
    """Write what changed and remove the pages of rules that are gone; returns the names of those files."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    there = {file.name: file.read_text("utf-8") for file in folder.glob("*.md")}
    for name in there.keys() - wanted.keys():
        (folder / name).unlink()
    for name, text in wanted.items():
        if there.get(name) != text:
            (folder / name).write_text(text, "utf-8")
    return sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))


def _declaring(rule: Rule[Any]) -> str:
    each = [" or ".join(f"`{one.value}`" for one in sorted(any_of, key=lambda one: one.value)) for any_of in rule.needs]
    return f" that declare {', and '.join(each)}" if each else ""


if __name__ == "__main__":
    for changed in write(Path(sys.argv[1] if len(sys.argv) > 1 else PAGES)):
        print(changed)  # noqa: T201 # what it was called for
