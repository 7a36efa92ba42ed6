"""Wallets that speak another protocol than the native one, in trouble: afterwards three books agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from croupier.contract import Credentials, Currency, HttpRequest, HttpResponse, WalletPeer
from croupier.ledger.records import MovementRow
from croupier_conformance.books import Account, Comparison, Entry, compare
from croupier_conformance.drivers import Habits, ProviderDriver, Seat
from croupier_conformance.simulated_hub import SimulatedHub, SimulatedOperator, SimulatedProvider
from croupier_conformance.virtual_time import simulate
from croupier_wallet_hub88.peer import Hub88WalletPeer
from croupier_wallet_hub88.settings import Hub88WalletSettings
from croupier_wallet_softswiss.peer import SoftswissWalletPeer
from croupier_wallet_softswiss.settings import AmountForm, SoftswissWalletSettings

PLAYERS = ("player-one", "player-two")
OPENING = 20_000
ROUNDS = 12
URL = "https://wallet.example"
_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
_FORM = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
PEM = _KEY.private_bytes(serialization.Encoding.PEM, *_FORM).decode()
POLICY = {"retry_safe": True, "tombstones": True, "timeout_ms": 2_000}


@frozen(kw_only=True)
class Variety:
    """A wallet and how the hub is configured to it."""

    peer: WalletPeer
    operator: SimulatedOperator

    @property
    def credentials(self) -> Credentials:
        return Credentials({name: (value,) for name, value in self.operator.secrets.items()})


def hub88() -> Variety:
    operator = SimulatedOperator(dialect="hub88", secrets={"private_key": PEM}, policy=POLICY)
    return Variety(peer=Hub88WalletPeer(Hub88WalletSettings(url=URL)), operator=operator)


def softswiss(*, zero_wins: bool = True) -> Variety:
    settings = SoftswissWalletSettings(url=URL, amounts=AmountForm.DECIMAL, zero_wins=zero_wins)
    wallet = {"url": URL, "amounts": "decimal", "zero_wins": zero_wins}
    operator = SimulatedOperator(dialect="softswiss", wallet=wallet, secrets={"auth_token": "test"}, policy=POLICY)
    return Variety(peer=SoftswissWalletPeer(settings), operator=operator)


VARIETIES: dict[str, Callable[[], Variety]] = {
    "hub88": hub88,
    "softswiss": softswiss,
    "softswiss without wins of zero": partial(softswiss, zero_wins=False),
}


def _entry(row: MovementRow, player: str, provider: str) -> Entry:
    return Entry(
        transaction=row.movement,
        player=player,
        kind="bet" if row.direction == "debit" else "win",
        amount=row.amount,
        provider=provider,
        reference=row.reference,
    )


async def _compared(hub: SimulatedHub, wallet: WalletPeer, drivers: Iterable[ProviderDriver]) -> Comparison:
    at_providers = [entry for driver in drivers for entry in driver.book.values()]
    at_operator = [
        Entry(transaction=row.transaction, player=row.player, kind=row.operation, amount=row.amount)
        for row in wallet.transactions()
        if row.state == "applied" and row.operation in {"bet", "win"}
    ]
    whose = {row.transaction: row.player for row in wallet.transactions()}
    names = {id_: name for name, id_ in hub.connections.items()}
    at_hub = [
        _entry(row, whose.get(row.movement, ""), names[row.connection])
        for row in await hub.rows()
        if row.state.value == "applied" and row.direction in {"debit", "credit"}
    ]
    told = {row.transaction for row in at_operator}
    if not any(row.kind == "win" and row.amount == 0 for row in at_operator):  # such wins are told as ends of rounds
        at_providers = [row for row in at_providers if row.kind == "bet" or row.amount]
        at_hub = [row for row in at_hub if row.amount or row.transaction in told]
    accounts = [Account(player=one.player, opening=one.opening, balance=one.balance) for one in wallet.accounts()]
    return compare(at_providers, at_hub, at_operator, accounts)


async def _played(folder: Path, variety: Variety, provider: SimulatedProvider, *, chaos: float) -> Comparison:
    wallet = variety.peer
    for player in PLAYERS:
        wallet.open_player(player, Currency("EUR", 2), OPENING, f"session-of-{player}")
    clock: list[SimulatedHub] = []

    def answer(request: HttpRequest) -> HttpResponse:
        return wallet.answer(request, variety.credentials, clock[0].clock.now())

    async with SimulatedHub.open(folder, wallet=answer, providers=[provider], operator=variety.operator, seed=7) as hub:
        clock.append(hub)

        async def send(request: HttpRequest) -> HttpResponse | None:
            return await hub.send(provider.name, request)

        driver = ProviderDriver(
            name=provider.name,
            peer=provider.peer,
            credentials=provider.credentials,
            send=send,
            seed="seven",
            habits=Habits(too_much=OPENING * 100),
            now=hub.clock.now,
        )
        seats = []
        for player in PLAYERS:
            given = await hub.launch(provider.name, player, operator_session=f"session-of-{player}")
            seats.append(Seat(label=player, player=given, dice=Random(f"seven/{player}")))
        hub.trouble(wallet=chaos, providers=chaos)
        playing = asyncio.gather(*[driver.play(seat, ROUNDS) for seat in seats])
        await hub.clock.sleep(60)
        hub.calm()
        await playing
        await hub.drain()
        assert await hub.process.deliveries.owed() == 0
        assert driver.tally["rounds"] == ROUNDS * len(PLAYERS)
        assert not {"unpaid", "not undone"} & set(driver.tally)
        return await _compared(hub, wallet, [driver])


@pytest.mark.parametrize("chaos", [0.0, 0.3])
@pytest.mark.parametrize("name", ["softswiss", "pragmatic"])
@pytest.mark.parametrize("variety", list(VARIETIES))
def test_three_books_agree(stage: Any, tmp_path: Path, variety: str, name: str, chaos: float) -> None:
    found = simulate(_played(tmp_path, VARIETIES[variety](), stage.provider(name), chaos=chaos))
    assert found.differences == ()
    assert found.transactions >= ROUNDS
