"""Mutants as records: one defect each, of a kind that real integrations have had.

A record is a table in one of the `.toml` files beside this module:

```toml
[[mutant]]
name = "late-bet-after-rollback"              # stable, unique
file = "hub/croupier/wallet/plan_rollback.py" # what is changed
old = "..."                                   # stands there exactly once
new = "..."                                   # what stands there instead
defect = "..."                                # what integrators do wrong
changes = "money: ..."                        # what that does: to money, to records, or to what somebody is told
subject = "softswiss"                         # whose certification must fail
rules = ["..."]                               # the rules that are expected to notice, tried first
```

A defect that no certification can see, such as a commit that is not durable, has `tests` in place of `subject` and
`rules`: the tests of the suite that must fail. Further edits of the same mutant stand in `also`.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Mapping
from enum import Enum, unique
from pathlib import Path, PurePosixPath
from typing import Any, Final

from attrs import field, frozen

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = Path(__file__).resolve().parent
CHANGED: Final = ("money", "records", "told")
"""What a mutant must change; `changes` begins with one of these words."""


def say(line: str) -> None:
    """Print a line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class StaleMutantError(Exception):
    """The record does not fit the code any more."""


@unique
class Judge(Enum):
    """Who must notice."""

    SOFTSWISS = "softswiss"
    PRAGMATIC = "pragmatic"
    WALLET = "wallet"
    TESTS = "tests"


@frozen(kw_only=True)
class Edit:
    """One replaced piece of text.

    Attributes:
        file: The file, from the checkout's root.
        old: What stands there exactly once.
        new: What stands there instead.
    """

    file: str
    old: str
    new: str

    def applied_to(self, text: str) -> str:
        """The file's text with the defect.

        Raises:
            StaleMutantError: The old text does not stand there exactly once.
        """
        found = text.count(self.old)
        if found != 1:
            raise StaleMutantError(f"{self.file}: the old text stands there {found} times: {self.old.strip()[:80]}")
        if self.old == self.new:
            raise StaleMutantError(f"{self.file}: nothing is changed")
        return text.replace(self.old, self.new)


@frozen(kw_only=True)
class Mutant:
    """One defect.

    Attributes:
        name: Stable and unique.
        edits: What is changed.
        defect: What integrators do wrong.
        changes: What that does.
        judge: Who must notice.
        rules: Rules of the kit that are expected to notice.
        tests: Tests that must fail, where the kit cannot see it.
    """

    name: str
    edits: tuple[Edit, ...]
    defect: str
    changes: str
    judge: Judge
    rules: tuple[str, ...] = ()
    tests: tuple[str, ...] = field(default=())

    @property
    def modules(self) -> tuple[str, ...]:
        """The import names of what is changed."""
        return tuple([module_of(edit.file) for edit in self.edits])

    def lay_over(self, folder: Path) -> None:
        """Copy the packages that are changed into a folder, changed: first on the path, they are what is imported.

        Raises:
            StaleMutantError: The record does not fit the code any more.
        """
        for edit in self.edits:
            source = ROOT / top_of(edit.file)
            copy = folder / source.name
            if source.is_dir() and not copy.exists():
                shutil.copytree(source, copy)
            elif not copy.exists():
                shutil.copy2(source, copy)
            place = folder / PurePosixPath(edit.file).relative_to(PurePosixPath(top_of(edit.file)).parent)
            place.write_text(edit.applied_to(place.read_text("utf-8")), "utf-8")


def top_of(file: str) -> str:
    """The package's folder that a file is in, or the file itself if it is in none."""
    path = PurePosixPath(file)
    packages = [parent for parent in path.parents if (ROOT / parent / "__init__.py").exists()]
    return str(packages[-1] if packages else path)


def module_of(file: str) -> str:
    """The import name of a file."""
    path = PurePosixPath(file)
    return ".".join(path.relative_to(PurePosixPath(top_of(file)).parent).with_suffix("").parts)


def load() -> tuple[Mutant, ...]:
    """Every record, in the order of files and of records in them.

    Raises:
        StaleMutantError: A record is incomplete, or two have one name.
    """
    mutants: list[Mutant] = []
    for path in sorted(FOLDER.glob("*.toml")):
        table = tomllib.loads(path.read_text("utf-8"))
        mutants += [_mutant({**table.get("all", {}), **record}) for record in table.get("mutant", ())]
    names = [mutant.name for mutant in mutants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StaleMutantError(f"two records have one name: {', '.join(twice)}")
    return tuple(mutants)


def _mutant(record: Mapping[str, Any]) -> Mutant:
    name = record["name"]
    first = {key: record[key] for key in ("file", "old", "new")}
    edits = tuple([Edit(**{"file": record["file"], **edit}) for edit in (first, *record.get("also", ()))])
    tests = tuple(record.get("tests", ()))
    mutant = Mutant(
        name=name,
        edits=edits,
        defect=record["defect"],
        changes=record["changes"],
        judge=Judge.TESTS if tests else Judge(record["subject"]),
        rules=() if tests else tuple(record.get("rules", ())),
        tests=tests,
    )
    if mutant.changes.partition(":")[0] not in CHANGED:
        raise StaleMutantError(f"{name}: say first what it changes: {', '.join(CHANGED)}")
    return mutant
