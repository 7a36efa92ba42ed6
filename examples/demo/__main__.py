"""The demonstration: a hub, an operator and two providers as processes, thousands of rounds over a bad network, and at
the end three books that must be equal.

    python examples/demo [--rounds N] [--seed N] [--crash] [--sabotage DEFECT] [--keep]
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "operator"))

import uvloop
from rich.console import Console

from demo_plan import SABOTAGES, make_plan
from demo_run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description="Three books of one game, over a bad network.")
    parser.add_argument("--rounds", type=int, default=3000, help="how many rounds are played (default %(default)s)")
    parser.add_argument("--players", type=int, default=24, help="players at each provider (default %(default)s)")
    parser.add_argument("--seed", type=int, help="of every chance; without it a new one, which is printed")
    parser.add_argument("--crash", action="store_true", help="kill the hub (kill -9) three times, and start it again")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="plant one defect: the books must not be equal then")
    parser.add_argument("--keep", action="store_true", help="leave everything running and print the addresses")
    parser.add_argument("--folder", type=Path, help="where its files and logs go, and stay (default: a temporary one)")
    options = parser.parse_args()
    if options.rounds < 2 or options.players < 1:
        parser.error("expected at least two rounds and one player")
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory(prefix="croupier-demo-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            parser.error(f"{folder} is not empty")
        plan = make_plan(folder, seed=seed, rounds=options.rounds, players=options.players, sabotage=options.sabotage)
        console = Console()
        return uvloop.run(run(plan, crash=options.crash, keep=options.keep, console=console))


if __name__ == "__main__":
    sys.exit(main())
