"""Throw-away distributions in a folder on the path."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from attrs import frozen

ADAPTER = """
from attrs import field, frozen
from croupier import hookimpl
from croupier.contract import (
    Adapter, AdapterSpec, Capability, HttpResponse, Policies, Proof, SecretField, SettingsError,
)

@frozen(kw_only=True)
class Settings:
    url: str
    subunits: dict[str, int] = field(factory=dict)

class Toy(Adapter):
    def __init__(self, settings):
        if settings.url == "ftp://":
            raise SettingsError("expected https", where="url")
        if settings.url == "boom":
            raise RuntimeError(settings.url)
        self.spec, self.settings, self.policies = SPEC, settings, Policies()
    def routes(self): return ()
    def verify(self, request, credentials, now): raise NotImplementedError
    def parse(self, verified): raise NotImplementedError
    def render(self, calls, results, credentials, now, nonce): return HttpResponse(200)
    def render_error(self, request, error): return HttpResponse(error.status)

SPEC = AdapterSpec(
    slug="SLUG", name="Toy", proof=Proof.SIGNATURE, capabilities=frozenset({Capability.WIN, Capability.BET}),
    secrets=(SecretField("key", "signs"),), settings=Settings, create=Toy, api=API,
)

@hookimpl
def croupier_adapters():
    return [SPEC]
"""

DIALECT = """
from attrs import frozen
from croupier import hookimpl
from croupier.contract import Dialect, DialectSpec, WalletUnknown, HttpRequest

@frozen(kw_only=True)
class Settings:
    url: str

class Toy(Dialect):
    def __init__(self, settings):
        self.spec, self.settings = SPEC, settings
    def request(self, call, credentials, now): return HttpRequest("POST", self.settings.url)
    def reply(self, call, response): return WalletUnknown(detail="toy")

SPEC = DialectSpec(
    slug="SLUG", name="Toy", capabilities=frozenset(), secrets=(), settings=Settings, create=Toy, api=API,
)

@hookimpl
def croupier_wallet_dialects():
    return [SPEC]
"""


def adapter_source(slug: str, api: object = "1") -> str:
    return ADAPTER.replace("SLUG", slug).replace("api=API", f"api={api}")


def dialect_source(slug: str, api: object = "1") -> str:
    return DIALECT.replace("SLUG", slug).replace("api=API", f"api={api}")


@frozen
class Folder:
    """A folder on the path into which distributions are installed by hand."""

    path: Path

    def install(self, name: str, entry_points: str, files: dict[str, str], version: str = "1.0") -> None:
        self.remove(name)
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(dedent(entry_points))
        for file, source in files.items():
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            (self.path / file).write_text(source)

    def adapter(self, slug: str, source: str | None = None, *, name: str | None = None, version: str = "1.0") -> None:
        module = f"zz_{(name or slug).replace('-', '_')}"
        self.install(
            name or f"croupier-{slug}",
            f"[croupier.adapters]\n{slug} = {module}.plugin\n",
            {f"{module}/__init__.py": "", f"{module}/plugin.py": adapter_source(slug) if source is None else source},
            version,
        )

    def plugin(self, name: str, source: str) -> None:
        module = f"zz_{name}"
        self.install(
            f"croupier-{name.replace('_', '-')}",
            f"[croupier.plugins]\n{name} = {module}.plugin\n",
            {f"{module}/__init__.py": "", f"{module}/plugin.py": source},
        )

    def remove(self, name: str) -> None:
        for old in self.path.glob(f"{name.replace('-', '_')}-*.dist-info"):
            shutil.rmtree(old)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """The only folder in which distributions are found, so that a test sees its own and nothing else."""
    site = tmp_path / "site"
    site.mkdir()
    here = str(site)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a module that changes within a second stays fresh
    monkeypatch.setattr("croupier.registry.discovery.distributions", lambda: _only(here))
    yield Folder(site)
    for module in [name for name in sys.modules if name.startswith("zz_")]:
        del sys.modules[module]


def _only(path: str) -> object:
    from importlib.metadata import distributions

    return distributions(path=[path])


@pytest.fixture(name="adapter_source")
def _adapter_source() -> Callable[..., str]:
    """Writes an adapter's module: `adapter_source(slug, api=1)`."""
    return adapter_source


@pytest.fixture(name="dialect_source")
def _dialect_source() -> Callable[..., str]:
    """Writes a dialect's module: `dialect_source(slug, api=1)`."""
    return dialect_source
