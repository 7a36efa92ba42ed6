"""A stage for stories: both providers, the example operator's book as the wallet, and a whole hub on virtual time."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from attrs import frozen

from croupier.contract import AuthenticationError, HttpRequest, HttpResponse
from croupier.registry import Registry, structure
from croupier_conformance.simulated_hub import SimulatedHub, SimulatedOperator, SimulatedProvider
from croupier_conformance.virtual_time import LoopClock, simulate
from croupier_pragmatic.peer import PragmaticPeer
from croupier_pragmatic.settings import PragmaticSettings
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.settings import SoftswissSettings
from croupier_wallet_native.signing import verify

T = TypeVar("T")

OPERATOR_SCRIPT = Path(__file__).resolve().parents[2] / "examples/operator/operator_wallet.py"
WALLET_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()  # a test key
PLAYER = "player-one-canary"
OTHER = "player-two-canary"
OPENING = 100_000


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("operator_wallet_of_scenarios", OPERATOR_SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example: Any = _load()


@frozen
class Scene:
    """A hub and what is around it.

    Attributes:
        hub: The hub.
        book: The operator's book.
        seen: Every request that reached the wallet with a right signature: its path and body.
    """

    hub: SimulatedHub
    book: Any
    seen: list[tuple[str, dict[str, Any]]]

    def money(self, player: str = PLAYER) -> int:
        """What the operator holds for a player, in minor units; below zero where it is a deficit."""
        return int(next(row["balance"] for row in self.book.export()["accounts"] if row["player"] == player))

    def moved(self, player: str = PLAYER) -> list[int]:
        """The changes of a player's balance in the operator's book, oldest first, without those of nothing."""
        rows = self.book.export()["movements"]
        return [row["moved"] for row in rows if row["player"] == player and row["moved"]]

    async def state(self) -> tuple[Any, Any]:
        """The operator's book and the ledger's money: equal before and after what must move nothing."""
        rows = [(row.movement, row.state, row.amount) for row in await self.hub.rows() if row.state.value != "declined"]
        return self.book.export(), (rows, await self.hub.deliveries())


@frozen
class Stage:
    """Makes providers and runs stories."""

    registry: Registry

    player = PLAYER
    other = OTHER
    opening = OPENING
    secrets = ("test-token-canary", "test-key-canary", WALLET_SECRET)

    def softswiss(self, *, policy: Mapping[str, Any] | None = None, **settings: Any) -> SimulatedProvider:
        """SOFTSWISS, simulated."""
        chosen = {"api_url": "https://softswiss.example/api", "casino_id": "acme-casino", **settings}
        return SimulatedProvider(
            name="softswiss",
            adapter="softswiss",
            peer=SoftswissPeer(structure(chosen, SoftswissSettings, where="settings")),
            host="softswiss.example",
            settings=chosen,
            secrets={"auth_token": "test-token-canary"},
            games={"acceptance:test": "Acceptance Test", "acceptance:fruits": "Acceptance Fruits"},
            policy=policy or {},
        )

    def pragmatic(self, *, policy: Mapping[str, Any] | None = None, **settings: Any) -> SimulatedProvider:
        """Pragmatic Play, simulated."""
        chosen = {
            "secure_login": "acme_login",
            "api_url": "https://pragmatic.example",
            "frb_credit_on": "bonusWin",
            **settings,
        }
        return SimulatedProvider(
            name="pragmatic",
            adapter="pragmatic",
            peer=PragmaticPeer(structure(chosen, PragmaticSettings, where="settings")),
            host="pragmatic.example",
            settings=chosen,
            secrets={"secret_key": "test-key-canary"},
            games={"vs20doghouse": "The Dog House", "vs5aztecgems": "Aztec Gems"},
            policy=policy or {},
        )

    def provider(self, name: str, **more: Any) -> SimulatedProvider:
        """A provider by name."""
        made: SimulatedProvider = getattr(self, name)(**more)
        return made

    def play(
        self,
        story: Callable[[Scene], Awaitable[T]],
        *providers: SimulatedProvider,
        seed: int = 0,
        folder: Path | None = None,
        currency: str = "EUR",
        operator: Mapping[str, Any] | None = None,
    ) -> T:
        """Run a story on virtual time; both providers take part unless others are named."""
        with TemporaryDirectory() as temporary:
            return simulate(
                self._told(
                    story,
                    providers or (self.softswiss(), self.pragmatic()),
                    seed=seed,
                    folder=folder or Path(temporary),
                    currency=currency,
                    operator=operator or {},
                )
            )

    async def _told(
        self,
        story: Callable[[Scene], Awaitable[T]],
        providers: tuple[SimulatedProvider, ...],
        *,
        seed: int,
        folder: Path,
        currency: str,
        operator: Mapping[str, Any],
    ) -> T:
        book = example.Book(now=lambda: 0)
        seen: list[tuple[str, dict[str, Any]]] = []
        clock = LoopClock()

        def wallet(request: HttpRequest) -> HttpResponse:
            try:
                verify(request.headers, request.body, [WALLET_SECRET], clock.now())
            except AuthenticationError:
                return HttpResponse.json(b"{}", 401)
            body = json.loads(request.body)
            seen.append((request.path, body))
            return HttpResponse.json(json.dumps(book.handle(request.path.strip("/"), body)))

        try:
            for player in (PLAYER, OTHER):
                book.open_player(player, currency, OPENING, session=f"session-of-{player}")
            configured = SimulatedOperator(secrets={"signing_secret": WALLET_SECRET}, **operator)
            async with SimulatedHub.open(
                folder, wallet=wallet, providers=providers, operator=configured, seed=seed, registry=self.registry
            ) as hub:
                result = await story(Scene(hub, book, seen))
                await self._check_log(hub)
                return result
        finally:
            book.close()

    async def _check_log(self, hub: SimulatedHub) -> None:
        """No line of log may hold a secret, or tell who plays: neither in the operator's words nor in a provider's."""
        written = repr(hub.log.lines)
        aliases = [
            await hub.ledger.alias_of(hub.operator, connection, row.player)
            for connection in hub.connections.values()
            for player in (PLAYER, OTHER)
            if (row := await hub.ledger.player_by_operator_id(hub.operator, player)) is not None
        ]
        tokens = [player.token for player in hub.seats]
        for canary in (*self.secrets, PLAYER, OTHER, hub.key, *aliases, *tokens):
            assert not canary or canary not in written


@pytest.fixture(scope="session")
def stage() -> Stage:
    return Stage(Registry())
