"""The documentation says what the code does: names, tables, links, commands and examples are held against it."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import itertools
import json
import pkgutil
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import click
import pytest

import croupier.contract
from croupier import hookspecs
from croupier.cli import croupier as command_line
from croupier.configuration.documents import Kind, read_document
from croupier.contract import CroupierError, Policy, WalletPolicy
from croupier.ledger.records import DeliveryState, DeliveryTask, MovementState, RoundState, SessionState
from croupier.runtime import metrics, settings
from croupier.runtime.settings import Settings, check_settings
from croupier.wallet.machine import FINAL, TRANSITIONS, UNANSWERED, Answer, Effect, Event, Shape

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "hub/docs"
PLACES = (
    "README.md",
    "hub/docs/*.md",
    "hub/docs/rules/*.md",
    "adapters/*/*.md",
    "plugins/*/*.md",
    "examples/*/*.md",
    "conformance/*.md",
)
PAGES = sorted(page for place in PLACES for page in ROOT.glob(place))
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
OURS = [page for page in PAGES if page.parent in {ROOT, DOCS}]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
each_of_ours = pytest.mark.parametrize("page", OURS, ids=lambda page: page.relative_to(ROOT).as_posix())


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def section(text: str, title: str) -> str:
    """What stands below a heading, as far as the next heading of any rank."""
    match = re.search(rf"^#+ {re.escape(title)}\n", text, re.MULTILINE)
    assert match is not None, title
    rest = text[match.end() :]
    end = re.search(r"^#+ ", FENCED.sub(lambda block: "." * len(block[0]), rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


# --- links and commands


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made by common viewers."""
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def shell_lines(text: str) -> Iterable[str]:
    """What is typed in the shell blocks of a text, continued lines joined."""
    for block in itertools.chain(blocks(text, "sh"), blocks(text, "console")):
        yield from block.replace("\\\n", " ").splitlines()


def commands(text: str) -> list[list[str]]:
    """Every call of `croupier` that a page shows, in blocks and in running text."""
    inline = re.findall(r"`(croupier [^`]+)`", FENCED.sub("", text))
    typed = [
        found[1] for line in shell_lines(text) if (found := re.search(r"(?:^|\$\(|\$ )(croupier [^)|>&#]+)", line))
    ]
    return [shlex.split(line)[1:] for line in (*inline, *typed)]


def wrong_with(words: list[str]) -> str | None:
    """What is wrong with a call of the command line, as far as names go."""
    command: click.Command = command_line
    context = click.Context(command)
    rest = list(words)
    while rest and isinstance(command, click.Group) and not rest[0].startswith("-"):
        if rest[0] in {"...", "…"}:
            return None
        found = command.get_command(context, rest[0])
        if found is None:
            return f"no command {rest[0]}"
        command, rest = found, rest[1:]
        context = click.Context(command, parent=context)
    known = {name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    return f"no option {unknown[0]}" if unknown else None


@each_page
def test_every_command_that_is_shown_exists(page: Path) -> None:
    shown = commands(page.read_text("utf-8"))
    assert [(words, wrong) for words in shown if (wrong := wrong_with(words))] == []


def test_a_command_that_does_not_exist_would_be_found() -> None:
    assert commands("`croupier dance --fast`\n```sh\nKEY=$(croupier admin keys make acme)\n```") == [
        ["dance", "--fast"],
        ["admin", "keys", "make", "acme"],
    ]
    assert wrong_with(["dance"]) == "no command dance"
    assert wrong_with(["admin", "keys", "make", "acme"]) == "no command make"
    assert wrong_with(["admin", "keys", "list", "acme", "--loud"]) == "no option --loud"


@each_of_ours
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)", page.read_text("utf-8")))
    named |= {found[1] for line in shell_lines(page.read_text("utf-8")) if (found := re.match(r"make ([a-z]+)", line))}
    assert named <= targets


@pytest.mark.parametrize("page", [page for page in OURS if page.name != "errors.md"], ids=lambda page: page.name)
def test_every_json_block_is_json(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "json"):
        json.loads(block)


# --- the README


def test_the_readme_names_every_package_that_exists_and_no_other() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    there = {
        path.parent.relative_to(ROOT).as_posix()
        for kind in ("adapters", "plugins")
        for path in ROOT.glob(f"{kind}/*/pyproject.toml")
    }
    assert set(re.findall(r"\]\(((?:adapters|plugins)/\w+)/?(?:README\.md)?\)", text)) == there


def test_the_readme_leads_to_every_page_of_the_documentation() -> None:
    linked = set(re.findall(r"\]\(hub/docs/([\w-]+\.md)\)", (ROOT / "README.md").read_text("utf-8")))
    assert linked == {page.name for page in DOCS.glob("*.md")}


# --- hooks and the contract


def test_every_hook_is_named_with_its_arguments() -> None:
    text = text_of("adapters.md")
    hooks = {
        name: inspect.signature(function)
        for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
        if hasattr(function, "croupier_spec")
    }
    assert hooks
    shown = dict(re.findall(r"`(croupier_\w+)\(([^)]*)\)`", text))
    assert shown == {name: ", ".join(signature.parameters) for name, signature in hooks.items()}


def contract_modules() -> list[ModuleType]:
    names = [module.name for module in pkgutil.iter_modules(croupier.contract.__path__, "croupier.contract.")]
    return [croupier.contract, *map(importlib.import_module, names)]


@pytest.mark.parametrize("module", contract_modules(), ids=lambda module: module.__name__)
def test_the_examples_of_the_contract_do_as_they_say(module: ModuleType) -> None:
    result = doctest.testmod(module, extraglobs=vars(croupier.contract), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_the_contract_has_examples_that_run() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    assert sum(len(test.examples) for module in contract_modules() for test in finder.find(module)) > 10


def test_every_method_of_an_adapter_that_must_be_written_is_named() -> None:
    text = text_of("adapters.md")
    missing = [name for name in croupier.contract.Adapter.__abstractmethods__ if f"`{name}" not in text]
    assert missing == []


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.name)
def test_every_python_block_is_python(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "python"):
        ast.parse(block)


# --- policies


def plain(value: Any) -> str:
    """A default as the page writes it."""
    match value:
        case Enum():
            return str(value.value)
        case bool():
            return str(value).lower()
        case None:
            return "none"
        case frozenset() | tuple() | dict():
            assert not value
            return "empty"
        case _:
            return str(value)


def default_of(attribute: Any) -> object:
    default = attribute.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]  # a class of its own to attrs, a function to mypy


def enum_of(kind: Any) -> type[Enum] | None:
    """The enum that a knob's type is or holds."""
    options = [kind, *get_args(kind)] if get_origin(kind) or isinstance(kind, UnionType) else [kind]
    return next((option for option in options if isinstance(option, type) and issubclass(option, Enum)), None)


@pytest.mark.parametrize(("policy", "title"), [(Policy, "Knobs of a connection"), (WalletPolicy, "Knobs of a wallet")])
def test_every_knob_stands_in_the_table_with_its_default(policy: type, title: str) -> None:
    table = {
        row[0].strip("`"): row[1].strip("`")
        for row in rows(section(text_of("policies.md"), title))
        if row[0][:1] == "`"
    }
    assert table == {knob.name: plain(default_of(knob)) for knob in attrs.fields(policy)}


@pytest.mark.parametrize("policy", [Policy, WalletPolicy])
def test_every_value_of_a_knob_is_explained(policy: type) -> None:
    text = text_of("policies.md")
    for knob, kind in get_type_hints(policy).items():
        values = enum_of(kind)
        if values is None:
            continue
        explained = {row[0].strip("`") for row in rows(section(text, f"`{knob}`")) if row[0][:1] == "`"}
        assert explained == {str(member.value) for member in values}, knob


# --- states


def diagram(edges: Mapping[tuple[MovementState, Event], tuple[MovementState, tuple[Effect, ...]]]) -> str:
    """The mermaid diagram of a transition table; events that change nothing are left to the page's table."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), (after, _effects) in edges.items():
        if before is not after:
            arrows.setdefault((before.value, after.value), []).append(event.value)
    lines = ["stateDiagram-v2", "    [*] --> intent", "    [*] --> tombstoned"]
    lines += [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
    return "\n".join(lines) + "\n"


def steps() -> str:
    """The rows of the table of transitions."""
    lines = []
    for (before, event), (after, effects) in TRANSITIONS.items():
        names = ", ".join(f"`{effect.value}`" for effect in effects)
        lines.append(f"| `{before.value}` | `{event.value}` | `{after.value}` | {names} |\n")
    return "".join(lines)


def with_the_tables_of_the_code(page: str) -> str:
    """The page of the states with its diagram and its steps as the code has them now."""
    page = re.sub(
        r"(^```mermaid\n).*?(^```$)", rf"\g<1>{diagram(TRANSITIONS)}\g<2>", page, flags=re.MULTILINE | re.DOTALL
    )
    head = r"(^## Every step\n\n\|[^\n]*\n\|[-|]*\n)"
    return re.sub(rf"{head}(?:\|[^\n]*\n)*", rf"\g<1>{steps()}", page, flags=re.MULTILINE)


def test_the_diagram_and_the_steps_are_those_of_the_code() -> None:
    page = text_of("states.md")
    told = "run `python tests/docs/test_docs.py` and read what changed"
    assert (diagram(TRANSITIONS) in page, steps() in page) == (True, True), told
    assert with_the_tables_of_the_code(page) == page, told


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (MovementState, "States of a movement"),
        (Event, "Events"),
        (Effect, "Effects"),
        (DeliveryTask, "Deliveries"),
        (DeliveryState, "Deliveries"),
        (RoundState, "Rounds and sessions"),
        (SessionState, "Rounds and sessions"),
    ],
)
def test_every_state_and_event_is_explained(kind: type[Enum], title: str) -> None:
    named = {row[0].strip("`") for row in rows(section(text_of("states.md"), title))}
    assert {member.value for member in kind} <= named


def test_the_states_in_which_nothing_is_owed_are_told() -> None:
    told = {
        row[0].strip("`") for row in rows(section(text_of("states.md"), "States of a movement")) if row[1:2] == ["yes"]
    }
    assert told == {state.value for state in FINAL}


def test_what_follows_from_no_answer_is_told_as_it_is_done() -> None:
    words = {Answer.RETRY: "retry", Answer.FAILED: "failed", Answer.ACCEPTED: "accepted"}
    shapes = {"bet": Shape.BET, "bet and win": Shape.BET_AND_WIN, "win": Shape.WIN, "rollback": Shape.ROLLBACK}
    shown = {
        (shapes[row[0]], row[1].strip("`"), row[2]): (row[3].strip("`"), row[4])
        for row in rows(section(text_of("states.md"), "No answer from the wallet"))
        if row[0] in shapes
    }
    assert shown == {
        (shape, silence.value, "yes" if safe else "no"): (event.value, words[answer])
        for (shape, silence, safe), (event, answer) in UNANSWERED.items()
    }


# --- operating


def test_the_settings_of_the_first_start_are_right(tmp_path: Path) -> None:
    found = blocks(text_of("operating.md"), "toml")
    assert found
    for number, block in enumerate(found):
        file = tmp_path / f"{number}.toml"
        file.write_text(block)
        assert check_settings(file) == ()


def setting_paths(kind: type, before: str = "") -> Iterable[str]:
    """Every key of the settings file that has a default of its own, by its path."""
    for attribute, hint in get_type_hints(kind).items():
        path = f"{before}{attribute}"
        options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        inner = next((option for option in options if isinstance(option, type) and attrs.has(option)), None)
        if inner is None:
            yield path
        else:
            yield from setting_paths(inner, f"{path}.")


def test_every_setting_is_explained() -> None:
    told = {row[0].strip("`") for row in rows(section(text_of("operating.md"), "The settings file"))}
    paths = {re.sub(r"^listeners\.\w+\.", "listeners.*.", path) for path in setting_paths(Settings)}
    assert told - {"key", "---"} == paths


def test_every_metric_is_explained() -> None:
    named = set(re.findall(r'"(croupier_[a-z_]+)"', inspect.getsource(metrics)))
    told = {row[0].strip("`").removesuffix("_total") for row in rows(section(text_of("operating.md"), "Metrics"))}
    assert told - {"metric", "---"} == named


def test_the_settings_with_every_key_in_the_code_are_right(tmp_path: Path) -> None:
    (block,) = blocks(settings.__doc__ or "", "toml")
    tomllib.loads(block)
    file = tmp_path / "all.toml"
    file.write_text(block)
    assert check_settings(file) == ()


@pytest.mark.parametrize("page", ["operating.md", "operators.md"])
def test_the_documents_that_are_shown_can_be_stored(page: str) -> None:
    kinds = {"operator": Kind.OPERATOR, "connection": Kind.CONNECTION, "game": Kind.GAME, "sink": Kind.SINK}
    found = re.findall(r"^cat > (\w+)\.json <<'END'\n(.*?)^END$", text_of(page), re.MULTILINE | re.DOTALL)
    for name, body in found:
        read_document(kinds[name], json.loads(body), where=name)
    assert found or page != "operating.md"


def test_every_error_that_is_named_exists() -> None:
    codes = {kind.code for kind in _errors(CroupierError)}
    for page in OURS:
        named = set(re.findall(r"errors\.md#([a-z_]+)", page.read_text("utf-8")))
        assert named <= codes


def _errors(kind: type[CroupierError]) -> Iterable[type[CroupierError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _errors(below)


if __name__ == "__main__":
    (DOCS / "states.md").write_text(with_the_tables_of_the_code(text_of("states.md")), "utf-8")
