"""What the admin API reads and writes. Times are RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from attrs import field, frozen
from msgspec import Meta

from croupier.configuration.documents import Kind, Role
from croupier.ledger.records import DeliveryState, DeliveryTask, RoundState
from croupier.registry.reports import State
from croupier.wallet.open_rounds import Decision

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Why = Annotated[str, Meta(min_length=1, max_length=500)]
Label = Annotated[str, Meta(min_length=1, max_length=100)]
Version = Annotated[int, Meta(ge=0)]
Moment = Annotated[datetime, Meta(tz=True)]


@frozen(kw_only=True)
class PutBody:
    """A new version of one thing.

    Attributes:
        body: The whole new body. Secrets that are not named stay; one given as an empty list is removed.
        why: Why it is changed.
        version: The version that the change was made on; without it, whatever is stored now.
    """

    body: Mapping[str, Any] = field(repr=False)
    why: Why
    version: Version | None = None


@frozen(kw_only=True)
class DeleteQuery:
    """Taking a thing out of force.

    Attributes:
        why: Why.
        version: The version that the decision was made on; without it, whatever is stored now.
    """

    why: Why
    version: Version | None = None


@frozen(kw_only=True)
class StoredThing:
    """One version of a configured thing, without secrets.

    Attributes:
        operator: The operator's id, or `hub` for keys of administrators.
        kind: What kind of thing.
        id: Its immutable id.
        version: From 1, without gaps.
        active: Whether it is in force; `false` once deleted.
        body: Without secrets; as such it can be put back, and the stored secrets stay.
        secrets: How many values each secret has.
        at: When it was changed.
        who: Who changed it.
        why: Why.
    """

    operator: str
    kind: Kind
    id: str
    version: int
    active: bool
    body: Mapping[str, Any]
    secrets: Mapping[str, int]
    at: datetime
    who: str
    why: str


@frozen(kw_only=True)
class PutThing(StoredThing):
    """What is stored after a put.

    Attributes:
        unchanged: Whether it was stored already: then there is no new version, and who and why are the earlier ones.
    """

    unchanged: bool


@frozen(kw_only=True)
class StoredThings:
    """Several configured things, or several versions of one.

    Attributes:
        items: The things, or the versions.
    """

    items: tuple[StoredThing, ...]


@frozen(kw_only=True)
class KeyBody:
    """A new bearer key.

    Attributes:
        label: What tells it from the holder's other key.
        role: `operator`, or `admin` for keys under the operator `hub`.
        why: Why it is made.
        not_after: When it stops being valid.
    """

    label: Label
    role: Role
    why: Why
    not_after: Moment | None = None


@frozen(kw_only=True)
class MadeKey:
    """A new bearer key: this is the only time that it is shown.

    Attributes:
        key: To be sent as `Authorization: Bearer ...`.
        stored: Its row, which holds a hash alone.
    """

    key: str = field(repr=False)
    stored: StoredThing


@frozen(kw_only=True)
class PolicyBody:
    """New policy overrides of a connection.

    Attributes:
        policy: Knobs that differ from the adapter's defaults, and under `operations` those of one operation.
        why: Why they are changed.
        version: The connection's version that the change was made on.
    """

    policy: Mapping[str, Any]
    why: Why
    version: Version | None = None


@frozen(kw_only=True)
class PolicyAnswer:
    """The policy of a connection.

    Attributes:
        overrides: As it is configured.
        effective: Every knob as it is in force for operations without their own.
        operations: What differs from it, by operation.
    """

    overrides: Mapping[str, Any]
    effective: Mapping[str, Any]
    operations: Mapping[str, Mapping[str, Any]]


@frozen(kw_only=True)
class AdapterReport:
    """One adapter as it was found.

    Attributes:
        slug: Its slug.
        distribution: The package.
        version: The package's version.
        state: What was done with it.
        reason: Why it is not used, or what is to be done about it.
        api: Its contract's version, once it is loaded.
        capabilities: What it can do, once it is loaded.
        tier: The tier of its certificate that counts, or `uncertified`; the reason says why one does not count.
        code: The code of the error why it cannot be used, `package` or `certificate`.
    """

    slug: str
    distribution: str | None
    version: str | None
    state: State
    reason: str | None
    api: int | None
    capabilities: tuple[str, ...]
    tier: str
    code: str | None


@frozen(kw_only=True)
class PluginReport:
    """One plugin as it was found.

    Attributes:
        name: Its name.
        distribution: The package.
        version: The package's version.
        state: What was done with it.
        reason: Why it is not used, or what is to be done about it.
        dialects: The wallet dialects it brings.
        sinks: The event sinks it brings.
    """

    name: str
    distribution: str
    version: str | None
    state: State
    reason: str | None
    dialects: tuple[str, ...]
    sinks: tuple[str, ...]


@frozen(kw_only=True)
class Packages:
    """Every package that was found.

    Attributes:
        adapters: The adapters.
        plugins: The plugins.
    """

    adapters: tuple[AdapterReport, ...]
    plugins: tuple[PluginReport, ...]


@frozen(kw_only=True)
class FaultReport:
    """A stored thing that cannot be used as it is.

    Attributes:
        operator: Whose.
        kind: Its kind.
        id: Its id.
        reason: Why.
    """

    operator: str
    kind: str
    id: str
    reason: str


@frozen(kw_only=True)
class Faults:
    """What is stored and cannot be used.

    Attributes:
        faults: The things, each with its reason.
    """

    faults: tuple[FaultReport, ...]


@frozen(kw_only=True)
class DeliveriesQuery:
    """Which owed work to list.

    Attributes:
        operator: An operator's id; without it every operator's.
        state: Where it stands; without it everything.
        limit: The most entries to return.
    """

    operator: Id | None = None
    state: DeliveryState | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


@frozen(kw_only=True)
class Delivery:
    """Work that is owed to an operator.

    Attributes:
        operator: The operator's id.
        id: Its id.
        movement: The movement that it is about.
        round: The movement's round.
        task: What is owed: `send`, `reverse`, `ask`.
        state: Where it stands; `held` waits for a person.
        attempts: How often it was tried.
        due_at: When it is tried next.
        created_at: When it became owed.
        detail: What the last attempt met.
        waits_for: A movement whose held work blocks this.
        proposed: Of held work, what one administrator has proposed: `applied` or `undone`. Another has to confirm it.
        proposed_by: Who proposed it.
    """

    operator: str
    id: str
    movement: str
    round: str | None
    task: DeliveryTask
    state: DeliveryState
    attempts: int
    due_at: datetime
    created_at: datetime
    detail: str | None
    waits_for: str | None
    proposed: str | None
    proposed_by: str | None


@frozen(kw_only=True)
class DeliveryList:
    """Owed work, oldest first.

    Attributes:
        deliveries: The work.
    """

    deliveries: tuple[Delivery, ...]


@frozen(kw_only=True)
class ImportBody:
    """Take over a provider's list of games.

    Attributes:
        why: Why.
    """

    why: Why


@frozen(kw_only=True)
class ImportAnswer:
    """What became of a provider's list of games.

    Attributes:
        listed: How many games the provider listed; a code that stands twice counts twice.
        new_games: The ids of games that were new.
        new_routes: The provider's codes that were new in the connection.
        kept: How many listed codes were known; what is stored of them stays as it is.
        missing: Codes that the connection has and the list does not; they stay as they are.
    """

    listed: Annotated[int, Meta(ge=0)]
    new_games: tuple[str, ...]
    new_routes: tuple[str, ...]
    kept: Annotated[int, Meta(ge=0)]
    missing: tuple[str, ...]


@frozen(kw_only=True)
class RedriveBody:
    """Try held work again.

    Attributes:
        why: Why.
    """

    why: Why


@frozen(kw_only=True)
class ResolveBody:
    """Decide held work by hand. It takes two administrators: the first proposes, the second says the same.

    Attributes:
        applied: Whether the movement stands at the operator.
        why: Why.
    """

    applied: bool
    why: Why


@frozen(kw_only=True)
class RoundVoidBody:
    """Give a round's stakes back. It takes two administrators: the first proposes, the second says the same.

    Attributes:
        why: Why.
    """

    why: Why


@frozen(kw_only=True)
class RoundCompleteBody:
    """End a round as it stands. It takes two administrators: the first proposes, the second says the same.

    Attributes:
        why: Why.
        short: How much less than its stakes the round has paid, in minor units: it has to be said as it is.
    """

    why: Why
    short: Annotated[int, Meta(ge=0)] = 0


@frozen(kw_only=True)
class RoundsQuery:
    """Which open rounds to list.

    Attributes:
        opened_since: Opened at or after this time. Give it where you can: of all rounds since then the open ones are
            looked for.
        opened_before: Opened before this time.
        limit: The most entries to return.
        cursor: The `next_cursor` of the page before.
    """

    opened_since: Moment | None = None
    opened_before: Moment | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None


@frozen(kw_only=True)
class RoundEntry:
    """A round.

    Attributes:
        operator: The operator's id.
        id: Its id.
        connection: The connection's id.
        provider_round: The provider's id of it.
        game: The game's id.
        state: `open` or `closed`.
        opened_at: When its first movement was recorded.
        closed_at: When it ended.
        bets: Bets that were not refused or undone.
        wins: Wins that were not refused or undone.
        currency: The currency's code.
    """

    operator: str
    id: str
    connection: str
    provider_round: str
    game: str | None
    state: RoundState
    opened_at: datetime
    closed_at: datetime | None
    bets: int
    wins: int
    currency: str


@frozen(kw_only=True)
class RoundList:
    """One page of open rounds, the longest open first.

    Attributes:
        rounds: The rounds.
        next_cursor: For the next page; `null` if this is the last.
    """

    rounds: tuple[RoundEntry, ...]
    next_cursor: str | None


@frozen(kw_only=True)
class RoundStanding(RoundEntry):
    """How a round stands.

    Attributes:
        staked: What the bets that stand have cost the player, in minor units.
        won: What it has paid the player.
        short: How much less than staked that is, from 0.
        proposed: What one administrator has proposed for it as it is now: `void` or `complete`. Another has to
            confirm it.
        proposed_by: Who proposed it.
    """

    staked: int
    won: int
    short: int
    proposed: Decision | None
    proposed_by: str | None


@frozen(kw_only=True)
class WaitingEvents:
    """Events of one player, or of none, that wait for a sink.

    Attributes:
        position: The first one: it alone is tried.
        count: How many wait, the first among them.
        attempts: How often the first was refused.
        held: Whether it waits for a person.
        due_at: When it is tried next, if it is not held.
        since: When it was refused first; `null` if it was not tried yet.
        detail: What the last attempt met.
    """

    position: int
    count: int
    attempts: int
    held: bool
    due_at: datetime
    since: datetime | None
    detail: str


@frozen(kw_only=True)
class SinkStanding:
    """How an event sink stands.

    Attributes:
        position: Every event up to here was taken or waits.
        newest: The operator's newest event.
        feeding: The process that feeds it now.
        stopped: Why nothing is sent any more: a person has to try again.
        trouble: What writing to a stream meets since it fails.
        waiting: What waits, the oldest first.
    """

    position: int
    newest: int
    feeding: str | None
    stopped: str | None
    trouble: str | None
    waiting: tuple[WaitingEvents, ...]


@frozen(kw_only=True)
class SinkRedriveBody:
    """Try again what waits for a sink, from the beginning of its calendar.

    Attributes:
        why: Why.
        position: The event that is to be tried again; without it everything, and a sink that was stopped goes on.
    """

    why: Why
    position: Annotated[int, Meta(ge=1)] | None = None


@frozen(kw_only=True)
class SinkDropBody:
    """Never deliver one event to a sink; what waits behind it is tried at once.

    Attributes:
        position: The event: the first of those that wait for its player.
        why: Why.
    """

    position: Annotated[int, Meta(ge=1)]
    why: Why


@frozen(kw_only=True)
class EventsQuery:
    """Which events to read.

    Attributes:
        after: The position of the last event that was read.
        limit: The most events to return.
    """

    after: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


@frozen(kw_only=True)
class EventEntry:
    """Something that became true.

    Attributes:
        position: Its place: follows the order of commits, without gaps.
        kind: What it is.
        subject: The id of what it is about.
        at: When.
        body: More about it.
    """

    position: int
    kind: str
    subject: str
    at: datetime
    body: Mapping[str, Any]


@frozen(kw_only=True)
class EventList:
    """Events in order.

    Attributes:
        events: The events.
        position: Where to go on reading.
    """

    events: tuple[EventEntry, ...]
    position: int


@frozen(kw_only=True)
class ExchangesQuery:
    """Which messages to read: exactly one of the two.

    Attributes:
        trace: A trace id.
        movement: A movement's id.
    """

    trace: Id | None = None
    movement: Id | None = None


@frozen(kw_only=True)
class Exchange:
    """One message pair with a provider or an operator, redacted.

    Attributes:
        id: Its id.
        side: `provider_in`, `provider_out` or `operator_out` (the wallet, or an event sink).
        operation: The adapter's or wallet's name of the operation, or the kind of the event.
        connection: The connection's id.
        trace: The trace id.
        movement: The movement.
        request: What was asked.
        response: What was answered.
        status: The HTTP status.
        verdict: What was made of it.
        decision: The policy values that decided.
        started_at: When it began.
        duration_us: How long it took, in microseconds.
    """

    id: str
    side: str
    operation: str
    connection: str | None
    trace: str
    movement: str | None
    request: str
    response: str
    status: int | None
    verdict: str
    decision: Mapping[str, Any]
    started_at: datetime
    duration_us: int


@frozen(kw_only=True)
class ExchangeList:
    """Messages in order.

    Attributes:
        exchanges: The messages.
    """

    exchanges: tuple[Exchange, ...]
