"""Rounds whose end the hub derives: wherever a process dies, a round of which nothing is open any more has ended.

No provider repeats anything here: what ends a round must be written with what settles it, or nobody would write it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest
from attrs import frozen

from croupier.contract import (
    Declined,
    DeclineReason,
    Movement,
    OnSilence,
    RollbackAfterWin,
    RoundEnd,
    WalletPolicy,
    WireAmount,
)
from croupier.ledger.port import MovementFilter, Page
from croupier.ledger.records import DeliveryState, MovementState, RoundState
from croupier_conformance.money_path import OPERATOR, bet, rollback, win
from croupier_conformance.network import Fault, Faults

SAFE: Final = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=200)
UNSAFE: Final = WalletPolicy(retry_safe=False, tombstones=True, timeout_ms=200, late_window_ms=5_000)
LOST: Final = Faults.always(Fault.LOST_REQUEST)
HEARD: Final = Faults()
PENNILESS: Final = "20000.00"
"""More than any player has."""


@frozen
class Owed:
    """How a round comes to wait for its last owed work.

    Attributes:
        before: What is done before, one play after the other.
        lost: What gets no answer from the wallet, as one play.
        silence: What the provider does when it hears nothing.
        wallet: What the wallet is.
        refuses: What the wallet says once it is heard again, if it refuses.
        ends: Whether the round ends when the work is done.
    """

    before: tuple[tuple[Movement, ...], ...]
    lost: tuple[Movement, ...]
    silence: OnSilence = OnSilence.RESENDS
    wallet: WalletPolicy = SAFE
    refuses: DeclineReason | None = None
    ends: bool = True


OWED: Final = {
    "win": Owed(((bet("b1"),),), (win("w1", "3.00", of="b1"),)),
    "win that is asked about": Owed(((bet("b1"),),), (win("w1", "3.00"),), wallet=UNSAFE),
    "bet taken back": Owed((), (bet("b1"),), OnSilence.NEITHER),
    "bet beside a paid one": Owed(((bet("b0"), win("w0")),), (bet("b1"),), OnSilence.CANCELS),
    "bet refused at last": Owed((), (bet("b1", PENNILESS),)),
    "rollback": Owed(((bet("b1"),),), (rollback("x1", "b1"),)),
    "bet and win": Owed((), (bet("b1"), win("w1", "5.00")), OnSilence.NEITHER),
    "rollback of one of two": Owed(((bet("b1"),), (bet("b2"),)), (rollback("x1", "b1"),), ends=False),
}
each_kind = pytest.mark.parametrize("kind", OWED)


def derive(hub: Any, silence: OnSilence = OnSilence.RESENDS) -> None:
    hub.path.reconfigure(
        round_end=RoundEnd.SETTLED,
        bet_on_closed_round=True,
        on_silence=silence,
        rollback_after_win=RollbackAfterWin.ALLOW,
        rollback_of_win=True,
    )


def of_round(number: object, movements: tuple[Movement, ...]) -> tuple[Movement, ...]:
    """The same under ids of their own."""
    makers = {"bet": bet, "win": win}
    named = []
    for item in movements:
        id_ = f"{item.keys[0].value} {number}"
        of = f"{item.target.key.value} {number}" if item.target and item.target.key else None
        if item.kind.value == "rollback":
            named.append(rollback(id_, str(of)))
        else:
            assert isinstance(item.amount, WireAmount)
            rest: dict[str, Any] = {"of": of} if of else {}
            named.append(makers[item.kind.value](id_, str(item.amount.value), **rest))
    return tuple(named)


async def owe(hub: Any, what: Owed, number: object) -> str:
    """Bring a round of its own to where its last work is owed."""
    name = f"r{number}"
    hub.path.network.faults = HEARD
    for movements in what.before:
        await hub.process.play(*of_round(number, movements), round=name)
    hub.path.network.faults = LOST
    await hub.process.play(*of_round(number, what.lost), round=name)
    hub.path.network.faults = HEARD
    return name


async def state_of(hub: Any, name: str) -> RoundState | None:
    """Whether a round has ended; `None` if it was never begun."""
    rounds = await hub.ledger.rounds(OPERATOR, None, Page(limit=10_000))
    return next((row.state for row in rounds if row.provider_round == name), None)


async def is_open(hub: Any, name: str) -> bool:
    """Whether a bet of it stands that no win has paid."""
    rounds = await hub.ledger.rounds(OPERATOR, None, Page(limit=10_000))
    (its,) = [row.round for row in rounds if row.provider_round == name]
    rows = await hub.ledger.movements(OPERATOR, MovementFilter(round=its), Page(limit=100))
    standing = [row for row in rows if row.state is MovementState.APPLIED]
    paid = {row.target for row in standing if row.direction == "credit"}
    return any(row.direction == "debit" and row.movement not in paid for row in standing)


def _die_while_delivering(tell: Any, kind: str) -> None:
    what, died = OWED[kind], 0

    async def story(hub: Any) -> None:
        nonlocal died
        derive(hub, what.silence)
        for last in range(60):
            await hub.start()
            name = await owe(hub, what, last)
            assert await state_of(hub, name) is RoundState.OPEN
            hub.pass_time(31)
            dying = await hub.dying(last)
            await dying.deliver()
            await hub.start()
            await hub.drain()
            assert await state_of(hub, name) is (RoundState.CLOSED if what.ends else RoundState.OPEN), last
            if not dying.life.is_over:
                break
            died += 1
        else:
            raise AssertionError("the work never comes to an end")
        await hub.check()

    tell(story, wallet_policy=what.wallet)
    assert died >= 5


@each_kind
def test_a_round_ends_with_its_last_owed_work_wherever_the_process_dies_that_does_it(tell: Any, kind: str) -> None:
    _die_while_delivering(tell, kind)


@pytest.mark.parametrize("kind", ["win", "bet taken back", "rollback"])
@pytest.mark.parametrize("tell_both", ["postgres"], indirect=True)
def test_a_round_ends_with_its_last_owed_work_wherever_the_process_dies_in_postgresql(
    tell_both: Any, kind: str
) -> None:
    _die_while_delivering(tell_both, kind)


PLAYS: Final = {
    "bet": Owed((), (bet("b1"),)),
    "bet that is refused": Owed((), (bet("b1", PENNILESS),)),
    "bet that is refused beside a paid one": Owed(((bet("b0"), win("w0")),), (bet("b1", PENNILESS),)),
    "win": Owed(((bet("b1"),),), (win("w1", "3.00", of="b1"),)),
    "rollback": Owed(((bet("b1"),),), (rollback("x1", "b1"),)),
    "rollback of nothing": Owed((), (rollback("x1", "b1"),)),
    "bet and win": Owed((), (bet("b1"), win("w1", "5.00"))),
}


def _die_in_a_play(tell: Any, kind: str) -> None:
    what, died, ended = PLAYS[kind], 0, 0

    async def story(hub: Any) -> None:
        nonlocal died, ended
        derive(hub, OnSilence.NEITHER)
        for last in range(60):
            await hub.start()
            for movements in what.before:
                await hub.process.play(*of_round(last, movements), round=f"r{last}")
            dying = await hub.dying(last)
            await dying.play(*of_round(last, what.lost), round=f"r{last}")
            await hub.start()
            hub.pass_time(31)
            await hub.drain()
            state = await state_of(hub, f"r{last}")
            if state is not None:
                assert (state is RoundState.OPEN) == await is_open(hub, f"r{last}"), last
                ended += state is RoundState.CLOSED
            if not dying.life.is_over:
                break
            died += 1
        else:
            raise AssertionError("the play never comes to an end")
        await hub.check()

    tell(story, wallet_policy=SAFE)
    assert died >= 2
    assert ended >= 1


@pytest.mark.parametrize("kind", PLAYS)
def test_a_round_of_which_nothing_is_open_has_ended_wherever_the_process_of_a_play_dies(tell: Any, kind: str) -> None:
    _die_in_a_play(tell, kind)


@pytest.mark.parametrize("kind", ["bet that is refused", "win"])
@pytest.mark.parametrize("tell_both", ["postgres"], indirect=True)
def test_a_round_of_which_nothing_is_open_has_ended_wherever_the_process_of_a_play_dies_in_postgresql(
    tell_both: Any, kind: str
) -> None:
    _die_in_a_play(tell_both, kind)


@pytest.mark.parametrize("kind", ["win", "bet taken back"])
def test_a_round_ends_though_two_processes_die_one_after_the_other_at_any_two_effects(tell: Any, kind: str) -> None:
    what, pairs = OWED[kind], 0

    async def story(hub: Any) -> None:
        nonlocal pairs
        derive(hub, what.silence)
        for first in range(2, 7):
            for second in range(60):
                number = f"{first} and {second}"
                await hub.start()
                for movements in what.before:
                    await hub.process.play(*of_round(number, movements), round=f"r{number}")
                await (await hub.dying(first)).play(*of_round(number, what.lost), round=f"r{number}")
                hub.pass_time(31)
                dying = await hub.dying(second)
                await hub.drain()
                await hub.start()
                hub.pass_time(31)
                await hub.drain()
                state = await state_of(hub, f"r{number}")
                assert (state is RoundState.OPEN) == await is_open(hub, f"r{number}"), number
                if not dying.life.is_over:
                    break
                pairs += 1
        await hub.check()

    tell(story, wallet_policy=what.wallet)
    assert pairs > 10


@pytest.mark.parametrize("applied", [True, False], ids=["paid by hand", "not paid"])
def test_a_round_ends_with_a_persons_decision_wherever_the_process_dies_that_writes_it(
    tell: Any, applied: bool
) -> None:
    """What a person says takes effect whole or not at all; then it is still held, and is said again."""
    died = 0

    async def story(hub: Any) -> None:
        nonlocal died
        derive(hub)
        hub.wallet.refuse = DeclineReason.PLAYER_BLOCKED
        for last in range(60):
            await hub.start()
            name = await owe(hub, OWED["win"], last)
            hub.pass_time(31)
            await hub.drain()
            (held,) = await hub.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10)
            dying = await hub.dying(last)
            said = {"who": "anna", "why": "found by hand", "applied": applied, "version": held.version}
            deciding = asyncio.ensure_future(dying.deliveries.held.resolve(OPERATOR, held.delivery, **said))
            await dying.life.unless_over(deciding)
            await hub.start()
            if await hub.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10):
                assert await state_of(hub, name) is RoundState.OPEN
                await hub.process.deliveries.held.resolve(OPERATOR, held.delivery, **said)
            assert (await state_of(hub, name) is RoundState.CLOSED) is applied, last
            if not dying.life.is_over:
                break
            died += 1
        else:
            raise AssertionError("the decision never comes to an end")

    tell(story, wallet_policy=SAFE)
    assert died >= 4


def test_a_bet_that_the_hub_refuses_itself_leaves_no_round_open(tell: Any) -> None:
    """It is recorded, so that it stays refused, and its round with it."""

    async def story(hub: Any) -> None:
        derive(hub)
        hub.path.games.refusal = DeclineReason.GAME_DISABLED
        for last in range(4):
            await hub.start()
            dying = await hub.dying(last)
            refused = await dying.play(bet(f"b{last}"), round=f"r{last}")
            assert refused is None or isinstance(refused.outcome, Declined)
            assert await state_of(hub, f"r{last}") in {None, RoundState.CLOSED}
        assert await state_of(hub, "r3") is RoundState.CLOSED

    tell(story, wallet_policy=SAFE)
