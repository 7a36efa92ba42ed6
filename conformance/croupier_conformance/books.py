"""Three books of one thing: what the provider, the hub and the operator hold, compared transaction by transaction.

A book has the bets and wins that *stand*: acknowledged and not rolled back. Nothing is compared by totals: two errors
that cancel out in a sum are two differences here. The players' balances are compared last, for a movement that stands
in no book may have moved money all the same (a rollback that was paid twice).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from attrs import evolve, field, frozen

from croupier.reconciliation import compare as reconciliation
from croupier.reconciliation.compare import Side

__all__ = ["Account", "Comparison", "Difference", "Entry", "Side", "Totals", "compare"]


@frozen(kw_only=True)
class Entry:
    """One bet or win that stands.

    Attributes:
        transaction: What the book's keeper calls it. In the hub's book: the hub's id.
        player: The operator's id of the player.
        kind: `bet` or `win`.
        amount: Minor units, never negative.
        provider: The connection's name.
        reference: In the hub's book: what the provider calls it.
    """

    transaction: str
    player: str
    kind: str
    amount: int
    provider: str = ""
    reference: str = ""

    @property
    def signed(self) -> int:
        """What it changed the balance by."""
        return self.amount if self.kind == "win" else -self.amount


@frozen(kw_only=True)
class Account:
    """A player's money at the operator, in minor units."""

    player: str
    opening: int
    balance: int


@frozen(kw_only=True)
class Difference:
    """One thing that is not equal in all three books.

    Attributes:
        what: For people.
        size: Minor units, at least 1.
    """

    what: str
    size: int


@frozen(kw_only=True)
class Totals:
    """A book added up, for the table: nothing is decided by it."""

    bets: int
    staked: int
    wins: int
    paid: int

    @property
    def net(self) -> int:
        """What the players have won, in minor units."""
        return self.paid - self.staked


@frozen(kw_only=True)
class Comparison:
    """What came of it.

    Attributes:
        transactions: How many transactions were compared.
        differences: Everything that is not equal.
        totals: Each book added up, by provider and side.
    """

    transactions: int
    differences: tuple[Difference, ...] = ()
    totals: Mapping[tuple[str, Side], Totals] = field(factory=dict)

    @property
    def difference(self) -> int:
        """The sum of all differences in minor units, where something that is missing counts at least 1."""
        return sum(found.size for found in self.differences)

    def with_more(self, differences: Iterable[Difference]) -> Comparison:
        """This, with differences that were found elsewhere."""
        return evolve(self, differences=(*self.differences, *differences))


def compare(
    provider: Iterable[Entry], hub: Iterable[Entry], operator: Iterable[Entry], accounts: Iterable[Account]
) -> Comparison:
    """Compare three books and the balances.

    The provider's entries meet the hub's by provider and reference, the hub's meet the operator's by the hub's id. A
    win that has its bet's reference is told apart by its kind.

    Args:
        provider: What every provider holds, by its own rules; `transaction` is its own id.
        hub: The hub's record; `transaction` is its id, `reference` the provider's.
        operator: The operator's record; `transaction` is the hub's id.
        accounts: Every player's opening balance and balance at the operator.
    """
    hub_rows, provider_rows = list(hub), list(provider)
    names = dict(zip([row.transaction for row in hub_rows], _named(hub_rows, "reference"), strict=True))
    books = {
        Side.PROVIDER: list(zip(_named(provider_rows, "transaction"), provider_rows, strict=True)),
        Side.HUB: [(names[row.transaction], row) for row in hub_rows],
        Side.OPERATOR: [(names.get(row.transaction, row.transaction), row) for row in operator],
    }
    found: list[Difference] = []
    for case in reconciliation.compare({side: _in_order(rows) for side, rows in books.items()}):
        found += _differences(case)
    found += _balances((row for _, row in books[Side.PROVIDER]), accounts)
    by_name = {side: dict(rows) for side, rows in books.items()}
    every = {**by_name[Side.OPERATOR], **by_name[Side.HUB], **by_name[Side.PROVIDER]}
    providers = {name: row.provider for name, row in every.items()}
    return Comparison(transactions=len(every), differences=tuple(found), totals=_totals(by_name, providers))


def _named(rows: Sequence[Entry], by: str) -> list[str]:
    """What the provider calls each entry, with its own name for the win of a bet and win under one id."""
    named = [(f"{row.provider}/{getattr(row, by)}", row.kind) for row in rows]
    bets = {name for name, kind in named if kind == "bet"}
    return [f"{name}#win" if kind == "win" and name in bets else name for name, kind in named]


def _in_order(rows: Iterable[tuple[str, Entry]]) -> list[reconciliation.Entry]:
    found = [reconciliation.Entry(id=id_, kind=row.kind, amount=row.amount, player=row.player) for id_, row in rows]
    return sorted(found, key=attrgetter("id"))


def _differences(case: reconciliation.Case) -> list[Difference]:
    """What stands twice in a book, and what is not the same in all three."""
    found = [
        Difference(what=f"{case.id} stands twice in the {side.value}'s book", size=max(again.amount, 1))
        for side, entries in case.entries.items()
        for again in entries[1:]
    ]
    if set(case.kinds) <= {reconciliation.CaseKind.DUPLICATE}:
        return found
    first = {side: entries[0] for side, entries in case.entries.items()}
    amounts = [first[side].amount if side in first else 0 for side in Side]
    told = ", ".join(f"{side.value} {_told(first.get(side))}" for side in Side)
    return [*found, Difference(what=f"{case.id}: {told}", size=max(max(amounts) - min(amounts), 1))]


def _told(row: reconciliation.Entry | None) -> str:
    return "nothing" if row is None else f"{row.kind} {row.amount}"


def _balances(entries: Iterable[Entry], accounts: Iterable[Account]) -> list[Difference]:
    """Every player's balance against what the providers hold."""
    moved: dict[str, int] = {}
    for row in entries:
        moved[row.player] = moved.get(row.player, 0) + row.signed
    known = {account.player: account for account in accounts}
    found = []
    for player in sorted({*moved, *known}):
        account = known.get(player)
        expected = (account.opening if account else 0) + moved.get(player, 0)
        balance = account.balance if account else 0
        if expected != balance:
            what = f"player {player}: the balance is {balance}, by the provider's book it is {expected}"
            found.append(Difference(what=what, size=abs(expected - balance)))
    return found


def _totals(books: Mapping[Side, Mapping[str, Entry]], providers: Mapping[str, str]) -> dict[tuple[str, Side], Totals]:
    found: dict[tuple[str, Side], list[Entry]] = {}
    for side, rows in books.items():
        for name, row in rows.items():
            found.setdefault((providers[name], side), []).append(row)
    return {key: _added(rows) for key, rows in found.items()}


def _added(rows: Sequence[Entry]) -> Totals:
    bets = [row.amount for row in rows if row.kind == "bet"]
    wins = [row.amount for row in rows if row.kind == "win"]
    return Totals(bets=len(bets), staked=sum(bets), wins=len(wins), paid=sum(wins))
