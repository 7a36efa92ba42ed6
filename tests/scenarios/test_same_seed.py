"""The same seed leaves the same ledger: everything that happens follows from the seed and the calls."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from attrs import evolve

from croupier.contract import MovementKind, PeerMove, PeerPlay, PeerPlayer, Verdict


def _play(seat: PeerPlayer, number: int, kind: MovementKind, dice: Random) -> PeerPlay:
    name = f"round-{number}-{kind.value}"
    target = f"round-{number}-bet" if kind is MovementKind.ROLLBACK else None
    move = PeerMove(kind=kind, id=name, amount=Decimal(dice.randint(1, 500)) / 100, target=target)
    return PeerPlay(player=seat, round=f"round-{number}", moves=(move,))


def _ledger_after_trouble(stage: Any, seed: int, *, killed: bool) -> str:
    async def evening(scene: Any, name: str, player: str) -> None:
        seat, dice = await scene.hub.launch(name, player), Random(f"{seed}/{name}/{player}")
        for number in range(4):
            for kind in dice.choice(
                [
                    (MovementKind.BET, MovementKind.WIN),
                    (MovementKind.BET, MovementKind.ROLLBACK),
                    (MovementKind.BET, MovementKind.BET, MovementKind.WIN, MovementKind.WIN),
                ]
            ):
                action = _play(seat, number, kind, dice)
                for _ in range(4):
                    if (await scene.hub.ask(name, action)).verdict is not Verdict.RETRY:
                        break
                    action = evolve(action, resend=True)
                    await scene.hub.clock.sleep(dice.uniform(0.5, 2.0))

    async def story(scene: Any) -> Any:
        scene.hub.trouble(wallet=0.4)
        evenings = asyncio.gather(
            *(evening(scene, name, player) for name in scene.hub.providers for player in (stage.player, stage.other))
        )
        await scene.hub.clock.sleep(1)
        scene.hub.trouble(wallet=0.4, providers=0.4)
        await scene.hub.clock.sleep(2)
        if killed:
            await scene.hub.kill()
        await evenings
        await scene.hub.drain()
        assert scene.hub.wallet_network.struck.total() > 5
        assert scene.hub.provider_network.struck.total() > 5
        return scene.hub.dump()

    dump: str = stage.play(story, seed=seed)
    return dump


@pytest.mark.parametrize("killed", [False, True])
def test_a_story_of_both_providers_in_trouble_leaves_the_same_ledger_twice(stage: Any, killed: bool) -> None:
    first = _ledger_after_trouble(stage, 1, killed=killed)
    assert first.count("'reversed'") + first.count("'applied'") > 20
    assert _ledger_after_trouble(stage, 1, killed=killed) == first
    assert _ledger_after_trouble(stage, 2, killed=killed) != first
