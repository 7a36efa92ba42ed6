"""Any order, duplication and loss on both hops, and a hub that dies in the middle: the books agree afterwards.

The provider keeps its book by its own protocol's answers: what was answered as done stands, unless its rollback was
answered as done. Nobody asks the hub what it holds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from croupier.contract import (
    MovementKind,
    OnSilence,
    Peer,
    PeerAction,
    PeerAnswer,
    PeerPlay,
    PeerPlayer,
    RollbackAfterWin,
    Verdict,
)
from croupier_conformance.simulated_hub import OPERATOR, SimulatedHub
from croupier_conformance.strategies import seated, stories, undoing

PATIENCE = 60
"""How often a provider asks again after the networks became good; a win without its bet is never accepted."""


@define(eq=False)
class Provider:
    """Sends actions as its protocol's provider does, and keeps its book."""

    name: str
    hub: SimulatedHub
    seat: PeerPlayer
    dice: Random
    done: dict[str, Decimal] = field(factory=dict)
    undone: set[str] = field(factory=set)
    told: list[str] = field(factory=list)
    _settling: dict[str, asyncio.Lock] = field(factory=dict)

    @property
    def peer(self) -> Peer:
        return self.hub.providers[self.name].peer

    async def tell(self, action: PeerAction) -> None:
        """Ask for something.

        Where a paid bet can no longer be undone, a provider pays a round only when it knows what became of its bets.
        """
        if isinstance(action, PeerPlay) and self._pays_once_bets_are_known and not _undoes(action):
            async with self._settling.setdefault(action.round, asyncio.Lock()):
                await self._until_definite(action)
        else:
            await self._until_definite(action)

    @property
    def _pays_once_bets_are_known(self) -> bool:
        live = self.hub.process.configuration.directory.connection_by_name(OPERATOR, self.name)
        return live is not None and live.connection.policies.default.rollback_after_win is RollbackAfterWin.REFUSE

    async def _until_definite(self, action: PeerAction) -> None:
        """Send until there is a definite answer; a bet without one is taken back, where that is the rule."""
        action, left, pause = seated(action, self.seat), PATIENCE, 0.5
        while True:
            answer = await self.hub.ask(self.name, action)
            self.told.append(f"{_named(action)}: {answer.verdict.value} {answer.code}")
            if answer.verdict is not Verdict.RETRY:
                self._book(action, answer)
                return
            if _bets(action) and self.peer.bet_on_silence is OnSilence.CANCELS:
                assert isinstance(action, PeerPlay)
                await self._until_definite(undoing(self.peer, action))
                return
            if self.hub.provider_network.quiet:
                left -= 1
                if not left:
                    return
            await self.hub.clock.sleep(pause * self.dice.uniform(0.5, 1.0))
            pause = min(pause * 2, 4.0)
            action = evolve(action, resend=True) if isinstance(action, PeerPlay) else action

    def _book(self, action: PeerAction, answer: PeerAnswer) -> None:
        if answer.verdict is not Verdict.DONE or not isinstance(action, PeerPlay):
            return
        for move in action.moves:
            match move.kind:
                case MovementKind.ROLLBACK:
                    self.undone.add(move.target or "")
                case MovementKind.BET:
                    self.done[move.id] = -move.amount
                case _:
                    self.done[move.id] = move.amount

    def change(self) -> int:
        """What the player has won by this book, in minor units."""
        return int(sum(amount for move, amount in self.done.items() if move not in self.undone) * 100)


def _bets(action: PeerAction) -> bool:
    return isinstance(action, PeerPlay) and any(move.kind is MovementKind.BET for move in action.moves)


def _undoes(action: PeerPlay) -> bool:
    return any(move.kind is MovementKind.ROLLBACK for move in action.moves)


def _named(action: PeerAction) -> str:
    if not isinstance(action, PeerPlay):
        return type(action).__name__
    return "+".join(f"{move.kind.value} {move.target if move.kind is MovementKind.ROLLBACK else move.id}"
                    for move in action.moves)  # fmt: skip


async def _tell_all(providers: list[Provider], story: list[tuple[PeerAction, ...]], *, together: bool) -> None:
    async def in_turn(provider: Provider, actions: tuple[PeerAction, ...]) -> None:
        for action in actions:
            await provider.tell(action)

    async def at_once(provider: Provider, actions: tuple[PeerAction, ...]) -> None:
        await asyncio.gather(*(provider.tell(action) for action in actions))

    tell = at_once if together else in_turn
    await asyncio.gather(*(tell(provider, actions) for provider, actions in zip(providers, story, strict=True)))


async def _in_trouble(
    scene: Any,
    players: list[tuple[str, str, tuple[PeerAction, ...]]],
    *,
    chaos: float,
    together: bool,
    seed: int,
    deaths: tuple[int, ...] = (),
) -> list[Provider]:
    """Play in trouble, let everything drain, and hold the books together."""
    hub = scene.hub
    providers = []
    for name, player, _ in players:
        seat = await hub.launch(name, player)
        providers.append(Provider(name, hub, seat, Random(f"{seed}/{name}/{player}")))
    hub.trouble(wallet=chaos, providers=chaos)
    telling = asyncio.gather(_tell_all(providers, [story for _, _, story in players], together=together))
    for steps in deaths:
        hub.process.life.last = hub.process.life.steps + steps
        while not (hub.process.life.is_over or telling.done()):
            await hub.clock.sleep(0.05)
        event("the hub died at work" if hub.process.life.is_over else "the hub had nothing to die of")
        await hub.kill()
    await hub.clock.sleep(20)
    hub.calm()
    await telling
    await hub.drain()
    for network in (hub.wallet_network, hub.provider_network):
        for fault in network.struck:
            event(fault.value)
    assert await hub.process.deliveries.owed() == 0
    return providers


def _hold_together(scene: Any, players: list[tuple[str, str, Any]], providers: list[Provider], opening: int) -> None:
    expected: Counter[str] = Counter()
    for (_, player, _), provider in zip(players, providers, strict=True):
        expected[player] += provider.change()
        note(f"{provider.name}: {provider.told}")
    for player, change in expected.items():
        assert scene.money(player) == opening + change


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
@settings(max_examples=18, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), chaos=st.sampled_from([0.0, 0.3, 0.7]), seed=st.integers(0, 2**16), together=st.booleans())
def test_after_draining_the_operator_holds_what_the_provider_holds(
    stage: Any, name: str, *, data: st.DataObject, chaos: float, seed: int, together: bool
) -> None:
    provider = stage.provider(name)
    players = [(name, stage.player, data.draw(stories(provider.peer)))]

    async def story(scene: Any) -> None:
        told = await _in_trouble(scene, players, chaos=chaos, together=together, seed=seed)
        _hold_together(scene, players, told, stage.opening)

    stage.play(story, provider, seed=seed)


@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
@settings(max_examples=18, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    chaos=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 2**16),
    together=st.booleans(),
    deaths=st.lists(st.integers(1, 40), min_size=1, max_size=2),
)
def test_a_hub_that_dies_between_any_two_effects_loses_and_doubles_nothing(
    stage: Any, name: str, *, data: st.DataObject, chaos: float, seed: int, together: bool, deaths: list[int]
) -> None:
    provider = stage.provider(name)
    players = [(name, stage.player, data.draw(stories(provider.peer, most=5)))]

    async def story(scene: Any) -> None:
        told = await _in_trouble(scene, players, chaos=chaos, together=together, seed=seed, deaths=tuple(deaths))
        _hold_together(scene, players, told, stage.opening)

    stage.play(story, provider, seed=seed)


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), chaos=st.sampled_from([0.3, 0.7]), seed=st.integers(0, 2**16))
def test_one_purse_that_two_providers_play_from_holds_what_both_hold(
    stage: Any, data: st.DataObject, chaos: float, seed: int
) -> None:
    providers = stage.softswiss(), stage.pragmatic()
    players = [
        (known.name, player, data.draw(stories(known.peer, most=4, mark=mark)))
        for known in providers
        for player, mark in ((stage.player, "one-"), (stage.other, "two-"))
    ]

    async def story(scene: Any) -> None:
        told = await _in_trouble(scene, players, chaos=chaos, together=True, seed=seed)
        _hold_together(scene, players, told, stage.opening)

    stage.play(story, *providers, seed=seed)
