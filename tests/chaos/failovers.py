"""Failover after failover: `python -m tests.chaos.failovers`, or `make failovers`.

Two ledgers, as two hubs have them, play bets without a pause. Again and again the server that takes their commits is
lost for good, its standby is promoted, and a new standby is made of that one. In the end what survives is compared
with what was acknowledged, bet by bet. The exit status is 0 only if both are the same.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from attrs import define, field, frozen
from tests.ledger.postgres_ledgers import started

from croupier.contract.errors import StoreUnavailableError
from croupier.ledger.port import Change, Committed, Ledger, Look
from croupier_conformance.servers import PostgresServer, postgres_server

PAGE: Final = 10_000
Bet = Callable[[str], Change]


@define
class Acked:
    """What was acknowledged: each bet with the position of its event."""

    operator: str
    bet: Bet
    positions: dict[str, int] = field(factory=dict)
    over: bool = False
    _new: asyncio.Queue[str] = field(factory=asyncio.Queue)

    async def play(self, ledger: Ledger, caller: str) -> None:
        """Bet after bet; what was not acknowledged is tried again, and must then not be there yet."""
        number = 0
        while not self.over:
            name = f"{caller}-{number}"
            try:
                result = await ledger.commit(self.bet(name))
            except StoreUnavailableError:
                await asyncio.sleep(0.02)
                continue
            assert isinstance(result, Committed), (name, result)  # a test
            self.positions[name] = result.position
            self._new.put_nowait(name)
            number += 1

    async def more(self, count: int) -> None:
        """Wait for so many more."""
        while not self._new.empty():
            self._new.get_nowait()
        for _ in range(count):
            await self._new.get()

    async def differences(self, ledger: Ledger) -> list[str]:
        """What stands in one of the two and not in the other, or elsewhere."""
        found: dict[str, int] = {}
        last, told = 0, []
        while page := await ledger.events_after(self.operator, last, PAGE):
            gaps = [str(one.position) for place, one in enumerate(page, last + 1) if one.position != place]
            told += [f"position {gap} stands out of its order" for gap in gaps]
            found |= {one.event.subject: one.position for one in page}
            last = page[-1].position
        told += [f"{name}: acknowledged, and not there" for name in self.positions.keys() - found.keys()]
        told += [f"{name}: there, and never acknowledged" for name in found.keys() - self.positions.keys()]
        told += [
            f"{name}: at another position" for name in found if self.positions.get(name, found[name]) != found[name]
        ]
        names = list(self.positions)
        for start in range(0, len(names), 1000):
            part = names[start : start + 1000]
            seen = (await ledger.look(Look(operator=self.operator, movements=tuple(part)))).movements
            told += [f"{name}: its movement is not there" for name in part if name not in seen]
        return told


@frozen
class Places:
    """Two addresses that stay the same, whichever servers are at them."""

    folder: Path

    @property
    def url(self) -> str:
        """Leads to whichever of the two can be written."""
        hosts = ",".join(str(self.folder / name) for name in "ab")
        return f"postgresql://postgres@/postgres?host={quote(hosts, safe=',')}&target_session_attrs=read-write"

    def put(self, place: int, server: PostgresServer) -> None:
        """From now on a server is at the first or second address."""
        link = self.folder / "ab"[place % 2]
        link.unlink(missing_ok=True)
        link.symlink_to(parse_qs(urlsplit(server.address).query)["host"][0])


@contextmanager
def places() -> Iterator[Places]:
    """The addresses, for as long as somebody looks."""
    with tempfile.TemporaryDirectory(prefix="croupier-failovers-") as folder:
        yield Places(Path(folder))


async def fail_over(
    count: int, operator: str, bet: Bet, chance: random.Random, tell: Callable[[int, Acked], None] = lambda *_: None
) -> tuple[Acked, list[str]]:
    """Lose the server so many times while bets are played.

    Args:
        count: How many times.
        operator: Whose bets they are.
        bet: The change that makes a bet of a name.
        chance: Decides the moments.
        tell: Is told after each time.

    Returns:
        What was acknowledged, and how what survives differs from it.
    """
    with ExitStack() as whole, places() as known:
        # The first one's folder has the programs of all the others: it stays to the end.
        leader, ended = whole.enter_context(postgres_server({})), ExitStack()
        known.put(0, leader)
        follower, life = _standby(leader, whole)
        known.put(1, follower)
        acked = Acked(operator, bet)
        async with started(known.url, readers=2) as here, started(known.url, readers=2) as there:
            async with asyncio.TaskGroup() as players:
                for caller in range(8):
                    players.create_task(acked.play((here, there)[caller % 2], str(caller)))
                for number in range(count):
                    if number:
                        ended.close()
                        leader, ended = follower, life
                        follower, life = await asyncio.to_thread(_standby, leader, whole)
                        known.put(number + 1, follower)
                    await asyncio.to_thread(leader.wait_for_standbys)
                    await acked.more(40)
                    await asyncio.sleep(chance.uniform(0, 0.05))
                    await asyncio.to_thread(leader.kill)
                    await asyncio.to_thread(follower.promote)
                    await acked.more(40)
                    tell(number + 1, acked)
                acked.over = True
            found = [line for ledger in (here, there) for line in await acked.differences(ledger)]
    return acked, found


def _standby(leader: PostgresServer, whole: ExitStack) -> tuple[PostgresServer, ExitStack]:
    life = ExitStack()
    whole.callback(life.close)
    return life.enter_context(leader.standby()), life


def main(given: Sequence[str]) -> int:
    """Fail over, and tell what came of it."""
    parser = argparse.ArgumentParser(prog="make failovers ARGS=", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--count", type=int, default=200, help="how many failovers (%(default)s)")
    parser.add_argument("--seed", type=int, help="of their moments; without it one is drawn and told")
    chosen = parser.parse_args(given)
    seed = chosen.seed if chosen.seed is not None else random.randrange(10**6)
    from tests.ledger.conftest import Rows

    rows, began = Rows(), time.monotonic()

    def tell(number: int, acked: Acked) -> None:
        if number % 10 == 0 or number == chosen.count:
            seconds = time.monotonic() - began
            sys.stdout.write(f"{number} failovers, {len(acked.positions)} bets acknowledged, {seconds:.0f} s\n")
            sys.stdout.flush()

    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it warns of every connection that a failover costs

    def bet(name: str) -> Change:
        return rows.bet(name, nonce=name)

    sys.stdout.write(f"failovers: seed {seed}\n")
    acked, found = asyncio.run(fail_over(chosen.count, rows.operator, bet, random.Random(seed), tell))
    for line in found[:20]:
        sys.stdout.write(f"DIFFERS: {line}\n")
    sys.stdout.write(f"{chosen.count} failovers, {len(acked.positions)} bets acknowledged: difference {len(found)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
