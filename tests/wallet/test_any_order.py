"""Any order, duplication and loss of messages leaves the player with what the provider holds as acknowledged.

The provider keeps its own book by its own rules: a movement stands if it was answered as done and was not rolled back.
After everything is drained, the wallet's balance must say the same.
"""

import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from attrs import define, field
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from croupier.contract import (
    Applied,
    LateOriginal,
    Movement,
    MovementKind,
    OnSilence,
    Outcome,
    Policy,
    RollbackAfterWin,
    TransportError,
    Unknown,
    WalletCapability,
    WalletPolicy,
    WinWithoutBet,
)
from croupier_conformance.model_wallet import ModelWallet
from croupier_conformance.money_path import MoneyPath, bet, rollback, win
from croupier_conformance.network import Faults
from croupier_conformance.virtual_time import simulate

STAKES = {"b1": 100, "b2": 250}
PAYOUTS = {"w1": 300, "w2": 70}
MESSAGES = ("b1", "b2", "w1", "w2", "undo b1", "undo b1 again", "undo b2", "undo w1", "close")

policies = st.builds(
    Policy,
    on_silence=st.sampled_from([OnSilence.CANCELS, OnSilence.RESENDS]),
    late_original=st.sampled_from(LateOriginal),
    rollback_after_win=st.sampled_from(RollbackAfterWin),
    rollback_of_win=st.booleans(),
    win_without_bet=st.sampled_from(WinWithoutBet),
)
wallets = st.fixed_dictionaries(
    {"tombstones": st.booleans(), "by_rollback_id_alone": st.booleans(), "status": st.booleans()}
)
stories = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=6)


@define
class Provider:
    """Sends messages over a bad network, again and again where its rules say so, and keeps its book."""

    path: MoneyPath
    random: Random
    done: set[str] = field(factory=set)
    undone: set[str] = field(factory=set)
    sent: set[str] = field(factory=set)

    async def tell(self, message: str) -> None:
        """Send one message until the provider knows what became of it, or gives up on a bet and cancels it."""
        tries = 0
        while True:
            tries += 1
            outcome = await self._send(message)
            if outcome is not None and not isinstance(outcome, Unknown):
                self._book(message, outcome)
                return
            silence = self.path.connection.policies.default.on_silence
            if message in STAKES and silence is OnSilence.CANCELS and message not in self.done:
                await self.tell(f"undo {message}")
                return
            if self.path.network.quiet and tries > 40:
                return
            await self.path.clock.sleep(self.random.uniform(0.5, 3.0))

    async def _send(self, message: str) -> Outcome | None:
        """One message; `None` if there is no answer."""
        self.sent.add(message)

        async def deliver():  # type: ignore[no-untyped-def] # carried by the network as if it were a response
            return await self.path.play(*_movements(message), closes_round=message == "close")

        try:
            result = await self.path.network.carry(deliver, 5.0)
        except TransportError:
            return None
        return result.outcome  # type: ignore[attr-defined] # see above

    def _book(self, message: str, outcome: Outcome) -> None:
        if not isinstance(outcome, Applied):
            return
        if message.startswith("undo "):
            self.undone.add(message.split()[1])
        else:
            self.done.add(message)

    def balance(self) -> int:
        """What the player holds by this book."""
        standing = self.done - self.undone
        return (
            10_000
            - sum(STAKES[name] for name in standing & STAKES.keys())
            + sum(PAYOUTS[name] for name in standing & PAYOUTS.keys())
        )


def _movements(message: str) -> tuple[Movement, ...]:
    if message in STAKES:
        return (bet(message, f"{STAKES[message] / 100:.2f}"),)
    if message in PAYOUTS:
        return (win(message, f"{PAYOUTS[message] / 100:.2f}"),)
    if message == "close":
        return (win("closing", "0.00"),)
    _, target, *rest = message.split()
    return (rollback("/".join([target, *rest]), target),)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    story=stories,
    policy=policies,
    wallet=wallets,
    chaos=st.sampled_from([0.0, 0.3, 0.7]),
    seed=st.integers(0, 2**16),
    together=st.booleans(),
)
def test_after_draining_the_balance_is_what_the_provider_holds(
    story: list[str], policy: Policy, wallet: dict[str, bool], chaos: float, seed: int, together: bool
) -> None:
    async def run(folder: str) -> None:
        book = ModelWallet(tombstones=wallet["tombstones"], by_rollback_id_alone=wallet["by_rollback_id_alone"])
        without = frozenset() if wallet["status"] else frozenset({WalletCapability.TRANSACTION_STATUS})
        async with MoneyPath.open(
            Path(folder) / "l.db",
            policy=policy,
            wallet=book,
            wallet_policy=WalletPolicy(retry_safe=True, tombstones=wallet["tombstones"], timeout_ms=2_000),
            without=without,
            faults=Faults.evenly(chaos),
            seed=seed,
        ) as path:
            random = Random(seed)
            provider = Provider(path, random)
            worker = asyncio.ensure_future(path.deliveries.run())
            if together:
                telling = [asyncio.ensure_future(provider.tell(message)) for message in story]
            else:
                telling = [asyncio.ensure_future(_in_turn(provider, story))]
            await path.clock.sleep(20)
            path.network.quiet = True
            await asyncio.gather(*telling)
            worker.cancel()
            await path.network.settle()
            await path.drain()
            for fault in path.network.struck:
                event(fault.value)
            assert await path.deliveries.owed() == 0
            assert path.balance() == provider.balance(), (provider.done, provider.undone)

    with TemporaryDirectory() as folder:
        simulate(run(folder))


async def _in_turn(provider: Provider, story: list[str]) -> None:
    for message in story:
        await provider.tell(message)


def test_the_kinds_of_the_story_are_those_of_the_contract() -> None:
    kinds = {_movements(message)[0].kind for message in MESSAGES}
    assert kinds == {MovementKind.BET, MovementKind.WIN, MovementKind.ROLLBACK}
