"""Launches, session tokens and the names by which providers know players.

The life of a token:

- A launch gives out a **launch token** of 256 random bits; the ledger keeps its SHA-256 alone. It is accepted until
  the launch expires (minutes), and the session takes bets until the session expires (hours). Neither expiry touches
  wins and rollbacks, which ask for no live session.
- The first `admit` makes the session active. With `rotate=False` the launch token becomes the session token and is
  accepted while the session lives: some providers know one token only.
- With `rotate=True` the launch token is spent and a new session token is given out. A provider whose answer was lost
  sends the launch token again: within a short grace it gets **the same** session token again, so that of two answers
  neither is wrong and nobody is locked out. After the grace the launch token is unknown.
- The session token is an HMAC of launch token and session under a key of the hub. So it need not be stored to be given
  twice, and whoever finds the launch token in an address cannot work it out.
- A session token that is presented with `rotate=True` is answered with itself: a lost answer to a second rotation
  would lock the player out, and gains nothing.
- With `renew=True` a session token is replaced as well, at every exchange. The one before it is then what the launch
  token was at first: within the grace it gets the same new one again, after that it is unknown. Its hash takes the
  place of the launch token's.
- Some providers never authenticate. A session that was launched and not yet admitted therefore takes bets, too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve, field, frozen

from croupier.configuration.directory import LiveConnection, LiveRoute
from croupier.contract import (
    AliasRule,
    CallPersonError,
    Capability,
    ConflictError,
    DeclinedError,
    DeclineReason,
    FixRequestError,
    NotFoundError,
    RetryLaterError,
    SettingsError,
    UnsupportedOperationError,
)
from croupier.ledger.port import Change, Ledger, Refused
from croupier.ledger.records import AliasRow, Event, PlayerRow, SessionRow, SessionState
from croupier.sessions.cache import SessionCache
from croupier.sessions.players import check_operator_player, draw_alias
from croupier.wallet.parties import Admission, Connection
from croupier.wallet.ports import Clock, Ids

FACTS: Final = frozenset({"country", "language", "jurisdiction", "display_name", "device"})
"""What a session may know of its player."""

_ATTEMPTS: Final = 8
"""How often a decision is made again on a newer version, and a name is drawn again that is taken."""

_MIN_KEY_BYTES: Final = 32

_NAMES_KEPT: Final = 50_000
"""So many players' names are kept in a process."""


@frozen(kw_only=True)
class SessionSettings:
    """How long tokens live.

    Attributes:
        token_key: At least 32 secret bytes, the same in every process: session tokens are derived with it. With a new
            key the sessions that live go on; only a lost answer to an authentication of just now is not given again.
        launch_ms: How long a launch token is accepted, in milliseconds.
        session_ms: How long bets are accepted, in milliseconds, unless a launch asks for less.
        retry_grace_ms: How long a spent launch token still gets the same answer, in milliseconds.
    """

    token_key: bytes = field(repr=False)
    launch_ms: int = 10 * 60_000
    session_ms: int = 12 * 3_600_000
    retry_grace_ms: int = 60_000

    def __attrs_post_init__(self) -> None:
        if len(self.token_key) < _MIN_KEY_BYTES:
            raise SettingsError(f"expected at least {_MIN_KEY_BYTES} bytes", where="sessions.token_key")
        for name in ("launch_ms", "session_ms", "retry_grace_ms"):
            if getattr(self, name) <= 0:
                raise SettingsError("expected a whole number above 0", where=f"sessions.{name}")


@frozen(kw_only=True)
class Launch:
    """A launched session: what an adapter's `LaunchQuery` needs of it.

    Attributes:
        session: The stored session.
        token: The launch token, shown here alone; empty for demo.
        alias: The name by which the provider shall know the player; empty for demo.
    """

    session: SessionRow
    token: str = field(repr=False)
    alias: str


class SessionService:
    """Sessions and players' names; `croupier.wallet.parties.Sessions` among others.

    Args:
        ledger: Where they are stored, tokens hashed.
        clock: The time.
        ids: Tokens, ids and names.
        settings: How long tokens live.
        alias_rule: The rule for players' names of an adapter, by its slug (`registry.adapter(slug).aliases`).
        cache: Keeps sessions at hand; without it they are read from the ledger every time.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        ids: Ids,
        settings: SessionSettings,
        alias_rule: Callable[[str], AliasRule],
        *,
        cache: SessionCache | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._alias_rule = alias_rule
        self._cache = cache
        self._surrogates: dict[tuple[str, str], str] = {}

    async def launch(
        self,
        live: LiveConnection,
        route: LiveRoute,
        operator_player: str,
        currency: str,
        *,
        demo: bool = False,
        operator_session: str | None = None,
        facts: Mapping[str, str] | None = None,
        lifetime_ms: int | None = None,
    ) -> Launch:
        """Open a session for a player who wants to play.

        Args:
            live: The connection.
            route: The game, as this connection serves it.
            operator_player: The operator's own, opaque id of the player; ignored for demo.
            currency: The currency's code.
            demo: Whether it is play money: there is no player, token or alias, and no bet is ever accepted.
            operator_session: The operator's session token, to be sent back to it with every call.
            facts: Of `FACTS`, what is known.
            lifetime_ms: How long bets are accepted, in milliseconds, if that is less than by the settings.

        Returns:
            The session, and the launch token and alias for the adapter's `LaunchQuery`.

        Raises:
            DeclinedError: The operator, connection or game is disabled.
            UnsupportedOperationError: The adapter or game cannot be launched so.
            UnknownCurrencyError: The currency is not registered.
            FixRequestError: The player's id tells who the player is, or a fact or the lifetime is wrong.
        """
        connection = live.connection
        _check_launch(live, route, demo=demo)
        connection.currencies.get(currency)
        given = _checked_facts(facts or {})
        lifetime = self._settings.session_ms if lifetime_ms is None else min(lifetime_ms, self._settings.session_ms)
        if lifetime <= 0:
            raise FixRequestError("expected a whole number above 0", where="lifetime_ms")
        operator, player, alias = connection.operator.id, "", ""
        if not demo:
            player = await self._ensure_player(operator, operator_player)
            alias = await self.alias(connection, player)
        now, token = self._clock.now_ms(), self._ids.token()
        row = SessionRow(
            operator=operator,
            session=self._ids.new_id(),
            player=player,
            connection=connection.id,
            game=route.route.game,
            route=route.route.code,
            currency=currency,
            state=SessionState.LAUNCHED,
            launch_hash=token_hash(token),
            created_at=now,
            expires_at=now + lifetime,
            launch_expires_at=now + min(self._settings.launch_ms, lifetime),
            demo=demo,
            operator_session=operator_session,
            facts=given,
        )
        answer = await self._ledger.commit(_change(row, "session.launched", now))
        if isinstance(answer, Refused):
            raise RetryLaterError("the launch was not stored", hint="launch again")
        return Launch(session=row, token="" if demo else token, alias=alias)

    async def end(self, operator: str, session: str) -> SessionRow:
        """End a session: bets are refused from now on, wins and rollbacks are not. Idempotent.

        Raises:
            NotFoundError: The operator has no such session.
            RetryLaterError: It kept changing.
        """
        for _ in range(_ATTEMPTS):
            row = await self._ledger.session(operator, session)
            if row is None:
                raise NotFoundError("there is no such session")
            if row.state is SessionState.ENDED:
                return row
            ended = evolve(row, state=SessionState.ENDED, version=row.version + 1)
            answer = await self._ledger.commit(_change(ended, "session.ended", self._clock.now_ms()))
            if not isinstance(answer, Refused):
                self._forget(ended)
                return ended
        raise _kept_changing()

    # --- what the engine asks

    async def admit(
        self, connection: Connection, token: str, *, rotate: bool, renew: bool = False
    ) -> Admission | DeclineReason:
        """Exchange a launch token, or confirm a session token; see the module on repeats.

        Args:
            connection: Where it was presented: a token of another connection is unknown.
            token: What the provider sent.
            rotate: Whether a launch token is to be replaced by a new session token.
            renew: Whether a session token is to be replaced as well.

        Returns:
            The session and the token to use from now on; `SESSION_UNKNOWN` if there is no such token or it is spent,
            `SESSION_EXPIRED` if its time is over or the session was ended.

        Raises:
            RetryLaterError: The session kept changing.
        """
        for _ in range(_ATTEMPTS):
            row = await self.by_token(connection, token)
            if row is None or row.demo:
                return DeclineReason.SESSION_UNKNOWN
            decided = self._decide(row, token, rotate=rotate or renew, renew=renew)
            if not isinstance(decided, Admission) or decided.session == row:
                return decided
            happened = "session.activated" if row.state is SessionState.LAUNCHED else "session.renewed"
            change = _change(decided.session, happened, self._clock.now_ms())
            if not isinstance(await self._ledger.commit(change), Refused):
                self._forget(row)
                self._forget(decided.session)
                return decided
        raise _kept_changing()

    async def by_token(self, connection: Connection, token: str, *, fresh: bool = True) -> SessionRow | None:
        """The session of a launch or session token, whatever its state; `None` for an empty token.

        Unless it must be `fresh` it may be as it was a while ago: see `croupier.sessions.cache`.
        """
        if not token:
            return None
        hashed, cache = token_hash(token), self._cache
        if cache is not None and not fresh:
            row = cache.near(connection, hashed)
            if row is None:
                row = await cache.far(connection, hashed)
            if row is not None:
                return row
        row = await self._ledger.session_by_hash(connection.operator.id, connection.id, hashed)
        if cache is not None and row is not None:
            cache.keep(row, hashed)
        return row

    async def latest(self, connection: Connection, player: str) -> SessionRow | None:
        """The player's newest session with the connection, whatever its state."""
        return await self._ledger.latest_session(connection.operator.id, connection.id, player) if player else None

    def is_live(self, session: SessionRow) -> bool:
        """Whether bets may be accepted on it now: it is no demo, did not end, and its time is not over."""
        return (
            not session.demo and session.state is not SessionState.ENDED and self._clock.now_ms() < session.expires_at
        )

    def is_current(self, session: SessionRow, token: str) -> bool:
        """Whether a token of the session is its present one, and not one that was replaced."""
        return token_hash(token) == (session.token_hash or session.launch_hash)

    async def alias(self, connection: Connection, player: str) -> str:
        """The name by which the connection's provider knows a player; drawn at the first call, the same ever after.

        Raises:
            CallPersonError: No free name was found: the adapter's rule leaves too few.
            PackageError: The adapter cannot be used.
        """
        operator = connection.operator.id
        known = await self._ledger.alias_of(operator, connection.id, player)
        if known is not None:
            return known
        rule = self._alias_rule(connection.provider)
        for _ in range(_ATTEMPTS):
            drawn = draw_alias(rule, self._ids)
            row = AliasRow(operator=operator, connection=connection.id, alias=drawn, player=player)
            try:
                return (await self._ledger.ensure_alias(row)).alias
            except ConflictError:
                continue
        raise CallPersonError("no free player name was found", where=f"{connection.provider}.aliases")

    async def player(self, connection: Connection, alias: str) -> str | None:
        """The surrogate behind a provider's name of a player; that never changes, so it is read once."""
        known = self._surrogates.get((connection.id, alias))
        if known is None:
            known = await self._ledger.player_by_alias(connection.operator.id, connection.id, alias)
            if known is not None:
                if len(self._surrogates) >= _NAMES_KEPT:
                    del self._surrogates[next(iter(self._surrogates))]
                self._surrogates[connection.id, alias] = known
        return known

    # --- inside

    def _forget(self, changed: SessionRow) -> None:
        if self._cache is not None:
            self._cache.forget(changed)

    def _decide(self, row: SessionRow, token: str, *, rotate: bool, renew: bool) -> Admission | DeclineReason:
        """What a token opens; the admission's session is the row itself where nothing changes."""
        now, presented = self._clock.now_ms(), token_hash(token)
        if row.state is SessionState.ENDED or now >= row.expires_at:
            return DeclineReason.SESSION_EXPIRED
        if presented == row.token_hash:
            return self._renewed(row, token) if renew else Admission(session=row, token=token)
        if row.state is SessionState.LAUNCHED:
            if now >= row.launch_expires_at:
                return DeclineReason.SESSION_EXPIRED
            if rotate:
                return self._renewed(row, token)
            active = evolve(row, state=SessionState.ACTIVE, token_hash=presented, seen_at=now, version=row.version + 1)
            return Admission(session=active, token=token)
        again = self._session_token(row, token)
        if now < row.launch_expires_at and token_hash(again) == row.token_hash:
            return Admission(session=row, token=again)
        return DeclineReason.SESSION_UNKNOWN

    def _renewed(self, row: SessionRow, token: str) -> Admission:
        """The session with a new token in the place of one that was just presented."""
        now, given = self._clock.now_ms(), self._session_token(row, token)
        renewed = evolve(
            row,
            state=SessionState.ACTIVE,
            launch_hash=token_hash(token),
            token_hash=token_hash(given),
            launch_expires_at=now + self._settings.retry_grace_ms,
            seen_at=now,
            version=row.version + 1,
        )
        return Admission(session=renewed, token=given)

    def _session_token(self, row: SessionRow, presented: str) -> str:
        message = f"session-token/1/{row.operator}/{row.session}/{presented}".encode()
        derived = hmac.new(self._settings.token_key, message, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(derived).decode().rstrip("=")

    async def _ensure_player(self, operator: str, operator_player: str) -> str:
        check_operator_player(operator_player)
        for _ in range(_ATTEMPTS):
            row = PlayerRow(
                operator=operator,
                player=self._ids.new_id(),
                operator_player=operator_player,
                created_at=self._clock.now_ms(),
            )
            try:
                return (await self._ledger.ensure_player(row)).player
            except ConflictError:
                continue
        raise CallPersonError("no free surrogate was found: ids repeat")


def token_hash(token: str) -> str:
    """The hash under which a token is stored and found: SHA-256, small hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def _check_launch(live: LiveConnection, route: LiveRoute, *, demo: bool) -> None:
    connection = live.connection
    if not connection.operator.enabled:
        raise DeclinedError("the operator is disabled", where="operator")
    if not connection.enabled:
        raise DeclinedError("the connection is disabled", where="connection")
    if route.document.connection != connection.id:
        raise FixRequestError("the route belongs to another connection", where="route")
    if route.route.refusal is not None:
        raise DeclinedError(f"the game cannot be played now: {route.route.refusal.value}", where="game")
    needed = Capability.LAUNCH_DEMO if demo else Capability.LAUNCH
    if needed not in live.adapter.spec.capabilities or (demo and not route.document.demo):
        raise UnsupportedOperationError("this game has no demo" if demo else "this provider has no launch")


def _checked_facts(facts: Mapping[str, str]) -> dict[str, str]:
    for name, value in facts.items():
        if name not in FACTS:
            raise FixRequestError(
                "there is no such fact", where=f"facts.{name}", hint=f"known: {', '.join(sorted(FACTS))}"
            )
        if len(value) > 200:
            raise FixRequestError("expected text of up to 200 characters", where=f"facts.{name}")
    return dict(facts)


def _change(row: SessionRow, kind: str, now: int) -> Change:
    body = {
        "player": row.player,
        "connection": row.connection,
        "game": row.game,
        "currency": row.currency,
        "demo": row.demo,
    }
    return Change(
        operator=row.operator, sessions=(row,), events=(Event(kind=kind, subject=row.session, at=now, body=body),)
    )


def _kept_changing() -> RetryLaterError:
    return RetryLaterError("the session kept changing", hint="send the same again")
