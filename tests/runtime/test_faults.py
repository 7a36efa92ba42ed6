"""What is stored and cannot be used is told by the log, the metrics and the probe, and not by a command alone."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.runtime.hubs import started

from croupier.configuration.documents import Kind
from croupier.ledger.port import Change
from croupier.runtime.hub import Hub

WHO: Any = {"who": "ann", "why": "a test"}
OPERATOR = {
    "name": "acme",
    "dialect": "native",
    "wallet": {"url": "https://wallet.example/"},
    "wallet_secrets": {"signing_secret": ["whsec_dGVzdCBrZXkgdGVzdCBrZXkgdGVzdCBrZXk="]},
}
CONNECTION = {
    "name": "soft",
    "adapter": "softswiss",
    "settings": {"api_url": "https://gcp.provider.example", "casino_id": "acme"},
    "secrets": {"auth_token": ["a test token"]},
}
RIGHT, WRONG = (base64.b64encode(letter * 32).decode() for letter in (b"r", b"w"))


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The faults in the log since the last look."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["event"] == "configuration_fault"]


def counted(hub: Hub) -> dict[str, int]:
    """The kinds of which there are faults, as `/metrics` shows them."""
    rows = [row for row in hub.metrics.render()[1].decode().splitlines() if row.startswith("croupier_configuration_f")]
    assert len(rows) == len(Kind)
    found = {row.split('"')[1]: int(float(row.split()[1])) for row in rows}
    return {kind: count for kind, count in found.items() if count}


async def test_a_wrong_key_file_is_told_once_counted_and_keeps_the_hub_from_being_ready(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with started(tmp_path, RIGHT) as hub:
        assert hub.obstacles() == ()  # nothing is configured yet
        acme = (await hub.configuration.put(None, Kind.OPERATOR, OPERATOR, **WHO)).id
        soft = (await hub.configuration.put(acme, Kind.CONNECTION, CONNECTION, **WHO)).id
        assert (hub.obstacles(), counted(hub)) == ((), {})
    assert told(capsys) == []
    async with started(tmp_path, WRONG) as hub:
        lines = sorted(told(capsys), key=lambda line: str(line["kind"]))
        assert [
            (line["level"], line["operator"], line["kind"], line["configured"], line["configured_name"])
            for line in lines
        ] == [("warning", acme, "connection", soft, "soft"), ("warning", acme, "operator", acme, "acme")]
        assert {line["code"] for line in lines} == {"configuration"}
        assert counted(hub) == {"operator": 1, "connection": 1}
        assert hub.obstacles() == ("configuration",)
        await hub.configuration.load()  # as after a rescan
        assert told(capsys) == []
        await hub.configuration.put(acme, Kind.OPERATOR, OPERATOR, id=acme, **WHO)  # its secret is put once more
        assert (hub.obstacles(), counted(hub), told(capsys)) == ((), {"connection": 1}, [])
    async with started(tmp_path, RIGHT) as hub:
        (line,) = told(capsys)  # what was sealed under the wrong key
        assert (line["kind"], counted(hub)) == ("operator", {"operator": 1})


async def test_a_fault_that_another_process_makes_is_told_when_it_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with started(tmp_path, RIGHT) as hub:
        acme = (await hub.configuration.put(None, Kind.OPERATOR, OPERATOR, **WHO)).id
        (row,) = await hub.ledger.configuration()
        broken = {**row.body, "dialect": "nobodys"}
        newer = evolve(row, version=2, body=broken)
        await hub.ledger.commit(Change(operator=acme, configuration=(newer,)))
        assert told(capsys) == []
        await hub.configuration.catch_up()
        (line,) = told(capsys)
        assert (line["configured"], counted(hub), hub.obstacles()) == (acme, {"operator": 1}, ("configuration",))
