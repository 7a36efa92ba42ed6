"""`croupier new-adapter`: what it writes is complete and clean, and passes its tests and its certification."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.new_adapter.packages import register, run, style_of, types_of

from croupier.cli import croupier
from croupier.cli.new_adapter import STYLES
from croupier_conformance.certification.rule import ADAPTER_RULES, Tier
from croupier_conformance.certification.subject import load_adapter
from croupier_conformance.certification.tiers import missing_for
from croupier_conformance.new_adapter import TODO, Style

each_style = pytest.mark.parametrize("style", STYLES)

TIERS = (Tier.BRONZE, Tier.SILVER, Tier.GOLD)

LONG = "a_provider_with_a_long_name_xx"
LONG_NAME = "A Provider's Name of 40 Characters, Inc."


def slug_of(style: str) -> str:
    return f"acme_{style.replace('-', '_')}"


def new(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(croupier, ["new-adapter", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of every style, each in a folder named after it."""
    folder = tmp_path_factory.mktemp("packages")
    for style in STYLES:
        status, said = new(slug_of(style), "--style", style, "--name", "Acme Games", "--out", folder / style)
        assert status == 0, said
    return folder


def test_every_style_of_the_kit_can_be_asked_for() -> None:
    assert tuple(style.value for style in Style) == STYLES


@each_style
def test_a_new_package_passes_its_tests_and_what_silver_asks(
    style: str, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written / style
    register(folder)
    suite = ("pytest", "-q", "-p", "no:cacheprovider", "--certify-examples", "1", "tests")
    status, said = run(*suite, cwd=folder, path=(folder,))
    assert (status, f" {len(TODO)} xfailed" in said) == (0, True), said
    monkeypatch.syspath_prepend(str(folder))
    subject = load_adapter(slug_of(style))
    assert {tier: list(missing_for(tier, subject)) for tier in TIERS} == {tier: [] for tier in TIERS}
    assert {rule.tier for rule in ADAPTER_RULES if rule.slug in TODO} == {Tier.GOLD}


def test_new_packages_are_clean_by_the_rules_of_the_workspace(written: Path) -> None:
    assert {style: style_of(written / style) for style in STYLES} == dict.fromkeys(STYLES, "")
    assert types_of(*[written / style for style in STYLES]) == ""


@each_style
def test_the_longest_names_leave_a_package_clean(style: str, tmp_path: Path) -> None:
    status, said = new(LONG, "--style", style, "--name", LONG_NAME, "--out", tmp_path / style)
    assert (len(LONG), len(LONG_NAME), status) == (30, 40, 0), said
    assert style_of(tmp_path / style) == ""


@each_style
def test_a_new_package_is_small_and_complete(style: str, written: Path) -> None:
    package = written / style / f"croupier_{slug_of(style)}"
    sizes = {file.name: len(file.read_text("utf-8").splitlines()) for file in package.glob("*.py")}
    assert sizes.keys() == {
        "__init__.py", "adapter.py", "codes.py", "peer.py", "plugin.py", "settings.py", "wire.py"
    }  # fmt: skip
    assert sum(sizes.values()) < 1000
    assert (package / "py.typed").read_text() == ""
    texts = [file.read_text("utf-8") for kind in ("py", "toml", "md") for file in (written / style).rglob(f"*.{kind}")]
    assert len(texts) >= 12
    assert [text for text in texts if "{{" in text or "{%" in text] == []


@each_style
def test_a_new_package_says_that_nobody_endorsed_it(style: str, written: Path) -> None:
    words = " ".join((written / style / "README.md").read_text("utf-8").split())
    assert "built from public material" in words
    assert "not endorsed or certified by Acme Games" in words


@each_style
def test_a_new_package_names_every_operation_and_what_it_does_not_prove(style: str, written: Path) -> None:
    package = written / style / f"croupier_{slug_of(style)}"
    document = tomllib.loads((package / "certification.toml").read_text("utf-8"))
    assert list(document["operations"]) == ["authenticate", "balance", "bet", "win", "rollback", "launch", "games"]
    assert document["exempt"] == {}
    assert document["todo"] == TODO
    assert all(document["todo"].values())


def test_the_folder_and_the_name_follow_from_the_slug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = new("royal_acme")
    assert (status, "croupier-royal-acme/pyproject.toml" in said) == (0, True)
    assert "Royal Acme as a provider" in (tmp_path / "croupier-royal-acme/README.md").read_text("utf-8")


@pytest.mark.parametrize("slug", ["", "a", "Acme", "1acme", "acme-games", "acme__games", "acme_", "ä_games", "a" * 31])
def test_what_is_no_slug_is_refused(slug: str, tmp_path: Path) -> None:
    status, said = new("--out", tmp_path / "new", "--", slug)
    assert (status, "is no slug" in said) == (2, True), said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slug", ["class", "conformance"])
def test_a_word_that_python_or_the_hub_needs_is_refused(slug: str, tmp_path: Path) -> None:
    status, said = new(slug, "--out", tmp_path / "new")
    assert (status, "is reserved" in said) == (2, True), said


def test_the_slug_of_an_installed_adapter_is_refused(tmp_path: Path) -> None:
    status, said = new("softswiss", "--out", tmp_path / "new")
    assert (status, "'softswiss' is taken by croupier-softswiss" in said) == (2, True), said
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    status, said = new("acme", "--out", tmp_path)
    assert (status, "the folder is not empty" in said) == (2, True), said
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_folders_place_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert new("acme", "--out", tmp_path / "file")[0] == 2
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["Play'n GO", "'Acme'", "O''Acme's"])
def test_a_name_with_apostrophes_is_written_as_it_is(name: str, tmp_path: Path) -> None:
    status, said = new("acme", "--style", "xml", "--name", name, "--out", tmp_path / "new")
    assert status == 0, said
    project = tomllib.loads((tmp_path / "new" / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["description"] == f"The {name} adapter of the Croupier hub."
    source = ast.parse((tmp_path / "new" / "croupier_acme" / "adapter.py").read_text("utf-8"))
    named = [word.value for word in ast.walk(source) if isinstance(word, ast.keyword) and word.arg == "name"]
    assert name in [value.value for value in named if isinstance(value, ast.Constant)]
    assert f"endorsed or certified by {name}." in (tmp_path / "new" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", [" ", 'Acme "Best" Games', "Acme\nGames", "Acme {{ x }}", "A" * 41])
def test_a_name_that_would_break_what_is_written_is_refused(name: str, tmp_path: Path) -> None:
    status, said = new("acme", "--name", name, "--out", tmp_path / "new")
    assert (status, "a name has" in said) == (2, True), said
    assert list(tmp_path.iterdir()) == []
