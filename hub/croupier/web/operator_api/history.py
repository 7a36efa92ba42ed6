"""Sessions, rounds and transactions, as the ledger has them."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from croupier.contract import NotFoundError
from croupier.ledger.port import Look, MovementFilter, RoundFilter
from croupier.ledger.records import MovementRow, RoundRow
from croupier.web.api import Nothing
from croupier.web.operator_api.messages import (
    HistoryQuery,
    PageQuery,
    PlayerPageQuery,
    RoundAnswer,
    Rounds,
    RoundsQuery,
    Session,
    Sessions,
    Transaction,
    Transactions,
    TransactionsQuery,
)
from croupier.web.operator_api.parts import Caller, OperatorAsk, Parts, Plain
from croupier.web.operator_api.views import adjustments_of, names_of, round_view, session_view, transaction_view
from croupier.web.paging import milliseconds_or_none, next_cursor, page_of


@frozen
class History:
    """Handlers about what happened."""

    parts: Parts

    async def list_sessions(self, ask: OperatorAsk[PlayerPageQuery, Nothing]) -> Sessions:
        """One page of sessions."""
        page = page_of(ask.query.cursor, ask.query.limit)
        player = await self._surrogate(ask.caller, ask.query.player)
        if player == "":
            return Sessions(sessions=(), next_cursor=None)
        rows = await self.parts.ledger.sessions(ask.caller.operator.id, player, page)
        shown = rows[: ask.query.limit]
        names = await names_of(self.parts.ledger, ask.caller.operator, [row.player for row in shown])
        places = [(row.created_at, row.session) for row in rows]
        return Sessions(
            sessions=tuple(session_view(row, names) for row in shown),
            next_cursor=next_cursor(places, ask.query.limit),
        )

    async def get_session(self, ask: Plain) -> Session:
        """One session."""
        row = await self.parts.ledger.session(ask.caller.operator.id, ask.path["session"])
        if row is None:
            raise NotFoundError("there is no such session")
        return session_view(row, await names_of(self.parts.ledger, ask.caller.operator, [row.player]))

    async def get_round(self, ask: Plain) -> RoundAnswer:
        """One round with its movements."""
        operator = ask.caller.operator
        seen = await self.parts.ledger.look(Look(operator=operator.id, round=ask.path["round"], round_movements=True))
        if seen.round is None:
            raise NotFoundError("there is no such round")
        surrogates = [seen.round.player, *(row.player for row in seen.round_movements)]
        names = await names_of(self.parts.ledger, operator, surrogates)
        adjusted = await adjustments_of(self.parts.ledger, operator, seen.round_movements)
        return RoundAnswer(
            round=round_view(seen.round, names),
            transactions=tuple(transaction_view(row, names, adjusted) for row in seen.round_movements),
        )

    async def get_transaction(self, ask: Plain) -> Transaction:
        """One transaction."""
        row = await self.parts.ledger.movement(ask.caller.operator.id, ask.path["transaction"])
        if row is None:
            raise NotFoundError("there is no such transaction")
        names = await names_of(self.parts.ledger, ask.caller.operator, [row.player])
        return transaction_view(row, names, await adjustments_of(self.parts.ledger, ask.caller.operator, [row]))

    async def list_transactions(self, ask: OperatorAsk[TransactionsQuery, Nothing]) -> Transactions:
        """One page of transactions."""
        query = ask.query
        player = await self._surrogate(ask.caller, query.player)
        which = MovementFilter(
            player=player,
            connection=_connection_id(ask.caller, query.connection),
            round=query.round,
            state=query.state.value if query.state else None,
            since=milliseconds_or_none(query.since),
            until=milliseconds_or_none(query.until),
        )
        return await self._transactions(ask.caller, which, query.cursor, query.limit)

    async def player_transactions(self, ask: OperatorAsk[HistoryQuery, Nothing]) -> Transactions:
        """One page of a player's transactions."""
        query = ask.query
        player = await self._known(ask.caller, ask.path["player"])
        which = MovementFilter(
            player=player, since=milliseconds_or_none(query.since), until=milliseconds_or_none(query.until)
        )
        return await self._transactions(ask.caller, which, query.cursor, query.limit)

    async def list_rounds(self, ask: OperatorAsk[RoundsQuery, Nothing]) -> Rounds:
        """One page of rounds."""
        query = ask.query
        page = page_of(query.cursor, query.limit)
        player = await self._surrogate(ask.caller, query.player)
        if player == "":
            return Rounds(rounds=(), next_cursor=None)
        which = RoundFilter(
            state=query.state.value if query.state else None,
            since=milliseconds_or_none(query.opened_since),
            until=milliseconds_or_none(query.opened_before),
        )
        rows = await self.parts.ledger.rounds(ask.caller.operator.id, player, page, which)
        return await self._rounds(ask.caller, rows, query.limit)

    async def player_rounds(self, ask: OperatorAsk[PageQuery, Nothing]) -> Rounds:
        """One page of a player's rounds."""
        page = page_of(ask.query.cursor, ask.query.limit)
        player = await self._known(ask.caller, ask.path["player"])
        rows = await self.parts.ledger.rounds(ask.caller.operator.id, player, page)
        return await self._rounds(ask.caller, rows, ask.query.limit)

    async def _rounds(self, caller: Caller, rows: Sequence[RoundRow], limit: int) -> Rounds:
        shown = rows[:limit]
        names = await names_of(self.parts.ledger, caller.operator, [row.player for row in shown])
        places = [(row.opened_at, row.round) for row in rows]
        return Rounds(rounds=tuple(round_view(row, names) for row in shown), next_cursor=next_cursor(places, limit))

    async def _transactions(
        self, caller: Caller, which: MovementFilter, cursor: str | None, limit: int
    ) -> Transactions:
        page = page_of(cursor, limit)
        rows: Sequence[MovementRow] = ()
        if which.player != "" and which.connection != "":
            rows = await self.parts.ledger.movements(caller.operator.id, which, page)
        shown = rows[:limit]
        names = await names_of(self.parts.ledger, caller.operator, [row.player for row in shown])
        adjusted = await adjustments_of(self.parts.ledger, caller.operator, shown)
        places = [(row.created_at, row.movement) for row in rows]
        return Transactions(
            transactions=tuple(transaction_view(row, names, adjusted) for row in shown),
            next_cursor=next_cursor(places, limit),
        )

    async def _surrogate(self, caller: Caller, player: str | None) -> str | None:
        """The surrogate of a player to filter by: `None` for no filter, empty for a player who never was."""
        if player is None:
            return None
        row = await self.parts.ledger.player_by_operator_id(caller.operator.id, player)
        return row.player if row else ""

    async def _known(self, caller: Caller, player: str) -> str:
        surrogate = await self._surrogate(caller, player)
        if not surrogate:
            raise NotFoundError("there is no such player")
        return surrogate


def _connection_id(caller: Caller, name: str | None) -> str | None:
    """The id of a connection to filter by: `None` for no filter, empty for one that never was."""
    if name is None:
        return None
    operator = caller.operator
    ids = {live.name: live.id for live in operator.connections.values()}
    ids |= {down.name: down.id for down in operator.down.values()}
    if name in ids:
        return ids[name]
    return name if name in {*ids.values(), *operator.parties} else ""
