"""What the demonstration is made of: parties, ports, secrets, time-outs. Every process reads the same plan."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from attrs import asdict, field, frozen

from croupier_conformance.certification.subject import AdapterSubject, load_adapter

ROOT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"
OPERATOR: Final = "acme"
NATIVE: Final = "native"
"""The hub's own wallet protocol."""

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

PORTS: Final = ("providers", "operators", "admin", "wallet", "hop")
"""What listens besides the providers: the hub three times, the operator's wallet, the bad network before it."""

SABOTAGES: Final = ("no-dedupe", "no-tombstone", "lost-win", "double-rollback-id")


@frozen(kw_only=True)
class Provider:
    """One provider and the connection to it. Whatever adapter is installed can play: the rest is what its author wrote
    for the certification, its peer, settings, test secrets and games.

    Attributes:
        name: The connection's name and the adapter's slug.
        title: For people.
        port: Where it listens.
    """

    name: str
    title: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def subject(self) -> AdapterSubject:
        """The adapter with its peer, settings and games."""
        return _subject(self.name, self.url)


@cache
def _subject(slug: str, url: str) -> AdapterSubject:
    return load_adapter(slug).at(url)


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
        dialect: The protocol that the wallet speaks.
        wallet_secrets: What the hub signs its requests to the operator with.
        providers: The providers.
    """

    folder: str
    seed: int
    rounds: int
    players: int
    sabotage: str | None
    ports: Mapping[str, int]
    dialect: str
    wallet_secrets: Mapping[str, str] = field(repr=False)
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
        providers = [Provider(**each) for each in values.pop("providers")]
        return cls(**values, providers=tuple(providers))


def free_ports(count: int) -> list[int]:
    return [_free_port() for _ in range(count)]


def _free_port() -> int:
    """A port that the system gives to nobody by itself for a minute: a connection has just been ended on it."""
    with socket.create_server((HOST, 0)) as server, socket.create_connection(server.getsockname()):
        server.accept()[0].close()
        return int(server.getsockname()[1])
