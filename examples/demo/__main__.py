"""The demonstration: a hub, an operator and every provider whose adapter is installed, thousands of rounds over a bad
network, and at the end three books that must be equal.

    python examples/demo [--rounds N] [--seed N] [--providers SLUG ...] [--dialect SLUG] [--crash] [--sabotage DEFECT]
                         [--keep]
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "operator"))

import uvloop
from rich.console import Console

from croupier.registry import Registry
from demo_dialects import DIALECTS
from demo_plan import NATIVE, PORTS, SABOTAGES, Plan, Provider, free_ports
from demo_run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description="Three books of one game, over a bad network.")
    parser.add_argument("--rounds", type=int, default=3000, help="how many rounds are played (default %(default)s)")
    parser.add_argument("--players", type=int, default=8, help="players at each provider (default %(default)s)")
    parser.add_argument("--providers", nargs="+", metavar="SLUG", help="who plays (default: every adapter installed)")
    parser.add_argument("--dialect", choices=DIALECTS, default=NATIVE, help="what the operator's wallet speaks")
    parser.add_argument("--seed", type=int, help="of every chance; without it a new one, which is printed")
    parser.add_argument("--crash", action="store_true", help="kill the hub (kill -9) three times, and start it again")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="plant one defect: the books must not be equal then")
    parser.add_argument("--keep", action="store_true", help="leave everything running and print the addresses")
    parser.add_argument("--folder", type=Path, help="where its files and logs go, and stay (default: a temporary one)")
    options = parser.parse_args()
    if options.sabotage and options.dialect != NATIVE:
        parser.error("the defects are planted in a wallet of the hub's own protocol")
    if unknown := set(options.providers or ()) - set(installed()):
        parser.error(f"no adapter is installed for {', '.join(sorted(unknown))}")
    if options.rounds < 2 or options.players < 1:
        parser.error("expected at least two rounds and one player")
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory(prefix="croupier-demo-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"{folder} is not empty")
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        plan = Plan(
            folder=str(folder),
            seed=seed,
            rounds=options.rounds,
            players=options.players,
            sabotage=options.sabotage,
            ports=ports,
            dialect=options.dialect,
            wallet_secrets=DIALECTS[options.dialect].secrets(),
            providers=providers(options.providers or installed()),
        )
        console = Console()
        return uvloop.run(run(plan, crash=options.crash, keep=options.keep, console=console))


def installed() -> list[str]:
    return sorted({report.slug for report in Registry().adapters() if report.slug})


def providers(slugs: Sequence[str]) -> tuple[Provider, ...]:
    registry = Registry()
    places = zip(slugs, free_ports(len(slugs)), strict=True)
    return tuple(Provider(name=slug, title=registry.adapter(slug).name, port=port) for slug, port in places)


if __name__ == "__main__":
    sys.exit(main())
