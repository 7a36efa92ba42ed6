"""What every engine of the ledger promises: owed work, leases and owners."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from croupier.ledger.port import Change, Committed, DeliveryUpdate, Ledger, Owner, Refused, RefusedBecause, Update
from croupier.ledger.records import DeliveryRow, DeliveryState, MovementState

if TYPE_CHECKING:
    from tests.ledger.conftest import Rows

Store = Callable[[Change], Awaitable[int]]
FIRST, SECOND = Owner("first", 1), Owner("second", 2)


async def owe(ledger: Ledger, rows: Rows, *deliveries: DeliveryRow) -> None:
    """Store deliveries together with the movements that they are about."""
    names = dict.fromkeys(row.movement for row in deliveries)
    change = rows.change(movements=tuple(rows.movement(name) for name in names), deliveries=deliveries)
    assert isinstance(await ledger.commit(change), Committed)


async def claim(ledger: Ledger, now: int, owner: Owner = FIRST, lease: int = 50, limit: int = 100) -> list[str]:
    """The names of what can be claimed."""
    return [row.delivery for row in await ledger.claim_deliveries(owner, now, lease, limit)]


async def finish(ledger: Ledger, rows: Rows, name: str, state: DeliveryState) -> None:
    """End a delivery."""
    row = await ledger.delivery(rows.operator, name)
    assert row is not None
    update = DeliveryUpdate(attrs.evolve(row, state=state, version=row.version + 1))
    assert isinstance(await ledger.commit(rows.change(delivery_updates=(update,))), Committed)


async def test_sequences_are_assigned_in_order_of_commits(ledger: Ledger, rows: Rows) -> None:
    await owe(ledger, rows, rows.delivery("d1", sequence=77), rows.delivery("d2"))
    other = rows.delivery("d1", operator="other")
    movement = rows.movement(operator="other")
    await ledger.commit(Change(operator="other", movements=(movement,), deliveries=(other,)))
    await ledger.commit(rows.change(deliveries=(rows.delivery("d3", created_at=11),)))
    found = await ledger.deliveries(rows.operator, None, 10)
    assert [(row.delivery, row.sequence) for row in found] == [("d1", 1), ("d2", 2), ("d3", 3)]
    assert [row.sequence for row in await ledger.deliveries("other", DeliveryState.OWED, 10)] == [1]
    assert [row.delivery for row in await ledger.deliveries(None, None, 3)] == ["d1", "d2", "d1"]
    assert await ledger.deliveries(rows.operator, DeliveryState.HELD, 10) == []
    assert [row.delivery for row in await ledger.deliveries_of(rows.operator, "m1")] == ["d1", "d2", "d3"]


async def test_an_update_keeps_the_assigned_sequence(ledger: Ledger, rows: Rows) -> None:
    await owe(ledger, rows, rows.delivery("d1"), rows.delivery("d2"))
    in_memory = rows.delivery("d2", attempts=1, detail="no answer", due_at=900, version=2)
    assert in_memory.sequence == 0
    await ledger.commit(rows.change(delivery_updates=(DeliveryUpdate(in_memory),)))
    assert await ledger.delivery(rows.operator, "d2") == attrs.evolve(in_memory, sequence=2)
    assert await ledger.delivery("other", "d2") is None


async def test_work_is_claimed_when_it_is_due_and_not_before(ledger: Ledger, rows: Rows) -> None:
    await owe(ledger, rows, rows.delivery("late", due_at=101), rows.delivery("due", due_at=100))
    assert await claim(ledger, 99) == []
    assert await claim(ledger, 100) == ["due"]
    assert await claim(ledger, 101) == ["late"]


async def test_a_claim_carries_its_owner_epoch_lease_and_version(ledger: Ledger, rows: Rows) -> None:
    await owe(ledger, rows, rows.delivery())
    (claimed,) = await ledger.claim_deliveries(Owner("worker", 7), 100, 50, 10)
    expected = rows.delivery(sequence=1, owner="worker", epoch=7, lease_until=150, version=2)
    assert claimed == expected == await ledger.delivery(rows.operator, "d1")


async def test_claims_at_once_never_share_work(ledger: Ledger, rows: Rows) -> None:
    await owe(ledger, rows, *(rows.delivery(f"d{i}") for i in range(60)))
    claims = await asyncio.gather(*(claim(ledger, 100, Owner(f"w{i}", i), limit=7) for i in range(20)))
    everything = [name for names in claims for name in names]
    assert sorted(everything) == sorted(f"d{i}" for i in range(60))
    assert max(map(len, claims)) == 7


async def test_a_lease_is_respected_until_it_ends_and_the_next_owner_wins(ledger: Ledger, rows: Rows) -> None:
    await owe(ledger, rows, rows.delivery())
    (first,) = await ledger.claim_deliveries(FIRST, 100, 50, 10)
    assert await claim(ledger, 149, SECOND) == []
    (second,) = await ledger.claim_deliveries(SECOND, 150, 50, 10)
    assert (second.owner, second.epoch, second.lease_until) == ("second", 2, 200)
    done = attrs.evolve(first, state=DeliveryState.DONE, version=second.version + 1)
    result = await ledger.commit(rows.change(delivery_updates=(DeliveryUpdate(done, epoch=1),)))
    assert isinstance(result, Refused)
    assert result.because is RefusedBecause.STALE
    assert await ledger.delivery(rows.operator, "d1") == second
    right = attrs.evolve(second, state=DeliveryState.DONE, version=second.version + 1)
    assert isinstance(await ledger.commit(rows.change(delivery_updates=(DeliveryUpdate(right, epoch=2),))), Committed)
    assert await claim(ledger, 10_000) == []


async def test_no_work_is_claimed_of_operators_that_are_left_apart(ledger: Ledger, rows: Rows) -> None:
    await owe(ledger, rows, *(rows.delivery(f"d{i}", due_at=10) for i in range(3)))
    for name in ("other", 'a third, "quoted"'):
        theirs = rows.delivery(f"of {name}", operator=name)
        await ledger.commit(Change(operator=name, movements=(rows.movement(operator=name),), deliveries=(theirs,)))
    both = [rows.operator, 'a third, "quoted"']
    assert [row.operator for row in await ledger.claim_deliveries(FIRST, 100, 50, 1, apart_from=both)] == ["other"]
    assert await ledger.claim_deliveries(FIRST, 100, 50, 10, apart_from=both) == []
    left = await ledger.claim_deliveries(FIRST, 100, 50, 10, apart_from=["other"])
    assert [row.operator for row in left] == [rows.operator] * 3 + ['a third, "quoted"']


async def test_work_of_one_round_is_done_in_order(ledger: Ledger, rows: Rows) -> None:
    await owe(
        ledger,
        rows,
        rows.delivery("first", movement="m1", round="r1", due_at=500),
        rows.delivery("second", movement="m2", round="r1"),
        rows.delivery("elsewhere", movement="m3", round="r2"),
        rows.delivery("no round", movement="m4"),
        rows.delivery("no round either", movement="m5"),
    )
    assert await claim(ledger, 100) == ["elsewhere", "no round", "no round either"]
    assert await claim(ledger, 500, lease=1000) == ["elsewhere", "no round", "no round either", "first"]
    assert await claim(ledger, 600) == []  # the first is claimed, not done
    await finish(ledger, rows, "first", DeliveryState.DONE)
    assert await claim(ledger, 600) == ["second"]


async def test_rounds_of_the_same_name_do_not_meet_across_operators(ledger: Ledger, rows: Rows) -> None:
    await owe(ledger, rows, rows.delivery("first", round="r1", due_at=500))
    await owe(ledger, rows, rows.delivery("held", movement="m2", state=DeliveryState.HELD))
    theirs = [rows.delivery(f"theirs {i}", movement="m2", operator="other", round=f"r{i}") for i in (3, 2, 1)]
    movement = rows.movement("m2", operator="other")
    await ledger.commit(Change(operator="other", movements=(movement,), deliveries=tuple(theirs)))
    assert await claim(ledger, 100) == ["theirs 3", "theirs 2", "theirs 1"]


async def test_held_work_blocks_its_movement_and_what_waits_for_it_only(ledger: Ledger, rows: Rows) -> None:
    await owe(
        ledger,
        rows,
        rows.delivery("held", movement="m1", round="r1", state=DeliveryState.HELD),
        rows.delivery("same movement", movement="m1"),
        rows.delivery("waits", movement="m2", waits_for="m1"),
        rows.delivery("same round", movement="m3", round="r1"),
        rows.delivery("waits for another", movement="m4", waits_for="m3"),
    )
    assert await claim(ledger, 100) == ["same round", "waits for another"]
    await finish(ledger, rows, "held", DeliveryState.DONE)
    assert await claim(ledger, 100) == ["same movement", "waits"]


@pytest.mark.parametrize("state", list(MovementState))
async def test_only_intents_and_fenced_movements_become_orphans(
    ledger: Ledger, rows: Rows, store: Store, state: MovementState
) -> None:
    await store(rows.bet(state=state, lease_until=100))
    assert await ledger.claim_orphans(SECOND, 99, 50, 10) == []
    claimed = await ledger.claim_orphans(SECOND, 100, 50, 10)
    if state in {MovementState.INTENT, MovementState.FENCED}:
        expected = rows.movement(state=state, owner="second", epoch=2, lease_until=150, version=2)
        assert claimed == [expected] == [await ledger.movement(rows.operator, "m1")]
        assert await ledger.claim_orphans(SECOND, 149, 50, 10) == []
    else:
        assert claimed == []


async def test_orphans_are_claimed_once_and_within_the_limit(ledger: Ledger, rows: Rows) -> None:
    await asyncio.gather(*(ledger.commit(rows.bet(f"m{i}", lease_until=i)) for i in range(30)))
    claims = await asyncio.gather(*(ledger.claim_orphans(Owner(f"w{i}", i), 100, 50, 4) for i in range(10)))
    names = [row.movement for rows_ in claims for row in rows_]
    assert sorted(names) == sorted(f"m{i}" for i in range(30))
    assert max(map(len, claims)) == 4


async def test_each_registration_has_a_higher_epoch(ledger: Ledger) -> None:
    owners = await asyncio.gather(*(ledger.register(name) for name in ("a", "b", "a")))
    assert [owner.name for owner in owners] == ["a", "b", "a"]
    epochs = [owner.epoch for owner in owners]
    assert len(set(epochs)) == 3
    assert (await ledger.register("c")).epoch > max(epochs)


async def test_states_are_counted(ledger: Ledger, rows: Rows, store: Store) -> None:
    empty = await ledger.count_states()
    assert set(empty.values()) == {0}
    states: list[Any] = [MovementState.INTENT, MovementState.INTENT, MovementState.APPLIED, MovementState.HELD]
    for i, state in enumerate(states, 1):
        await store(rows.bet(f"m{i}", state=state))
    await store(rows.change(deliveries=tuple(rows.delivery(f"d{i}", movement="m2") for i in range(4))))
    await finish(ledger, rows, "d0", DeliveryState.DONE)
    await finish(ledger, rows, "d1", DeliveryState.HELD)
    await store(rows.change(updates=(Update(rows.movement("m1", state=MovementState.OWED, version=2)),)))
    counts = await ledger.count_states()
    assert {name: count for name, count in counts.items() if count} == {
        "movement.intent": 1,
        "movement.owed": 1,
        "movement.held": 1,
        "delivery.owed": 2,
        "delivery.held": 1,
        "delivery.done": 1,
    }
    assert counts.keys() == empty.keys()
