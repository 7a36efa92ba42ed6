"""Packages in folders, made visible as if they were installed, and what is run on them in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "pyproject.toml"


def register(folder: Path) -> None:
    """Write the metadata beside a package that an installation in place would write; no network, no build."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *[f"{slug} = {module}" for slug, module in points.items()])
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def run(*words: str | Path, cwd: Path, path: tuple[Path, ...] = ()) -> tuple[int, str]:
    """Run a module of this environment with more folders to import from; returns its status and all that it said."""
    known = [*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=cwd,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(known), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    return done.returncode, done.stdout


def style_of(folder: Path) -> str:
    """What ruff says by the rules of this workspace; empty if it has nothing to say."""
    # From the folder above: rules that are for tests alone are found by the folder's path.
    settings = ("--config", SETTINGS, "--no-cache")
    _, wrong = run("ruff", "check", *settings, "--quiet", "--output-format", "concise", folder.name, cwd=folder.parent)
    status, layout = run("ruff", "format", *settings, "--diff", folder.name, cwd=folder.parent)
    return wrong + (layout if status else "")


def types_of(*folders: Path) -> str:
    """What mypy says by the rules of this workspace; empty if it has nothing to say."""
    places = [place for folder in folders for place in folder.iterdir() if any(place.glob("*.py"))]
    known = os.environ.get("MYPYPATH")
    searched = os.pathsep.join([*map(str, folders), *filter(None, [known])])
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", SETTINGS, "--no-error-summary", *map(str, places)],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "MYPYPATH": searched},
    )
    return done.stdout
