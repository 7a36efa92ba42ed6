"""`croupier reconcile` beside a running hub, on both engines: what differs is told, and nothing is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from croupier.ledger.port import Change, Committed
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import AliasRow, ConfigurationRow, MovementRow, MovementState, PlayerRow
from croupier.ledger.sqlite import SqliteLedger
from croupier_conformance.ledger_dump import dump_ledger

DAY = 1_795_392_000_000
"""2026-11-23T00:00:00Z."""

MANY = 1_200
"""More than one page of the ledger."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each engine."""
    if request.param == "postgres":
        return str(request.getfixturevalue("database"))
    return f"sqlite:///{tmp_path}/ledger.sqlite"


def _movement(number: int) -> MovementRow:
    win = number % 3 == 2
    state = MovementState.OWED if number == 5 else MovementState.REVERSED if number % 50 == 0 else MovementState.APPLIED
    return MovementRow(
        operator="o-1",
        movement=f"m-{number}",
        play=f"play-{number}",
        ordinal=0,
        connection="c-1",
        player=f"s-{number % 7}",
        kind="win" if win else "bet",
        direction="credit" if win else "debit",
        state=state,
        amount=100 + number,
        currency="EUR",
        reference=f"r-{number - win}",  # a bet and a win may share an id
        fingerprint={},
        owner="hub",
        epoch=1,
        nonce="n",
        lease_until=0,
        created_at=DAY + number * 60_000,
    )


async def _fill(ledger: Any) -> None:
    at: Any = {"at": DAY, "who": "ann", "why": "a test"}
    operator = ConfigurationRow(operator="o-1", kind="operator", name="o-1", version=1, body={"name": "acme"}, **at)
    connection = ConfigurationRow(operator="o-1", kind="connection", name="c-1", version=1, body={"name": "soft"}, **at)
    await ledger.commit(Change(operator="o-1", configuration=(operator, connection)))
    for number in range(7):
        player = PlayerRow(operator="o-1", player=f"s-{number}", operator_player=f"p-{number}", created_at=DAY)
        await ledger.ensure_player(player)
        alias = AliasRow(operator="o-1", connection="c-1", alias=f"a-{number}", player=f"s-{number}")
        await ledger.ensure_alias(alias)
    commits = [ledger.commit(Change(operator="o-1", movements=(_movement(number),))) for number in range(MANY)]
    assert all(isinstance(result, Committed) for result in await asyncio.gather(*commits))


def _lines(id: Callable[[MovementRow], str], player: str) -> list[dict[str, Any]]:
    """A log that says what the hub's record says."""
    rows = [_movement(number) for number in range(MANY)]
    return [
        {
            "id": id(row),
            "kind": row.kind,
            "amount": row.amount,
            "currency": row.currency,
            "player": f"{player}-{row.player[2:]}",
            "state": "rolled_back" if row.state is MovementState.REVERSED else "applied",
            "at": f"2026-11-{23 + minute // 1440}T{minute // 60 % 24:02}:{minute % 60:02}:30Z",
        }
        for minute, row in enumerate(rows)
        if row.state is not MovementState.OWED
    ]


def _write(file: Path, lines: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def _told(url: str, folder: Path, tools: Any, story: Callable[[Callable[..., Any]], None]) -> None:
    """Run a story beside an open ledger that holds `MANY` movements, and see that it has not changed."""
    place: Any = folder / "ledger.sqlite" if url.startswith("sqlite") else url
    settings = tools.write_settings(folder, url)
    window = ("--since", "2026-11-23T01:00:00+00:00", "--until", "2026-11-23T19:00:00Z")

    def reconcile(*words: Any) -> Any:
        return tools.command("reconcile", settings, "acme", *window, *words)

    async def run() -> None:
        ledger: Any = SqliteLedger(place) if isinstance(place, Path) else PostgresLedger(place)
        await ledger.start()
        try:
            await _fill(ledger)
            before = dump_ledger(place)
            await asyncio.to_thread(story, reconcile)
            assert dump_ledger(place) == before
        finally:
            await ledger.close()

    asyncio.run(run())


def test_equal_books_have_no_case_whatever_is_owed_rolled_back_or_near_an_edge(
    url: str, tmp_path: Path, tools: Any
) -> None:
    operator = _write(tmp_path / "operator.jsonl", _lines(lambda row: row.movement, "p"))
    provider = _write(tmp_path / "provider.jsonl", _lines(lambda row: row.reference, "a")[::-1])

    def story(reconcile: Callable[..., Any]) -> None:
        done = reconcile("--operator-log", operator, "--provider-log", "soft", provider)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [
            "operator: 1080 transactions compared, 0 cases, 0 not decided yet",
            "soft: 1080 transactions compared, 0 cases, 0 not decided yet",
        ]

    _told(url, tmp_path, tools, story)


def test_one_of_each_class_is_found_in_both_logs(url: str, tmp_path: Path, tools: Any) -> None:
    def damaged(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines[100]["amount"] += 1
        lines[200]["currency"] = "SEK"
        lines[301]["state"] = "rolled_back"
        lines[400]["player"] = "somebody"
        return [*lines[:500], *lines[501:], lines[600], {**lines[700], "id": "nobody's"}]

    operator = _write(tmp_path / "operator.jsonl", damaged(_lines(lambda row: row.movement, "p")))
    provider = _write(tmp_path / "provider.jsonl", damaged(_lines(lambda row: row.reference, "a")))

    def story(reconcile: Callable[..., Any]) -> None:
        done = reconcile("--operator-log", operator, "--provider-log", "c-1", provider, "--json")
        assert done.returncode == 1, done.stderr
        cases = [json.loads(line) for line in done.stdout.splitlines()]
        for name, missing in (("operator", "missing_at_operator"), ("c-1", "missing_at_provider")):
            found = sorted(kind for case in cases if case["with"] == name for kind in case["case"])
            assert found == sorted(["amount", "currency", "state", "player", missing, "duplicate", "missing_at_hub"]), (
                name
            )
        (amount,) = [case for case in cases if case["with"] == "operator" and case["case"] == ["amount"]]
        assert amount["id"] == "m-101"
        assert [amount["entries"][side][0]["amount"] for side in ("hub", "operator")] == [201, 202]
        assert "somebody" not in done.stdout
        plain = reconcile("--operator-log", operator)
        assert plain.returncode == 1
        assert "operator  amount  m-101: hub win 201 EUR applied, operator win 202 EUR applied" in plain.stdout

    _told(url, tmp_path, tools, story)


def test_what_cannot_be_compared_is_told(tmp_path: Path, tools: Any) -> None:
    log = _write(tmp_path / "log.jsonl", [])
    bad = _write(tmp_path / "bad.jsonl", [{"id": "m-1"}])

    def story(reconcile: Callable[..., Any]) -> None:
        for words, status, told in (
            ((), 2, "Name a log"),
            (("--operator-log", log, "--since", "yesterday"), 2, "offset"),
            (("--operator-log", log, "--until", "2026-11-23T00:30:00Z"), 2, "before"),
            (("--provider-log", "nobody", log), 1, "no such connection"),
            (("--operator-log", bad), 3, "bad.jsonl:1"),
        ):
            done = reconcile(*words)
            assert (done.returncode, told in done.stderr) == (status, True), done.stderr

    _told(f"sqlite:///{tmp_path}/ledger.sqlite", tmp_path, tools, story)
    settings = tools.write_settings(tmp_path, f"sqlite:///{tmp_path}/none.sqlite")
    words = ("acme", "--since", "2026-11-23T00:00:00Z", "--until", "2026-11-24T00:00:00Z", "--operator-log", log)
    done = tools.command("reconcile", settings, *words)
    assert (done.returncode, "there is no ledger" in done.stderr) == (3, True)
    assert not (tmp_path / "none.sqlite").exists()
