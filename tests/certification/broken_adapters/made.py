"""How broken adapters are made: a sound one of this repository, of which one thing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from croupier.contract import Adapter
from croupier_conformance.certification.subject import AdapterSubject, load_adapter

Factory = Callable[[Path], AdapterSubject]
"""Makes a broken subject; the folder is for its files."""


@frozen
class Broken:
    """A subject that breaks rules of the layers that look at bytes.

    Attributes:
        make: Makes it.
        breaks: Exactly the rules of these layers that it breaks.
    """

    make: Factory
    breaks: frozenset[str]


@cache
def sound(slug: str = "softswiss") -> AdapterSubject:
    """A sound subject."""
    return load_adapter(slug)


def breaks(make: Factory, *rules: str) -> Broken:
    """A broken subject and the rules that it breaks."""
    return Broken(make, frozenset(rules))


def behaving(adapter: Callable[[Any], Adapter], base: str = "softswiss") -> Factory:
    """A subject with another class of adapter."""
    return lambda _folder: evolve(sound(base), spec=evolve(sound(base).spec, create=adapter))


def saying(**changes: Any) -> Factory:
    """A subject whose specification says something else."""
    return lambda _folder: evolve(sound(), spec=evolve(sound().spec, **changes))


def claiming(**changes: Any) -> Factory:
    """A subject whose certification file says something else."""
    return lambda _folder: evolve(sound(), **changes)


def written(edits: Mapping[str, Callable[[str], str | None]]) -> Factory:
    """A subject with other files: path below the package's parent to what becomes of its text; `None` removes it."""

    def make(folder: Path) -> AdapterSubject:
        base = sound()
        assert isinstance(base.folder, Path)
        package = folder / base.folder.name
        shutil.copytree(base.folder, package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(base.folder.parent / "README.md", folder / "README.md")
        for path, edit in edits.items():
            file = folder / path
            before = file.read_text("utf-8")
            after = edit(before)
            assert after != before, "the edit changes nothing"
            if after is None:
                file.unlink()
            else:
                file.write_text(after, "utf-8")
        return evolve(base, folder=package, transcripts=package / "transcripts")

    return make


def with_code(code: str) -> Factory:
    """A subject with more source in its adapter module."""
    return written({"croupier_softswiss/adapter.py": lambda text: f"{text}\n\n{code}\n"})
