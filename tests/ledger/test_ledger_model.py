"""Every engine of the ledger against a dictionary, with drawn changes in drawn batches."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from croupier.ledger.port import Change, CommitResult, Committed, Ledger, Look, Refused, RefusedBecause, Update
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import (
    Event,
    Key,
    MovementRow,
    MovementState,
    RoundRow,
    RoundState,
    SessionRow,
    SessionState,
    StoredEvent,
)
from croupier.ledger.sqlite import SqliteLedger

OPERATORS = ("casino", "other")
NAMES = ("a", "b", "c", "d")


@define
class Model:
    """What the ledger should hold."""

    movements: dict[tuple[str, str], MovementRow] = field(factory=dict)
    keys: dict[Key, str] = field(factory=dict)
    rounds: dict[tuple[str, str], RoundRow] = field(factory=dict)
    sessions: dict[tuple[str, str], SessionRow] = field(factory=dict)
    events: dict[str, list[Event]] = field(factory=lambda: {operator: [] for operator in OPERATORS})

    def commit(self, change: Change) -> RefusedBecause | int:
        """Apply a change to a copy; keep it if nothing refuses."""
        operator, movements, keys = change.operator, dict(self.movements), dict(self.keys)
        if not all(self._is_stored(operator, *expected) for expected in change.expects):
            return RefusedBecause.STALE
        inserted = set()
        for row in change.movements:
            if (operator, row.movement) in movements:
                return RefusedBecause.TAKEN
            movements[operator, row.movement] = row
            inserted.add(row.movement)
        for key, movement in change.keys:
            if key in keys:
                return RefusedBecause.TAKEN
            keys[key] = movement
        for update in change.updates:
            place = (operator, update.row.movement)
            stored = self.movements.get(place)
            if stored is None or stored.version != update.row.version - 1 or update.row.movement in inserted:
                return RefusedBecause.STALE
            if update.epoch is not None and stored.epoch != update.epoch:
                return RefusedBecause.STALE
            movements[place] = update.row
            inserted.add(update.row.movement)
        new_rounds = {(operator, row.round): row for row in change.rounds}
        new_sessions = {(operator, row.session): row for row in change.sessions}
        if refused := judged(self.rounds, new_rounds) or judged(self.sessions, new_sessions):
            return refused
        self.movements, self.keys = movements, keys
        self.rounds.update(new_rounds)
        self.sessions.update(new_sessions)
        self.events[operator] += change.events
        return len(self.events[operator])

    def _is_stored(self, operator: str, session: str, version: int) -> bool:
        stored = self.sessions.get((operator, session))
        return stored is not None and stored.version == version


def judged(
    stored: Mapping[tuple[str, str], RoundRow | SessionRow], new: Mapping[tuple[str, str], RoundRow | SessionRow]
) -> RefusedBecause | None:
    """What rows that say their version meet, if anything."""
    for place, row in new.items():
        before = stored.get(place)
        if row.version == 1 and before:
            return RefusedBecause.TAKEN
        if row.version != 1 and (before is None or before.version != row.version - 1):
            return RefusedBecause.STALE
    return None


@st.composite
def movements(draw: st.DrawFn, operator: str, *, version: int = 1) -> MovementRow:
    return MovementRow(
        operator=operator,
        movement=draw(st.sampled_from(NAMES)),
        play="p",
        ordinal=draw(st.integers(0, 3)),
        connection="c",
        player=draw(st.sampled_from(("", "alice", "bob"))),
        kind="bet",
        direction="debit",
        state=draw(st.sampled_from(MovementState)),
        amount=draw(st.integers(0, 2**63 - 1)),
        currency="EUR",
        reference=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
        fingerprint=draw(st.dictionaries(st.sampled_from("zyx"), st.text("ab", max_size=2), max_size=3)),
        owner="hub",
        epoch=draw(st.integers(1, 2)),
        nonce="n",
        lease_until=draw(st.integers(0, 10)),
        created_at=draw(st.integers(0, 3)),
        round=draw(st.sampled_from((None, "r1", "r2"))),
        balance=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        version=version,
    )


@st.composite
def changes(draw: st.DrawFn) -> Change:
    operator = draw(st.sampled_from(OPERATORS))
    new = draw(st.lists(movements(operator), max_size=2, unique_by=lambda row: row.movement))
    keys = [
        (Key(operator, "c", "bet", draw(st.sampled_from(("1", "2", "3", "4", "5", "6")))), row.movement)
        for row in new
        for _ in range(draw(st.integers(0, 2)))
    ]
    updates = [
        Update(draw(movements(operator, version=draw(st.integers(2, 4)))), draw(st.sampled_from((None, 1, 2))))
        for _ in range(draw(st.integers(0, 2)))
    ]
    rounds = [
        RoundRow(
            operator=operator,
            round=name,
            connection="c",
            player=draw(st.sampled_from(("alice", "bob"))),
            provider_round=name,
            game=None,
            currency="EUR",
            state=draw(st.sampled_from(RoundState)),
            opened_at=draw(st.integers(0, 3)),
            version=draw(st.integers(1, 3)),
        )
        for name in draw(st.sets(st.sampled_from(("r1", "r2")), max_size=1))
    ]
    sessions = [
        SessionRow(
            operator=operator,
            session=name,
            player="alice",
            connection="c",
            game="g",
            route="x",
            currency="EUR",
            state=draw(st.sampled_from(SessionState)),
            launch_hash=name,
            created_at=0,
            expires_at=1,
            launch_expires_at=1,
            version=draw(st.integers(1, 3)),
        )
        for name in draw(st.sets(st.sampled_from(("s1", "s2")), max_size=1))
    ]
    expects = draw(st.lists(st.tuples(st.sampled_from(("s1", "s2")), st.integers(1, 2)), max_size=1))
    events = [
        Event(kind="drawn", subject=draw(st.sampled_from(NAMES)), at=1, body={"n": draw(st.integers(0, 9))})
        for _ in range(draw(st.integers(0, 2)))
    ]
    return Change(
        operator=operator,
        expects=tuple(expects),
        sessions=tuple(sessions),
        movements=tuple(new),
        keys=tuple(keys),
        updates=tuple(updates),
        rounds=tuple(rounds),
        events=tuple(events),
    )


async def follow(ledger: Ledger, batches: Sequence[Sequence[Change]]) -> None:
    """Commit each batch at once; after each, the ledger is the model."""
    model = Model()
    await ledger.start()
    try:
        for batch in batches:
            results = await asyncio.gather(*map(ledger.commit, batch))
            assert [told(result) for result in results] == [model.commit(change) for change in batch]
            for operator in OPERATORS:
                await compare(ledger, model, operator)
    finally:
        await ledger.close()


def told(result: CommitResult) -> RefusedBecause | int:
    """What the model says of a commit."""
    match result:
        case Committed(position):
            return position
        case Refused(because):
            return because


async def compare(ledger: Ledger, model: Model, operator: str) -> None:
    """The ledger holds what the model holds."""
    keys = {key: model.movements[operator, name] for key, name in model.keys.items() if key.operator == operator}
    rows = {name: row for (owner, name), row in model.movements.items() if owner == operator}
    look = Look(operator=operator, keys=tuple(keys), movements=NAMES, round="r1", round_movements=True)
    found = await ledger.look(look)
    assert (found.keys, found.movements, found.round) == (keys, rows, model.rounds.get((operator, "r1")))
    for session in ("s1", "s2"):
        assert await ledger.session(operator, session) == model.sessions.get((operator, session))
    in_round = {row.movement for row in rows.values() if row.round == "r1"}
    assert {row.movement for row in found.round_movements} == in_round
    expected = [StoredEvent(operator=operator, position=i, event=e) for i, e in enumerate(model.events[operator], 1)]
    assert await ledger.events_after(operator, 0, 1000) == expected


@pytest.mark.parametrize(
    "engine",
    [SqliteLedger, lambda path: SqliteLedger(path, threaded=False), lambda path: SqliteLedger(path, max_batch=2)],
    ids=["sqlite", "sqlite-inline", "sqlite-small-batches"],
)
@settings(max_examples=40)
@given(st.lists(st.lists(changes(), min_size=1, max_size=6), min_size=1, max_size=6))
def test_drawn_changes_have_the_effect_that_the_model_says(
    engine: Callable[[Path], Ledger], batches: list[list[Change]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(follow(engine(Path(folder) / "ledger.sqlite"), batches))


@pytest.mark.parametrize("max_batch", [128, 2])
@settings(max_examples=20)
@given(st.lists(st.lists(changes(), min_size=1, max_size=6), min_size=1, max_size=6))
def test_drawn_changes_have_the_same_effect_in_postgresql(
    emptied_postgres: Callable[[], str], max_batch: int, batches: list[list[Change]]
) -> None:
    asyncio.run(follow(PostgresLedger(emptied_postgres(), max_batch=max_batch), batches))


def test_the_model_itself_refuses() -> None:
    model = Model()
    row = MovementRow(
        operator="casino", movement="a", play="p", ordinal=0, connection="c", player="", kind="bet",
        direction="debit", state=MovementState.INTENT, amount=1, currency="", reference="", fingerprint={},
        owner="hub", epoch=1, nonce="", lease_until=0, created_at=0,
    )  # fmt: skip
    assert model.commit(Change(operator="casino", movements=(row,))) == 0
    assert model.commit(Change(operator="casino", movements=(row,))) is RefusedBecause.TAKEN
    second = Update(attrs.evolve(row, version=2), epoch=2)
    assert model.commit(Change(operator="casino", updates=(second,))) is RefusedBecause.STALE
    assert model.commit(Change(operator="casino", updates=(attrs.evolve(second, epoch=1),))) == 0
