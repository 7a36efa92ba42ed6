"""The money path alone, on virtual time: the real engine, ledger and deliveries between a caller and a model wallet.

Example:
    >>> async def story() -> None:
    ...     async with MoneyPath.open("ledger.sqlite3") as path:
    ...         result = await path.play(path.bet("b1", "1.00"))
    ...         print(result.outcome)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, evolve, field

from croupier.contract import (
    Calls,
    Credentials,
    Declined,
    DeclineReason,
    HttpRequest,
    HttpResponse,
    Movement,
    MovementKey,
    MovementKind,
    Outcome,
    Play,
    PlayResult,
    Policies,
    Policy,
    Result,
    Target,
    TransportError,
    TransportProblem,
    WalletCapability,
    WalletPolicy,
    WireAmount,
)
from croupier.ledger.port import Change, MovementFilter, Page
from croupier.ledger.records import Event, MovementRow, PlayerRow, SessionRow, SessionState
from croupier.ledger.sqlite import SqliteLedger
from croupier.runtime.ids import SeededIds
from croupier.wallet.calendar import Calendar
from croupier.wallet.channel import Channel
from croupier.wallet.deliveries import Deliveries
from croupier.wallet.engine import Engine
from croupier.wallet.parties import Admission, Connection, Operator, Route
from croupier.wallet.watch import Bell
from croupier_conformance.model_wallet import ModelDialect, ModelSettings, ModelWallet
from croupier_conformance.network import Faults, Network
from croupier_conformance.virtual_time import LoopClock

OPERATOR = "operator-1"
CONNECTION = "connection-1"
GAME = "acme:one"


@define
class TableSessions:
    """Sessions that a test writes down: players by alias, each with one session."""

    players: dict[str, str] = field(factory=dict)
    sessions: dict[str, SessionRow] = field(factory=dict)
    expired: set[str] = field(factory=set)

    async def admit(
        self, connection: Connection, token: str, *, rotate: bool, renew: bool = False
    ) -> Admission | DeclineReason:
        session = await self.by_token(connection, token)
        if session is None:
            return DeclineReason.SESSION_UNKNOWN
        return Admission(session=session, token=token) if self.is_live(session) else DeclineReason.SESSION_EXPIRED

    async def by_token(self, connection: Connection, token: str, *, fresh: bool = True) -> SessionRow | None:
        return next((session for session in self.sessions.values() if session.launch_hash == token), None)

    async def latest(self, connection: Connection, player: str) -> SessionRow | None:
        return self.sessions.get(player)

    def is_live(self, session: SessionRow) -> bool:
        return session.player not in self.expired

    def is_current(self, session: SessionRow, token: str) -> bool:
        return session.token_hash in {None, token}

    async def end(self, operator: str, session: str) -> SessionRow:
        row = next(row for row in self.sessions.values() if row.session == session)
        self.expired.add(row.player)
        return row

    async def alias(self, connection: Connection, player: str) -> str:
        return next(alias for alias, surrogate in self.players.items() if surrogate == player)

    async def player(self, connection: Connection, alias: str) -> str | None:
        return self.players.get(alias)


@define
class OneGame:
    """A connection that serves one game, unless it is refused."""

    refusal: DeclineReason | None = None

    def route(self, connection: str, code: str) -> Route | None:
        return Route(game="game-1", code=code, refusal=self.refusal) if code == GAME else None


@define
class OneConnection:
    """Knows the one connection that there is."""

    known: Connection

    def connection(self, operator: str, connection: str) -> Connection | None:
        return self.known if (operator, connection) == (self.known.operator.id, self.known.id) else None


@define(eq=False)
class MoneyPath:
    """A hub without sockets: what a test plays on.

    Attributes:
        connections: The connection that plays come by; `reconfigure` changes its policy.
        wallet: The operator's book.
        network: What happens between hub and wallet.
        ledger: The durable record.
        engine: What handles plays; another one after a `crash`.
        deliveries: The worker; another one after a `crash`.
        alarms: What a person was told to look at, oldest first.
        running: The plays under way: they go on when their caller is gone.
    """

    connections: OneConnection
    wallet: ModelWallet
    network: Network
    ledger: SqliteLedger
    sessions: TableSessions
    games: OneGame
    clock: LoopClock
    ids: SeededIds
    channel: Channel
    engine: Engine
    deliveries: Deliveries
    alarms: list[Event]
    working: asyncio.Task[None] | None = None
    running: set[asyncio.Task[Any]] = field(factory=set)

    @property
    def connection(self) -> Connection:
        """The connection that plays come by."""
        return self.connections.known

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        ledger_file: str | Path,
        *,
        policy: Policy | None = None,
        wallet: ModelWallet | None = None,
        wallet_policy: WalletPolicy | None = None,
        without: frozenset[WalletCapability] = frozenset(),
        faults: Faults | None = None,
        seed: int = 0,
        players: tuple[str, ...] = ("p1", "p2"),
        opening: int = 10_000,
    ) -> AsyncIterator[MoneyPath]:
        """Start one; inside a virtual loop."""
        clock, ids = LoopClock(), SeededIds(seed)
        book = wallet or ModelWallet()
        network = Network(Random(seed), faults or Faults())
        ledger = SqliteLedger(Path(ledger_file), threaded=False)
        await ledger.start()
        dialect = ModelDialect(ModelSettings())
        operator = Operator(
            id=OPERATOR,
            dialect=dialect,
            credentials=Credentials(),
            capabilities=dialect.spec.capabilities - without,
            policy=wallet_policy or WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000),
        )
        connection = Connection(
            id=CONNECTION, name="acme", provider="model", operator=operator, policies=Policies(policy or Policy())
        )
        sessions, games = TableSessions(), OneGame()

        async def send(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
            async def deliver() -> HttpResponse:
                await clock.sleep(0.01)
                return book.answer(request)

            return await network.carry(deliver, timeout_seconds)

        channel = Channel(ledger, send, clock, ids)
        connections = OneConnection(connection)
        alarms: list[Event] = []
        process = await _process(
            ledger=ledger,
            sessions=sessions,
            games=games,
            channel=channel,
            connections=connections,
            clock=clock,
            ids=ids,
            alarms=alarms,
        )
        path = cls(connections, book, network, ledger, sessions, games, clock, ids, channel, *process, alarms)
        for alias in players:
            await path.seat(alias, opening)
        try:
            yield path
        finally:
            path.rest()
            await path.engine.drain()
            await network.settle()
            await ledger.close()

    async def seat(self, alias: str, opening: int) -> None:
        """Seat a player with a session and money."""
        player = f"surrogate-{alias}"
        now = self.clock.now_ms()
        await self.ledger.ensure_player(
            PlayerRow(operator=OPERATOR, player=player, operator_player=f"op-{alias}", created_at=now)
        )
        session = SessionRow(
            operator=OPERATOR,
            session=f"session-{alias}",
            player=player,
            connection=CONNECTION,
            game="game-1",
            route=GAME,
            currency="EUR",
            state=SessionState.ACTIVE,
            launch_hash=f"token-{alias}",
            created_at=now,
            expires_at=now + 3_600_000,
            launch_expires_at=now + 60_000,
        )
        self.sessions.players[alias] = player
        if await self.ledger.session(OPERATOR, session.session) is None:
            await self.ledger.commit(Change(operator=OPERATOR, sessions=(session,)))
        self.sessions.sessions[player] = session
        self.wallet.balances[f"op-{alias}"] = opening

    def reconfigure(self, **knobs: Any) -> None:
        """Change policy knobs of the connection."""
        policy = evolve(self.connection.policies.default, **knobs)
        self.connections.known = evolve(self.connection, policies=Policies(policy))

    def work(self, poll_seconds: float = 1.0) -> None:
        """Let the worker for owed work run by itself; on its own it looks so often."""
        self.working = asyncio.ensure_future(self.deliveries.run(poll_seconds))

    def rest(self) -> None:
        """Stop the worker."""
        if self.working is not None:
            self.working.cancel()
        self.working = None

    async def crash(self) -> None:
        """Lose the process where it stands; another one begins on the same ledger. What is on its way arrives."""
        worked = self.working is not None
        self.rest()
        lost = sorted(self.running, key=_born)
        for task in lost:
            task.cancel()
        await asyncio.gather(*lost, return_exceptions=True)
        self.engine, self.deliveries = await _process(
            ledger=self.ledger,
            sessions=self.sessions,
            games=self.games,
            channel=self.channel,
            connections=self.connections,
            clock=self.clock,
            ids=self.ids,
            alarms=self.alarms,
        )
        if worked:
            self.work()

    async def call(self, *calls: Any, seconds: float | None = None) -> tuple[Result, ...]:
        """Handle calls as one request, with the connection's budget or with `seconds`.

        Raises:
            TransportError: The hub crashed meanwhile.
        """
        budget = self.connection.policies.default.operator_budget_ms / 1000 if seconds is None else seconds
        deadline = self.clock.monotonic() + budget
        try:
            work = asyncio.ensure_future(
                self.engine.handle(self.connection, Calls(tuple(calls)), trace="trace", deadline=deadline)
            )
            self.running.add(work)
            work.add_done_callback(self.running.discard)
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is None or caller.cancelling():
                raise
            raise TransportError("the hub crashed", problem=TransportProblem.NO_ANSWER) from None

    async def play(
        self,
        *movements: Movement,
        player: str | None = "p1",
        round: str | None = "r1",
        closes_round: bool = False,
        seconds: float | None = None,
        **rest: Any,
    ) -> PlayResult:
        """Play movements as one request."""
        play = Play(
            operation="play",
            movements=movements,
            player=player,
            round=round,
            game=GAME if player else None,
            closes_round=closes_round,
            **rest,
        )
        (result,) = await self.call(play, seconds=seconds)
        assert isinstance(result, PlayResult)
        return result

    async def drain(self, hours: float = 24) -> None:
        """Let time pass until nothing is owed any more, or for so long."""
        self.network.quiet = True
        end = self.clock.monotonic() + hours * 3600
        while self.clock.monotonic() < end:
            await self.deliveries.run_once()
            if not await self.deliveries.owed():
                return
            await self.clock.sleep(1)

    async def rows(self) -> list[MovementRow]:
        """Every movement on record, oldest first."""
        return list(await self.ledger.movements(OPERATOR, MovementFilter(), Page(limit=100_000)))

    async def row(self, reference: str) -> MovementRow:
        """The one movement with a provider's id."""
        (row,) = [row for row in await self.rows() if row.reference == reference]
        return row

    def balance(self, alias: str = "p1") -> int:
        """What the wallet holds for a player."""
        return self.wallet.balances[f"op-{alias}"]


def _born(task: asyncio.Task[Any]) -> tuple[int, str]:
    """Tasks are numbered in the order in which they began."""
    return len(task.get_name()), task.get_name()


async def _process(
    *,
    ledger: SqliteLedger,
    sessions: TableSessions,
    games: OneGame,
    channel: Channel,
    connections: OneConnection,
    clock: LoopClock,
    ids: SeededIds,
    alarms: list[Event],
) -> tuple[Engine, Deliveries]:
    """A process of the hub, new to the ledger."""

    def alarm(_operator: str, event: Event) -> None:
        alarms.append(event)

    owner, bell = await ledger.register("hub"), Bell(clock)
    engine = Engine(
        ledger=ledger,
        sessions=sessions,
        games=games,
        channel=channel,
        clock=clock,
        ids=ids,
        owner=owner,
        bell=bell,
        alarm=alarm,
    )
    deliveries = Deliveries(
        ledger=ledger,
        channel=channel,
        connections=connections,
        find_player=engine.wallet_player,
        clock=clock,
        ids=ids,
        owner=owner,
        notify=bell.ring,
        calendar=Calendar(),
        alarm=alarm,
    )
    return engine, deliveries


def bet(id: str, amount: str = "1.00", *, namespace: str = "tx", **rest: Any) -> Movement:
    """A bet."""
    return Movement(MovementKind.BET, keys=(MovementKey(namespace, id),), amount=WireAmount.of(amount), **rest)


def win(id: str, amount: str = "1.00", *, of: str | None = None, namespace: str = "tx", **rest: Any) -> Movement:
    """A win, of a named bet or of the round."""
    target = Target(key=MovementKey(namespace, of)) if of else None
    return Movement(
        MovementKind.WIN, keys=(MovementKey(namespace, id),), amount=WireAmount.of(amount), target=target, **rest
    )


def net(id: str, stake: str, payout: str) -> Movement:
    """A bet with its win in one movement."""
    return Movement(
        MovementKind.BET_AND_WIN,
        keys=(MovementKey("tx", id),),
        amount=WireAmount.of(stake),
        win_amount=WireAmount.of(payout),
    )


def rollback(id: str, of: str, *, namespace: str = "tx") -> Movement:
    """A rollback of a named movement."""
    target = Target(key=MovementKey(namespace, of))
    return Movement(MovementKind.ROLLBACK, keys=(MovementKey("rollback", id),), target=target)


def reason(outcome: Outcome) -> DeclineReason:
    """Why something was declined; an outcome that is anything else is an error."""
    assert isinstance(outcome, Declined), outcome
    return outcome.reason
