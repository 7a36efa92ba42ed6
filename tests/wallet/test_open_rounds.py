"""A round that never goes on is ended by two people: its stakes are given back, or it ends as it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import (
    Applied,
    AppliedEffect,
    Declined,
    DeclineReason,
    ForbiddenError,
    Movement,
    MovementKey,
    MovementKind,
    RoundEnd,
    WireAmount,
)
from croupier.contract.errors import ConflictError, NotFoundError
from croupier.ledger.port import Page
from croupier.ledger.records import DeliveryState, MovementState, RoundRow, RoundState
from croupier.wallet.open_rounds import Decision, RoundProposal
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, rollback, win
from croupier_conformance.network import Fault, Scripted
from croupier_conformance.virtual_time import simulate

Story = Callable[[MoneyPath], Awaitable[None]]
OPENING = 10_000


def told(folder: Path, story: Story, *faults: Fault | None) -> None:
    """Tell a story of one player."""

    async def run() -> None:
        async with MoneyPath.open(folder / "l.db", faults=Scripted(coming=faults)) as path:
            await story(path)

    simulate(run())


async def the_round(path: MoneyPath) -> RoundRow:
    (row,) = await path.ledger.rounds(OPERATOR, None, Page())
    return row


async def void(path: MoneyPath, *people: str) -> Any:
    """What the last of these people is told who say, one after the other, that the stakes are to be given back."""
    row, standing = await the_round(path), None
    for who in people:
        standing = await path.deliveries.rounds.void(OPERATOR, row.round, who=who, why="lost")
    return standing


async def complete(path: MoneyPath, *people: str, short: int = 0) -> Any:
    row, standing = await the_round(path), None
    for who in people:
        standing = await path.deliveries.rounds.complete(OPERATOR, row.round, who=who, why="over", short=short)
    return standing


async def events(path: MoneyPath, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    stored = [each.event for each in await path.ledger.events_after(OPERATOR, 0, 10_000)]
    return [(event.kind, dict(event.body)) for event in stored if event.kind in kinds]


async def refused(path: MoneyPath, *movements: Movement) -> DeclineReason:
    outcome = (await path.play(*movements)).outcome
    assert isinstance(outcome, Declined)
    return outcome.reason


def test_a_proposal_moves_nothing_and_says_whose_it_is(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        before = await the_round(path)
        proposed = await void(path, "ann (k1)")
        assert proposed.proposal == RoundProposal(decision=Decision.VOID, who="ann (k1)")
        assert (proposed.staked, proposed.won, proposed.short) == (100, 0, 100)
        assert await path.deliveries.rounds.standing(OPERATOR, before.round) == proposed
        assert await the_round(path) == before
        await path.drain()
        assert path.balance() == OPENING - 100
        assert await events(path, "decision.proposed", "decision.made") == [
            (
                "decision.proposed",
                {"round": before.round, "decision": "void", "who": "ann (k1)", "why": "lost"},
            )
        ]

    told(tmp_path, story)


def test_the_same_key_cannot_confirm_what_it_has_proposed(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        for _ in range(2):
            with pytest.raises(ForbiddenError, match="proposed it already"):
                await void(path, *(["ann"] if await events(path, "decision.proposed") else ["ann", "ann"]))
        assert (await the_round(path)).state is RoundState.OPEN
        await path.drain()
        assert path.balance() == OPENING - 100

    told(tmp_path, story)


def test_who_says_otherwise_proposes_anew_and_ends_nothing(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann")
        standing = await complete(path, "ben", short=100)
        assert standing.proposal == RoundProposal(decision=Decision.COMPLETE, who="ben")
        standing = await void(path, "ben")
        assert standing.proposal == RoundProposal(decision=Decision.VOID, who="ben")
        assert (await the_round(path)).state is RoundState.OPEN
        assert (await void(path, "ann")).row.state is RoundState.CLOSED

    told(tmp_path, story)


def test_two_who_propose_at_once_are_not_two_who_agree(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        both = await asyncio.gather(void(path, "ann"), void(path, "ben"), return_exceptions=True)
        assert [isinstance(each, ConflictError) for each in both] == [False, True]
        assert (await the_round(path)).state is RoundState.OPEN

    told(tmp_path, story)


def test_what_is_decided_says_who_proposed_and_who_confirmed_and_what_it_came_to(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await path.play(bet("b2", "0.50"))
        row = await the_round(path)
        await void(path, "ann", "ben")
        made = {"round": row.round, "decision": "void", "who": "ben", "why": "lost", "proposed_by": "ann", "short": 150}
        assert await events(path, "decision.made", "round.voided", "round.closed") == [
            ("decision.made", made),
            ("round.voided", {"amount": 150, "currency": "EUR"}),
            ("round.closed", {}),
        ]
        versions = await path.ledger.configuration_history(OPERATOR, "round", row.round)
        assert [(each.who, each.active, each.body["decision"]) for each in versions] == [
            ("ann", True, "void"),
            ("ben", False, "void"),
        ]

    told(tmp_path, story)


def test_a_win_that_comes_between_proposal_and_confirmation_stands_and_nothing_is_given_back(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann")
        assert isinstance((await path.play(win("w1", "0.40"))).outcome, Applied)
        with pytest.raises(ConflictError, match="holds a win that stands"):
            await void(path, "ben")
        await path.drain()
        assert (await the_round(path)).state is RoundState.OPEN
        assert path.balance() == OPENING - 60

    told(tmp_path, story)


def test_a_win_that_is_not_settled_yet_keeps_a_round_from_being_ended(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann")
        await path.play(win("w1", "3.00"))
        for end in (void, complete):
            with pytest.raises(ConflictError, match="a win of the round is not settled: it is owed"):
                await end(path, "ben")
        path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
        await path.drain()
        for end in (void, complete):
            with pytest.raises(ConflictError, match="a win of the round is not settled: it is held"):
                await end(path, "ben")
        assert (await the_round(path)).state is RoundState.OPEN
        assert path.balance() == OPENING - 100

    told(tmp_path, story, None, Fault.LOST_REQUEST)


def test_a_bet_that_comes_between_makes_the_second_person_the_first(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann")
        await path.play(bet("b2"))
        row = await the_round(path)
        assert (await path.deliveries.rounds.standing(OPERATOR, row.round)).proposal is None
        standing = await void(path, "ben")
        assert (standing.row.state, standing.proposal.who) == (RoundState.OPEN, "ben")
        await void(path, "ann")
        await path.drain()
        assert path.balance() == OPENING

    told(tmp_path, story)


def test_a_rollback_that_comes_between_is_not_done_twice(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await path.play(bet("b2"))
        await void(path, "ann")
        assert isinstance((await path.play(rollback("x1", "b1"))).outcome, Applied)
        standing = await void(path, "ben")
        assert (standing.staked, standing.proposal.who) == (100, "ben")
        await void(path, "ann")
        await path.drain()
        assert path.balance() == OPENING
        assert len(path.wallet.undone) == 2

    told(tmp_path, story)


def test_a_rollback_that_is_not_answered_yet_keeps_a_round_from_being_ended(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await path.play(rollback("x1", "b1"))
        with pytest.raises(ConflictError, match="is not settled"):
            await void(path, "ann")
        await path.drain()
        await void(path, "ann", "ben")
        assert path.balance() == OPENING
        assert (await the_round(path)).state is RoundState.CLOSED

    told(tmp_path, story, None, Fault.LOST_REPLY)


def test_a_providers_rollback_before_the_stake_is_given_back_is_the_same_rollback(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann", "ben")
        asking = asyncio.ensure_future(path.play(rollback("x1", "b1")))
        await path.clock.sleep(0.001)
        await path.drain()
        await asking
        outcome = (await path.play(rollback("x1", "b1"))).outcome
        assert isinstance(outcome, Applied)
        assert path.balance() == OPENING
        assert sum(len(call.get("moves", ())) for call in path.wallet.calls) == 2

    told(tmp_path, story)


def test_a_providers_rollback_after_the_stake_was_given_back_moves_nothing_more(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann", "ben")
        await path.drain()
        for effect in (AppliedEffect.MOVED, AppliedEffect.REPEATED):
            outcome = (await path.play(rollback("x1", "b1"))).outcome
            assert isinstance(outcome, Applied)
            assert outcome.effect is effect
        assert path.balance() == OPENING
        assert sum(len(call.get("moves", ())) for call in path.wallet.calls) == 2

    told(tmp_path, story)


def test_a_voided_round_takes_no_win_no_bet_and_no_resent_bet(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann", "ben")
        for _delivered in (False, True):
            assert await refused(path, win("w1", "9.00")) is DeclineReason.ALREADY_ROLLED_BACK
            assert await refused(path, win("w2", "9.00", of="b1")) is DeclineReason.ALREADY_ROLLED_BACK
            assert await refused(path, bet("b1")) is DeclineReason.CANCELLED
            assert await refused(path, bet("b2")) is DeclineReason.ROUND_CLOSED
            await path.drain()
        assert path.balance() == OPENING

    told(tmp_path, story)


def test_a_stake_that_the_wallet_will_not_give_back_is_held_for_people(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann", "ben")
        path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
        await path.drain()
        (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
        assert path.balance() == OPENING - 100
        path.wallet.refuse_undo = None
        await path.deliveries.held.redrive(OPERATOR, held.delivery, who="cid", why="unblocked")
        await path.drain()
        assert path.balance() == OPENING
        assert {row.state for row in await path.rows()} == {MovementState.REVERSED}
        assert await refused(path, win("w1", "9.00")) is DeclineReason.ALREADY_ROLLED_BACK

    told(tmp_path, story)


def test_a_win_that_comes_while_the_stake_is_held_is_paid_and_people_let_the_stake_stand(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await void(path, "ann", "ben")
        path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
        await path.drain()
        (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
        assert isinstance((await path.play(win("w1", "9.00"))).outcome, Applied)
        for who in ("ann", "ben"):
            await path.deliveries.held.agree(OPERATOR, held.delivery, who=who, why="it was paid", applied=True)
        await path.drain()
        assert path.balance() == OPENING + 800
        row = await the_round(path)
        assert (row.state, row.bets, row.wins) == (RoundState.CLOSED, 1, 1)

    told(tmp_path, story)


NET = Movement(
    MovementKind.BET_AND_WIN,
    keys=(MovementKey("tx", "n1"),),
    amount=WireAmount.of("1.00"),
    win_amount=WireAmount.of("0.30"),
)
TIP = Movement(MovementKind.TIP, keys=(MovementKey("tx", "t1"),), amount=WireAmount.of("0.20"))


@pytest.mark.parametrize("more", [win("w1", "1.00"), win("w1", "0.00"), NET, TIP], ids=["win", "zero", "net", "tip"])
def test_a_round_that_holds_more_than_bets_is_not_voided(tmp_path: Path, more: Movement) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await path.play(more)
        balance = path.balance()
        with pytest.raises(ConflictError, match="would have to be taken back"):
            await void(path, "ann")
        await path.drain()
        assert path.balance() == balance
        assert (await the_round(path)).state is RoundState.OPEN

    told(tmp_path, story)


def test_a_stake_that_was_carried_into_a_game_is_given_back_and_what_is_left_of_it_not_paid_again(
    tmp_path: Path,
) -> None:
    def carried(kind: MovementKind, id: str, amount: str) -> Movement:
        return Movement(kind, keys=(MovementKey("tx", id),), amount=WireAmount.of(amount))

    async def story(path: MoneyPath) -> None:
        await path.play(carried(MovementKind.TRANSFER_OUT, "o1", "5.00"))
        await void(path, "ann", "ben")
        await path.drain()
        assert await refused(path, carried(MovementKind.TRANSFER_IN, "i1", "4.00")) is DeclineReason.ALREADY_ROLLED_BACK
        assert path.balance() == OPENING

    told(tmp_path, story)


def test_a_free_bet_costs_nothing_so_that_voiding_it_moves_nothing_and_its_win_is_refused(tmp_path: Path) -> None:
    nothing, stake = WireAmount.of("0.00"), WireAmount.of("1.00")
    free = Movement(MovementKind.FREE_BET, keys=(MovementKey("tx", "f1"),), amount=nothing, stake=stake)

    async def story(path: MoneyPath) -> None:
        assert isinstance((await path.play(free)).outcome, Applied)
        assert (await void(path, "ann", "ben")).staked == 0
        await path.drain()
        assert {row.state for row in await path.rows()} == {MovementState.REVERSED}
        assert await refused(path, win("w1", "9.00")) is DeclineReason.ALREADY_ROLLED_BACK
        assert path.balance() == OPENING

    told(tmp_path, story)


@pytest.mark.parametrize(("bet_amount", "win_amount", "short"), [("1.00", "3.00", 0), ("1.00", "1.00", 0)])
def test_a_round_that_has_paid_its_stakes_is_completed_as_it_stands(
    tmp_path: Path, bet_amount: str, win_amount: str, short: int
) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1", bet_amount))
        await path.play(win("w1", win_amount))
        balance = path.balance()
        done = await complete(path, "ann", "ben", short=short)
        assert (done.row.state, done.row.bets, done.row.wins) == (RoundState.CLOSED, 1, 1)
        await path.drain()
        assert path.balance() == balance
        assert isinstance((await path.play(win("w2", "2.00"))).outcome, Applied)
        assert path.balance() == balance + 200

    told(tmp_path, story)


@pytest.mark.parametrize("won", ["0.00", "0.40", None])
def test_a_round_that_has_paid_less_than_its_stakes_is_completed_only_by_people_who_say_by_how_much(
    tmp_path: Path, won: str | None
) -> None:
    short = {"0.00": 100, "0.40": 60, None: 100}[won]

    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        if won is not None:
            await path.play(win("w1", won))
        for wrong in (0, short - 1, short + 1):
            with pytest.raises(ConflictError, match=f": {short} short"):
                await complete(path, "ann", short=wrong)
        await complete(path, "ann", short=short)
        with pytest.raises(ConflictError, match=f": {short} short"):
            await complete(path, "ben")
        await complete(path, "ben", short=short)
        assert [body["short"] for _, body in await events(path, "decision.made")] == [short]
        assert path.balance() == OPENING - short

    told(tmp_path, story)


def test_a_tip_is_no_stake_and_nobody_is_short_of_it(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await path.play(TIP)
        await path.play(win("w1", "1.00"))
        assert (await complete(path, "ann", "ben")).row.state is RoundState.CLOSED

    told(tmp_path, story)


def test_a_round_whose_later_wins_would_be_refused_is_not_completed(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await path.play(win("w1", "1.00"))
        path.reconfigure(win_on_closed_round=False)
        with pytest.raises(ConflictError, match="would be refused"):
            await complete(path, "ann")
        path.reconfigure(win_on_closed_round=True)
        known = path.connections.known
        path.connections.known = evolve(known, id="another-one")
        with pytest.raises(ConflictError, match="the connection has to work"):
            await complete(path, "ann")
        path.connections.known = known
        assert (await complete(path, "ann", "ben")).row.state is RoundState.CLOSED

    told(tmp_path, story)


def test_a_round_that_has_ended_or_never_was_is_not_decided_about(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        await path.play(bet("b1"))
        await path.play(win("w1", "1.00"), closes_round=True)
        for end in (void, complete):
            with pytest.raises(ConflictError, match="has ended"):
                await end(path, "ann")
        rounds = path.deliveries.rounds
        with pytest.raises(NotFoundError):
            await rounds.standing(OPERATOR, "no-such-round")
        with pytest.raises(NotFoundError):
            await rounds.void(OPERATOR, "no-such-round", who="ann", why="lost")
        row = await the_round(path)
        with pytest.raises(NotFoundError):
            await rounds.void("another-operator", row.round, who="ann", why="lost")

    told(tmp_path, story)


def test_a_round_that_the_hub_ends_by_itself_is_voided_once(tmp_path: Path) -> None:
    async def story(path: MoneyPath) -> None:
        path.reconfigure(round_end=RoundEnd.SETTLED, bet_on_closed_round=True)
        await path.play(bet("b1"))
        await void(path, "ann", "ben")
        await path.drain()
        assert len(await events(path, "round.closed")) == 1
        await path.play(bet("b2"))
        await path.play(win("w2", "3.00", of="b2"))
        assert path.balance() == OPENING + 200
        assert len(await events(path, "round.reopened", "round.closed")) == 3

    told(tmp_path, story)
