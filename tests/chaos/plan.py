"""What a crash run is made of: sizes, time-outs, addresses, secrets. Every process of the run reads the same plan."""

from __future__ import annotations

import base64
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import asdict, field, frozen

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).resolve().parent
DEMO: Final = ROOT / "examples/demo"
sys.path.insert(1, str(DEMO))

from demo_plan import HOST, Provider, free_ports  # noqa: E402 # found by the line above

__all__ = ["DEMO", "HERE", "HOST", "ROOT", "Plan", "Provider", "Timing", "free_ports", "make_plan"]

OPERATOR: Final = "acme"
CURRENCY: Final = "EUR"
OPENING: Final = 2_000_000
"""Every player's money at the start, in minor units."""

TOO_MUCH: Final = 1_000_000_000
"""A bet that nobody can pay, in minor units."""

LEASE_VARIABLE: Final = "CHAOS_LEASE_MS"
"""The environment variable that tells a hub its lease."""


@frozen(kw_only=True)
class Timing:
    """How long everybody waits.

    Attributes:
        lease_ms: How long a hub's work is its own: 20 s in production, shorter here so that it is often taken over.
        provider_ms: How long a provider waits for the hub.
        margin_ms: What the hub keeps of that for itself.
        wallet_ms: The longest call of the hub to the wallet.
        calendar: Every wait of the calendar of owed work is divided by this.
        pace: Seconds between two faults, about.
    """

    lease_ms: int = 5_000
    provider_ms: int = 2_500
    margin_ms: int = 500
    wallet_ms: int = 2_000
    calendar: int = 50
    pace: float = 2.0


@frozen(kw_only=True)
class Plan:
    """One run.

    Attributes:
        folder: Where every file of the run is.
        seed: Of every chance.
        engine: `sqlite` or `postgres`.
        movements: How many movements the providers ask for, at least.
        minutes: After so long the providers stop, however many there were.
        players: How many play, at all providers together.
        timing: How long everybody waits.
        trouble: By what the shares of single requests that meet trouble are multiplied.
        sabotage: A defect of the wallet, to see that the books notice it.
        ports: By name: those of each hub (`a-providers`, `a-operators`, `a-admin`, `b-...`), of the hops (`hop-a`,
            `hop-b`, `hop-wallet`, `hop-database`) and of the wallet.
        wallet_secret: What the hubs sign their requests to the wallet with.
        providers: The providers.
    """

    folder: str
    seed: int
    engine: str
    movements: int
    minutes: float
    players: int
    timing: Timing
    trouble: int
    sabotage: str | None
    ports: Mapping[str, int]
    wallet_secret: str = field(repr=False)
    providers: Sequence[Provider] = ()

    @property
    def hubs(self) -> tuple[str, ...]:
        """The hubs by their names: two over PostgreSQL, one over SQLite."""
        return ("a", "b") if self.engine == "postgres" else ("a",)

    def gateways(self, name: str) -> list[str]:
        """Where a provider sends its requests: one address for each hub, behind its hop."""
        return [f"http://{HOST}:{self.ports[f'hop-{hub}']}/providers/{OPERATOR}/{name}" for hub in self.hubs]

    def provider(self, name: str) -> Provider:
        """One of the providers."""
        return next(provider for provider in self.providers if provider.name == name)

    def write(self) -> Path:
        """Write it down for the processes; returns the file."""
        file = Path(self.folder) / "plan.json"
        file.write_text(json.dumps(asdict(self)), "utf-8")
        file.chmod(0o600)
        return file

    @classmethod
    def read(cls, file: str) -> Plan:
        """What `write` wrote."""
        values = json.loads(Path(file).read_text("utf-8"))
        providers = [Provider(**each) for each in values.pop("providers")]
        return cls(timing=Timing(**values.pop("timing")), **values, providers=tuple(providers))


def make_plan(
    folder: Path,
    *,
    seed: int,
    engine: str,
    movements: int,
    minutes: float,
    players: int,
    timing: Timing,
    trouble: int,
    sabotage: str | None,
    providers: Sequence[str],
) -> Plan:
    """A run with ports of its own."""
    entrances = [f"{hub}-{entrance}" for hub in "ab" for entrance in ("providers", "operators", "admin")]
    hops = ["hop-a", "hop-b", "hop-wallet", "hop-database"]
    names = [*entrances, *hops, "wallet", *providers]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return Plan(
        folder=str(folder),
        seed=seed,
        engine=engine,
        movements=movements,
        minutes=minutes,
        players=players,
        timing=timing,
        trouble=trouble,
        sabotage=sabotage,
        ports=ports,
        wallet_secret="whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        providers=tuple(Provider(name=name, title=name, port=ports[name]) for name in providers),
    )
