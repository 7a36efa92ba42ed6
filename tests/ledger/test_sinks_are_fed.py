"""Feeding sinks from ledgers: at least once, in order per player, by one process at a time, from where it stopped."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import attrs
import msgspec
import pytest
from attrs import define, field

from croupier.configuration.directory import Directory, LiveOperator, LiveSink
from croupier.configuration.documents import SinkDocument
from croupier.contract import (
    Credentials,
    Currencies,
    EndpointGone,
    EventAnswer,
    EventEndpoint,
    EventRefused,
    EventStream,
    EventTaken,
    HttpRequest,
    HttpResponse,
    NotFoundError,
    SinkEvent,
    SinkSpec,
    StreamWriter,
    TransportError,
    TransportProblem,
)
from croupier.ledger.port import Change, Committed, Ledger, Owner
from croupier.ledger.records import Event, MovementRow, PlayerRow, RoundRow, RoundState, StoredEvent
from croupier.ledger.sqlite import SqliteLedger
from croupier.runtime.clocks import VirtualClock
from croupier.sinks import lanes
from croupier.sinks.desk import SinkDesk
from croupier.sinks.endpoint import AWAY_AFTER
from croupier.sinks.feeder import LEASE_MS, Feeder
from croupier.sinks.lanes import Progress
from croupier.sinks.means import Means
from croupier.sinks.pump import Pump
from croupier.web.operator_api.events import TOLD, MovementFacts

OPERATOR, SINK = "casino", "s1"
PLAYERS = ("alice", "bob", "carol")
EVERYTHING = SinkDocument(name="ear", sink="ear", start="beginning", events=("*",))
WHO: Mapping[str, Any] = {"who": "ann", "why": "it was looked into"}


@attrs.frozen
class NoSettings:
    """None."""


class Ear(EventEndpoint):
    """An endpoint whose requests say which event they carry: only `World.send` answers them."""

    spec = SinkSpec(slug="ear", name="Ear", secrets=(), settings=NoSettings, create=lambda _: Ear())
    waits_ms: ClassVar[tuple[int, ...]] = (1_000, 10_000, 100_000)

    def request(self, event: SinkEvent, credentials: Credentials, now: datetime) -> HttpRequest:
        return HttpRequest("POST", f"https://ear.example/{event.position}", body=event.message())

    def answer(self, response: HttpResponse) -> EventAnswer:
        match response.status:
            case 200:
                return EventTaken()
            case 410:
                return EndpointGone(detail="it answered 410")
            case status:
                return EventRefused(detail=f"it answered {status}", passing=status == 503)


@define
class Chance:
    """Seeded chance."""

    random: random.Random

    def jitter(self) -> float:
        return self.random.random()

    def new_id(self) -> str:
        return secrets.token_hex(8)


class Quiet:
    """A log that nobody reads, and counts that nobody looks at."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@define(eq=False)
class World:
    """A ledger, a clock, and the other side."""

    ledger: Ledger
    clock: VirtualClock = field(factory=VirtualClock)
    heard: list[int] = field(factory=list)
    statuses: Callable[[int], int] = lambda _: 200
    chance: random.Random = field(factory=lambda: random.Random(7))
    sink: EventEndpoint | EventStream = field(factory=Ear)
    document: SinkDocument = EVERYTHING
    refused_hosts: dict[str, str] = field(factory=dict)

    async def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        position = int(request.url.rpartition("/")[2])
        status = self.statuses(position)
        if status == 0:  # it arrives, and the answer is lost
            self.heard.append(position)
            raise TransportError("no answer in time", problem=TransportProblem.NO_ANSWER)
        if status == 1:
            raise TransportError("the connection failed", problem=TransportProblem.NOT_SENT)
        if status == 200:
            self.heard.append(position)
        return HttpResponse(status)

    async def refuses_host(self, host: str) -> str | None:
        return self.refused_hosts.get(host)

    def feeder(self, owner: int = 1, ledger: Ledger | None = None) -> Feeder:
        live = LiveSink(id=SINK, operator=OPERATOR, sink=self.sink, credentials=Credentials(), document=self.document)
        owned = LiveOperator(
            id=OPERATOR,
            name="acme",
            document=None,
            party=None,
            reason=None,
            currencies=Currencies(),
            sinks={SINK: live},
        )
        means: Any = Means(
            ledger=ledger or self.ledger,
            directory=lambda: Directory(operators={OPERATOR: owned}),
            send=self.send,
            refuses_host=self.refuses_host,
            clock=self.clock,
            ids=Chance(self.chance),  # type: ignore[arg-type] # nothing else of it is asked for
            owner=Owner(f"w{owner}", owner),
            log=Quiet(),
            metrics=Quiet(),
        )
        return Feeder(live, means)

    async def happen(self, *players: str) -> None:
        """One event for each player named, or for none (empty)."""
        at = self.clock.now_ms()
        events = tuple(
            Event(kind="movement.applied", subject=f"m{at}-{place}", at=at, body={"player": player} if player else {})
            for place, player in enumerate(players)
        )
        assert isinstance(await self.ledger.commit(Change(operator=OPERATOR, events=events)), Committed)

    async def feed(self, feeder: Feeder, seconds: float = 0.0, step: float = 1.0) -> None:
        """Let a feeder work until it waits, and as long as time passes."""
        end = self.clock.monotonic() + seconds
        while True:
            while not await feeder.run_once():
                pass
            if self.clock.monotonic() >= end:
                return
            await self.clock.advance(step)

    async def progress(self) -> Progress:
        row = await self.ledger.sink(OPERATOR, SINK)
        assert row is not None
        return Progress.read(row.position, row.state)

    async def lanes(self) -> dict[str, int]:
        """How many events wait, by player."""
        return {name: len(lane.positions) for name, lane in (await self.progress()).lanes.items()}

    async def kinds(self) -> Counter[str]:
        return Counter(each.event.kind for each in await self.ledger.events_after(OPERATOR, 0, 10_000))


both = pytest.mark.parametrize("make_ledger", ["sqlite-inline", "postgres"], indirect=True)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = SqliteLedger(tmp_path / "ledger.sqlite", threaded=False)
    await made.start()
    yield World(made)
    await made.close()


class FailsToStore:
    """A ledger with which something goes wrong a few times when a sink is stored."""

    def __init__(self, ledger: Ledger, times: int) -> None:
        self._ledger, self._times = ledger, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class DiesBeforeItStores(FailsToStore):
    """A ledger whose process ends between a delivery and the note of it."""

    async def store_sink(self, *args: Any) -> bool:
        if self._times > 0:
            self._times -= 1
            raise KeyboardInterrupt
        return await self._ledger.store_sink(*args)


@both
async def test_what_was_delivered_and_not_noted_is_delivered_again(ledger: Ledger) -> None:
    world = World(ledger)
    await world.happen("alice", "bob")
    dying: Any = DiesBeforeItStores(ledger, 1)
    with pytest.raises(KeyboardInterrupt):
        await world.feeder(1, dying).run_once()
    assert sorted(world.heard) == [1, 2]
    other = world.feeder(2)
    await world.feed(other)
    assert sorted(world.heard) == [1, 2], "the lease of the one that died still lasts"
    await world.clock.advance(LEASE_MS / 1000)
    await world.feed(other)
    assert sorted(world.heard) == [1, 1, 2, 2]
    assert (await world.progress()).position == 2


class StoresAndDoesNotKnow(FailsToStore):
    """A ledger that repeats what it stored, for the answer was lost, and finds its own row in the way."""

    async def store_sink(self, *args: Any) -> bool:
        if self._times > 0:
            self._times -= 1
            await self._ledger.store_sink(*args)
        return await self._ledger.store_sink(*args)


async def test_a_step_that_was_stored_although_the_answer_was_lost_counts_once(world: World) -> None:
    world.statuses = lambda position: 500 if position == 1 else 200
    await world.happen("alice", "alice", "bob")
    unsure: Any = StoresAndDoesNotKnow(world.ledger, 10)
    feeder = world.feeder(1, unsure)
    await feeder.run_once()
    lane = (await world.progress()).lanes["alice"]
    assert (lane.positions, lane.attempts) == ((1, 2), 1)
    await world.feed(feeder, seconds=400)
    assert (world.heard, (await world.kinds())["sink.held"]) == ([3], 1)


@both
async def test_one_process_at_a_time_feeds_a_sink(ledger: Ledger) -> None:
    world = World(ledger)
    first, second = world.feeder(1), world.feeder(2)
    await world.happen(*PLAYERS)
    await world.feed(first)
    await world.happen(*PLAYERS)
    assert await second.run_once() > 0
    assert sorted(world.heard) == [1, 2, 3]
    first.stop()
    await first.run()
    await world.feed(second)
    assert sorted(world.heard) == [1, 2, 3, 4, 5, 6], "who stops lets the other take over at once"


async def test_the_lease_lasts_while_there_is_nothing_to_do(world: World) -> None:
    first, second = world.feeder(1), world.feeder(2)
    for _ in range(10):
        await world.feed(first, seconds=10, step=5)
        assert await second.run_once() > 0
    row = await world.ledger.sink(OPERATOR, SINK)
    assert row is not None
    assert row.epoch == 1


@both
async def test_an_event_that_is_refused_holds_back_its_player_alone(ledger: Ledger) -> None:
    world = World(ledger, statuses=lambda position: 500 if position == 1 else 200)
    await world.happen("alice", "bob", "alice", "", "bob", "")
    feeder = world.feeder()
    await world.feed(feeder)
    assert sorted(world.heard) == [2, 4, 5, 6]
    assert await world.lanes() == {"alice": 2}
    await world.happen("alice", "bob")
    world.statuses = lambda _: 200
    await world.feed(feeder, seconds=2)
    assert [place for place in world.heard if place in {1, 3, 7}] == [1, 3, 7]
    assert await world.lanes() == {}


async def test_the_end_of_the_calendar_holds_an_event_for_a_person(world: World) -> None:
    world.statuses = lambda position: 400 if position == 1 else 200
    await world.happen("alice", "alice", "bob")
    feeder = world.feeder()
    await world.feed(feeder, seconds=400)
    lane = (await world.progress()).lanes["alice"]
    assert (lane.held, lane.attempts, lane.positions, lane.detail) == (True, 4, (1, 2), "it answered 400")
    assert (await world.kinds())["sink.held"] == 1
    await world.feed(feeder, seconds=5_000, step=500)
    assert world.heard == [3]
    assert (await world.progress()).lanes["alice"] == lane, "only a person moves it"


async def test_a_person_tries_again_or_drops_and_both_are_on_record(world: World) -> None:
    world.statuses = lambda position: 400 if position == 1 else 200
    await world.happen("alice", "alice")
    feeder, desk = world.feeder(), SinkDesk(world.ledger, world.clock)
    await world.feed(feeder, seconds=400)
    standing = await desk.redrive(OPERATOR, SINK, 1, **WHO)
    assert [(lane.held, lane.attempts) for lane in standing.lanes] == [(False, 0)]
    await world.feed(feeder, seconds=400)
    assert (await world.progress()).lanes["alice"].held
    with pytest.raises(NotFoundError):
        await desk.drop(OPERATOR, SINK, 2, **WHO)
    await desk.drop(OPERATOR, SINK, 1, **WHO)
    await world.feed(feeder)
    assert world.heard == [2]
    assert await world.lanes() == {}
    events = {each.event.kind: each.event.body for each in await world.ledger.events_after(OPERATOR, 2, 100)}
    assert events["sink.dropped"] == {**WHO, "position": 1}
    assert events["sink.redriven"] == {**WHO, "position": 1}


async def test_a_decision_that_meets_a_delivery_in_flight_loses_neither(world: World) -> None:
    world.statuses = lambda position: 400 if position == 1 else 200
    await world.happen("alice", "alice")
    feeder, desk = world.feeder(), SinkDesk(world.ledger, world.clock)
    await world.feed(feeder)
    await world.happen("bob")

    async def meanwhile(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
        await desk.drop(OPERATOR, SINK, 1, **WHO)
        return await world.send(request, timeout_seconds)

    feeder.means = attrs.evolve(feeder.means, send=meanwhile)
    feeder.course.means = feeder.means  # type: ignore[attr-defined] # its own copy
    await feeder.run_once()
    assert (world.heard, await world.lanes()) == ([3], {"alice": 1})
    await world.feed(world.feeder())
    assert world.heard == [3, 2]


async def test_an_endpoint_that_is_gone_is_left_alone_until_a_person_says_otherwise(world: World) -> None:
    world.statuses = lambda _: 410
    await world.happen(*PLAYERS)
    feeder, desk = world.feeder(), SinkDesk(world.ledger, world.clock)
    await world.feed(feeder)
    await world.happen(*PLAYERS)
    world.statuses = lambda _: 200
    await world.feed(feeder, seconds=5_000, step=500)
    standing = await desk.standing(OPERATOR, SINK)
    assert (world.heard, standing.stopped) == ([], "it answered 410")
    assert (await world.kinds())["sink.stopped"] == 1
    await desk.redrive(OPERATOR, SINK, None, **WHO)
    await world.feed(feeder)
    assert sorted(world.heard) == [1, 2, 3, 5, 6, 7], "what the hub says of sinks is told to none"


async def test_an_endpoint_that_is_away_uses_up_no_calendar_and_is_served_at_once_when_it_is_back(
    world: World,
) -> None:
    world.statuses = lambda _: 1
    await world.happen(*(f"p{number}" for number in range(40)))
    feeder = world.feeder()
    await world.feed(feeder, seconds=4 * 24 * 3600, step=3600)
    progress = await world.progress()
    assert not any(lane.held for lane in progress.lanes.values())
    world.statuses = lambda _: 200
    await world.happen("p1", "p2")
    await world.feed(feeder, seconds=62)
    assert set(world.heard) == set(range(1, 43))
    assert await world.lanes() == {}


async def test_a_wish_to_be_left_alone_is_kept(world: World) -> None:
    class Busy(Ear):
        def answer(self, response: HttpResponse) -> EventAnswer:
            busy = EventRefused(detail="it answered 429", passing=True, wait_ms=600_000)
            return EventTaken() if response.status == 200 else busy

    tried: list[float] = []

    def status(position: int) -> int:
        tried.append(world.clock.monotonic())
        return 429 if world.clock.monotonic() < 300 else 200

    world.sink, world.statuses = Busy(), status
    await world.happen(*(f"p{number}" for number in range(10)))
    feeder = world.feeder()
    await world.feed(feeder, seconds=700, step=5)
    assert sorted(set(tried))[:2] == [0, 600]
    assert sorted(world.heard) == list(range(1, 11))


async def test_a_person_need_not_wait_until_an_endpoint_that_is_away_is_asked_again(world: World) -> None:
    class Busy(Ear):
        def answer(self, response: HttpResponse) -> EventAnswer:
            busy = EventRefused(detail="it answered 503", passing=True, wait_ms=3_600_000)
            return EventTaken() if response.status == 200 else busy

    world.sink, world.statuses = Busy(), lambda _: 503
    await world.happen(*(f"p{number}" for number in range(10)))
    feeder, desk = world.feeder(), SinkDesk(world.ledger, world.clock)
    await world.feed(feeder, seconds=60)
    world.statuses = lambda _: 200
    await world.feed(feeder, seconds=60)
    assert world.heard == []
    await desk.redrive(OPERATOR, SINK, None, **WHO)
    await world.feed(feeder)
    assert sorted(world.heard) == list(range(1, 11))


async def test_what_a_newer_release_noted_is_passed_over(world: World) -> None:
    lane = {"lane": "alice", "positions": [1], "attempts": 1, "colour": "red"}
    progress = Progress.read(7, {"lanes": [lane], "weather": "fair"})
    assert (progress.waiting, progress.lanes["alice"].attempts) == (1, 1)
    assert Progress.read(7, progress.state()) == progress


async def test_one_event_that_breaks_the_receiver_does_not_keep_others_from_theirs(world: World) -> None:
    world.statuses = lambda position: 0 if position == 1 else 200
    await world.happen("alice")
    feeder = world.feeder()
    await world.feed(feeder, seconds=100)
    await world.happen(*("bob",) * (2 * AWAY_AFTER))
    await world.feed(feeder, seconds=40)
    assert sorted(set(world.heard)) == list(range(1, 12))
    assert world.heard.count(1) <= 8


@pytest.mark.parametrize(("limit", "players"), [("MOST_WAITING", 1), ("MOST_LANES", 1_000)])
async def test_the_cursor_waits_when_too_much_waits_and_that_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str, players: int
) -> None:
    monkeypatch.setattr(lanes, limit, 150)
    world.statuses = lambda position: 500 if position <= 400 else 200
    for first in range(0, 500, 100):
        await world.happen(*(f"p{place % players}" for place in range(first, first + 100)))
    await world.feed(world.feeder())
    progress = await world.progress()
    assert (progress.waiting, progress.position) == (200, 200)
    assert (await world.kinds())["sink.full"] == 1


@both
@pytest.mark.parametrize("sink", ["endpoint", "stream"])
async def test_events_that_the_record_lost_before_they_were_read_are_told(ledger: Ledger, sink: str) -> None:
    world = World(ledger, sink=Kept() if sink == "stream" else Ear())
    await world.happen(*("alice",) * 5)

    class Shortened:
        """The ledger, of which somebody has removed the first events."""

        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        async def events_after(self, operator: str, position: int, limit: int) -> Sequence[StoredEvent]:
            return await ledger.events_after(operator, max(position, 3), limit)

    shortened: Any = Shortened()
    await world.feed(world.feeder(ledger=shortened))
    told = [each.event for each in await ledger.events_after(OPERATOR, 5, 100)]
    assert [(each.kind, each.body) for each in told] == [("sink.missed", {"name": "ear", "first": 1, "last": 3})]
    assert (await world.progress()).position == 6


async def test_an_endpoint_that_was_away_costs_nothing_of_what_it_does_not_want(world: World) -> None:
    world.document = attrs.evolve(EVERYTHING, events=("round.*",))
    world.statuses = lambda _: 1
    feeder, desk = world.feeder(), SinkDesk(world.ledger, world.clock)
    players = [f"p{place}" for place in range(AWAY_AFTER)]
    closed = [Event(kind="round.closed", subject="r", at=1, body={"player": player}) for player in players]
    await world.ledger.commit(Change(operator=OPERATOR, events=tuple(closed)))
    await world.feed(feeder, seconds=40, step=10)
    for place in range(AWAY_AFTER):
        await desk.drop(OPERATOR, SINK, place + 1, **WHO)
    for _ in range(3):
        await world.happen(*("alice",) * 100)
    await world.ledger.commit(Change(operator=OPERATOR, events=tuple(closed)))
    world.statuses = lambda _: 200
    await world.feed(feeder, seconds=31)
    assert sorted(world.heard) == list(range(311, 316))


async def test_who_has_nothing_to_do_looks_less_often(world: World) -> None:
    feeder = world.feeder()
    await world.feed(feeder)
    assert [await feeder.run_once() for _ in range(100)][-1] == 2.0
    await world.happen("alice")
    await world.feed(feeder)
    assert (world.heard, await feeder.run_once()) == ([1], 0.5)


async def test_attempts_are_exchanges_of_the_movement_that_they_are_about(world: World) -> None:
    world.statuses = lambda position: 500 if not world.clock.monotonic() else 200
    await world.happen("alice")
    (stored,) = await world.ledger.events_after(OPERATOR, 0, 10)
    await world.feed(world.feeder(), seconds=5)
    async with asyncio.timeout(5):
        about = stored.event.subject
        while len(found := await world.ledger.exchanges(OPERATOR, movement=about)) < 2:  # noqa: ASYNC110 # untold
            await asyncio.sleep(0.01)
    assert [(row.status, row.verdict) for row in found] == [(500, "refused: it answered 500"), (200, "taken")]
    assert {row.request for row in found} == {"POST https://ear.example/1"}
    assert found[0].decision == {"sink": "ear", "position": 1}


async def test_a_sink_begins_now_unless_it_is_to_begin_at_the_beginning(world: World) -> None:
    world.document = attrs.evolve(world.document, start="now")
    await world.happen("alice")
    feeder = world.feeder()
    await world.feed(feeder)
    await world.happen("bob")
    await world.feed(feeder)
    assert world.heard == [2]


async def test_only_events_of_the_kinds_that_it_wants_are_sent(world: World) -> None:
    world.document = attrs.evolve(world.document, events=("round.*", "session.launched"))
    events = [Event(kind=kind, subject="x", at=1) for kind in ("session.launched", "session.ended", "round.closed")]
    await world.ledger.commit(Change(operator=OPERATOR, events=(*events, Event(kind="rounds", subject="x", at=1))))
    await world.feed(world.feeder())
    assert sorted(world.heard) == [1, 3]
    assert (await world.progress()).position == 4


# --- what is told


class Store(StreamWriter):
    """Keeps what is written; fails as often as it is told."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    async def write(self, events: Sequence[SinkEvent]) -> None:
        if self.kept.failing:
            self.kept.failing -= 1
            self.kept.events += events[:1]
            raise ConnectionResetError
        self.kept.events += events

    async def close(self) -> None:
        self.kept.closed += 1


@define(eq=False)
class Kept(EventStream):
    """A stream in memory."""

    events: list[SinkEvent] = field(factory=list)
    failing: int = 0
    closed: int = 0
    host: str = "store.example"

    @property
    def spec(self) -> SinkSpec:  # type: ignore[override] # never asked for
        raise NotImplementedError

    def open(self, credentials: Credentials) -> StreamWriter:
        return Store(self)


@both
async def test_a_stream_is_written_in_order_and_again_from_where_it_failed(ledger: Ledger) -> None:
    kept = Kept(failing=2)
    world = World(ledger, sink=kept)
    await world.happen(*PLAYERS)
    feeder = world.feeder()
    assert await feeder.run_once() > 0
    assert (await world.progress()).trouble == "ConnectionResetError"
    await world.feed(feeder, seconds=5)
    assert [event.position for event in kept.events] == [1, 1, 1, 2, 3]
    progress = await world.progress()
    assert (progress.position, progress.trouble, kept.closed) == (3, None, 2)


async def test_a_stream_to_a_forbidden_host_is_never_opened(world: World) -> None:
    world.sink = kept = Kept()
    world.refused_hosts["store.example"] = "10.0.0.1 is not a public address"
    await world.happen("alice")
    await world.feeder().run_once()
    progress = await world.progress()
    assert (progress.position, kept.events) == (0, [])
    assert progress.trouble == "the address may not be called: 10.0.0.1 is not a public address"


@both
async def test_an_event_tells_the_operators_own_names_and_exact_money(ledger: Ledger, rows: Any) -> None:
    world = World(ledger, sink=Kept())
    await ledger.ensure_player(PlayerRow(operator=OPERATOR, player="alice", operator_player="p-1001", created_at=1))
    movement: MovementRow = rows.movement("m1")
    round_row: RoundRow = attrs.evolve(rows.round("r1"), state=RoundState.CLOSED)
    applied = {"player": "alice", "amount": 150, "currency": "EUR", "kind": "bet", "connection": "c1"}
    events = (
        Event(kind="movement.applied", subject="m1", at=1_767_225_600_123, body=applied),
        Event(kind="movement.late", subject="m1", at=2),
        Event(kind="round.closed", subject="r1", at=3),
        Event(kind="delivery.owed", subject="m1", at=4, body={"movement": "m1", "task": "send"}),
        Event(kind="movement.applied", subject="m2", at=5, body={"player": "eve", "amount": 1, "currency": "TOKEN1"}),
    )
    await ledger.commit(Change(operator=OPERATOR, movements=(movement,), rounds=(round_row,), events=events))
    await world.feed(world.feeder())
    first, late, closed, owed, other = world.sink.events  # type: ignore[union-attr] # it is `Kept`
    assert first.message() == (
        b'{"type":"movement.applied","timestamp":"2026-01-01T00:00:00.123Z","data":{"position":1,"subject":"m1",'
        b'"player":"p-1001","amount":{"amount":150,"currency":"EUR","scale":2},"connection":"c1","kind":"bet"}}'
    )
    assert {event.lane for event in (first, late, closed, owed)} == {"alice"}
    assert {event.data["player"] for event in (first, late, closed, owed)} == {"p-1001"}
    assert closed.data["game"] == "g1"
    assert (other.lane, other.data["player"], other.data["amount"]) == ("eve", None, None)
    assert len({event.id for event in (first, late, closed, owed, other)}) == 5


# --- whatever happens


def first_arrivals(heard: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(heard))


@pytest.mark.parametrize(
    ("make_ledger", "seed"),
    [*(("sqlite-inline", seed) for seed in range(12)), ("postgres", 12), ("postgres", 13)],
    indirect=["make_ledger"],
)
async def test_whatever_fails_every_event_arrives_and_each_players_first_arrivals_are_in_order(
    ledger: Ledger, seed: int
) -> None:
    world = World(ledger)
    chance = world.chance = random.Random(seed)
    owners: dict[int, str] = {}
    broken = chance.choice([0.0, 0.2, 0.6])
    world.statuses = lambda _: chance.choice([0, 1, 408, 500, 503]) if chance.random() < broken else 200
    feeders = [world.feeder(1), world.feeder(2)]
    for _ in range(25):
        players = [chance.choice([*PLAYERS, ""]) for _ in range(chance.randrange(5))]
        newest = await world.ledger.newest_position(OPERATOR)
        await world.happen(*players)
        owners |= dict(enumerate(players, newest + 1))
        which = chance.randrange(2)
        if chance.random() < 0.3:  # the process ends before it stores, and another begins in its place
            dying: Any = DiesBeforeItStores(world.ledger, 1)
            feeders[which] = world.feeder(len(feeders) + which + chance.randrange(3, 100) * 2, dying)
        try:
            await feeders[which].run_once()
        except KeyboardInterrupt:
            feeders[which] = world.feeder(chance.randrange(200, 10_000))
        await world.clock.advance(chance.choice([0.1, 1, 10, 50]))
    world.statuses = lambda _: 200
    desk = SinkDesk(world.ledger, world.clock)
    await world.clock.advance(LEASE_MS / 1000)
    last = world.feeder(20_000)
    await world.feed(last)
    await desk.redrive(OPERATOR, SINK, None, **WHO)
    await world.feed(last, seconds=200, step=20)
    firsts = first_arrivals(world.heard)
    assert sorted(firsts) == sorted(owners)
    for player in {*owners.values()}:
        arrived = [place for place in firsts if owners[place] == player]
        assert all(one < other for one, other in pairwise(arrived)), player
    assert await world.lanes() == {}


async def test_what_is_told_is_what_the_document_of_the_api_says(world: World, rows: Any) -> None:
    world.sink = kept = Kept()
    moved = {"player": "alice", "amount": 150, "currency": "EUR", "kind": "bet", "direction": "debit"}
    moved |= {"connection": "c1", "round": "r1", "game": "g1", "target": "m0", "reason": "other"}
    played = {"player": "alice", "connection": "c1", "game": "g1", "currency": "EUR", "demo": False}
    events = (
        Event(kind="movement.declined", subject="m1", at=1, body=moved),
        Event(kind="movement.late", subject="m1", at=2),
        Event(kind="round.closed", subject="r1", at=3),
        Event(kind="session.ended", subject="s1", at=4, body=played),
        Event(
            kind="grant.active",
            subject="f1",
            at=5,
            body={"connection": "c1", "player": "alice", "rounds": 5, "currency": "EUR"},
        ),
        Event(kind="delivery.owed", subject="m1", at=6, body={"movement": "m1", "task": "send"}),
        Event(kind="delivery.late", subject="d1", at=7, body={"movement": "m1", "task": "send", "detail": "no answer"}),
        Event(kind="delivery.decided", subject="d1", at=8, body={"movement": "m1", "decision": "redrive", **WHO}),
        Event(
            kind="notice.details",
            subject="x",
            at=9,
            body={"operation": "bet_detail", "reference": "x", "connection": "c1"},
        ),
    )
    await world.ledger.commit(
        Change(operator=OPERATOR, movements=(rows.movement("m1"),), rounds=(rows.round("r1"),), events=events)
    )
    await world.feed(world.feeder())
    described = {told.name: told.body for told in TOLD}
    for event in kept.events:
        body = described[event.kind.partition(".")[0]]
        read = msgspec.json.decode(event.message(), type=body)
        assert {field.name for field in attrs.fields(type(read.data))} >= event.data.keys()
    assert len(kept.events) == len(events)
    full = {field.name for field in attrs.fields(MovementFacts)}
    assert kept.events[0].data.keys() == full


async def test_what_a_provider_calls_an_amount_or_a_position_is_neither(world: World) -> None:
    world.sink = kept = Kept()
    told = {"reference": "x", "amount": "1.50", "position": "7", "subject": "other"}
    await world.ledger.commit(
        Change(operator=OPERATOR, events=(Event(kind="notice.details", subject="x", at=1, body=told),))
    )
    await world.feed(world.feeder())
    assert kept.events[0].data == {"position": 1, "subject": "x", "reference": "x", "amount": "1.50"}


async def test_sinks_are_fed_as_the_configuration_says_without_a_restart(world: World) -> None:
    feeder = world.feeder()
    owned, sinks = feeder.means.directory().operators[OPERATOR], {SINK: feeder.live}
    means = attrs.evolve(
        feeder.means, directory=lambda: Directory(operators={OPERATOR: attrs.evolve(owned, sinks=dict(sinks))})
    )
    pump = Pump(means)
    running = asyncio.create_task(pump.run())

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 # nothing tells of it
                await asyncio.sleep(0.02)

    await world.happen("alice")
    await until(lambda: world.heard == [1])
    changed = attrs.evolve(feeder.live, document=attrs.evolve(EVERYTHING, events=("round.*",)))
    sinks[SINK] = changed
    await until(lambda: any(fed.live is changed for fed, _ in pump._feeders.values()))
    await world.happen("alice")
    sinks.clear()
    await until(lambda: not pump._feeders)
    assert world.heard == [1]
    sinks[SINK] = feeder.live
    await world.happen("bob")
    await until(lambda: world.heard[-1] == 3)
    pump.stop()
    await running
    row = await world.ledger.sink(OPERATOR, SINK)
    assert row is not None
    assert (row.position, row.lease_until) == (3, 0)


async def test_sinks_are_fed_again_after_a_fault_that_ended_all_of_it(world: World) -> None:
    means, faults = world.feeder().means, [RuntimeError("a fault")]

    def directory() -> Directory:
        if faults:
            raise faults.pop()
        return world.feeder().means.directory()

    pump = Pump(attrs.evolve(means, directory=directory))
    await world.happen("alice")
    with pytest.raises(RuntimeError, match="a fault"):
        await pump.run()
    running = asyncio.create_task(pump.run())  # as the hub does with every worker that fails
    async with asyncio.timeout(10):
        while world.heard != [1]:  # noqa: ASYNC110 # nothing tells of it
            await asyncio.sleep(0.02)
    pump.stop()
    await running
