"""Books of any length with one of each class of difference in them: `python -m tests.reconciliation.seeded 1000000`."""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from attrs import evolve

from croupier.reconciliation.compare import CaseKind, Count, Entry, Side, Standing, Window, compare
from croupier.reconciliation.logs import Shelf, read_log

HOUR: Final = 3_600_000
START: Final = datetime(2026, 11, 23, tzinfo=UTC)
SINCE: Final = int(START.timestamp()) * 1000
WINDOW: Final = Window(since=SINCE, until=SINCE + 24 * HOUR, grace=HOUR)
"""The books reach an hour beyond both ends of this day."""

Damaged = dict[Side, list[Entry]]

SEEDED: Final = (
    CaseKind.MISSING_AT_PROVIDER, CaseKind.MISSING_AT_HUB, CaseKind.MISSING_AT_OPERATOR, CaseKind.DUPLICATE,
    CaseKind.STATE, CaseKind.KIND, CaseKind.PLAYER, CaseKind.CURRENCY, CaseKind.AMOUNT,
)  # fmt: skip
"""Every class but what the hub holds: no log says that of itself."""
assert set(SEEDED) == set(CaseKind) - {CaseKind.UNDECIDED}


def truth(number: int, of: int, chance: random.Random) -> Entry:
    """What happened: spread over the day and an hour beyond both ends."""
    at = SINCE - HOUR + number * 26 * HOUR // of
    state = chance.choices((Standing.APPLIED, Standing.ROLLED_BACK, Standing.DECLINED), (90, 7, 3))[0]
    return Entry(
        id=f"{chance.getrandbits(64):016x}-{number}",
        kind=chance.choice(("bet", "win")),
        amount=chance.randrange(100_000),
        currency="EUR",
        player=f"p{chance.randrange(500)}",
        state=state,
        at=at,
    )


def written(entry: Entry, chance: random.Random) -> Damaged:
    """The same in three books, each a little late; a refused one is not in every book."""
    books = {}
    for side in Side:
        if entry.state is Standing.APPLIED or chance.random() < 0.8:
            books[side] = [evolve(entry, at=entry.at + chance.randrange(HOUR // 2))]
    return books


def damaged(kind: CaseKind, entry: Entry) -> Damaged:
    """Three books of a transaction with one thing wrong."""
    entry = evolve(entry, state=Standing.APPLIED, at=SINCE + 12 * HOUR)
    books = {side: [entry] for side in Side}
    match kind:
        case CaseKind.MISSING_AT_PROVIDER | CaseKind.MISSING_AT_HUB | CaseKind.MISSING_AT_OPERATOR:
            del books[Side(kind.value.removeprefix("missing_at_"))]
        case CaseKind.DUPLICATE:
            books[Side.OPERATOR].append(evolve(entry, at=entry.at + 1))
        case CaseKind.UNDECIDED:
            raise ValueError("no log says that of itself")
        case CaseKind.STATE:
            books[Side.HUB] = [evolve(entry, state=Standing.ROLLED_BACK)]
        case CaseKind.KIND:
            books[Side.PROVIDER] = [evolve(entry, kind="win" if entry.kind == "bet" else "bet")]
        case CaseKind.PLAYER:
            books[Side.OPERATOR] = [evolve(entry, player="another")]
        case CaseKind.CURRENCY:
            books[Side.PROVIDER] = [evolve(entry, currency="SEK", amount=entry.amount + 1)]
        case CaseKind.AMOUNT:
            books[Side.OPERATOR] = [evolve(entry, amount=entry.amount + 1)]
    return books


def write_logs(folder: Path, size: int, seed: int) -> dict[str, CaseKind]:
    """Write three logs of that many transactions; returns what is wrong, by id."""
    chance = random.Random(seed)
    wrong = dict(zip(chance.sample(range(size), len(SEEDED)), SEEDED, strict=True))
    expected = {}
    files = {side: (folder / f"{side.value}.jsonl").open("w") for side in Side}
    try:
        for number in range(size):
            entry = truth(number, size, chance)
            books = written(entry, chance)
            if number in wrong:
                expected[entry.id] = wrong[number]
                books = damaged(wrong[number], entry)
            for side, entries in books.items():
                files[side].writelines(json.dumps(line_of(one)) + "\n" for one in entries)
    finally:
        for file in files.values():
            file.close()
    return expected


def line_of(entry: Entry) -> dict[str, object]:
    """An entry as a line of a log."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=entry.at)
    told = {"id": entry.id, "kind": entry.kind, "amount": entry.amount, "currency": entry.currency}
    return {**told, "player": entry.player, "state": entry.state.value, "at": at.isoformat(), "further": {"field": 1}}


def found_in(folder: Path, count: Count) -> Iterator[tuple[str, tuple[CaseKind, ...]]]:
    """What the comparison of the three logs tells."""
    shelf = Shelf()
    for side in Side:
        shelf.put(side, read_log(folder / f"{side.value}.jsonl"))
    for case in compare({side: shelf.book(side) for side in Side}, WINDOW, count):
        yield case.id, case.kinds
    shelf.close()


def main() -> None:
    """Compare books of the length that is given."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        expected = write_logs(Path(name), size, seed=1)
        begun, count = time.monotonic(), Count()
        found = dict(found_in(Path(name), count))
        seconds = time.monotonic() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    right = found == {id_: (kind,) for id_, kind in expected.items()}
    sys.stdout.write(
        f"{size} transactions in three books,"
        f" {count.transactions} of the day compared in {seconds:.0f} s and {memory} MiB:"
        f" {len(expected)} differences seeded, {'all found and no other' if right else 'WRONG'}\n"
    )
    sys.exit(not right)


if __name__ == "__main__":
    main()
