"""The real wheels, installed away from this checkout, with an adapter that the hub has never heard of."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from croupier.registry.certificates import content_hash

ROOT = Path(__file__).resolve().parents[2]
SITE = sysconfig.get_path("purelib")
PROJECTS = [
    ROOT,
    *sorted(file.parent for kind in ("adapters", "plugins") for file in ROOT.glob(f"{kind}/*/pyproject.toml")),
]

RUN = """
import sys, croupier
print(croupier.__file__, file=sys.stderr)
sys.argv = ["croupier", *sys.argv[1:]]
from croupier.cli import main
main()
"""


def build(project: Path, out: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=project,
        check=True,
        capture_output=True,
    )


def install(wheels: Path, target: Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile"]
    found = [str(wheel) for wheel in sorted(wheels.glob("*.whl"))]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), *found],
        check=True,
        capture_output=True,
    )


def digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def croupier(*args: str, path: list[Path], cwd: Path) -> tuple[str, Path]:
    """Run the command with what was installed; returns its output, and where the hub was imported from."""
    # -S leaves out the .pth files, and so this checkout that is installed in place; dependencies come by their folder.
    done = subprocess.run(
        [sys.executable, "-S", "-c", RUN, *args],
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), SITE]), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return done.stdout, Path(done.stderr.splitlines()[0])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub and every adapter and plugin of this repository, as users install them; nobody may write there."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    for project in PROJECTS:
        build(project, wheels)
    assert len(list(wheels.glob("*.whl"))) == len(PROJECTS)
    install(wheels, target)
    for entry in [*target.rglob("*"), target]:
        entry.chmod(0o555 if entry.is_dir() else 0o444)
    return target


def test_the_wheels_hold_all_that_is_listed(installed: Path, tmp_path: Path) -> None:
    out, origin = croupier("adapters", "list", "--json", "--load", path=[installed], cwd=tmp_path)
    assert origin.is_relative_to(installed)
    found = json.loads(out)
    expected = {project.name for project in PROJECTS if project.parent.name == "adapters"}
    assert {item["slug"] for item in found["adapters"]} == expected
    assert {(item["slug"], item["state"], item["reason"]) for item in found["adapters"]} == {
        (slug, "loaded", None) for slug in expected
    }
    assert {(item["name"], item["state"]) for item in found["plugins"]} == {
        (project.name, "loaded") for project in PROJECTS if project.parent.name == "plugins"
    }


def test_a_checkout_and_the_wheel_that_is_built_from_it_have_the_same_content(installed: Path) -> None:
    for project in (project for project in PROJECTS if project.parent.name == "adapters"):
        package = f"croupier_{project.name}"
        assert content_hash(project / package) == content_hash(installed / package)


def test_the_wheel_of_the_kit_brings_the_page_of_its_report(installed: Path) -> None:
    assert (installed / "croupier_conformance/certification/report_page.html.jinja").is_file()


def test_an_adapter_from_elsewhere_is_found_without_touching_the_hub(
    installed: Path, tmp_path: Path, adapter_source: Callable[..., str]
) -> None:
    project, elsewhere, work = tmp_path / "project", tmp_path / "elsewhere", tmp_path / "work"
    (project / "croupier_acme").mkdir(parents=True)
    work.mkdir()
    (project / "croupier_acme/__init__.py").write_text("")
    (project / "croupier_acme/plugin.py").write_text(adapter_source("acme"))
    (project / "pyproject.toml").write_text(
        dedent("""
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"

        [project]
        name = "croupier-acme"
        version = "3.2.1"
        dependencies = ["croupier>=0.1,<0.2"]

        [project.entry-points."croupier.adapters"]
        acme = "croupier_acme.plugin"
        """)
    )
    build(project, tmp_path / "wheels")
    install(tmp_path / "wheels", elsewhere)
    before = digest(installed)

    out, origin = croupier("adapters", "list", "--json", "--load", path=[installed, elsewhere], cwd=work)

    assert origin.is_relative_to(installed)
    (acme,) = [item for item in json.loads(out)["adapters"] if item["slug"] == "acme"]
    assert acme == {
        "slug": "acme",
        "distribution": "croupier-acme",
        "version": "3.2.1",
        "state": "loaded",
        "reason": None,
        "api": 1,
        "capabilities": ["bet", "win"],
        "tier": "uncertified",
        "code": None,
    }
    assert digest(installed) == before


def test_a_new_adapter_is_written_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    out, origin = croupier("new-adapter", "acme", "--style", "xml", path=[installed], cwd=tmp_path)
    assert origin.is_relative_to(installed)
    written = {line for line in out.splitlines() if line.startswith("croupier-acme/")}
    assert written == {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    assert "croupier-acme/croupier_acme/wire.py" in written


def test_a_broken_adapter_from_elsewhere_leaves_the_rest_usable(installed: Path, tmp_path: Path) -> None:
    info = tmp_path / "elsewhere/croupier_broken-0.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: croupier-broken\nVersion: 0.9\n")
    (info / "entry_points.txt").write_text("[croupier.adapters]\nbroken = croupier_broken\n")
    out, _ = croupier("adapters", "list", "--json", "--load", path=[installed, info.parent], cwd=tmp_path)
    states = {item["slug"]: (item["state"], item["version"]) for item in json.loads(out)["adapters"]}
    assert states["broken"] == ("quarantined", "0.9")
    assert states["pragmatic"][0] == "loaded"
