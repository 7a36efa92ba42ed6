"""What the ledger does and what it cannot keep is told while it happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.hubs import started

from croupier.contract import StoreUnavailableError
from croupier.ledger.port import Change, Committed
from croupier.ledger.records import Event, ExchangeRow
from croupier.runtime.hub import Hub

ROOM = 10_000
"""So many exchanges may wait."""


def shown(hub: Hub) -> dict[str, float]:
    """The metrics of the ledger."""
    rows = [row.rpartition(" ") for row in hub.metrics.render()[1].decode().splitlines() if not row.startswith("#")]
    return {name: float(value) for name, _, value in rows if name.startswith("croupier_ledger_")}


def note(hub: Hub, count: int) -> None:
    """Give the ledger so many messages to keep."""
    for number in range(count):
        hub.ledger.note(
            ExchangeRow(
                operator="op", exchange=f"x{number}", side="provider_in", operation="bet", started_at=1, duration_us=1
            )
        )


async def test_what_is_committed_is_counted_and_timed(tmp_path: Path) -> None:
    name = 'croupier_ledger_changes_total{outcome="committed"}'
    event = Event(kind="test.event", subject="s", at=1, body={})
    async with started(tmp_path) as hub:
        before = shown(hub)[name]
        assert await hub.ledger.commit(Change(operator="op", events=(event,))) == Committed(1)
        after = shown(hub)
    assert after[name] - before == 1
    assert after['croupier_ledger_commit_seconds_sum{outcome="committed"}'] > 0
    assert after["croupier_ledger_changes_waiting"] == 0


async def test_messages_for_which_there_is_no_room_are_counted_and_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return [line for line in lines if line["event"] == "exchanges_dropped"]

    async with started(tmp_path) as hub:
        note(hub, ROOM + 3)
        assert shown(hub)["croupier_ledger_exchanges_waiting"] == ROOM
        assert shown(hub)["croupier_ledger_exchanges_dropped_total"] == 3
        hub.begin()
        lines: list[dict[str, Any]] = []
        async with asyncio.timeout(30):
            while not lines:
                await asyncio.sleep(0.01)
                lines = told()
    assert [(line["level"], line["count"]) for line in lines] == [("warning", 3)]


async def test_dropped_messages_are_told_of_at_once_and_once_while_the_database_is_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> dict[str, int]:
        raise StoreUnavailableError("it is away")

    async with started(tmp_path) as hub:
        monkeypatch.setattr(hub.ledger, "count_states", away)
        for count in (ROOM + 3, 0, 2):  # its worker begins anew each time
            note(hub, count)
            with pytest.raises(StoreUnavailableError):
                await hub._gauges()
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["count"] for line in lines if line["event"] == "exchanges_dropped"] == [3, 2]
