"""The end of a crash run: what is owed drains, and three books are compared transaction by transaction."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
from attrs import define, field, frozen
from tests.chaos.stand import ApiError, Stand

from croupier_conformance.books import Account, Comparison, Difference, Entry, compare

UNFINISHED: Final = ("intent", "owed", "fenced", "reversing")
"""States of the hub's movements that must not be left."""

EXPLAINED: Final = frozenset({"StoreUnavailableError"})
"""Errors of a hub that follow from a database that is away."""

SHOWN: Final = 5
"""How many differences are told with their exchanges."""


@frozen(kw_only=True)
class Closing:
    """What was found.

    Attributes:
        drained_seconds: From the last fault until nothing was under way or owed; `None` if that did not come.
        comparison: Of the three books.
        movements: Of the hub's ledger by state.
        kinds: Of the hub's ledger by direction.
        held: Work that waits for a person.
        left: Whatever is not at rest.
        traces: The exchanges of the first differences.
        replayed: How many requests of the providers were sent once more at the end.
        moved_by_replay: How many movements of the wallet that made.
    """

    drained_seconds: float | None
    comparison: Comparison
    movements: Mapping[str, int]
    kinds: Mapping[str, int]
    held: int
    left: Sequence[str] = ()
    traces: Sequence[str] = ()
    replayed: int = 0
    moved_by_replay: int = 0


@define(eq=False)
class Auditor:
    """Reads the books of everybody.

    Attributes:
        stand: The parties.
        rows: The hub's record, as its operator API tells it.
    """

    stand: Stand
    rows: list[Any] = field(factory=list)

    async def close(self, drain_seconds: float) -> Closing:
        """Wait until everything is at rest, and compare."""
        begun = time.monotonic()
        left = await self._drain(begun + drain_seconds)
        drained = None if left else time.monotonic() - begun
        before = self._moved()
        replayed = await self.stand.tell_providers("POST", "/-/replay") if not left else {}
        left += await self._drain(time.monotonic() + drain_seconds) if not left else []
        self.rows = await self._transactions()
        comparison = await self._compare()
        held = await self._deliveries("held")
        return Closing(
            drained_seconds=drained,
            comparison=comparison,
            movements=Counter(row["state"] for row in self.rows),
            kinds=Counter(row["direction"] for row in self.rows),
            held=len(held),
            left=[*left, *(f"held: {row}" for row in held[:SHOWN])],
            traces=await self._traces(comparison.differences[:SHOWN]),
            replayed=sum(sum(answers.values()) for answers in replayed.values()),
            moved_by_replay=self._moved() - before,
        )

    async def _drain(self, end: float) -> list[str]:
        """Wait until nobody waits for anybody; what is left then."""
        while left := await self._unfinished():
            if time.monotonic() > end:
                return left
            await asyncio.sleep(0.2)
        return []

    async def _unfinished(self) -> list[str]:
        try:
            states = await self.stand.tell_providers("GET", "/-/state")
            left = [f"{name} waits for answers" for name, state in states.items() if not state["finished"]]
            if left:
                return left
            for state in UNFINISHED:
                page = await self.stand.operators.ask("GET", "/v1/transactions", state=state, limit="500")
                left += [f"{state}: {row['connection']}/{row['reference']}" for row in page["transactions"]]
            return left + [f"owed: {row}" for row in await self._deliveries("owed")]
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            return [f"a hub does not answer: {error}"]

    async def _deliveries(self, state: str) -> list[Any]:
        told = await self.stand.admin.ask("GET", "/admin/v1/deliveries", state=state, limit="1000")
        found: list[Any] = told["deliveries"]
        return found

    # --- the books ----------------------------------------------------------------------------------------------------

    async def _compare(self) -> Comparison:
        books = await self.stand.tell_providers("GET", "/-/book")
        at_providers = [
            Entry(transaction=id_, player=player, kind=kind, amount=amount, provider=name)
            for name, rows in books.items()
            for id_, player, kind, amount in rows
        ]
        accounts, at_operator = self._wallet_book()
        at_hub = [_entry(row) for row in self.rows if row["state"] == "applied" and row["direction"] != "reversal"]
        found = compare(at_providers, at_hub, at_operator, accounts)
        left = [
            Difference(what=f"{row['connection']}/{row['reference']}: the hub left it {row['state']}", size=1)
            for row in self.rows
            if row["state"] in {*UNFINISHED, "held"}
        ]
        return found.with_more(left)

    async def _transactions(self) -> list[Any]:
        """The hub's record, page by page."""
        query, rows = {"limit": "500"}, []
        while True:
            page = await self.stand.operators.ask("GET", "/v1/transactions", **query)
            rows += page["transactions"]
            if page["next_cursor"] is None:
                return rows
            query["cursor"] = page["next_cursor"]

    def _wallet(self, query: str) -> list[Any]:
        """The operator's truth, past every process."""
        with sqlite3.connect(f"file:{self.stand.plan.folder}/wallet.sqlite?mode=ro", uri=True) as book:
            rows = book.execute(query).fetchall()
        book.close()
        return rows

    def _moved(self) -> int:
        return int(self._wallet("SELECT count(*) FROM movements WHERE moved <> 0")[0][0])

    def _wallet_book(self) -> tuple[list[Account], list[Entry]]:
        accounts = [
            Account(player=player, opening=opening, balance=balance)
            for player, opening, balance in self._wallet("SELECT player, opening, balance FROM accounts")
        ]
        stands = (
            "SELECT id, player, operation, amount FROM movements WHERE state = 'applied' AND operation <> 'rollback'"
        )
        entries = [
            Entry(transaction=id_, player=player, kind=kind, amount=amount)
            for id_, player, kind, amount in self._wallet(stands)
        ]
        return accounts, entries

    # --- the story of a difference ------------------------------------------------------------------------------------

    async def _traces(self, differences: Sequence[Difference]) -> list[str]:
        by_name = {f"{row['connection']}/{row['reference']}": row for row in self.rows}
        told: list[str] = []
        for difference in differences:
            told.append(difference.what)
            name = difference.what.partition(": ")[0].removesuffix(" stands twice in the")
            row = by_name.get(name) or next((row for row in self.rows if row["id"] == name.partition("/")[0]), None)
            if row is None:
                continue
            beside = [row, *(each for each in self.rows if each["round"] == row["round"] and each is not row)]
            told += [f"  hub: {_without_nulls(each)}" for each in beside]
            for each in beside:
                told += [f"  wallet: {found}" for found in self._of_wallet(each["id"])]
                told += await self._exchanges(each["id"])
        return told

    def _of_wallet(self, transaction: str) -> list[Any]:
        if not re.fullmatch(r"[\w-]+", transaction):
            return []
        return self._wallet(f"SELECT * FROM movements WHERE id = '{transaction}' OR target = '{transaction}'")  # noqa: S608 # checked above

    async def _exchanges(self, movement: str) -> list[str]:
        path = f"/admin/v1/operators/{self.stand.operator}/exchanges"
        found = (await self.stand.admin.ask("GET", path, movement=movement))["exchanges"]
        traces = dict.fromkeys(row["trace"] for row in found)
        for trace in traces:
            found += (await self.stand.admin.ask("GET", path, trace=trace))["exchanges"]
        unique = {row["id"]: row for row in found}
        return [
            f"  {row['started_at']} {row['side']} {row['operation']} {row['status']} {row['verdict']}"
            f" {row['request'][:400]} -> {row['response'][:400]}"
            for row in sorted(unique.values(), key=lambda row: row["started_at"])
        ]


def faults_in_logs(files: Iterable[Path]) -> Counter[str]:
    """What the hubs logged as an error that no fault of the run explains, and every trace that Python printed."""
    found: Counter[str] = Counter()
    for file in files:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("Traceback"):
                    found[f"{file.stem}.log: a traceback"] += 1
                elif line.startswith("{") and '"level":"error"' in line:
                    told = json.loads(line)
                    fault = told.get("fault")
                    if fault is not None and fault not in EXPLAINED:
                        place = (told.get("places") or ["nowhere"])[-1]
                        found[f"{file.stem}.log: {told['event']} {fault} at {place}"] += 1
    return found


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        transaction=row["id"],
        player=row["player"] or "",
        kind="bet" if row["direction"] == "debit" else "win",
        amount=row["amount"]["amount"],
        provider=row["connection"],
        reference=row["reference"],
    )


def _without_nulls(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
