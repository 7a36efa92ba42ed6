"""Event sinks as configured things: checked, sealed, live at once, and a fault where they cannot work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import frozen

from croupier.configuration.documents import Kind, SinkDocument
from croupier.contract import (
    ConflictError,
    Credentials,
    EventStream,
    PackageError,
    SecretField,
    SettingsError,
    SinkSpec,
    StreamWriter,
)

WHO: Mapping[str, Any] = {"who": "ann", "why": "a test"}
BODY: Mapping[str, Any] = {
    "name": "events",
    "sink": "toysink",
    "settings": {"place": "here"},
    "secrets": {"key": ["test-word", "old-word"]},
}


@frozen(kw_only=True)
class Settings:
    place: str


class Toy(EventStream):
    def __init__(self, settings: Settings) -> None:
        self.spec = SPEC
        self.place = settings.place

    def open(self, credentials: Credentials) -> StreamWriter:
        raise NotImplementedError


SPEC = SinkSpec(slug="toysink", name="Toy", secrets=(SecretField("key", "opens"),), settings=Settings, create=Toy)


@pytest.fixture
async def operator(hub: Any) -> str:
    hub.packages.registry.register(SPEC)
    return str((await hub.operator()).id)


async def test_a_sink_is_live_at_once_and_its_secrets_are_sealed(hub: Any, operator: str) -> None:
    stored = await hub.configuration.put(operator, Kind.SINK, BODY, **WHO)
    assert stored.secrets == {"key": 2}
    (live,) = hub.configuration.directory.sinks()
    assert (live.id, live.operator, live.sink.place) == (stored.id, operator, "here")
    assert live.credentials.every("key") == ("test-word", "old-word")
    (row,) = await hub.ledger.configuration(operator, "sink")
    assert "test-word" not in str(row.body)
    again = hub.another()
    await again.load()
    assert [one.document for one in again.directory.sinks()] == [live.document]


async def test_a_sink_that_is_disabled_or_whose_operator_is_deleted_is_not_fed(hub: Any, operator: str) -> None:
    stored = await hub.configuration.put(operator, Kind.SINK, BODY, **WHO)
    await hub.configuration.put(operator, Kind.SINK, {**stored.body, "enabled": False}, id=stored.id, **WHO)
    assert hub.configuration.directory.sinks() == ()
    await hub.configuration.put(operator, Kind.SINK, {**stored.body, "enabled": True}, id=stored.id, **WHO)
    assert len(hub.configuration.directory.sinks()) == 1
    owner = hub.configuration.get(operator, Kind.OPERATOR, operator)
    await hub.configuration.put(operator, Kind.OPERATOR, {**owner.body, "enabled": False}, id=operator, **WHO)
    assert len(hub.configuration.directory.sinks()) == 1, "wins still come, and so do their events"
    await hub.configuration.delete(operator, Kind.OPERATOR, operator, **WHO)
    assert hub.configuration.directory.sinks() == ()


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"settings": {}}, "sinks.events.settings.place"),
        ({"secrets": {}}, "sinks.events.secrets.key"),
        ({"secrets": {"key": ["x"], "other": ["y"]}}, "sinks.events.secrets.other"),
        ({"events": ["Movement"]}, "sinks.events.events.0"),
        ({"start": "later"}, "sinks.events.start"),
    ],
)
async def test_what_would_not_work_is_refused_by_its_path(
    hub: Any, operator: str, wrong: dict[str, Any], where: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        await hub.configuration.put(operator, Kind.SINK, {**BODY, **wrong}, **WHO)
    assert refused.value.where == where


async def test_a_sink_stays_what_it_is_and_its_name_its_own(hub: Any, operator: str) -> None:
    stored = await hub.configuration.put(operator, Kind.SINK, BODY, **WHO)
    with pytest.raises(ConflictError):
        await hub.configuration.put(operator, Kind.SINK, BODY, **WHO)
    with pytest.raises(SettingsError):
        await hub.configuration.put(operator, Kind.SINK, {**BODY, "sink": "other"}, id=stored.id, **WHO)
    with pytest.raises(PackageError):
        await hub.configuration.put(operator, Kind.SINK, {**BODY, "name": "new", "sink": "missing"}, **WHO)


async def test_a_sink_whose_package_is_broken_is_a_fault_and_nothing_else_is(hub: Any, operator: str) -> None:
    await hub.configuration.put(operator, Kind.SINK, BODY, **WHO)
    await hub.connection(operator)
    hub.packages.broken.add("toysink")
    await hub.configuration.load()
    directory = hub.configuration.directory
    assert [(fault.kind, fault.operator) for fault in directory.faults] == [("sink", operator)]
    assert (directory.sinks(), len(directory.connections(operator))) == ((), 1)


@pytest.mark.parametrize(
    ("wanted", "kind", "sent"),
    [
        (("*",), "anything", True),
        (("movement.*",), "movement.applied", True),
        (("movement.*",), "movements", False),
        (("movement.applied",), "movement.applied", True),
        (("movement.applied",), "movement.declined", False),
        ((), "movement.applied", False),
    ],
)
def test_which_events_a_sink_wants(wanted: tuple[str, ...], kind: str, *, sent: bool) -> None:
    assert SinkDocument(name="a", sink="b", events=wanted).wants(kind) is sent
