"""Reads the three books from those who keep them, and compares them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from attrs import frozen

from croupier_conformance.books import Account, Comparison, Difference, Entry, compare
from demo_hub import Api

UNFINISHED: Final = ("intent", "owed", "fenced", "reversing")
"""States of the hub's movements that must not be left."""


@frozen(kw_only=True)
class Sources:
    """Where the books are: every provider by name, the hub's operator API, the operator's wallet."""

    providers: Mapping[str, Api]
    hub: Api
    wallet: Api


async def unfinished(hub: Api) -> int:
    """How many movements the hub has not brought to an end, as far as one page of each state tells."""
    pages = [await hub.ask("GET", "/v1/transactions", state=state, limit="500") for state in UNFINISHED]
    return sum(len(page["transactions"]) for page in pages)


async def read_and_compare(sources: Sources) -> Comparison:
    """The comparison of the three books; work that was left is a difference too."""
    at_providers = []
    for name, provider in sources.providers.items():
        rows = (await provider.ask("GET", "/-/book"))["entries"]
        at_providers += [
            Entry(transaction=id_, player=player, kind=kind, amount=amount, provider=name)
            for id_, player, kind, amount in rows
        ]
    movements = [row async for row in _transactions(sources.hub)]
    book = await sources.wallet.ask("GET", "/book")
    at_operator = [
        Entry(transaction=row["transaction"], player=row["player"], kind=row["operation"], amount=row["amount"])
        for row in book["movements"]
        if row["state"] == "applied" and row["operation"] in {"bet", "win"}
    ]
    accounts = [
        Account(player=row["player"], opening=row["opening"], balance=row["balance"]) for row in book["accounts"]
    ]
    found = compare(at_providers, [_entry(row) for row in movements if _stands(row)], at_operator, accounts)
    left = [
        Difference(what=f"{row['connection']}/{row['reference']}: the hub left it {row['state']}", size=1)
        for row in movements
        if row["state"] in {*UNFINISHED, "held"}
    ]
    return found.with_more(left)


async def _transactions(hub: Api) -> AsyncIterator[Any]:
    query = {"limit": "500"}
    while True:
        page = await hub.ask("GET", "/v1/transactions", **query)
        for row in page["transactions"]:
            yield row
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def _stands(row: Mapping[str, Any]) -> bool:
    return row["state"] == "applied" and row["direction"] in {"debit", "credit"}


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        transaction=row["id"],
        player=row["player"] or "",
        kind="bet" if row["direction"] == "debit" else "win",
        amount=row["amount"]["amount"],
        provider=row["connection"],
        reference=row["reference"],
    )
