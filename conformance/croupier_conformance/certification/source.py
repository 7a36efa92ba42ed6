"""The sources of a package, as its files and their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import metadata
from importlib.resources.abc import Traversable
from pathlib import Path

from attrs import frozen

from croupier_conformance.certification.subject import AdapterSubject


@frozen(kw_only=True, eq=False)
class SourceFile:
    """One module.

    Attributes:
        path: Below the package's folder, with `/`.
        text: What stands in it.
        tree: Its syntax tree.
        nodes: Every node of the tree, as `ast.walk` gives them.
    """

    path: str
    text: str
    tree: ast.Module
    nodes: Sequence[ast.AST]

    def place(self, node: ast.AST) -> str:
        """Where a node stands, and its line."""
        line = getattr(node, "lineno", 1)
        return f"{self.path}:{line}: {self.text.splitlines()[line - 1].strip() if self.text else ''}"


def modules(subject: AdapterSubject) -> tuple[SourceFile, ...]:
    """Every module of a subject's package.

    Raises:
        SyntaxError: One cannot be read.
    """
    found = []
    for path, file in _files(subject.folder, ""):
        if path.endswith(".py"):
            text = file.read_text(encoding="utf-8")
            found.append(_read(path, text))
    return tuple(found)


@lru_cache(maxsize=1024)
def _read(path: str, text: str) -> SourceFile:
    tree = ast.parse(text, filename=path)
    return SourceFile(path=path, text=text, tree=tree, nodes=tuple(ast.walk(tree)))


def has_file(subject: AdapterSubject, name: str) -> bool:
    """Whether the package has a file of this name at its root."""
    return (subject.folder / name).is_file()


def readme(subject: AdapterSubject) -> str:
    """The package's description for people: README.md beside or in it, else what its distribution carries; or empty."""
    folder = subject.folder
    beside = [folder / "README.md"]
    if isinstance(folder, Path):
        beside.append(folder.parent / "README.md")
    for file in beside:
        if file.is_file():
            return file.read_text(encoding="utf-8")
    for entry in metadata.entry_points(group="croupier.adapters", name=subject.spec.slug):
        told = entry.dist.metadata.json.get("description", "") if entry.dist else ""
        if isinstance(told, str) and told.strip():
            return told
    return ""


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda one: one.name):
        if item.name == "__pycache__":
            continue
        if item.is_dir():
            yield from _files(item, f"{prefix}{item.name}/")
        else:
            yield f"{prefix}{item.name}", item
