"""Held work is decided by hand by two people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from attrs import evolve

from croupier.contract import DeclineReason, ForbiddenError
from croupier.contract.errors import ConflictError
from croupier.ledger.records import DeliveryRow, DeliveryState, MovementState
from croupier.wallet.two_people import Proposal, proposal_of
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, win
from croupier_conformance.network import Fault, Scripted
from croupier_conformance.virtual_time import simulate

Story = Callable[[MoneyPath, DeliveryRow], Awaitable[None]]


def with_a_held_win(folder: Path, story: Story) -> None:
    """Tell a story about a win that the wallet refuses."""

    async def told() -> None:
        lost = Scripted.of(None, Fault.LOST_REQUEST)
        async with MoneyPath.open(folder / "l.db", faults=lost) as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.drain()
            (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            await story(path, held)

    simulate(told())


async def stored(path: MoneyPath, row: DeliveryRow) -> DeliveryRow:
    found = await path.ledger.delivery(OPERATOR, row.delivery)
    assert found is not None
    return found


async def win_state(path: MoneyPath) -> MovementState:
    return next(row.state for row in await path.rows() if row.kind == "win")


async def told_events(path: MoneyPath) -> list[tuple[str, str, str]]:
    events = [each.event for each in await path.ledger.events_after(OPERATOR, 0, 1000)]
    decided = [each for each in events if each.kind in {"delivery.proposed", "delivery.decided"}]
    return [(each.kind, str(each.body["who"]), str(each.body["decision"])) for each in decided]


@pytest.mark.parametrize("applied", [True, False])
def test_what_one_proposes_and_another_confirms_is_done(tmp_path: Path, applied: bool) -> None:
    async def story(path: MoneyPath, held: DeliveryRow) -> None:
        first = await path.deliveries.held.agree(OPERATOR, held.delivery, who="ann (k1)", why="paid", applied=applied)
        assert first == await stored(path, held)
        assert (first.state, first.detail) == (DeliveryState.HELD, held.detail)
        assert proposal_of(first) == Proposal(applied=applied, who="ann (k1)")
        assert await win_state(path) is MovementState.HELD
        second = await path.deliveries.held.agree(OPERATOR, held.delivery, who="ben (k2)", why="seen", applied=applied)
        assert (second.state, second.owner, proposal_of(second)) == (DeliveryState.DONE, None, None)
        assert await win_state(path) is (MovementState.APPLIED if applied else MovementState.REVERSED)
        said = "applied" if applied else "undone"
        assert await told_events(path) == [
            ("delivery.proposed", "ann (k1)", said),
            ("delivery.decided", "ben (k2)", said),
        ]
        assert path.balance() == 9_900

    with_a_held_win(tmp_path, story)


def test_the_same_key_cannot_confirm_its_own_proposal(tmp_path: Path) -> None:
    async def story(path: MoneyPath, held: DeliveryRow) -> None:
        first = await path.deliveries.held.agree(OPERATOR, held.delivery, who="ann (k1)", why="paid", applied=True)
        for _ in range(2):
            with pytest.raises(ForbiddenError, match="proposed it already"):
                await path.deliveries.held.agree(OPERATOR, held.delivery, who="ann (k1)", why="paid", applied=True)
        assert await stored(path, held) == first
        assert await win_state(path) is MovementState.HELD

    with_a_held_win(tmp_path, story)


def test_who_says_otherwise_proposes_anew_and_confirms_nothing(tmp_path: Path) -> None:
    async def story(path: MoneyPath, held: DeliveryRow) -> None:
        for who, applied in (("ann", True), ("ben", False), ("ben", True), ("ben", False)):
            row = await path.deliveries.held.agree(OPERATOR, held.delivery, who=who, why="looked", applied=applied)
            assert proposal_of(row) == Proposal(applied=applied, who=who)
        assert await win_state(path) is MovementState.HELD
        done = await path.deliveries.held.agree(OPERATOR, held.delivery, who="ann", why="he is right", applied=False)
        assert done.state is DeliveryState.DONE
        assert await win_state(path) is MovementState.REVERSED

    with_a_held_win(tmp_path, story)


def test_two_who_propose_at_once_are_not_two_who_agree(tmp_path: Path) -> None:
    async def story(path: MoneyPath, held: DeliveryRow) -> None:
        both = await asyncio.gather(
            *(
                path.deliveries.held.agree(OPERATOR, held.delivery, who=who, why="paid", applied=True)
                for who in ("ann", "ben")
            ),
            return_exceptions=True,
        )
        assert [type(each) for each in both] == [DeliveryRow, ConflictError]
        assert (await stored(path, held)).state is DeliveryState.HELD

    with_a_held_win(tmp_path, story)


def test_work_that_is_driven_again_forgets_what_was_proposed(tmp_path: Path) -> None:
    async def story(path: MoneyPath, held: DeliveryRow) -> None:
        await path.deliveries.held.agree(OPERATOR, held.delivery, who="ann", why="paid", applied=True)
        await path.deliveries.held.redrive(OPERATOR, held.delivery, who="cid", why="unblocked")
        await path.drain()
        row = await stored(path, held)
        assert (row.state, proposal_of(row)) == (DeliveryState.HELD, None)
        row = await path.deliveries.held.agree(OPERATOR, held.delivery, who="ben", why="paid", applied=True)
        assert row.state is DeliveryState.HELD
        path.wallet.refuse = None
        await path.deliveries.held.redrive(OPERATOR, held.delivery, who="cid", why="unblocked")
        await path.drain()
        assert path.balance() == 10_200
        assert (await stored(path, held)).state is DeliveryState.DONE

    with_a_held_win(tmp_path, story)


def test_a_process_or_a_wallet_cannot_pass_for_a_person(tmp_path: Path) -> None:
    async def story(path: MoneyPath, held: DeliveryRow) -> None:
        forged = "proposed applied by ann"
        assert proposal_of(evolve(held, detail=forged)) is None
        assert proposal_of(evolve(held, owner="hub-1")) is None
        assert proposal_of(evolve(held, owner=forged, state=DeliveryState.OWED)) is None
        assert proposal_of(evolve(held, owner=forged)) == Proposal(applied=True, who="ann")

    with_a_held_win(tmp_path, story)
