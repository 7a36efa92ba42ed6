"""Finds out whose play it is: from the token, the alias, the free-round grant, or the movement that is referred to."""

from __future__ import annotations

from croupier.contract import Currency, DeclineReason, DedupeScope, MovementKind, Play, Policy, UnknownCurrencyError
from croupier.ledger.port import Ledger, Look
from croupier.ledger.records import GrantRow, MovementRow, SessionRow
from croupier.wallet.intended import Identity, currency_of, key_of, scope_of
from croupier.wallet.parties import Connection, Games, Sessions


class Resolver:
    """Resolves identities; reads only."""

    def __init__(self, ledger: Ledger, sessions: Sessions, games: Games) -> None:
        """Everything that identities are resolved from is handed in."""
        self._ledger = ledger
        self._sessions = sessions
        self._games = games

    async def person(
        self, connection: Connection, *, alias: str | None, token: str | None, fresh: bool = True
    ) -> tuple[str, SessionRow | None]:
        """The surrogate (empty if unknown) and the session of a token, or else the player's newest.

        `fresh` is as in `croupier.wallet.parties.Sessions.by_token`.
        """
        session = await self._sessions.by_token(connection, token, fresh=fresh) if token else None
        if alias is None:
            return (session.player, session) if session else ("", None)
        player = await self._sessions.player(connection, alias)
        if player is None:
            return "", None
        if session is None or session.player != player:
            session = None if token else await self._sessions.latest(connection, player)
        return player, session

    async def play(self, connection: Connection, play: Play, policy: Policy, *, fresh: bool = True) -> Identity:
        """The identity of a play; `player` is empty where nothing tells. `fresh` is as in `person`."""
        player, session = await self.person(connection, alias=play.player, token=play.session, fresh=fresh)
        token = play.session
        known = player or play.player is None  # a name that nobody has is told as such
        if token and known and policy.own_token and not self.owns(session, token):
            return Identity(connection=connection, operation=play.operation, refusal=DeclineReason.SESSION_UNKNOWN)
        grant = (
            await self._ledger.grant(connection.operator.id, connection.id, play.grant)
            if play.grant is not None
            else None
        )
        if not player and play.player is None and grant is not None:
            player = grant.player
        referred = await self._referred(connection, play, policy, grant) if not player and play.player is None else None
        if referred is not None:
            player = referred.player
        if session is None and player and not _has_bets(play):
            session = await self._sessions.latest(connection, player)
        code = play.game or (session.route if session else None) or (referred.route if referred else None)
        return Identity(
            connection=connection,
            operation=play.operation,
            player=player,
            currency=_currency(connection, play, policy, session or grant or referred),
            session=session,
            live=session is not None and self._sessions.is_live(session),
            grant=grant,
            provider_round=play.round,
            route=self._games.route(connection.id, code) if code else None,
            code=code,
            wire_currency=play.currency,
        )

    def owns(self, session: SessionRow | None, token: str) -> bool:
        """Whether a token belongs to the player whose session `person` found, and was not replaced by a newer one."""
        return session is not None and self._sessions.is_current(session, token)

    async def _referred(
        self, connection: Connection, play: Play, policy: Policy, grant: GrantRow | None
    ) -> MovementRow | None:
        """A movement that the play refers to, or repeats."""
        base = Identity(connection=connection, operation=play.operation, grant=grant, provider_round=play.round)
        scope = scope_of(policy, base)
        targets = [item.target.key for item in play.movements if item.target and item.target.key]
        keys = tuple(key_of(key, scope, base) for key in (*targets, *(key for m in play.movements for key in m.keys)))
        found = await self._ledger.look(Look(operator=connection.operator.id, keys=keys))
        return next((row for key in keys if (row := found.keys.get(key)) is not None and row.player), None)


def _currency(
    connection: Connection, play: Play, policy: Policy, known: SessionRow | GrantRow | MovementRow | None
) -> Currency | None:
    """The player's currency; what the wire says counts only where the hub knows nothing better."""
    if known is not None and known.currency:
        try:
            return connection.currencies.get(known.currency)
        except UnknownCurrencyError:
            return None
    return None if play.currency is None else currency_of(play.currency, policy, connection)


def wire_currency_is(policy: Policy, code: str | None, currency: Currency | None) -> bool:
    """Whether the currency on the wire, if there is one, is the player's."""
    if code is None or currency is None:
        return True
    alias = policy.wire_currency(code)
    return (alias.currency if alias else code) == currency.code


def unidentified(identity: Identity, play: Play, policy: Policy) -> DeclineReason | None:
    """Why the play cannot be tied to a player, if it cannot."""
    if identity.refusal is not None:
        return identity.refusal
    scope = policy.dedupe_scope
    if scope is DedupeScope.ROUND and play.round is None:
        return DeclineReason.ROUND_UNKNOWN  # its keys would match no other message's
    if identity.player:
        return None
    only_rollbacks = all(movement.kind is MovementKind.ROLLBACK for movement in play.movements)
    if play.player is None and only_rollbacks and scope is DedupeScope.PROVIDER:
        return None
    if play.player is None and play.grant is not None:
        return DeclineReason.FREE_ROUNDS_UNKNOWN
    return DeclineReason.PLAYER_UNKNOWN if play.player is not None else DeclineReason.SESSION_UNKNOWN


def _has_bets(play: Play) -> bool:
    return any(movement.kind in _SESSION_KINDS for movement in play.movements)


_SESSION_KINDS = frozenset({MovementKind.BET, MovementKind.FREE_BET, MovementKind.BET_AND_WIN, MovementKind.TIP})
