"""Rows of the ledger as immutable values.

Times are integers of milliseconds since 1970 (UTC); amounts are integers of minor units at the currency's registered
scale. Every row leads with its operator. A row is changed only by a `croupier.ledger.port.Change` that names the
version it was read at.

They are kept without slots: a copy with other values, which the money path makes at every step, is then a copy of a
dictionary (`changed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from typing import Any, NamedTuple, TypeVar

from attrs import field

from croupier.contract.choice import Choice
from croupier.contract.values import immutable

Row = TypeVar("Row", bound=object)


def changed(row: Row, /, **changes: Any) -> Row:
    """A copy of a row with other values: `attrs.evolve` at a tenth of its cost, for values that validate nothing.

    Args:
        row: An instance of a class without slots.
        changes: Attributes, each of them known to the class.
    """
    copy = object.__new__(type(row))
    copy.__dict__.update(row.__dict__)
    copy.__dict__.update(changes)
    return copy


@unique
class MovementState(Choice):
    """Where a movement stands. `croupier.wallet.machine` holds the transitions as a table."""

    INTENT = "intent"
    """Durable, and from then on possibly sent to the operator."""
    APPLIED = "applied"
    DECLINED = "declined"
    OWED = "owed"
    """Not yet answered definitely: a delivery repeats it until it is."""
    FENCED = "fenced"
    """A rollback met it in flight: it can no longer be answered as success."""
    REVERSING = "reversing"
    """Its rollback is durable and not yet confirmed."""
    REVERSED = "reversed"
    TOMBSTONED = "tombstoned"
    """Rolled back before it was ever seen: if it comes, it moves nothing."""
    HELD = "held"
    """Owed work was refused definitely: a person must decide."""


@immutable(kw_only=True, slots=False)
class MovementRow:
    """One movement.

    Attributes:
        operator: The operator.
        movement: The hub's id, which is also the transaction id that the operator is given.
        play: The id of the play it came with; `ordinal` is its place there.
        ordinal: From 0.
        connection: The connection's immutable id.
        player: The surrogate; empty in a tombstone whose player is not known.
        session: The session's id, where one is known.
        round: The hub's round id, where there is a round.
        game: The hub's game id.
        route: The route that served it (the provider's game code in this connection).
        kind: `MovementKind` value.
        direction: `debit`, `credit` or `reversal`.
        state: Where it stands.
        amount: What moves, never negative.
        currency: Its code; empty in a tombstone.
        reference: What others call it (the provider's id).
        fingerprint: Its content fields, for telling a repeat from a conflict.
        target: The movement that it undoes or settles.
        stake: The notional stake.
        funding: `Funding` value.
        funds_required: What the player must hold, where that is not `amount`.
        grant: The free-round grant.
        facts: Round facts, as JSON-ready values.
        operation: The adapter's name of the operation it came by: its policy still holds when the process is gone.
        generation: How many rollbacks of it have been begun under an id of their own.
        undone_by: The provider's rollback that undid it, or is to; `None` if the hub did on its own account.
        effect: `AppliedEffect` value, once applied.
        reason: `DeclineReason` value, or `not_sent` of what the wallet never heard of, once declined (or held).
        message: The operator's text with a refusal.
        operator_transaction: The operator's own id.
        balance: The cash balance after it, in minor units, as the operator told it.
        bonus: The bonus balance likewise.
        owner: Who works on it.
        epoch: The owner's epoch: an older one's writes are refused.
        nonce: Random per attempt: tells an own insert from another's after an ambiguous commit.
        lease_until: Until when nobody else may take it over.
        created_at: When the intent was recorded.
        settled_at: When it came to its present state, if that is not `INTENT`.
        version: From 1; every change adds one.
    """

    operator: str
    movement: str
    play: str
    ordinal: int
    connection: str
    player: str
    kind: str
    direction: str
    state: MovementState
    amount: int
    currency: str
    reference: str
    fingerprint: Mapping[str, str]
    owner: str
    epoch: int
    nonce: str
    lease_until: int
    created_at: int
    session: str | None = None
    round: str | None = None
    game: str | None = None
    route: str | None = None
    target: str | None = None
    stake: int | None = None
    funding: str = "player"
    funds_required: int | None = None
    grant: str | None = None
    facts: Mapping[str, Any] = field(factory=dict)
    operation: str = ""
    generation: int = 0
    undone_by: str | None = None
    effect: str | None = None
    reason: str | None = None
    message: str | None = None
    operator_transaction: str | None = None
    balance: int | None = None
    bonus: int | None = None
    settled_at: int | None = None
    version: int = 1


class Key(NamedTuple):
    """What makes a repeat: unique in an operator.

    Attributes:
        operator: The operator.
        scope: The connection's immutable id, and what the policy's scope adds to it (player, round).
        namespace: The provider's id space.
        value: The provider's id.
    """

    operator: str
    scope: str
    namespace: str
    value: str


@unique
class RoundState(Enum):
    """Whether a round has ended."""

    OPEN = "open"
    CLOSED = "closed"


@immutable(kw_only=True, slots=False)
class RoundRow:
    """One player's round.

    Attributes:
        operator: The operator.
        round: The hub's id, derived from connection, player and the provider's id.
        connection: The connection's immutable id.
        player: The surrogate.
        provider_round: The provider's id.
        game: The hub's game id.
        currency: The currency of its movements.
        state: Whether it has ended.
        bets: Bets begun and not refused or undone.
        wins: Wins begun and not refused or undone.
        opened_at: When its first movement was recorded.
        closed_at: When it ended.
        version: From 1; every change of the round or of a movement in it adds one.
    """

    operator: str
    round: str
    connection: str
    player: str
    provider_round: str
    game: str | None
    currency: str
    state: RoundState
    opened_at: int
    bets: int = 0
    wins: int = 0
    closed_at: int | None = None
    version: int = 1


@unique
class DeliveryTask(Enum):
    """What is owed."""

    SEND = "send"
    """The movement itself, again, under its own id."""
    REVERSE = "reverse"
    """The rollback of the movement."""
    ASK = "ask"
    """The state of the movement, before anything else is decided."""


@unique
class DeliveryState(Enum):
    """Where owed work stands."""

    OWED = "owed"
    DONE = "done"
    HELD = "held"
    """Refused definitely: waits for a person."""


@immutable(kw_only=True, slots=False)
class DeliveryRow:
    """Work that is owed to an operator, until it is answered definitely.

    Attributes:
        operator: The operator.
        delivery: Its id.
        movement: The movement that it is about.
        round: That movement's round: work of one round is done in order of `sequence`.
        task: What is owed.
        state: Where it stands.
        sequence: Order within the operator; assigned by the ledger when it is stored (0 until then).
        waits_for: A movement whose held work blocks this.
        attempts: How often it was tried.
        due_at: When it is to be tried next.
        created_at: When it became owed.
        detail: What the last attempt met, without secrets or player data.
        owner: Who has claimed it.
        epoch: The claimer's epoch.
        lease_until: Until when nobody else may claim it.
        version: From 1.
    """

    operator: str
    delivery: str
    movement: str
    task: DeliveryTask
    due_at: int
    created_at: int
    round: str | None = None
    state: DeliveryState = DeliveryState.OWED
    sequence: int = 0
    waits_for: str | None = None
    attempts: int = 0
    detail: str | None = None
    owner: str | None = None
    epoch: int = 0
    lease_until: int = 0
    version: int = 1


@immutable(kw_only=True, slots=False)
class Event:
    """Something that became true, for sinks, rollups, audit and the console. No player data: surrogates only.

    Attributes:
        kind: `movement.applied`, `round.closed`, `delivery.held`, `configuration.changed`, ...
        subject: The id of what it is about.
        body: JSON-ready values.
        at: When.
    """

    kind: str
    subject: str
    at: int
    body: Mapping[str, Any] = field(factory=dict)


@immutable(kw_only=True, slots=False)
class StoredEvent:
    """An event with its place: positions follow commit order per operator, without gaps."""

    operator: str
    position: int
    event: Event


@immutable(kw_only=True, slots=False)
class SinkRow:
    """How far one event sink has come; or another reader of the record, such as `croupier.wallet.overdue`.

    Attributes:
        operator: The operator whose events it is fed.
        sink: The configured sink's immutable id, or the reader's name.
        position: Every event up to here was confirmed, or stands in `state`; of another reader what it says.
        state: What waits and why, as JSON-ready values: `croupier.sinks.lanes` says how.
        owner: The process that feeds it, or fed it last.
        epoch: That process's epoch.
        lease_until: Until when no other process may feed it.
        version: From 1; every change adds one.
    """

    operator: str
    sink: str
    position: int
    state: Mapping[str, Any] = field(factory=dict)
    owner: str | None = None
    epoch: int = 0
    lease_until: int = 0
    version: int = 1


@immutable(kw_only=True, slots=False)
class ExchangeRow:
    """One message pair with a provider or an operator, redacted.

    Attributes:
        operator: The operator.
        exchange: Its id.
        connection: The connection's immutable id, if there is one.
        side: `provider_in` (a provider called us), `provider_out`, `operator_out` (the wallet, or an event sink).
        operation: The adapter's or wallet's name of the operation, or the kind of the event.
        trace: The trace id that ties the messages of one request together.
        play: The play, where there was one.
        movement: The movement, where there was one.
        request: What was asked, redacted text.
        response: What was answered, redacted text.
        status: The HTTP status, or `None` without an answer.
        verdict: What was made of it (`applied`, `declined:insufficient_funds`, `unknown`, an error's code).
        decision: The policy values that decided, as JSON-ready values.
        started_at: When it began.
        duration_us: How long it took, in microseconds.
    """

    operator: str
    exchange: str
    side: str
    operation: str
    started_at: int
    duration_us: int
    connection: str | None = None
    trace: str = ""
    play: str | None = None
    movement: str | None = None
    request: str = ""
    response: str = ""
    status: int | None = None
    verdict: str = ""
    decision: Mapping[str, Any] = field(factory=dict)


@immutable(kw_only=True, slots=False)
class PlayerRow:
    """A line of the vault: the only place that knows the operator's id of a player."""

    operator: str
    player: str
    operator_player: str
    created_at: int


@immutable(kw_only=True, slots=False)
class AliasRow:
    """How one connection's provider knows a player. Aliases never expire."""

    operator: str
    connection: str
    alias: str
    player: str


@unique
class CaseState(Choice):
    """Whether a case still waits for somebody."""

    OPEN = "open"
    SETTLED = "settled"


@immutable(kw_only=True, slots=False)
class CaseRow:
    """One transaction that was not the same in the hub's book and another, as a comparison found it.

    What was found never changes; another finding about the same transaction is another case.

    Attributes:
        operator: The operator.
        case: Its id: it follows from what was found, so that finding it again makes no second case.
        book: Whose other book: `operator`, or a connection's immutable id.
        reference: What that book calls the transaction.
        kinds: What differs.
        found: What both books had, as JSON-ready values; `croupier.reconciliation.findings` says how.
        opened_at: When it was recorded.
        movement: The hub's movement, where its book has one.
        state: Whether it still waits for somebody.
        decision: What is proposed for it, or how it was settled.
        proposed_by: Who proposed that.
        why: What the last to speak about it said.
        settled_by: Who settled it.
        settled_at: When.
        version: From 1; every change adds one.
    """

    operator: str
    case: str
    book: str
    reference: str
    kinds: tuple[str, ...]
    found: Mapping[str, Any]
    opened_at: int
    movement: str | None = None
    state: CaseState = CaseState.OPEN
    decision: str | None = None
    proposed_by: str | None = None
    why: str | None = None
    settled_by: str | None = None
    settled_at: int | None = None
    version: int = 1


@immutable(kw_only=True, slots=False)
class AdjustmentRow:
    """How a transaction is to be read against another book from now on, as two people decided. It is never changed.

    No movement is touched by it, and no wallet is called.

    Attributes:
        operator: The operator.
        case: The case that it settled.
        book: Against whose book: `operator`, or a connection's immutable id.
        reference: What that book calls the transaction.
        movement: The hub's movement; `None` where the hub's book lacks the transaction.
        before: How the movement read by itself when this was decided, `None` likewise: what reads otherwise since is
            not adjusted by it.
        kind: `bet` or `win`.
        amount: In minor units.
        currency: Its code.
        state: `applied`, `rolled_back` or `declined`.
        at: Where it stands in time: when the movement was recorded, or the other book's time.
        made_at: When it was decided.
        proposed_by: Who proposed it.
        who: Who confirmed it.
        why: Why.
    """

    operator: str
    case: str
    book: str
    reference: str
    movement: str | None
    before: Mapping[str, Any] | None
    kind: str
    amount: int
    currency: str
    state: str
    at: int
    made_at: int
    proposed_by: str
    who: str
    why: str


@unique
class SessionState(Enum):
    """Where a session stands."""

    LAUNCHED = "launched"
    """The launch token was given out and not yet used."""
    ACTIVE = "active"
    ENDED = "ended"


@immutable(kw_only=True, slots=False)
class SessionRow:
    """A player's session with one connection. Tokens are stored hashed.

    Attributes:
        operator: The operator.
        session: The hub's session id (no secret).
        player: The surrogate; empty for demo.
        connection: The connection's immutable id.
        game: The hub's game id.
        route: The provider's game code.
        currency: The currency.
        demo: Whether it is play money.
        state: Where it stands.
        launch_hash: SHA-256 (hex) of the one-time launch token, or of the token that was replaced last.
        token_hash: SHA-256 (hex) of the session token, once it is active.
        operator_session: The operator's own session token, as it is to be sent back.
        created_at: When it was launched.
        expires_at: When bets stop being accepted.
        launch_expires_at: When the launch token stops being accepted.
        seen_at: When it was last used.
        facts: `country`, `language`, `jurisdiction`, `display_name`, `device`, as far as known.
        version: From 1.
    """

    operator: str
    session: str
    player: str
    connection: str
    game: str
    route: str
    currency: str
    state: SessionState
    launch_hash: str
    created_at: int
    expires_at: int
    launch_expires_at: int
    demo: bool = False
    token_hash: str | None = None
    operator_session: str | None = field(default=None, repr=False)
    seen_at: int | None = None
    facts: Mapping[str, str] = field(factory=dict)
    version: int = 1


@immutable(kw_only=True, slots=False)
class GrantRow:
    """Free rounds given to a player; provider messages about them may carry neither player nor currency.

    Attributes:
        operator: The operator.
        connection: The connection's immutable id.
        grant: The reference that the provider uses (issue id, bonus code); unique in the connection.
        operator_grant: The operator's own reference.
        player: The surrogate.
        currency: The currency.
        games: The provider's game codes.
        rounds: How many.
        bet: The value of one round in minor units.
        state: `issuing`, `active`, `finished`, `cancelled`.
        valid_from: UTC milliseconds.
        valid_until: UTC milliseconds.
        created_at: When it was given.
        version: From 1.
    """

    operator: str
    connection: str
    grant: str
    player: str
    currency: str
    games: tuple[str, ...]
    rounds: int
    state: str
    valid_from: int
    valid_until: int
    created_at: int
    bet: int | None = None
    operator_grant: str | None = None
    version: int = 1


@immutable(kw_only=True, slots=False)
class ConfigurationRow:
    """One version of one configured thing; older versions stay.

    Attributes:
        operator: The operator that it belongs to.
        kind: `operator`, `connection`, `key`, `game`, `route`, `sink`; `round` for what people decide about one
            (`croupier.wallet.open_rounds`).
        name: Its immutable id within operator and kind.
        version: From 1, without gaps.
        body: JSON-ready values; secrets are encrypted before they come here.
        active: Whether it is in force; a deleted thing is a version that is not active.
        at: When it was changed.
        who: Who changed it.
        why: Why.
    """

    operator: str
    kind: str
    name: str
    version: int
    body: Mapping[str, Any]
    at: int
    who: str
    why: str
    active: bool = True
