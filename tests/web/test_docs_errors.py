"""The documentation of errors."""

from __future__ import annotations

import re
from pathlib import Path

from croupier.web.problems import every_error

PAGE = Path(__file__).resolve().parents[2] / "hub/docs/errors.md"


def test_every_error_has_its_section_and_no_section_is_left_over() -> None:
    sections = re.findall(r"^## ([a-z_]+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted({error.code for error in every_error()})
    assert len(sections) == len(set(sections))


def test_every_section_tells_the_status_and_what_to_do() -> None:
    text = PAGE.read_text("utf-8")
    for error in every_error():
        section = text.split(f"\n## {error.code}\n")[1].split("\n## ")[0]
        assert f"Status {error.status}." in section, error.code
        assert "**What to do:**" in section, error.code
