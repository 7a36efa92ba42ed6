"""The ledger's port: self-contained commands, so that any batch of them is one commit.

No caller ever holds a transaction. A `Change` says what to insert, what to update and at which version it was read;
the engine applies it whole or not at all, together with everything else that waits, and wakes the caller after the
commit. Unique constraints and versions are the only judges: a change that meets a taken key or a newer version is
`Refused`, and the caller reads again and decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, unique
from typing import Final, Protocol

from attrs import field

from croupier.contract.values import immutable
from croupier.ledger.clock_marks import ClockMark, ClockReading
from croupier.ledger.records import (
    AdjustmentRow,
    AliasRow,
    CaseRow,
    CaseState,
    ConfigurationRow,
    DeliveryRow,
    DeliveryState,
    Event,
    ExchangeRow,
    GrantRow,
    Key,
    MovementRow,
    PlayerRow,
    RoundRow,
    SessionRow,
    SinkRow,
    StoredEvent,
)


@immutable
class Update:
    """A movement's new row; `row.version` is one above the version that must be stored now.

    Attributes:
        row: The whole new row.
        epoch: If given, the stored row's epoch must be this: a zombie's late write is refused.
    """

    row: MovementRow
    epoch: int | None = None


@immutable
class DeliveryUpdate:
    """A delivery's new row; `row.version` is one above the stored version.

    Attributes:
        row: The whole new row.
        epoch: If given, the stored delivery must be claimed under this epoch.
    """

    row: DeliveryRow
    epoch: int | None = None


@immutable(kw_only=True)
class Change:
    """Everything that becomes true together.

    A row with `version == 1` (movement, round, session, grant, case) must not exist yet; a higher version must be
    stored at exactly one less.

    Attributes:
        operator: The operator: a change never crosses operators.
        expects: Sessions that must still be stored at these versions, by id: what was decided on a session that was
            read from a cache, or a moment ago, becomes true only if the session has not changed since. A session
            that changed, or is not stored, refuses the whole change as `STALE`.
        movements: New movements.
        keys: The keys of the new movements, each with its movement's id; a taken key refuses the whole change.
        updates: Changed movements.
        rounds: New or changed rounds.
        deliveries: New deliveries; the ledger assigns `sequence`.
        delivery_updates: Changed deliveries.
        sessions: New or changed sessions.
        grants: New or changed grants.
        configuration: New versions of configured things: `version` must be one above the newest stored (1 if none).
        sinks: Changed rows of readers, claimed before (`Ledger.claim_sink`): how far one has come becomes true together
            with what it came to.
        cases: New or changed cases.
        adjustments: New adjustments; there is one of a case at most.
        events: What to append, in order; positions are assigned at the commit.
    """

    operator: str
    expects: tuple[tuple[str, int], ...] = ()
    movements: tuple[MovementRow, ...] = ()
    keys: tuple[tuple[Key, str], ...] = ()
    updates: tuple[Update, ...] = ()
    rounds: tuple[RoundRow, ...] = ()
    deliveries: tuple[DeliveryRow, ...] = ()
    delivery_updates: tuple[DeliveryUpdate, ...] = ()
    sessions: tuple[SessionRow, ...] = ()
    grants: tuple[GrantRow, ...] = ()
    configuration: tuple[ConfigurationRow, ...] = ()
    sinks: tuple[SinkRow, ...] = ()
    cases: tuple[CaseRow, ...] = ()
    adjustments: tuple[AdjustmentRow, ...] = ()
    events: tuple[Event, ...] = ()


@unique
class RefusedBecause(Enum):
    """Why a change was not applied."""

    TAKEN = "taken"
    """A key, or a row that must be new, exists."""
    STALE = "stale"
    """A row has another version or epoch than was read."""


@immutable
class Committed:
    """The change is durable.

    Attributes:
        position: The operator's newest event position after it.
    """

    position: int


@immutable
class Refused:
    """Nothing of the change was applied.

    Attributes:
        because: Why.
        what: The key or row that refused it, for logs.
    """

    because: RefusedBecause
    what: str


CommitResult = Committed | Refused


@immutable(kw_only=True)
class Look:
    """What to read for one decision.

    Attributes:
        operator: The operator.
        keys: Movements by key.
        movements: Movements by id.
        round: A round by id.
        round_movements: Whether to read the round's movements too, oldest first.
    """

    operator: str
    keys: tuple[Key, ...] = ()
    movements: tuple[str, ...] = ()
    round: str | None = None
    round_movements: bool = False


@immutable(kw_only=True)
class Snapshot:
    """What was found: one consistent reading.

    Attributes:
        keys: Found movements by key.
        movements: Found movements by id (those found by key too).
        round: The round, if it exists.
        round_movements: Its movements, oldest first, if they were asked for.
    """

    keys: Mapping[Key, MovementRow] = field(factory=dict)
    movements: Mapping[str, MovementRow] = field(factory=dict)
    round: RoundRow | None = None
    round_movements: tuple[MovementRow, ...] = ()


@immutable
class Owner:
    """A process that works on the ledger.

    Attributes:
        name: Unique per process start.
        epoch: Rises with every registration: the later one wins.
    """

    name: str
    epoch: int


@immutable(kw_only=True)
class Page:
    """Which part of a list to read, newest last.

    Attributes:
        after: The place of the last row that was read (`created_at`, id), or `None` for the beginning.
        limit: The most rows to return.
    """

    after: tuple[int, str] | None = None
    limit: int = 100


@immutable(kw_only=True)
class MovementFilter:
    """Which movements to list; `None` does not restrict. Times are `created_at`, from inclusive, until exclusive."""

    player: str | None = None
    connection: str | None = None
    round: str | None = None
    state: str | None = None
    since: int | None = None
    until: int | None = None


@immutable(kw_only=True)
class RoundFilter:
    """Which rounds to list; `None` does not restrict. Times are `opened_at`, from inclusive, until exclusive."""

    state: str | None = None
    since: int | None = None
    until: int | None = None


EVERY_ROUND: Final = RoundFilter()


@immutable
class BatchEnd:
    """What became of a transaction with changes.

    Attributes:
        changes: How many it had.
        seconds: How long it took until that was known.
        durable: Whether it was committed; otherwise its callers were told that nothing of it is known to be stored.
    """

    changes: int
    seconds: float
    durable: bool


OnBatch = Callable[[BatchEnd], None]
"""Is told of every transaction with changes."""


def unheard(_end: BatchEnd) -> None:
    """Nobody asks what became of transactions."""


@immutable
class Backlog:
    """What a process has not stored.

    Attributes:
        changes: Changes that wait for a transaction.
        exchanges: Exchanges that wait to be stored with changes.
        dropped: How many exchanges were not stored and will not be: too many waited, or no column holds them.
    """

    changes: int
    exchanges: int
    dropped: int


class Ledger(Protocol):
    """The durable record. Every engine passes the same contract tests.

    Reads see every change whose commit was acknowledged. Any method may raise `StoreUnavailableError`; then nothing of
    the call is durable, unless the commit itself was ambiguous: `commit` settles that by reading back.
    """

    async def start(self) -> None:
        """Open, check safety settings and schema version, take the lock.

        Raises:
            UnsafeStoreError: The settings would lose acknowledged commits, or another hub holds the file.
            FixConfigurationError: The schema is newer than this code, or older than it can use.
        """

    async def close(self) -> None:
        """Persist what waits and close. Idempotent."""

    def backlog(self) -> Backlog:
        """What waits in this process, and what was dropped since it made the ledger."""

    async def clock(self) -> ClockReading:
        """What the database's clock shows, and the marks of the ledger's time."""

    async def mark_clock(self, mark: ClockMark) -> None:
        """Keep a mark of the ledger's time, in place of an earlier one of the same boot; a later one stays."""

    async def forget_clock(self) -> None:
        """Forget every mark, and end the leases of sinks. Only while no process works on the ledger."""

    async def register(self, name: str) -> Owner:
        """Register a process; its epoch is above every earlier one's."""

    async def commit(self, change: Change) -> CommitResult:
        """Apply a change, whole or not at all; returns after it is durable.

        Raises:
            LedgerCorruptError: The change breaks a rule that versions and keys do not judge: it crosses operators,
                names a movement that is not stored, or holds what no column can. Nothing of it is durable.
        """

    async def look(self, look: Look) -> Snapshot:
        """Read for one decision."""

    async def claim_deliveries(
        self, owner: Owner, now: int, lease_ms: int, limit: int, *, apart_from: Sequence[str] = ()
    ) -> Sequence[DeliveryRow]:
        """Lease due work: state `owed`, `due_at <= now`, no live lease, not blocked, of no operator in `apart_from`.

        A delivery is blocked while an earlier one (lower `sequence`) of the same round is `owed`, or while a `held`
        one concerns the movement it waits for (`waits_for`) or its own movement. The returned rows carry the new
        owner, epoch, lease and version.
        """

    async def claim_orphans(self, owner: Owner, now: int, lease_ms: int, limit: int) -> Sequence[MovementRow]:
        """Take over movements in `intent` or `fenced` whose lease has ended; the rows carry the new owner."""

    async def deliveries(self, operator: str | None, state: DeliveryState | None, limit: int) -> Sequence[DeliveryRow]:
        """List deliveries, oldest first; `None` for every operator or state."""

    async def delivery(self, operator: str, delivery: str) -> DeliveryRow | None:
        """One delivery."""

    async def deliveries_of(self, operator: str, movement: str) -> Sequence[DeliveryRow]:
        """Every delivery about a movement, in order."""

    async def events_after(self, operator: str, position: int, limit: int) -> Sequence[StoredEvent]:
        """Events beyond a position, in order, without gaps. No position below one that was read appears later."""

    async def newest_position(self, operator: str) -> int:
        """The position of the operator's newest event; 0 if there is none."""

    async def sink(self, operator: str, sink: str) -> SinkRow | None:
        """How far a sink has come; `None` if it was never claimed."""

    async def claim_sink(
        self, owner: Owner, operator: str, sink: str, *, now: int, lease_ms: int, start: int
    ) -> SinkRow | None:
        """Lease a sink, or renew the lease: `None` while another owner's lasts.

        A sink that was never claimed begins after the position `start`. The returned row carries the new owner,
        epoch, lease and version.
        """

    async def store_sink(self, row: SinkRow, epoch: int | None = None) -> bool:
        """Store a sink's new row, whose `version` is one above the version that must be stored now.

        Returns:
            Whether it was: not if the stored row has another version or, if it is given, another epoch.
        """

    def note(self, exchange: ExchangeRow) -> None:
        """Store an exchange within moments, with others; never waits, and is dropped with a count if too many wait."""

    async def exchanges(
        self, operator: str, *, trace: str | None = None, movement: str | None = None
    ) -> Sequence[ExchangeRow]:
        """Exchanges of one trace or movement, in order."""

    async def movement(self, operator: str, movement: str) -> MovementRow | None:
        """One movement by id."""

    async def movements(self, operator: str, which: MovementFilter, page: Page) -> Sequence[MovementRow]:
        """Movements in order of (`created_at`, id)."""

    async def round(self, operator: str, round: str) -> RoundRow | None:
        """One round by id."""

    async def rounds(
        self, operator: str, player: str | None, page: Page, which: RoundFilter = EVERY_ROUND
    ) -> Sequence[RoundRow]:
        """Rounds in order of (`opened_at`, id). States are not indexed: what is read is what was opened in the time."""

    async def ensure_player(self, row: PlayerRow) -> PlayerRow:
        """The vault's line of (`operator`, `operator_player`): the stored one, or this if there was none.

        Raises:
            ConflictError: The surrogate is another player's: draw a new one.
        """

    async def ensure_alias(self, row: AliasRow) -> AliasRow:
        """The alias of (`operator`, `connection`, `player`): the stored one, or this if there was none.

        Raises:
            ConflictError: The alias is another player's: draw a new one.
        """

    async def player(self, operator: str, player: str) -> PlayerRow | None:
        """A vault line by surrogate."""

    async def player_by_operator_id(self, operator: str, operator_player: str) -> PlayerRow | None:
        """A vault line by the operator's id."""

    async def player_by_alias(self, operator: str, connection: str, alias: str) -> str | None:
        """The surrogate behind an alias."""

    async def alias_of(self, operator: str, connection: str, player: str) -> str | None:
        """The alias of a player in a connection."""

    async def session(self, operator: str, session: str) -> SessionRow | None:
        """A session by id."""

    async def session_by_hash(self, operator: str, connection: str, token_hash: str) -> SessionRow | None:
        """A session by the hash of its launch token or of its session token."""

    async def latest_session(self, operator: str, connection: str, player: str) -> SessionRow | None:
        """The player's newest session with a connection, ended or not."""

    async def sessions(self, operator: str, player: str | None, page: Page) -> Sequence[SessionRow]:
        """Sessions in order of (`created_at`, id)."""

    async def grant(self, operator: str, connection: str, grant: str) -> GrantRow | None:
        """A free-round grant by the provider's reference."""

    async def grants(self, operator: str, player: str | None, page: Page) -> Sequence[GrantRow]:
        """Grants in order of (`created_at`, reference)."""

    async def configuration(self, operator: str | None = None, kind: str | None = None) -> Sequence[ConfigurationRow]:
        """The newest version of every configured thing, deleted ones too."""

    async def configuration_history(self, operator: str, kind: str, name: str) -> Sequence[ConfigurationRow]:
        """Every version of one configured thing, oldest first."""

    async def configuration_versions(self) -> int:
        """How many versions of configured things were ever stored: it rises with every change, and is cheap to ask."""

    async def case(self, operator: str, case: str) -> CaseRow | None:
        """A case by id."""

    async def cases(self, operator: str, state: CaseState | None, page: Page) -> Sequence[CaseRow]:
        """Cases in order of (`opened_at`, id); `None` for every state."""

    async def adjustments(
        self, operator: str, book: str, since: int, until: int, page: Page
    ) -> Sequence[AdjustmentRow]:
        """Adjustments against a book, of transactions from `since` to before `until`, in order of (`at`, case)."""

    async def adjustments_of(self, operator: str, book: str, references: Sequence[str]) -> Sequence[AdjustmentRow]:
        """Adjustments of some transactions against a book, in order of (`made_at`, case): the last is the newest."""

    async def count_states(self) -> Mapping[str, int]:
        """For metrics: movements in each state that is not final, deliveries in each state, and open cases.

        The names are `movement.<state>`, `delivery.<state>` and `case.open`; a state that nothing is in counts zero.
        """
