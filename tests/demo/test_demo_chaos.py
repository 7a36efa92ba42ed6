"""The bad network does to messages what it says, and counts only what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from croupier_conformance.chaos import SHARES, Chaos, Fault

TIMEOUT = 0.05


class Receiver:
    """Counts what arrives, and when."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.is_down = False

    def deliver(self, name: str) -> Callable[[], asyncio.Future[str | None]]:
        async def work() -> str | None:
            if self.is_down:
                return None
            self.arrived.append(name)
            await asyncio.sleep(0)
            return f"answer to {name}"

        return lambda: asyncio.ensure_future(work())


def network(*faults: Fault) -> Chaos:
    """A network whose messages all meet these faults."""
    return Chaos("test", timeout_seconds=TIMEOUT, shares=dict.fromkeys(faults, 1000 // max(len(faults), 1)))


async def sent(chaos: Chaos, receiver: Receiver, name: str) -> str | None:
    """As a caller sends: it gives up after its time-out."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return await chaos.carry(receiver.deliver(name))
    except TimeoutError:
        return None


async def test_without_faults_a_message_arrives_once_and_is_answered() -> None:
    chaos, receiver = Chaos("test", timeout_seconds=TIMEOUT, shares={}), Receiver()
    assert await sent(chaos, receiver, "a") == "answer to a"
    assert receiver.arrived == ["a"]
    assert not chaos.struck


async def test_a_duplicated_message_arrives_twice_and_is_answered() -> None:
    chaos, receiver = network(Fault.DUPLICATED), Receiver()
    assert await sent(chaos, receiver, "a") == "answer to a"
    await chaos.settle()
    assert receiver.arrived == ["a", "a"]
    assert chaos.struck == {Fault.DUPLICATED: 1}


async def test_a_dropped_request_never_arrives() -> None:
    chaos, receiver = network(Fault.REQUEST_DROPPED), Receiver()
    assert await sent(chaos, receiver, "a") is None
    await chaos.settle()
    assert receiver.arrived == []


async def test_a_dropped_reply_leaves_the_request_delivered() -> None:
    chaos, receiver = network(Fault.REPLY_DROPPED), Receiver()
    assert await sent(chaos, receiver, "a") is None
    assert receiver.arrived == ["a"]


async def test_a_late_answer_comes_when_the_caller_has_given_up() -> None:
    chaos, receiver = network(Fault.ANSWERED_LATE), Receiver()
    assert await sent(chaos, receiver, "a") is None
    assert receiver.arrived == ["a"]
    await chaos.settle()
    assert chaos.struck == {Fault.ANSWERED_LATE: 1}


async def test_a_late_message_is_delivered_when_the_caller_has_given_up() -> None:
    chaos, receiver = network(Fault.DELIVERED_LATE), Receiver()
    assert await sent(chaos, receiver, "a") is None
    assert receiver.arrived == []
    assert chaos.on_its_way == 1
    await chaos.settle()
    assert receiver.arrived == ["a"]
    assert chaos.struck == {Fault.DELIVERED_LATE: 1}


async def test_a_reordered_message_arrives_after_a_later_one() -> None:
    chaos, receiver = Chaos("test", timeout_seconds=1, shares={Fault.REORDERED: 500}), Receiver()
    names = [str(number) for number in range(40)]
    await asyncio.gather(*[chaos.carry(receiver.deliver(name)) for name in names])
    assert sorted(receiver.arrived, key=int) == names
    assert receiver.arrived != names
    assert chaos.struck[Fault.REORDERED] > 0


async def test_a_held_message_that_nothing_overtakes_was_not_reordered() -> None:
    chaos, receiver = Chaos("test", timeout_seconds=1, shares={Fault.REORDERED: 1000}, hold_seconds=0.01), Receiver()
    assert await chaos.carry(receiver.deliver("a")) == "answer to a"
    assert not chaos.struck


async def test_a_fault_does_not_count_when_the_receiver_was_down() -> None:
    chaos, receiver = network(Fault.DUPLICATED, Fault.REPLY_DROPPED), Receiver()
    receiver.is_down = True
    for name in "abcd":
        assert await sent(chaos, receiver, name) is None
    await chaos.settle()
    assert not chaos.struck


async def test_a_quiet_network_behaves() -> None:
    chaos, receiver = network(Fault.REQUEST_DROPPED), Receiver()
    chaos.quiet = True
    assert await sent(chaos, receiver, "a") == "answer to a"


async def test_every_kind_comes_up_in_two_hundred_messages() -> None:
    chaos, receiver = Chaos("test", timeout_seconds=TIMEOUT, hold_seconds=10), Receiver()
    await asyncio.gather(*[chaos.carry(receiver.deliver(str(number))) for number in range(200)])
    await chaos.settle()
    assert set(chaos.struck) == set(Fault)
    assert chaos.struck[Fault.DUPLICATED] == 200 * SHARES[Fault.DUPLICATED] // 1000


async def test_the_same_seed_gives_the_same_faults() -> None:
    fates = []
    for _ in range(2):
        chaos, receiver = Chaos("test", timeout_seconds=TIMEOUT, hold_seconds=0.001), Receiver()
        fates.append([await sent(chaos, receiver, str(number)) is None for number in range(60)])
        await chaos.settle()
    assert fates[0] == fates[1]
    assert any(fates[0])


def test_more_faults_than_messages_are_refused() -> None:
    with pytest.raises(ValueError, match="more than a thousand"):
        Chaos("test", timeout_seconds=1, shares={Fault.DUPLICATED: 1001})
