"""Rows of the ledger as the operator sees them: its own names for players and connections, amounts with their scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from croupier.configuration.directory import LiveOperator
from croupier.contract import Currencies, UnknownCurrencyError
from croupier.ledger.port import Ledger
from croupier.ledger.records import AdjustmentRow, GrantRow, MovementRow, RoundRow, SessionRow
from croupier.reconciliation.hub_book import OPERATOR_BOOK, entry_of, reading
from croupier.web.operator_api.messages import (
    Adjustment,
    Amount,
    FreeRounds,
    FreeRoundsState,
    Round,
    Session,
    Transaction,
)
from croupier.web.paging import moment, moment_or_none


@frozen(kw_only=True)
class Names:
    """What an operator calls things.

    Attributes:
        players: Surrogate to the operator's own id.
        connections: A connection's id to its name.
        currencies: The registered currencies.
    """

    players: Mapping[str, str]
    connections: Mapping[str, str]
    currencies: Currencies

    def connection(self, id: str) -> str:
        """A connection's name; its id, where it was deleted."""
        return self.connections.get(id, id)

    def amount(self, minor: int | None, currency: str) -> Amount | None:
        """An amount with its scale; `None` where there is none or the currency is not known."""
        if minor is None or not currency:
            return None
        try:
            scale = self.currencies.get(currency).scale
        except UnknownCurrencyError:
            return None
        return Amount(amount=minor, currency=currency, scale=scale)


async def names_of(ledger: Ledger, operator: LiveOperator, surrogates: Iterable[str]) -> Names:
    """Look up the names that rows need."""
    players = {}
    for surrogate in {each for each in surrogates if each}:
        row = await ledger.player(operator.id, surrogate)
        if row is not None:
            players[surrogate] = row.operator_player
    connections = {live.id: live.name for live in operator.connections.values()}
    connections |= {down.id: down.name for down in operator.down.values()}
    return Names(players=players, connections=connections, currencies=operator.currencies)


def session_view(row: SessionRow, names: Names) -> Session:
    """A session as the operator sees it."""
    return Session(
        id=row.session,
        state=row.state,
        player=names.players.get(row.player),
        connection=names.connection(row.connection),
        game=row.game,
        currency=row.currency,
        demo=row.demo,
        created_at=moment(row.created_at),
        expires_at=moment(row.expires_at),
        seen_at=moment_or_none(row.seen_at),
        facts=dict(row.facts),
    )


async def adjustments_of(
    ledger: Ledger, operator: LiveOperator, rows: Sequence[MovementRow]
) -> Mapping[str, AdjustmentRow]:
    """How some of these movements are to be read against the operator's book, by id: as they stand now."""
    now = {row.movement: reading(entry_of(row, OPERATOR_BOOK)) for row in rows}
    found = await ledger.adjustments_of(operator.id, OPERATOR_BOOK, list(now)) if now else ()
    return {row.reference: row for row in found if row.before == now[row.reference]}


def transaction_view(row: MovementRow, names: Names, adjusted: Mapping[str, AdjustmentRow]) -> Transaction:
    """A movement as the operator sees it."""
    return Transaction(
        id=row.movement,
        kind=row.kind,
        direction=row.direction,
        state=row.state,
        amount=names.amount(row.amount, row.currency),
        stake=names.amount(row.stake, row.currency),
        funding=row.funding,
        player=names.players.get(row.player),
        round=row.round,
        session=row.session,
        connection=names.connection(row.connection),
        game=row.game,
        reference=row.reference,
        target=row.target,
        free_rounds=row.grant,
        reason=row.reason,
        operator_transaction=row.operator_transaction,
        balance=names.amount(row.balance, row.currency),
        created_at=moment(row.created_at),
        settled_at=moment_or_none(row.settled_at),
        adjusted=_adjustment_view(adjusted[row.movement], names) if row.movement in adjusted else None,
    )


def _adjustment_view(row: AdjustmentRow, names: Names) -> Adjustment:
    return Adjustment(
        kind=row.kind,
        state=row.state,
        amount=names.amount(row.amount, row.currency),
        case=row.case,
        made_at=moment(row.made_at),
    )


def round_view(row: RoundRow, names: Names) -> Round:
    """A round as the operator sees it."""
    return Round(
        id=row.round,
        provider_round=row.provider_round,
        connection=names.connection(row.connection),
        player=names.players.get(row.player),
        game=row.game,
        currency=row.currency,
        state=row.state,
        bets=row.bets,
        wins=row.wins,
        opened_at=moment(row.opened_at),
        closed_at=moment_or_none(row.closed_at),
    )


def free_rounds_view(row: GrantRow, names: Names) -> FreeRounds:
    """A grant as the operator sees it."""
    return FreeRounds(
        reference=row.operator_grant or row.grant,
        provider_reference=row.grant,
        state=FreeRoundsState(row.state),
        player=names.players.get(row.player),
        connection=names.connection(row.connection),
        games=row.games,
        rounds=row.rounds,
        bet=names.amount(row.bet, row.currency),
        valid_from=moment(row.valid_from),
        valid_until=moment(row.valid_until),
        created_at=moment(row.created_at),
    )
