"""The page about failures has every row of the matrix, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "hub/docs/failures.md"
HOW_FAR = {"shown", "in part", "not there"}


def rows() -> list[list[str]]:
    """The cells of every row."""
    lines = PAGE.read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if re.match(r"\| \d+ \|", line)]
    assert all(len(row) == 5 for row in cells)
    return cells


def named() -> list[str]:
    """Every test that the page names."""
    return sorted(set(re.findall(r"`([\w/]+\.py::\w+)`", PAGE.read_text("utf-8"))))


def test_every_row_of_the_matrix_is_there_once_and_in_order() -> None:
    assert [int(row[0]) for row in rows()] == list(range(1, 39))


def test_every_row_says_how_far_it_is_shown_and_by_what() -> None:
    for number, _failure, does, far, tests in rows():
        assert far in HOW_FAR, number
        assert does, number
        assert "::" in tests or far == "not there", number
        assert re.sub(r"`[\w/]+\.py::\w+`(, )?", "", tests) == "", number


@pytest.mark.parametrize("name", named())
def test_a_named_test_exists(name: str) -> None:
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert function in defined
    assert function.startswith("test_")


def test_every_test_of_the_failures_folder_is_named() -> None:
    written = {
        f"{path.relative_to(ROOT).as_posix()}::{node.name}"
        for path in (ROOT / "tests/failures").glob("test_*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
    assert written
    assert written <= set(named())


def test_files_that_are_named_without_a_test_exist_too() -> None:
    for path in re.findall(r"`([\w/]+\.py)`", PAGE.read_text("utf-8")):
        assert (ROOT / path).is_file(), path
