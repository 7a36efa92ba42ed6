"""An operator in one file: players with money, and the wallet that the Croupier hub calls.

    python examples/operator/operator_wallet.py --database wallet.sqlite --secret whsec_... --admin

`Book` is the wallet: plain functions over one SQLite file, no sockets. `make_app` puts it behind HTTP and checks the
signatures. Four rules make it safe, and any wallet that speaks this protocol needs them:

1. One request, one database transaction: the balance and the record of the movement change together or not at all.
2. The hub's transaction id is remembered for ever. A second copy moves nothing and is answered like the first.
3. A rollback of something unknown leaves a tombstone, so that a bet which arrives late moves nothing.
4. Only bets ask whether the session lives. Wins and rollbacks are owed to the player, days later if need be.

What is refused is not remembered: nothing moved, so the same question may get another answer later.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from croupier_wallet_native.signing import AuthenticationError, decode_secret, verify

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    player    TEXT PRIMARY KEY,
    currency  TEXT NOT NULL,
    opening   INTEGER NOT NULL,
    balance   INTEGER NOT NULL      -- minor units; below zero is a deficit, shown as zero, paid by the next credits
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    session   TEXT PRIMARY KEY,
    player    TEXT NOT NULL REFERENCES accounts,
    live      INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS movements (
    position      INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,         -- the hub's transaction id: rule 2 is this index
    state         TEXT NOT NULL,                -- applied, rolled_back, tombstone
    player        TEXT NOT NULL,
    currency      TEXT NOT NULL,
    game          TEXT NOT NULL,
    round         TEXT NOT NULL,
    operation     TEXT,                         -- bet, win, rollback; of a tombstone nobody knows
    kind          TEXT,
    target        TEXT,
    amount        INTEGER NOT NULL DEFAULT 0,
    moved         INTEGER NOT NULL DEFAULT 0,   -- the change of the balance
    nothing_moved INTEGER NOT NULL DEFAULT 0,   -- of a rollback: there was nothing to undo
    fingerprint   TEXT NOT NULL DEFAULT '',
    at            INTEGER NOT NULL              -- unix seconds
) STRICT;
"""

Json = dict[str, Any]


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A definite no. Whatever the request did so far is undone."""

    def __init__(self, reason: str, message: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message
        self.transaction: str | None = None


class MalformedError(Exception):
    """The request is not of the protocol."""


class Book:
    """Accounts and movements in one SQLite file. Use one `Book` a thread; many may share the file.

    Args:
        path: The file, or `:memory:`.
        shortfall: What happens when a win is rolled back that the player has spent: `deficit` takes it all the same
            (the balance goes below zero and shows as zero), `record` leaves the money and remembers the request.
        now: The clock, in unix seconds.
    """

    def __init__(
        self, path: str = ":memory:", *, shortfall: str = "deficit", now: Callable[[], float] = time.time
    ) -> None:
        self._shortfall = shortfall
        self._now = now
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # what was answered survives a crash
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    # --- what the hub asks --------------------------------------------------------------------------------------------

    def handle(self, operation: str, body: Json) -> Json:
        """Answer one request. Raises `MalformedError` for what is not of the protocol."""
        operations = dict.fromkeys(("bet", "win", "rollback"), self._move)
        operations |= {"authenticate": self._player, "balance": self._player}
        operations |= {"batch": self._batch, "status": self._status}
        if operation not in operations or body.get("operation") != operation:
            raise MalformedError("the body's operation is not that of the path")
        _check_texts(body)
        try:
            with self._transaction():
                return operations[operation](body)
        except Refused as refusal:
            return self._refusal(body, refusal)
        except KeyError as missing:
            raise MalformedError(f"{missing} is missing") from None

    def _player(self, body: Json) -> Json:
        self._check_account(body)
        if body["operation"] == "authenticate":
            self._check_session(body)
        return {"status": "ok", "player": body["player"], "balance": self._balance(body["player"])}

    def _status(self, body: Json) -> Json:
        self._check_account(body)
        row = self._movement(body["transaction"])
        state = "not_found"
        if row is not None and row["player"] == body["player"]:
            state = "applied" if row["state"] == "applied" else "rolled_back"
        return {"status": "ok", "transaction": body["transaction"], "state": state}

    def _move(self, body: Json) -> Json:
        return {"status": "ok", **self._apply(body, body), "balance": self._balance(body["player"])}

    def _batch(self, body: Json) -> Json:
        if not isinstance(body["movements"], list) or not all(isinstance(one, dict) for one in body["movements"]):
            raise MalformedError("movements is a list of objects")
        results = []
        for change in body["movements"]:
            _check_texts(change)
            try:
                results.append(self._apply(body, change))
            except Refused as refusal:  # the transaction around this undoes the movements before it
                refusal.transaction = change["transaction"]
                raise
        balance = self._balance(body["player"])
        return {"status": "ok", "batch": body["batch"], "movements": results, "balance": balance}

    # --- one movement -------------------------------------------------------------------------------------------------

    def _apply(self, play: Json, change: Json) -> Json:
        """Do one movement, or find that it was done. `play` says whose and where, `change` what."""
        _check_amounts(change)
        self._check_account(play)
        fingerprint = _fingerprint(play, change)
        row = self._movement(change["transaction"])
        if row is not None and row["state"] != "tombstone" and row["fingerprint"] != fingerprint:
            raise Refused("conflict")
        if row is not None and row["state"] != "applied":
            raise Refused("already_rolled_back")
        if row is None:
            row = self._do(play, change, fingerprint)
        result = {"transaction": row["id"], "operator_transaction": f"op-{row['position']}"}
        result["nothing_moved"] = bool(row["nothing_moved"])
        return {**result, "amount": row["amount"]} if change["take_all"] else result

    def _do(self, play: Json, change: Json, fingerprint: str) -> sqlite3.Row:
        nothing_moved = False
        match change["operation"]:
            case "bet":
                moved = -self._stake(play, change)
            case "win":
                if self._cash(play["player"]) < (change["funds_required"] or 0):
                    raise Refused("insufficient_funds")
                moved = change["amount"]
            case "rollback":
                moved, nothing_moved = self._undo(play, change)
            case _:
                raise MalformedError("a movement is a bet, a win or a rollback")
        self._db.execute("UPDATE accounts SET balance = balance + ? WHERE player = ?", (moved, play["player"]))
        facts = {name: change[name] for name in ("operation", "kind", "target")}
        facts |= {"amount": abs(moved), "moved": moved, "nothing_moved": nothing_moved}
        facts |= {"state": "applied", "fingerprint": fingerprint}
        return self._record(play, change["transaction"], facts)

    def _stake(self, play: Json, change: Json) -> int:
        """What a bet takes."""
        if change["kind"] == "adjustment":  # a correction of what happened: it cannot be refused
            return int(change["amount"])
        self._check_session(play)
        cash = self._cash(play["player"])
        if cash < max(change["amount"], change["funds_required"] or 0):
            raise Refused("insufficient_funds", "You do not have enough money for this bet.")
        return cash if change["take_all"] else int(change["amount"])

    def _undo(self, play: Json, change: Json) -> tuple[int, bool]:
        """What a rollback moves, and whether there was nothing to undo."""
        target = self._movement(change["target"])
        if target is None:
            self._record(play, change["target"], {"state": "tombstone"})
            return 0, True
        if target["state"] != "applied":
            return 0, True
        if target["player"] != play["player"] or target["operation"] != change["undoes"]:
            raise Refused("conflict")
        back = -target["moved"]  # what was recorded, whatever amount the request names
        if self._shortfall == "record" and self._cash(play["player"]) + back < 0:
            return 0, True
        self._db.execute("UPDATE movements SET state = 'rolled_back' WHERE id = ?", (target["id"],))
        return back, False

    def _record(self, play: Json, transaction: str, facts: Json) -> sqlite3.Row:
        where = {name: play[name] for name in ("player", "currency", "game", "round")}
        values = {"id": transaction, **where, **facts, "at": int(self._now())}
        columns, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        self._db.execute(f"INSERT INTO movements ({columns}) VALUES ({marks})", values)  # noqa: S608 - own names
        return self._movement(transaction)  # type: ignore[return-value] # it was just inserted

    # --- what is known ------------------------------------------------------------------------------------------------

    def _one(self, query: str, key: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(query, (key,)).fetchone()
        return row

    def _movement(self, transaction: str) -> sqlite3.Row | None:
        return self._one("SELECT * FROM movements WHERE id = ?", transaction)

    def _account(self, player: str) -> sqlite3.Row:
        account = self._one("SELECT * FROM accounts WHERE player = ?", player)
        if account is None:
            raise Refused("player_unknown")
        return account

    def _cash(self, player: str) -> int:
        return max(int(self._account(player)["balance"]), 0)

    def _balance(self, player: str) -> Json:
        return {"cash": self._cash(player), "currency": self._account(player)["currency"]}

    def _check_account(self, body: Json) -> None:
        if self._account(body["player"])["currency"] != body["currency"]:
            raise Refused("currency_wrong")

    def _check_session(self, body: Json) -> None:
        if body["session"] is None:
            return
        row = self._one("SELECT * FROM sessions WHERE session = ?", body["session"])
        if row is None or row["player"] != body["player"]:
            raise Refused("session_unknown")
        if not row["live"]:
            raise Refused("session_expired", "Please log in again.")

    def _refusal(self, body: Json, refusal: Refused) -> Json:
        echo = next(name for name in ("batch", "transaction", "player") if name in body)
        answer = {"status": "refused", "reason": refusal.reason, echo: body[echo]}
        more = {"transaction": refusal.transaction, "message": refusal.message}
        answer |= {name: value for name, value in more.items() if value is not None}
        if refusal.reason not in {"player_unknown", "currency_wrong"}:
            answer["balance"] = self._balance(body["player"])
        return answer

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")  # one writer at a time: what is read here stays true until COMMIT
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # --- the operator's own side --------------------------------------------------------------------------------------

    def open_player(self, player: str, currency: str, balance: int, session: str | None = None) -> Json:
        """Make a player, or find them (their balance stays), and open a session."""
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO accounts (player, currency, opening, balance) VALUES (?, ?, ?, ?)",
                (player, currency, balance, balance),
            )
            if session is not None:
                self._db.execute("INSERT OR REPLACE INTO sessions VALUES (?, ?, 1)", (session, player))
            return {"player": player, "session": session, "balance": self._balance(player)}

    def end_session(self, session: str) -> None:
        """The player logged out."""
        self._db.execute("UPDATE sessions SET live = 0 WHERE session = ?", (session,))

    def export(self, after: int = 0) -> Json:
        """Every account, and every movement behind a position: what a reconciliation compares."""
        accounts = self._db.execute("SELECT * FROM accounts ORDER BY player").fetchall()
        movements = self._db.execute(
            "SELECT position, id AS 'transaction', player, operation, kind, currency, amount, moved, state, target,"
            " game, round, at FROM movements WHERE position > ? ORDER BY position",
            (after,),
        ).fetchall()
        return {"accounts": [dict(row) for row in accounts], "movements": [dict(row) for row in movements]}


def _check_texts(body: Json) -> None:
    """Ids are text and nothing else, before any of them meets the database."""
    may_be_null = {"session", "target", "undoes"}
    if "round" not in body:  # a question, not play
        may_be_null.add("game")
    names = ("operation", "player", "currency", "game", "round", "kind", "transaction", "batch", *may_be_null)
    for name in names:
        value = body.get(name, "")
        if not isinstance(value, str) and not (value is None and name in may_be_null):
            raise MalformedError(f"{name} is text")


def _check_amounts(change: Json) -> None:
    for name in ("amount", "stake", "funds_required"):
        value = change[name]
        if not (value is None and name != "amount") and (type(value) is not int or value < 0):
            raise MalformedError(f"{name} is a whole number of minor units")


def _fingerprint(play: Json, change: Json) -> str:
    """What must be equal for two requests with one id to be the same. The session and the batch may differ."""
    if change["operation"] == "rollback":  # asked for by the provider or by the hub: the same all the same
        content = [play["player"], change["operation"], change["target"], change["undoes"]]
    else:
        whose = [play[name] for name in ("player", "currency", "game", "round")]
        content = whose + [change[name] for name in ("operation", "kind", "amount", "take_all")]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


# --- HTTP -------------------------------------------------------------------------------------------------------------


def make_app(
    book: Book,
    secrets: Iterable[str],
    *,
    now: Callable[[], float] = time.time,
    admin: bool = False,
    initial_balance: int = 100_000,
) -> web.Application:
    """The wallet behind HTTP. With `admin`, whoever reaches it may open players and read the book."""
    keys = tuple(secrets)
    for key in keys:
        decode_secret(key)

    async def wallet(request: web.Request) -> web.Response:
        raw = await request.read()
        try:
            verify(request.headers, raw, keys, datetime.fromtimestamp(now(), UTC))
        except AuthenticationError as error:
            return web.json_response({"error": str(error)}, status=401)
        try:
            return web.json_response(book.handle(request.match_info["operation"], _object(raw)))
        except MalformedError as error:
            return web.json_response({"error": str(error)}, status=400)

    async def open_player(request: web.Request) -> web.Response:
        asked = {"currency": "EUR", "balance": initial_balance, "session": None, **_object(await request.read())}
        return web.json_response(book.open_player(**asked), status=201)

    async def end_session(request: web.Request) -> web.Response:
        book.end_session(request.match_info["session"])
        return web.Response(status=204)

    async def export(request: web.Request) -> web.Response:
        return web.json_response(book.export(int(request.query.get("after", "0"))))

    app = web.Application()
    if admin:
        app.router.add_post("/players", open_player)
        app.router.add_delete("/sessions/{session}", end_session)
        app.router.add_get("/book", export)
    app.router.add_post("/{operation}", wallet)
    return app


def _object(raw: bytes) -> Json:
    try:
        value = json.loads(raw)
        json.dumps(value, ensure_ascii=False).encode()  # JSON can hold half a character, a database cannot
    except (ValueError, RecursionError):
        raise MalformedError("the body is not JSON, holds what is no text, or is nested too deep") from None
    if not isinstance(value, dict):
        raise MalformedError("the body is not a JSON object")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description="An operator's wallet for the Croupier hub, in one file.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--database", default="wallet.sqlite", help="the SQLite file of the book")
    parser.add_argument("--secret", action="append", help="whsec_...; twice while keys are changed (or WALLET_SECRET)")
    parser.add_argument("--shortfall", choices=["deficit", "record"], default="deficit")
    parser.add_argument("--admin", action="store_true", help="add /players, /sessions and /book, with no password")
    parser.add_argument("--initial-balance", type=int, default=100_000, help="of POST /players, in minor units")
    options = parser.parse_args()
    secrets = options.secret or os.environ.get("WALLET_SECRET", "").split()
    if not secrets:
        parser.error("--secret or WALLET_SECRET is needed: the hub signs its requests with it")
    book = Book(options.database, shortfall=options.shortfall)
    app = make_app(book, secrets, admin=options.admin, initial_balance=options.initial_balance)
    try:
        web.run_app(app, host=options.host, port=options.port)
    finally:
        book.close()


if __name__ == "__main__":
    main()
