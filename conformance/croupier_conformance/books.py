"""Three books of one thing: what the provider, the hub and the operator hold, compared transaction by transaction.

A book has the bets and wins that *stand*: acknowledged and not rolled back. Nothing is compared by totals: two errors
that cancel out in a sum are two differences here. The players' balances are compared last, for a movement that stands
in no book may have moved money all the same (a rollback that was paid twice).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, unique

from attrs import evolve, field, frozen


@unique
class Side(Enum):
    """Whose book."""

    PROVIDER = "provider"
    HUB = "hub"
    OPERATOR = "operator"


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

    The provider's entries meet the hub's by provider and reference, the hub's meet the operator's by the hub's id.

    Args:
        provider: What every provider holds, by its own rules; `transaction` is its own id.
        hub: The hub's record; `transaction` is its id, `reference` the provider's.
        operator: The operator's record; `transaction` is the hub's id.
        accounts: Every player's opening balance and balance at the operator.
    """
    hub_rows = list(hub)
    at_provider, twice_p = _by_key(provider, Side.PROVIDER, lambda row: f"{row.provider}/{row.transaction}")
    at_hub, twice_h = _by_key(hub_rows, Side.HUB, lambda row: f"{row.provider}/{row.reference}")
    at_operator, twice_o = _by_key(operator, Side.OPERATOR, lambda row: row.transaction)
    names = {row.transaction: name for name, row in at_hub.items()}
    operator_by_name = {names.get(id_, id_): row for id_, row in at_operator.items()}
    found = [*twice_p, *twice_h, *twice_o]
    every = {**at_provider, **at_hub, **operator_by_name}
    for name in every:
        found += _compare(name, at_provider.get(name), at_hub.get(name), operator_by_name.get(name))
    found += _balances(at_provider.values(), accounts)
    providers = {name: row.provider for name, row in {**operator_by_name, **at_hub, **at_provider}.items()}
    books = {Side.PROVIDER: at_provider, Side.HUB: at_hub, Side.OPERATOR: operator_by_name}
    return Comparison(transactions=len(every), differences=tuple(found), totals=_totals(books, providers))


def _by_key(
    rows: Iterable[Entry], side: Side, key: Callable[[Entry], str]
) -> tuple[dict[str, Entry], list[Difference]]:
    known: dict[str, Entry] = {}
    twice: list[Difference] = []
    for row in rows:
        name = key(row)
        if name in known:
            twice.append(Difference(what=f"{name} stands twice in the {side.value}'s book", size=max(row.amount, 1)))
        known[name] = row
    return known, twice


def _compare(name: str, *rows: Entry | None) -> list[Difference]:
    """One transaction in the three books, in the order of `Side`."""
    found = {side: row for side, row in zip(Side, rows, strict=True) if row is not None}
    contents = {(row.kind, row.player, row.amount) for row in found.values()}
    if len(found) == len(Side) and len(contents) == 1:
        return []
    amounts = [found[side].amount if side in found else 0 for side in Side]
    size = max(max(amounts) - min(amounts), 1)
    told = ", ".join(f"{side.value} {_told(found.get(side))}" for side in Side)
    return [Difference(what=f"{name}: {told}", size=size)]


def _told(row: Entry | None) -> str:
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
