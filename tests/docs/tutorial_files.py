"""What the tutorial shows: files by name, commands, and the finished package beside it.

`python -m tests.docs.tutorial_files` writes the files of `examples/third_party_adapter` into the page.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "hub/docs/tutorial.md"
EXAMPLE: Final = ROOT / "examples/third_party_adapter"
FOLDER: Final = "croupier-acme"
"""Where the tutorial has the package."""

_FILE: Final = re.compile(r"^`(croupier-acme/\S+)`:\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCK: Final = re.compile(
    r"(?:^`(?P<file>[\w./-]+)`:\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def files(page: str) -> dict[str, str]:
    """The files that a page shows in full, by their path below the package's folder."""
    return {path.removeprefix(f"{FOLDER}/"): text for path, _, text in _FILE.findall(page)}


def steps(page: str) -> list[tuple[str, str]]:
    """What a reader does, in order: `(file, its text)` is written, `("", commands)` is typed."""
    found = []
    for block in _BLOCK.finditer(page):
        if block["file"]:
            found.append((block["file"], block["text"]))
        elif block["language"] == "sh":
            found.append(("", block["text"]))
    return found


def with_files_of_the_example(page: str) -> str:
    """The page with every file as the example has it."""

    def shown(block: re.Match[str]) -> str:
        path, language = block[1], block[2]
        text = (EXAMPLE / path.removeprefix(f"{FOLDER}/")).read_text("utf-8")
        return f"`{path}`:\n\n```{language}\n{text}```"

    return _FILE.sub(shown, page)


if __name__ == "__main__":
    PAGE.write_text(with_files_of_the_example(PAGE.read_text("utf-8")), encoding="utf-8")
