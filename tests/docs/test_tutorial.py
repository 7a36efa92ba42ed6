"""The tutorial is done as it stands: its files written, its commands typed; and the example is what comes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.docs.tutorial_files import EXAMPLE, FOLDER, PAGE, files, steps, with_files_of_the_example
from tests.new_adapter.packages import register, run

SITE = sysconfig.get_path("purelib")


def desk(folder: Path) -> dict[str, str]:
    """An environment of its own beside this one: what is installed there is seen there alone."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    (site,) = folder.glob("lib/*/site-packages")
    # addsitedir: also what is installed in place here, by files of this kind, is seen.
    (site / "workspace.pth").write_text(f"import site; site.addsitedir({SITE!r})\n")
    for name in ("pip", "pytest", "croupier"):
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {python} -m {name} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return {**kept, "PATH": path, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "COLUMNS": "200"}


def typed(commands: str, cwd: Path, environment: dict[str, str]) -> str:
    """Type a block of commands, of which each must succeed; returns what they say."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=cwd,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}"
    return done.stdout


def contents(folder: Path) -> dict[str, str]:
    """The files of a package as its author has them."""
    return {
        file.relative_to(folder).as_posix(): file.read_text("utf-8")
        for file in folder.rglob("*")
        if file.is_file()
        and file.suffix in {".py", ".toml", ".typed", ".md"}
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the tutorial was done, and what its commands said."""
    folder = tmp_path_factory.mktemp("tutorial")
    environment = desk(tmp_path_factory.mktemp("desk") / "env")
    said = ""
    for file, text in steps(PAGE.read_text("utf-8")):
        if file:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
        else:
            said += typed(text, folder, environment)
    return folder, said


def test_at_the_end_of_the_tutorial_the_adapter_is_certified_signed_and_installed(done: tuple[Path, str]) -> None:
    folder, said = done
    assert "Proved: gold" in said
    assert (folder / "certified/acme.html").is_file()
    acme = next(line.split() for line in reversed(said.splitlines()) if line.startswith("acme "))
    assert acme[:5] == ["acme", "loaded", "gold", "1", "croupier-acme"]


def test_the_example_is_what_comes_of_the_tutorial(done: tuple[Path, str]) -> None:
    folder, _said = done
    made, example = contents(folder / FOLDER), contents(EXAMPLE)
    assert made.keys() == example.keys()
    assert [name for name in made if made[name] != example[name]] == []


def test_the_tutorial_shows_the_files_of_the_example() -> None:
    page = PAGE.read_text("utf-8")
    assert set(files(page)) > {
        f"croupier_acme/{name}.py" for name in ("settings", "wire", "reading", "answers", "peer")
    }
    assert with_files_of_the_example(page) == page, "run `python -m tests.docs.tutorial_files`"


def test_a_strangers_wheel_is_certified_like_any_other(tmp_path: Path) -> None:
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    status, said = run("hatchling", "build", "-t", "wheel", "-d", wheels, cwd=EXAMPLE)
    assert status == 0, said
    (wheel,) = wheels.glob("*.whl")
    quiet = ("--quiet", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check")
    status, said = run("pip", "install", *quiet, "--target", site, wheel, cwd=tmp_path)
    assert status == 0, said
    certify = ("croupier", "certify", "adapter", "acme", "--examples", "5", "--minimum", "gold")
    status, said = run(*certify, cwd=tmp_path, path=(site,))
    assert (status, "0 broken, 0 error, 0 exempt" in said, "Proved: gold" in said) == (0, True, True), said


def test_the_example_is_no_member_of_the_workspace_and_passes_its_tests(tmp_path: Path) -> None:
    here = tmp_path / "acme"
    for name, text in contents(EXAMPLE).items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(text, encoding="utf-8")
    register(here)
    status, said = run("pytest", "-q", "-p", "no:cacheprovider", "tests/test_acme.py", cwd=here, path=(here,))
    assert status == 0, said
    assert "acme" not in (PAGE.parents[2] / "pyproject.toml").read_text("utf-8")
