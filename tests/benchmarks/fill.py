"""Old rows for a ledger: bets that the hub wrote itself, again and again under fresh ids.

The hub takes one bet (or launches one session) as ever; then it is stopped, and what it wrote is copied inside the
database, row for row in every table, with ids, times and texts of their own. So old rows are as valid as new ones,
whatever the schema is. Indexes are taken away meanwhile and made again, which is what a bulk load costs least with.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from tests.benchmarks.fill_postgres import PostgresCopy
from tests.benchmarks.fill_sqlite import SqliteCopy
from tests.benchmarks.stand import HubProcess

OLDEST: Final = timedelta(days=30)
PER_PLAYER: Final = 1000
"""So many old bets does a player have."""

KEPT_EXCHANGES: Final = 0.1
"""The exchanges of so much of the old bets are still there, of the newest; older ones are dropped by the month."""

ID_LENGTH: Final = 36
"""Of a random id; a shorter one tells exchanges apart within something else."""

_SPARE: Final = 1.4
"""So much more room than the rows is needed, for making indexes and for the log of what was written."""

_WITHOUT_EXCHANGES: Final = 0.7
"""What is left of an old bet, where most of the exchanges are no longer there."""

_LARGE: Final = 100_000
"""Above so many old bets, the exchanges of most are left out."""


TABLES: Final = ("movements", "movement_keys", "rounds", "events", "exchanges")


@frozen
class Filled:
    """What a fill did.

    Attributes:
        bets: How many it wrote.
        bytes_each: What one takes on the disk, by what the file or database grew.
        seconds: How long it took.
    """

    bets: int
    bytes_each: float
    seconds: float


def check_room(folder: Path, bets: int, bytes_each: float, engine: str) -> None:
    """Refuse what does not fit.

    Args:
        folder: Where it is to be.
        bets: How many old bets.
        bytes_each: What one takes in a small ledger.
        engine: For the message.

    Raises:
        RuntimeError: There is not enough room.
    """
    free, needed = shutil.disk_usage(folder).free, bets * bytes_each * _SPARE
    if bets > _LARGE:
        needed *= _WITHOUT_EXCHANGES
    if needed > free:
        raise RuntimeError(
            f"{bets} old bets on {engine} need {needed / 2**30:.0f} GiB below {folder}, and {free / 2**30:.0f} GiB are "
            "free: ask for fewer with --rows, or name another folder in TMPDIR"
        )


def fill_bets(hub: HubProcess, bets: int, until_ms: int) -> Filled:
    """Write so many old bets of the hub's main operator; the hub has taken one at least, and is down now.

    Args:
        hub: The hub.
        bets: How many.
        until_ms: All are older than this.
    """
    began = time.monotonic()
    copy = _open(hub.database)
    try:
        before = copy.size()
        _bets(copy, hub, bets, until_ms)
        grown = copy.size() - before
    finally:
        copy.close()
    return Filled(bets=bets, bytes_each=grown / bets, seconds=time.monotonic() - began)


def read_indexes(hub: HubProcess) -> None:
    """Read the indexes of everything that a bet writes once: a hub that has been running has them in memory.

    What does not fit there is not kept, as it would not be.

    Args:
        hub: The hub, down.
    """
    copy = _open(hub.database)
    try:
        copy.read_indexes(TABLES)
    finally:
        copy.close()


def fill_sessions(hub: HubProcess, sessions: int) -> list[dict[str, str]]:
    """Launch so many sessions, of a player each; the hub is down. Returns the players as the provider knows them."""
    copy = _open(hub.database)
    main = hub.main
    own = f"operator = '{main.operator}'"
    try:
        of_one = f"{own} AND player = (SELECT min(player) FROM sessions WHERE {own})"  # noqa: S608 # our own
        session, alias, player = (copy.rows(f"SELECT * FROM {table} WHERE {of_one}")[0] for table in _LAUNCHED)  # noqa: S608 # our own
        width = len(str(sessions))
        number = copy.number(width)
        copy.seed(
            sessions, {"player": "new_id", "session": "new_id", "hash": "new_id", "name": f"'session-' || {number}"}
        )
        copy.prepare(_LAUNCHED)
        changed = {"session": "s.session", "player": "s.player", "launch_hash": "s.hash"}
        if session["token_hash"] is not None:
            changed["token_hash"] = "s.hash"
        copy.copy("players", player, {"player": "s.player", "operator_player": "s.name"}, where="", order="player")
        copy.copy("aliases", alias, {"player": "s.player", "alias": "s.name"}, where="", order="name")
        copy.copy("sessions", session, changed, where="", order="session")
        copy.finish(_LAUNCHED)
    finally:
        copy.close()
    one = main.players[0]
    return [{**one, "player": f"session-{place:0{width}}"} for place in range(1, sessions + 1)]


_LAUNCHED: Final = ("sessions", "aliases", "players")


def _open(url: str) -> PostgresCopy | SqliteCopy:
    path = url.removeprefix("sqlite:///")
    return SqliteCopy(Path(path)) if path != url else PostgresCopy(url)


def _bets(copy: PostgresCopy | SqliteCopy, hub: HubProcess, bets: int, until_ms: int) -> None:
    own = f"operator = '{hub.main.operator}'"

    def found(table: str, condition: str) -> list[dict[str, Any]]:
        return copy.rows(f"SELECT * FROM {table} WHERE {own} AND {condition}")  # noqa: S608 # our own

    bet = found("movements", "state = 'applied' AND kind = 'bet' ORDER BY created_at, movement LIMIT 1")[0]
    (key,), (one,) = (
        found("movement_keys", f"value = '{bet['reference']}'"),
        found("rounds", f"round = '{bet['round']}'"),
    )
    events = found("events", f"subject IN ('{bet['movement']}', '{bet['round']}') ORDER BY position")
    trace = f"trace IN (SELECT trace FROM exchanges WHERE {own} AND movement = '{bet['movement']}')"  # noqa: S608 # our own
    exchanges = found("exchanges", trace)
    seeds = {"movement": "new_id", "round": "new_id", "play": "new_id", "nonce": "new_id", "trace": "new_id"}
    seeds |= {f"exchange_{place}": "new_id" for place in range(len(exchanges))}
    seeds |= {"p": f"n % {bets // PER_PLAYER + 1}", "value": "'old-' || n", "at": _spread(bets, until_ms)}
    copy.seed(bets, seeds)
    copy.prepare(TABLES)
    told = {
        bet["movement"]: "s.movement", bet["round"]: "s.round", bet["player"]: copy.player,
        key["value"]: "'bet-' || s.value", one["provider_round"]: "s.value",
    }  # fmt: skip
    times = {"created_at", "settled_at", "opened_at", "closed_at", "lease_until", "at", "started_at"}

    def changed(row: Mapping[str, Any], **more: str) -> dict[str, str]:
        """Each column in which something of the bet is told, or a time."""
        found = {name: copy.replaced(row[name], told) for name in row if isinstance(row[name], str)}
        found = {name: expression for name, expression in found.items() if expression}
        found |= {name: f"s.at + {row[name] - bet['created_at']}" for name in times & row.keys() if row[name]}
        return found | {name: expression for name, expression in more.items() if name in row and row[name] is not None}

    number = copy.next_number("movements")
    own_ids = {"play": "s.play", "nonce": copy.hex("s.nonce"), "number": number}
    copy.copy("movements", bet, changed(bet, **own_ids), where="", order="n")
    copy.copy("movement_keys", key, changed(key, movement_number=number), where="", order="value")
    numbered = {"number": copy.next_number("rounds")} if "number" in one else {}
    copy.copy("rounds", one, changed(one, **numbered), where="", order="n" if numbered else "round")
    last = int(found("operator_positions", "1 = 1")[0]["position"])
    for place, event in enumerate(events):
        position = f"{last} + s.n * {len(events)} - {len(events) - 1 - place}"
        copy.copy("events", event, changed(event, position=position), where="", order="n")
    copy.execute(f"UPDATE operator_positions SET position = {last + bets * len(events)} WHERE {own}")  # noqa: S608 # our own
    newest = f"WHERE s.n > {int(bets * (1 - KEPT_EXCHANGES))}" if bets > _LARGE else ""
    for place, exchange in enumerate(exchanges):
        ids = {"trace": copy.hex("s.trace"), "play": "s.play", "number": copy.next_number("exchanges")}
        ids["movement_number"] = number
        if len(exchange["exchange"]) == ID_LENGTH:
            ids["exchange"] = f"s.exchange_{place}"
        copy.copy("exchanges", exchange, changed(exchange, **ids), where=newest, order="n")
    copy.finish(TABLES)


def _spread(bets: int, until_ms: int) -> str:
    """When each old bet was, in milliseconds: evenly over the last days, all in this month."""
    until = datetime.fromtimestamp(until_ms / 1000, UTC)
    first = max(until.replace(day=1, hour=0, minute=0, second=0, microsecond=0), until - OLDEST)
    end = max(until - timedelta(minutes=1), first)
    begin, length = int(first.timestamp() * 1000), int((end - first).total_seconds() * 1000)
    return f"{begin} + CAST(n * {length / bets!r} AS bigint)"
