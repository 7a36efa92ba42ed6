"""Rows 4 to 7: a process dies before and after every effect of a bet, a win and a rollback; also two in a row.

An effect is a reading or writing of the ledger, or a call to the wallet with its answer. To die after one is to die
before the next; to die after the last is to die before the provider is answered.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest
from attrs import frozen

from croupier.contract import (
    Applied,
    Declined,
    DeclineReason,
    Movement,
    MovementKind,
    OnSilence,
    RollbackAfterWin,
    WalletPolicy,
)
from croupier.ledger.records import MovementState
from croupier_conformance.money_path import bet, rollback, win

SAFE: Final = WalletPolicy(retry_safe=True, tombstones=True, timeout_ms=2_000)
UNSAFE: Final = WalletPolicy(retry_safe=False, tombstones=True, timeout_ms=2_000, late_window_ms=30_000)

each_kind = pytest.mark.parametrize("kind", ["bet", "win", "rollback", "bet and win"])
each_wallet = pytest.mark.parametrize("wallet", [SAFE, UNSAFE], ids=["safe", "unsafe"])


@frozen
class Message:
    """What is asked for when the process dies.

    Attributes:
        before: A bet that is done before.
        movements: What is asked for.
        change: What the player has of the whole in the end, in minor units, if it stands.
    """

    round: str
    before: Movement | None
    movements: tuple[Movement, ...]
    change: int

    @property
    def staked(self) -> bool:
        """Whether there is a bet in it."""
        return any(item.kind is MovementKind.BET for item in self.movements)

    @property
    def undoing(self) -> list[Movement]:
        """What takes all of it back, the last first."""
        names = [item.keys[0].value for item in reversed(self.movements)]
        return [rollback(f"undo {name}", name) for name in names]


def message(kind: str, n: object) -> Message:
    known, new, paid = f"known {n}", f"new {n}", f"paid {n}"
    match kind:
        case "bet":
            return Message(f"r{n}", None, (bet(new, "2.00"),), -200)
        case "win":
            return Message(f"r{n}", bet(known, "1.00"), (win(paid, "3.00"),), 200)
        case "rollback":
            return Message(f"r{n}", bet(known, "1.00"), (rollback(f"undo {n}", known),), 0)
        case _:
            return Message(f"r{n}", None, (bet(new, "2.00"), win(paid, "5.00")), 300)


async def begin(hub: Any, kind: str, n: object) -> Message:
    """The state of things before the message that the process dies of."""
    asked = message(kind, n)
    if asked.before is not None:
        assert isinstance((await hub.process.play(asked.before, round=asked.round)).outcome, Applied)
    return asked


async def effects_of(hub: Any, kind: str) -> int:
    """How many effects an undisturbed message has."""
    asked = await begin(hub, kind, "undisturbed")
    process = await hub.start()
    before = process.life.steps
    assert isinstance((await process.play(*asked.movements, round=asked.round)).outcome, Applied)
    return int(process.life.steps - before)


async def stage_of(hub: Any, asked: Message, effect_before: int) -> str:
    """How far the message came: nothing durable, durable, at the wallet, or stored too."""
    references = {item.keys[0].value for item in asked.movements}
    rows = [row for row in await hub.rows() if row.reference in references]
    if not rows:
        assert len(hub.wallet.calls) == effect_before
        return "nothing"
    settled = all(row.state in {MovementState.APPLIED, MovementState.REVERSED} for row in rows)
    moved = sum("moves" in call for call in hub.wallet.calls[effect_before:])
    return "stored" if settled else "at the wallet" if moved else "durable"


async def provider_goes_on(hub: Any, asked: Message, silence: OnSilence, expected: int) -> int:
    """What a provider without an answer does until it has one; returns what the player has by its book then."""
    if silence is OnSilence.CANCELS and asked.staked:
        for undo in asked.undoing:
            assert isinstance((await hub.ask_until_definite(undo, round=asked.round)).outcome, Applied)
        late = (await hub.ask_until_definite(*asked.movements, round=asked.round)).outcome
        assert isinstance(late, Declined)
        return expected
    outcome = (await hub.ask_until_definite(*asked.movements, round=asked.round)).outcome
    if isinstance(outcome, Declined):
        # A bet of which nobody can know whether it arrived, at a wallet that must not be asked twice.
        assert asked.staked
        assert outcome.reason is DeclineReason.CANCELLED
        assert hub.path.connection.operator.policy is UNSAFE
        return expected
    return expected + asked.change


def _die_at_every_effect(tell: Any, kind: str, silence: OnSilence) -> None:
    stages: set[str] = set()

    async def story(hub: Any) -> None:
        hub.path.reconfigure(on_silence=silence, rollback_after_win=RollbackAfterWin.ALLOW, rollback_of_win=True)
        effects = await effects_of(hub, kind)
        assert effects >= 4
        expected = hub.balance()
        for last in range(effects + 1):
            await hub.start()
            asked = await begin(hub, kind, last)
            called = len(hub.wallet.calls)
            dying = await hub.dying(last)
            assert await dying.play(*asked.movements, round=asked.round) is None
            stages.add(await stage_of(hub, asked, called))
            await hub.start()
            hub.pass_time(31)
            await (hub.drain() if hub.is_real else hub.process.deliver())
            expected = await provider_goes_on(hub, asked, silence, expected)
            await hub.drain()
            assert hub.balance() == expected, last
        await hub.check()

    tell(story, wallet_policy=SAFE)
    assert stages == {"nothing", "durable", "at the wallet", "stored"}


@each_kind
@pytest.mark.parametrize("silence", [OnSilence.RESENDS, OnSilence.CANCELS])
def test_a_process_that_dies_at_any_effect_loses_and_doubles_nothing(tell: Any, kind: str, silence: OnSilence) -> None:
    _die_at_every_effect(tell, kind, silence)


@each_kind
@pytest.mark.parametrize("tell_both", ["postgres"], indirect=True)
def test_a_process_that_dies_at_any_effect_loses_and_doubles_nothing_in_postgresql(tell_both: Any, kind: str) -> None:
    _die_at_every_effect(tell_both, kind, OnSilence.RESENDS)


async def _recover_and_die(hub: Any, asked: Message, effects: int) -> bool:
    """A second process recovers what the first left and hears the provider again; whether it died of it too."""
    dying = await hub.dying(effects)
    hub.pass_time(31)
    await hub.drain()
    if not dying.life.is_over:
        await dying.play(*asked.movements, round=asked.round)
    return bool(dying.life.is_over)


@pytest.mark.parametrize(
    ("kind", "silence", "wallet"),
    [("bet", OnSilence.CANCELS, UNSAFE), ("win", OnSilence.RESENDS, SAFE), ("rollback", OnSilence.CANCELS, SAFE)],
)
def test_two_processes_that_die_one_after_the_other_at_any_two_effects_lose_and_double_nothing(
    tell: Any, kind: str, silence: OnSilence, wallet: WalletPolicy
) -> None:
    pairs = 0

    async def story(hub: Any) -> None:
        nonlocal pairs
        hub.path.reconfigure(on_silence=silence, rollback_after_win=RollbackAfterWin.ALLOW, rollback_of_win=True)
        effects = await effects_of(hub, kind)
        expected = hub.balance()
        for first in range(2, effects + 1):
            for second in range(60):
                await hub.start()
                asked = await begin(hub, kind, f"{first} and {second}")
                assert await (await hub.dying(first)).play(*asked.movements, round=asked.round) is None
                died_again = await _recover_and_die(hub, asked, second)
                await hub.start()
                hub.pass_time(31)
                expected = await provider_goes_on(hub, asked, silence, expected)
                await hub.drain()
                assert hub.balance() == expected, (first, second)
                if not died_again:
                    break
                pairs += 1
            else:
                raise AssertionError("the second process never comes to an end")
        await hub.check()

    tell(story, wallet_policy=wallet)
    assert pairs > 10


@each_wallet
def test_a_bet_that_is_still_on_its_way_when_its_process_dies_is_taken_back_wherever_it_is(
    tell: Any, wallet: WalletPolicy
) -> None:
    """The next process settles it at once; the bet arrives before, in the middle of that, and after it."""

    async def story(hub: Any) -> None:
        for seconds in (0.0, 0.005, 0.5, 5.0, 60.0):
            held: list[Any] = []
            sending = hub.path.channel._send

            async def late(request: Any, timeout_seconds: float, held: list[Any] = held) -> Any:
                held.append(request)
                await hub.clock.sleep(1e9)

            process = await hub.start(late)
            working = asyncio.ensure_future(process.play(bet(f"b{seconds}"), round=f"r{seconds}"))
            while not held:
                await hub.clock.sleep(0.001)
            process.life.kill()
            assert await working is None
            await hub.start()
            arriving = asyncio.ensure_future(_after(hub, seconds, sending, held[0]))
            hub.pass_time(31)
            await hub.drain()
            await arriving
            await hub.drain()
            assert (await hub.row(f"b{seconds}")).state is MovementState.REVERSED
            assert hub.balance() == 0
        await hub.check()

    tell(story, wallet_policy=wallet)


async def _after(hub: Any, seconds: float, sending: Any, request: Any) -> None:
    await hub.clock.sleep(seconds)
    await sending(request, 2.0)
