"""Rounds that stay open: how one stands, and what two administrators decide about it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from croupier.configuration.documents import Kind
from croupier.ledger.port import RoundFilter
from croupier.ledger.records import RoundRow, RoundState
from croupier.wallet.open_rounds import Standing
from croupier.web.admin_api.messages import (
    RoundCompleteBody,
    RoundEntry,
    RoundList,
    RoundsQuery,
    RoundStanding,
    RoundVoidBody,
)
from croupier.web.admin_api.parts import AdminAsk, AdminParts, Plain
from croupier.web.api import Nothing
from croupier.web.paging import milliseconds_or_none, moment, moment_or_none, next_cursor, page_of


@frozen
class Rounds:
    """Handlers about rounds."""

    parts: AdminParts

    async def list_open(self, ask: AdminAsk[RoundsQuery, Nothing]) -> RoundList:
        """One page of an operator's open rounds, the longest open first."""
        operator, query = ask.path["operator"], ask.query
        self.parts.configuration.get(operator, Kind.OPERATOR, operator)
        which = RoundFilter(
            state=RoundState.OPEN.value,
            since=milliseconds_or_none(query.opened_since),
            until=milliseconds_or_none(query.opened_before),
        )
        rows = await self.parts.ledger.rounds(operator, None, page_of(query.cursor, query.limit), which)
        return RoundList(
            rounds=tuple(RoundEntry(**_entry(row)) for row in rows[: query.limit]),
            next_cursor=next_cursor([(row.opened_at, row.round) for row in rows], query.limit),
        )

    async def standing(self, ask: Plain) -> RoundStanding:
        """How a round stands, and what is proposed for it."""
        return _told(await self.parts.rounds.standing(ask.path["operator"], ask.path["round"]))

    async def void(self, ask: AdminAsk[Nothing, RoundVoidBody]) -> RoundStanding:
        """Give a round's stakes back: the first administrator proposes, the second confirms."""
        standing = await self.parts.rounds.void(
            ask.path["operator"], ask.path["round"], who=ask.caller.name, why=ask.body.why
        )
        return _told(standing)

    async def complete(self, ask: AdminAsk[Nothing, RoundCompleteBody]) -> RoundStanding:
        """End a round as it stands: likewise."""
        standing = await self.parts.rounds.complete(
            ask.path["operator"], ask.path["round"], who=ask.caller.name, why=ask.body.why, short=ask.body.short
        )
        return _told(standing)


def _told(standing: Standing) -> RoundStanding:
    proposal = standing.proposal
    return RoundStanding(
        **_entry(standing.row),
        staked=standing.staked,
        won=standing.won,
        short=standing.short,
        proposed=proposal.decision if proposal else None,
        proposed_by=proposal.who if proposal else None,
    )


def _entry(row: RoundRow) -> dict[str, Any]:
    return {
        "operator": row.operator,
        "id": row.round,
        "connection": row.connection,
        "provider_round": row.provider_round,
        "game": row.game,
        "state": row.state,
        "opened_at": moment(row.opened_at),
        "closed_at": moment_or_none(row.closed_at),
        "bets": row.bets,
        "wins": row.wins,
        "currency": row.currency,
    }
