"""What a provider may ask about players: who they are, what they have, what is on record."""

from __future__ import annotations

from datetime import UTC, datetime

from croupier.contract import (
    Applied,
    AppliedEffect,
    Authenticate,
    AuthenticateResult,
    Balance,
    BalanceQuery,
    BalanceResult,
    Declined,
    DeclineReason,
    Money,
    Outcome,
    PlayerFacts,
    PlayerLookup,
    Policy,
    Query,
    QueryResult,
    RecordedMovement,
    Unknown,
    UnknownCause,
    WalletApplied,
    WalletAuthenticate,
    WalletBalance,
    WalletPlayer,
    WalletRefused,
)
from croupier.contract.errors import LedgerCorruptError, StoreUnavailableError
from croupier.ledger.port import Ledger, Look
from croupier.ledger.records import MovementRow, SessionRow
from croupier.wallet.channel import Channel
from croupier.wallet.intended import Identity, key_of, scope_of
from croupier.wallet.parties import Connection, Request, Sessions
from croupier.wallet.resolve import Resolver, wire_currency_is


class People:
    """Answers about players."""

    def __init__(self, ledger: Ledger, sessions: Sessions, channel: Channel, resolver: Resolver) -> None:
        """Everything that is asked is handed in."""
        self._ledger = ledger
        self._sessions = sessions
        self._channel = channel
        self._resolver = resolver
        self._names: dict[tuple[str, str], str] = {}

    async def wallet_player(
        self, connection: Connection, row: MovementRow, session: SessionRow | None = None
    ) -> WalletPlayer:
        """Whose wallet a movement goes to."""
        if session is None and row.session is not None:
            session = await self._ledger.session(row.operator, row.session)
        return WalletPlayer(
            player=self._names.get((row.operator, row.player)) or await self._name(row.operator, row.player),
            currency=connection.currencies.get(row.currency),
            session=session.operator_session if session else None,
        )

    async def _name(self, operator: str, player: str) -> str:
        """The operator's own id of a player; it never changes."""
        name = self._names.get((operator, player))
        if name is None:
            row = await self._ledger.player(operator, player)
            if row is None:
                raise LedgerCorruptError("a movement's player is not in the vault", where=player)
            name = row.operator_player
            if len(self._names) > _NAMES_KEPT:
                self._names.clear()
            self._names[operator, player] = name
        return name

    async def authenticate(self, request: Request, call: Authenticate) -> AuthenticateResult:
        """Exchange a token; the operator confirms the session and tells the player's facts."""
        connection = request.connection
        try:
            if call.player is not None:
                player, session = await self._resolver.person(connection, alias=call.player, token=call.token)
                if not player or session is None:
                    return AuthenticateResult(outcome=Declined(reason=DeclineReason.SESSION_UNKNOWN))
            admitted = await self._sessions.admit(connection, call.token, rotate=call.rotate, renew=call.renew)
        except StoreUnavailableError:
            return AuthenticateResult(outcome=Unknown(cause=UnknownCause.STORE))
        if isinstance(admitted, DeclineReason):
            return AuthenticateResult(outcome=Declined(reason=admitted))
        return await self._facts(request, call.operation, admitted.session, admitted.token)

    async def look_up(self, request: Request, call: PlayerLookup) -> AuthenticateResult:
        """A player's facts again."""
        connection = request.connection
        player, session = await self._resolver.person(connection, alias=call.player, token=call.session)
        if not player or session is None:
            reason = DeclineReason.SESSION_UNKNOWN if player else DeclineReason.PLAYER_UNKNOWN
            return AuthenticateResult(outcome=Declined(reason=reason))
        return await self._facts(request, call.operation, session, call.session)

    async def _facts(
        self, request: Request, operation: str, session: SessionRow, token: str | None
    ) -> AuthenticateResult:
        connection = request.connection
        if session.demo or not session.player:
            return AuthenticateResult(outcome=Declined(reason=DeclineReason.SESSION_UNKNOWN))
        player = WalletPlayer(
            player=await self._name(session.operator, session.player),
            currency=connection.currencies.get(session.currency),
            session=session.operator_session,
        )
        asked = WalletAuthenticate(player=player, game=session.game, provider=connection.provider)
        reply = await self._channel.call(connection.operator, asked, deadline=request.deadline, trace=request.trace)
        if isinstance(reply, WalletRefused):
            return AuthenticateResult(outcome=Declined(reason=reply.reason, message=reply.message))
        if not isinstance(reply, WalletApplied):
            return AuthenticateResult(outcome=Unknown(cause=UnknownCause.NO_ANSWER))
        policy = connection.policies.of(operation)
        shown = policy.shown_currency(session.currency)
        facts = {**session.facts, **reply.facts}
        return AuthenticateResult(
            outcome=Applied(effect=AppliedEffect.MOVED),
            player=PlayerFacts(
                alias=await self._sessions.alias(connection, session.player),
                currency=shown.code if shown else session.currency,
                country=facts.get("country"),
                language=facts.get("language"),
                jurisdiction=facts.get("jurisdiction"),
                display_name=facts.get("display_name"),
                session=token,
                bet_limits={key[10:]: value for key, value in facts.items() if key.startswith("bet_limit_")},
            ),
            balance=self.shown(connection.policies.of(operation), reply.balance),
        )

    async def balance_query(self, request: Request, call: BalanceQuery) -> BalanceResult:
        """A player's balance, as the operator tells it now."""
        connection, policy = request.connection, request.connection.policies.of(call.operation)
        player, session = await self._resolver.person(connection, alias=call.player, token=call.session)
        if not player:
            reason = DeclineReason.PLAYER_UNKNOWN if call.player is not None else DeclineReason.SESSION_UNKNOWN
            return BalanceResult(outcome=Declined(reason=reason))
        if policy.own_token and call.session and not self._resolver.owns(session, call.session):
            return BalanceResult(outcome=Declined(reason=DeclineReason.SESSION_UNKNOWN))
        if policy.session_for_balance:
            if session is None:
                return BalanceResult(outcome=Declined(reason=DeclineReason.SESSION_UNKNOWN))
            if not self._sessions.is_live(session):
                return BalanceResult(outcome=Declined(reason=DeclineReason.SESSION_EXPIRED))
        identity = Identity(connection=connection, player=player, session=session)
        currency = connection.currencies.get(session.currency) if session else None
        if not wire_currency_is(policy, call.currency, currency):
            return BalanceResult(outcome=Declined(reason=DeclineReason.CURRENCY_WRONG))
        found = await self.balance_of(request, call.operation, identity)
        if isinstance(found, Balance):
            return BalanceResult(outcome=Applied(effect=AppliedEffect.MOVED), balance=found)
        return BalanceResult(outcome=found)

    async def balance_of(self, request: Request, operation: str, identity: Identity) -> Balance | Outcome:
        """A player's balance, or why there is none."""
        connection = request.connection
        session = identity.session or await self._sessions.latest(connection, identity.player)
        currency = identity.currency or (connection.currencies.get(session.currency) if session else None)
        if currency is None:
            return Declined(reason=DeclineReason.SESSION_UNKNOWN)
        player = WalletPlayer(
            player=await self._name(connection.operator.id, identity.player),
            currency=currency,
            session=session.operator_session if session else None,
        )
        asked = WalletBalance(player=player, game=session.game if session else None)
        reply = await self._channel.call(connection.operator, asked, deadline=request.deadline, trace=request.trace)
        if isinstance(reply, WalletApplied) and reply.balance is not None:
            shown = self.shown(connection.policies.of(operation), reply.balance)
            assert shown is not None  # noqa: S101 # a balance went in
            return shown
        if isinstance(reply, WalletRefused):
            return Declined(reason=reply.reason, message=reply.message)
        return Unknown(cause=UnknownCause.NO_ANSWER)

    @staticmethod
    def shown(policy: Policy, balance: Balance | None) -> Balance | None:
        """A balance as the operation's provider names and scales the currency."""
        if balance is None:
            return None
        alias = policy.shown_currency(balance.cash.currency.code)
        return Balance(balance.cash, balance.bonus, alias, policy.balance_digits)

    async def query(self, connection: Connection, call: Query) -> QueryResult:
        """What is on record of a movement or of a round."""
        policy = connection.policies.of(call.operation)
        player = await self._sessions.player(connection, call.player) if call.player else None
        identity = Identity(connection=connection, player=player or "", provider_round=call.round)
        keys = (key_of(call.key, scope_of(policy, identity), identity),) if call.key else ()
        look = Look(operator=connection.operator.id, keys=keys, round=identity.round, round_movements=True)
        snapshot = await self._ledger.look(look)
        rows = (*snapshot.keys.values(), *(() if keys else snapshot.round_movements))
        if not rows:
            return QueryResult(outcome=Declined(reason=DeclineReason.TARGET_UNKNOWN))
        recorded = tuple(_recorded(row, connection) for row in rows if row.currency)
        return QueryResult(outcome=Applied(effect=AppliedEffect.NOTHING), movements=recorded)


_NAMES_KEPT = 100_000


def _recorded(row: MovementRow, connection: Connection) -> RecordedMovement:
    at = row.settled_at if row.settled_at is not None else row.created_at
    return RecordedMovement(
        reference=row.reference,
        kind=row.kind,
        state=row.state.value,
        amount=Money(row.amount, connection.currencies.get(row.currency)),
        at=datetime.fromtimestamp(at / 1000, UTC),
    )
