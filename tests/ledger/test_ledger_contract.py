"""What every engine of the ledger promises: changes, keys, versions and events."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from croupier.contract.errors import CallPersonError
from croupier.ledger.port import Change, Committed, Ledger, Look, Refused, RefusedBecause, Snapshot, Update
from croupier.ledger.records import ExchangeRow, MovementState, RoundState, SessionState

if TYPE_CHECKING:
    from tests.ledger.conftest import MakeLedger, Rows

Store = Callable[[Change], Awaitable[int]]


async def contents(ledger: Ledger, rows: Rows) -> tuple[Any, ...]:
    """Everything that the changes of these tests could have touched."""
    look = Look(
        operator=rows.operator,
        keys=(rows.key("k1"), rows.key("k2"), rows.key("taken")),
        movements=("m1", "m2", "old"),
        round="r1",
        round_movements=True,
    )
    return (
        await ledger.look(look),
        await ledger.events_after(rows.operator, 0, 100),
        await ledger.deliveries(None, None, 100),
        await ledger.session(rows.operator, "s1"),
        await ledger.grant(rows.operator, "c1", "f1"),
        await ledger.configuration(),
    )


async def test_a_change_is_stored_whole(ledger: Ledger, rows: Rows) -> None:
    movement = rows.movement(
        state=MovementState.APPLIED,
        round="r1",
        session="s1",
        stake=2**62,
        facts={"turnover": 5, "nested": {"b": [1, 2], "a": None}},
        balance=-3,
        message="ünïcode \u0000 text",
    )
    change = rows.change(
        movements=(movement,),
        keys=((rows.key("k1"), "m1"), (rows.key("k2"), "m1")),
        rounds=(rows.round(),),
        deliveries=(rows.delivery(),),
        sessions=(rows.session(demo=True),),
        grants=(rows.grant(),),
        configuration=(rows.configuration(),),
        events=(rows.event(body={"amount": 100}), rows.event("m2")),
    )
    assert await ledger.commit(change) == Committed(2)
    found, events, deliveries, session, grant, configuration = await contents(ledger, rows)
    assert found == Snapshot(
        keys={rows.key("k1"): movement, rows.key("k2"): movement},
        movements={"m1": movement},
        round=rows.round(),
        round_movements=(movement,),
    )
    assert [(stored.position, stored.event) for stored in events] == list(enumerate(change.events, 1))
    assert deliveries == [attrs.evolve(rows.delivery(), sequence=1)]
    assert (session, grant, configuration) == (rows.session(demo=True), rows.grant(), [rows.configuration()])


@pytest.mark.parametrize(
    ("because", "obstacle"),
    [
        (RefusedBecause.TAKEN, lambda rows: {"keys": ((rows.key("taken"), "m1"),)}),
        (RefusedBecause.TAKEN, lambda rows: {"movements": (rows.movement(), rows.movement("old"))}),
        (RefusedBecause.TAKEN, lambda rows: {"rounds": (rows.round("old"),)}),
        (RefusedBecause.TAKEN, lambda rows: {"deliveries": (rows.delivery("old"),)}),
        (RefusedBecause.TAKEN, lambda rows: {"sessions": (rows.session(), rows.session("old"))}),
        (RefusedBecause.TAKEN, lambda rows: {"grants": (rows.grant(), rows.grant("old"))}),
        (RefusedBecause.TAKEN, lambda rows: {"configuration": (rows.configuration("old"),)}),
        (RefusedBecause.STALE, lambda rows: {"updates": (Update(rows.movement("old", version=3)),)}),
        (RefusedBecause.STALE, lambda rows: {"updates": (Update(rows.movement("old", version=1)),)}),
        (RefusedBecause.STALE, lambda rows: {"updates": (Update(rows.movement("old", version=2), epoch=2),)}),
        (RefusedBecause.STALE, lambda rows: {"updates": (Update(rows.movement("never", version=2)),)}),
        (RefusedBecause.STALE, lambda rows: {"rounds": (rows.round("old", version=3),)}),
        (RefusedBecause.STALE, lambda rows: {"rounds": (rows.round("never", version=2),)}),
        (RefusedBecause.STALE, lambda rows: {"sessions": (rows.session("old", version=3),)}),
        (RefusedBecause.STALE, lambda rows: {"grants": (rows.grant("old", version=3),)}),
        (RefusedBecause.STALE, lambda rows: {"configuration": (rows.configuration("old", version=3),)}),
    ],
)
async def test_a_refused_change_writes_nothing(
    ledger: Ledger, rows: Rows, store: Store, because: RefusedBecause, obstacle: Callable[[Rows], dict[str, Any]]
) -> None:
    await store(
        rows.change(
            movements=(rows.movement("old"),),
            keys=((rows.key("taken"), "old"),),
            rounds=(rows.round("old"),),
            deliveries=(rows.delivery("old", movement="old"),),
            sessions=(rows.session("old"),),
            grants=(rows.grant("old"),),
            configuration=(rows.configuration("old"),),
            events=(rows.event(),),
        )
    )
    before = await contents(ledger, rows)
    parts: dict[str, Any] = {
        "movements": (rows.movement(),),
        "keys": ((rows.key("k1"), "m1"),),
        "rounds": (rows.round(),),
        "deliveries": (rows.delivery(),),
        "sessions": (rows.session(),),
        "grants": (rows.grant(),),
        "configuration": (rows.configuration(),),
        "events": (rows.event("m1"),),
    }
    result = await ledger.commit(rows.change(**{**parts, **obstacle(rows)}))
    assert isinstance(result, Refused)
    assert result.because is because
    assert result.what
    assert await contents(ledger, rows) == before
    assert await store(rows.change(**parts)) == 2  # nothing of the refused one stands in its way


async def test_a_key_twice_in_one_change_is_taken(ledger: Ledger, rows: Rows) -> None:
    change = rows.change(
        movements=(rows.movement("m1"), rows.movement("m2")), keys=((rows.key(), "m1"), (rows.key(), "m2"))
    )
    result = await ledger.commit(change)
    assert isinstance(result, Refused)
    assert result.because is RefusedBecause.TAKEN
    assert await ledger.movement(rows.operator, "m1") is None


async def test_the_same_key_serves_other_scopes_namespaces_and_operators(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.bet("m1"))
    taken = rows.key("k-m1")
    others = (taken._replace(scope="c2"), taken._replace(namespace="win"))
    await store(rows.change(movements=(rows.movement("m2"),), keys=tuple((key, "m2") for key in others)))
    other = taken._replace(operator="other")
    elsewhere = rows.movement("m1", operator="other", amount=7)
    assert await ledger.commit(
        Change(operator="other", movements=(elsewhere,), keys=((other, "m1"),), events=(rows.event(),))
    ) == Committed(1)
    found = await ledger.look(Look(operator="other", keys=(other,)))
    assert found.keys[other].amount == 7
    assert (await ledger.look(Look(operator=rows.operator, keys=(taken, other)))).keys == {taken: rows.movement("m1")}
    seen = (await ledger.look(Look(operator=rows.operator, keys=(*others, taken._replace(value="k-m3"))))).keys
    assert seen == dict.fromkeys(others, rows.movement("m2"))


async def test_an_update_replaces_the_whole_row(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.change(movements=(rows.movement(player="", currency="", state=MovementState.TOMBSTONED),)))
    changed = rows.movement(
        player="bob", round="r2", created_at=99, amount=5, state=MovementState.DECLINED, reason="limit", version=2
    )
    await store(rows.change(updates=(Update(changed, epoch=1),), rounds=(rows.round("r2"),)))
    assert await ledger.movement(rows.operator, "m1") == changed
    found = await ledger.look(Look(operator=rows.operator, round="r2", round_movements=True))
    assert found.round_movements == (changed,)
    closed = rows.round("r2", state=RoundState.CLOSED, closed_at=120, bets=1, wins=2, player="bob", version=2)
    await store(rows.change(rounds=(closed,)))
    assert await ledger.round(rows.operator, "r2") == closed


async def test_of_many_changes_at_once_that_want_one_key_exactly_one_wins(ledger: Ledger, rows: Rows) -> None:
    changes = [
        rows.change(movements=(rows.movement(f"m{i}"),), keys=((rows.key("same"), f"m{i}"),), events=(rows.event(),))
        for i in range(100)
    ]
    results = await asyncio.gather(*map(ledger.commit, changes))
    winners = [i for i, result in enumerate(results) if isinstance(result, Committed)]
    assert len(winners) == 1
    assert {result.because for result in results if isinstance(result, Refused)} == {RefusedBecause.TAKEN}
    found = await ledger.look(
        Look(operator=rows.operator, keys=(rows.key("same"),), movements=tuple(f"m{i}" for i in range(100)))
    )
    assert list(found.movements) == [f"m{winners[0]}"]
    assert len(await ledger.events_after(rows.operator, 0, 1000)) == 1


async def test_of_many_updates_at_once_exactly_one_wins(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.bet())
    updates = [Update(rows.movement(amount=i, version=2), epoch=1) for i in range(100)]
    results = await asyncio.gather(*(ledger.commit(rows.change(updates=(update,))) for update in updates))
    winners = [update.row for update, result in zip(updates, results, strict=True) if isinstance(result, Committed)]
    assert [await ledger.movement(rows.operator, "m1")] == winners


async def test_a_zombie_of_an_older_epoch_cannot_write(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.bet())
    owner = await ledger.register("second")
    (claimed,) = await ledger.claim_orphans(attrs.evolve(owner, epoch=5), now=1000, lease_ms=50, limit=10)
    late = Update(rows.movement(state=MovementState.APPLIED, version=claimed.version + 1), epoch=1)
    result = await ledger.commit(rows.change(updates=(late,)))
    assert isinstance(result, Refused)
    assert result.because is RefusedBecause.STALE
    right = attrs.evolve(late, epoch=5)
    assert isinstance(await ledger.commit(rows.change(updates=(right,))), Committed)


async def test_positions_are_gapless_and_follow_the_order_of_commits(ledger: Ledger, rows: Rows) -> None:
    async def commit(operator: str, i: int) -> None:
        events = tuple(rows.event(f"{i}-{part}") for part in range(i % 4))
        keys = ((rows.key(f"k{i // 2}", operator=operator), f"m{i}"),)  # every second is refused
        movement = rows.movement(f"m{i}", operator=operator)
        change = Change(operator=operator, movements=(movement,), keys=keys, events=events)
        result = await ledger.commit(change)
        if isinstance(result, Committed):
            stored = await ledger.events_after(operator, result.position - len(events), len(events))
            assert tuple(one.event for one in stored) == events

    await asyncio.gather(*(commit(operator, i) for i in range(100) for operator in ("one", "two")))
    for operator in ("one", "two"):
        stored = await ledger.events_after(operator, 0, 10_000)
        assert [one.position for one in stored] == list(range(1, len(stored) + 1))
        subjects = [one.event.subject.split("-") for one in stored]
        whole = Counter(int(i) for i, _ in subjects)
        assert all(count == i % 4 for i, count in whole.items())
        assert [list(group) for group in subjects] == sorted(
            subjects, key=lambda pair: [list(whole).index(int(pair[0])), int(pair[1])]
        )


async def test_a_reader_never_sees_a_lower_position_appear_later(ledger: Ledger, rows: Rows) -> None:
    seen: list[int] = []

    async def follow() -> None:
        while len(seen) < 300:
            found = await ledger.events_after(rows.operator, seen[-1] if seen else 0, 7)
            seen.extend(one.position for one in found)
            await asyncio.sleep(0)

    async def write(writer: int) -> None:
        for i in range(30):
            await ledger.commit(rows.bet(f"{writer}-{i}"))

    await asyncio.wait_for(asyncio.gather(follow(), *map(write, range(10))), 60)
    assert seen == list(range(1, 301))
    everything = await ledger.events_after(rows.operator, 0, 1000)
    assert [one.position for one in everything] == seen


async def test_an_acknowledged_commit_is_seen_by_the_next_read(ledger: Ledger, rows: Rows) -> None:
    async def commit_and_look(i: int) -> None:
        await ledger.commit(rows.bet(f"m{i}"))
        found = await ledger.look(Look(operator=rows.operator, keys=(rows.key(f"k-m{i}"),)))
        assert found.movements == {f"m{i}": rows.movement(f"m{i}")}

    await asyncio.gather(*map(commit_and_look, range(50)))


async def test_a_caller_that_gives_up_does_not_disturb_the_others(ledger: Ledger, rows: Rows) -> None:
    tasks = [asyncio.ensure_future(ledger.commit(rows.bet(f"m{i}"))) for i in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [Committed] * 3 + [asyncio.CancelledError] + [Committed] * 6


async def test_a_change_that_breaks_a_constraint_fails_alone(ledger: Ledger, rows: Rows) -> None:
    broken = [
        rows.change(keys=((rows.key("k1"), "never"),), events=(rows.event(),)),
        rows.change(deliveries=(rows.delivery(movement="never"),)),
        rows.change(movements=(rows.movement("half"),), keys=((rows.key("k2"), "never"),), events=(rows.event(),)),
        rows.change(movements=(rows.movement("huge", amount=2**63),)),
        rows.change(movements=(rows.movement("negative", amount=-1),), events=(rows.event(),)),
        rows.change(movements=(rows.movement("other", facts={"at": object()}),)),
        rows.change(movements=(rows.movement("crossing", operator="other"),)),
    ]
    changes = [rows.bet("m1"), *broken, rows.bet("m2")]
    first, *failed, last = await asyncio.gather(*map(ledger.commit, changes), return_exceptions=True)
    assert (first, last) == (Committed(1), Committed(2))
    assert [isinstance(failure, CallPersonError) for failure in failed] == [True] * len(broken)
    assert [one.event.subject for one in await ledger.events_after(rows.operator, 0, 10)] == ["m1", "m2"]
    assert [await ledger.movement(rows.operator, name) for name in ("half", "huge", "negative", "other")] == [None] * 4


async def test_everything_is_there_after_a_restart(make_ledger: MakeLedger, rows: Rows) -> None:
    first = make_ledger()
    await first.start()
    await first.register("one")
    await asyncio.gather(*(first.commit(rows.bet(f"m{i}")) for i in range(5)))
    first.note(rows.exchange())
    before = await first.events_after(rows.operator, 0, 100)
    await first.close()
    await first.close()
    second = make_ledger()
    await second.start()
    try:
        assert await second.events_after(rows.operator, 0, 100) == before
        assert (await second.register("two")).epoch == 2
        assert await second.commit(rows.bet("m9")) == Committed(6)
        assert isinstance(await second.commit(rows.bet("m1")), Refused)
        stored: list[ExchangeRow] = list(await second.exchanges(rows.operator, trace="t1"))
        assert stored == [rows.exchange()]
    finally:
        await second.close()


async def test_a_change_is_applied_while_the_sessions_that_it_expects_are_as_they_were(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(sessions=(rows.session("s1"), rows.session("s2"))))
    await store(rows.change(sessions=(rows.session("s2", seen_at=11, version=2),)))
    expecting = attrs.evolve(rows.bet("m1"), expects=(("s1", 1), ("s2", 2), ("s1", 1)))
    assert await ledger.commit(expecting) == Committed(1)
    assert await ledger.movement(rows.operator, "m1") == rows.movement("m1")
    # What is only expected does not change.
    assert await ledger.session(rows.operator, "s1") == rows.session("s1")
    assert await ledger.commit(rows.change(expects=(("s1", 1),))) == Committed(1)


@pytest.mark.parametrize("expected", [("s1", 1), ("s1", 3), ("never", 1), ("never", 0), ("elsewhere", 1)], ids=str)
async def test_a_change_that_expects_another_session_than_there_is_writes_nothing(
    ledger: Ledger, rows: Rows, store: Store, expected: tuple[str, int]
) -> None:
    await store(rows.change(sessions=(rows.session("s1"), rows.session("right"))))
    await store(rows.change(sessions=(rows.session("s1", seen_at=11, version=2),)))
    elsewhere = rows.session("elsewhere", operator="other")
    assert isinstance(await ledger.commit(Change(operator="other", sessions=(elsewhere,))), Committed)
    before = await contents(ledger, rows)
    refused = await ledger.commit(attrs.evolve(rows.bet("m1"), expects=(("right", 1), expected)))
    assert refused == Refused(RefusedBecause.STALE, expected[0])
    assert await contents(ledger, rows) == before
    assert await ledger.movement(rows.operator, "m1") is None
    assert await store(rows.bet("m1")) == 1  # nothing of the refused one stands in its way


async def test_a_session_is_expected_as_it_was_before_the_change(ledger: Ledger, rows: Rows, store: Store) -> None:
    refused = await ledger.commit(rows.change(expects=(("s1", 1),), sessions=(rows.session("s1"),)))
    assert refused == Refused(RefusedBecause.STALE, "s1")
    await store(rows.change(sessions=(rows.session("s1"),)))
    seen = rows.session("s1", seen_at=11, version=2)
    refused = await ledger.commit(rows.change(expects=(("s1", 2),), sessions=(seen,)))
    assert refused == Refused(RefusedBecause.STALE, "s1")
    await store(rows.change(expects=(("s1", 1),), sessions=(seen,)))
    assert await ledger.session(rows.operator, "s1") == seen


async def test_a_stale_session_is_told_before_a_taken_key(ledger: Ledger, rows: Rows, store: Store) -> None:
    await store(rows.bet("m1"))
    refused = await ledger.commit(attrs.evolve(rows.bet("m1"), expects=(("s1", 1),)))
    assert refused == Refused(RefusedBecause.STALE, "s1")


async def test_of_changes_at_once_those_that_expect_a_session_are_judged_in_their_order(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(sessions=(rows.session("s1"), rows.session("s2"))))

    def expecting(movement: str, version: int) -> Change:
        return attrs.evolve(rows.bet(movement), expects=(("s2", 1), ("s1", version)))

    ended = rows.change(sessions=(rows.session("s1", state=SessionState.ENDED, version=2),))
    changes = [expecting("m1", 1), expecting("m2", 2), ended, expecting("m3", 1), expecting("m4", 2)]
    results = await asyncio.gather(*map(ledger.commit, changes))
    stale = Refused(RefusedBecause.STALE, "s1")
    assert results == [Committed(1), stale, Committed(1), stale, Committed(2)]


async def test_no_bet_gets_past_the_end_of_the_session_that_it_expects(
    ledger: Ledger, rows: Rows, store: Store
) -> None:
    await store(rows.change(sessions=(rows.session("s1"),)))
    ended = asyncio.Event()

    async def play(player: int) -> None:
        for number in range(20):
            late = ended.is_set()
            result = await ledger.commit(attrs.evolve(rows.bet(f"{player}-{number}"), expects=(("s1", 1),)))
            assert not (late and isinstance(result, Committed))
            await asyncio.sleep(0)

    async def end() -> None:
        await asyncio.sleep(0.005)
        await store(rows.change(sessions=(rows.session("s1", state=SessionState.ENDED, version=2),)))
        ended.set()

    await asyncio.gather(end(), *map(play, range(10)))
    assert ended.is_set()


async def test_the_clock_of_the_database_goes_forward_in_whole_milliseconds(ledger: Ledger) -> None:
    before = int(time.time() * 1000)
    shown = [(await ledger.clock()).database_ms for _ in range(3)]
    after = int(time.time() * 1000)
    assert shown == sorted(shown)
    assert before - 1 <= shown[0] <= shown[-1] <= after + 1
