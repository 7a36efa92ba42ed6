"""Row 38: two people end a round that never goes on. Whoever dies or asks again meanwhile, money moves once."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest

from croupier.contract import Applied, AppliedEffect, Declined, DeclineReason
from croupier.contract.errors import ConflictError
from croupier.ledger.port import Page
from croupier.ledger.records import MovementState, RoundRow, RoundState
from croupier_conformance.money_path import OPERATOR, bet, rollback, win
from croupier_conformance.network import Fault, Faults

SAID: Final = {"why": "the provider has lost it"}


async def the_round(hub: Any) -> RoundRow:
    (row,) = await hub.ledger.rounds(OPERATOR, None, Page())
    assert isinstance(row, RoundRow)
    return row


async def decisions(hub: Any) -> list[str]:
    """What was told of the round and of decisions, in order."""
    events = [stored.event for stored in await hub.ledger.events_after(OPERATOR, 0, 100_000)]
    return [event.kind for event in events if event.kind.partition(".")[0] in {"round", "decision"}]


async def void(hub: Any, who: str, process: Any = None) -> Any:
    row = await the_round(hub)
    return await (process or hub.process).deliveries.rounds.void(OPERATOR, row.round, who=who, **SAID)


async def complete(hub: Any, who: str, short: int = 0) -> Any:
    row = await the_round(hub)
    return await hub.process.deliveries.rounds.complete(OPERATOR, row.round, who=who, short=short, **SAID)


def test_what_two_people_void_is_given_back_once_and_a_later_rollback_of_it_is_a_repeat(tell_both: Any) -> None:
    async def story(hub: Any) -> None:
        await hub.process.play(bet("b1", "1.00"))
        await hub.process.play(bet("b2", "2.50"))
        proposed = await void(hub, "ann")
        assert (proposed.row.state, proposed.staked, proposed.proposal.who) == (RoundState.OPEN, 350, "ann")
        assert hub.balance() == -350
        done = await void(hub, "ben")
        assert (done.row.state, done.row.bets, done.proposal) == (RoundState.CLOSED, 0, None)
        await hub.drain()
        assert hub.balance() == 0
        with pytest.raises(ConflictError, match="has ended"):
            await void(hub, "ben")
        late = await hub.process.play(rollback("x1", "b1"))
        assert isinstance(late.outcome, Applied)
        again = await hub.process.play(rollback("x1", "b1"))
        assert isinstance(again.outcome, Applied)
        assert again.outcome.effect is AppliedEffect.REPEATED
        refused = await hub.process.play(win("w1", "9.00"))
        assert isinstance(refused.outcome, Declined)
        assert refused.outcome.reason is DeclineReason.ALREADY_ROLLED_BACK
        assert hub.asked("rollback") == 2
        assert hub.balance() == 0
        assert await decisions(hub) == ["decision.proposed", "decision.made", "round.voided", "round.closed"]
        await hub.check()

    tell_both(story)


def test_what_two_people_complete_ends_as_it_stands_and_a_later_win_of_it_is_paid(tell_both: Any) -> None:
    async def story(hub: Any) -> None:
        await hub.process.play(bet("b1", "1.00"))
        await hub.process.play(win("w1", "3.00"))
        assert (await complete(hub, "ann")).row.state is RoundState.OPEN
        assert (await complete(hub, "ben")).row.state is RoundState.CLOSED
        with pytest.raises(ConflictError, match="has ended"):
            await complete(hub, "ben")
        assert hub.balance() == 200
        assert isinstance((await hub.process.play(win("w2", "5.00"))).outcome, Applied)
        await hub.drain()
        assert hub.balance() == 700
        assert await decisions(hub) == ["decision.proposed", "decision.made", "round.completed", "round.closed"]
        await hub.check()

    tell_both(story)


def test_of_many_who_confirm_at_once_one_does_it(tell_both: Any) -> None:
    async def story(hub: Any) -> None:
        await hub.process.play(bet("b1", "1.00"))
        await void(hub, "ann")
        results = await asyncio.gather(*(void(hub, f"ben {n}") for n in range(6)), return_exceptions=True)
        done = [each for each in results if not isinstance(each, BaseException)]
        assert len(done) == 1
        assert all(isinstance(each, ConflictError) for each in results if isinstance(each, BaseException))
        await hub.drain()
        assert (hub.balance(), hub.asked("rollback")) == (0, 1)
        assert (await decisions(hub)).count("round.voided") == 1
        await hub.check()

    tell_both(story)


@pytest.mark.parametrize("first", [True, False])
def test_whoever_comes_first_of_a_confirmation_and_what_the_provider_does_money_moves_once(
    tell_both: Any, first: bool
) -> None:
    async def story(hub: Any) -> None:
        await hub.process.play(bet("b1", "1.00"))
        await void(hub, "ann")
        plays = (win("w1", "4.00"), rollback("x1", "b1"), bet("b2", "2.00"))
        work = [asyncio.ensure_future(void(hub, "ben"))] if first else []
        work += [asyncio.ensure_future(hub.process.play(each)) for each in plays]
        work += [] if first else [asyncio.ensure_future(void(hub, "ben"))]
        results = await asyncio.gather(*work, return_exceptions=True)
        confirmed = results[0 if first else -1]
        await hub.drain()
        for each in plays:
            await hub.ask_until_definite(each)
        await hub.drain()
        states = {(row.kind, row.state) for row in await hub.rows()}
        if isinstance(confirmed, BaseException):
            assert isinstance(confirmed, ConflictError)
            assert "round.voided" not in await decisions(hub)
        else:
            assert ("bet", MovementState.APPLIED) not in states
            assert ("win", MovementState.APPLIED) not in states
            assert (hub.balance(), hub.asked("rollback")) == (0, 1)
        assert (await the_round(hub)).version > 1
        await hub.check()

    tell_both(story)


@pytest.mark.parametrize("decision", ["void", "complete"])
def test_wherever_the_process_dies_under_a_confirmation_the_round_is_ended_once_or_not_yet(
    tell_both: Any, decision: str
) -> None:
    async def end(hub: Any, process: Any, name: str, who: str) -> Any:
        row = next(row for row in await hub.ledger.rounds(OPERATOR, None, Page()) if row.provider_round == name)
        rounds, short = process.deliveries.rounds, {} if decision == "void" else {"short": 350}
        await getattr(rounds, decision)(OPERATOR, row.round, who=who, **SAID, **short)

    async def state(hub: Any, name: str) -> tuple[RoundState, set[MovementState]]:
        row = next(row for row in await hub.ledger.rounds(OPERATOR, None, Page()) if row.provider_round == name)
        return row.state, {each.state for each in await hub.rows() if each.round == row.round}

    async def dies(hub: Any, after: int) -> bool:
        """One round, whose confirmation and deliveries a process dies under; false if it had all its effects."""
        name, begun = f"r{after}", hub.balance()
        await hub.process.play(bet(f"b1-{after}", "1.00"), round=name)
        await hub.process.play(bet(f"b2-{after}", "2.50"), round=name)
        await end(hub, hub.process, name, "ann")
        process = await hub.dying(after)
        work = asyncio.ensure_future(end(hub, process, name, "ben"))
        await process.life.unless_over(work)
        await process.deliver()
        dead = process.life.is_over
        work.cancel()
        await hub.start()
        left, movements = await state(hub, name)
        if left is RoundState.OPEN:
            assert movements == {MovementState.APPLIED}
            await end(hub, hub.process, name, "ben")
        else:
            with pytest.raises(ConflictError):
                await end(hub, hub.process, name, "ben")
        hub.pass_time(31)
        await hub.drain()
        voided = decision == "void"
        settled = MovementState.REVERSED if voided else MovementState.APPLIED
        assert await state(hub, name) == (RoundState.CLOSED, {settled})
        assert hub.balance() - begun == (0 if voided else -350)
        assert (await decisions(hub)).count("decision.made") == after + 1
        await hub.check()
        return bool(dead)

    async def story(hub: Any) -> None:
        after = 0
        while await dies(hub, after):
            after += 1
        assert after >= 3

    tell_both(story)


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_REQUEST, Fault.LATE_REPLY, Fault.LATE_DELIVERY])
def test_a_stake_whose_giving_back_is_not_answered_is_given_back_once(tell: Any, fault: Fault) -> None:
    async def story(hub: Any) -> None:
        await hub.process.play(bet("b1", "1.00"))
        await void(hub, "ann")
        await void(hub, "ben")
        hub.path.network.faults = Faults(share={fault: 1.0})
        await hub.process.deliver()
        waiting = await hub.process.play(rollback("x1", "b1"))
        assert not isinstance(waiting.outcome, Declined)
        hub.path.network.quiet = True
        hub.pass_time(3_600)
        await hub.drain()
        await hub.path.network.settle()
        assert isinstance((await hub.ask_until_definite(rollback("x1", "b1"))).outcome, Applied)
        assert hub.balance() == 0
        await hub.check()

    tell(story)
