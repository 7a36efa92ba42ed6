"""A process that slept in the middle of a call while another took its work over, and then goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from croupier.contract import Declined, OnSilence, TransportError, TransportProblem
from croupier.ledger.records import MovementState
from croupier_conformance.money_path import bet

Sending = Callable[[Any, float], Awaitable[Any]]
PAST_A_LEASE = 60


class Gate:
    """A way to the wallet on which one call stands still until it is let go."""

    def __init__(self, then: Sending) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._then = then

    async def send(self, request: Any, timeout_seconds: float) -> Any:
        self.reached.set()
        await self.opened.wait()
        return await self._then(request, timeout_seconds)


async def not_sent(request: Any, timeout_seconds: float) -> Any:
    raise TransportError("no route", problem=TransportProblem.NOT_SENT)


def test_what_a_zombie_did_not_send_is_not_declined_while_another_process_sends_it(tell: Any) -> None:
    """The zombie's bet never left. Another process has sent it, and is about to hear that it was taken."""

    async def story(hub: Any) -> None:
        hub.path.reconfigure(on_silence=OnSilence.RESENDS)
        sending = hub.path.channel._send

        async def hold_the_answer(request: Any, timeout_seconds: float) -> Any:
            answer = await sending(request, timeout_seconds)
            answered.set()
            await told.wait()
            return answer

        asleep, answered, told = Gate(not_sent), asyncio.Event(), asyncio.Event()
        zombie = await hub.start(asleep.send)
        late = asyncio.ensure_future(zombie.play(bet("b1")))
        await asleep.reached.wait()
        hub.pass_time(PAST_A_LEASE)
        other = await hub.start(hold_the_answer)
        delivering = asyncio.ensure_future(other.deliver())  # takes it over and sends it
        await answered.wait()
        assert (hub.balance(), (await hub.row("b1")).state) == (-100, MovementState.OWED)
        asleep.opened.set()
        result = await late
        assert not isinstance(result.outcome, Declined)
        told.set()
        await delivering
        await hub.drain()
        await hub.check()

    tell(story)


@pytest.mark.parametrize("on_silence", list(OnSilence))
@pytest.mark.parametrize("sends", [True, False])
def test_a_zombie_tells_its_provider_what_became_of_its_bet(tell: Any, on_silence: OnSilence, sends: bool) -> None:
    """Another process has brought the bet to its end, whichever it was; the zombie's own answer comes after that."""

    async def story(hub: Any) -> None:
        hub.path.reconfigure(on_silence=on_silence)
        asleep = Gate(hub.path.channel._send if sends else not_sent)
        zombie = await hub.start(asleep.send)
        late = asyncio.ensure_future(zombie.play(bet("b1")))
        await asleep.reached.wait()
        hub.pass_time(PAST_A_LEASE)
        await hub.start()
        await hub.drain()
        before = await hub.row("b1")
        assert before.state in {MovementState.APPLIED, MovementState.REVERSED}
        asleep.opened.set()
        result = await late
        assert result is not None
        assert (await hub.row("b1")).state is before.state
        await hub.check()

    tell(story)
