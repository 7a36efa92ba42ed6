"""A page for every type of the contract, made of its docstrings.

`python -m croupier_conformance.contract_pages FOLDER` writes them. Those of this repository are in `hub/docs/contract`,
and a test holds them against the docstrings.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

import attrs
from attrs import frozen

import croupier.contract
from croupier_conformance.certification.plain_values import default_of

INDEX: Final = "README.md"

_ORDER: Final = (
    "adapter calls outcomes money policy flows peer wallet wallet_peer sink errors capabilities http secrets fields "
    "strict_json forms codes times redaction"
).split()
_SECTION: Final = re.compile(r"^(Attributes|Args|Returns|Raises|Example):$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^(\*{0,2}\w+):\s", re.MULTILINE)
_HEAD: Final = {
    "Attributes": "Fields",
    "Args": "Made with",
    "Returns": "Returns",
    "Raises": "Raises",
    "Example": "Example",
}
_LONGEST_LINE: Final = 100


@frozen
class Told:
    """A docstring in parts.

    Attributes:
        summary: Its first paragraph.
        text: All that stands before the first section, the summary included.
        sections: Title to text.
    """

    summary: str
    text: str
    sections: Mapping[str, str]

    def entries(self, title: str) -> dict[str, str]:
        """The names that a section explains."""
        parts = _ENTRY.split(self.sections.get(title, ""))
        return {name: " ".join(meaning.split()) for name, meaning in zip(parts[1::2], parts[2::2], strict=True)}


def told(docstring: str | None) -> Told:
    """A docstring's parts."""
    parts = _SECTION.split(inspect.cleandoc(docstring or ""))
    text = parts[0].strip()
    sections = {title: textwrap.dedent(body).strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}
    return Told(" ".join(text.partition("\n\n")[0].split()), text, sections)


def pages() -> dict[str, str]:
    """Every page by its file's name, the index among them."""
    modules = [importlib.import_module(f"croupier.contract.{name}") for name in _ORDER]
    made: dict[str, str] = {}
    lines = ["# The contract, type by type", "", _OPENING]
    for module in modules:
        lines += ["", f"## {_module_name(module)}", "", told(module.__doc__).summary, ""]
        notes = _notes(module)
        for name, value in _public(module):
            meaning = told(value.__doc__).summary if isinstance(value, type | FunctionType) else notes.get(name, "")
            lines.append(f"- [{name}]({name}.md)" + (f": {meaning}" if meaning else ""))
            made[f"{name}.md"] = _page(name, value, module, notes)
    return {INDEX: "\n".join(lines) + "\n", **_linked(made)}


_OPENING: Final = (
    "Made of the docstrings of `croupier.contract` by `python -m croupier_conformance.contract_pages "
    "hub/docs/contract`. All names are imported from `croupier.contract`. The way through them is "
    "[Adding an adapter](../adapters.md), and [a day's work](../tutorial.md)."
)


def _module_name(module: ModuleType) -> str:
    return module.__name__.removeprefix("croupier.contract.")


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a module gives to the contract, in the order in which it stands there."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case _:
                continue
        if name in croupier.contract.__all__:
            yield name, getattr(croupier.contract, name)


def _notes(module: ModuleType) -> dict[str, str]:
    """What stands in strings behind assignments: names of the module, and `Class.NAME` of members."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    found = dict(_behind(tree.body, ""))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= _behind(node.body, f"{node.name}.")
    return found


def _behind(body: list[ast.stmt], before: str) -> Iterator[tuple[str, str]]:
    for node, after in itertools.pairwise(body):
        match node, after:
            case (
                (ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name))),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield f"{before}{name}", " ".join(text.split())
            case _:
                pass


def _page(name: str, value: Any, module: ModuleType, notes: Mapping[str, str]) -> str:
    head = [f"# {name}", "", f"*{_module_name(module)}*"]
    if isinstance(value, type):
        return "\n".join([*head, *_of_class(value, notes)]) + "\n"
    if isinstance(value, FunctionType):
        return "\n".join([*head, "", _signature(name, value), *_of_text(told(value.__doc__))]) + "\n"
    note = [notes[name], ""] if name in notes else []
    return "\n".join([*head, "", *note, f"`{_value(value)}`"]) + "\n"


def _value(value: Any) -> str:
    text = repr(value).replace("croupier.contract.", "")
    return re.sub(r"\b(?:\w+\.)+(?=[A-Z]\w*)", "", text)


def _of_class(kind: type, notes: Mapping[str, str]) -> list[str]:
    parts = told(kind.__doc__)
    lines = _of_text(parts, without=("Attributes",))
    if issubclass(kind, Exception):
        base = kind.__mro__[1]
        lines += ["", f"A kind of `{base.__name__}`."]
        if "code" in vars(kind):
            lines[-1] += f" Its code is `{vars(kind)['code']}`."
    if issubclass(kind, Enum) and len(kind):
        lines += ["", "| member | value | meaning |", "|---|---|---|"]
        for member in kind:
            meaning = notes.get(f"{kind.__name__}.{member.name}", "")
            lines.append(f"| `{member.name}` | `{member.value}` | {_cell(meaning)} |")
    else:
        lines += _fields(kind, parts)
    return lines + _methods(kind)


def _fields(kind: type, parts: Told) -> list[str]:
    meanings = parts.entries("Attributes")
    known = {field.name: field for field in attrs.fields(kind)} if attrs.has(kind) else {}
    names = [*known, *[name for name in meanings if name not in known]]
    names = [name for name in names if not name.startswith("_")]
    if not names:
        return []
    lines = ["", "| field | type | default | meaning |", "|---|---|---|---|"]
    for name in names:
        hint = next((str(base.__annotations__[name]) for base in kind.__mro__ if name in _hints(base)), "")
        default = _default(known[name]) if name in known else _shown(vars(kind)[name]) if name in vars(kind) else ""
        shown = f"`{hint}`".replace("|", "\\|") if hint else ""
        lines.append(f"| `{name}` | {shown} | {default} | {_cell(meanings.get(name, ''))} |")
    return lines


def _hints(kind: type) -> Mapping[str, Any]:
    hints: Mapping[str, Any] = vars(kind).get("__annotations__", {})
    return hints


def _default(field: Any) -> str:
    if field.default is attrs.NOTHING:
        return "needed"
    return _shown(default_of(field))


def _shown(default: Any) -> str:
    match default:
        case Enum():
            return f"`{default.name}`"
        case frozenset() | Mapping():
            return " ".join(sorted(f"`{getattr(one, 'name', one)}`" for one in default)) or "empty"
        case _ if attrs.has(type(default)) and default == _made(type(default)):
            return f"`{type(default).__name__}()`"
        case _:
            return f"`{_value(default)}`".replace("|", "\\|")


def _made(kind: type) -> object:
    try:
        return kind()
    except TypeError:
        return None


def _methods(kind: type) -> list[str]:
    lines: list[str] = []
    for name, member in vars(kind).items():
        function = _function(member)
        if name.startswith("_") or function is None or not function.__doc__:
            continue
        kept = f"`{name}: {function.__annotations__['return']}`".replace("'", "")
        title = kept if isinstance(member, property) else _signature(name, function)
        lines += ["", f"## {name}", "", title, *_of_text(told(function.__doc__))]
    return lines


def _function(member: Any) -> FunctionType | None:
    inner = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
    return inner if isinstance(inner, FunctionType) else None


def _signature(name: str, function: FunctionType) -> str:
    signature = inspect.signature(function)
    shown = [one for one in signature.parameters.values() if one.name not in {"self", "cls"}]
    line = name + str(signature.replace(parameters=shown)).replace("'", "")
    if len(line) > _LONGEST_LINE:
        line = line.replace("(", "(\n    ", 1).replace(") ->", "\n) ->").replace(", ", ",\n    ")
        line = re.sub(r"\[[^\]]*\]", lambda found: " ".join(found[0].split()), line)
    return f"```text\n{line}\n```"


def _of_text(parts: Told, without: tuple[str, ...] = ()) -> list[str]:
    lines = ["", parts.text]
    for title, body in parts.sections.items():
        if title in without:
            continue
        lines += ["", f"**{_HEAD[title]}**", ""]
        if title == "Example":
            lines += ["```text", body.strip("`").removeprefix("python").strip(), "```"]
        elif entries := parts.entries(title):
            lines += [f"- `{name}`: {meaning}" for name, meaning in entries.items()]
        else:
            lines.append(body)
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _linked(made: Mapping[str, str]) -> dict[str, str]:
    """Pages with links to the other types that they name."""
    names = [file.removesuffix(".md") for file in made]
    linked = {}
    for file, text in made.items():
        words = set(re.findall(r"\w+", text)) - {file.removesuffix(".md")}
        others = [f"[{name}]({name}.md)" for name in names if name in words and name[0].isupper()]
        more = f"\nSee also: {', '.join(others)}.\n" if others else ""
        linked[file] = f"{text}{more}\n[All types]({INDEX})\n"
    return linked


def write_pages(folder: Path) -> None:
    """Write all pages into a folder, and remove pages of types that are gone."""
    made = pages()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
