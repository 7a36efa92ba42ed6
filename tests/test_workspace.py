"""The shape of the repository: what is a distribution, what is pinned, who may import whom."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = sorted(file.parent for kind in ("adapters", "plugins") for file in ROOT.glob(f"{kind}/*/pyproject.toml"))
GROUPS = {"adapters": "croupier.adapters", "plugins": "croupier.plugins"}
PLAIN_FOLDERS = ("hub", "conformance", "adapters", "plugins", "tests", "examples")

ADAPTERS = [member for member in MEMBERS if member.parent.name == "adapters"]

each_member = pytest.mark.parametrize("member", MEMBERS, ids=lambda p: f"{p.parent.name}/{p.name}")
each_adapter = pytest.mark.parametrize("member", ADAPTERS, ids=lambda p: p.name)


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def _package(member: Path) -> str:
    return f"croupier_{member.name}"


def _requirements() -> list[str]:
    text = (ROOT / "requirements.txt").read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                found.update(alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                deep = module == "croupier"  # `from croupier import contract` means croupier.contract
                found.update([f"{module}.{alias.name}" for alias in names] if deep else [module])
            case ast.ImportFrom():
                found.add("." * node.level)
            case _:
                pass
    return found


@each_member
def test_every_member_is_a_distribution_named_after_its_folder(member: Path) -> None:
    project = _toml(member / "pyproject.toml")["project"]
    assert project["name"] == f"croupier-{member.name.replace('_', '-')}"
    assert (member / "README.md").is_file()
    assert (member / _package(member) / "__init__.py").is_file()


@each_member
def test_every_member_is_found_by_an_entry_point_of_its_own_name(member: Path) -> None:
    project = _toml(member / "pyproject.toml")["project"]
    expected = {GROUPS[member.parent.name]: {member.name: f"{_package(member)}.plugin"}}
    assert project["entry-points"] == expected


@each_member
def test_every_member_accepts_this_minor_version_of_the_hub_only(member: Path) -> None:
    from croupier import __version__

    major, minor = (int(part) for part in __version__.split(".")[:2])
    dependencies = _toml(member / "pyproject.toml")["project"]["dependencies"]
    assert f"croupier>={major}.{minor},<{major}.{minor + 1}" in dependencies


@each_member
def test_every_member_says_that_it_is_typed(member: Path) -> None:
    assert (member / _package(member) / "py.typed").is_file()


@each_member
def test_every_member_is_known_to_the_tools_of_the_workspace(member: Path) -> None:
    root = _toml(ROOT / "pyproject.toml")
    distribution = f"croupier-{member.name.replace('_', '-')}"
    assert distribution in root["dependency-groups"]["members"]
    assert distribution in root["tool"]["uv"]["sources"]
    folder = member.relative_to(ROOT).as_posix()
    assert f"$MYPY_CONFIG_FILE_DIR/{folder}" in root["tool"]["mypy"]["mypy_path"]
    importlinter = root["tool"]["importlinter"]
    assert _package(member) in importlinter["root_packages"]
    contracts = {contract["id"]: contract for contract in importlinter["contracts"]}
    assert _package(member) in contracts["extensions"]["source_modules"]
    assert _package(member) in contracts["apart"]["modules"]
    assert _package(member) in contracts["discovery"]["forbidden_modules"]
    if member.parent.name == "adapters" or member.name.startswith("wallet_"):
        assert _package(member) in contracts["pure"]["source_modules"]


@each_adapter
def test_every_adapter_says_that_its_provider_did_not_endorse_it(member: Path) -> None:
    words = " ".join((member / "README.md").read_text("utf-8").split())
    assert "built from public material" in words
    assert "not endorsed or certified" in words


def test_the_hub_and_the_kit_say_that_they_are_typed() -> None:
    assert (ROOT / "hub/croupier/py.typed").is_file()
    assert (ROOT / "conformance/croupier_conformance/py.typed").is_file()


def test_plain_folders_are_not_import_packages() -> None:
    candidates = [ROOT / name for name in PLAIN_FOLDERS] + MEMBERS + [member / "tests" for member in MEMBERS]
    assert [str(folder) for folder in candidates if (folder / "__init__.py").exists()] == []


def test_the_requirements_carry_no_address() -> None:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    assert re.findall(r"(?m)^.*(?:://| @ |^\s*-).*$", text.replace("    --hash=", "")) == []


def test_every_requirement_is_one_version_with_hashes() -> None:
    loose = [
        line
        for line in _requirements()
        if not re.fullmatch(r"[a-z0-9._-]+==\S+( ; [^\\]+?)?( +--hash=sha256:[0-9a-f]{64})+ *", line)
    ]
    assert loose == []


def test_every_dependency_of_the_workspace_is_pinned() -> None:
    pinned = {line.split("==")[0] for line in _requirements()}
    root = _toml(ROOT / "pyproject.toml")
    wanted = [*root["project"]["dependencies"], *root["dependency-groups"]["dev"]]
    for extra in root["project"]["optional-dependencies"].values():
        wanted += extra
    for member in MEMBERS:
        wanted += _toml(member / "pyproject.toml")["project"]["dependencies"]
    names = {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in wanted}
    assert names - pinned == {"croupier"}


def test_imports_run_in_one_direction() -> None:
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


def test_the_contract_imports_the_standard_library_attrs_and_two_json_packages_only() -> None:
    allowed = sys.stdlib_module_names | {"attr", "attrs", "msgspec", "orjson"}
    strangers = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "hub/croupier/contract").rglob("*.py")
        for name in _imports(path)
        if name.split(".")[0] not in allowed and not f"{name}.".startswith("croupier.contract.")
    }
    assert strangers == set()


def test_what_a_plugin_takes_from_the_hub_costs_pluggy_only() -> None:
    assert _imports(ROOT / "hub/croupier/__init__.py") <= {"__future__", "pluggy"}


def test_the_pytest_plugin_is_free_for_those_who_do_not_use_it() -> None:
    code = "import croupier_conformance.plugin, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    heavy = {"croupier", "attrs", "hypothesis", "cattrs", "asyncio"}  # pytest is there: nobody else imports it
    assert heavy & set(done.stdout.split()) == set()


@each_adapter
def test_an_adapter_stays_under_a_thousand_lines_its_peer_aside(member: Path) -> None:
    files = [file for file in (member / _package(member)).glob("*.py") if not file.name.startswith("peer")]
    assert sum(len(file.read_text("utf-8").splitlines()) for file in files) < 1000
