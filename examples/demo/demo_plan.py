"""What the demonstration is made of: parties, ports, secrets, time-outs. Every process reads the same plan."""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import asdict, field, frozen

ROOT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"
OPERATOR: Final = "acme"
CURRENCY: Final = "EUR"
OPENING_BALANCE: Final = 100_000
"""Every player's money at the start, in minor units."""

CALENDAR_SCALE: Final = 100
"""Every wait of the hub's calendar of owed work is divided by this."""

PROVIDER_TIMEOUT_MS: Final = 1_000
"""How long the providers wait for the hub. In production they wait 3 to 10 seconds."""

MARGIN_MS: Final = 250
"""What the hub keeps of that for itself."""

BUDGET_MS: Final = PROVIDER_TIMEOUT_MS - MARGIN_MS
"""What is left to the operator."""

SABOTAGES: Final = ("no-dedupe", "no-tombstone", "lost-win", "double-rollback-id")


@frozen(kw_only=True)
class Provider:
    """One provider and the connection to it.

    Attributes:
        name: The connection's name and the adapter's slug.
        title: For people.
        peer: Where the simulated provider is found: module, class, and the class of its settings.
        port: Where it listens.
        settings: The adapter's settings.
        secrets: The connection's secrets.
        games: Its codes of the games that are played, with their titles.
    """

    name: str
    title: str
    peer: tuple[str, str, str]
    port: int
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    games: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@frozen(kw_only=True)
class Plan:
    """One run.

    Attributes:
        folder: Where every file of the run is.
        seed: Of every chance.
        rounds: How many are played.
        players: How many play at each provider.
        sabotage: The planted defect, or nothing.
        ports: By name: `providers`, `operators`, `admin` of the hub; `wallet` of the operator; `hop` of the bad
            network between the hub and the operator.
        wallet_secret: What the hub signs its requests to the operator with.
        providers: The providers.
    """

    folder: str
    seed: int
    rounds: int
    players: int
    sabotage: str | None
    ports: Mapping[str, int]
    wallet_secret: str = field(repr=False)
    providers: Sequence[Provider] = ()

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.ports[name]}"

    def provider(self, name: str) -> Provider:
        return next(provider for provider in self.providers if provider.name == name)

    def gateway(self, name: str) -> str:
        """Where a provider sends its requests."""
        return f"{self.url('providers')}/providers/{OPERATOR}/{name}"

    @property
    def file(self) -> Path:
        return Path(self.folder) / "plan.json"

    def write(self) -> None:
        self.file.write_text(json.dumps(asdict(self)), "utf-8")
        self.file.chmod(0o600)

    @classmethod
    def read(cls, file: str) -> Plan:
        values = json.loads(Path(file).read_text("utf-8"))
        providers = [Provider(**{**each, "peer": tuple(each["peer"])}) for each in values.pop("providers")]
        return cls(**values, providers=tuple(providers))


def make_plan(folder: Path, *, seed: int, rounds: int, players: int, sabotage: str | None) -> Plan:
    names = ("providers", "operators", "admin", "wallet", "hop", "softswiss", "pragmatic")
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    return Plan(
        folder=str(folder),
        seed=seed,
        rounds=rounds,
        players=players,
        sabotage=sabotage,
        ports=ports,
        wallet_secret="whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        providers=(_softswiss(ports["softswiss"]), _pragmatic(ports["pragmatic"])),
    )


def _softswiss(port: int) -> Provider:
    return Provider(
        name="softswiss",
        title="SOFTSWISS",
        peer=("croupier_softswiss", "SoftswissPeer", "SoftswissSettings"),
        port=port,
        settings={"api_url": f"http://{HOST}:{port}/api", "casino_id": "demo"},
        secrets={"auth_token": secrets.token_hex(24)},
        games={"acceptance:test": "Acceptance Test", "acceptance:fruits": "Acceptance Fruits"},
    )


def _pragmatic(port: int) -> Provider:
    return Provider(
        name="pragmatic",
        title="Pragmatic Play",
        peer=("croupier_pragmatic", "PragmaticPeer", "PragmaticSettings"),
        port=port,
        settings={"secure_login": "demo", "api_url": f"http://{HOST}:{port}", "frb_credit_on": "result"},
        secrets={"secret_key": secrets.token_hex(16)},
        games={"vs20doghouse": "The Dog House", "vs5aztecgems": "Aztec Gems"},
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
