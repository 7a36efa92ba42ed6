"""The engine: from what a provider asks to what it is answered.

One play: its identity is found, one reading of the ledger is planned, the intent is made durable, the wallet is called
with the time that is left, the outcome is made durable, and then the provider is answered. If somebody else writes
first, the play is planned again; if the provider hangs up, the work is finished all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import assert_never

from attrs import evolve, field

from croupier.contract import (
    Applied,
    AppliedEffect,
    Authenticate,
    Balance,
    BalanceQuery,
    Call,
    Calls,
    CloseRound,
    CloseRoundResult,
    Declined,
    DeclineReason,
    Direction,
    MovementKind,
    MovementResult,
    Notice,
    NoticeResult,
    Outcome,
    Ping,
    Play,
    PlayerLookup,
    PlayMode,
    PlayResult,
    Policy,
    Query,
    RepeatBalance,
    Result,
    RoundEnd,
    Unknown,
    UnknownCause,
    WalletPlayer,
)
from croupier.contract.errors import StoreUnavailableError
from croupier.contract.values import immutable
from croupier.ledger.port import Change, Committed, Ledger, Look, Owner, Snapshot
from croupier.ledger.records import Event as LedgerEvent
from croupier.ledger.records import MovementRow, MovementState, SessionRow
from croupier.wallet.alarms import Alarm, unheard
from croupier.wallet.answers import by_movement, none_before_all, outcome_of, overall, same_for_all
from croupier.wallet.channel import Channel
from croupier.wallet.draft import is_empty
from croupier.wallet.guess import NOTHING, Guesses, may_be_new
from croupier.wallet.intended import OF_ITS_BETS, Attempt, Identity, Intended, intend, key_of, scope_of
from croupier.wallet.parties import Connection, Games, Request, Sessions
from croupier.wallet.people import People
from croupier.wallet.plan import Plan, Say, SendIt, Situation, UndoIt, WaitFor
from croupier.wallet.plan_forward import plan_forward
from croupier.wallet.plan_rollback import plan_rollback, target_of, win_leg_key
from croupier.wallet.ports import Clock, Ids
from croupier.wallet.resolve import Resolver, unidentified, wire_currency_is
from croupier.wallet.round_ends import RoundEnds, closes, takes_only
from croupier.wallet.sending import Errand, Sender, Sent
from croupier.wallet.settle import MAX_TRIES, Settler
from croupier.wallet.siblings import play_of
from croupier.wallet.watch import Bell, KeyedLocks
from croupier.wallet.wire import stored_balance


class Engine:
    """Handles the calls of every connection."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        sessions: Sessions,
        games: Games,
        channel: Channel,
        clock: Clock,
        ids: Ids,
        owner: Owner,
        bell: Bell,
        lease_ms: int = 30_000,
        alarm: Alarm = unheard,
    ) -> None:
        """Everything the engine needs is handed in.

        Args:
            ledger: The durable record.
            sessions: Sessions and aliases.
            games: Which games a connection serves.
            channel: The way to the wallets.
            clock: Time.
            ids: Ids of plays, nonces.
            owner: This process, as the ledger registered it.
            bell: Rings when a movement changes; shared with the deliveries.
            lease_ms: How long an intent belongs to this process beyond the deadline of its request.
            alarm: Told of what a person should look at.
        """
        self._ledger = ledger
        self._channel = channel
        self._sessions = sessions
        self._clock = clock
        self._ids = ids
        self._owner = owner
        self._bell = bell
        self._lease_ms = lease_ms
        self._locks = KeyedLocks()
        self._resolver = Resolver(ledger, sessions, games)
        self._people = People(ledger, sessions, channel, self._resolver)
        self._sender = Sender(channel, Settler(ledger, clock, bell.ring, bell.owed, alarm), clock)
        self._rounds = RoundEnds(ledger, clock)
        self._guesses = Guesses()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def handle(self, connection: Connection, calls: Calls, *, trace: str, deadline: float) -> tuple[Result, ...]:
        """Handle the calls of one request, in order.

        Not to be cancelled: money may be on its way, and what becomes of it must be recorded. Whoever may be cut off
        runs this as a task of its own and lets it end.

        Args:
            connection: The connection they came by.
            calls: What was asked.
            trace: The request's trace.
            deadline: `Clock.monotonic` value by which the provider must be answered.

        Raises:
            StoreUnavailableError: The ledger cannot store it; what was sent before that will be recovered.
        """
        request = Request(connection=connection, trace=trace, deadline=deadline)
        self._under_way += 1
        self._idle.clear()
        try:
            results = []
            for call in calls.items:
                results.append(await self._call(request, call))  # noqa: PERF401 # a comprehension is one more coroutine
            return tuple(results)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def wallet_player(self, connection: Connection, row: MovementRow) -> WalletPlayer:
        """Whose wallet a movement goes to."""
        return await self._people.wallet_player(connection, row)

    async def drain(self) -> None:
        """Wait until everything that was begun is recorded."""
        await self._idle.wait()

    async def _call(self, request: Request, call: Call) -> Result:
        match call:
            case Play():
                return await self._play(request, call)
            case Authenticate():
                return await self._people.authenticate(request, call)
            case PlayerLookup():
                return await self._people.look_up(request, call)
            case BalanceQuery():
                return await self._people.balance_query(request, call)
            case CloseRound():
                return await self._close_round(request, call)
            case Notice():
                return await self._notice(request, call)
            case Query():
                return await self._people.query(request.connection, call)
            case Ping():
                return NoticeResult(outcome=Applied(effect=AppliedEffect.NOTHING))
            case _:
                assert_never(call)

    async def _play(self, request: Request, play: Play) -> PlayResult:
        """A play in its mode; rollbacks always go one by one."""
        if len(play.movements) == 1 or (play.mode is PlayMode.ATOMIC and MovementKind.ROLLBACK not in _kinds(play)):
            return await self._together(request, play)
        results: list[PlayResult] = []
        for place, movement in enumerate(play.movements):
            last = place == len(play.movements) - 1
            one = evolve(play, movements=(movement,), closes_round=play.closes_round and last)
            if results and play.mode is PlayMode.SEQUENTIAL and not isinstance(results[-1].outcome, Applied):
                skipped = Declined(reason=DeclineReason.CANCELLED)
                result = MovementResult(reference=movement.reference, outcome=skipped)
                results.append(PlayResult(outcome=results[-1].outcome, movements=(result,)))
            else:
                results.append(await self._together(request, one))
        balance = next((result.balance for result in reversed(results) if result.balance), None)
        movements = tuple(movement for result in results for movement in result.movements)
        return PlayResult(outcome=overall([item.outcome for item in movements]), movements=movements, balance=balance)

    async def _together(self, request: Request, play: Play) -> PlayResult:
        """Movements that begin together: one plan, one commit before the wallet is called."""
        connection = request.connection
        policy = connection.policies.of(play.operation)
        identity = await self._resolver.play(connection, play, policy, fresh=False)
        if reason := unidentified(identity, play, policy):
            return same_for_all(play, Declined(reason=reason))
        bets = any(movement.direction is Direction.DEBIT for movement in play.movements)
        if bets and not wire_currency_is(policy, play.currency, identity.currency):
            return same_for_all(play, Declined(reason=DeclineReason.CURRENCY_WRONG))
        try:
            begun = await self._begin(request, play, policy, identity)
        except StoreUnavailableError:
            return same_for_all(play, Unknown(cause=UnknownCause.STORE))
        if isinstance(begun, DeclineReason):
            return same_for_all(play, Declined(reason=begun))
        return await self._finish(request, play, policy, begun)

    async def _begin(self, request: Request, play: Play, policy: Policy, identity: Identity) -> Begun | DeclineReason:
        """Plan and make the intent durable; waits for what is in flight as long as there is time.

        Returns:
            What was begun, or why the play can no longer be tied to a player.
        """
        attempt = self._attempt(self._ids.new_id(), request.deadline)
        lock = f"{request.connection.operator.id}/{identity.round or identity.player or request.connection.id}"
        rollback = play.movements[0].kind is MovementKind.ROLLBACK
        guess = may_be_new(play)
        for _try in range(MAX_TRIES):
            async with self._locks.hold(lock):
                if guess and self._guesses.worth(identity.connection):
                    guess = False
                    if begun := await self._begin_unread(play, policy, identity, attempt):
                        return begun
                situation, intended = await self._situation(play, policy, identity, attempt)
                plan = plan_rollback(situation, intended[0]) if rollback else plan_forward(situation, intended)
                if not await self._write(plan):
                    identity = await self._resolver.play(request.connection, play, policy)
                    if reason := unidentified(identity, play, policy):
                        return reason
                    continue
            waits = next((item for item in plan.steps if isinstance(item, WaitFor)), None)
            if waits is None or not await self._bell.wait(waits.movement, request.deadline):
                if guess and situation.snapshot == NOTHING:
                    self._guesses.right(identity.connection)
                return Begun(situation=situation, intended=intended, plan=plan)
            attempt = self._attempt(attempt.play, request.deadline)
        raise StoreUnavailableError("other writers came first too often")

    async def _begin_unread(self, play: Play, policy: Policy, identity: Identity, attempt: Attempt) -> Begun | None:
        """Begin bets that are most likely new, in a round that most likely is, without reading the ledger first.

        Only a plan that writes a new row for every movement, begun or refused, is written: its keys and its round are
        then judged by the ledger itself, which refuses it if any of them is there.
        """
        situation = self._situated(play, policy, identity, NOTHING, attempt)
        intended = intend(play, policy, identity)
        plan = plan_forward(situation, intended)
        if len(plan.change.movements) < len(intended):
            return None
        if await self._write(plan):
            self._guesses.right(identity.connection)
            return Begun(situation=situation, intended=intended, plan=plan)
        self._guesses.wrong(identity.connection)
        return None

    def _situated(
        self, play: Play, policy: Policy, identity: Identity, snapshot: Snapshot, attempt: Attempt
    ) -> Situation:
        silent = self._channel.refuses_bets(identity.connection.operator)
        return Situation(
            play=play, policy=policy, identity=identity, snapshot=snapshot, attempt=attempt, wallet_is_silent=silent
        )

    def _attempt(self, play: str, deadline: float) -> Attempt:
        """A new attempt; nobody takes its movements over while the wallet may still answer in time."""
        now, left = self._clock.now_ms(), deadline - self._clock.monotonic()
        return Attempt(
            play=play,
            owner=self._owner.name,
            epoch=self._owner.epoch,
            nonce=self._ids.nonce(),
            now=now,
            lease_until=now + self._lease_ms + max(int(left * 1000), 0),
        )

    async def _write(self, plan: Plan) -> bool:
        if is_empty(plan.change):
            return True
        if not isinstance(await self._ledger.commit(plan.change), Committed):
            return False
        for update in plan.change.updates:
            self._bell.ring(update.row.movement)
        if plan.change.deliveries:
            self._bell.owed()
        return True

    async def _situation(
        self, play: Play, policy: Policy, identity: Identity, attempt: Attempt
    ) -> tuple[Situation, Sequence[Intended]]:
        """One reading of the ledger, and what the play asks for in its terms."""
        operator, scope = identity.connection.operator.id, scope_of(policy, identity)
        keys = [key_of(key, scope, identity) for item in play.movements for key in item.keys]
        keys += [key_of(item.resend_of, scope, identity) for item in play.movements if item.resend_of]
        targets = [
            key_of(item.target.key, scope, identity) for item in play.movements if item.target and item.target.key
        ]
        net = any(item.win_amount is not None for item in play.movements)
        legs = [win_leg_key(key) for key in (*targets, *(keys if net else ()))]
        whole = any(map(_needs_whole_round, _kinds(play)))
        look = Look(operator=operator, keys=(*keys, *targets, *legs), round=identity.round, round_movements=whole)
        snapshot = await self._ledger.look(look)
        first = snapshot.keys.get(targets[0]) if targets else None
        rollback = play.movements[0].kind is MovementKind.ROLLBACK
        if first is not None and first.round is not None and (rollback or identity.round is None):
            snapshot = await self._ledger.look(evolve(look, round=first.round))
            identity = _in_round_of(identity, snapshot)
        identity = _captured_at_bet(identity, snapshot, play)
        situation = self._situated(play, policy, identity, snapshot, attempt)
        intended = intend(play, policy, identity)
        if rollback:
            target = target_of(situation, intended[0], situation.existing(intended[0]))
            if target is not None and target.state in {MovementState.INTENT, MovementState.OWED}:
                situation = evolve(situation, beside=await play_of(self._ledger, target))
        return situation, intended

    async def _finish(self, request: Request, play: Play, policy: Policy, begun: Begun) -> PlayResult:
        """Send what was begun, close the round where the play says so, and put the answer together."""
        sent = await self._send(request, play, policy, begun)
        outcomes = [outcome_of(item, sent, request.connection) for item in begun.plan.steps]
        outcomes = none_before_all(begun.intended, outcomes)
        results = by_movement(play, begun.intended, outcomes)
        whole = overall([item.outcome for item in results])
        if not isinstance(whole, Unknown) and not (sent.rows and begun.is_in_its_round):
            await self._end_round(play, policy, begun, applied=isinstance(whole, Applied))
        if isinstance(whole, Applied):
            await self._end_grant(play, begun)
        balance = self._people.shown(policy, sent.balance)
        if balance is None and isinstance(whole, Applied) and begun.situation.identity.player:
            balance, whole = await self._balance(request, policy, begun, whole)
        return PlayResult(outcome=whole, movements=results, balance=balance)

    async def _send(self, request: Request, play: Play, policy: Policy, begun: Begun) -> Sent:
        sends = [item.row for item in begun.plan.steps if isinstance(item, SendIt)]
        undo = begun.undo
        if not sends and undo is None:
            return Sent(rows={})
        first = undo.target if undo else sends[0]
        identity, derives = begun.situation.identity, policy.round_end is RoundEnd.SETTLED
        only = derives and takes_only(play)
        errand = Errand(
            connection=request.connection,
            policy=policy,
            player=await self._people.wallet_player(request.connection, first, identity.session),
            provider_round=identity.provider_round or "",
            closes_round=closes(play, policy) and begun.is_in_its_round,
            derives_end=derives,
            takes_only=only,
            deadline=request.deadline,
            trace=request.trace,
            known=begun.known(whole=derives and not only),
        )
        if undo is not None:
            return await self._sender.undo(errand, undo.row, undo.target)
        return await self._sender.send(errand, sends)

    async def _end_round(self, play: Play, policy: Policy, begun: Begun, *, applied: bool) -> None:
        """End the round of a play of which nothing was sent in it: what is sent is settled together with the end."""
        now, round_id = applied and closes(play, policy), begun.situation.identity.round
        settled = policy.round_end is RoundEnd.SETTLED and not (applied and takes_only(play))
        if round_id is not None and (now or settled):
            await self._rounds.end(begun.situation.operator, round_id, only_if_settled=not now)

    async def _end_grant(self, play: Play, begun: Begun) -> None:
        situation, operator = begun.situation, begun.situation.operator
        grant = situation.identity.grant
        if play.closes_grant and grant is not None and grant.state != "finished":
            ended = evolve(grant, state="finished", version=grant.version + 1)
            about = {name: getattr(grant, name) for name in ("connection", "player", "rounds", "currency")}
            event = LedgerEvent(kind="grant.finished", subject=grant.grant, at=self._clock.now_ms(), body=about)
            await self._ledger.commit(Change(operator=operator, grants=(ended,), events=(event,)))

    async def _balance(
        self, request: Request, policy: Policy, begun: Begun, outcome: Applied
    ) -> tuple[Balance | None, Outcome]:
        """The balance for the answer, where the wallet told none; if the protocol needs one, it is asked for."""
        rows = [item.row for item in begun.plan.steps if isinstance(item, Say) and item.row is not None]
        if policy.repeat_balance is RepeatBalance.STORED and rows:
            stored = stored_balance(rows[-1], request.connection)
            shown = self._people.shown(policy, stored)
            if shown is not None:
                return shown, outcome
        if not policy.answer_needs_balance:
            return None, outcome
        balance = await self._people.balance_of(request, begun.situation.play.operation, begun.situation.identity)
        if isinstance(balance, Balance):
            return balance, outcome
        return None, Unknown(cause=UnknownCause.BALANCE, transaction=outcome.transaction)

    async def _close_round(self, request: Request, call: CloseRound) -> CloseRoundResult:
        play_round = call.round
        player, session = await self._resolver.person(request.connection, alias=call.player, token=call.session)
        if not player:
            return CloseRoundResult(outcome=Declined(reason=DeclineReason.PLAYER_UNKNOWN))
        identity = Identity(connection=request.connection, player=player, session=session, provider_round=play_round)
        try:
            assert identity.round is not None  # noqa: S101 # player and provider_round are given
            known = await self._rounds.end(request.connection.operator.id, identity.round)
        except StoreUnavailableError:
            return CloseRoundResult(outcome=Unknown(cause=UnknownCause.STORE))
        outcome = Applied(effect=AppliedEffect.MOVED if known else AppliedEffect.NOTHING)
        policy = request.connection.policies.of(call.operation)
        if not policy.answer_needs_balance:
            return CloseRoundResult(outcome=outcome)
        balance = await self._people.balance_of(request, call.operation, identity)
        if isinstance(balance, Balance):
            return CloseRoundResult(outcome=outcome, balance=balance)
        return CloseRoundResult(outcome=Unknown(cause=UnknownCause.BALANCE))

    async def _notice(self, request: Request, call: Notice) -> NoticeResult:
        operator = request.connection.operator.id
        body = {"operation": call.operation, "reference": call.reference, "connection": request.connection.id}
        event = LedgerEvent(
            kind=f"notice.{call.subject}", subject=call.reference, at=self._clock.now_ms(), body={**body, **call.facts}
        )
        try:
            await self._ledger.commit(Change(operator=operator, events=(event,)))
        except StoreUnavailableError:
            return NoticeResult(outcome=Unknown(cause=UnknownCause.STORE))
        if call.ends_session and call.player:
            await self._end_sessions(request.connection, call.player)
        return NoticeResult(outcome=Applied(effect=AppliedEffect.NOTHING))

    async def _end_sessions(self, connection: Connection, alias: str) -> None:
        player = await self._sessions.player(connection, alias)
        session: SessionRow | None = await self._sessions.latest(connection, player) if player else None
        if session is not None:
            await self._sessions.end(connection.operator.id, session.session)


@immutable(kw_only=True)
class Begun:
    """A plan whose change is durable.

    Attributes:
        situation: What it was made from.
        intended: The movements in the hub's terms.
        plan: The plan.
        undo: The rollback, if the wallet is to be asked for one.
    """

    situation: Situation
    intended: Sequence[Intended]
    plan: Plan
    undo: UndoIt | None = field(init=False)

    @undo.default
    def _undo(self) -> UndoIt | None:
        return next((item for item in self.plan.steps if isinstance(item, UndoIt)), None)

    @property
    def is_in_its_round(self) -> bool:
        """Whether what is sent is in the round that the play names; a rollback is in that of what it undoes."""
        named, undo = self.situation.identity.round, self.undo
        return undo is None or named is None or named == undo.target.round

    def known(self, *, whole: bool) -> Snapshot:
        """The ledger's rows as they stand after the commit; with the `whole` round's movements, if they were read."""
        change, snapshot = self.plan.change, self.situation.snapshot
        rows = {**snapshot.movements, **{row.movement: row for row in change.movements}}
        rows |= {update.row.movement: update.row for update in change.updates}
        round_ = change.rounds[0] if change.rounds else snapshot.round
        read = snapshot.round is None or any(map(_needs_whole_round, _kinds(self.situation.play)))
        if not (whole and read) or round_ is None:
            return Snapshot(movements=rows, round=round_)
        before = [rows.get(row.movement, row) for row in snapshot.round_movements]
        new = (row for row in change.movements if row.round == round_.round)
        return Snapshot(movements=rows, round=round_, round_movements=(*before, *new))


def _needs_whole_round(kind: MovementKind) -> bool:
    """Whether the round's movements must be read: a win that may stand without its bet, a bet that may be paid."""
    return kind in OF_ITS_BETS | {MovementKind.WIN, MovementKind.ROLLBACK}


def _kinds(play: Play) -> Iterable[MovementKind]:
    return (movement.kind for movement in play.movements)


def _in_round_of(identity: Identity, snapshot: Snapshot) -> Identity:
    """A play that names no round is in the round of what it refers to."""
    row = snapshot.round
    if identity.provider_round is not None or row is None or row.player != identity.player:
        return identity
    return evolve(identity, provider_round=row.provider_round)


def _captured_at_bet(identity: Identity, snapshot: Snapshot, play: Play) -> Identity:
    """A payout keeps the currency that its round began with, whatever the player's session says since."""
    row = snapshot.round
    bets = any(item.direction is Direction.DEBIT for item in play.movements)
    if row is None or bets or identity.currency is None or row.currency in {"", identity.currency.code}:
        return identity
    return evolve(identity, currency=identity.connection.currencies.get(row.currency))
