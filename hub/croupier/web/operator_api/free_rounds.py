"""Free rounds: given once by the operator's reference, recorded before the provider hears of them.

The hub's grant id is derived from the operator's reference, so a repeat, also after a crash, names the same grant to
the provider. Where a provider calls it otherwise in its wallet calls, a second row under the provider's reference is
stored with the confirmation, and the first one points there by its state `replaced`.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from croupier.configuration.directory import LiveConnection
from croupier.contract import (
    Capability,
    ConflictError,
    DeclinedError,
    FreeRoundsIssued,
    FreeRoundsQuery,
    MalformedRequestError,
    NotFoundError,
    ProviderRefusedError,
    RetryLaterError,
    UnsupportedOperationError,
    WireCurrency,
)
from croupier.ledger.port import Change, Page, Refused
from croupier.ledger.records import Event, GrantRow, PlayerRow
from croupier.sessions.players import check_operator_player
from croupier.wallet.identity import derived_id
from croupier.web.api import Nothing
from croupier.web.operator_api.messages import FreeRounds, FreeRoundsBody, FreeRoundsPage, PlayerPageQuery
from croupier.web.operator_api.parts import Caller, OperatorAsk, Parts, Plain
from croupier.web.operator_api.views import free_rounds_view, names_of
from croupier.web.paging import milliseconds_of, moment, next_cursor, page_of

ISSUING: Final = "issuing"
ACTIVE: Final = "active"
FINISHED: Final = "finished"
CANCELLED: Final = "cancelled"
REPLACED: Final = "replaced"
"""The provider has another reference: the row under that one counts."""


@frozen
class FreeRoundsHandlers:
    """Handlers about free rounds."""

    parts: Parts

    async def issue(self, ask: OperatorAsk[Nothing, FreeRoundsBody]) -> FreeRounds:
        """Give a player free rounds; the same reference again gives no second set."""
        body = ask.body
        if milliseconds_of(body.valid_until) <= milliseconds_of(body.valid_from):
            raise MalformedRequestError("expected a time after valid_from", where="body.valid_until")
        live, games = self._choose(ask.caller, body)
        row = await self._stored(ask.caller, live, games, body)
        if row.state == ISSUING:
            row = await self._confirm(live, row, body, ask.trace.trace)
        return await self._view(ask.caller, row)

    async def list(self, ask: OperatorAsk[PlayerPageQuery, Nothing]) -> FreeRoundsPage:
        """One page of free rounds."""
        operator, limit = ask.caller.operator, ask.query.limit
        page = page_of(ask.query.cursor, limit)
        player = None
        if ask.query.player is not None:
            known = await self.parts.ledger.player_by_operator_id(operator.id, ask.query.player)
            if known is None:
                return FreeRoundsPage(free_rounds=(), next_cursor=None)
            player = known.player
        rows = await self.parts.ledger.grants(operator.id, player, page)
        shown = [row for row in rows[:limit] if row.state != REPLACED]
        names = await names_of(self.parts.ledger, operator, [row.player for row in shown])
        return FreeRoundsPage(
            free_rounds=tuple(free_rounds_view(row, names) for row in shown),
            next_cursor=next_cursor([(row.created_at, row.grant) for row in rows], limit),
        )

    async def get(self, ask: Plain) -> FreeRounds:
        """Free rounds by the operator's reference."""
        return await self._view(ask.caller, await self._known(ask.caller, ask.path["reference"]))

    async def cancel(self, ask: Plain) -> FreeRounds:
        """Take free rounds back; what was won with them stays."""
        row = await self._known(ask.caller, ask.path["reference"])
        if row.state == CANCELLED:
            return await self._view(ask.caller, row)
        if row.state == FINISHED:
            raise DeclinedError("the free rounds are finished", where="reference")
        live = ask.caller.connection(row.connection)
        if Capability.FREE_ROUNDS_CANCEL not in live.adapter.spec.capabilities:
            raise UnsupportedOperationError("the provider takes no free rounds back", where="reference")
        alias = await self.parts.sessions.alias(live.connection, row.player)
        flow = live.adapter.cancel_free_rounds(row.grant, alias, live.credentials, self.parts.clock.now())
        await self.parts.outbound(flow, live, operation="cancel_free_rounds", trace=ask.trace.trace)
        cancelled = evolve(row, state=CANCELLED, version=row.version + 1)
        await self._commit("grant.cancelled", cancelled)
        return await self._view(ask.caller, cancelled)

    # --- inside

    def _choose(self, caller: Caller, body: FreeRoundsBody) -> tuple[LiveConnection, tuple[str, ...]]:
        """The connection that serves every game, and its codes of them."""
        views = [self.parts.catalogue.game(caller.operator.id, game) for game in body.games]
        named = caller.connection(body.connection) if body.connection is not None else None
        codes = [
            {route.document.connection: route.document.code for route in view.routes if route.document.free_rounds}
            for view in views
        ]
        for connection in codes[0]:
            live = caller.operator.connections[connection]
            able = Capability.FREE_ROUNDS_ISSUE in live.adapter.spec.capabilities
            if able and all(connection in each for each in codes) and (named is None or named.id == live.id):
                return live, tuple(each[connection] for each in codes)
        raise DeclinedError("no connection can give free rounds in all of these games now", where="body.games")

    async def _stored(
        self, caller: Caller, live: LiveConnection, games: tuple[str, ...], body: FreeRoundsBody
    ) -> GrantRow:
        """The row of this reference: the stored one, or a new one, durable before the provider hears of it."""
        live.connection.currencies.get(body.currency)
        operator = caller.operator.id
        player = await self._player(operator, body.player)
        wanted = GrantRow(
            operator=operator,
            connection=live.id,
            grant=_grant_id(operator, live.id, body.reference),
            operator_grant=body.reference,
            player=player,
            currency=body.currency,
            games=games,
            rounds=body.rounds,
            bet=body.bet,
            state=ISSUING,
            valid_from=milliseconds_of(body.valid_from),
            valid_until=milliseconds_of(body.valid_until),
            created_at=self.parts.clock.now_ms(),
        )
        stored = await self._find(caller, body.reference)
        if stored is None:
            _counted(body.bet, _wire_currency(live, body.currency))  # what could not be told is not stored
            answer = await self.parts.ledger.commit(_change("grant.issuing", self.parts.clock.now_ms(), wanted))
            if not isinstance(answer, Refused):
                return wanted
            stored = await self._find(caller, body.reference)
        if stored is None:
            raise RetryLaterError("the free rounds were not stored", hint="send the same again")
        if _content(stored) != _content(wanted):
            raise ConflictError("the reference was used before with other content", where="body.reference")
        return stored

    async def _confirm(self, live: LiveConnection, row: GrantRow, body: FreeRoundsBody, trace: str) -> GrantRow:
        """Have the provider give them, and record that it did."""
        currency = live.connection.currencies.get(row.currency)
        wire = _wire_currency(live, currency.code)
        query = FreeRoundsQuery(
            grant=row.grant,
            player=await self.parts.sessions.alias(live.connection, row.player),
            games=row.games,
            rounds=row.rounds,
            currency=wire.code if wire else currency.code,
            scale=currency,
            valid_from=moment(row.valid_from),
            valid_until=moment(row.valid_until),
            bet=_counted(row.bet, wire),
            bet_level=body.bet_level,
            template=body.template,
            person=body.person,
        )
        now, nonce = self.parts.clock.now(), self.parts.ids.nonce()
        is_first = row.version == 1
        flow = live.adapter.issue_free_rounds(query, live.credentials, now, nonce)
        tried = evolve(row, version=row.version + 1)
        await self._commit("grant.tried", tried)
        try:
            issued = await self.parts.outbound(flow, live, operation="issue_free_rounds", trace=trace)
        except ProviderRefusedError:
            if is_first:  # an earlier attempt may have been heard: then a refusal is no evidence that there are none
                await self._commit("grant.refused", evolve(tried, state=CANCELLED, version=tried.version + 1))
            raise
        return await self._activate(tried, issued)

    async def _activate(self, row: GrantRow, issued: FreeRoundsIssued) -> GrantRow:
        if issued.reference == row.grant:
            active = evolve(row, state=ACTIVE, version=row.version + 1)
            await self._commit("grant.active", active)
            return active
        active = evolve(row, grant=issued.reference, state=ACTIVE, version=1)
        await self._commit("grant.active", active, evolve(row, state=REPLACED, version=row.version + 1))
        return active

    async def _commit(self, kind: str, *rows: GrantRow) -> None:
        answer = await self.parts.ledger.commit(_change(kind, self.parts.clock.now_ms(), *rows))
        if isinstance(answer, Refused):
            raise RetryLaterError("the free rounds were changed at the same time", hint="send the same again")

    async def _player(self, operator: str, operator_player: str) -> str:
        known = await self.parts.ledger.player_by_operator_id(operator, operator_player)
        if known is not None:
            return known.player
        check_operator_player(operator_player)
        row = PlayerRow(
            operator=operator,
            player=self.parts.ids.new_id(),
            operator_player=operator_player,
            created_at=self.parts.clock.now_ms(),
        )
        return (await self.parts.ledger.ensure_player(row)).player

    async def _known(self, caller: Caller, reference: str) -> GrantRow:
        row = await self._find(caller, reference)
        if row is None:
            raise NotFoundError("there are no such free rounds")
        return row

    async def _find(self, caller: Caller, reference: str) -> GrantRow | None:
        """The row that counts for an operator's reference, in whichever connection it is."""
        operator = caller.operator
        for connection in sorted({*operator.connections, *operator.down, *operator.parties}):
            row = await self.parts.ledger.grant(operator.id, connection, _grant_id(operator.id, connection, reference))
            if row is not None:
                return await self._replacement(row) if row.state == REPLACED else row
        return None

    async def _replacement(self, row: GrantRow) -> GrantRow:
        """The row under the provider's own reference: it was stored with the same time and reference."""
        after = (row.created_at - 1, "\x7f")
        while True:
            rows = await self.parts.ledger.grants(row.operator, row.player, Page(after=after, limit=100))
            for each in rows:
                if (each.operator_grant, each.connection) == (row.operator_grant, row.connection) and (
                    each.state != REPLACED
                ):
                    return each
            if not rows:
                raise NotFoundError("there are no such free rounds")
            after = (rows[-1].created_at, rows[-1].grant)

    async def _view(self, caller: Caller, row: GrantRow) -> FreeRounds:
        return free_rounds_view(row, await names_of(self.parts.ledger, caller.operator, [row.player]))


def _grant_id(operator: str, connection: str, reference: str) -> str:
    return derived_id("grant", operator, connection, reference)


def _wire_currency(live: LiveConnection, code: str) -> WireCurrency | None:
    """How the provider names and scales a currency, where it is not as the hub does."""
    return live.connection.policies.of("issue_free_rounds").shown_currency(code)


def _counted(bet: int | None, wire: WireCurrency | None) -> int | None:
    """The value of a round as the provider counts the currency, by its ratio; never rounded.

    Source: `reference/protocols/README.md`, "What an adapter protocol must express", item 7 (currencies in thousands).

    Raises:
        MalformedRequestError: The provider's count has not so many digits.
    """
    if bet is None or wire is None:
        return bet
    over, under = wire.ratio.as_integer_ratio()
    counted, rest = divmod(bet * under, over)
    if rest:
        raise MalformedRequestError(
            f"the provider counts {wire.code} by {wire.ratio:f}, and cannot be told this value", where="body.bet"
        )
    return counted


def _content(row: GrantRow) -> tuple[object, ...]:
    return (row.player, row.currency, row.games, row.rounds, row.bet, row.valid_from, row.valid_until)


def _change(kind: str, at: int, *rows: GrantRow) -> Change:
    first = rows[0]
    body = {"connection": first.connection, "player": first.player, "rounds": first.rounds, "currency": first.currency}
    return Change(
        operator=first.operator, grants=rows, events=(Event(kind=kind, subject=first.grant, at=at, body=body),)
    )
