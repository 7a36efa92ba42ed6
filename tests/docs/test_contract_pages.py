"""The pages of the contract's types are those of its docstrings."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

import croupier.contract
from croupier_conformance.contract_pages import INDEX, pages, told, write_pages

DOCS = Path(__file__).resolve().parents[2] / "hub/docs"
PAGES = DOCS / "contract"
CLASSES = [getattr(croupier.contract, name) for name in croupier.contract.__all__]
FIELDED = [
    kind for kind in CLASSES if isinstance(kind, type) and attrs.has(kind) and "Attributes:" in (kind.__doc__ or "")
]


def test_the_pages_are_those_of_the_docstrings() -> None:
    there = {file.name: file.read_text("utf-8") for file in PAGES.iterdir()}
    wrong = sorted(name for name, text in pages().items() if there.get(name) != text)
    assert wrong == [], "run `python -m croupier_conformance.contract_pages hub/docs/contract`"
    assert there.keys() == pages().keys()


def test_every_name_of_the_contract_has_a_page_that_the_index_leads_to() -> None:
    index = (PAGES / INDEX).read_text("utf-8")
    assert sorted(re.findall(r"^- \[(\w+)\]\(\1\.md\)", index, re.MULTILINE)) == sorted(croupier.contract.__all__)


def test_every_link_of_a_page_leads_somewhere() -> None:
    broken = [
        (file.name, target)
        for file in PAGES.iterdir()
        for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text("utf-8"))
        if not (file.parent / target).exists()
    ]
    assert broken == []


def test_the_guide_leads_to_the_pages() -> None:
    assert "](contract/README.md)" in (DOCS / "adapters.md").read_text("utf-8")


@pytest.mark.parametrize("kind", FIELDED, ids=lambda kind: kind.__name__)
def test_every_field_is_explained(kind: type) -> None:
    meanings = told(kind.__doc__).entries("Attributes")
    assert {field.name for field in attrs.fields(kind) if not field.name.startswith("_")} <= meanings.keys()


def test_a_page_says_type_default_meaning_and_errors() -> None:
    made = pages()
    assert "| `amount` | `WireAmount \\| OperatorDecides \\| None` | `None` | What is charged" in made["Movement.md"]
    assert "| `BET_LIMIT` | `bet_limit` | One bet is larger than allowed. |" in made["DeclineReason.md"]
    assert "- `AuthenticationError`: It equals none, or there is none." in made["require_proof.md"]


def test_pages_of_what_is_gone_are_removed(tmp_path: Path) -> None:
    (tmp_path / "Gone.md").write_text("gone")
    write_pages(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == pages().keys()
