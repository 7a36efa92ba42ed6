"""Packages that are right, and packages that are broken in every way we could think of."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import ADAPTER_API, AdapterSpec, PackageError, SettingsError
from croupier.registry import AdapterReport, AllowList, PluginReport, Registry, State


def report(registry: Registry, slug: str) -> AdapterReport:
    (found,) = [item for item in registry.adapters() if item.slug == slug]
    return found


def plugin(registry: Registry, name: str) -> PluginReport:
    (found,) = [item for item in registry.plugins() if item.name == name]
    return found


def test_an_adapter_is_listed_without_being_imported(folder: Any) -> None:
    folder.adapter("toy")
    assert report(Registry(), "toy") == AdapterReport(
        slug="toy", distribution="croupier-toy", version="1.0", state=State.AVAILABLE
    )
    assert "zz_toy" not in sys.modules


def test_an_adapter_is_imported_when_it_is_asked_for(folder: Any) -> None:
    folder.adapter("toy")
    registry = Registry()
    spec = registry.adapter("toy")
    assert spec.slug == "toy"
    assert registry.adapter("toy") is spec
    loaded = report(registry, "toy")
    assert (loaded.state, loaded.api, loaded.capabilities, loaded.tier) == (
        State.LOADED,
        ADAPTER_API,
        ("bet", "win"),
        "uncertified",
    )


def test_an_adapter_that_nobody_installed_is_an_error_that_names_it(folder: Any) -> None:
    with pytest.raises(PackageError, match=r"adapters\.nobody: no installed package") as caught:
        Registry().adapter("nobody")
    assert caught.value.where == "adapters.nobody"


BROKEN = {
    "an import that fails": ("import zz_no_such_module", "ModuleNotFoundError: No module named 'zz_no_such_module'"),
    "a syntax error": ("def (", "SyntaxError"),
    "an exception of its own": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "an exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "no hook": ("x = 1", "implements no hook"),
    "an unknown hook": (
        "from croupier import hookimpl\n@hookimpl\ndef croupier_adapterz(): return []",
        "unknown hook 'croupier_adapterz'",
    ),
    "a hook with an argument": (
        "from croupier import hookimpl\n@hookimpl\ndef croupier_adapters(app): return []",
        "Argument(s) {'app'}",
    ),
    "a hook that raises": (
        "from croupier import hookimpl\n@hookimpl\ndef croupier_adapters(): raise KeyError('x')",
        "KeyError: 'x'",
    ),
    "no list": (
        "from croupier import hookimpl\n@hookimpl\ndef croupier_adapters(): return 7",
        "TypeError: 'int' object is not iterable",
    ),
    "a record of another kind": (
        "from croupier import hookimpl\n@hookimpl\ndef croupier_adapters(): return ['toy']",
        "returned a str where an AdapterSpec is expected",
    ),
    "no adapter": (
        "from croupier import hookimpl\n@hookimpl\ndef croupier_adapters(): return []",
        "its entry points are named toy, and its adapters nothing",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_adapter_is_quarantined_and_the_others_live(folder: Any, source: str, reason: str) -> None:
    folder.adapter("toy", source)
    folder.adapter("other")
    registry = Registry()
    with pytest.raises(PackageError):
        registry.adapter("toy")
    found = report(registry, "toy")
    assert (found.state, found.distribution, found.version) == (State.QUARANTINED, "croupier-toy", "1.0")
    assert reason in str(found.reason)
    with pytest.raises(PackageError, match="toy"):
        registry.adapter("toy")
    assert registry.adapter("other").slug == "other"
    assert [name for name in sys.modules if name.startswith("zz_toy")] == []


PLUGIN_BROKEN = {name: case for name, case in BROKEN.items() if name != "no adapter"}  # a plugin need not bring any


@pytest.mark.parametrize(("source", "reason"), PLUGIN_BROKEN.values(), ids=PLUGIN_BROKEN)
def test_a_broken_plugin_is_quarantined_at_start(folder: Any, source: str, reason: str, dialect_source: Any) -> None:
    folder.plugin("wallet_toy", source)
    folder.plugin("wallet_other", dialect_source("other"))
    registry = Registry()
    found = plugin(registry, "wallet_toy")
    assert (found.state, found.distribution, found.version) == (State.QUARANTINED, "croupier-wallet-toy", "1.0")
    assert reason in str(found.reason)
    assert registry.dialect("other").slug == "other"


@pytest.mark.parametrize("api", [ADAPTER_API, ADAPTER_API - 1])
def test_this_api_and_the_one_before_are_accepted(folder: Any, adapter_source: Any, api: int) -> None:
    folder.adapter("toy", adapter_source("toy", api))
    assert Registry().adapter("toy").api == api


@pytest.mark.parametrize("api", [ADAPTER_API + 1, ADAPTER_API - 2, "'1'", None])
def test_another_api_is_quarantined_with_both_versions_named(folder: Any, adapter_source: Any, api: object) -> None:
    folder.adapter("toy", adapter_source("toy", api))
    registry = Registry()
    with pytest.raises(PackageError, match="ADAPTER_API"):
        registry.adapter("toy")
    assert f"this hub accepts {ADAPTER_API} and {ADAPTER_API - 1}" in str(report(registry, "toy").reason)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("settings=Settings", "settings=dict", "no attrs class"),
        ("url: str", "url: 'Nowhere'", "NameError"),
        ("frozenset({Capability.WIN, Capability.BET})", "frozenset({'win'})", "no frozenset of Capability"),
        ("create=Toy", "create=None", "cannot be called"),
        ("return [SPEC]", "return [SPEC, SPEC]", "two records with one slug"),
    ],
)
def test_a_spec_that_cannot_work_is_quarantined(
    folder: Any, adapter_source: Any, old: str, new: str, reason: str
) -> None:
    folder.adapter("toy", adapter_source("toy").replace(old, new))
    registry = Registry()
    with pytest.raises(PackageError, match=reason):
        registry.adapter("toy")
    assert report(registry, "toy").state is State.QUARANTINED


def test_an_adapter_whose_slug_is_not_its_entry_point_is_quarantined(folder: Any, adapter_source: Any) -> None:
    folder.adapter("toy", adapter_source("yot"))
    registry = Registry()
    with pytest.raises(PackageError, match="named toy, and its adapters yot: both must be the slug"):
        registry.adapter("toy")
    with pytest.raises(PackageError):
        registry.adapter("yot")


def test_an_entry_point_that_is_no_slug_is_quarantined(folder: Any, adapter_source: Any) -> None:
    folder.adapter("Toy!", adapter_source("toy"), name="croupier-toy")
    assert report(Registry(), "Toy!").state is State.QUARANTINED


def test_one_module_may_bring_several_adapters(folder: Any, adapter_source: Any) -> None:
    source = adapter_source("one").replace("return [SPEC]", "return [SPEC, evolve(SPEC, slug='two')]")
    folder.install(
        "croupier-pair",
        "[croupier.adapters]\none = zz_pair\ntwo = zz_pair\n",
        {"zz_pair.py": "from attrs import evolve\n" + source},
    )
    registry = Registry()
    assert [registry.adapter(slug).slug for slug in ("one", "two")] == ["one", "two"]


def test_an_adapter_package_may_not_bring_dialects(folder: Any, dialect_source: Any) -> None:
    folder.adapter("toy", dialect_source("toy"))
    with pytest.raises(PackageError, match=r"it brings wallet dialects .*belong to a package in croupier\.plugins"):
        Registry().adapter("toy")


def test_two_packages_of_one_slug_are_both_quarantined(folder: Any) -> None:
    folder.adapter("toy")
    folder.adapter("toy", name="croupier-toy-evil")
    registry = Registry()
    assert [item.state for item in registry.adapters()] == [State.QUARANTINED] * 2
    with pytest.raises(PackageError, match="another package offers"):
        registry.adapter("toy")


def test_an_allow_list_of_distributions_settles_which_of_two_is_meant(folder: Any) -> None:
    folder.adapter("toy")
    folder.adapter("toy", name="croupier-toy-evil")
    registry = Registry(AllowList(distributions={"Croupier_Toy"}))
    assert [(item.distribution, item.state) for item in registry.adapters()] == [
        ("croupier-toy", State.AVAILABLE),
        ("croupier-toy-evil", State.BLOCKED),
    ]
    assert registry.adapter("toy").slug == "toy"
    assert "zz_croupier_toy_evil" not in sys.modules


def test_what_is_not_on_the_allow_list_is_not_imported(folder: Any, dialect_source: Any) -> None:
    folder.adapter("toy")
    folder.plugin("wallet_toy", dialect_source("toy"))
    registry = Registry(AllowList(adapters=(), plugins=()))
    assert report(registry, "toy").state is State.BLOCKED
    assert plugin(registry, "wallet_toy").state is State.BLOCKED
    with pytest.raises(PackageError, match="not on the allow-list"):
        registry.adapter("toy")
    with pytest.raises(PackageError):
        registry.dialect("toy")
    assert [name for name in sys.modules if name.startswith("zz_")] == []


def test_an_allow_list_of_adapters_leaves_plugins_alone(folder: Any, dialect_source: Any) -> None:
    folder.plugin("wallet_toy", dialect_source("toy"))
    assert Registry(AllowList(adapters=())).dialect("toy").slug == "toy"


def test_a_plugin_may_not_slip_a_blocked_adapter_in(folder: Any, adapter_source: Any) -> None:
    folder.plugin("lobby", adapter_source("toy"))
    assert Registry().adapter("toy").slug == "toy"
    registry = Registry(AllowList(adapters={"other"}))
    assert plugin(registry, "lobby").state is State.BLOCKED
    with pytest.raises(PackageError):
        registry.adapter("toy")


def test_two_plugins_of_one_dialect_are_both_quarantined(folder: Any, dialect_source: Any) -> None:
    folder.plugin("wallet_one", dialect_source("toy"))
    folder.plugin("wallet_two", dialect_source("toy"))
    registry = Registry()
    assert [item.state for item in registry.plugins()] == [State.QUARANTINED] * 2
    with pytest.raises(PackageError):
        registry.dialect("toy")


def test_a_package_that_is_installed_later_is_found_without_a_restart(folder: Any, dialect_source: Any) -> None:
    registry = Registry()
    assert registry.adapters() == []
    folder.adapter("toy")
    folder.plugin("wallet_toy", dialect_source("toy"))
    registry.rescan()
    assert registry.adapter("toy").slug == "toy"
    assert registry.dialect("toy").slug == "toy"


def test_a_repaired_package_leaves_quarantine_at_the_next_rescan(
    folder: Any, adapter_source: Any, dialect_source: Any
) -> None:
    folder.adapter("toy", "import zz_missing")
    folder.plugin("wallet_toy", "import zz_missing")
    registry = Registry()
    with pytest.raises(PackageError):
        registry.adapter("toy")
    registry.rescan()
    assert report(registry, "toy").state is State.QUARANTINED
    folder.adapter("toy", adapter_source("toy"), version="1.1")
    folder.plugin("wallet_toy", dialect_source("toy"))
    registry.rescan()
    assert (report(registry, "toy").state, report(registry, "toy").version) == (State.LOADED, "1.1")
    assert plugin(registry, "wallet_toy").dialects == ("toy",)


def test_what_is_loaded_stays_and_tells_that_a_restart_is_due(folder: Any) -> None:
    folder.adapter("toy")
    registry = Registry()
    spec = registry.adapter("toy")
    folder.adapter("toy", "raise RuntimeError", version="2.0")
    registry.rescan()
    assert registry.adapter("toy") is spec
    assert (report(registry, "toy").version, report(registry, "toy").state) == ("1.0", State.LOADED)
    assert "version 2.0 is installed" in str(report(registry, "toy").reason)
    folder.remove("croupier-toy")
    registry.rescan()
    assert registry.adapter("toy") is spec
    assert "not installed any more" in str(report(registry, "toy").reason)


def test_a_newcomer_cannot_take_the_slug_of_a_loaded_adapter(folder: Any) -> None:
    folder.adapter("toy")
    registry = Registry()
    spec = registry.adapter("toy")
    folder.adapter("toy", name="croupier-toy-evil")
    registry.rescan()
    assert registry.adapter("toy") is spec
    assert [item.state for item in registry.adapters()] == [State.LOADED, State.QUARANTINED]


def test_a_package_that_was_removed_is_gone_after_a_rescan(folder: Any) -> None:
    folder.adapter("toy")
    registry = Registry()
    folder.remove("croupier-toy")
    registry.rescan()
    assert registry.adapters() == []


@pytest.mark.parametrize("damage", ["no metadata", "bad entry points", "bytes"])
def test_a_distribution_with_damaged_metadata_is_reported(folder: Any, damage: str) -> None:
    folder.adapter("toy")
    folder.adapter("other")
    (info,) = folder.path.glob("croupier_toy-*.dist-info")
    match damage:
        case "no metadata":
            (info / "METADATA").unlink()
        case "bad entry points":
            (info / "entry_points.txt").write_text("[croupier.adapters]\nno equals sign\n")
        case _:
            (info / "METADATA").write_bytes(b"Name: croupier-toy\nVersion: \xff\xfe\n")
    registry = Registry()
    assert [item.slug for item in registry.adapters() if item.distribution == "croupier-other"] == ["other"]
    assert registry.adapter("other").slug == "other"
    (found,) = [item for item in registry.adapters() if item.distribution != "croupier-other"]
    assert found.state is State.QUARANTINED
    assert "croupier" in str(found.distribution)
    assert "its metadata cannot be read" in str(found.reason)


def test_a_damaged_distribution_of_strangers_does_not_matter(folder: Any) -> None:
    folder.install("stranger", "[console_scripts]\nno equals sign\n", {})
    folder.adapter("toy")
    assert [item.slug for item in Registry().adapters()] == ["toy"]


# --- registered in code


@pytest.fixture
def spec(folder: Any) -> AdapterSpec:
    folder.adapter("toy")
    found = Registry().adapter("toy")
    shutil.rmtree(folder.path)
    return found


def test_an_adapter_can_be_registered_from_code(spec: AdapterSpec) -> None:
    registry = Registry(discover=False)
    registry.register(spec)
    assert registry.adapter("toy") is spec
    assert report(registry, "toy").distribution is None
    registry.rescan()
    assert registry.adapter("toy") is spec
    assert report(registry, "toy").reason is None


def test_a_slug_is_registered_once(spec: AdapterSpec) -> None:
    registry = Registry(discover=False)
    registry.register(spec)
    with pytest.raises(PackageError, match="another adapter has this slug"):
        registry.register(evolve(spec, name="Other"))


def test_what_is_registered_from_code_is_checked_like_a_package(spec: AdapterSpec) -> None:
    with pytest.raises(PackageError, match="ADAPTER_API"):
        Registry(discover=False).register(evolve(spec, api=ADAPTER_API + 1))


# --- settings


def test_an_adapter_is_configured_from_a_mapping(spec: AdapterSpec) -> None:
    registry = Registry(discover=False)
    registry.register(spec)
    adapter: Any = registry.configure_adapter("toy", {"url": "https://games.example", "subunits": {"BTC": 8}})
    assert adapter.settings.subunits == {"BTC": 8}


@pytest.mark.parametrize(
    ("settings", "where", "message"),
    [
        ({"url": "x", "subunits": {"BTC": "8"}}, "settings.subunits.BTC", "expected a whole number, not text"),
        ({"url": "x", "subunits": {"BTC": True}}, "settings.subunits.BTC", "expected a whole number, not true"),
        ({"url": "x", "subunits": ["BTC"]}, "settings.subunits", "expected a table of keys and values, not a list"),
        ({"url": 7}, "settings.url", "expected text, not a whole number"),
        ({}, "settings.url", "is missing: expected text"),
        ({"url": "x", "subunit": {}}, "settings.subunit", "unknown key: did you mean subunits?"),
        ({"url": "ftp://"}, "settings.url", "expected https"),
    ],
)
def test_a_wrong_setting_is_told_by_its_path(
    spec: AdapterSpec, settings: dict[str, Any], where: str, message: str
) -> None:
    registry = Registry(discover=False)
    registry.register(spec)
    with pytest.raises(SettingsError) as caught:
        registry.configure_adapter("toy", settings)
    assert caught.value.where == where
    assert caught.value.message.startswith(message)


def test_an_adapter_that_fails_to_be_made_is_a_package_error_without_its_settings(spec: AdapterSpec) -> None:
    registry = Registry(discover=False)
    registry.register(spec)
    with pytest.raises(PackageError, match="RuntimeError") as caught:
        registry.configure_adapter("toy", {"url": "boom"})
    assert "boom" not in str(caught.value)


def test_create_must_return_an_adapter(spec: AdapterSpec) -> None:
    registry = Registry(discover=False)
    registry.register(evolve(spec, create=lambda settings: settings))
    with pytest.raises(PackageError, match="returned a Settings"):
        registry.configure_adapter("toy", {"url": "x"})


def test_a_dialect_is_configured_from_a_mapping(folder: Any, dialect_source: Any) -> None:
    folder.plugin("wallet_toy", dialect_source("toy"))
    registry = Registry()
    dialect: Any = registry.configure_dialect("toy", {"url": "https://wallet.example"})
    assert dialect.settings.url == "https://wallet.example"
    assert [item.slug for item in registry.dialects()] == ["toy"]
    with pytest.raises(SettingsError, match=r"settings\.url: is missing"):
        registry.configure_dialect("toy", {})


SINK = """
from attrs import frozen
from croupier import hookimpl
from croupier.contract import EventStream, SinkSpec

@frozen(kw_only=True)
class Settings:
    pass

class Toy(EventStream):
    def open(self, credentials): raise NotImplementedError

SPEC = SinkSpec(slug="toy", name="Toy", secrets=(), settings=Settings, create=CREATE)

@hookimpl
def croupier_event_sinks():
    return [SPEC]
"""


def test_a_plugin_brings_event_sinks(folder: Any) -> None:
    folder.plugin("sink_toy", SINK.replace("CREATE", "lambda settings: Toy()"))
    registry = Registry()
    assert (plugin(registry, "sink_toy").state, plugin(registry, "sink_toy").sinks) == (State.LOADED, ("toy",))
    assert registry.sink("toy").name == "Toy"
    assert type(registry.configure_sink("toy", {})).__name__ == "Toy"
    with pytest.raises(PackageError):
        registry.sink("missing")


def test_two_plugins_with_one_sink_are_both_in_quarantine(folder: Any) -> None:
    for name in ("sink_one", "sink_two"):
        folder.plugin(name, SINK)
    registry = Registry()
    assert {plugin(registry, name).state for name in ("sink_one", "sink_two")} == {State.QUARANTINED}


def test_a_sink_that_makes_something_else_is_not_used(folder: Any) -> None:
    folder.plugin("sink_toy", SINK.replace("CREATE", "dict"))
    with pytest.raises(PackageError):
        Registry().configure_sink("toy", {})


def test_a_package_of_adapters_brings_no_sinks(folder: Any) -> None:
    folder.adapter("toy", SINK.replace("CREATE", "dict"))
    registry = Registry()
    with pytest.raises(PackageError) as refused:
        registry.adapter("toy")
    assert "it brings event sinks" in str(refused.value)
